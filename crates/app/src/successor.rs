//! Who serves when a server ends: nobody, or another process that takes over.

use std::time::Duration;

/// How long connections between two requests are still waited for: many round trips.
const IDLE_GRACE: Duration = Duration::from_millis(500);

/// How long handshakes that have begun may still take: a round trip to the other side of the earth.
/// Who begins one meanwhile is put off for the second after which a client sends its first segment
/// again (RFC 6298 §2.1), so less than that, and no more than needed.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Successor {
    /// Nobody that this server knows of.
    #[default]
    None,
    /// Who listens at the same port with a socket of its own.
    AtPort,
    /// Who gets the same socket.
    AtSocket,
}

impl Successor {
    /// How long a connection between two requests may still come up with one. It is answered with
    /// `Connection: close`, which a client that is about to send expects better than a reset.
    pub(crate) fn idle_grace(self) -> Option<Duration> {
        match self {
            Successor::None => None,
            Successor::AtPort | Successor::AtSocket => Some(IDLE_GRACE),
        }
    }

    /// How long handshakes may still take, while no others begin. The same socket's go on for
    /// whoever has it next.
    pub(crate) fn handshake_grace(self) -> Option<Duration> {
        match self {
            Successor::AtPort => Some(HANDSHAKE_GRACE),
            Successor::None | Successor::AtSocket => None,
        }
    }
}
