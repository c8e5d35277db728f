//! A panic ends its task and nothing else, and is not silent.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Silence, jumping, logged, on_drop, quietly, run, turns};
use monoloop_runtime::{JoinError, call_soon, spawn, spawn_blocking, spawn_named, yield_now};
use std::cell::Cell;
use std::rc::Rc;

fn message<T>(result: Result<T, JoinError>) -> String {
    match result {
        Ok(_) => panic!("the task has an output"),
        Err(JoinError::Panicked(panic)) => panic.message().to_string(),
        Err(JoinError::Cancelled(cancelled)) => panic!("{cancelled}"),
    }
}

#[test]
fn a_panic_ends_its_task_and_reaches_who_joins() {
    let _silence = Silence::default();
    run(async {
        let task = spawn(async {
            yield_now().await;
            panic!("number {}", 7);
        });
        let neighbour = spawn(async {
            turns(3).await;
            "unharmed"
        });
        let error = task.await.unwrap_err();
        assert_eq!(error.to_string(), "task panicked: number 7");
        assert_eq!(neighbour.await.unwrap(), "unharmed");
    });
}

#[test]
fn a_payload_that_is_no_string_can_be_taken_out() {
    let _silence = Silence::default();
    run(async {
        let task = spawn(async { std::panic::panic_any(7u32) });
        let Err(JoinError::Panicked(panic)) = task.await else {
            panic!("it panicked");
        };
        assert_eq!(panic.message(), "a panic without a message");
        assert_eq!(*panic.into_payload().downcast::<u32>().unwrap(), 7);
    });
}

#[test]
fn a_panic_in_the_destructor_of_a_finished_future_is_that_tasks_panic() {
    let _silence = Silence::default();
    run(async {
        let task = spawn(async {
            let _guard = on_drop(|| panic!("in a destructor"));
            7
        });
        assert_eq!(message(task.await), "in a destructor");
    });
}

#[test]
fn what_a_panicked_task_held_is_dropped() {
    let _silence = Silence::default();
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let guard = on_drop({
            let dropped = dropped.clone();
            move || dropped.set(true)
        });
        let task = spawn(async move {
            let _guard = guard;
            yield_now().await;
            panic!("on purpose");
        });
        assert_eq!(message(task.await), "on purpose");
        assert!(dropped.get());
    });
}

#[test]
fn a_panic_that_nobody_joined_is_logged_once_with_name_and_place() {
    let mut runtime = jumping();
    let ((), lines) = logged(|| {
        quietly(|| {
            runtime.block_on(async {
                drop(spawn_named("worker", async { panic!("on purpose") }));
                turns(3).await;
            });
        });
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    for part in [
        "ERROR",
        "nobody joined",
        "worker",
        "on purpose",
        "tests/panics.rs",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    common::assert_balance(&mut runtime);
}

#[test]
fn a_panic_whose_handle_is_dropped_later_is_logged_then() {
    let mut runtime = jumping();
    let ((), lines) = logged(|| {
        quietly(|| {
            runtime.block_on(async {
                let task = spawn(async { panic!("on purpose") });
                turns(3).await;
                drop(task);
                call_soon(|| panic!("in a callback"));
                turns(2).await;
            });
        });
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("on purpose") && lines[0].contains("unnamed"));
    assert!(lines[1].contains("in a callback") && lines[1].contains("tests/panics.rs"));
    common::assert_balance(&mut runtime);
}

#[test]
fn a_panic_that_was_joined_is_not_logged() {
    let mut runtime = jumping();
    let ((), lines) = logged(|| {
        quietly(|| {
            runtime.block_on(async {
                assert!(spawn(async { panic!("on purpose") }).await.is_err());
                assert!(spawn_blocking(|| panic!("on purpose")).await.is_err());
            });
        });
    });
    assert_eq!(lines, [] as [String; 0]);
}

#[test]
fn a_panic_that_nobody_joined_before_the_loop_ended_is_logged_at_its_end() {
    let mut runtime = jumping();
    let task = spawn(async { panic!("on purpose") });
    quietly(|| runtime.block_on(turns(3)));
    let ((), lines) = logged(|| drop(runtime));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(logged(|| drop(task)).1, [] as [String; 0]);
}

#[test]
fn a_cancelled_task_that_nobody_joined_is_not_logged() {
    let mut runtime = jumping();
    let ((), lines) = logged(|| {
        runtime.block_on(async {
            let task = spawn(std::future::pending::<()>());
            task.cancel();
            drop(task);
            turns(2).await;
        });
    });
    assert_eq!(lines, [] as [String; 0]);
}

#[test]
fn an_output_whose_destructor_panics_does_not_harm_the_loop() {
    let _silence = Silence::default();
    run(async {
        drop(spawn(async { on_drop(|| panic!("in an output")) }));
        turns(3).await;
    });
}
