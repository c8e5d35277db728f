//! A request's head, as ranges into the bytes it was received in.

use std::fmt;
use std::mem;
use std::ops::Range;
use std::str;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::fields::list;

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
#[derive(Clone, Copy, Debug, Default)]
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

/// A head's bytes and what was found in them.
#[derive(Clone)]
pub(super) struct Parsed {
    pub(super) bytes: Vec<u8>,
    /// In the order they were sent.
    pub(super) fields: Vec<FieldSpans>,
    pub(super) method: Method,
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) authority: Option<Span>,
    pub(super) request_id: Option<Span>,
    pub(super) body: BodyLength,
    pub(super) version: Version,
    pub(super) has_query: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) asks_upgrade: bool,
}

impl Default for Parsed {
    /// Of nothing yet.
    #[inline]
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            fields: Vec::new(),
            method: Method::default(),
            target: Span::default(),
            path: Span::default(),
            authority: None,
            request_id: None,
            body: BodyLength::None,
            version: Version::Http10,
            has_query: false,
            keep_alive: false,
            expects_continue: false,
            asks_upgrade: false,
        }
    }
}

impl Parsed {
    /// Of nothing, as at first, with the memory it has.
    #[cold]
    pub(super) fn clear(&mut self) {
        let (mut bytes, mut fields) = (mem::take(&mut self.bytes), mem::take(&mut self.fields));
        bytes.clear();
        fields.clear();
        *self = Self {
            bytes,
            fields,
            ..Self::default()
        };
    }
}

/// The head of a request: request line and fields, checked.
///
/// It has one copy of the bytes it was received in, and where everything is in them. It is one
/// pointer wide, for it is handed on many times, and its memory can be used again: see
/// [`Connection::receive_request`](super::Connection::receive_request).
#[derive(Clone)]
pub struct RequestHead {
    parsed: Box<Parsed>,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestHead {
    /// Room for a head to be received into. Until then it is that of a `GET /` by HTTP/1.0
    /// without fields.
    #[must_use]
    pub fn new() -> Self {
        Self {
            parsed: Box::default(),
        }
    }

    /// Bytes of memory behind the pointer: for whoever keeps heads to be used again, and no
    /// large ones.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Parsed>()
            + self.parsed.bytes.capacity()
            + self.parsed.fields.capacity() * size_of::<FieldSpans>()
            // A method that is long has memory of its own.
            + self.parsed.method.as_str().len()
    }

    #[inline]
    pub(super) fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    #[inline]
    pub(super) fn parsed_mut(&mut self) -> &mut Parsed {
        &mut self.parsed
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
        text(self.target_bytes())
    }

    /// As [`target`](Self::target), for those who can do without a `str`: it costs nothing.
    #[inline]
    #[must_use]
    pub fn target_bytes(&self) -> &[u8] {
        self.part(self.parsed.target)
    }

    /// The path, percent-encoded as it was sent: `/` when an absolute-form target has none, `*` for
    /// the asterisk form and its absolute equivalent (RFC 9112 §3.2.4), empty for CONNECT.
    #[inline]
    #[must_use]
    pub fn path(&self) -> &str {
        text(self.path_bytes())
    }

    /// As [`path`](Self::path), for those who can do without a `str`: it costs nothing.
    #[inline]
    #[must_use]
    pub fn path_bytes(&self) -> &[u8] {
        match self.part(self.parsed.path) {
            [] => self.path_of_no_path(),
            path => path,
        }
    }

    #[cold]
    fn path_of_no_path(&self) -> &'static [u8] {
        match self.parsed.method {
            Method::CONNECT => b"",
            Method::OPTIONS if !self.parsed.has_query => b"*",
            _ => b"/",
        }
    }

    /// What follows the first `?` of the target.
    #[inline]
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.parsed.has_query.then(|| {
            let query = self.parsed.path.range().end + 1..self.parsed.target.range().end;
            text(&self.parsed.bytes[query])
        })
    }

    /// The version of the request line; 1.1 for a higher minor one (RFC 9110 §2.5).
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
        self.parsed.authority.map(|span| text(self.part(span)))
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

    /// Whether the peer asks to go on in another protocol, which [`upgrades`](Self::upgrades) names:
    /// a GET of HTTP/1.1 without a body, with `Upgrade` and `Connection: upgrade` (RFC 9110 §7.8).
    ///
    /// [`Connection::send_upgrade`](super::Connection::send_upgrade) accepts. Who does not want to
    /// answers as if it had not been asked.
    #[inline]
    #[must_use]
    pub fn asks_upgrade(&self) -> bool {
        self.parsed.asks_upgrade
    }

    /// The protocols the peer asks to go on in, by its preference, as `name` or `name/version`; names
    /// are compared without regard to case (RFC 9110 §7.8). None unless it
    /// [asks](Self::asks_upgrade) as it has to.
    pub fn upgrades(&self) -> impl Iterator<Item = &[u8]> {
        self.headers()
            .filter(|(name, _)| self.asks_upgrade() && name.eq_ignore_ascii_case("upgrade"))
            .flat_map(|(_, value)| list(value))
            .filter(|protocol| !protocol.is_empty())
    }

    /// The value of the first `X-Request-Id`, found in the same pass as the framing fields.
    #[inline]
    #[must_use]
    pub fn request_id(&self) -> Option<&[u8]> {
        self.parsed.request_id.map(|span| self.part(span))
    }

    /// The value of the first field of this name, whatever its case, without surrounding whitespace.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.parsed
            .fields
            .iter()
            .find(|field| self.part(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.part(field.value))
    }

    /// All fields in the order they were sent.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.parsed
            .fields
            .iter()
            .map(|field| (text(self.part(field.name)), self.part(field.value)))
    }

    /// The fields as a map, built anew at each call. Values share one copy of the head.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let bytes = Bytes::copy_from_slice(&self.parsed.bytes);
        let mut map = HeaderMap::with_capacity(self.parsed.fields.len());
        for field in &self.parsed.fields {
            let name = HeaderName::from_bytes(self.part(field.name));
            let value = HeaderValue::from_maybe_shared(bytes.slice(field.value.range()));
            // Both were checked by the same grammar; a name longer than the map's 64 KiB is the
            // one thing it can turn down, and only where `head_bytes_max` allows for one.
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }

    #[inline]
    fn part(&self, span: Span) -> &[u8] {
        &self.parsed.bytes[span.range()]
    }
}

/// A part of a head other than a field's value. It cannot be had without being looked at once more.
#[inline]
fn text(part: &[u8]) -> &str {
    str::from_utf8(part)
        .expect("target, authority and field names are ASCII, which the parser has checked")
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
