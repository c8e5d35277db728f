//! The loops that a socket shows, and the answers to what clients ask. Knows no socket.

use super::protocol::{Ask, Reply, TURNS_MAX};
use super::report::{LoopReport, Report, TurnReport};
use monoloop_runtime::TaskId;
use monoloop_runtime::introspect::{NoAnswer, Probe, TaskSnapshot};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a loop has to answer before it counts as stuck.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a trace may take.
const TRACE_TIME_MAX: Duration = Duration::from_secs(60);

/// Traces at a time: each keeps a thread, and costs the loop.
const TRACES_MAX: usize = 4;

/// The reason that a task is given when it is cancelled from outside.
const CANCELLED_FROM_OUTSIDE: &str = "cancelled through the introspection socket";

/// The task of `block_on`, which is the program itself.
const MAIN: &str = "main";

/// The loops of this process that are shown, by number.
#[derive(Debug, Default)]
pub(super) struct Loops {
    probes: Mutex<Vec<Probe>>,
    traces: AtomicUsize,
}

/// Where the lines of an answer go.
pub(super) trait Lines {
    fn send(&mut self, reply: &Reply) -> io::Result<()>;
}

impl Loops {
    pub(super) fn add(&self, probe: Probe) {
        self.probes().push(probe);
    }

    /// Answers one request. Errors are those of the client's connection.
    pub(super) fn answer(&self, ask: &Ask, to: &mut dyn Lines) -> io::Result<()> {
        let reply = match ask {
            Ask::Ps => Ok(Reply::Tasks(self.report())),
            Ask::Cancel { number, task } => self.cancel(*number, task),
            Ask::Trace {
                number,
                turns,
                timeout_ms,
            } => {
                let time_max = Duration::from_millis(*timeout_ms).min(TRACE_TIME_MAX);
                match self.trace(*number, *turns, time_max, to)? {
                    Ok(reason) => Ok(Reply::End { reason }),
                    Err(message) => Err(message),
                }
            }
        };
        to.send(&reply.unwrap_or_else(|message| Reply::Error { message }))
    }

    fn report(&self) -> Report {
        Report {
            pid: std::process::id(),
            program: program(),
            loops: (self.alive().iter())
                .filter_map(|(number, probe)| LoopReport::ask(*number, probe, PATIENCE, now))
                .collect(),
        }
    }

    fn cancel(&self, number: Option<usize>, task: &str) -> Result<Reply, String> {
        let id: TaskId = task
            .parse()
            .map_err(|error| format!("{task:?} is not the id of a task: {error}"))?;
        let (number, probe) = self.one(number)?;
        let of = format!("loop {number} has no task {id}; see monoloop ps");
        let name = match probe.snapshot(PATIENCE) {
            Ok(snapshot) => name_if_may_be_cancelled(snapshot.task(id).ok_or_else(|| of.clone())?)?,
            // Of a loop that is stuck the last that was seen has to do.
            Err(NoAnswer::Stuck(stuck)) => {
                let seen = stuck.last.as_ref().and_then(|last| last.task(id));
                seen.map_or(Ok(None), name_if_may_be_cancelled)?
            }
            Err(NoAnswer::Ended) => return Err(of),
            Err(_) => None,
        };
        match probe.cancel(id, CANCELLED_FROM_OUTSIDE, PATIENCE) {
            Ok(true) => {
                // Who reads the log later should not wonder.
                tracing::warn!(
                    task = name.as_deref().unwrap_or("unnamed"),
                    %id,
                    "a task is {CANCELLED_FROM_OUTSIDE}"
                );
                Ok(Reply::Cancelled {
                    task: id.to_string(),
                    name,
                })
            }
            Ok(false) | Err(NoAnswer::Ended) => Err(of),
            Err(NoAnswer::Stuck(stuck)) => Err(format!(
                "{stuck}; the task {id} is cancelled when the loop goes on"
            )),
            Err(other) => Err(other.to_string()),
        }
    }

    /// Sends turns as they come. Returns why there are fewer than were asked for.
    fn trace(
        &self,
        number: usize,
        turns: u32,
        time_max: Duration,
        to: &mut dyn Lines,
    ) -> io::Result<Result<Option<String>, String>> {
        let (_, probe) = match self.one(Some(number)) {
            Ok(found) => found,
            Err(message) => return Ok(Err(message)),
        };
        if turns == 0 || turns > TURNS_MAX {
            return Ok(Err(format!(
                "cannot trace {turns} turns; ask for 1 to {TURNS_MAX}"
            )));
        }
        let Some(_place) = Place::take(&self.traces) else {
            return Ok(Err(format!(
                "{TRACES_MAX} traces run already; wait until one has ended"
            )));
        };
        let traces = match probe.trace(turns) {
            Ok(traces) => traces,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let ends_at = now() + time_max;
        for seen in 0..turns {
            match traces.next(ends_at.saturating_duration_since(now())) {
                Ok(Some(turn)) => to.send(&Reply::Turn(TurnReport::of(&turn)))?,
                Ok(None) | Err(NoAnswer::Ended) => {
                    return Ok(Ok(Some("the loop has ended".to_owned())));
                }
                Err(_) => {
                    // Asleep or stuck? Only one of them answers.
                    return Ok(match probe.snapshot(PATIENCE) {
                        Ok(_) => Ok(Some(format!(
                            "{seen} of {turns} turns within {time_max:?}: the loop takes one only \
                             when there is something to do"
                        ))),
                        Err(no_answer) => Err(no_answer.to_string()),
                    });
                }
            }
        }
        Ok(Ok(None))
    }

    fn one(&self, number: Option<usize>) -> Result<(usize, Probe), String> {
        let mut alive = self.alive();
        let numbers: Vec<String> = alive.iter().map(|(number, _)| number.to_string()).collect();
        let found = match number {
            None if alive.len() == 1 => Some(0),
            None => None,
            Some(number) => alive.iter().position(|(other, _)| *other == number),
        };
        match (found, number) {
            (Some(index), _) => Ok(alive.swap_remove(index)),
            (None, _) if numbers.is_empty() => Err("the server has no loop any more".to_owned()),
            (None, None) => Err(format!(
                "the server has several loops; say which, as in {}/17.3 (there are {})",
                numbers[0],
                numbers.join(", ")
            )),
            (None, Some(number)) => Err(format!(
                "the server has no loop {number}; there are {}",
                numbers.join(", ")
            )),
        }
    }

    fn alive(&self) -> Vec<(usize, Probe)> {
        let probes = self.probes().clone().into_iter().enumerate();
        probes.filter(|(_, probe)| !probe.has_ended()).collect()
    }

    fn probes(&self) -> std::sync::MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a task that may be cancelled from outside; why it may not be.
fn name_if_may_be_cancelled(seen: &TaskSnapshot) -> Result<Option<String>, String> {
    let process = std::process::id();
    let id = seen.id;
    if seen.name.as_deref() == Some(MAIN) && seen.parent.is_none() {
        return Err(format!(
            "task {id} is the program's main task; to end the program send it SIGTERM (kill \
             {process})"
        ));
    }
    if Path::new(seen.place.file()).starts_with(server_folder()) {
        let name = seen.name.as_deref().unwrap_or("unnamed");
        return Err(format!(
            "task {id} ({name}) is the server's own: without it the server would stay, and serve \
             nobody or not end; to end the server send it SIGTERM (kill {process})"
        ));
    }
    Ok(seen.name.clone())
}

/// Where the tasks are spawned that a server consists of. Those of connections are not.
fn server_folder() -> PathBuf {
    let here = Path::new(file!());
    let sources = here.ancestors().nth(2).unwrap_or(here);
    sources.join("server")
}

/// One of the traces that may run, given up when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize) -> Option<Self> {
        let more = |count| (count < TRACES_MAX).then_some(count + 1);
        let took = taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        took.ok().map(|_| Place(taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is a thread that has no loop, and looks at one that may be stuck"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
