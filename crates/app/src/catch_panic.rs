//! A panic in a handler costs one request, not the connection and not the loop.

use crate::endpoint::FirstStep;
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
    /// Has a handler called and its future take the first step. The future comes back when it
    /// has to wait.
    #[inline]
    pub(crate) fn start(
        response: &mut Option<Response>,
        start: impl FnOnce(&mut Option<Response>) -> FirstStep,
    ) -> Option<CatchPanic> {
        match catch_unwind(AssertUnwindSafe(|| start(response))) {
            Ok(FirstStep::Answered) => {
                if let Some(response) = response {
                    response.make_in_current_context();
                }
                None
            }
            Ok(FirstStep::Waiting(future)) => Some(CatchPanic {
                future: Some(future),
            }),
            Err(payload) => {
                *response = Some(answer_panic(payload));
                None
            }
        }
    }
}

#[cold]
fn answer_panic(payload: Box<dyn Any + Send>) -> Response {
    report_panic(payload, HANDLER_PANICKED);
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

impl Future for CatchPanic {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let future = self
            .future
            .as_mut()
            .expect("only dropping takes the future");
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(|mut response| {
                response.make_in_current_context();
                response
            }),
            Err(payload) => Poll::Ready(answer_panic(payload)),
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
