//! A router that serves: it finds the handler of a request and has it begin.

use super::Router;
use super::params::RouteParams;
use super::route::{MethodRoute, Route, allow};
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
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};

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

    /// How long the body of a request may be, when that is not the same for all.
    pub(crate) fn body_bytes_max_of(&self, head: &RequestHead) -> Option<u64> {
        self.options.are_there.then(|| {
            let options = self.route_of(head).and_then(|route| route.options.as_ref());
            let own = options.and_then(|options| options.body_bytes_max);
            own.unwrap_or(self.options.body_bytes_max)
        })
    }

    /// For all but [`find`](App::find), which looks for itself: what each request does is one piece of
    /// code as long as nobody else calls the same function.
    #[cold]
    fn plain_path(&self, path: &[u8]) -> Option<&PlainPath> {
        let found = self.plain_paths.get_key_value(path);
        found.map(|(_, plain)| plain)
    }

    fn route_of(&self, head: &RequestHead) -> Option<&MethodRoute> {
        let number = match self.plain_path(head.path_bytes()) {
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
        let found = self.plain_path(head.path_bytes());
        matches!(found, Some(PlainPath::Probe(_)))
    }

    /// What is shown of each route, by its number.
    pub(crate) fn labels(&self) -> Vec<String> {
        let methods = self.routes.iter().flat_map(|route| &route.methods);
        let labels = methods.map(|route| route.label.to_string());
        let ours = ["unmatched", "health"].map(str::to_owned);
        ours.into_iter().chain(labels).collect()
    }
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
