//! Who is at the other end of a Unix socket.

use std::io;

/// Who is at the other end of a Unix socket, as the kernel noted it when the connection was
/// made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's number.
    pub user: u32,
    /// The number of the user's group.
    pub group: u32,
    /// The process's number. It may be another's by now.
    pub process: u32,
}

impl Credentials {
    /// Those of a socket's peer.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn of_peer(socket: &socket2::Socket) -> io::Result<Credentials> {
        let peer = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Credentials {
            user: peer.uid.as_raw(),
            group: peer.gid.as_raw(),
            process: peer.pid.as_raw_nonzero().get().unsigned_abs(),
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn of_peer(_: &socket2::Socket) -> io::Result<Credentials> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system does not say by SO_PEERCRED who is at the other end of a socket",
        ))
    }
}
