//! Which task is being stepped right now, for other threads: what is known of a loop that does
//! not answer.

use crate::clock;
use crate::introspect::Snapshot;
use crate::task::TaskId;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Written by the loop at each step, read by others when they get no answer.
pub(crate) struct CurrentStep {
    stepping: Mutex<Stepping>,
}

struct Stepping {
    task: Option<TaskId>,
    /// Of the step, or of the end of the last one.
    since: Instant,
    place: Option<&'static Location<'static>>,
    has_name: bool,
    /// Kept from step to step: a name that fits is copied without allocating.
    name: String,
    behind: usize,
}

impl CurrentStep {
    pub(crate) fn new() -> Self {
        CurrentStep {
            stepping: Mutex::new(Stepping {
                task: None,
                since: clock::read(),
                place: None,
                has_name: false,
                name: String::new(),
                behind: 0,
            }),
        }
    }

    /// A task is about to be stepped, with so many ready behind it.
    pub(crate) fn begin(
        &self,
        task: TaskId,
        label: (Option<&str>, &'static Location<'static>),
        since: Instant,
        behind: usize,
    ) {
        let (name, place) = label;
        let mut stepping = self.lock();
        stepping.task = Some(task);
        stepping.since = since;
        stepping.place = Some(place);
        stepping.has_name = name.is_some();
        stepping.name.clear();
        stepping.name.push_str(name.unwrap_or_default());
        stepping.behind = behind;
    }

    pub(crate) fn end(&self, since: Instant) {
        let mut stepping = self.lock();
        stepping.task = None;
        stepping.since = since;
    }

    /// What can be said of a loop that does not answer.
    pub(crate) fn stuck(&self, stack: Vec<String>, last: Option<Arc<Snapshot>>) -> Stuck {
        let stepping = self.lock();
        let task = match (stepping.task, stepping.place) {
            (Some(id), Some(place)) => Some(StuckTask {
                id,
                name: stepping.has_name.then(|| stepping.name.clone()),
                place,
            }),
            _ => None,
        };
        Stuck {
            task,
            since: clock::read().saturating_duration_since(stepping.since),
            waiting_behind: stepping.behind,
            stack,
            last,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stepping> {
        self.stepping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a loop that does not answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stuck {
    /// The task that is being stepped; `None` when the loop is between two steps, for example
    /// because its thread is not given a CPU.
    pub task: Option<StuckTask>,
    /// How long that has been so.
    pub since: Duration,
    /// Tasks that were ready when the step began, and wait behind it.
    pub waiting_behind: usize,
    /// The functions in which it is stuck, the innermost first. Taken by the
    /// [watchdog](crate::debug) when the step was over its bound, and now and then afterwards;
    /// empty before that, and where there is none.
    pub stack: Vec<String>,
    /// The last snapshot that somebody had asked for.
    pub last: Option<Arc<Snapshot>>,
}

/// The task that a loop is stuck in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckTask {
    /// Its id.
    pub id: TaskId,
    /// The name given at spawn.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: &'static Location<'static>,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since;
        match &self.task {
            None => write!(
                f,
                "the loop does not answer, and steps no task, since {since:.1?}"
            ),
            Some(StuckTask { id, name, place }) => {
                let name = name.as_deref().unwrap_or("unnamed");
                write!(
                    f,
                    "the loop is stuck in task {id} ({name}, spawned at {place}) since {since:.1?}"
                )
            }
        }
    }
}
