//! Why a request is not what its handler asked for, in words for whoever sent it.

use crate::{BodyError, IntoResponse, Response};
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderValue, StatusCode};
use std::error::Error;
use std::fmt;

/// Longest part of a message that may hold what the peer has sent, in characters.
const SHOWN_CHARS_MAX: usize = 300;

/// Why a request is not what its handler asked for. A handler may return it as its response.
///
/// | | status |
/// |---|---|
/// | the body is of another type, encoding or compression than what is read | 415 |
/// | it is malformed | 400 |
/// | it is well-formed and does not fit: a body | 422 |
/// | the same, but the query or the path | 400 |
/// | the body did not come, or not all of it | see [`BodyError`] |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The body ended before its end.
    Body(BodyError),
    /// The body is declared to be something else, or nothing.
    MediaType {
        /// What is read, as it stands in `Accept`.
        expected: &'static str,
        /// Whether `Content-Type` was there.
        is_declared: bool,
    },
    /// The body is compressed, and none that is will be read.
    ContentCoding,
    /// The text is in an encoding other than UTF-8.
    Charset,
    /// There is nothing where something has to be.
    Empty {
        /// Where.
        part: RequestPart,
    },
    /// It is not UTF-8.
    NotUtf8 {
        /// Where.
        part: RequestPart,
        /// The bytes in front of the first one that is not.
        at: usize,
    },
    /// It is malformed.
    Syntax {
        /// Where.
        part: RequestPart,
        /// Line and column, both from 1.
        place: Option<(usize, usize)>,
        /// What is wrong. Part of it may be the peer's own words.
        reason: String,
    },
    /// It is well-formed and does not fit what is wanted.
    Value {
        /// Where.
        part: RequestPart,
        /// The field, as in `users[2].name`; empty when it is about the whole.
        field: String,
        /// Line and column, both from 1.
        place: Option<(usize, usize)>,
        /// What is wrong. Part of it may be the peer's own words.
        reason: String,
    },
}

/// The part of a request that something was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestPart {
    /// A body of JSON.
    Json,
    /// A body that is a form.
    Form,
    /// A body of text.
    Text,
    /// The query.
    Query,
    /// The path.
    Path,
}

impl RequestError {
    /// The status that the fault calls for.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            RequestError::Body(error) => error.into_response().status(),
            RequestError::MediaType { .. }
            | RequestError::ContentCoding
            | RequestError::Charset => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RequestError::Value { part, .. } if part.is_body() => StatusCode::UNPROCESSABLE_ENTITY,
            RequestError::Empty { .. }
            | RequestError::NotUtf8 { .. }
            | RequestError::Syntax { .. }
            | RequestError::Value { .. } => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn json(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        if !error.inner().is_data() {
            return RequestError::json_syntax(error.inner());
        }
        RequestError::Value {
            part: RequestPart::Json,
            field: field_of(error.path()),
            place: Some((error.inner().line(), error.inner().column())),
            reason: without_place(error.inner()),
        }
    }

    pub(super) fn json_syntax(error: &serde_json::Error) -> Self {
        RequestError::Syntax {
            part: RequestPart::Json,
            place: Some((error.line(), error.column())),
            reason: without_place(error),
        }
    }

    #[cfg(feature = "forms")]
    pub(super) fn form<E: Error>(part: RequestPart, error: &serde_path_to_error::Error<E>) -> Self {
        RequestError::Value {
            part,
            field: field_of(error.path()),
            place: None,
            reason: error.inner().to_string(),
        }
    }
}

/// Nothing for the whole.
fn field_of(path: &serde_path_to_error::Path) -> String {
    match path.iter().len() {
        0 => String::new(),
        _ => path.to_string(),
    }
}

/// What serde_json says, without the line and the column at the end.
fn without_place(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
}

impl RequestPart {
    fn is_body(self) -> bool {
        match self {
            RequestPart::Json | RequestPart::Form | RequestPart::Text => true,
            RequestPart::Query | RequestPart::Path => false,
        }
    }
}

impl fmt::Display for RequestPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestPart::Json => "the JSON in the body",
            RequestPart::Form => "the form in the body",
            RequestPart::Text => "the text in the body",
            RequestPart::Query => "the query",
            RequestPart::Path => "the path",
        })
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Body(error) => error.fmt(f),
            RequestError::MediaType {
                expected,
                is_declared: true,
            } => write!(
                f,
                "the body has to be {expected}; its Content-Type says otherwise"
            ),
            RequestError::MediaType { expected, .. } => {
                write!(
                    f,
                    "the body has to be {expected}; send it with that as Content-Type"
                )
            }
            RequestError::ContentCoding => {
                f.write_str("the body is compressed (Content-Encoding); send it as it is")
            }
            RequestError::Charset => f.write_str("the text in the body has to be in UTF-8"),
            RequestError::Empty { part } => write!(f, "{part} is missing"),
            RequestError::NotUtf8 { part, at } => write!(f, "{part} is not UTF-8 behind byte {at}"),
            RequestError::Syntax {
                part,
                place,
                reason,
            } => {
                write!(f, "{part} is malformed{}: {}", At(*place), shown(reason))
            }
            RequestError::Value {
                part,
                field,
                place,
                reason,
            } => {
                write!(f, "{part} does not fit")?;
                if !field.is_empty() {
                    write!(f, " at {}", shown(field))?;
                }
                write!(f, "{}: {}", At(*place), shown(reason))
            }
        }
    }
}

/// Where in a text, if that is known.
struct At(Option<(usize, usize)>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is ours.
            RequestError::Body(error) => error.source(),
            _ => None,
        }
    }
}

impl From<BodyError> for RequestError {
    fn from(error: BodyError) -> Self {
        RequestError::Body(error)
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let response = Response::text(format!("{self}\n")).with_status(self.status());
        match self {
            RequestError::Body(error) => error.into_response(),
            // What would be taken instead (RFC 9110 §15.5.16).
            RequestError::MediaType { expected, .. } => {
                response.with_header(ACCEPT, HeaderValue::from_static(expected))
            }
            RequestError::ContentCoding => {
                response.with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            }
            _ => response,
        }
    }
}

/// A text that may hold what a peer has sent, for everybody's eyes: not too long, in one line, and
/// without what a browser that takes it for HTML would act on.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN_CHARS_MAX));
    for (number, char) in text.chars().enumerate() {
        if number == SHOWN_CHARS_MAX {
            shown.push('\u{2026}');
            break;
        }
        match char {
            '<' | '>' | '&' => shown.extend(char.escape_unicode()),
            // Quotes stay: messages have their own.
            '"' | '\'' | '\\' => shown.push(char),
            _ => shown.extend(char.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_has_sent_is_shown_escaped_and_not_at_length() {
        assert_eq!(shown("unknown field `a`"), "unknown field `a`");
        assert_eq!(shown("\"<b>&\""), "\"\\u{3c}b\\u{3e}\\u{26}\"");
        assert_eq!(
            shown("a\r\n\u{1b}[31m\u{202e}"),
            "a\\r\\n\\u{1b}[31m\\u{202e}"
        );
        let long = shown(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
