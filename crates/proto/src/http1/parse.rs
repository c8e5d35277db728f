//! A request's head from its bytes: httparse for the grammar, the rules of HTTP on top of it.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use http::Method;
use httparse::{Header, Request, Status};

use super::error::RecvError;
use super::fields::Facts;
use super::framing::line_bytes_max;
use super::head::{BodyLength, FieldSpans, Parsed, RequestHead, Span, Version};
use super::limits::Limits;
use super::target;

/// Room for fields on the stack; only a `header_count_max` beyond it is given room on the heap.
pub(super) const FIELDS_ON_STACK: usize = 128;

/// Parses the head at the front of what was received, without a search for its end first. Returns
/// its length.
///
/// It only ever says yes. A head that is not whole, breaks a rule or exceeds a bound is for the
/// search and [`parse_head`] to judge, which find out what is wrong with it.
#[inline]
pub(super) fn parse_received(
    received: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Option<usize> {
    let window = &received[..received.len().min(limits.head_bytes_max as usize)];
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
    let count_max = limits.header_count().min(FIELDS_ON_STACK);
    let parsed = head.parsed_mut();
    match parse_into(window, limits, &mut slots[..count_max], parsed) {
        Ok(len) => Some(len),
        Err(_) => {
            parsed.clear();
            None
        }
    }
}

/// Parses a whole head: request line, fields, empty line. Every line ends in CRLF.
#[cold]
pub(super) fn parse_head(
    head: &[u8],
    line_end: usize,
    limits: &Limits,
) -> Result<RequestHead, RecvError> {
    let head = &*as_known_version(head, line_end);
    let count_max = limits.header_count();
    let mut parsed = RequestHead::new();
    let outcome = if count_max <= FIELDS_ON_STACK {
        let mut slots = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
        parse_into(head, limits, &mut slots[..count_max], parsed.parsed_mut())
    } else {
        // There cannot be more fields than lines.
        let slots_max = memchr::memchr_iter(b'\n', head).count().min(count_max);
        let mut slots = Vec::with_capacity(slots_max);
        let slots = &mut slots.spare_capacity_mut()[..slots_max];
        parse_into(head, limits, slots, parsed.parsed_mut())
    };
    match outcome {
        Ok(len) if len == head.len() => Ok(parsed),
        Err(Refusal::Rule(error)) => Err(error),
        refused => {
            // A fault of the request line comes first in the stream and is told first.
            check_request_line(&head[..line_end], limits)?;
            Err(match refused {
                Err(Refusal::Grammar(httparse::Error::TooManyHeaders)) => {
                    RecvError::TooManyFields {
                        limit: limits.header_count_max,
                    }
                }
                _ => RecvError::Field,
            })
        }
    }
}

/// Why there is no head.
enum Refusal {
    Partial,
    Grammar(httparse::Error),
    Rule(RecvError),
}

impl From<RecvError> for Refusal {
    fn from(error: RecvError) -> Self {
        Self::Rule(error)
    }
}

/// Parses a head and what it says, with these slots for its fields. Returns its length. On an
/// error `parsed` is anything, and is to be cleared or dropped.
fn parse_into<'b>(
    received: &'b [u8],
    limits: &Limits,
    slots: &mut [MaybeUninit<Header<'b>>],
    parsed: &mut Parsed,
) -> Result<usize, Refusal> {
    let mut request = Request::new(&mut []);
    let head = match request.parse_with_uninit_headers(received, slots) {
        Ok(Status::Complete(len)) => &received[..len],
        Ok(Status::Partial) => return Err(Refusal::Partial),
        Err(error) => return Err(Refusal::Grammar(error)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        unreachable!("httparse sets all three before it completes");
    };
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    let target_span = span_of(target.as_bytes(), head);
    check_target_len(target, limits)?;
    // The search for the end of the line knows by which of its parts.
    let line_len = target_span.range().end + b" HTTP/1.1".len();
    if line_len > line_bytes_max(limits) {
        return Err(RecvError::MethodTooLong.into());
    }
    // httparse takes a bare LF for the end of a line, and nothing else: every line ends in CRLF when
    // the byte before each LF is a CR, and the LF is right before the next line.
    if !head.ends_with(b"\r\n\r\n") {
        return Err(RecvError::BareLineFeed.into());
    }

    let method = match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        method => Method::from_bytes(method.as_bytes()).map_err(|_| RecvError::RequestLine)?,
    };
    let parts = target::parse(&method, target.as_bytes())?;

    let mut facts = Facts::default();
    let mut has_bare_line_feed = false;
    let known_host = part(&parsed.bytes, parsed.authority);
    parsed.fields.clear();
    for field in request.headers.iter() {
        let name = span_of(field.name.as_bytes(), head);
        has_bare_line_feed |= head.get(name.range().start.wrapping_sub(2)) != Some(&b'\r');
        facts.note(field.name, field.value, known_host)?;
        parsed.fields.push(FieldSpans {
            name,
            value: span_of(field.value, head),
        });
    }
    if has_bare_line_feed {
        return Err(RecvError::BareLineFeed.into());
    }
    if version == Version::Http11 && facts.host.is_none() {
        return Err(RecvError::HostMissing.into());
    }
    let body = facts.body_length(version, limits.body_bytes_max)?;
    let expects_continue = facts.expects_continue(version, body)?;

    let asks_upgrade =
        facts.persistence.upgrade && asks_upgrade(&method, version, body, request.headers);

    parsed.bytes.clear();
    parsed.bytes.extend_from_slice(head);
    parsed.method = method;
    parsed.version = version;
    parsed.target = target_span;
    parsed.path = parts.path.shifted(target_span.range().start);
    parsed.has_query = parts.has_query;
    parsed.authority = match parts.authority {
        Some(authority) => Some(authority.shifted(target_span.range().start)),
        None => facts.host.map(|host| span_of(host, head)),
    };
    parsed.request_id = facts.request_id.map(|id| span_of(id, head));
    parsed.body = body;
    parsed.keep_alive = facts.persistence.keep_alive(version);
    parsed.expects_continue = expects_continue;
    parsed.asks_upgrade = asks_upgrade;
    Ok(head.len())
}

/// Whether another protocol is asked for, where the connection option is there that keeps
/// intermediaries from passing the field on: by a GET of HTTP/1.1 without a body (RFC 9110 §7.8). In
/// any other request the field means nothing.
#[cold]
fn asks_upgrade(
    method: &Method,
    version: Version,
    body: BodyLength,
    fields: &[Header<'_>],
) -> bool {
    *method == Method::GET
        && version == Version::Http11
        && matches!(body, BodyLength::None | BodyLength::Sized(0))
        && fields
            .iter()
            .any(|field| field.name.eq_ignore_ascii_case("upgrade"))
}

/// Refuses a malformed request line, given with its CRLF, without the fields behind it.
#[cold]
pub(super) fn check_request_line(line: &[u8], limits: &Limits) -> Result<(), RecvError> {
    let line = &*as_known_version(line, line.len());
    let mut request = Request::new(&mut []);
    // Fields are missing, so a line that is well-formed is `Partial`.
    let outcome = request.parse_with_uninit_headers(line, &mut []);
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(RecvError::RequestLine);
    };
    if let Err(error) = outcome {
        // "GET / HTTP/2.0" is understood well enough to be told apart from noise.
        let rest = &line[method.len() + 1 + target.len() + 1..];
        let well_formed = matches!(rest, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
            if major.is_ascii_digit() && minor.is_ascii_digit());
        return Err(match error {
            httparse::Error::Version if well_formed => RecvError::Version,
            _ => RecvError::RequestLine,
        });
    }
    check_target_len(target, limits)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| RecvError::RequestLine)?;
    target::parse(&method, target.as_bytes()).map(drop)
}

#[inline]
fn check_target_len(target: &str, limits: &Limits) -> Result<(), RecvError> {
    if target.len() > limits.target_bytes_max as usize {
        return Err(RecvError::TargetTooLong {
            limit: limits.target_bytes_max,
        });
    }
    Ok(())
}

/// The same head with the version 1.1 in place of a higher minor one, which is to be taken for the
/// highest that is implemented (RFC 9110 §2.5) and which httparse does not know. Nothing else in a
/// head depends on it, and nothing moves.
fn as_known_version(head: &[u8], line_end: usize) -> Cow<'_, [u8]> {
    if let [
        ..,
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'2'..=b'9',
        b'\r',
        b'\n',
    ] = head[..line_end]
    {
        let mut head = head.to_vec();
        head[line_end - b"2\r\n".len()] = b'1';
        Cow::Owned(head)
    } else {
        Cow::Borrowed(head)
    }
}

/// Where a part of the head is in it.
#[inline]
fn span_of(part: &[u8], head: &[u8]) -> Span {
    let start = part.as_ptr() as usize - head.as_ptr() as usize;
    debug_assert!(
        start + part.len() <= head.len(),
        "a part of the head lies within it"
    );
    Span::new(start, start + part.len())
}

/// A part of the head that was in these bytes; empty when there was none.
#[inline]
fn part(bytes: &[u8], span: Option<Span>) -> &[u8] {
    span.map_or(&[], |span| &bytes[span.range()])
}
