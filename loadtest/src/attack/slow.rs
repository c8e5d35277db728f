//! Connections that hold the server's attention with as little as possible.

use std::rc::Rc;

use crate::attack::arena::Arena;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// A head that never ends.
pub(crate) struct SlowlorisHead;

impl Attack for SlowlorisHead {
    fn name(&self) -> &'static str {
        "slowloris-head"
    }

    fn about(&self) -> &'static str {
        "sends a field of the head now and then and never its end, first or later (Slowloris, 2009)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["header_timeout"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, slowloris).await })
    }
}

async fn slowloris(arena: Rc<Arena>, number: usize) {
    let limit = arena.timeouts.head + arena.grace;
    let expected = Expected::new([Seen::Refused(408)], limit);
    let is_later = number % 2 == 1;
    let shape = if is_later { "later head" } else { "head" };
    let Some(mut peer) = arena.connect(number, shape).await else {
        return;
    };
    if is_later {
        // A connection that has behaved well is watched no less.
        peer.send(&arena.get()).await;
        peer.observe_answers(1, limit).await;
        peer.start_clock();
    }
    peer.send(arena.head("GET", &arena.path, "").as_bytes())
        .await;
    let period = Arena::drip_period(arena.timeouts.head);
    let seen = peer.drip(period, limit, |_| b"X-Later: 1\r\n").await;
    arena.judge(shape, seen, &peer, &expected);
}

/// A body that hardly comes.
pub(crate) struct SlowBody;

impl Attack for SlowBody {
    fn name(&self) -> &'static str {
        "slow-body"
    }

    fn about(&self) -> &'static str {
        "announces a body and sends a byte of it now and then (R-U-Dead-Yet, 2010)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["body_timeout", "too_slow"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, slow_body).await })
    }
}

async fn slow_body(arena: Rc<Arena>, number: usize) {
    // Each byte is progress: what ends it is the minimum rate, which may be judged over as long as a
    // whole timeout again.
    let limit = 2 * arena.timeouts.body + arena.grace;
    let expected = Expected::new([Seen::Refused(408)], limit);
    let Some(mut peer) = arena.connect(number, "body").await else {
        return;
    };
    peer.send(&arena.post("Content-Length: 100000\r\n")).await;
    peer.start_clock();
    let period = Arena::drip_period(arena.timeouts.body);
    let seen = peer.drip(period, limit, |_| b"x").await;
    arena.judge("body", seen, &peer, &expected);
}

/// A body that stops.
pub(crate) struct StalledBody;

impl Attack for StalledBody {
    fn name(&self) -> &'static str {
        "stalled-body"
    }

    fn about(&self) -> &'static str {
        "sends half of a body, sized or chunked, and then nothing"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["body_timeout"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, stalled_body).await })
    }
}

async fn stalled_body(arena: Rc<Arena>, number: usize) {
    let limit = arena.timeouts.body + arena.grace;
    let expected = Expected::new([Seen::Refused(408)], limit);
    let (shape, fields, half) = match number % 2 {
        0 => ("sized", "Content-Length: 2000\r\n", "x".repeat(1000)),
        _ => (
            "chunked",
            "Transfer-Encoding: chunked\r\n",
            format!("3e8\r\n{}\r\n3e8\r\n{}", "x".repeat(1000), "x".repeat(500)),
        ),
    };
    let Some(mut peer) = arena.connect(number, shape).await else {
        return;
    };
    peer.send(&arena.post(fields)).await;
    peer.send(half.as_bytes()).await;
    peer.start_clock();
    let seen = peer.observe(limit).await;
    arena.judge(shape, seen, &peer, &expected);
}

/// An upload that is announced, and never begun.
pub(crate) struct ExpectNever;

impl Attack for ExpectNever {
    fn name(&self) -> &'static str {
        "expect-never"
    }

    fn about(&self) -> &'static str {
        "asks for 100 Continue and never sends the body (RFC 9110 section 10.1.1)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["body_timeout"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, expect_never).await })
    }
}

async fn expect_never(arena: Rc<Arena>, number: usize) {
    let limit = arena.timeouts.body + arena.grace;
    let expected = Expected::new([Seen::Refused(408)], limit);
    let Some(mut peer) = arena.connect(number, "expect").await else {
        return;
    };
    peer.send(&arena.post("Content-Length: 100000\r\nExpect: 100-continue\r\n"))
        .await;
    peer.start_clock();
    let seen = peer.observe(limit).await;
    arena.judge("expect", seen, &peer, &expected);
}

/// Connections that are there, and nothing else.
pub(crate) struct IdleFlood;

impl Attack for IdleFlood {
    fn name(&self) -> &'static str {
        "idle-flood"
    }

    fn about(&self) -> &'static str {
        "connects and says nothing, or asks once and says nothing more"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // Who never said a word is within its first head.
        &["header_timeout", "idle_timeout"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, idle).await })
    }
}

async fn idle(arena: Rc<Arena>, number: usize) {
    let asks = number % 2 == 1;
    let (shape, timeout) = match asks {
        true => ("keep-alive", arena.timeouts.idle),
        false => ("silent", arena.timeouts.head),
    };
    let limit = timeout + arena.grace;
    let expected = Expected::new([Seen::Closed], limit);
    let Some(mut peer) = arena.connect(number, shape).await else {
        return;
    };
    if asks {
        peer.send(&arena.get()).await;
        peer.observe_answers(1, limit).await;
        peer.start_clock();
    }
    let seen = peer.observe(limit).await;
    arena.judge(shape, seen, &peer, &expected);
}
