//! The promises of the runtime that no other file holds, and that the table of all of them, the
//! guide's chapter `promises`, is true.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, manual, ms, pair, panic_message, poll_once, run, turns};
use monoloop_runtime::{
    Config, JoinError, Runtime, TaskGroup, call_soon, spawn, spawn_blocking, task_group, time,
    yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// A row ends with the tests that hold it: a file, then names in it.
#[test]
fn each_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/guide/promises.md")).unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let held_by = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let (mut source, mut checked) = (None, 0);
        for quoted in held_by.split('`').skip(1).step_by(2) {
            if quoted.ends_with(".rs") {
                let text = std::fs::read_to_string(root.join(quoted));
                source = Some(text.unwrap_or_else(|error| panic!("{quoted}: {error}")));
            } else {
                let source = source.as_ref().expect("a file comes first");
                assert!(
                    source.contains(&format!("fn {quoted}(")),
                    "no test {quoted}: {row}"
                );
                checked += 1;
            }
        }
        assert!(checked > 0, "nothing holds {row}");
        rows += 1;
    }
    assert!(rows >= 15, "the table was found");
}

#[test]
fn a_turn_takes_what_was_ready_then_sockets_then_timers_then_other_threads() {
    let mut config = Config::default();
    config.steps_per_poll_max = 1;
    let clock = monoloop_runtime::ClockMode::Manual;
    let builder = Runtime::builder().config(config).clock(clock);
    builder.build().unwrap().block_on(async {
        let journal = Journal::default();
        let note = |what: &'static str| {
            let journal = journal.clone();
            move || journal.add(what)
        };
        let (mut ours, mut theirs) = pair().await;
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();

        // Spawned in the opposite order.
        let (noted, waits) = (note("thread"), waker.clone());
        drop(spawn(async move {
            poll_fn(|cx| match waits.borrow_mut().replace(cx.waker().clone()) {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            })
            .await;
            noted();
        }));
        let noted = note("timer");
        drop(spawn(async move {
            time::sleep(ms(10)).await;
            noted();
        }));
        let noted = note("socket");
        drop(spawn(async move {
            ours.receive().await.unwrap();
            noted();
        }));
        turns(3).await;

        // All of it in one step.
        let waker = waker.borrow().clone().unwrap();
        std::thread::spawn(move || waker.wake()).join().unwrap();
        let mut advance = pin!(time::advance(ms(10)));
        assert!(poll_once(&mut advance).await.is_pending());
        theirs.write(b"x").await.unwrap();
        drop(call_soon(note("ready")));
        turns(2).await;
        assert_eq!(journal.take(), ["ready", "socket", "timer", "thread"]);
    });
}

#[test]
fn a_task_of_a_million_steps_has_a_constant_stack() {
    run(async {
        let mut steps = 0;
        let mut depths = BTreeSet::new();
        poll_fn(|cx| {
            let here = 0u8;
            depths.insert(&raw const here as usize);
            steps += 1;
            if steps == 1_000_000 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert_eq!(depths.len(), 1, "{depths:?}");
    });
}

#[test]
fn a_callback_that_asks_for_the_next_a_million_times_has_a_constant_stack() {
    fn next(left: u32, done: Rc<Cell<bool>>, depths: Rc<RefCell<BTreeSet<usize>>>) {
        let here = 0u8;
        depths.borrow_mut().insert(&raw const here as usize);
        match left {
            0 => done.set(true),
            _ => drop(call_soon(move || next(left - 1, done, depths))),
        }
    }
    run(async {
        let (done, depths) = (Rc::default(), Rc::<RefCell<BTreeSet<_>>>::default());
        next(1_000_000, Rc::clone(&done), depths.clone());
        while !done.get() {
            yield_now().await;
        }
        // The first call came from here, all others from the loop.
        assert!(depths.borrow().len() <= 2, "{depths:?}");
    });
}

#[test]
fn an_outer_cancel_beats_a_timeout_and_a_failing_group_in_the_same_turn() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum First {
        Cancel,
        Time,
    }
    for first in [First::Cancel, First::Time] {
        manual().block_on(async {
            let went_on = Rc::new(Cell::new(false));
            let noted = went_on.clone();
            let task = spawn(async move {
                let _ = time::timeout(
                    ms(10),
                    task_group(async |group: TaskGroup<&str>| {
                        group.spawn(async {
                            time::sleep(ms(10)).await;
                            Err::<(), _>("failed at the same time")
                        });
                        pending::<Result<(), _>>().await
                    }),
                )
                .await;
                // Where a swallowed cancellation would go on.
                time::sleep(ms(1)).await;
                noted.set(true);
            });
            turns(3).await;
            let mut advance = pin!(time::advance(ms(10)));
            if first == First::Cancel {
                task.cancel_with("shutdown");
            }
            assert!(poll_once(&mut advance).await.is_pending());
            if first == First::Time {
                task.cancel_with("shutdown");
            }
            advance.await;
            match task.await {
                Err(JoinError::Cancelled(cancelled)) => assert_eq!(cancelled.reason, "shutdown"),
                other => panic!("{first:?}: {other:?}"),
            }
            assert!(!went_on.get());
            assert_eq!(monoloop_runtime::all_tasks().count(), 1, "no child is left");
        });
    }
}

#[test]
fn a_worker_thread_is_told_to_make_a_loop_and_may_do_so() {
    run(async {
        let worker = spawn_blocking(|| {
            let message = panic_message(|| drop(spawn(async {})));
            (
                message,
                Runtime::new()
                    .unwrap()
                    .block_on(async { spawn(async { 7 }).await.unwrap() }),
            )
        });
        let (message, answer) = worker.await.unwrap();
        assert_eq!(
            message,
            "there is no event loop on this thread: make one here with Runtime::new(), or move \
             the call into a task of the thread that has one"
        );
        assert_eq!(answer, 7);
    });
}

#[test]
fn work_of_200_ms_in_the_pool_leaves_the_loop_to_the_others() {
    // The real clock: the machine may be busy, and still many ticks fit into the time.
    Runtime::new().unwrap().block_on(async {
        let work = spawn(spawn_blocking(|| {
            let began = real_time();
            while began.elapsed() < Duration::from_millis(200) {
                std::hint::spin_loop();
            }
        }));
        let mut ticks = 0;
        while !work.is_finished() {
            time::sleep(ms(1)).await;
            ticks += 1;
        }
        work.await.unwrap().unwrap();
        assert!(ticks > 20, "{ticks} ticks");
    });
}

#[allow(
    clippy::disallowed_methods,
    reason = "stands for work that takes real time, in a thread that may"
)]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}
