//! Values that are one of a few words, or a number or a word that stands for none.

use super::values::{bounded, read};
use crate::{HalfClose, OnDisconnect};
use serde::{Deserializer, Serializer};
use toml::Value;

/// Writes and reads a whole number within bounds, or a word that stands for none.
macro_rules! whole_or {
    ($module:ident: $word:literal) => {
        pub(super) mod $module {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(
                number: &Option<u32>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                match number {
                    None => to.serialize_str($word),
                    Some(number) => to.serialize_u32(*number),
                }
            }

            pub(in super::super) fn deserialize<'de, D, const MIN: u64, const MAX: u64>(
                from: D,
            ) -> Result<Option<u32>, D::Error>
            where
                D: Deserializer<'de>,
            {
                read(from, |value| {
                    let number = match value {
                        Value::String(text) if text == $word => return Ok(None),
                        // The environment and the command line know only text.
                        Value::String(text) => text.trim().parse().ok(),
                        other => other.as_integer(),
                    };
                    bounded(number, MIN, MAX).map(Some).ok_or_else(|| {
                        let word = $word;
                        format!("expected a whole number from {MIN} to {MAX}, or \"{word}\"")
                    })
                })
            }
        }
    };
}

whole_or!(whole_or_off: "off");
whole_or!(whole_or_auto: "auto");

/// Writes and reads an enum as one of a few words.
macro_rules! words {
    ($module:ident: $type:ty { $($word:literal => $value:path),+ $(,)? } $expected:literal) => {
        pub(super) mod $module {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(
                value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_str(match value {
                    $($value => $word,)+
                })
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                read(from, |value| match value.as_str() {
                    $(Some($word) => Ok($value),)+
                    _ => Err($expected.to_owned()),
                })
            }
        }
    };
}

words! {
    on_disconnect: OnDisconnect {
        "cancel" => OnDisconnect::Cancel,
        "finish" => OnDisconnect::Finish,
    }
    "expected \"cancel\" or \"finish\""
}

words! {
    half_close: HalfClose {
        "still_reads" => HalfClose::StillReads,
        "leaves" => HalfClose::Leaves,
    }
    "expected \"still_reads\" or \"leaves\""
}
