//! Which connection sends next: who waits for work, what is due, and who gets it.
//!
//! In the closed loop a connection takes its next requests itself. In the open loop what is due goes
//! to the idle connections, the longest idle first; only when none is idle does the next
//! connection that becomes free take what has been waiting.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use monoloop_runtime::TaskHandle;

use crate::pace::{Batch, Pace};

/// State of one connection that others look at.
#[derive(Default)]
pub(crate) struct Slot {
    task: OnceCell<TaskHandle>,
    /// When the requests in flight were sent; `None` when there are none.
    pub(crate) sent_at: Cell<Option<Instant>>,
    /// The sweep found that an answer is overdue.
    pub(crate) overdue: Cell<bool>,
    /// Work that was handed to the idle connection.
    assigned: Cell<Option<Batch>>,
    /// Waits for work.
    idle: Cell<bool>,
    /// Is in the queue of the idle, perhaps no longer being idle.
    queued: Cell<bool>,
}

/// What the scheduler of the open loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextDispatch {
    /// The next request is due then.
    At(Instant),
    /// A connection that becomes idle, or a new phase: both wake the scheduler.
    Wake,
}

/// All connections, and the requests they share.
pub(crate) struct Roster {
    pub(crate) slots: Vec<Slot>,
    is_open_loop: bool,
    pace: RefCell<Pace>,
    /// Idle connections, the longest idle first.
    idle: RefCell<VecDeque<usize>>,
    scheduler: OnceCell<TaskHandle>,
}

impl Roster {
    pub(crate) fn new(connections: usize, rate: Option<f64>, pipeline: u32, now: Instant) -> Self {
        let slots = std::iter::repeat_with(Slot::default);
        Self {
            slots: slots.take(connections).collect(),
            is_open_loop: rate.is_some(),
            pace: RefCell::new(Pace::new(rate, pipeline, now)),
            idle: RefCell::new(VecDeque::with_capacity(connections)),
            scheduler: OnceCell::new(),
        }
    }

    /// Starts to hand out requests, at most `requests_max`. What was due before is forgotten.
    pub(crate) fn start(&self, now: Instant, requests_max: Option<u64>, counted: bool) {
        self.pace.borrow_mut().start(now, requests_max, counted);
        if self.is_open_loop {
            self.wake_scheduler();
        } else {
            self.wake_idle();
        }
    }

    /// Hands out nothing more; what was handed out is sent.
    pub(crate) fn stop(&self) {
        self.pace.borrow_mut().stop();
    }

    /// Ends every connection.
    pub(crate) fn cancel_all(&self) {
        for task in self.slots.iter().filter_map(|slot| slot.task.get()) {
            task.cancel();
        }
    }

    /// Takes work for a connection that has just become free.
    #[inline]
    pub(crate) fn take(&self, now: Instant) -> Option<Batch> {
        if self.is_open_loop {
            if self.pace.borrow().next_due().is_none_or(|due| due > now) {
                return None;
            }
            self.dispatch(now);
        }
        self.pace.borrow_mut().take(now)
    }

    /// Takes work for an idle connection that was woken.
    pub(crate) fn take_idle(&self, number: usize, now: Instant) -> Option<Batch> {
        match self.slots[number].assigned.take() {
            None if !self.is_open_loop => self.pace.borrow_mut().take(now),
            assigned => assigned,
        }
    }

    /// Puts a connection behind the others that wait for work.
    pub(crate) fn park(&self, number: usize) {
        let slot = &self.slots[number];
        if slot.idle.replace(true) {
            return;
        }
        // One that came back before its old place was looked at takes that place.
        if !slot.queued.replace(true) {
            self.idle.borrow_mut().push_back(number);
        }
        self.wake_scheduler();
    }

    /// The connection is gone, or has work: it is not to be handed any.
    pub(crate) fn unpark(&self, number: usize) {
        self.slots[number].idle.set(false);
    }

    /// Hands what is due to the connections that wait, the longest waiting first.
    pub(crate) fn dispatch(&self, now: Instant) -> NextDispatch {
        let mut pace = self.pace.borrow_mut();
        let mut idle = self.idle.borrow_mut();
        while let Some(&number) = idle.front() {
            let slot = &self.slots[number];
            if slot.idle.get() {
                let Some(batch) = pace.take(now) else {
                    return pace.next_due().map_or(NextDispatch::Wake, NextDispatch::At);
                };
                slot.assigned.set(Some(batch));
                slot.idle.set(false);
                slot.wake();
            }
            slot.queued.set(false);
            idle.pop_front();
        }
        NextDispatch::Wake
    }

    /// When request `number` was due; `None` in the closed loop.
    #[inline]
    pub(crate) fn due(&self, number: u64) -> Option<Instant> {
        if self.is_open_loop {
            self.pace.borrow().due(number)
        } else {
            None
        }
    }

    /// Requests that are due and were never sent, and how late the oldest of them is.
    pub(crate) fn unsent(&self, now: Instant) -> (u64, Option<Duration>) {
        let pace = self.pace.borrow();
        let (mut count, mut oldest) = (pace.waiting(now), pace.next_due());
        let assigned = self.slots.iter().filter_map(|slot| slot.assigned.get());
        for batch in assigned.filter(|batch| batch.counted) {
            count += u64::from(batch.count);
            // Numbers are handed out in order, so this is due before all that were not.
            let due = pace.due(batch.first);
            oldest = oldest.map_or(due, |oldest| due.map(|due| due.min(oldest)));
        }
        let age = oldest.map(|due| now.saturating_duration_since(due));
        (count, age.filter(|_| count > 0))
    }

    /// How long the oldest request in flight has been waiting for its answer.
    pub(crate) fn oldest_in_flight(&self, now: Instant) -> Option<Duration> {
        let oldest = self
            .slots
            .iter()
            .filter_map(|slot| slot.sent_at.get())
            .min()?;
        Some(now.saturating_duration_since(oldest))
    }

    /// Tells which task serves connection `number`. Once.
    pub(crate) fn set_task(&self, number: usize, task: TaskHandle) {
        let set = self.slots[number].task.set(task);
        debug_assert!(set.is_ok(), "a connection keeps its task for the whole run");
    }

    /// Tells which task hands out what is due. Once.
    pub(crate) fn set_scheduler(&self, task: TaskHandle) {
        let set = self.scheduler.set(task);
        debug_assert!(set.is_ok(), "a run has one scheduler");
    }

    fn wake_scheduler(&self) {
        if let Some(scheduler) = self.scheduler.get() {
            scheduler.wake();
        }
    }

    /// In the closed loop there is work for everybody, or for nobody.
    fn wake_idle(&self) {
        for number in self.idle.borrow_mut().drain(..) {
            let slot = &self.slots[number];
            slot.queued.set(false);
            slot.idle.set(false);
            slot.wake();
        }
    }
}

impl Slot {
    /// Has the connection's task look at what changed.
    pub(crate) fn wake(&self) {
        if let Some(task) = self.task.get() {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::tests::instant;

    const MS: Duration = Duration::from_millis(1);

    /// Four connections at 1,000 requests per second from the instant returned.
    fn open_loop(pipeline: u32) -> (Roster, Instant) {
        let now = instant();
        let roster = Roster::new(4, Some(1_000.0), pipeline, now);
        roster.start(now, None, true);
        (roster, now)
    }

    /// The first request that each connection was handed.
    fn firsts(roster: &Roster, now: Instant) -> [Option<u64>; 4] {
        [0, 1, 2, 3].map(|number| roster.take_idle(number, now).map(|batch| batch.first))
    }

    #[test]
    fn the_longest_idle_is_handed_the_first_due() {
        let (roster, now) = open_loop(1);
        for number in [2, 0, 3] {
            roster.park(number);
        }
        assert_eq!(roster.dispatch(now), NextDispatch::At(now + MS));
        assert_eq!(roster.dispatch(now + MS), NextDispatch::At(now + 2 * MS));
        assert_eq!(firsts(&roster, now), [Some(1), None, Some(0), None]);
        assert_eq!(
            roster.dispatch(now + 9 * MS),
            NextDispatch::Wake,
            "nobody is idle"
        );
        assert_eq!(firsts(&roster, now), [None, None, None, Some(2)]);
    }

    #[test]
    fn a_connection_that_went_away_is_passed_over() {
        let (roster, now) = open_loop(1);
        roster.park(1);
        roster.park(2);
        roster.unpark(1);
        roster.dispatch(now);
        assert_eq!(firsts(&roster, now), [None, None, Some(0), None]);
    }

    #[test]
    fn one_that_comes_back_takes_its_old_place_once() {
        let (roster, now) = open_loop(1);
        roster.park(1);
        roster.park(2);
        roster.unpark(1);
        roster.park(1);
        roster.dispatch(now + 5 * MS);
        assert_eq!(firsts(&roster, now), [None, Some(0), Some(1), None]);
    }

    #[test]
    fn who_becomes_free_takes_only_what_the_idle_left() {
        let (roster, now) = open_loop(2);
        roster.park(3);
        let late = now + 4 * MS;
        let taken = roster.take(late).map(|batch| (batch.first, batch.count));
        assert_eq!(taken, Some((2, 2)));
        assert_eq!(firsts(&roster, late), [None, None, None, Some(0)]);
        assert_eq!(roster.unsent(late), (1, Some(Duration::ZERO)));
    }

    #[test]
    fn work_handed_over_and_not_begun_is_unsent() {
        let (roster, now) = open_loop(1);
        roster.park(0);
        roster.dispatch(now);
        assert_eq!(roster.unsent(now + 3 * MS), (4, Some(3 * MS)));
    }

    #[test]
    fn in_the_closed_loop_whoever_asks_gets_work() {
        let now = instant();
        let roster = Roster::new(4, None, 1, now);
        assert_eq!(roster.take(now), None, "not started");
        roster.start(now, Some(3), true);
        assert_eq!(roster.take(now).map(|batch| batch.first), Some(0));
        assert_eq!(firsts(&roster, now), [Some(1), Some(2), None, None]);
        assert_eq!(roster.due(0), None);
        assert_eq!(roster.unsent(now + MS), (0, None));
    }
}
