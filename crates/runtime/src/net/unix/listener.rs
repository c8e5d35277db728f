//! A listening Unix socket.

use crate::driver::{ListenOptions, Source};
use crate::net::socket::Socket;
use crate::net::unix::UnixStream;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll, ready};

/// A listening Unix socket. Closed when it is dropped; the file at its path stays.
///
/// ```
/// use monoloop_runtime::{Runtime, net::{UnixListener, UnixStream}, spawn};
///
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("monoloop-doc-{}.sock", std::process::id()));
/// let mut runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let mut listener = UnixListener::bind(&path)?;
///     let server = spawn(async move {
///         let (mut stream, _peer) = listener.accept().await?;
///         stream.write_all(b"hello").await
///     });
///     let mut stream = UnixStream::connect(&path).await?;
///     assert_eq!(&*stream.receive().await?, b"hello");
///     server.await.expect("no panic")
/// })?;
/// std::fs::remove_file(&path) // the listener does not
/// # }
/// ```
pub struct UnixListener {
    socket: Socket,
}

impl UnixListener {
    /// Listens at a path, where no file may be. The file gets the rights that the process gives to
    /// files it makes; who may write it may connect.
    ///
    /// A file that a listener before left behind is in the way, and is not removed: see the
    /// [errors](#errors).
    ///
    /// # Errors
    /// What the operating system says: `AddrInUse` when there is a file, also the stale one of
    /// a process that is gone; `InvalidInput` when the path is too long (107 bytes on Linux).
    /// `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address, which may be an abstract one
    /// (`std::os::linux::net::SocketAddrExt::from_abstract_name`): it needs no file, is gone with
    /// its socket, and anybody on the machine may connect to it.
    ///
    /// # Errors
    /// As [`bind`](UnixListener::bind).
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let core = current();
        let backlog = ListenOptions::default().backlog;
        let id = core.driver.borrow_mut().listen_unix(address, backlog)?;
        Ok(UnixListener {
            socket: Socket::new(core, id),
        })
    }

    /// Takes over a socket that listens already, for example one inherited from a parent.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        let core = current();
        let listener = Source::UnixListener(listener);
        let id = core.driver.borrow_mut().adopt(listener)?;
        Ok(UnixListener {
            socket: Socket::new(core, id),
        })
    }

    /// Accepts one connection. The peer's address is most often unnamed.
    ///
    /// # Errors
    /// What the operating system says, for example that no descriptor is left. The listener
    /// stays usable. When descriptors ran out, wait a while before the next call: it fails at
    /// once until there are some.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn accept(&mut self) -> io::Result<(UnixStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for what [`accept`](UnixListener::accept) returns.
    pub fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let (socket, peer) = ready!(self.socket.poll_accept(cx))?;
        Poll::Ready(Ok((UnixStream::new(socket), peer.unix()?)))
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.unix()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("local", &self.local_addr().ok())
            .finish()
    }
}
