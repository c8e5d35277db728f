//! What a connection waits for while nothing is being answered, and how long.

use super::{Connection, End, Next, deadline_in};
use crate::peer_deadline::Grace;
use monoloop_runtime::net::Chunk;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a connection that was accepted just before the server began to drain may take to
/// come up with its first request: several round trips of a local network.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(50);

/// What the peer is given time for while nothing of a request is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The transport's handshake.
    Handshake,
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
    /// All is said, or nothing more is to be.
    Parting,
}

impl Connection {
    /// Waits for bytes, and goes on with them.
    pub(super) async fn fill(&mut self) -> Result<Next, End> {
        // Who has begun a request while the server drains has as much time for it as everybody.
        if matches!(self.phase, Phase::Idle | Phase::Leaving) && self.protocol.buffered() > 0 {
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
                Phase::Handshake
                | Phase::Head
                | Phase::Discard
                | Phase::Leaving
                | Phase::Parting => {}
            }
        }
        self.grace.poll_over(&mut self.deadline, cx).map(|()| {
            Err(match self.phase {
                Phase::Fresh | Phase::Head => End::HeadTimeout,
                Phase::Idle => End::IdleTimeout,
                Phase::Discard => End::BodyTimeout,
                Phase::Handshake => End::HandshakeTimeout,
                Phase::Leaving | Phase::Parting => End::Drained,
            })
        })
    }

    /// What the peer is given time for from now on. How long is worked out when it is waited
    /// for, which is not between pipelined requests.
    #[inline]
    pub(super) fn start_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.is_timed = false;
    }

    /// Sets the deadline of the phase, once.
    #[inline]
    pub(super) fn time_phase(&mut self) {
        if self.is_timed {
            return;
        }
        let timeouts = &self.shared().timeouts;
        let timeout = match self.phase {
            Phase::Handshake => timeouts.tls_handshake,
            Phase::Fresh | Phase::Head => timeouts.head,
            Phase::Idle => timeouts.idle,
            Phase::Discard => timeouts.body,
            Phase::Leaving => {
                let grace = self.shared().successor.get().idle_grace();
                grace.or(Some(FIRST_REQUEST_GRACE))
            }
            // That has times of its own.
            Phase::Parting => None,
        };
        self.deadline.reset(deadline_in(timeout));
        self.grace = Grace::begin(&self.deadline);
        self.is_timed = true;
    }
}

/// Whoever is cut off at the end of a drain, and has no request to be named by, is counted.
impl Drop for Connection {
    #[inline]
    fn drop(&mut self) {
        if self.shared().forced.is_on() {
            self.note_forced();
        }
    }
}

impl Connection {
    #[cold]
    fn note_forced(&self) {
        if self.account.is_running() {
            return;
        }
        let is_silent = self.protocol.buffered() == 0;
        self.shared().forced.note(|forced| {
            let count = match self.phase {
                Phase::Handshake => &mut forced.handshaking,
                _ if self.account.is_writing() => &mut forced.not_reading,
                Phase::Discard => &mut forced.sending_body,
                Phase::Parting => &mut forced.parting,
                Phase::Fresh | Phase::Idle | Phase::Leaving if is_silent => &mut forced.silent,
                Phase::Fresh | Phase::Idle | Phase::Leaving | Phase::Head => {
                    &mut forced.sending_head
                }
            };
            *count += 1;
        });
    }
}
