//! In what order tasks run, and that nobody shuts the others out.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, jumping, manual, pair, run, turns};
use monoloop_runtime::{
    Config, Runtime, call_at, call_later, call_soon, consume_budget, spawn, time, yield_now,
};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A thousand tasks that note their number at each step and then wait for a wake.
struct Sleepers {
    wakers: Rc<RefCell<Vec<Option<Waker>>>>,
    steps: Journal<usize>,
}

impl Sleepers {
    /// Spawns them and lets each take its first step.
    async fn spawn(count: usize) -> Sleepers {
        let sleepers = Sleepers {
            wakers: Rc::new(RefCell::new(vec![None; count])),
            steps: Journal::default(),
        };
        for number in 0..count {
            let (wakers, steps) = (sleepers.wakers.clone(), sleepers.steps.clone());
            drop(spawn(poll_fn(move |cx| {
                wakers.borrow_mut()[number] = Some(cx.waker().clone());
                steps.add(number);
                Poll::<()>::Pending
            })));
        }
        turns(count.div_ceil(1024) + 1).await;
        sleepers
    }

    fn wake(&self, number: usize) {
        self.wakers.borrow()[number].as_ref().unwrap().wake_by_ref();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_thousand_tasks_run_in_the_order_in_which_they_were_woken(
        rounds in prop::collection::vec(prop::collection::vec(0usize..1000, 0..1500), 1..4),
    ) {
        jumping().block_on(async {
            let sleepers = Sleepers::spawn(1000).await;
            assert_eq!(sleepers.steps.take(), (0..1000).collect::<Vec<_>>());
            for round in rounds {
                let mut expected = Vec::new();
                let mut queued = vec![false; 1000];
                for number in round {
                    sleepers.wake(number);
                    // A task that is queued already keeps its place.
                    if !std::mem::replace(&mut queued[number], true) {
                        expected.push(number);
                    }
                }
                turns(1).await;
                assert_eq!(sleepers.steps.take(), expected);
            }
        });
    }
}

#[test]
fn what_becomes_ready_in_a_turn_runs_in_the_next_behind_what_was_ready_before() {
    run(async {
        let journal = Journal::default();
        for number in 0..3 {
            let journal = journal.clone();
            drop(spawn(async move {
                journal.add((number, "parent"));
                let child = journal.clone();
                drop(spawn(async move { child.add((number, "child")) }));
                yield_now().await;
                journal.add((number, "parent again"));
            }));
        }
        turns(1).await;
        assert_eq!(
            journal.take(),
            [(0, "parent"), (1, "parent"), (2, "parent")]
        );
        turns(1).await;
        // A child was queued during its parent's step, the parent itself at the step's end.
        assert_eq!(
            journal.take(),
            [
                (0, "child"),
                (0, "parent again"),
                (1, "child"),
                (1, "parent again"),
                (2, "child"),
                (2, "parent again")
            ]
        );
    });
}

#[test]
fn more_ready_tasks_than_one_turn_steps_keep_their_order_over_the_turns() {
    let mut config = Config::default();
    config.steps_per_turn_max = 7;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    let journal = Journal::default();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for number in 0..100 {
            let journal = journal.clone();
            tasks.push(spawn(async move {
                journal.add(number);
                yield_now().await;
                journal.add(100 + number);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(journal.take(), (0..200).collect::<Vec<_>>());
    common::assert_balance(&mut runtime);
}

#[test]
fn a_task_that_wakes_itself_during_its_step_is_stepped_once_in_the_next_turn() {
    run(async {
        let task = spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }))
        .task();
        turns(10).await;
        assert_eq!(task.steps(), Some(10));
        task.cancel();
    });
}

#[test]
fn callbacks_run_in_the_order_they_were_given_in_one_queue_with_the_tasks() {
    run(async {
        let journal = Journal::default();
        let note = |entry: &'static str| {
            let journal = journal.clone();
            move || journal.add(entry)
        };
        call_soon(note("first"));
        drop(spawn({
            let note = note("a task");
            async move { note() }
        }));
        call_soon(note("second"));
        let called_off = call_soon(note("called off"));
        called_off.cancel();
        assert!(
            journal.take().is_empty(),
            "nothing runs before the next turn"
        );
        turns(1).await;
        assert_eq!(journal.take(), ["first", "a task", "second"]);
        assert!(called_off.is_finished());
        called_off.cancel();
    });
}

#[test]
fn delayed_callbacks_run_in_the_order_of_their_deadlines() {
    run(async {
        let journal = Journal::default();
        let start = time::now();
        let note = |entry: &'static str| {
            let journal = journal.clone();
            move || journal.add((entry, time::now() - start))
        };
        call_later(common::ms(30), note("30"));
        call_later(common::ms(10), note("10"));
        call_at(start + common::ms(20), note("20"));
        call_at(start, note("past"));
        call_later(common::ms(15), note("called off")).cancel();
        drop(call_later(common::ms(40), note("handle dropped")));
        time::sleep(common::ms(50)).await;
        let expected = [
            ("past", 0),
            ("10", 10),
            ("20", 20),
            ("30", 30),
            ("handle dropped", 40),
        ];
        assert_eq!(
            journal.take(),
            expected.map(|(entry, at)| (entry, common::ms(at)))
        );
    });
}

/// A task that is always ready.
fn spin(running: &Rc<Cell<bool>>) {
    let running = running.clone();
    drop(spawn(async move {
        while running.get() {
            yield_now().await;
        }
    }));
}

#[test]
fn a_task_that_wakes_itself_forever_does_not_shut_out_sockets() {
    run(async {
        let spinning = Rc::new(Cell::new(true));
        spin(&spinning);
        let (mut one, mut other) = pair().await;
        one.write_all(b"through").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"through");
        spinning.set(false);
    });
}

#[test]
fn a_task_that_wakes_itself_forever_does_not_shut_out_timers() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let spinning = Rc::new(Cell::new(true));
        spin(&spinning);
        time::sleep(common::ms(5)).await;
        spinning.set(false);
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn a_task_that_wakes_itself_forever_does_not_shut_out_other_threads() {
    run(async {
        let spinning = Rc::new(Cell::new(true));
        spin(&spinning);
        let waker = common::own_waker().await;
        let mut woken = None;
        poll_fn(|_| match &mut woken {
            None => {
                let waker = waker.clone();
                woken = Some(std::thread::spawn(move || waker.wake()));
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        })
        .await;
        woken.unwrap().join().unwrap();
        spinning.set(false);
    });
}

#[test]
fn a_stream_that_is_always_full_does_not_starve_a_ticker() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut reader, mut writer) = pair().await;
        let writing = spawn(async move {
            let block = vec![7; 256 * 1024];
            loop {
                writer.write_all(&block).await.unwrap();
            }
        });
        // Tiny reads: there is always more to read, so only the budget ends a step.
        let reads = Rc::new(Cell::new(0u64));
        let reading = spawn({
            let reads = reads.clone();
            async move {
                while reader.read(&mut [0; 16]).await.unwrap() > 0 {
                    reads.set(reads.get() + 1);
                }
            }
        });
        // Each of the ticker's turns, the reader got at most one budget.
        let mut seen = 0;
        for _ in 0..200 {
            yield_now().await;
            let now = reads.get();
            assert!(now - seen <= 128, "{} reads in one turn", now - seen);
            seen = now;
        }
        assert!(seen > 128, "the reader had something to read all the time");
        let mut ticks = time::interval(common::ms(1));
        for _ in 0..5 {
            ticks.tick().await;
        }
        reading.cancel();
        writing.cancel();
        assert!(reading.await.is_err());
        assert!(writing.await.is_err());
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn long_work_that_uses_its_budget_up_lets_the_others_run() {
    let mut config = Config::default();
    config.ops_per_step_max = 10;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    runtime.block_on(async {
        let items = Rc::new(Cell::new(0));
        let work = spawn({
            let items = items.clone();
            async move {
                for _ in 0..100 {
                    consume_budget().await;
                    items.set(items.get() + 1);
                }
            }
        });
        for turn in 1..=10 {
            yield_now().await;
            assert_eq!(items.get(), turn * 10);
        }
        work.await.unwrap();
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn a_turn_that_expires_many_timers_wakes_them_in_the_order_of_their_deadlines() {
    let mut runtime = manual();
    let journal = Journal::default();
    runtime.block_on(async {
        for number in (0..2000u64).rev() {
            let journal = journal.clone();
            drop(spawn(async move {
                time::sleep(common::ms(number + 1)).await;
                journal.add(number);
            }));
        }
        turns(3).await;
        time::advance(common::ms(5000)).await;
    });
    assert_eq!(journal.take(), (0..2000).collect::<Vec<_>>());
    common::assert_balance(&mut runtime);
}
