//! Receives a request's body while its handler, or the stream that answers it, asks for it.

use crate::BodyError;
use crate::body::BodyFeed;
use crate::connection::{Connection, deadline_in};
use crate::peer_deadline::{PeerDeadline, Since, time_for};
use monoloop_proto::http1::{Event, RecvError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Moves pieces from the connection to the body. Without a body there is nothing to do.
pub(crate) struct BodyPump<'a> {
    feed: Option<&'a BodyFeed>,
    /// Set while somebody waits for a piece that does not come.
    waiting: Option<Waiting>,
    /// How long was waited for pieces that have come, and what they brought.
    waited: Duration,
    bytes: u64,
}

struct Waiting {
    since: Since,
    deadline: PeerDeadline,
    end: BodyError,
}

impl<'a> BodyPump<'a> {
    pub(crate) fn new(feed: Option<&'a BodyFeed>) -> Self {
        BodyPump {
            feed,
            waiting: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Ready when there is news for whoever reads the body.
    pub(crate) fn poll(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Poll<()> {
        let Some(feed) = self.feed.filter(|feed| feed.poll_wanted(cx)) else {
            self.end_wait(connection);
            return Poll::Pending;
        };
        if let Poll::Ready(bytes) = receive_piece(connection, feed, cx) {
            self.bytes += bytes;
            self.end_wait(connection);
            return Poll::Ready(());
        }
        if self.waiting.is_none() {
            self.waiting = Some(self.begin_wait(connection));
        }
        Poll::Pending
    }

    fn begin_wait(&self, connection: &Connection) -> Waiting {
        let timeouts = &connection.shared().timeouts;
        let (mut timeout, mut end) = (timeouts.body, BodyError::TimedOut);
        if let Some(silence) = timeout {
            // Only the time is counted in which somebody has waited: it was the peer's.
            let in_all = time_for(silence, self.bytes, timeouts.body_bytes_per_second_min);
            let left = in_all.saturating_sub(self.waited);
            if left < silence {
                (timeout, end) = (Some(left), BodyError::TooSlow);
            }
        }
        Waiting {
            since: Since::now(&connection.deadline),
            deadline: PeerDeadline::at(deadline_in(timeout), &connection.deadline),
            end,
        }
    }

    fn end_wait(&mut self, connection: &Connection) {
        if let Some(waiting) = self.waiting.take() {
            self.waited += waiting.since.elapsed(&connection.deadline);
        }
    }

    /// When a piece that somebody waits for has to have come.
    pub(crate) fn deadline(&mut self) -> Option<&mut PeerDeadline> {
        self.waiting.as_mut().map(|waiting| &mut waiting.deadline)
    }

    /// Tells whoever reads the body that it did not come in time.
    pub(crate) fn time_out(&mut self) {
        let end = self.waiting.take().map(|waiting| waiting.end);
        if let (Some(feed), Some(end)) = (self.feed, end) {
            feed.end(Err(end));
        }
    }
}

/// Receives until there is a piece for the body, or its end. Returns how many bytes that are.
fn receive_piece(connection: &mut Connection, feed: &BodyFeed, cx: &Context<'_>) -> Poll<u64> {
    // A peer that waits for 100 Continue gets it now that somebody wants the body.
    if connection.protocol.awaits_head() {
        connection
            .protocol
            .send_continue(&mut connection.output)
            .expect("the head of the response was not sent yet");
    }
    if !connection.flush_now(cx) {
        feed.end(Err(BodyError::Disconnected));
        return Poll::Ready(0);
    }
    loop {
        match connection.protocol.next_event() {
            Ok(Event::Body(piece)) => {
                let bytes = piece.len() as u64;
                feed.push(piece);
                return Poll::Ready(bytes);
            }
            Ok(Event::EndOfMessage(_)) => feed.end(Ok(())),
            Ok(Event::NeedData) => {
                match ready!(connection.stream.poll_receive(cx)) {
                    Ok(chunk) if chunk.is_empty() => connection.protocol.receive_eof(),
                    Ok(chunk) => connection.protocol.receive(&chunk),
                    Err(_) => {
                        feed.end(Err(BodyError::Disconnected));
                        return Poll::Ready(0);
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
        return Poll::Ready(0);
    }
}
