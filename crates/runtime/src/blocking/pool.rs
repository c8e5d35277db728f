//! A bounded pool of threads with a bounded queue. It knows jobs, not futures.
//!
//! Threads are started when a job finds none idle, and end after ten idle seconds. When the
//! queue is full, further jobs stand in line and are let in first come, first served. The
//! difference is that a job in line can still be called off: its caller has it in its hands,
//! where it would also be without a line, so the queue bounds what nobody answers for.

use crate::clock;
use crate::config::Config;
use crate::stats::BlockingStats;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Precedent: tokio's `thread_keep_alive`.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A pool that stays full says so once in this time. Often enough for whoever looks at the log
/// while it happens, and too seldom to fill it.
const SAY_FULL_EVERY: Duration = Duration::from_secs(10);

/// A job. It reports its result, a panic included, by itself.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A place in the line before a full queue.
pub(crate) type Ticket = u64;

pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    threads_max: usize,
    queue_max: usize,
    thread_name: &'static str,
    says_full: bool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Offered>,
    line: BTreeMap<Ticket, Offered>,
    next_ticket: Ticket,
    threads: usize,
    idle: usize,
    /// Jobs queued and running.
    unfinished: usize,
    finished: u64,
    longest_wait: Duration,
    full: Full,
    closed: bool,
}

/// What was said about the pool being full.
#[derive(Default)]
struct Full {
    said_at: Option<Instant>,
    turned_away: u64,
}

struct Offered {
    job: Job,
    at: Instant,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Pool::with_bounds(
            "monoloop-blocking",
            config.blocking_threads_max.max(1) as usize,
            config.blocking_queue_max.max(1) as usize,
            true,
        )
    }

    /// A pool of one thread, for what has to be done in order.
    pub(crate) fn of_one(thread_name: &'static str, queue_max: usize) -> Self {
        Pool::with_bounds(thread_name, 1, queue_max, false)
    }

    fn with_bounds(
        thread_name: &'static str,
        threads_max: usize,
        queue_max: usize,
        says_full: bool,
    ) -> Self {
        Pool {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                threads_max,
                queue_max,
                thread_name,
                says_full,
            }),
        }
    }

    /// A pool whose threads exist only on paper: somebody takes the jobs and runs them.
    pub(crate) fn by_hand(config: &Config) -> (Self, Jobs) {
        let pool = Pool::new(config);
        let threads = pool.shared.threads_max;
        let mut state = pool.shared.lock();
        (state.threads, state.idle) = (threads, threads);
        drop(state);
        let jobs = Jobs(pool.shared.clone());
        (pool, jobs)
    }

    /// Takes a job. When the queue is full, or others stand in line, it does so too, and the
    /// ticket is its place there.
    ///
    /// It is let in by who makes room, not by who waits for it: one who waits may have turned to
    /// something else, and would hold up all behind.
    pub(crate) fn offer(&self, job: Job, now: Instant) -> Option<Ticket> {
        let mut state = self.shared.lock();
        let offered = Offered { job, at: now };
        if state.line.is_empty() && self.shared.has_room(&state) {
            self.shared.accept(&mut state, offered);
            return None;
        }
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        state.line.insert(ticket, offered);
        let say_full = self.shared.says_full.then(|| state.full.turn_away(now));
        drop(state);
        if let Some(callers) = say_full.flatten() {
            self.say_full(callers);
        }
        Some(ticket)
    }

    #[cold]
    fn say_full(&self, callers: u64) {
        tracing::warn!(
            callers,
            threads_max = self.shared.threads_max,
            queue_max = self.shared.queue_max,
            "the blocking pool is full: all its threads are busy and its queue takes no more; \
             callers wait in line. If that is not wanted, raise Config::blocking_threads_max or \
             Config::blocking_queue_max, or ask for less at a time"
        );
    }

    /// Leaves the line with the job, which the caller drops; `None` when it was let in.
    #[must_use]
    pub(crate) fn leave_line(&self, ticket: Ticket) -> Option<Job> {
        let left = self.shared.lock().line.remove(&ticket);
        left.map(|offered| offered.job)
    }

    pub(crate) fn stands_in_line(&self, ticket: Ticket) -> bool {
        self.shared.lock().line.contains_key(&ticket)
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.shared.lock().unfinished
    }

    pub(crate) fn stats(&self, now: Instant) -> BlockingStats {
        let state = self.shared.lock();
        let oldest = state.queue.front().map(|offered| offered.at);
        let waits = oldest.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        BlockingStats {
            threads: state.threads,
            idle: state.idle,
            running: state.unfinished - state.queue.len(),
            queued: state.queue.len(),
            in_line: state.line.len(),
            finished: state.finished,
            longest_wait: state.longest_wait.max(waits),
        }
    }
}

/// What a pool without threads has to do, for the one who does it.
pub(crate) struct Jobs(Arc<Shared>);

impl Jobs {
    /// The next job, unless all threads there would be are busy.
    pub(crate) fn start(&self, now: Instant) -> Option<Job> {
        let mut state = self.0.lock();
        if state.idle == 0 || state.queue.is_empty() {
            return None;
        }
        state.idle -= 1;
        self.0.take_job(&mut state, now)
    }

    /// A job that was started has run.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.idle += 1;
        state.unfinished -= 1;
        state.finished += 1;
    }
}

impl Full {
    /// Somebody has to wait. How many had to since it was last said, when it is time to say so.
    fn turn_away(&mut self, now: Instant) -> Option<u64> {
        self.turned_away += 1;
        let is_quiet = |said: Instant| now.saturating_duration_since(said) < SAY_FULL_EVERY;
        if self.said_at.is_some_and(is_quiet) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.turned_away))
    }
}

/// Jobs that run go on without the loop; those still queued are dropped.
impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let (queue, line) = (
            std::mem::take(&mut state.queue),
            std::mem::take(&mut state.line),
        );
        drop(state);
        drop((queue, line));
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run outside of the lock, so nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody takes the job that was just queued.
    fn find_thread(self: &Arc<Self>, state: &mut State) {
        if state.idle >= state.queue.len() {
            self.work.notify_one();
        } else if state.threads < self.threads_max {
            let shared = self.clone();
            let started = thread::Builder::new()
                .name(self.thread_name.into())
                .spawn(move || shared.work_until_idle());
            match started {
                Ok(_) => state.threads += 1,
                // The threads there are take it in their turn.
                Err(error) if state.threads > 0 => {
                    tracing::warn!(%error, "the blocking pool could not start another thread");
                }
                Err(error) => panic!("the blocking pool could not start its first thread: {error}"),
            }
        }
    }

    fn accept(self: &Arc<Self>, state: &mut State, offered: Offered) {
        state.unfinished += 1;
        state.queue.push_back(offered);
        self.find_thread(state);
    }

    /// The oldest job in the queue; the first in line takes its place.
    fn take_job(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Job> {
        let Offered { job, at } = state.queue.pop_front()?;
        let waited = now.saturating_duration_since(at);
        state.longest_wait = state.longest_wait.max(waited);
        while self.has_room(state) {
            let Some((_, first)) = state.line.pop_first() else {
                break;
            };
            self.accept(state, first);
        }
        Some(job)
    }

    /// Whether another job may be queued. One that an idle thread is about to take does not
    /// wait.
    fn has_room(&self, state: &State) -> bool {
        state.queue.len() < self.queue_max + state.idle
    }

    fn work_until_idle(self: Arc<Self>) {
        let mut state = self.lock();
        let mut now = clock::read();
        let mut idle_until = now + IDLE_MAX;
        loop {
            if let Some(job) = self.take_job(&mut state, now) {
                drop(state);
                // A job reports the panic of its function; this is one in the destructor of a
                // result that nobody took. The panic hook has reported it.
                let _ = catch_unwind(AssertUnwindSafe(job));
                now = clock::read();
                idle_until = now + IDLE_MAX;
                state = self.lock();
                state.unfinished -= 1;
                state.finished += 1;
                continue;
            }
            let left = idle_until.saturating_duration_since(now);
            if state.closed || left.is_zero() {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            now = clock::read();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn pool(threads: u32, queue: u32) -> Pool {
        let mut config = Config::default();
        (config.blocking_threads_max, config.blocking_queue_max) = (threads, queue);
        Pool::new(&config)
    }

    /// Occupies the pool's only thread until the sender is dropped.
    fn occupy(pool: &Pool) -> Sender<()> {
        let ((begin, began), (leave, wait)) = (channel(), channel::<()>());
        let job = move || {
            begin.send(()).unwrap();
            let _ = wait.recv();
        };
        assert!(offer(pool, Box::new(job)).is_none());
        began.recv().unwrap();
        leave
    }

    /// A job that tells when it has run, and who is told.
    fn telling() -> (Job, Receiver<()>) {
        let (tell, told) = channel();
        (Box::new(move || tell.send(()).unwrap()), told)
    }

    fn offer(pool: &Pool, job: Job) -> Option<Ticket> {
        pool.offer(job, clock::read())
    }

    /// A job that notes its number, and the numbers.
    fn noting() -> (impl Fn(u32) -> Job, Receiver<u32>) {
        let (note, noted) = channel();
        let job = move |number| -> Job {
            let note = note.clone();
            Box::new(move || note.send(number).unwrap())
        };
        (job, noted)
    }

    #[test]
    fn what_a_full_queue_turns_away_is_let_in_first_come_first_served_and_runs_in_order() {
        let pool = pool(1, 1);
        let leave = occupy(&pool);
        let (job, noted) = noting();
        assert_eq!(offer(&pool, job(0)), None, "one may be queued");
        let in_line = [1, 2, 3].map(|number| offer(&pool, job(number)).unwrap());
        assert!(in_line.is_sorted());
        let stats = pool.stats(clock::read());
        assert_eq!((stats.threads, stats.idle, stats.running), (1, 0, 1));
        assert_eq!((stats.queued, stats.in_line), (1, 3));
        drop(leave);
        let order: Vec<_> = (0..4).map(|_| noted.recv().unwrap()).collect();
        assert_eq!(order, [0, 1, 2, 3]);
        assert!(!pool.stands_in_line(in_line[0]));
    }

    #[test]
    fn who_leaves_the_line_takes_the_job_along_and_those_behind_move_up() {
        let pool = pool(1, 1);
        let leave = occupy(&pool);
        let (job, noted) = noting();
        assert_eq!(offer(&pool, job(0)), None);
        let in_line = [1, 2, 3].map(|number| offer(&pool, job(number)).unwrap());
        assert!(pool.leave_line(in_line[0]).is_some());
        drop(leave);
        let order: Vec<_> = (0..3).map(|_| noted.recv().unwrap()).collect();
        assert_eq!(order, [0, 2, 3]);
        assert!(pool.leave_line(in_line[1]).is_none(), "it was let in");
    }

    #[test]
    fn the_longest_wait_counts_from_when_a_job_was_offered() {
        let pool = pool(1, 1);
        let leave = occupy(&pool);
        let (job, noted) = noting();
        let now = clock::read();
        let second = Duration::from_secs(1);
        assert_eq!(pool.offer(job(0), now - 3 * second), None);
        assert!(pool.offer(job(1), now - 5 * second).is_some());
        assert!(pool.stats(now).longest_wait >= 3 * second);
        drop(leave);
        assert_eq!((noted.recv(), noted.recv()), (Ok(0), Ok(1)));
        let stats = pool.stats(now);
        assert!(stats.longest_wait >= 5 * second, "{stats:?}");
    }

    #[test]
    fn a_pool_that_stays_full_says_so_once_in_ten_seconds() {
        let mut full = Full::default();
        let start = clock::read();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(full.turn_away(at(0)), Some(1));
        assert_eq!(full.turn_away(at(1)), None);
        assert_eq!(full.turn_away(at(9_999)), None);
        assert_eq!(full.turn_away(at(10_000)), Some(3));
        assert_eq!(full.turn_away(at(10_001)), None);
    }

    #[test]
    fn a_job_that_panics_takes_neither_its_thread_nor_its_count_along() {
        let pool = pool(1, 4);
        for _ in 0..3 {
            let job: Job = Box::new(|| std::panic::resume_unwind(Box::new(())));
            assert!(offer(&pool, job).is_none());
        }
        let (job, has_run) = telling();
        assert!(offer(&pool, job).is_none());
        has_run.recv().unwrap();
        drop(occupy(&pool));
        assert!(pool.unfinished() <= 1, "only the last may still be ending");
    }

    #[test]
    fn closing_the_pool_drops_what_is_queued_and_ends_its_threads() {
        let pool = pool(1, 4);
        let leave = occupy(&pool);
        let queued = Arc::new(());
        let held = queued.clone();
        assert!(offer(&pool, Box::new(move || drop(held))).is_none());
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert_eq!(Arc::strong_count(&queued), 1);
        drop(leave);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
