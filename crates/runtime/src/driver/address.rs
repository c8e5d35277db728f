//! Where sockets are reached, and what can become one.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::{fd::OwnedFd, unix::net as unix};

/// The address of a socket.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Ip(SocketAddr),
    #[cfg(unix)]
    Unix(unix::SocketAddr),
}

/// What a driver can take over.
#[derive(Debug)]
pub(crate) enum Source {
    TcpListener(std::net::TcpListener),
    UdpSocket(std::net::UdpSocket),
    #[cfg(unix)]
    UnixListener(unix::UnixListener),
    #[cfg(unix)]
    UnixStream(unix::UnixStream),
    #[cfg(unix)]
    UnixDatagram(unix::UnixDatagram),
    /// A pipe's end, or what else is read and written like one and can be waited for. `O_NONBLOCK`
    /// is set on the open file, so whoever shares that (a terminal, an inherited stdin) sees
    /// it, too. A file of a disk cannot be waited for (`PermissionDenied`).
    #[cfg(unix)]
    Descriptor(OwnedFd),
}

impl Address {
    /// The address of a socket that is known to be one of the network's.
    pub(crate) fn ip(self) -> io::Result<SocketAddr> {
        match self {
            Address::Ip(address) => Ok(address),
            #[cfg(unix)]
            Address::Unix(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The address of a socket that is known to be a Unix socket.
    #[cfg(unix)]
    pub(crate) fn unix(self) -> io::Result<unix::SocketAddr> {
        match self {
            Address::Unix(address) => Ok(address),
            Address::Ip(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

/// As system calls take it.
#[cfg(unix)]
pub(super) fn unix_to_os(address: &unix::SocketAddr) -> io::Result<socket2::SockAddr> {
    if let Some(path) = address.as_pathname() {
        return socket2::SockAddr::unix(path);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;

        if let Some(name) = address.as_abstract_name() {
            let path = [b"\0", name].concat();
            return socket2::SockAddr::unix(std::ffi::OsStr::from_bytes(&path));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "an unnamed Unix socket cannot be reached",
    ))
}
