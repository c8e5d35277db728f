//! Sleeping, limits and ticking, on clocks that no test has to wait for.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, jumping, manual, ms, on_drop, poll_once, run, turns};
use futures_util::FutureExt;
use futures_util::future::{join, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use monoloop_runtime::time::{
    self, MissedTick, advance, interval, interval_at, sleep, sleep_until, timeout, timeout_at,
};
use monoloop_runtime::{Runtime, spawn, yield_now};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

#[test]
fn sleeps_end_in_the_order_of_their_deadlines_and_never_early() {
    run(async {
        let journal = Journal::default();
        let start = time::now();
        for delay in [30, 10, 4096, 20, 64, 63, 65, 5_000_000, 0, 1] {
            let journal = journal.clone();
            drop(spawn(async move {
                sleep(ms(delay)).await;
                assert!(time::now() >= start + ms(delay));
                journal.add(delay);
            }));
        }
        sleep(ms(6_000_000)).await;
        assert_eq!(
            journal.take(),
            [0, 1, 10, 20, 30, 63, 64, 65, 4096, 5_000_000]
        );
    });
}

#[test]
fn a_sleep_that_is_over_is_ready_at_its_first_poll() {
    run(async {
        let now = time::now();
        assert!(sleep(Duration::ZERO).now_or_never().is_some());
        assert!(sleep_until(now).now_or_never().is_some());
        assert!(sleep(ms(1)).now_or_never().is_none());
    });
}

#[test]
fn a_day_of_sleeps_passes_at_once() {
    run(async {
        let start = time::now();
        for _ in 0..24 {
            sleep(Duration::from_secs(3600)).await;
        }
        assert_eq!(time::now() - start, Duration::from_secs(86_400));
    });
}

#[test]
#[cfg_attr(
    miri,
    ignore = "Miri refuses TCP_NODELAY on a socket that it has accepted"
)]
fn a_day_of_sleeps_passes_at_once_though_sockets_are_open() {
    run(async {
        let _pair = common::pair().await;
        let start = time::now();
        sleep(Duration::from_secs(86_400)).await;
        assert_eq!(time::now() - start, Duration::from_secs(86_400));
    });
}

#[test]
fn on_the_systems_clock_a_sleep_is_not_early() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for delay in [1, 2, 3] {
            let start = time::now_precise();
            sleep_until(start + ms(delay)).await;
            assert!(time::now_precise() >= start + ms(delay));
        }
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn a_manual_clock_moves_only_when_it_is_advanced() {
    let mut runtime = manual();
    runtime.block_on(async {
        let start = time::now();
        let slept = spawn(sleep(ms(10)));
        turns(200).await;
        assert_eq!(time::now(), start);
        advance(ms(9)).await;
        assert!(!slept.is_finished());
        advance(ms(1)).await;
        assert!(slept.is_finished());
        assert_eq!(time::now_precise(), start + ms(10));
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn the_systems_clock_cannot_be_advanced() {
    let mut runtime = Runtime::new().unwrap();
    let message = common::panic_message(|| runtime.block_on(advance(ms(1))));
    assert!(message.contains("ClockMode::Manual"), "{message}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri takes too long for so many")]
fn a_hundred_thousand_timers_all_fire_and_leave_nothing() {
    run(async {
        let fired = Rc::new(Cell::new(0));
        let start = time::now();
        for number in 0..100_000u64 {
            let fired = fired.clone();
            let delay = ms(1 + number * 7919 % 100_000);
            drop(spawn(async move {
                sleep(delay).await;
                assert_eq!(time::now() - start, delay);
                fired.set(fired.get() + 1);
            }));
        }
        sleep(ms(100_001)).await;
        assert_eq!(fired.get(), 100_000);
    });
}

#[test]
fn a_sleep_that_is_dropped_leaves_no_timer() {
    let mut runtime = jumping();
    runtime.block_on(async {
        let mut sleeps: Vec<_> = (0..100).map(|n| sleep(ms(1000 + n))).collect();
        for sleep in &mut sleeps {
            assert!(poll_once(sleep).await.is_pending());
        }
        sleeps.truncate(30);
        sleep(ms(1)).await;
        assert_eq!(sleeps.len(), 30);
    });
    assert_eq!(runtime.stats().timers, 0);
}

#[test]
fn only_a_sleep_that_was_polled_has_a_timer() {
    let mut runtime = manual();
    let mut one = sleep(ms(5));
    assert_eq!(runtime.stats().timers, 0);
    runtime.block_on(async { assert!(poll_once(&mut one).await.is_pending()) });
    assert_eq!(runtime.stats().timers, 1);
    drop(one);
    assert_eq!(runtime.stats().timers, 0);
}

/// Where a sleep stands when it is polled.
#[derive(Debug, Clone, Copy)]
enum Inside {
    Task,
    Join,
    Select,
    Unordered,
}

const EVERYWHERE: [Inside; 4] = [
    Inside::Task,
    Inside::Join,
    Inside::Select,
    Inside::Unordered,
];

/// Waits for a sleep by reference.
async fn wait(inside: Inside, sleep: &mut time::Sleep) {
    match inside {
        Inside::Task => sleep.await,
        Inside::Join => _ = join(sleep, yield_now()).await,
        Inside::Select => _ = select(sleep, std::future::pending::<()>()).await,
        Inside::Unordered => {
            let mut all: FuturesUnordered<_> = [sleep].into_iter().collect();
            all.next().await.unwrap();
        }
    }
}

#[test]
fn a_sleep_that_is_moved_ends_at_its_new_deadline_wherever_it_is_polled() {
    for inside in EVERYWHERE {
        run(async {
            let mut sleeping = sleep(ms(100));
            // Armed by a first poll, moved later: the old timer comes up for nothing.
            let start = time::now();
            assert!(poll_once(&mut sleeping).await.is_pending());
            sleeping.reset(start + ms(250));
            wait(inside, &mut sleeping).await;
            assert_eq!(time::now(), start + ms(250), "{inside:?} later");

            // After it has ended.
            let start = time::now();
            sleeping.reset(start + ms(50));
            wait(inside, &mut sleeping).await;
            assert_eq!(time::now(), start + ms(50), "{inside:?} again");

            // Armed, moved earlier.
            let start = time::now();
            sleeping.reset(start + ms(500));
            assert!(timeout(ms(10), wait(inside, &mut sleeping)).await.is_err());
            sleeping.reset(start + ms(30));
            wait(inside, &mut sleeping).await;
            assert_eq!(time::now(), start + ms(30), "{inside:?} earlier");

            // Armed, moved later and then earlier than at first.
            let start = time::now();
            sleeping.reset(start + ms(500));
            assert!(timeout(ms(10), wait(inside, &mut sleeping)).await.is_err());
            sleeping.reset(start + ms(900));
            sleeping.reset(start + ms(20));
            wait(inside, &mut sleeping).await;
            assert_eq!(time::now(), start + ms(20), "{inside:?} to and fro");

            // Into the past.
            sleeping.reset(start + ms(500));
            assert!(timeout(ms(10), wait(inside, &mut sleeping)).await.is_err());
            let now = time::now();
            sleeping.reset(start);
            wait(inside, &mut sleeping).await;
            assert_eq!(time::now(), now, "{inside:?} into the past");
        });
    }
}

#[test]
fn who_waits_already_is_woken_at_the_new_deadline_without_being_polled_before() {
    run(async {
        let start = time::now();
        let mut sleeping = Box::pin(sleep(ms(100)));
        let (first, later) = (
            std::pin::pin!(sleep(ms(10))),
            std::pin::pin!(sleep(ms(300))),
        );
        let mut moved = false;
        let mut first = Some(first);
        let mut later = later;
        // One task holds all three, so that a timer of the sleep alone can end it in time.
        std::future::poll_fn(|cx| {
            if let Some(waiting) = &mut first
                && waiting.as_mut().poll(cx).is_ready()
            {
                first = None;
                sleeping.reset(start + ms(40));
                moved = true;
                return Poll::Pending;
            }
            if moved && sleeping.is_elapsed() {
                return Poll::Ready(());
            }
            assert!(later.as_mut().poll(cx).is_pending(), "woken too late");
            if !moved {
                assert!(sleeping.poll_elapsed(cx).is_pending());
            }
            Poll::Pending
        })
        .await;
        assert_eq!(time::now(), start + ms(40));
    });
}

#[test]
fn who_waits_is_woken_at_once_when_the_deadline_is_moved_into_the_past() {
    let mut runtime = manual();
    runtime.block_on(async {
        let sleeping = Rc::new(RefCell::new(sleep(ms(100))));
        let start = time::now();
        let waiting = spawn({
            let sleeping = sleeping.clone();
            std::future::poll_fn(move |cx| sleeping.borrow_mut().poll_elapsed(cx))
        });
        advance(ms(50)).await;
        sleeping.borrow_mut().reset(start + ms(50));
        turns(2).await;
        assert!(waiting.is_finished());
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn a_sleep_may_move_between_tasks_and_combinators_while_it_is_armed() {
    run(async {
        let start = time::now();
        let mut sleeping = sleep(ms(100));
        assert!(poll_once(&mut sleeping).await.is_pending());
        let (give, take) = std::sync::mpsc::channel();
        let elsewhere = spawn(async move {
            assert!(timeout(ms(10), &mut sleeping).await.is_err());
            give.send(sleeping).unwrap();
        });
        elsewhere.await.unwrap();
        let mut sleeping = take.recv().unwrap();
        for inside in EVERYWHERE {
            assert!(timeout(ms(10), wait(inside, &mut sleeping)).await.is_err());
        }
        spawn(sleeping).await.unwrap();
        assert_eq!(time::now(), start + ms(100));
    });
}

/// What is done to one sleep.
#[derive(Debug, Clone, Copy)]
enum Act {
    Reset(u64),
    Advance(u64),
    Poll(bool),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The model: a sleep is over when its deadline is.
    #[test]
    fn a_sleep_that_is_moved_at_random_is_over_exactly_when_its_deadline_is(
        acts in prop::collection::vec(
            prop_oneof![
                (0u64..300).prop_map(Act::Reset),
                (0u64..120).prop_map(Act::Advance),
                any::<bool>().prop_map(Act::Poll),
            ],
            1..60,
        )
    ) {
        let mut runtime = manual();
        runtime.block_on(async {
            let start = time::now();
            let mut sleeping = sleep(ms(50));
            let mut deadline = 50;
            let mut now = 0;
            for act in acts {
                match act {
                    Act::Reset(at) => {
                        deadline = at;
                        sleeping.reset(start + ms(at));
                    }
                    Act::Advance(by) => {
                        now += by;
                        advance(ms(by)).await;
                    }
                    Act::Poll(direct) => {
                        let over = match direct {
                            true => poll_once(&mut sleeping).await.is_ready(),
                            false => (&mut sleeping).now_or_never().is_some(),
                        };
                        assert_eq!(over, now >= deadline);
                    }
                }
                assert_eq!(sleeping.is_elapsed(), now >= deadline);
            }
            // In the end it wakes its task by itself.
            let waiting = spawn(sleeping);
            turns(1).await;
            advance(ms(deadline.saturating_sub(now))).await;
            assert!(waiting.is_finished());
        });
        common::assert_balance(&mut runtime);
    }
}

#[test]
fn a_deadline_beyond_all_time_is_never() {
    run(async {
        let forever = spawn(sleep(Duration::MAX));
        let limited = timeout(Duration::MAX, sleep(ms(5))).await;
        assert!(limited.is_ok());
        assert!(!forever.is_finished());
        forever.cancel();
    });
}

#[test]
fn a_timeout_keeps_what_is_finished_at_the_deadline() {
    run(async {
        assert_eq!(timeout(ms(10), async { 7 }).await, Ok(7));
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        // Both are due in the same turn.
        let both = timeout(ms(10), async {
            sleep(ms(10)).await;
            7
        });
        assert_eq!(both.await, Ok(7));
        // The future was done long before the timeout was polled again.
        let mut late = Box::pin(timeout(ms(10), sleep(ms(5)).map(|()| 7)));
        assert!(poll_once(&mut late).await.is_pending());
        sleep(ms(1000)).await;
        assert_eq!(late.await, Ok(7));
    });
}

#[test]
fn a_timeout_drops_its_future_at_the_limit_and_says_the_numbers() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let inner = dropped.clone();
        let mut limited = Box::pin(timeout(ms(25), async move {
            let _guard = on_drop(move || inner.set(true));
            std::future::pending::<()>().await;
        }));
        let error = (&mut limited).await.unwrap_err();
        assert!(dropped.get(), "before the timeout itself is dropped");
        assert_eq!((error.limit, error.waited), (ms(25), ms(25)));
        assert_eq!(error.to_string(), "timed out after 25ms (limit 25ms)");
        let as_io = std::io::Error::from(error);
        assert_eq!(as_io.kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_timeout_that_is_noticed_late_says_how_late() {
    run(async {
        let mut limited = Box::pin(timeout(ms(10), std::future::pending::<()>()));
        assert!(poll_once(&mut limited).await.is_pending());
        sleep(ms(90)).await;
        let error = limited.await.unwrap_err();
        assert_eq!((error.limit, error.waited), (ms(10), ms(90)));
    });
}

#[test]
fn the_shorter_of_two_nested_timeouts_decides() {
    run(async {
        let start = time::now();
        let outer = timeout(ms(10), timeout(ms(20), sleep(ms(30)))).await;
        assert_eq!(outer.unwrap_err().limit, ms(10));
        let inner = timeout(ms(40), timeout_at(time::now() + ms(20), sleep(ms(30)))).await;
        assert_eq!(inner.unwrap().unwrap_err().limit, ms(20));
        assert_eq!(time::now() - start, ms(30));
    });
}

#[test]
fn an_interval_ticks_at_once_and_then_every_period() {
    run(async {
        let start = time::now();
        let mut ticks = interval(ms(100));
        for number in 0..5 {
            assert_eq!(ticks.tick().await, start + ms(100) * number);
            assert_eq!(time::now(), start + ms(100) * number);
        }
        let mut later = interval_at(start + ms(1000), ms(7));
        assert_eq!(later.tick().await, start + ms(1000));
        assert_eq!(later.tick().await, start + ms(1007));
        assert_eq!(later.next_due(), start + ms(1014));
    });
}

/// When the ticks after a stall of 350 ms are due and seen, with a period of 100 ms.
fn ticks_after_a_stall(missed: MissedTick) -> Vec<(u128, u128)> {
    run(async {
        let start = time::now();
        let mut ticks = interval(ms(100)).missed(missed);
        ticks.tick().await;
        sleep(ms(350)).await;
        let mut seen = Vec::new();
        for _ in 0..5 {
            let due = ticks.tick().await - start;
            seen.push((due.as_millis(), (time::now() - start).as_millis()));
        }
        seen
    })
}

#[test]
fn missed_ticks_come_in_a_burst() {
    assert_eq!(
        ticks_after_a_stall(MissedTick::Burst),
        [(100, 350), (200, 350), (300, 350), (400, 400), (500, 500)]
    );
}

#[test]
fn missed_ticks_are_skipped() {
    assert_eq!(
        ticks_after_a_stall(MissedTick::Skip),
        [(100, 350), (400, 400), (500, 500), (600, 600), (700, 700)]
    );
}

#[test]
fn missed_ticks_delay_those_that_follow() {
    assert_eq!(
        ticks_after_a_stall(MissedTick::Delay),
        [(100, 350), (450, 450), (550, 550), (650, 650), (750, 750)]
    );
}

#[test]
fn a_tick_that_nobody_waited_for_is_not_lost() {
    run(async {
        let start = time::now();
        let mut ticks = interval_at(start + ms(100), ms(100));
        assert!(timeout(ms(30), ticks.tick()).await.is_err());
        assert_eq!(ticks.tick().await, start + ms(100));
    });
}

#[test]
fn an_interval_without_end_ticks_once() {
    run(async {
        let mut ticks = interval(Duration::MAX);
        ticks.tick().await;
        assert!(
            timeout(Duration::from_secs(86_400), ticks.tick())
                .await
                .is_err()
        );
    });
}

#[test]
fn an_interval_without_a_period_is_refused() {
    let _runtime = jumping();
    let message = common::panic_message(|| drop(interval(Duration::ZERO)));
    assert_eq!(message, "an interval needs a period above zero");
}

#[test]
fn sleeps_in_combinators_take_as_long_as_the_longest() {
    run(async {
        let start = time::now();
        let order = Journal::default();
        let sleeps = (0..60u64).map(|number| {
            let order = order.clone();
            async move {
                sleep(ms(100 - number)).await;
                order.add(number);
            }
        });
        join_all(sleeps).await;
        assert_eq!(time::now() - start, ms(100));
        assert_eq!(order.take(), (0..60).rev().collect::<Vec<_>>());
    });
}

#[test]
fn a_deadline_after_a_delay_without_end_does_not_overflow() {
    run(async {
        assert!(time::deadline_after(Duration::MAX) > time::now() + Duration::from_secs(86_400));
    });
}
