//! Waiting in a line, the same for all primitives: they say what is free and who is next.

use crate::sync::caller;
use crate::sync::wait_list::{Key, Left, WaitList};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What has a line before it.
pub(super) trait Line {
    type Wants;
    type Grant;

    fn waiters(&self) -> &WaitList<Self::Wants, Self::Grant>;

    /// Whether one who comes now need not wait. Who waits already goes first.
    fn is_free(&self, wants: &Self::Wants) -> bool;

    /// What it is, for those who look.
    fn what(&self) -> &'static str;

    /// Takes what is free.
    fn take(&self, wants: Self::Wants) -> Self::Grant;

    /// One left the line before it was chosen: the next may want less.
    fn left(&self) {}

    /// One was chosen and is gone: what it was given is somebody else's now.
    fn pass_on(&self, _grant: Self::Grant) {}
}

/// Waits in a line. Dropped, it leaves it, and passes on what it was given meanwhile.
///
/// The place in the line is taken at the first poll. A task that has used up the operations of
/// its step, see [`Config::ops_per_step_max`](crate::Config::ops_per_step_max), has to let the
/// others run first when it need not wait otherwise.
pub(super) struct Wait<'a, L: Line> {
    line: &'a L,
    /// There until it stands in the line or is done.
    wants: Option<L::Wants>,
    key: Option<Key>,
}

impl<'a, L: Line> Wait<'a, L> {
    pub(super) fn new(line: &'a L, wants: L::Wants) -> Self {
        Wait {
            line,
            wants: Some(wants),
            key: None,
        }
    }
}

impl<L: Line> Unpin for Wait<'_, L> {}

impl<L: Line> Future for Wait<'_, L> {
    type Output = L::Grant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Grant> {
        let this = &mut *self;
        if this.key.is_some() {
            return this
                .line
                .waiters()
                .poll(&mut this.key, cx, this.line.what());
        }
        let wants = this.wants.take().expect("polled after it was done");
        // Dropped last: cloning a waker and dropping it are user code, after either of which
        // what was free may be so no more.
        let cloned;
        if !this.line.is_free(&wants) {
            cloned = caller::waiter(cx, this.line.what());
            if !this.line.is_free(&wants) {
                this.key = Some(this.line.waiters().enter(cloned, wants));
                return Poll::Pending;
            }
        }
        if caller::poll_budget(cx).is_pending() {
            this.wants = Some(wants);
            return Poll::Pending;
        }
        Poll::Ready(this.line.take(wants))
    }
}

impl<L: Line> Drop for Wait<'_, L> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        match self.line.waiters().leave(key) {
            Left::Waiting(wants) => {
                self.line.left();
                drop(wants);
            }
            Left::Chosen(grant) => self.line.pass_on(grant),
        }
    }
}
