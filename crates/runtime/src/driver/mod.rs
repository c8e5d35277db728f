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
//! - A completion driver (io_uring) starts the operation at the first call and
//!   hands over its result at the next. A simulated network does the same from a script.
//!
//! A new driver is a file here, a line in [`open`], and a line in `conformance.rs`.

mod options;
mod selector;
pub(crate) mod simulation;

#[cfg(test)]
mod conformance;

pub use options::{ConnectOptions, ListenOptions};

use crate::config::Config;
use crate::inbox::Notify;
use crate::task::{Caller, TaskId, Waiter};
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
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

pub(crate) trait Driver {
    /// Waits until an operation can go on, another thread notifies, or the time is up.
    /// Appends who has to be woken, in the order in which things happened. The only blocking
    /// call of a loop's thread. Returns the number of events.
    fn wait(&mut self, wait: Wait, woken: &mut Vec<Waiter>) -> io::Result<usize>;

    /// Ends a wait from another thread.
    fn notifier(&mut self) -> io::Result<Box<dyn Notify>>;

    /// Opens a listening socket.
    fn listen(&mut self, address: SocketAddr, options: &ListenOptions) -> io::Result<SocketId>;

    /// Takes over a listening socket that already exists.
    fn adopt_listener(&mut self, listener: std::net::TcpListener) -> io::Result<SocketId>;

    /// Accepts one connection.
    fn accept(
        &mut self,
        listener: SocketId,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(SocketId, SocketAddr)>>;

    /// Opens a socket and starts to connect it.
    fn connect(&mut self, address: SocketAddr, options: &ConnectOptions) -> io::Result<SocketId>;

    /// Completes when the socket is connected.
    fn connected(&mut self, socket: SocketId, caller: &Caller<'_>) -> Poll<io::Result<()>>;

    /// Receives into `buffer`; 0 when the peer has finished.
    fn receive(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Sends the buffers one behind the other; returns how many bytes went out.
    fn send(
        &mut self,
        socket: SocketId,
        buffers: &[IoSlice<'_>],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Ends one or both directions.
    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> io::Result<()>;

    /// Closes a socket of any kind. Returns who waited for it, for the caller to drop.
    fn close(&mut self, socket: SocketId) -> [Waiter; 2];

    /// The socket's own address.
    fn local_addr(&self, socket: SocketId) -> io::Result<SocketAddr>;

    /// The address of the other end.
    fn peer_addr(&self, socket: SocketId) -> io::Result<SocketAddr>;

    /// Sets `TCP_NODELAY`.
    fn set_nodelay(&mut self, socket: SocketId, nodelay: bool) -> io::Result<()>;

    /// Sets how long closing may wait for what was not sent yet (`SO_LINGER`).
    fn set_linger(&mut self, socket: SocketId, linger: Option<Duration>) -> io::Result<()>;

    /// Sockets that are open.
    fn sockets(&self) -> usize;

    /// Names each task that is woken when a socket is ready, and what for: `read`, `write`,
    /// `accept` or `connect`. For those who look, so that waiting itself need leave no note.
    fn each_waiting(&self, _found: &mut dyn FnMut(TaskId, &'static str, SocketId)) {}

    /// The world behind it, when that is made up.
    fn simulation(&mut self) -> Option<&mut simulation::Simulation> {
        None
    }
}

/// Opens the driver that fits this machine.
pub(crate) fn open(config: &Config) -> io::Result<Box<dyn Driver>> {
    Ok(Box::new(selector::Selector::open(config)?))
}
