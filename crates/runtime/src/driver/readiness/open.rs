//! How sockets of the network are opened.

use super::kinds::{Io, Nodelay};
use crate::driver::{ConnectOptions, ListenOptions, UdpOptions};
use mio::net::{TcpListener, TcpStream, UdpSocket};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io;
use std::net::SocketAddr;

/// Linux, the BSDs and macOS hand a listener's `TCP_NODELAY` on to what it accepts.
const NODELAY_IS_INHERITED: bool = cfg!(unix);

pub(super) fn listen(address: SocketAddr, options: &ListenOptions) -> io::Result<Io> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Windows the option of this name lets two programs steal each other's port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    if options.reuse_port {
        set_reuse_port(&socket)?;
    }
    if options.nodelay && NODELAY_IS_INHERITED {
        socket.set_tcp_nodelay(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into());
    let nodelay = Nodelay(options.nodelay && !NODELAY_IS_INHERITED);
    Ok(Io::TcpListener(listener, nodelay))
}

pub(super) fn connect(address: SocketAddr, options: &ConnectOptions) -> io::Result<Io> {
    let stream = match options.local_addr {
        None => TcpStream::connect(address)?,
        Some(local) => connect_from(local, address)?,
    };
    if options.nodelay {
        stream.set_nodelay(true)?;
    }
    Ok(Io::TcpStream(stream))
}

/// Starts a connection from a given address.
fn connect_from(local: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if is_connecting(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a connection was started and will complete later.
#[cfg(unix)]
fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(not(unix))]
fn is_connecting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub(super) fn bind_datagram(address: SocketAddr, options: &UdpOptions) -> io::Result<Io> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if options.reuse_address {
        socket.set_reuse_address(true)?;
    }
    if options.reuse_port {
        set_reuse_port(&socket)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(Io::UdpSocket(UdpSocket::from_std(socket.into())))
}

#[cfg(unix)]
fn set_reuse_port(socket: &RawSocket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn set_reuse_port(_: &RawSocket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system cannot share a port between loops (SO_REUSEPORT); use one thread",
    ))
}
