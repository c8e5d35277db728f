//! The sockets of a simulated world, as data.

use super::events::Nanos;
use crate::task::Waiter;
use slotmap::DefaultKey;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;

pub(crate) struct Socket {
    pub(crate) kind: Kind,
    pub(crate) reader: Waiter,
    pub(crate) writer: Waiter,
}

pub(crate) enum Kind {
    Listener(Listener),
    Stream(Stream),
    Datagram(Datagram),
}

/// A socket that datagrams are sent from and arrive at.
pub(crate) struct Datagram {
    pub(crate) local: SocketAddr,
    /// Whom it is connected with.
    pub(crate) remote: Option<SocketAddr>,
    /// Whether others may have the address, too.
    pub(crate) reused: bool,
    /// What was not received yet, and who has sent it.
    pub(crate) arrived: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What it has sent has found nobody, and it was not told yet.
    pub(crate) refused: bool,
}

pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) reuse_port: bool,
    /// Connections that nobody has accepted yet.
    pub(crate) backlog: VecDeque<DefaultKey>,
    pub(crate) backlog_max: usize,
}

/// One end of a connection.
///
/// ```text
/// Connecting -> Connected -> Over
///      '-> Failed
/// ```
/// The directions end by themselves, see `ended` and `shut`.
pub(crate) struct Stream {
    pub(crate) state: State,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The other end; names nothing once that is closed.
    pub(crate) peer: DefaultKey,
    pub(crate) connects: bool,
    /// Whether the program has it: not while it waits in a backlog.
    pub(crate) owned: bool,
    /// What is on its way here, with its time of arrival; never out of order.
    pub(crate) inbound: VecDeque<(Nanos, Segment)>,
    /// What has arrived and was not received yet.
    pub(crate) arrived: VecDeque<u8>,
    /// The peer has ended its direction, and everything before that has arrived.
    pub(crate) ended: bool,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    /// Bytes that may be sent before the peer has to receive some.
    pub(crate) room: usize,
    /// Closing drops what is on its way and resets (`SO_LINGER` of zero).
    pub(crate) closes_by_reset: bool,
    /// Since when something is on its way here and cannot arrive.
    pub(crate) stuck_since: Option<Nanos>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Connected,
    /// It was never connected; why is handed out once.
    Failed(Option<ErrorKind>),
    /// It was reset or given up; why is handed out once.
    Over(Option<ErrorKind>),
}

#[derive(Debug)]
pub(crate) enum Segment {
    /// The attempt to connect has succeeded.
    Connected(DefaultKey),
    /// The attempt to connect has failed.
    Failed(ErrorKind),
    Bytes(Vec<u8>),
    /// The peer has received so many bytes.
    Room(usize),
    /// The peer sends nothing more.
    End,
    /// The peer knows nothing of this connection any more.
    Reset,
}

impl Socket {
    pub(crate) fn new(kind: Kind) -> Self {
        Socket {
            kind,
            reader: Waiter::NOBODY,
            writer: Waiter::NOBODY,
        }
    }
}

impl Datagram {
    pub(crate) fn new(local: SocketAddr, reused: bool) -> Self {
        Datagram {
            local,
            remote: None,
            reused,
            arrived: VecDeque::new(),
            refused: false,
        }
    }
}

impl Segment {
    /// Whether it is sent again until it arrives.
    pub(crate) fn is_repeated(&self) -> bool {
        match self {
            Segment::Bytes(_) | Segment::End => true,
            Segment::Connected(_) | Segment::Failed(_) | Segment::Room(_) | Segment::Reset => false,
        }
    }
}

impl Stream {
    pub(crate) fn new(state: State, local: SocketAddr, remote: SocketAddr, room: usize) -> Self {
        Stream {
            state,
            local,
            remote,
            peer: DefaultKey::default(),
            connects: state == State::Connecting,
            owned: state == State::Connecting,
            inbound: VecDeque::new(),
            arrived: VecDeque::new(),
            ended: false,
            read_shut: false,
            write_shut: false,
            room,
            closes_by_reset: false,
            stuck_since: None,
        }
    }

    /// The two ends, the one that connected first.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        match self.connects {
            true => (self.local, self.remote),
            false => (self.remote, self.local),
        }
    }

    /// Whether bytes that the peer has sent would be lost by closing now.
    pub(crate) fn has_unread(&self) -> bool {
        let on_the_way = |(_, segment): &(Nanos, Segment)| matches!(segment, Segment::Bytes(_));
        !self.arrived.is_empty() || self.inbound.iter().any(on_the_way)
    }

    /// Takes what has arrived, as much as fits.
    pub(crate) fn take_arrived(&mut self, buffer: &mut [u8]) {
        let (front, back) = self.arrived.as_slices();
        let from_front = front.len().min(buffer.len());
        let (first, rest) = buffer.split_at_mut(from_front);
        first.copy_from_slice(&front[..from_front]);
        rest.copy_from_slice(&back[..rest.len()]);
        self.arrived.drain(..buffer.len());
        if self.arrived.is_empty() {
            // Thousands of connections wait: none of them keeps room for what is gone.
            self.arrived = VecDeque::new();
        }
    }
}
