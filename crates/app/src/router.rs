//! Which handler answers which request.

use crate::catch_panic::{answer_caught, drop_caught};
use crate::config::HealthConfig;
use crate::endpoint::{Endpoint, FirstStep, HandlerEndpoint};
use crate::handler::{Handler, Middleware, Next};
use crate::health::Probe;
use crate::route_label::{FIRST_ROUTE, PROBE, RouteLabel, UNMATCHED};
use crate::route_options::RouteOptions;
use crate::{Request, Response};
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};
use monoloop_proto::http1::RequestHead;
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};

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

struct Route {
    path: String,
    methods: Vec<MethodRoute>,
    param_names: Rc<[String]>,
}

struct MethodRoute {
    method: Method,
    handler: Rc<dyn Endpoint>,
    label: Rc<str>,
    options: Option<Rc<RouteOptions>>,
    /// Its place among all routes, from [`FIRST_ROUTE`].
    number: u32,
}

/// A route or a middleware that cannot be: a mistake in the program, found before the server
/// starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    /// Empty when it is about no route.
    path: String,
    reason: String,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "route \"{}\": {}", self.path, self.reason),
        }
    }
}

impl std::error::Error for RouteError {}

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

/// The names of the parameters, in the order of the path. Two braces are one written out.
fn param_names(path: &str) -> Rc<[String]> {
    let plain = path.replace("{{", "").replace("}}", "");
    plain
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| name.trim_start_matches('*').to_owned())
        .collect()
}

/// Where the parameters of a route are in the request's path.
#[derive(Default)]
pub(crate) struct RouteParams {
    names: Option<Rc<[String]>>,
    ranges: Vec<Range<u32>>,
}

impl RouteParams {
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.names.is_some() {
            self.names = None;
            self.ranges.clear();
        }
    }

    #[cfg(feature = "forms")]
    pub(crate) fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    pub(crate) fn range(&self, name: &str) -> Option<Range<usize>> {
        let position = self
            .names
            .as_ref()?
            .iter()
            .position(|known| known == name)?;
        let range = self.ranges.get(position)?;
        Some(range.start as usize..range.end as usize)
    }

    #[cfg(feature = "files")]
    pub(crate) fn last_range(&self) -> Option<Range<usize>> {
        let range = self.ranges.last()?;
        Some(range.start as usize..range.end as usize)
    }
}

/// A router that no longer changes.
pub(crate) struct App {
    /// The paths without parameters, which most requests are for. The keys are the program's
    /// own, so a fast hash is as good as one that peers cannot foresee.
    plain_paths: FxHashMap<Box<[u8]>, PlainPath>,
    paths: matchit::Router<usize>,
    routes: Vec<Route>,
    fallback: Option<Rc<dyn Endpoint>>,
    middleware: Rc<[Box<dyn Middleware>]>,
    options: OptionsOfRoutes,
}

/// What differs from route to route, for a router of which some do.
struct OptionsOfRoutes {
    /// Whether any route has some.
    are_there: bool,
    body_bytes_max: u64,
    /// Those of the request that was started last.
    started: Cell<Option<Rc<RouteOptions>>>,
}

enum PlainPath {
    Route(usize),
    Probe(Probe),
}

enum Found<'a> {
    Probe(Probe),
    Route(&'a MethodRoute),
    Fallback(&'a Rc<dyn Endpoint>),
    MethodNotAllowed { allow: String },
    NotImplemented,
    Options { allow: String },
    Nothing,
}

impl App {
    /// `body_bytes_max` is for the routes that do not have their own.
    pub(crate) fn new(mut router: Router, health: &HealthConfig, body_bytes_max: u64) -> Self {
        let all = router.routes.iter_mut().flat_map(|it| &mut it.methods);
        for (number, route) in (FIRST_ROUTE..).zip(all) {
            route.number = number;
        }
        let are_there = router.options().next().is_some();
        let numbered = router.routes.iter().enumerate();
        let plain = numbered.filter(|(_, route)| !route.path.contains(['{', '}']));
        let mut plain_paths: FxHashMap<Box<[u8]>, PlainPath> = plain
            .map(|(number, route)| (route.path.as_bytes().into(), PlainPath::Route(number)))
            .collect();
        if health.enabled {
            // These come before the program's own, and the last of them before the other.
            for (path, probe) in [
                (&health.ready_path, Probe::Ready),
                (&health.live_path, Probe::Live),
            ] {
                plain_paths.insert(path.as_bytes().into(), PlainPath::Probe(probe));
            }
        }
        App {
            plain_paths,
            paths: router.paths,
            routes: router.routes,
            fallback: router.fallback,
            middleware: router.middleware.into(),
            options: OptionsOfRoutes {
                are_there,
                body_bytes_max,
                started: Cell::new(None),
            },
        }
    }

    /// How long the body of a request may be, when that is not the same for all.
    pub(crate) fn body_bytes_max_of(&self, head: &RequestHead) -> Option<u64> {
        self.options.are_there.then(|| {
            let options = self.route_of(head).and_then(|route| route.options.as_ref());
            let own = options.and_then(|options| options.body_bytes_max);
            own.unwrap_or(self.options.body_bytes_max)
        })
    }

    fn route_of(&self, head: &RequestHead) -> Option<&MethodRoute> {
        let number = match self.plain_paths.get(head.path_bytes()) {
            Some(PlainPath::Route(number)) => *number,
            Some(PlainPath::Probe(_)) => return None,
            None => *self.paths.at(head.path()).ok()?.value,
        };
        self.routes[number].of_method(head.method())
    }

    /// The options of the request that was started last.
    pub(crate) fn take_options(&self) -> Option<Rc<RouteOptions>> {
        self.options.started.take()
    }

    #[cold]
    fn note_options(&self, route: Option<&MethodRoute>) {
        let options = route.and_then(|route| route.options.clone());
        self.options.started.set(options);
    }

    /// Whether a request asks for the health of the server.
    pub(crate) fn is_probe(&self, head: &RequestHead) -> bool {
        let found = self.plain_paths.get(head.path_bytes());
        matches!(found, Some(PlainPath::Probe(_)))
    }

    /// What is shown of each route, by its number.
    pub(crate) fn labels(&self) -> Vec<String> {
        let methods = self.routes.iter().flat_map(|route| &route.methods);
        let labels = methods.map(|route| route.label.to_string());
        let ours = ["unmatched", "health"].map(str::to_owned);
        ours.into_iter().chain(labels).collect()
    }

    /// Starts to answer a request, whose route is to be shown in `shown`. Runs user code.
    #[inline]
    pub(crate) fn start(
        &self,
        mut request: Request,
        shown: &RouteLabel,
        is_leaving: bool,
        cx: &mut Context<'_>,
        response: &mut Option<Response>,
    ) -> FirstStep {
        let handler = match self.find(&mut request) {
            Found::Route(route) => {
                if self.options.are_there {
                    self.note_options(Some(route));
                }
                shown.set(&route.label, route.number);
                &route.handler
            }
            Found::Fallback(handler) => {
                self.note_options(None);
                shown.clear(UNMATCHED);
                handler
            }
            other => {
                self.note_options(None);
                let is_probe = matches!(other, Found::Probe(_));
                shown.clear(if is_probe { PROBE } else { UNMATCHED });
                return self.start_ours(&other, request, is_leaving, cx, response);
            }
        };
        if self.middleware.is_empty() {
            return handler.start(request, cx, response);
        }
        self.start_chain(handler.clone(), request, cx, response)
    }

    /// An answer of our own, which middleware gets to see as well, but not that to a probe.
    #[cold]
    fn start_ours(
        &self,
        found: &Found<'_>,
        request: Request,
        is_leaving: bool,
        cx: &mut Context<'_>,
        response: &mut Option<Response>,
    ) -> FirstStep {
        let (status, allow, text) = match found {
            Found::Probe(probe) => {
                *response = Some(probe.answer(request.method(), is_leaving));
                return FirstStep::Answered;
            }
            Found::MethodNotAllowed { allow } => {
                let text = format!("Method Not Allowed: this path takes {allow}\n");
                (StatusCode::METHOD_NOT_ALLOWED, Some(allow), text)
            }
            Found::NotImplemented => {
                let text = "Not Implemented: this server has no such method; they are told by \
                            OPTIONS *\n";
                (StatusCode::NOT_IMPLEMENTED, None, text.into())
            }
            Found::Options { allow } => (StatusCode::NO_CONTENT, Some(allow), String::new()),
            Found::Route(_) | Found::Fallback(_) | Found::Nothing => {
                (StatusCode::NOT_FOUND, None, "Not Found\n".into())
            }
        };
        let ours = HandlerEndpoint::new(answer(status, allow.cloned(), text.into()));
        if self.middleware.is_empty() {
            return ours.start(request, cx, response);
        }
        self.start_chain(Rc::new(ours), request, cx, response)
    }

    fn start_chain(
        &self,
        handler: Rc<dyn Endpoint>,
        request: Request,
        cx: &mut Context<'_>,
        response: &mut Option<Response>,
    ) -> FirstStep {
        let next = Next::new(self.middleware.clone(), handler);
        let called = catch_unwind(AssertUnwindSafe(|| next.call(request)));
        let mut future = match called {
            Ok(future) => future,
            Err(payload) => {
                answer_caught(payload, response);
                return FirstStep::Answered;
            }
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return FirstStep::Waiting(future),
            Ok(Poll::Ready(answer)) => {
                *response = Some(answer);
                drop_caught(future);
            }
            Err(payload) => {
                drop_caught(future);
                answer_caught(payload, response);
            }
        }
        FirstStep::Answered
    }

    fn find(&self, request: &mut Request) -> Found<'_> {
        let path = request.head().path_bytes();
        match self.plain_paths.get(path) {
            Some(PlainPath::Route(number)) => {
                return self.find_method(&self.routes[*number], request.method());
            }
            Some(PlainPath::Probe(probe)) => return Found::Probe(*probe),
            None => {}
        }
        // `OPTIONS *` is about the server as a whole (RFC 9110 §9.3.7).
        if path == b"*" {
            return Found::Options {
                allow: allow(self.routes.iter().flat_map(|route| &route.methods)),
            };
        }
        // CONNECT has no path, and nothing but CONNECT.
        if path.is_empty() {
            return Found::NotImplemented;
        }
        let path = request.path();
        let Ok(matched) = self.paths.at(path) else {
            return match &self.fallback {
                Some(fallback) => Found::Fallback(fallback),
                None if !self.is_implemented(request.method()) => Found::NotImplemented,
                None => Found::Nothing,
            };
        };
        let route = &self.routes[*matched.value];
        let found = self.find_method(route, request.method());
        let start = path.as_ptr() as usize;
        let ranges = matched.params.iter().map(|(_, value)| {
            // A value is a part of the path.
            let from = (value.as_ptr() as usize - start) as u32;
            from..from + value.len() as u32
        });
        let params = RouteParams {
            names: Some(route.param_names.clone()),
            ranges: ranges.collect(),
        };
        request.set_params(params);
        found
    }

    #[inline]
    fn find_method<'a>(&self, route: &'a Route, method: &Method) -> Found<'a> {
        match route.of_method(method) {
            Some(route) => Found::Route(route),
            None => self.without_method(route, method),
        }
    }

    #[cold]
    fn without_method(&self, route: &Route, method: &Method) -> Found<'static> {
        let allow = allow(&route.methods);
        match *method {
            Method::OPTIONS => Found::Options { allow },
            _ if !self.is_implemented(method) => Found::NotImplemented,
            _ => Found::MethodNotAllowed { allow },
        }
    }

    /// Whether a method means anything here. One that is known and that a path has not is a 405, any
    /// other a 501 (RFC 9110 §9.1, §15.6.2).
    fn is_implemented(&self, method: &Method) -> bool {
        let is_standard = matches!(
            *method,
            Method::GET
                | Method::HEAD
                | Method::POST
                | Method::PUT
                | Method::PATCH
                | Method::DELETE
                | Method::OPTIONS
                | Method::TRACE
        );
        let mut routes = self.routes.iter();
        is_standard || routes.any(|route| route.of_method(method).is_some())
    }
}

impl Route {
    #[inline]
    fn of_method(&self, method: &Method) -> Option<&MethodRoute> {
        let of = |wanted: &Method| self.methods.iter().find(|known| known.method == *wanted);
        of(method).or_else(|| (method == Method::HEAD).then(|| of(&Method::GET)).flatten())
    }
}

/// The value of `Allow` for these, each once, and what is answered without a handler.
fn allow<'a>(methods: impl IntoIterator<Item = &'a MethodRoute>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for known in methods {
        if !names.contains(&known.method.as_str()) {
            names.push(known.method.as_str());
        }
    }
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    if !names.contains(&"OPTIONS") {
        names.push("OPTIONS");
    }
    names.join(", ")
}

/// A handler that always answers the same, and without a text without a body.
fn answer(status: StatusCode, allow: Option<String>, text: Bytes) -> impl Handler {
    let allow = allow.map(|allow| {
        HeaderValue::from_str(&allow).expect("methods are tokens, which a header can hold")
    });
    move |_request: Request| {
        let mut response = match text.is_empty() {
            true => Response::new(status),
            false => Response::text(text.clone()).with_status(status),
        };
        if let Some(allow) = &allow {
            response.add_header(ALLOW, allow.clone());
        }
        std::future::ready(response)
    }
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

    #[test]
    fn parameters_are_named_in_the_order_of_the_path() {
        let names = |path| param_names(path).to_vec();
        assert_eq!(names("/a/{id}/b/{*rest}"), ["id", "rest"]);
        assert_eq!(names("/{{no}}/{yes}"), ["yes"]);
        assert!(names("/plain").is_empty());
    }
}
