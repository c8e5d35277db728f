//! The thread that watches a loop, from its beginning to its end.

use super::report::{CaughtStep, LateStep};
use super::stacks::{self, Calls};
use super::watch::{Seen, Verdict, Watch};
use super::{Doing, Pulse};
use crate::{clock, context};
use monoloop_stack::{Handle, Registration};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing::Dispatch;
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// Watches the loop of the thread that it was made on. Its own thread ends with it.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Allows the thread to be looked at.
    _registration: Option<Registration>,
}

struct Shared {
    pulse: Arc<Pulse>,
    /// The number of the step that was caught last.
    caught: AtomicU64,
    late: Mutex<Vec<LateStep>>,
    is_over: AtomicBool,
}

impl Watchdog {
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(pulse: &Arc<Pulse>, bound: Duration) -> io::Result<Self> {
        let registration = stacks::register();
        let shared = Arc::new(Shared {
            pulse: pulse.clone(),
            caught: AtomicU64::new(0),
            late: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let watcher = Watcher {
            shared: shared.clone(),
            watch: Watch::new(bound),
            thread: registration.as_ref().map(Registration::handle),
            caught: Vec::new(),
            noting: None,
        };
        // What the loop's thread logs to, if it is not what all threads do.
        let own = dispatcher::get_default(Dispatch::clone);
        let builder = thread::Builder::new().name("watchdog".into());
        let thread = builder.spawn(move || {
            if own.is::<NoSubscriber>() {
                watcher.run();
            } else {
                dispatcher::with_default(&own, || watcher.run());
            }
        })?;
        pulse.set_watchdog(thread.thread().clone());
        Ok(Watchdog {
            shared,
            thread: Some(thread),
            _registration: registration,
        })
    }

    /// Whether it wants to know of the end of this step.
    pub(crate) fn has_caught(&self, step: u64) -> bool {
        // That it may want to was seen without order.
        fence(Ordering::Acquire);
        self.shared.caught.load(Ordering::Relaxed) == step
    }

    /// Takes what the loop has to say of steps that were caught, and tells it.
    pub(crate) fn tell(&self, late: &mut Vec<LateStep>) {
        self.shared.late().append(late);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // What was told last is told before this returns. A watchdog that panicked, because
            // of a subscriber, has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn late(&self) -> std::sync::MutexGuard<'_, Vec<LateStep>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Steps that are remembered until the loop tells of their end.
const CAUGHT_MAX: usize = 16;

/// What the thread has.
struct Watcher {
    shared: Arc<Shared>,
    watch: Watch,
    thread: Option<Handle>,
    caught: Vec<CaughtStep>,
    noting: Option<Noting>,
}

impl Watcher {
    fn run(mut self) {
        loop {
            let is_over = self.shared.is_over.load(Ordering::Acquire);
            self.tell_of_ended();
            if is_over {
                return;
            }
            let beat = self.shared.pulse.read();
            if self
                .caught
                .last()
                .is_none_or(|caught| caught.seen.beat != beat)
            {
                self.noting = None;
            }
            match self.watch.look(clock::read(), beat) {
                // An idle loop is not woken by its watchdog, nor is the machine.
                Verdict::Rest if self.shared.pulse.may_park() => thread::park(),
                Verdict::Rest | Verdict::LookAgain => thread::park_timeout(self.watch.interval()),
                Verdict::Caught(seen) => {
                    self.catch(seen);
                    self.watch.resume(clock::read());
                }
                Verdict::Stuck(seen) => {
                    self.tell_stuck(seen);
                    self.watch.resume(clock::read());
                }
            }
        }
    }

    /// A step is over its bound. The loop is asked to tell of its end first, in case that is near.
    fn catch(&mut self, seen: Seen) {
        if matches!(seen.beat.doing, Doing::Stepping(_)) {
            self.noting = Some(Noting::begin());
            self.shared.caught.store(seen.beat.step, Ordering::Relaxed);
            self.shared.pulse.want_end_of_step();
        }
        let stack = self.take_stack(seen);
        let caught = CaughtStep { seen, stack };
        if seen.beat.doing == Doing::Turning {
            caught.tell_of_turn(seen.lasts);
        }
        if self.caught.len() == CAUGHT_MAX {
            self.caught.remove(0);
        }
        self.caught.push(caught);
    }

    fn take_stack(&self, seen: Seen) -> Option<Calls> {
        let is_still_there = || self.shared.pulse.read() == seen.beat;
        let calls = stacks::take(self.thread.as_ref()?, is_still_there)?;
        self.shared.pulse.show_stack(seen.beat, calls.clone());
        Some(calls)
    }

    fn tell_stuck(&mut self, seen: Seen) {
        let stack = self.take_stack(seen);
        let Some(caught) = self.caught.last_mut() else {
            return;
        };
        // The latest says where it is now; an earlier one is kept if there is none.
        caught.stack = stack.or(caught.stack.take());
        match seen.beat.doing {
            Doing::Stepping(task) => caught.tell_stuck(task, seen.lasts),
            Doing::Nothing | Doing::Waiting | Doing::Turning => caught.tell_of_turn(seen.lasts),
        }
    }

    /// Tells of the steps that were caught and have ended.
    fn tell_of_ended(&mut self) {
        let late = std::mem::take(&mut *self.shared.late());
        for late in late {
            let is_it = |caught: &CaughtStep| caught.seen.beat.step == late.step;
            if let Some(at) = self.caught.iter().position(is_it) {
                self.caught.remove(at).tell(&late);
            }
        }
    }
}

/// As long as there is one, who leaves a context says so.
struct Noting(());

impl Noting {
    fn begin() -> Self {
        context::NOTING.fetch_add(1, Ordering::Relaxed);
        Noting(())
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        context::NOTING.fetch_sub(1, Ordering::Relaxed);
    }
}
