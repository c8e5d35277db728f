//! Receives a request's body while its handler, or the stream that answers it, asks for it.

use crate::BodyError;
use crate::body::BodyFeed;
use crate::connection::{Connection, deadline_in};
use monoloop_proto::http1::{Event, RecvError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Moves pieces from the connection to the body. Without a body there is nothing to do.
pub(crate) struct BodyPump<'a> {
    feed: Option<&'a BodyFeed>,
    /// Set while somebody waits for a piece that does not come.
    deadline: Option<Instant>,
}

impl<'a> BodyPump<'a> {
    pub(crate) fn new(feed: Option<&'a BodyFeed>) -> Self {
        BodyPump {
            feed,
            deadline: None,
        }
    }

    /// Ready when there is news for whoever reads the body.
    pub(crate) fn poll(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Poll<()> {
        let Some(feed) = self.feed.filter(|feed| feed.poll_wanted(cx)) else {
            self.deadline = None;
            return Poll::Pending;
        };
        if receive_piece(connection, feed, cx).is_ready() {
            self.deadline = None;
            return Poll::Ready(());
        }
        let timeout = connection.shared().timeouts.body;
        self.deadline.get_or_insert_with(|| deadline_in(timeout));
        Poll::Pending
    }

    /// When a piece that somebody waits for has to have come.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells whoever reads the body that it did not come in time.
    pub(crate) fn time_out(&mut self) {
        self.deadline = None;
        if let Some(feed) = self.feed {
            feed.end(Err(BodyError::TimedOut));
        }
    }
}

/// Receives until there is a piece for the body, or its end.
fn receive_piece(connection: &mut Connection, feed: &BodyFeed, cx: &Context<'_>) -> Poll<()> {
    // A peer that waits for 100 Continue gets it now that somebody wants the body.
    if connection.protocol.awaits_head() {
        connection
            .protocol
            .send_continue(&mut connection.output)
            .expect("the head of the response was not sent yet");
    }
    if !connection.flush_now(cx) {
        feed.end(Err(BodyError::Disconnected));
        return Poll::Ready(());
    }
    loop {
        match connection.protocol.next_event() {
            Ok(Event::Body(piece)) => feed.push(piece),
            Ok(Event::EndOfMessage(_)) => feed.end(Ok(())),
            Ok(Event::NeedData) => {
                match ready!(connection.stream.poll_receive(cx)) {
                    Ok(chunk) if chunk.is_empty() => connection.protocol.receive_eof(),
                    Ok(chunk) => connection.protocol.receive(&chunk),
                    Err(_) => {
                        feed.end(Err(BodyError::Disconnected));
                        return Poll::Ready(());
                    }
                }
                continue;
            }
            Ok(Event::Request(_) | Event::Paused | Event::Closed) => {
                unreachable!("a body ends before anything else can come")
            }
            Err(RecvError::UnexpectedEof) => feed.end(Err(BodyError::Disconnected)),
            Err(error) => feed.end(Err(BodyError::Refused(error))),
        }
        return Poll::Ready(());
    }
}
