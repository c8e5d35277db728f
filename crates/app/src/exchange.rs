//! One request and its response.

use crate::body::BodyFeed;
use crate::body_pump::BodyPump;
use crate::bounds::OnDisconnect;
use crate::catch_panic::CatchPanic;
use crate::connection::{Connection, End, deadline_in};
use crate::peer_deadline::{Passed, PeerDeadline};
use crate::reply::{push_fault, push_head, push_whole_response};
use crate::request::RequestParts;
use crate::request_log::Record;
use crate::response::{BodyStream, ResponseBody};
use crate::route_label::UNMATCHED;
use crate::route_options::RouteOptions;
use crate::running::{Entry, RequestPhase, Running};
use crate::sending::{break_off, send_bytes, send_stream};
use crate::trace::access_enabled;
#[cfg(feature = "tls")]
use crate::transport::Transport;
use crate::{Body, BodyError, IntoResponse, REQUEST_ID, Reason, Request, RequestId, Response};
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode};
use monoloop_proto::http1::{AfterResponse, Event, RecvError, RequestHead, ResponseLength};
use monoloop_runtime::{InContext, give_up, time};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A response larger than this is sent in pieces, so that a peer that does not read holds no
/// second copy of it.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

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
    options: Option<Rc<RouteOptions>>,
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
    /// Whether it is remembered what becomes of it.
    is_watched: bool,
    /// The number of the route.
    route: u32,
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
        connection.account.begin_request();
        connection.requests_left = connection.requests_left.wrapping_sub(1);
        if connection.requests_left == 0 {
            connection.protocol.close_after_response();
        }
        let received_at = time::now();
        let taken = parts.head.request_id().and_then(RequestId::take);
        let id = taken.unwrap_or_else(RequestId::make);
        let mut feed = None;
        if !connection.protocol.is_request_received() {
            match receive_what_came(connection, &parts) {
                Ok((body, rest)) => (parts.body, feed) = (body, rest),
                Err(error) => {
                    watch_refused(connection, &parts, &id, received_at);
                    return Started::Refused(error, id);
                }
            }
        }
        let mut about = About {
            id: id.clone(),
            received_at,
            is_head: *parts.head.method() == Method::HEAD,
            is_watched: access_enabled() || connection.shared().server_timing.get(),
            route: UNMATCHED,
        };
        if about.is_watched {
            about.watch(connection, &parts.head);
        }
        let shared = &connection.place.shared;
        if let Some(overload) = &shared.overload
            && overload.sheds()
            && !shared.app.is_probe(&parts.head)
        {
            let mut response = overload.answer();
            let (feed, response) = (feed.as_ref(), &mut response);
            let after = about.answer_whole(connection, feed, response, received_at);
            return Started::Answered(after);
        }
        parts.id = id.clone();
        parts.peer = connection.peer;
        parts.received_at = received_at;
        #[cfg(feature = "tls")]
        if let Transport::Tls(stream) = &connection.stream {
            parts.tls = stream.about().cloned();
        }

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
            about.route = route.number();
            CatchPanic::after(first, &mut response)
        });
        if about.is_watched {
            connection.account.record(Record::end_first_step);
        }
        let answer = match handler {
            Some(handler) => Answer::Handler(handler),
            None => {
                let mut response = response.expect("a handler that does not wait has answered");
                if response.is_short() {
                    let (feed, response) = (feed.as_ref(), &mut response);
                    let after = about.answer_whole(connection, feed, response, received_at);
                    return Started::Answered(after);
                }
                Answer::Response(response)
            }
        };
        let options = shared.app.take_options();
        Started::Waiting(Box::new(Exchange {
            answer,
            feed,
            about,
            options,
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
            options,
        } = *self;
        let phase = match &answer {
            Answer::Handler(_) => RequestPhase::Handler,
            Answer::Response(_) => RequestPhase::Writing,
        };
        let entry = connection.shared().running.enter(Running {
            id: about.id.clone(),
            route: about.route,
            peer: connection.peer,
            received_at: about.received_at,
            phase,
        });
        // Earlier answers do not wait for this one.
        connection.flush().await?;
        let response = match answer {
            Answer::Response(response) => response,
            Answer::Handler(handler) => {
                let mut waiting = WaitingForHandler::new(
                    handler,
                    &entry,
                    BodyPump::new(feed.as_ref()),
                    options.as_deref(),
                    about.is_watched,
                    connection,
                );
                let answered = poll_fn(|cx| waiting.poll(connection, cx)).await;
                match answered {
                    Ok(response) => response,
                    Err(given_up) => {
                        give_up(waiting, given_up.reason());
                        match given_up {
                            GivenUp::TimedOut => handler_timed_out(connection, &about.id),
                            GivenUp::ClientClosed => {
                                about.settle(connection, client_closed_request(), 0);
                                return Err(End::ClientClosed);
                            }
                        }
                    }
                }
            }
        };
        entry.set_phase(RequestPhase::Writing);
        about
            .answer_in_pieces(connection, feed.as_ref(), response)
            .await
    }
}

/// A request whose body is refused before it has a handler leaves a line all the same.
#[cold]
fn watch_refused(
    connection: &mut Connection,
    parts: &RequestParts,
    id: &RequestId,
    received_at: Instant,
) {
    if access_enabled() && connection.shared().is_watched.get() {
        let record = Record::begin(id.clone(), &parts.head, received_at);
        connection.account.watch(record);
    }
}

/// The part of the body that was received together with the head, and the way for the rest.
fn receive_what_came(
    connection: &mut Connection,
    parts: &RequestParts,
) -> Result<(Body, Option<BodyFeed>), RecvError> {
    let shared = &connection.place.shared;
    if let Some(bytes_max) = shared.app.body_bytes_max_of(&parts.head) {
        connection.protocol.limit_body(bytes_max)?;
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
    is_watched: bool,
    entry: &'a Entry,
    pump: BodyPump<'a>,
    deadline: PeerDeadline,
    on_disconnect: OnDisconnect,
}

/// Why a handler is dropped before it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    TimedOut,
    ClientClosed,
}

impl GivenUp {
    /// What the tasks are told that end with the handler.
    fn reason(self) -> &'static str {
        match self {
            GivenUp::TimedOut => "handler_timeout",
            GivenUp::ClientClosed => "client_closed",
        }
    }
}

fn handler_timed_out(connection: &mut Connection, id: &RequestId) -> Response {
    tracing::warn!(request_id = %id, "a handler was stopped at its timeout");
    connection.protocol.close_after_response();
    let told = "the handler took too long\n";
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, told).into_response();
    response.reason = Reason::HandlerTimeout;
    response
}

/// For the log: there is nobody to be answered. Precedent: nginx, 499.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("a status has three digits")
}

impl<'a> WaitingForHandler<'a> {
    fn new(
        handler: InContext<CatchPanic>,
        entry: &'a Entry,
        pump: BodyPump<'a>,
        options: Option<&RouteOptions>,
        is_watched: bool,
        connection: &Connection,
    ) -> Self {
        let shared = connection.shared();
        let own = options.and_then(|options| options.handler_timeout);
        let timeout = own.unwrap_or(shared.timeouts.handler);
        let own = options.and_then(|options| options.on_disconnect);
        WaitingForHandler {
            handler,
            is_watched,
            entry,
            pump,
            deadline: PeerDeadline::at(deadline_in(timeout), &connection.deadline),
            on_disconnect: own.unwrap_or(shared.bounds.on_disconnect),
        }
    }

    fn step(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<Response> {
        let began_at = self.is_watched.then(time::now_precise);
        let polled = Pin::new(&mut self.handler).poll(cx);
        if let Some(began_at) = began_at {
            connection
                .account
                .record(|record| record.end_step(began_at));
        }
        polled
    }

    fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, GivenUp>> {
        loop {
            if let Poll::Ready(response) = self.step(connection, cx) {
                return Poll::Ready(Ok(response));
            }
            if self.pump.poll(connection, cx).is_ready() {
                continue;
            }
            self.entry.set_phase(match self.pump.deadline() {
                Some(_) => RequestPhase::ReceivingBody,
                None => RequestPhase::Handler,
            });
            // While the body is wanted the pump looks at the socket.
            let watches = self.on_disconnect == OnDisconnect::Cancel;
            if watches && connection.poll_peer(cx).is_ready() {
                return Poll::Ready(Err(GivenUp::ClientClosed));
            }
            let handler_by = self.deadline.instant();
            let body_first = self.pump.deadline();
            let body_first = body_first.filter(|body| body.instant() < handler_by);
            let is_bodys = body_first.is_some();
            let first = body_first.unwrap_or(&mut self.deadline);
            match ready!(first.poll_passed(&mut connection.deadline, cx)) {
                Passed::Later => {}
                Passed::Over if is_bodys => self.pump.time_out(),
                Passed::Over => return Poll::Ready(Err(GivenUp::TimedOut)),
            }
        }
    }
}

impl About {
    #[cold]
    fn watch(&mut self, connection: &mut Connection, head: &RequestHead) {
        self.is_watched = connection.shared().is_watched.get();
        if self.is_watched {
            let record = Record::begin(self.id.clone(), head, self.received_at);
            connection.account.watch(record);
        }
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

    #[inline]
    fn answer_whole(
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

    async fn answer_in_pieces(
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

    /// Sends a stream in the context of its request. When the peer goes away its cleanups run.
    async fn send_stream(
        &self,
        connection: &mut Connection,
        mut stream: BodyStream,
        feed: Option<&BodyFeed>,
    ) -> Result<u64, End> {
        let in_context = send_stream(connection, &mut stream, BodyPump::new(feed));
        let sent = REQUEST_ID.scope(self.id.clone(), in_context).await;
        if matches!(sent, Err(End::ClientClosed | End::Broken(_))) {
            give_up(stream, GivenUp::ClientClosed.reason());
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
        match end {
            End::Closed => {
                connection.account.end_upgrade();
                Ok(AfterResponse::Close)
            }
            end => Err(end),
        }
    }

    /// Writes down how it was answered.
    #[inline(always)]
    fn settle(&self, connection: &mut Connection, status: StatusCode, bytes: u64) {
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
fn end_request(
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
            ResponseBody::Stream(_)
            | ResponseBody::Sized(..)
            | ResponseBody::Events(_)
            | ResponseBody::Upgrade(_) => 0,
        }
    }
}
