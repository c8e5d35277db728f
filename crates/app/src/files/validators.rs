//! `ETag` and `Last-Modified`: by what a peer names what it has (RFC 9110 §8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file may be written twice without its date changing: the clock of a file system that knows parts
/// of a second ticks every few milliseconds (10 with `CONFIG_HZ=100`). Ten times that.
const FINE_TICK: Duration = Duration::from_millis(100);

/// The same for one that knows whole seconds; two of them with FAT.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// 1980-01-02. Build tools give files a date of their own, so that what they make is always the
/// same (0 or 1 s after the epoch, or the first day that a zip archive knows): all versions of such
/// a file have one date, and a peer must not be told that nothing has changed.
const DATED_FROM: Duration = Duration::from_secs(315_619_200);

/// What tells one version of a file from another. None of it when the file has no date to go by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Validators {
    pub(super) etag: Option<ETag>,
    /// In whole seconds, and never later than now.
    pub(super) modified: Option<SystemTime>,
    /// The date in whole seconds is of this version alone, as far as can be known (§8.8.2.2).
    pub(super) is_date_strong: bool,
}

/// An entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ETag {
    /// What stands between the quotes.
    pub(super) opaque: String,
    pub(super) is_weak: bool,
}

impl ETag {
    pub(super) fn field(&self) -> String {
        let weak = if self.is_weak { "W/" } else { "" };
        format!("{weak}\"{}\"", self.opaque)
    }
}

impl Validators {
    /// Of a file with this date and length, looked at now; `coding` tells the compressed form of a
    /// file from the plain one.
    ///
    /// Date and length, and not the inode: so the tag is the same after a restart and on each of
    /// several machines that were given the same files.
    pub(super) fn of(
        modified: Option<SystemTime>,
        len: u64,
        coding: Option<&str>,
        now: SystemTime,
    ) -> Validators {
        let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let Some(date) = modified
            .and_then(since_epoch)
            .filter(|date| *date >= DATED_FROM)
        else {
            return Validators::default();
        };
        let now = since_epoch(now).unwrap_or_default();
        let tick = match date.subsec_nanos() {
            0 => COARSE_TICK,
            _ => FINE_TICK,
        };
        let (nanos, dash) = (date.as_nanos(), if coding.is_some() { "-" } else { "" });
        let opaque = format!("{nanos:x}-{len:x}{dash}{}", coding.unwrap_or(""));
        // A date in the future is not told (§8.8.2.1).
        let told = date.min(now).as_secs();
        Validators {
            etag: Some(ETag {
                opaque,
                is_weak: now < date + tick,
            }),
            modified: Some(UNIX_EPOCH + Duration::from_secs(told)),
            is_date_strong: now >= date + COARSE_TICK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(secs: u64, nanos: u32) -> SystemTime {
        DATE + Duration::new(secs, nanos)
    }

    #[test]
    fn a_file_is_named_by_its_date_and_length() {
        let now = at(2_000_000_000, 0);
        let tag = |nanos, len, coding| {
            let validators = Validators::of(Some(at(1_000_000_000, nanos)), len, coding, now);
            validators.etag.map(|tag| tag.field())
        };
        let first = tag(1, 10, None);
        assert_eq!(first.as_deref(), Some("\"de0b6b3a7640001-a\""));
        assert_eq!(first, tag(1, 10, None), "and always by the same");
        for other in [tag(2, 10, None), tag(1, 11, None), tag(1, 10, Some("gz"))] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_file_that_was_just_written_has_a_weak_tag() {
        let weak = |modified, now| {
            let validators = Validators::of(Some(modified), 1, None, now);
            validators.etag.map(|tag| tag.is_weak)
        };
        let date = at(1_000_000_000, 500);
        let whole = at(1_000_000_000, 0);
        assert_eq!(weak(date, date), Some(true));
        assert_eq!(weak(date, at(1_000_000_000, 100_000_499)), Some(true));
        assert_eq!(weak(date, at(1_000_000_000, 100_000_500)), Some(false));
        assert_eq!(weak(whole, at(1_000_000_001, 999_999_999)), Some(true));
        assert_eq!(weak(whole, at(1_000_000_002, 0)), Some(false));
        assert_eq!(
            weak(date, at(1, 0)),
            Some(true),
            "a clock that was set back"
        );
    }

    #[test]
    fn a_date_in_the_future_is_not_told() {
        let validators = Validators::of(Some(at(2_000_000_000, 0)), 1, None, at(1_000_000_000, 7));
        assert_eq!(validators.modified, Some(at(1_000_000_000, 0)));
    }

    #[test]
    fn a_date_that_a_build_tool_has_set_tells_nothing() {
        let now = at(2_000_000_000, 0);
        let before_epoch = DATE - Duration::from_secs(1);
        for date in [before_epoch, at(0, 0), at(1, 0), at(315_532_800, 0)] {
            assert_eq!(
                Validators::of(Some(date), 1, None, now),
                Validators::default()
            );
        }
        assert_eq!(Validators::of(None, 1, None, now), Validators::default());
    }
}
