//! Values that are each in bounds and make no sense together.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{ClientAuth, Config, Origin, Problem};

/// Adds a problem for each contradiction.
pub(super) fn contradictions(
    config: &Config,
    table: &Table,
    origins: &BTreeMap<String, Origin>,
    problems: &mut Vec<Problem>,
) {
    let check = Check { table, origins };

    // Who lowers the head alone means the first line with it.
    let limits = &config.limits;
    let target_is_set = origins.contains_key("limits.target_bytes_max");
    if target_is_set && limits.target_bytes_max > limits.head_bytes_max {
        problems.push(check.problem(
            ("limits", "target_bytes_max", "is more than"),
            ("limits", "head_bytes_max", "is less than"),
            "the first line is a part of the head; lower the one or raise the other",
        ));
    }

    let health = &config.health;
    if health.enabled && health.live_path == health.ready_path {
        problems.push(check.problem(
            ("health", "ready_path", "is the same as"),
            ("health", "live_path", "is the same as"),
            "a draining server is alive and not ready; give each its own",
        ));
    }

    let tls = &config.tls;
    if tls.certificate.len() != tls.key.len() {
        problems.push(check.problem(
            ("tls", "certificate", "is not as many files as"),
            ("tls", "key", "is not as many files as"),
            "a certificate is of no use without its key; give one key for each, in the same order",
        ));
    }
    if tls.client_auth != ClientAuth::Off && tls.client_ca.is_empty() {
        problems.push(check.problem(
            ("tls", "client_auth", "stands beside"),
            ("tls", "client_ca", "stands beside"),
            "certificates of clients have to come from somebody; name the authorities",
        ));
    }
    if tls.client_auth == ClientAuth::Off && !tls.client_ca.is_empty() {
        problems.push(check.problem(
            ("tls", "client_ca", "stands beside"),
            ("tls", "client_auth", "stands beside"),
            "no client is asked for a certificate; write \"required\" or \"optional\"",
        ));
    }
    if !cfg!(feature = "tls") && !tls.certificate.is_empty() {
        problems.push(check.problem(
            ("tls", "certificate", "stands beside"),
            ("tls", "key", "stands beside"),
            "this program was built without TLS; build it with the feature `tls` of monoloop",
        ));
    }
}

struct Check<'a> {
    table: &'a Table,
    origins: &'a BTreeMap<String, Origin>,
}

/// A section, a key in it, and what is wrong with it beside the other.
type Side<'a> = (&'a str, &'a str, &'a str);

impl Check<'_> {
    /// Reports at the first value, or at the second if the first is the default:
    /// a default is nobody's mistake.
    fn problem(&self, first: Side<'_>, second: Side<'_>, remedy: &str) -> Problem {
        let origin = |(section, name, _): Side<'_>| self.origins.get(&format!("{section}.{name}"));
        let (blamed, other) = if origin(first).is_some() {
            (first, second)
        } else {
            (second, first)
        };
        let (section, name, relation) = blamed;
        Problem {
            origin: origin(blamed).cloned().unwrap_or(Origin::Default),
            key: Some(format!("{section}.{name}")),
            value: self.value(blamed),
            reason: format!(
                "{relation} {} = {}, yet {remedy}",
                other.1,
                self.value(other).unwrap_or_default(),
            ),
        }
    }

    fn value(&self, (section, name, _): Side<'_>) -> Option<String> {
        let value: &Value = self.table.get(section)?.get(name)?;
        Some(value.to_string())
    }
}
