//! Who hears of the end of children, for all loops of the process.
//!
//! A child is asked for by its own id only, and under its own lock, so nothing here takes the
//! end of a process that somebody else waits for, and no signal goes to an id that the system
//! has given away again.

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

/// The children that have not ended, by a number of their own.
static RUNNING: Mutex<Running> = Mutex::new(Running {
    processes: BTreeMap::new(),
    started: 0,
});

struct Running {
    processes: BTreeMap<u64, Arc<Process>>,
    started: u64,
}

/// A child, for whoever waits for it and for the thread that hears of its end.
pub(super) struct Process {
    id: u32,
    state: Mutex<State>,
}

struct State {
    /// Remembers how it ended, once it was asked.
    child: Child,
    waiting: Option<Waker>,
}

/// Starts to listen for SIGCHLD, once in a process.
pub(super) fn start() -> io::Result<()> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = lock(&STARTED);
    if *started {
        return Ok(());
    }
    let mut signals = Signals::new([SIGCHLD])?;
    thread::Builder::new()
        .name("monoloop-children".into())
        .spawn(move || {
            // However many have ended by then, it is told at least once after the last.
            for _signal in signals.forever() {
                ask_all();
            }
        })?;
    *started = true;
    Ok(())
}

/// Sees to it that a child is asked for its end, by whomever it is still held or not.
pub(super) fn watch(child: Child) -> Arc<Process> {
    let process = Arc::new(Process {
        id: child.id(),
        state: Mutex::new(State {
            child,
            waiting: None,
        }),
    });
    let number = {
        let mut running = lock(&RUNNING);
        running.started += 1;
        let number = running.started;
        running.processes.insert(number, process.clone());
        number
    };
    // It may have ended, and its signal be used up, before it was entered.
    if process.ask().is_some() {
        lock(&RUNNING).processes.remove(&number);
    }
    process
}

/// Asks every child. Their locks are taken one by one: a loop that looks at its child waits for
/// one system call at most.
fn ask_all() {
    let running: Vec<_> = {
        let running = lock(&RUNNING);
        let processes = running.processes.iter();
        processes
            .map(|(number, it)| (*number, it.clone()))
            .collect()
    };
    for (number, process) in running {
        if let Some(waiting) = process.ask() {
            lock(&RUNNING).processes.remove(&number);
            if let Some(waker) = waiting {
                waker.wake();
            }
        }
    }
}

impl Process {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// `None` while it runs, else who waits.
    fn ask(&self) -> Option<Option<Waker>> {
        let mut state = lock(&self.state);
        match state.child.try_wait() {
            Ok(None) => None,
            // Of one that cannot be asked there will never be anything to hear.
            Ok(Some(_)) | Err(_) => Some(state.waiting.take()),
        }
    }

    pub(super) fn poll_wait(&self, cx: &Context<'_>) -> Poll<io::Result<ExitStatus>> {
        // Cloning and dropping a waker may run user code: not under the lock.
        let mut waker = Some(cx.waker().clone());
        let mut state = lock(&self.state);
        let asked = state.child.try_wait();
        if let Ok(None) = asked {
            // Should it end now, who hears of it waits for the lock.
            std::mem::swap(&mut state.waiting, &mut waker);
        }
        drop(state);
        match asked.transpose() {
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }

    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.state).child.try_wait()
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        lock(&self.state).child.kill()
    }

    pub(super) fn terminate(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.child.try_wait()?.is_some() {
            return Ok(());
        }
        // It may be ending, but its id is still its own: nobody has taken its end.
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let id = id.expect("the id of a child is a positive number");
        Ok(kill_process(id, Signal::TERM)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Children that have not ended, as far as was heard.
#[cfg(test)]
fn running() -> usize {
    lock(&RUNNING).processes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_that_nobody_waits_for_is_no_zombie_and_is_forgotten() {
        start().unwrap();
        let ids: Vec<u32> = (0..50)
            .map(|_| watch(Command::new("true").spawn().unwrap()).id())
            .collect();
        while running() > 0 {
            thread::yield_now();
        }
        for id in ids {
            let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            // A zombie could still be signalled.
            let gone = rustix::process::test_kill_process(id).is_err();
            assert!(gone, "{id:?} is left");
        }

        // Ended before it is entered: no signal will come for it any more.
        let mut early = Command::new("true").spawn().unwrap();
        while early.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        watch(early);
        assert_eq!(running(), 0);
    }
}
