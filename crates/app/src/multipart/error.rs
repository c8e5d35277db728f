//! Why a form with files could not be read.

use crate::extract::shown;
use crate::{IntoResponse, RequestError, Response};
use http::StatusCode;
use std::error::Error;
use std::fmt;

/// Why a form with files could not be read. A handler may return it as its response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartError {
    /// It is no such form, or its body did not come: 415, or what the body's error calls for.
    Request(RequestError),
    /// `Content-Type` has no boundary, or one of more than 70 bytes (RFC 2046 §5.1.1): 400.
    Boundary,
    /// The body ends before the form does: 400.
    Incomplete,
    /// It is malformed: 400.
    Malformed {
        /// What is wrong. Part of it may be the peer's own words.
        reason: String,
    },
    /// A field that was read as text is not UTF-8: 400.
    NotUtf8 {
        /// The name of the field, in the peer's own words.
        name: String,
    },
    /// More fields than are taken: 413.
    TooManyFields {
        /// How many are.
        limit: usize,
    },
    /// More in front of a field's content than is taken: 413.
    HeadTooLarge {
        /// How many bytes are.
        limit: usize,
    },
    /// A field is longer than is taken: 413.
    FieldTooLarge {
        /// How many bytes are.
        limit: u64,
    },
    /// The form is longer than is taken: 413.
    TooLarge {
        /// How many bytes are.
        limit: u64,
    },
}

impl MultipartError {
    /// The status that the fault calls for.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            MultipartError::Request(error) => error.status(),
            MultipartError::Boundary
            | MultipartError::Incomplete
            | MultipartError::Malformed { .. }
            | MultipartError::NotUtf8 { .. } => StatusCode::BAD_REQUEST,
            MultipartError::TooManyFields { .. }
            | MultipartError::HeadTooLarge { .. }
            | MultipartError::FieldTooLarge { .. }
            | MultipartError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl From<RequestError> for MultipartError {
    fn from(error: RequestError) -> Self {
        MultipartError::Request(error)
    }
}

impl From<multer::Error> for MultipartError {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::FieldSizeExceeded { limit, .. } => {
                MultipartError::FieldTooLarge { limit }
            }
            multer::Error::StreamSizeExceeded { limit } => MultipartError::TooLarge { limit },
            multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
                MultipartError::Incomplete
            }
            other => MultipartError::Malformed {
                reason: other.to_string(),
            },
        }
    }
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MultipartError::Request(error) => error.fmt(f),
            MultipartError::Boundary => f.write_str(
                "the Content-Type of a form needs a boundary of 1 to 70 characters, as in \
                 multipart/form-data; boundary=x",
            ),
            MultipartError::Incomplete => f.write_str("the form ends before its last boundary"),
            MultipartError::Malformed { reason } => {
                write!(f, "the form is malformed: {}", shown(reason))
            }
            MultipartError::NotUtf8 { name } => {
                write!(f, "the field \"{}\" of the form is not UTF-8", shown(name))
            }
            MultipartError::TooManyFields { limit } => {
                write!(f, "the form has more than {limit} fields")
            }
            MultipartError::HeadTooLarge { limit } => {
                write!(
                    f,
                    "a field of the form has a head of more than {limit} bytes"
                )
            }
            MultipartError::FieldTooLarge { limit } => {
                write!(f, "a field of the form has more than {limit} bytes")
            }
            MultipartError::TooLarge { limit } => {
                write!(f, "the form has more than {limit} bytes")
            }
        }
    }
}

impl Error for MultipartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is ours.
            MultipartError::Request(error) => error.source(),
            _ => None,
        }
    }
}

impl IntoResponse for MultipartError {
    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            MultipartError::Request(error) => error.into_response(),
            other => Response::text(format!("{other}\n")).with_status(status),
        }
    }
}
