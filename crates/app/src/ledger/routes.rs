//! What was answered for each route, and how long that took.

use super::book::Counter;
use http::StatusCode;
use std::time::Duration;

/// The shortest bucket ends with 2 to the so manieth microseconds: 32.
const SHORTEST_BITS: u32 = 5;

/// Buckets of a histogram, each twice as long as the one before, the last for all that is longer
/// than 33.6 s: that is longer than handlers may take by default. Precedent for the factor:
/// schema 0 of Prometheus' native histograms; its default buckets begin with 5 ms, which is
/// longer than most answers take here.
pub(crate) const BUCKETS: usize = 22;

/// The routes of one loop, by their numbers. Written by the loop, read by others.
#[derive(Debug)]
pub(crate) struct RouteBook {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    label: String,
    /// As in [`LoopBook`](super::LoopBook).
    classes: [Counter; 6],
    buckets: [Counter; BUCKETS],
    micros: Counter,
}

/// A route as it was at one moment.
#[derive(Debug, Clone)]
pub(crate) struct RouteTally {
    pub(crate) label: String,
    /// By the first digit of the status.
    pub(crate) classes: [u64; 6],
    /// How many took how long, each bucket without those before it.
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) micros: u64,
}

impl RouteBook {
    pub(crate) fn new(labels: Vec<String>) -> Self {
        let route = |label| Route {
            label,
            classes: Default::default(),
            buckets: std::array::from_fn(|_| Counter::default()),
            micros: Counter::default(),
        };
        RouteBook {
            routes: labels.into_iter().map(route).collect(),
        }
    }

    /// A request for a route was answered.
    pub(crate) fn count(&self, number: u32, status: StatusCode, took: Duration) {
        let Some(route) = self.routes.get(number as usize) else {
            debug_assert!(false, "route {number} is not in the book");
            return;
        };
        let class = usize::from(status.as_u16() / 100);
        route.classes[class.min(5)].add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        route.buckets[bucket_of(micros)].add(1);
        route.micros.add(micros);
    }

    pub(super) fn read(&self) -> Vec<RouteTally> {
        let read = |route: &Route| RouteTally {
            label: route.label.clone(),
            classes: route.classes.each_ref().map(Counter::get),
            buckets: route.buckets.each_ref().map(Counter::get),
            micros: route.micros.get(),
        };
        self.routes.iter().map(read).collect()
    }
}

/// Adds the routes of another loop. An app that is made otherwise on each loop has routes of
/// its own there.
pub(super) fn add(all: &mut Vec<RouteTally>, more: Vec<RouteTally>) {
    for route in more {
        let Some(known) = all.iter_mut().find(|known| known.label == route.label) else {
            all.push(route);
            continue;
        };
        let counts = known.classes.iter_mut().chain(&mut known.buckets);
        for (count, more) in counts.zip(route.classes.iter().chain(&route.buckets)) {
            *count += more;
        }
        known.micros += route.micros;
    }
}

/// The bucket of a time: the first that does not end before it.
fn bucket_of(micros: u64) -> usize {
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (bits.saturating_sub(SHORTEST_BITS) as usize).min(BUCKETS - 1)
}

/// What a bucket ends with, itself included; `None` for the last.
pub(crate) fn bucket_end(bucket: usize) -> Option<Duration> {
    let end = || Duration::from_micros(1 << (SHORTEST_BITS as usize + bucket));
    (bucket < BUCKETS - 1).then(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_does_not_end_before_it() {
        for micros in (0..2000).chain((0..40).map(|bits| 1 << bits)) {
            let bucket = bucket_of(micros);
            let time = Duration::from_micros(micros);
            assert!(bucket_end(bucket).is_none_or(|end| time <= end), "{time:?}");
            let before = bucket.checked_sub(1).and_then(bucket_end);
            assert!(before.is_none_or(|end| end < time), "{time:?}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn routes_of_several_loops_are_added_by_their_labels() {
        let books = [["a", "b"], ["b", "c"]].map(|labels| {
            let book = RouteBook::new(labels.map(str::to_owned).into());
            book.count(0, StatusCode::OK, Duration::from_micros(10));
            book.count(1, StatusCode::NOT_FOUND, Duration::from_micros(70));
            book
        });
        let mut all = books[0].read();
        add(&mut all, books[1].read());
        let seen: Vec<_> = all
            .iter()
            .map(|it| (it.label.as_str(), it.classes[2], it.classes[4], it.micros))
            .collect();
        assert_eq!(seen, [("a", 1, 0, 10), ("b", 1, 1, 80), ("c", 0, 1, 70)]);
    }
}
