//! What is written down of a request once there is an answer, and what becomes of its body.

use super::About;
use crate::body::BodyFeed;
use crate::connection::Connection;
use crate::{BodyError, Reason};
use http::StatusCode;
use monoloop_proto::http1::AfterResponse;
use monoloop_runtime::time;

impl About {
    /// Writes down how it was answered.
    #[inline(always)]
    pub(super) fn settle(&self, connection: &mut Connection, status: StatusCode, bytes: u64) {
        if self.is_watched || connection.shared().book.routes.is_some() {
            self.settle_watched(connection, status, bytes);
        }
    }

    #[cold]
    fn settle_watched(&self, connection: &mut Connection, status: StatusCode, bytes: u64) {
        connection.account.record(|record| record.bytes = bytes);
        if let Some(routes) = &connection.shared().book.routes {
            let took = time::now_precise().saturating_duration_since(self.received_at);
            routes.count(self.route, status, took);
        }
    }
}

/// The answer to a request is in the output.
#[inline]
pub(super) fn end_request(
    connection: &mut Connection,
    feed: Option<&BodyFeed>,
    reason: Reason,
    after: AfterResponse,
) {
    match feed {
        None if reason == Reason::Ok => connection.account.answer_is_whole(),
        _ => end_request_with_care(connection, feed, reason, after),
    }
}

/// A request whose body did not come to its end has not either, whatever its handler has made of
/// it.
#[cold]
fn end_request_with_care(
    connection: &mut Connection,
    feed: Option<&BodyFeed>,
    reason: Reason,
    after: AfterResponse,
) {
    let of_body = feed.and_then(BodyFeed::ended).and_then(Result::err);
    let of_body = of_body.map_or(Reason::Ok, |error| Reason::from(&error));
    match [reason, of_body].into_iter().find(|it| *it != Reason::Ok) {
        None => connection.account.answer_is_whole(),
        Some(reason) => {
            let closes = after == AfterResponse::Close;
            connection.account.end_request(reason, closes);
        }
    }
}

/// Nobody will read the rest of the request's body.
pub(super) fn abandon_body(connection: &mut Connection, feed: Option<&BodyFeed>) {
    let Some(feed) = feed else { return };
    match feed.ended() {
        Some(Ok(())) => return,
        // Where the next request would begin is not known, or will not be known in time.
        Some(Err(_)) => connection.protocol.close_after_response(),
        None => {
            feed.end(Err(BodyError::Abandoned));
            connection.protocol.abandon_body();
        }
    }
    connection.peer_is_sending = true;
}
