//! The end of a loop's serving: accept nothing more, finish what runs, force what is left.

use crate::loop_state::LoopState;
use crate::shutdown::{Shutdown, Wish};
use monoloop_runtime::{JoinHandle, time};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How a loop's serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open when the drain began, and those that were in the backlog.
    pub open: usize,
    /// Connections that were cut off at the deadline.
    pub forced: usize,
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
    either(closed_or_late, shutdown.wait_for(Wish::Force)).await;
    accept_task.cancel();

    let forced = shared.open_connections();
    if forced > 0 {
        shared.book.set_forcing();
        shared.cancel_connections("the server ends");
        shared.connections_changed.wait_until(all_closed).await;
    }
    DrainReport {
        open: open.get(),
        forced,
        took: time::now().saturating_duration_since(asked_at),
    }
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
