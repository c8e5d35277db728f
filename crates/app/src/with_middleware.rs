//! Middleware around one handler.

use crate::endpoint::{Endpoint, HandlerEndpoint};
use crate::handler::BoxFuture;
use crate::{Handler, Middleware, Next, Request, Response};
use std::fmt;
use std::rc::Rc;

/// A handler with a middleware of its own, inside those of the router. It may be given to several
/// routes, or stand around another such handler. A clone of it shares the middleware: a limit on
/// how often something is asked for is then one for both.
///
/// ```
/// use monoloop::{Next, Request, Response, Router, StatusCode, with_middleware, IntoResponse};
///
/// async fn members_only(request: Request, next: Next) -> Response {
///     match request.header("authorization") {
///         Some(_) => next.run(request).await,
///         None => StatusCode::UNAUTHORIZED.into_response(),
///     }
/// }
///
/// let app = Router::new()
///     .get("/", |_| async { "for all\n" })
///     .get("/club", with_middleware(members_only, |_| async { "for some\n" }));
/// assert!(app.check().is_ok());
/// ```
pub fn with_middleware(middleware: impl Middleware, handler: impl Handler) -> WithMiddleware {
    let checked = middleware.check().and_then(|()| handler.check());
    let chain: [Box<dyn Middleware>; 1] = [Box::new(middleware)];
    WithMiddleware {
        chain: Rc::new(chain),
        handler: Rc::new(HandlerEndpoint::new(handler)),
        checked,
    }
}

/// What [`with_middleware`] makes.
#[derive(Clone)]
pub struct WithMiddleware {
    chain: Rc<[Box<dyn Middleware>]>,
    handler: Rc<dyn Endpoint>,
    checked: Result<(), String>,
}

impl Handler for WithMiddleware {
    type Future = BoxFuture<Response>;

    fn call(&self, request: Request) -> BoxFuture<Response> {
        Next::new(self.chain.clone(), self.handler.clone()).call(request)
    }

    fn check(&self) -> Result<(), String> {
        self.checked.clone()
    }
}

impl fmt::Debug for WithMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithMiddleware").finish_non_exhaustive()
    }
}
