//! What the connections of a run share: the phase, the record, and the state of all of them together.
//!
//! One thread, so `Cell` and `RefCell` are enough; no borrow is held over an await.

use std::cell::{Cell, RefCell, RefMut};
use std::task::Waker;
use std::time::Instant;

use crate::fault::Fault;
use crate::pace::Batch;
use crate::plan::{Plan, Stop};
use crate::record::Record;
use crate::roster::Roster;

/// ```text
/// Connecting ──▶ WarmUp ──▶ Measuring ──▶ Over
///      └────────────────────────▲  (no warm-up)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connections are made and wait.
    Connecting,
    /// Requests are sent; nothing is counted.
    WarmUp,
    /// Requests are sent and counted.
    Measuring,
    /// The result is being taken.
    Over,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer announced it with its last answer.
    ByAnswer,
    /// The peer closed it between requests.
    Idle,
    /// It failed the requests that were in flight.
    Broken,
}

/// One run in progress.
pub(crate) struct Load {
    pub(crate) plan: Plan,
    /// As many requests as one write may carry, one behind the other.
    pub(crate) requests: Vec<u8>,
    /// Bytes of one request.
    pub(crate) request_bytes: usize,
    pub(crate) roster: Roster,
    phase: Cell<Phase>,
    record: RefCell<Record>,
    in_flight: Cell<u64>,
    /// Counted requests that are answered or have failed.
    done: Cell<u64>,
    /// All answers so far, warm-up included, for the progress line.
    answers: Cell<u64>,
    open: Cell<usize>,
    /// Connections whose first attempt to connect has ended, this way or that.
    settled: Cell<usize>,
    gave_up: Cell<usize>,
    ever_connected: Cell<bool>,
    interrupted: Cell<bool>,
    stopped: Cell<bool>,
    controller: RefCell<Option<Waker>>,
}

impl Load {
    pub(crate) fn new(plan: Plan, request: &[u8], now: Instant) -> Self {
        Self {
            requests: request.repeat(plan.pipeline as usize),
            request_bytes: request.len(),
            roster: Roster::new(plan.connections, plan.rate, plan.pipeline, now),
            phase: Cell::new(Phase::Connecting),
            record: RefCell::new(Record::new()),
            in_flight: Cell::new(0),
            done: Cell::new(0),
            answers: Cell::new(0),
            open: Cell::new(0),
            settled: Cell::new(0),
            gave_up: Cell::new(0),
            ever_connected: Cell::new(false),
            interrupted: Cell::new(false),
            stopped: Cell::new(false),
            controller: RefCell::new(None),
            plan,
        }
    }

    // The phases, called by the controller.

    /// Begins a phase in which requests are sent.
    pub(crate) fn start(&self, phase: Phase, now: Instant) {
        let counted = phase == Phase::Measuring;
        let requests_max = match self.plan.stop {
            Stop::Requests(requests) if counted => Some(requests),
            Stop::Requests(_) | Stop::After(_) => None,
        };
        self.phase.set(phase);
        self.roster.start(now, requests_max, counted);
    }

    /// Ends the run: what is answered from now on is not looked at.
    pub(crate) fn end(&self) {
        self.phase.set(Phase::Over);
    }

    // What connections ask for and report.

    /// Takes work for a connection that has just become free.
    #[inline]
    pub(crate) fn take(&self, now: Instant) -> Option<Batch> {
        let batch = self.roster.take(now)?;
        // In the open loop it was due, and no connection was there to send it.
        if self.plan.rate.is_some() && batch.counted {
            self.record.borrow_mut().queued += u64::from(batch.count);
        }
        Some(batch)
    }

    #[inline]
    pub(crate) fn record(&self) -> RefMut<'_, Record> {
        self.record.borrow_mut()
    }

    #[inline]
    pub(crate) fn is_measuring(&self) -> bool {
        self.phase.get() == Phase::Measuring
    }

    #[inline]
    pub(crate) fn sent(&self, count: u32) {
        self.in_flight.set(self.in_flight.get() + u64::from(count));
    }

    /// `count` requests were answered.
    #[inline]
    pub(crate) fn answered(&self, count: u32, counted: bool) {
        self.answers.set(self.answers.get() + u64::from(count));
        self.in_flight.set(self.in_flight.get() - u64::from(count));
        if counted {
            self.count_done(count);
        }
    }

    /// `count` requests that were sent will not be answered and are not sent again.
    pub(crate) fn failed(&self, fault: &Fault, count: u32, counted: bool) {
        self.in_flight.set(self.in_flight.get() - u64::from(count));
        if counted {
            self.record.borrow_mut().failed.add(fault, u64::from(count));
            self.count_done(count);
        }
    }

    /// `count` requests that were sent are going to be sent again.
    pub(crate) fn taken_back(&self, count: u32, counted: bool) {
        self.in_flight.set(self.in_flight.get() - u64::from(count));
        if counted {
            self.record.borrow_mut().resent += u64::from(count);
        }
    }

    fn count_done(&self, count: u32) {
        self.done.set(self.done.get() + u64::from(count));
        if self.is_complete() {
            self.notify();
        }
    }

    /// The first attempt of a connection has ended.
    pub(crate) fn settle(&self) {
        self.settled.set(self.settled.get() + 1);
        if self.is_settled() {
            self.notify();
        }
    }

    pub(crate) fn connected(&self) {
        self.ever_connected.set(true);
        self.open.set(self.open.get() + 1);
    }

    pub(crate) fn disconnected(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// An established connection has ended.
    pub(crate) fn ended(&self, end: End) {
        let connections = &mut self.record.borrow_mut().connections;
        match end {
            End::ByAnswer => connections.closed_by_answer += 1,
            End::Idle => connections.closed_idle += 1,
            End::Broken => connections.broken += 1,
        }
    }

    /// A connection will not be tried again; `left` is the work it still held.
    pub(crate) fn give_up(&self, fault: &Fault, left: Option<Batch>) {
        if let Some(batch) = left {
            self.sent(batch.count);
            self.failed(fault, batch.count, batch.counted);
        }
        self.gave_up.set(self.gave_up.get() + 1);
        self.notify();
    }

    pub(crate) fn interrupt(&self) {
        self.interrupted.set(true);
        self.notify();
    }

    /// Whoever started the run has what it wanted of it.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
        self.notify();
    }

    // What the controller waits for and reports.

    /// Every connection has been tried.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.get() == self.roster.slots.len()
    }

    /// A run that is counted in requests has had them all.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.plan.stop, Stop::Requests(requests) if self.done.get() >= requests)
    }

    /// No connection is left, or none could ever be made.
    pub(crate) fn is_given_up(&self) -> bool {
        let gave_up = self.gave_up.get();
        gave_up == self.roster.slots.len() || (gave_up > 0 && !self.ever_connected.get())
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.get()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    pub(crate) fn has_ever_connected(&self) -> bool {
        self.ever_connected.get()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    pub(crate) fn settled(&self) -> usize {
        self.settled.get()
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Takes the record out of a run that is over.
    pub(crate) fn take_record(&self) -> Record {
        self.record.replace(Record::new())
    }

    // Who is woken.

    pub(crate) fn set_controller(&self, waker: &Waker) {
        let mut controller = self.controller.borrow_mut();
        match &mut *controller {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn notify(&self) {
        if let Some(controller) = &*self.controller.borrow() {
            controller.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;
    use crate::outcome::tests::outcome;
    use crate::pace::tests::instant;

    fn load(stop: Stop, rate: Option<f64>) -> (Load, Instant) {
        let now = instant();
        let plan = Plan {
            connections: 4,
            stop,
            rate,
            ..outcome().plan
        };
        let load = Load::new(plan, b"request", now);
        load.start(Phase::Measuring, now);
        (load, now)
    }

    #[test]
    fn what_was_due_while_all_were_busy_counts_as_queued() {
        let (load, now) = load(Stop::Requests(10), Some(1_000.0));
        load.roster.park(0);
        assert!(load.take(now).is_none(), "the idle come first");
        assert!(
            load.take(now + std::time::Duration::from_millis(1))
                .is_some()
        );
        assert_eq!(load.take_record().queued, 1);
    }

    #[test]
    fn a_counted_run_is_complete_when_its_requests_are_answered_or_failed() {
        let (load, _) = load(Stop::Requests(3), None);
        load.sent(4);
        load.answered(1, false);
        load.answered(1, true);
        load.failed(&Fault::new(FaultKind::Reset, "by peer"), 1, true);
        assert!(!load.is_complete());
        load.answered(1, true);
        assert!(load.is_complete());
        assert_eq!(load.in_flight(), 0);
    }

    #[test]
    fn hope_is_given_up_with_the_first_connection_or_with_the_last() {
        let (load, _) = load(Stop::Requests(3), None);
        let refused = Fault::new(FaultKind::ConnectRefused, "refused");
        load.give_up(&refused, None);
        assert!(load.is_given_up(), "none was ever made");
        load.connected();
        assert!(!load.is_given_up());
        for _ in 0..3 {
            load.give_up(&refused, None);
        }
        assert!(load.is_given_up());
    }
}
