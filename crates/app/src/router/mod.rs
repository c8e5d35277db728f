//! Which handler answers which request.

mod app;
mod error;
mod params;
mod route;

pub(crate) use app::App;
pub use error::RouteError;
pub(crate) use params::RouteParams;

use crate::endpoint::{Endpoint, HandlerEndpoint};
use crate::handler::{Handler, Middleware};
use crate::route_label::UNMATCHED;
use crate::route_options::RouteOptions;
use http::Method;
use route::{MethodRoute, Route, param_names};
use std::fmt;
use std::rc::Rc;

/// Handlers by path and method, and the middleware around them. Made once on each loop, so
/// handlers may share `Rc`s.
///
/// A path may hold parameters: `/users/{id}` matches one segment, `/files/{*path}` the rest.
/// What is written out comes before what is a parameter.
///
/// - A path that no route matches is a 404, one without the method a 405 with `Allow`.
/// - A method that is none of RFC 9110 and RFC 5789 and has no route anywhere is a 501, and so is
///   CONNECT, which not even a fallback sees: there are no tunnels (RFC 9110 §9.1, §9.3.6).
/// - A HEAD is answered by the handler for GET, without the body.
/// - OPTIONS is answered with `Allow` unless there is a handler for it.
///
/// ```
/// use monoloop::{Request, Router};
///
/// async fn user(request: Request) -> String {
///     format!("user {}\n", request.param("id").unwrap_or_default())
/// }
///
/// let router = Router::new()
///     .get("/", |_| async { "hello\n" })
///     .get("/users/{id}", user);
/// assert!(router.check().is_ok());
/// ```
#[derive(Default)]
pub struct Router {
    paths: matchit::Router<usize>,
    routes: Vec<Route>,
    fallback: Option<Rc<dyn Endpoint>>,
    middleware: Vec<Box<dyn Middleware>>,
    error: Option<RouteError>,
    /// The route that was added last, and the method.
    last: Option<(usize, usize)>,
}

impl Router {
    /// A router that answers 404 to everything.
    #[must_use]
    pub fn new() -> Self {
        Router::default()
    }

    /// Adds a handler for one method at a path.
    #[must_use]
    pub fn route(mut self, method: Method, path: &str, handler: impl Handler) -> Self {
        let checked = handler.check();
        let added = checked.and_then(|()| self.try_route(method, path, endpoint(handler)));
        if let Err(reason) = added {
            // The first mistake is told; the others may follow from it.
            self.error.get_or_insert(RouteError {
                path: path.into(),
                reason,
            });
        }
        self
    }

    /// Adds a handler for GET, and so for HEAD.
    #[must_use]
    pub fn get(self, path: &str, handler: impl Handler) -> Self {
        self.route(Method::GET, path, handler)
    }

    /// Adds a handler for POST.
    #[must_use]
    pub fn post(self, path: &str, handler: impl Handler) -> Self {
        self.route(Method::POST, path, handler)
    }

    /// Adds a handler for PUT.
    #[must_use]
    pub fn put(self, path: &str, handler: impl Handler) -> Self {
        self.route(Method::PUT, path, handler)
    }

    /// Adds a handler for PATCH.
    #[must_use]
    pub fn patch(self, path: &str, handler: impl Handler) -> Self {
        self.route(Method::PATCH, path, handler)
    }

    /// Adds a handler for DELETE.
    #[must_use]
    pub fn delete(self, path: &str, handler: impl Handler) -> Self {
        self.route(Method::DELETE, path, handler)
    }

    /// Answers what no route matches, instead of a 404.
    #[must_use]
    pub fn fallback(mut self, handler: impl Handler) -> Self {
        self.check_middleware(handler.check());
        self.fallback = Some(endpoint(handler));
        self
    }

    /// Adds a middleware around all handlers and the answers 404 and 405. The first one added is
    /// the outermost.
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.check_middleware(middleware.check());
        self.middleware.push(Box::new(middleware));
        self
    }

    /// Has the route that was added last, with its one method, differ from the others.
    #[must_use]
    pub fn with(mut self, options: RouteOptions) -> Self {
        match self.last {
            Some((route, method)) => {
                self.routes[route].methods[method].options = Some(Rc::new(options));
            }
            None => {
                self.error.get_or_insert(RouteError {
                    path: String::new(),
                    reason: "options are given behind the route that they are for".into(),
                });
            }
        }
        self
    }

    fn check_middleware(&mut self, checked: Result<(), String>) {
        if let Err(reason) = checked {
            let path = String::new();
            self.error.get_or_insert(RouteError { path, reason });
        }
    }

    /// Whether all routes can be. The server asks before it starts.
    ///
    /// # Errors
    /// The first route that cannot: malformed, given twice, or in conflict with another.
    pub fn check(&self) -> Result<(), RouteError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn options(&self) -> impl Iterator<Item = &RouteOptions> {
        let methods = self.routes.iter().flat_map(|route| &route.methods);
        methods.filter_map(|route| route.options.as_deref())
    }

    fn try_route(
        &mut self,
        method: Method,
        path: &str,
        handler: Rc<dyn Endpoint>,
    ) -> Result<(), String> {
        if !path.starts_with('/') {
            return Err("a path begins with /".into());
        }
        let answers = MethodRoute {
            label: format!("{method} {path}").into(),
            number: UNMATCHED,
            method,
            handler,
            options: None,
        };
        let known = self.routes.iter().position(|route| route.path == path);
        if let Some(number) = known {
            let route = &mut self.routes[number];
            let mut methods = route.methods.iter();
            if methods.any(|known| known.method == answers.method) {
                return Err(format!("{} has a handler already", answers.method));
            }
            route.methods.push(answers);
            self.last = Some((number, route.methods.len() - 1));
            return Ok(());
        }
        self.paths
            .insert(path, self.routes.len())
            .map_err(|error| error.to_string())?;
        self.routes.push(Route {
            path: path.into(),
            methods: vec![answers],
            param_names: param_names(path),
        });
        self.last = Some((self.routes.len() - 1, 0));
        Ok(())
    }
}

fn endpoint(handler: impl Handler) -> Rc<dyn Endpoint> {
    Rc::new(HandlerEndpoint::new(handler))
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.routes.iter().map(|route| &route.path);
        f.debug_list().entries(paths).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    async fn hello(_: Request) -> &'static str {
        "hello"
    }

    #[test]
    fn a_route_that_cannot_be_is_named() {
        let error = |router: Router| router.check().unwrap_err().to_string();
        assert_eq!(
            error(Router::new().get("users", hello)),
            "route \"users\": a path begins with /"
        );
        assert_eq!(
            error(Router::new().get("/", hello).get("/", hello)),
            "route \"/\": GET has a handler already"
        );
        assert!(error(Router::new().get("/{a}", hello).get("/{b}", hello)).contains("/{b}"));
    }
}
