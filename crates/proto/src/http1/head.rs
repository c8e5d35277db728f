//! A request's head, as ranges into the bytes it was received in.

use std::fmt;
use std::ops::Range;
use std::str;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A range of a head. Heads are bounded by a `u32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        // A head ends within `head_bytes_max`, which is a u32.
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    #[inline]
    pub(super) fn shifted(self, by: usize) -> Self {
        Self::new(self.start as usize + by, self.end as usize + by)
    }
}

/// Where one field's name and value are.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldSpans {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// The version a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl From<Version> for http::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::HTTP_10,
            Version::Http11 => Self::HTTP_11,
        }
    }
}

/// How the body of a request is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Neither `Content-Length` nor `Transfer-Encoding`: there is none.
    None,
    /// `Content-Length`, in bytes; may be zero.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Everything about a head but its bytes.
#[derive(Clone)]
pub(super) struct Parsed {
    pub(super) method: Method,
    pub(super) fields: Box<[FieldSpans]>,
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) authority: Option<Span>,
    pub(super) request_id: Option<Span>,
    pub(super) body: BodyLength,
    pub(super) version: Version,
    pub(super) has_query: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

/// The head of a request: request line and fields, checked and not copied.
///
/// It shares the bytes it was received in and holds two allocations at most: those bytes and the
/// ranges of its fields. A clone copies the ranges and counts the bytes up.
#[derive(Clone)]
pub struct RequestHead {
    bytes: Bytes,
    parsed: Parsed,
}

impl RequestHead {
    #[inline]
    pub(super) fn new(bytes: Bytes, parsed: Parsed) -> Self {
        Self { bytes, parsed }
    }

    /// The method. Which ones there are is the application's to know.
    #[inline]
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parsed.method
    }

    /// The target as it was sent, in any of its four forms (RFC 9112 §3.2).
    #[inline]
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.parsed.target)
    }

    /// The path, percent-encoded as it was sent: `/` when an absolute-form target has none, `*` for
    /// the asterisk form and its absolute equivalent (RFC 9112 §3.2.4), empty for CONNECT.
    #[inline]
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.text(self.parsed.path);
        if path.is_empty() {
            self.path_of_no_path()
        } else {
            path
        }
    }

    #[cold]
    fn path_of_no_path(&self) -> &str {
        match self.parsed.method {
            Method::CONNECT => "",
            Method::OPTIONS if !self.parsed.has_query => "*",
            _ => "/",
        }
    }

    /// What follows the first `?` of the target.
    #[inline]
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.parsed.has_query.then(|| {
            let query = self.parsed.path.range().end + 1..self.parsed.target.range().end;
            self.text(Span::new(query.start, query.end))
        })
    }

    /// The version of the request line.
    #[inline]
    #[must_use]
    pub fn version(&self) -> Version {
        self.parsed.version
    }

    /// The host, with its port if one was given: the target's authority, which overrides `Host`
    /// (RFC 9112 §3.2.2), or else the value of `Host`. It is checked, and may be empty.
    #[inline]
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.parsed.authority.map(|span| self.text(span))
    }

    /// How the body is framed.
    #[inline]
    #[must_use]
    pub fn body(&self) -> BodyLength {
        self.parsed.body
    }

    /// Whether the peer wants the connection kept after this request (RFC 9112 §9.3).
    #[inline]
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.parsed.keep_alive
    }

    /// Whether the peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    #[inline]
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.parsed.expects_continue
    }

    /// The value of the first `X-Request-Id`, found in the same pass as the framing fields.
    #[inline]
    #[must_use]
    pub fn request_id(&self) -> Option<&[u8]> {
        self.parsed.request_id.map(|span| &self.bytes[span.range()])
    }

    /// The value of the first field of this name, whatever its case, without surrounding whitespace.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.parsed
            .fields
            .iter()
            .find(|field| self.bytes[field.name.range()].eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| &self.bytes[field.value.range()])
    }

    /// All fields in the order they were sent.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.parsed
            .fields
            .iter()
            .map(|field| (self.text(field.name), &self.bytes[field.value.range()]))
    }

    /// The fields as a map, built anew at each call. Values share the bytes of the head.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.parsed.fields.len());
        for field in &self.parsed.fields {
            let name = HeaderName::from_bytes(&self.bytes[field.name.range()]);
            let value = HeaderValue::from_maybe_shared(self.bytes.slice(field.value.range()));
            // Both were checked by the same grammar; a name longer than the map's 64 KiB is the
            // one thing it can turn down, and only where `head_bytes_max` allows for one.
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        str::from_utf8(&self.bytes[span.range()])
            .expect("target, authority and field names are ASCII, which the parser has checked")
    }
}

impl fmt::Debug for RequestHead {
    /// Method, target and version: fields hold secrets, and logs are read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.parsed.method)
            .field("target", &self.target())
            .field("version", &self.parsed.version)
            .field("fields", &self.parsed.fields.len())
            .field("body", &self.parsed.body)
            .finish()
    }
}
