//! A body that is compressed while it is sent.

use super::Coding;
use super::encoder::Encoder;
use crate::response::{BodyStream, BoxError};
use bytes::Bytes;
use futures_core::Stream;
use monoloop_runtime::{YieldNow, yield_now};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes that are compressed in one go: about half a millisecond of brotli.
const SLICE_BYTES: usize = 32 * 1024;

pub(super) fn of_bytes(coding: Coding, body: Bytes) -> BodyStream {
    let size = body.len() as u64;
    Box::pin(Compressed::new(coding, body, None, Some(size)))
}

pub(super) fn of_stream(coding: Coding, body: BodyStream) -> BodyStream {
    Box::pin(Compressed::new(coding, Bytes::new(), Some(body), None))
}

struct Compressed {
    encoding: Encoding,
    /// What of the last piece was not compressed yet.
    piece: Bytes,
    /// Where pieces come from, until there are none.
    source: Option<BodyStream>,
    /// Why the source could go no further; what came before it comes out first.
    failed: Option<BoxError>,
    /// Something was compressed that has not come out.
    is_held_back: bool,
    /// Bytes compressed since the others had their turn.
    unpaused_bytes: usize,
    /// Lets the others have their turn.
    pause: Option<YieldNow>,
}

enum Encoding {
    /// Made when it is needed: the answer to a HEAD is never polled.
    NotYet(Coding, Option<u64>),
    Begun(Encoder),
    Over,
}

impl Compressed {
    fn new(coding: Coding, piece: Bytes, source: Option<BodyStream>, size: Option<u64>) -> Self {
        Compressed {
            encoding: Encoding::NotYet(coding, size),
            piece,
            source,
            failed: None,
            is_held_back: false,
            unpaused_bytes: 0,
            pause: None,
        }
    }

    fn encoder(&mut self) -> Result<&mut Encoder, BoxError> {
        if let Encoding::NotYet(coding, size) = self.encoding {
            self.encoding = Encoding::Begun(Encoder::new(coding, size)?);
        }
        match &mut self.encoding {
            Encoding::Begun(encoder) => Ok(encoder),
            Encoding::NotYet(..) | Encoding::Over => unreachable!("it is not asked for at the end"),
        }
    }

    /// Compresses the next slice, and returns what came out.
    fn compress_slice(&mut self) -> Result<Bytes, BoxError> {
        let slice = self.piece.split_to(self.piece.len().min(SLICE_BYTES));
        let encoder = self.encoder()?;
        encoder.write(&slice)?;
        let out = encoder.take();
        self.is_held_back = true;
        self.unpaused_bytes += slice.len();
        if self.unpaused_bytes >= SLICE_BYTES {
            self.unpaused_bytes = 0;
            self.pause = Some(yield_now());
        }
        Ok(out)
    }

    /// What the encoder has held back, for it is not known when there will be more.
    fn flush(&mut self) -> Result<Bytes, BoxError> {
        self.is_held_back = false;
        let encoder = self.encoder()?;
        encoder.flush()?;
        Ok(encoder.take())
    }

    fn finish(&mut self) -> Result<Bytes, BoxError> {
        self.encoder()?;
        match std::mem::replace(&mut self.encoding, Encoding::Over) {
            Encoding::Begun(encoder) => Ok(encoder.finish()?),
            Encoding::NotYet(..) | Encoding::Over => unreachable!("it was made above"),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            if matches!(self.encoding, Encoding::Over) {
                return Poll::Ready(None);
            }
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            let out = if !self.piece.is_empty() {
                self.compress_slice()
            } else if let Some(source) = &mut self.source {
                match source.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(piece))) => {
                        self.piece = piece;
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.failed = Some(error);
                        self.source = None;
                        continue;
                    }
                    Poll::Ready(None) => {
                        self.source = None;
                        continue;
                    }
                    Poll::Pending if self.is_held_back => self.flush(),
                    Poll::Pending => return Poll::Pending,
                }
            } else if self.failed.is_some() && self.is_held_back {
                self.flush()
            } else {
                self.failed.take().map_or_else(|| self.finish(), Err)
            };
            match out {
                Ok(out) if out.is_empty() => {}
                Err(error) => {
                    self.encoding = Encoding::Over;
                    self.source = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Ok(out) => return Poll::Ready(Some(Ok(out))),
            }
        }
    }
}

impl Stream for Compressed {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx)
    }
}
