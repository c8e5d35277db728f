//! A panic in a handler costs one request, not the connection and not the loop.

use crate::endpoint::FirstStep;
use crate::handler::BoxFuture;
use crate::{IntoResponse, Reason, Response};
use http::StatusCode;
use monoloop_runtime::introspect::note_context;
use monoloop_runtime::{Context as VarContext, InContext, Panic};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

const HANDLER_PANICKED: &str = "a handler panicked; its request is answered with 500";
const PANICKED_IN_DROP: &str = "a handler panicked while it was dropped";

/// A handler's future that turns a panic into a 500: it costs this request alone.
pub(crate) struct CatchPanic {
    future: Option<BoxFuture<Response>>,
    /// The request's.
    context: VarContext,
}

impl CatchPanic {
    /// What a handler's first step came to. The future comes back when it has to wait.
    #[inline]
    pub(crate) fn after(
        first: FirstStep,
        response: &mut Option<Response>,
    ) -> Option<InContext<CatchPanic>> {
        match first {
            FirstStep::Answered => {
                if let Some(response) = response {
                    response.make_in_current_context();
                }
                None
            }
            FirstStep::Waiting(future) => Some(CatchPanic::waiting(future)),
        }
    }

    fn waiting(future: BoxFuture<Response>) -> InContext<CatchPanic> {
        note_context();
        let context = VarContext::current();
        context.clone().scope(CatchPanic {
            future: Some(future),
            context,
        })
    }
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
            Err(payload) => {
                let mut response = None;
                answer_caught(payload, &mut response);
                Poll::Ready(response.expect("a panic is answered"))
            }
        }
    }
}

/// A handler that is stopped runs its destructors, which are as much its own as the rest.
impl Drop for CatchPanic {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.context.run(|| drop_caught(future));
        }
    }
}

/// A panic of a handler's is its answer, unless it had answered.
#[cold]
pub(crate) fn answer_caught(payload: Box<dyn Any + Send>, response: &mut Option<Response>) {
    if response.is_some() {
        return report_panic(payload, PANICKED_IN_DROP);
    }
    report_panic(payload, HANDLER_PANICKED);
    let mut answer = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    answer.reason = Reason::Panic;
    *response = Some(answer);
}

/// Drops a handler's future, whose destructors may panic.
pub(crate) fn drop_caught<T>(future: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
        report_panic(payload, PANICKED_IN_DROP);
    }
}

/// Inside the request's context, so that the line has its id.
#[cold]
pub(crate) fn report_panic(payload: Box<dyn Any + Send>, what: &str) {
    tracing::error!(panic = Panic::new(payload).message(), "{what}");
}
