//! The known keys. They are read off the serialised default, so that a field
//! added to [`Config`] is known everywhere at once.

use serde::Deserialize;
use toml::de::ValueDeserializer;
use toml::{Table, Value};

use super::Config;

/// What every environment variable of ours begins with.
pub(super) const ENVIRONMENT_PREFIX: &str = "MONOLOOP_";

/// The known keys with their defaults.
pub(super) struct Schema {
    defaults: Table,
}

impl Schema {
    pub(super) fn new() -> Self {
        let defaults =
            Table::try_from(Config::default()).expect("a configuration is a table of plain values");
        Schema { defaults }
    }

    pub(super) fn defaults(&self) -> &Table {
        &self.defaults
    }

    /// The default of a key such as `limits.head_bytes_max`; `None` when there
    /// is no such key.
    pub(super) fn default_of(&self, key: &str) -> Option<&Value> {
        lookup(&self.defaults, key).filter(|value| !value.is_table())
    }

    pub(super) fn is_section(&self, name: &str) -> bool {
        lookup(&self.defaults, name).is_some_and(Value::is_table)
    }

    /// All keys, as in `listen` and `limits.head_bytes_max`.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for (name, value) in &self.defaults {
            match value {
                Value::Table(section) => {
                    keys.extend(section.keys().map(|key| format!("{name}.{key}")));
                }
                _ => keys.push(name.clone()),
            }
        }
        keys
    }

    /// Turns text, which is all that the environment and the command line have,
    /// into what the key takes. What does not parse stays text, for the key's
    /// own reader to refuse in its own words.
    pub(super) fn value_from_text(&self, key: &str, text: &str) -> Value {
        let as_text = || Value::String(text.to_owned());
        match self.default_of(key) {
            Some(default @ (Value::Integer(_) | Value::Boolean(_))) => {
                ValueDeserializer::parse(text.trim())
                    .and_then(Value::deserialize)
                    .ok()
                    .filter(|value| value.same_type(default))
                    .unwrap_or_else(as_text)
            }
            _ => as_text(),
        }
    }

    /// Says that a key is unknown, which was probably meant, and which there are.
    pub(super) fn unknown_key(&self, key: &str) -> String {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let Some(Value::Table(siblings)) = lookup(&self.defaults, section) else {
            return self.unknown("key", self.in_another_section(key, name));
        };
        let meant = closest(name, siblings.keys()).or_else(|| self.in_another_section(key, name));
        format!(
            "unknown key{}known keys in [{section}]: {}",
            did_you_mean(meant),
            list(siblings.keys())
        )
    }

    /// As [`unknown_key`](Self::unknown_key), for `[name]`.
    pub(super) fn unknown_section(&self, name: &str) -> String {
        self.unknown("section", closest(name, self.defaults.keys()))
    }

    fn unknown(&self, what: &str, meant: Option<String>) -> String {
        let known = self.defaults.iter().map(|(name, value)| match value {
            Value::Table(_) => format!("[{name}]"),
            _ => name.clone(),
        });
        format!(
            "unknown {what}{}known keys and sections: {}",
            did_you_mean(meant),
            list(known)
        )
    }

    /// The right name in the wrong place, else what looks like the whole key.
    fn in_another_section(&self, key: &str, name: &str) -> Option<String> {
        let keys = self.keys();
        let same_name = keys
            .iter()
            .find(|known| known.rsplit('.').next() == Some(name));
        same_name.cloned().or_else(|| closest(key, &keys))
    }
}

/// The environment variable that sets a key: `limits.head_bytes_max` is
/// `MONOLOOP_LIMITS_HEAD_BYTES_MAX`.
pub(super) fn variable_of(key: &str) -> String {
    format!(
        "{ENVIRONMENT_PREFIX}{}",
        key.replace('.', "_").to_uppercase()
    )
}

/// The candidate that `written` is a slip of, if one is near: a third of its
/// letters may differ.
pub(super) fn closest<S: AsRef<str>>(
    written: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<String> {
    let distance_max = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(written, name.as_ref()), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.as_ref().to_owned())
}

/// The middle of a refusal: `; did you mean "head"? ` or `; `.
pub(super) fn did_you_mean(meant: Option<String>) -> String {
    meant.map_or_else(
        || "; ".to_owned(),
        |meant| format!("; did you mean \"{meant}\"? "),
    )
}

fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    names
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ")
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => lookup(table.get(section)?.as_table()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_share_a_variable() {
        let mut names: Vec<String> = Schema::new()
            .keys()
            .iter()
            .map(|key| variable_of(key))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
