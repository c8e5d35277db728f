//! Every interleaving of the threads that meet in the inbox and in the channel into a loop, as far
//! as it takes no more than [`PREEMPTIONS`], with loom:
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p monoloop-runtime --lib interleavings`
//!
//! A wake that is lost leaves the test's loop waiting for ever, which loom reports as a deadlock.

use crate::inbox::{Inbox, Letter, Notify};
use crate::sync::{SendError, remote};
use crate::task::TaskId;
use loom::thread;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// How often a thread that could go on is stopped in favour of another, at most, in one history.
/// Nearly all known bugs of this kind need two (loom, `model::Builder::preemption_bound`).
const PREEMPTIONS: usize = 3;

fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(test);
}

/// Where a loop of these tests waits: as a driver, or as the waker of its one future.
struct Bell(loom::sync::Notify);

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::new(Bell(loom::sync::Notify::new()))
    }
}

impl Notify for Arc<Bell> {
    fn notify(&self) {
        self.0.notify();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Bell::new();
    let waker = Waker::from(bell.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bell.0.wait();
    }
}

fn letter(number: u64) -> Letter {
    Letter::Wake(TaskId::from_bits(1 << 32 | number))
}

fn numbers(letters: &mut Vec<Letter>) -> Vec<u64> {
    let numbers = letters.drain(..).map(|letter| match letter {
        Letter::Wake(id) => id.to_bits() & 0xffff_ffff,
        Letter::Call(_) => panic!("nobody called"),
    });
    numbers.collect()
}

#[test]
fn no_letter_is_left_in_the_inbox_of_a_loop_that_waits() {
    check(|| {
        let bell = Bell::new();
        let inbox = Inbox::new(Box::new(bell.clone()));
        for thread in 0..2 {
            let inbox = inbox.clone();
            thread::spawn(move || {
                for number in 0..(2 - thread) {
                    assert!(inbox.push(letter(10 * thread + number)).is_ok());
                }
            });
        }
        let (mut letters, mut received) = (Vec::new(), Vec::new());
        while received.len() < 3 {
            // As in a turn: wait, then drain.
            bell.0.wait();
            inbox.drain_into(&mut letters);
            received.extend(numbers(&mut letters));
        }
        let of = |thread| received.iter().filter(move |number| *number / 10 == thread);
        assert!(
            of(0).eq([0, 1].iter()) && of(1).eq([10].iter()),
            "{received:?}"
        );
    });
}

#[test]
fn a_letter_that_meets_the_end_of_the_loop_is_received_or_comes_back() {
    check(|| {
        let bell = Bell::new();
        let inbox = Inbox::new(Box::new(bell.clone()));
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let inbox = inbox.clone();
                thread::spawn(move || inbox.push(letter(number)).is_ok())
            })
            .collect();
        let mut letters = Vec::new();
        inbox.drain_into(&mut letters);
        letters.extend(inbox.close().expect("it is closed once"));
        let accepted = threads.into_iter().map(|thread| thread.join().unwrap());
        let accepted = accepted.filter(|accepted| *accepted).count();
        assert_eq!(numbers(&mut letters).len(), accepted);
        inbox.drain_into(&mut letters);
        assert!(letters.is_empty() && inbox.is_closed());
    });
}

#[test]
fn what_threads_send_into_a_full_channel_arrives_once_and_then_the_end() {
    check(|| {
        let (sender, mut receiver) = remote::channel(1);
        for thread in 0..2 {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..(2 - thread) {
                    assert_eq!(sender.send_blocking(10 * thread + number), Ok(()));
                }
            });
        }
        drop(sender);
        let mut received = Vec::new();
        while let Some(number) = block_on(receiver.recv()) {
            received.push(number);
        }
        received.sort_unstable();
        assert_eq!(received, [0, 1, 10]);
    });
}

#[test]
fn a_receiver_that_waits_sees_the_end_when_the_last_of_several_senders_goes() {
    check(|| {
        let (sender, mut receiver) = remote::channel::<u32>(1);
        let other = sender.clone();
        thread::spawn(move || drop(sender));
        thread::spawn(move || drop(other));
        assert_eq!(block_on(receiver.recv()), None);
    });
}

#[test]
fn threads_that_wait_for_room_get_their_values_back_when_the_receiver_goes() {
    check(|| {
        let (sender, mut receiver) = remote::channel(1);
        sender.try_send(0).unwrap();
        let threads: Vec<_> = (1..=2)
            .map(|number| {
                let sender = sender.clone();
                thread::spawn(move || sender.send_blocking(number))
            })
            .collect();
        assert_eq!(receiver.try_recv(), Ok(0));
        drop(receiver);
        for (thread, number) in threads.into_iter().zip(1..) {
            let sent = thread.join().unwrap();
            assert!(sent == Ok(()) || sent == Err(SendError(number)));
        }
        assert!(sender.is_closed());
    });
}
