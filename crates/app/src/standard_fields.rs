//! The fields that every response of a loop has: `Date` and `Server`, encoded once a second.

use http::header::{DATE, SERVER};
use http::{HeaderName, HeaderValue};
use monoloop_proto::http1::EncodedFields;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 9999-12-31 23:59:59: a date has four digits for its year (RFC 9110 §5.6.7).
const DATE_MAX: Duration = Duration::from_secs(253_402_300_799);

#[derive(Debug)]
pub(crate) struct StandardFields {
    server: HeaderValue,
    encoded: EncodedFields,
    /// When the next second begins, by the loop's clock. A wall clock that jumps is noticed
    /// within a second.
    stale_at: Option<Instant>,
}

impl StandardFields {
    pub(crate) fn new() -> Self {
        StandardFields {
            server: HeaderValue::from_static("monoloop"),
            encoded: EncodedFields::new(),
            stale_at: None,
        }
    }

    /// The fields at the time `now` of the loop.
    #[inline]
    pub(crate) fn at(&mut self, now: Instant) -> &EncodedFields {
        if self.stale_at.is_none_or(|stale_at| now >= stale_at) {
            self.encode(now, SystemTime::now());
        }
        &self.encoded
    }

    /// At the time `wall` of the wall clock, which may have jumped to wherever it likes.
    #[cold]
    fn encode(&mut self, now: Instant, wall: SystemTime) {
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = 1_000_000_000 - since_epoch.subsec_nanos();
        self.stale_at = Some(now + Duration::from_nanos(left.into()));

        let date = HeaderValue::from_str(&date(since_epoch))
            .expect("a date is ASCII without control characters");
        self.encoded.clear();
        for (name, value) in [(DATE, &date), (SERVER, &self.server)] {
            push(&mut self.encoded, &name, value);
        }
    }
}

fn date(since_epoch: Duration) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + since_epoch.min(DATE_MAX))
}

fn push(fields: &mut EncodedFields, name: &HeaderName, value: &HeaderValue) {
    fields
        .push(name, value)
        .expect("neither Date nor Server frames a message");
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop_runtime::{ClockMode, Runtime, time};

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
    fn a_wall_clock_that_jumps_is_told_within_a_second() {
        let runtime = Runtime::builder().clock(ClockMode::Manual).build();
        runtime.unwrap().block_on(async {
            let second = Duration::from_secs(1);
            let mut fields = StandardFields::new();
            let mut now = time::now();
            for wall in [1_000_000_000, 2_000_000_000, 999_999_999, 253_402_300_800] {
                let wall = UNIX_EPOCH + Duration::from_secs(wall) + second / 4;
                fields.encode(now, wall);
                assert_eq!(fields.stale_at, Some(now + second * 3 / 4));
                now += second;
            }
            fields.encode(now, UNIX_EPOCH - second / 2);
            assert_eq!(fields.stale_at, Some(now + second));
        });
    }

    #[test]
    fn a_date_is_one_whatever_the_wall_clock_says() {
        for (wall, told) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (999_999_999, "Sun, 09 Sep 2001 01:46:39 GMT"),
            (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date(Duration::from_secs(wall)), told);
        }
    }
}
