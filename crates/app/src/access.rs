//! What the access log has to remember of a request.

use crate::trace::{AccessLine, access_enabled};
use http::{Method, StatusCode};
use monoloop_proto::http1::RequestHead;
use monoloop_runtime::time;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct AccessRecord {
    method: Method,
    path: String,
}

impl AccessRecord {
    /// Nothing when the access log is off.
    #[inline]
    pub(crate) fn begin(head: &RequestHead) -> Option<Self> {
        access_enabled().then(|| AccessRecord {
            method: head.method().clone(),
            path: head.path().to_owned(),
        })
    }

    pub(crate) fn log(&self, status: StatusCode, bytes: u64, received_at: Instant) {
        AccessLine {
            method: self.method.as_str(),
            path: &self.path,
            status: status.as_u16(),
            bytes,
            duration: time::now_precise().saturating_duration_since(received_at),
        }
        .log();
    }
}
