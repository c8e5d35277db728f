//! Server-sent events (HTML standard §9.2): a response that goes on, and reconnects by itself.
//!
//! ```
//! use futures_util::stream;
//! use monoloop::events::Event;
//! use monoloop::{Request, Response};
//!
//! async fn news(request: Request) -> Response {
//!     let seen: u64 = request.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
//!     let news = (seen + 1..=3).map(|n| Event::data(format!("news {n}")).with_id(n.to_string()));
//!     Response::events(stream::iter(news))
//! }
//! ```

use crate::loop_state::LoopState;
use crate::response::{BodyStream, BoxError, ResponseBody};
use crate::{IntoResponse, Request, Response};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use monoloop_runtime::Context as VarContext;
use monoloop_runtime::time::{self, Sleep};
use serde::Serialize;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Silence after which a comment is sent, so that nobody on the way takes the connection for dead,
/// and we learn that the peer has gone. The HTML standard's own advice (§9.2.7).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a peer is to come back after the server has ended. Browsers take some seconds by themselves.
const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(2);

/// Has nginx hand on each event at once (`proxy_buffering`).
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One event.
///
/// Nothing that is put into it can become another field or another event: data of several lines
/// goes as several, and a name or an id that holds a line break is left out, with an error in
/// the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its lines, without the empty one that ends it.
    lines: String,
}

impl Event {
    /// An event with data, which may have several lines. The page gets them joined by LF.
    #[must_use]
    pub fn data(text: impl AsRef<str>) -> Self {
        let mut event = Event::default();
        let text = text.as_ref().replace("\r\n", "\n");
        for line in text.split(['\r', '\n']) {
            event.push("data", line);
        }
        event
    }

    /// An event with data in JSON. A value that cannot be written as JSON is an error in the log,
    /// and `null` in its place.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_string(value) {
            Ok(json) => Event::data(json),
            Err(error) => {
                tracing::error!(%error, "an event could not be written as JSON");
                Event::data("null")
            }
        }
    }

    /// Only a new delay for reconnecting; see [`with_retry`](Event::with_retry).
    #[must_use]
    pub fn retry(delay: Duration) -> Self {
        Event::default().with_retry(delay)
    }

    /// Names its kind: the page listens for it with `addEventListener(name, ..)`. Without a name it
    /// is a `message`.
    #[must_use]
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.push_checked("event", name.as_ref(), &['\r', '\n']);
        self
    }

    /// What the peer says when it comes back ([`Request::last_event_id`]). NUL may not be in it
    /// either: browsers would pass the id over.
    #[must_use]
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.push_checked("id", id.as_ref(), &['\r', '\n', '\0']);
        self
    }

    /// How long the peer waits before it comes back, from now on.
    #[must_use]
    pub fn with_retry(mut self, delay: Duration) -> Self {
        self.push("retry", &delay.as_millis().to_string());
        self
    }

    fn push_checked(&mut self, field: &str, value: &str, forbidden: &[char]) {
        if value.contains(forbidden) {
            tracing::error!(
                field,
                ?value,
                "a field of an event was left out: it holds a line break"
            );
            return;
        }
        self.push(field, value);
    }

    fn push(&mut self, field: &str, value: &str) {
        // The space is taken off by the reader; without it, one that the value begins with would be.
        for part in [field, ": ", value, "\n"] {
            self.lines.push_str(part);
        }
    }

    fn into_bytes(mut self) -> Bytes {
        self.lines.push('\n');
        self.lines.into()
    }
}

/// A stream of events, to be answered as a response.
///
/// Each is written as soon as it is there. The response ends when the stream does, when the peer
/// is gone, and when the server drains: then the peer is told to come back in two seconds, and
/// finds another server, or this one again.
pub struct Events {
    stream: Pin<Box<dyn Stream<Item = Event>>>,
    keep_alive: Option<Duration>,
    silence: Option<Sleep>,
    /// The handler's.
    context: VarContext,
    /// What knows of the drain, once the response is being sent.
    shared: Option<Rc<LoopState>>,
    has_ended: bool,
}

impl Events {
    /// Of a stream that is polled in the context of the handler that made it, and only while the
    /// peer reads.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Event> + 'static) -> Self {
        Events {
            stream: Box::pin(stream),
            keep_alive: Some(KEEP_ALIVE),
            silence: None,
            context: VarContext::current(),
            shared: None,
            has_ended: false,
        }
    }

    /// Silence after which a comment is sent, `None` for never: then a peer that has gone is
    /// noticed at the next event only. Default 15 s.
    #[must_use]
    pub fn keep_alive(mut self, delay: Option<Duration>) -> Self {
        self.keep_alive = delay;
        self
    }

    /// The body that ends when this loop drains.
    pub(crate) fn until_drain(mut self, shared: &Rc<LoopState>) -> BodyStream {
        self.shared = Some(shared.clone());
        Box::pin(self)
    }

    fn poll_keep_alive(&mut self, cx: &Context<'_>) -> Poll<Bytes> {
        let Some(delay) = self.keep_alive else {
            return Poll::Pending;
        };
        let silence = self.silence.get_or_insert_with(|| time::sleep(delay));
        ready!(silence.poll_elapsed(cx));
        silence.reset(time::deadline_after(delay));
        Poll::Ready(Bytes::from_static(b":\n\n"))
    }
}

impl Stream for Events {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let events = &mut *self;
        if events.has_ended {
            return Poll::Ready(None);
        }
        if events.shared.as_ref().is_some_and(|it| it.draining.get()) {
            events.has_ended = true;
            let farewell = Event::retry(RETRY_AFTER_DRAIN).into_bytes();
            return Poll::Ready(Some(Ok(farewell)));
        }
        let (stream, context) = (&mut events.stream, &events.context);
        match context.run(|| stream.as_mut().poll_next(cx)) {
            Poll::Ready(Some(event)) => {
                if let (Some(silence), Some(delay)) = (&mut events.silence, events.keep_alive) {
                    silence.reset(time::deadline_after(delay));
                }
                Poll::Ready(Some(Ok(event.into_bytes())))
            }
            Poll::Ready(None) => {
                events.has_ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => events.poll_keep_alive(cx).map(|comment| Some(Ok(comment))),
        }
    }
}

/// What the stream holds is the handler's own, and so are its destructors.
impl Drop for Events {
    fn drop(&mut self) {
        let nothing: Pin<Box<dyn Stream<Item = Event>>> = Box::pin(Nothing);
        let stream = mem::replace(&mut self.stream, nothing);
        self.context.run(|| drop(stream));
    }
}

struct Nothing;

impl Stream for Nothing {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(None)
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Response::new(StatusCode::OK);
        for (name, value) in [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-cache"),
            (X_ACCEL_BUFFERING, "no"),
        ] {
            response.add_header(name, HeaderValue::from_static(value));
        }
        response.body = ResponseBody::Events(Box::new(self));
        response
    }
}

impl Response {
    /// Server-sent events; see [`Events`].
    #[must_use]
    pub fn events(stream: impl Stream<Item = Event> + 'static) -> Self {
        Events::new(stream).into_response()
    }
}

impl Request {
    /// The id of the last event that the peer has seen, when it comes back for more. Its own word:
    /// to be judged like anything else that it sends.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        let id = self.header_bytes("last-event-id")?;
        std::str::from_utf8(id).ok()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_event_becomes_another() {
        for (event, lines) in [
            (Event::data("a"), "data: a\n\n"),
            (Event::data(""), "data: \n\n"),
            (
                Event::data("a\nb\r\nc\rd\n"),
                "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
            ),
            (
                Event::data("\n\nevent: x"),
                "data: \ndata: \ndata: event: x\n\n",
            ),
            (Event::data(" a"), "data:  a\n\n"),
            (
                Event::data("a").with_name("b").with_id("c"),
                "data: a\nevent: b\nid: c\n\n",
            ),
            (Event::data("a").with_name("b\ndata: c"), "data: a\n\n"),
            (Event::data("a").with_name("b\rc"), "data: a\n\n"),
            (Event::data("a").with_id("b\n\ndata: c"), "data: a\n\n"),
            (Event::data("a").with_id("b\0"), "data: a\n\n"),
            (Event::retry(Duration::from_millis(1500)), "retry: 1500\n\n"),
            (Event::json("a\nb"), "data: \"a\\nb\"\n\n"),
        ] {
            assert_eq!(event.into_bytes(), lines);
        }
    }
}
