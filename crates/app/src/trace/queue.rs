//! The queue between those who log and the thread that writes, and the count of
//! what it could not hold.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking};
use tracing_subscriber::fmt::MakeWriter;

/// The ledger of the log that [`init`](super::init()) installed.
static INSTALLED: OnceLock<Arc<Ledger>> = OnceLock::new();

/// Lines that were logged and never reached the output: the queue was full, or
/// writing failed. They are reported in the log itself as soon as it takes lines
/// again. Zero before [`init`](super::init()).
pub fn lost_lines() -> u64 {
    INSTALLED.get().map_or(0, |ledger| ledger.lost())
}

/// Makes a ledger the one that [`lost_lines`] reads.
pub(super) fn install(ledger: Arc<Ledger>) {
    // There is one log in a process, so there is nothing that this could replace.
    let _ = INSTALLED.set(ledger);
}

/// Where every line is accounted for: offered = refused by the queue + settled
/// by the log thread (written, or lost at the output) + on the way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    offered: AtomicU64,
    settled: AtomicU64,
    /// Settled, but the output refused them.
    unwritten: AtomicU64,
    /// Lost lines that a line in the log has told of.
    reported: AtomicU64,
    /// Counts what the full queue refused.
    refused: OnceLock<ErrorCounter>,
    /// Woken whenever the log thread has nothing left to write.
    idle: (Mutex<()>, Condvar),
}

impl Ledger {
    /// Counts what the queue refuses from now on.
    pub(super) fn count_refused(&self, counter: ErrorCounter) {
        // Called once, where the queue is made.
        let _ = self.refused.set(counter);
    }

    pub(super) fn lost(&self) -> u64 {
        self.refused() + self.unwritten.load(Relaxed)
    }

    /// Lost lines that nobody has been told of.
    pub(super) fn unreported(&self) -> u64 {
        self.lost().saturating_sub(self.reported.load(Relaxed))
    }

    pub(super) fn add_reported(&self, lines: u64) {
        self.reported.fetch_add(lines, Relaxed);
    }

    pub(super) fn add_settled(&self, lines: u64) {
        self.settled.fetch_add(lines, Relaxed);
    }

    pub(super) fn add_unwritten(&self, lines: u64) {
        self.unwritten.fetch_add(lines, Relaxed);
    }

    /// Called by the log thread when all it took is settled.
    pub(super) fn tell_idle(&self) {
        let (lock, idle) = &self.idle;
        // Locked so that it cannot fall between a waiter's look and its sleep.
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        idle.notify_all();
    }

    /// Waits until no line is on the way. Returns whether that came about in time.
    pub(super) fn wait_idle(&self, timeout: Duration) -> bool {
        let (lock, idle) = &self.idle;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = idle.wait_timeout_while(guard, timeout, |()| self.on_the_way() > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn on_the_way(&self) -> u64 {
        self.offered
            .load(Relaxed)
            .saturating_sub(self.refused() + self.settled.load(Relaxed))
    }

    fn refused(&self) -> u64 {
        self.refused
            .get()
            .map_or(0, |counter| counter.dropped_lines() as u64)
    }
}

/// Puts lines into the queue; never waits.
#[derive(Clone)]
pub(super) struct QueueWriter {
    queue: NonBlocking,
    ledger: Arc<Ledger>,
}

impl QueueWriter {
    pub(super) fn new(queue: NonBlocking, ledger: Arc<Ledger>) -> Self {
        QueueWriter { queue, ledger }
    }
}

impl Write for QueueWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.ledger.offered.fetch_add(1, Relaxed);
        self.queue.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for QueueWriter {
    type Writer = QueueWriter;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}
