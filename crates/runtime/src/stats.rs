//! What a turn did, and what all turns did.

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
    /// Tasks that were stepped.
    pub steps: usize,
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

#[cfg(test)]
mod tests {
    use super::TurnStats;
    use crate::net::{TcpListener, TcpStream};
    use crate::{ClockMode, Runtime, loop_handle, time, yield_now};
    use std::future::Future;
    use std::panic::Location;
    use std::time::Duration;

    fn turns(future: impl Future<Output = ()>) -> Vec<TurnStats> {
        let clock = Runtime::builder().clock(ClockMode::Jumping);
        let mut runtime = clock.build().unwrap();
        let mut turns = Vec::new();
        let look = |_: &_, turn: std::io::Result<_>| turns.push(turn.unwrap());
        runtime.block_on_watched(Location::caller(), future, look);
        turns
    }

    /// The turn in which something was found: who waited for it is stepped in the same.
    fn only(turns: &[TurnStats], found: impl Fn(&TurnStats) -> usize) -> TurnStats {
        let mut of_interest = turns.iter().filter(|turn| found(turn) > 0);
        let (turn, more) = (*of_interest.next().unwrap(), of_interest.next());
        assert_eq!((found(&turn), more), (1, None));
        assert_eq!(turn.steps, 1);
        turn
    }

    #[test]
    fn a_turn_counts_the_steps_it_runs() {
        let turns = turns(async {
            for _ in 0..3 {
                yield_now().await;
            }
        });
        assert_eq!(turns.iter().map(|turn| turn.steps).sum::<usize>(), 4);
        assert!(turns.iter().all(|turn| turn.steps == 1 && turn.events == 0));
        assert!(
            turns[0].polled && !turns[1].polled,
            "the system is asked now and then"
        );
    }

    #[test]
    fn a_turn_counts_the_timers_that_were_due() {
        let turns = turns(async { time::sleep(Duration::from_secs(5)).await });
        assert!(only(&turns, |turn| turn.timers).polled);
    }

    #[test]
    #[cfg_attr(
        miri,
        ignore = "Miri refuses TCP_NODELAY on a socket that it has accepted"
    )]
    fn a_turn_counts_the_events_of_sockets() {
        let turns = turns(async {
            let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let peer = std::net::TcpStream::connect(address).unwrap();
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            drop(peer);
            assert!(stream.receive().await.unwrap().is_empty());
        });
        assert!(turns.iter().any(|turn| turn.polled && turn.events > 0));
    }

    #[test]
    fn a_turn_counts_the_wakes_of_other_threads() {
        let turns = turns(async {
            let handle = loop_handle();
            let thread = std::thread::spawn(move || handle.call_soon_threadsafe(|| ()).is_ok());
            assert!(thread.join().unwrap());
            yield_now().await;
        });
        let remote: usize = turns.iter().map(|turn| turn.remote_wakes).sum();
        assert_eq!(remote, 1);
    }
}
