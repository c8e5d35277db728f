//! The two directions of a connection, apart.

use crate::net::methods::{reading, writing};
use crate::net::socket::Socket;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

/// The reading half of a borrowed stream.
pub struct ReadHalf<'a> {
    socket: &'a Socket,
}

/// The writing half of a borrowed stream.
pub struct WriteHalf<'a> {
    socket: &'a Socket,
}

/// The reading half of a stream, for a task of its own.
pub struct OwnedReadHalf {
    socket: Rc<Socket>,
}

/// The writing half of a stream, for a task of its own. Dropping it tells the peer that nothing more will be sent.
pub struct OwnedWriteHalf {
    socket: Rc<Socket>,
}

reading!(ReadHalf<'_>);
reading!(OwnedReadHalf);
writing!(WriteHalf<'_>);
writing!(OwnedWriteHalf);

/// The two halves of a socket for one task.
pub(super) fn borrowed(socket: &Socket) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf { socket }, WriteHalf { socket })
}

/// The two halves of a socket for two tasks.
pub(super) fn owned(socket: Socket) -> (OwnedReadHalf, OwnedWriteHalf) {
    let socket = Rc::new(socket);
    let read = OwnedReadHalf {
        socket: socket.clone(),
    };
    (read, OwnedWriteHalf { socket })
}

/// What all writing halves can do besides.
macro_rules! ending {
    ($half:ty) => {
        impl $half {
            /// Tells the peer that nothing more will be sent.
            ///
            /// # Errors
            /// What the operating system says, for example `NotConnected`.
            pub fn shutdown(&mut self) -> io::Result<()> {
                self.socket.shutdown(Shutdown::Write)
            }
        }
    };
}

ending!(WriteHalf<'_>);
ending!(OwnedWriteHalf);

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // The connection may be gone already; then there is nobody to tell.
        let _ = self.shutdown();
    }
}

macro_rules! debug_as_name {
    ($($half:ident $(<$lifetime:lifetime>)?),+) => {
        $(impl std::fmt::Debug for $half $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($half)).finish_non_exhaustive()
            }
        })+
    };
}

debug_as_name!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
