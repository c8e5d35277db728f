//! The fields that every response of a loop has: `Date` and `Server`, encoded once a second.

use http::header::{DATE, SERVER};
use http::{HeaderName, HeaderValue};
use monoloop_proto::http1::EncodedFields;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
            self.encode(now);
        }
        &self.encoded
    }

    #[cold]
    fn encode(&mut self, now: Instant) {
        let wall = SystemTime::now();
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = 1_000_000_000 - since_epoch.subsec_nanos();
        self.stale_at = Some(now + Duration::from_nanos(left.into()));

        let date = HeaderValue::from_str(&httpdate::fmt_http_date(wall))
            .expect("a date is ASCII without control characters");
        self.encoded.clear();
        for (name, value) in [(DATE, &date), (SERVER, &self.server)] {
            push(&mut self.encoded, &name, value);
        }
    }
}

fn push(fields: &mut EncodedFields, name: &HeaderName, value: &HeaderValue) {
    fields
        .push(name, value)
        .expect("neither Date nor Server frames a message");
}
