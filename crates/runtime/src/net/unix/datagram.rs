//! A datagram socket of one machine.

use crate::driver::{Address, Source};
use crate::net::datagram::{datagrams_in, datagrams_out};
use crate::net::socket::Socket;
use crate::net::unix::patiently;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

/// A datagram socket of one machine. Closed when it is dropped; the file at its path stays.
///
/// Datagrams come whole and in order, and none is lost: who sends waits while the receiver has no
/// room.
pub struct UnixDatagram {
    socket: Socket,
}

/// The receiving half of a [`UnixDatagram`], for a task of its own.
pub struct UnixDatagramReceiver {
    socket: Rc<Socket>,
}

/// The sending half of a [`UnixDatagram`], for a task of its own.
pub struct UnixDatagramSender {
    socket: Rc<Socket>,
}

impl UnixDatagram {
    /// Opens a socket at a path, where no file may be. A file that a socket before left behind
    /// is in the way, and is not removed.
    ///
    /// # Errors
    /// What the operating system says: `AddrInUse` when there is a file, also the stale one of
    /// a process that is gone; `InvalidInput` when the path is too long (107 bytes on Linux).
    /// `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Opens a socket at an address, which may be an abstract one.
    ///
    /// # Errors
    /// As [`bind`](UnixDatagram::bind).
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::open(Some(address))
    }

    /// Opens a socket that has no address: it can send, and receive from who it is connected with
    /// by [`pair`](UnixDatagram::pair).
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::open(None)
    }

    fn open(address: Option<&SocketAddr>) -> io::Result<UnixDatagram> {
        let core = current();
        let id = core.driver.borrow_mut().bind_unix_datagram(address)?;
        Ok(UnixDatagram {
            socket: Socket::new(core, id),
        })
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    /// What the operating system says, for example that no descriptor is left; `Unsupported` in
    /// a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = std::os::unix::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::from_std(one)?, UnixDatagram::from_std(other)?))
    }

    /// Takes over a socket that exists already.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        let core = current();
        let socket = Source::UnixDatagram(socket);
        let id = core.driver.borrow_mut().adopt(socket)?;
        Ok(UnixDatagram {
            socket: Socket::new(core, id),
        })
    }

    /// Sets where [`send`](UnixDatagram::send) sends to, and the only one that is received from.
    ///
    /// # Errors
    /// What the operating system says, for example `NotFound`, or `ConnectionRefused` when the
    /// socket of that file is closed.
    pub fn connect(&mut self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// [`connect`](UnixDatagram::connect) to an address, which may be an abstract one.
    ///
    /// # Errors
    /// As [`connect`](UnixDatagram::connect).
    pub fn connect_addr(&mut self, address: &SocketAddr) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.connect_datagram(self.socket.id, &Address::Unix(address.clone()))
    }

    /// Stops receiving, sending, or both.
    ///
    /// # Errors
    /// What the operating system says, for example `NotConnected`.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Halves for two tasks. The socket is closed when both are dropped.
    pub fn into_split(self) -> (UnixDatagramReceiver, UnixDatagramSender) {
        let socket = Rc::new(self.socket);
        let receiver = UnixDatagramReceiver {
            socket: socket.clone(),
        };
        (receiver, UnixDatagramSender { socket })
    }

    /// The address of the one it is connected with.
    ///
    /// # Errors
    /// `NotConnected` when there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()?.unix()
    }

    /// The socket's own address; unnamed when it was not bound.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.unix()
    }
}

/// What everything can do that datagrams to any address go into.
macro_rules! sending_to {
    ($socket:ty) => {
        impl $socket {
            /// Sends one datagram to the socket at a path, whole or not at all. Waits while the
            /// receiver has no room for it.
            ///
            /// # Errors
            /// What the operating system says, for example `NotFound`, or `ConnectionRefused`
            /// when the socket of that file is closed.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has sent nothing.
            pub async fn send_to(
                &mut self,
                bytes: &[u8],
                path: impl AsRef<Path>,
            ) -> io::Result<()> {
                self.send_to_addr(bytes, &SocketAddr::from_pathname(path)?)
                    .await
            }

            /// [`send_to`](Self::send_to) to an address, which may be an abstract one.
            ///
            /// # Errors
            /// As [`send_to`](Self::send_to).
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has sent nothing.
            pub async fn send_to_addr(
                &mut self,
                bytes: &[u8],
                address: &SocketAddr,
            ) -> io::Result<()> {
                send_to(&self.socket, bytes, Address::Unix(address.clone())).await
            }
        }
    };
}

/// Who sends to one it is not connected with is not told when that one has room again.
async fn send_to(socket: &Socket, bytes: &[u8], to: Address) -> io::Result<()> {
    poll_fn(|cx| socket.core.poll_budget(cx)).await;
    patiently(|| {
        let mut driver = socket.core.driver.borrow_mut();
        driver.try_send_to(socket.id, bytes, &to)
    })
    .await
}

datagrams_in!(UnixDatagram, SocketAddr, Address::unix);
datagrams_in!(UnixDatagramReceiver, SocketAddr, Address::unix);
datagrams_out!(UnixDatagram);
datagrams_out!(UnixDatagramSender);
sending_to!(UnixDatagram);
sending_to!(UnixDatagramSender);

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}

impl fmt::Debug for UnixDatagramReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagramReceiver")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for UnixDatagramSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagramSender").finish_non_exhaustive()
    }
}
