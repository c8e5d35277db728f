//! Connections that ask for much and take little of it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use monoloop_runtime::time;

use crate::attack::arena::Arena;
use crate::attack::peer::Peer;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// Each of these has the two kernels hold megabytes of answers, so they are few.
const CONNECTIONS_MAX: usize = 50;

/// Requests of one write. Many writes follow one another until the server stops reading.
const REQUESTS_PER_WRITE: usize = 200;

/// A server that has not taken a byte for that long waits for us to read.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// Bytes a slow reader takes at a time: less than would ever open the window of TCP again.
const SIP_BYTES: usize = 4;

/// How long a byte may take to be sent where there is room for it: no time at all.
const TASTE: Duration = Duration::from_millis(2);

/// Answers that nobody takes.
pub(crate) struct NoRead;

impl Attack for NoRead {
    fn name(&self) -> &'static str {
        "no-read"
    }

    fn about(&self) -> &'static str {
        "asks again and again and never reads an answer (CVE-2019-9517, on HTTP/1.1)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["write_timeout", "too_slow"]
    }

    /// Until the server is full of answers it has to give them.
    fn saturates(&self) -> bool {
        true
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(CONNECTIONS_MAX);
        boxed(async move { arena.each(count, no_read).await })
    }
}

async fn no_read(arena: Rc<Arena>, number: usize) {
    let (limit, expected) = limits(&arena);
    let Some(mut peer) = arena.connect(number, "no-read").await else {
        return;
    };
    let mut requests = requests(&arena);
    let seen = match fill(&arena, &mut peer, &mut requests).await {
        Filled::Gone => Seen::Reset,
        Filled::Stuck => wait_deaf(&mut peer, &mut requests, limit).await,
    };
    arena.judge("no-read", seen, &peer, &expected);
}

/// Keeps asking, as far as that goes, until the server has gone.
pub(super) async fn wait_deaf(peer: &mut Peer, flood: &mut Flood, limit: Duration) -> Seen {
    let until = time::now() + limit;
    loop {
        let left = until.saturating_duration_since(time::now());
        match time::timeout(left, flood.send_some(peer)).await {
            Ok(Ok(())) if !left.is_zero() => {}
            Ok(Ok(())) | Err(_) => return Seen::Open,
            Ok(Err(_)) => return Seen::Reset,
        }
    }
}

/// The same again and again, without a gap wherever a write has ended.
pub(super) struct Flood {
    bytes: Vec<u8>,
    sent: usize,
}

impl Flood {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    async fn send_some(&mut self, peer: &mut Peer) -> io::Result<()> {
        self.sent += peer.send_some_deaf(&self.bytes[self.sent..]).await?;
        if self.sent == self.bytes.len() {
            self.sent = 0;
        }
        Ok(())
    }
}

/// Answers that are taken by the sip.
pub(crate) struct SlowRead;

impl Attack for SlowRead {
    fn name(&self) -> &'static str {
        "slow-read"
    }

    fn about(&self) -> &'static str {
        "asks again and again and reads a few bytes now and then (Slow Read, Shekyan 2012)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["write_timeout", "too_slow"]
    }

    /// Until the server is full of answers it has to give them.
    fn saturates(&self) -> bool {
        true
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(CONNECTIONS_MAX);
        boxed(async move { arena.each(count, slow_read).await })
    }
}

async fn slow_read(arena: Rc<Arena>, number: usize) {
    let (limit, expected) = limits(&arena);
    let Some(mut peer) = arena.connect(number, "slow-read").await else {
        return;
    };
    let seen = match fill(&arena, &mut peer, &mut requests(&arena)).await {
        Filled::Gone => Seen::Reset,
        Filled::Stuck => sip(&arena, &mut peer, limit).await,
    };
    arena.judge("slow-read", seen, &peer, &expected);
}

async fn sip(arena: &Arena, peer: &mut Peer, limit: Duration) -> Seen {
    let until = time::now() + limit;
    let period = Arena::drip_period(arena.timeouts.write);
    while time::now() < until {
        time::sleep(period).await;
        match peer.sip(&mut [0; SIP_BYTES]).await {
            Ok(0) => return Seen::Closed,
            Ok(_) => {}
            Err(_) => return Seen::Reset,
        }
        // What had come before a reset is read before the reset is: only who writes hears of it.
        if let Ok(Err(_)) = time::timeout(TASTE, peer.send_deaf(b"G")).await {
            return Seen::Reset;
        }
    }
    Seen::Open
}

fn requests(arena: &Arena) -> Flood {
    Flood::of(arena.get().repeat(REQUESTS_PER_WRITE))
}

pub(super) fn limits(arena: &Arena) -> (Duration, Expected) {
    // Both kernels hold megabytes on the way: what of them still moves when we are stuck is progress to
    // the server, and the last of it may be a good while later.
    let limit = 2 * arena.timeouts.write + arena.grace;
    (limit, Expected::new([Seen::Reset, Seen::Closed], limit))
}

pub(super) enum Filled {
    /// The server reads no more, because it cannot write any more.
    Stuck,
    /// The server had enough before.
    Gone,
}

/// Asks until the server is full of answers. The clock starts when it is.
pub(super) async fn fill(arena: &Arena, peer: &mut Peer, flood: &mut Flood) -> Filled {
    let filled = loop {
        match time::timeout(STUCK_AFTER, flood.send_some(peer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break Filled::Gone,
            Err(_) => break Filled::Stuck,
        }
        if arena.is_interrupted.get() {
            break Filled::Gone;
        }
    };
    peer.start_clock();
    filled
}
