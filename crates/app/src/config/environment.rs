//! Reads environment variables into settings, and refuses those that look like
//! ours but are not.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::load::Setting;
use super::schema::{ENVIRONMENT_PREFIX, Schema, closest, did_you_mean, variable_of};
use super::{Origin, Problem};

/// Names the configuration file when `--config` does not.
pub(super) const CONFIG_FILE: &str = "MONOLOOP_CONFIG";

/// Filter directives for every Rust program of a shell; weaker than our own
/// variable, stronger than the file.
const RUST_LOG: &str = "RUST_LOG";

/// Variables of ours that are no keys: the runtime reads them itself.
const OF_THE_RUNTIME: [&str; 2] = ["MONOLOOP_DEBUG", "MONOLOOP_DRIVER"];

/// The configuration file that the environment names.
pub(super) fn config_file(variables: &[(OsString, OsString)]) -> Option<PathBuf> {
    let (_, path) = variables.iter().find(|(name, _)| name == CONFIG_FILE)?;
    Some(PathBuf::from(path))
}

/// Returns the settings of the environment, the stronger ones later.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    schema: &Schema,
    problems: &mut Vec<Problem>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(directives) = rust_log(variables) {
        let origin = Origin::Environment(RUST_LOG.to_owned());
        settings.push(Setting {
            key: "log.filter".to_owned(),
            value: directives.into(),
            origin,
        });
    }

    let keys: Vec<(String, String)> = schema
        .keys()
        .into_iter()
        .map(|key| (variable_of(&key), key))
        .collect();
    let mut ours: Vec<(&str, &OsStr)> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.as_os_str())))
        .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .filter(|(name, value)| {
            *name != CONFIG_FILE && !OF_THE_RUNTIME.contains(name) && !is_service_link(name, value)
        })
        .collect();
    // The order of an environment is an accident; that of a report is not.
    ours.sort_unstable();

    for (name, value) in ours {
        let origin = Origin::Environment(name.to_owned());
        match (
            keys.iter().find(|(variable, _)| variable == name),
            value.to_str(),
        ) {
            (Some((_, key)), Some(text)) => {
                let value = schema.value_from_text(key, text);
                settings.push(Setting {
                    key: key.clone(),
                    value,
                    origin,
                });
            }
            (Some((_, key)), None) => {
                let value = Some(format!("{value:?}"));
                let reason = "is not UTF-8; write plain text".to_owned();
                problems.push(Problem {
                    origin,
                    key: Some(key.clone()),
                    value,
                    reason,
                });
            }
            (None, _) => {
                let known = keys.iter().map(|(variable, _)| variable.as_str());
                let known = known.chain([CONFIG_FILE]).chain(OF_THE_RUNTIME);
                let reason = format!(
                    "unknown variable{}unset it, or see --check-config for the known keys \
                     (limits.head_bytes_max is {})",
                    did_you_mean(closest(name, known)),
                    variable_of("limits.head_bytes_max"),
                );
                problems.push(Problem {
                    origin,
                    key: None,
                    value: None,
                    reason,
                });
            }
        }
    }
    settings
}

/// The directives of `RUST_LOG`, when it has any. There, a target without a
/// level means all its levels; here that is spelled out, because our own key
/// refuses it as the likely misspelling of a level.
fn rust_log(variables: &[(OsString, OsString)]) -> Option<String> {
    let (_, value) = variables.iter().find(|(name, _)| name == RUST_LOG)?;
    let directives = value
        .to_str()?
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let spelled_out = directives.map(|directive| {
        if crate::trace::parse_filter(directive).is_err() && !directive.contains(['=', '[']) {
            format!("{directive}=trace")
        } else {
            directive.to_owned()
        }
    });
    Some(spelled_out.collect::<Vec<_>>().join(",")).filter(|joined| !joined.is_empty())
}

/// Whether Kubernetes or Docker made this variable because a service that is
/// called `monoloop...` runs beside us. They would keep the server from starting,
/// and whoever set them did not mean us.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_address = value.to_str().is_some_and(|value| {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    });
    let of_a_port = name.match_indices("_PORT_").any(|(at, separator)| {
        let rest = &name[at + separator.len()..];
        let protocol = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        protocol.len() < rest.len()
            && ["_TCP", "_UDP", "_SCTP"]
                .iter()
                .any(|known| protocol.starts_with(known))
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || of_a_port
}
