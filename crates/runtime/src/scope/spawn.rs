//! Making a task of a future.

use crate::JoinHandle;
use crate::runtime::current;
use crate::task::WorkCell;
use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;

/// Makes a task of a future. It is queued at once and runs whether or not anybody awaits the
/// handle; dropping the handle detaches it. The task gets a copy of the current context.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(None, future, Location::caller())
}

/// [`spawn`], with a name for logs and listings.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(Some(name.into()), future, Location::caller())
}

#[track_caller]
fn spawn_at<F>(
    name: Option<Cow<'static, str>>,
    future: F,
    place: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let core = current();
    let id = core.spawn(Some(Box::pin(WorkCell::new(future))), name, place);
    JoinHandle::new(core, id)
}
