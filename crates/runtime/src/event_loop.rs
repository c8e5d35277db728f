//! The loop: sleep, collect what became ready, run it.
//!
//! `step` is the only place that runs user code. Drivers, timers, wakers and `cancel`
//! merely queue.

use crate::clock::{self, ClockMode};
use crate::context::Context as CarriedContext;
use crate::core::Core;
use crate::debug;
use crate::driver::Wait;
use crate::inbox::{Letter, TaskWaker};
use crate::lag::STUCK_MIN;
use crate::stats::TurnStats;
use crate::task::{BoxedWork, JoinError, Panic, Step, Stepping, TaskId, Waiter, WakerIdentity};
use crate::watchdog::{LateStep, Pulse};
use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The future that `block_on` was given. It lives on the caller's stack; the loop steps it
/// as a task like any other.
pub(crate) struct Main<'a> {
    pub(crate) id: TaskId,
    pub(crate) future: Pin<&'a mut dyn Future<Output = ()>>,
}

pub(crate) struct EventLoop {
    core: Rc<Core>,
    pulse: Arc<Pulse>,
    waker: WakerCache,
    woken: Vec<Waiter>,
    letters: Vec<Letter>,
    steps_since_poll: u32,
    /// Steps that the watchdog has caught; it is told of them in the next turn.
    late: Vec<LateStep>,
    /// In debug mode, the end of the last step, or of the poll after it.
    step_began: Option<Instant>,
    /// Where a simulated world gets another schedule from; strictly FIFO without it.
    pub(crate) shuffle: Option<Box<fastrand::Rng>>,
}

impl EventLoop {
    pub(crate) fn new(core: Rc<Core>) -> Self {
        EventLoop {
            waker: WakerCache::new(&core),
            pulse: core.pulse.clone(),
            core,
            woken: Vec::new(),
            letters: Vec::new(),
            steps_since_poll: u32::MAX,
            late: Vec::new(),
            step_began: None,
            shuffle: None,
        }
    }

    /// One turn: collect what became ready, then step what is ready, oldest first.
    pub(crate) fn run_once(&mut self, main: &mut Main<'_>) -> io::Result<TurnStats> {
        let mut turn = TurnStats::default();
        let observed = self.core.observer.is_on();

        // While tasks are ready the operating system is asked every few steps only, but it
        // is asked: a task that keeps waking itself cannot shut out I/O or timers.
        if self.core.ready.borrow().is_empty()
            || self.steps_since_poll >= self.core.config.steps_per_poll_max
            || !self.late.is_empty()
        {
            turn.polled = true;

            // The only blocking call on this thread. Then the clock is read: I/O was looked at
            // before timers are judged, so that what arrived in time is not timed out by our
            // own lag.
            turn.events = self.wait_for_events()?;
            self.steps_since_poll = 0;
            self.note_beginning_of_step();
            let before = self.woken.len();
            let now = self.core.clock.now_tick();
            self.core.timers.borrow_mut().expire(now, &mut self.woken);
            turn.timers = self.woken.len() - before;
        }
        if observed {
            self.core.observe_turn_begins();
        }
        self.core.inbox.drain_into(&mut self.letters);

        // Three sources of readiness, one queue. Nothing runs yet.
        if !self.woken.is_empty() || !self.letters.is_empty() {
            self.queue_woken(&mut turn);
        }
        if !self.late.is_empty() {
            self.tell_of_late_steps(turn.woken);
        }
        if let Some(random) = &mut self.shuffle {
            self.core.ready.borrow_mut().shuffle(random);
        }

        // Step the batch that is ready now. What becomes ready meanwhile waits for the next
        // turn.
        let batch = self.core.ready.borrow().len();
        turn.steps = batch.min(self.core.config.steps_per_turn_max as usize);
        match observed {
            false => self.step_batch(turn.steps, main),
            true => self.step_batch_observed(turn.steps, main),
        }

        self.steps_since_poll = self.steps_since_poll.saturating_add(turn.steps as u32);
        self.core.count_turn(turn.steps);
        turn.ready = self.core.ready.borrow().len();
        if observed {
            self.core.observe_turn_ended(turn);
        }
        Ok(turn)
    }

    #[inline]
    fn step_batch(&mut self, batch: usize, main: &mut Main<'_>) {
        for _ in 0..batch {
            let id = self.core.ready.borrow_mut().pop();
            self.step::<false>(id.expect("the batch was counted"), main);
        }
    }

    #[cold]
    #[inline(never)]
    fn step_batch_observed(&mut self, batch: usize, main: &mut Main<'_>) {
        for _ in 0..batch {
            let id = self.core.ready.borrow_mut().pop();
            let id = id.expect("the batch was counted");
            self.core.observe_step_begins(id);
            self.step::<true>(id, main);
            self.core.observe_step_ended(id);
        }
    }

    /// Queues the tasks that became ready. One that is gone, or queued already, falls out here.
    fn queue_woken(&mut self, turn: &mut TurnStats) {
        let ready_before = self.core.ready.borrow().len();
        for waiter in self.woken.drain(..) {
            self.core.wake(waiter);
        }
        for letter in self.letters.drain(..) {
            match letter {
                Letter::Wake(id) => {
                    turn.remote_wakes += 1;
                    self.core.wake_task(id);
                }
                Letter::Call(call) => {
                    turn.remote_calls += 1;
                    self.core.spawn_call(call);
                }
            }
        }
        turn.woken = self.core.ready.borrow().len() - ready_before;
    }

    /// Waits for I/O, at most until the next timer has to be judged.
    fn wait_for_events(&mut self) -> io::Result<usize> {
        // Asked before the wait: a job reports its result before it counts as finished, so that
        // the wait cannot miss what a job that is no longer counted has reported.
        let may_jump = self.core.clock.mode() == ClockMode::Jumping && !self.core.has_jobs();
        let rests_from = self.core.may_rest().then(|| self.core.clock.now_precise());
        let wait = match rests_from {
            Some(now) if self.late.is_empty() => self.core.how_long_to_wait(now),
            // Nobody waits to hear of what made everybody wait.
            Some(_) | None => Wait::Not,
        };
        if let Some(now) = rests_from {
            self.end_stretch(now);
        }
        // A look at the driver that cannot take long is a part of the turn.
        let rests = wait != Wait::Not;
        if rests {
            self.pulse.start_waiting();
        }
        let waited = self.core.driver.borrow_mut().wait(wait, &mut self.woken);
        if rests {
            self.pulse.start_turning();
        }
        let events = waited?;
        let quiet = events == 0 && wait != Wait::Not;
        if quiet && may_jump {
            self.core.jump_to_next_deadline();
        }
        self.core.clock.start_turn();
        let now = self.core.clock.now();
        match rests_from {
            Some(_) => self.end_wait(now, wait),
            None => self.end_stretch(now),
        }
        Ok(events)
    }

    fn end_stretch(&self, now: Instant) {
        // Before the first poll nothing was counted.
        let steps = self.steps_since_poll;
        let steps = if steps == u32::MAX { 0 } else { steps };
        let stretch = self.core.lag.borrow_mut().end_stretch(now, steps);
        if stretch >= STUCK_MIN {
            self.core.count_stuck(stretch);
        }
    }

    /// A wait that takes longer than it was asked to is one in which this thread did not run: it was
    /// stopped, or its machine was.
    fn end_wait(&self, now: Instant, wait: Wait) {
        let waited = self.core.lag.borrow_mut().end_wait(now);
        let asked = match wait {
            Wait::Not => Duration::ZERO,
            Wait::AtMost(asked) => asked,
            Wait::Forever => return,
        };
        let longer = waited.saturating_sub(asked);
        if longer >= STUCK_MIN {
            self.core.count_stuck(longer);
        }
    }

    /// In debug mode, what comes now is a step's; what was before is not.
    fn note_beginning_of_step(&mut self) {
        if self.core.debug.is_on {
            self.step_began = Some(clock::read());
        }
    }

    /// `block_on` begins.
    pub(crate) fn start(&mut self) {
        let now = self.core.clock.now_precise();
        self.core.lag.borrow_mut().begin(now);
        self.note_beginning_of_step();
    }

    /// `block_on` ends, however it does.
    pub(crate) fn stop(&mut self) {
        let now = self.core.clock.now_precise();
        let _ = self.core.lag.borrow_mut().end_stretch(now, 0);
        if !self.late.is_empty() {
            self.tell_of_late_steps(0);
        }
    }

    /// Somebody wants to know of the ends of steps: the watchdog of one, debug mode of all.
    #[cold]
    fn look_at_ended_step(&mut self, id: TaskId, context: &CarriedContext) {
        let debug = self.core.debug;
        // Work takes the system's time, whatever time the loop believes in.
        let now = clock::read();
        let began = self.step_began.replace(now);
        if !debug.is_on {
            self.pulse.want_no_more();
        }
        let label = self.core.tasks.borrow().label(id);
        let label = label.expect("a task stays in the table until its step has ended");
        if self.core.watchdog_of_this_step().is_some() {
            self.late.push(LateStep {
                step: self.pulse.step(),
                task: id,
                name: label.name.map(Cow::into_owned),
                place: label.place,
                context: self.core.take_noted(context),
                turn_began: self.core.clock.now(),
                ended: now,
                waiting: self.core.ready.borrow().len(),
                next_turn: now,
            });
            return;
        }
        let took = began.map(|began| now.saturating_duration_since(began));
        if let Some(took) = took
            && debug.is_on
            && took >= debug.slow_step
        {
            debug::slow_step(id, &label, took, &self.core.take_noted(context));
        }
        self.core.forget_noted();
    }

    /// Those that were found to be ready now have waited too.
    #[cold]
    fn tell_of_late_steps(&mut self, woken: usize) {
        for late in &mut self.late {
            late.waiting += woken;
            late.next_turn = self.core.clock.now().max(late.ended);
        }
        self.core.tell_watchdog(&mut self.late);
    }

    /// One poll of one task, or the end of a cancelled one. All user code runs here.
    ///
    /// Compiled twice, once for a loop that is observed: what has one caller only is built into it.
    #[inline(always)]
    fn step<const OBSERVED: bool>(&mut self, id: TaskId, main: &mut Main<'_>) {
        let stepping = self.core.tasks.borrow_mut().start_step(id);
        let Some(Stepping {
            step,
            mut work,
            context,
            waker: mut own_waker,
        }) = stepping
        else {
            return;
        };
        self.pulse.start_step(id);
        let waker = match &own_waker {
            Some(own) => own,
            None => self.waker.waker_for(id),
        };
        let before = context.swap_in();
        self.core.enter_step(id, WakerIdentity::of(waker));

        let ended = catch_unwind(AssertUnwindSafe(|| match step {
            Step::Poll => {
                let cx = &mut Context::from_waker(waker);
                match &mut work {
                    Some(work) => work.as_mut().step(cx),
                    None if id == main.id => main.future.as_mut().poll(cx),
                    None => unreachable!("a task that is queued has its future"),
                }
            }
            Step::Drop => {
                if self.core.debug.is_on && self.core.tasks.borrow().steps(id) == Some(1) {
                    self.core.tell_never_polled(id);
                }
                drop(work.take());
                Poll::Ready(())
            }
        }));

        self.core.leave_step();
        let context = before.swap_in();
        if self.pulse.is_wanted() {
            self.look_at_ended_step(id, &context);
        }
        if own_waker.is_none() {
            own_waker = self.waker.take_if_cloned(&self.core);
        }
        match ended {
            Ok(Poll::Pending) => {
                let mut tasks = self.core.tasks.borrow_mut();
                if tasks.end_step(id, work, context, own_waker) {
                    drop(tasks);
                    self.core.ready.borrow_mut().push(id);
                }
            }
            Ok(Poll::Ready(())) => {
                let failure = match step {
                    Step::Poll => None,
                    Step::Drop => Some(self.core.cancelled(id)),
                };
                self.core.finish(id, work, context, failure);
            }
            Err(payload) => {
                // What is left of the future is dropped with care: it panicked once already.
                drop_quietly(work);
                let failure = JoinError::Panicked(Panic::new(payload));
                self.core.finish(id, None, context, Some(failure));
            }
        }
    }
}

impl Core {
    /// Ends a task inside the step of another, out of its turn: for a scope whose own end has
    /// come, which none of its tasks may outlive. In the destructors it is the running task. One
    /// that is being stepped, further down the stack, is cancelled and ends with its step.
    pub(crate) fn drop_now(&self, id: TaskId, reason: &'static str) {
        let reason = self.reason_given(reason);
        let lifted = self.tasks.borrow_mut().start_drop(id, reason);
        let Some(mut stepping) = lifted else {
            self.cancel(id, reason);
            return;
        };
        if self.debug.is_on && self.tasks.borrow().steps(id) == Some(0) {
            self.tell_never_polled(id);
        }
        let outer = self.enter_nested_step(id);
        let before = stepping.context.take().swap_in();
        let work = stepping.work.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(work)));
        let context = before.swap_in();
        self.leave_nested_step(&outer);
        let failure = match dropped {
            Ok(()) => self.cancelled(id),
            Err(payload) => JoinError::Panicked(Panic::new(payload)),
        };
        self.finish(id, None, context, Some(failure));
    }

    #[cold]
    fn cancelled(&self, id: TaskId) -> JoinError {
        JoinError::Cancelled(self.tasks.borrow().cancelled(id))
    }

    fn finish(
        &self,
        id: TaskId,
        work: Option<BoxedWork>,
        context: CarriedContext,
        failure: Option<JoinError>,
    ) {
        let finished = self.tasks.borrow_mut().finish(id, work, failure);
        if self.observer.is_on() {
            self.observe_end(id, finished.detached);
        }
        if let Some(joiner) = finished.joiner {
            self.wake(joiner);
        }
        if finished.detached {
            let removed = self.tasks.borrow_mut().remove(id);
            self.discard(id, removed.expect("it has just ended"));
        }
        if !context.is_empty() {
            drop_quietly(context);
        }
    }
}

/// Drops a value of the user's; a panic in its destructor ends with it. The panic hook has
/// reported it.
pub(crate) fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// One waker for all tasks that never let go of theirs.
///
/// Most futures of this crate remember the task's id and never clone its waker. So the loop
/// polls every task with the same waker, changing the id in it, and only when somebody has
/// cloned it does the task get to keep it. A task costs no waker until then.
struct WakerCache {
    inner: Arc<TaskWaker>,
    waker: Waker,
}

impl WakerCache {
    fn new(core: &Core) -> Self {
        let inner = Arc::new(TaskWaker {
            id: AtomicU64::new(0),
            inbox: core.inbox.clone(),
        });
        WakerCache {
            waker: Waker::from(inner.clone()),
            inner,
        }
    }

    /// The waker, now that of the task `id`. Nobody else has it: whoever cloned it since
    /// was found by `take_if_cloned`.
    #[inline]
    fn waker_for(&self, id: TaskId) -> &Waker {
        self.inner.id.store(id.to_bits(), Ordering::Relaxed);
        &self.waker
    }

    /// Hands the waker over to the task that was just stepped, when it was cloned.
    #[inline]
    fn take_if_cloned(&mut self, core: &Core) -> Option<Waker> {
        let ours_alone = Arc::strong_count(&self.inner) == 2;
        // A clone that another thread has dropped again has read the id before.
        fence(Ordering::Acquire);
        if ours_alone {
            return None;
        }
        let cloned = std::mem::replace(self, WakerCache::new(core));
        Some(cloned.waker)
    }
}

impl Core {
    /// Whether the driver may wait: not while tasks are ready.
    fn may_rest(&self) -> bool {
        self.ready.borrow().is_empty()
    }

    /// How long the driver may wait: until the next timer.
    fn how_long_to_wait(&self, now: Instant) -> Wait {
        let Some(tick) = self.timers.borrow().next_turn() else {
            return Wait::Forever;
        };
        match self.clock.mode() {
            ClockMode::System => {
                let until = self.clock.instant_of(tick);
                match until.saturating_duration_since(now) {
                    Duration::ZERO => Wait::Not,
                    timeout => Wait::AtMost(timeout),
                }
            }
            // Only `advance` moves the time, and then a task is ready.
            ClockMode::Manual => Wait::Forever,
            // The threads of the pool are given the time they need. Nobody is told when a job
            // ends that is not awaited, so it is looked at again and again.
            ClockMode::Jumping if self.driver.borrow().sockets() == 0 && !self.has_jobs() => {
                Wait::AtMost(Duration::ZERO)
            }
            ClockMode::Jumping => Wait::AtMost(Duration::from_millis(2)),
        }
    }

    fn jump_to_next_deadline(&self) {
        let next = self.timers.borrow().next_turn();
        if let Some(tick) = next {
            self.clock.advance_to(self.clock.instant_of(tick));
        }
    }
}
