//! Task groups: tasks that end with the block they were started in.
//!
//! trio calls it a nursery. Nothing in here steps a task: children are tasks like any others, in
//! the one ready queue.

use crate::event_loop::drop_quietly;
use crate::introspect::note;
use crate::runtime::current;
use crate::scope::children::{Children, CloseOnDrop};
use crate::scope::{GroupError, GroupFailure, JoinHandle, TaskHandle};
use crate::task::{Cancelled, JoinError, Panic};
use pin_project_lite::pin_project;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

/// Runs `body` with a group that it can start tasks in, and waits until the body and all of those
/// tasks have ended.
///
/// - **No task outlives the group.** It is over when the body has returned and the last child has
///   ended; children may start others meanwhile, through a clone of the [`TaskGroup`].
/// - **The first failure ends the group.** When the body or a child returns an error, or a child
///   panics, the body is dropped and all children are cancelled at that moment, oldest first: one
///   that is ready in the same turn takes no further step. So of several that would fail in one
///   turn the first in the order of the ready queue does. When all are gone the group returns the
///   failure, with those that came later.
/// - A panic of the body does the same and is then passed on.
/// - **Giving up the group gives up its tasks.** When the group's future is dropped, be it by a
///   timeout, a `select` or because its task was cancelled, the body is dropped first and then
///   the future of each child, oldest first, all before the drop returns. Nothing else runs in
///   between. The one exception is a child that is on the stack at that moment, because the drop
///   happens inside its own step: it is cancelled, and dropped when its step ends.
/// - A child that is cancelled on its own does not fail the group; its
///   [`GroupTask`] says so to who awaits it.
/// - [`shield`](crate::shield)ed futures and [`on_cancel`](crate::on_cancel) cleanups of the group
///   are waited for, too, and not cancelled. Only when the group's future is dropped do they go on
///   without it, as what is dropped cannot wait: they then belong to the group around it.
///
/// A group whose children must not fail each other is [`gather`](crate::gather). For futures that
/// borrow, and need no tasks of their own, `futures_util`'s `join!` and `FuturesUnordered` serve.
///
/// ```
/// use monoloop_runtime::{GroupError, TaskGroup, Runtime, task_group, time};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut runtime = Runtime::new()?;
/// let sum = runtime.block_on(task_group(async |group: TaskGroup<std::io::Error>| {
///     let one = group.spawn(async { Ok(1) });
///     let two = group.spawn(async {
///         time::sleep(Duration::from_millis(1)).await;
///         Ok(2)
///     });
///     Ok(one.await.unwrap() + two.await.unwrap())
/// }))?;
/// assert_eq!(sum, 3);
///
/// let failed = runtime.block_on(task_group(async |group| {
///     group.spawn_ok(std::future::pending::<()>());
///     group.spawn(async { Err::<(), _>("disk full") });
///     Ok(())
/// }));
/// assert_eq!(failed.unwrap_err().error(), Some(&"disk full"));
/// # Ok(())
/// # }
/// ```
///
/// A group that is not awaited does nothing, and the compiler says so:
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use monoloop_runtime::{TaskGroup, task_group};
/// # fn started() {
/// task_group(async |_: TaskGroup<()>| Ok(()));
/// # }
/// ```
///
/// # Errors
/// The failure that ended the group, with those that followed it.
///
/// # Panics
/// When polled on a thread that has no loop; and when `body` panics.
///
/// # Cancel safety
/// All tasks of the group are dropped with it.
pub async fn task_group<T, E, F>(body: F) -> Result<T, GroupError<E>>
where
    F: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
    E: 'static,
{
    let group = TaskGroup {
        shared: Rc::new(Shared {
            children: Children::new(current()),
            failures: RefCell::default(),
            ending: Cell::new(None),
        }),
    };
    let shared = &*group.shared;
    let children = &shared.children;
    // Locals are dropped last to first: the body, the children, then what they left.
    let _report = ReportOnDrop(shared);
    let mut close = CloseOnDrop::new(children.clone(), GROUP_DROPPED);
    let mut body = pin!(Some(body(group.clone())));
    let mut value = None;
    let mut body_panic = None;

    poll_fn(|cx| {
        children.wait(cx);
        if shared.ending.get().is_none()
            && let Some(running) = body.as_mut().as_pin_mut()
        {
            let poll = AssertUnwindSafe(|| children.enter(|| running.poll(cx)));
            match catch_unwind(poll) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(Ok(output))) => {
                    children.enter(|| body.set(None));
                    value = Some(output);
                }
                Ok(Poll::Ready(Err(error))) => shared.fail(GroupFailure::Failed(error)),
                Err(payload) => {
                    body_panic = Some(payload);
                    shared.end(GROUP_FAILED);
                }
            }
        }
        // The body may have been the one who ended the group.
        if shared.ending.get().is_some() {
            children.enter(|| body.set(None));
        }
        match body.is_none() {
            true if children.is_empty() => return Poll::Ready(()),
            true => note("children"),
            // What the body waits on it has noted itself.
            false => {}
        }
        Poll::Pending
    })
    .await;

    close.reason = GROUP_ENDED;
    drop(close);
    if let Some(payload) = body_panic {
        resume_unwind(payload);
    }
    match GroupError::of(shared.failures.take()) {
        Some(error) => Err(error),
        None => Ok(value.expect("a body without a failure has returned")),
    }
}

const GROUP_FAILED: &str = "another task of its group failed";
const GROUP_DROPPED: &str = "its task group was dropped";
const GROUP_ENDED: &str = "its task group has ended";
const TASK_FAILED: &str = "the task failed, its group has the error";

/// Starts tasks in a group, and can end it. Given to the body of a [`task_group`]; clones may be
/// kept anywhere, also by the children.
///
/// `E` is the error that the body and the children fail with.
pub struct TaskGroup<E> {
    shared: Rc<Shared<E>>,
}

impl<E: 'static> TaskGroup<E> {
    /// Makes a child of the group, as [`spawn`](crate::spawn) makes a task. Its error, or panic,
    /// ends the group.
    ///
    /// A group that is ending, or has ended, takes no more: the future is dropped at once,
    /// unpolled, and who awaits the handle is told why.
    #[track_caller]
    pub fn spawn<T, F>(&self, future: F) -> GroupTask<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.spawn_at(None, future, Location::caller())
    }

    /// [`spawn`](TaskGroup::spawn), with a name for logs and listings.
    #[track_caller]
    pub fn spawn_named<T, F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> GroupTask<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.spawn_at(Some(name.into()), future, Location::caller())
    }

    /// [`spawn`](TaskGroup::spawn) for a future that cannot fail. Its panic ends the group.
    #[track_caller]
    pub fn spawn_ok<T, F>(&self, future: F) -> GroupTask<T>
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let future = async move { Ok(future.await) };
        self.spawn_at(None, future, Location::caller())
    }

    pub(crate) fn spawn_at<T, F>(
        &self,
        name: Option<Cow<'static, str>>,
        future: F,
        place: &'static Location<'static>,
    ) -> GroupTask<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let child = Fallible {
            future: Some(future),
            group: self.shared.clone(),
        };
        let handle = self.shared.children.spawn(name, child, place);
        if let Some(reason) = self.shared.ending.get() {
            self.shared.children.core().drop_now(handle.id(), reason);
        }
        GroupTask { handle }
    }

    /// Ends the group: drops its body, cancels all children, and makes it return
    /// [`GroupFailure::Cancelled`] when they are gone. Does nothing when it is ending already.
    pub fn cancel(&self, reason: &'static str) {
        if self.shared.ending.get().is_none() {
            let cancelled = GroupFailure::Cancelled(Cancelled { reason });
            self.shared.failures.borrow_mut().push(cancelled);
            self.shared.end(reason);
        }
    }

    /// Cancels the children there are now. The body and the group go on, and nothing has failed:
    /// for a body that is done and whose children run until they are told to stop.
    pub fn cancel_children(&self, reason: &'static str) {
        self.shared.children.cancel_all(reason);
    }

    /// Children that have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.children.len()
    }

    /// Whether all children have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the group takes no more children: it has failed, was cancelled, or is over.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        use crate::core::Haven as _;
        self.shared.ending.get().is_some() || !self.shared.children.is_open()
    }

    /// A failure that did not come out of a child's future.
    pub(crate) fn fail(&self, failure: GroupFailure<E>) {
        self.shared.fail(failure);
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        TaskGroup {
            shared: self.shared.clone(),
        }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("children", &self.shared.children.len())
            .field("ending", &self.shared.ending.get())
            .finish_non_exhaustive()
    }
}

/// A child of a [`TaskGroup`]: a future of its output, for those who want it.
///
/// Dropping it changes nothing: the group waits for the task. Awaiting a child that failed gives
/// [`JoinError::Cancelled`]; the error itself is the group's.
///
/// # Cancel safety
/// Nothing is lost: until the output was handed out it stays with the task.
#[derive(Debug)]
pub struct GroupTask<T> {
    handle: JoinHandle<T>,
}

impl<T> GroupTask<T> {
    /// Asks this child to end; the group goes on.
    pub fn cancel(&self, reason: &'static str) {
        self.handle.cancel_with(reason);
    }

    /// Whether the child has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// A handle that can do everything but join.
    #[must_use]
    pub fn task(&self) -> TaskHandle {
        self.handle.task()
    }
}

impl<T: 'static> Future for GroupTask<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

struct Shared<E> {
    children: Rc<Children>,
    failures: RefCell<Vec<GroupFailure<E>>>,
    /// Set once the group has failed or was cancelled.
    ending: Cell<Option<&'static str>>,
}

impl<E> Shared<E> {
    fn fail(&self, failure: GroupFailure<E>) {
        self.failures.borrow_mut().push(failure);
        self.end(GROUP_FAILED);
    }

    fn end(&self, reason: &'static str) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
            self.children.cancel_all(reason);
        }
        self.children.wake_owner();
    }
}

/// Panics of a group that was dropped before it could return them are not silent.
struct ReportOnDrop<'a, E>(&'a Shared<E>);

impl<E> Drop for ReportOnDrop<'_, E> {
    fn drop(&mut self) {
        for failure in self.0.failures.take() {
            if let GroupFailure::Panicked(panic) = &failure {
                tracing::error!(
                    panic = panic.message(),
                    "a task panicked and its group was dropped"
                );
            }
            drop_quietly(failure);
        }
    }
}

pin_project! {
    /// A child's future: its failure is the group's.
    struct Fallible<F, E> {
        #[pin]
        future: Option<F>,
        group: Rc<Shared<E>>,
    }

    impl<F, E> PinnedDrop for Fallible<F, E> {
        fn drop(this: Pin<&mut Self>) {
            this.drop_future();
        }
    }
}

impl<F, E> Fallible<F, E> {
    fn drop_future(self: Pin<&mut Self>) {
        let mut this = self.project();
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        if let Err(payload) = dropped {
            this.group.fail(GroupFailure::Panicked(Panic::new(payload)));
        }
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for Fallible<F, E> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        let future = self.as_mut().project().future.as_pin_mut();
        let future = future.expect("a child that failed is not stepped again");
        let failure = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(output))) => return Poll::Ready(output),
            Ok(Poll::Ready(Err(error))) => GroupFailure::Failed(error),
            Err(payload) => GroupFailure::Panicked(Panic::new(payload)),
        };
        // There is no output: the task ends as a cancelled one, in its next step.
        let core = self.group.children.core();
        if let Some(id) = core.running() {
            core.cancel(id, TASK_FAILED);
        }
        self.group.fail(failure);
        self.drop_future();
        Poll::Pending
    }
}
