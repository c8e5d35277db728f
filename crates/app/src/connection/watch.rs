//! Seeing a peer leave while it is owed an answer.

use super::{Connection, End};
use crate::bounds::HalfClose;
use std::io::ErrorKind;
use std::task::{Context, Poll, ready};

/// How a peer has left while it was owed an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerLeft {
    /// It sends nothing more, and that was to be taken for leaving.
    Finished,
    Broke(ErrorKind),
}

impl Connection {
    /// Watches a connection that is only written to; ready when it is broken. A peer that has
    /// finished sending may still read. At most one piece of what it sends ahead is held.
    pub(crate) fn poll_broken(&mut self, cx: &Context<'_>) -> Poll<End> {
        self.poll_peer(cx).map(|left| match left {
            PeerLeft::Finished => End::ClientClosed,
            PeerLeft::Broke(kind) => End::Broken(kind),
        })
    }

    /// Ready when the peer is gone, as the server was told to see it.
    pub(crate) fn poll_peer(&mut self, cx: &Context<'_>) -> Poll<PeerLeft> {
        // What has come ahead waits here until it is its turn, and no more is taken meanwhile.
        while self.protocol.buffered() == 0 && !self.peer_has_finished {
            match ready!(self.stream.poll_receive(cx)) {
                Ok(chunk) if chunk.is_empty() => {
                    self.peer_has_finished = true;
                    self.protocol.receive_eof();
                    if self.shared().bounds.half_close == HalfClose::Leaves {
                        return Poll::Ready(PeerLeft::Finished);
                    }
                }
                Ok(chunk) => self.protocol.receive(&chunk),
                Err(error) => return Poll::Ready(PeerLeft::Broke(error.kind())),
            }
        }
        Poll::Pending
    }
}
