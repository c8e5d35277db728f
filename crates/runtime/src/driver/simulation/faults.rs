//! What a simulated network is like, and what goes wrong in it. Plain data.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What the way between two ends is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How long everything takes from one end to the other at least. Default 250 µs: half of
    /// the round trip within a data centre.
    pub delay: Duration,
    /// How much longer it may take; what lies between is drawn for each segment. Bytes never
    /// overtake each other, datagrams do. Default 250 µs.
    pub jitter: Duration,
    /// Bytes that may be on their way or unread, for each direction; a sender waits for room
    /// beyond that, a datagram is lost. Default 64 KiB, the window of TCP without scaling (RFC 9293 §3.1).
    pub buffer_bytes: usize,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            delay: Duration::from_micros(250),
            jitter: Duration::from_micros(250),
            buffer_bytes: 64 * 1024,
        }
    }
}

/// What goes wrong by itself, each with its probability from 0 to 1. Default: nothing.
///
/// What breaks a connection is recorded, see [`broken`](crate::sim::net::broken).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// A read brings a single byte although there are more.
    pub one_byte_reads: f64,
    /// A write takes a part of what it was given.
    pub partial_writes: f64,
    /// A segment is lost once and comes with its retransmission, [`RETRANSMISSION`] later. A
    /// datagram is lost for good.
    pub losses: f64,
    /// A datagram comes twice.
    pub duplicates: f64,
    /// A segment that arrives resets its connection.
    pub resets: f64,
    /// A connect is refused although somebody listens.
    pub refusals: f64,
    /// A connect finds no way to the host.
    pub unreachable: f64,
    /// An accept finds no descriptor left (`EMFILE`). The connection stays in the backlog.
    pub accept_failures: f64,
    /// A connect finds no descriptor left (`EMFILE`).
    pub connect_failures: f64,
}

impl Faults {
    /// Some of everything: enough to meet each of them in a few hundred connections, not so
    /// much that none of them succeeds.
    #[must_use]
    pub fn rough() -> Self {
        Faults {
            one_byte_reads: 0.2,
            partial_writes: 0.2,
            losses: 0.02,
            duplicates: 0.02,
            resets: 0.01,
            refusals: 0.02,
            unreachable: 0.02,
            accept_failures: 0.05,
            connect_failures: 0.02,
        }
    }

    /// Whether each of them is a probability.
    pub(crate) fn are_probabilities(&self) -> bool {
        let Faults {
            one_byte_reads,
            partial_writes,
            losses,
            duplicates,
            resets,
            refusals,
            unreachable,
            accept_failures,
            connect_failures,
        } = *self;
        let all = [
            one_byte_reads,
            partial_writes,
            losses,
            duplicates,
            resets,
            refusals,
            unreachable,
            accept_failures,
            connect_failures,
        ];
        all.iter().all(|chance| (0.0..=1.0).contains(chance))
    }
}

/// When a lost segment is sent again: the smallest timeout of RFC 6298 is 1 s, Linux has 200 ms.
pub const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How often an attempt to connect that nobody answers is repeated, after 1, 2, 4, .. seconds;
/// it fails after 127 of them. Precedent: Linux, `tcp_syn_retries`.
pub(crate) const SYN_RETRIES: u32 = 6;

/// How long bytes are sent again and again before their sender gives up. Precedent: Linux,
/// `tcp_retries2` of 15.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_millis(924_600);

/// What broke a connection, or kept it from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It was reset, by [`Faults::resets`] or by hand.
    Reset,
    /// [`Faults::refusals`].
    Refused,
    /// [`Faults::unreachable`].
    Unreachable,
    /// [`Faults::connect_failures`].
    ConnectFailed,
    /// A partition, or a backlog that stayed full, outlasted all retransmissions.
    TimedOut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Reset => "reset",
            Fault::Refused => "refused",
            Fault::Unreachable => "unreachable",
            Fault::ConnectFailed => "no descriptor left to connect",
            Fault::TimedOut => "timed out",
        })
    }
}

/// A connection that a fault broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// What it was.
    pub fault: Fault,
    /// The end that connected, or tried to.
    pub client: SocketAddr,
    /// The end it connected to.
    pub server: SocketAddr,
    /// When, counted from the beginning of the world.
    pub at: Duration,
}
