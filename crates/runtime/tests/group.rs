//! Task groups: children never outlive them, the first failure ends them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, assert_balance, jumping, logged, ms, on_drop, quietly, run, turns};
use monoloop_runtime::time::{self, sleep, timeout};
use monoloop_runtime::{
    GroupError, GroupFailure, GroupTask, JoinError, TaskGroup, all_tasks, cancelled, current_task,
    on_cancel, shield, spawn, spawn_named, task_group, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::rc::Rc;

type Group = TaskGroup<&'static str>;

/// What a group failed with, in a line.
fn told<T: std::fmt::Debug>(result: Result<T, GroupError<&'static str>>) -> Vec<String> {
    let failures = result.unwrap_err().into_iter();
    failures.map(|failure| failure.to_string()).collect()
}

fn reason<T: std::fmt::Debug>(result: Result<T, JoinError>) -> &'static str {
    match result.unwrap_err() {
        JoinError::Cancelled(cancelled) => cancelled.reason,
        JoinError::Panicked(panic) => panic!("it panicked: {}", panic.message()),
    }
}

/// Waits forever; says when and why it is dropped.
async fn endless(journal: Journal<String>, name: &'static str) -> Result<(), &'static str> {
    let _guard = on_drop(move || {
        let reason = cancelled().map_or("nothing", |cancelled| cancelled.reason);
        journal.add(format!("{name}: {reason}"));
    });
    pending().await
}

#[test]
fn a_group_returns_when_its_body_and_all_its_children_have_ended() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result = task_group(async move |group: Group| {
            for delay in [20, 10] {
                let journal = inside.clone();
                group.spawn(async move {
                    sleep(ms(delay)).await;
                    journal.add(delay);
                    Ok(())
                });
            }
            inside.add(0);
            Ok("body")
        });
        let started = time::now();
        assert_eq!(result.await.unwrap(), "body");
        assert_eq!(journal.take(), [0, 10, 20]);
        assert_eq!(time::now() - started, ms(20));
    });
}

#[test]
fn a_group_without_children_is_its_body_and_may_borrow() {
    run(async {
        let mut count = 0;
        let result: Result<_, GroupError<()>> = task_group(async |_| {
            yield_now().await;
            count += 1;
            Ok(count)
        })
        .await;
        assert_eq!(result.unwrap(), 1);
    });
}

#[test]
fn the_outputs_of_children_are_there_for_those_who_await_them() {
    run(async {
        let sum = task_group(async |group: Group| {
            let early = group.spawn_ok(async { 1 });
            let late = group.spawn_named("late", async {
                sleep(ms(5)).await;
                Ok(2)
            });
            assert_eq!(late.task().name().as_deref(), Some("late"));
            turns(3).await;
            assert!(early.is_finished() && !late.is_finished());
            Ok(early.await.unwrap() + late.await.unwrap())
        });
        assert_eq!(sum.await.unwrap(), 3);
    });
}

#[test]
fn children_start_others_while_the_group_is_open() {
    async fn tree(group: Group, depth: u32, leaves: Rc<Cell<u32>>) -> Result<(), &'static str> {
        sleep(ms(1)).await;
        if depth == 0 {
            leaves.set(leaves.get() + 1);
            return Ok(());
        }
        for _ in 0..2 {
            let child: std::pin::Pin<Box<dyn Future<Output = _>>> =
                Box::pin(tree(group.clone(), depth - 1, leaves.clone()));
            group.spawn(child);
        }
        Ok(())
    }
    run(async {
        let leaves = Rc::new(Cell::new(0));
        let counted = leaves.clone();
        let owner = current_task().unwrap().id();
        task_group(async move |group: Group| {
            group.spawn(tree(group.clone(), 5, counted));
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(leaves.get(), 32);
        // Whoever spawns it, a child is the group owner's.
        task_group(async move |group: Group| {
            let inner = group.clone();
            group.spawn(async move {
                assert_eq!(inner.spawn_ok(pending::<()>()).task().parent(), Some(owner));
                Err::<(), _>("done")
            });
            Ok(())
        })
        .await
        .unwrap_err();
    });
}

#[test]
fn an_error_of_a_child_cancels_body_and_siblings_which_are_gone_before_it_returns() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result = task_group(async move |group: Group| {
            group.spawn(endless(inside.clone(), "first"));
            group.spawn(endless(inside.clone(), "second"));
            group.spawn(async {
                sleep(ms(5)).await;
                Err::<(), _>("disk full")
            });
            endless(inside.clone(), "body").await
        });
        assert_eq!(told(result.await), ["disk full"]);
        assert_eq!(
            journal.take(),
            [
                "first: another task of its group failed",
                "second: another task of its group failed",
                "body: nothing"
            ]
        );
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn an_error_of_the_body_cancels_the_children() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result: Result<(), _> = task_group(async move |group: Group| {
            group.spawn(endless(inside.clone(), "child"));
            turns(2).await;
            Err("body")
        })
        .await;
        assert_eq!(told(result), ["body"]);
        assert_eq!(journal.take(), ["child: another task of its group failed"]);
    });
}

#[test]
fn children_of_a_body_that_fails_at_once_are_never_stepped() {
    run(async {
        let polled = Rc::new(Cell::new(false));
        let seen = polled.clone();
        let result: Result<(), _> = task_group(async move |group: Group| {
            group.spawn_ok(async move { seen.set(true) });
            Err("at once")
        })
        .await;
        assert_eq!(told(result), ["at once"]);
        assert!(!polled.get());
    });
}

#[test]
fn of_several_that_would_fail_in_one_turn_the_first_in_the_queue_does() {
    run(async {
        for first in 0..3 {
            let stepped = Journal::default();
            let inside = stepped.clone();
            let result = task_group(async move |group: Group| {
                for number in 0..3 {
                    let stepped = inside.clone();
                    group.spawn(async move {
                        // One turn wakes all of the others, in the order they went to sleep.
                        sleep(ms(if number < first { 6 } else { 5 })).await;
                        stepped.add(number);
                        Err::<(), _>(["zero", "one", "two"][number])
                    });
                }
                Ok(())
            })
            .await;
            assert_eq!(told(result), [["zero", "one", "two"][first]]);
            assert_eq!(stepped.take(), [first], "the siblings take no further step");
        }
    });
}

#[test]
fn a_panic_of_a_child_is_the_groups_failure_and_can_be_passed_on() {
    let (message, lines) = logged(|| {
        quietly(|| {
            run(async {
                let result = task_group(async |group: Group| {
                    let failing = group.spawn_ok(async { panic!("on purpose") });
                    group.spawn_ok(async move {
                        let _: Result<(), _> = failing.await;
                    });
                    pending::<Result<(), _>>().await
                })
                .await;
                let GroupFailure::Panicked(panic) = result.unwrap_err().into_first() else {
                    panic!("a panic is no error");
                };
                let message = panic.message().to_string();
                let payload = panic.into_payload();
                assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
                message
            })
        })
    });
    assert_eq!(message, "on purpose");
    assert_eq!(lines, [""; 0], "the group was told, so it is not logged");
}

#[test]
fn a_panic_of_the_body_goes_on_when_the_children_are_gone() {
    let journal = Journal::default();
    let inside = journal.clone();
    let mut runtime = jumping();
    let caught = quietly(|| {
        runtime.block_on(async {
            spawn(async move {
                let _: Result<(), _> = task_group(async move |group: Group| {
                    group.spawn(endless(inside.clone(), "child"));
                    turns(2).await;
                    panic!("body")
                })
                .await;
                unreachable!("the panic is passed on");
            })
            .await
        })
    });
    assert!(matches!(caught, Err(JoinError::Panicked(panic)) if panic.message() == "body"));
    assert_eq!(journal.take(), ["child: another task of its group failed"]);
    assert_balance(&mut runtime);
}

#[test]
fn a_destructor_that_panics_while_a_sibling_fails_is_kept_beside_the_first_failure() {
    quietly(|| {
        run(async {
            let result = task_group(async |group: Group| {
                for _ in 0..2 {
                    group.spawn_ok(async {
                        let _guard = on_drop(|| panic!("in a destructor"));
                        pending::<()>().await;
                    });
                }
                turns(2).await;
                Err::<(), _>("first")
            })
            .await;
            let error = result.unwrap_err();
            assert_eq!(error.error(), Some(&"first"));
            assert_eq!(error.to_string(), "first (and 2 more in the same group)");
            let others = error.others().iter().map(ToString::to_string);
            assert_eq!(
                others.collect::<Vec<_>>(),
                ["task panicked: in a destructor"; 2]
            );
        });
    });
}

#[test]
fn a_child_that_is_cancelled_alone_leaves_the_group_alone() {
    run(async {
        let result = task_group(async |group: Group| {
            let child = group.spawn_ok(pending::<()>());
            let sibling = group.spawn_ok(async {
                sleep(ms(5)).await;
                "sibling"
            });
            child.cancel("not needed");
            assert_eq!(reason(child.await), "not needed");
            Ok(sibling.await.unwrap())
        });
        assert_eq!(result.await.unwrap(), "sibling");
    });
}

#[test]
fn a_child_that_cancels_itself_leaves_the_group_alone_unless_it_fails_in_that_step() {
    run(async {
        let alone = task_group(async |group: Group| {
            let child = group.spawn_ok(async {
                current_task().unwrap().cancel_with("enough");
                yield_now().await;
                unreachable!("it is dropped where it waits");
            });
            Ok(reason::<()>(child.await))
        });
        assert_eq!(alone.await.unwrap(), "enough");
        let failing = task_group(async |group: Group| {
            group.spawn(async {
                current_task().unwrap().cancel_with("enough");
                Err::<(), _>("an error is not swallowed by a cancellation")
            });
            Ok(())
        });
        let told = told(failing.await);
        assert_eq!(told, ["an error is not swallowed by a cancellation"]);
    });
}

#[test]
fn cancelling_the_group_ends_it_and_says_the_reason() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let outside: Rc<RefCell<Option<Group>>> = Rc::default();
        let kept = outside.clone();
        let running = spawn(task_group(async move |group: Group| {
            *kept.borrow_mut() = Some(group.clone());
            group.spawn(endless(inside.clone(), "child"));
            endless(inside.clone(), "body").await
        }));
        turns(3).await;
        let group = outside.take().unwrap();
        group.cancel("not wanted");
        group.cancel("a second reason does not count");
        assert!(group.is_ending() && group.len() == 1);
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.cancelled().unwrap().reason, "not wanted");
        assert!(error.others().is_empty() && error.error().is_none());
        assert_eq!(journal.take(), ["child: not wanted", "body: nothing"]);
        assert!(group.is_empty());
    });
}

#[test]
fn a_child_that_cancels_its_group_and_fails_in_the_same_step_is_told_of_second() {
    run(async {
        let result = task_group(async |group: Group| {
            let inner = group.clone();
            group.spawn(async move {
                inner.cancel("enough");
                Err::<(), _>("and this")
            });
            Ok(())
        });
        let told = told(result.await);
        assert_eq!(told, ["task group was cancelled: enough", "and this"]);
    });
}

#[test]
fn a_body_that_ends_its_group_is_dropped_where_it_waits() {
    run(async {
        let result = task_group(async |group: Group| {
            group.cancel("by its body");
            yield_now().await;
            unreachable!("it is dropped");
            #[allow(unreachable_code, reason = "it gives the body its type")]
            Ok(())
        });
        let error = result.await.unwrap_err();
        assert_eq!(error.cancelled().unwrap().reason, "by its body");
    });
}

#[test]
fn cancelling_the_children_is_no_failure_and_the_group_takes_others() {
    run(async {
        let result = task_group(async |group: Group| {
            for _ in 0..3 {
                group.spawn_ok(pending::<()>());
            }
            group.cancel_children("closing time");
            turns(2).await;
            assert!(group.is_empty() && !group.is_ending());
            let late = group.spawn_ok(async { "late" });
            Ok(late.await.unwrap())
        });
        assert_eq!(result.await.unwrap(), "late");
    });
}

#[test]
fn a_group_that_is_ending_drops_new_children_at_once() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let late: Rc<RefCell<Option<GroupTask<()>>>> = Rc::default();
        let kept = late.clone();
        let result = task_group(async move |group: Group| {
            let again = group.clone();
            group.spawn_ok(async move {
                let _guard = on_drop(move || {
                    let guard = on_drop({
                        let inside = inside.clone();
                        move || inside.add("dropped")
                    });
                    let task = again.spawn_ok(async move {
                        let _guard = guard;
                        unreachable!("it is never polled");
                    });
                    inside.add("spawned");
                    assert!(task.is_finished());
                    *kept.borrow_mut() = Some(task);
                });
                pending::<()>().await;
            });
            turns(2).await;
            Err::<(), _>("over")
        });
        assert_eq!(told(result.await), ["over"]);
        assert_eq!(journal.take(), ["dropped", "spawned"]);
        let late = late.take().unwrap();
        assert_eq!(reason(late.await), "another task of its group failed");
    });
}

#[test]
fn a_group_that_has_ended_drops_new_children_at_once() {
    run(async {
        let group = task_group(async |group: Group| Ok(group)).await.unwrap();
        assert!(group.is_ending());
        let late = group.spawn_ok(async { unreachable!("it is never polled") });
        assert!(late.is_finished());
        assert_eq!(reason::<()>(late.await), "its task group has ended");
    });
}

#[test]
fn a_group_that_is_dropped_drops_body_and_children_before_the_drop_returns() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let mut group = Box::pin(task_group(async move |group: Group| {
            for name in ["first", "second"] {
                group.spawn(endless(inside.clone(), name));
            }
            // Ready, but not stepped yet, when the group is dropped.
            let third = inside.clone();
            group.spawn(async move {
                yield_now().await;
                endless(third, "third").await
            });
            endless(inside.clone(), "body").await
        }));
        assert!(common::poll_once(&mut group).await.is_pending());
        turns(1).await;
        drop(group);
        assert_eq!(
            journal.take(),
            [
                "body: nothing",
                "first: its task group was dropped",
                "second: its task group was dropped",
            ],
            "the third had not come to its guard"
        );
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn a_timeout_around_a_group_leaves_no_child() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let limited = timeout(
            ms(5),
            task_group(async move |group: Group| {
                group.spawn(endless(inside, "child"));
                Ok(())
            }),
        );
        assert!(limited.await.is_err());
        assert_eq!(journal.take(), ["child: its task group was dropped"]);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn a_cancelled_owner_takes_its_children_along_in_its_own_step() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let owner = spawn_named(
            "owner",
            task_group(async move |group: Group| {
                group.spawn(endless(inside.clone(), "child"));
                endless(inside, "body").await
            }),
        );
        turns(3).await;
        owner.cancel_with("shutting down");
        assert_eq!(reason(owner.await), "shutting down");
        assert_eq!(
            journal.take(),
            ["body: shutting down", "child: its task group was dropped"]
        );
    });
}

#[test]
fn an_owner_that_is_cancelled_while_children_fail_ends_as_cancelled() {
    // The cancellation of the surrounding task is never swallowed by a failing group, whichever
    // of the two comes first in the turn.
    for cancel_first in [false, true] {
        run(async move {
            let owner = spawn(task_group(async |group: Group| {
                group.spawn(async {
                    sleep(ms(5)).await;
                    Err::<(), _>("child")
                });
                group.spawn_ok(pending::<()>());
                Ok(())
            }));
            turns(3).await;
            let cancel = owner.task();
            if cancel_first {
                sleep(ms(4)).await;
                cancel.cancel_with("outer");
            } else {
                drop(spawn(async move {
                    sleep(ms(5)).await;
                    cancel.cancel_with("outer");
                }));
            }
            assert_eq!(reason(owner.await), "outer");
            assert!(all_tasks().len() <= 2);
        });
    }
}

#[test]
fn a_group_that_is_ending_by_itself_still_sees_the_cancellation_of_its_owner() {
    run(async {
        let owner = spawn(async {
            let group = task_group(async |group: Group| {
                // The group waits for it and does not cancel it.
                drop(shield(sleep(ms(50))));
                group.cancel("by itself");
                pending::<Result<(), _>>().await
            });
            let _ = group.await;
            unreachable!("it was cancelled while the group was ending");
        });
        sleep(ms(10)).await;
        assert!(!owner.is_finished());
        owner.cancel_with("from outside");
        assert_eq!(reason::<()>(owner.await), "from outside");
        sleep(ms(50)).await;
    });
}

#[test]
fn the_failure_of_an_inner_group_is_an_error_of_the_outer_one_like_any_other() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result = task_group(async move |outer: Group| {
            outer.spawn(endless(inside.clone(), "outer sibling"));
            let inner = task_group(async |inner: Group| {
                inner.spawn(endless(inside.clone(), "inner sibling"));
                inner.spawn(async { Err::<(), _>("inner") });
                Ok(())
            })
            .await;
            let Err(error) = inner else {
                panic!("the inner group has failed")
            };
            inside.add("between".into());
            match error.into_first() {
                GroupFailure::Failed(error) => Err::<(), _>(error),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(told(result.await), ["inner"]);
        assert_eq!(
            journal.take(),
            [
                "inner sibling: another task of its group failed",
                "between",
                "outer sibling: another task of its group failed"
            ]
        );
    });
}

#[test]
fn a_failing_outer_group_takes_whole_trees_of_groups_with_it() {
    fn nest(
        journal: Journal<String>,
        depth: usize,
    ) -> impl Future<Output = Result<(), &'static str>> {
        const NAMES: [&str; 4] = ["leaf", "one", "two", "three"];
        async move {
            if depth == 0 {
                return endless(journal, NAMES[0]).await;
            }
            let group = task_group(async move |group: Group| {
                let child: std::pin::Pin<Box<dyn Future<Output = _>>> =
                    Box::pin(nest(journal.clone(), depth - 1));
                group.spawn(child);
                endless(journal.clone(), NAMES[depth]).await
            });
            group.await.map_err(|_| "nested")
        }
    }
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result = task_group(async move |group: Group| {
            group.spawn(nest(inside, 3));
            sleep(ms(5)).await;
            Err::<(), _>("outer")
        });
        assert_eq!(told(result.await), ["outer"]);
        assert_eq!(
            journal.take(),
            [
                "three: another task of its group failed",
                "two: its task group was dropped",
                "one: its task group was dropped",
                "leaf: its task group was dropped"
            ]
        );
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn a_child_that_drops_its_own_group_in_its_step_ends_with_that_step() {
    run(async {
        type Slot = Rc<RefCell<Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>>>;
        let journal = Journal::default();
        let inside = journal.clone();
        let slot: Slot = Rc::default();
        let for_child = slot.clone();
        let mut group: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            let _ = task_group(async move |group: Group| {
                group.spawn_ok(async move {
                    let _guard = on_drop({
                        let inside = inside.clone();
                        move || inside.add("child dropped")
                    });
                    turns(3).await;
                    drop(for_child.take());
                    inside.add("group dropped");
                    pending::<()>().await;
                });
                pending::<Result<(), _>>().await
            })
            .await;
        });
        assert!(common::poll_once(&mut group).await.is_pending());
        *slot.borrow_mut() = Some(group);
        turns(6).await;
        assert_eq!(journal.take(), ["group dropped", "child dropped"]);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn a_panic_in_a_group_that_is_dropped_before_it_could_tell_is_logged() {
    let ((), lines) = logged(|| {
        quietly(|| {
            run(async {
                let mut group = Box::pin(task_group(async |group: Group| {
                    group.spawn_ok(async {
                        let _guard = on_drop(|| panic!("in a destructor"));
                        pending::<()>().await;
                    });
                    Ok(())
                }));
                assert!(common::poll_once(&mut group).await.is_pending());
                turns(1).await;
                drop(group);
            });
        });
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR"), "{lines:?}");
    assert!(lines[0].contains("in a destructor"), "{lines:?}");
}

#[test]
fn shielded_work_and_cleanups_of_a_group_are_waited_for_but_not_cancelled() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let started = time::now();
        let result: Result<(), _> = task_group(async move |group: Group| {
            let (saved, cleaned) = (inside.clone(), inside.clone());
            group.spawn_ok(async move {
                let saving = async move {
                    sleep(ms(20)).await;
                    saved.add("saved");
                };
                let cleanup = async move {
                    sleep(ms(30)).await;
                    cleaned.add("cleaned up");
                };
                let _ = on_cancel(shield(saving), ms(100), cleanup).await;
            });
            sleep(ms(10)).await;
            Err("failed")
        })
        .await;
        assert_eq!(told(result), ["failed"]);
        assert_eq!(journal.take(), ["saved", "cleaned up"]);
        assert_eq!(time::now() - started, ms(40));
    });
}

#[test]
fn what_an_inner_group_cannot_wait_for_belongs_to_the_outer_one() {
    run(async {
        let journal = Journal::default();
        let inside = journal.clone();
        let result: Result<(), _> = task_group(async move |outer: Group| {
            let cleaned = inside.clone();
            outer.spawn(async move {
                let inner = task_group(async move |inner: Group| {
                    let cleanup = async move {
                        sleep(ms(30)).await;
                        cleaned.add("cleaned up");
                    };
                    inner.spawn_ok(on_cancel(pending::<()>(), ms(100), cleanup));
                    Ok(())
                });
                inner.await.map_err(|_| "inner")
            });
            sleep(ms(10)).await;
            Err("failed")
        })
        .await;
        assert_eq!(told(result), ["failed"]);
        assert_eq!(journal.take(), ["cleaned up"]);
    });
}

#[test]
fn a_thousand_children_end_in_one_turn_when_one_fails() {
    run(async {
        let dropped = Rc::new(Cell::new(0));
        let counted = dropped.clone();
        let result = task_group(async move |group: Group| {
            for number in 0..1000 {
                let guard = on_drop({
                    let counted = counted.clone();
                    move || counted.set(counted.get() + 1)
                });
                group.spawn(async move {
                    let _guard = guard;
                    sleep(ms(if number == 500 { 5 } else { 10 })).await;
                    Err::<(), _>("one of them")
                });
            }
            Ok(())
        });
        assert_eq!(told(result.await), ["one of them"]);
        assert_eq!(dropped.get(), 1000);
    });
}
