//! A configuration that was put together, and who had the last word on each key.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::{Config, Origin};

/// What [`Sources::load`](super::Sources::load) found.
///
/// It prints as a TOML file that can be read again: every key with its value, and
/// behind each that is not the default, where it was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The configuration.
    pub config: Config,
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Effective {
    /// Where a key such as `limits.head_bytes_max` got its value.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = Table::try_from(&self.config).map_err(|_| fmt::Error)?;
        // Keys of the file itself have to stand before the first section.
        for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
            self.write_key(f, key, key, value)?;
        }
        for (section, keys) in table
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_table()?)))
        {
            write!(f, "\n[{section}]\n")?;
            for (name, value) in keys {
                self.write_key(f, &format!("{section}.{name}"), name, value)?;
            }
        }
        Ok(())
    }
}

impl Effective {
    fn write_key(
        &self,
        f: &mut fmt::Formatter<'_>,
        key: &str,
        name: &str,
        value: &Value,
    ) -> fmt::Result {
        match self.origin(key) {
            Origin::Default => writeln!(f, "{name} = {value}"),
            origin => writeln!(
                f,
                "{name} = {value} # {}",
                origin.to_string().escape_debug()
            ),
        }
    }
}
