//! Writing to a peer that may not read.

use super::{Connection, End, deadline_in};
use crate::peer_deadline::{Passed, PeerDeadline, Since, time_for};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll, ready};
use std::time::Duration;

impl Connection {
    /// Writes all that is there to be written.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut written = Written::default();
        poll_fn(|cx| self.poll_flush(cx, &mut written)).await?;
        if written.blocked.is_some() {
            self.account.set_untaken(0);
            // The deadline was the write's; what comes next gets its own again.
            self.is_timed = false;
        }
        Ok(())
    }

    #[inline]
    fn poll_flush(&mut self, cx: &Context<'_>, written: &mut Written) -> Poll<Result<(), End>> {
        let before = written.bytes;
        while written.bytes < self.output.len() {
            match self.stream.poll_write(cx, &self.output[written.bytes..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(End::Broken(ErrorKind::WriteZero))),
                Poll::Ready(Ok(count)) => written.bytes += count,
                Poll::Ready(Err(error)) => {
                    self.account.set_untaken(self.output.len() - written.bytes);
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Pending => {
                    self.account.set_untaken(self.output.len() - written.bytes);
                    let has_moved = written.bytes > before;
                    return self.poll_reader(cx, written, has_moved).map(Err);
                }
            }
        }
        self.account.written();
        let output = std::mem::take(&mut self.output);
        self.shared().give_back_output(output);
        Poll::Ready(Ok(()))
    }

    /// Waits for a peer that does not read: how long it may take nothing, and how little it may take
    /// in how much time.
    #[cold]
    fn poll_reader(
        &mut self,
        cx: &Context<'_>,
        written: &mut Written,
        has_moved: bool,
    ) -> Poll<End> {
        let timer = &mut self.deadline;
        let timeouts = &self.place.shared.timeouts;
        let since_max = |bytes: usize| match timeouts.write {
            Some(silence) => time_for(silence, bytes as u64, timeouts.write_bytes_per_second_min),
            None => Duration::MAX,
        };
        let blocked = written.blocked.get_or_insert_with(|| Blocked {
            since: Since::now(timer),
            bytes_before: written.bytes,
            silence: PeerDeadline::at(deadline_in(timeouts.write), timer),
            is_slow: false,
        });
        if has_moved {
            // The time without progress counts from the last byte that went out.
            let bytes = written.bytes - blocked.bytes_before;
            let left = since_max(bytes).saturating_sub(blocked.since.elapsed(timer));
            blocked.is_slow = timeouts.write.is_some_and(|silence| left < silence);
            let wait = match blocked.is_slow {
                true => Some(left),
                false => timeouts.write,
            };
            blocked.silence = PeerDeadline::at(deadline_in(wait), timer);
        }
        loop {
            match ready!(blocked.silence.poll_passed(timer, cx)) {
                Passed::Later => {}
                Passed::Over if blocked.is_slow => return Poll::Ready(End::WriteTooSlow),
                Passed::Over => return Poll::Ready(End::WriteTimeout),
            }
        }
    }

    /// Writes what goes out at once; whether the connection is still good.
    pub(crate) fn flush_now(&mut self, cx: &Context<'_>) -> bool {
        while !self.output.is_empty() {
            match self.stream.poll_write(cx, &self.output) {
                Poll::Ready(Ok(count)) if count > 0 => drop(self.output.drain(..count)),
                Poll::Ready(_) => return false,
                Poll::Pending => return true,
            }
        }
        self.account.written();
        true
    }
}

/// How far a flush has come.
#[derive(Default)]
struct Written {
    bytes: usize,
    blocked: Option<Blocked>,
}

/// A flush that waits for a peer which does not read, or did.
struct Blocked {
    since: Since,
    /// What had gone out by then.
    bytes_before: usize,
    silence: PeerDeadline,
    /// Whether it is the rate that ends it.
    is_slow: bool,
}
