//! What hostile connections saw, counted: how each ended, when, and whether that was right. No
//! socket, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::Durations;

/// As many faults are kept in words; the rest is only counted.
const FAULTS_KEPT_MAX: usize = 5;

/// How one hostile connection ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// The server answered with this status, the last of its answers, or with this code of a
    /// WebSocket's close, and closed.
    Refused(u16),
    /// The server answered with this status and is willing to go on.
    Served(u16),
    /// The server closed and said nothing.
    Closed,
    /// The server, or its kernel, reset the connection.
    Reset,
    /// We went first, as the attack has it.
    Left,
    /// Nothing happened until we gave up waiting.
    Open,
    /// The server went on to something that it must not have understood as a request.
    Fooled,
    /// What the server said is no HTTP.
    Garbled,
    /// There was no connection to attack with.
    NotConnected,
}

impl Seen {
    /// The name in reports and in JSON: `408`, `served_200`, `reset`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Refused(status) => status.to_string(),
            Self::Served(status) => format!("served_{status}"),
            Self::Closed => "closed".into(),
            Self::Reset => "reset".into(),
            Self::Left => "left".into(),
            Self::Open => "still_open".into(),
            Self::Fooled => "fooled".into(),
            Self::Garbled => "garbled".into(),
            Self::NotConnected => "not_connected".into(),
        }
    }
}

/// How a hostile connection may end, and how soon.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) endings: Vec<Seen>,
    pub(crate) within: Duration,
}

impl Expected {
    pub(crate) fn new(endings: impl Into<Vec<Seen>>, within: Duration) -> Self {
        Self {
            endings: endings.into(),
            within,
        }
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.endings.iter().map(Seen::name).collect();
        names.join(" or ")
    }
}

/// All hostile connections of one attack.
pub(crate) struct Tally {
    endings: BTreeMap<Seen, u64>,
    /// Until the server had cut a connection off, of those it did.
    pub(crate) cut_off: Durations,
    /// Endings that should not have been, in words; the first few.
    pub(crate) faults: Vec<String>,
    pub(crate) faults_count: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            endings: BTreeMap::new(),
            cut_off: Durations::new(),
            faults: Vec::new(),
            faults_count: 0,
        }
    }

    /// A connection that sent `shape` ended, `after` the moment from which the server had to act.
    pub(crate) fn record(&mut self, shape: &str, seen: Seen, after: Duration, expected: &Expected) {
        let was_cut_off = matches!(seen, Seen::Refused(_) | Seen::Closed | Seen::Reset);
        if was_cut_off {
            self.cut_off.record(after);
        }
        if !expected.endings.contains(&seen) {
            self.fault(format!(
                "{shape}: {} instead of {} after {}",
                seen.name(),
                expected.names(),
                crate::format::duration(after)
            ));
        } else if after > expected.within {
            self.fault(format!(
                "{shape}: {} after {}, later than {}",
                seen.name(),
                crate::format::duration(after),
                crate::format::duration(expected.within)
            ));
        }
        *self.endings.entry(seen).or_default() += 1;
    }

    /// Something about the attack as a whole that should not have been.
    pub(crate) fn fault(&mut self, fault: String) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_KEPT_MAX {
            self.faults.push(fault);
        }
    }

    /// Hostile connections there were.
    pub(crate) fn connections(&self) -> u64 {
        self.endings.values().sum::<u64>() - self.count(&Seen::NotConnected)
    }

    pub(crate) fn count(&self, seen: &Seen) -> u64 {
        self.endings.get(seen).copied().unwrap_or(0)
    }

    /// Endings with their counts, the most frequent first.
    pub(crate) fn endings(&self) -> Vec<(String, u64)> {
        let mut endings: Vec<_> = self
            .endings
            .iter()
            .map(|(seen, count)| (seen.name(), *count))
            .collect();
        endings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        endings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected::new([Seen::Refused(408)], Duration::from_secs(3))
    }

    #[test]
    fn the_right_ending_in_time_is_no_fault() {
        let mut tally = Tally::new();
        let after = Duration::from_secs(2);
        tally.record("x", Seen::Refused(408), after, &expected());
        assert_eq!(tally.faults_count, 0);
        assert_eq!(tally.connections(), 1);
        assert_eq!(tally.cut_off.count(), 1);
    }

    #[test]
    fn another_ending_and_a_late_one_are_faults_that_name_the_shape() {
        let mut tally = Tally::new();
        tally.record("te-cl", Seen::Open, Duration::from_secs(9), &expected());
        tally.record("x", Seen::Refused(408), Duration::from_secs(4), &expected());
        assert_eq!(tally.faults_count, 2);
        assert_eq!(
            tally.faults[0],
            "te-cl: still_open instead of 408 after 9.00 s"
        );
        assert_eq!(tally.faults[1], "x: 408 after 4.00 s, later than 3.00 s");
        assert_eq!(tally.cut_off.count(), 1, "one is still open");
    }

    #[test]
    fn who_never_was_connected_is_no_hostile_connection() {
        let mut tally = Tally::new();
        tally.record("x", Seen::NotConnected, Duration::ZERO, &expected());
        assert_eq!((tally.connections(), tally.faults_count), (0, 1));
        assert_eq!(tally.endings(), [("not_connected".to_owned(), 1)]);
    }
}
