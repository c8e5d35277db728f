//! A connection between two Unix sockets.

use crate::driver::{Credentials, Source};
use crate::net::methods::{reading, splitting, writing};
use crate::net::socket::Socket;
use crate::net::unix::patiently;
use crate::runtime::current;
use std::fmt;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// A connection between two Unix sockets. Closed when it is dropped.
///
/// It reads and writes as a [`TcpStream`](crate::net::TcpStream) does.
pub struct UnixStream {
    socket: Socket,
}

impl UnixStream {
    pub(super) fn new(socket: Socket) -> Self {
        UnixStream { socket }
    }

    /// Connects to who listens at a path. Waits while its backlog is full; for a limit, wrap it in
    /// [`timeout`](crate::time::timeout).
    ///
    /// # Errors
    /// What the operating system says: `NotFound` when there is no file, `ConnectionRefused` when
    /// nobody listens there any more, `PermissionDenied` when the file may not be written.
    /// `Unsupported` in a simulated world.
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = SocketAddr::from_pathname(path)?;
        UnixStream::connect_addr(&address).await
    }

    /// [`connect`](UnixStream::connect) to an address, which may be an abstract one.
    ///
    /// # Errors
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let core = current();
        // Nobody is told when a backlog has room again.
        let id = patiently(|| core.driver.borrow_mut().connect_unix(address)).await?;
        Ok(UnixStream::new(Socket::new(core, id)))
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    /// What the operating system says, for example that no descriptor is left; `Unsupported` in
    /// a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        Ok((UnixStream::from_std(one)?, UnixStream::from_std(other)?))
    }

    /// Takes over a socket that is connected already.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        let core = current();
        let stream = Source::UnixStream(stream);
        let id = core.driver.borrow_mut().adopt(stream)?;
        Ok(UnixStream::new(Socket::new(core, id)))
    }

    /// Who is at the other end, as the kernel noted it when the connection was made.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` where it has no `SO_PEERCRED`.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        self.socket.option(Credentials::of_peer)
    }

    /// The address of the other end; unnamed when it was not bound, as that of one who
    /// connects.
    ///
    /// # Errors
    /// `NotConnected` when the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()?.unix()
    }

    /// The connection's own address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.unix()
    }
}

reading!(UnixStream);
writing!(UnixStream);
splitting!(UnixStream);

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
