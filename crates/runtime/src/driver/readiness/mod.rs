//! What the drivers for readiness have in common: the sockets, and what is known of each.
//!
//! The kernel says that something became ready; the call itself is tried here. What it
//! reported is remembered in the socket's flags until a call says `WouldBlock`. So a request
//! costs one receive, one send and its share of a wait. How the kernel is asked is the
//! [`Watch`]'s part.

mod kinds;
mod open;
mod socket;

pub(super) use kinds::Io;
pub(super) use socket::{Report, Sockets};

use super::{
    Address, ConnectOptions, Driver, ListenOptions, SocketId, Source, Take, UdpOptions, Wait,
};
use crate::inbox::Notify;
use crate::task::{Caller, TaskId, Waiter};
use slotmap::DefaultKey;
use socket::{Ready, Socket};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::unix::net::SocketAddr as UnixAddress;
use std::task::Poll;
use std::time::Duration;

/// Where readiness is reported at every change (epoll, kqueue), or as long as it lasts (poll), a
/// receive that does not fill its buffer has drained the socket: what comes later is
/// reported (epoll(7), question 9). Windows reports again only after a call said `WouldBlock`.
const SHORT_CALL_DRAINS: bool = cfg!(unix);

/// Buffers that every system takes in one call: POSIX's `_XOPEN_IOV_MAX`. Linux takes 1,024.
const BUFFERS_PER_CALL: usize = 16;

/// How the kernel is asked what is ready. It has to say at least once that something is ready
/// after a call has said `WouldBlock`.
pub(super) trait Watch {
    /// Reports from now on that a new socket is readable, and when `room` is set, writable.
    fn add(&mut self, io: &mut Io, key: DefaultKey, room: bool) -> io::Result<()>;

    /// Reports from now on that a socket is writable, too.
    fn add_room(&mut self, io: &mut Io, key: DefaultKey) -> io::Result<()>;

    /// See [`Driver::wait`].
    fn wait(
        &mut self,
        wait: Wait,
        sockets: &mut Sockets,
        woken: &mut Vec<Waiter>,
    ) -> io::Result<usize>;

    /// See [`Driver::notifier`].
    fn notifier(&mut self) -> io::Result<Box<dyn Notify>>;
}

/// A driver that learns through `W` what is ready.
pub(super) struct Readiness<W> {
    watch: W,
    sockets: Sockets,
    name: &'static str,
}

impl<W: Watch> Readiness<W> {
    pub(super) fn new(watch: W, name: &'static str) -> Self {
        Readiness {
            watch,
            sockets: Sockets::new(),
            name,
        }
    }

    fn add(&mut self, io: Io, ready: Ready) -> io::Result<SocketId> {
        let key = self.sockets.0.insert(Socket::new(io, ready));
        let socket = &mut self.sockets.0[key];
        match self.watch.add(&mut socket.io, key, socket.reports_room) {
            Ok(()) => Ok(SocketId(key)),
            Err(error) => {
                self.sockets.0.remove(key);
                Err(error)
            }
        }
    }

    /// One that is open, to be asked something.
    fn io(&self, id: SocketId) -> io::Result<&Io> {
        let socket = self.sockets.0.get(id.0).ok_or_else(closed)?;
        Ok(&socket.io)
    }
}

impl<W: Watch> Driver for Readiness<W> {
    fn wait(&mut self, wait: Wait, woken: &mut Vec<Waiter>) -> io::Result<usize> {
        self.watch.wait(wait, &mut self.sockets, woken)
    }

    fn notifier(&mut self) -> io::Result<Box<dyn Notify>> {
        self.watch.notifier()
    }

    fn listen(&mut self, address: SocketAddr, options: &ListenOptions) -> io::Result<SocketId> {
        self.add(open::listen(address, options)?, Ready::CONNECTED)
    }

    fn adopt(&mut self, source: Source) -> io::Result<SocketId> {
        let io = Io::adopt(source)?;
        let ready = match io.is_stream() {
            true => Ready::CONNECTED,
            false => Ready::IN_PIECES,
        };
        self.add(io, ready)
    }

    fn accept(
        &mut self,
        listener: SocketId,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(SocketId, Address)>> {
        let socket = self.sockets.get(listener)?;
        if !socket.ready.readable {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        match socket.io.accept() {
            Ok((io, peer)) => {
                let id = self.add(io, Ready::CONNECTED)?;
                Poll::Ready(Ok((id, peer)))
            }
            Err(error) => socket.wait_to_read(error, caller),
        }
    }

    fn connect(&mut self, address: SocketAddr, options: &ConnectOptions) -> io::Result<SocketId> {
        self.add(open::connect(address, options)?, Ready::CONNECTING)
    }

    fn connected(&mut self, socket: SocketId, caller: &Caller<'_>) -> Poll<io::Result<()>> {
        let socket = self.sockets.get(socket)?;
        if !socket.ready.writable {
            caller.wait_in(&mut socket.writer);
            return Poll::Pending;
        }
        match socket.io.connected() {
            // Reported too early; the connection is still being made.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.ready.writable = false;
                caller.wait_in(&mut socket.writer);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }

    #[inline]
    fn receive(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.sockets.get(socket)?;
        if !socket.ready.readable {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        match socket.io.read(buffer) {
            Ok(count) => {
                let drained = count > 0 && count < buffer.len() && !socket.ready.try_until_blocked;
                if SHORT_CALL_DRAINS && drained {
                    socket.ready.readable = false;
                }
                Poll::Ready(Ok(count))
            }
            Err(error) => socket.wait_to_read(error, caller),
        }
    }

    #[inline]
    fn send(
        &mut self,
        socket: SocketId,
        buffers: &[IoSlice<'_>],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let key = socket.0;
        let socket = self.sockets.get(socket)?;
        if !socket.ready.writable {
            return socket.wait_for_room(&mut self.watch, key, caller);
        }
        match socket.io.write(buffers) {
            Ok(count) => {
                // The socket's buffer is full; that it has room again is reported. Of more
                // buffers than the system takes at once some are left although there is room.
                let tells = SHORT_CALL_DRAINS && buffers.len() <= BUFFERS_PER_CALL;
                if tells && count > 0 && count < length_of(buffers) {
                    socket.ready.writable = false;
                }
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.ready.writable = false;
                socket.wait_for_room(&mut self.watch, key, caller)
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> io::Result<()> {
        self.io(socket)?.shutdown(how)
    }

    fn bind_datagram(&mut self, address: SocketAddr, options: &UdpOptions) -> io::Result<SocketId> {
        self.add(open::bind_datagram(address, options)?, Ready::IN_PIECES)
    }

    fn connect_datagram(&mut self, socket: SocketId, peer: &Address) -> io::Result<()> {
        self.io(socket)?.connect(peer)
    }

    fn receive_from(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        what: Take,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(usize, Address)>> {
        let socket = self.sockets.get(socket)?;
        if !socket.ready.readable {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        let received = match what {
            Take::Out => socket.io.read_from(buffer),
            Take::Copy => socket.io.peek_from(buffer),
        };
        match received {
            Ok(received) => Poll::Ready(Ok(received)),
            Err(error) => socket.wait_to_read(error, caller),
        }
    }

    fn send_to(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        to: &Address,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let key = socket.0;
        let socket = self.sockets.get(socket)?;
        if !socket.ready.writable {
            return socket.wait_for_room(&mut self.watch, key, caller);
        }
        match socket.io.write_to(bytes, to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.ready.writable = false;
                socket.wait_for_room(&mut self.watch, key, caller)
            }
            outcome => Poll::Ready(outcome),
        }
    }

    #[cfg(unix)]
    fn listen_unix(&mut self, address: &UnixAddress, backlog: u32) -> io::Result<SocketId> {
        self.add(open::listen_unix(address, backlog)?, Ready::CONNECTED)
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, address: &UnixAddress) -> io::Result<SocketId> {
        self.add(open::connect_unix(address)?, Ready::CONNECTED)
    }

    #[cfg(unix)]
    fn bind_unix_datagram(&mut self, address: Option<&UnixAddress>) -> io::Result<SocketId> {
        self.add(open::bind_unix_datagram(address)?, Ready::IN_PIECES)
    }

    #[cfg(unix)]
    fn try_send_to(&mut self, socket: SocketId, bytes: &[u8], to: &Address) -> io::Result<()> {
        self.io(socket)?.write_to(bytes, to).map(drop)
    }

    fn close(&mut self, socket: SocketId) -> [Waiter; 2] {
        // Closing the descriptor takes it out of the selector: it is never duplicated.
        match self.sockets.0.remove(socket.0) {
            Some(socket) => [socket.reader, socket.writer],
            None => [Waiter::NOBODY; 2],
        }
    }

    fn local_addr(&self, socket: SocketId) -> io::Result<Address> {
        self.io(socket)?.local_addr()
    }

    fn peer_addr(&self, socket: SocketId) -> io::Result<Address> {
        self.io(socket)?.peer_addr()
    }

    fn set_nodelay(&mut self, socket: SocketId, nodelay: bool) -> io::Result<()> {
        self.io(socket)?.set_nodelay(nodelay)
    }

    fn set_linger(&mut self, socket: SocketId, linger: Option<Duration>) -> io::Result<()> {
        self.io(socket)?.set_linger(linger)
    }

    fn os_socket(&self, socket: SocketId) -> io::Result<SockRef<'_>> {
        self.io(socket)?.os_socket()
    }

    fn sockets(&self) -> usize {
        self.sockets.0.len()
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn each_waiting(&self, found: &mut dyn FnMut(TaskId, &'static str, SocketId)) {
        for (key, socket) in &self.sockets.0 {
            if let Waiter::Task(Some(id)) = socket.reader {
                found(id, socket.io.name_of_reading(), SocketId(key));
            }
            if let Waiter::Task(Some(id)) = socket.writer {
                found(id, socket.io.name_of_writing(), SocketId(key));
            }
        }
    }
}

/// The bytes of several buffers; of one, at no cost.
#[inline(always)]
fn length_of(buffers: &[IoSlice<'_>]) -> usize {
    match buffers {
        [one] => one.len(),
        many => many.iter().map(|buffer| buffer.len()).sum(),
    }
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the socket is closed")
}
