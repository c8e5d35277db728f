//! Handlers and middleware: plain async functions behind one pointer.

use crate::{IntoResponse, Request, Response};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Answers requests. Implemented for every `Fn(Request)` that returns a future of something that
/// is [`IntoResponse`]; neither need be `Send`.
pub trait Handler: 'static {
    /// Starts to answer a request.
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response>>>;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: IntoResponse,
{
    fn call(&self, request: Request) -> BoxFuture<Response> {
        let answer = self(request);
        Box::pin(async move { answer.await.into_response() })
    }
}

/// Stands around handlers. Implemented for every `Fn(Request, Next)` that returns a future of
/// something that is [`IntoResponse`].
pub trait Middleware: 'static {
    /// Starts to answer a request, or has `next` do it.
    fn call(&self, request: Request, next: Next) -> Pin<Box<dyn Future<Output = Response>>>;
}

impl<F, Fut> Middleware for F
where
    F: Fn(Request, Next) -> Fut + 'static,
    Fut: Future + 'static,
    Fut::Output: IntoResponse,
{
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        let answer = self(request, next);
        Box::pin(async move { answer.await.into_response() })
    }
}

/// What stands behind a middleware: the next one, or the handler.
pub struct Next {
    chain: Rc<[Box<dyn Middleware>]>,
    position: usize,
    handler: Rc<dyn Handler>,
}

impl Next {
    pub(crate) fn new(chain: Rc<[Box<dyn Middleware>]>, handler: Rc<dyn Handler>) -> Self {
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
