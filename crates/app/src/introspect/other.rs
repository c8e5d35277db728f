//! Systems that have no Unix sockets in the standard library.

use super::SocketError;
use super::loops::Loops;
use std::io;
use std::path::Path;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Opened {
    never: std::convert::Infallible,
}

impl Opened {
    pub(super) fn open(path: &Path) -> Result<Opened, SocketError> {
        Err(SocketError::Io {
            path: path.to_owned(),
            error: unsupported(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        match self.never {}
    }

    pub(super) fn loops(&self) -> &Loops {
        match self.never {}
    }
}

pub(super) fn connect(_path: &Path, _timeout: Duration) -> io::Result<io::Empty> {
    Err(unsupported())
}

pub(super) fn is_no_socket(_path: &Path) -> bool {
    false
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "looking into a server needs Unix sockets, which this system does not have",
    )
}
