//! A future that waits, as the model tests of the sync primitives drive it: by hand, without a loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// A future that waits, with a waker of its own that counts.
pub(crate) struct Waiting<T> {
    pub(crate) number: u32,
    future: Boxed<T>,
    woken: Arc<Count>,
    /// Wakes that a poll has answered.
    pub(crate) seen: usize,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Waiting<T> {
    /// Polls it once: the output, or itself when it waits.
    pub(crate) fn start(number: u32, future: Boxed<T>) -> Result<T, Waiting<T>> {
        let mut waiting = Waiting {
            number,
            future,
            woken: Arc::default(),
            seen: 0,
        };
        match waiting.poll() {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(waiting),
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.seen = self.wakes();
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}
