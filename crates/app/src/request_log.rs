//! What is remembered of a request where somebody wants to know: for the access log, and for
//! `Server-Timing`.

use crate::trace::{AccessLine, access_enabled};
use crate::{REQUEST_ID, Reason, RequestId};
use http::{HeaderValue, Method, StatusCode};
use monoloop_proto::http1::RequestHead;
use monoloop_runtime::time;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Bytes that are kept of a request line that was refused: enough to know it again.
const REFUSED_LINE_BYTES_MAX: usize = 256;

/// The requests of one connection that leave a line when they end.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    /// The one that runs.
    pub(crate) running: Option<Record>,
    /// Those that are answered, the answers not written.
    pub(crate) unwritten: Vec<Record>,
    /// How long it took to write the last answer that was.
    last_write: Option<Duration>,
    /// Bytes of the output that the system has not taken, when it was last asked in vain.
    pub(crate) untaken: u64,
    /// The line of a request whose head is not whole.
    pub(crate) line: Option<RequestLine>,
}

/// The beginning of a request line that is not known to be one.
#[derive(Debug)]
pub(crate) struct RequestLine {
    method: String,
    path: String,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Record {
    id: RequestId,
    method: Method,
    path: String,
    /// The method, where it is not one.
    refused: Option<String>,
    status: Option<StatusCode>,
    /// Of the body, as far as it is in the output.
    pub(crate) bytes: u64,
    received_at: Instant,
    /// When its handler took its first step.
    first_step_at: Instant,
    /// The time in steps of its handler.
    cpu: Duration,
    /// When its handler had answered.
    answered_at: Option<Instant>,
}

impl RequestLog {
    /// The request that runs, if one does, waits for its answer to be written.
    #[cold]
    pub(crate) fn answer_is_whole(&mut self) {
        self.unwritten.extend(self.running.take());
    }

    /// Logs the requests whose answers are written, or will not be.
    #[cold]
    pub(crate) fn end_unwritten(&mut self, reason: Reason) {
        if !self.unwritten.is_empty() {
            let now = time::now_precise();
            for record in self.unwritten.drain(..) {
                self.last_write = Some(record.write(now));
                record.log(reason, now);
            }
        }
    }

    /// The answers break off here: what the system has not taken was not sent. Heads and the frames of
    /// chunks are taken for body, so that it is never told too much.
    pub(crate) fn take_back_untaken(&mut self) {
        for record in self.unwritten.iter_mut().rev() {
            let taken_back = record.bytes.min(self.untaken);
            record.bytes -= taken_back;
            self.untaken -= taken_back;
        }
    }

    /// The value of `Server-Timing` (W3C) of the answer to the request that runs; durations are
    /// milliseconds.
    ///
    /// How long it takes to write an answer is not known when its head is made. What is told is
    /// that of the answer before it on the connection, if there was one, and that it is that.
    pub(crate) fn server_timing(&self) -> Option<HeaderValue> {
        let mut value = self.running.as_ref()?.server_timing();
        if let Some(write) = self.last_write {
            let written = write!(value, ", write;desc=\"previous\";dur={:.3}", ms(write));
            written.expect("a string takes all text");
        }
        let value = HeaderValue::try_from(value);
        Some(value.expect("letters, digits and marks can stand in a field"))
    }
}

impl Record {
    /// A request whose handler is about to take its first step.
    pub(crate) fn begin(id: RequestId, head: &RequestHead, received_at: Instant) -> Self {
        Record {
            id,
            method: head.method().clone(),
            path: head.path().to_owned(),
            refused: None,
            status: None,
            bytes: 0,
            received_at,
            first_step_at: time::now_precise(),
            cpu: Duration::ZERO,
            answered_at: None,
        }
    }

    /// What is answered without a handler.
    pub(crate) fn refused(id: RequestId, line: Option<RequestLine>, status: StatusCode) -> Self {
        let line = line.unwrap_or(RequestLine {
            method: String::new(),
            path: String::new(),
        });
        let now = time::now_precise();
        Record {
            id,
            method: Method::GET,
            path: line.path,
            refused: Some(line.method),
            status: Some(status),
            bytes: 0,
            received_at: time::now(),
            first_step_at: now,
            cpu: Duration::ZERO,
            answered_at: Some(now),
        }
    }

    /// Measures a step of the handler.
    pub(crate) fn end_step(&mut self, began_at: Instant) {
        self.cpu += time::now_precise().saturating_duration_since(began_at);
    }

    /// The first step has ended.
    pub(crate) fn end_first_step(&mut self) {
        self.end_step(self.first_step_at);
    }

    /// There is an answer.
    pub(crate) fn answer(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.answered_at.get_or_insert_with(time::now_precise);
    }

    fn queue(&self) -> Duration {
        self.first_step_at
            .saturating_duration_since(self.received_at)
    }

    fn wait(&self, answered_at: Instant) -> Duration {
        let all = answered_at.saturating_duration_since(self.first_step_at);
        all.saturating_sub(self.cpu)
    }

    fn write(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.answered_at.unwrap_or(now))
    }

    fn server_timing(&self) -> String {
        let wait = self.wait(self.answered_at.unwrap_or_else(time::now_precise));
        let (queue, cpu, wait) = (ms(self.queue()), ms(self.cpu), ms(wait));
        format!("queue;dur={queue:.3}, cpu;dur={cpu:.3}, wait;dur={wait:.3}")
    }

    pub(crate) fn log(self, reason: Reason, now: Instant) {
        // It may be here for `Server-Timing` alone.
        if !access_enabled() {
            return;
        }
        let answered_at = self.answered_at.unwrap_or(now);
        let line = AccessLine {
            method: self.refused.as_deref().unwrap_or(self.method.as_str()),
            path: &self.path,
            status: self.status.map_or(0, |status| status.as_u16()),
            bytes: self.bytes,
            duration: now.saturating_duration_since(self.received_at),
            reason,
            queue: self.queue(),
            cpu: self.cpu,
            wait: self.wait(answered_at),
            write: self.write(now),
        };
        REQUEST_ID.sync_scope(self.id, || line.log());
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl RequestLine {
    /// As much as can be understood of the beginning of a head; `None` when that is nothing.
    pub(crate) fn of(head: &[u8]) -> Option<RequestLine> {
        let start = head.iter().position(|byte| !b"\r\n".contains(byte))?;
        let head = &head[start..];
        let end = head.iter().position(|byte| b"\r\n".contains(byte));
        let end = end.unwrap_or(head.len()).min(REFUSED_LINE_BYTES_MAX);
        let line = String::from_utf8_lossy(&head[..end]);
        let (method, target) = line.split_once(' ').unwrap_or((&line, ""));
        // What comes behind the target, and a query: it may hold secrets.
        let path = target.split([' ', '?']).next().unwrap_or_default();
        Some(RequestLine {
            method: method.to_owned(),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_is_refused_as_much_is_kept_as_can_be_understood() {
        let of = |head: &[u8]| RequestLine::of(head).map(|line| (line.method, line.path));
        let line = |method: &str, path: &str| Some((method.to_owned(), path.to_owned()));
        assert_eq!(of(b"\r\nGET /a?b HTTP/1.1\r\nHost"), line("GET", "/a"));
        assert_eq!(of(b"GET /half"), line("GET", "/half"));
        assert_eq!(of(b"\x16\x03\x01\xff"), line("\x16\x03\x01\u{fffd}", ""));
        assert_eq!(of(b"\r\n"), None);
        let long = [b"GET /", &[b'x'; 9000][..]].concat();
        let (_, path) = of(&long).expect("something has come");
        assert_eq!(path.len(), REFUSED_LINE_BYTES_MAX - 4);
    }
}
