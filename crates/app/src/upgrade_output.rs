//! What a connection that goes on in another protocol writes: its output, as far as the peer takes
//! it, and how long it may take.

use crate::connection::{Connection, End};
use crate::peer_deadline::{Since, time_for};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How far the output of a connection is written. All of the output is there until its last byte
/// is out, for who waits to write shows the same bytes again.
#[derive(Default)]
pub(crate) struct UpgradeOutput {
    /// How much of what is in the output is written.
    written: usize,
    /// Bytes written before, without the head that accepted.
    bytes: u64,
    blocked: Option<Blocked>,
}

/// A peer that does not read, or did.
#[derive(Clone, Copy)]
struct Blocked {
    since: Since,
    /// What it has taken since then.
    bytes: u64,
    /// When it took something last.
    moved: Since,
}

impl UpgradeOutput {
    /// What has been written of the other protocol.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that wait.
    #[cfg(feature = "websocket")]
    pub(crate) fn left(&self, connection: &Connection) -> usize {
        connection.output.len() - self.written
    }

    /// Leaves out the head, which is in the output when the other protocol begins.
    pub(crate) fn begin(&mut self, connection: &Connection) {
        self.bytes = 0_u64.wrapping_sub(connection.output.len() as u64);
    }

    /// Writes all there is; ready when the system has taken it.
    pub(crate) fn poll_write(
        &mut self,
        connection: &mut Connection,
        cx: &Context<'_>,
    ) -> Poll<Result<(), End>> {
        while self.written < connection.output.len() {
            let left = &connection.output[self.written..];
            match connection.stream.poll_write(cx, left) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(End::Broken(ErrorKind::WriteZero))),
                Poll::Ready(Ok(count)) => self.advance(count, connection),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.block(connection);
                    return Poll::Pending;
                }
            }
        }
        self.blocked = None;
        self.written = 0;
        if connection.output.capacity() > 0 {
            let output = std::mem::take(&mut connection.output);
            connection.shared().give_back_output(output);
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn advance(&mut self, count: usize, connection: &Connection) {
        self.written += count;
        self.bytes = self.bytes.wrapping_add(count as u64);
        if let Some(blocked) = &mut self.blocked {
            blocked.bytes += count as u64;
            blocked.moved = Since::now(&connection.deadline);
        }
    }

    #[cold]
    fn block(&mut self, connection: &Connection) {
        self.blocked.get_or_insert_with(|| {
            let now = Since::now(&connection.deadline);
            Blocked {
                since: now,
                bytes: 0,
                moved: now,
            }
        });
    }

    /// Tells the peer, behind all that was written, that nothing more comes; ready when that is on
    /// its way, or cannot be. To be called when all is written.
    pub(crate) fn poll_close(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Poll<()> {
        if connection.stream.poll_goodbye(cx).is_pending() {
            self.block(connection);
            return Poll::Pending;
        }
        self.blocked = None;
        // It fails when the connection is gone, which reading tells.
        let _ = connection.stream.shutdown(Shutdown::Write);
        Poll::Ready(())
    }

    /// Leaves unwritten what is not.
    #[cfg(feature = "websocket")]
    pub(crate) fn give_up(&mut self, connection: &mut Connection) {
        connection.output.clear();
        self.written = 0;
        self.blocked = None;
    }

    /// When the peer will have had its time, and how it ends then.
    pub(crate) fn due(&self, connection: &Connection) -> Option<(Instant, End)> {
        let (blocked, timeouts) = (self.blocked?, &connection.shared().timeouts);
        let (silence, timer) = (timeouts.write?, &connection.deadline);
        let rate = timeouts.write_bytes_per_second_min;
        let time: Duration = time_for(silence, blocked.bytes, rate);
        let late = blocked.moved.due_after(silence, timer);
        let slow = blocked.since.due_after(time, timer);
        let late = late.map(|due| (due, End::WriteTimeout));
        let slow = slow.map(|due| (due, End::WriteTooSlow));
        match (late, slow) {
            (Some(late), Some(slow)) if slow.0 < late.0 => Some(slow),
            (late, slow) => late.or(slow),
        }
    }
}
