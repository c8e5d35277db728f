//! One connection: head, request, response, until it is closed. One task each.

mod handshake;

use crate::bounds::HalfClose;
use crate::exchange::{Exchange, Started};
use crate::ledger::{Account, Reason};
use crate::loop_state::{LoopState, Place};
use crate::peer_deadline::{Grace, Passed, PeerDeadline, Since, time_for};
use crate::reply::push_whole_response;
use crate::request::RequestParts;
use crate::request_log::{Record, RequestLine};
use crate::trace::access_enabled;
use crate::transport::Transport;
use crate::upgrade::UpgradeFault;
use crate::{RequestId, Response};
pub(crate) use handshake::HandshakeFailure;
use http::StatusCode;
use monoloop_proto::http1::{self, AfterResponse, Event, RecvError};
use monoloop_runtime::net::Chunk;
use monoloop_runtime::time::{self, Sleep};
use monoloop_runtime::{consume_budget, poll_consume_budget};
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How long a connection that was refused is still read from, so that the peer gets to see why:
/// closing with bytes unread makes the kernel send a reset, which overtakes the answer
/// (RFC 9112 §9.6). Precedent: nginx, `lingering_timeout` 5 s; half of it is plenty on the way to
/// being rid of somebody.
const LINGER_MAX: Duration = Duration::from_millis(2500);

/// How long a connection that was accepted just before the server began to drain may take to
/// come up with its first request: several round trips of a local network.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(50);

/// Bytes that a lingering connection may still send. A peer in the middle of a large upload
/// sees the answer when it looks, and is cut off when it does not.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A connection and what it needs. Small, for there are thousands that wait.
pub(crate) struct Connection {
    pub(crate) stream: Transport,
    pub(crate) protocol: http1::Connection,
    /// The deadline of whatever is waited for. One timer for all phases.
    pub(crate) deadline: Sleep,
    pub(crate) place: Place,
    /// What is still to be written.
    pub(crate) output: Vec<u8>,
    pub(crate) peer: SocketAddr,
    phase: Phase,
    /// Whether the deadline is that of the phase.
    is_timed: bool,
    /// What the phase's deadline was set against.
    grace: Grace,
    /// Requests that may still come.
    pub(crate) requests_left: u32,
    /// The last request was answered before its body had come.
    pub(crate) peer_is_sending: bool,
    /// The peer sends nothing more.
    peer_has_finished: bool,
    /// What the ledger knows of it.
    pub(crate) account: Account,
}

/// What the peer is given time for while nothing of a request is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// Between two requests.
    Idle,
    /// A head has begun.
    Head,
    /// The rest of a body that nobody wants.
    Discard,
    /// The server drains, and nothing has come yet, or nothing since the last request.
    Leaving,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed between two requests, or the last response said so.
    Closed,
    /// The server drains.
    Drained,
    /// The peer broke the protocol or a limit.
    Refused(RecvError),
    HeadTimeout,
    IdleTimeout,
    BodyTimeout,
    WriteTimeout,
    /// The peer took so little at a time that its bytes do not pay for their time.
    WriteTooSlow,
    /// The peer went away while a handler ran.
    ClientClosed,
    /// It has had all the requests that one connection may have.
    RequestsMax,
    /// The transport's handshake, TLS's, came to nothing.
    HandshakeFailed(HandshakeFailure),
    HandshakeTimeout,
    /// The connection broke.
    Broken(ErrorKind),
    /// A response's body failed halfway.
    BodyFailed,
    /// The peer broke the protocol that the connection went on in, or a limit of it. It was told.
    #[cfg_attr(
        not(feature = "websocket"),
        allow(dead_code, reason = "only WebSocket judges")
    )]
    Upgraded(UpgradeFault),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("closed"),
            End::Drained => f.write_str("drained"),
            End::Refused(error) => write!(f, "refused: {error}"),
            End::HeadTimeout => f.write_str("head timeout"),
            End::IdleTimeout => f.write_str("idle timeout"),
            End::BodyTimeout => f.write_str("body timeout"),
            End::WriteTimeout => f.write_str("write timeout"),
            End::WriteTooSlow => f.write_str("the peer reads too slowly"),
            End::ClientClosed => f.write_str("the peer went away while a handler ran"),
            End::RequestsMax => f.write_str("had all requests that a connection may have"),
            End::HandshakeFailed(failure) => write!(f, "handshake failed: {failure}"),
            End::HandshakeTimeout => f.write_str("handshake timeout"),
            End::Broken(kind) => write!(f, "broken: {kind}"),
            End::BodyFailed => f.write_str("a response's body failed"),
            End::Upgraded(UpgradeFault::Protocol) => f.write_str("refused after an upgrade"),
            End::Upgraded(UpgradeFault::Limit) => f.write_str("over a limit after an upgrade"),
            End::Upgraded(UpgradeFault::TooSlow) => f.write_str("too slow after an upgrade"),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Broken(error.kind())
    }
}

impl Connection {
    pub(crate) fn new(stream: Transport, peer: SocketAddr, place: Place) -> Self {
        let shared = &place.shared;
        let deadline = time::sleep_until(deadline_in(shared.timeouts.head));
        Connection {
            stream,
            protocol: http1::Connection::new(shared.protocol_limits.clone()),
            grace: Grace::begin(&deadline),
            deadline,
            requests_left: shared.bounds.requests_per_connection_max,
            account: Account::open(shared.book.clone()),
            place,
            output: Vec::new(),
            peer,
            phase: Phase::Fresh,
            is_timed: true,
            peer_is_sending: false,
            peer_has_finished: false,
        }
    }

    pub(crate) fn shared(&self) -> &LoopState {
        &self.place.shared
    }

    /// Serves requests until the connection is over, and parts from the peer.
    pub(crate) async fn serve(&mut self) -> End {
        let Err(end) = self.serve_requests().await;
        self.account.judge(Reason::from(&end));
        self.part(end).await
    }

    async fn serve_requests(&mut self) -> Result<Infallible, End> {
        self.shake_hands().await?;
        let mut next = Next::NeedData;
        loop {
            // Requests and what becomes of them stay inside of `fill` and `step`: a connection
            // that waits for bytes has no memory for them.
            let after = match next {
                Next::NeedData => {
                    self.flush().await?;
                    next = self.fill().await?;
                    continue;
                }
                Next::Answered(after) => after,
                // Boxed for the same reason.
                Next::Waiting(exchange) => Box::pin(exchange.finish(self)).await?,
                Next::Over(end) => return Err(end),
            };
            self.go_on(after)?;
            if self.is_output_full() {
                self.flush().await?;
            }
            // A long pipeline lets the other connections have their turn.
            consume_budget().await;
            next = poll_fn(|cx| Poll::Ready(self.step(cx))).await;
        }
    }

    /// Answers the requests that are whole in what has come, straight out of the lent buffer, and
    /// gives the rest to the protocol. What is answered at once is written when no other
    /// request is waiting, so that the answers to pipelined requests go out together.
    #[inline]
    fn receive(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) -> Next {
        loop {
            let mut parts = self.shared().requests.take();
            let Some(len) = self.protocol.receive_request(bytes, &mut parts.head) else {
                self.shared().requests.give_back(parts);
                let was_tried = self.protocol.buffered() == 0;
                self.protocol.receive(bytes);
                return match was_tried {
                    true => self.step_with_care(cx),
                    false => self.step(cx),
                };
            };
            bytes = &bytes[len..];
            if !self.protocol.is_request_received() {
                self.protocol.receive(bytes);
                return self.answer(parts, cx);
            }
            let next = self.answer(parts, cx);
            let Next::Answered(AfterResponse::KeepAlive) = next else {
                self.protocol.receive(bytes);
                return next;
            };
            self.start_phase(Phase::Idle);
            if bytes.is_empty() {
                return Next::NeedData;
            }
            if self.is_output_full() || poll_consume_budget(cx).is_pending() {
                self.protocol.receive(bytes);
                return next;
            }
        }
    }

    /// What comes next out of what was received before.
    fn step(&mut self, cx: &mut Context<'_>) -> Next {
        if self.protocol.buffered() > 0 {
            let mut parts = self.shared().requests.take();
            if self.protocol.take_request(&mut parts.head) {
                return self.answer(parts, cx);
            }
            self.shared().requests.give_back(parts);
        }
        self.step_with_care(cx)
    }

    /// What comes next, where it is not just a request that is whole and without a fault.
    fn step_with_care(&mut self, cx: &mut Context<'_>) -> Next {
        if access_enabled() {
            // What is refused is gone by then.
            let line = RequestLine::of(self.protocol.head_so_far());
            self.account.watched().line = line;
        }
        loop {
            return match self.protocol.next_event() {
                Ok(Event::Request(head)) => {
                    let mut parts = self.shared().requests.take();
                    parts.head = head;
                    self.answer(parts, cx)
                }
                Ok(Event::NeedData) => Next::NeedData,
                // The rest of a body that nobody wanted.
                Ok(Event::Body(_)) => continue,
                Ok(Event::EndOfMessage(_)) => {
                    self.start_phase(Phase::Idle);
                    continue;
                }
                Ok(Event::Closed) => Next::Over(End::Closed),
                Ok(Event::Paused) => unreachable!("the response before was completed"),
                Err(error) => Next::Over(End::Refused(error)),
            };
        }
    }

    /// Has the handler of a request take its first step.
    #[inline]
    fn answer(&mut self, parts: Box<RequestParts>, cx: &mut Context<'_>) -> Next {
        match Exchange::start(self, parts, cx) {
            Started::Answered(after) => Next::Answered(after),
            Started::Waiting(exchange) => Next::Waiting(exchange),
            Started::Refused(error, id) => {
                self.push_answer_to(&error, &id);
                Next::Over(End::Refused(error))
            }
        }
    }

    fn is_output_full(&self) -> bool {
        self.output.len() >= self.shared().response_buffer_bytes_max
    }

    #[inline]
    fn go_on(&mut self, after: AfterResponse) -> Result<(), End> {
        match after {
            AfterResponse::KeepAlive => self.start_phase(Phase::Idle),
            AfterResponse::DiscardBody => self.start_phase(Phase::Discard),
            AfterResponse::Close if self.requests_left == 0 => return Err(End::RequestsMax),
            AfterResponse::Close => return Err(End::Closed),
        }
        Ok(())
    }

    /// Waits for bytes, and goes on with them.
    async fn fill(&mut self) -> Result<Next, End> {
        if self.phase == Phase::Idle && self.protocol.buffered() > 0 {
            self.start_phase(Phase::Head);
        }
        self.time_phase();
        poll_fn(|cx| {
            let chunk = ready!(self.poll_fill(cx))?;
            if chunk.is_empty() {
                self.protocol.receive_eof();
                return Poll::Ready(Ok(self.step(cx)));
            }
            Poll::Ready(Ok(self.receive(&chunk, cx)))
        })
        .await
    }

    /// What arrived in time is served, however late we are to look at it: the socket is asked
    /// before the deadline.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<Result<Chunk, End>> {
        if let Poll::Ready(received) = self.stream.poll_receive(cx) {
            return Poll::Ready(received.map_err(End::from));
        }
        if self.shared().draining.get() && self.protocol.is_idle() {
            match self.phase {
                // Accepted a moment ago; its request may be here already.
                Phase::Fresh => {
                    self.start_phase(Phase::Leaving);
                    self.time_phase();
                }
                // Its next request may be on its way.
                Phase::Idle if self.shared().successor.get().idle_grace().is_some() => {
                    self.start_phase(Phase::Leaving);
                    self.time_phase();
                }
                Phase::Idle => return Poll::Ready(Err(End::Drained)),
                Phase::Leaving | Phase::Head | Phase::Discard => {}
            }
        }
        self.grace.poll_over(&mut self.deadline, cx).map(|()| {
            Err(match self.phase {
                Phase::Fresh | Phase::Head => End::HeadTimeout,
                Phase::Idle => End::IdleTimeout,
                Phase::Discard => End::BodyTimeout,
                Phase::Leaving => End::Drained,
            })
        })
    }

    /// Writes all that is there to be written.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut written = Written::default();
        poll_fn(|cx| self.poll_flush(cx, &mut written)).await?;
        if written.blocked.is_some() {
            // The deadline was the write's; what comes next gets its own again.
            self.is_timed = false;
        }
        Ok(())
    }

    #[inline]
    fn poll_flush(&mut self, cx: &Context<'_>, written: &mut Written) -> Poll<Result<(), End>> {
        let before = written.bytes;
        while written.bytes < self.output.len() {
            match self.stream.poll_write(cx, &self.output[written.bytes..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(End::Broken(ErrorKind::WriteZero))),
                Poll::Ready(Ok(count)) => written.bytes += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    let has_moved = written.bytes > before;
                    return self.poll_reader(cx, written, has_moved).map(Err);
                }
            }
        }
        self.account.written();
        let output = std::mem::take(&mut self.output);
        self.shared().give_back_output(output);
        Poll::Ready(Ok(()))
    }

    /// Waits for a peer that does not read: how long it may take nothing, and how little it may take
    /// in how much time.
    #[cold]
    fn poll_reader(
        &mut self,
        cx: &Context<'_>,
        written: &mut Written,
        has_moved: bool,
    ) -> Poll<End> {
        let timer = &mut self.deadline;
        let timeouts = &self.place.shared.timeouts;
        let since_max = |bytes: usize| match timeouts.write {
            Some(silence) => time_for(silence, bytes as u64, timeouts.write_bytes_per_second_min),
            None => Duration::MAX,
        };
        let blocked = written.blocked.get_or_insert_with(|| Blocked {
            since: Since::now(timer),
            bytes_before: written.bytes,
            silence: PeerDeadline::at(deadline_in(timeouts.write), timer),
            is_slow: false,
        });
        if has_moved {
            // The time without progress counts from the last byte that went out.
            let bytes = written.bytes - blocked.bytes_before;
            let left = since_max(bytes).saturating_sub(blocked.since.elapsed(timer));
            blocked.is_slow = timeouts.write.is_some_and(|silence| left < silence);
            let wait = match blocked.is_slow {
                true => Some(left),
                false => timeouts.write,
            };
            blocked.silence = PeerDeadline::at(deadline_in(wait), timer);
        }
        loop {
            match ready!(blocked.silence.poll_passed(timer, cx)) {
                Passed::Later => {}
                Passed::Over if blocked.is_slow => return Poll::Ready(End::WriteTooSlow),
                Passed::Over => return Poll::Ready(End::WriteTimeout),
            }
        }
    }

    /// Writes what goes out at once; whether the connection is still good.
    pub(crate) fn flush_now(&mut self, cx: &Context<'_>) -> bool {
        while !self.output.is_empty() {
            match self.stream.poll_write(cx, &self.output) {
                Poll::Ready(Ok(count)) if count > 0 => drop(self.output.drain(..count)),
                Poll::Ready(_) => return false,
                Poll::Pending => return true,
            }
        }
        self.account.written();
        true
    }

    /// What the peer is given time for from now on. How long is worked out when it is waited
    /// for, which is not between pipelined requests.
    #[inline]
    fn start_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.is_timed = false;
    }

    /// Sets the deadline of the phase, once.
    #[inline]
    fn time_phase(&mut self) {
        if self.is_timed {
            return;
        }
        let timeouts = &self.shared().timeouts;
        let timeout = match self.phase {
            Phase::Fresh | Phase::Head => timeouts.head,
            Phase::Idle => timeouts.idle,
            Phase::Discard => timeouts.body,
            Phase::Leaving => {
                let grace = self.shared().successor.get().idle_grace();
                grace.or(Some(FIRST_REQUEST_GRACE))
            }
        };
        self.deadline.reset(deadline_in(timeout));
        self.grace = Grace::begin(&self.deadline);
        self.is_timed = true;
    }

    /// Tells the peer what there is to be told, and closes so that it gets to see it.
    async fn part(&mut self, end: End) -> End {
        let lingers = match end {
            End::Closed => self.peer_is_sending || self.more_has_come().await,
            End::Refused(error) => {
                self.push_answer_to(&error, &RequestId::make());
                true
            }
            End::HeadTimeout if self.protocol.buffered() > 0 => {
                self.protocol.stop_receiving();
                let timeout = self.shared().timeouts.head.unwrap_or_default();
                let reason = format!("the head of the request did not come within {timeout:?}");
                let remedy = "send it at once, and keep connections open only between requests";
                let because = Reason::HeaderTimeout;
                let id = RequestId::make();
                self.push_refusal(StatusCode::REQUEST_TIMEOUT, &reason, remedy, because, &id);
                true
            }
            End::RequestsMax => self.more_has_come().await,
            // There is an alert that it should see, or an answer.
            End::HandshakeFailed(_) | End::Upgraded(_) => true,
            End::WriteTimeout | End::WriteTooSlow => {
                self.reset();
                return end;
            }
            End::HeadTimeout | End::IdleTimeout | End::BodyTimeout | End::Drained => false,
            // What was sent may be a part of something, and the peer must not take it for all.
            End::HandshakeTimeout | End::ClientClosed | End::Broken(_) | End::BodyFailed => {
                return end;
            }
        };
        if let Err(broken) = self.flush().await {
            self.reset();
            return broken;
        }
        self.say_goodbye().await;
        if lingers && self.stream.shutdown(Shutdown::Write).is_ok() {
            self.linger().await;
        }
        end
    }

    /// Whether the peer has sent more than was looked at. Costs no system call when it has not.
    async fn more_has_come(&mut self) -> bool {
        let received = poll_fn(|cx| Poll::Ready(self.stream.poll_receive(cx))).await;
        matches!(received, Poll::Ready(Ok(chunk)) if !chunk.is_empty())
    }

    /// Watches a connection that is only written to; ready when it is broken. A peer that has
    /// finished sending may still read. At most one piece of what it sends ahead is held.
    pub(crate) fn poll_broken(&mut self, cx: &Context<'_>) -> Poll<End> {
        self.poll_peer(cx).map(|left| match left {
            PeerLeft::Finished => End::ClientClosed,
            PeerLeft::Broke(kind) => End::Broken(kind),
        })
    }

    /// Ready when the peer is gone, as the server was told to see it.
    pub(crate) fn poll_peer(&mut self, cx: &Context<'_>) -> Poll<PeerLeft> {
        // What has come ahead waits here until it is its turn, and no more is taken meanwhile.
        while self.protocol.buffered() == 0 && !self.peer_has_finished {
            match ready!(self.stream.poll_receive(cx)) {
                Ok(chunk) if chunk.is_empty() => {
                    self.peer_has_finished = true;
                    self.protocol.receive_eof();
                    if self.shared().bounds.half_close == HalfClose::Leaves {
                        return Poll::Ready(PeerLeft::Finished);
                    }
                }
                Ok(chunk) => self.protocol.receive(&chunk),
                Err(error) => return Poll::Ready(PeerLeft::Broke(error.kind())),
            }
        }
        Poll::Pending
    }

    /// Until it is told otherwise a close is a reset, however it comes about. The body of a response
    /// to HTTP/1.0 may end with the connection, and half of it is not to be taken for all of it
    /// (RFC 9112 §8).
    #[cold]
    pub(crate) fn set_close_breaks(&mut self, breaks: bool) {
        // It fails when the connection is gone.
        let _ = self.stream.set_linger(breaks.then_some(Duration::ZERO));
    }

    /// Has closing drop what the peer did not take; the kernel would keep it for minutes.
    fn reset(&mut self) {
        // It fails when the connection is gone, and then there is nothing to be dropped.
        let _ = self.stream.set_linger(Some(Duration::ZERO));
    }

    /// Answers a fault of the peer's, where there still is something to be answered.
    fn push_answer_to(&mut self, error: &RecvError, id: &RequestId) {
        if let Some(status) = error.status()
            && self.protocol.awaits_head()
        {
            self.push_refusal(status, error, error.remedy(), error.into(), id);
        }
    }

    /// Tells what was wrong and what to do about it, in words of our own: nothing that was received
    /// is among them.
    #[cold]
    fn push_refusal(
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

    /// Receives for a while, and nothing of it matters.
    async fn linger(&mut self) {
        self.deadline.reset(deadline_in(Some(LINGER_MAX)));
        let mut left = LINGER_BYTES_MAX;
        poll_fn(|cx| {
            loop {
                match self.stream.poll_receive(cx) {
                    Poll::Ready(Ok(chunk)) if !chunk.is_empty() && chunk.len() < left => {
                        left -= chunk.len();
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.deadline.poll_elapsed(cx),
                }
            }
        })
        .await;
    }
}

/// What a step of a connection came to.
enum Next {
    Answered(AfterResponse),
    Waiting(Box<Exchange>),
    NeedData,
    Over(End),
}

/// How a peer has left while it was owed an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerLeft {
    /// It sends nothing more, and that was to be taken for leaving.
    Finished,
    Broke(ErrorKind),
}

/// How far a flush has come.
#[derive(Default)]
struct Written {
    bytes: usize,
    blocked: Option<Blocked>,
}

/// A flush that waits for a peer which does not read, or did.
struct Blocked {
    since: Since,
    /// What had gone out by then.
    bytes_before: usize,
    silence: PeerDeadline,
    /// Whether it is the rate that ends it.
    is_slow: bool,
}

/// When something that may take so long has to be done.
#[inline]
pub(crate) fn deadline_in(timeout: Option<Duration>) -> Instant {
    time::deadline_after(timeout.unwrap_or(Duration::MAX))
}
