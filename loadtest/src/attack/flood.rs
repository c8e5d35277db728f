//! Much of what is allowed: pipelines, and connections that come and go.

use std::rc::Rc;
use std::time::Duration;

use monoloop_runtime::time;

use crate::attack::arena::Arena;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// A pipeline that never ends takes all a loop has; a handful of them do.
const PIPELINES_MAX: usize = 8;
/// Requests sent at a time.
const PIPELINE_DEPTH: usize = 64;
/// How long a batch may take to be answered: that the others are not held up is what counts.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Connections that come and go at the same time, each again and again.
const CHURNERS_MAX: usize = 8;
/// Pause of each between two, which keeps it to some thousand a second, and our own ports free.
const CHURN_PERIOD: Duration = Duration::from_millis(4);

/// Requests without waiting for an answer.
pub(crate) struct PipelineFlood;

impl Attack for PipelineFlood {
    fn name(&self) -> &'static str {
        "pipeline-flood"
    }

    fn about(&self) -> &'static str {
        "sends requests by the dozen without waiting, as fast as they are answered"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["ok"]
    }

    fn saturates(&self) -> bool {
        true
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(PIPELINES_MAX);
        boxed(async move { arena.each(count, pipeline).await })
    }
}

async fn pipeline(arena: Rc<Arena>, number: usize) {
    let requests = arena.get().repeat(PIPELINE_DEPTH);
    // A server may bound the requests of a connection; then the last answer says so.
    let expected = Expected::new([Seen::Served(200), Seen::Refused(200)], ANSWERED_WITHIN);
    let until = time::now() + arena.duration;
    while time::now() < until && !arena.is_interrupted.get() {
        let Some(mut peer) = arena.connect(number, "pipeline").await else {
            return;
        };
        let mut asked = 0;
        let seen = loop {
            peer.start_clock();
            peer.send(&requests).await;
            asked += PIPELINE_DEPTH;
            let seen = peer.observe_answers(asked, ANSWERED_WITHIN).await;
            if seen != Seen::Served(200) || time::now() >= until {
                break seen;
            }
        };
        if seen == Seen::Served(200) && peer.answers() < asked {
            arena.fault(format!(
                "pipeline: {} answers to {asked} requests",
                peer.answers()
            ));
        }
        arena.judge("pipeline", seen, &peer, &expected);
    }
}

/// Connections that come and go.
pub(crate) struct ConnectionChurn;

impl Attack for ConnectionChurn {
    fn name(&self) -> &'static str {
        "connection-churn"
    }

    fn about(&self) -> &'static str {
        "connects and goes at once, thousands of times, with a farewell or with a reset"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // Who closes between two requests, or before the first, has done nothing wrong.
        &["ok", "client_closed"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(CHURNERS_MAX);
        boxed(async move { arena.each(count, churn).await })
    }
}

async fn churn(arena: Rc<Arena>, number: usize) {
    let expected = Expected::new([Seen::Left], arena.grace);
    let until = time::now() + arena.duration;
    let mut round = number;
    while time::now() < until && !arena.is_interrupted.get() {
        let Some(mut peer) = arena.connect(round, "churn").await else {
            return;
        };
        let took = peer.elapsed();
        match round % 3 {
            0 => drop(peer),
            1 => peer.reset(),
            // Gone before it could be answered.
            _ => {
                peer.send(&arena.get()).await;
                peer.reset();
            }
        }
        arena.record("churn", Seen::Left, took, &expected);
        round += 1;
        time::sleep(CHURN_PERIOD).await;
    }
}

/// Uploads that break off.
pub(crate) struct ResetMidBody;

impl Attack for ResetMidBody {
    fn name(&self) -> &'static str {
        "reset-mid-body"
    }

    fn about(&self) -> &'static str {
        "sends half of a body and resets the connection"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["client_closed"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, reset_mid_body).await })
    }
}

async fn reset_mid_body(arena: Rc<Arena>, number: usize) {
    /// The server is to have read the head before the reset comes.
    const BODY_IS_BEING_READ: Duration = Duration::from_millis(50);

    let expected = Expected::new([Seen::Left], arena.grace);
    let Some(mut peer) = arena.connect(number, "reset").await else {
        return;
    };
    peer.send(&arena.post("Content-Length: 100000\r\n")).await;
    peer.send(&[b'x'; 10_000]).await;
    peer.start_clock();
    let seen = match peer.observe(BODY_IS_BEING_READ).await {
        Seen::Open => Seen::Left,
        other => other,
    };
    arena.judge("reset", seen, &peer, &expected);
    peer.reset();
}

/// Peers that have said all they have to say.
pub(crate) struct HalfClose;

impl Attack for HalfClose {
    fn name(&self) -> &'static str {
        "half-close"
    }

    fn about(&self) -> &'static str {
        "finishes sending behind a request, which has to be answered, or in the middle of one"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["ok", "client_closed"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, half_close).await })
    }
}

async fn half_close(arena: Rc<Arena>, number: usize) {
    let cut_off = [Seen::Closed, Seen::Refused(400), Seen::Refused(408)];
    let (shape, bytes, endings) = match number % 3 {
        0 => ("whole", arena.get(), vec![Seen::Refused(200)]),
        1 => (
            "half a head",
            arena.head("GET", &arena.path, "X-Half").into_bytes(),
            cut_off.to_vec(),
        ),
        _ => (
            "half a body",
            [arena.post("Content-Length: 100\r\n"), b"half".to_vec()].concat(),
            cut_off.to_vec(),
        ),
    };
    let expected = Expected::new(endings, arena.grace);
    let Some(mut peer) = arena.connect(number, shape).await else {
        return;
    };
    peer.send(&bytes).await;
    peer.finish_sending();
    let seen = peer.observe(2 * arena.grace).await;
    arena.judge(shape, seen, &peer, &expected);
}
