//! Sockets of one machine, reached by a path or, on Linux, by an abstract name.
//!
//! A path is a file that stays when its socket is closed: nothing here removes it, since it may
//! be another's by then. Whoever binds at a path removes the stale file before, when it knows
//! that no other process listens there; `AddrInUse` is what a file of any kind gives.

mod datagram;
mod listener;
mod stream;

pub use crate::driver::Credentials;
pub use datagram::{UnixDatagram, UnixDatagramReceiver, UnixDatagramSender};
pub use listener::UnixListener;
pub use stream::UnixStream;

use crate::time::sleep;
use std::io;
use std::time::Duration;

/// How long is waited between two tries of what the kernel refuses for now and never reports:
/// the shortest delay of a timer, doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Tries again, later and later, as long as the kernel says `WouldBlock`.
async fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut pause = PAUSE_MIN;
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = PAUSE_MAX.min(pause * 2);
            }
            outcome => return outcome,
        }
    }
}
