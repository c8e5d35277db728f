//! The body on its way into the parser.
//!
//! The parser wants a stream that may move to another thread, and a body stays on its loop. So
//! the parser has one end of this, and whoever polls it puts the body's pieces in at the other:
//! one at a time, when the parser has said that it needs more.

use bytes::Bytes;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The end that pieces are put in at.
pub(super) struct Feed(Shared);

/// The parser's end.
pub(super) struct BodyStream(Shared);

/// Never waited for: both ends are on one thread.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    piece: Option<Bytes>,
    has_ended: bool,
}

pub(super) fn pair() -> (Feed, BodyStream) {
    let shared = Shared::default();
    (Feed(shared.clone()), BodyStream(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    pub(super) fn push(&self, piece: Bytes) {
        let before = self.0.lock().piece.replace(piece);
        debug_assert!(before.is_none(), "the parser takes a piece before it waits");
    }

    pub(super) fn end(&self) {
        self.0.lock().has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().has_ended
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Infallible>;

    /// Nobody has to be woken: who puts a piece in polls the parser next.
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        match state.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if state.has_ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
