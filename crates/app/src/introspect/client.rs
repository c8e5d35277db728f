//! Asking a server, as the `monoloop` command does.

use super::protocol::{Ask, Line, Reply, VERSION, Versioned};
use super::system;
use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long connecting may take: longer than it takes the server to cut off those in front who
/// say nothing.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of one line that are read at most: the tasks of a large server, several times over.
const LINE_BYTES_MAX: u64 = 1 << 30;

/// Asks servers at one socket.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the socket at `path`. Each request is a connection of its own.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Client { path: path.into() }
    }

    /// Asks, and hands each line of the answer to `reply` as it comes. A refusal of the server's
    /// is an error.
    ///
    /// # Errors
    /// When there is no server at the socket, this user may not, or what is there is no server
    /// of this version.
    pub fn ask(&self, ask: &Ask, mut reply: impl FnMut(Reply)) -> Result<(), AskError> {
        let io_error = |error| AskError::io(&self.path, error);
        let mut stream = system::connect(&self.path, CONNECT_TIME_MAX).map_err(|error| {
            match system::is_no_socket(&self.path) {
                true => AskError::not_a_server(&self.path, "it is no socket"),
                false => io_error(error),
            }
        })?;
        let mut request = serde_json::to_vec(&Line::new(ask))
            .map_err(io::Error::from)
            .map_err(io_error)?;
        request.push(b'\n');
        stream.write_all(&request).map_err(io_error)?;
        let mut lines = BufReader::new(stream);
        let mut seen = false;
        loop {
            let mut line = Vec::new();
            let read = lines
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line);
            match read {
                Ok(0) if seen => return Ok(()),
                Ok(0) => return Err(AskError::not_a_server(&self.path, "it says nothing")),
                Ok(_) => {}
                Err(error) => return Err(io_error(error)),
            }
            seen = true;
            match self.parse(&line)? {
                Reply::Error { message } => return Err(AskError::Refused(message)),
                line => reply(line),
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Reply, AskError> {
        let versioned: Versioned = serde_json::from_slice(line)
            .map_err(|_| AskError::not_a_server(&self.path, "it speaks another language"))?;
        if versioned.monoloop != VERSION {
            return Err(AskError::Version {
                path: self.path.clone(),
                server: versioned.monoloop,
            });
        }
        let line: Line<Reply> = serde_json::from_slice(line)
            .map_err(|error| AskError::not_a_server(&self.path, &error.to_string()))?;
        Ok(line.content)
    }
}

/// A server was asked, and there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The socket cannot be reached.
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else is behind the socket.
    NotAServer {
        /// Where.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The server speaks another version of the protocol.
    Version {
        /// Where.
        path: PathBuf,
        /// Its version.
        server: u32,
    },
    /// The server cannot do what it was asked for; in its words.
    Refused(String),
}

impl AskError {
    fn io(path: &Path, error: io::Error) -> Self {
        AskError::Io {
            path: path.to_owned(),
            error,
        }
    }

    fn not_a_server(path: &Path, reason: &str) -> Self {
        AskError::NotAServer {
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Io { path, error } => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "; start the server with --socket and this path, or give the path that it \
                         has"
                    }
                    io::ErrorKind::ConnectionRefused => {
                        "; the server that opened it is gone, start it again"
                    }
                    io::ErrorKind::PermissionDenied => "; run this as the user of the server",
                    io::ErrorKind::InvalidInput => "; give a shorter path",
                    io::ErrorKind::TimedOut => "; too many others ask at this moment",
                    _ => "",
                };
                let path = path.display();
                write!(f, "cannot ask the server at {path}: {error}{remedy}")
            }
            AskError::NotAServer { path, reason } => write!(
                f,
                "what is at {} is not the socket of a monoloop server: {reason}; give the path \
                 that the server was started with",
                path.display()
            ),
            AskError::Version { path, server } => write!(
                f,
                "the server at {} speaks version {server} of the protocol, this command version \
                 {VERSION}; use the monoloop command of the server's release",
                path.display()
            ),
            AskError::Refused(message) => f.write_str(message),
        }
    }
}

impl Error for AskError {
    /// What lies behind the error of the operating system, which is part of the message.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AskError::Io { error, .. } => error.source(),
            _ => None,
        }
    }
}
