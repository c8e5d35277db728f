//! Sending the answer to a request.

use super::About;
use super::settling::{abandon_body, end_request};
use crate::body::BodyFeed;
use crate::body_pump::BodyPump;
use crate::connection::{Connection, End};
use crate::reply::{push_fault, push_head, push_whole_response};
use crate::response::{BodyStream, ResponseBody};
use crate::sending::{break_off, send_bytes, send_stream};
use crate::{REQUEST_ID, Reason, Response};
use bytes::Bytes;
use http::{HeaderName, StatusCode};
use monoloop_proto::http1::{AfterResponse, ResponseLength};
use monoloop_runtime::{give_up, time};
use std::mem;
use std::time::Instant;

/// A response larger than this is sent in pieces, so that a peer that does not read holds no
/// second copy of it.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl About {
    #[inline]
    pub(super) fn answer_whole(
        self,
        connection: &mut Connection,
        feed: Option<&BodyFeed>,
        response: &mut Response,
        now: Instant,
    ) -> AfterResponse {
        abandon_body(connection, feed);
        if self.is_watched {
            About::note_answer(connection, response);
        }
        let after = push_whole_response(connection, response, &self.id, now);
        self.settle(connection, response.status, response.bytes_known());
        end_request(connection, feed, response.reason, after);
        after
    }

    pub(super) async fn answer_in_pieces(
        self,
        connection: &mut Connection,
        feed: Option<&BodyFeed>,
        mut response: Response,
    ) -> Result<AfterResponse, End> {
        if response.is_short() {
            let now = time::now();
            return Ok(self.answer_whole(connection, feed, &mut response, now));
        }
        if self.is_watched {
            About::note_answer(connection, &mut response);
        }
        let length = match &response.body {
            ResponseBody::Bytes(body) => ResponseLength::Sized(body.len() as u64),
            ResponseBody::Stream(_) | ResponseBody::Events(_) => ResponseLength::Chunked,
            ResponseBody::Sized(length, _) => ResponseLength::Sized(*length),
            ResponseBody::Upgrade(_) => return self.upgrade(connection, response).await,
        };
        let is_stream = !matches!(response.body, ResponseBody::Bytes(_));
        if is_stream && feed.is_some_and(BodyFeed::is_held) {
            // The stream may be made of it. Whoever waits for 100 Continue would not send it
            // once the response has begun.
            let asked = connection.protocol.send_continue(&mut connection.output);
            asked.expect("the head of the response was not sent yet");
        } else {
            abandon_body(connection, feed);
        }
        if let Err(error) = push_head(connection, &response, length, &self.id, time::now()) {
            abandon_body(connection, feed);
            let after = push_fault(connection, error, &self.id);
            self.settle(connection, StatusCode::INTERNAL_SERVER_ERROR, 0);
            end_request(connection, feed, response.reason, after);
            return Ok(after);
        }
        let (status, reason) = (response.status, response.reason);
        let ends_by_close = connection.protocol.is_ended_by_close();
        if ends_by_close {
            connection.set_close_breaks(true);
        }
        let sent = match response.body {
            // What its head tells is all that is told about it.
            _ if self.is_head || has_no_body(status) => Ok(0),
            ResponseBody::Bytes(body) => send_bytes(connection, &body).await,
            ResponseBody::Stream(stream) | ResponseBody::Sized(_, stream) => {
                self.send_stream(connection, stream, feed).await
            }
            ResponseBody::Events(events) => {
                let stream = events.until_drain(&connection.place.shared);
                self.send_stream(connection, stream, feed).await
            }
            ResponseBody::Upgrade(_) => unreachable!("it was taken care of above"),
        };
        if is_stream {
            abandon_body(connection, feed);
        }
        let bytes = sent?;
        let after = connection.protocol.send_end(&mut connection.output);
        if ends_by_close {
            // The last of it has to be on its way before a close is one again.
            connection.flush().await?;
            connection.set_close_breaks(false);
        }
        let after = match after {
            Ok(after) => after,
            Err(error) => return Err(break_off(connection, &error).await),
        };
        self.settle(connection, status, bytes);
        end_request(connection, feed, reason, after);
        Ok(after)
    }

    /// Sends a stream in the context of its request. What ends with it is told when it is the peer that
    /// has ended it.
    async fn send_stream(
        &self,
        connection: &mut Connection,
        mut stream: BodyStream,
        feed: Option<&BodyFeed>,
    ) -> Result<u64, End> {
        let in_context = send_stream(connection, &mut stream, BodyPump::new(feed));
        let sent = REQUEST_ID.scope(self.id.clone(), in_context).await;
        if let Err(end) = &sent
            && *end != End::BodyFailed
        {
            give_up(stream, Reason::from(end).name());
        }
        sent
    }

    /// Goes on in another protocol, to the end of the connection.
    async fn upgrade(
        self,
        connection: &mut Connection,
        mut response: Response,
    ) -> Result<AfterResponse, End> {
        let nothing = ResponseBody::Bytes(Bytes::new());
        let ResponseBody::Upgrade(upgrade) = mem::replace(&mut response.body, nothing) else {
            unreachable!("only an upgrade gets here")
        };
        if let Err(error) = upgrade.push_head(connection, &response, &self.id) {
            let after = push_fault(connection, error, &self.id);
            self.settle(connection, StatusCode::INTERNAL_SERVER_ERROR, 0);
            end_request(connection, None, response.reason, after);
            return Ok(after);
        }
        drop(response);
        let (end, bytes) = Box::pin(upgrade.serve(connection)).await;
        self.settle(connection, StatusCode::SWITCHING_PROTOCOLS, bytes);
        if let End::Closed = end {
            connection.account.end_upgrade();
        }
        // Not the end of an answer: there is no next request that the peer may have sent.
        Err(end)
    }

    /// There is an answer.
    #[cold]
    fn note_answer(connection: &mut Connection, response: &mut Response) {
        let account = &mut connection.account;
        account.record(|record| record.answer(response.status));
        if connection.place.shared.server_timing.get()
            && let Some(timing) = account.watched().server_timing()
        {
            response.add_header(SERVER_TIMING, timing);
        }
    }
}

/// Whether a response with this status has no body (RFC 9110 §15.3.5, §15.3.6, §15.4.5): a stream
/// of one that never ends would be polled for ever.
fn has_no_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

impl Response {
    /// Whether it is sent in one piece.
    pub(super) fn is_short(&self) -> bool {
        matches!(&self.body, ResponseBody::Bytes(body) if body.len() <= WHOLE_BYTES_MAX)
    }

    fn bytes_known(&self) -> u64 {
        match &self.body {
            ResponseBody::Bytes(body) => body.len() as u64,
            ResponseBody::Stream(_)
            | ResponseBody::Sized(..)
            | ResponseBody::Events(_)
            | ResponseBody::Upgrade(_) => 0,
        }
    }
}
