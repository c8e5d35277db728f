//! The pipes to and from a child.

use crate::driver::Source;
use crate::net::Socket;
use crate::net::methods::{reading, writing};
use crate::runtime::current;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

/// One end of a pipe, waited for by the loop. The child's end is another open file: that ours
/// returns at once changes nothing for it.
fn adopt(end: OwnedFd) -> io::Result<Socket> {
    let core = current();
    let id = core.driver.borrow_mut().adopt(Source::Descriptor(end))?;
    Ok(Socket::new(core, id))
}

/// The standard input of a child. Dropping it is the input's end.
pub struct ChildStdin {
    socket: Socket,
}

/// The standard output of a child.
pub struct ChildStdout {
    socket: Socket,
}

/// The standard error output of a child.
pub struct ChildStderr {
    socket: Socket,
}

writing!(ChildStdin);
reading!(ChildStdout);
reading!(ChildStderr);

macro_rules! opening {
    ($($pipe:ident),+) => {
        $(impl $pipe {
            pub(super) fn open(end: impl Into<OwnedFd>) -> io::Result<Self> {
                Ok($pipe {
                    socket: adopt(end.into())?,
                })
            }
        })+
    };
}

opening!(ChildStdin, ChildStdout, ChildStderr);

macro_rules! debug_as_name {
    ($($pipe:ident),+) => {
        $(impl fmt::Debug for $pipe {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($pipe)).finish_non_exhaustive()
            }
        })+
    };
}

debug_as_name!(ChildStdin, ChildStdout, ChildStderr);
