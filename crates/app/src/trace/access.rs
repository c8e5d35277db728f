//! The access log: one line for each request.

use crate::Reason;
use std::time::Duration;

/// The target of access lines. They are ordinary events at level `info`; the
/// switch `log.access` turns them on, whatever the filter says.
pub const ACCESS_TARGET: &str = "monoloop::access";

/// Whether access lines are written. It costs one atomic load when they are not,
/// so what goes into a line is gathered only when this is true.
#[inline(always)]
pub fn access_enabled() -> bool {
    tracing::enabled!(target: ACCESS_TARGET, tracing::Level::INFO)
}

/// What one line of the access log says.
///
/// The request's id is not among it: log it inside the request's context, and the
/// line has it as every other line does.
#[derive(Debug, Clone, Copy)]
pub struct AccessLine<'a> {
    /// The method, as in `GET`; of a request that was refused, what stands in its place.
    pub method: &'a str,
    /// The path without its query, as the peer sent it; of a request that was refused, as much as
    /// has come of it.
    pub path: &'a str,
    /// The status of the response, 0 when there was none.
    pub status: u16,
    /// Bytes of the response's body; where it broke off, those that the system had taken, and a few less
    /// for what frames them.
    pub bytes: u64,
    /// From when the loop found the request to when the system had taken the last byte of the
    /// response, or the request ended otherwise: the sum of the four parts.
    pub duration: Duration,
    /// In which reason it ended.
    pub reason: Reason,
    /// From when the loop found the request to the first step of its handler.
    pub queue: Duration,
    /// In steps of its handler, middleware included.
    pub cpu: Duration,
    /// From the first step to the answer, without the steps: the handler waited for something,
    /// or was ready and other tasks had their turn.
    pub wait: Duration,
    /// From the answer on. A body that is streamed is made in it.
    pub write: Duration,
}

impl AccessLine<'_> {
    /// Logs the line.
    pub fn log(&self) {
        let AccessLine {
            method,
            path,
            status,
            bytes,
            duration,
            reason,
            queue,
            cpu,
            wait,
            write,
        } = *self;
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            target: ACCESS_TARGET,
            method,
            path,
            status,
            bytes,
            duration_us = us(duration),
            reason = reason.name(),
            queue_us = us(queue),
            cpu_us = us(cpu),
            wait_us = us(wait),
            write_us = us(write),
            "request"
        );
    }
}
