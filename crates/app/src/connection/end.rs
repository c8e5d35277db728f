//! How connections end.

use super::HandshakeFailure;
use crate::upgrade::UpgradeFault;
use monoloop_proto::http1::RecvError;
use std::fmt;
use std::io::{self, ErrorKind};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed between two requests, or the last response said so.
    Closed,
    /// The server drains.
    Drained,
    /// The peer broke the protocol or a limit.
    Refused(RecvError),
    HeadTimeout,
    IdleTimeout,
    BodyTimeout,
    WriteTimeout,
    /// The peer took so little at a time that its bytes do not pay for their time.
    WriteTooSlow,
    /// The peer went away while a handler ran.
    ClientClosed,
    /// It has had all the requests that one connection may have.
    RequestsMax,
    /// The transport's handshake, TLS's, came to nothing.
    HandshakeFailed(HandshakeFailure),
    HandshakeTimeout,
    /// The connection broke.
    Broken(ErrorKind),
    /// A response's body failed halfway.
    BodyFailed,
    /// The peer broke the protocol that the connection went on in, or a limit of it. It was told.
    #[cfg_attr(
        not(feature = "websocket"),
        allow(dead_code, reason = "only WebSocket judges")
    )]
    Upgraded(UpgradeFault),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("closed"),
            End::Drained => f.write_str("drained"),
            End::Refused(error) => write!(f, "refused: {error}"),
            End::HeadTimeout => f.write_str("head timeout"),
            End::IdleTimeout => f.write_str("idle timeout"),
            End::BodyTimeout => f.write_str("body timeout"),
            End::WriteTimeout => f.write_str("write timeout"),
            End::WriteTooSlow => f.write_str("the peer reads too slowly"),
            End::ClientClosed => f.write_str("the peer went away while a handler ran"),
            End::RequestsMax => f.write_str("had all requests that a connection may have"),
            End::HandshakeFailed(failure) => write!(f, "handshake failed: {failure}"),
            End::HandshakeTimeout => f.write_str("handshake timeout"),
            End::Broken(kind) => write!(f, "broken: {kind}"),
            End::BodyFailed => f.write_str("a response's body failed"),
            End::Upgraded(UpgradeFault::Protocol) => f.write_str("refused after an upgrade"),
            End::Upgraded(UpgradeFault::Limit) => f.write_str("over a limit after an upgrade"),
            End::Upgraded(UpgradeFault::TooSlow) => f.write_str("too slow after an upgrade"),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Broken(error.kind())
    }
}
