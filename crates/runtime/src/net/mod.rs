//! Sockets.

mod chunk;
mod connect;
mod lookup;
mod socket;
mod split;
mod tcp_listener;
mod tcp_stream;

pub use crate::driver::{ConnectOptions, ListenOptions};
pub use chunk::Chunk;
pub use connect::ConnectError;
pub use lookup::{LookupError, lookup_host};
#[cfg(unix)]
pub(crate) use socket::Socket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
