//! The kinds of sockets that a driver for readiness has, and what each can do. Every call
//! returns at once.

#[cfg(unix)]
use crate::driver::address::unix_to_os;
use crate::driver::{Address, Source};
use mio::net::{TcpListener, TcpStream, UdpSocket};
#[cfg(unix)]
use mio::net::{UnixDatagram, UnixListener, UnixStream};
use socket2::SockRef;
#[cfg(unix)]
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

pub(in crate::driver) enum Io {
    TcpStream(TcpStream),
    TcpListener(TcpListener, Nodelay),
    UdpSocket(UdpSocket),
    #[cfg(unix)]
    UnixStream(UnixStream),
    #[cfg(unix)]
    UnixListener(UnixListener),
    #[cfg(unix)]
    UnixDatagram(UnixDatagram),
    /// A pipe's end, a terminal, or what else is read and written like them.
    #[cfg(unix)]
    File(File),
}

/// Whether what a listener accepts has to be told `TCP_NODELAY`.
#[derive(Clone, Copy)]
pub(in crate::driver) struct Nodelay(pub(super) bool);

impl Io {
    /// Makes what somebody else has opened return at once from now on.
    pub(super) fn adopt(source: Source) -> io::Result<Io> {
        Ok(match source {
            Source::TcpListener(listener) => {
                listener.set_nonblocking(true)?;
                Io::TcpListener(TcpListener::from_std(listener), Nodelay(true))
            }
            Source::UdpSocket(socket) => {
                socket.set_nonblocking(true)?;
                Io::UdpSocket(UdpSocket::from_std(socket))
            }
            #[cfg(unix)]
            Source::UnixListener(listener) => {
                listener.set_nonblocking(true)?;
                Io::UnixListener(UnixListener::from_std(listener))
            }
            #[cfg(unix)]
            Source::UnixStream(stream) => {
                stream.set_nonblocking(true)?;
                Io::UnixStream(UnixStream::from_std(stream))
            }
            #[cfg(unix)]
            Source::UnixDatagram(socket) => {
                socket.set_nonblocking(true)?;
                Io::UnixDatagram(UnixDatagram::from_std(socket))
            }
            #[cfg(unix)]
            Source::Descriptor(descriptor) => {
                rustix::io::ioctl_fionbio(&descriptor, true)?;
                Io::File(descriptor.into())
            }
        })
    }

    /// Whether bytes come as a stream, so that a receive which does not fill its buffer has
    /// taken all there is.
    pub(super) fn is_stream(&self) -> bool {
        match self {
            Io::TcpStream(_) | Io::TcpListener(..) => true,
            #[cfg(unix)]
            Io::UnixStream(_) | Io::UnixListener(_) => true,
            Io::UdpSocket(_) => false,
            // A terminal gives a line at a time.
            #[cfg(unix)]
            Io::UnixDatagram(_) | Io::File(_) => false,
        }
    }

    /// What a task does that waits for something to come, for those who look.
    pub(super) fn name_of_reading(&self) -> &'static str {
        match self {
            Io::TcpListener(..) => "accept",
            #[cfg(unix)]
            Io::UnixListener(_) => "accept",
            Io::TcpStream(_) => "read",
            #[cfg(unix)]
            Io::UnixStream(_) | Io::File(_) => "read",
            Io::UdpSocket(_) => "receive",
            #[cfg(unix)]
            Io::UnixDatagram(_) => "receive",
        }
    }

    /// What a task does that waits for room.
    pub(super) fn name_of_writing(&self) -> &'static str {
        match self {
            // Only one that is connected has a peer.
            Io::TcpStream(stream) if stream.peer_addr().is_err() => "connect",
            Io::UdpSocket(_) => "send",
            #[cfg(unix)]
            Io::UnixDatagram(_) => "send",
            _ => "write",
        }
    }

    /// Reads what there is. What most sockets are is asked first, and here; the others cost it
    /// nothing.
    #[inline(always)]
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Io::TcpStream(stream) => retry(|| receive(stream, buffer)),
            other => other.read_rarer(buffer),
        }
    }

    #[cold]
    fn read_rarer(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Io::UdpSocket(socket) => retry(|| socket.recv(buffer)),
            #[cfg(unix)]
            Io::UnixStream(stream) => retry(|| (&*stream).read(buffer)),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => retry(|| socket.recv(buffer)),
            #[cfg(unix)]
            Io::File(file) => retry(|| (&*file).read(buffer)),
            _ => Err(wrong_kind()),
        }
    }

    /// Writes what fits; see [`read`](Io::read).
    #[inline(always)]
    pub(super) fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Io::TcpStream(stream) => match buffers {
                [one] => retry(|| send(stream, one)),
                many => write_to(stream, many),
            },
            other => other.write_rarer(buffers),
        }
    }

    #[cold]
    fn write_rarer(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Io::UnixStream(stream) => write_to(stream, buffers),
            #[cfg(unix)]
            Io::File(file) => write_to(file, buffers),
            Io::UdpSocket(socket) => retry(|| SockRef::from(socket).send_vectored(buffers)),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => retry(|| SockRef::from(socket).send_vectored(buffers)),
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn read_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Address)> {
        match self {
            Io::UdpSocket(socket) => {
                let (count, from) = retry(|| socket.recv_from(buffer))?;
                Ok((count, Address::Ip(from)))
            }
            #[cfg(unix)]
            Io::UnixDatagram(socket) => {
                let (count, from) = retry(|| socket.recv_from(buffer))?;
                Ok((count, Address::Unix(from)))
            }
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Address)> {
        match self {
            Io::UdpSocket(socket) => {
                let (count, from) = retry(|| socket.peek_from(buffer))?;
                Ok((count, Address::Ip(from)))
            }
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn write_to(&self, bytes: &[u8], to: &Address) -> io::Result<usize> {
        match (self, to) {
            (Io::UdpSocket(socket), Address::Ip(to)) => retry(|| socket.send_to(bytes, *to)),
            #[cfg(unix)]
            (Io::UnixDatagram(socket), Address::Unix(to)) => {
                let to = unix_to_os(to)?;
                retry(|| SockRef::from(socket).send_to(bytes, &to))
            }
            _ => Err(wrong_kind()),
        }
    }

    /// Sets where a datagram socket sends to, and the only one it receives from.
    pub(super) fn connect(&self, peer: &Address) -> io::Result<()> {
        match (self, peer) {
            (Io::UdpSocket(socket), Address::Ip(peer)) => socket.connect(*peer),
            #[cfg(unix)]
            (Io::UnixDatagram(socket), Address::Unix(peer)) => {
                SockRef::from(socket).connect(&unix_to_os(peer)?)
            }
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Io, Address)> {
        match self {
            Io::TcpListener(listener, nodelay) => {
                let (stream, peer) = retry(|| listener.accept())?;
                if nodelay.0 {
                    // Only slower without it; the connection is good.
                    let _ = stream.set_nodelay(true);
                }
                Ok((Io::TcpStream(stream), Address::Ip(peer)))
            }
            #[cfg(unix)]
            Io::UnixListener(listener) => {
                let (stream, peer) = retry(|| listener.accept())?;
                Ok((Io::UnixStream(stream), Address::Unix(peer)))
            }
            _ => Err(wrong_kind()),
        }
    }

    /// What became of connecting; `WouldBlock` while nothing did.
    pub(super) fn connected(&self) -> io::Result<()> {
        let Io::TcpStream(stream) = self else {
            return Err(wrong_kind());
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Io::TcpStream(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Io::UnixStream(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => socket.shutdown(how),
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<Address> {
        match self {
            Io::TcpStream(stream) => stream.local_addr().map(Address::Ip),
            Io::TcpListener(listener, _) => listener.local_addr().map(Address::Ip),
            Io::UdpSocket(socket) => socket.local_addr().map(Address::Ip),
            #[cfg(unix)]
            Io::UnixStream(stream) => stream.local_addr().map(Address::Unix),
            #[cfg(unix)]
            Io::UnixListener(listener) => listener.local_addr().map(Address::Unix),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => socket.local_addr().map(Address::Unix),
            #[cfg(unix)]
            Io::File(_) => Err(wrong_kind()),
        }
    }

    pub(super) fn peer_addr(&self) -> io::Result<Address> {
        match self {
            Io::TcpStream(stream) => stream.peer_addr().map(Address::Ip),
            Io::UdpSocket(socket) => socket.peer_addr().map(Address::Ip),
            #[cfg(unix)]
            Io::UnixStream(stream) => stream.peer_addr().map(Address::Unix),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => socket.peer_addr().map(Address::Unix),
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Io::TcpStream(stream) => stream.set_nodelay(nodelay),
            _ => Err(wrong_kind()),
        }
    }

    pub(super) fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        match self {
            Io::TcpStream(stream) => SockRef::from(stream).set_linger(linger),
            _ => Err(wrong_kind()),
        }
    }

    /// The socket, for its options.
    pub(super) fn os_socket(&self) -> io::Result<SockRef<'_>> {
        match self {
            Io::TcpStream(stream) => Ok(stream.into()),
            Io::TcpListener(listener, _) => Ok(listener.into()),
            Io::UdpSocket(socket) => Ok(socket.into()),
            #[cfg(unix)]
            Io::UnixStream(stream) => Ok(stream.into()),
            #[cfg(unix)]
            Io::UnixListener(listener) => Ok(listener.into()),
            #[cfg(unix)]
            Io::UnixDatagram(socket) => Ok(socket.into()),
            #[cfg(unix)]
            Io::File(_) => Err(wrong_kind()),
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Io {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Io::TcpStream(stream) => stream.as_fd(),
            Io::TcpListener(listener, _) => listener.as_fd(),
            Io::UdpSocket(socket) => socket.as_fd(),
            Io::UnixStream(stream) => stream.as_fd(),
            Io::UnixListener(listener) => listener.as_fd(),
            Io::UnixDatagram(socket) => socket.as_fd(),
            Io::File(file) => file.as_fd(),
        }
    }
}

#[inline]
fn write_to<W>(mut stream: &W, buffers: &[IoSlice<'_>]) -> io::Result<usize>
where
    for<'a> &'a W: Write,
{
    match buffers {
        [one] => retry(|| stream.write(one)),
        many => retry(|| stream.write_vectored(many)),
    }
}

/// Repeats a call that a signal interrupted.
#[inline]
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn wrong_kind() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}

/// Asks the kernel without the detour through the C library, whose calls are points where a thread
/// may be cancelled: two atomic operations each, as soon as the process has a second thread.
#[cfg(target_os = "linux")]
#[inline]
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(stream, buffer, rustix::net::RecvFlags::empty())?;
    Ok(count)
}

#[cfg(target_os = "linux")]
#[inline]
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    // A connection that is broken is an error of this call, not a signal to the process.
    let flags = rustix::net::SendFlags::NOSIGNAL;
    Ok(rustix::net::send(stream, bytes, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.read(buffer)
}

#[cfg(not(target_os = "linux"))]
fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}
