//! Cookies (RFC 6265): those that come, and those that are set.

use crate::{Request, Response};
use cookie::{Cookie, CookieJar, SameSite};
use http::HeaderValue;
use http::header::SET_COOKIE;

/// Longest name and value together, in bytes, and longest attribute. Browsers ignore what is
/// longer (RFC 6265bis §5.6), and nobody would notice.
const NAME_AND_VALUE_BYTES_MAX: usize = 4096;
const ATTRIBUTE_BYTES_MAX: usize = 1024;

impl Request {
    /// The value of the first cookie of this name, percent-decoded.
    ///
    /// Whoever sends a request writes its cookies: what must not be made up has to be looked up
    /// by a value that cannot be guessed, or signed.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.each_cookie();
        let found = cookies.find(|cookie| cookie.name() == name)?;
        Some(found.value_trimmed().to_owned())
    }

    /// All cookies, percent-decoded; what is malformed is left out. The last one of a name
    /// stands.
    #[must_use]
    pub fn cookies(&self) -> CookieJar {
        let mut jar = CookieJar::new();
        for cookie in self.each_cookie() {
            jar.add_original(cookie.into_owned());
        }
        jar
    }

    /// There is one line by the standard (RFC 6265 §5.4), and several by what proxies make of it.
    fn each_cookie(&self) -> impl Iterator<Item = Cookie<'_>> {
        let fields = self.head().headers();
        let lines = fields.filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let lines = lines.filter_map(|(_, value)| str::from_utf8(value).ok());
        lines.flat_map(Cookie::split_parse_encoded).flatten()
    }
}

impl Response {
    /// Sets a cookie, as safely as it may be unless it says otherwise:
    ///
    /// | not set | becomes | so that |
    /// |---|---|---|
    /// | `HttpOnly` | `HttpOnly` | no script reads it |
    /// | `Secure` | `Secure` | it is never sent in the clear; browsers take `http://localhost` for safe |
    /// | `SameSite` | `SameSite=Lax` | other sites cannot post with it |
    /// | `Path` | `Path=/` | it does not depend on the path that has set it |
    ///
    /// Name and value are percent-encoded. A cookie that cannot be sent, or that browsers would
    /// ignore, is left out and is an error in the log: one with an empty name, longer than 4096
    /// bytes, or against the rules of its prefix (`__Host-`, `__Secure-`).
    ///
    /// ```
    /// use monoloop::cookie::Cookie;
    /// use monoloop::{Response, header};
    ///
    /// let response = Response::text("hello\n").with_cookie(("theme", "dark"));
    /// assert_eq!(
    ///     response.header(&header::SET_COOKIE).unwrap(),
    ///     "theme=dark; HttpOnly; SameSite=Lax; Secure; Path=/",
    /// );
    /// let for_scripts = Cookie::build(("lang", "de")).http_only(false);
    /// let response = Response::text("hello\n").with_cookie(for_scripts);
    /// assert_eq!(
    ///     response.header(&header::SET_COOKIE).unwrap(),
    ///     "lang=de; SameSite=Lax; Secure; Path=/",
    /// );
    /// ```
    #[must_use]
    pub fn with_cookie(mut self, cookie: impl Into<Cookie<'static>>) -> Self {
        self.add_cookie(cookie);
        self
    }

    /// Sets a cookie, see [`with_cookie`](Response::with_cookie). For middleware.
    pub fn add_cookie(&mut self, cookie: impl Into<Cookie<'static>>) {
        let mut cookie = cookie.into();
        set_defaults(&mut cookie);
        match encoded(&cookie) {
            Ok(value) => self.headers.push((SET_COOKIE, value)),
            // Not the value, which may be a secret.
            Err(reason) => {
                tracing::error!(name = cookie.name(), reason, "a cookie was left out");
            }
        }
    }

    /// Has the browser drop a cookie. `Path` and `Domain` have to be those it was set with; the
    /// path is `/` unless it says otherwise.
    #[must_use]
    pub fn without_cookie(self, cookie: impl Into<Cookie<'static>>) -> Self {
        let mut cookie = cookie.into();
        cookie.make_removal();
        self.with_cookie(cookie)
    }

    /// Sets what has changed in the cookies of a request.
    #[must_use]
    pub fn with_cookies(mut self, jar: &CookieJar) -> Self {
        for cookie in jar.delta() {
            self.add_cookie(cookie.clone());
        }
        self
    }
}

fn set_defaults(cookie: &mut Cookie<'_>) {
    if cookie.http_only().is_none() {
        cookie.set_http_only(true);
    }
    if cookie.secure().is_none() {
        cookie.set_secure(true);
    }
    if cookie.same_site().is_none() {
        cookie.set_same_site(SameSite::Lax);
    }
    if cookie.path().is_none() {
        cookie.set_path("/");
    }
}

fn encoded(cookie: &Cookie<'_>) -> Result<HeaderValue, &'static str> {
    let is_secure = cookie.secure() == Some(true);
    let is_host_wide = cookie.path() == Some("/") && cookie.domain().is_none();
    let has_prefix = |prefix: &str| {
        let start = cookie.name().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let attributes = [cookie.path(), cookie.domain()];
    let attributes = || attributes.iter().copied().flatten();

    if cookie.name().is_empty() {
        return Err("its name is empty");
    }
    if has_prefix("__Host-") && !(is_secure && is_host_wide) {
        return Err("one named __Host- is Secure, has Path=/ and no Domain");
    }
    if has_prefix("__Secure-") && !is_secure {
        return Err("one named __Secure- is Secure");
    }
    if cookie.same_site() == Some(SameSite::None) && !is_secure {
        return Err("one that is sent across sites is Secure");
    }
    // Name and value are percent-encoded; these are not.
    let is_attribute = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
    };
    if !attributes().all(is_attribute) {
        return Err("its path or domain is not plain ASCII without semicolons");
    }
    if attributes().any(|text| text.len() > ATTRIBUTE_BYTES_MAX) {
        return Err("its path or domain is longer than 1024 bytes");
    }
    let text = cookie.encoded().to_string();
    let name_and_value = text.split("; ").next().unwrap_or_default();
    if name_and_value.len() > NAME_AND_VALUE_BYTES_MAX {
        return Err("it is longer than 4096 bytes");
    }
    HeaderValue::try_from(text).map_err(|_| "it cannot stand in a header")
}
