//! What tells browsers to be careful.

use crate::handler::BoxFuture;
use crate::{Middleware, Next, Request, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// A middleware that adds the header fields which tell browsers to be careful with what is
/// answered. A handler that sets one of them itself is not overruled.
///
/// | field | value | against |
/// |---|---|---|
/// | `X-Content-Type-Options` | `nosniff` | taking a file for what it is not |
/// | `X-Frame-Options` | `DENY` | being shown inside of another page (older browsers) |
/// | `Content-Security-Policy` | `default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'` | scripts from elsewhere or in the page itself, and being framed |
/// | `Referrer-Policy` | `no-referrer` | telling others where one comes from |
/// | `Cross-Origin-Opener-Policy` | `same-origin` | windows of others that hold on to this one |
/// | `Cross-Origin-Resource-Policy` | `same-origin` | being loaded into pages of others |
/// | `Permissions-Policy` | no camera, geolocation, microphone, payment, USB | scripts that ask for what the page does not need |
///
/// Precedent: the OWASP Secure Headers Project. All is forbidden that a page has not asked for, so
/// one with scripts in its markup, or an API for pages of others, has to ask, with
/// [`set`](SecurityHeaders::set).
/// `Strict-Transport-Security` needs [`hsts`](SecurityHeaders::hsts).
///
/// It sees all answers of handlers and the router's 404 and 405; what the server refuses by itself
/// before a request is understood is plain text without it.
///
/// ```
/// use monoloop::{Router, SecurityHeaders, header};
///
/// let headers = SecurityHeaders::new()
///     .set(header::X_FRAME_OPTIONS, "SAMEORIGIN")
///     .without(&header::REFERRER_POLICY);
/// let app = Router::new().middleware(headers).get("/", |_| async { "hello\n" });
/// ```
#[derive(Clone)]
pub struct SecurityHeaders {
    fields: Rc<Vec<(HeaderName, HeaderValue)>>,
    hsts: Option<(HeaderValue, Rc<IsSecure>)>,
    fault: Option<String>,
}

type IsSecure = dyn Fn(&Request) -> bool;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

const DEFAULTS: [(HeaderName, HeaderValue); 7] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; \
             object-src 'none'",
        ),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        CROSS_ORIGIN_OPENER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        CROSS_ORIGIN_RESOURCE_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        PERMISSIONS_POLICY,
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

impl SecurityHeaders {
    /// All of them, with the values above.
    #[must_use]
    pub fn new() -> Self {
        SecurityHeaders {
            fields: Rc::new(DEFAULTS.into()),
            hsts: None,
            fault: None,
        }
    }

    /// Sets one of them, or any other field, to another value. A value that cannot stand in a
    /// header is an error when the server starts.
    #[must_use]
    pub fn set(self, name: HeaderName, value: &str) -> Self {
        let mut with = self.without(&name);
        match HeaderValue::from_str(value) {
            Ok(value) => Rc::make_mut(&mut with.fields).push((name, value)),
            Err(_) => {
                let fault = format!("SecurityHeaders: {name} cannot be {value:?}");
                with.fault.get_or_insert(fault);
            }
        }
        with
    }

    /// Leaves one of them out.
    #[must_use]
    pub fn without(mut self, name: &HeaderName) -> Self {
        Rc::make_mut(&mut self.fields).retain(|(field, _)| field != name);
        self
    }

    /// Tells browsers to come by HTTPS alone for so long, in whole seconds, and to all subdomains
    /// as well (`Strict-Transport-Security`, RFC 6797). It goes out where `is_secure` says that
    /// the request came by HTTPS, for elsewhere it must not (§7.2): see
    /// [`TrustedProxies::is_https`](crate::TrustedProxies::is_https) for a server behind a proxy.
    ///
    /// There is no way back before the time is over. Begin with minutes; two years is what OWASP
    /// and the preload list ask for in the end.
    #[must_use]
    pub fn hsts(
        mut self,
        max_age: Duration,
        is_secure: impl Fn(&Request) -> bool + 'static,
    ) -> Self {
        let value = format!("max-age={}; includeSubDomains", max_age.as_secs());
        let value = HeaderValue::try_from(value).expect("a number and words are visible ASCII");
        self.hsts = Some((value, Rc::new(is_secure)));
        self
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        SecurityHeaders::new()
    }
}

impl Middleware for SecurityHeaders {
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        let fields = self.fields.clone();
        let hsts = self
            .hsts
            .as_ref()
            .filter(|(_, is_secure)| is_secure(&request));
        let hsts = hsts.map(|(value, _)| value.clone());
        Box::pin(async move {
            let mut response = next.run(request).await;
            for (name, value) in fields.iter() {
                response.set_default(name, value);
            }
            if let Some(value) = hsts {
                response.set_default(&STRICT_TRANSPORT_SECURITY, &value);
            }
            response
        })
    }

    fn check(&self) -> Result<(), String> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for SecurityHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityHeaders")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}
