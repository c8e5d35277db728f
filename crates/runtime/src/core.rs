//! What a loop consists of, shared by everything on its thread.
//!
//! Each part is borrowed for one call at a time, and never while user code runs: no waker is
//! woken and no value of the user's is dropped under a borrow.

use crate::blocking::Pool;
use crate::buffers::BufferPool;
use crate::clock::{Clock, ClockMode};
use crate::config::Config;
use crate::context::Context;
use crate::deadline::DEADLINE;
use crate::debug::{self, Debug};
use crate::driver::Driver;
use crate::event_loop::drop_quietly;
use crate::inbox::{Inbox, RemoteCall, WakeLocal};
use crate::introspect::{Observer, WaitsOn};
use crate::lag::{Lag, LagMeter};
use crate::ready::ReadyQueue;
use crate::stats::{BlockingStats, LoopStats};
use crate::task::{
    BoxedWork, Caller, JoinError, Joined, NewTask, Removed, TaskId, TaskTable, Waiter,
    WakerIdentity, Work, WorkCell,
};
use crate::timer::Wheel;
use crate::watchdog::{LateStep, Pulse, Watchdog};
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ready: RefCell<ReadyQueue>,
    pub(crate) tasks: RefCell<TaskTable>,
    pub(crate) timers: RefCell<Wheel>,
    pub(crate) driver: RefCell<Box<dyn Driver>>,
    pub(crate) buffers: BufferPool,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) observer: Observer,
    /// What the loop is doing, for other threads.
    pub(crate) pulse: Arc<Pulse>,
    /// Until the runtime ends; what is left of the loop afterwards is not watched.
    watchdog: RefCell<Option<Watchdog>>,
    /// The context that the running step was stuck in, in words.
    noted: RefCell<String>,
    pub(crate) debug: Debug,
    pub(crate) lag: RefCell<LagMeter>,
    pool: OnceCell<Pool>,
    running: Cell<Option<TaskId>>,
    running_waker: Cell<WakerIdentity>,
    ops_left: Cell<u32>,
    /// The earliest deadline of the timeouts that the running poll is inside of.
    deadline: Cell<Option<Instant>>,
    /// Who takes in what has to be finished though the running poll, or drop, gives it up.
    haven: RefCell<Option<Rc<dyn Haven>>>,
    /// How long the loop was stuck so far.
    stuck: Cell<Duration>,
    /// Why what is being dropped was given up.
    given_up: Cell<Option<&'static str>>,
    turns: Cell<u64>,
    steps: Cell<u64>,
    unjoined_panics: Cell<u32>,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        driver: Box<dyn Driver>,
        inbox: Arc<Inbox>,
        debug: Debug,
    ) -> Self {
        Core {
            buffers: BufferPool::new(config.receive_buffer_bytes, config.receive_buffers_kept_max),
            config,
            ready: RefCell::default(),
            tasks: RefCell::default(),
            timers: RefCell::new(Wheel::new()),
            driver: RefCell::new(driver),
            inbox,
            observer: Observer::default(),
            pulse: Arc::new(Pulse::new()),
            watchdog: RefCell::default(),
            noted: RefCell::default(),
            debug,
            lag: RefCell::new(LagMeter::new(clock.now())),
            clock,
            pool: OnceCell::new(),
            running: Cell::new(None),
            running_waker: Cell::new(WakerIdentity::NONE),
            ops_left: Cell::new(0),
            deadline: Cell::new(None),
            haven: RefCell::default(),
            stuck: Cell::default(),
            given_up: Cell::default(),
            turns: Cell::new(0),
            steps: Cell::new(0),
            unjoined_panics: Cell::new(0),
        }
    }

    /// Makes a task of a future and queues it.
    #[inline]
    pub(crate) fn spawn(
        &self,
        work: Option<Pin<Box<dyn Work>>>,
        name: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
    ) -> TaskId {
        self.spawn_task(NewTask {
            work,
            context: self.inherited_context(),
            name,
            place,
            parent: self.running.get(),
        })
    }

    #[inline]
    pub(crate) fn spawn_task(&self, task: NewTask) -> TaskId {
        let id = self.tasks.borrow_mut().insert(task);
        if self.debug.backtraces {
            self.keep_backtrace(id);
        }
        self.ready.borrow_mut().push(id);
        id
    }

    #[cold]
    fn keep_backtrace(&self, id: TaskId) {
        let backtrace = Rc::new(Backtrace::force_capture());
        self.tasks.borrow_mut().set_spawned_from(id, backtrace);
    }

    /// Makes a task of a function that another thread has sent.
    pub(crate) fn spawn_call(&self, call: RemoteCall) {
        let function = call.function;
        let id = self.spawn_task(NewTask {
            work: Some(Box::pin(WorkCell::new(async move { function() }))),
            context: Context::default(),
            name: None,
            place: call.place,
            parent: None,
        });
        // Nobody can have asked for it yet: there is nothing to drop.
        let _ = self.tasks.borrow_mut().detach(id);
    }

    /// What a task, or a job of the blocking pool, that starts here is given: the variables that
    /// are inherited, and the effective deadline.
    #[inline]
    pub(crate) fn inherited_context(&self) -> Context {
        let mut context = Context::inherited();
        if let Some(around) = self.deadline.get() {
            let inherited = DEADLINE.get().unwrap_or(around);
            context.set(&DEADLINE, around.min(inherited));
        }
        context
    }

    /// The deadline of the timeouts around the running poll.
    #[inline]
    pub(crate) fn enclosing_deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    #[inline]
    pub(crate) fn set_enclosing_deadline(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    pub(crate) fn haven(&self) -> Option<Rc<dyn Haven>> {
        self.haven.borrow().clone()
    }

    /// Returns the one before.
    pub(crate) fn set_haven(&self, haven: Option<Rc<dyn Haven>>) -> Option<Rc<dyn Haven>> {
        self.haven.replace(haven)
    }

    #[inline]
    pub(crate) fn wake_task(&self, id: TaskId) {
        if self.tasks.borrow_mut().wake(id) {
            self.ready.borrow_mut().push(id);
        }
    }

    #[inline]
    pub(crate) fn wake(&self, waiter: Waiter) {
        match waiter {
            Waiter::Task(Some(id)) => self.wake_task(id),
            Waiter::Task(None) => {}
            Waiter::Waker(waker) => waker.wake(),
        }
    }

    /// Asks a task to end; its next step drops it.
    pub(crate) fn cancel(&self, id: TaskId, reason: &'static str) {
        let reason = self.reason_given(reason);
        if self.tasks.borrow_mut().cancel(id, reason) {
            self.ready.borrow_mut().push(id);
        }
    }

    /// What became of a task; whoever polls waits for it when it has not ended.
    pub(crate) fn poll_join(
        &self,
        id: TaskId,
        cx: &TaskContext<'_>,
    ) -> Poll<Result<BoxedWork, JoinError>> {
        let joiner = self.caller(cx).waiter();
        let joined = self.tasks.borrow_mut().poll_join(id, joiner);
        match joined {
            Joined::Pending(_before) => {
                self.note(WaitsOn::Task(id));
                Poll::Pending
            }
            Joined::Output(work) => Poll::Ready(Ok(work)),
            Joined::Failed(failure) => Poll::Ready(Err(failure)),
        }
    }

    /// Nobody will ask what became of a task.
    pub(crate) fn detach(&self, id: TaskId) {
        let (_joiner, removed) = self.tasks.borrow_mut().detach(id);
        if let Some(removed) = removed {
            self.discard(id, removed);
        }
    }

    /// Drops a task that left the table, and reports a panic that nobody has seen.
    pub(crate) fn discard(&self, id: TaskId, removed: Removed) {
        if let Some((label, message)) = removed.unjoined_panic() {
            self.unjoined_panics.set(self.unjoined_panics.get() + 1);
            tracing::error!(
                task = label.name.as_deref().unwrap_or("unnamed"),
                spawned_at = %label.place,
                panic = message,
                "a task panicked and nobody joined it"
            );
        }
        if self.debug.is_on
            && let Some((label, unread)) = removed.unread()
        {
            debug::unread_result(id, &label, &unread);
        }
        drop_quietly(removed);
    }

    /// A task ends that has not had a step. Called before it leaves the table.
    #[cold]
    pub(crate) fn tell_never_polled(&self, id: TaskId) {
        let tasks = self.tasks.borrow();
        if let Some(label) = tasks.label(id) {
            let cancelled = tasks.cancelled(id);
            drop(tasks);
            debug::never_polled(id, &label, cancelled.reason);
        }
    }

    /// Lets the loop be watched from now on, until [`end_watch`](Core::end_watch).
    pub(crate) fn start_watch(&self, watchdog: Watchdog) {
        self.watchdog.replace(Some(watchdog));
    }

    pub(crate) fn end_watch(&self) {
        // Not dropped while it is borrowed.
        let watchdog = self.watchdog.take();
        drop(watchdog);
    }

    /// The watchdog, if it wants to know of the end of the running step.
    pub(crate) fn watchdog_of_this_step(&self) -> Option<Ref<'_, Watchdog>> {
        let watchdog = Ref::filter_map(self.watchdog.borrow(), Option::as_ref).ok()?;
        watchdog.has_caught(self.pulse.step()).then_some(watchdog)
    }

    /// What the watchdog is told of steps that have ended.
    pub(crate) fn tell_watchdog(&self, late: &mut Vec<LateStep>) {
        if let Some(watchdog) = &*self.watchdog.borrow() {
            watchdog.tell(late);
        }
    }

    /// A context is left, on this thread, while some loop is stuck. If it is this one, the first
    /// that is left is where it was stuck, or is inside of that.
    pub(crate) fn note_context(&self, context: &Context) {
        if self.pulse.is_wanted()
            && (self.debug.is_on || self.watchdog_of_this_step().is_some())
            && self.noted.borrow().is_empty()
        {
            let shown = shown(context);
            self.noted.replace(shown);
        }
    }

    /// What the running step was working for when it was stuck: what was noted, else what the
    /// task is for.
    pub(crate) fn take_noted(&self, of_task: &Context) -> String {
        let noted = self.noted.take();
        if noted.is_empty() {
            shown(of_task)
        } else {
            noted
        }
    }

    /// The step was none to tell of.
    pub(crate) fn forget_noted(&self) {
        self.noted.take();
    }

    /// The loop was stuck for so long.
    #[cold]
    pub(crate) fn count_stuck(&self, time: Duration) {
        // A clock that somebody moves does not pass by itself.
        if self.clock.mode() == ClockMode::System {
            self.stuck.set(self.stuck.get() + time);
        }
    }

    /// How long the loop was stuck so far.
    #[inline]
    pub(crate) fn stuck(&self) -> Duration {
        self.stuck.get()
    }

    /// Why what is being dropped now was given up, else `reason`.
    pub(crate) fn reason_given(&self, reason: &'static str) -> &'static str {
        self.given_up.get().unwrap_or(reason)
    }

    /// Returns the one before.
    pub(crate) fn set_given_up(&self, reason: Option<&'static str>) -> Option<&'static str> {
        self.given_up.replace(reason)
    }

    /// How busy the loop was so far.
    pub(crate) fn lag(&self) -> Lag {
        self.lag.borrow().lag().clone()
    }

    /// The running task.
    pub(crate) fn running(&self) -> Option<TaskId> {
        self.running.get()
    }

    #[inline]
    pub(crate) fn caller<'a>(&self, cx: &'a TaskContext<'_>) -> Caller<'a> {
        Caller::new(self.running.get(), self.running_waker.get(), cx)
    }

    #[inline]
    pub(crate) fn enter_step(&self, id: TaskId, waker: WakerIdentity) {
        self.running.set(Some(id));
        self.running_waker.set(waker);
        self.ops_left.set(self.config.ops_per_step_max);
    }

    /// Makes another task the running one, until the outer step goes on.
    pub(crate) fn enter_nested_step(&self, id: TaskId) -> OuterStep {
        let outer = OuterStep {
            task: self.running.get(),
            waker: self.running_waker.get(),
            ops_left: self.ops_left.get(),
            deadline: self.deadline.take(),
        };
        self.enter_step(id, WakerIdentity::NONE);
        outer
    }

    pub(crate) fn leave_nested_step(&self, outer: &OuterStep) {
        self.running.set(outer.task);
        self.running_waker.set(outer.waker);
        self.ops_left.set(outer.ops_left);
        self.deadline.set(outer.deadline);
    }

    #[inline]
    pub(crate) fn leave_step(&self) {
        // Without a running task its waker is not looked at.
        self.running.set(None);
    }

    /// Uses up one of the step's I/O operations. `Pending` when there are none left: the
    /// task is queued again behind the others.
    #[inline]
    pub(crate) fn poll_budget(&self, cx: &TaskContext<'_>) -> Poll<()> {
        match self.ops_left.get() {
            0 if self.running.get().is_some() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            left => {
                self.ops_left.set(left.saturating_sub(1));
                Poll::Ready(())
            }
        }
    }

    /// The blocking pool, made at its first use.
    pub(crate) fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| Pool::new(&self.config))
    }

    /// Takes a pool that somebody else has made, before the first use of one.
    pub(crate) fn set_pool(&self, pool: Pool) {
        let taken = self.pool.set(pool);
        assert!(taken.is_ok(), "the loop has a blocking pool already");
    }

    pub(crate) fn blocking_stats(&self) -> BlockingStats {
        let stats = self.pool.get().map(|pool| pool.stats(self.clock.read()));
        stats.unwrap_or_default()
    }

    /// Whether the world is made up: what is outside of this process is not there.
    pub(crate) fn is_simulated(&self) -> bool {
        self.driver.borrow_mut().simulation().is_some()
    }

    /// Panics of tasks that nobody has joined.
    pub(crate) fn unjoined_panics(&self) -> u32 {
        self.unjoined_panics.get()
    }

    /// Whether the blocking pool has jobs that it has not finished.
    pub(crate) fn has_jobs(&self) -> bool {
        self.pool.get().is_some_and(|pool| pool.unfinished() > 0)
    }

    pub(crate) fn count_turn(&self, steps: usize) {
        self.turns.set(self.turns.get() + 1);
        self.steps.set(self.steps.get() + steps as u64);
    }

    pub(crate) fn stats(&self) -> LoopStats {
        LoopStats {
            turns: self.turns.get(),
            steps: self.steps.get(),
            tasks: self.tasks.borrow().len(),
            timers: self.timers.borrow().len(),
            sockets: self.driver.borrow().sockets(),
        }
    }
}

/// What a context says in diagnostics. That is the user's code: if it panics, it says nothing.
fn shown(context: &Context) -> String {
    catch_unwind(AssertUnwindSafe(|| context.shown())).unwrap_or_default()
}

/// The step that goes on when a nested one has ended.
pub(crate) struct OuterStep {
    task: Option<TaskId>,
    waker: WakerIdentity,
    ops_left: u32,
    deadline: Option<Instant>,
}

/// A scope that waits for all of its tasks, and so can take in those that a part of it leaves
/// behind when it is dropped: cleanups, and what is shielded.
pub(crate) trait Haven {
    /// Whether it can still wait.
    fn is_open(&self) -> bool;

    /// A task that the scope has to wait for, and may not cancel, has begun.
    fn admit(&self);

    /// A task has ended: a guest that was admitted, or the child of that number.
    fn leave(&self, child: Option<u64>);
}

impl WakeLocal for Core {
    fn wake_local(&self, id: TaskId) {
        self.wake_task(id);
    }
}
