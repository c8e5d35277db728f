//! Shedding: when requests wait too long for their first step, some are turned away at once, so that
//! the others are answered in time.
//!
//! What is measured is what a newcomer goes through: the loop is first in, first out, so a timer
//! that is due waits as long as a request that has just come. Overload is judged as CoDel judges a
//! queue (RFC 8289): a burst is none; it is one when even the shortest delay of a whole interval was
//! too long.

use crate::changed::Changed;
use crate::{IntoResponse, Reason, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use monoloop_runtime::time;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// When a server turns requests away, and how fast it makes up its mind. Off by default.
///
/// ```no_run
/// use monoloop::{Router, Server, Shedding};
/// use std::time::Duration;
///
/// Server::bind("127.0.0.1:8080")?
///     .shedding(Some(Shedding::new(Duration::from_millis(50))))
///     .run(|| Router::new().get("/", |_| async { "hello\n" }))?;
/// # Ok::<(), monoloop::ServerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shedding {
    /// How long requests may wait for their first step. When none of an interval has waited less,
    /// the loop is overloaded; when one has waited less than half of it, it is not any more.
    /// Overload begins and ends so far apart that the server does not flicker.
    ///
    /// A few times the longest step of the program: 50 ms is a good beginning where steps are short.
    pub queue_delay_max: Duration,
    /// How long is looked at before anything is changed. Default 100 ms (CoDel, RFC 8289 §4.3).
    pub interval: Duration,
}

impl Shedding {
    /// Sheds when requests wait longer than so, judged every 100 ms.
    #[must_use]
    pub fn new(queue_delay_max: Duration) -> Self {
        Shedding {
            queue_delay_max,
            interval: Duration::from_millis(100),
        }
    }
}

/// Looks at the delay so many times in an interval.
const LOOKS_PER_INTERVAL: u32 = 10;

/// What more of the requests is turned away after each interval of overload.
const SHARE_STEP: f32 = 0.1;

/// There are always some that are served, so that it is seen when there is room again.
const SHARE_MAX: f32 = 0.95;

/// How much of it is left after each interval without, and below which share it is none.
const SHARE_DECAY: f32 = 0.75;
const SHARE_MIN: f32 = 0.05;

/// Seconds after which who was turned away may try again: long enough for the share to have changed.
const RETRY_AFTER_SECONDS: &str = "1";

/// What one loop knows of its overload.
#[derive(Debug)]
pub(crate) struct Overload {
    control: RefCell<Control>,
    look_every: Duration,
    /// When the look that is under way was due.
    look_due: Cell<Option<Instant>>,
    /// Requests have come since the last look.
    is_asked: Cell<bool>,
    began: Changed,
    /// Requests that were turned away.
    pub(crate) shed: Cell<u64>,
}

impl Overload {
    pub(crate) fn new(shedding: Shedding) -> Rc<Self> {
        Rc::new(Overload {
            control: RefCell::new(Control::new(shedding, time::now())),
            look_every: shedding.interval / LOOKS_PER_INTERVAL,
            look_due: Cell::new(None),
            is_asked: Cell::new(false),
            began: Changed::default(),
            shed: Cell::new(0),
        })
    }

    /// Whether the request that has just come is to be turned away.
    pub(crate) fn sheds(&self) -> bool {
        if !self.is_asked.replace(true) {
            self.began.notify();
        }
        let mut control = self.control.borrow_mut();
        let now = time::now_precise();
        if control.is_interval_over(now) {
            // In a long queue the look waits as long as everybody; how long it has waited by now is
            // known already.
            let due = self.look_due.get();
            let waited = due.map(|due| now.saturating_duration_since(due));
            let changed = control.end_interval(now, waited);
            self.tell(changed);
        }
        control.draw()
    }

    #[cold]
    fn tell(&self, changed: Option<Change>) {
        match changed {
            Some(Change::Began) => tracing::warn!("overloaded; shedding requests"),
            Some(Change::Ended) => {
                tracing::info!(shed = self.shed.get(), "not overloaded any more");
            }
            None => {}
        }
    }

    /// The answer to one that is turned away. Its connection is kept: a new one costs more.
    pub(crate) fn answer(&self) -> Response {
        self.shed.set(self.shed.get() + 1);
        let told = "the server is overloaded; try again later\n";
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, told).into_response();
        response.reason = Reason::Shed;
        response.with_header(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))
    }

    /// Measures for ever. Rests while no requests come.
    pub(crate) async fn measure(self: Rc<Self>) {
        loop {
            let is_needed = || self.is_asked.get() || self.control.borrow().is_shedding();
            self.began.wait_until(is_needed).await;
            self.is_asked.set(false);
            let due = time::now_precise() + self.look_every;
            self.look_due.set(Some(due));
            time::sleep_until(due).await;
            self.look_due.set(None);
            let now = time::now_precise();
            let mut control = self.control.borrow_mut();
            control.look(now.saturating_duration_since(due));
            if control.is_interval_over(now) {
                let changed = control.end_interval(now, None);
                self.tell(changed);
            }
        }
    }
}

/// Decides what share of the requests is turned away. Knows no clock.
#[derive(Debug)]
struct Control {
    shedding: Shedding,
    /// The share that is turned away.
    share: f32,
    /// What of it has not been turned away yet.
    owed: f32,
    /// Of the looks of this interval.
    shortest: Option<Duration>,
    interval_ends: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Began,
    Ended,
}

impl Control {
    fn new(shedding: Shedding, now: Instant) -> Self {
        Control {
            shedding,
            share: 0.0,
            owed: 0.0,
            shortest: None,
            interval_ends: now + shedding.interval,
        }
    }

    fn is_shedding(&self) -> bool {
        self.share > 0.0
    }

    /// Whether the next request is one of those. Spread evenly, without chance.
    fn draw(&mut self) -> bool {
        self.owed += self.share;
        let is_drawn = self.owed >= 1.0;
        if is_drawn {
            self.owed -= 1.0;
        }
        is_drawn
    }

    /// Takes note of a delay.
    fn look(&mut self, delay: Duration) {
        let shortest = self.shortest.get_or_insert(delay);
        *shortest = delay.min(*shortest);
    }

    fn is_interval_over(&self, now: Instant) -> bool {
        now >= self.interval_ends
    }

    /// Draws the conclusion of an interval. `under_way` is how long a look has waited that is not
    /// over yet: when none is, it is all that is known.
    fn end_interval(&mut self, now: Instant, under_way: Option<Duration>) -> Option<Change> {
        let most = self.shedding.queue_delay_max;
        self.interval_ends = now + self.shedding.interval;
        let long = under_way.filter(|waited| *waited > most);
        let shortest = self.shortest.take().or(long)?;
        let before = self.is_shedding();
        if shortest > most {
            self.share = (self.share + SHARE_STEP).min(SHARE_MAX);
        } else if shortest < most / 2 {
            self.share *= SHARE_DECAY;
            if self.share < SHARE_MIN {
                (self.share, self.owed) = (0.0, 0.0);
            }
        }
        match (before, self.is_shedding()) {
            (false, true) => Some(Change::Began),
            (true, false) => Some(Change::Ended),
            (false, false) | (true, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop_runtime::sim;

    const MOST: Duration = Duration::from_millis(50);

    /// Looks for an interval at delays of so many milliseconds.
    fn interval(control: &mut Control, now: &mut Instant, delays: &[u64]) -> Option<Change> {
        let every = control.shedding.interval / delays.len() as u32;
        let mut change = None;
        for delay in delays {
            *now += every;
            control.look(Duration::from_millis(*delay));
            if control.is_interval_over(*now) {
                change = control.end_interval(*now, None).or(change);
            }
        }
        change
    }

    fn control() -> (Control, Instant) {
        let now = sim::run(0, async { time::now() });
        (Control::new(Shedding::new(MOST), now), now)
    }

    #[test]
    fn a_burst_is_no_overload() {
        let (mut control, mut now) = control();
        for _ in 0..100 {
            assert_eq!(interval(&mut control, &mut now, &[900, 900, 900, 40]), None);
            assert!(!control.draw());
        }
    }

    #[test]
    fn delays_that_stay_long_are_and_end_only_when_they_are_half_as_short() {
        let (mut control, mut now) = control();
        let begins = interval(&mut control, &mut now, &[60, 51, 80, 70]);
        assert_eq!(begins, Some(Change::Began));
        let share = control.share;
        for _ in 0..100 {
            // Between half and all of the bound nothing changes.
            assert_eq!(interval(&mut control, &mut now, &[26, 49]), None);
        }
        assert_eq!(control.share, share);
        let mut intervals = 0;
        while interval(&mut control, &mut now, &[24]).is_none() {
            intervals += 1;
            assert!(intervals < 10);
        }
        assert!(!control.draw());
    }

    #[test]
    fn the_share_is_spread_evenly_and_never_all() {
        let (mut control, mut now) = control();
        for _ in 0..50 {
            interval(&mut control, &mut now, &[1000]);
        }
        let served = (0..1000).filter(|_| !control.draw()).count();
        assert!((45..=55).contains(&served), "{served}");
    }
}
