//! Running several futures as tasks and waiting for all, for the first, or for each.
//!
//! These make tasks: each future is stepped in its own turn, has an id and a name in listings,
//! and its panic is its own. For futures that borrow, or where a task each is too much,
//! `futures_util` serves: `join!`, `try_join!`, `select!`, `FuturesUnordered` run on this loop.

use crate::introspect::note;
use crate::runtime::current;
use crate::scope::children::{Children, CloseOnDrop};
use crate::scope::{GroupError, GroupFailure, JoinHandle, TaskGroup, task_group};
use crate::task::JoinError;
use futures_core::Stream;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

const GATHER_DROPPED: &str = "nobody waits for it any more";
const RACE_LOST: &str = "another was first";

/// Runs all futures, each as a task, and returns what became of each, in the order given. A panic
/// of one leaves the others alone.
///
/// ```
/// # use monoloop_runtime::{Runtime, gather};
/// let squares = Runtime::new()?.block_on(gather((1..4).map(|n| async move { n * n })));
/// let squares: Vec<i32> = squares.into_iter().map(Result::unwrap).collect();
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When polled on a thread that has no loop.
///
/// # Cancel safety
/// All of them are dropped with it, before the drop returns.
#[track_caller]
pub fn gather<I>(
    futures: I,
) -> impl Future<Output = Vec<Result<<I::Item as Future>::Output, JoinError>>>
where
    I: IntoIterator,
    I::Item: Future + 'static,
    <I::Item as Future>::Output: 'static,
{
    let place = Location::caller();
    async move {
        let scope = CloseOnDrop::new(Children::new(current()), GATHER_DROPPED);
        let handles: Vec<_> = futures
            .into_iter()
            .map(|future| scope.children.spawn(None, future, place))
            .collect();
        let mut results = Vec::with_capacity(handles.len());
        for handle in handles {
            results.push(handle.await);
        }
        results
    }
}

/// Runs all futures, each as a task, and returns their outputs in the order given; the first
/// error, or panic, cancels the others, which are gone before it returns.
///
/// # Errors
/// As [`task_group()`]; [`GroupFailure::Cancelled`] also when somebody cancelled one of the tasks.
///
/// # Panics
/// When polled on a thread that has no loop.
///
/// # Cancel safety
/// All of them are dropped with it, before the drop returns.
#[track_caller]
pub fn try_gather<I, T, E>(futures: I) -> impl Future<Output = Result<Vec<T>, GroupError<E>>>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>> + 'static,
    T: 'static,
    E: 'static,
{
    let place = Location::caller();
    task_group(async move |group: TaskGroup<E>| {
        let tasks: Vec<_> = futures
            .into_iter()
            .map(|future| group.spawn_at(None, future, place))
            .collect();
        let mut outputs = Vec::with_capacity(tasks.len());
        for task in tasks {
            match task.await {
                Ok(output) => outputs.push(output),
                Err(missing) => {
                    if !group.is_ending() {
                        group.fail(without_output(missing));
                    }
                    // The group drops this body.
                    pending::<()>().await;
                }
            }
        }
        Ok(outputs)
    })
}

fn without_output<E>(missing: JoinError) -> GroupFailure<E> {
    match missing {
        JoinError::Cancelled(cancelled) => GroupFailure::Cancelled(cancelled),
        JoinError::Panicked(panic) => GroupFailure::Panicked(panic),
    }
}

/// Runs all futures, each as a task, and returns the result of the first that ends; the others
/// are dropped before it returns. Of two that end in one turn the one that was stepped first wins.
///
/// Two futures of different types, which may borrow, are raced by `futures_util`'s `select`.
///
/// # Errors
/// When the first to end panicked or was cancelled.
///
/// # Panics
/// When there is no future to wait for, or the thread that polls has no loop.
///
/// # Cancel safety
/// All of them are dropped with it, before the drop returns.
#[track_caller]
pub fn race<I>(futures: I) -> impl Future<Output = Result<<I::Item as Future>::Output, JoinError>>
where
    I: IntoIterator,
    I::Item: Future + 'static,
    <I::Item as Future>::Output: 'static,
{
    let place = Location::caller();
    async move {
        let mut running = AsCompleted::start(futures, place, RACE_LOST);
        let first = running.next().await;
        first.expect("a race needs at least one future").1
    }
}

/// Starts all futures, each as a task, and hands out what became of them in the order in which
/// they end, each with its place in the order given. asyncio's `wait` is a loop over it that stops
/// early.
///
/// ```
/// # use monoloop_runtime::{Runtime, as_completed, time};
/// # use std::time::Duration;
/// # Runtime::new()?.block_on(async {
/// let naps = [2, 1].map(|n| time::sleep(Duration::from_millis(n)));
/// let mut ends = as_completed(naps);
/// let mut order = Vec::new();
/// while let Some((index, result)) = ends.next().await {
///     assert!(result.is_ok());
///     order.push(index);
/// }
/// assert_eq!(order, [1, 0]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn as_completed<I>(futures: I) -> AsCompleted<<I::Item as Future>::Output>
where
    I: IntoIterator,
    I::Item: Future + 'static,
    <I::Item as Future>::Output: 'static,
{
    AsCompleted::start(futures, Location::caller(), GATHER_DROPPED)
}

/// Made by [`as_completed`]: a stream of results. Dropping it drops the futures that are left,
/// before the drop returns.
#[must_use = "the futures are dropped with it"]
pub struct AsCompleted<T> {
    scope: CloseOnDrop,
    handles: Vec<Option<JoinHandle<T>>>,
    left: usize,
}

impl<T: 'static> AsCompleted<T> {
    fn start<I>(futures: I, place: &'static Location<'static>, dropped: &'static str) -> Self
    where
        I: IntoIterator,
        I::Item: Future<Output = T> + 'static,
    {
        let scope = CloseOnDrop::new(Children::in_order_of_completion(current()), dropped);
        let handles: Vec<_> = futures
            .into_iter()
            .map(|future| Some(scope.children.spawn(None, future, place)))
            .collect();
        AsCompleted {
            left: handles.len(),
            scope,
            handles,
        }
    }

    /// Waits for the next to end; `None` when all have.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<(usize, Result<T, JoinError>)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Those that have not been handed out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether all have been handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<T: 'static> Stream for AsCompleted<T> {
    type Item = (usize, Result<T, JoinError>);

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<(usize, Result<T, JoinError>)>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let Some(number) = this.scope.children.next_left() else {
            this.scope.children.wait(cx);
            note("children");
            return Poll::Pending;
        };
        let index = usize::try_from(number).expect("there is a handle for each child");
        let mut handle = this.handles[index].take().expect("a child leaves once");
        let result = match Pin::new(&mut handle).poll(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("a child has ended when the next task is stepped"),
        };
        this.left -= 1;
        Poll::Ready(Some((index, result)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
