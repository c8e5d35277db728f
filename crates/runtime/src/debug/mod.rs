//! What the runtime says of mistakes: a loop that is stuck, always; the rest in debug mode.
//!
//! All of it is logged through [`tracing`], with the name, the id and the place of the task. Nothing
//! here needs another build.
//!
//! # The watchdog, always on
//!
//! A step is one poll of one task, and nothing else happens on the loop meanwhile. One that takes
//! longer than 100 ms is noticed by a thread beside the loop, which takes the stack of the
//! loop's thread while it is stuck. Once the step has ended there is one warning (target
//! `monoloop_runtime::watchdog`):
//!
//! | field | |
//! |---|---|
//! | `task`, `id`, `spawned_at` | which task |
//! | `ran_ms` | how long the step took; up to an eighth of the bound (12 ms) too much, as the loop reads no clock for it |
//! | `context` | the [context variables](crate::context_var) that are declared with `shown_as`: in a server the request's id, method and route |
//! | `waiting`, `waited_ms` | tasks that were ready when it ended or were found to be right after, and the longest that any of them can have waited |
//! | `stack` | the functions between the loop and the place where it was, the innermost first (Linux on x86-64 and AArch64); long types in their names are left out |
//!
//! A step that goes on for ten bounds is reported while it lasts, by its task's `id` and the stack,
//! and again each time that has doubled; the warning with everything follows when it ends, if it
//! does. The task's name and place are the loop's, which is stuck, so that they come only then.
//! Whoever [probes](crate::introspect::Probe) the loop meanwhile is shown them at once, and the
//! stack.
//!
//! - The bound is [`Builder::watchdog`](crate::Builder::watchdog), default 100 ms: what asyncio
//!   calls slow (`loop.slow_callback_duration`) and what people feel as a delay. 0 turns it off.
//! - It costs two stores and a load a step. The thread looks eight times in a bound while the loop
//!   has something to do (the precedent is the monitor thread of Go's runtime, which looks at least
//!   every 10 ms), and sleeps while the loop waits, until the loop has something to do.
//! - It is off where time is not the system's ([`ClockMode`](crate::ClockMode), the
//!   [simulation](crate::sim)) and under Miri.
//! - The stack is taken by a signal, `SIGURG`. What is interrupted by it is the step that is stuck:
//!   its system calls are restarted where the kernel restarts any (see signal(7)); elsewhere it
//!   sees `EINTR` once.
//!
//! # Debug mode
//!
//! `MONOLOOP_DEBUG=1`, read when the runtime is built, or [`Builder::debug`](crate::Builder::debug),
//! which is stronger. The guide is asyncio's debug mode. Its warnings (target
//! `monoloop_runtime::debug`):
//!
//! | message | what it means | what to do |
//! |---|---|---|
//! | a step was slow | it took longer than [`Debug::slow_step`], default 100 ms, by the clock | `spawn_blocking`, `yield_now` |
//! | a task ended before its first step | it was cancelled, or its loop ended, so soon that its future never ran | await it, or do not spawn it |
//! | a promise was never awaited | a [`Promised`](crate::sync::promise::Promised) was dropped, and nobody had looked at it | await it, or do not make it |
//! | nobody looked at the error of a task | its output was an `Err`, and its join handle was dropped | join it, or handle the error inside |
//! | a task was still pending when its loop ended | it was dropped in the middle | cancel and join it, or use a [`TaskGroup`](crate::TaskGroup) |
//!
//! A panic that nobody joins is logged always, as an error. An output can be seen to be an `Err`
//! if it is a `Result<(), E>` of a common error type (`io::Error`, `Box<dyn Error>`, `String`,
//! `&str`, `JoinError`); of another `Result` it is only said that nobody looked at it, as rustc
//! says of one that is not used. A future that is not awaited at all is the compiler's to find:
//! all are `#[must_use]`, and one that is awaited twice does not compile:
//!
//! ```compile_fail,E0382
//! # monoloop_runtime::Runtime::new().unwrap().block_on(async {
//! let task = monoloop_runtime::spawn(async { 42 });
//! let first = task.await;
//! let second = task.await; // error[E0382]: use of moved value: `task`
//! # });
//! ```
//!
//! ```compile_fail
//! # #![deny(unused_must_use)]
//! # monoloop_runtime::Runtime::new().unwrap().block_on(async {
//! monoloop_runtime::spawn(async { 42 }); // error: unused `JoinHandle` that must be used
//! # });
//! ```
//!
//! It costs a reading of the clock a step: some 30 ns.
//!
//! `MONOLOOP_DEBUG=2` also keeps a backtrace of each `spawn`, as `spawned_from` in all of these
//! messages. That takes some microseconds a spawn (3.6 µs measured, with a shallow stack, where a
//! task that does nothing takes 0.1 altogether) and a few hundred bytes a task. With `0`, or nothing, debug mode is off; any other value is
//! an error when the runtime is built.

mod unread;

pub(crate) use unread::{Unread, unread};

use crate::task::{TaskId, TaskLabel};
use std::ffi::OsStr;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The variable that turns it on.
const VARIABLE: &str = "MONOLOOP_DEBUG";

/// asyncio's `slow_callback_duration`.
const SLOW_STEP: Duration = Duration::from_millis(100);

/// Tasks that are named at most when a loop ends with many.
pub(crate) const PENDING_NAMED_MAX: usize = 20;

/// What debug mode looks for; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Debug {
    pub(crate) is_on: bool,
    pub(crate) backtraces: bool,
    pub(crate) slow_step: Duration,
}

impl Debug {
    /// Nothing, as with `MONOLOOP_DEBUG=0`. The default.
    pub fn off() -> Self {
        Debug {
            is_on: false,
            backtraces: false,
            slow_step: SLOW_STEP,
        }
    }

    /// Everything but backtraces, as with `MONOLOOP_DEBUG=1`.
    pub fn on() -> Self {
        Debug {
            is_on: true,
            ..Debug::off()
        }
    }

    /// Everything, and where each task was spawned from, as with `MONOLOOP_DEBUG=2`.
    pub fn with_backtraces() -> Self {
        Debug {
            backtraces: true,
            ..Debug::on()
        }
    }

    /// The time from which on a step is slow. Default 100 ms, as in asyncio.
    pub fn slow_step(mut self, slow: Duration) -> Self {
        self.slow_step = slow;
        self
    }

    /// What `MONOLOOP_DEBUG` says.
    ///
    /// # Errors
    /// When that is none of 0, 1 and 2.
    pub fn from_env() -> Result<Self, DebugError> {
        match std::env::var_os(VARIABLE) {
            Some(value) => Debug::parse(&value),
            None => Ok(Debug::off()),
        }
    }

    fn parse(value: &OsStr) -> Result<Self, DebugError> {
        match value.to_str() {
            Some("" | "0") => Ok(Debug::off()),
            Some("1") => Ok(Debug::on()),
            Some("2") => Ok(Debug::with_backtraces()),
            Some(_) | None => Err(DebugError {
                value: value.to_string_lossy().into_owned(),
            }),
        }
    }
}

impl Default for Debug {
    fn default() -> Self {
        Debug::off()
    }
}

/// `MONOLOOP_DEBUG` has a value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugError {
    value: String,
}

impl fmt::Display for DebugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{VARIABLE}={:?} means nothing: set 1 for warnings, 2 for backtraces of spawns too, or \
             0, or unset it, for neither",
            self.value
        )
    }
}

impl std::error::Error for DebugError {}

/// Says something of a task.
macro_rules! warn_of {
    ($label:expr, $id:expr, $($rest:tt)*) => {
        tracing::warn!(
            target: "monoloop_runtime::debug",
            task = $label.name.as_deref().unwrap_or("unnamed"),
            id = %$id,
            spawned_at = %$label.place,
            spawned_from = $label.spawned_from.as_ref().map(tracing::field::display),
            $($rest)*
        )
    };
}

pub(crate) fn slow_step(id: TaskId, label: &TaskLabel, took: Duration, context: &str) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    warn_of!(
        label,
        id,
        took_ms,
        context,
        "a step was slow: give work that blocks to spawn_blocking, and let long work yield_now"
    );
}

pub(crate) fn never_polled(id: TaskId, label: &TaskLabel, why: &str) {
    warn_of!(
        label,
        id,
        why,
        "a task ended before its first step: its future never ran"
    );
}

pub(crate) fn unread_result(id: TaskId, label: &TaskLabel, unread: &Unread) {
    match unread {
        Unread::Error(error) => warn_of!(
            label,
            id,
            error,
            "nobody looked at the error of a task: join it, or handle the error inside"
        ),
        Unread::Result(output) => warn_of!(
            label,
            id,
            output,
            "nobody looked at the result of a task: join it, or handle errors inside"
        ),
    }
}

pub(crate) fn pending_at_end(id: TaskId, label: &TaskLabel) {
    warn_of!(
        label,
        id,
        "a task was still pending when its loop ended: cancel it and join it before, or spawn it in \
         a TaskGroup"
    );
}

pub(crate) fn more_pending_at_end(tasks: usize) {
    tracing::warn!(
        target: "monoloop_runtime::debug",
        tasks,
        "more tasks were still pending when their loop ended"
    );
}

pub(crate) fn never_awaited(place: &'static Location<'static>, outcome: &str) {
    tracing::warn!(
        target: "monoloop_runtime::debug",
        made_at = %place,
        outcome,
        "a promise was never awaited: nobody looked at what became of it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_refused_with_the_value_and_what_to_write() {
        let parse = |text: &str| Debug::parse(OsStr::new(text));
        for (text, debug) in [
            ("", Debug::off()),
            ("0", Debug::off()),
            ("1", Debug::on()),
            ("2", Debug::with_backtraces()),
        ] {
            assert_eq!(parse(text), Ok(debug));
        }
        for wrong in ["3", "yes", "true", " 1"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(
                error.contains(&format!("MONOLOOP_DEBUG={wrong:?}")),
                "{error}"
            );
            assert!(
                error.contains("set 1") && error.contains("unset"),
                "{error}"
            );
        }
    }
}
