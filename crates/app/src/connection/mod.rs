//! One connection: head, request, response, until it is closed. One task each.

mod end;
mod flush;
mod handshake;
mod part;
mod phases;
mod refuse;
mod watch;

pub(crate) use end::End;
pub(crate) use handshake::HandshakeFailure;

use crate::exchange::{Exchange, Started};
use crate::ledger::{Account, Reason};
use crate::loop_state::{LoopState, Place};
use crate::peer_deadline::Grace;
use crate::request::RequestParts;
use crate::request_log::RequestLine;
use crate::trace::access_enabled;
use crate::transport::Transport;
use monoloop_proto::http1::{self, AfterResponse, Event};
use monoloop_runtime::time::{self, Sleep};
use monoloop_runtime::{consume_budget, poll_consume_budget};
use phases::Phase;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

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
        if after == AfterResponse::Close {
            self.expect_next_request();
        }
        match after {
            AfterResponse::KeepAlive => self.start_phase(Phase::Idle),
            AfterResponse::DiscardBody => self.start_phase(Phase::Discard),
            AfterResponse::Close if self.requests_left == 0 => return Err(End::RequestsMax),
            AfterResponse::Close => return Err(End::Closed),
        }
        Ok(())
    }

    /// A peer that wanted to be kept may have sent its next request before it sees that it is not.
    #[cold]
    fn expect_next_request(&mut self) {
        // A drain would wait for each peer that does not close.
        if self.protocol.is_keep_alive_wanted() && !self.shared().draining.get() {
            self.peer_is_sending = true;
        }
    }
}

/// What a step of a connection came to.
enum Next {
    Answered(AfterResponse),
    Waiting(Box<Exchange>),
    NeedData,
    Over(End),
}

/// When something that may take so long has to be done.
#[inline]
pub(crate) fn deadline_in(timeout: Option<Duration>) -> Instant {
    time::deadline_after(timeout.unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_small() {
        // Beside it an idle connection has its socket in the loop, and its task.
        let bytes = size_of::<Connection>();
        assert!(bytes <= 320, "{bytes}");
    }
}
