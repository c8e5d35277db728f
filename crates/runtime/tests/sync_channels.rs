//! Channels and promises: what comes out is what went in, in order, and who waits for a side that
//! is gone is told.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, OnWake, ms, on_drop, panic_message, poll_once, run, turns};
use futures_util::future::{FutureExt, join_all};
use futures_util::stream::StreamExt;
use monoloop_runtime::sync::promise::{Outcome, PromiseError, promise};
use monoloop_runtime::sync::{
    Closed, SendError, TryRecvError, TrySendError, broadcast, mpsc, oneshot, watch,
};
use monoloop_runtime::time::timeout;
use monoloop_runtime::{Cancelled, context_var, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

fn boxed<'a, F: Future + 'a>(future: F) -> Pin<Box<dyn Future<Output = F::Output> + 'a>> {
    Box::pin(future)
}

/// Polls with a waker that does nothing.
fn poll_noop<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// How often the others run while `work` goes on.
fn ticks_beside(work: impl Future<Output = ()>) -> u32 {
    run(async {
        let ticks = Rc::new(Cell::new(0));
        let ticker = spawn({
            let ticks = ticks.clone();
            async move {
                loop {
                    ticks.set(ticks.get() + 1);
                    yield_now().await;
                }
            }
        });
        work.await;
        ticker.cancel();
        ticks.get()
    })
}

// oneshot

#[test]
fn a_oneshot_value_is_received_once() {
    let (sender, mut receiver) = oneshot::channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(poll_noop(&mut receiver).is_pending());
    sender.send(1).unwrap();
    assert_eq!(poll_noop(&mut receiver), Poll::Ready(Ok(1)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn each_side_of_a_oneshot_sees_when_the_other_is_gone() {
    run(async {
        let (sender, receiver) = oneshot::channel::<u32>();
        let waiting = spawn(receiver);
        turns(2).await;
        drop(sender);
        assert_eq!(waiting.await.unwrap(), Err(Closed));

        let (mut sender, receiver) = oneshot::channel::<u32>();
        let waiting = spawn(async move {
            sender.closed().await;
            sender.send(1)
        });
        turns(2).await;
        drop(receiver);
        assert_eq!(waiting.await.unwrap(), Err(1));
    });
}

#[test]
fn a_value_sent_before_the_close_is_still_received() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(1));
    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(1));
    assert_eq!(poll_noop(&mut receiver), Poll::Ready(Err(Closed)));
}

#[test]
fn a_oneshot_value_that_nobody_received_is_dropped_with_the_receiver() {
    let drops = Rc::new(Cell::new(0));
    let count = drops.clone();
    let (sender, receiver) = oneshot::channel();
    let value = on_drop(move || count.set(count.get() + 1));
    assert!(sender.send(value).is_ok());
    assert_eq!(drops.get(), 0);
    drop(receiver);
    assert_eq!(drops.get(), 1);
}

// mpsc

#[test]
fn a_full_queue_makes_senders_wait_and_takes_their_values_in_order() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let sender = sender.clone();
                spawn(async move { sender.send(number).await })
            })
            .collect();
        turns(2).await;
        assert_eq!((receiver.len(), sender.is_full()), (2, true));
        assert_eq!(sender.try_send(99), Err(TrySendError::Full(99)));
        drop(sender);
        let mut received = Vec::new();
        while let Ok(value) = receiver.try_recv() {
            received.push(value);
        }
        // No sender had to run for that.
        assert_eq!(received, (0..10).collect::<Vec<_>>());
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(receiver.recv().await, None);
    });
}

#[test]
fn nobody_gets_in_before_a_sender_that_waits() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut waiting = boxed(sender.send(2));
    assert!(poll_noop(&mut waiting).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(receiver.try_recv(), Ok(2));
    sender.try_send(3).unwrap();
    assert!(poll_noop(&mut waiting).is_ready());
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn a_send_that_is_dropped_while_it_waits_sends_nothing_and_drops_its_value() {
    let drops = Rc::new(Cell::new(0));
    let value = || {
        let count = drops.clone();
        on_drop(move || count.set(count.get() + 1))
    };
    let (sender, mut receiver) = mpsc::channel(1);
    assert!(sender.try_send(value()).is_ok());
    let mut dropped = boxed(sender.send(value()));
    let mut kept = boxed(sender.send(value()));
    assert!(poll_noop(&mut dropped).is_pending() && poll_noop(&mut kept).is_pending());
    drop(dropped);
    assert_eq!(drops.get(), 1);
    assert!(receiver.try_recv().is_ok());
    // This one was accepted: it is sent whatever becomes of the future.
    drop(kept);
    assert_eq!((drops.get(), receiver.len()), (2, 1));
    assert!(receiver.try_recv().is_ok());
    assert!(receiver.try_recv().is_err());
}

#[test]
fn room_that_is_reserved_is_held_and_free_again_when_it_is_dropped() {
    let (sender, mut receiver) = mpsc::channel(1);
    let Poll::Ready(Ok(room)) = poll_noop(&mut boxed(sender.reserve())) else {
        panic!("there is room");
    };
    let mut waiting = boxed(sender.send(2));
    assert!(poll_noop(&mut waiting).is_pending());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(room);
    assert_eq!(receiver.try_recv(), Ok(2));
    assert!(poll_noop(&mut waiting).is_ready());
    let Poll::Ready(Ok(room)) = poll_noop(&mut boxed(sender.reserve())) else {
        panic!("there is room");
    };
    let mut waiting = boxed(sender.send(4));
    assert!(poll_noop(&mut waiting).is_pending());
    room.send(3);
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(3), Ok(4)));
}

#[test]
fn room_of_one_that_is_dropped_after_it_was_chosen_goes_to_the_next() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let (mut first, mut second) = (boxed(sender.reserve()), boxed(sender.send(2)));
        assert!(poll_noop(&mut first).is_pending() && poll_noop(&mut second).is_pending());
        assert_eq!(receiver.recv().await, Some(1));
        let receiving = spawn(async move { receiver.recv().await });
        turns(2).await;
        // The receiver is woken by what takes the room.
        drop(first);
        turns(2).await;
        assert_eq!(receiving.now_or_never().unwrap().unwrap(), Some(2));
    });
}

#[test]
fn a_queue_ends_when_its_last_sender_is_gone_and_nothing_is_reserved() {
    run(async {
        let (sender, mut receiver) = mpsc::channel::<u32>(4);
        let other = sender.clone();
        let room = other.reserve().await.unwrap();
        drop(sender);
        let mut receiving = boxed(receiver.recv());
        assert!(poll_once(&mut receiving).await.is_pending());
        room.send(7);
        assert_eq!(receiving.await, Some(7));
        drop(other);
        assert_eq!(receiver.recv().await, None);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn closing_a_queue_returns_what_waits_and_keeps_what_is_in_it() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let room = sender.reserve().await.unwrap();
        sender.try_send(1).unwrap();
        let mut waiting = boxed(sender.send(2));
        let mut reserving = boxed(sender.reserve());
        let mut closed = boxed(sender.closed());
        assert!(poll_noop(&mut waiting).is_pending() && poll_noop(&mut reserving).is_pending());
        assert!(poll_noop(&mut closed).is_pending());
        receiver.close();
        assert_eq!(poll_noop(&mut waiting), Poll::Ready(Err(SendError(2))));
        assert!(matches!(
            poll_noop(&mut reserving),
            Poll::Ready(Err(Closed))
        ));
        assert!(poll_noop(&mut closed).is_ready());
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!(sender.send(3).await, Err(SendError(3)));
        room.send(4);
        assert_eq!(receiver.collect::<Vec<_>>().await, [1, 4]);
    });
}

#[test]
fn room_given_up_after_the_close_ends_the_queue() {
    run(async {
        let (sender, mut receiver) = mpsc::channel::<u32>(1);
        let room = sender.reserve().await.unwrap();
        receiver.close();
        let receiving = spawn(async move { receiver.recv().await });
        turns(2).await;
        drop(room);
        turns(2).await;
        assert_eq!(receiving.now_or_never().unwrap().unwrap(), None);
    });
}

#[test]
fn values_that_hold_a_sender_of_their_own_queue_are_dropped_with_the_receiver() {
    struct Holds(mpsc::Sender<Holds>, Rc<Cell<u32>>);
    impl Drop for Holds {
        fn drop(&mut self) {
            assert!(self.0.is_closed() && self.0.is_empty());
            self.1.set(self.1.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = mpsc::channel(3);
    for _ in 0..3 {
        let value = Holds(sender.clone(), drops.clone());
        assert!(sender.try_send(value).is_ok());
    }
    let mut waiting = boxed(sender.send(Holds(sender.clone(), drops.clone())));
    assert!(poll_noop(&mut waiting).is_pending());
    drop(receiver);
    assert_eq!(drops.get(), 3);
    assert!(matches!(poll_noop(&mut waiting), Poll::Ready(Err(_))));
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_task_on_an_always_full_queue_does_not_starve_a_ticker() {
    let (sender, mut receiver) = mpsc::channel(1280);
    for number in 0..1280 {
        sender.try_send(number).unwrap();
    }
    let ticks = ticks_beside(async move {
        for _ in 0..1280 {
            receiver.recv().await.unwrap();
        }
    });
    assert!(ticks >= 9, "it ran {ticks} times beside 1,280 receives");
}

#[test]
fn a_receive_that_is_dropped_is_not_woken_and_loses_nothing() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(4);
        assert!(timeout(ms(1), receiver.recv()).await.is_err());
        sender.try_send(1).unwrap();
        assert_eq!(receiver.recv().await, Some(1));
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        let waker = Waker::from(Arc::new(OnWake(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        let mut receiving = boxed(receiver.recv());
        assert!(
            receiving
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(receiving);
        sender.try_send(2).unwrap();
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        assert_eq!(receiver.recv().await, Some(2));
    });
}

#[test]
fn many_senders_under_one_combinator_all_get_through() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(3);
        let sending = join_all((0..100).map(|number| sender.send(number)));
        let receiving = async {
            let mut received = Vec::new();
            while received.len() < 100 {
                received.push(receiver.recv().await.unwrap());
            }
            received
        };
        let (sent, received) = futures_util::future::join(sending, receiving).await;
        assert!(sent.iter().all(Result::is_ok));
        assert_eq!(received, (0..100).collect::<Vec<_>>());
    });
}

// watch

#[test]
fn a_follower_sees_the_latest_value_and_each_change_once() {
    run(async {
        let (sender, mut receiver) = watch::channel(0);
        assert!(!receiver.has_changed());
        assert!(receiver.changed().now_or_never().is_none());
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let mut clone = receiver.clone();
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.get(), 2);
        assert!(receiver.changed().now_or_never().is_none());
        assert!(clone.has_changed());
        assert_eq!(*clone.get_and_mark_seen(), 2);
        assert!(!clone.has_changed() && !sender.subscribe().has_changed());
    });
}

#[test]
fn the_last_change_is_seen_before_the_end() {
    run(async {
        let (sender, mut receiver) = watch::channel(0);
        let other = sender.clone();
        drop(sender);
        other.send(1).unwrap();
        drop(other);
        assert!(receiver.is_closed());
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.changed().await, Err(Closed));
        assert_eq!(*receiver.get(), 1);
        assert_eq!(receiver.wait_for(|value| *value == 2).await, Err(Closed));
        assert_eq!(
            receiver.wait_for(|value| *value == 1).await.as_deref(),
            Ok(&1)
        );
    });
}

#[test]
fn followers_that_wait_are_woken_in_their_order_by_a_change_or_the_end() {
    run(async {
        let (sender, receiver) = watch::channel(0);
        let journal = Journal::default();
        for number in 0..3 {
            let (mut receiver, journal) = (receiver.clone(), journal.clone());
            drop(spawn(async move {
                while receiver.changed().await.is_ok() {
                    journal.add((number, *receiver.get()));
                }
                journal.add((number, 99));
            }));
        }
        turns(2).await;
        sender.send(5).unwrap();
        turns(2).await;
        assert_eq!(journal.take(), [(0, 5), (1, 5), (2, 5)]);
        drop(sender);
        turns(2).await;
        assert_eq!(journal.take(), [(0, 99), (1, 99), (2, 99)]);
    });
}

#[test]
fn a_sender_sees_when_nobody_follows_any_more() {
    run(async {
        let (sender, receiver) = watch::channel(0);
        let mut closed = boxed(sender.closed());
        assert!(poll_once(&mut closed).await.is_pending());
        drop(receiver);
        closed.await;
        assert_eq!(sender.send(1), Err(SendError(1)));
        assert_eq!(*sender.send_replace(2), 0);
        let receiver = sender.subscribe();
        assert!(sender.closed().now_or_never().is_none());
        assert_eq!((*receiver.get(), receiver.has_changed()), (2, false));
    });
}

#[test]
fn a_snapshot_stays_as_it_is_and_a_change_may_use_the_channel() {
    let (sender, receiver) = watch::channel(vec![1]);
    let snapshot = receiver.get();
    sender.send_modify(|value| {
        value.extend_from_slice(&receiver.get());
        value.push(2);
    });
    assert_eq!((&*snapshot, &*receiver.get()), (&vec![1], &vec![1, 1, 2]));
}

#[test]
fn a_value_may_use_the_watch_that_drops_it() {
    struct Reads(
        Rc<RefCell<Option<watch::Receiver<Option<Reads>>>>>,
        Rc<Cell<u32>>,
    );
    impl Drop for Reads {
        fn drop(&mut self) {
            let receiver = self.0.borrow();
            assert!(receiver.as_ref().unwrap().get().is_none());
            self.1.set(self.1.get() + 1);
        }
    }
    let (own, drops) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let (sender, receiver) = watch::channel(Some(Reads(own.clone(), drops.clone())));
    *own.borrow_mut() = Some(receiver);
    sender.send(None).unwrap();
    assert_eq!(drops.get(), 1);
}

// broadcast

#[test]
fn every_receiver_gets_every_value_since_it_subscribed() {
    run(async {
        let (sender, mut first) = broadcast::channel(8);
        assert_eq!(sender.send(1).unwrap(), 1);
        let mut second = sender.subscribe();
        assert_eq!(sender.send(2).unwrap(), 2);
        assert_eq!((first.len(), second.len()), (2, 1));
        assert_eq!((first.recv().await, first.recv().await), (Ok(1), Ok(2)));
        assert_eq!(second.recv().await, Ok(2));
        assert_eq!(first.try_recv(), Err(broadcast::TryRecvError::Empty));
        assert!(sender.is_empty());
        sender.send(3).unwrap();
        drop(sender);
        assert_eq!(first.recv().await, Ok(3));
        assert_eq!(first.recv().await, Err(broadcast::RecvError::Closed));
        assert_eq!(second.recv().await, Ok(3));
    });
}

#[test]
fn who_is_too_slow_is_told_how_many_it_missed_and_goes_on_with_the_oldest() {
    let (sender, mut slow) = broadcast::channel(3);
    let mut quick = sender.subscribe();
    for number in 0..10 {
        sender.send(number).unwrap();
        assert_eq!(quick.try_recv(), Ok(number));
    }
    assert_eq!(slow.len(), 10);
    assert_eq!(slow.try_recv(), Err(broadcast::TryRecvError::Lagged(7)));
    let left: Vec<_> = std::iter::from_fn(|| slow.try_recv().ok()).collect();
    assert_eq!(left, [7, 8, 9]);
}

#[test]
fn a_value_is_dropped_as_soon_as_all_have_it_or_are_gone() {
    let (sender, mut first) = broadcast::channel(8);
    let second = sender.subscribe();
    let value = Rc::new(());
    for _ in 0..3 {
        sender.send(value.clone()).unwrap();
    }
    assert_eq!(Rc::strong_count(&value), 4);
    drop(first.try_recv());
    assert_eq!((Rc::strong_count(&value), sender.len()), (4, 3));
    drop(second);
    assert_eq!((Rc::strong_count(&value), sender.len()), (3, 2));
    drop(first);
    assert_eq!(Rc::strong_count(&value), 1);
    assert!(sender.send(value).is_err());
}

#[test]
fn a_value_may_send_on_the_broadcast_that_drops_or_clones_it() {
    struct Sends(broadcast::Sender<Option<Sends>>);
    impl Clone for Sends {
        fn clone(&self) -> Self {
            let _ = self.0.send(None);
            Sends(self.0.clone())
        }
    }
    impl Drop for Sends {
        fn drop(&mut self) {
            let _ = self.0.send(None);
        }
    }
    let (sender, mut one) = broadcast::channel(2);
    let other = sender.subscribe();
    for _ in 0..4 {
        assert!(sender.send(Some(Sends(sender.clone()))).is_ok());
        drop(one.try_recv());
    }
    drop(one);
    drop(other);
    assert!(sender.is_empty());
}

#[test]
fn receivers_that_wait_are_woken_by_a_value_or_the_end_and_cancelling_one_loses_nothing() {
    run(async {
        let (sender, receiver) = broadcast::channel(4);
        let mut tasks: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.resubscribe();
                spawn(async move {
                    let mut received = Vec::new();
                    while let Ok(value) = receiver.recv().await {
                        received.push(value);
                    }
                    received
                })
            })
            .collect();
        drop(receiver);
        turns(2).await;
        sender.send(1).unwrap();
        let cancelled = tasks.remove(0);
        cancelled.cancel();
        assert!(cancelled.await.is_err());
        assert_eq!(sender.send(2).unwrap(), 2);
        drop(sender);
        for task in tasks {
            assert_eq!(task.await.unwrap(), [1, 2]);
        }
    });
}

#[test]
fn a_task_on_a_busy_broadcast_does_not_starve_a_ticker() {
    let (sender, mut receiver) = broadcast::channel(1280);
    for number in 0..1280 {
        sender.send(number).unwrap();
    }
    let ticks = ticks_beside(async move {
        for _ in 0..1280 {
            receiver.recv().await.unwrap();
        }
    });
    assert!(ticks >= 9, "it ran {ticks} times beside 1,280 receives");
}

// promise

context_var! {
    static NAME: &'static str = "none";
}

#[test]
fn a_promise_is_kept_failed_cancelled_or_broken_and_says_so() {
    run(async {
        let (kept, awaited) = promise::<u32, &str>();
        kept.set(1).unwrap();
        assert_eq!(
            (awaited.outcome(), awaited.await),
            (Some(Outcome::Set), Ok(1))
        );

        let (failed, awaited) = promise::<u32, &str>();
        failed.fail("no").unwrap();
        assert_eq!(awaited.await, Err(PromiseError::Failed("no")));

        let (cancelled, mut awaited) = promise::<u32, &str>();
        assert!(poll_once(&mut awaited).await.is_pending());
        assert!(awaited.cancel("not needed"));
        assert!(!cancelled.cancel("too late") && cancelled.is_unwanted());
        assert_eq!(cancelled.set(1), Err(1));
        let reason = "not needed";
        assert_eq!(awaited.outcome(), Some(Outcome::Cancelled));
        assert_eq!(
            awaited.await,
            Err(PromiseError::Cancelled(Cancelled { reason }))
        );

        let (broken, awaited) = promise::<u32, &str>();
        drop(broken);
        assert_eq!(awaited.await, Err(PromiseError::Broken));
    });
}

#[test]
fn who_promised_sees_when_nobody_will_take_the_result() {
    run(async {
        for cancel in [true, false] {
            let (mut promised, awaited) = promise::<u32, ()>();
            let task = spawn(async move {
                promised.unwanted().await;
                promised.set(1)
            });
            turns(2).await;
            if cancel {
                awaited.cancel("not needed");
            }
            drop(awaited);
            assert_eq!(task.await.unwrap(), Err(1));
        }
    });
}

#[test]
fn callbacks_run_soon_in_order_and_each_in_its_context() {
    run(async {
        let journal = Journal::default();
        let (kept, awaited) = promise::<u32, ()>();
        for (number, name) in ["one", "two"].into_iter().enumerate() {
            let journal = journal.clone();
            let token = NAME.set(name);
            awaited.on_settled(move |outcome| {
                journal.add((number, outcome, NAME.get().unwrap_or("none")));
            });
            NAME.reset(token);
        }
        kept.set(1).unwrap();
        assert_eq!(journal.take(), []);
        turns(1).await;
        let expected = [(0, Outcome::Set, "one"), (1, Outcome::Set, "two")];
        assert_eq!(journal.take(), expected);
        let late = journal.clone();
        awaited.on_settled(move |outcome| late.add((2, outcome, NAME.get().unwrap_or("none"))));
        turns(1).await;
        assert_eq!(journal.take(), [(2, Outcome::Set, "none")]);
        assert_eq!(awaited.await, Ok(1));
    });
}

#[test]
fn callbacks_run_without_a_loop_and_when_nobody_awaits() {
    let journal = Journal::default();
    let (kept, awaited) = promise::<u32, ()>();
    let told = journal.clone();
    awaited.on_settled(move |outcome| told.add(outcome));
    drop(awaited);
    assert_eq!(kept.set(1), Err(1));
    assert_eq!(journal.take(), [Outcome::Set]);
}

#[test]
fn a_result_stays_until_it_is_taken() {
    let (kept, mut awaited) = promise::<u32, ()>();
    assert!(poll_noop(&mut awaited).is_pending());
    assert!(awaited.try_take().is_none() && !awaited.is_settled());
    kept.set(1).unwrap();
    assert_eq!(awaited.try_take(), Some(Ok(1)));
    let message = panic_message(move || drop(poll_noop(&mut awaited)));
    assert_eq!(message, "a Promised was polled after it had answered");
}
