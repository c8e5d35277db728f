//! Reads a TOML file into settings that know their line.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::load::Setting;
use super::schema::Schema;
use super::{Origin, Problem, environment};

/// Returns the settings of a file. What cannot be used becomes a problem, and the
/// rest is read on.
pub(super) fn read(path: &Path, schema: &Schema, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let problem = |origin, reason| Problem {
        origin,
        key: None,
        value: None,
        reason,
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let reason = format!(
                "cannot be read: {error}; check the path (--config, {}) and its permissions",
                environment::CONFIG_FILE
            );
            problems.push(problem(
                Origin::File {
                    path: path.to_owned(),
                },
                reason,
            ));
            return Vec::new();
        }
    };
    let table = match DeTable::parse(&text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            let origin = Origin::Line {
                path: path.to_owned(),
                line,
                column: Some(column),
            };
            problems.push(problem(origin, syntax_reason(&text, line, error.message())));
            return Vec::new();
        }
    };

    let mut walk = Walk {
        path,
        text: &text,
        schema,
        settings: Vec::new(),
        problems,
    };
    walk.table("", table);
    walk.settings
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    schema: &'a Schema,
    settings: Vec<Setting>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, section: &str, table: DeTable<'_>) {
        for (name, value) in table {
            let origin = self.origin(name.span());
            let key = match section {
                "" => name.into_inner().into_owned(),
                section => format!("{section}.{}", name.into_inner()),
            };
            self.entry(key, value, origin);
        }
    }

    fn entry(&mut self, key: String, value: Spanned<DeValue<'_>>, origin: Origin) {
        let is_section = self.schema.is_section(&key);
        let reason = match value.get_ref() {
            DeValue::Table(_) if is_section => {
                if let DeValue::Table(table) = value.into_inner() {
                    self.table(&key, table);
                }
                return;
            }
            _ if is_section => format!("is a section; write [{key}] and its keys below it"),
            _ if self.schema.default_of(&key).is_some() => {
                return self.setting(key, value, origin);
            }
            DeValue::Table(_) if !key.contains('.') => self.schema.unknown_section(&key),
            _ => self.schema.unknown_key(&key),
        };
        self.problems.push(Problem {
            origin,
            key: Some(key),
            value: None,
            reason,
        });
    }

    fn setting(&mut self, key: String, value: Spanned<DeValue<'_>>, origin: Origin) {
        match Value::deserialize(value.into_deserializer()) {
            Ok(value) => self.settings.push(Setting { key, value, origin }),
            Err(error) => {
                let reason = format!("{}; write a smaller value", error.message());
                self.problems.push(Problem {
                    origin,
                    key: Some(key),
                    value: None,
                    reason,
                });
            }
        }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let (line, _) = position(self.text, span.start);
        Origin::Line {
            path: self.path.to_owned(),
            line,
            column: None,
        }
    }
}

/// What the parser said, in one line, with the line it is about.
fn syntax_reason(text: &str, line: usize, message: &str) -> String {
    let message = message
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(", ");
    let written = text.lines().nth(line - 1).unwrap_or_default().trim();
    format!(
        "is not TOML: {message}; the line reads `{}`; text, durations and sizes stand in quotes, \
         as in head = \"10s\"",
        super::load::shortened(written.escape_debug().to_string()),
    )
}

/// The line, and the column in characters, of a byte; both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
