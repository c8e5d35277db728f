//! Wakes from other threads, of tasks and loops that may be gone.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{jumping, own_waker, run, turns};
use monoloop_runtime::{Runtime, spawn, yield_now};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;

#[test]
fn a_wake_from_another_thread_ends_the_wait_of_a_loop_that_sleeps() {
    let mut runtime = Runtime::new().unwrap();
    for _ in 0..100 {
        let done = Arc::new(AtomicBool::new(false));
        let mut thread = None;
        runtime.block_on(poll_fn(|cx| {
            if done.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            let (done, waker) = (done.clone(), cx.waker().clone());
            thread.get_or_insert_with(|| {
                thread::spawn(move || {
                    done.store(true, Ordering::Release);
                    waker.wake();
                })
            });
            Poll::Pending
        }));
        thread.unwrap().join().unwrap();
    }
    common::assert_balance(&mut runtime);
}

/// Counts down in other threads; each count is a wake of one of many tasks.
#[test]
fn many_wakes_of_many_tasks_from_many_threads_are_all_seen() {
    const TASKS: usize = 50;
    const WAKES: usize = 200;
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let counters: Vec<_> = (0..TASKS).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let (give, wakers) = std::sync::mpsc::channel::<(usize, Waker)>();
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let (counter, give) = (counters[number].clone(), give.clone());
                let mut given = false;
                spawn(poll_fn(move |cx| {
                    if !std::mem::replace(&mut given, true) {
                        give.send((number, cx.waker().clone())).unwrap();
                    }
                    // Enough when each thread's last wake has been seen.
                    match counter.load(Ordering::Acquire) {
                        count if count == 4 * WAKES => Poll::Ready(()),
                        _ => Poll::Pending,
                    }
                }))
            })
            .collect();
        turns(1).await;
        let mut all: Vec<_> = wakers.try_iter().collect();
        all.sort_by_key(|(number, _)| *number);
        let all = Arc::new(all);
        let threads: Vec<_> = (0..4)
            .map(|offset| {
                let (all, counters) = (all.clone(), counters.clone());
                thread::spawn(move || {
                    for round in 0..WAKES {
                        for number in 0..TASKS {
                            let number = (number * 7 + offset * 13 + round) % TASKS;
                            counters[number].fetch_add(1, Ordering::Release);
                            all[number].1.wake_by_ref();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn wakes_from_one_other_thread_keep_their_order() {
    run(async {
        let journal = common::Journal::default();
        let mut wakers = Vec::new();
        for number in 0..100 {
            let journal = journal.clone();
            let (give, waker) = std::sync::mpsc::channel();
            drop(spawn(async move {
                give.send(own_waker().await).unwrap();
                let mut woken = false;
                poll_fn(|_| match std::mem::replace(&mut woken, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                journal.add(number);
            }));
            turns(1).await;
            wakers.push(waker.recv().unwrap());
        }
        thread::spawn(move || {
            for waker in wakers.into_iter().rev() {
                waker.wake();
            }
        })
        .join()
        .unwrap();
        turns(2).await;
        assert_eq!(journal.take(), (0..100).rev().collect::<Vec<_>>());
    });
}

#[test]
fn a_wake_of_a_finished_task_does_not_reach_the_next_one_in_its_slot() {
    run(async {
        let waker = spawn(own_waker()).await.unwrap();
        let steps = Rc::new(Cell::new(0));
        let successor = spawn(poll_fn({
            let steps = steps.clone();
            move |_| {
                steps.set(steps.get() + 1);
                Poll::<()>::Pending
            }
        }));
        turns(1).await;
        waker.wake_by_ref();
        let elsewhere = waker.clone();
        thread::spawn(move || elsewhere.wake()).join().unwrap();
        turns(2).await;
        assert_eq!(steps.get(), 1);
        successor.cancel();
    });
}

#[test]
fn a_waker_outlives_its_loop_and_does_nothing() {
    let mut runtime = jumping();
    let waker = runtime.block_on(own_waker());
    let task_waker = runtime.block_on(async {
        let (give, take) = std::sync::mpsc::channel();
        drop(spawn(poll_fn(move |cx| {
            let _ = give.send(cx.waker().clone());
            Poll::<()>::Pending
        })));
        turns(1).await;
        take.recv().unwrap()
    });
    drop(runtime);
    waker.wake_by_ref();
    task_waker.wake_by_ref();
    // The next loop of this thread is not reached either, whatever its tasks' ids.
    let mut next = jumping();
    next.block_on(async {
        let steps = Rc::new(Cell::new(0));
        let task = spawn(poll_fn({
            let steps = steps.clone();
            move |_| {
                steps.set(steps.get() + 1);
                Poll::<()>::Pending
            }
        }));
        turns(1).await;
        waker.wake_by_ref();
        task_waker.wake_by_ref();
        turns(3).await;
        assert_eq!(steps.get(), 1);
        task.cancel();
    });
    thread::spawn(move || {
        waker.wake();
        task_waker.wake_by_ref();
    })
    .join()
    .unwrap();
    common::assert_balance(&mut next);
}

#[test]
fn a_waker_may_be_the_last_to_go_on_another_thread() {
    let mut runtime = jumping();
    let waker = runtime.block_on(async { spawn(own_waker()).await.unwrap() });
    common::assert_balance(&mut runtime);
    drop(runtime);
    thread::spawn(move || drop(waker)).join().unwrap();
}

#[test]
fn a_waker_that_another_thread_dropped_during_the_step_does_not_confuse_the_next_task() {
    // The loop lends one waker to all tasks; the clone of it that is gone again by the end of
    // the step must not have been read with a later task's id.
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (give, take) = std::sync::mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            for waker in take {
                waker.wake();
            }
        });
        let tasks: Vec<_> = (0..2000)
            .map(|_| {
                let give = give.clone();
                let mut asked = false;
                spawn(poll_fn(move |cx| {
                    if std::mem::replace(&mut asked, true) {
                        return Poll::Ready(());
                    }
                    give.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                }))
            })
            .collect();
        drop(give);
        for task in &tasks {
            assert!(task.task().steps().is_none_or(|steps| steps <= 2));
        }
        for task in tasks {
            task.await.unwrap();
        }
        thread.join().unwrap();
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn a_task_handle_wakes_its_task_for_one_step() {
    run(async {
        let task = spawn(std::future::pending::<()>());
        turns(1).await;
        assert_eq!(task.task().steps(), Some(1));
        task.task().wake();
        task.task().wake();
        yield_now().await;
        assert_eq!(task.task().steps(), Some(2));
        task.cancel();
        let _ = task.await;
    });
}
