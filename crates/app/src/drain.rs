//! The end of a loop's serving: accept nothing more, finish what runs, force what is left.

use crate::drain_forced::ForcedConnections;
use crate::loop_state::LoopState;
use crate::running::HeldRequest;
use crate::shutdown::{Shutdown, Wish};
use monoloop_runtime::{JoinHandle, time};
use std::cell::{Cell, OnceCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How long a drain takes before it is said what it waits for.
const FIRST_REPORT: Duration = Duration::from_secs(1);

/// How long it takes until that is said again.
const NEXT_REPORT: Duration = Duration::from_secs(10);

/// How a loop's serving ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open when the drain began, and those that were in the backlog.
    pub open: usize,
    /// Connections that were cut off at the deadline.
    pub forced: usize,
    /// The requests that the drain waited for when it had taken a second, the oldest first; 20 at
    /// most. Empty when it was over by then.
    pub held: Vec<HeldRequest>,
    /// The requests that were cut off at the deadline, the oldest first; 20 at most.
    pub forced_requests: Vec<HeldRequest>,
    /// The connections that were cut off and had no request that ran.
    pub forced_without_request: ForcedConnections,
    /// From the wish to end until the last connection was closed.
    pub took: Duration,
}

/// Waits until the server is to end, then sees it through.
pub(crate) async fn drain_when_asked(
    shared: &LoopState,
    shutdown: &Shutdown,
    accepting: JoinHandle<usize>,
    delay: Duration,
    timeout: Duration,
) -> DrainReport {
    shutdown.wait_for(Wish::Drain).await;
    let asked_at = time::now();
    shared.leaving.set(true);
    if !delay.is_zero() {
        tracing::info!(?delay, "not ready any more, still accepting");
        either(time::sleep(delay), shutdown.wait_for(Wish::Force)).await;
    }

    shared.begin_draining();

    let all_closed = || shared.open_connections() == 0;
    let accept_task = accepting.task();
    let open = Cell::new(shared.open_connections());
    let closed = async {
        // Those who are still in the backlog are waited for like all others.
        open.set(open.get() + accepting.await.unwrap_or_default());
        tracing::info!(
            connections = shared.open_connections(),
            ?timeout,
            "draining"
        );
        shared.connections_changed.wait_until(all_closed).await;
    };
    let closed_or_late = async {
        let _ = time::timeout(timeout, closed).await;
    };
    let held = OnceCell::new();
    let reporting = async {
        time::sleep(FIRST_REPORT).await;
        loop {
            let seen = report_held(shared);
            // The first time counts: later there are fewer.
            let _ = held.set(seen);
            time::sleep(NEXT_REPORT).await;
        }
    };
    let ended = either(closed_or_late, shutdown.wait_for(Wish::Force));
    either(ended, reporting).await;
    accept_task.cancel();

    let forced = shared.open_connections();
    let mut forced_requests = Vec::new();
    if forced > 0 {
        forced_requests = report_forced(shared);
        shared.book.set_forcing();
        shared.forced.begin();
        shared.cancel_connections("the server ends");
        shared.connections_changed.wait_until(all_closed).await;
        let others = shared.forced.seen();
        if others.count() > 0 {
            tracing::warn!(connections = others.count(), %others, "cut off without a request");
        }
    }
    DrainReport {
        open: open.get(),
        forced,
        held: held.into_inner().unwrap_or_default(),
        forced_requests,
        forced_without_request: shared.forced.seen(),
        took: time::now().saturating_duration_since(asked_at),
    }
}

/// Says what the drain waits for.
fn report_held(shared: &LoopState) -> Vec<HeldRequest> {
    let (requests, held) = oldest(shared);
    for request in &held {
        let HeldRequest {
            id,
            route,
            peer,
            age,
            phase,
        } = request;
        tracing::info!(request_id = %id, route, %peer, ?age, %phase, "holds the drain");
    }
    let connections = shared.open_connections();
    tracing::info!(
        connections,
        requests,
        unnamed = requests - held.len(),
        "still draining"
    );
    held
}

/// Says what is cut off.
fn report_forced(shared: &LoopState) -> Vec<HeldRequest> {
    let (requests, forced) = oldest(shared);
    for request in &forced {
        let HeldRequest {
            id,
            route,
            peer,
            age,
            phase,
        } = request;
        tracing::warn!(request_id = %id, route, %peer, ?age, %phase, "cut off");
    }
    if requests > forced.len() {
        let unnamed = requests - forced.len();
        tracing::warn!(requests, unnamed, "more requests were cut off");
    }
    forced
}

/// How many requests run, and the oldest of them.
fn oldest(shared: &LoopState) -> (usize, Vec<HeldRequest>) {
    let running = &shared.running;
    (
        running.len(),
        running.oldest(time::now(), &shared.app.labels()),
    )
}

/// Waits for one of two.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        if one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}
