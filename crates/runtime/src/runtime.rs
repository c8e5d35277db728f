//! The neck of the crate: making a loop, running it, and finding that of this thread.

use crate::clock::{Clock, ClockMode};
use crate::config::Config;
use crate::context;
use crate::core::Core;
use crate::debug::{self, Debug};
use crate::driver::{self, Driver, DriverKind};
use crate::event_loop::{EventLoop, Main, drop_quietly};
use crate::inbox::Inbox;
use crate::lag::Lag;
use crate::stats::{BlockingStats, LoopStats, TurnStats};
use crate::task::{Fate, JoinError, Removed, TaskId};
use crate::watchdog::{Pulse, Watchdog};
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// An event loop and everything that lives on it. One per thread.
///
/// From [`Runtime::new`] until it is dropped, the thread has a loop: [`spawn`](crate::spawn) and
/// all that needs one work, and tasks make progress while [`block_on`](Runtime::block_on) runs.
/// Dropping the runtime drops all tasks that are left.
///
/// ```
/// use monoloop_runtime::{spawn, time, Runtime};
/// use std::time::Duration;
///
/// let mut runtime = Runtime::new()?;
/// let answer = runtime.block_on(async {
///     let task = spawn(async {
///         time::sleep(Duration::from_millis(5)).await;
///         6 * 7
///     });
///     task.await.expect("it neither panics nor is cancelled")
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    pub(crate) event_loop: EventLoop,
    pub(crate) core: Rc<Core>,
}

impl Runtime {
    /// Makes a loop for this thread, with the default bounds.
    ///
    /// # Errors
    /// When the thread has a loop already (`AlreadyExists`), or the operating system has no
    /// descriptor left for it.
    pub fn new() -> io::Result<Runtime> {
        Runtime::builder().build()
    }

    /// Makes a loop with other bounds or another clock.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs the loop until `future` is done, and returns its output. The other tasks stay
    /// and go on at the next call.
    ///
    /// The future is stepped as a task like all others, in their order. It may borrow.
    ///
    /// # Panics
    /// When called inside a task of this loop, when `future` panics, and when the operating
    /// system refuses to wait for I/O, which no program can recover from.
    #[track_caller]
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.block_on_watched(Location::caller(), future, |_, turn| {
            if let Err(error) = turn {
                panic!("the operating system refuses to wait for I/O: {error}");
            }
        })
    }

    /// [`block_on`](Runtime::block_on), by one who looks at every turn and panics to end it.
    pub(crate) fn block_on_watched<F: Future>(
        &mut self,
        place: &'static Location<'static>,
        future: F,
        mut look: impl FnMut(&Core, io::Result<TurnStats>),
    ) -> F::Output {
        assert!(
            self.core.running().is_none(),
            "block_on was called inside a task, where it would stop the loop; use .await"
        );
        let _running = Running::start(&self.core.pulse);
        let mut output = None;
        let id = self.core.spawn(None, Some("main".into()), place);
        {
            let future = pin!(async { output = Some(future.await) });
            let mut main = Main { id, future };
            self.event_loop.start();
            while !self.core.tasks.borrow().is_finished(id) {
                look(&self.core, self.event_loop.run_once(&mut main));
            }
            self.event_loop.stop();
        }
        let removed = self.core.tasks.borrow_mut().remove(id);
        match removed.and_then(Removed::into_failure) {
            None => output.expect("a main future that did not fail has an output"),
            Some(JoinError::Panicked(panic)) => std::panic::resume_unwind(panic.into_payload()),
            Some(JoinError::Cancelled(cancelled)) => {
                panic!(
                    "the future given to block_on was cancelled: {}",
                    cancelled.reason
                )
            }
        }
    }

    /// Counters of the loop.
    #[must_use]
    pub fn stats(&self) -> LoopStats {
        self.core.stats()
    }

    /// What goes on in the blocking pool; inside of a task,
    /// [`blocking_stats`](crate::blocking_stats) says the same.
    #[must_use]
    pub fn blocking_stats(&self) -> BlockingStats {
        self.core.blocking_stats()
    }

    /// How busy the loop was, and how long what was ready had to wait. Copies 2 KiB.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.core.lag()
    }
}

/// [`Runtime::lag`], from inside of the loop.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn lag() -> Lag {
    with_current(Core::lag)
}

/// [`Runtime::stats`], from inside of the loop.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn loop_stats() -> LoopStats {
    with_current(Core::stats)
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("driver", &self.core.driver.borrow().name())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop_quietly(self.core.inbox.close());
        // Destructors may spawn, wake and close: the loop is still there for them. What is
        // spawned now is dropped in the next round.
        let mut pending_named = 0;
        let mut drops_left = self.core.tasks.borrow().len() + SPAWNED_BY_DESTRUCTORS_MAX;
        loop {
            let ids = self.core.tasks.borrow().ids();
            if ids.is_empty() {
                break;
            }
            for id in ids.into_iter().take(drops_left) {
                drops_left -= 1;
                let removed = self.core.tasks.borrow_mut().remove(id);
                if let Some(removed) = removed {
                    pending_named += self.tell_of_fate(id, &removed, pending_named);
                    self.core.discard(id, removed);
                }
            }
            if drops_left == 0 {
                // They spawn without end. What is left is leaked: no destructor may run once
                // the loop is gone.
                std::mem::forget(self.core.tasks.take());
                break;
            }
        }
        if let Some(more @ 1..) = pending_named.checked_sub(debug::PENDING_NAMED_MAX) {
            debug::more_pending_at_end(more);
        }
        self.core.end_watch();
        Inbox::detach_thread();
        // The thread may be ending, with its locals gone already.
        let core = CURRENT.try_with(|current| current.borrow_mut().take());
        drop(core);
    }
}

impl Runtime {
    /// In debug mode, says of a task that the loop ends before it does. Returns how many were
    /// pending, 0 or 1.
    fn tell_of_fate(&self, id: TaskId, removed: &Removed, pending_named: usize) -> usize {
        if !self.core.debug.is_on {
            return 0;
        }
        match removed.fate() {
            Fate::Finished => 0,
            Fate::NeverPolled(label) => {
                debug::never_polled(id, &label, "the loop has ended");
                0
            }
            Fate::Pending(label) => {
                if pending_named < debug::PENDING_NAMED_MAX {
                    debug::pending_at_end(id, &label);
                }
                1
            }
        }
    }
}

/// Says to those who watch the loop that it runs; however it ends, that it does not.
struct Running(Arc<Pulse>);

impl Running {
    fn start(pulse: &Arc<Pulse>) -> Self {
        pulse.start_turning();
        Running(pulse.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Tasks that the destructors of dropped tasks may spawn while the loop ends.
const SPAWNED_BY_DESTRUCTORS_MAX: usize = 1_000_000;

/// Makes a [`Runtime`] that differs from the default.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    config: Config,
    clock: ClockMode,
    driver: Option<DriverKind>,
    debug: Option<Debug>,
}

impl Builder {
    /// Sets all bounds.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets where the time comes from; a test takes one that it can move.
    pub fn clock(mut self, mode: ClockMode) -> Self {
        self.clock = mode;
        self
    }

    /// Sets what the loop asks for I/O. Default: what the environment variable `MONOLOOP_DRIVER`
    /// says, `selector` or `poll`; without it, the selector.
    pub fn driver(mut self, kind: DriverKind) -> Self {
        self.driver = Some(kind);
        self
    }

    /// Threads of the blocking pool at most.
    pub fn blocking_threads_max(mut self, threads: u32) -> Self {
        self.config.blocking_threads_max = threads.max(1);
        self
    }

    /// Jobs that wait for a thread of the blocking pool at most.
    pub fn blocking_queue_max(mut self, jobs: u32) -> Self {
        self.config.blocking_queue_max = jobs;
        self
    }

    /// How long a step may take before the watchdog [speaks](crate::debug); 0 turns it off.
    /// Default 100 ms. Where the clock is not the system's there is none.
    pub fn watchdog(mut self, bound: Duration) -> Self {
        self.config.watchdog = bound;
        self
    }

    /// What [debug mode](crate::debug) looks for. Default: what `MONOLOOP_DEBUG` says.
    pub fn debug(mut self, debug: Debug) -> Self {
        self.debug = Some(debug);
        self
    }

    /// Makes the loop of this thread.
    ///
    /// # Errors
    /// When the thread has a loop already (`AlreadyExists`), the operating system has no
    /// descriptor left for it, it lacks the driver (`Unsupported`), or the environment asks for a
    /// driver that there is not or has a `MONOLOOP_DEBUG` that means nothing (`InvalidInput`).
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::is_first()?;
        let debug = debug_or_environment(self.debug)?;
        let config = self.config.at_least_one_of_each();
        let kind = self.driver.map_or_else(DriverKind::asked_for, Ok)?;
        let driver = driver::open(kind, &config)?;
        let bound = config.watchdog;
        let runtime = Runtime::assemble(config, Clock::new(self.clock), driver, debug)?;
        if self.clock == ClockMode::System && !bound.is_zero() && !cfg!(miri) {
            runtime.start_watchdog(bound);
        }
        Ok(runtime)
    }
}

impl Runtime {
    /// Refuses a second loop on this thread.
    pub(crate) fn is_first() -> io::Result<()> {
        if try_current().is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "this thread has an event loop already; drop its Runtime first, or make one in \
                 another thread",
            ));
        }
        Ok(())
    }

    /// Makes the loop of this thread, which has none, of its parts.
    pub(crate) fn assemble(
        config: Config,
        clock: Clock,
        mut driver: Box<dyn Driver>,
        debug: Debug,
    ) -> io::Result<Runtime> {
        let inbox = Inbox::new(driver.notifier()?);
        let core = Rc::new(Core::new(config, clock, driver, inbox.clone(), debug));
        if debug.is_on {
            core.pulse.want_end_of_step();
        }
        Inbox::attach_thread(&inbox, core.clone());
        CURRENT.with(|current| *current.borrow_mut() = Some(core.clone()));
        Ok(Runtime {
            event_loop: EventLoop::new(core.clone()),
            core,
        })
    }
}

impl Runtime {
    fn start_watchdog(&self, bound: Duration) {
        context::on_leave(|context| {
            if let Some(core) = try_current() {
                core.note_context(context);
            }
        });
        match Watchdog::start(&self.core.pulse, bound) {
            Ok(watchdog) => self.core.start_watch(watchdog),
            // The loop can do without.
            Err(error) => tracing::warn!(%error, "there is no thread for the loop's watchdog"),
        }
    }
}

pub(crate) fn debug_or_environment(debug: Option<Debug>) -> io::Result<Debug> {
    match debug {
        Some(debug) => Ok(debug),
        None => {
            Debug::from_env().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
        }
    }
}

/// The loop of this thread.
///
/// # Panics
/// When the thread has none: a mistake in the program, and the message says what to do.
#[inline]
#[track_caller]
pub(crate) fn current() -> Rc<Core> {
    match try_current() {
        Some(core) => core,
        None => panic_without_loop(),
    }
}

#[cold]
#[track_caller]
fn panic_without_loop() -> ! {
    panic!(
        "there is no event loop on this thread: make one here with Runtime::new(), or move the \
         call into a task of the thread that has one"
    )
}

/// Looks at the loop of this thread without holding on to it.
///
/// # Panics
/// As [`current`].
#[inline]
#[track_caller]
pub(crate) fn with_current<R>(look: impl FnOnce(&Core) -> R) -> R {
    CURRENT.with(|current| match &*current.borrow() {
        Some(core) => look(core),
        None => panic_without_loop(),
    })
}

#[inline]
/// The number of the step that runs, where there is a loop.
pub(crate) fn running_step() -> Option<u64> {
    let step = CURRENT.try_with(|current| Some(current.borrow().as_ref()?.pulse.step()));
    step.ok().flatten()
}

pub(crate) fn try_current() -> Option<Rc<Core>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}
