//! The body of a request, read piece by piece.
//!
//! The connection's task owns the socket; a body asks it for more. So a handler that does not
//! read makes the peer wait, and no more than one piece is held.

use crate::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::StatusCode;
use monoloop_proto::http1::RecvError;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The body of a request.
///
/// Its length is bounded by the server's `body_bytes_max`. What a handler does not read is
/// thrown away when it is short, else the connection closes after the response.
pub struct Body {
    inner: Inner,
}

enum Inner {
    /// All of it, as received with the head. `None` once it was handed out.
    Whole(Option<Bytes>),
    /// More is to come.
    Stream(BodyFeed),
}

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer broke the framing or a limit.
    Refused(RecvError),
    /// The peer sent nothing for longer than the body timeout.
    TimedOut,
    /// The peer sent, but so little that its bytes do not pay for the time they take.
    TooSlow,
    /// The connection is gone.
    Disconnected,
    /// The response was complete before the body was.
    Abandoned,
}

/// Nothing, or nothing more.
impl Default for Body {
    fn default() -> Self {
        Body {
            inner: Inner::Whole(None),
        }
    }
}

impl Body {
    /// Whether nothing can come of it any more.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.inner, Inner::Whole(None))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Body {
            inner: Inner::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
        }
    }

    pub(crate) fn stream(feed: BodyFeed) -> Self {
        Body {
            inner: Inner::Stream(feed),
        }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// See [`BodyError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for what [`chunk`](Body::chunk) returns.
    pub fn poll_chunk(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.inner {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Inner::Stream(feed) => feed.poll_chunk(cx),
        }
    }

    /// All of the body in one piece.
    ///
    /// # Errors
    /// See [`BodyError`].
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn bytes(mut self) -> Result<Bytes, BodyError> {
        let Some(first) = self.chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.chunk().await.transpose()? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.chunk().await.transpose()? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner {
            Inner::Whole(bytes) => bytes.as_ref().map(Bytes::len),
            Inner::Stream(_) => None,
        };
        f.debug_struct("Body").field("bytes", &kind).finish()
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Refused(error) => write!(f, "the request's body was refused: {error}"),
            BodyError::TimedOut => f.write_str("the request's body did not come in time"),
            BodyError::TooSlow => f.write_str("the request's body came too slowly"),
            BodyError::Disconnected => f.write_str("the peer went away in the middle of the body"),
            BodyError::Abandoned => f.write_str("the response was complete before the body"),
        }
    }
}

impl std::error::Error for BodyError {}

/// The status that the fault calls for, so that a handler may return the error as it is.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match self {
            BodyError::Refused(error) => error.status().unwrap_or(StatusCode::BAD_REQUEST),
            BodyError::TimedOut | BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Disconnected | BodyError::Abandoned => StatusCode::BAD_REQUEST,
        };
        let text = match self {
            BodyError::Refused(error) => format!("{self}; {}\n", error.remedy()),
            // To the one who sent half of it, and still reads.
            BodyError::Disconnected => {
                "the request ended in the middle of its body; send as much as was announced\n"
                    .to_owned()
            }
            BodyError::TimedOut | BodyError::TooSlow => {
                format!("{self}; send it without pauses, or in smaller parts\n")
            }
            BodyError::Abandoned => format!("{self}\n"),
        };
        Response::text(text).with_status(status)
    }
}

/// Both ends of a body that is still to come: the handler's and the connection's.
#[derive(Clone)]
pub(crate) struct BodyFeed(Rc<RefCell<Feed>>);

struct Feed {
    pieces: VecDeque<Bytes>,
    end: Option<Result<(), BodyError>>,
    /// The error was handed out, which happens once.
    told: bool,
    wanted: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

impl BodyFeed {
    pub(crate) fn new(pieces: VecDeque<Bytes>, ended: bool) -> Self {
        BodyFeed(Rc::new(RefCell::new(Feed {
            pieces,
            end: ended.then_some(Ok(())),
            told: false,
            wanted: false,
            reader: None,
            connection: None,
        })))
    }

    /// Whether somebody waits for a piece. If not, the connection is woken when somebody does.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> bool {
        let mut feed = self.0.borrow_mut();
        let wanted = feed.wanted && feed.end.is_none();
        if !wanted {
            feed.connection = Some(cx.waker().clone());
        }
        wanted
    }

    pub(crate) fn push(&self, piece: Bytes) {
        let mut feed = self.0.borrow_mut();
        feed.wanted = false;
        feed.pieces.push_back(piece);
        let reader = feed.reader.take();
        drop(feed);
        wake(reader);
    }

    /// Ends the body; the first end stands.
    pub(crate) fn end(&self, how: Result<(), BodyError>) {
        let mut feed = self.0.borrow_mut();
        feed.end.get_or_insert(how);
        let reader = feed.reader.take();
        drop(feed);
        wake(reader);
    }

    /// How it ended, unless it goes on.
    pub(crate) fn ended(&self) -> Option<Result<(), BodyError>> {
        self.0.borrow().end
    }

    /// Whether somebody may still read it.
    pub(crate) fn is_held(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut feed = self.0.borrow_mut();
        if let Some(piece) = feed.pieces.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        match feed.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => {
                let told = std::mem::replace(&mut feed.told, true);
                Poll::Ready((!told).then_some(Err(error)))
            }
            None => {
                feed.wanted = true;
                feed.reader = Some(cx.waker().clone());
                let connection = feed.connection.take();
                drop(feed);
                wake(connection);
                Poll::Pending
            }
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
