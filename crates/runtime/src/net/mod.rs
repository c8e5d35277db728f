//! Sockets: TCP, UDP, and those of one machine (Unix sockets).
//!
//! One vocabulary for all of them. `receive` brings what has come in a buffer that the loop lends,
//! so who waits holds none; `read` fills a buffer of the caller's. Streams are written, datagrams
//! are sent. Every method that waits can be dropped at any time; what that loses, if anything, is
//! written under *Cancel safety*. One task at a time may wait for each direction, which the
//! `&mut self` of the methods sees to; `split` and `into_split` give a direction to another.

mod chunk;
mod connect;
mod datagram;
mod lookup;
pub(crate) mod methods;
mod socket;
mod split;
mod tcp_listener;
mod tcp_stream;
mod udp_socket;
#[cfg(unix)]
mod unix;

pub use crate::driver::{ConnectOptions, ListenOptions, UdpOptions};
pub use chunk::Chunk;
pub use connect::ConnectError;
pub use lookup::{LookupError, lookup_host};
#[cfg(unix)]
pub(crate) use socket::Socket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp_socket::{UdpReceiver, UdpSender, UdpSocket};
#[cfg(unix)]
pub use unix::{
    Credentials, UnixDatagram, UnixDatagramReceiver, UnixDatagramSender, UnixListener, UnixStream,
};
