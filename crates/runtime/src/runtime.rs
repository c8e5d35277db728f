//! The neck of the crate: making a loop, running it, and finding that of this thread.

use crate::clock::{Clock, ClockMode};
use crate::config::Config;
use crate::core::Core;
use crate::driver::{self, Driver};
use crate::event_loop::{EventLoop, Main, drop_quietly};
use crate::inbox::Inbox;
use crate::stats::{LoopStats, TurnStats};
use crate::task::{JoinError, Removed};
use crate::watchdog::Pulse;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

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
            while !self.core.tasks.borrow().is_finished(id) {
                look(&self.core, self.event_loop.run_once(&mut main));
            }
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
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop_quietly(self.core.inbox.close());
        // Destructors may spawn, wake and close: the loop is still there for them. What is
        // spawned now is dropped in the next round.
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
                    self.core.discard(removed);
                }
            }
            if drops_left == 0 {
                // They spawn without end. What is left is leaked: no destructor may run once
                // the loop is gone.
                std::mem::forget(self.core.tasks.take());
                break;
            }
        }
        Inbox::detach_thread();
        // The thread may be ending, with its locals gone already.
        let core = CURRENT.try_with(|current| current.borrow_mut().take());
        drop(core);
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

    /// Makes the loop of this thread.
    ///
    /// # Errors
    /// When the thread has a loop already (`AlreadyExists`), or the operating system has no
    /// descriptor left for it.
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::is_first()?;
        let config = self.config.at_least_one_of_each();
        let driver = driver::open(&config)?;
        Runtime::assemble(config, Clock::new(self.clock), driver)
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
    ) -> io::Result<Runtime> {
        let inbox = Inbox::new(driver.notifier()?);
        let core = Rc::new(Core::new(config, clock, driver, inbox.clone()));
        Inbox::attach_thread(&inbox, core.clone());
        CURRENT.with(|current| *current.borrow_mut() = Some(core.clone()));
        Ok(Runtime {
            event_loop: EventLoop::new(core.clone()),
            core,
        })
    }
}

/// The loop of this thread.
///
/// # Panics
/// When the thread has none: a mistake in the program, and the message says what to do.
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

pub(crate) fn try_current() -> Option<Rc<Core>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}
