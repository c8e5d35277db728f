//! Telling the loops of a server, from any thread, that it is time to go.

use monoloop_runtime::introspect::note;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Asks a server to end. May be cloned, kept, and used on any thread.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    wish: Wish,
    waiting: Vec<Waker>,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Wish {
    /// Not at all.
    #[default]
    Stay,
    /// Accept nothing more, finish what runs.
    Drain,
    /// End now.
    Force,
}

impl Shutdown {
    /// A server that nobody has asked to end.
    #[must_use]
    pub fn new() -> Self {
        Shutdown::default()
    }

    /// Has the server drain: accept nothing more, finish what runs, then end. Asking again
    /// changes nothing.
    pub fn drain(&self) {
        self.wish(Wish::Drain);
    }

    /// Has the server end at once; what runs is cut off.
    pub fn force(&self) {
        self.wish(Wish::Force);
    }

    fn wish(&self, wish: Wish) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wish = state.wish.max(wish);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }

    /// Waits until somebody wishes at least this.
    pub(crate) async fn wait_for(&self, wish: Wish) {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.wish >= wish {
                return Poll::Ready(());
            }
            note("shutdown");
            if !state
                .waiting
                .iter()
                .any(|waker| waker.will_wake(cx.waker()))
            {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
