//! A TCP connection.

use crate::core::Core;
use crate::driver::{ConnectOptions, SocketId};
use crate::net::methods::{reading, splitting, writing};
use crate::net::socket::Socket;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A TCP connection. Closed when it is dropped.
///
/// ```
/// use monoloop_runtime::{Runtime, net::{TcpListener, TcpStream}, spawn};
///
/// # fn main() -> std::io::Result<()> {
/// let mut runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let address = listener.local_addr()?;
///     let echo = spawn(async move {
///         let (mut stream, _peer) = listener.accept().await?;
///         loop {
///             let chunk = stream.receive().await?; // holds no buffer while it waits
///             if chunk.is_empty() {
///                 return std::io::Result::Ok(());
///             }
///             stream.write_all(&chunk).await?;
///         }
///     });
///     let mut stream = TcpStream::connect(address).await?;
///     stream.write_all(b"hello").await?;
///     assert_eq!(&*stream.receive().await?, b"hello");
///     drop(stream);
///     echo.await.expect("no panic")
/// })
/// # }
/// ```
pub struct TcpStream {
    pub(crate) socket: Socket,
}

impl TcpStream {
    pub(crate) fn new(core: Rc<Core>, id: SocketId) -> Self {
        TcpStream {
            socket: Socket::new(core, id),
        }
    }

    /// Connects to `address`. For a limit, wrap it in [`timeout`](crate::time::timeout).
    ///
    /// # Errors
    /// What the operating system says, for example `ConnectionRefused`.
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_with(address, &ConnectOptions::default()).await
    }

    /// [`connect`](TcpStream::connect), from a given address or with other options.
    ///
    /// # Errors
    /// What the operating system says, for example `AddrNotAvailable` when the local address
    /// has no port left.
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect_with(
        address: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<TcpStream> {
        let core = current();
        let id = core.driver.borrow_mut().connect(address, options)?;
        let stream = TcpStream::new(core, id);
        poll_fn(|cx| {
            let core = &stream.socket.core;
            let caller = core.caller(cx);
            core.driver.borrow_mut().connected(id, &caller)
        })
        .await?;
        Ok(stream)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` when the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()?.ip()
    }

    /// The connection's own address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.ip()
    }

    /// Sets what closing does about bytes that the peer has not taken yet (`SO_LINGER`): `None`,
    /// the default, leaves them to the kernel, zero drops them and resets the connection.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_linger(&mut self, linger: Option<Duration>) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.set_linger(self.socket.id, linger)
    }

    /// Sends small segments at once (`TCP_NODELAY`), or gathers them.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.set_nodelay(self.socket.id, nodelay)
    }
}

reading!(TcpStream);
writing!(TcpStream);
splitting!(TcpStream);

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
