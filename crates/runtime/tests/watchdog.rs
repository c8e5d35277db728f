//! The watchdog: it speaks of a step that stops the loop, with all that is known, and else is
//! silent.

#![cfg(not(miri))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Lines, logged_live, quietly};
use monoloop_runtime::time::sleep;
use monoloop_runtime::{Runtime, context_var, spawn, spawn_blocking, spawn_named, yield_now};
use std::future::Future;
use std::time::{Duration, SystemTime};

context_var! {
    static ORDER: u32, shown_as = "order";
}

const BOUND: Duration = Duration::from_millis(20);

/// For what must not be caught: a machine that has others to serve may keep a loop from running.
const GENEROUS: Duration = Duration::from_millis(300);

/// What a loop with a watchdog says of this.
fn said_by<F: Future>(test: impl FnOnce(Lines) -> F) -> Vec<String> {
    said_within(BOUND, test)
}

fn said_within<F: Future>(bound: Duration, test: impl FnOnce(Lines) -> F) -> Vec<String> {
    let ((), lines) = logged_live(|lines| {
        let mut runtime = Runtime::builder().watchdog(bound).build().unwrap();
        runtime.block_on(test(lines.clone()));
    });
    lines
}

/// Stops the loop until the watchdog calls the step stuck: no guess at how long that takes.
#[inline(never)]
fn stop_the_loop(lines: &Lines) {
    let before = count(&lines.so_far(), "is stuck");
    let began = SystemTime::now();
    while count(&lines.so_far(), "is stuck") == before {
        assert!(
            began.elapsed().unwrap().as_secs() < 60,
            "the watchdog says nothing"
        );
        std::thread::yield_now();
    }
}

fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

/// The one line of the step's end.
#[track_caller]
fn the_end(lines: &[String]) -> &str {
    let ends: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("stopped the loop"))
        .collect();
    let [end] = ends[..] else {
        panic!("one line is expected: {lines:#?}");
    };
    end
}

fn number(line: &str, field: &str) -> u64 {
    let (_, rest) = line.split_once(&format!(" {field}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_step_that_stops_the_loop_is_told_with_task_place_context_and_stack() {
    let lines = said_by(async |lines| {
        ORDER.set(7);
        let task = spawn_named("culprit", async move { stop_the_loop(&lines) });
        task.await.unwrap();
    });
    let end = the_end(&lines);
    for part in [
        "WARN",
        "task=\"culprit\"",
        "order=7",
        "spawned_at=crates/runtime/tests/watchdog.rs:",
    ] {
        assert!(end.contains(part), "{part} is missing: {end}");
    }
    assert!(number(end, "ran_ms") >= 190, "{end}");
    if monoloop_stack_is_supported() {
        let stuck = lines.iter().find(|line| line.contains("is stuck")).unwrap();
        for line in [end, stuck] {
            assert!(line.contains("/tests/watchdog.rs:"), "{line}");
            assert!(line.contains("watchdog::stop_the_loop ("), "{line}");
            assert!(
                !line.contains("event_loop"),
                "what is the same for all is left out: {line}"
            );
        }
    }
}

fn monoloop_stack_is_supported() -> bool {
    cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))
}

#[test]
fn those_who_waited_behind_it_are_counted_also_those_who_became_ready_meanwhile() {
    let lines = said_by(async |lines| {
        // Three behind it in the queue, and two whose timers are due meanwhile.
        let stop = spawn(async move {
            sleep(Duration::from_millis(1)).await;
            for _ in 0..3 {
                drop(spawn(async {}));
            }
            stop_the_loop(&lines);
        });
        let sleepers = [
            spawn(sleep(Duration::from_millis(60))),
            spawn(sleep(Duration::from_millis(70))),
        ];
        stop.await.unwrap();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
    });
    let end = the_end(&lines);
    // And main, which awaits it, is ready with its end: not before.
    assert_eq!(number(end, "waiting"), 5, "{end}");
    assert!(number(end, "waited_ms") >= number(end, "ran_ms"), "{end}");
}

#[test]
fn of_many_contexts_in_a_step_the_one_it_was_stuck_in_is_told() {
    let lines = said_by(async |lines| {
        ORDER.scope(1, async {}).await;
        ORDER.scope(2, async { stop_the_loop(&lines) }).await;
        ORDER.scope(3, async {}).await;
        ORDER.sync_scope(4, || ());
    });
    assert!(the_end(&lines).contains("order=2"), "{lines:#?}");
}

#[test]
fn work_in_the_pool_leaves_the_watchdog_silent() {
    let lines = said_within(GENEROUS, async |_| {
        let work = spawn_blocking(|| {
            let began = SystemTime::now();
            while began.elapsed().unwrap() < GENEROUS * 2 {}
        });
        let ticker = spawn(async {
            for _ in 0..20 {
                sleep(Duration::from_millis(5)).await;
            }
        });
        work.await.unwrap();
        ticker.await.unwrap();
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_loop_that_is_busy_with_short_steps_leaves_the_watchdog_silent() {
    let lines = said_within(GENEROUS, async |_| {
        let began = SystemTime::now();
        while began.elapsed().unwrap() < GENEROUS * 2 {
            yield_now().await;
        }
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_bound_of_zero_is_no_watchdog_and_the_runtimes_end_is_its_end() {
    #[cfg(target_os = "linux")]
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    #[cfg(not(target_os = "linux"))]
    let threads = || 0;
    // In a process of its own, where nobody else has threads that come and go.
    common::child(
        "a_bound_of_zero_is_no_watchdog_and_the_runtimes_end_is_its_end",
        || {
            let before = threads();
            let runtime = Runtime::builder().watchdog(Duration::ZERO).build().unwrap();
            assert_eq!(threads(), before);
            drop(runtime);
            for _ in 0..20 {
                let mut runtime = Runtime::builder().build().unwrap();
                assert!(cfg!(not(target_os = "linux")) || threads() == before + 1);
                runtime.block_on(async {});
                drop(runtime);
            }
            // The kernel takes its time to forget a thread that was joined.
            while threads() > before {
                std::thread::yield_now();
            }
        },
    );
}

#[test]
fn a_step_that_panics_after_it_stopped_the_loop_is_told_too() {
    let lines = quietly(|| {
        said_by(async |lines| {
            let task = spawn_named("culprit", async move {
                stop_the_loop(&lines);
                panic!("on purpose");
            });
            assert!(task.await.is_err());
        })
    });
    assert!(the_end(&lines).contains("culprit"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_loop_is_not_woken_by_its_watchdog_nor_the_watchdog_by_time() {
    common::child(
        "an_idle_loop_is_not_woken_by_its_watchdog_nor_the_watchdog_by_time",
        || {
            let switches = || {
                let mut total = 0;
                for task in std::fs::read_dir("/proc/self/task").unwrap() {
                    let path = task.unwrap().path();
                    if std::fs::read_to_string(path.join("comm")).unwrap().trim() == "watchdog" {
                        let status = std::fs::read_to_string(path.join("status")).unwrap();
                        let line = status
                            .lines()
                            .find(|line| line.starts_with("voluntary_ctxt"));
                        total += line
                            .unwrap()
                            .split('\t')
                            .nth(1)
                            .unwrap()
                            .parse::<u64>()
                            .unwrap();
                    }
                }
                total
            };
            let mut runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                sleep(Duration::from_millis(100)).await;
                let before = switches();
                for _ in 0..3 {
                    sleep(Duration::from_millis(300)).await;
                }
                // It would be 72 if it looked all the time; each turn of the loop is worth a few.
                let woken = switches() - before;
                assert!(woken < 24, "{woken}");
            });
        },
    );
}
