//! How a single value is written and read: what is in bounds, and the sentence
//! that says so when it is not.
//!
//! Every reader fails with a phrase that follows "key = value: ". It says what
//! was expected; the loader adds where, and an example.

use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serializer};
use toml::Value;

/// The longest duration that can be set: a day. What is meant to last longer is
/// meant to be off.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest timeout: one tick of the runtime's timers.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// A whole number within bounds.
pub(super) fn whole<'de, D, T, const MIN: u64, const MAX: u64>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    read(from, |value| {
        bounded::<T>(value.as_integer(), MIN, MAX)
            .ok_or_else(|| format!("expected a whole number from {MIN} to {MAX}"))
    })
}

/// `true` or `false`.
pub(super) fn switch<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    read(from, |value| {
        value
            .as_bool()
            .ok_or_else(|| "expected true or false".to_owned())
    })
}

/// Directives of a log filter.
pub(super) fn filter<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read(from, |value| {
        let text = value.as_str().ok_or("expected text")?;
        crate::trace::parse_filter(text)?;
        Ok(text.to_owned())
    })
}

/// The path of a URL, compared as it stands.
pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read(from, |value| {
        let plain = |c: char| c.is_ascii_graphic() && !"?#{}%\"\\".contains(c);
        value
            .as_str()
            .filter(|text| text.starts_with('/') && text.chars().all(plain))
            .map(str::to_owned)
            .ok_or_else(|| {
                "expected a path that begins with / and has no space, query or {parameter}"
                    .to_owned()
            })
    })
}

/// An address with its port, in numbers.
pub(super) mod address {
    use super::*;
    use std::net::SocketAddr;

    pub(in super::super) fn serialize<S: Serializer>(
        address: &SocketAddr,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(address)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<SocketAddr, D::Error> {
        read(from, |value| {
            let text = value.as_str().unwrap_or_default();
            text.parse().map_err(|_| refusal(text))
        })
    }

    /// Names are not looked up: what a server binds must not depend on a
    /// resolver. The usual ways to miss get an answer of their own.
    pub(super) fn refusal(text: &str) -> String {
        let expected = "expected an IP address and a port";
        let port = |text: &str| text.parse::<u16>().ok();
        let hint = match text.rsplit_once(':') {
            None if port(text).is_some() => {
                format!("\"0.0.0.0:{text}\" is that port on every IPv4 interface")
            }
            Some(("" | "*", p)) if port(p).is_some() => {
                format!(
                    "\"0.0.0.0:{p}\" is that port on every IPv4 interface, \"[::]:{p}\" on every IPv6 one"
                )
            }
            Some(("localhost", p)) if port(p).is_some() => {
                format!("names are not looked up: \"127.0.0.1:{p}\" is localhost")
            }
            _ if text.parse::<std::net::Ipv4Addr>().is_ok() => {
                format!("the port is missing: \"{text}:8080\"")
            }
            _ if text.parse::<std::net::Ipv6Addr>().is_ok() => {
                format!("IPv6 addresses stand in brackets before their port: \"[{text}]:8080\"")
            }
            _ => return format!("{expected}; names are not looked up"),
        };
        format!("{expected}; {hint}")
    }
}

/// An address with its port, or `"off"`.
pub(super) mod address_or_off {
    use super::*;
    use std::net::SocketAddr;

    const OFF: &str = "off";

    pub(in super::super) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            None => to.serialize_str(OFF),
            Some(address) => address::serialize(address, to),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        read(from, |value| match value.as_str().unwrap_or_default() {
            OFF => Ok(None),
            text => match text.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => Err(address::refusal(text) + ", or \"off\""),
            },
        })
    }
}

/// A count of bytes: a number, or text with a unit as in `"16KiB"`.
pub(super) mod bytes {
    use super::*;
    use bytesize::ByteSize;

    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

    pub(in super::super) fn serialize<S: Serializer, T: Copy + Into<u64>>(
        count: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text((*count).into()))
    }

    pub(in super::super) fn deserialize<'de, D, T, const MIN: u64, const MAX: u64>(
        from: D,
    ) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<u64>,
    {
        read(from, |value| {
            let count = match value {
                Value::String(text) => ByteSize::from_str(text.trim())
                    .ok()
                    .and_then(|size| i64::try_from(size.0).ok()),
                other => other.as_integer(),
            };
            bounded::<T>(count, MIN, MAX)
                .ok_or_else(|| format!("expected a size from {} to {}", text(MIN), text(MAX)))
        })
    }

    /// Exact: the largest unit that leaves no remainder.
    fn text(count: u64) -> String {
        let fits = |&&(size, _): &&(u64, &str)| count >= size && count.is_multiple_of(size);
        match UNITS.iter().find(fits) {
            Some((size, unit)) => format!("{}{unit}", count / size),
            None => format!("{count}B"),
        }
    }
}

/// A duration such as `"250ms"`, zero included.
pub(super) mod duration {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(*duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        read(from, |value| {
            parse(value, Duration::ZERO).ok_or_else(|| {
                "expected a duration with its unit from 0s to 24h, as in \"250ms\" or \"1m 30s\""
                    .to_owned()
            })
        })
    }

    pub(in super::super) fn parse(value: &Value, least: Duration) -> Option<Duration> {
        let duration = humantime::parse_duration(value.as_str()?).ok()?;
        (least..=DURATION_MAX)
            .contains(&duration)
            .then_some(duration)
    }

    pub(super) fn text(duration: Duration) -> String {
        humantime::format_duration(duration).to_string()
    }
}

/// A timeout: a duration that is not zero, or `"off"`.
pub(super) mod timeout {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        timeout: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match timeout {
            None => to.serialize_str("off"),
            Some(timeout) => duration::serialize(timeout, to),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        read(from, |value| {
            match value.as_str() {
            Some("off") => Ok(None),
            _ => duration::parse(value, TIMEOUT_MIN).map(Some).ok_or_else(|| {
                "expected a duration with its unit from 1ms to 24h, as in \"250ms\" or \"1m 30s\", \
                 or \"off\" to wait for ever"
                    .to_owned()
            }),
        }
        })
    }
}

/// The form of a log line.
pub(super) mod format {
    use super::*;
    use crate::config::LogFormat;

    pub(in super::super) fn serialize<S: Serializer>(
        format: &LogFormat,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(format)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<LogFormat, D::Error> {
        read(from, |value| match value.as_str() {
            Some("auto") => Ok(LogFormat::Auto),
            Some("text") => Ok(LogFormat::Text),
            Some("json") => Ok(LogFormat::Json),
            _ => Err("expected \"auto\", \"text\" or \"json\"".to_owned()),
        })
    }
}

/// Where log lines go: `"stderr"`, `"stdout"` or the path of a file.
pub(super) mod output {
    use super::*;
    use crate::config::LogOutput;

    pub(in super::super) fn serialize<S: Serializer>(
        output: &LogOutput,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(output)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<LogOutput, D::Error> {
        read(from, |value| match value.as_str() {
            Some("stderr") => Ok(LogOutput::Stderr),
            Some("stdout") => Ok(LogOutput::Stdout),
            // A bare word is more often a slip of the pen than a file.
            Some(path) if path.contains(['/', '\\', '.']) => Ok(LogOutput::File(path.into())),
            _ => Err("expected \"stderr\", \"stdout\" or the path of a file, \
                      as in \"/var/log/server.log\" or \"./server.log\""
                .to_owned()),
        })
    }
}

/// A Unix socket: its path, or `"off"`.
pub(super) mod socket {
    use super::*;
    use std::path::PathBuf;

    const OFF: &str = "off";

    pub(in super::super) fn serialize<S: Serializer>(
        socket: &Option<PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match socket {
            None => to.serialize_str(OFF),
            Some(path) => to.collect_str(&path.display()),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        read(from, |value| match value.as_str() {
            Some(OFF) => Ok(None),
            // A bare word is more often a slip of the pen than a file.
            Some(path) if path.contains(['/', '\\', '.']) => Ok(Some(path.into())),
            _ => Err("expected \"off\" or the path of a Unix socket, as in \
                      \"/run/server.sock\" or \"./server.sock\""
                .to_owned()),
        })
    }
}

/// The path of a file. A bare word is more often a slip of the pen.
pub(super) fn file_path(text: &str) -> Option<std::path::PathBuf> {
    text.contains(['/', '\\', '.']).then(|| text.into())
}

/// Reads any TOML value and hands it to `convert`, whose phrase becomes the error.
pub(super) fn read<'de, D, T>(
    from: D,
    convert: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    convert(&Value::deserialize(from)?).map_err(D::Error::custom)
}

pub(super) fn bounded<T: TryFrom<u64>>(number: Option<i64>, min: u64, max: u64) -> Option<T> {
    let number = u64::try_from(number?).ok()?;
    (min..=max)
        .contains(&number)
        .then(|| T::try_from(number).ok())?
}
