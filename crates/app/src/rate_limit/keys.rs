//! The counts of a bounded number of peers.
//!
//! They are in two maps. New ones and those that are looked at go into the first; when that is
//! full, or a while is over, it becomes the second, and what was in the second is dropped at
//! once. So a peer that keeps coming is kept, nothing is ever searched for what is old, and an
//! address that is used once costs nothing but its place.

use super::key::Key;
use governor::nanos::Nanos;
use governor::state::StateStore;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub(super) struct Keys(Rc<RefCell<Maps>>);

struct Maps {
    recent: HashMap<Key, Nanos>,
    older: HashMap<Key, Nanos>,
    /// Of one map: half of what is held.
    len_max: usize,
    turned_at: Instant,
}

const _: () = assert!(size_of::<(Key, Nanos)>() == 32, "the size that is promised");

impl Keys {
    pub(super) fn new(keys_max: usize, now: Instant) -> Self {
        Keys(Rc::new(RefCell::new(Maps {
            recent: HashMap::new(),
            older: HashMap::new(),
            len_max: (keys_max / 2).max(1),
            turned_at: now,
        })))
    }

    /// Forgets who has not come for `idle` at least, and twice that at most.
    pub(super) fn forget_idle(&self, now: Instant, idle: Duration) {
        let mut maps = self.0.borrow_mut();
        if now.saturating_duration_since(maps.turned_at) >= idle {
            maps.turned_at = now;
            maps.turn();
        }
    }
}

impl Maps {
    fn turn(&mut self) {
        self.older = mem::take(&mut self.recent);
    }

    fn get(&self, key: &Key) -> Option<Nanos> {
        let found = self.recent.get(key).or_else(|| self.older.get(key));
        found.copied()
    }

    fn set(&mut self, key: Key, count: Nanos) {
        if let Some(known) = self.recent.get_mut(&key) {
            *known = count;
            return;
        }
        if self.recent.len() >= self.len_max {
            self.turn();
        }
        self.recent.insert(key, count);
    }
}

impl StateStore for Keys {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut maps = self.0.borrow_mut();
        let known = maps.get(key);
        match f(known) {
            Ok((outcome, count)) => {
                maps.set(*key, count);
                Ok(outcome)
            }
            Err(late) => {
                // Who is turned away has come as well, and is not forgotten for it.
                if let Some(count) = known {
                    maps.set(*key, count);
                }
                Err(late)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop_runtime::Runtime;
    use monoloop_runtime::time;

    fn count(keys: &Keys, key: u64) -> Option<u64> {
        keys.0.borrow().get(&Key::Named(key)).map(Nanos::as_u64)
    }

    fn come(keys: &Keys, key: u64) {
        let counted: Result<(), ()> = keys.measure_and_replace(&Key::Named(key), |known| {
            let count = known.map_or(0, Nanos::as_u64);
            Ok(((), Nanos::from(count + 1)))
        });
        assert_eq!(counted, Ok(()));
    }

    fn now() -> Instant {
        let runtime = Runtime::new();
        runtime.expect("a loop").block_on(async { time::now() })
    }

    #[test]
    fn whatever_comes_no_more_than_so_many_are_held_and_who_keeps_coming_is_kept() {
        let keys = Keys::new(100, now());
        for stranger in 1..=10_000 {
            come(&keys, stranger);
            come(&keys, 0);
            let maps = keys.0.borrow();
            assert!(maps.recent.len() + maps.older.len() <= 100);
        }
        assert_eq!(count(&keys, 0), Some(10_000));
        assert_eq!(count(&keys, 1), None);
        assert_eq!(count(&keys, 10_000), Some(1));
    }

    #[test]
    fn who_is_turned_away_is_not_forgotten() {
        let keys = Keys::new(4, now());
        come(&keys, 0);
        for stranger in 1..=20 {
            come(&keys, stranger);
            let refused: Result<(), ()> = keys.measure_and_replace(&Key::Named(0), |_| Err(()));
            assert_eq!(refused, Err(()));
        }
        assert_eq!(count(&keys, 0), Some(1));
    }

    #[test]
    fn who_does_not_come_for_a_while_is_forgotten() {
        let start = now();
        let idle = Duration::from_secs(10);
        let keys = Keys::new(100, start);
        come(&keys, 1);
        keys.forget_idle(start + idle, idle);
        assert_eq!(count(&keys, 1), Some(1));
        keys.forget_idle(start + idle * 2 - Duration::from_nanos(1), idle);
        assert_eq!(count(&keys, 1), Some(1));
        keys.forget_idle(start + idle * 2, idle);
        assert_eq!(count(&keys, 1), None);
    }
}
