//! What the smallest things cost: one measurement of the loop in a fresh process, so that none
//! warms up for another. Prints a JSON object of nanoseconds (or bytes) per operation.
//!
//! `cargo run --release -p monoloop-runtime --example micro -- yield-100`
//!
//! Each measurement is written as one for any runtime would be (wakers that are cloned, wakes
//! through them), so that its figure stands beside that of another.

use monoloop_runtime::{Runtime, spawn, time};
use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const BENCHES: &str =
    "spawn spawn-batch yield-1 yield-100 yield-10k ping-pong timer-cancel timer-1m memory";

/// Why a task here has an output.
const NEITHER: &str = "no task here panics or is cancelled";

/// What was measured, by name.
type Figures = Vec<(&'static str, f64)>;

fn main() -> ExitCode {
    let bench = std::env::args().nth(1).unwrap_or_default();
    if !BENCHES.split(' ').any(|known| known == bench) {
        eprintln!("usage: micro BENCH, one of {BENCHES}");
        return ExitCode::from(2);
    }
    let mut runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot make a loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Inside a task, as a server's work is.
    let figures = runtime.block_on(async { spawn(measure(bench)).await.expect(NEITHER) });
    print(&figures);
    ExitCode::SUCCESS
}

async fn measure(bench: String) -> Figures {
    match bench.as_str() {
        "spawn" => spawns().await,
        "spawn-batch" => spawns_in_batches().await,
        "yield-1" => yields(1).await,
        "yield-100" => yields(100).await,
        "yield-10k" => yields(10_000).await,
        "ping-pong" => ping_pong().await,
        "timer-cancel" => timer_cancel().await,
        "timer-1m" => timer_million().await,
        "memory" => memory().await,
        other => unreachable!("{other} is in the list and not here"),
    }
}

fn print(figures: &Figures) {
    let fields: Vec<String> = figures
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value:.2}"))
        .collect();
    println!("{{{}}}", fields.join(","));
}

/// Spawns an empty task and awaits it, one at a time.
async fn spawns() -> Figures {
    const COUNT: usize = 200_000;
    let ns = best(COUNT, || async {
        for _ in 0..COUNT {
            spawn(async {}).await.expect(NEITHER);
        }
    });
    vec![("ns", ns.await)]
}

/// Spawns a thousand empty tasks, then awaits them.
async fn spawns_in_batches() -> Figures {
    const BATCH: usize = 1000;
    const COUNT: usize = 200_000;
    let ns = best(COUNT, || async {
        let mut handles = Vec::with_capacity(BATCH);
        for _ in 0..COUNT / BATCH {
            handles.extend((0..BATCH).map(|_| spawn(async {})));
            for handle in handles.drain(..) {
                handle.await.expect(NEITHER);
            }
        }
    });
    vec![("ns", ns.await)]
}

/// One yield among so many tasks that do nothing else.
async fn yields(tasks: usize) -> Figures {
    let each = 1_000_000 / tasks;
    let ns = best(each * tasks, || async {
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                spawn(async move {
                    for _ in 0..each {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await.expect(NEITHER);
        }
    });
    vec![("ns", ns.await)]
}

/// A round trip between two tasks: two wakes through wakers that are cloned.
async fn ping_pong() -> Figures {
    const COUNT: usize = 500_000;
    let ns = best(COUNT, || async {
        let (there, back) = (Shared::default(), Shared::default());
        let (there2, back2) = (there.clone(), back.clone());
        let echo = spawn(async move {
            for _ in 0..COUNT {
                take(&there2).await;
                put(&back2);
            }
        });
        for _ in 0..COUNT {
            put(&there);
            take(&back).await;
        }
        echo.await.expect(NEITHER);
    });
    vec![("ns", ns.await)]
}

/// Makes, registers and drops a timer that never fires, one at a time.
async fn timer_cancel() -> Figures {
    const COUNT: usize = 1_000_000;
    let start = now();
    for i in 0..COUNT {
        let after = Duration::from_millis(5_000 + (i % 1000) as u64);
        register(pin!(time::sleep(after)));
        if i % 256 == 0 {
            yield_now().await;
        }
    }
    vec![("ns", per(start.elapsed(), COUNT))]
}

/// A million timers that wait, ten thousand tasks whose sleeps end among them, and the end of the
/// million.
async fn timer_million() -> Figures {
    const PENDING: usize = 1_000_000;
    const FIRING: usize = 10_000;
    let mut sleeps = Vec::with_capacity(PENDING);
    let start = now();
    for i in 0..PENDING {
        // Spread over an hour, as idle timeouts of many clients would be.
        let after = Duration::from_secs(60) + Duration::from_millis((i as u64 * 7919) % 3_600_000);
        let mut sleep = Box::pin(time::sleep(after));
        register(sleep.as_mut());
        sleeps.push(sleep);
        if i % 256 == 0 {
            yield_now().await;
        }
    }
    let insert = per(start.elapsed(), PENDING);

    let before = cpu_time();
    let handles: Vec<_> = (0..FIRING)
        .map(|i| spawn(time::sleep(Duration::from_millis(20 + (i % 100) as u64))))
        .collect();
    for handle in handles {
        handle.await.expect(NEITHER);
    }
    let fire = per(cpu_time() - before, FIRING);

    let start = now();
    drop(sleeps);
    let cancel = per(start.elapsed(), PENDING);
    vec![
        ("insert ns", insert),
        ("fire cpu ns", fire),
        ("drop ns", cancel),
    ]
}

/// Resident memory of a task that waits on 64 bytes of state.
async fn memory() -> Figures {
    const COUNT: usize = 100_000;
    const WARM: usize = 1000;
    // Written before the first reading, so that the room of the handles is not counted.
    let mut handles: Vec<_> = (0..COUNT).map(|_| None).collect();
    for place in &mut handles[..WARM] {
        *place = Some(spawn(wait_for_ever()));
    }
    yield_now().await;
    let before = resident_bytes();
    for place in &mut handles[WARM..] {
        *place = Some(spawn(wait_for_ever()));
    }
    for _ in 0..1000 {
        yield_now().await;
    }
    let bytes = (resident_bytes() - before) as f64 / (COUNT - WARM) as f64;
    vec![("bytes", bytes)]
}

async fn wait_for_ever() {
    let state = [1u8; 64];
    pending::<()>().await;
    black_box(&state);
}

/// Runs `work` three times and keeps the best; the first is the warm-up.
async fn best<F: Future<Output = ()>>(count: usize, mut work: impl FnMut() -> F) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = now();
        work().await;
        best = best.min(per(start.elapsed(), count));
    }
    best
}

/// Wakes the task and gives way once: what is measured is the waker, not this crate's own
/// `yield_now`.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A mailbox of one place, between two tasks of one thread.
#[derive(Default)]
struct Mailbox {
    full: bool,
    waiting: Option<Waker>,
}

type Shared = Rc<RefCell<Mailbox>>;

fn put(mailbox: &Shared) {
    let waiting = {
        let mut inner = mailbox.borrow_mut();
        inner.full = true;
        inner.waiting.take()
    };
    if let Some(waker) = waiting {
        waker.wake();
    }
}

async fn take(mailbox: &Shared) {
    poll_fn(|cx| {
        let mut inner = mailbox.borrow_mut();
        if std::mem::take(&mut inner.full) {
            return Poll::Ready(());
        }
        inner.waiting = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Polls a sleep once, which arms it. It never fires: nobody is to be woken.
fn register(sleep: Pin<&mut impl Future<Output = ()>>) {
    let polled = sleep.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

fn per(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_nanos() as f64 / count as f64
}

/// The system's clock: the loop's own stands still within a turn.
fn now() -> Instant {
    time::now_precise()
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// Where a process cannot be asked what it has used, the time of day stands in for it.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
}

/// The memory of this process that is in use; zero where nobody tells.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}
