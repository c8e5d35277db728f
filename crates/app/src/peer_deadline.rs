//! Deadlines of peers: time in which the loop itself was stuck is not charged to them.
//!
//! A peer whose bytes came while nobody looked is served, because the socket is asked before the
//! deadline. That is not always enough: what came may be half of what is needed, or still be in
//! the backlog. So a deadline that has passed is moved by as long as the loop was stuck since it
//! was set. It costs nothing until one has passed.

use monoloop_runtime::time::{self, Sleep};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How often one deadline is moved. A loop that is stuck once is forgiven, for however long; one
/// that is stuck all the time does serve its peers in between, and those who are idle must not
/// stay for ever.
const MOVES_MAX: u8 = 3;

/// How long the loop had been stuck when a deadline was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grace {
    /// Modulo 49 days, of which only a difference is taken.
    stuck_ms: u32,
    moves: u8,
}

impl Grace {
    /// For a deadline that is set now.
    #[inline]
    pub(crate) fn begin(timer: &Sleep) -> Self {
        Grace {
            stuck_ms: stuck_ms(timer),
            moves: 0,
        }
    }

    /// How long the loop was stuck since it began.
    fn stuck(self, timer: &Sleep) -> Duration {
        Duration::from_millis(stuck_ms(timer).wrapping_sub(self.stuck_ms).into())
    }

    /// By how much a deadline that has passed has to be moved. `None` when it is over.
    #[cold]
    fn take(&mut self, timer: &Sleep) -> Option<Duration> {
        let stuck = self.stuck(timer);
        if stuck.is_zero() || self.moves == MOVES_MAX {
            return None;
        }
        self.moves += 1;
        self.stuck_ms = stuck_ms(timer);
        Some(stuck)
    }

    /// Ready when the deadline that `timer` is set to is over; moves it when that is due.
    #[inline]
    pub(crate) fn poll_over(&mut self, timer: &mut Sleep, cx: &Context<'_>) -> Poll<()> {
        loop {
            ready!(timer.poll_elapsed(cx));
            let Some(more) = self.take(timer) else {
                return Poll::Ready(());
            };
            timer.reset(timer.deadline() + more);
        }
    }
}

#[inline]
fn stuck_ms(timer: &Sleep) -> u32 {
    let stuck = timer.stuck();
    (stuck.as_secs() as u32)
        .wrapping_mul(1000)
        .wrapping_add(stuck.subsec_millis())
}

/// A deadline that shares its timer with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerDeadline {
    at: Instant,
    grace: Grace,
}

/// What has become of a deadline whose timer has come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    Over,
    /// It was moved.
    Later,
}

impl PeerDeadline {
    pub(crate) fn at(at: Instant, timer: &Sleep) -> Self {
        PeerDeadline {
            at,
            grace: Grace::begin(timer),
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.at
    }

    /// Waits with `timer`, which nobody else waits with meanwhile.
    pub(crate) fn poll_passed(&mut self, timer: &mut Sleep, cx: &Context<'_>) -> Poll<Passed> {
        timer.reset(self.at);
        ready!(timer.poll_elapsed(cx));
        Poll::Ready(match self.grace.take(timer) {
            None => Passed::Over,
            Some(more) => {
                self.at += more;
                Passed::Later
            }
        })
    }
}

/// A point in time from which on a peer is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    at: Instant,
    grace: Grace,
}

impl Since {
    pub(crate) fn now(timer: &Sleep) -> Self {
        Since {
            at: time::now(),
            grace: Grace::begin(timer),
        }
    }

    /// The time that the peer has had since then.
    pub(crate) fn elapsed(self, timer: &Sleep) -> Duration {
        let elapsed = time::now().saturating_duration_since(self.at);
        elapsed.saturating_sub(self.grace.stuck(timer))
    }

    /// When the peer will have had so much time, as it looks now. `None` for never.
    pub(crate) fn due_after(self, time: Duration, timer: &Sleep) -> Option<Instant> {
        let due = self.at.checked_add(time)?;
        due.checked_add(self.grace.stuck(timer))
    }
}

/// How long a peer may be waited for in all when `silence` without a byte is too long, and each
/// second has to bring so many bytes: one that trickles is cut off when its bytes do not pay for
/// their time.
pub(crate) fn time_for(
    silence: Duration,
    bytes: u64,
    bytes_per_second_min: Option<u32>,
) -> Duration {
    let Some(rate) = bytes_per_second_min.filter(|rate| *rate > 0) else {
        return Duration::MAX;
    };
    let millis = u128::from(bytes) * 1000 / u128::from(rate);
    let paid = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    silence.saturating_add(paid)
}
