//! Functions run by the loop, also on behalf of other threads.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, assert_balance, logged, on_drop, quietly, run, turns, until};
use monoloop_runtime::{
    ClockMode, LoopEnded, LoopHandle, Runtime, call_soon, context_var, current_task, loop_handle,
    spawn, yield_now,
};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

thread_local! { static SEEN: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) }; }

fn on_system_clock<F: Future>(test: F) -> F::Output {
    let mut runtime = Runtime::builder().clock(ClockMode::System).build().unwrap();
    let output = runtime.block_on(test);
    assert_balance(&mut runtime);
    output
}

#[test]
fn calls_of_another_thread_run_on_the_loop_in_their_order_one_a_step() {
    on_system_clock(async {
        let (handle, here) = (loop_handle(), thread::current().id());
        let calls = thread::spawn(move || {
            let calls = (0..100).map(|number| {
                let call = move || {
                    assert_eq!(thread::current().id(), here);
                    assert!(current_task().is_some());
                    SEEN.with(|seen| seen.borrow_mut().push(number));
                };
                handle.call_soon_threadsafe(call).unwrap()
            });
            calls.collect::<Vec<_>>()
        });
        until(|| SEEN.with(|seen| seen.borrow().len()) == 100).await;
        assert_eq!(SEEN.take(), (0..100).collect::<Vec<_>>());
        let calls = calls.join().unwrap();
        assert!(
            calls
                .iter()
                .all(|call| call.is_finished() && !call.cancel())
        );
    });
}

#[test]
fn a_call_ends_the_wait_of_a_loop_that_has_nothing_to_do() {
    on_system_clock(async {
        let waiting = current_task().unwrap();
        let (handle, task) = (loop_handle(), Cell::new(Some(waiting)));
        thread_local! { static WAITING: Cell<Option<monoloop_runtime::TaskHandle>> = const { Cell::new(None) }; }
        WAITING.set(task.take());
        // The thread calls when the loop waits, or just before; it is not lost either way.
        let calling = thread::spawn(move || {
            handle.wake();
            handle.call_soon_threadsafe(|| WAITING.take().unwrap().wake())
        });
        std::future::poll_fn(|_| {
            let called = WAITING.with(|waiting| {
                let task = waiting.take();
                let called = task.is_none();
                waiting.set(task);
                called
            });
            if called {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        calling.join().unwrap().unwrap();
    });
}

#[test]
fn calls_share_one_queue_with_tasks_and_with_wakes_from_threads() {
    run(async {
        let journal = Journal::default();
        thread_local! { static JOURNAL: RefCell<Option<Journal<&'static str>>> = const { RefCell::new(None) }; }
        JOURNAL.with(|slot| *slot.borrow_mut() = Some(journal.clone()));
        let add = |entry| JOURNAL.with(|slot| slot.borrow().as_ref().unwrap().add(entry));
        let handle = loop_handle();
        let woken = {
            let journal = journal.clone();
            spawn(async move {
                std::future::poll_fn({
                    let mut polls = 0;
                    move |_| {
                        polls += 1;
                        if polls == 2 {
                            std::task::Poll::Ready(())
                        } else {
                            std::task::Poll::Pending
                        }
                    }
                })
                .await;
                journal.add("woken");
            })
        };
        let sleeping = Journal::default();
        let keep = sleeping.clone();
        let with_waker = spawn(async move {
            keep.add(common::own_waker().await);
            common::poll_once(&mut std::future::pending::<()>())
                .await
                .is_pending()
        });
        with_waker.await.unwrap();
        drop(sleeping.take());
        let task = woken.task();
        call_soon(move || add("before"));
        thread::spawn(move || {
            for entry in ["one", "two"] {
                handle.call_soon_threadsafe(move || add(entry)).unwrap();
            }
        })
        .join()
        .unwrap();
        task.wake();
        yield_now().await;
        turns(3).await;
        assert_eq!(journal.take(), ["before", "woken", "one", "two"]);
        JOURNAL.take();
        woken.await.unwrap();
    });
}

#[test]
fn a_call_may_be_called_off_before_its_turn_and_is_dropped_by_the_loop() {
    run(async {
        let (handle, here) = (loop_handle(), thread::current().id());
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = dropped.clone();
        let call = thread::spawn(move || {
            let guard = on_drop(move || {
                assert_eq!(thread::current().id(), here, "never on another thread");
                count.fetch_add(1, Ordering::Relaxed);
            });
            let call = handle.call_soon_threadsafe(move || {
                let _guard = guard;
                unreachable!("it was called off");
            });
            let call = call.unwrap();
            assert!(!call.is_finished() && call.cancel() && call.cancel());
            call
        });
        let call = call.join().unwrap();
        assert!(call.is_finished());
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        turns(3).await;
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_call_carries_the_callers_context() {
    context_var! {
        static REQUEST: u32;
        static PRIVATE: u32, inherit = false;
    }
    run(async {
        let handle = loop_handle();
        thread::spawn(move || {
            REQUEST.set(7);
            PRIVATE.set(8);
            let call = || {
                assert_eq!(PRIVATE.get(), None);
                SEEN.with(|seen| seen.borrow_mut().extend(REQUEST.get()));
            };
            handle.call_soon_threadsafe(call).unwrap();
        })
        .join()
        .unwrap();
        turns(3).await;
        assert_eq!(SEEN.take(), [7]);
        assert_eq!(REQUEST.get(), None);
    });
}

#[test]
fn a_call_that_panics_is_reported_and_over() {
    let (call, lines) = logged(|| {
        quietly(|| {
            run(async {
                let call = loop_handle().call_soon_threadsafe(|| panic!("on purpose"));
                turns(3).await;
                call.unwrap()
            })
        })
    });
    assert!(call.is_finished());
    assert!(
        lines.len() == 1 && lines[0].contains("on purpose"),
        "{lines:?}"
    );
    assert!(lines[0].contains("callbacks.rs"), "{lines:?}");
}

#[test]
fn a_loop_that_has_ended_refuses_calls_and_one_that_ends_drops_those_it_has() {
    let runtime = common::jumping();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (send, receive) = mpsc::channel::<LoopHandle>();
    let handle = {
        let mut runtime = runtime;
        let handle = runtime.block_on(async { loop_handle() });
        // Accepted, but the loop takes no turn any more. Its destructor asks the loop again.
        let again = handle.clone();
        let count = dropped.clone();
        let guard = on_drop(move || {
            assert_eq!(again.call_soon_threadsafe(|| ()).unwrap_err(), LoopEnded);
            count.fetch_add(1, Ordering::Relaxed);
        });
        let call = handle.call_soon_threadsafe(move || drop(guard)).unwrap();
        assert!(!handle.has_ended() && !call.is_finished());
        drop(runtime);
        assert!(call.is_finished());
        handle
    };
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    send.send(handle).unwrap();
    thread::spawn(move || {
        let handle = receive.recv().unwrap();
        assert!(handle.has_ended());
        let refused = handle.call_soon_threadsafe(|| ()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the event loop has ended, nothing can be run on it any more"
        );
        handle.wake();
    })
    .join()
    .unwrap();
}

#[test]
fn of_calls_that_race_with_the_end_of_the_loop_each_is_run_or_dropped_once() {
    for _ in 0..50 {
        let mut runtime = common::jumping();
        let handle = runtime.block_on(async { loop_handle() });
        let (ended, start) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let caller = thread::spawn({
            let (ended, start) = (ended.clone(), start.clone());
            move || {
                start.wait();
                let accepted = (0..100).filter(|_| {
                    let ended = ended.clone();
                    let guard = on_drop(move || {
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                    handle.call_soon_threadsafe(move || drop(guard)).is_ok()
                });
                accepted.count()
            }
        });
        start.wait();
        runtime.block_on(turns(20));
        drop(runtime);
        assert!(caller.join().unwrap() <= 100);
        assert_eq!(ended.load(Ordering::Relaxed), 100);
    }
}

#[test]
fn a_loop_handle_can_be_had_on_a_loop_only() {
    let message = common::panic_message(|| drop(loop_handle()));
    assert!(
        message.contains("no event loop on this thread"),
        "{message}"
    );
}
