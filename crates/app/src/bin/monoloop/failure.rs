//! Why the command ends with a status that is not 0.

use monoloop::introspect::AskError;
use std::io;
use std::process::ExitCode;

#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: Option<String>,
}

impl Failure {
    /// Wrongly called.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure {
            status: 2,
            message: Some(message.into()),
        }
    }

    /// Rightly called, to no avail.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure {
            status: 1,
            message: Some(message.into()),
        }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Failure::failed(error.to_string())
    }
}

/// The output cannot be written to. Who closes a pipe has seen enough, and is told nothing.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure {
                status: 0,
                message: None,
            },
            _ => Failure::failed(format!("cannot write the answer: {error}")),
        }
    }
}
