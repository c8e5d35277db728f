//! So many requests in a while from each peer, and no more.

mod key;
mod keys;

use crate::handler::BoxFuture;
use crate::{IntoResponse, Middleware, Next, Request, Response, TrustedProxies};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::RETRY_AFTER;
use key::{Key, Keying};
use keys::Keys;
use monoloop_runtime::time;
use std::cell::OnceCell;
use std::fmt;
use std::future::ready;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// A middleware that answers 429 to whoever asks too often, with `Retry-After` (RFC 6585 §4).
///
/// It counts by the address of the peer, IPv6 by its /64, for that is what one customer has.
/// Requests come back one by one as time passes (the generic cell rate algorithm, of the crate
/// governor), so nobody waits for the minute to be over; up to the whole number may come at once,
/// unless [`burst`](RateLimit::burst) says otherwise.
///
/// Each loop counts for itself: with several threads, a peer with several connections has up to
/// so many times its share. The probes for health are answered before any middleware.
///
/// Memory is bounded by [`keys_max`](RateLimit::keys_max). When more peers than that come in
/// a short while, those are forgotten that were not seen for longest, and start afresh.
///
/// ```
/// use monoloop::{RateLimit, Request, Router, with_middleware};
///
/// async fn log_in(_: Request) -> &'static str {
///     "welcome\n"
/// }
///
/// let app = Router::new()
///     .middleware(RateLimit::per_second(20).burst(100))
///     .post("/login", with_middleware(RateLimit::per_minute(5), log_in));
/// assert!(app.check().is_ok());
/// ```
pub struct RateLimit {
    requests: u32,
    period: Duration,
    burst: Option<u32>,
    keys_max: usize,
    keying: Keying,
    /// Made at the first request, on the loop that has the clock.
    limiter: OnceCell<Limiter>,
}

/// Peers that one loop keeps count of: two maps of half as many, 2.2 MB each when they are full.
const KEYS_MAX: usize = 65_536;

/// Who has not come for so long is forgotten, at the soonest.
const IDLE_MIN: Duration = Duration::from_secs(60);

impl RateLimit {
    /// So many requests a second.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        RateLimit::new(requests, Duration::from_secs(1))
    }

    /// So many requests a minute.
    #[must_use]
    pub fn per_minute(requests: u32) -> Self {
        RateLimit::new(requests, Duration::from_secs(60))
    }

    /// So many requests in each period.
    #[must_use]
    pub fn new(requests: u32, period: Duration) -> Self {
        RateLimit {
            requests,
            period,
            burst: None,
            keys_max: KEYS_MAX,
            keying: Keying::Peer,
            limiter: OnceCell::new(),
        }
    }

    /// How many requests may come at once from who was quiet before. Default: those of the
    /// whole period.
    #[must_use]
    pub fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Peers that one loop keeps count of at most. Default 65,536.
    #[must_use]
    pub fn keys_max(mut self, keys: usize) -> Self {
        self.keys_max = keys;
        self
    }

    /// Counts by the address of the client behind the proxies.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.keying = Keying::Behind(proxies);
        self
    }

    /// Counts by whatever this makes of a request, such as the user; does not count when that is
    /// `None`.
    #[must_use]
    pub fn by(mut self, key: impl Fn(&Request) -> Option<String> + 'static) -> Self {
        self.keying = Keying::by(key);
        self
    }

    fn quota(&self) -> Option<Quota> {
        let every = self.period.checked_div(self.requests)?;
        let burst = NonZeroU32::new(self.burst.unwrap_or(self.requests))?;
        Some(Quota::with_period(every)?.allow_burst(burst))
    }

    /// How long the request has to wait, if it has.
    fn wait_for(&self, request: &Request) -> Option<Duration> {
        let key = self.keying.of(request)?;
        let limiter = self.limiter.get_or_init(|| self.make_limiter());
        limiter.keys.forget_idle(LoopClock.now(), limiter.idle);
        let checked = limiter.rates.check_key(&key);
        checked
            .err()
            .map(|late| late.wait_time_from(LoopClock.now()))
    }

    fn make_limiter(&self) -> Limiter {
        let quota = self.quota().expect("the router has checked it");
        let keys = Keys::new(self.keys_max, LoopClock.now());
        Limiter {
            rates: RateLimiter::new(quota, keys.clone(), LoopClock),
            keys,
            idle: quota.burst_size_replenished_in().max(IDLE_MIN),
        }
    }
}

struct Limiter {
    rates: RateLimiter<Key, Keys, LoopClock, NoOpMiddleware<Instant>>,
    keys: Keys,
    /// Who has not come for so long is as good as new.
    idle: Duration,
}

/// The loop's time: it stands still within a turn, and jumps in simulations.
#[derive(Debug, Clone, Copy)]
struct LoopClock;

impl Clock for LoopClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        time::now()
    }
}

impl Middleware for RateLimit {
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        match self.wait_for(&request) {
            None => next.call(request),
            Some(wait) => Box::pin(ready(answer_too_many(wait))),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.quota() {
            Some(_) if self.keys_max > 0 => Ok(()),
            Some(_) => Err("RateLimit: keys_max has to be 1 or more".into()),
            None => Err(format!(
                "RateLimit: {} requests in {:?}, {} at once, cannot be counted; all of them have \
                 to be more than nothing",
                self.requests,
                self.period,
                self.burst.unwrap_or(self.requests)
            )),
        }
    }
}

/// Rounded up: who comes back then is not too early.
fn answer_too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = seconds.max(1);
    let text = format!("too many requests; try again in {seconds} s\n");
    let response = (StatusCode::TOO_MANY_REQUESTS, text).into_response();
    response.with_header(RETRY_AFTER, seconds.into())
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("requests", &self.requests)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}
