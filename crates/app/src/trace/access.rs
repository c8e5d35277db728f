//! The access log: one line for each request.

use std::time::Duration;

/// The target of access lines. They are ordinary events at level `info`; the
/// switch `log.access` turns them on, whatever the filter says.
pub const ACCESS_TARGET: &str = "monoloop::access";

/// Whether access lines are written. It costs one atomic load when they are not,
/// so what goes into a line is gathered only when this is true.
#[inline]
pub fn access_enabled() -> bool {
    tracing::enabled!(target: ACCESS_TARGET, tracing::Level::INFO)
}

/// What one line of the access log says.
///
/// The request's id is not among it: log it inside the request's context, and the
/// line has it as every other line does.
#[derive(Debug, Clone, Copy)]
pub struct AccessLine<'a> {
    /// The method, as in `GET`.
    pub method: &'a str,
    /// The path without its query, as the peer sent it.
    pub path: &'a str,
    /// The status of the response.
    pub status: u16,
    /// Bytes of the response's body.
    pub bytes: u64,
    /// From the request's first byte to the response's last.
    pub duration: Duration,
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
        } = *self;
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(target: ACCESS_TARGET, method, path, status, bytes, duration_us, "request");
    }
}
