//! A hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7): arming, cancelling
//! and moving a timer are O(1), however many there are. Pure: time comes in as ticks.
//!
//! Level 0 has a slot for each of the next 64 ticks, level 1 a slot for each of the next 64
//! spans of 64 ticks, and so on. A timer lies in the slot of the highest digit (base 64) in
//! which its deadline differs from the hand, and is filed again, lower, when the hand gets there.

use crate::clock::Tick;
use crate::task::Waiter;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;
/// Ticks the wheel can tell apart, 2^36 ms: two years.
const HORIZON: Tick = 1 << (SLOT_BITS * LEVELS as u32);
const NIL: u32 = u32::MAX;

const _: () = assert!(SLOTS == u64::BITS as usize, "one occupancy bit per slot");

/// Names an armed timer. The key of a timer that fired or was cancelled names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    deadline: Tick,
    waiter: Waiter,
    // Neighbours in the slot's list, or the next free entry.
    previous: u32,
    next: u32,
    generation: u32,
    level: u8,
    slot: u8,
}

/// A slot's timers, oldest first.
#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

#[derive(Debug)]
struct Level {
    occupied: u64,
    slots: [List; SLOTS],
}

#[derive(Debug)]
pub(crate) struct Wheel {
    /// All ticks before and at the hand have been judged.
    hand: Tick,
    levels: [Level; LEVELS],
    entries: Vec<Entry>,
    free: u32,
    armed: usize,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        const EMPTY: List = List {
            first: NIL,
            last: NIL,
        };
        Wheel {
            hand: 0,
            levels: std::array::from_fn(|_| Level {
                occupied: 0,
                slots: [EMPTY; SLOTS],
            }),
            entries: Vec::new(),
            free: NIL,
            armed: 0,
        }
    }

    /// Arms a timer. O(1).
    #[inline]
    pub(crate) fn insert(&mut self, deadline: Tick, waiter: Waiter) -> TimerKey {
        let index = self.allocate(deadline, waiter);
        self.file(index);
        self.armed += 1;
        TimerKey {
            index,
            generation: self.entries[index as usize].generation,
        }
    }

    /// Disarms a timer. O(1). Returns the waiter, for the caller to drop.
    #[inline]
    pub(crate) fn cancel(&mut self, key: TimerKey) -> Option<Waiter> {
        self.get(key)?;
        self.unlink(key.index);
        Some(self.release(key.index))
    }

    /// Changes a timer's deadline. O(1). Whether the timer was still armed.
    pub(crate) fn move_to(&mut self, key: TimerKey, deadline: Tick) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        self.unlink(key.index);
        self.entries[key.index as usize].deadline = deadline;
        self.file(key.index);
        true
    }

    /// Changes who is woken. Returns the waiter so far, for the caller to drop.
    pub(crate) fn set_waiter(&mut self, key: TimerKey, waiter: Waiter) -> Option<Waiter> {
        let entry = self.get(key)?;
        Some(std::mem::replace(&mut entry.waiter, waiter))
    }

    /// Moves the hand to `now` and hands out who waited for a tick up to it, in the
    /// order of the deadlines.
    pub(crate) fn expire(&mut self, now: Tick, due: &mut Vec<Waiter>) {
        while let Some(tick) = self.next_turn() {
            if tick > now {
                break;
            }
            self.hand = tick;
            self.expire_slots_at_hand(due);
        }
        self.hand = self.hand.max(now);
    }

    /// When the wheel has to turn next: a lower bound of the next deadline, exact once
    /// that is less than 64 ticks away.
    pub(crate) fn next_turn(&self) -> Option<Tick> {
        // A lower level always comes before a higher one.
        self.levels.iter().enumerate().find_map(|(level, ring)| {
            if ring.occupied == 0 {
                return None;
            }
            let shift = SLOT_BITS * level as u32;
            // Nothing lies in the hand's own slot but, on the highest level, what is a
            // whole turn of the ring away.
            let behind_hand = slot_at(level, self.hand) as u32 + 1;
            let distance = ring.occupied.rotate_right(behind_hand).trailing_zeros() + 1;
            Some(((self.hand >> shift) + u64::from(distance)) << shift)
        })
    }

    /// Who waits for the armed timers. For listings: it looks at every entry there ever was.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Waiter> {
        let waiters = self.entries.iter().map(|entry| &entry.waiter);
        waiters.filter(|waiter| !matches!(waiter, Waiter::Task(None)))
    }

    pub(crate) fn len(&self) -> usize {
        self.armed
    }

    /// Takes out what has a slot that begins at the hand, highest level first, so that
    /// what comes down is judged in the same pass.
    fn expire_slots_at_hand(&mut self, due: &mut Vec<Waiter>) {
        for level in (0..LEVELS).rev() {
            let span = SLOT_BITS * level as u32;
            if self.hand & ((1 << span) - 1) != 0 {
                continue;
            }
            let slot = slot_at(level, self.hand);
            if self.levels[level].occupied & (1 << slot) == 0 {
                continue;
            }
            let mut index = self.take_list(level, slot);
            while index != NIL {
                let next = self.entries[index as usize].next;
                if self.entries[index as usize].deadline <= self.hand {
                    due.push(self.release(index));
                } else {
                    self.file(index);
                }
                index = next;
            }
        }
    }

    fn get(&mut self, key: TimerKey) -> Option<&mut Entry> {
        self.entries
            .get_mut(key.index as usize)
            .filter(|entry| entry.generation == key.generation)
    }

    fn allocate(&mut self, deadline: Tick, waiter: Waiter) -> u32 {
        if self.free == NIL {
            let index = u32::try_from(self.entries.len())
                .ok()
                .filter(|index| *index != NIL)
                .expect("four billion timers do not fit into memory");
            self.entries.push(Entry {
                deadline,
                waiter,
                previous: NIL,
                next: NIL,
                generation: 0,
                level: 0,
                slot: 0,
            });
            return index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.deadline = deadline;
        entry.waiter = waiter;
        index
    }

    fn release(&mut self, index: u32) -> Waiter {
        self.armed -= 1;
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        std::mem::replace(&mut entry.waiter, Waiter::NOBODY)
    }

    /// Puts an entry into the slot its deadline belongs to.
    fn file(&mut self, index: u32) {
        // A deadline already behind us is due on the next tick, not lost in a slot that
        // the hand has passed; one past the horizon waits at the rim and is filed again
        // when the hand gets there.
        let deadline = self.entries[index as usize].deadline;
        let filed_at = deadline.clamp(self.hand + 1, self.hand + HORIZON - 1);
        let level = level_for(self.hand, filed_at);
        let slot = slot_at(level, filed_at);

        let ring = &mut self.levels[level];
        ring.occupied |= 1 << slot;
        let last = std::mem::replace(&mut ring.slots[slot].last, index);
        if last == NIL {
            ring.slots[slot].first = index;
        } else {
            self.entries[last as usize].next = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.previous = last;
        entry.next = NIL;
        entry.level = level as u8;
        entry.slot = slot as u8;
    }

    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (previous, next) = (entry.previous, entry.next);
        let (level, slot) = (usize::from(entry.level), usize::from(entry.slot));
        if previous == NIL {
            self.levels[level].slots[slot].first = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next == NIL {
            self.levels[level].slots[slot].last = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
        if self.levels[level].slots[slot].first == NIL {
            self.levels[level].occupied &= !(1 << slot);
        }
    }

    /// Empties a slot; its first entry, from which the others can be followed.
    fn take_list(&mut self, level: usize, slot: usize) -> u32 {
        let ring = &mut self.levels[level];
        ring.occupied &= !(1 << slot);
        let list = &mut ring.slots[slot];
        list.last = NIL;
        std::mem::replace(&mut list.first, NIL)
    }
}

/// The level of the highest digit in which the deadline differs from the hand. At the
/// rim the digit above the highest level may differ as well; the slot then is behind the
/// hand on its ring, which is where the ring goes next.
fn level_for(hand: Tick, filed_at: Tick) -> usize {
    let differing = (hand ^ filed_at) | 1;
    let level = (u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS;
    (level as usize).min(LEVELS - 1)
}

fn slot_at(level: usize, tick: Tick) -> usize {
    (tick >> (SLOT_BITS * level as u32)) as usize & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn waiter(number: u64) -> Waiter {
        // Odd versions are what slotmap calls occupied.
        Waiter::Task(Some(TaskId::from_bits((1 << 32) | number)))
    }

    fn number(waiter: &Waiter) -> u64 {
        match waiter {
            Waiter::Task(Some(id)) => id.to_bits() & 0xffff_ffff,
            other => panic!("not one of the test's waiters: {other:?}"),
        }
    }

    fn expire(wheel: &mut Wheel, now: Tick) -> Vec<u64> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        due.iter().map(number).collect()
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        for deadline in [1, 2, 63, 64, 65, 4095, 4096, 4097, 1 << 20, (1 << 36) + 5] {
            let mut wheel = Wheel::new();
            wheel.insert(deadline, waiter(7));
            assert_eq!(
                expire(&mut wheel, deadline - 1),
                [] as [u64; 0],
                "{deadline}"
            );
            assert_eq!(expire(&mut wheel, deadline), [7], "{deadline}");
            assert_eq!(wheel.len(), 0);
        }
    }

    #[test]
    fn a_deadline_in_the_past_fires_on_the_next_tick() {
        let mut wheel = Wheel::new();
        expire(&mut wheel, 1000);
        wheel.insert(3, waiter(1));
        assert_eq!(expire(&mut wheel, 1001), [1]);
    }

    #[test]
    fn a_cancelled_timer_is_gone_and_its_key_names_nothing() {
        let mut wheel = Wheel::new();
        let key = wheel.insert(10, waiter(1));
        assert!(wheel.cancel(key).is_some());
        assert!(wheel.cancel(key).is_none());
        let reused = wheel.insert(20, waiter(2));
        assert_eq!(reused.index, key.index);
        assert!(
            wheel.cancel(key).is_none(),
            "an old key must not reach its successor"
        );
        assert!(!wheel.move_to(key, 5));
        assert_eq!(expire(&mut wheel, 100), [2]);
    }

    #[test]
    fn timers_of_one_tick_fire_in_the_order_they_were_armed() {
        let mut wheel = Wheel::new();
        for id in 0..5 {
            wheel.insert(5000, waiter(id));
        }
        expire(&mut wheel, 4990);
        wheel.insert(5000, waiter(5));
        assert_eq!(expire(&mut wheel, 6000), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_was_missed_in_a_stall_fires_in_the_order_of_the_deadlines() {
        let mut wheel = Wheel::new();
        for (id, deadline) in [(1, 9000), (2, 70), (3, 4100), (4, 71), (5, 10)] {
            wheel.insert(deadline, waiter(id));
        }
        assert_eq!(expire(&mut wheel, 100_000), [5, 2, 4, 3, 1]);
    }

    /// What is done to the wheel and to its slow model.
    #[derive(Debug, Clone)]
    enum Op {
        Insert(Tick),
        Cancel(usize),
        Move(usize, Tick),
        Advance(Tick),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let delay = prop_oneof![0..70u64, 0..5000u64, 0..300_000u64, 0..(1u64 << 37)];
        prop::collection::vec(
            prop_oneof![
                4 => delay.clone().prop_map(Op::Insert),
                1 => any::<usize>().prop_map(Op::Cancel),
                1 => (any::<usize>(), delay.clone()).prop_map(|(which, delay)| Op::Move(which, delay)),
                2 => delay.prop_map(Op::Advance),
            ],
            1..120,
        )
    }

    proptest! {
        /// The model: deadlines in a `BTreeMap`, and who is due is looked up.
        #[test]
        fn the_wheel_fires_what_a_sorted_map_would(ops in ops()) {
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<(Tick, u64), TimerKey> = BTreeMap::new();
            let mut now = 0;
            let mut next_id = 0;
            for op in ops {
                match op {
                    Op::Insert(delay) => {
                        let deadline = now + delay;
                        let key = wheel.insert(deadline, waiter(next_id));
                        model.insert((deadline.max(now + 1), next_id), key);
                        next_id += 1;
                    }
                    Op::Cancel(which) if !model.is_empty() => {
                        let at = *model.keys().nth(which % model.len()).unwrap();
                        let key = model.remove(&at).unwrap();
                        prop_assert_eq!(number(&wheel.cancel(key).unwrap()), at.1);
                    }
                    Op::Move(which, delay) if !model.is_empty() => {
                        let at = *model.keys().nth(which % model.len()).unwrap();
                        let key = model.remove(&at).unwrap();
                        prop_assert!(wheel.move_to(key, now + delay));
                        model.insert(((now + delay).max(now + 1), at.1), key);
                    }
                    Op::Cancel(_) | Op::Move(..) => {}
                    Op::Advance(delay) => {
                        now += delay;
                        let fired = expire(&mut wheel, now);
                        let rest = model.split_off(&(now + 1, 0));
                        let expected = std::mem::replace(&mut model, rest);
                        let mut sorted = fired.clone();
                        sorted.sort_unstable();
                        let mut due: Vec<u64> = expected.keys().map(|(_, id)| *id).collect();
                        // In the order of the deadlines...
                        let deadline_of = |id: u64| expected.keys().find(|k| k.1 == id).map(|k| k.0);
                        prop_assert!(fired.iter().map(|id| deadline_of(*id)).is_sorted());
                        // ...and exactly those.
                        due.sort_unstable();
                        prop_assert_eq!(sorted, due);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                let earliest = model.keys().next().map(|(deadline, _)| *deadline);
                prop_assert!(wheel.next_turn() <= earliest || earliest.is_none());
                prop_assert_eq!(wheel.next_turn().is_some(), earliest.is_some());
            }
        }
    }
}
