//! A socket that shows loops, and how it can fail to be opened.

use super::system;
use monoloop_runtime::introspect::probe;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A Unix socket at which the loops of this process can be looked at. Clones are the same socket;
/// when the last is dropped it is closed and its file removed.
#[derive(Debug, Clone)]
pub struct Socket {
    opened: Arc<system::Opened>,
}

impl Socket {
    /// Opens a socket at `path`, and starts the thread that serves it. A socket that a dead
    /// process left there is replaced; the mode is 0600 from the beginning.
    ///
    /// # Errors
    /// When a process that lives serves a socket there, something else is there, or the
    /// operating system refuses. On systems without Unix sockets always.
    pub fn open(path: impl AsRef<Path>) -> Result<Socket, SocketError> {
        Ok(Socket {
            opened: Arc::new(system::Opened::open(path.as_ref())?),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.opened.path()
    }

    /// Shows the loop of this thread, until it ends. From now on it is
    /// [observed](super::observe).
    ///
    /// # Panics
    /// When the thread has no loop.
    #[track_caller]
    pub fn show_this_loop(&self) {
        self.opened.loops().add(probe());
    }
}

/// A socket cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketError {
    /// A process that lives serves a socket there.
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something is there that is no socket; it is left alone.
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The operating system refuses.
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketError::InUse { path } => write!(
                f,
                "cannot open the socket {}: a running process serves it; end that one, or choose \
                 another path",
                path.display()
            ),
            SocketError::NotASocket { path } => write!(
                f,
                "cannot open the socket {}: something is there that is no socket; remove it, or \
                 choose another path",
                path.display()
            ),
            SocketError::Io { path, error } => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => "; make the directory, or choose another path",
                    io::ErrorKind::PermissionDenied => {
                        "; choose a directory that this user may write to"
                    }
                    io::ErrorKind::InvalidInput => {
                        "; choose a path of at most 90 bytes, as in /run/server.sock"
                    }
                    _ => "",
                };
                let path = path.display();
                write!(f, "cannot open the socket {path}: {error}{remedy}")
            }
        }
    }
}

impl Error for SocketError {
    /// What lies behind the error of the operating system, which is part of the message.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SocketError::Io { error, .. } => error.source(),
            SocketError::InUse { .. } | SocketError::NotASocket { .. } => None,
        }
    }
}
