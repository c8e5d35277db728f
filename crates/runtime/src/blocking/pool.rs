//! A bounded pool of threads with a bounded queue. It knows jobs, not futures.
//!
//! Threads are started when a job finds none idle, and end after ten idle seconds. When the
//! queue is full, those who want to submit stand in line and are let in first come, first
//! served.

use crate::clock;
use crate::config::Config;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

/// Precedent: tokio's `thread_keep_alive`.
const IDLE_MAX: Duration = Duration::from_secs(10);

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
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    line: BTreeMap<Ticket, Waker>,
    next_ticket: Ticket,
    threads: usize,
    idle: usize,
    /// Jobs queued and running.
    unfinished: usize,
    closed: bool,
}

/// What became of a job that was offered.
pub(crate) enum Submitted {
    /// It will run.
    Accepted,
    /// The queue is full: the job comes back, to be offered again with this ticket when the
    /// waker is woken.
    Full(Job, Ticket),
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Pool {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                threads_max: config.blocking_threads_max.max(1) as usize,
                queue_max: config.blocking_queue_max.max(1) as usize,
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

    /// Offers a job. It comes back when the queue is full, or others stand in line.
    pub(crate) fn offer(&self, job: Job) -> Result<(), Job> {
        let state = self.shared.lock();
        if !state.line.is_empty() || !self.shared.has_room(&state) {
            return Err(job);
        }
        self.accept(state, job);
        Ok(())
    }

    /// Offers a job that came back, by one who waits from now on until it is accepted; `ticket`
    /// is that of an earlier call.
    ///
    /// Only who is there to be called stands in line: the first is called and no other, so one
    /// that never looks would hold up all behind it.
    pub(crate) fn stand_in_line(
        &self,
        job: Job,
        ticket: Option<Ticket>,
        waker: &Waker,
    ) -> Submitted {
        let mut state = self.shared.lock();
        let first_in_line = state.line.keys().next().copied();
        let may_enter = first_in_line.is_none() || first_in_line == ticket;
        if may_enter && self.shared.has_room(&state) {
            let left = ticket.and_then(|ticket| state.line.remove(&ticket));
            self.accept(state, job);
            drop(left);
            return Submitted::Accepted;
        }
        let ticket = ticket.unwrap_or_else(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        let before = state.line.insert(ticket, waker.clone());
        drop(state);
        drop(before);
        Submitted::Full(job, ticket)
    }

    fn accept(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.unfinished += 1;
        state.queue.push_back(job);
        self.shared.find_thread(&mut state);
        let next = self.shared.next_in_line(&state);
        drop(state);
        wake(next);
    }

    /// Leaves the line.
    pub(crate) fn leave_line(&self, ticket: Ticket) {
        let mut state = self.shared.lock();
        let left = state.line.remove(&ticket);
        let next = self.shared.next_in_line(&state);
        drop(state);
        drop(left);
        wake(next);
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.shared.lock().unfinished
    }
}

/// What a pool without threads has to do, for the one who does it.
pub(crate) struct Jobs(Arc<Shared>);

impl Jobs {
    /// The next job, unless all threads there would be are busy.
    pub(crate) fn start(&self) -> Option<Job> {
        let mut state = self.0.lock();
        if state.idle == 0 {
            return None;
        }
        let job = state.queue.pop_front()?;
        state.idle -= 1;
        let next = self.0.next_in_line(&state);
        drop(state);
        wake(next);
        Some(job)
    }

    /// A job that was started has run.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.idle += 1;
        state.unfinished -= 1;
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
                .name("monoloop-blocking".into())
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

    /// The first in line, when there is room.
    fn next_in_line(&self, state: &State) -> Option<Waker> {
        self.has_room(state)
            .then(|| state.line.values().next().cloned())?
    }

    /// Whether another job may be queued. One that an idle thread is about to take does not
    /// wait.
    fn has_room(&self, state: &State) -> bool {
        state.queue.len() < self.queue_max + state.idle
    }

    fn work_until_idle(&self) {
        let mut state = self.lock();
        let mut idle_until = clock::read() + IDLE_MAX;
        loop {
            if let Some(job) = state.queue.pop_front() {
                let next = self.next_in_line(&state);
                drop(state);
                wake(next);
                // A job reports the panic of its function; this is one in the destructor of a
                // result that nobody took. The panic hook has reported it.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                state.unfinished -= 1;
                idle_until = clock::read() + IDLE_MAX;
                continue;
            }
            let left = idle_until.saturating_duration_since(clock::read());
            if state.closed || left.is_zero() {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::Wake;

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
        assert!(pool.offer(Box::new(job)).is_ok());
        began.recv().unwrap();
        leave
    }

    #[derive(Default)]
    struct Called(AtomicUsize);

    impl Wake for Called {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One who stands in line.
    struct Waits {
        called: Arc<Called>,
        job: Option<(Job, Ticket)>,
    }

    impl Waits {
        fn stand(pool: &Pool) -> Waits {
            let called = Arc::new(Called::default());
            let waker = Waker::from(called.clone());
            let Submitted::Full(job, ticket) = pool.stand_in_line(Box::new(|| ()), None, &waker)
            else {
                panic!("the queue is full");
            };
            let job = Some((job, ticket));
            Waits { called, job }
        }

        fn calls(&self) -> usize {
            self.called.0.load(Ordering::SeqCst)
        }

        /// Whether it was let in.
        fn again(&mut self, pool: &Pool) -> bool {
            let (job, ticket) = self.job.take().unwrap();
            match pool.stand_in_line(job, Some(ticket), Waker::noop()) {
                Submitted::Accepted => true,
                Submitted::Full(job, ticket) => {
                    self.job = Some((job, ticket));
                    false
                }
            }
        }
    }

    /// A job that tells when it has run, and who is told.
    fn telling() -> (Job, Receiver<()>) {
        let (tell, told) = channel();
        (Box::new(move || tell.send(()).unwrap()), told)
    }

    #[test]
    fn a_full_queue_turns_jobs_away_and_lets_in_first_come_first_served() {
        let pool = pool(1, 1);
        let leave = occupy(&pool);
        let (last, has_run) = telling();
        assert!(pool.offer(last).is_ok(), "one may be queued");
        assert!(pool.offer(Box::new(|| ())).is_err());
        let (mut first, mut second) = (Waits::stand(&pool), Waits::stand(&pool));
        assert!(!first.again(&pool) && !second.again(&pool));
        drop(leave);
        has_run.recv().unwrap();
        // There is room, but not for who comes later.
        assert!(!second.again(&pool));
        assert!(pool.offer(Box::new(|| ())).is_err());
        assert!(first.again(&pool));
    }

    #[test]
    fn who_is_first_in_line_is_called_when_a_job_leaves_the_queue() {
        let pool = pool(1, 1);
        let leave = occupy(&pool);
        let ((queued, has_run), (begin, began)) = (telling(), channel());
        let (finish, wait) = channel::<()>();
        let queued: Job = Box::new(move || {
            queued();
            begin.send(()).unwrap();
            let _ = wait.recv();
        });
        assert!(pool.offer(queued).is_ok());
        let (first, second) = (Waits::stand(&pool), Waits::stand(&pool));
        assert_eq!((first.calls(), second.calls()), (0, 0));
        drop(leave);
        has_run.recv().unwrap();
        began.recv().unwrap();
        // Called before the job began.
        assert_eq!((first.calls(), second.calls()), (1, 0));
        // The first leaves instead of coming: the call goes to the second.
        pool.leave_line(first.job.unwrap().1);
        assert_eq!(second.calls(), 1);
        drop(finish);
    }

    #[test]
    fn a_job_that_panics_takes_neither_its_thread_nor_its_count_along() {
        let pool = pool(1, 4);
        for _ in 0..3 {
            let job: Job = Box::new(|| std::panic::resume_unwind(Box::new(())));
            assert!(pool.offer(job).is_ok());
        }
        let (job, has_run) = telling();
        assert!(pool.offer(job).is_ok());
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
        assert!(pool.offer(Box::new(move || drop(held))).is_ok());
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert_eq!(Arc::strong_count(&queued), 1);
        drop(leave);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
