//! What a turn did, what all turns did, and what goes on in the blocking pool.

use std::time::Duration;

/// What one turn of the loop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TurnStats {
    /// Whether the operating system was asked for I/O in this turn.
    pub polled: bool,
    /// I/O events that were reported.
    pub events: usize,
    /// Timers that were due.
    pub timers: usize,
    /// Wakes from other threads.
    pub remote_wakes: usize,
    /// Functions that other threads gave to the loop.
    pub remote_calls: usize,
    /// Tasks that all of these made ready. One that was ready already is not made so.
    pub woken: usize,
    /// Tasks that were stepped.
    pub steps: usize,
    /// Tasks that are ready when the turn ends, for the next.
    pub ready: usize,
}

/// What all turns of a loop did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoopStats {
    /// Turns taken.
    pub turns: u64,
    /// Tasks stepped.
    pub steps: u64,
    /// Tasks alive, finished ones that nobody has joined yet included.
    pub tasks: usize,
    /// Timers armed.
    pub timers: usize,
    /// Sockets open.
    pub sockets: usize,
}

/// What goes on in a loop's blocking pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BlockingStats {
    /// Threads there are, of [`Config::blocking_threads_max`](crate::Config::blocking_threads_max)
    /// there may be.
    pub threads: usize,
    /// Threads that have nothing to do.
    pub idle: usize,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// Callers that wait for a place in the queue.
    pub in_line: usize,
    /// Jobs that have run, those that panicked included.
    pub finished: u64,
    /// The longest that a job has waited for its thread so far, the time in line included.
    pub longest_wait: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockMode;
    use crate::net::{TcpListener, TcpStream};
    use crate::runtime::Runtime;
    use crate::{loop_handle, spawn, time, yield_now};
    use std::future::Future;
    use std::panic::Location;
    use std::time::Duration;

    /// What each turn did until the future was done.
    fn turns_of(future: impl Future<Output = ()>) -> Vec<TurnStats> {
        let builder = Runtime::builder().clock(ClockMode::Jumping);
        let mut runtime = builder.build().expect("a test has descriptors");
        let mut turns = Vec::new();
        runtime.block_on_watched(Location::caller(), future, |_, turn| {
            turns.push(turn.expect("the system waits"));
        });
        turns
    }

    #[test]
    fn a_turn_tells_what_it_stepped_and_what_is_ready_for_the_next() {
        let turns = turns_of(async {
            let tasks = [spawn(async {}), spawn(async {})];
            yield_now().await;
            for task in tasks {
                task.await.expect("it neither panics nor is cancelled");
            }
        });
        let told: Vec<_> = turns.iter().map(|turn| (turn.steps, turn.ready)).collect();
        assert_eq!(told, [(1, 3), (3, 0)]);
        assert!(turns[0].polled && !turns[1].polled);
        assert_eq!(turns[0].woken, 0, "main was ready before");
    }

    #[test]
    fn timers_and_what_they_wake_are_told_by_the_turn_that_found_them() {
        let turns = turns_of(async {
            let sleepers = [5, 5, 9].map(|ms| spawn(time::sleep(Duration::from_millis(ms))));
            for sleeper in sleepers {
                sleeper.await.expect("it neither panics nor is cancelled");
            }
        });
        let told = turns.iter().filter(|turn| turn.timers > 0);
        let told: Vec<_> = told
            .map(|turn| (turn.timers, turn.woken, turn.steps))
            .collect();
        assert_eq!(told, [(2, 2, 2), (1, 1, 1)]);
    }

    #[test]
    fn wakes_and_calls_of_other_threads_are_told_apart() {
        let turns = turns_of(async {
            let handle = loop_handle();
            let waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
            let other = std::thread::spawn(move || {
                waker.wake();
                handle.call_soon_threadsafe(|| ()).expect("the loop runs");
            });
            other.join().expect("it does not panic");
            yield_now().await;
        });
        assert_eq!((turns[0].remote_wakes, turns[0].remote_calls), (0, 0));
        let told = &turns[1];
        // Main was ready already, so that its wake makes nothing ready.
        assert_eq!(
            (told.remote_wakes, told.remote_calls, told.woken),
            (1, 1, 1)
        );
    }

    #[test]
    #[cfg_attr(
        miri,
        ignore = "Miri refuses TCP_NODELAY on a socket that it has accepted"
    )]
    fn a_turn_counts_the_events_of_sockets() {
        let turns = turns_of(async {
            let mut listener =
                TcpListener::bind("127.0.0.1:0".parse().expect("a test has a network"))
                    .expect("a test has a network");
            let address = listener.local_addr().expect("a test has a network");
            let peer = std::net::TcpStream::connect(address).expect("a test has a network");
            let (mut stream, _): (TcpStream, _) =
                listener.accept().await.expect("a test has a network");
            drop(peer);
            assert!(
                stream
                    .receive()
                    .await
                    .expect("a test has a network")
                    .is_empty()
            );
        });
        assert!(turns.iter().any(|turn| turn.polled && turn.events > 0));
    }
}
