//! Asking work to end, keeping it going, and cleaning up after it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, assert_balance, jumping, logged, ms, on_drop, quietly, run, turns};
use monoloop_runtime::time::{self, sleep, timeout};
use monoloop_runtime::{
    JoinError, RunState, all_tasks, cancelled, context_var, current_task, on_cancel, shield, spawn,
    spawn_named, yield_now,
};
use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

fn reason<T>(result: Result<T, JoinError>) -> &'static str {
    match result {
        Err(JoinError::Cancelled(cancelled)) => cancelled.reason,
        _ => panic!("it was not cancelled"),
    }
}

#[test]
fn a_destructor_learns_why_its_task_was_cancelled_and_one_without_cancellation_nothing() {
    run(async {
        let seen = Journal::default();
        for reason in [Some("no longer needed"), None] {
            let guard = on_drop({
                let seen = seen.clone();
                move || seen.add(cancelled().map(|cancelled| cancelled.reason))
            });
            let task = spawn(async move {
                let _guard = guard;
                sleep(ms(5)).await;
            });
            turns(2).await;
            if let Some(reason) = reason {
                task.cancel_with(reason);
                assert_eq!(task.task().cancelled().unwrap().reason, reason);
                assert_eq!(task.task().state(), RunState::Ending);
            }
            let _ = task.await;
        }
        assert_eq!(seen.take(), [Some("no longer needed"), None]);
        assert!(cancelled().is_none());
    });
}

#[test]
fn all_tasks_lists_names_places_parents_states_and_steps() {
    run(async {
        let main = current_task().unwrap();
        let idle = spawn_named("idle", pending::<()>());
        turns(2).await;
        let fresh = spawn(async { yield_now().await });
        let line = line!() - 1;
        let tasks = all_tasks();
        assert_eq!(tasks.len(), 3);
        let seen: Vec<_> = tasks
            .clone()
            .map(|task| (task.name(), task.state(), task.steps(), task.parent()))
            .collect();
        let named = |name: &str| Some(name.to_string());
        assert_eq!(
            seen,
            [
                (named("main"), RunState::Running, main.steps(), None),
                (named("idle"), RunState::Waiting, Some(1), Some(main.id())),
                (None, RunState::Ready, Some(0), Some(main.id())),
            ]
        );
        let place = fresh.task().place().unwrap();
        assert_eq!(
            (place.file().ends_with("cancel.rs"), place.line()),
            (true, line)
        );
        let (task, last) = (fresh.task(), tasks.last().unwrap());
        assert_eq!(last.id(), task.id());
        fresh.await.unwrap();
        idle.cancel();
        turns(2).await;
        assert_eq!((task.state(), task.place()), (RunState::Finished, None));
        assert_eq!(
            all_tasks().len(),
            2,
            "the one that was cancelled waits to be joined"
        );
        drop(idle);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn shielded_work_goes_on_and_can_be_awaited_again_after_a_timeout() {
    run(async {
        let mut work = shield(async {
            sleep(ms(20)).await;
            "done"
        });
        assert!(timeout(ms(5), &mut work).await.is_err());
        assert!(!work.is_finished());
        assert_eq!(work.await.unwrap(), "done");
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn shielded_work_outlives_the_task_that_waited_for_it() {
    run(async {
        let saved = Rc::new(Cell::new(false));
        let done = saved.clone();
        let waiting = spawn(async move {
            shield(async move {
                sleep(ms(20)).await;
                done.set(true);
            })
            .await
        });
        sleep(ms(5)).await;
        waiting.cancel_with("client left");
        assert_eq!(reason(waiting.await), "client left");
        assert!(!saved.get());
        sleep(ms(20)).await;
        assert!(saved.get());
    });
}

#[test]
fn shielded_work_can_be_cancelled_by_name_and_its_panic_is_told() {
    quietly(|| {
        run(async {
            let endless = shield(pending::<()>());
            endless.cancel("after all");
            assert_eq!(reason(endless.await), "after all");
            let failing = shield(async { panic!("on purpose") });
            let failed: Result<(), _> = failing.await;
            assert!(matches!(failed, Err(JoinError::Panicked(_))));
        });
    });
}

#[test]
fn deadlines_around_do_not_count_inside_a_shield_but_its_own_do() {
    run(async {
        let inside = timeout(ms(5), async {
            let seen = shield(async {
                let outer = time::current_deadline();
                let own = timeout(ms(50), async { time::current_deadline() }).await;
                (outer, own.unwrap())
            });
            (time::current_deadline(), seen.await.unwrap())
        });
        let start = time::now();
        let (around, (outer, own)) = inside.await.unwrap();
        assert_eq!(around, Some(start + ms(5)));
        assert_eq!((outer, own), (None, Some(start + ms(50))));
    });
}

#[test]
fn a_cleanup_runs_when_its_work_is_cancelled_or_times_out_or_loses_a_select() {
    run(async {
        let journal = Journal::default();
        let work = |name: &'static str| {
            let (dropped, cleaned) = (journal.clone(), journal.clone());
            let work = async move {
                let _guard = on_drop(move || dropped.add((name, "dropped")));
                sleep(ms(100)).await;
            };
            let cleanup = async move {
                yield_now().await;
                cleaned.add((name, "cleaned up"));
            };
            on_cancel(work, ms(10), cleanup).named(name)
        };
        let task = spawn(work("task"));
        turns(2).await;
        task.cancel();
        assert!(task.await.is_err());
        turns(2).await;
        assert!(timeout(ms(1), work("timeout")).await.is_err());
        turns(2).await;
        let first = futures_util::future::select(Box::pin(work("select")), Box::pin(sleep(ms(1))));
        drop(first.await);
        turns(2).await;
        let expected = ["task", "timeout", "select"]
            .map(|name| [(name, "dropped"), (name, "cleaned up")])
            .concat();
        assert_eq!(journal.take(), expected);
    });
}

#[test]
fn a_cleanup_does_not_run_for_work_that_is_done_was_never_begun_or_panicked() {
    quietly(|| {
        run(async {
            let cleaned = Rc::new(Cell::new(false));
            let cleanup = || {
                let cleaned = cleaned.clone();
                async move { cleaned.set(true) }
            };
            let failed = on_cancel(async { Err::<(), _>("an error") }, ms(10), cleanup());
            assert_eq!(failed.await, Err("an error"));
            drop(on_cancel(pending::<()>(), ms(10), cleanup()));
            let panics = async {
                yield_now().await;
                panic!("on purpose");
            };
            let task = spawn(on_cancel(panics, ms(10), cleanup()));
            let failed: Result<(), _> = task.await;
            assert!(failed.is_err());
            turns(3).await;
            assert!(!cleaned.get());
        });
    });
}

#[test]
fn a_cleanup_that_overruns_its_budget_is_cut_off_and_reported_with_name_and_place() {
    let ((), lines) = logged(|| {
        run(async {
            let cut_off = Rc::new(Cell::new(None));
            let guard = on_drop({
                let (cut_off, started) = (cut_off.clone(), time::now());
                move || cut_off.set(Some(time::now() - started))
            });
            let slow = async move {
                let _guard = guard;
                sleep(ms(1000)).await;
            };
            let task = spawn(on_cancel(pending::<()>(), ms(20), slow).named("say goodbye"));
            turns(2).await;
            task.cancel();
            assert!(task.await.is_err());
            let cleanup = all_tasks().last().unwrap();
            assert_eq!(cleanup.name().as_deref(), Some("say goodbye"));
            sleep(ms(50)).await;
            assert_eq!(cut_off.get(), Some(ms(20)));
        });
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["WARN", "say goodbye", "cancel.rs", "20ms", "cut off"] {
        assert!(lines[0].contains(part), "{part} is missing in {lines:?}");
    }
}

#[test]
fn a_cleanup_has_the_context_of_its_work_but_not_its_deadline() {
    context_var! { static REQUEST: u32; }
    run(async {
        let seen = Rc::new(Cell::new(None));
        let seen_inside = seen.clone();
        let start = time::now();
        let cleanup =
            async move { seen_inside.set(Some((REQUEST.get(), time::current_deadline()))) };
        let work = on_cancel(pending::<()>(), ms(100), cleanup);
        assert!(REQUEST.scope(7, timeout(ms(5), work)).await.is_err());
        turns(3).await;
        // Its own budget is a deadline as any other.
        assert_eq!(seen.get(), Some((Some(7), Some(start + ms(5) + ms(100)))));
    });
}

#[test]
fn when_the_loop_ends_cleanups_are_not_run_and_nothing_is_left() {
    let cleaned = Rc::new(Cell::new(false));
    let done = cleaned.clone();
    let mut runtime = jumping();
    runtime.block_on(async {
        drop(spawn(on_cancel(pending::<()>(), ms(10), async move {
            done.set(true);
        })));
        turns(2).await;
    });
    drop(runtime);
    assert!(!cleaned.get());
    assert_eq!(Rc::strong_count(&cleaned), 1, "the cleanup was dropped");
    assert_balance(&mut jumping());
}
