//! A socket in the table of a driver for readiness: what the kernel has reported of it and no
//! call has used up yet, and who waits.

use super::kinds::Io;
use super::{Watch, closed};
use crate::driver::SocketId;
use crate::task::{Caller, Waiter};
use slotmap::{DefaultKey, SlotMap};
use std::io;
use std::task::Poll;

/// The sockets of a loop. The key of a closed one names nothing.
pub(in crate::driver) struct Sockets(pub(super) SlotMap<DefaultKey, Socket>);

pub(in crate::driver) struct Socket {
    pub(super) io: Io,
    pub(super) ready: Ready,
    /// Whether the kernel reports room for sending.
    pub(super) reports_room: bool,
    pub(super) reader: Waiter,
    pub(super) writer: Waiter,
}

// mio adds a check of its own to debug builds.
const _: () = assert!(size_of::<Socket>() <= 48 || cfg!(debug_assertions));

/// What the kernel has reported and no call has used up yet.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// A receive has to be tried until it says itself that there is nothing, for good: the peer
    /// has finished or the connection is broken and no later change will be reported, or
    /// what comes does so in pieces (datagrams, lines of a terminal) and a short one says nothing
    /// about the next.
    pub(super) try_until_blocked: bool,
}

/// What the kernel says about a socket.
#[derive(Clone, Copy)]
pub(in crate::driver) struct Report {
    pub(in crate::driver) readable: bool,
    pub(in crate::driver) writable: bool,
    /// The peer has finished.
    pub(in crate::driver) read_closed: bool,
    /// The connection has failed, or is over in both directions.
    pub(in crate::driver) broken: bool,
}

/// What is not known of a socket and has to be asked.
#[cfg(unix)]
pub(in crate::driver) struct Wanted<'a> {
    pub(in crate::driver) io: &'a Io,
    pub(in crate::driver) readable: bool,
    pub(in crate::driver) writable: bool,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Sockets(SlotMap::new())
    }

    #[inline]
    pub(super) fn get(&mut self, id: SocketId) -> io::Result<&mut Socket> {
        self.0.get_mut(id.0).ok_or_else(closed)
    }

    /// The sockets of which not everything is known.
    #[cfg(unix)]
    pub(in crate::driver) fn wanted(&self) -> impl Iterator<Item = (DefaultKey, Wanted<'_>)> {
        let all = self.0.iter().map(|(key, socket)| {
            let wanted = Wanted {
                io: &socket.io,
                readable: !socket.ready.readable,
                writable: !socket.ready.writable && socket.reports_room,
            };
            (key, wanted)
        });
        all.filter(|(_, wanted)| wanted.readable || wanted.writable)
    }

    /// Notes what the kernel says, and who has to be woken for it.
    #[inline]
    pub(in crate::driver) fn report(
        &mut self,
        key: DefaultKey,
        report: Report,
        woken: &mut Vec<Waiter>,
    ) {
        // The key carries the generation: an event of a socket that was closed in this same batch
        // does not reach its successor.
        let Some(socket) = self.0.get_mut(key) else {
            return;
        };
        let read_closed = report.read_closed || report.broken;
        if report.readable || read_closed {
            socket.ready.readable = true;
            socket.ready.try_until_blocked |= read_closed;
            woken.extend(socket.reader.take());
        }
        if report.writable || report.broken {
            socket.ready.writable = true;
            woken.extend(socket.writer.take());
        }
    }
}

impl Socket {
    pub(super) fn new(io: Io, ready: Ready) -> Self {
        Socket {
            io,
            ready,
            reports_room: !ready.writable,
            reader: Waiter::NOBODY,
            writer: Waiter::NOBODY,
        }
    }

    /// A call to take something in has failed: when there is nothing, its caller waits.
    #[inline]
    pub(super) fn wait_to_read<T>(
        &mut self,
        error: io::Error,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<T>> {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Poll::Ready(Err(error));
        }
        self.ready.readable = false;
        caller.wait_in(&mut self.reader);
        Poll::Pending
    }

    /// Remembers who wants to send. From the first time on the kernel reports room; what is
    /// there already when it is asked is reported too.
    #[cold]
    pub(super) fn wait_for_room(
        &mut self,
        watch: &mut impl Watch,
        key: DefaultKey,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.reports_room {
            self.reports_room = true;
            watch.add_room(&mut self.io, key)?;
        }
        caller.wait_in(&mut self.writer);
        Poll::Pending
    }
}

impl Ready {
    /// Registering reports what is there already, so a receive need not be tried before.
    /// An empty send buffer has room.
    pub(super) const CONNECTED: Ready = Ready {
        readable: false,
        writable: true,
        try_until_blocked: false,
    };
    pub(super) const CONNECTING: Ready = Ready {
        readable: false,
        writable: false,
        try_until_blocked: false,
    };
    /// What one receive brings says nothing about the next.
    pub(super) const IN_PIECES: Ready = Ready {
        readable: false,
        writable: true,
        try_until_blocked: true,
    };
}
