//! What is told of a server, as it is written into JSON and read from it.

use monoloop_runtime::RunState;
use monoloop_runtime::introspect::{
    NoAnswer, Probe, Snapshot, Stuck, TaskSnapshot, TurnTrace, Wait, WaitTarget,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// All loops of a server, and their tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The server's process.
    pub pid: u32,
    /// Its program.
    pub program: String,
    /// Its loops that have not ended.
    pub loops: Vec<LoopReport>,
}

/// One loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopReport {
    /// Its number, from 0.
    pub number: usize,
    /// Whether it has answered.
    pub state: LoopState,
    /// Of one that has not: what is known without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<StuckReport>,
    /// How old the numbers and tasks below are; `null` when there are none, because a loop that is
    /// stuck was never asked before.
    pub age_us: Option<u64>,
    /// How long it took the loop to answer.
    pub took_us: Option<u64>,
    /// How long tasks have been observed.
    pub observed_us: Option<u64>,
    /// Turns taken.
    pub turns: u64,
    /// Tasks stepped.
    pub steps: u64,
    /// Timers armed.
    pub timers: usize,
    /// Sockets open.
    pub sockets: usize,
    /// Its tasks.
    pub tasks: Vec<TaskReport>,
}

/// Whether a loop answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopState {
    /// It does.
    Turning,
    /// Not in time.
    Stuck,
}

/// What is known of a loop that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StuckReport {
    /// The whole of it in a sentence.
    pub message: String,
    /// The task that it is stuck in; `null` when it is in none.
    pub task: Option<String>,
    /// That task's name.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: Option<String>,
    /// How long it has been so.
    pub since_us: u64,
    /// Tasks that were ready, and wait behind it.
    pub waiting_behind: usize,
    /// The functions in which it is stuck, the innermost first, as the watchdog has seen them;
    /// empty when it has not yet, or cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Its id, to be given to `cancel`.
    pub id: String,
    /// The name given at spawn.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: String,
    /// The task that spawned it; it may have ended.
    pub parent: Option<String>,
    /// `waiting`, `ready`, `running`, `ending` or `finished`.
    pub state: String,
    /// What it waits on.
    pub waits_on: Vec<WaitReport>,
    /// How long ago its last step ended; `null` when it has not been stepped since the loop is
    /// observed.
    pub since_us: Option<u64>,
    /// How often it was stepped.
    pub steps: u32,
    /// How long its steps took together.
    pub busy_us: Option<u64>,
    /// The longest of them.
    pub longest_step_us: Option<u64>,
    /// Its context variables.
    pub context: BTreeMap<String, String>,
    /// Why it was asked to end, if it was.
    pub cancelled: Option<String>,
}

/// One thing that a task waits on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitReport {
    /// What: `read`, `timer`, `lock`, and so on.
    pub what: String,
    /// The same with the rest, in words.
    pub text: String,
    /// The other end of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The task that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The time until the timer is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_us: Option<u64>,
}

/// One turn of a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnReport {
    /// Which, counted from the loop's first.
    pub number: u64,
    /// Whether the operating system was asked for I/O.
    pub polled: bool,
    /// How long the loop waited before it.
    pub waited_us: u64,
    /// I/O events that were reported.
    pub events: usize,
    /// Timers that were due.
    pub timers: usize,
    /// Wakes and calls of other threads.
    pub inbox: usize,
    /// Tasks that were stepped.
    pub steps: usize,
    /// How long the turn took from then on.
    pub took_us: u64,
    /// Which tasks; of a long turn the first ones.
    pub stepped: Vec<StepReport>,
}

/// One step of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The task.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: String,
    /// How long it took.
    pub took_us: u64,
}

impl LoopReport {
    /// Asks a loop; `None` when it has ended.
    pub(super) fn ask(
        number: usize,
        probe: &Probe,
        patience: Duration,
        now: impl Fn() -> Instant,
    ) -> Option<Self> {
        let (state, snapshot, stuck) = match probe.snapshot(patience) {
            Ok(snapshot) => (LoopState::Turning, Some(snapshot), None),
            Err(NoAnswer::Stuck(stuck)) => {
                let report = StuckReport::of(&stuck);
                (LoopState::Stuck, stuck.last, Some(report))
            }
            Err(NoAnswer::Ended) => return None,
            Err(other) => {
                let report = StuckReport::unknown(other.to_string());
                (LoopState::Stuck, None, Some(report))
            }
        };
        let snapshot = snapshot.as_deref();
        let stats = snapshot.map(|snapshot| snapshot.stats).unwrap_or_default();
        Some(LoopReport {
            number,
            state,
            stuck,
            age_us: snapshot.map(|snapshot| {
                micros(now().saturating_duration_since(snapshot.taken_at + snapshot.took))
            }),
            took_us: snapshot.map(|snapshot| micros(snapshot.took)),
            observed_us: snapshot.and_then(|snapshot| snapshot.observed_for.map(micros)),
            turns: stats.turns,
            steps: stats.steps,
            timers: stats.timers,
            sockets: stats.sockets,
            tasks: snapshot.map(tasks).unwrap_or_default(),
        })
    }
}

fn tasks(snapshot: &Snapshot) -> Vec<TaskReport> {
    snapshot.tasks.iter().map(TaskReport::of).collect()
}

impl StuckReport {
    fn of(stuck: &Stuck) -> Self {
        let task = stuck.task.as_ref();
        StuckReport {
            message: stuck.to_string(),
            task: task.map(|task| task.id.to_string()),
            name: task.and_then(|task| task.name.clone()),
            place: task.map(|task| task.place.to_string()),
            since_us: micros(stuck.since),
            waiting_behind: stuck.waiting_behind,
            stack: stuck.stack.clone(),
        }
    }

    fn unknown(message: String) -> Self {
        StuckReport {
            message,
            task: None,
            name: None,
            place: None,
            since_us: 0,
            waiting_behind: 0,
            stack: Vec::new(),
        }
    }
}

impl TaskReport {
    fn of(task: &TaskSnapshot) -> Self {
        TaskReport {
            id: task.id.to_string(),
            name: task.name.clone(),
            place: task.place.to_string(),
            parent: task.parent.map(|id| id.to_string()),
            state: state_name(task.state).to_owned(),
            waits_on: task.waits_on.iter().map(WaitReport::of).collect(),
            since_us: task.since.map(micros),
            steps: task.steps,
            busy_us: task.busy.map(micros),
            longest_step_us: task.longest_step.map(micros),
            context: (task.context.iter())
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            cancelled: task.cancelled.map(str::to_owned),
        }
    }
}

fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waiting",
        RunState::Ready => "ready",
        RunState::Running => "running",
        RunState::Ending => "ending",
        RunState::Finished => "finished",
        _ => "unknown",
    }
}

impl WaitReport {
    fn of(wait: &Wait) -> Self {
        let mut report = WaitReport {
            what: wait.what.to_owned(),
            text: wait.to_string(),
            peer: None,
            task: None,
            due_us: None,
        };
        match wait.on {
            WaitTarget::Peer(peer) => report.peer = Some(peer.to_string()),
            WaitTarget::Task(id) => report.task = Some(id.to_string()),
            WaitTarget::DueIn(left) => report.due_us = Some(micros(left)),
            _ => {}
        }
        report
    }
}

/// As it stands in a table.
impl fmt::Display for WaitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TurnReport {
    pub(super) fn of(turn: &TurnTrace) -> Self {
        TurnReport {
            number: turn.number,
            polled: turn.stats.polled,
            waited_us: micros(turn.waited),
            events: turn.stats.events,
            timers: turn.stats.timers,
            inbox: turn.stats.remote_wakes + turn.stats.remote_calls,
            steps: turn.stats.steps,
            took_us: micros(turn.took),
            stepped: (turn.stepped.iter())
                .map(|step| StepReport {
                    id: step.id.to_string(),
                    name: step.name.clone(),
                    place: step.place.to_string(),
                    took_us: micros(step.took),
                })
                .collect(),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
