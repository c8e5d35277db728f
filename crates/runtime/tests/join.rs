//! Waiting for tasks, and asking them to end.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, Silence, on_drop, pair, poll_once, run, turns};
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::{
    Cancelled, JoinError, JoinHandle, call_soon, current_task, spawn, spawn_named, time, yield_now,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

fn reason<T>(result: Result<T, JoinError>) -> &'static str {
    match result {
        Ok(_) => panic!("the task has an output"),
        Err(JoinError::Cancelled(Cancelled { reason })) => reason,
        Err(JoinError::Panicked(panic)) => panic!("the task panicked: {}", panic.message()),
    }
}

#[test]
fn a_join_handle_gives_the_output_whenever_it_is_awaited() {
    run(async {
        let early = spawn(async {
            yield_now().await;
            String::from("early")
        });
        let late = spawn(async { Rc::new(7) });
        assert_eq!(early.await.unwrap(), "early");
        turns(5).await;
        assert!(late.is_finished());
        assert_eq!(*late.await.unwrap(), 7);
    });
}

#[test]
fn a_task_runs_though_nobody_awaits_it_and_though_its_handle_is_dropped() {
    run(async {
        let journal = Journal::default();
        let (kept, detached) = (journal.clone(), journal.clone());
        let handle = spawn(async move { kept.add("kept") });
        drop(spawn(async move {
            yield_now().await;
            detached.add("detached");
        }));
        turns(3).await;
        assert_eq!(journal.take(), ["kept", "detached"]);
        assert!(handle.is_finished());
    });
}

#[test]
fn a_task_that_is_cancelled_before_its_first_step_never_takes_one() {
    run(async {
        let polled = Rc::new(Cell::new(false));
        let dropped = Rc::new(Cell::new(0));
        let guard = on_drop({
            let dropped = dropped.clone();
            move || dropped.set(dropped.get() + 1)
        });
        let task = spawn({
            let polled = polled.clone();
            async move {
                let _guard = guard;
                polled.set(true);
            }
        });
        task.cancel_with("not needed");
        assert_eq!(dropped.get(), 0, "cancelling only asks");
        assert!(!task.is_finished());
        assert_eq!(reason(task.await), "not needed");
        assert_eq!((polled.get(), dropped.get()), (false, 1));
    });
}

#[test]
fn an_idle_task_that_is_cancelled_is_dropped_in_the_next_turn() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let guard = on_drop({
            let dropped = dropped.clone();
            move || dropped.set(true)
        });
        let task = spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        turns(2).await;
        task.cancel();
        assert!(!dropped.get(), "the loop drops it, not the one who asks");
        turns(1).await;
        assert!(dropped.get() && task.is_finished());
        assert_eq!(reason(task.await), "cancelled");
    });
}

#[test]
fn a_ready_task_that_is_cancelled_keeps_its_place_and_is_not_polled_again() {
    run(async {
        let journal = Journal::default();
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let journal = journal.clone();
                let end = journal.clone();
                spawn(async move {
                    let _guard = on_drop(move || end.add((number, "dropped")));
                    loop {
                        journal.add((number, "polled"));
                        yield_now().await;
                    }
                })
            })
            .collect();
        turns(1).await;
        journal.take();
        tasks[1].cancel();
        turns(1).await;
        assert_eq!(
            journal.take(),
            [(0, "polled"), (1, "dropped"), (2, "polled")]
        );
        tasks[0].cancel();
        tasks[2].cancel();
    });
}

#[test]
fn a_task_that_cancels_itself_ends_at_its_next_wait() {
    run(async {
        let journal = Journal::default();
        let task = spawn({
            let journal = journal.clone();
            async move {
                current_task().unwrap().cancel_with("by itself");
                journal.add("still in the same step");
                yield_now().await;
                journal.add("after the wait");
            }
        });
        assert_eq!(reason(task.await), "by itself");
        assert_eq!(journal.take(), ["still in the same step"]);
    });
}

#[test]
fn a_task_that_finishes_in_the_step_in_which_it_was_cancelled_keeps_its_output() {
    run(async {
        let task = spawn(async {
            current_task().unwrap().cancel();
            7
        });
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn cancelling_a_finished_task_changes_nothing() {
    run(async {
        let task = spawn(async { 7 });
        turns(2).await;
        task.cancel();
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn the_first_reason_to_cancel_stands() {
    run(async {
        let task = spawn(std::future::pending::<()>());
        task.cancel_with("first");
        task.cancel_with("second");
        assert_eq!(reason(task.await), "first");
    });
}

#[test]
fn a_cancellation_is_seen_by_who_waits_already_and_says_so_in_words() {
    run(async {
        let task = spawn(std::future::pending::<()>());
        let handle = task.task();
        let joiner = spawn(task);
        turns(2).await;
        handle.cancel_with("a better offer came");
        let error = joiner.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "task was cancelled: a better offer came");
        assert!(handle.is_finished());
        assert_eq!(handle.name(), None);
    });
}

/// Counts how often it is dropped.
fn counted(drops: &Rc<Cell<u32>>) -> impl Sized + use<> {
    let drops = drops.clone();
    on_drop(move || drops.set(drops.get() + 1))
}

#[test]
fn an_output_is_dropped_exactly_once_whether_it_is_joined_or_not() {
    run(async {
        let drops = Rc::new(Cell::new(0));
        let guard = counted(&drops);
        let joined = spawn(async move { guard });
        drop(joined.await.unwrap());
        assert_eq!(drops.take(), 1);

        let guard = counted(&drops);
        drop(spawn(async move { guard }));
        turns(2).await;
        assert_eq!(drops.take(), 1, "detached before it finished");

        let guard = counted(&drops);
        let late = spawn(async move { guard });
        turns(2).await;
        assert_eq!(drops.get(), 0, "the output waits for whoever joins");
        drop(late);
        assert_eq!(drops.take(), 1, "detached after it finished");
    });
}

#[test]
fn a_future_is_dropped_before_its_output_is_handed_over() {
    run(async {
        let journal = Journal::default();
        let (inner, joiner) = (journal.clone(), journal.clone());
        let task = spawn(async move {
            let _guard = on_drop(move || inner.add("future dropped"));
        });
        task.await.unwrap();
        joiner.add("joined");
        assert_eq!(journal.take(), ["future dropped", "joined"]);
    });
}

#[test]
fn a_join_handle_that_moves_to_another_task_wakes_the_one_that_polled_last() {
    run(async {
        let gate = Rc::new(Cell::new(false));
        let mut task = spawn({
            let gate = gate.clone();
            async move {
                while !gate.get() {
                    yield_now().await;
                }
                "done"
            }
        });
        assert!(poll_once(&mut task).await.is_pending());
        let joiner = spawn(async move { task.await.unwrap() });
        turns(2).await;
        gate.set(true);
        assert_eq!(joiner.await.unwrap(), "done");
    });
}

#[test]
fn a_handle_may_be_dropped_by_the_task_it_belongs_to() {
    run(async {
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let task = spawn({
            let own = own.clone();
            async move {
                yield_now().await;
                drop(own.take());
                yield_now().await;
            }
        });
        let handle = task.task();
        *own.borrow_mut() = Some(task);
        turns(5).await;
        assert!(handle.is_finished());
    });
}

#[test]
fn a_handle_that_is_polled_after_its_answer_says_so() {
    run(async {
        let mut task = spawn(async {});
        turns(2).await;
        assert!(poll_once(&mut task).await.is_ready());
        let message = common::panic_message(|| {
            let waker = std::task::Waker::noop();
            let _ = Future::poll(
                std::pin::Pin::new(&mut task),
                &mut std::task::Context::from_waker(waker),
            );
        });
        assert_eq!(message, "a JoinHandle was polled after it had answered");
    });
}

#[test]
fn a_task_knows_its_name_its_id_and_its_parent() {
    run(async {
        let main = current_task().unwrap();
        assert_eq!(main.name().as_deref(), Some("main"));
        let task = spawn_named("worker", async {
            let own = current_task().unwrap();
            let child = spawn(async { current_task().unwrap().parent() });
            (own.id(), own.name(), own.parent(), child.await.unwrap())
        });
        let id = task.id();
        let (own, name, parent, childs_parent) = task.await.unwrap();
        assert_eq!(own, id);
        assert_eq!(name.as_deref(), Some("worker"));
        assert_eq!(parent, Some(main.id()));
        assert_eq!(childs_parent, Some(id));
    });
}

#[test]
fn a_destructor_may_use_the_loop_while_its_task_is_cancelled() {
    run(async {
        let journal = Journal::default();
        let other = spawn(std::future::pending::<()>());
        let (mut peer, stream) = pair().await;
        let guard = on_drop({
            let journal = journal.clone();
            move || {
                let own = current_task().expect("the destructor runs in a step of its task");
                own.cancel();
                own.wake();
                other.cancel();
                drop(other);
                drop(stream);
                drop(TcpListener::bind(common::any_port()).unwrap());
                let mut sleep = time::sleep(common::ms(1));
                sleep.reset(time::now() + common::ms(5));
                drop(sleep);
                let soon = journal.clone();
                call_soon(move || soon.add("called"));
                drop(spawn(async move {
                    time::sleep(common::ms(3)).await;
                    journal.add("slept");
                }));
            }
        });
        let task = spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        turns(2).await;
        task.cancel();
        assert_eq!(reason(task.await), "cancelled");
        assert!(peer.receive().await.unwrap().is_empty(), "it was closed");
        time::sleep(common::ms(10)).await;
        assert_eq!(journal.take(), ["called", "slept"]);
    });
}

#[test]
fn a_destructor_that_panics_while_its_task_is_cancelled_is_that_tasks_panic() {
    run(async {
        let guard = on_drop(|| panic!("in a destructor"));
        let task = spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        turns(1).await;
        task.cancel();
        let _silence = Silence::default();
        let Err(JoinError::Panicked(panic)) = task.await else {
            panic!("it panicked");
        };
        assert_eq!(panic.message(), "in a destructor");
    });
}

#[test]
fn tasks_wait_for_each_other_in_a_chain_of_any_length() {
    run(async {
        let mut last: JoinHandle<u32> = spawn(async { 0 });
        for _ in 0..10_000 {
            let before = last;
            last = spawn(async move { before.await.unwrap() + 1 });
        }
        assert_eq!(last.await.unwrap(), 10_000);
    });
}

#[test]
fn a_cancelled_connect_or_accept_leaves_no_socket() {
    run(async {
        let mut listener = TcpListener::bind(common::any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        turns(2).await;
        accepting.cancel();
        assert_eq!(reason(accepting.await), "cancelled");
        let mut connecting = Box::pin(TcpStream::connect(address));
        let first = poll_once(&mut connecting).await;
        assert!(matches!(first, Poll::Pending | Poll::Ready(Err(_))));
        drop(connecting);
    });
}
