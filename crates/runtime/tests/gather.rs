//! Waiting for all, for the first, for each as it ends.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, ms, on_drop, quietly, run, turns};
use futures_util::StreamExt;
use monoloop_runtime::time::{sleep, timeout};
use monoloop_runtime::{
    GroupFailure, JoinError, all_tasks, as_completed, gather, race, try_gather,
};
use std::cell::Cell;
use std::future::{pending, ready};
use std::rc::Rc;

/// Sleeps, then says its number; says when it is dropped.
async fn nap(number: u64, delay: u64, dropped: Journal<u64>) -> u64 {
    let _guard = on_drop(move || dropped.add(number));
    sleep(ms(delay)).await;
    number
}

#[test]
fn gather_gives_all_results_in_the_order_of_the_futures() {
    run(async {
        let ended = Journal::default();
        let naps = [30, 10, 20].into_iter().enumerate();
        let naps = naps.map(|(number, delay)| nap(number as u64, delay, ended.clone()));
        let results = gather(naps).await;
        let numbers: Vec<u64> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(ended.take(), [1, 2, 0]);
        assert!(
            gather(Vec::<std::future::Ready<()>>::new())
                .await
                .is_empty()
        );
    });
}

#[test]
fn a_panic_of_one_that_is_gathered_leaves_the_others_alone() {
    quietly(|| {
        run(async {
            let results = gather((0..3).map(|number| async move {
                sleep(ms(number)).await;
                assert_ne!(number, 1, "on purpose");
                number
            }))
            .await;
            assert!(matches!(results[0], Ok(0)) && matches!(results[2], Ok(2)));
            assert!(matches!(&results[1], Err(JoinError::Panicked(panic))
                if panic.message().contains("on purpose")));
        });
    });
}

#[test]
fn gather_does_nothing_until_it_is_awaited_and_takes_all_along_when_it_is_dropped() {
    run(async {
        let dropped = Journal::default();
        let never = gather((0..3).map(|number| nap(number, 5, dropped.clone())));
        turns(3).await;
        assert_eq!(all_tasks().len(), 1);
        drop(never);
        let naps = (0..3).map(|number| nap(number, 50, dropped.clone()));
        assert!(timeout(ms(5), gather(naps)).await.is_err());
        assert_eq!(dropped.take(), [0, 1, 2]);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn try_gather_gives_all_outputs_or_the_first_error_and_cancels_the_rest() {
    run(async {
        let dropped = Journal::default();
        let all = try_gather((0..3).map(|number| {
            let nap = nap(number, 10 - number, dropped.clone());
            async move { Ok::<_, String>(nap.await) }
        }));
        assert_eq!(all.await.unwrap(), [0, 1, 2]);
        assert_eq!(dropped.take(), [2, 1, 0]);
        let some = try_gather((0..3).map(|number| {
            let nap = nap(number, 10 * (3 - number), dropped.clone());
            async move {
                match nap.await {
                    1 => Err("one"),
                    number => Ok(number),
                }
            }
        }));
        let error = some.await.unwrap_err();
        assert_eq!((error.error(), error.others().len()), (Some(&"one"), 0));
        assert_eq!(dropped.take(), [2, 1, 0]);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn try_gather_does_not_wait_forever_for_one_that_somebody_cancels() {
    run(async {
        let all = monoloop_runtime::spawn(try_gather((0..2).map(|_| pending::<Result<(), ()>>())));
        turns(3).await;
        let child = all_tasks().find(|task| task.parent() == Some(all.id()));
        child.unwrap().cancel_with("by hand");
        let error = all.await.unwrap().unwrap_err();
        assert!(matches!(error.first(), GroupFailure::Cancelled(cancelled)
            if cancelled.reason == "by hand"));
    });
}

#[test]
fn a_race_is_won_by_the_first_and_the_losers_are_dropped_before_it_returns() {
    run(async {
        let dropped = Journal::default();
        let winner = race([30, 10, 20].map(|delay| nap(delay, delay, dropped.clone())));
        assert_eq!(winner.await.unwrap(), 10);
        assert_eq!(dropped.take(), [10, 30, 20]);
        assert_eq!(all_tasks().len(), 1);
        // In one turn the first in the queue wins.
        assert_eq!(race((1..9).map(ready)).await.unwrap(), 1);
    });
}

#[test]
fn a_race_of_nobody_is_refused() {
    let message = common::panic_message(|| {
        run(async { race(Vec::<std::future::Ready<()>>::new()).await.unwrap() });
    });
    assert_eq!(message, "a race needs at least one future");
}

#[test]
fn results_come_in_the_order_of_their_ends_also_when_several_end_in_one_turn() {
    run(async {
        let ended = Journal::default();
        let delays = [30, 10, 20, 10, 20];
        let mut ends = as_completed(delays.map(|delay| nap(delay, delay, ended.clone())));
        assert_eq!(ends.len(), 5);
        let first = ends
            .next()
            .await
            .map(|(index, result)| (index, result.unwrap()));
        assert_eq!(first, Some((1, 10)));
        let rest: Vec<_> = ends
            .by_ref()
            .map(|(index, result)| (index, result.unwrap()))
            .collect()
            .await;
        assert_eq!(rest, [(3, 10), (2, 20), (4, 20), (0, 30)]);
        assert!(ends.is_empty() && ends.next().await.is_none());
    });
}

#[test]
fn those_that_were_not_waited_for_are_dropped_with_the_stream() {
    run(async {
        let dropped = Journal::default();
        let mut ends = as_completed((1..5).map(|delay| nap(delay, delay, dropped.clone())));
        assert_eq!(ends.next().await.unwrap().0, 0);
        // A wait that is given up loses nothing.
        assert!(timeout(ms(0), ends.next()).await.is_err());
        assert_eq!(ends.next().await.unwrap().0, 1);
        drop(ends);
        assert_eq!(dropped.take(), [1, 2, 3, 4]);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn one_that_is_cancelled_or_panics_is_handed_out_like_the_others() {
    quietly(|| {
        run(async {
            let fail = Rc::new(Cell::new(true));
            let mut ends = as_completed((0..2).map(|_| {
                let fail = fail.clone();
                async move {
                    if fail.take() {
                        panic!("on purpose");
                    }
                    pending::<()>().await;
                }
            }));
            let (index, result) = ends.next().await.unwrap();
            assert!(index == 0 && matches!(result, Err(JoinError::Panicked(_))));
            let left = all_tasks().last().unwrap();
            left.cancel_with("by hand");
            let (index, result) = ends.next().await.unwrap();
            assert!(index == 1 && matches!(result, Err(JoinError::Cancelled(_))));
            assert!(ends.next().await.is_none());
        });
    });
}
