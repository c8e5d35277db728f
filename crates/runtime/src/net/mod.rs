//! Sockets.

mod chunk;
mod datagram;
mod methods;
mod socket;
mod split;
mod tcp_listener;
mod tcp_stream;
mod udp_socket;
#[cfg(unix)]
mod unix;

pub use crate::driver::{ConnectOptions, ListenOptions, UdpOptions};
pub use chunk::Chunk;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp_socket::{UdpReceiver, UdpSender, UdpSocket};
#[cfg(unix)]
pub use unix::{
    Credentials, UnixDatagram, UnixDatagramReceiver, UnixDatagramSender, UnixListener, UnixStream,
};
