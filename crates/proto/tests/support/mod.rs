//! What the tests share: the one place where they touch the server's receiving side.

#![allow(
    dead_code,
    reason = "each test binary compiles this file and uses a part of it"
)]

use std::fmt::Write as _;
use std::rc::Rc;

use http::StatusCode;
use monoloop_proto::http1::{
    AfterResponse, BodyLength, Connection, Event, Limits, RequestHead, ResponseLength, Version,
};

/// Feeds `input` 1, 2, 7 and all bytes at a time to a connection that answers every request with an
/// empty 404, and asserts the transcript each time.
#[track_caller]
pub(crate) fn check(input: impl AsRef<[u8]>, expected: &str) {
    check_with(Limits::default(), input, expected);
}

/// As [`check`], under other limits.
#[track_caller]
pub(crate) fn check_with(limits: Limits, input: impl AsRef<[u8]>, expected: &str) {
    let input = input.as_ref();
    let limits = Rc::new(limits);
    for size in [1, 2, 7, input.len().max(1)] {
        let found = transcript(&limits, input.chunks(size), false);
        assert_eq!(
            found,
            expected,
            "fed {size} bytes at a time: {}",
            input.escape_ascii()
        );
    }
}

/// As [`check`], and then the peer finishes sending.
#[track_caller]
pub(crate) fn check_to_eof(input: impl AsRef<[u8]>, expected: &str) {
    let input = input.as_ref();
    let limits = Rc::new(Limits::default());
    for size in [1, 2, 7, input.len().max(1)] {
        let found = transcript(&limits, input.chunks(size), true);
        assert_eq!(
            found,
            expected,
            "fed {size} bytes at a time: {}",
            input.escape_ascii()
        );
    }
}

/// What a connection makes of the pieces, in one line, whichever way its requests are received.
/// Adjacent pieces of a body are one.
pub(crate) fn transcript<'i>(
    limits: &Rc<Limits>,
    pieces: impl Iterator<Item = &'i [u8]> + Clone,
    eof: bool,
) -> String {
    let careful = Log::default().transcript(limits, pieces.clone(), eof);
    let head = Some(RequestHead::new());
    let quick = Log {
        head,
        ..Log::default()
    };
    let quick = quick.transcript(limits, pieces, eof);
    assert_eq!(
        quick, careful,
        "the quick way sees what the careful one does"
    );
    careful
}

#[derive(Default)]
struct Log {
    /// What requests are received into, where the quick way is tried first.
    head: Option<RequestHead>,
    entries: Vec<String>,
    body: Vec<u8>,
}

impl Log {
    fn transcript<'i>(
        mut self,
        limits: &Rc<Limits>,
        pieces: impl Iterator<Item = &'i [u8]>,
        eof: bool,
    ) -> String {
        let mut connection = Connection::new(limits.clone());
        for piece in pieces {
            if !self.feed(&mut connection, piece) {
                return self.finish("");
            }
        }
        if eof {
            connection.receive_eof();
            if !self.pull(&mut connection) {
                return self.finish("");
            }
        }
        let state = if connection.is_idle() {
            "idle"
        } else {
            "waiting"
        };
        self.finish(state)
    }

    /// Returns whether the connection goes on.
    fn feed(&mut self, connection: &mut Connection, mut piece: &[u8]) -> bool {
        while let Some(head) = &mut self.head
            && let Some(len) = connection.receive_request(piece, head)
        {
            piece = &piece[len..];
            let entry = describe(head);
            self.entry(entry);
            if !connection.is_request_received() {
                break;
            }
            if !self.pull(connection) {
                return false;
            }
        }
        connection.receive(piece);
        self.pull(connection)
    }

    /// Pulls events until there are none. Returns whether the connection goes on.
    fn pull(&mut self, connection: &mut Connection) -> bool {
        loop {
            if let Some(head) = &mut self.head
                && connection.take_request(head)
            {
                let entry = describe(head);
                self.entry(entry);
            }
            match connection.next_event() {
                Ok(Event::Request(head)) => self.entry(describe(&head)),
                Ok(Event::Body(data)) => {
                    assert!(!data.is_empty(), "an empty piece of body");
                    self.body.extend_from_slice(&data);
                }
                Ok(Event::EndOfMessage(trailers)) => {
                    let mut entry = String::from("end");
                    for (name, value) in trailers.iter().flat_map(|trailers| trailers.iter()) {
                        write!(entry, " {name}={}", value.as_bytes().escape_ascii()).unwrap();
                    }
                    self.entry(entry);
                }
                Ok(Event::Paused) => match answer(connection) {
                    AfterResponse::KeepAlive => {}
                    AfterResponse::DiscardBody => panic!("the body was read to its end"),
                    AfterResponse::Close => {}
                },
                Ok(Event::NeedData) => return true,
                Ok(Event::Closed) => {
                    self.entry("closed".into());
                    return false;
                }
                Err(error) => {
                    let status = error.status().map(|status| status.as_u16());
                    self.entry(format!("error {error:?} -> {status:?}"));
                    assert_eq!(connection.next_event().err(), Some(error), "errors repeat");
                    return false;
                }
            }
        }
    }

    fn entry(&mut self, entry: String) {
        if !self.body.is_empty() {
            let body = std::mem::take(&mut self.body);
            self.entries
                .push(format!("{:?}", body.escape_ascii().to_string()));
        }
        self.entries.push(entry);
    }

    fn finish(mut self, state: &str) -> String {
        if !state.is_empty() || !self.body.is_empty() {
            self.entry(state.into());
        }
        self.entries.join(" | ")
    }
}

fn describe(head: &RequestHead) -> String {
    let mut entry = format!("{} {}", head.method(), head.target());
    match head.version() {
        Version::Http10 => entry.push_str(" 1.0"),
        Version::Http11 => {}
    }
    match head.body() {
        BodyLength::None => {}
        BodyLength::Sized(length) => write!(entry, " sized {length}").unwrap(),
        BodyLength::Chunked => entry.push_str(" chunked"),
    }
    if head.expects_continue() {
        entry.push_str(" continue");
    }
    if !head.keep_alive() {
        entry.push_str(" close");
    }
    entry
}

fn answer(connection: &mut Connection) -> AfterResponse {
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::NOT_FOUND, ResponseLength::Sized(0), &mut out)
        .unwrap()
        .finish();
    connection.send_end(&mut out).unwrap()
}
