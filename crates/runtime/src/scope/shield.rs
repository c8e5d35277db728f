//! Keeping one future going while whoever waits for it is cancelled.

use crate::deadline::inherited_without_deadline;
use crate::runtime::current;
use crate::scope::children::guest;
use crate::scope::{JoinHandle, TaskHandle};
use crate::task::{JoinError, NewTask, WorkCell};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Starts `future` as a task that goes on when whoever awaits it is cancelled, times out or is
/// dropped. The deadlines around do not count in it.
///
/// Inside a [`task_group`](crate::task_group) it still does not outlive the group, which waits for
/// it without cancelling it. Elsewhere it runs until it is done, or the loop ends.
///
/// ```
/// use monoloop_runtime::{Runtime, shield, time};
/// use std::time::Duration;
///
/// Runtime::new()?.block_on(async {
///     let mut saving = shield(async {
///         time::sleep(Duration::from_millis(5)).await;
///         "saved"
///     });
///     assert!(time::timeout(Duration::from_millis(1), &mut saving).await.is_err());
///     assert_eq!(saving.await.unwrap(), "saved");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn shield<F>(future: F) -> Shield<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let core = current();
    let id = core.spawn_task(NewTask {
        work: Some(Box::pin(WorkCell::new(guest(&core, future)))),
        context: inherited_without_deadline(),
        name: None,
        place: Location::caller(),
        parent: core.running(),
    });
    Shield {
        handle: JoinHandle::new(core, id),
    }
}

/// Made by [`shield`]: a future of the result. Awaited by reference it can be awaited again after
/// a timeout.
///
/// # Cancel safety
/// Nothing is lost: the future goes on, and its result is kept as long as the shield is.
#[derive(Debug)]
#[must_use = "dropping a Shield lets the future go on unwatched; say so with drop(shield)"]
pub struct Shield<T> {
    handle: JoinHandle<T>,
}

impl<T> Shield<T> {
    /// Ends what is shielded after all.
    pub fn cancel(&self, reason: &'static str) {
        self.handle.cancel_with(reason);
    }

    /// Whether the future is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The task that the future runs as.
    #[must_use]
    pub fn task(&self) -> TaskHandle {
        self.handle.task()
    }
}

impl<T: 'static> Future for Shield<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}
