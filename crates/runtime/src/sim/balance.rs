//! What is left at the end of a run, in words.

use super::with_world;
use crate::core::Core;
use crate::runtime::Runtime;
use crate::task::{TaskId, Waiter};
use crate::time;
use std::rc::Rc;
use std::time::Duration;

/// Entries that are listed of each kind.
const LISTED_MAX: usize = 20;

/// Who refers to a loop that has nothing left: its runtime twice, and the thread twice.
const REFERENCES_OF_A_LOOP: usize = 4;

/// Gives what was let go of the time it needs to end: connections that are told of their
/// peer's end, tasks that were cancelled, jobs of the pool that run for nobody.
pub(crate) async fn settle(core: Rc<Core>, at_most: Duration) {
    let until = time::now() + at_most;
    let busy = || {
        let stats = core.stats();
        (stats.tasks, stats.timers, stats.sockets) != (1, 0, 0) || core.has_jobs()
    };
    while busy() && time::now() < until {
        time::sleep(Duration::from_millis(1)).await;
    }
}

/// What is left on a loop; `None` when nothing is.
pub(crate) fn left(runtime: &Runtime) -> Option<String> {
    let core = &runtime.core;
    let held = Rc::strong_count(core);
    let mut lists = vec![list("tasks", &tasks(core))];
    lists.push(list("timers", &timers(core)));
    let name = |waiter: &Waiter| name_waiter(core, waiter);
    let sockets = with_world(|world| world.open_sockets(name));
    lists.push(list("sockets", &sockets));
    lists.push(match core.has_jobs() {
        true => "  jobs of the blocking pool\n".into(),
        false => String::new(),
    });
    // What is listed above refers to the loop, too.
    if lists.iter().all(String::is_empty) && held > REFERENCES_OF_A_LOOP {
        let more = held - REFERENCES_OF_A_LOOP;
        lists.push(format!(
            "  {more} handles of the loop that outlive it (chunks of received bytes, sleeps, join \
             or task handles)\n"
        ));
    }
    Some(lists.concat()).filter(|left| !left.is_empty())
}

/// All tasks, in words.
pub(crate) fn tasks(core: &Core) -> Vec<String> {
    let ids = core.tasks.borrow().ids();
    ids.into_iter().map(|id| name_task(core, id)).collect()
}

fn timers(core: &Core) -> Vec<String> {
    let timers = core.timers.borrow();
    let waiting = timers.waiting().map(|waiter| name_waiter(core, waiter));
    waiting
        .map(|who| format!("one waited for by {who}"))
        .collect()
}

fn name_waiter(core: &Core, waiter: &Waiter) -> String {
    match waiter {
        Waiter::Task(None) => String::new(),
        Waiter::Task(Some(id)) => name_task(core, *id),
        Waiter::Waker(_) => "a waker".into(),
    }
}

fn name_task(core: &Core, id: TaskId) -> String {
    let tasks = core.tasks.borrow();
    let Some(label) = tasks.label(id) else {
        return format!("task {id}, which is gone");
    };
    let name = label.name.as_deref().unwrap_or("unnamed");
    let steps = tasks.steps(id).unwrap_or_default();
    let finished = match tasks.is_finished(id) {
        true => ", finished and not joined",
        false => "",
    };
    format!(
        "task {id} ({name}), spawned at {}, {steps} steps{finished}",
        label.place
    )
}

/// A heading and its entries; nothing when there are none.
pub(crate) fn list(heading: &str, entries: &[String]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut text = format!("  {} {heading}:\n", entries.len());
    for entry in entries.iter().take(LISTED_MAX) {
        text += &format!("    {entry}\n");
    }
    if entries.len() > LISTED_MAX {
        text += "    ..\n";
    }
    text
}
