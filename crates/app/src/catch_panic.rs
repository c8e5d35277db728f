//! A panic in a handler costs one request, not the connection and not the loop.

use crate::handler::BoxFuture;
use crate::{IntoResponse, Response};
use http::StatusCode;
use monoloop_runtime::Panic;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

const HANDLER_PANICKED: &str = "a handler panicked; its request is answered with 500";

/// A handler's future that turns a panic into a 500: it costs this request alone.
pub(crate) struct CatchPanic {
    future: Option<BoxFuture<Response>>,
}

impl CatchPanic {
    /// Calls a handler, which may panic before it returns a future.
    pub(crate) fn call(start: impl FnOnce() -> BoxFuture<Response>) -> Self {
        let future = catch_unwind(AssertUnwindSafe(start));
        CatchPanic {
            future: future
                .map_err(|payload| report_panic(payload, HANDLER_PANICKED))
                .ok(),
        }
    }
}

impl Future for CatchPanic {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let failed = || Poll::Ready(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        let Some(future) = &mut self.future else {
            return failed();
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Response::in_current_context),
            Err(payload) => {
                report_panic(payload, HANDLER_PANICKED);
                failed()
            }
        }
    }
}

/// A handler that is stopped runs its destructors, which are as much its own as the rest.
impl Drop for CatchPanic {
    fn drop(&mut self) {
        let future = self.future.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            report_panic(payload, "a handler panicked while it was dropped");
        }
    }
}

/// Inside the request's context, so that the line has its id.
#[cold]
pub(crate) fn report_panic(payload: Box<dyn Any + Send>, what: &str) {
    tracing::error!(panic = Panic::new(payload).message(), "{what}");
}
