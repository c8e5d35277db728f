//! What can go wrong, by whose fault it is.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// The peer broke the protocol or one of our [`Limits`](super::Limits).
///
/// It is final: a connection that returned one returns it again and decodes nothing more, because
/// where the next message would begin is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The request line is not `method SP target SP HTTP/d.d` (RFC 9112 §3).
    RequestLine,
    /// The request target is in none of the four forms, in one its method does not allow, or holds
    /// bytes that a URI cannot (RFC 9112 §3.2).
    Target,
    /// The request line is longer than `target_bytes_max` (RFC 9112 §3).
    TargetTooLong {
        /// The bound, in bytes.
        limit: u32,
    },
    /// A well-formed version of another major than 1 (RFC 9110 §15.6.6). A request of a higher minor
    /// version than 1.1 is taken for one of 1.1 (RFC 9110 §2.5).
    Version,
    /// A line of the head, of the chunk framing or of the trailers ends in a bare LF. Recipients may
    /// tolerate it (RFC 9112 §2.2); two that disagree make a smuggled request.
    BareLineFeed,
    /// More empty lines than `empty_lines_max` before a request line (RFC 9112 §2.2).
    EmptyLines {
        /// The bound, in lines.
        limit: u8,
    },
    /// A field line is malformed: whitespace before the colon, a folded line, a control byte, an
    /// invalid name (RFC 9112 §5, RFC 9110 §5.5).
    Field,
    /// More fields than `header_count_max` (RFC 6585 §5).
    TooManyFields {
        /// The bound, in fields.
        limit: u16,
    },
    /// The head is longer than `head_bytes_max` (RFC 6585 §5).
    HeadTooLarge {
        /// The bound, in bytes.
        limit: u32,
    },
    /// A HTTP/1.1 request without `Host` (RFC 9112 §3.2).
    HostMissing,
    /// More than one `Host` (RFC 9112 §3.2).
    HostRepeated,
    /// `Host` is not a host with an optional port (RFC 9112 §3.2, RFC 3986 §3.2.2).
    Host,
    /// `Content-Length` is not a decimal number that fits 64 bits, or is given twice with different
    /// values (RFC 9112 §6.3, RFC 9110 §8.6).
    ContentLength,
    /// `Transfer-Encoding` is not a list of codings that ends in `chunked` and holds it once, or
    /// comes with HTTP/1.0 (RFC 9112 §6.1, §6.3).
    TransferEncoding,
    /// `Transfer-Encoding` names a coding beside `chunked`, and none other is implemented
    /// (RFC 9112 §6.1).
    UnknownCoding,
    /// `Transfer-Encoding` and `Content-Length` in one message (RFC 9112 §6.3).
    AmbiguousFraming,
    /// `Expect` asks for something else than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// The body is, or is announced to be, longer than `body_bytes_max` (RFC 9110 §15.5.14).
    BodyTooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// A chunk size is not 1 to 16 hexadecimal digits (RFC 9112 §7.1).
    ChunkSize,
    /// A chunk extension is malformed (RFC 9112 §7.1.1).
    ChunkExtension,
    /// More bytes of chunk extensions than `chunk_extension_bytes_max` (RFC 9112 §7.1.1).
    ChunkExtensionsTooLarge {
        /// The bound, in bytes.
        limit: u32,
    },
    /// The CRLF that ends a chunk is not where its size says (RFC 9112 §7.1).
    ChunkEnd,
    /// The trailer section is longer than `trailer_bytes_max` (RFC 9112 §7.1.2, RFC 6585 §5).
    TrailersTooLarge {
        /// The bound, in bytes.
        limit: u32,
    },
    /// The peer finished sending in the middle of a message, or closed before it answered
    /// (RFC 9112 §8).
    UnexpectedEof,
    /// Client: the status line is malformed (RFC 9112 §4).
    StatusLine,
    /// Client: a response that no request asked for, or a switch to another protocol that none
    /// asked for (RFC 9112 §9.2, RFC 9110 §15.2.2).
    UnexpectedResponse,
    /// Client: more informational responses than `informational_count_max` (RFC 9110 §15.2).
    TooManyInformational {
        /// The bound, in responses.
        limit: u8,
    },
}

impl RecvError {
    /// The status a server answers this with; `None` when there is nobody to answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::RequestLine
            | Self::Target
            | Self::BareLineFeed
            | Self::EmptyLines { .. }
            | Self::Field
            | Self::HostMissing
            | Self::HostRepeated
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::AmbiguousFraming
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkExtensionsTooLarge { .. }
            | Self::ChunkEnd => Some(StatusCode::BAD_REQUEST),
            Self::TargetTooLong { .. } => Some(StatusCode::URI_TOO_LONG),
            Self::TooManyFields { .. }
            | Self::HeadTooLarge { .. }
            | Self::TrailersTooLarge { .. } => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::BodyTooLarge { .. } => Some(StatusCode::PAYLOAD_TOO_LARGE),
            Self::Expectation => Some(StatusCode::EXPECTATION_FAILED),
            Self::UnknownCoding => Some(StatusCode::NOT_IMPLEMENTED),
            Self::Version => Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
            Self::UnexpectedEof
            | Self::StatusLine
            | Self::UnexpectedResponse
            | Self::TooManyInformational { .. } => None,
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestLine => f.write_str("malformed request line"),
            Self::Target => f.write_str("invalid request target"),
            Self::TargetTooLong { limit } => {
                write!(f, "request line over the limit of {limit} bytes")
            }
            Self::Version => f.write_str("HTTP version is not 1.x"),
            Self::BareLineFeed => f.write_str("line feed without carriage return"),
            Self::EmptyLines { limit } => {
                write!(f, "more than {limit} empty lines before the request line")
            }
            Self::Field => f.write_str("malformed field line"),
            Self::TooManyFields { limit } => write!(f, "fields over the limit of {limit}"),
            Self::HeadTooLarge { limit } => write!(f, "head over the limit of {limit} bytes"),
            Self::HostMissing => f.write_str("Host is missing"),
            Self::HostRepeated => f.write_str("Host is given more than once"),
            Self::Host => f.write_str("Host is not a host with an optional port"),
            Self::ContentLength => f.write_str("invalid Content-Length"),
            Self::TransferEncoding => {
                f.write_str("Transfer-Encoding does not end in chunked, or holds it twice")
            }
            Self::UnknownCoding => f.write_str("transfer coding other than chunked"),
            Self::AmbiguousFraming => f.write_str("Content-Length and Transfer-Encoding together"),
            Self::Expectation => f.write_str("expectation other than 100-continue"),
            Self::BodyTooLarge { limit } => write!(f, "body over the limit of {limit} bytes"),
            Self::ChunkSize => f.write_str("invalid chunk size"),
            Self::ChunkExtension => f.write_str("malformed chunk extension"),
            Self::ChunkExtensionsTooLarge { limit } => {
                write!(f, "chunk extensions over the limit of {limit} bytes")
            }
            Self::ChunkEnd => f.write_str("chunk does not end where its size says"),
            Self::TrailersTooLarge { limit } => {
                write!(f, "trailers over the limit of {limit} bytes")
            }
            Self::UnexpectedEof => f.write_str("the peer finished in the middle of a message"),
            Self::StatusLine => f.write_str("malformed status line"),
            Self::UnexpectedResponse => f.write_str("a response that no request asked for"),
            Self::TooManyInformational { limit } => {
                write!(f, "more than {limit} informational responses in a row")
            }
        }
    }
}

impl Error for RecvError {}

/// Our own caller asked for a message that may not be sent. Always a bug to fix.
///
/// Nothing is written by the call that returns one. A response that cannot be completed is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No request waits for a response.
    NothingToAnswer,
    /// The head of this response has been sent.
    HeadAlreadySent,
    /// Body or end before the head.
    HeadMissing,
    /// The status is informational, or accepts a tunnel, which is not implemented: 1xx, or 2xx to
    /// CONNECT (RFC 9110 §9.3.6, §15.2).
    UnsupportedStatus(StatusCode),
    /// A switch to another protocol that the request did not ask for (RFC 9110 §7.8).
    UpgradeNotAsked,
    /// More body than the announced length (RFC 9110 §8.6).
    BodyTooLong {
        /// Bytes beyond the announced length.
        excess: u64,
    },
    /// The end before the announced length was reached (RFC 9110 §8.6).
    BodyTooShort {
        /// Bytes that are missing.
        missing: u64,
    },
    /// Framing and persistence are the connection's business: `Content-Length`,
    /// `Transfer-Encoding` and `Connection` are written by it (and `Host` by a client).
    ReservedField,
    /// A value with a control byte other than a tab (RFC 9110 §5.5).
    FieldValue,
    /// A request target with bytes that no URI holds (RFC 9112 §3.2).
    Target,
    /// A host that is none (RFC 3986 §3.2.2).
    Host,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToAnswer => f.write_str("no request waits for a response"),
            Self::HeadAlreadySent => f.write_str("the head of this response has been sent"),
            Self::HeadMissing => f.write_str("the head has to be sent first"),
            Self::UnsupportedStatus(status) => {
                write!(f, "{} is not a final response", status.as_u16())
            }
            Self::UpgradeNotAsked => f.write_str("the request asks for no other protocol"),
            Self::BodyTooLong { excess } => {
                write!(f, "body exceeds its announced length by {excess} bytes")
            }
            Self::BodyTooShort { missing } => {
                write!(f, "body ends {missing} bytes before its announced length")
            }
            Self::ReservedField => f.write_str("the connection writes this field itself"),
            Self::FieldValue => f.write_str("control byte in a field value"),
            Self::Target => f.write_str("invalid request target"),
            Self::Host => f.write_str("invalid host"),
        }
    }
}

impl Error for SendError {}
