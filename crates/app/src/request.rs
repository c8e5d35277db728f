//! What a handler gets.

use crate::request_pool::RequestPool;
use crate::router::RouteParams;
use crate::{Body, BodyError, RequestId};
use bytes::Bytes;
use http::{Extensions, HeaderMap, Method};
use monoloop_proto::http1::RequestHead;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// A request: its head, and its body, which may still be on its way.
///
/// It is two pointers wide, for it is handed on many times; its memory is used again for later
/// requests.
pub struct Request {
    /// Taken when it is dropped.
    parts: Option<Box<RequestParts>>,
    pool: Rc<RequestPool>,
}

/// What a request consists of.
pub(crate) struct RequestParts {
    pub(crate) head: RequestHead,
    pub(crate) body: Body,
    pub(crate) id: RequestId,
    pub(crate) peer: SocketAddr,
    pub(crate) received_at: Instant,
    pub(crate) params: RouteParams,
    pub(crate) extensions: Extensions,
    /// The session that it came in, if any.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<std::sync::Arc<crate::tls::TlsSession>>,
}

impl Request {
    /// Of parts that are filled in.
    #[inline]
    pub(crate) fn new(parts: Box<RequestParts>, pool: Rc<RequestPool>) -> Self {
        Request {
            parts: Some(parts),
            pool,
        }
    }

    #[inline]
    fn parts(&self) -> &RequestParts {
        self.parts
            .as_deref()
            .expect("only dropping takes the parts")
    }

    #[inline]
    fn parts_mut(&mut self) -> &mut RequestParts {
        self.parts
            .as_deref_mut()
            .expect("only dropping takes the parts")
    }

    pub(crate) fn set_params(&mut self, params: RouteParams) {
        self.parts_mut().params = params;
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.parts().head.method()
    }

    /// The path, percent-encoded as it was sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts().head.path()
    }

    /// What follows the first `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.parts().head.query()
    }

    /// The first value of this name in the query, decoded as a form is
    /// (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The part of the path that stands for `{name}` in the route, percent-decoded. Bytes that
    /// are no UTF-8 come out as U+FFFD.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(percent_decode_str(self.param_encoded(name)?).decode_utf8_lossy())
    }

    /// The part of the path that stands for `{name}` in the route, as it was sent.
    pub(crate) fn param_encoded(&self, name: &str) -> Option<&str> {
        let range = self.parts().params.range(name)?;
        Some(&self.path()[range])
    }

    /// The names of the route's parameters.
    #[cfg(feature = "forms")]
    pub(crate) fn param_names(&self) -> &[String] {
        self.parts().params.names()
    }

    /// The part of the path, as it was sent, that stands for the last parameter of the route; of
    /// a route without one, all that is behind the first slash.
    #[cfg(feature = "files")]
    pub(crate) fn path_rest(&self) -> &str {
        match self.parts().params.last_range() {
            Some(range) => &self.path()[range],
            None => self.path().strip_prefix('/').unwrap_or(self.path()),
        }
    }

    /// The first field of this name, whatever its case; `None` too when it is not visible ASCII
    /// (see [`header_bytes`](Request::header_bytes)).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.header_bytes(name)?;
        let visible = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        std::str::from_utf8(value).ok().filter(|_| visible)
    }

    /// The first field of this name, whatever its case.
    #[must_use]
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.parts().head.header(name)
    }

    /// All fields as a map, built at each call.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.parts().head.header_map()
    }

    /// The head as the protocol has it.
    #[must_use]
    pub fn head(&self) -> &RequestHead {
        &self.parts().head
    }

    /// The request's id, also in [`REQUEST_ID`](crate::REQUEST_ID).
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.parts().id
    }

    /// The address of the other end of the connection.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.parts().peer
    }

    /// Whether it came over TLS to this server. A proxy in front may have taken TLS off.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls().is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The TLS session that it came in: the client's certificates, the name it asked for, version
    /// and cipher. `None` over plain TCP.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&crate::tls::TlsSession> {
        self.parts().tls.as_deref()
    }

    /// The turn in which the head was complete.
    #[must_use]
    pub fn received_at(&self) -> Instant {
        self.parts().received_at
    }

    /// What middleware has left for the handler.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.parts().extensions
    }

    /// Lets middleware leave something for the handler.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.parts_mut().extensions
    }

    /// The body, to be read piece by piece.
    pub fn body(&mut self) -> &mut Body {
        &mut self.parts_mut().body
    }

    /// The body without the head.
    #[must_use]
    pub fn into_body(mut self) -> Body {
        mem::take(self.body())
    }

    /// All of the body in one piece.
    ///
    /// # Errors
    /// See [`BodyError`]; a handler may return it as its response.
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn into_bytes(self) -> Result<Bytes, BodyError> {
        self.into_body().bytes().await
    }
}

impl Drop for Request {
    #[inline]
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            self.pool.give_back(parts);
        }
    }
}

/// Method and path; fields hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", self.id())
            .field("method", self.method())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
