//! A response's head, in the bytes it was received in.

use std::borrow::Cow;
use std::fmt;
use std::mem::MaybeUninit;

use http::StatusCode;
use httparse::{Header, Status};

use super::error::RecvError;
use super::fields::{Codings, Persistence, is_named, note_length};
use super::head::Version;
use super::limits::Limits;
use super::parse::FIELDS_ON_STACK;

/// How the body of a response is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBodyLength {
    /// There is no body, whatever the fields say: HEAD, 1xx, 204, 304.
    None,
    /// `Content-Length`, in bytes; may be zero.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// What comes until the connection closes.
    UntilClose,
}

/// The head of a response.
///
/// It borrows the bytes it was decoded from, and owns them only where the head came in pieces.
#[derive(Clone)]
pub struct ResponseHead<'i> {
    /// The status.
    pub status: StatusCode,
    /// The version of the status line.
    pub version: Version,
    /// How the body is framed.
    pub length: ResponseBodyLength,
    /// Whether the connection can be used again after this response.
    pub keep_alive: bool,
    bytes: Cow<'i, [u8]>,
}

impl<'i> ResponseHead<'i> {
    /// Bytes of the head, with the empty line.
    #[inline]
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The value of the first field of this name, whatever its case, without surrounding whitespace.
    ///
    /// Looked up anew at each call: most responses are never asked.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// All fields in the order they were sent.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // The grammar was checked when the head was decoded: each line has a colon and ends in LF.
        self.bytes
            .split(|&byte| byte == b'\n')
            .skip(1)
            .filter_map(|line| {
                let colon = memchr::memchr(b':', line)?;
                Some((&line[..colon], line[colon + 1..].trim_ascii()))
            })
    }

    /// Parses a head at the front of `input`. `None` when it is not whole yet; else its length too.
    #[inline]
    pub(super) fn parse(
        input: &[u8],
        expected: Expected,
        limits: &Limits,
    ) -> Result<Option<(usize, Meaning)>, RecvError> {
        // httparse would pass over any number of empty lines.
        if matches!(input.first(), Some(b'\r' | b'\n')) {
            return Err(RecvError::StatusLine);
        }
        let window = &input[..input.len().min(limits.head_bytes_max as usize)];
        let count_max = limits.header_count();
        let parsed = if count_max <= FIELDS_ON_STACK {
            let mut slots = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
            Meaning::parse(window, expected, limits, &mut slots[..count_max])?
        } else {
            let lines = memchr::memchr_iter(b'\n', window).count();
            let slots_max = lines.min(count_max);
            let mut slots = Vec::with_capacity(slots_max);
            Meaning::parse(
                window,
                expected,
                limits,
                &mut slots.spare_capacity_mut()[..slots_max],
            )?
        };
        if parsed.is_none() && input.len() >= limits.head_bytes_max as usize {
            return Err(RecvError::HeadTooLarge {
                limit: limits.head_bytes_max,
            });
        }
        Ok(parsed)
    }

    #[inline]
    pub(super) fn new(bytes: Cow<'i, [u8]>, meaning: Meaning) -> Self {
        let Meaning {
            status,
            version,
            length,
            keep_alive,
        } = meaning;
        Self {
            bytes,
            status,
            version,
            length,
            keep_alive,
        }
    }
}

impl fmt::Debug for ResponseHead<'_> {
    /// Without the fields: they hold secrets, and logs are read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("length", &self.length)
            .field("keep_alive", &self.keep_alive)
            .finish()
    }
}

/// What the request of a response means for its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Plain,
    Head,
    Connect,
}

/// Everything about a head but its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) length: ResponseBodyLength,
    pub(super) keep_alive: bool,
}

impl Meaning {
    #[inline]
    fn parse<'b>(
        input: &'b [u8],
        expected: Expected,
        limits: &Limits,
        slots: &mut [MaybeUninit<Header<'b>>],
    ) -> Result<Option<(usize, Self)>, RecvError> {
        let mut response = httparse::Response::new(&mut []);
        let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            input,
            slots,
        );
        let len = match outcome {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(RecvError::TooManyFields {
                    limit: limits.header_count_max,
                });
            }
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
                return Err(RecvError::Field);
            }
            Err(httparse::Error::Version) => return Err(RecvError::Version),
            Err(httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token) => {
                return Err(RecvError::StatusLine);
            }
        };
        let (Some(code), Some(minor)) = (response.code, response.version) else {
            unreachable!("httparse sets both before it completes");
        };
        let status = StatusCode::from_u16(code).map_err(|_| RecvError::StatusLine)?;
        let version = if minor == 0 {
            Version::Http10
        } else {
            Version::Http11
        };

        let mut content_length = None;
        let mut codings = Codings::default();
        let mut persistence = Persistence::default();
        for field in response.headers.iter() {
            let name = field.name.as_bytes();
            match name.len() {
                10 if is_named(name, b"connection") => {
                    persistence.note(field.value);
                }
                14 if is_named(name, b"content-length") => {
                    note_length(&mut content_length, field.value)?;
                }
                17 if is_named(name, b"transfer-encoding") => {
                    codings.note(field.value)?;
                }
                _ => {}
            }
        }
        let length = framing(status, version, expected, content_length, codings)?;
        let keep_alive =
            persistence.keep_alive(version) && length != ResponseBodyLength::UntilClose;
        Ok(Some((
            len,
            Self {
                status,
                version,
                length,
                keep_alive,
            },
        )))
    }
}

/// RFC 9112 §6.3, in its order.
#[inline]
fn framing(
    status: StatusCode,
    version: Version,
    expected: Expected,
    content_length: Option<u64>,
    codings: Codings,
) -> Result<ResponseBodyLength, RecvError> {
    let bodyless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if bodyless || expected == Expected::Head {
        return Ok(ResponseBodyLength::None);
    }
    if expected == Expected::Connect && status.is_success() {
        return Ok(ResponseBodyLength::UntilClose);
    }
    if codings.is_present() {
        if content_length.is_some() {
            return Err(RecvError::AmbiguousFraming);
        }
        if version == Version::Http10 {
            return Err(RecvError::TransferEncoding);
        }
        if !codings.ends_in_chunked() {
            return Ok(ResponseBodyLength::UntilClose);
        }
        codings.check()?;
        return Ok(ResponseBodyLength::Chunked);
    }
    Ok(content_length.map_or(ResponseBodyLength::UntilClose, ResponseBodyLength::Sized))
}
