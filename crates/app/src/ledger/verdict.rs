//! Which reason goes with what went wrong.

use super::Reason;
use crate::BodyError;
use crate::connection::End;
use crate::upgrade::UpgradeFault;
use monoloop_proto::http1::RecvError;
use std::io::ErrorKind;

impl From<&End> for Reason {
    fn from(end: &End) -> Reason {
        match end {
            End::Closed => Reason::Ok,
            End::Drained => Reason::Drained,
            End::Refused(error) => error.into(),
            End::HeadTimeout => Reason::HeaderTimeout,
            End::IdleTimeout => Reason::IdleTimeout,
            End::BodyTimeout => Reason::BodyTimeout,
            End::WriteTimeout => Reason::WriteTimeout,
            End::WriteTooSlow => Reason::TooSlow,
            End::ClientClosed => Reason::ClientClosed,
            // An orderly end: the last answer said so.
            End::RequestsMax => Reason::Ok,
            End::HandshakeFailed(_) | End::HandshakeTimeout => Reason::TlsHandshake,
            End::Broken(kind) => of_broken(*kind),
            End::BodyFailed => Reason::BodyFailed,
            End::Upgraded(UpgradeFault::Protocol) => Reason::ParseError,
            End::Upgraded(UpgradeFault::Limit) => Reason::Limit,
            End::Upgraded(UpgradeFault::TooSlow) => Reason::TooSlow,
        }
    }
}

impl From<&RecvError> for Reason {
    fn from(error: &RecvError) -> Reason {
        match error {
            RecvError::UnexpectedEof => Reason::ClientClosed,
            RecvError::TargetTooLong { .. }
            | RecvError::EmptyLines { .. }
            | RecvError::TooManyFields { .. }
            | RecvError::HeadTooLarge { .. }
            | RecvError::BodyTooLarge { .. }
            | RecvError::ChunkExtensionsTooLarge { .. }
            | RecvError::TrailersTooLarge { .. } => Reason::Limit,
            _ => Reason::ParseError,
        }
    }
}

/// How a request ends whose body did.
impl From<&BodyError> for Reason {
    fn from(error: &BodyError) -> Reason {
        match error {
            BodyError::Refused(error) => error.into(),
            BodyError::TimedOut => Reason::BodyTimeout,
            BodyError::TooSlow => Reason::TooSlow,
            BodyError::Disconnected => Reason::ClientClosed,
            // Nobody wanted the rest.
            BodyError::Abandoned => Reason::Ok,
        }
    }
}

fn of_broken(kind: ErrorKind) -> Reason {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, HostUnreachable, NetworkUnreachable,
        NotConnected, TimedOut, UnexpectedEof, WriteZero,
    };
    match kind {
        BrokenPipe | ConnectionAborted | ConnectionReset | HostUnreachable | NetworkUnreachable
        | NotConnected | TimedOut | UnexpectedEof | WriteZero => Reason::ClientClosed,
        _ => Reason::System,
    }
}
