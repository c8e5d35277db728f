//! Cleaning up after work that was given up.

use crate::deadline::inherited_without_deadline;
use crate::runtime::try_current;
use crate::scope::children::guest;
use crate::task::{NewTask, WorkCell};
use crate::time::timeout;
use pin_project_lite::pin_project;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Runs `work`; when it is given up before it is done, `cleanup` runs, for `budget` at most.
///
/// Given up means dropped, for whatever reason: its task was cancelled, a timeout or a `select`
/// dropped it, its group failed. Work that has returned, even an error, is done; work that was
/// never polled has nothing to clean up; work that panicked is left as it is.
///
/// The cleanup runs as a task of its own, with the context of the work but none of its deadlines.
/// In a [`task_group`](crate::task_group) the group waits for it; elsewhere nobody does. One that
/// is not done within its budget is cut off, and a warning names it and its place. One that never
/// waits cannot be cut off. When the loop itself ends, no cleanup is run any more.
///
/// ```
/// use monoloop_runtime::{Runtime, on_cancel, spawn, time, yield_now};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// Runtime::new()?.block_on(async {
///     let rolled_back = Rc::new(Cell::new(false));
///     let roll_back = { let done = rolled_back.clone(); async move { done.set(true) } };
///     let transaction = std::future::pending::<()>();
///     let guarded = on_cancel(transaction, Duration::from_secs(1), roll_back).named("roll back");
///     assert!(time::timeout(Duration::from_millis(1), guarded).await.is_err());
///     yield_now().await;
///     assert!(rolled_back.get());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cancel safety
/// That of `work`, after which `cleanup` runs.
#[track_caller]
pub fn on_cancel<F, C>(work: F, budget: Duration, cleanup: C) -> OnCancel<F, C>
where
    F: Future,
    C: Future<Output = ()> + 'static,
{
    OnCancel {
        work: Some(work),
        cleanup: Some(cleanup),
        name: "cleanup",
        place: Location::caller(),
        budget,
        progress: Progress::NotStarted,
    }
}

pin_project! {
    /// Made by [`on_cancel`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct OnCancel<F, C>
    where
        C: Future<Output = ()>,
        C: 'static,
    {
        #[pin]
        work: Option<F>,
        cleanup: Option<C>,
        name: &'static str,
        place: &'static Location<'static>,
        budget: Duration,
        progress: Progress,
    }

    impl<F, C> PinnedDrop for OnCancel<F, C>
    where
        C: Future<Output = ()>,
        C: 'static,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.work.set(None);
            if let (Progress::Waiting, Some(cleanup)) = (*this.progress, this.cleanup.take()) {
                start_cleanup(cleanup, this.name, this.place, *this.budget);
            }
        }
    }
}

/// How far the work has come.
#[derive(Clone, Copy)]
enum Progress {
    NotStarted,
    /// Stays so when the work panics.
    BeingPolled,
    Waiting,
    Done,
}

impl<F, C> OnCancel<F, C>
where
    C: Future<Output = ()>,
    C: 'static,
{
    /// Names the cleanup, for listings and for the warning.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }
}

impl<F, C> Future for OnCancel<F, C>
where
    F: Future,
    C: Future<Output = ()> + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let work = this.work.as_pin_mut();
        let work = work.expect("only the destructor takes the work");
        *this.progress = Progress::BeingPolled;
        let polled = work.poll(cx);
        *this.progress = match polled {
            Poll::Pending => Progress::Waiting,
            Poll::Ready(_) => Progress::Done,
        };
        polled
    }
}

fn start_cleanup(
    cleanup: impl Future<Output = ()> + 'static,
    name: &'static str,
    place: &'static Location<'static>,
    budget: Duration,
) {
    // Without a loop there is nobody to run it.
    let Some(core) = try_current() else { return };
    let within_budget = async move {
        if let Err(timed_out) = timeout(budget, cleanup).await {
            tracing::warn!(
                cleanup = name,
                made_at = %place,
                budget = ?budget,
                waited = ?timed_out.waited,
                "a cleanup took longer than its budget and was cut off"
            );
        }
    };
    let id = core.spawn_task(NewTask {
        work: Some(Box::pin(WorkCell::new(guest(&core, within_budget)))),
        context: inherited_without_deadline(),
        name: Some(name.into()),
        place,
        parent: core.running(),
    });
    // Nobody can have asked for it yet: there is nothing to drop.
    let _ = core.tasks.borrow_mut().detach(id);
}
