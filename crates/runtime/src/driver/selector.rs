//! The driver for readiness: epoll, kqueue and IOCP, through mio.
//!
//! A socket is registered once, edge-triggered: the kernel reports each change once, and
//! what it reported is remembered in the socket's flags until a call says `WouldBlock`. So a
//! request costs one receive, one send and its share of a poll. Room for sending is asked for
//! only once a send did not fit, since most sockets never get there.

use super::{ConnectOptions, Driver, ListenOptions, SocketId, Wait};
use crate::config::Config;
use crate::inbox::Notify;
use crate::task::{Caller, TaskId, Waiter};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll as Selecting, Registry, Token};
use slotmap::{DefaultKey, Key, KeyData, SlotMap};
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::task::Poll;
use std::time::Duration;

/// Where readiness is reported at every change (epoll, kqueue), a receive that does not
/// fill its buffer has drained the socket: what comes later is reported as a new change
/// (epoll(7), question 9). Windows reports again only after a call said `WouldBlock`.
const SHORT_CALL_DRAINS: bool = cfg!(unix);

/// Buffers that every system takes in one call: POSIX's `_XOPEN_IOV_MAX`. Linux takes 1,024.
const BUFFERS_PER_CALL: usize = 16;

/// Linux, the BSDs and macOS hand a listener's `TCP_NODELAY` on to what it accepts.
const NODELAY_IS_INHERITED: bool = cfg!(unix);

const WAKE: Token = Token(usize::MAX);

const _: () = assert!(
    usize::BITS >= u64::BITS,
    "a token holds a slot and its generation"
);

pub(crate) struct Selector {
    selecting: Selecting,
    events: Events,
    sockets: SlotMap<DefaultKey, Socket>,
}

struct Socket {
    io: Io,
    ready: Readiness,
    /// Whether the kernel reports room for sending.
    reports_room: bool,
    reader: Waiter,
    writer: Waiter,
}

// mio adds a check of its own to debug builds.
const _: () = assert!(size_of::<Socket>() <= 48 || cfg!(debug_assertions));

enum Io {
    Listener(TcpListener, Nodelay),
    Stream(TcpStream),
}

#[derive(Clone, Copy)]
struct Nodelay(bool);

/// What the kernel has reported and no call has used up yet.
#[derive(Clone, Copy)]
struct Readiness {
    readable: bool,
    writable: bool,
    /// The peer has finished or the connection is broken. Stays: no later change will be
    /// reported, so a receive has to be tried until it says so itself.
    read_closed: bool,
}

impl Selector {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        Ok(Selector {
            selecting: Selecting::new()?,
            events: Events::with_capacity(config.events_per_poll_max as usize),
            sockets: SlotMap::new(),
        })
    }

    fn add(&mut self, io: Io, ready: Readiness) -> io::Result<SocketId> {
        let key = self.sockets.insert(Socket {
            io,
            ready,
            reports_room: !ready.writable,
            reader: Waiter::NOBODY,
            writer: Waiter::NOBODY,
        });
        let registry = self.selecting.registry();
        match self.sockets[key].register(registry, token_of(key)) {
            Ok(()) => Ok(SocketId(key)),
            Err(error) => {
                self.sockets.remove(key);
                Err(error)
            }
        }
    }

    fn socket(&mut self, id: SocketId) -> io::Result<&mut Socket> {
        self.sockets.get_mut(id.0).ok_or_else(closed)
    }
}

impl Driver for Selector {
    fn wait(&mut self, wait: Wait, woken: &mut Vec<Waiter>) -> io::Result<usize> {
        let timeout = match wait {
            Wait::Not => Some(Duration::ZERO),
            Wait::AtMost(timeout) => Some(timeout),
            Wait::Forever => None,
        };
        match self.selecting.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // A signal: its own thread deals with it, the loop takes a turn.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            if event.token() == WAKE {
                continue;
            }
            // The token carries the generation: an event of a socket that was closed in this
            // same batch does not reach its successor.
            let Some(socket) = self.sockets.get_mut(key_of(event.token())) else {
                continue;
            };
            let broken = event.is_error();
            let read_closed = event.is_read_closed() || broken;
            if event.is_readable() || read_closed {
                socket.ready.readable = true;
                socket.ready.read_closed |= read_closed;
                woken.extend(socket.reader.take());
            }
            if event.is_writable() || event.is_write_closed() || broken {
                socket.ready.writable = true;
                woken.extend(socket.writer.take());
            }
        }
        Ok(count)
    }

    fn notifier(&mut self) -> io::Result<Box<dyn Notify>> {
        let waker = mio::Waker::new(self.selecting.registry(), WAKE)?;
        Ok(Box::new(waker))
    }

    fn listen(&mut self, address: SocketAddr, options: &ListenOptions) -> io::Result<SocketId> {
        let socket = RawSocket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // On Windows the option of this name lets two programs steal each other's port.
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        if options.reuse_port {
            set_reuse_port(&socket)?;
        }
        if options.nodelay && NODELAY_IS_INHERITED {
            socket.set_tcp_nodelay(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into());
        let nodelay = Nodelay(options.nodelay && !NODELAY_IS_INHERITED);
        self.add(Io::Listener(listener, nodelay), Readiness::ACCEPTED)
    }

    fn adopt_listener(&mut self, listener: std::net::TcpListener) -> io::Result<SocketId> {
        listener.set_nonblocking(true)?;
        let io = Io::Listener(TcpListener::from_std(listener), Nodelay(true));
        self.add(io, Readiness::ACCEPTED)
    }

    fn accept(
        &mut self,
        listener: SocketId,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(SocketId, SocketAddr)>> {
        let socket = self.socket(listener)?;
        if !socket.ready.readable {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        let Io::Listener(io, nodelay) = &socket.io else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let nodelay = *nodelay;
        match retry(|| io.accept()) {
            Ok((stream, peer)) => {
                if nodelay.0 {
                    // Only slower without it; the connection is good.
                    let _ = stream.set_nodelay(true);
                }
                let id = self.add(Io::Stream(stream), Readiness::ACCEPTED)?;
                Poll::Ready(Ok((id, peer)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.ready.readable = false;
                caller.wait_in(&mut socket.reader);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn connect(&mut self, address: SocketAddr, options: &ConnectOptions) -> io::Result<SocketId> {
        let stream = match options.local_addr {
            None => TcpStream::connect(address)?,
            Some(local) => connect_from(local, address)?,
        };
        if options.nodelay {
            stream.set_nodelay(true)?;
        }
        self.add(Io::Stream(stream), Readiness::CONNECTING)
    }

    fn connected(&mut self, socket: SocketId, caller: &Caller<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket(socket)?;
        if !socket.ready.writable {
            caller.wait_in(&mut socket.writer);
            return Poll::Pending;
        }
        let stream = socket.stream()?;
        if let Some(error) = stream.take_error()? {
            return Poll::Ready(Err(error));
        }
        match stream.peer_addr() {
            Ok(_) => Poll::Ready(Ok(())),
            // Reported too early; the connection is still being made.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                socket.ready.writable = false;
                caller.wait_in(&mut socket.writer);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn receive(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket(socket)?;
        if !socket.ready.readable {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        let mut stream = socket.stream()?;
        match retry(|| stream.read(buffer)) {
            Ok(count) => {
                let drained = count > 0 && count < buffer.len() && !socket.ready.read_closed;
                if SHORT_CALL_DRAINS && drained {
                    socket.ready.readable = false;
                }
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.ready.readable = false;
                caller.wait_in(&mut socket.reader);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn send(
        &mut self,
        socket: SocketId,
        buffers: &[IoSlice<'_>],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let token = token_of(socket.0);
        let registry = self.selecting.registry();
        let socket = self.sockets.get_mut(socket.0).ok_or_else(closed)?;
        if !socket.ready.writable {
            return socket.wait_for_room(registry, token, caller);
        }
        let mut stream = socket.stream()?;
        let sent = match buffers {
            [one] => retry(|| stream.write(one)),
            many => retry(|| stream.write_vectored(many)),
        };
        match sent {
            Ok(count) => {
                // The socket's buffer is full; that it has room again is reported. Of more
                // buffers than the system takes at once some are left although there is room.
                let tells = SHORT_CALL_DRAINS && buffers.len() <= BUFFERS_PER_CALL;
                let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
                if tells && count > 0 && count < length {
                    socket.ready.writable = false;
                }
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.ready.writable = false;
                socket.wait_for_room(registry, token, caller)
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> io::Result<()> {
        self.socket(socket)?.stream()?.shutdown(how)
    }

    fn close(&mut self, socket: SocketId) -> [Waiter; 2] {
        // Closing the descriptor takes it out of the selector: it is never duplicated.
        match self.sockets.remove(socket.0) {
            Some(socket) => [socket.reader, socket.writer],
            None => [Waiter::NOBODY; 2],
        }
    }

    fn local_addr(&self, socket: SocketId) -> io::Result<SocketAddr> {
        match &self.sockets.get(socket.0).ok_or_else(closed)?.io {
            Io::Listener(listener, _) => listener.local_addr(),
            Io::Stream(stream) => stream.local_addr(),
        }
    }

    fn peer_addr(&self, socket: SocketId) -> io::Result<SocketAddr> {
        let socket = self.sockets.get(socket.0).ok_or_else(closed)?;
        socket.stream()?.peer_addr()
    }

    fn set_nodelay(&mut self, socket: SocketId, nodelay: bool) -> io::Result<()> {
        self.socket(socket)?.stream()?.set_nodelay(nodelay)
    }

    fn set_linger(&mut self, socket: SocketId, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.socket(socket)?.stream()?).set_linger(linger)
    }

    fn sockets(&self) -> usize {
        self.sockets.len()
    }

    fn each_waiting(&self, found: &mut dyn FnMut(TaskId, &'static str, SocketId)) {
        for (key, socket) in &self.sockets {
            if let Waiter::Task(Some(id)) = socket.reader {
                let what = match &socket.io {
                    Io::Listener(..) => "accept",
                    Io::Stream(_) => "read",
                };
                found(id, what, SocketId(key));
            }
            if let Waiter::Task(Some(id)) = socket.writer {
                // Only one that is connected has a peer.
                let what = match socket.stream().and_then(TcpStream::peer_addr) {
                    Ok(_) => "write",
                    Err(_) => "connect",
                };
                found(id, what, SocketId(key));
            }
        }
    }
}

impl Socket {
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = self.interest();
        match &mut self.io {
            Io::Listener(listener, _) => registry.register(listener, token, interest),
            Io::Stream(stream) => registry.register(stream, token, interest),
        }
    }

    fn interest(&self) -> Interest {
        match self.reports_room {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        }
    }

    /// Remembers who wants to send. From the first time on the kernel reports room; what is
    /// there already when it is asked is reported too.
    #[cold]
    fn wait_for_room(
        &mut self,
        registry: &Registry,
        token: Token,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.reports_room {
            self.reports_room = true;
            let interest = self.interest();
            if let Io::Stream(stream) = &mut self.io {
                registry.reregister(stream, token, interest)?;
            }
        }
        caller.wait_in(&mut self.writer);
        Poll::Pending
    }

    #[inline]
    fn stream(&self) -> io::Result<&TcpStream> {
        match &self.io {
            Io::Stream(stream) => Ok(stream),
            Io::Listener(..) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Readiness {
    /// Registering reports what is there already, so a receive need not be tried before.
    /// An empty send buffer has room.
    const ACCEPTED: Readiness = Readiness {
        readable: false,
        writable: true,
        read_closed: false,
    };
    const CONNECTING: Readiness = Readiness {
        readable: false,
        writable: false,
        read_closed: false,
    };
}

impl Notify for mio::Waker {
    fn notify(&self) {
        if let Err(error) = self.wake() {
            tracing::error!(%error, "another thread could not wake the event loop");
        }
    }
}

/// Repeats a call that a signal interrupted.
#[inline]
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Starts a connection from a given address.
fn connect_from(local: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if is_connecting(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a connection was started and will complete later.
#[cfg(unix)]
fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(not(unix))]
fn is_connecting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(unix)]
fn set_reuse_port(socket: &RawSocket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn set_reuse_port(_: &RawSocket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system cannot share a port between loops (SO_REUSEPORT); use one thread",
    ))
}

fn token_of(key: DefaultKey) -> Token {
    Token(key.data().as_ffi() as usize)
}

fn key_of(token: Token) -> DefaultKey {
    KeyData::from_ffi(token.0 as u64).into()
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket is closed")
}
