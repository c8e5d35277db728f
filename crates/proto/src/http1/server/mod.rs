//! One connection of a server: requests out of bytes, responses into bytes, one at a time.
//!
//! Here is what both directions share; [`receive`] takes requests apart, [`send`] puts responses
//! together.

mod body_limit;
mod receive;
mod send;
mod upgrade;

use std::fmt;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};

use super::chunked::Chunked;
use super::error::RecvError;
use super::framing::HeadScan;
use super::head::{Parsed, RequestHead, Version};
use super::limits::Limits;
use super::response::Send;

/// One server-side connection.
///
/// Receiving: [`receive`](Self::receive) what came from the wire, then pull
/// [`next_event`](Self::next_event) until it says [`Event::NeedData`]; who has many requests to get
/// through tries [`receive_request`](Self::receive_request) first. Sending: everything is
/// appended to a buffer that the caller owns and writes out.
///
/// Receive more only after `NeedData`: what is held is then at most one head (`head_bytes_max`) or
/// one trailer section and the last piece received.
///
/// Between requests, with nothing received of the next one, it owns no memory but itself.
pub struct Connection {
    buffer: BytesMut,
    // Shared by all connections of a loop, where each of them finds it warm, rather than handed in
    // by the caller at every step, who might hand in another one.
    limits: Rc<Limits>,
    recv: Recv,
    send: Send,
    request: RequestFlags,
    /// The peer has finished sending.
    eof: bool,
    /// Close after the response, whatever the request says.
    closing: bool,
}

/// What [`Connection::next_event`] found.
#[derive(Debug)]
pub enum Event {
    /// A request begins. Its body, if it has one, follows.
    Request(RequestHead),
    /// A piece of the body; never empty. It shares the received bytes.
    Body(Bytes),
    /// The request was received to its end, with these trailer fields of a chunked body. Fields that
    /// frame, route or authenticate were dropped from them (RFC 9110 §6.5.1).
    EndOfMessage(Option<Box<HeaderMap>>),
    /// Nothing more to be found in what was received.
    NeedData,
    /// The request is received; the next one is looked at after [`Connection::send_end`].
    Paused,
    /// No request will come any more: the peer finished between two of them, or the connection was
    /// told to close. What was written is to be flushed, then the connection closed, unless it went on
    /// in another protocol ([`Connection::send_upgrade`]).
    Closed,
}

/// What is being received.
///
/// ```text
///              no body ┌───────────────┐
///   Head ──────────────┤               ▼    send_end
///     ▲ Content-Length ├─▶ Sized ──▶ Done ──────────▶ Head
///     │        chunked └─▶ Chunks ─▶ Trailers ▲
///     └─────────── when the response was complete before
///
///   any ──▶ Failed (a RecvError)      any ──▶ Closed (eof between requests, send_end)
///   Done, or Sized with nothing left ──▶ Upgraded (send_upgrade)
/// ```
#[derive(Clone, Copy, Debug)]
enum Recv {
    Head(HeadScan),
    Sized {
        left: u64,
    },
    Chunks(Chunked),
    Trailers {
        scanned: u32,
    },
    Done,
    Closed,
    /// What comes is in another protocol, and kept for whoever speaks it.
    Upgraded,
    Failed(RecvError),
}

/// What a request says about its own response. Reset with every request: a later one never has a
/// say in an earlier answer.
#[derive(Clone, Copy, Debug)]
struct RequestFlags {
    version: Version,
    is_head: bool,
    is_connect: bool,
    keep_alive: bool,
    /// The peer waits for `100 Continue`, and has neither got one nor gone on without it.
    awaits_continue: bool,
    asks_upgrade: bool,
}

impl RequestFlags {
    /// For an answer to something that never became a request.
    const NONE: Self = Self {
        version: Version::Http11,
        is_head: false,
        is_connect: false,
        keep_alive: false,
        awaits_continue: false,
        asks_upgrade: false,
    };

    /// Of a head that never became a request. Whatever is wrong with a HEAD, its answer has no body
    /// (RFC 9110 §9.3.2): where one is sent all the same it is read as the next response.
    fn of_part(head: &[u8]) -> Self {
        Self {
            is_head: head.starts_with(b"HEAD "),
            ..Self::NONE
        }
    }

    #[inline]
    fn of(parsed: &Parsed) -> Self {
        Self {
            version: parsed.version,
            is_head: parsed.method == Method::HEAD,
            is_connect: parsed.method == Method::CONNECT,
            keep_alive: parsed.keep_alive,
            awaits_continue: parsed.expects_continue,
            asks_upgrade: parsed.asks_upgrade,
        }
    }
}

type Received = Result<(Recv, Event), RecvError>;

impl Connection {
    /// A connection on which nothing has happened yet.
    #[inline]
    #[must_use]
    pub fn new(limits: Rc<Limits>) -> Self {
        Self {
            buffer: BytesMut::new(),
            limits,
            recv: Recv::Head(HeadScan::default()),
            send: Send::Nothing,
            request: RequestFlags::NONE,
            eof: false,
            closing: false,
        }
    }

    /// Takes what came from the wire: one copy. Ignored when nothing more will be decoded.
    #[inline]
    pub fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.recv, Recv::Closed | Recv::Failed(_)) {
            return;
        }
        if self.buffer.is_empty() {
            // Exactly what is needed: a buffer without room to spare becomes a request's bytes
            // without being copied or allocated for once more.
            self.buffer = BytesMut::from(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Takes note that the peer has finished sending. It may still read: requests that are received
    /// whole are served.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// What comes next in the bytes received.
    ///
    /// # Errors
    ///
    /// The peer's fault. Final: every later call returns the same. See the
    /// [module](super#when-the-peer-is-at-fault) for how it is answered.
    pub fn next_event(&mut self) -> Result<Event, RecvError> {
        let received = match self.recv {
            Recv::Head(scan) => self.receive_head(scan),
            Recv::Sized { left: 0 } => Ok((self.after_message(), Event::EndOfMessage(None))),
            Recv::Sized { left } => self.receive_sized(left),
            Recv::Chunks(chunked) => self.receive_chunks(chunked),
            Recv::Trailers { scanned } => self.receive_trailers(scanned),
            Recv::Done => return Ok(Event::Paused),
            Recv::Closed | Recv::Upgraded => return Ok(Event::Closed),
            Recv::Failed(error) => return Err(error),
        };
        match received {
            Ok((next, event)) => {
                self.recv = next;
                Ok(event)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whether the request in progress has no body that is still to be received.
    #[inline]
    #[must_use]
    pub fn is_request_received(&self) -> bool {
        matches!(self.recv, Recv::Sized { left: 0 } | Recv::Done)
    }

    /// Bytes received that were not handed out yet.
    #[inline]
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// What has come of a head that was not handed out: to be looked at before
    /// [`next_event`](Self::next_event), for a log of what is refused. Empty elsewhere.
    #[must_use]
    pub fn head_so_far(&self) -> &[u8] {
        match self.recv {
            Recv::Head(_) => &self.buffer,
            _ => &[],
        }
    }

    /// Whether it is between requests with nothing received of the next one.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.recv, Recv::Head(_)) && self.send == Send::Nothing && self.buffer.is_empty()
    }

    /// Whether the peer of the last request wanted the connection kept, and may have sent the next one
    /// before it sees that the response closes it: who closes then goes on receiving for a while
    /// (RFC 9112 §9.6).
    #[inline]
    #[must_use]
    pub fn is_keep_alive_wanted(&self) -> bool {
        self.request.keep_alive
    }

    /// Whether a request, or an error in place of one, waits for [`send_head`](Self::send_head).
    #[inline]
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        self.send == Send::Head
    }

    /// Whether the body of the response in progress ends where the connection does, as it has to for
    /// a HTTP/1.0 peer when its length is not known. Who cannot complete it resets the connection: one
    /// that is closed would make a whole body of it (RFC 9112 §8).
    #[inline]
    #[must_use]
    pub fn is_ended_by_close(&self) -> bool {
        self.send == Send::UntilClose
    }

    /// Closes after the response in progress or the next one, whose head then says so.
    #[inline]
    pub fn close_after_response(&mut self) {
        self.closing = true;
    }

    /// Takes note that nobody will read the rest of the request's body, so that the head of the
    /// response can say whether the connection closes. Events still come as before.
    ///
    /// [`send_end`](Self::send_end) finds out by itself, but then the head may have promised to keep
    /// a connection that is closed.
    pub fn abandon_body(&mut self) {
        if !self.is_rest_short() {
            self.closing = true;
        }
    }

    /// Receives nothing more. Without a request in progress, one answer may still be sent, with
    /// `connection: close`: a `408` to a head that did not come in time, a `503` to a connection
    /// beyond the limit.
    pub fn stop_receiving(&mut self) {
        if matches!(self.recv, Recv::Head(_)) && self.send == Send::Nothing {
            self.request = RequestFlags::of_part(&self.buffer);
            self.send = Send::Head;
        }
        self.closing = true;
        self.recv = Recv::Closed;
        self.buffer = BytesMut::new();
    }
}

impl fmt::Debug for Connection {
    /// Without the bytes received: they hold secrets, and logs are read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("buffered", &self.buffer.len())
            .field("recv", &self.recv)
            .field("send", &self.send)
            .field("request", &self.request)
            .field("eof", &self.eof)
            .field("closing", &self.closing)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::http1::{AfterResponse, ResponseLength};

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connection() -> Connection {
        Connection::new(Rc::default())
    }

    fn answer(connection: &mut Connection) -> AfterResponse {
        let mut out = Vec::new();
        connection
            .send_head(StatusCode::OK, ResponseLength::Sized(0), &mut out)
            .unwrap()
            .finish();
        connection.send_end(&mut out).unwrap()
    }

    #[test]
    fn a_connection_is_small() {
        // It is there once for each of thousands of clients, most of them idle.
        assert!(
            size_of::<Connection>() <= 112,
            "{}",
            size_of::<Connection>()
        );
    }

    #[test]
    fn a_head_is_cheap_to_move() {
        assert!(size_of::<RequestHead>() <= 8);
    }

    #[test]
    fn an_idle_connection_owns_no_memory() {
        let sized = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
        let chunked =
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\na: b\r\n\r\n";
        let after_lines = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n";
        for request in [GET, sized, chunked, after_lines] {
            for piece in [1, 7, request.len()] {
                let mut connection = connection();
                assert_eq!(connection.buffer.capacity(), 0);
                for piece in request.chunks(piece) {
                    connection.receive(piece);
                    while let Ok(Event::Request(_) | Event::Body(_) | Event::EndOfMessage(_)) =
                        connection.next_event()
                    {}
                }
                if connection.awaits_head() {
                    assert_eq!(answer(&mut connection), AfterResponse::KeepAlive);
                }
                assert!(matches!(connection.next_event(), Ok(Event::NeedData)));
                assert!(connection.is_idle());
                assert_eq!(
                    connection.buffer.capacity(),
                    0,
                    "{}",
                    request.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn an_unread_body_leaves_no_memory_behind() {
        let mut connection = connection();
        connection.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        assert_eq!(answer(&mut connection), AfterResponse::KeepAlive);
        assert_eq!(connection.buffer.capacity(), 0);
    }

    #[test]
    fn a_closed_or_failed_connection_owns_no_memory() {
        let mut failed = connection();
        failed.receive(b"nonsense\r\n\r\nGET / HTTP/1.1");
        assert!(failed.next_event().is_err());
        failed.receive(GET);
        assert_eq!(failed.buffer.capacity(), 0);

        let mut closed = connection();
        closed.receive(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n");
        assert!(matches!(closed.next_event(), Ok(Event::Request(_))));
        assert_eq!(answer(&mut closed), AfterResponse::Close);
        closed.receive(GET);
        assert_eq!(closed.buffer.capacity(), 0);

        let mut stopped = connection();
        stopped.receive(b"GET");
        stopped.stop_receiving();
        assert_eq!(stopped.buffer.capacity(), 0);
    }

    #[test]
    fn a_head_is_received_into_memory_that_was_used_before() {
        let mut connection = connection();
        let mut head = RequestHead::new();
        let two = [GET, GET].concat();
        assert_eq!(connection.receive_request(&two, &mut head), Some(GET.len()));
        assert_eq!(connection.buffer.capacity(), 0);
        let (at, memory_bytes) = (head.target().as_ptr(), head.memory_bytes());
        assert_eq!(answer(&mut connection), AfterResponse::KeepAlive);
        connection.receive(&two[GET.len()..]);
        assert!(connection.take_request(&mut head));
        assert_eq!(head.target().as_ptr(), at);
        assert_eq!(head.memory_bytes(), memory_bytes);
        assert_eq!(connection.buffer.capacity(), 0);
    }

    #[test]
    fn a_body_is_handed_out_and_not_copied() {
        let mut connection = connection();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        connection.receive(&[&head[..], b"hi"].concat());
        let received = connection.buffer.as_ptr();
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        let Ok(Event::Body(body)) = connection.next_event() else {
            panic!("there is a body");
        };
        assert_eq!(body.as_ptr(), received.wrapping_add(head.len()));
        connection.receive(b"ho");
        let received = connection.buffer.as_ptr();
        let Ok(Event::Body(body)) = connection.next_event() else {
            panic!("there is a body");
        };
        assert_eq!(body.as_ptr(), received);
    }

    #[test]
    fn the_debug_form_keeps_what_was_received_to_itself() {
        let mut connection = connection();
        connection.receive(b"secret");
        assert!(!format!("{connection:?}").contains("secret"));
    }
}
