//! What a task waits on, as the futures of this crate note it down, and as it is shown.

use crate::task::TaskId;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A note that a future leaves when it has to wait. Plain: nothing is looked up for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsOn {
    Timer(Instant),
    Task(TaskId),
    /// Something that has no more than a name.
    Named(&'static str),
}

/// One thing that a task waits on. It prints as `read from 127.0.0.1:9000`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// What: `read`, `write`, `accept`, `connect`, `timer`, `task`, `children`, `lock`, and so on.
    pub what: &'static str,
    /// On which of them.
    pub on: WaitTarget,
}

/// Which of the things of its kind a task waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitTarget {
    /// Nothing more is known.
    Unknown,
    /// The other end of a connection.
    Peer(SocketAddr),
    /// A listening socket.
    Listener(SocketAddr),
    /// Another task.
    Task(TaskId),
    /// A timer that will be due in this time.
    DueIn(Duration),
}

impl Wait {
    pub(crate) fn new(what: &'static str, on: WaitTarget) -> Self {
        Wait { what, on }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        match self.on {
            WaitTarget::Unknown => f.write_str(what),
            WaitTarget::Peer(peer) if what == "read" => write!(f, "read from {peer}"),
            WaitTarget::Peer(peer) => write!(f, "{what} to {peer}"),
            WaitTarget::Listener(address) => write!(f, "{what} at {address}"),
            WaitTarget::Task(id) => write!(f, "{what} {id}"),
            WaitTarget::DueIn(left) => write!(f, "{what} in {left:.3?}"),
        }
    }
}
