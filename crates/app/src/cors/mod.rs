//! Which pages of other sites may read what is answered (the Fetch standard, "CORS protocol").

mod origin;

use crate::handler::BoxFuture;
use crate::{Middleware, Next, Request, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use origin::Origins;
use std::fmt;
use std::future::ready;
use std::time::Duration;

/// A middleware that lets pages of other origins use what is here: it answers the browser's
/// question beforehand (the preflight), which then does not reach a handler, and says in each
/// response who may read it.
///
/// Nothing is allowed that was not asked for. A handler that sets `Access-Control-Allow-Origin`
/// itself is left alone. It protects the user of a browser from other pages, and
/// nothing else: requests of an origin that is not allowed are still answered, for whoever is no
/// browser sends what it likes.
///
/// It stands around the whole router: who asks beforehand does so with OPTIONS, which a route for
/// PUT never sees.
///
/// What cannot be, such as credentials for any origin, is an error when the server starts.
///
/// ```
/// use monoloop::{Cors, Method, Router, header};
/// use std::time::Duration;
///
/// let cors = Cors::new()
///     .origins(["https://app.example", "http://localhost:3000"])
///     .methods([Method::GET, Method::PUT])
///     .headers([header::CONTENT_TYPE])
///     .credentials()
///     .max_age(Duration::from_secs(3600));
/// let app = Router::new().middleware(cors).get("/", |_| async { "hello\n" });
/// assert!(app.check().is_ok());
///
/// let app = Router::new().middleware(Cors::new().any_origin().credentials());
/// assert!(app.check().is_err());
/// ```
#[derive(Clone)]
pub struct Cors {
    origins: Origins,
    methods: Allowed<Method>,
    headers: Allowed<HeaderName>,
    exposed: Vec<HeaderName>,
    has_credentials: bool,
    max_age: Option<Duration>,
}

#[derive(Clone)]
enum Allowed<T> {
    Any,
    These(Vec<T>),
}

impl Cors {
    /// Allows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Cors {
            origins: Origins::default(),
            methods: Allowed::These(Vec::new()),
            headers: Allowed::These(Vec::new()),
            exposed: Vec::new(),
            has_credentials: false,
            max_age: None,
        }
    }

    /// Allows these origins, written as browsers write them: `https://app.example`, with the port
    /// when it is not that of the scheme, without a slash at the end.
    #[must_use]
    pub fn origins<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        self.origins.add(origins);
        self
    }

    /// Allows every origin: for what is public.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins.allow_any();
        self
    }

    /// Allows an origin when this says so, beside those that are named. What looks like an origin
    /// is `null` for pages that have none, such as files and sandboxes of anybody.
    #[must_use]
    pub fn origin_if(mut self, allows: impl Fn(&str) -> bool + 'static) -> Self {
        self.origins.allow_if(allows);
        self
    }

    /// Allows these methods. GET, HEAD and POST need no permission by themselves.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.add(methods);
        self
    }

    /// Allows every method.
    #[must_use]
    pub fn any_method(mut self) -> Self {
        self.methods = Allowed::Any;
        self
    }

    /// Allows requests to have these fields. `Accept`, `Accept-Language` and `Content-Language`
    /// need no permission, nor does a `Content-Type` that a form can have.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers.add(headers);
        self
    }

    /// Allows requests to have any fields.
    #[must_use]
    pub fn any_header(mut self) -> Self {
        self.headers = Allowed::Any;
        self
    }

    /// Lets pages read these fields of a response, beside the few that they may read anyway.
    #[must_use]
    pub fn expose(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed.extend(headers);
        self
    }

    /// Lets pages send the user's cookies along, and read what was answered to them.
    #[must_use]
    pub fn credentials(mut self) -> Self {
        self.has_credentials = true;
        self
    }

    /// How long a browser need not ask again, in whole seconds. Unset: 5 seconds. Chrome takes up
    /// to 2 hours, Firefox up to 24.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The answer to a browser that asks beforehand.
    fn answer_preflight(&self, request: &Request) -> Response {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let Some(origin) = self.allowed_origin(request) else {
            let reason = "pages of this origin may not use what is here\n";
            response = Response::text(reason).with_status(StatusCode::FORBIDDEN);
            self.add_vary(&mut response);
            return response;
        };
        self.allow_origin(&mut response, Some(origin));
        let (asked_method, asked_headers) = (
            field(request, &ACCESS_CONTROL_REQUEST_METHOD),
            field(request, &ACCESS_CONTROL_REQUEST_HEADERS),
        );
        // What browsers make of `*` depends on credentials; what was asked for always does.
        let methods = match &self.methods {
            Allowed::Any => asked_method,
            Allowed::These(methods) => joined(methods.iter().map(Method::as_str)),
        };
        let headers = match &self.headers {
            Allowed::Any => asked_headers,
            Allowed::These(headers) => joined(headers.iter().map(HeaderName::as_str)),
        };
        let max_age = self.max_age.map(|max_age| max_age.as_secs().into());
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, headers),
            (ACCESS_CONTROL_MAX_AGE, max_age),
        ] {
            if let Some(value) = value {
                response.add_header(name, value);
            }
        }
        response.add_vary("access-control-request-method");
        response.add_vary("access-control-request-headers");
        response
    }

    /// The value that says that the page which asks may read the response.
    fn allowed_origin(&self, request: &Request) -> Option<HeaderValue> {
        if self.origins.is_any() {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = request.header(ORIGIN.as_str())?;
        let is_allowed = self.origins.allows(origin);
        HeaderValue::from_str(origin).ok().filter(|_| is_allowed)
    }

    /// Lets the page with this origin read the response. Whether it does.
    fn allow_origin(&self, response: &mut Response, origin: Option<HeaderValue>) -> bool {
        self.add_vary(response);
        // A handler that says so itself is the one that knows, and what it leaves out as well.
        let is_said = response.header(&ACCESS_CONTROL_ALLOW_ORIGIN).is_some();
        let Some(origin) = origin.filter(|_| !is_said) else {
            return false;
        };
        response.add_header(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.has_credentials {
            let yes = HeaderValue::from_static("true");
            response.set_default(&ACCESS_CONTROL_ALLOW_CREDENTIALS, &yes);
        }
        true
    }

    /// One that is the same for all origins does not depend on it, and so caches need not keep
    /// one for each.
    fn add_vary(&self, response: &mut Response) {
        if !self.origins.is_any() {
            response.add_vary("origin");
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        Cors::new()
    }
}

impl<T: PartialEq> Allowed<T> {
    fn add(&mut self, more: impl IntoIterator<Item = T>) {
        if let Allowed::These(these) = self {
            these.extend(more);
        }
    }
}

impl Middleware for Cors {
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        if is_preflight(&request) {
            return Box::pin(ready(self.answer_preflight(&request)));
        }
        let origin = self.allowed_origin(&request);
        let exposed = joined(self.exposed.iter().map(HeaderName::as_str));
        let cors = Cors {
            // What is needed behind the handler.
            methods: Allowed::Any,
            headers: Allowed::Any,
            exposed: Vec::new(),
            ..self.clone()
        };
        Box::pin(async move {
            let mut response = next.run(request).await;
            let is_allowed = cors.allow_origin(&mut response, origin);
            if let Some(exposed) = exposed.filter(|_| is_allowed) {
                response.set_default(&ACCESS_CONTROL_EXPOSE_HEADERS, &exposed);
            }
            response
        })
    }

    fn check(&self) -> Result<(), String> {
        self.origins.check()?;
        if self.has_credentials && self.origins.is_any() {
            return Err(
                "Cors: with credentials the origins have to be named (origins, or \
                        origin_if), for any page could act as the user"
                    .into(),
            );
        }
        Ok(())
    }
}

/// Whether a browser asks beforehand. An OPTIONS without this is for the handler.
fn is_preflight(request: &Request) -> bool {
    let has = |name: &HeaderName| request.header_bytes(name.as_str()).is_some();
    *request.method() == Method::OPTIONS && has(&ORIGIN) && has(&ACCESS_CONTROL_REQUEST_METHOD)
}

/// A field of the request that is sent back: visible ASCII, as lists of names are.
fn field(request: &Request, name: &HeaderName) -> Option<HeaderValue> {
    let value = request.header(name.as_str())?;
    HeaderValue::from_str(value).ok()
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let names: Vec<&str> = names.collect();
    let list = HeaderValue::try_from(names.join(", "));
    list.ok().filter(|_| !names.is_empty())
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("origins", &self.origins)
            .field("credentials", &self.has_credentials)
            .finish_non_exhaustive()
    }
}
