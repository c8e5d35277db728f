//! A UDP socket.

use crate::driver::{Address, Source, Take, UdpOptions};
use crate::net::datagram::{datagrams_in, datagrams_out};
use crate::net::socket::Socket;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A UDP socket. Closed when it is dropped.
///
/// A datagram goes whole or not at all: it is sent and received, not written. Some are lost on
/// their way, some come twice or in another order; nobody says so.
///
/// ```
/// use monoloop_runtime::{Runtime, net::UdpSocket, spawn};
///
/// # fn main() -> std::io::Result<()> {
/// let mut runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let mut server = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
///     let address = server.local_addr()?;
///     let echo = spawn(async move {
///         let (datagram, from) = server.receive_from().await?; // holds no buffer while it waits
///         server.send_to(&datagram, from).await
///     });
///     let mut client = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
///     client.connect(address)?;
///     client.send(b"hello").await?;
///     assert_eq!(&*client.receive().await?, b"hello");
///     echo.await.expect("no panic")
/// })
/// # }
/// ```
pub struct UdpSocket {
    socket: Socket,
}

/// The receiving half of a [`UdpSocket`], for a task of its own.
pub struct UdpReceiver {
    socket: Rc<Socket>,
}

/// The sending half of a [`UdpSocket`], for a task of its own.
pub struct UdpSender {
    socket: Rc<Socket>,
}

impl UdpSocket {
    /// Opens a socket at `address`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// What the operating system says, for example `AddrInUse`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind_with(address, &UdpOptions::default())
    }

    /// [`bind`](UdpSocket::bind) with other options.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` when it has no `SO_REUSEPORT`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind_with(address: SocketAddr, options: &UdpOptions) -> io::Result<UdpSocket> {
        let core = current();
        let id = core.driver.borrow_mut().bind_datagram(address, options)?;
        Ok(UdpSocket {
            socket: Socket::new(core, id),
        })
    }

    /// Takes over a socket that exists already.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        let core = current();
        let id = core.driver.borrow_mut().adopt(Source::UdpSocket(socket))?;
        Ok(UdpSocket {
            socket: Socket::new(core, id),
        })
    }

    /// Sets where [`send`](UdpSocket::send) sends to, and the only one that is received from. Tells
    /// nobody, and does not wait.
    ///
    /// # Errors
    /// What the operating system says, for example `NetworkUnreachable`.
    pub fn connect(&mut self, peer: SocketAddr) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.connect_datagram(self.socket.id, &peer.into())
    }

    /// Copies the next datagram into `buffer` and leaves it to be received. Returns how many
    /// bytes were copied, and who has sent it.
    ///
    /// # Errors
    /// As [`receive`](UdpSocket::receive).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn peek_from(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|cx| {
            let peeked = self.socket.poll_read_from(cx, buffer, Take::Copy);
            let (count, from) = ready!(peeked)?;
            Poll::Ready(Ok((count, from.ip()?)))
        })
        .await
    }

    /// Halves for two tasks. The socket is closed when both are dropped.
    pub fn into_split(self) -> (UdpReceiver, UdpSender) {
        let socket = Rc::new(self.socket);
        let receiver = UdpReceiver {
            socket: socket.clone(),
        };
        (receiver, UdpSender { socket })
    }

    /// The socket's own address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.ip()
    }

    /// The address it is connected with.
    ///
    /// # Errors
    /// `NotConnected` when it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()?.ip()
    }
}

/// Options. In a simulated world there are none of them: `Unsupported`.
impl UdpSocket {
    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.option(socket2::Socket::broadcast)
    }

    /// Lets it send to broadcast addresses (`SO_BROADCAST`). Off unless set.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_broadcast(&mut self, on: bool) -> io::Result<()> {
        self.socket.option(|socket| socket.set_broadcast(on))
    }

    /// How many hops a datagram to one receiver may take.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn ttl(&self) -> io::Result<u32> {
        match self.local_addr()? {
            SocketAddr::V4(_) => self.socket.option(socket2::Socket::ttl_v4),
            SocketAddr::V6(_) => self.socket.option(socket2::Socket::unicast_hops_v6),
        }
    }

    /// Sets how many hops a datagram to one receiver may take (`IP_TTL`, `IPV6_UNICAST_HOPS`), 1
    /// to 255.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_ttl(&mut self, hops: u32) -> io::Result<()> {
        match self.local_addr()? {
            SocketAddr::V4(_) => self.socket.option(|socket| socket.set_ttl_v4(hops)),
            SocketAddr::V6(_) => self
                .socket
                .option(|socket| socket.set_unicast_hops_v6(hops)),
        }
    }

    /// Sets how many hops a datagram to a multicast group may take (`IP_MULTICAST_TTL`,
    /// `IPV6_MULTICAST_HOPS`), 0 to 255. 1 unless set: it stays in its network.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_multicast_ttl(&mut self, hops: u32) -> io::Result<()> {
        match self.local_addr()? {
            SocketAddr::V4(_) => self
                .socket
                .option(|socket| socket.set_multicast_ttl_v4(hops)),
            SocketAddr::V6(_) => self
                .socket
                .option(|socket| socket.set_multicast_hops_v6(hops)),
        }
    }

    /// Sets whether this host gets what it sends to its groups (`IP_MULTICAST_LOOP`,
    /// `IPV6_MULTICAST_LOOP`). On unless set.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_multicast_loop(&mut self, on: bool) -> io::Result<()> {
        match self.local_addr()? {
            SocketAddr::V4(_) => self
                .socket
                .option(|socket| socket.set_multicast_loop_v4(on)),
            SocketAddr::V6(_) => self
                .socket
                .option(|socket| socket.set_multicast_loop_v6(on)),
        }
    }

    /// Joins a multicast group on the interface of that address; the unspecified address lets the
    /// kernel choose one.
    ///
    /// # Errors
    /// What the operating system says, for example that this is no multicast address.
    pub fn join_multicast_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket
            .option(|socket| socket.join_multicast_v4(&group, &interface))
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// What the operating system says, for example that it never joined.
    pub fn leave_multicast_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.socket
            .option(|socket| socket.leave_multicast_v4(&group, &interface))
    }

    /// Joins a multicast group on the interface of that index; 0 lets the kernel choose one.
    ///
    /// # Errors
    /// What the operating system says, for example that this is no multicast address.
    pub fn join_multicast_v6(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket
            .option(|socket| socket.join_multicast_v6(&group, interface))
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// What the operating system says, for example that it never joined.
    pub fn leave_multicast_v6(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket
            .option(|socket| socket.leave_multicast_v6(&group, interface))
    }

    /// Asks for room for so many bytes that were not received yet (`SO_RCVBUF`); beyond it
    /// datagrams are lost. The kernel may give less (`net.core.rmem_max`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_receive_buffer_bytes(&mut self, bytes: usize) -> io::Result<()> {
        self.socket
            .option(|socket| socket.set_recv_buffer_size(bytes))
    }

    /// Asks for room for so many bytes that have not gone out yet (`SO_SNDBUF`); beyond it sending
    /// waits. The kernel may give less (`net.core.wmem_max`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_send_buffer_bytes(&mut self, bytes: usize) -> io::Result<()> {
        self.socket
            .option(|socket| socket.set_send_buffer_size(bytes))
    }
}

/// What everything can do that datagrams to any address go into.
macro_rules! sending_to {
    ($socket:ty) => {
        impl $socket {
            /// Sends one datagram to `address`, whole or not at all. Waits while the system
            /// has no room for it.
            ///
            /// # Errors
            /// What the operating system says, for example that the datagram is too large
            /// (`EMSGSIZE`).
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has sent nothing.
            pub async fn send_to(&mut self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
                poll_fn(|cx| self.poll_send_to(cx, bytes, address)).await
            }

            /// Polls for what [`send_to`](Self::send_to) returns.
            pub fn poll_send_to(
                &mut self,
                cx: &Context<'_>,
                bytes: &[u8],
                address: SocketAddr,
            ) -> Poll<io::Result<()>> {
                self.socket.poll_send_to(cx, bytes, &address.into())
            }
        }
    };
}

datagrams_in!(UdpSocket, SocketAddr, Address::ip);
datagrams_in!(UdpReceiver, SocketAddr, Address::ip);
datagrams_out!(UdpSocket);
datagrams_out!(UdpSender);
sending_to!(UdpSocket);
sending_to!(UdpSender);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}

impl fmt::Debug for UdpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpReceiver").finish_non_exhaustive()
    }
}

impl fmt::Debug for UdpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSender").finish_non_exhaustive()
    }
}
