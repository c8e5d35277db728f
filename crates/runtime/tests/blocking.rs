//! Blocking work beside the loop: bounded, in order, and not lost.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{
    assert_balance, logged, ms, on_drop, panic_message, poll_once, quietly, run, turns, until,
};
use futures_util::future::join_all;
use monoloop_runtime::{
    ClockMode, JoinError, Runtime, blocking_stats, sim, spawn, spawn_blocking, time,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// A loop with a pool of so many threads and so long a queue.
fn pool(threads: u32, queue: u32) -> Runtime {
    Runtime::builder()
        .clock(ClockMode::Jumping)
        .blocking_threads_max(threads)
        .blocking_queue_max(queue)
        .build()
        .unwrap()
}

/// A job that tells when it runs and then waits for leave.
fn gate() -> (impl FnOnce() + Send + 'static, Receiver<()>, Sender<()>) {
    let (began, has_begun) = channel();
    let (leave, wait) = channel();
    let job = move || {
        began.send(()).unwrap();
        wait.recv().unwrap();
    };
    (job, has_begun, leave)
}

#[test]
fn a_job_runs_on_another_thread_and_its_result_comes_back() {
    run(async {
        let here = std::thread::current().id();
        let (there, name) = spawn_blocking(|| {
            let thread = std::thread::current();
            (thread.id(), thread.name().map(str::to_string))
        })
        .await
        .unwrap();
        assert_ne!(here, there);
        assert_eq!(name.as_deref(), Some("monoloop-blocking"));
    });
}

#[test]
fn the_loop_goes_on_while_a_job_blocks() {
    run(async {
        let (job, has_begun, leave) = gate();
        let blocked = spawn_blocking(job);
        has_begun.recv().unwrap();
        turns(100).await;
        leave.send(()).unwrap();
        blocked.await.unwrap();
    });
}

#[test]
fn a_panic_comes_back_as_an_error_and_the_thread_goes_on() {
    let mut runtime = pool(1, 10);
    runtime.block_on(async {
        for _ in 0..3 {
            let job = || {
                quietly(|| std::panic::panic_any(String::from("in the pool")));
            };
            let Err(JoinError::Panicked(panic)) = spawn_blocking(job).await else {
                panic!("it panicked");
            };
            assert_eq!(panic.message(), "in the pool");
        }
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_result_that_nobody_takes_and_whose_destructor_panics_costs_no_thread() {
    let mut runtime = pool(1, 10);
    runtime.block_on(async {
        for _ in 0..3 {
            let (job, has_begun, leave) = gate();
            drop(spawn_blocking(move || {
                job();
                let silence = common::Silence::default();
                on_drop(move || {
                    let _silence = silence;
                    panic!("in the destructor of a result");
                })
            }));
            has_begun.recv().unwrap();
            leave.send(()).unwrap();
        }
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        time::sleep(ms(1)).await;
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_job_runs_though_nobody_awaits_it() {
    let mut runtime = pool(2, 10);
    let (done, is_done) = channel();
    runtime.block_on(async {
        let kept = done.clone();
        let handle = spawn_blocking(move || kept.send("kept").unwrap());
        drop(spawn_blocking(move || done.send("dropped").unwrap()));
        let mut both = [is_done.recv().unwrap(), is_done.recv().unwrap()];
        both.sort_unstable();
        assert_eq!(both, ["dropped", "kept"]);
        turns(1).await;
        handle.await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn no_more_jobs_run_at_once_than_there_may_be_threads() {
    let mut runtime = pool(3, 1000);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        join_all((0..200).map(|_| {
            let (now, most) = (now.clone(), most.clone());
            spawn_blocking(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            })
        }))
        .await;
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_balance(&mut runtime);
}

#[test]
fn one_thread_runs_its_jobs_in_the_order_they_were_given_beyond_a_full_queue() {
    let mut runtime = pool(1, 2);
    let order = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        let jobs: Vec<_> = (0..50)
            .map(|number| {
                let order = order.clone();
                spawn(async move {
                    spawn_blocking(move || order.lock().unwrap().push(number))
                        .await
                        .unwrap();
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    assert_balance(&mut runtime);
}

#[test]
fn a_full_queue_takes_no_more_jobs_however_fast_they_come() {
    let mut runtime = pool(1, 2);
    runtime.block_on(async {
        // The thread exists and is idle; it cannot take more than one job.
        spawn_blocking(|| ()).await.unwrap();
        std::thread::yield_now();
        let (job, has_begun, leave) = gate();
        let blocker = spawn_blocking(job);
        let ran = Arc::new(AtomicUsize::new(0));
        let burst: Vec<_> = (0..20)
            .map(|_| {
                let ran = ran.clone();
                spawn_blocking(move || ran.fetch_add(1, Ordering::SeqCst))
            })
            .collect();
        has_begun.recv().unwrap();
        let in_line = burst
            .iter()
            .filter(|handle| format!("{handle:?}").contains("in_line: true"))
            .count();
        // At most one for the idle thread and two in the queue were taken, the blocker
        // among them.
        assert!(in_line >= 17, "only {in_line} of 20 wait");
        leave.send(()).unwrap();
        blocker.await.unwrap();
        join_all(burst).await;
        assert_eq!(ran.load(Ordering::SeqCst), 20);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_handle_that_nobody_awaits_yet_does_not_hold_up_those_behind_it() {
    let mut runtime = pool(1, 1);
    runtime.block_on(async {
        let (job, has_begun, leave) = gate();
        let blocker = spawn_blocking(job);
        has_begun.recv().unwrap();
        let queued = spawn_blocking(|| "queued");
        let first = spawn_blocking(|| "first in line");
        let second = spawn_blocking(|| "second in line");
        leave.send(()).unwrap();
        assert_eq!(second.await.unwrap(), "second in line");
        assert_eq!(first.await.unwrap(), "first in line");
        assert_eq!(queued.await.unwrap(), "queued");
        blocker.await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_handle_that_was_awaited_and_left_alone_does_not_hold_up_those_behind_it() {
    let mut runtime = pool(1, 1);
    runtime.block_on(async {
        let (job, has_begun, leave) = gate();
        let blocker = spawn_blocking(job);
        has_begun.recv().unwrap();
        let queued = spawn_blocking(|| ());
        let mut first = spawn_blocking(|| "first in line");
        assert!(poll_once(&mut first).await.is_pending());
        let second = spawn_blocking(|| "second in line");
        leave.send(()).unwrap();
        assert_eq!(second.await.unwrap(), "second in line");
        assert_eq!(first.await.unwrap(), "first in line");
        queued.await.unwrap();
        blocker.await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_task_that_is_cancelled_while_its_job_runs_or_waits_leaves_the_pool_to_the_others() {
    let mut runtime = pool(1, 1);
    runtime.block_on(async {
        let (job, has_begun, leave) = gate();
        let running = spawn(spawn_blocking(job));
        turns(1).await;
        has_begun.recv().unwrap();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let job = |number: u32| {
            let ran = ran.clone();
            spawn(spawn_blocking(move || ran.lock().unwrap().push(number)))
        };
        let (queued, in_line, last) = (job(1), job(2), job(3));
        turns(2).await;
        for task in [&queued, &in_line] {
            task.cancel();
        }
        running.cancel();
        turns(2).await;
        leave.send(()).unwrap();
        last.await.unwrap().unwrap();
        // What had its place in the queue ran for nobody; what stood in line did not.
        assert_eq!(*ran.lock().unwrap(), [1, 3]);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_full_pool_says_so_once_with_the_bounds_and_how_to_raise_them() {
    let mut runtime = pool(1, 1);
    let ((), lines) = logged(|| {
        runtime.block_on(async {
            let (job, has_begun, leave) = gate();
            let blocker = spawn_blocking(job);
            has_begun.recv().unwrap();
            let others: Vec<_> = (0..50).map(|_| spawn_blocking(|| ())).collect();
            leave.send(()).unwrap();
            blocker.await.unwrap();
            join_all(others).await;
        });
    });
    let [line] = &lines[..] else {
        panic!("one line, not {lines:?}");
    };
    for part in [
        "WARN",
        "callers=1",
        "threads_max=1",
        "queue_max=1",
        "Config::blocking_threads_max",
        "Config::blocking_queue_max",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert_balance(&mut runtime);
}

#[test]
fn the_stats_tell_what_runs_what_waits_and_what_has_run() {
    let mut runtime = pool(1, 1);
    assert_eq!(runtime.blocking_stats().threads, 0, "none is needed yet");
    runtime.block_on(async {
        let (job, has_begun, leave) = gate();
        let blocker = spawn_blocking(job);
        has_begun.recv().unwrap();
        let others: Vec<_> = (0..3).map(|_| spawn_blocking(|| ())).collect();
        let stats = blocking_stats();
        assert_eq!((stats.threads, stats.idle, stats.running), (1, 0, 1));
        assert_eq!((stats.queued, stats.in_line, stats.finished), (1, 2, 0));
        leave.send(()).unwrap();
        blocker.await.unwrap();
        join_all(others).await;
        until(|| blocking_stats().finished == 4).await;
        assert!(!blocking_stats().longest_wait.is_zero());
        until(|| blocking_stats().idle == 1).await;
    });
    let stats = runtime.blocking_stats();
    assert_eq!((stats.running, stats.queued, stats.in_line), (0, 0, 0));
    assert_balance(&mut runtime);
}

#[test]
fn work_of_200_ms_in_the_pool_leaves_the_latency_of_the_others_alone() {
    let world = sim::Builder::new().blocking_takes(ms(200)..=ms(200));
    world.seeds(0..20, |_| async {
        let work = spawn(spawn_blocking(|| ()));
        let began = time::now();
        let mut late = Vec::new();
        for tick in 1..=100 {
            let due = began + ms(tick);
            time::sleep_until(due).await;
            late.push(time::now() - due);
        }
        assert!(!work.is_finished());
        assert_eq!(late, [ms(0); 100]);
        work.await.unwrap().unwrap();
        assert_eq!(time::now() - began, ms(200));
    });
}

#[test]
fn work_in_the_pool_that_never_lets_go_of_its_cpu_leaves_the_loop_to_the_others() {
    let mut runtime = pool(1, 1);
    runtime.block_on(async {
        let served = Arc::new(AtomicUsize::new(0));
        let seen = served.clone();
        let work = spawn_blocking(move || {
            while seen.load(Ordering::SeqCst) < 100 {
                std::hint::spin_loop();
            }
        });
        let (mut client, mut server) = common::pair().await;
        let echo = spawn(async move {
            while let Ok(chunk) = server.receive().await {
                if chunk.is_empty() {
                    break;
                }
                server.write_all(&chunk).await.unwrap();
            }
        });
        for _ in 0..100 {
            client.write_all(b"x").await.unwrap();
            assert_eq!(&*client.receive().await.unwrap(), b"x");
            served.fetch_add(1, Ordering::SeqCst);
        }
        work.await.unwrap();
        drop(client);
        echo.await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn one_that_leaves_the_line_does_not_take_the_turn_with_it() {
    let mut runtime = pool(1, 1);
    runtime.block_on(async {
        let (job, has_begun, leave) = gate();
        let blocker = spawn_blocking(job);
        has_begun.recv().unwrap();
        let queued = spawn_blocking(|| ());
        let ran = Arc::new(AtomicUsize::new(0));
        let in_line: Vec<_> = (0..10)
            .map(|number| {
                let ran = ran.clone();
                spawn(async move {
                    spawn_blocking(move || ran.fetch_add(1, Ordering::SeqCst))
                        .await
                        .unwrap();
                    number
                })
            })
            .collect();
        turns(2).await;
        // The first in line, and others.
        in_line[0].cancel();
        in_line[3].cancel();
        in_line[4].cancel();
        turns(2).await;
        leave.send(()).unwrap();
        blocker.await.unwrap();
        queued.await.unwrap();
        let mut finished = Vec::new();
        for task in in_line {
            finished.extend(task.await.ok());
        }
        assert_eq!(finished, [1, 2, 5, 6, 7, 8, 9]);
        assert_eq!(ran.load(Ordering::SeqCst), 7);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_clock_that_jumps_waits_for_jobs_that_nobody_awaits() {
    run(async {
        for _ in 0..50 {
            let job = spawn_blocking(|| 7);
            time::sleep(ms(1)).await;
            assert_eq!(job.await.unwrap(), 7);
            time::sleep(ms(1)).await;
        }
    });
}

#[test]
fn a_clock_that_jumps_gives_jobs_the_time_they_need() {
    run(async {
        let (job, has_begun, leave) = gate();
        let start = time::now();
        let blocked = spawn(time::timeout(ms(10), spawn_blocking(job)));
        let release = std::thread::spawn(move || {
            has_begun.recv().unwrap();
            leave.send(()).unwrap();
        });
        assert!(blocked.await.unwrap().is_ok());
        assert_eq!(time::now(), start);
        release.join().unwrap();
    });
}

#[test]
fn jobs_that_run_when_the_loop_ends_finish_and_those_queued_are_dropped() {
    let runtime = pool(1, 10);
    let (job, has_begun, leave) = gate();
    let (done, is_done) = channel();
    drop(spawn_blocking(move || {
        job();
        done.send(()).unwrap();
    }));
    has_begun.recv().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let handle = spawn_blocking({
        let ran = ran.clone();
        move || ran.fetch_add(1, Ordering::SeqCst)
    });
    drop(handle);
    drop(runtime);
    leave.send(()).unwrap();
    is_done.recv().unwrap();
    // The queued job's closure was dropped with the loop.
    assert_eq!(
        (ran.load(Ordering::SeqCst), Arc::strong_count(&ran)),
        (0, 1)
    );
}

#[test]
fn a_blocking_handle_that_is_polled_after_its_answer_says_so() {
    run(async {
        let mut job = spawn_blocking(|| ());
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut job).poll(cx))
            .await
            .unwrap();
        let message = panic_message(|| {
            let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
            let _ = std::pin::Pin::new(&mut job).poll(cx);
        });
        assert!(
            message.contains("polled after it had answered"),
            "{message}"
        );
    });
}
