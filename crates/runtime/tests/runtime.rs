//! Making a loop, running it, ending it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, assert_balance, jumping, on_drop, panic_message, quietly, turns};
use monoloop_runtime::net::TcpListener;
use monoloop_runtime::{
    Config, JoinError, Runtime, call_soon, current_task, spawn, spawn_blocking, time, yield_now,
};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

#[test]
fn the_main_future_may_borrow_from_its_caller() {
    let mut runtime = jumping();
    let text = String::from("borrowed");
    let mut longest = 0;
    runtime.block_on(async {
        yield_now().await;
        longest = longest.max(text.len());
    });
    assert_eq!((longest, text.as_str()), (8, "borrowed"));
    assert_balance(&mut runtime);
}

#[test]
fn tasks_stay_between_two_calls_of_block_on_and_go_on_in_the_second() {
    let mut runtime = jumping();
    let journal = Journal::default();
    let task = spawn({
        let journal = journal.clone();
        async move {
            for number in 0..6 {
                journal.add(number);
                yield_now().await;
            }
            "finished"
        }
    });
    // The main future ends in its third step, behind the task's.
    runtime.block_on(turns(2));
    assert_eq!(journal.take(), [0, 1, 2]);
    assert_eq!(runtime.stats().tasks, 1);
    assert_eq!(runtime.block_on(task).unwrap(), "finished");
    assert_eq!(journal.take(), [3, 4, 5]);
    assert_balance(&mut runtime);
}

#[test]
fn tasks_may_be_spawned_before_the_loop_runs() {
    let mut runtime = jumping();
    let ran = Rc::new(Cell::new(false));
    let task = spawn({
        let ran = ran.clone();
        async move { ran.set(true) }
    });
    assert!(!ran.get(), "nothing runs before block_on");
    runtime.block_on(task).unwrap();
    assert!(ran.get());
    assert_balance(&mut runtime);
}

#[test]
fn a_second_loop_on_one_thread_is_refused_until_the_first_is_gone() {
    let first = Runtime::new().unwrap();
    let refused = Runtime::new().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(
        refused.to_string(),
        "this thread has an event loop already; drop its Runtime first, or make one in another \
         thread"
    );
    drop(first);
    assert_eq!(Runtime::new().unwrap().block_on(async { 7 }), 7);
}

#[test]
fn without_a_loop_everything_that_needs_one_says_what_to_do() {
    const SENTENCE: &str = "there is no event loop on this thread: make one here with \
                            Runtime::new(), or move the call into a task of the thread that has \
                            one";
    assert_eq!(panic_message(|| drop(spawn(async {}))), SENTENCE);
    assert_eq!(panic_message(|| drop(call_soon(|| {}))), SENTENCE);
    assert_eq!(panic_message(|| drop(spawn_blocking(|| {}))), SENTENCE);
    assert_eq!(panic_message(|| drop(time::sleep(common::ms(1)))), SENTENCE);
    assert_eq!(panic_message(|| _ = time::now()), SENTENCE);
    let bind = || drop(TcpListener::bind(common::any_port()));
    assert_eq!(panic_message(bind), SENTENCE);
    assert!(current_task().is_none());
}

#[test]
fn each_thread_may_have_a_loop_of_its_own() {
    let threads: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                let mut runtime = jumping();
                let answer = runtime.block_on(async move {
                    time::sleep(common::ms(number)).await;
                    spawn(async move { number * 10 }).await.unwrap()
                });
                assert_balance(&mut runtime);
                answer
            })
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(answers, [0, 10, 20, 30]);
}

#[test]
fn a_panic_of_the_main_future_comes_out_of_block_on_and_the_loop_stays_usable() {
    let mut runtime = jumping();
    let left = spawn(async { "the others go on" });
    let message = panic_message(|| {
        runtime.block_on(async {
            yield_now().await;
            panic!("on purpose");
        });
    });
    assert_eq!(message, "on purpose");
    assert_eq!(runtime.block_on(left).unwrap(), "the others go on");
    assert_balance(&mut runtime);
}

#[test]
fn a_main_future_that_is_cancelled_ends_block_on_with_the_reason() {
    let mut runtime = jumping();
    let dropped = Rc::new(Cell::new(false));
    let message = panic_message(|| {
        runtime.block_on(async {
            let _guard = on_drop(|| dropped.set(true));
            current_task().unwrap().cancel_with("enough of it");
            std::future::pending::<()>().await;
        });
    });
    assert_eq!(
        message,
        "the future given to block_on was cancelled: enough of it"
    );
    assert!(dropped.get());
    assert_balance(&mut runtime);
}

#[test]
fn dropping_the_loop_drops_what_is_left_on_it() {
    let mut runtime = jumping();
    let journal = Journal::default();
    runtime.block_on(async {
        for state in ["idle", "ready", "never polled", "finished"] {
            let journal = journal.clone();
            let guard = on_drop(move || journal.add(state));
            let task = spawn(async move {
                let guard = guard;
                match state {
                    "idle" => std::future::pending().await,
                    "ready" => loop {
                        yield_now().await;
                    },
                    _ => guard,
                }
            });
            if state == "finished" {
                // The handle outlives the loop, and with it the output in its slot.
                std::mem::forget(task);
                turns(2).await;
            } else if state == "never polled" {
                task.cancel();
                drop(task);
            }
        }
    });
    drop(runtime);
    let mut dropped = journal.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["finished", "idle", "never polled", "ready"]);
}

#[test]
fn a_destructor_may_use_the_loop_while_the_loop_is_dropped() {
    let mut runtime = jumping();
    let journal = Journal::default();
    runtime.block_on(async {
        let other = spawn(std::future::pending::<()>());
        let journal = journal.clone();
        let guard = on_drop(move || {
            other.cancel();
            other.task().wake();
            drop(time::sleep(common::ms(1)));
            drop(TcpListener::bind(common::any_port()).unwrap());
            call_soon(|| panic!("nothing is stepped any more"));
            let inner = journal.clone();
            let guard = on_drop(move || inner.add("what was spawned last"));
            drop(spawn(async move { drop(guard) }));
            journal.add("what was there");
        });
        drop(spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }));
        turns(1).await;
    });
    drop(runtime);
    assert_eq!(journal.take(), ["what was there", "what was spawned last"]);
    assert!(Runtime::new().is_ok());
}

#[test]
fn a_destructor_that_panics_does_not_keep_the_loop_from_dropping_the_rest() {
    let mut runtime = jumping();
    let dropped = Rc::new(Cell::new(0));
    runtime.block_on(async {
        for number in 0..10 {
            let dropped = dropped.clone();
            let guard = on_drop(move || {
                dropped.set(dropped.get() + 1);
                assert!(number % 2 == 0, "on purpose");
            });
            drop(spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }));
        }
        turns(1).await;
    });
    quietly(|| drop(runtime));
    assert_eq!(dropped.get(), 10);
}

#[test]
fn a_destructor_that_spawns_its_like_without_end_is_cut_off() {
    fn spawn_another(count: &Rc<Cell<u64>>) {
        count.set(count.get() + 1);
        let guard = on_drop({
            let count = count.clone();
            move || spawn_another(&count)
        });
        drop(spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }));
    }
    let runtime = jumping();
    let count = Rc::new(Cell::new(0));
    spawn_another(&count);
    quietly(|| drop(runtime));
    assert!(count.get() > 10);
    assert!(Runtime::new().is_ok());
}

#[test]
fn dropping_a_loop_with_many_tasks_takes_time_in_proportion() {
    // 100,000 tasks, two million when each looked at all before it.
    let runtime = jumping();
    for _ in 0..100_000 {
        drop(spawn(std::future::pending::<()>()));
    }
    assert_eq!(runtime.stats().tasks, 100_000);
    drop(runtime);
}

#[test]
fn a_join_handle_that_outlives_its_loop_reports_a_cancellation() {
    let mut runtime = jumping();
    let (finished, pending) = runtime.block_on(async {
        let finished = spawn(async { 7 });
        let pending = spawn(std::future::pending::<()>());
        turns(2).await;
        (finished, pending)
    });
    drop(runtime);
    assert!(finished.is_finished() && pending.is_finished());
    pending.cancel();
    pending.task().wake();
    assert_eq!(
        (pending.task().steps(), pending.task().name()),
        (None, None)
    );
    let mut next = jumping();
    let Err(JoinError::Cancelled(cancelled)) = next.block_on(pending) else {
        panic!("a task that was dropped with its loop has no output");
    };
    assert_eq!(cancelled.reason, "the loop has ended");
    assert!(next.block_on(finished).is_err());
    assert_balance(&mut next);
}

#[test]
fn a_loop_may_live_in_a_thread_local() {
    thread_local! {
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    std::thread::spawn(|| {
        RUNTIME.with(|slot| {
            let mut slot = slot.borrow_mut();
            let runtime = slot.insert(Runtime::new().unwrap());
            drop(spawn(std::future::pending::<()>()));
            runtime.block_on(turns(1));
        });
    })
    .join()
    .unwrap();
}

#[test]
fn bounds_of_zero_count_as_one() {
    let mut config = Config::default();
    config.steps_per_turn_max = 0;
    config.steps_per_poll_max = 0;
    config.events_per_poll_max = 0;
    config.ops_per_step_max = 0;
    config.receive_buffer_bytes = 0;
    config.receive_buffers_kept_max = 0;
    config.blocking_threads_max = 0;
    config.blocking_queue_max = 0;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    runtime.block_on(async {
        let (mut one, mut other) = common::pair().await;
        one.write_all(b"ab").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"a");
        assert_eq!(&*other.receive().await.unwrap(), b"b");
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    });
    assert_balance(&mut runtime);
}

#[test]
fn turns_and_steps_are_counted() {
    let mut runtime = jumping();
    runtime.block_on(turns(9));
    let stats = runtime.stats();
    assert_eq!((stats.turns, stats.steps), (10, 10));
}
