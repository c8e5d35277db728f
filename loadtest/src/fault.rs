//! What can go wrong with a connection or a request, by kind.

use std::io;

/// A kind of failure, as reports count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Nothing listens there.
    ConnectRefused,
    /// No connection within the timeout.
    ConnectTimeout,
    /// No route to the host or its network.
    Unreachable,
    /// The source address has no free port, or is not of this machine.
    AddressUnavailable,
    /// The client, or its system, has no file descriptor left.
    OpenFiles,
    /// No answer within the timeout.
    Timeout,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection before the answer was complete.
    ClosedEarly,
    /// The answer is not what the protocol allows.
    Protocol,
    /// Another error of the system.
    Io,
}

impl FaultKind {
    /// The name in reports and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Unreachable => "unreachable",
            Self::AddressUnavailable => "address_unavailable",
            Self::OpenFiles => "open_files",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::ClosedEarly => "closed_early",
            Self::Protocol => "protocol",
            Self::Io => "io",
        }
    }

    /// What the user can do about it, where that is not obvious.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::ConnectRefused => Some("is the server running, and listening there?"),
            Self::AddressUnavailable => {
                Some("ports run out, or the source is not ours: more addresses with --source")
            }
            Self::OpenFiles => Some("raise the limit with `ulimit -n`"),
            Self::ConnectTimeout
            | Self::Unreachable
            | Self::Timeout
            | Self::Reset
            | Self::ClosedEarly
            | Self::Protocol
            | Self::Io => None,
        }
    }
}

/// One failure: its kind, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// An error of an established connection.
    pub(crate) fn of_stream(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => FaultKind::Reset,
            // Keep-alive of TCP itself gave up.
            io::ErrorKind::TimedOut => FaultKind::Timeout,
            _ => FaultKind::Io,
        };
        Self::new(kind, error.to_string())
    }

    /// An error of an attempt to connect.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => FaultKind::ConnectRefused,
            io::ErrorKind::TimedOut => FaultKind::ConnectTimeout,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => FaultKind::Unreachable,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
                FaultKind::AddressUnavailable
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => FaultKind::Reset,
            _ if is_out_of_files(error) => FaultKind::OpenFiles,
            _ => FaultKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

/// The standard library has no name for EMFILE (24) and ENFILE (23), which are the same numbers
/// on every Unix.
fn is_out_of_files(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_find_their_kind() {
        let connect = [
            (io::ErrorKind::ConnectionRefused, FaultKind::ConnectRefused),
            (io::ErrorKind::TimedOut, FaultKind::ConnectTimeout),
            (io::ErrorKind::NetworkUnreachable, FaultKind::Unreachable),
            (
                io::ErrorKind::AddrNotAvailable,
                FaultKind::AddressUnavailable,
            ),
            (io::ErrorKind::ConnectionReset, FaultKind::Reset),
            (io::ErrorKind::PermissionDenied, FaultKind::Io),
        ];
        for (error, kind) in connect {
            assert_eq!(Fault::of_connect(&error.into()).kind, kind, "{error}");
        }
        let stream = [
            (io::ErrorKind::ConnectionReset, FaultKind::Reset),
            (io::ErrorKind::BrokenPipe, FaultKind::Reset),
            (io::ErrorKind::TimedOut, FaultKind::Timeout),
            (io::ErrorKind::Other, FaultKind::Io),
        ];
        for (error, kind) in stream {
            assert_eq!(Fault::of_stream(&error.into()).kind, kind, "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn running_out_of_descriptors_has_its_own_kind() {
        let error = io::Error::from_raw_os_error(24);
        assert_eq!(Fault::of_connect(&error).kind, FaultKind::OpenFiles);
    }
}
