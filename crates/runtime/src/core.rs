//! What a loop consists of, shared by everything on its thread.
//!
//! Each part is borrowed for one call at a time, and never while user code runs: no waker is
//! woken and no value of the user's is dropped under a borrow.

use crate::blocking::Pool;
use crate::buffers::BufferPool;
use crate::clock::Clock;
use crate::config::Config;
use crate::context::Context;
use crate::driver::Driver;
use crate::event_loop::drop_quietly;
use crate::inbox::{Inbox, WakeLocal};
use crate::ready::ReadyQueue;
use crate::stats::LoopStats;
use crate::task::{Caller, NewTask, Removed, TaskId, TaskTable, Waiter, WakerIdentity, Work};
use crate::timer::Wheel;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ready: RefCell<ReadyQueue>,
    pub(crate) tasks: RefCell<TaskTable>,
    pub(crate) timers: RefCell<Wheel>,
    pub(crate) driver: RefCell<Box<dyn Driver>>,
    pub(crate) buffers: BufferPool,
    pub(crate) inbox: Arc<Inbox>,
    pool: OnceCell<Pool>,
    running: Cell<Option<TaskId>>,
    running_waker: Cell<WakerIdentity>,
    ops_left: Cell<u32>,
    turns: Cell<u64>,
    steps: Cell<u64>,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        driver: Box<dyn Driver>,
        inbox: Arc<Inbox>,
    ) -> Self {
        Core {
            buffers: BufferPool::new(config.receive_buffer_bytes, config.receive_buffers_kept_max),
            config,
            clock,
            ready: RefCell::default(),
            tasks: RefCell::default(),
            timers: RefCell::new(Wheel::new()),
            driver: RefCell::new(driver),
            inbox,
            pool: OnceCell::new(),
            running: Cell::new(None),
            running_waker: Cell::new(WakerIdentity::NONE),
            ops_left: Cell::new(0),
            turns: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// Makes a task of a future and queues it.
    pub(crate) fn spawn(
        &self,
        work: Option<Pin<Box<dyn Work>>>,
        name: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
    ) -> TaskId {
        let id = self.tasks.borrow_mut().insert(NewTask {
            work,
            context: Context::current(),
            name,
            place,
            parent: self.running.get(),
        });
        self.ready.borrow_mut().push(id);
        id
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
        if self.tasks.borrow_mut().cancel(id, reason) {
            self.ready.borrow_mut().push(id);
        }
    }

    /// Drops a task that left the table, and reports a panic that nobody has seen.
    pub(crate) fn discard(&self, removed: Removed) {
        if let Some((label, message)) = removed.unjoined_panic() {
            tracing::error!(
                task = label.name.as_deref().unwrap_or("unnamed"),
                spawned_at = %label.place,
                panic = message,
                "a task panicked and nobody joined it"
            );
        }
        drop_quietly(removed);
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

    #[inline]
    pub(crate) fn leave_step(&self) {
        self.running.set(None);
        self.running_waker.set(WakerIdentity::NONE);
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

impl WakeLocal for Core {
    fn wake_local(&self, id: TaskId) {
        self.wake_task(id);
    }
}
