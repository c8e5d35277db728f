//! As many connections as there can be.

use std::rc::Rc;
use std::time::Duration;

use monoloop_runtime::net::TcpStream;
use monoloop_runtime::time;

use crate::attack::arena::Arena;
use crate::attack::peer::Peer;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// More are not opened: the ports of one source are not many more, nor the files of most processes.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;

/// Connections begun at a time.
const CONNECTS_AT_ONCE: usize = 64;

/// Of all files this process may open, those that are not for holding connections.
const FILES_SPARED: u64 = 256;

/// After how long the server has to serve again when descriptors come back.
const SERVES_AGAIN_WITHIN: Duration = Duration::from_millis(500);

/// Every descriptor the server has.
pub(crate) struct FdExhaustion;

impl Attack for FdExhaustion {
    fn name(&self) -> &'static str {
        "fd-exhaustion"
    }

    fn about(&self) -> &'static str {
        "opens connections until the server, or this process, has no descriptor left, and lets go"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // Who connects, says nothing and goes has done nothing wrong.
        &["ok", "client_closed", "header_timeout", "limit", "shed"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(exhaust(arena))
    }
}

async fn exhaust(arena: Rc<Arena>) {
    let held = open_all(&arena, arena.timeouts.head / 2).await;
    // Who holds them longer than the timeout of a head only sees them cut off.
    time::sleep(arena.duration.min(arena.timeouts.head / 2)).await;
    let expected = Expected::new([Seen::Left], Duration::ZERO);
    for _ in &held {
        arena.record("held", Seen::Left, Duration::ZERO, &expected);
    }
    drop(held);
    serves_again(&arena).await;
}

/// Opens until a connection cannot be made, or there are enough, or time is up.
async fn open_all(arena: &Rc<Arena>, within: Duration) -> Vec<TcpStream> {
    let until = time::now() + within;
    let most = most_connections();
    let mut held = Vec::new();
    while held.len() < most && time::now() < until && !arena.is_interrupted.get() {
        let first = held.len();
        let attempts: Vec<_> = (first..most.min(first + CONNECTS_AT_ONCE))
            .map(|number| {
                let arena = Rc::clone(arena);
                monoloop_runtime::spawn(async move { arena.try_connect(number).await })
            })
            .collect();
        let mut failed = false;
        for attempt in attempts {
            match attempt.await {
                Ok(Some(stream)) => held.push(stream),
                Ok(None) | Err(_) => failed = true,
            }
        }
        if failed {
            break;
        }
    }
    held
}

/// A new client is answered soon after descriptors have come back.
async fn serves_again(arena: &Arena) {
    let began = time::now_precise();
    let expected = Expected::new([Seen::Served(200)], SERVES_AGAIN_WITHIN + arena.grace);
    let Some(stream) = arena.try_connect(0).await else {
        arena.fault("after it was let go the server takes no connection".into());
        return;
    };
    let mut peer = Peer::new(stream);
    peer.send(&arena.get()).await;
    let seen = peer.observe_answers(1, arena.timeouts.head).await;
    let after = time::now_precise().saturating_duration_since(began);
    arena.record("afterwards", seen, after, &expected);
}

fn most_connections() -> usize {
    #[cfg(unix)]
    if let Ok((soft, _)) = rlimit::Resource::NOFILE.get() {
        let files = usize::try_from(soft.saturating_sub(FILES_SPARED)).unwrap_or(usize::MAX);
        return files.min(CONNECTIONS_MAX);
    }
    CONNECTIONS_MAX
}
