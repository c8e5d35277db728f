//! Handlers and middleware: plain async functions.

use crate::endpoint::Endpoint;
use crate::{IntoResponse, Request, Response};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Answers requests. Implemented for every `Fn(Request)` that returns a future of something that
/// is [`IntoResponse`]; neither need be `Send`.
pub trait Handler: 'static {
    /// What answers one request.
    type Future: Future<Output = Response> + 'static;

    /// Starts to answer a request.
    fn call(&self, request: Request) -> Self::Future;

    /// Whether it is set up in a way that can be. The router asks before the server starts.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: IntoResponse,
{
    type Future = ToResponse<Fut>;

    #[inline]
    fn call(&self, request: Request) -> ToResponse<Fut> {
        ToResponse {
            answer: self(request),
        }
    }
}

pin_project! {
    /// Makes a response of what an async function returns.
    #[must_use = "futures do nothing unless awaited"]
    pub struct ToResponse<F> {
        #[pin]
        answer: F,
    }
}

impl<F> Future for ToResponse<F>
where
    F: Future,
    F::Output: IntoResponse,
{
    type Output = Response;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let polled = self.project().answer.poll(cx);
        polled.map(IntoResponse::into_response)
    }
}

impl<F> fmt::Debug for ToResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToResponse").finish_non_exhaustive()
    }
}

/// Stands around handlers. Implemented for every `Fn(Request, Next)` that returns a future of
/// something that is [`IntoResponse`].
pub trait Middleware: 'static {
    /// Starts to answer a request, or has `next` do it.
    fn call(&self, request: Request, next: Next) -> Pin<Box<dyn Future<Output = Response>>>;

    /// Whether it is set up in a way that can be. The router asks before the server starts.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<F, Fut> Middleware for F
where
    F: Fn(Request, Next) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: IntoResponse,
{
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        Box::pin(ToResponse {
            answer: self(request, next),
        })
    }
}

/// What stands behind a middleware: the next one, or the handler.
pub struct Next {
    chain: Rc<[Box<dyn Middleware>]>,
    position: usize,
    handler: Rc<dyn Endpoint>,
}

impl Next {
    pub(crate) fn new(chain: Rc<[Box<dyn Middleware>]>, handler: Rc<dyn Endpoint>) -> Self {
        Next {
            chain,
            position: 0,
            handler,
        }
    }

    /// Has the rest of the chain answer the request.
    ///
    /// # Cancel safety
    /// That of the handler.
    pub async fn run(self, request: Request) -> Response {
        self.call(request).await
    }

    pub(crate) fn call(mut self, request: Request) -> BoxFuture<Response> {
        let chain = self.chain.clone();
        match chain.get(self.position) {
            Some(middleware) => {
                self.position += 1;
                middleware.call(request, self)
            }
            None => self.handler.call(request),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.chain.len() - self.position;
        f.debug_struct("Next")
            .field("middleware_left", &left)
            .finish_non_exhaustive()
    }
}
