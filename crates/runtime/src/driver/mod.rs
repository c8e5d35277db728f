//! What the loop waits on: sockets, behind one contract.
//!
//! **The contract is shaped by operations.** An operation (accept, connect, receive, send) is
//! given with who asks for it. It either completes at once, or the driver remembers who
//! waits and says so at the end of a [`Driver::wait`]; asked again, it hands over the completion.
//! Asking twice is harmless, and an operation that nobody asks for again loses nothing:
//! what a completion brought stays with the socket. So a future that waits for an operation may be
//! dropped at any time.
//!
//! - `selector` knows readiness (epoll, kqueue, IOCP through mio): it tries the call itself.
//!   `poll` does the same on poll(2); what they share is in `readiness`.
//! - A completion driver (io_uring) starts the operation at the first call and
//!   hands over its result at the next. A simulated network does the same from a script.
//!
//! A new driver is a file here, a line in [`open`], and a line in `conformance.rs`.

mod address;
#[cfg(unix)]
mod credentials;
mod handshakes;
mod kind;
mod options;
#[cfg(unix)]
mod poll;
mod readiness;
mod selector;
pub(crate) mod simulation;

#[cfg(test)]
mod conformance;

pub(crate) use address::{Address, Source};
#[cfg(unix)]
pub use credentials::Credentials;
pub(crate) use handshakes::ignore_new;
pub use kind::{DriverKind, UnknownDriver};
pub use options::{ConnectOptions, ListenOptions, UdpOptions};

use crate::config::Config;
use crate::inbox::Notify;
use crate::task::{Caller, TaskId, Waiter};
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::unix::net::SocketAddr as UnixAddress;
use std::task::Poll;
use std::time::Duration;

/// Names a socket of a driver. The id of a closed socket names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketId(pub(crate) slotmap::DefaultKey);

/// How long a [`Driver::wait`] may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Only look.
    Not,
    /// At most this long.
    AtMost(Duration),
    /// Until something happens.
    Forever,
}

/// What becomes of a datagram that is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// It is handed over.
    Out,
    /// It stays, to be received once more.
    Copy,
}

pub(crate) trait Driver {
    /// Waits until an operation can go on, another thread notifies, or the time is up.
    /// Appends who has to be woken, in the order in which things happened. The only blocking
    /// call of a loop's thread. Returns the number of events.
    fn wait(&mut self, wait: Wait, woken: &mut Vec<Waiter>) -> io::Result<usize>;

    /// Ends a wait from another thread.
    fn notifier(&mut self) -> io::Result<Box<dyn Notify>>;

    /// Opens a listening socket.
    fn listen(&mut self, address: SocketAddr, options: &ListenOptions) -> io::Result<SocketId>;

    /// Takes over what somebody else has opened: a socket, a pipe's end, a descriptor. It is
    /// non-blocking from now on.
    fn adopt(&mut self, source: Source) -> io::Result<SocketId>;

    /// Accepts one connection.
    fn accept(
        &mut self,
        listener: SocketId,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(SocketId, Address)>>;

    /// Opens a socket and starts to connect it.
    fn connect(&mut self, address: SocketAddr, options: &ConnectOptions) -> io::Result<SocketId>;

    /// Completes when the socket is connected.
    fn connected(&mut self, socket: SocketId, caller: &Caller<'_>) -> Poll<io::Result<()>>;

    /// Receives into `buffer`; 0 when the peer has finished. Of a datagram, what does not fit
    /// is lost.
    fn receive(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Sends the buffers one behind the other, as one datagram if it is that kind of socket;
    /// returns how many bytes went out.
    fn send(
        &mut self,
        socket: SocketId,
        buffers: &[IoSlice<'_>],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Ends one or both directions.
    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> io::Result<()>;

    /// Opens a datagram socket.
    fn bind_datagram(&mut self, address: SocketAddr, options: &UdpOptions) -> io::Result<SocketId>;

    /// Sets where a datagram socket sends to, and the only one it receives from.
    fn connect_datagram(&mut self, socket: SocketId, peer: &Address) -> io::Result<()>;

    /// Receives one datagram into `buffer`; what does not fit is lost. Who has sent it.
    fn receive_from(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        what: Take,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(usize, Address)>>;

    /// Sends one datagram.
    fn send_to(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        to: &Address,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Opens a listening Unix socket.
    #[cfg(unix)]
    fn listen_unix(&mut self, address: &UnixAddress, backlog: u32) -> io::Result<SocketId>;

    /// Opens a Unix socket and connects it, at once or, when the backlog is full, not at all
    /// (`WouldBlock`).
    #[cfg(unix)]
    fn connect_unix(&mut self, address: &UnixAddress) -> io::Result<SocketId>;

    /// Opens a Unix datagram socket.
    #[cfg(unix)]
    fn bind_unix_datagram(&mut self, address: Option<&UnixAddress>) -> io::Result<SocketId>;

    /// Sends one datagram at once or not at all (`WouldBlock`): a Unix socket is not told when one
    /// that it is not connected with has room again.
    #[cfg(unix)]
    fn try_send_to(&mut self, socket: SocketId, bytes: &[u8], to: &Address) -> io::Result<()>;

    /// Closes a socket of any kind. Returns who waited for it, for the caller to drop.
    fn close(&mut self, socket: SocketId) -> [Waiter; 2];

    /// The socket's own address.
    fn local_addr(&self, socket: SocketId) -> io::Result<Address>;

    /// The address of the other end.
    fn peer_addr(&self, socket: SocketId) -> io::Result<Address>;

    /// Sets `TCP_NODELAY`.
    fn set_nodelay(&mut self, socket: SocketId, nodelay: bool) -> io::Result<()>;

    /// Sets how long closing may wait for what was not sent yet (`SO_LINGER`).
    fn set_linger(&mut self, socket: SocketId, linger: Option<Duration>) -> io::Result<()>;

    /// The operating system's socket, for its other options; `Unsupported` where there is none.
    fn os_socket(&self, socket: SocketId) -> io::Result<SockRef<'_>>;

    /// Sockets that are open.
    fn sockets(&self) -> usize;

    /// What it is called, as in [`DriverKind`].
    fn name(&self) -> &'static str;

    /// Names each task that is woken when a socket is ready, and what for: `read`, `write`,
    /// `accept` or `connect`. For those who look, so that waiting itself need leave no note.
    fn each_waiting(&self, _found: &mut dyn FnMut(TaskId, &'static str, SocketId)) {}

    /// The world behind it, when that is made up.
    fn simulation(&mut self) -> Option<&mut simulation::Simulation> {
        None
    }
}

/// Opens the driver that was chosen.
pub(crate) fn open(kind: DriverKind, config: &Config) -> io::Result<Box<dyn Driver>> {
    match kind {
        DriverKind::Selector => {
            let selector = selector::Selector::open(config)?;
            Ok(Box::new(readiness::Readiness::new(selector, kind.name())))
        }
        #[cfg(unix)]
        DriverKind::Poll => {
            let poll = poll::Poll::open()?;
            Ok(Box::new(readiness::Readiness::new(poll, kind.name())))
        }
        #[cfg(not(unix))]
        DriverKind::Poll => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no poll(2) for the poll driver: use the selector",
        )),
    }
}
