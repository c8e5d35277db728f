//! Whether an output that nobody took was an error.

use crate::task::{Cancelled, JoinError};
use std::any::{Any, type_name};
use std::error::Error;
use std::fmt::Display;
use std::io;

/// An output that somebody should have looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// An error, in words.
    Error(String),
    /// A `Result` of this type, which may have been one.
    Result(&'static str),
}

/// What of an output should have been looked at. Errors of common types are told from successes;
/// of the rest the type alone is known.
pub(crate) fn unread<T: 'static>(output: &T) -> Option<Unread> {
    let type_of_output = type_name::<T>();
    if !type_of_output.starts_with("core::result::Result<") {
        return None;
    }
    let known = None
        .or_else(|| error_of::<io::Error>(output))
        .or_else(|| error_of::<Box<dyn Error>>(output))
        .or_else(|| error_of::<Box<dyn Error + Send + Sync>>(output))
        .or_else(|| error_of::<String>(output))
        .or_else(|| error_of::<&'static str>(output))
        .or_else(|| error_of::<JoinError>(output))
        .or_else(|| error_of::<Cancelled>(output));
    match known {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(Unread::Error(error)),
        None => Some(Unread::Result(type_of_output)),
    }
}

/// `None` when the output is of another type.
fn error_of<E: Display + 'static>(output: &dyn Any) -> Option<Result<(), String>> {
    let result = output.downcast_ref::<Result<(), E>>()?;
    Some(result.as_ref().copied().map_err(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_common_types_are_told_from_successes() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let told = unread(&Err::<(), _>(refused()));
        assert_eq!(told, Some(Unread::Error("connection refused".into())));
        let boxed: Result<(), Box<dyn Error>> = Err("no luck".into());
        assert_eq!(unread(&boxed), Some(Unread::Error("no luck".into())));
        assert_eq!(unread(&Ok::<(), io::Error>(())), None);
    }

    #[test]
    fn of_other_results_the_type_is_told_and_of_other_outputs_nothing() {
        let told = unread(&Ok::<u8, std::num::ParseIntError>(7));
        assert!(matches!(told, Some(Unread::Result(name)) if name.contains("ParseIntError")));
        assert_eq!(unread(&7), None);
        assert_eq!(unread(&Some("Result")), None);
    }
}
