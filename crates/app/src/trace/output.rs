//! Where lines go, and whether somebody looks at them on a terminal.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};

use crate::config::LogOutput;

/// An output that is open.
pub(super) struct Output {
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) is_terminal: bool,
}

/// Opens an output. A file is appended to, so that several processes may share it
/// and a rotation that copies and truncates works.
pub(super) fn open(output: &LogOutput) -> io::Result<Output> {
    Ok(match output {
        LogOutput::Stderr => Output {
            writer: Box::new(io::stderr()),
            is_terminal: io::stderr().is_terminal(),
        },
        LogOutput::Stdout => Output {
            writer: Box::new(io::stdout()),
            is_terminal: io::stdout().is_terminal(),
        },
        LogOutput::File(path) => {
            let file: File = OpenOptions::new().append(true).create(true).open(path)?;
            Output {
                is_terminal: file.is_terminal(),
                writer: Box::new(file),
            }
        }
    })
}

/// Whether colours are welcome: on a terminal that can show them, unless
/// `NO_COLOR` (<https://no-color.org>) is set to anything.
pub(super) fn wants_colour(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
    is_terminal && !refused && !is_dumb
}
