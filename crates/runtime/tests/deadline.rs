//! Deadlines: they nest, they only shorten, and a timeout is never mixed up with a cancellation.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, assert_balance, manual, ms, on_drop, quietly, run, turns};
use futures_util::FutureExt;
use monoloop_runtime::time::{
    self, advance, current_deadline, sleep, sleep_until, timeout, timeout_at, with_deadline,
};
use monoloop_runtime::{
    JoinError, as_completed, call_soon, current_task, spawn, spawn_blocking, yield_now,
};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

fn reason<T>(result: Result<T, JoinError>) -> &'static str {
    match result {
        Err(JoinError::Cancelled(cancelled)) => cancelled.reason,
        _ => panic!("it was not cancelled"),
    }
}

#[test]
fn the_current_deadline_is_the_earliest_of_those_around() {
    run(async {
        let start = time::now();
        assert_eq!(current_deadline(), None);
        timeout(ms(50), async {
            assert_eq!(current_deadline(), Some(start + ms(50)));
            timeout(ms(20), async {
                assert_eq!(current_deadline(), Some(start + ms(20)));
                yield_now().await;
                // A longer one does not lengthen it.
                timeout(ms(80), async {
                    assert_eq!(current_deadline(), Some(start + ms(20)));
                })
                .await
                .unwrap();
            })
            .await
            .unwrap();
            assert_eq!(current_deadline(), Some(start + ms(50)));
        })
        .await
        .unwrap();
        assert_eq!(current_deadline(), None);
    });
}

#[test]
fn a_deadline_counts_in_its_own_future_only_and_not_for_tasks_stepped_in_between() {
    run(async {
        let seen = Journal::default();
        let other = {
            let seen = seen.clone();
            spawn(async move {
                for _ in 0..3 {
                    seen.add(current_deadline());
                    yield_now().await;
                }
            })
        };
        let limited = timeout(ms(50), turns(5));
        let free = async {
            seen.add(current_deadline());
            yield_now().await;
            seen.add(current_deadline());
        };
        let (limited, ()) = futures_util::future::join(limited, free).await;
        limited.unwrap();
        other.await.unwrap();
        assert_eq!(seen.take(), [None; 5]);
    });
}

#[test]
fn a_panic_inside_a_timeout_takes_its_deadline_along() {
    quietly(|| {
        run(async {
            let panics = timeout(ms(50), async { panic!("on purpose") });
            let caught: Result<Result<(), _>, _> =
                std::panic::AssertUnwindSafe(panics).catch_unwind().await;
            assert!(caught.is_err());
            assert_eq!(current_deadline(), None);
        });
    });
}

#[test]
fn tasks_callbacks_and_blocking_jobs_inherit_the_deadline_and_can_only_shorten_it() {
    run(async {
        let deadline = time::now() + ms(50);
        timeout_at(deadline, async {
            let child = spawn(async {
                let own = current_deadline();
                let longer = timeout(ms(80), async { current_deadline() }).await.unwrap();
                let grandchild = async { spawn(async { current_deadline() }).await };
                let shorter = timeout(ms(20), grandchild).await;
                (own, longer, shorter.unwrap().unwrap())
            });
            let (own, longer, shorter) = child.await.unwrap();
            assert_eq!((own, longer), (Some(deadline), Some(deadline)));
            assert_eq!(shorter, Some(deadline - ms(30)));
            let called = Rc::new(Cell::new(None));
            let seen = called.clone();
            call_soon(move || seen.set(current_deadline()));
            turns(2).await;
            assert_eq!(called.get(), Some(deadline));
            let blocking = spawn_blocking(current_deadline).await.unwrap();
            assert_eq!(blocking, Some(deadline));
        })
        .await
        .unwrap();
        assert_eq!(spawn(async { current_deadline() }).await.unwrap(), None);
    });
}

#[test]
fn an_inherited_deadline_ends_nothing_by_itself_but_is_kept_with_with_deadline() {
    run(async {
        let start = time::now();
        let keeps = || async {
            sleep(ms(5)).await;
            let kept = with_deadline(time::now() + ms(50), pending::<()>()).await;
            (kept.unwrap_err(), time::now())
        };
        let child = timeout(ms(10), std::future::ready(()).map(|()| spawn(keeps())));
        let (timed_out, when) = child.await.unwrap().await.unwrap();
        assert_eq!((timed_out.limit, when), (ms(5), start + ms(10)));
        let free = with_deadline(start + ms(30), pending::<()>()).await;
        assert_eq!(free.unwrap_err().waited, ms(20));
    });
}

#[test]
fn a_timeout_says_what_took_too_long() {
    run(async {
        let head = timeout(ms(20), pending::<()>()).named("reading the head");
        let timed_out = head.await.unwrap_err();
        assert_eq!(timed_out.what, Some("reading the head"));
        assert_eq!(
            timed_out.to_string(),
            "reading the head timed out after 20ms (limit 20ms)"
        );
        let plain = timeout(ms(5), pending::<()>()).await.unwrap_err();
        assert_eq!((plain.what, plain.limit), (None, ms(5)));
    });
}

/// Moves the clock past several deadlines at once, as a stalled loop does.
async fn stall(milliseconds: u64) {
    advance(ms(milliseconds)).await;
}

#[test]
fn of_nested_timeouts_that_are_due_together_the_one_with_the_earlier_deadline_answers() {
    // The inner one is polled first. Were it to answer, its handler would go on working though
    // the outer deadline has passed long ago.
    for (outer, inner, answers) in [(10, 20, "outer"), (10, 10, "outer"), (20, 10, "inner")] {
        let mut runtime = manual();
        runtime.block_on(async {
            let nested = spawn(async move {
                let inner = async {
                    let inner = timeout(ms(inner), pending::<()>()).named("inner").await;
                    inner.unwrap_err()
                };
                match timeout(ms(outer), inner).named("outer").await {
                    Ok(timed_out) | Err(timed_out) => timed_out.what,
                }
            });
            turns(2).await;
            stall(50).await;
            assert_eq!(
                nested.await.unwrap(),
                Some(answers),
                "{outer} around {inner}"
            );
        });
        assert_balance(&mut runtime);
    }
}

#[test]
fn the_outermost_of_three_answers_through_a_combinator_with_wakers_of_its_own() {
    let mut runtime = manual();
    runtime.block_on(async {
        let nested = spawn(async {
            let innermost = timeout(ms(10), pending::<()>()).named("innermost");
            let both = futures_util::future::join_all([innermost.boxed_local()]);
            let middle = timeout(ms(10), both).named("middle");
            let outer = timeout(ms(10), middle).named("outer");
            outer.await.unwrap_err().what
        });
        turns(2).await;
        stall(10).await;
        assert_eq!(nested.await.unwrap(), Some("outer"));
    });
    assert_balance(&mut runtime);
}

#[test]
fn work_that_is_finished_at_the_deadline_is_kept_by_every_timeout_around_it() {
    let mut runtime = manual();
    runtime.block_on(async {
        let work = async {
            sleep(ms(10)).await;
            "finished"
        };
        let kept = spawn(timeout(ms(10), timeout(ms(10), work)));
        turns(2).await;
        stall(50).await;
        assert_eq!(kept.await.unwrap(), Ok(Ok("finished")));
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_cancellation_in_the_turn_of_a_timeout_is_never_swallowed_by_it() {
    // Whichever of the two is stepped first: the task ends as cancelled and its code does not
    // get to see a timeout that it could handle and go on after.
    for canceller_first in [false, true] {
        run(async move {
            let handled = Rc::new(Cell::new(false));
            let seen = handled.clone();
            let due = time::now() + ms(10);
            let target: Rc<Cell<Option<monoloop_runtime::TaskHandle>>> = Rc::default();
            let canceller = |target: Rc<Cell<Option<monoloop_runtime::TaskHandle>>>| {
                spawn(async move {
                    sleep_until(due).await;
                    target.take().unwrap().cancel_with("outer cancel");
                })
            };
            let first = canceller_first.then(|| canceller(target.clone()));
            turns(2).await;
            let task = spawn(async move {
                let _ = timeout_at(due, pending::<()>()).await;
                seen.set(true);
                pending::<()>().await;
            });
            turns(2).await;
            let second = (!canceller_first).then(|| canceller(target.clone()));
            target.set(Some(task.task()));
            assert_eq!(reason(task.await), "outer cancel");
            // Stepped before the cancellation, it has seen its timeout; never afterwards.
            assert_eq!(handled.get(), !canceller_first);
            for canceller in [first, second].into_iter().flatten() {
                canceller.await.unwrap();
            }
        });
    }
}

#[test]
fn a_timeout_is_never_reported_as_a_cancellation() {
    run(async {
        let task = spawn(async {
            let timed_out = timeout(ms(10), spawn(pending::<()>())).await.unwrap_err();
            // The task awaited in vain goes on; it was neither cancelled nor timed out.
            assert!(current_task().unwrap().cancelled().is_none());
            timed_out.limit
        });
        assert_eq!(task.await.unwrap(), ms(10));
        for task in monoloop_runtime::all_tasks().skip(1) {
            assert!(task.cancelled().is_none());
            task.cancel();
        }
    });
}

#[test]
fn a_task_that_was_cancelled_while_it_handles_a_timeout_ends_where_it_waits_next() {
    run(async {
        let (reached, passed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (reach, pass) = (reached.clone(), passed.clone());
        let task = spawn(async move {
            assert!(timeout(ms(5), pending::<()>()).await.is_err());
            current_task().unwrap().cancel_with("meanwhile");
            // What is ready at once needs no waiting.
            assert_eq!(timeout(ms(5), async { 1 }).await, Ok(1));
            reach.set(true);
            let _ = timeout(ms(5), pending::<()>()).await;
            pass.set(true);
        });
        assert_eq!(reason(task.await), "meanwhile");
        assert!(reached.get() && !passed.get());
    });
}

#[test]
fn a_cancelled_join_inside_a_timeout_stays_a_cancellation() {
    run(async {
        let child = spawn(pending::<()>());
        let handle = child.task();
        call_soon(move || handle.cancel_with("the child alone"));
        let joined = timeout(ms(10), child).await;
        assert_eq!(reason(joined.expect("it is no timeout")), "the child alone");
    });
}

#[test]
fn the_future_of_a_timeout_sees_no_deadline_when_its_task_is_dropped_from_elsewhere() {
    run(async {
        let seen = Rc::new(Cell::new(None));
        let guard = on_drop({
            let seen = seen.clone();
            move || seen.set(Some(current_deadline()))
        });
        // A task from outside of the timeout, dropped in the step of another and inside it.
        let tasks = as_completed([async move {
            let _guard = guard;
            pending::<()>().await;
        }]);
        turns(2).await;
        let limited = timeout(ms(50), async move {
            drop(tasks);
            current_deadline()
        });
        assert!(limited.await.unwrap().is_some());
        assert_eq!(seen.get(), Some(None));
    });
}

#[test]
fn a_timeout_that_waits_for_the_outer_one_gives_up_nothing_before() {
    let mut runtime = manual();
    runtime.block_on(async {
        let dropped = Journal::default();
        let polls = Rc::new(Cell::new(0));
        let (inside, counted) = (dropped.clone(), polls.clone());
        let mut outer = Box::pin(timeout(
            ms(10),
            timeout(ms(20), async move {
                let _guard = on_drop(move || inside.add(()));
                poll_fn::<(), _>(|_| {
                    counted.set(counted.get() + 1);
                    Poll::Pending
                })
                .await;
            }),
        ));
        assert!(common::poll_once(&mut outer).await.is_pending());
        stall(50).await;
        let polled = common::poll_once(&mut outer).await;
        assert!(matches!(polled, Poll::Ready(Err(timed_out)) if timed_out.limit == ms(10)));
        assert_eq!((dropped.len(), polls.get()), (1, 2));
    });
    assert_balance(&mut runtime);
}
