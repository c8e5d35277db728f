//! Why a server could not start.

use crate::introspect::SocketError;
use crate::router::RouteError;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a server could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The address given is none, or its host cannot be looked up.
    Address(io::Error),
    /// The host has no address.
    NoAddress,
    /// The address cannot be listened at.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The admin listener cannot be opened.
    Admin {
        /// Its address.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The socket that a supervisor should have handed over cannot be had.
    Inherit(io::Error),
    /// A route of the app cannot be.
    Route(RouteError),
    /// The thread's event loop could not be made.
    Loop(io::Error),
    /// The socket for looking into the server could not be opened.
    Socket(SocketError),
    /// TLS cannot be served with the certificates or keys given.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// A thread could not be started.
    Thread(io::Error),
    /// A loop's thread panicked while it started; the panic was reported.
    LoopDied,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Address(error) => write!(f, "not an address to listen at: {error}"),
            ServerError::NoAddress => f.write_str("the host to listen at has no address"),
            ServerError::Listen { address, error } => {
                write!(f, "cannot listen at {address}: {error}{}", remedy(error))
            }
            ServerError::Admin { address, error } => {
                let remedy = remedy(error);
                write!(
                    f,
                    "cannot listen at {address} for admin.listen: {error}{remedy}"
                )
            }
            ServerError::Inherit(error) => write!(f, "cannot take over a socket: {error}"),
            ServerError::Route(error) => error.fmt(f),
            ServerError::Socket(error) => error.fmt(f),
            #[cfg(feature = "tls")]
            ServerError::Tls(error) => error.fmt(f),
            ServerError::Loop(error) => write!(f, "cannot make an event loop: {error}"),
            ServerError::Thread(error) => write!(f, "cannot start a thread: {error}"),
            ServerError::LoopDied => f.write_str("a loop panicked while it started"),
        }
    }
}

/// What an operator can do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; end what listens there, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege, others do not",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

impl Error for ServerError {
    /// What lies behind the error of the operating system, which is part of the message.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ServerError::Address(error)
            | ServerError::Inherit(error)
            | ServerError::Listen { error, .. }
            | ServerError::Admin { error, .. }
            | ServerError::Loop(error)
            | ServerError::Thread(error) => error.source(),
            ServerError::Socket(error) => error.source(),
            #[cfg(feature = "tls")]
            ServerError::Tls(error) => error.source(),
            ServerError::Route(_) | ServerError::NoAddress | ServerError::LoopDied => None,
        }
    }
}

impl From<RouteError> for ServerError {
    fn from(error: RouteError) -> Self {
        ServerError::Route(error)
    }
}
