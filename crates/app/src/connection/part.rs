//! Parting from a peer so that it gets to see why.

use super::phases::Phase;
use super::{Connection, End, deadline_in};
use crate::RequestId;
use crate::ledger::Reason;
use http::StatusCode;
use monoloop_runtime::time;
use std::future::poll_fn;
use std::mem;
use std::net::Shutdown;
use std::task::{Poll, ready};
use std::time::Duration;

/// How long a connection that was refused is still read from when the peer says nothing more, so that
/// it gets to see why: closing with bytes unread makes the kernel send a reset, which overtakes the
/// answer (RFC 9112 §9.6). Precedent: nginx, `lingering_timeout` 5 s; half of it is plenty on the
/// way to being rid of somebody.
const LINGER_SILENCE_MAX: Duration = Duration::from_millis(2500);

/// How long in all: many peers look for an answer only when they have sent their whole body.
/// Precedent: nginx, `lingering_time` 30 s.
const LINGER_MAX: Duration = Duration::from_secs(30);

/// Bytes that a lingering connection may still send. Nothing is kept of them; nginx has no such bound.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Connection {
    /// Tells the peer what there is to be told, and closes so that it gets to see it.
    pub(super) async fn part(&mut self, end: End) -> End {
        self.start_phase(Phase::Parting);
        let lingers = match end {
            End::Closed | End::RequestsMax => self.peer_is_sending || self.more_has_come().await,
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

    /// Receives for a while, and nothing of it matters.
    async fn linger(&mut self) {
        let until = deadline_in(Some(LINGER_MAX));
        self.deadline.reset(deadline_in(Some(LINGER_SILENCE_MAX)));
        let (mut left, mut has_sent) = (LINGER_BYTES_MAX, false);
        poll_fn(|cx| {
            loop {
                match self.stream.poll_receive(cx) {
                    Poll::Ready(Ok(chunk)) if !chunk.is_empty() && chunk.len() < left => {
                        left -= chunk.len();
                        has_sent = true;
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => {
                        ready!(self.deadline.poll_elapsed(cx));
                        // A drain does not wait for what matters to nobody.
                        let is_over = time::now() >= until || self.shared().draining.get();
                        if !mem::take(&mut has_sent) || is_over {
                            return Poll::Ready(());
                        }
                        self.deadline.reset(deadline_in(Some(LINGER_SILENCE_MAX)));
                    }
                }
            }
        })
        .await;
    }
}
