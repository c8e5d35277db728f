//! One request and its response.

use crate::access::AccessRecord;
use crate::body::BodyFeed;
use crate::body_pump::BodyPump;
use crate::catch_panic::CatchPanic;
use crate::connection::{Connection, End, deadline_in};
use crate::reply::{push_fault, push_head, push_whole_response};
use crate::request::RequestParts;
use crate::response::ResponseBody;
use crate::sending::{break_off, send_bytes, send_stream};
use crate::{Body, BodyError, IntoResponse, REQUEST_ID, Request, RequestId, Response};
use http::{Method, StatusCode};
use monoloop_proto::http1::{AfterResponse, Event, RecvError, ResponseLength};
use monoloop_runtime::{InContext, time};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A response larger than this is sent in pieces, so that a peer that does not read holds no
/// second copy of it.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// What became of a request at its first step.
pub(crate) enum Started {
    /// The response is in the connection's output.
    Answered(AfterResponse),
    /// It takes longer.
    Waiting(Box<Exchange>),
    /// The body that came with the head is malformed.
    Refused(RecvError, RequestId),
}

/// A request that was not answered at its first step.
pub(crate) struct Exchange {
    answer: Answer,
    feed: Option<BodyFeed>,
    about: About,
}

enum Answer {
    Handler(InContext<CatchPanic>),
    Response(Response),
}

/// What has to be known of a request that its handler has taken.
struct About {
    id: RequestId,
    received_at: Instant,
    is_head: bool,
    access: Option<AccessRecord>,
}

impl Exchange {
    /// Has the handler take its first step. Most need no more, and then nothing is allocated.
    /// The head is received already.
    #[inline]
    pub(crate) fn start(
        connection: &mut Connection,
        mut parts: Box<RequestParts>,
        cx: &mut Context<'_>,
    ) -> Started {
        let received_at = time::now();
        let taken = parts.head.request_id().and_then(RequestId::take);
        let id = taken.unwrap_or_else(RequestId::make);
        let mut feed = None;
        if !connection.protocol.is_request_received() {
            match receive_what_came(connection) {
                Ok((body, rest)) => (parts.body, feed) = (body, rest),
                Err(error) => return Started::Refused(error, id),
            }
        }
        let about = About {
            id: id.clone(),
            received_at,
            is_head: *parts.head.method() == Method::HEAD,
            access: AccessRecord::begin(&parts.head),
        };
        parts.id = id.clone();
        parts.peer = connection.peer;
        parts.received_at = received_at;

        let shared = &*connection.place.shared;
        let mut request = Some(Request::new(parts, shared.requests.clone()));
        let mut response = None;
        // The response is written where it stays, and not moved out of the closure.
        let handler = shared.in_request(id, |route| {
            let request = request.take().expect("it is answered once");
            let is_leaving = shared.leaving.get();
            let first = shared
                .app
                .start(request, route, is_leaving, cx, &mut response);
            CatchPanic::after(first, &mut response)
        });
        let answer = match handler {
            Some(handler) => Answer::Handler(handler),
            None => {
                let response = response.expect("a handler that does not wait has answered");
                if response.is_short() {
                    let after =
                        about.answer_whole(connection, feed.as_ref(), &response, received_at);
                    return Started::Answered(after);
                }
                Answer::Response(response)
            }
        };
        Started::Waiting(Box::new(Exchange {
            answer,
            feed,
            about,
        }))
    }

    /// Waits for the handler and sends its response.
    pub(crate) async fn finish(
        self: Box<Self>,
        connection: &mut Connection,
    ) -> Result<AfterResponse, End> {
        let Exchange {
            answer,
            feed,
            about,
        } = *self;
        // Earlier answers do not wait for this one.
        connection.flush().await?;
        let response = match answer {
            Answer::Response(response) => response,
            Answer::Handler(handler) => {
                let mut waiting = WaitingForHandler {
                    handler,
                    pump: BodyPump::new(feed.as_ref()),
                    deadline: deadline_in(connection.shared().timeouts.handler),
                };
                let answered = poll_fn(|cx| waiting.poll(connection, cx)).await;
                drop(waiting);
                answered.unwrap_or_else(|late| late.answer(connection, &about.id))
            }
        };
        about
            .answer_in_pieces(connection, feed.as_ref(), response)
            .await
    }
}

/// The part of the body that was received together with the head, and the way for the rest.
fn receive_what_came(connection: &mut Connection) -> Result<(Body, Option<BodyFeed>), RecvError> {
    let mut pieces = VecDeque::new();
    let ended = loop {
        match connection.protocol.next_event()? {
            Event::Body(piece) => pieces.push_back(piece),
            Event::EndOfMessage(_) => break true,
            Event::NeedData => break false,
            Event::Request(_) | Event::Paused | Event::Closed => {
                unreachable!("a body ends before anything else can come")
            }
        }
    };
    if ended && pieces.len() <= 1 {
        return Ok((Body::whole(pieces.pop_front().unwrap_or_default()), None));
    }
    let feed = BodyFeed::new(pieces, ended);
    Ok((Body::stream(feed.clone()), Some(feed)))
}

/// Waits for a handler, and has its body received meanwhile when it asks for it.
struct WaitingForHandler<'a> {
    handler: InContext<CatchPanic>,
    pump: BodyPump<'a>,
    deadline: Instant,
}

struct HandlerTimedOut;

impl HandlerTimedOut {
    fn answer(self, connection: &mut Connection, id: &RequestId) -> Response {
        tracing::warn!(request_id = %id, "a handler was stopped at its timeout");
        connection.protocol.close_after_response();
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the handler took too long\n",
        )
            .into_response()
    }
}

impl WaitingForHandler<'_> {
    fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, HandlerTimedOut>> {
        loop {
            if let Poll::Ready(response) = Pin::new(&mut self.handler).poll(cx) {
                return Poll::Ready(Ok(response));
            }
            if self.pump.poll(connection, cx).is_ready() {
                continue;
            }
            let body_first = self.pump.deadline().filter(|body| *body < self.deadline);
            connection
                .deadline
                .reset(body_first.unwrap_or(self.deadline));
            ready!(connection.deadline.poll_elapsed(cx));
            match body_first {
                Some(_) => self.pump.time_out(),
                None => return Poll::Ready(Err(HandlerTimedOut)),
            }
        }
    }
}

impl About {
    #[inline]
    fn answer_whole(
        self,
        connection: &mut Connection,
        feed: Option<&BodyFeed>,
        response: &Response,
        now: Instant,
    ) -> AfterResponse {
        abandon_body(connection, feed);
        let (status, bytes) = (response.status, response.bytes_known());
        let after = push_whole_response(connection, response, &self.id, now);
        self.log(status, bytes);
        after
    }

    async fn answer_in_pieces(
        self,
        connection: &mut Connection,
        feed: Option<&BodyFeed>,
        response: Response,
    ) -> Result<AfterResponse, End> {
        if response.is_short() {
            return Ok(self.answer_whole(connection, feed, &response, time::now()));
        }
        let length = match &response.body {
            ResponseBody::Bytes(body) => ResponseLength::Sized(body.len() as u64),
            ResponseBody::Stream(_) => ResponseLength::Chunked,
            ResponseBody::Sized(length, _) => ResponseLength::Sized(*length),
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
            return Ok(push_fault(connection, error, &self.id));
        }
        let status = response.status;
        let sent = match response.body {
            // What its head tells is all that is told about it.
            _ if self.is_head || has_no_body(status) => Ok(0),
            ResponseBody::Bytes(body) => send_bytes(connection, &body).await,
            ResponseBody::Stream(stream) | ResponseBody::Sized(_, stream) => {
                let in_context = send_stream(connection, stream, BodyPump::new(feed));
                REQUEST_ID.scope(self.id.clone(), in_context).await
            }
        };
        if is_stream {
            abandon_body(connection, feed);
        }
        let bytes = match sent {
            Ok(bytes) => bytes,
            Err(end) => {
                self.log(status, 0);
                return Err(end);
            }
        };
        let after = connection.protocol.send_end(&mut connection.output);
        self.log(status, bytes);
        match after {
            Ok(after) => Ok(after),
            Err(error) => Err(break_off(connection, &error).await),
        }
    }

    #[inline(always)]
    fn log(self, status: StatusCode, bytes: u64) {
        if self.access.is_some() {
            self.log_line(status, bytes);
        }
    }

    #[cold]
    fn log_line(self, status: StatusCode, bytes: u64) {
        if let Some(access) = self.access {
            REQUEST_ID.sync_scope(self.id, || access.log(status, bytes, self.received_at));
        }
    }
}

/// Nobody will read the rest of the request's body.
fn abandon_body(connection: &mut Connection, feed: Option<&BodyFeed>) {
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
    fn is_short(&self) -> bool {
        matches!(&self.body, ResponseBody::Bytes(body) if body.len() <= WHOLE_BYTES_MAX)
    }

    fn bytes_known(&self) -> u64 {
        match &self.body {
            ResponseBody::Bytes(body) => body.len() as u64,
            ResponseBody::Stream(_) | ResponseBody::Sized(..) => 0,
        }
    }
}
