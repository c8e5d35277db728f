//! A request's head from its bytes: httparse for the grammar, the rules of HTTP on top of it.

use std::mem::MaybeUninit;

use http::Method;
use httparse::{Header, Status};

use super::error::RecvError;
use super::fields::Facts;
use super::head::{FieldSpans, Parsed, Span, Version};
use super::limits::Limits;
use super::target;

/// Room for fields on the stack; only a `header_count_max` beyond it is given room on the heap.
pub(super) const FIELDS_ON_STACK: usize = 128;

/// Parses a whole head: request line, fields, empty line. Every line ends in CRLF.
#[inline]
pub(super) fn parse_head(
    head: &[u8],
    line_end: usize,
    limits: &Limits,
) -> Result<Parsed, RecvError> {
    let count_max = limits.header_count();
    if count_max <= FIELDS_ON_STACK {
        let mut slots = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
        parse_into(head, line_end, limits, &mut slots[..count_max])
    } else {
        // There cannot be more fields than lines.
        let lines = memchr::memchr_iter(b'\n', head).count();
        let slots_max = lines.min(count_max);
        let mut slots = Vec::with_capacity(slots_max);
        parse_into(
            head,
            line_end,
            limits,
            &mut slots.spare_capacity_mut()[..slots_max],
        )
    }
}

fn parse_into<'b>(
    head: &'b [u8],
    line_end: usize,
    limits: &Limits,
    slots: &mut [MaybeUninit<Header<'b>>],
) -> Result<Parsed, RecvError> {
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, slots) {
        Ok(Status::Complete(len)) if len == head.len() => {}
        outcome => {
            // A fault of the request line comes first in the stream and is told first.
            check_request_line(&head[..line_end])?;
            return Err(match outcome {
                Err(httparse::Error::TooManyHeaders) => RecvError::TooManyFields {
                    limit: limits.header_count_max,
                },
                _ => RecvError::Field,
            });
        }
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        unreachable!("httparse sets all three before it completes");
    };
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| RecvError::RequestLine)?;
    let parts = target::parse(&method, target.as_bytes())?;

    let mut facts = Facts::default();
    let mut fields = Vec::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        facts.note(field.name, field.value)?;
        fields.push(FieldSpans {
            name: span_of(field.name.as_bytes(), head),
            value: span_of(field.value, head),
        });
    }

    if version == Version::Http11 && facts.host.is_none() {
        return Err(RecvError::HostMissing);
    }
    let body = facts.body_length(version, limits.body_bytes_max)?;
    let expects_continue = facts.expects_continue(version, body)?;

    let target = span_of(target.as_bytes(), head);
    let target_start = target.range().start;
    Ok(Parsed {
        method,
        fields: fields.into_boxed_slice(),
        target,
        path: parts.path.shifted(target_start),
        authority: match parts.authority {
            Some(authority) => Some(authority.shifted(target_start)),
            None => facts.host.map(|host| span_of(host, head)),
        },
        request_id: facts.request_id.map(|id| span_of(id, head)),
        body,
        version,
        has_query: parts.has_query,
        keep_alive: facts.persistence.keep_alive(version),
        expects_continue,
    })
}

/// Refuses a malformed request line, given with its CRLF, without the fields behind it.
#[cold]
pub(super) fn check_request_line(line: &[u8]) -> Result<(), RecvError> {
    let mut request = httparse::Request::new(&mut []);
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
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| RecvError::RequestLine)?;
    target::parse(&method, target.as_bytes()).map(drop)
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
