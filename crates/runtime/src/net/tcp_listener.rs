//! A listening socket.

use crate::driver::ListenOptions;
use crate::net::TcpStream;
use crate::net::socket::Socket;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

/// A listening TCP socket. Closed when it is dropped.
pub struct TcpListener {
    socket: Socket,
}

impl TcpListener {
    /// Listens at `address`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// What the operating system says, for example `AddrInUse`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, &ListenOptions::default())
    }

    /// [`bind`](TcpListener::bind) with other options.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` when it has no `SO_REUSEPORT`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind_with(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
        let core = current();
        let id = core.driver.borrow_mut().listen(address, options)?;
        Ok(TcpListener {
            socket: Socket::new(core, id),
        })
    }

    /// Takes over a socket that listens already, for example one inherited from a parent.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let core = current();
        let id = core.driver.borrow_mut().adopt_listener(listener)?;
        Ok(TcpListener {
            socket: Socket::new(core, id),
        })
    }

    /// Accepts one connection.
    ///
    /// # Errors
    /// What the operating system says about this connection (`ConnectionAborted`) or about
    /// the process (no descriptor left). The listener stays usable. When descriptors ran out,
    /// wait a while before the next call: it fails at once until there are some.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for what [`accept`](TcpListener::accept) returns.
    pub fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let core = &self.socket.core;
        ready!(core.poll_budget(cx));
        let accepted = {
            let caller = core.caller(cx);
            core.driver.borrow_mut().accept(self.socket.id, &caller)
        };
        accepted.map_ok(|(id, peer)| (TcpStream::new(core.clone(), id), peer))
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.core.driver.borrow().local_addr(self.socket.id)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_addr().ok())
            .finish()
    }
}
