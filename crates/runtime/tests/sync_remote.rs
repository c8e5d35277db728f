//! The channel from other threads into a loop.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{panic_message, poll_once, run, turns};
use futures_util::stream::StreamExt;
use monoloop_runtime::sync::{SendError, TryRecvError, TrySendError, remote};
use monoloop_runtime::{Runtime, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::thread;

#[test]
fn what_many_threads_send_arrives_once_and_in_the_order_of_each_thread() {
    // Miri takes its time.
    let each = if cfg!(miri) { 20 } else { 2000 };
    let (sender, receiver) = remote::channel(7);
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                for value in 0..each {
                    sender.send_blocking((number, value)).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut runtime = Runtime::new().unwrap();
    let received: Vec<_> = runtime.block_on(receiver.collect());
    for number in 0..4 {
        let of_one: Vec<_> = received
            .iter()
            .filter(|(from, _)| *from == number)
            .collect();
        assert!(of_one.iter().map(|(_, value)| *value).eq(0..each));
    }
    assert_eq!(received.len(), 4 * each);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_full_channel_refuses_what_does_not_wait() {
    let (sender, mut receiver) = remote::channel(1);
    sender.try_send(1).unwrap();
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.try_send(2).unwrap();
    receiver.close();
    assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_thread_that_waits_for_room_is_told_when_the_receiver_goes() {
    for close_only in [true, false] {
        let (sender, mut receiver) = remote::channel(1);
        sender.try_send(1).unwrap();
        let begun = Arc::new(Barrier::new(2));
        let thread = thread::spawn({
            let begun = begun.clone();
            move || {
                begun.wait();
                sender.send_blocking(2)
            }
        });
        begun.wait();
        if close_only {
            receiver.close();
            assert_eq!(receiver.try_recv(), Ok(1));
        } else {
            drop(receiver);
        }
        assert_eq!(thread.join().unwrap(), Err(SendError(2)));
    }
}

#[test]
fn a_receiver_that_waits_is_woken_when_the_last_sender_goes_and_not_before() {
    run(async {
        let (sender, mut receiver) = remote::channel::<u32>(1);
        let last = sender.clone();
        let waiting = spawn(async move { receiver.recv().await });
        turns(2).await;
        let steps = waiting.task().steps();
        thread::spawn(move || drop(sender)).join().unwrap();
        turns(2).await;
        assert_eq!(waiting.task().steps(), steps, "there is another sender");
        thread::spawn(move || drop(last)).join().unwrap();
        turns(2).await;
        assert!(waiting.is_finished(), "the end has woken it");
        assert_eq!(waiting.await.unwrap(), None);
    });
}

#[test]
fn sending_with_blocking_inside_a_task_panics_instead_of_stopping_the_loop() {
    let (sender, _receiver) = remote::channel(1);
    let message = panic_message(|| {
        let _ = Runtime::new()
            .unwrap()
            .block_on(async { sender.send_blocking(1) });
    });
    assert!(
        message.starts_with("send_blocking was called inside a task"),
        "{message}"
    );
}

#[test]
fn a_task_on_an_always_full_channel_does_not_starve_a_ticker() {
    run(async {
        let (sender, mut receiver) = remote::channel(1280);
        for number in 0..1280 {
            sender.try_send(number).unwrap();
        }
        let ticks = Rc::new(Cell::new(0));
        let count = ticks.clone();
        let ticker = spawn(async move {
            loop {
                count.set(count.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..1280 {
            receiver.recv().await.unwrap();
        }
        ticker.cancel();
        assert!(ticks.get() >= 9, "{}", ticks.get());
        turns(2).await;
    });
}

#[test]
fn a_receive_that_is_dropped_loses_nothing_and_a_later_one_is_woken() {
    run(async {
        let (sender, mut receiver) = remote::channel(4);
        let mut dropped = Box::pin(receiver.recv());
        assert!(poll_once(&mut dropped).await.is_pending());
        drop(dropped);
        let task = spawn(async move { (receiver.recv().await, receiver.recv().await) });
        turns(2).await;
        let thread = thread::spawn(move || sender.try_send(1).is_ok());
        assert_eq!(task.await.unwrap(), (Some(1), None));
        assert!(thread.join().unwrap());
    });
}

#[test]
fn values_left_in_the_channel_are_dropped_outside_of_its_lock() {
    struct Asks(remote::Sender<Asks>);
    impl Drop for Asks {
        fn drop(&mut self) {
            assert!(self.0.is_closed());
        }
    }
    let (sender, receiver) = remote::channel(4);
    for _ in 0..3 {
        sender.try_send(Asks(sender.clone())).ok().unwrap();
    }
    drop(receiver);
    assert!(sender.is_closed());
}
