//! A handler of whatever type, and the memory that its futures have.

use crate::catch_panic::{answer_caught, drop_caught};
use crate::handler::{BoxFuture, Handler};
use crate::{Request, Response};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future larger than this leaves no memory behind for the next one.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// What came of the first step of a handler.
pub(crate) enum FirstStep {
    /// The response is where the caller wanted it: it is large, and moved no more than needed.
    Answered,
    Waiting(BoxFuture<Response>),
}

/// A handler whose type is forgotten.
pub(crate) trait Endpoint {
    /// Calls the handler and takes the first step of its future. Runs user code, whose panics
    /// end here.
    fn start(
        &self,
        request: Request,
        cx: &mut Context<'_>,
        response: &mut Option<Response>,
    ) -> FirstStep;

    /// Calls the handler. Runs user code.
    fn call(&self, request: Request) -> BoxFuture<Response>;
}

/// A handler, and where its last future was: most are over at their first step, and then one
/// allocation serves all requests.
pub(crate) struct HandlerEndpoint<H: Handler> {
    handler: H,
    spare: Cell<Option<Memory<H::Future>>>,
}

/// Where a future is, or one can be put.
type Memory<F> = Pin<Box<Slot<F>>>;

impl<H: Handler> HandlerEndpoint<H> {
    pub(crate) fn new(handler: H) -> Self {
        HandlerEndpoint {
            handler,
            spare: Cell::new(None),
        }
    }
}

impl<H: Handler> Endpoint for HandlerEndpoint<H> {
    fn start(
        &self,
        request: Request,
        cx: &mut Context<'_>,
        response: &mut Option<Response>,
    ) -> FirstStep {
        let mut slot = self.spare.take().unwrap_or_else(|| Box::pin(Slot::new()));
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            slot.as_mut().put(self.handler.call(request));
            let Poll::Ready(answer) = slot.as_mut().poll(cx) else {
                return false;
            };
            *response = Some(answer);
            slot.as_mut().clear();
            true
        }));
        match stepped {
            Ok(true) => {
                if size_of::<Slot<H::Future>>() <= KEPT_BYTES_MAX {
                    self.spare.set(Some(slot));
                }
                FirstStep::Answered
            }
            Ok(false) => FirstStep::Waiting(slot),
            Err(payload) => {
                drop_caught(slot);
                answer_caught(payload, response);
                FirstStep::Answered
            }
        }
    }

    fn call(&self, request: Request) -> BoxFuture<Response> {
        Box::pin(self.handler.call(request))
    }
}

pin_project! {
    /// Memory for one future after the other.
    struct Slot<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F> Slot<F> {
    #[cold]
    fn new() -> Self {
        Slot { future: None }
    }

    fn put(self: Pin<&mut Self>, future: F) {
        self.project().future.set(Some(future));
    }

    fn clear(self: Pin<&mut Self>) {
        self.project().future.set(None);
    }
}

impl<F: Future> Future for Slot<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().future.as_pin_mut();
        future
            .expect("a slot is polled with a future in it")
            .poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_pool::RequestPool;
    use monoloop_runtime::{Runtime, yield_now};
    use std::future::poll_fn;
    use std::rc::Rc;

    fn request() -> Request {
        let pool = Rc::new(RequestPool::default());
        Request::new(pool.take(), pool)
    }

    /// Starts `endpoint` once; whether it answered at once.
    async fn start(endpoint: &dyn Endpoint) -> bool {
        let mut response = None;
        let step = poll_fn(|cx| Poll::Ready(endpoint.start(request(), cx, &mut response))).await;
        match step {
            FirstStep::Answered => response.is_some(),
            FirstStep::Waiting(future) => {
                future.await;
                false
            }
        }
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
    fn a_future_that_is_over_at_once_leaves_its_memory_to_the_next() {
        let endpoint = HandlerEndpoint::new(|request: Request| async move {
            if request.path().len() > 1 {
                yield_now().await;
            }
        });
        let spare_at = || {
            let spare = endpoint.spare.take();
            let at = spare.as_deref().map(|slot| &raw const *slot);
            endpoint.spare.set(spare);
            at
        };
        Runtime::new().unwrap().block_on(async {
            assert!(start(&endpoint).await);
            let at = spare_at();
            assert!(at.is_some());
            assert!(start(&endpoint).await);
            assert_eq!(spare_at(), at);
        });
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
    fn a_future_that_waits_keeps_its_memory() {
        let endpoint = HandlerEndpoint::new(|_| yield_now());
        Runtime::new().unwrap().block_on(async {
            assert!(!start(&endpoint).await);
            assert!(endpoint.spare.take().is_none());
        });
    }
}
