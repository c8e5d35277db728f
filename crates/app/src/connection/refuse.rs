//! Telling a peer what was wrong with what it sent.

use super::Connection;
use crate::ledger::Reason;
use crate::reply::push_whole_response;
use crate::request_log::Record;
use crate::trace::access_enabled;
use crate::{RequestId, Response};
use http::StatusCode;
use monoloop_proto::http1::RecvError;
use monoloop_runtime::time;
use std::fmt;

impl Connection {
    /// Answers a fault of the peer's, where there still is something to be answered.
    pub(super) fn push_answer_to(&mut self, error: &RecvError, id: &RequestId) {
        if let Some(status) = error.status()
            && self.protocol.awaits_head()
        {
            self.push_refusal(status, error, error.remedy(), error.into(), id);
        }
    }

    /// Tells what was wrong and what to do about it, in words of our own: nothing that was received
    /// is among them.
    #[cold]
    pub(super) fn push_refusal(
        &mut self,
        status: StatusCode,
        reason: &dyn fmt::Display,
        remedy: &str,
        because: Reason,
        id: &RequestId,
    ) {
        if access_enabled() && self.shared().is_watched.get() {
            let line = self.account.watched().line.take();
            let answered = self.account.record(|record| record.answer(status));
            if answered.is_none() {
                let record = Record::refused(id.clone(), line, status);
                self.account.watch(record);
            }
        }
        self.account.refuse_request(because);
        let response = Response::text(format!("{reason}; {remedy}\n")).with_status(status);
        tracing::debug!(request_id = %id, peer = %self.peer, %status, %reason, "refused");
        // Whatever it says, the connection closes: nothing more can be understood of it.
        let _ = push_whole_response(self, &response, id, time::now());
    }
}
