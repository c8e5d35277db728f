//! One request and its response.

use crate::access::AccessRecord;
use crate::body::BodyFeed;
use crate::connection::{Connection, End, deadline_in};
use crate::handler::BoxFuture;
use crate::health;
use crate::reply::{push_fault, push_head, push_whole_response};
use crate::response::{BodyStream, ResponseBody};
use crate::{Body, BodyError, IntoResponse, REQUEST_ID, Request, RequestId, Response};
use bytes::Bytes;
use http::{Method, StatusCode};
use monoloop_proto::http1::{
    AfterResponse, BodyLength, Event, RecvError, RequestHead, ResponseLength,
};
use monoloop_runtime::{Context as VarContext, InContext, time};
use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    Refused(RecvError),
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
    /// Has the handler take its first step. Most need no more, and then nothing is allocated
    /// that outlives the call.
    pub(crate) fn start(
        connection: &mut Connection,
        head: RequestHead,
        cx: &mut Context<'_>,
    ) -> Started {
        let received_at = time::now();
        let taken = head.request_id().and_then(RequestId::take);
        let id = taken.unwrap_or_else(RequestId::make);
        let (body, feed) = match receive_what_came(connection, &head) {
            Ok(received) => received,
            Err(error) => return Started::Refused(error),
        };
        let about = About {
            id: id.clone(),
            received_at,
            is_head: *head.method() == Method::HEAD,
            access: AccessRecord::begin(&head),
        };
        let request = Request::new(head, body, id.clone(), connection.peer, received_at);

        let shared = connection.place.shared.clone();
        let (handler, polled) = shared.in_request(id, || {
            let mut handler = CatchPanic::call(|| match health::answer(&shared, &request) {
                Some(response) => Box::pin(std::future::ready(response)),
                None => shared.app.call(request),
            });
            let polled = Pin::new(&mut handler).poll(cx);
            let handler = polled
                .is_pending()
                .then(|| VarContext::current().scope(handler));
            (handler, polled)
        });
        let answer = match (handler, polled) {
            (_, Poll::Ready(response)) if response.is_short() => {
                let after = about.answer_whole(connection, feed.as_ref(), &response);
                return Started::Answered(after);
            }
            (_, Poll::Ready(response)) => Answer::Response(response),
            (Some(handler), Poll::Pending) => Answer::Handler(handler),
            (None, Poll::Pending) => unreachable!("a handler that is pending was kept"),
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
        let response =
            match answer {
                Answer::Response(response) => response,
                Answer::Handler(handler) => {
                    let mut waiting = WaitingForHandler::new(connection, handler, feed.as_ref());
                    let answered = poll_fn(|cx| waiting.poll(connection, cx)).await;
                    drop(waiting);
                    answered.unwrap_or_else(|HandlerTimedOut| {
                    tracing::warn!(request_id = %about.id, "a handler was stopped at its timeout");
                    connection.protocol.close_after_response();
                    (StatusCode::SERVICE_UNAVAILABLE, "the handler took too long\n").into_response()
                })
                }
            };
        about
            .answer_in_pieces(connection, feed.as_ref(), response)
            .await
    }
}

/// The part of the body that was received together with the head, and the way for the rest.
fn receive_what_came(
    connection: &mut Connection,
    head: &RequestHead,
) -> Result<(Body, Option<BodyFeed>), RecvError> {
    if matches!(head.body(), BodyLength::None | BodyLength::Sized(0)) {
        return Ok((Body::whole(Bytes::new()), None));
    }
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
    feed: Option<&'a BodyFeed>,
    handler_deadline: Instant,
    /// Set while somebody waits for a piece of the body.
    body_deadline: Option<Instant>,
}

struct HandlerTimedOut;

impl<'a> WaitingForHandler<'a> {
    fn new(
        connection: &Connection,
        handler: InContext<CatchPanic>,
        feed: Option<&'a BodyFeed>,
    ) -> Self {
        WaitingForHandler {
            handler,
            feed,
            handler_deadline: deadline_in(connection.shared().timeouts.handler),
            body_deadline: None,
        }
    }

    fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, HandlerTimedOut>> {
        loop {
            if let Poll::Ready(response) = Pin::new(&mut self.handler).poll(cx) {
                return Poll::Ready(Ok(response));
            }
            let wanting = self.feed.filter(|feed| feed.poll_wanted(cx));
            if let Some(feed) = wanting {
                if receive_piece(connection, feed, cx).is_ready() {
                    self.body_deadline = None;
                    continue;
                }
                let body = connection.shared().timeouts.body;
                self.body_deadline.get_or_insert_with(|| deadline_in(body));
            } else {
                self.body_deadline = None;
            }

            let soonest = self.body_deadline.map_or(self.handler_deadline, |body| {
                body.min(self.handler_deadline)
            });
            connection.deadline.reset(soonest);
            ready!(connection.deadline.poll_elapsed(cx));
            match wanting {
                Some(feed) if soonest < self.handler_deadline => {
                    feed.end(Err(BodyError::TimedOut));
                    self.body_deadline = None;
                }
                _ => return Poll::Ready(Err(HandlerTimedOut)),
            }
        }
    }
}

/// Receives until there is a piece for the body, or its end.
fn receive_piece(connection: &mut Connection, feed: &BodyFeed, cx: &Context<'_>) -> Poll<()> {
    // A peer that waits for 100 Continue gets it now that somebody wants the body.
    let asked = connection.protocol.send_continue(&mut connection.output);
    if asked.is_err() || !connection.flush_now(cx) {
        feed.end(Err(BodyError::Disconnected));
        return Poll::Ready(());
    }
    loop {
        match connection.protocol.next_event() {
            Ok(Event::Body(piece)) => feed.push(piece),
            Ok(Event::EndOfMessage(_)) => feed.end(Ok(())),
            Ok(Event::NeedData) => {
                match ready!(connection.stream.poll_receive(cx)) {
                    Ok(chunk) if chunk.is_empty() => connection.protocol.receive_eof(),
                    Ok(chunk) => connection.protocol.receive(&chunk),
                    Err(_) => {
                        feed.end(Err(BodyError::Disconnected));
                        return Poll::Ready(());
                    }
                }
                continue;
            }
            Ok(Event::Request(_) | Event::Paused | Event::Closed) => {
                unreachable!("a body ends before anything else can come")
            }
            Err(RecvError::UnexpectedEof) => feed.end(Err(BodyError::Disconnected)),
            Err(error) => feed.end(Err(BodyError::Refused(error))),
        }
        return Poll::Ready(());
    }
}

impl About {
    fn answer_whole(
        self,
        connection: &mut Connection,
        feed: Option<&BodyFeed>,
        response: &Response,
    ) -> AfterResponse {
        abandon_body(connection, feed);
        let (status, bytes) = (response.status, response.bytes_known());
        let after = push_whole_response(connection, response, &self.id);
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
            return Ok(self.answer_whole(connection, feed, &response));
        }
        abandon_body(connection, feed);
        let length = match &response.body {
            ResponseBody::Bytes(body) => ResponseLength::Sized(body.len() as u64),
            ResponseBody::Stream(_) => ResponseLength::Chunked,
        };
        if let Err(error) = push_head(connection, &response, length, &self.id) {
            return Ok(push_fault(connection, error, &self.id));
        }
        let status = response.status;
        let sent = match response.body {
            // Its length is all that is told about it.
            _ if self.is_head => Ok(0),
            ResponseBody::Bytes(body) => send_bytes(connection, &body).await,
            ResponseBody::Stream(stream) => {
                let (id, in_context) = (self.id.clone(), stream);
                REQUEST_ID
                    .scope(id, send_stream(connection, in_context))
                    .await
            }
        };
        let bytes = match sent {
            Ok(bytes) => bytes,
            Err(end) => {
                self.log(status, 0);
                return Err(end);
            }
        };
        let after = connection.protocol.send_end(&mut connection.output);
        self.log(status, bytes);
        after.map_err(|_| End::BodyFailed)
    }

    fn log(self, status: StatusCode, bytes: u64) {
        if let Some(access) = self.access {
            REQUEST_ID.sync_scope(self.id, || access.log(status, bytes, self.received_at));
        }
    }
}

/// Nobody will read the rest of the request's body.
fn abandon_body(connection: &mut Connection, feed: Option<&BodyFeed>) {
    if let Some(feed) = feed
        && !feed.has_ended()
    {
        feed.end(Err(BodyError::Abandoned));
        connection.protocol.abandon_body();
        connection.peer_is_sending = true;
    }
}

async fn send_bytes(connection: &mut Connection, body: &Bytes) -> Result<u64, End> {
    let piece_bytes = connection.shared().response_buffer_bytes_max;
    for piece in body.chunks(piece_bytes) {
        send_piece(connection, piece).await?;
    }
    Ok(body.len() as u64)
}

/// Writes a stream as it comes: what is there goes out before the next piece is waited for, and
/// while the peer does not read no further piece is asked for.
async fn send_stream(connection: &mut Connection, mut stream: BodyStream) -> Result<u64, End> {
    let mut sent = 0;
    loop {
        let at_once = poll_fn(|cx| Poll::Ready(poll_piece(&mut stream, cx))).await;
        let next = match at_once {
            Poll::Ready(next) => next,
            Poll::Pending => {
                connection.flush().await?;
                poll_fn(|cx| poll_piece(&mut stream, cx)).await
            }
        };
        match next {
            Some(Ok(piece)) => {
                sent += piece.len() as u64;
                send_piece(connection, &piece).await?;
            }
            Some(Err(end)) => {
                // What was good still goes out; that the end is missing tells the peer.
                connection.flush().await?;
                return Err(end);
            }
            None => return Ok(sent),
        }
    }
}

/// The next piece of a response's body. An error or a panic is reported here.
fn poll_piece(stream: &mut BodyStream, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, End>>> {
    match catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(cx))) {
        Ok(polled) => polled.map(|item| {
            item.map(|piece| {
                piece.map_err(|error| {
                    report_failed_body(&*error);
                    End::BodyFailed
                })
            })
        }),
        Err(payload) => {
            report_panic(
                &*payload,
                "a response's body panicked; its connection closes",
            );
            Poll::Ready(Some(Err(End::BodyFailed)))
        }
    }
}

async fn send_piece(connection: &mut Connection, piece: &[u8]) -> Result<(), End> {
    connection
        .protocol
        .send_body(piece, &mut connection.output)
        .map_err(|_| End::BodyFailed)?;
    if connection.output.len() >= connection.shared().response_buffer_bytes_max {
        connection.flush().await?;
    }
    Ok(())
}

const HANDLER_PANICKED: &str = "a handler panicked; its request is answered with 500";

/// A handler's future that turns a panic into a 500: it costs this request alone.
pub(crate) struct CatchPanic {
    future: Option<BoxFuture<Response>>,
}

impl CatchPanic {
    fn call(start: impl FnOnce() -> BoxFuture<Response>) -> Self {
        let future = catch_unwind(AssertUnwindSafe(start));
        CatchPanic {
            future: future
                .map_err(|payload| report_panic(&*payload, HANDLER_PANICKED))
                .ok(),
        }
    }
}

impl Future for CatchPanic {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let failed = || Poll::Ready(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        let Some(future) = &mut self.future else {
            return failed();
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(payload) => {
                report_panic(&*payload, HANDLER_PANICKED);
                failed()
            }
        }
    }
}

/// A peer that breaks off what is sent back to it is no error of ours, and cannot fill the log.
#[cold]
fn report_failed_body(error: &(dyn std::error::Error + 'static)) {
    const FAILED: &str = "a response's body failed halfway; its connection closes";
    match error.downcast_ref::<BodyError>() {
        Some(of_the_peer) => tracing::debug!(error = %of_the_peer, "{FAILED}"),
        None => tracing::error!(%error, "{FAILED}"),
    }
}

/// Inside the request's context, so that the line has its id.
#[cold]
fn report_panic(payload: &(dyn Any + Send), what: &str) {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    tracing::error!(panic = message, "{what}");
}

impl Response {
    /// Whether it is sent in one piece.
    fn is_short(&self) -> bool {
        matches!(&self.body, ResponseBody::Bytes(body) if body.len() <= WHOLE_BYTES_MAX)
    }

    fn bytes_known(&self) -> u64 {
        match &self.body {
            ResponseBody::Bytes(body) => body.len() as u64,
            ResponseBody::Stream(_) => 0,
        }
    }
}
