//! Tells tasks of one loop that something they look at has changed.

use monoloop_runtime::introspect::note;
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Debug, Default)]
pub(crate) struct Changed {
    waiting: RefCell<Vec<Waker>>,
}

impl Changed {
    /// Has everybody who waits look again.
    #[inline]
    pub(crate) fn notify(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let waiting = self.waiting.take();
        for waker in waiting {
            waker.wake();
        }
    }

    /// Waits until `condition` holds, looking again at each [`notify`](Changed::notify).
    pub(crate) async fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        poll_fn(|cx| {
            if condition() {
                return Poll::Ready(());
            }
            note("change");
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
