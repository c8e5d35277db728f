//! A mistake in the command line: what was given, what is wrong with it, what to do.

use std::fmt;

/// What the user asked for cannot be done as asked. Ends the program with status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError {
    input: String,
    reason: String,
    remedy: String,
}

impl UsageError {
    /// `input` is quoted as the user wrote it; `remedy` says what to write or do instead.
    pub(crate) fn new(
        input: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            input: input.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  {}", self.input, self.reason, self.remedy)
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_input_reason_remedy() {
        let error = UsageError::new("--connections 0", "nothing to load with", "Ask for one.");
        assert_eq!(
            error.to_string(),
            "--connections 0: nothing to load with\n  Ask for one."
        );
    }
}
