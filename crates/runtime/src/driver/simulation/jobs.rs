//! The blocking pool of a simulated world: one thread, one job at a time.
//!
//! A job runs on a thread of its own, as in production: it has no loop there, its thread-locals
//! are not those of the loop, and it wakes through the inbox. The loop's thread stands still
//! meanwhile, so nothing races: a job is an event that happens at its time.

use crate::blocking::Jobs;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct JobThread {
    jobs: Jobs,
    running: BTreeMap<u64, Job>,
    started: u64,
    thread: Option<(Sender<Job>, Receiver<()>)>,
}

impl JobThread {
    pub(crate) fn new(jobs: Jobs) -> Self {
        JobThread {
            jobs,
            running: BTreeMap::new(),
            started: 0,
            thread: None,
        }
    }

    /// Takes a job out of the pool's queue. Its number, to run it by.
    pub(crate) fn start(&mut self, now: Instant) -> Option<u64> {
        let job = self.jobs.start(now)?;
        self.started += 1;
        self.running.insert(self.started, job);
        Some(self.started)
    }

    /// Runs a job that was started, and waits until it has run.
    pub(crate) fn run(&mut self, number: u64) -> io::Result<()> {
        let job = self.running.remove(&number);
        let job = job.expect("a job is run once, after it was started");
        if self.thread.is_none() {
            self.thread = Some(start_thread()?);
        }
        let (work, done) = self.thread.as_ref().expect("it was started just now");
        work.send(job).expect(THREAD_STAYS);
        done.recv().expect(THREAD_STAYS);
        self.jobs.end();
        Ok(())
    }
}

const THREAD_STAYS: &str = "the thread ends when its sender is dropped, and survives panics";

fn start_thread() -> io::Result<(Sender<Job>, Receiver<()>)> {
    let (work, jobs) = channel::<Job>();
    let (done, told) = channel();
    thread::Builder::new()
        .name("monoloop-blocking".into())
        .spawn(move || {
            for job in jobs {
                // A job reports the panic of its function; this is one in the destructor of a
                // result that nobody took. The panic hook has reported it.
                let _ = catch_unwind(AssertUnwindSafe(job));
                if done.send(()).is_err() {
                    return;
                }
            }
        })?;
    Ok((work, told))
}
