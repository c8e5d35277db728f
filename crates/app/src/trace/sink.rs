//! The end of the log thread: gathers lines, writes them, and lives on when the
//! output does not.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use super::queue::Ledger;

/// Bytes gathered before they are written although more lines are queued.
const BATCH_BYTES: usize = 64 * 1024;

/// How long to wait when an output that somebody else made non-blocking (a
/// terminal shared with another program) takes nothing.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// Makes the line that tells how many lines were lost.
pub(super) type LossLine = fn(lost: u64) -> String;

/// What the log thread writes to. It never fails, so the thread never ends early: a
/// full disk or a reader that went away costs lines, and the lines are counted.
pub(super) struct Sink<W> {
    output: W,
    /// Whole lines that are not written yet.
    batch: Vec<u8>,
    batch_lines: u64,
    /// Whether the last thing written is only the beginning of a line.
    within_line: bool,
    ledger: Arc<Ledger>,
    loss_line: LossLine,
    /// Called at the first failure, and then no more.
    alarm: Option<Alarm>,
}

/// Tells somebody else than the log that the log fails.
pub(super) type Alarm = Box<dyn FnOnce(&io::Error) + Send>;

impl<W: Write> Sink<W> {
    pub(super) fn new(
        output: W,
        ledger: Arc<Ledger>,
        loss_line: LossLine,
        alarm: Option<Alarm>,
    ) -> Self {
        let batch = Vec::with_capacity(BATCH_BYTES);
        Sink {
            output,
            batch,
            batch_lines: 0,
            within_line: false,
            ledger,
            loss_line,
            alarm,
        }
    }

    fn write_batch(&mut self) {
        self.report_loss();
        let batch = std::mem::take(&mut self.batch);
        let written = self.put(&batch);
        // A line that was cut off is lost too.
        let lost = batch[written..]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.ledger.add_unwritten(lost as u64);
        self.ledger
            .add_settled(std::mem::take(&mut self.batch_lines));
        self.batch = batch;
        self.batch.clear();
    }

    /// Says in the log that lines are missing. What cannot be said now is said
    /// later.
    fn report_loss(&mut self) {
        let lost = self.ledger.unreported();
        if lost == 0 {
            return;
        }
        let mut line = (self.loss_line)(lost);
        if self.within_line {
            line.insert(0, '\n');
        }
        if self.put(line.as_bytes()) == line.len() {
            self.ledger.add_reported(lost);
        }
    }

    /// Writes as much as the output takes and returns how much that was.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.output.write(&bytes[written..]) {
                Ok(0) => return self.fail(written, bytes, &ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::park_timeout(RETRY_AFTER);
                }
                Err(error) => return self.fail(written, bytes, &error),
            }
        }
        if written > 0 {
            self.within_line = false;
        }
        written
    }

    fn fail(&mut self, written: usize, bytes: &[u8], error: &io::Error) -> usize {
        if let Some(last) = bytes[..written].last() {
            self.within_line = *last != b'\n';
        }
        if let Some(alarm) = self.alarm.take() {
            alarm(error);
        }
        written
    }
}

/// What the log thread calls: one line at a time, and a flush when no more are
/// queued.
impl<W: Write> Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.batch.len() + line.len() > BATCH_BYTES {
            self.write_batch();
        }
        self.batch.extend_from_slice(line);
        self.batch_lines += 1;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_batch();
        // What was refused while the batch was written need not wait for a next.
        self.report_loss();
        // Outputs here do not buffer, or buffer lines, and a batch ends with one.
        let _ = self.output.flush();
        self.ledger.tell_idle();
        Ok(())
    }
}
