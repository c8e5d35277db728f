//! Letting the others run.

use crate::runtime::{running_step, with_current};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets every task that is ready run before this one goes on.
///
/// # Cancel safety
/// Nothing is lost.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded_in: None }
}

/// Made by [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    /// The step of the loop in which it was first polled, if there is a loop.
    yielded_in: Option<Option<u64>>,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let step = running_step();
        // Whoever polls twice in one step has let nobody run.
        if self
            .yielded_in
            .is_some_and(|yielded| step.is_none() || yielded != step)
        {
            return Poll::Ready(());
        }
        self.yielded_in = Some(step);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Uses up one of the step's operations, and lets the others run when there are none left.
/// For long work that never waits: call it once per item. Sockets do so by themselves.
///
/// # Cancel safety
/// Nothing is lost.
pub async fn consume_budget() {
    poll_fn(|cx| poll_consume_budget(cx)).await;
}

/// Polls for what [`consume_budget`] waits for.
///
/// # Panics
/// When the thread has no loop.
pub fn poll_consume_budget(cx: &Context<'_>) -> Poll<()> {
    with_current(|core| core.poll_budget(cx))
}
