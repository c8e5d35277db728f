//! Puts a configuration together: defaults, then a file, then the environment,
//! then flags, each replacing what came before.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::Deserialize;
use toml::{Table, Value};

use super::schema::Schema;
use super::{Config, ConfigError, Effective, Origin, Problem, check, environment, file};

/// Where a configuration is read from. What is not given is not looked at.
///
/// Precedence, the strongest first: flags, environment, file, defaults. Among
/// the variables `MONOLOOP_LOG_FILTER` is stronger than `RUST_LOG`.
///
/// # Examples
///
/// ```
/// use monoloop::config::Sources;
///
/// let config = Sources::new()
///     .environment([("MONOLOOP_TIMEOUTS_HEAD".into(), "5s".into())])
///     .flag("--threads", "threads", "2")
///     .load()?
///     .config;
/// assert_eq!((config.threads, config.timeouts.head.unwrap().as_secs()), (2, 5));
/// # Ok::<(), monoloop::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    flags: Vec<Flag>,
}

#[derive(Debug, Clone)]
struct Flag {
    name: String,
    key: String,
    text: String,
}

/// One value for one key.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Sources {
    /// No source at all: everything is default.
    pub fn new() -> Self {
        Sources::default()
    }

    /// Reads a file. Without one, `MONOLOOP_CONFIG` may name it; no path is
    /// looked at unasked, because what a server does must not depend on the
    /// directory it was started in.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Reads variables, as from [`std::env::vars_os`]: those that begin with
    /// `MONOLOOP_`, of which none may be unknown, and `RUST_LOG`.
    pub fn environment(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Sets a key from the command line. `name` is what an error calls it.
    pub fn flag(
        mut self,
        name: impl Into<String>,
        key: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        self.flags.push(Flag {
            name: name.into(),
            key: key.into(),
            text: text.into(),
        });
        self
    }

    /// Reads all sources and checks the whole.
    ///
    /// # Errors
    ///
    /// Every problem of every source at once: a file that cannot be read or is no
    /// TOML, an unknown key, a value of the wrong type or out of bounds, values
    /// that contradict each other.
    pub fn load(self) -> Result<Effective, ConfigError> {
        let schema = Schema::new();
        let mut problems = Vec::new();

        // Weakest first: a later setting replaces an earlier one.
        let mut settings = Vec::new();
        let path = self
            .file
            .clone()
            .or_else(|| environment::config_file(&self.environment));
        if let Some(path) = path {
            settings.extend(file::read(&path, &schema, &mut problems));
        }
        settings.extend(environment::read(&self.environment, &schema, &mut problems));
        settings.extend(self.read_flags(&schema, &mut problems));

        let mut draft = Draft::new(&schema);
        for setting in settings {
            draft.apply(setting, &mut problems);
        }
        // Values that were refused are not in the draft; to judge the rest
        // together would blame the wrong one.
        if problems.is_empty() {
            check::contradictions(&draft.config, &draft.table, &draft.origins, &mut problems);
        }
        if problems.is_empty() {
            Ok(Effective {
                config: draft.config,
                origins: draft.origins,
            })
        } else {
            Err(ConfigError::new(problems))
        }
    }

    fn read_flags(&self, schema: &Schema, problems: &mut Vec<Problem>) -> Vec<Setting> {
        let mut settings: Vec<Setting> = Vec::new();
        for Flag { name, key, text } in &self.flags {
            let origin = Origin::Flag(name.clone());
            let refused = if schema.default_of(key).is_none() {
                Some(schema.unknown_key(key))
            } else {
                settings
                    .iter()
                    .find(|earlier| earlier.key == *key)
                    .map(|earlier| format!("is already set by {}; give it once", earlier.origin))
            };
            match refused {
                Some(reason) => {
                    let value = Some(shown(text));
                    problems.push(Problem {
                        origin,
                        key: Some(key.clone()),
                        value,
                        reason,
                    });
                }
                None => {
                    let value = schema.value_from_text(key, text);
                    settings.push(Setting {
                        key: key.clone(),
                        value,
                        origin,
                    });
                }
            }
        }
        settings
    }
}

/// A configuration that is valid after every step.
struct Draft<'a> {
    schema: &'a Schema,
    table: Table,
    config: Config,
    origins: BTreeMap<String, Origin>,
}

impl<'a> Draft<'a> {
    fn new(schema: &'a Schema) -> Self {
        let table = schema.defaults().clone();
        Draft {
            schema,
            table,
            config: Config::default(),
            origins: BTreeMap::new(),
        }
    }

    /// Reads the whole anew with one value changed. Only that value can be the
    /// reason when it fails, so the problem is known to be its.
    fn apply(&mut self, setting: Setting, problems: &mut Vec<Problem>) {
        let Setting { key, value, origin } = setting;
        let mut table = self.table.clone();
        set(&mut table, &key, value.clone());
        match Config::deserialize(table.clone()) {
            Ok(config) => {
                self.config = config;
                self.table = table;
                self.origins.insert(key, origin);
            }
            Err(error) => {
                let example = self.example(&key, &origin);
                let reason = format!("{}; write for example {example}", error.message());
                let value = match (&origin, &value) {
                    (Origin::Environment(_) | Origin::Flag(_), Value::String(text)) => shown(text),
                    _ => shortened(value.to_string()),
                };
                problems.push(Problem {
                    origin,
                    key: Some(key),
                    value: Some(value),
                    reason,
                });
            }
        }
    }

    /// The default of a key, in the form of the place where it would be written.
    fn example(&self, key: &str, origin: &Origin) -> String {
        let default = self
            .schema
            .default_of(key)
            .expect("a setting has a known key");
        let bare = match default {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match origin {
            Origin::Environment(name) | Origin::Flag(name) => {
                format!("{name}={} (the default)", shown(&bare))
            }
            _ => {
                let name = key.rsplit('.').next().unwrap_or(key);
                format!("{name} = {default} (the default)")
            }
        }
    }
}

/// Text of the shell as it may be printed: quoted when it has to be.
fn shown(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.:/=,[]".contains(c));
    shortened(if plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    })
}

/// Keeps a line readable when somebody put a page where a word belongs.
pub(super) fn shortened(text: String) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, name)) => {
            let section = table.get_mut(section).and_then(Value::as_table_mut);
            section
                .expect("a known key has a known section")
                .insert(name.to_owned(), value);
        }
    }
}
