//! What comes before the first request and behind the last answer when the transport has more to say
//! than HTTP: TLS.

use super::phases::{FIRST_REQUEST_GRACE, Phase};
use super::{Connection, End, deadline_in};
use crate::RequestId;
use crate::ledger::Reason;
use crate::peer_deadline::Grace;
use http::StatusCode;
use std::fmt;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a handshake that has begun may still take once the server drains: it is two round
/// trips, of which one may be spent already, and a signature.
const DRAIN_GRACE: Duration = FIRST_REQUEST_GRACE.saturating_mul(5);

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "tls"),
    allow(dead_code, reason = "a plain connection has no handshake")
)]
pub(crate) enum HandshakeFailure {
    /// The peer has closed before it said anything: so do those who look whether the port is open.
    NeverBegan,
    /// The peer has closed in the middle of it.
    Closed,
    /// The connection broke.
    Broken(ErrorKind),
    /// The peer speaks HTTP, and not TLS.
    PlainHttp,
    /// One of the two did not agree to something, or the peer broke the protocol. It was told
    /// which; the log has it at level debug.
    Refused,
    /// The peer has sent more than any handshake needs.
    TooLong,
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFailure::NeverBegan => f.write_str("never began"),
            HandshakeFailure::Closed => f.write_str("the peer closed"),
            HandshakeFailure::Broken(kind) => write!(f, "broken: {kind}"),
            HandshakeFailure::PlainHttp => f.write_str("the peer speaks plain HTTP"),
            HandshakeFailure::Refused => f.write_str("refused"),
            HandshakeFailure::TooLong => f.write_str("too many bytes"),
        }
    }
}

impl Connection {
    /// Sees the transport's handshake through. Its time is its own: that of the first head begins
    /// when it is done.
    pub(super) async fn shake_hands(&mut self) -> Result<(), End> {
        if !self.stream.is_handshaking() {
            return Ok(());
        }
        self.start_phase(Phase::Handshake);
        self.time_phase();
        let mut leaves = false;
        poll_fn(|cx| self.poll_shake_hands(cx, &mut leaves)).await?;
        self.start_phase(Phase::Fresh);
        Ok(())
    }

    fn poll_shake_hands(&mut self, cx: &Context<'_>, leaves: &mut bool) -> Poll<Result<(), End>> {
        if let Poll::Ready(shaken) = self.stream.poll_handshake(cx) {
            return Poll::Ready(shaken.map_err(|failure| {
                match failure {
                    HandshakeFailure::NeverBegan => return End::Closed,
                    HandshakeFailure::PlainHttp => self.answer_plain_http(),
                    HandshakeFailure::Closed
                    | HandshakeFailure::Broken(_)
                    | HandshakeFailure::Refused
                    | HandshakeFailure::TooLong => {}
                }
                End::HandshakeFailed(failure)
            }));
        }
        if self.shared().draining.get() && !*leaves {
            *leaves = true;
            self.deadline.reset(deadline_in(Some(DRAIN_GRACE)));
            self.grace = Grace::begin(&self.deadline);
        }
        self.grace.poll_over(&mut self.deadline, cx).map(|()| {
            Err(match leaves {
                true => End::Drained,
                false => End::HandshakeTimeout,
            })
        })
    }

    /// Tells the peer that all was said, where the transport has a word for it, and waits for room
    /// as long as for anything else that is written: behind a large answer there may be none, and a
    /// peer that is not told takes what it got for cut short.
    pub(super) async fn say_goodbye(&mut self) {
        if !self.stream.is_handshaking() {
            return;
        }
        self.deadline
            .reset(deadline_in(self.shared().timeouts.write));
        poll_fn(|cx| match self.stream.poll_goodbye(cx) {
            Poll::Pending => self.deadline.poll_elapsed(cx),
            Poll::Ready(()) => Poll::Ready(()),
        })
        .await;
    }

    /// In plain HTTP, as nginx and Go answer it: whoever has mistaken the scheme gets to know.
    #[cold]
    fn answer_plain_http(&mut self) {
        self.protocol.stop_receiving();
        let (reason, remedy) = ("this port speaks TLS", "use https://");
        let because = Reason::TlsHandshake;
        let id = RequestId::make();
        self.push_refusal(StatusCode::BAD_REQUEST, &reason, remedy, because, &id);
    }
}
