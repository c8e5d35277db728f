//! All tasks of a loop as they are at one moment.

use crate::clock;
use crate::context::Context;
use crate::core::Core;
use crate::driver::Address;
use crate::introspect::observer::Extra;
use crate::introspect::{Wait, WaitTarget, WaitsOn};
use crate::runtime::current;
use crate::scope::RunState;
use crate::stats::LoopStats;
use crate::task::TaskId;
use slotmap::{DefaultKey, SecondaryMap};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::{Duration, Instant};

/// All tasks of a loop, and its counters, as they were at one moment. It can be sent to other
/// threads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken, by the clock of the operating system.
    pub taken_at: Instant,
    /// How long that took the loop.
    pub took: Duration,
    /// How long the loop has been [observed](super::observe); `None` when it is not: then nobody
    /// knows how long tasks were busy, and what they wait on.
    pub observed_for: Option<Duration>,
    /// The loop's counters.
    pub stats: LoopStats,
    /// The tasks, the oldest slot first.
    pub tasks: Vec<TaskSnapshot>,
}

/// What was to be seen of one task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskSnapshot {
    /// Its id.
    pub id: TaskId,
    /// The name given at spawn.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: &'static Location<'static>,
    /// The task that spawned it; it may have ended.
    pub parent: Option<TaskId>,
    /// What it is doing.
    pub state: RunState,
    /// How often it was stepped.
    pub steps: u32,
    /// How long its steps took together, since the loop is observed: real time, whatever clock
    /// the loop has. `None` when it has not been stepped since.
    pub busy: Option<Duration>,
    /// The longest of its steps, likewise.
    pub longest_step: Option<Duration>,
    /// What it waits on. Empty when it does not wait, has not been stepped since the loop is
    /// observed, or waits in a future that leaves no note: one that is not of this crate. Of a
    /// task that waits on several things at once, those that it polled first.
    pub waits_on: Vec<Wait>,
    /// How long ago its last step ended.
    pub since: Option<Duration>,
    /// The context variables that are set where it waits, and what can be said of their values.
    pub context: Vec<(&'static str, String)>,
    /// Why it was asked to end, if it was.
    pub cancelled: Option<&'static str>,
}

/// Looks at all tasks of this thread's loop. For all that is to be known, call
/// [`observe`](super::observe) first. Takes some 1.1 µs a task that
/// waits on a socket; [`Snapshot::took`] says how long it took.
///
/// ```
/// use monoloop_runtime::{Runtime, introspect, spawn_named, time, yield_now};
/// use std::time::Duration;
///
/// Runtime::new()?.block_on(async {
///     introspect::observe();
///     drop(spawn_named("ticker", async {
///         time::sleep(Duration::from_secs(1)).await;
///     }));
///     yield_now().await;
///     let snapshot = introspect::snapshot();
///     let ticker = snapshot.tasks.iter().find(|task| task.name.as_deref() == Some("ticker"));
///     assert_eq!(ticker.unwrap().waits_on[0].what, "timer");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn snapshot() -> Snapshot {
    Snapshot::take(&current(), None)
}

/// What is read of a task while the table is borrowed. Contexts are described afterwards: that
/// runs code of the user's.
struct Raw {
    task: TaskSnapshot,
    context: Context,
    extra: Option<Extra>,
}

impl Snapshot {
    /// Leaves out the task that does nothing but take it.
    pub(crate) fn take(core: &Core, without: Option<TaskId>) -> Snapshot {
        let taken_at = clock::read();
        let mut stats = core.stats();
        let ids = core.tasks.borrow().ids();
        let raws: Vec<Raw> = ids
            .into_iter()
            .filter(|id| Some(*id) != without)
            .filter_map(|id| Raw::read(core, id))
            .collect();
        stats.tasks = raws.len();
        let sockets = sockets_by_task(core);
        let tasks = raws.into_iter().map(|raw| raw.describe(core, &sockets));
        let tasks = tasks.collect();
        Snapshot {
            taken_at,
            took: clock::read().saturating_duration_since(taken_at),
            observed_for: (core.observer.get())
                .map(|observed| taken_at.saturating_duration_since(observed.since)),
            stats,
            tasks,
        }
    }

    /// One of its tasks.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskSnapshot> {
        self.tasks.iter().find(|task| task.id == id)
    }
}

impl Raw {
    fn read(core: &Core, id: TaskId) -> Option<Raw> {
        let tasks = core.tasks.borrow();
        let view = tasks.view(id)?;
        let state = RunState::from(view.state);
        let extra = core.observer.get().and_then(|observed| observed.extra(id));
        let stepped = extra.as_ref().filter(|extra| extra.since.is_some());
        let now = core.clock.shown_at(clock::read());
        Some(Raw {
            task: TaskSnapshot {
                id,
                name: view.name.map(str::to_owned),
                place: view.place,
                parent: view.parent,
                state,
                steps: view.steps,
                busy: stepped.map(|extra| extra.busy),
                longest_step: stepped.map(|extra| extra.longest_step),
                waits_on: Vec::new(),
                since: stepped
                    .and_then(|extra| extra.since)
                    .map(|since| now.saturating_duration_since(since)),
                context: Vec::new(),
                cancelled: view.cancel_reason,
            },
            context: match core.running() == Some(id) {
                true => Context::current(),
                false => view.context.clone(),
            },
            extra,
        })
    }

    fn describe(self, core: &Core, sockets: &SocketsByTask) -> TaskSnapshot {
        let Raw {
            mut task,
            context,
            extra,
        } = self;
        if task.state == RunState::Waiting {
            let notes = extra.iter().flat_map(|extra| extra.notes.iter().copied());
            let (timers, others): (Vec<WaitsOn>, Vec<WaitsOn>) =
                notes.partition(|note| matches!(note, WaitsOn::Timer(_)));
            task.waits_on = (others.into_iter().map(|note| look_up(core, note)))
                .chain(sockets.get(task.id.0).into_iter().flatten().cloned())
                .chain(timers.into_iter().map(|note| look_up(core, note)))
                .collect();
        }
        if let Some(inner) = extra.and_then(|extra| extra.context) {
            describe_context(&inner, &mut task.context);
        }
        describe_context(&context, &mut task.context);
        task
    }
}

type SocketsByTask = SecondaryMap<DefaultKey, Vec<Wait>>;

fn sockets_by_task(core: &Core) -> SocketsByTask {
    let mut sockets = SocketsByTask::new();
    let driver = core.driver.borrow();
    driver.each_waiting(&mut |id, what, socket| {
        let on = match what {
            "accept" => driver
                .local_addr(socket)
                .and_then(Address::ip)
                .map(WaitTarget::Listener),
            _ => driver
                .peer_addr(socket)
                .and_then(Address::ip)
                .map(WaitTarget::Peer),
        };
        let wait = Wait::new(what, on.unwrap_or(WaitTarget::Unknown));
        if let Some(entry) = sockets.entry(id.0) {
            entry.or_default().push(wait);
        }
    });
    sockets
}

/// Adds the variables that are not there yet.
fn describe_context(context: &Context, variables: &mut Vec<(&'static str, String)>) {
    let described = catch_unwind(AssertUnwindSafe(|| context.described()));
    for (name, value) in described.unwrap_or_default() {
        if variables.iter().all(|(known, _)| *known != name) {
            variables.push((name, value));
        }
    }
}

fn look_up(core: &Core, note: WaitsOn) -> Wait {
    match note {
        WaitsOn::Named(what) => Wait::new(what, WaitTarget::Unknown),
        WaitsOn::Task(id) => Wait::new("task", WaitTarget::Task(id)),
        WaitsOn::Timer(deadline) => {
            let left = deadline.saturating_duration_since(core.clock.now());
            Wait::new("timer", WaitTarget::DueIn(left))
        }
    }
}
