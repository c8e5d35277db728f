//! The reasons in which connections and requests end.

use std::fmt;

/// Why a connection, or a request, ended. Each ends in exactly one.
///
/// The reason is about the ending and not about the answer: a request that its handler answered
/// with 404 or 500 ended [`Ok`](Reason::Ok) when that was sent. What was answered is counted apart,
/// by status.
///
/// Where a fault of a request costs the connection too, both end in the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// A request: the system has taken all of its answer. A connection: it was closed between two
    /// requests, by the peer or because the last answer said so.
    Ok,
    /// The peer went away in the middle of something.
    ClientClosed,
    /// The head of a request did not come in time, or nothing came at all.
    HeaderTimeout,
    /// Nothing came between two requests.
    IdleTimeout,
    /// The body of a request stopped coming.
    BodyTimeout,
    /// The peer did not read.
    WriteTimeout,
    /// The handler took too long.
    HandlerTimeout,
    /// The peer made progress, but less than the least rate.
    TooSlow,
    /// A bound was overstepped: of a head, a body, a rate or the like.
    Limit,
    /// The peer broke the protocol.
    ParseError,
    /// The TLS handshake failed or did not end in time.
    TlsHandshake,
    /// The connection was handed to another protocol, and that has ended.
    Upgraded,
    /// Turned away because the server was overloaded.
    Shed,
    /// A handler panicked.
    Panic,
    /// The body of a response failed halfway.
    BodyFailed,
    /// The system failed, and not the peer.
    System,
    /// Idle when the server drained, and closed for that.
    Drained,
    /// Cut off at the end of the drain.
    DrainForced,
    /// Its task was cancelled, or its loop ended, without a drain.
    Cancelled,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Reason; 19] = [
        Reason::Ok,
        Reason::ClientClosed,
        Reason::HeaderTimeout,
        Reason::IdleTimeout,
        Reason::BodyTimeout,
        Reason::WriteTimeout,
        Reason::HandlerTimeout,
        Reason::TooSlow,
        Reason::Limit,
        Reason::ParseError,
        Reason::TlsHandshake,
        Reason::Upgraded,
        Reason::Shed,
        Reason::Panic,
        Reason::BodyFailed,
        Reason::System,
        Reason::Drained,
        Reason::DrainForced,
        Reason::Cancelled,
    ];

    /// The name in metrics and logs, as in `header_timeout`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Ok => "ok",
            Reason::ClientClosed => "client_closed",
            Reason::HeaderTimeout => "header_timeout",
            Reason::IdleTimeout => "idle_timeout",
            Reason::BodyTimeout => "body_timeout",
            Reason::WriteTimeout => "write_timeout",
            Reason::HandlerTimeout => "handler_timeout",
            Reason::TooSlow => "too_slow",
            Reason::Limit => "limit",
            Reason::ParseError => "parse_error",
            Reason::TlsHandshake => "tls_handshake",
            Reason::Upgraded => "upgraded",
            Reason::Shed => "shed",
            Reason::Panic => "panic",
            Reason::BodyFailed => "body_failed",
            Reason::System => "system",
            Reason::Drained => "drained",
            Reason::DrainForced => "drain_forced",
            Reason::Cancelled => "cancelled",
        }
    }

    /// Whether a connection that closes behind such a request closes because of it.
    pub(super) fn costs_the_connection(self) -> bool {
        !matches!(self, Reason::Ok | Reason::Panic)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_in_its_place_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert!(names.insert(reason.name()), "{reason} is there twice");
        }
    }
}
