//! Debug mode: a test for each of its messages, and that it is silent otherwise.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{logged, quietly};
use monoloop_runtime::debug::Debug;
use monoloop_runtime::sync::promise::promise;
use monoloop_runtime::time::sleep;
use monoloop_runtime::{ClockMode, Runtime, context_var, spawn, spawn_named, yield_now};
use std::future::{Future, pending};
use std::io;
use std::time::Duration;

context_var! {
    static ORDER: u32, shown_as = "order";
    static SECRET: u32;
}

/// What a loop in debug mode says of this, on a clock that only the test moves.
fn said_by<F: Future>(debug: Debug, test: F) -> Vec<String> {
    let ((), lines) = logged(|| {
        let runtime = Runtime::builder().clock(ClockMode::Manual).debug(debug);
        let mut runtime = runtime.build().unwrap();
        runtime.block_on(test);
    });
    lines
}

/// Debug mode on a machine that may be slow.
fn on() -> Debug {
    Debug::on().slow_step(FOREVER)
}

/// The one line, which has all of these in it.
#[track_caller]
fn assert_says(lines: &[String], parts: &[&str]) {
    let [line] = lines else {
        panic!("one line is expected: {lines:#?}");
    };
    for part in parts {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

/// Stops the loop for so long.
fn block(millis: u64) {
    let began = std::time::SystemTime::now();
    while began.elapsed().unwrap() < Duration::from_millis(millis) {}
}

/// Nothing is slower than this here.
const FOREVER: Duration = Duration::from_secs(3600);

#[test]
fn a_slow_step_is_told_with_name_place_and_context() {
    let lines = said_by(Debug::on().slow_step(Duration::from_millis(20)), async {
        ORDER.set(7);
        SECRET.set(88);
        let slow = spawn_named("slow", async {
            yield_now().await;
            block(30);
        });
        slow.await.unwrap();
    });
    let slow: Vec<String> = lines
        .into_iter()
        .filter(|line| line.contains("\"slow\""))
        .collect();
    let place = "spawned_at=crates/runtime/tests/debug.rs:";
    assert_says(
        &slow,
        &["WARN", "a step was slow", "took_ms=", "order=7", place],
    );
    assert!(!slow[0].contains("88"), "{slow:?}");
}

#[test]
fn a_step_is_slow_from_the_time_on_that_was_configured() {
    let three_steps = || async {
        yield_now().await;
        block(5);
        yield_now().await;
    };
    let said = |slow| said_by(Debug::on().slow_step(slow), three_steps()).len();
    assert_eq!((said(Duration::ZERO), said(FOREVER)), (3, 0));
    assert!(said(Duration::from_millis(5)) >= 1);
}

#[test]
fn the_time_in_which_the_loop_waits_or_does_not_run_is_no_steps() {
    let ((), lines) = logged(|| {
        let debug = Debug::on().slow_step(Duration::from_millis(200));
        let mut runtime = Runtime::builder()
            .debug(debug)
            .watchdog(FOREVER)
            .build()
            .unwrap();
        runtime.block_on(sleep(Duration::from_millis(250)));
        block(250);
        runtime.block_on(async {});
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_task_that_is_cancelled_before_its_first_step_is_told() {
    let lines = said_by(on(), async {
        let task = spawn_named("stillborn", async {});
        task.cancel_with("not needed");
        assert!(task.await.is_err());
    });
    let parts = [
        "before its first step",
        "task=\"stillborn\"",
        "why=\"not needed\"",
    ];
    assert_says(&lines, &parts);
}

#[test]
fn a_task_that_has_no_step_before_its_loop_ends_is_told() {
    let lines = said_by(on(), async {
        drop(spawn_named("late", async {}));
    });
    assert_says(
        &lines,
        &[
            "before its first step",
            "task=\"late\"",
            "the loop has ended",
        ],
    );
}

#[test]
fn a_task_that_is_cancelled_later_is_nobodys_mistake() {
    let lines = said_by(on(), async {
        let task = spawn(pending::<()>());
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_task_that_is_pending_at_the_end_is_told_and_many_are_counted() {
    let many = |count: usize| async move {
        for _ in 0..count {
            drop(spawn_named("endless", pending::<()>()));
        }
        yield_now().await;
    };
    let lines = said_by(on(), many(1));
    assert_says(
        &lines,
        &["still pending when its loop ended", "task=\"endless\""],
    );
    let lines = said_by(on(), many(25));
    assert_eq!(lines.len(), 21);
    assert!(
        lines[20].contains("more tasks") && lines[20].contains("tasks=5"),
        "{}",
        lines[20]
    );
}

#[test]
fn a_promise_that_nobody_awaits_is_told_with_its_place_and_what_became_of_it() {
    let lines = said_by(on(), async {
        let (answer, answered) = promise::<u32, &str>();
        answer.fail("no").unwrap();
        drop(answered);
    });
    assert_says(
        &lines,
        &[
            "never awaited",
            "an error",
            "made_at=crates/runtime/tests/debug.rs:",
        ],
    );

    let lines = said_by(on(), async {
        let (answer, answered) = promise::<u32, &str>();
        answer.set(1).unwrap();
        assert_eq!(answered.await, Ok(1));
        let (answer, answered) = promise::<u32, &str>();
        assert!(answered.cancel("not needed"));
        drop((answer, answered));
        let (answer, answered) = promise::<u32, &str>();
        answered.on_settled(|_| {});
        drop((answer, answered));
        yield_now().await;
    });
    assert_eq!(lines, [""; 0]);
}

async fn refused() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionRefused.into())
}

#[test]
fn an_error_that_nobody_looks_at_is_told_and_one_that_is_joined_is_not() {
    let lines = said_by(on(), async {
        drop(spawn_named("lost", refused()));
        yield_now().await;
    });
    let parts = [
        "the error of a task",
        "task=\"lost\"",
        "error=\"connection refused\"",
    ];
    assert_says(&lines, &parts);

    let lines = said_by(on(), async {
        assert!(spawn(refused()).await.unwrap().is_err());
        drop(spawn(async { io::Result::Ok(()) }));
        yield_now().await;
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_panic_that_nobody_joins_is_an_error_without_debug_mode_too() {
    for debug in [Debug::off(), on()] {
        let lines = quietly(|| {
            said_by(debug, async {
                drop(spawn_named("broken", async { panic!("on purpose") }));
                yield_now().await;
            })
        });
        assert_says(
            &lines,
            &["ERROR", "nobody joined it", "task=\"broken\"", "on purpose"],
        );
    }
}

#[test]
fn without_debug_mode_none_of_this_is_told() {
    let lines = said_by(Debug::off(), async {
        block(150);
        drop(spawn(refused()));
        drop(promise::<u32, &str>());
        drop(spawn(pending::<()>()));
        yield_now().await;
        spawn(async {}).cancel();
    });
    assert_eq!(lines, [""; 0]);
}

#[inline(never)]
fn who_spawns() {
    drop(spawn(pending::<()>()));
}

#[test]
fn with_backtraces_a_message_says_what_called_spawn() {
    let spawning = || async {
        who_spawns();
        yield_now().await;
    };
    let lines = said_by(Debug::with_backtraces().slow_step(FOREVER), spawning());
    assert_says(
        &lines,
        &["still pending", "spawned_from", "debug::who_spawns"],
    );
    let lines = said_by(on(), spawning());
    assert!(!lines[0].contains("who_spawns"), "{}", lines[0]);
}

#[test]
fn the_environment_turns_it_on_when_the_runtime_is_built_and_a_wrong_value_is_refused() {
    // In a process of its own, for the environment belongs to all threads.
    if std::env::var_os("MONOLOOP_DEBUG").is_none() {
        for value in ["1", "maybe"] {
            let me = std::env::current_exe().unwrap();
            let name = "the_environment_turns_it_on_when_the_runtime_is_built_and_a_wrong_value_is_refused";
            let output = std::process::Command::new(me)
                .args([name, "--exact"])
                .env("MONOLOOP_DEBUG", value)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
        return;
    }
    let built = Runtime::new();
    if std::env::var("MONOLOOP_DEBUG").unwrap() == "maybe" {
        let error = built.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(
            text.contains("MONOLOOP_DEBUG=\"maybe\"") && text.contains("set 1"),
            "{text}"
        );
        return;
    }
    let ((), lines) = logged(|| {
        let mut runtime = built.unwrap();
        runtime.block_on(async {
            drop(spawn(refused()));
            yield_now().await;
        });
    });
    assert_says(&lines, &["the error of a task"]);
}
