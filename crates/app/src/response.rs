//! What a handler answers.

use crate::Reason;
use crate::events::Events;
use crate::upgrade::Upgrade;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{StatusCode, header};
use monoloop_proto::http1::FieldLine;
use monoloop_runtime::Context as VarContext;
use monoloop_runtime::JoinError;
use pin_project_lite::pin_project;
use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a streamed body could not go on.
pub type BoxError = Box<dyn Error>;

pub(crate) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>>>>;

/// A response: status, header fields, body.
///
/// `Content-Length`, `Transfer-Encoding`, `Date`, `Server` and `X-Request-Id` are added by the
/// server; `Connection: close` set here closes the connection after the response. What else is
/// meant for the next hop alone is left out, but for `Upgrade`, which a 426 has to have.
pub struct Response {
    pub(crate) status: StatusCode,
    /// One of the common types; any other is among the headers.
    pub(crate) content_type: Option<&'static ContentType>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: ResponseBody,
    /// In which reason the request ends that is answered with it.
    pub(crate) reason: Reason,
}

/// A content type that most responses have one of. It is one pointer in a response, which is
/// moved often, and one copy into its head.
pub(crate) struct ContentType {
    pub(crate) line: FieldLine,
    value: HeaderValue,
}

macro_rules! content_types {
    ($($name:ident = $value:literal;)+) => {
        $(static $name: ContentType = ContentType {
            line: FieldLine::from_static(concat!("content-type: ", $value, "\r\n")),
            value: HeaderValue::from_static($value),
        };)+
    };
}

content_types! {
    TEXT = "text/plain; charset=utf-8";
    HTML = "text/html; charset=utf-8";
    BYTES = "application/octet-stream";
    JSON = "application/json";
}

pub(crate) enum ResponseBody {
    Bytes(Bytes),
    Stream(BodyStream),
    /// A stream of so many bytes.
    Sized(u64, BodyStream),
    /// Server-sent events, which end when the server drains.
    Events(Box<Events>),
    /// None: the connection goes on in another protocol.
    Upgrade(Box<Upgrade>),
}

impl Response {
    /// A response without a body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Response {
            status,
            content_type: None,
            headers: Vec::new(),
            body: ResponseBody::Bytes(Bytes::new()),
            reason: Reason::Ok,
        }
    }

    /// `text/plain`, in UTF-8.
    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        Response::typed(&TEXT, text.into())
    }

    /// `text/html`, in UTF-8.
    #[must_use]
    pub fn html(html: impl Into<Bytes>) -> Self {
        Response::typed(&HTML, html.into())
    }

    /// `application/octet-stream`.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Response::typed(&BYTES, bytes.into())
    }

    /// `application/json`. A value that cannot be written as JSON is a 500 and an error in the log.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Response::typed(&JSON, json.into()),
            Err(error) => {
                tracing::error!(%error, "a response could not be written as JSON");
                Response::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// A body that is made while it is sent. The stream is polled only while the peer reads.
    /// When it fails the connection is closed, so that the peer sees that something is missing.
    #[must_use]
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + 'static,
        E: Into<BoxError>,
    {
        Response {
            body: ResponseBody::Stream(Box::pin(BoxErrors { stream })),
            ..Response::new(StatusCode::OK)
        }
    }

    /// As [`stream`](Response::stream), for a body of `length` bytes, which the peer is told
    /// beforehand (`Content-Length`). A stream that turns out longer or shorter is an error in the
    /// log, and the connection is closed.
    #[must_use]
    pub fn sized_stream<S, E>(length: u64, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + 'static,
        E: Into<BoxError>,
    {
        Response {
            body: ResponseBody::Sized(length, Box::pin(BoxErrors { stream })),
            ..Response::new(StatusCode::OK)
        }
    }

    fn typed(content_type: &'static ContentType, body: Bytes) -> Self {
        Response {
            content_type: Some(content_type),
            body: ResponseBody::Bytes(body),
            ..Response::new(StatusCode::OK)
        }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header field; `Content-Type` is replaced.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.add_header(name, value);
        self
    }

    /// Adds a header field; `Content-Type` is replaced. For middleware.
    pub fn add_header(&mut self, name: HeaderName, value: HeaderValue) {
        if name == CONTENT_TYPE {
            self.content_type = None;
            self.headers.retain(|(field, _)| *field != CONTENT_TYPE);
        }
        self.headers.push((name, value));
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        if let Some(content_type) = self.content_type
            && *name == CONTENT_TYPE
        {
            return Some(&content_type.value);
        }
        let found = self.headers.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    }

    /// Has a streamed body made in the context of its handler.
    #[inline(always)]
    pub(crate) fn make_in_current_context(&mut self) {
        if let ResponseBody::Stream(stream) | ResponseBody::Sized(_, stream) = &mut self.body {
            let nothing: BodyStream = Box::pin(Nothing);
            *stream = Box::pin(InContext {
                stream: mem::replace(stream, nothing),
                context: VarContext::current(),
            });
        }
    }

    /// Whether the handler asked for the connection to be closed.
    pub(crate) fn wants_close(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, value)| *name == header::CONNECTION && names_close(value))
    }
}

/// Whether `close` is among these connection options (RFC 9110 §7.6.1).
#[cold]
fn names_close(options: &HeaderValue) -> bool {
    let mut options = options.as_bytes().split(|&byte| byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What a handler may return.
pub trait IntoResponse {
    /// The response it stands for.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        Response::text(self)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::text(self)
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        Response::bytes(self)
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Response::bytes(self)
    }
}

/// 200 without a body.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(StatusCode::OK)
    }
}

/// The status, and its name as the body where one may stand.
impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let bodyless = self.is_success() || self.is_redirection();
        match self.canonical_reason().filter(|_| !bodyless) {
            Some(reason) => Response::text(format!("{reason}\n")).with_status(self),
            None => Response::new(self),
        }
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

/// A task or a blocking job that a handler waited for has no result: 500, and an error in the
/// log.
impl IntoResponse for JoinError {
    fn into_response(self) -> Response {
        tracing::error!(error = %self, "a handler's task failed");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// 404 for `None`.
impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Response {
        match self {
            Some(value) => value.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// A value to be answered as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(
    /// The value.
    pub T,
);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::json(&self.0)
    }
}

/// A stream that runs in the context of the handler that made it.
struct InContext {
    stream: BodyStream,
    context: VarContext,
}

impl Stream for InContext {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let InContext { stream, context } = &mut *self;
        context.run(|| stream.as_mut().poll_next(cx))
    }
}

/// In the place of a stream that moves on.
struct Nothing;

impl Stream for Nothing {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

pin_project! {
    /// Makes one type of a stream's errors.
    struct BoxErrors<S> {
        #[pin]
        stream: S,
    }
}

impl<S, E> Stream for BoxErrors<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.project().stream.poll_next(cx);
        polled.map(|item| item.map(|item| item.map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_that_is_set_replaces_the_one_before() {
        let types = |response: &Response| {
            let all = response.headers.iter();
            let others = all.filter(|(name, _)| *name == CONTENT_TYPE).count();
            let first = response.header(&CONTENT_TYPE).cloned();
            (others + usize::from(response.content_type.is_some()), first)
        };
        let typed = |value| (1, Some(HeaderValue::from_static(value)));

        let mut response = Response::json(&1);
        assert_eq!(types(&response), typed("application/json"));
        for value in ["text/csv", "image/png"] {
            response.add_header(CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(types(&response), typed(value));
        }
        assert_eq!(types(&Response::new(StatusCode::OK)), (0, None));
    }
}
