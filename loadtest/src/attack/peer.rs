//! One hostile connection: says what it is told to, and notes what the server does about it.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Method;
use monoloop_proto::http1::{AtEof, Decoded, Limits, Responses};
use monoloop_runtime::net::TcpStream;
use monoloop_runtime::time;

use crate::attack::tally::Seen;

/// Answers that are understood at most, of one connection, before they are no longer looked at.
const ANSWERS_MAX: usize = 256;

/// A connection that means no good.
pub(crate) struct Peer {
    stream: TcpStream,
    heard: Heard,
    /// From when the server had to act.
    since: Instant,
    end: Option<Seen>,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            heard: Heard::new(),
            since: time::now_precise(),
            end: None,
        }
    }

    /// From now on the server has to act. What it said before is forgotten.
    pub(crate) fn start_clock(&mut self) {
        self.since = time::now_precise();
        self.heard.last_status = None;
        self.heard.last_at = None;
    }

    /// Until the server's last sign of life, or until now when there was none.
    pub(crate) fn elapsed(&self) -> Duration {
        let until = self.heard.last_at.unwrap_or_else(time::now_precise);
        until.saturating_duration_since(self.since)
    }

    /// Whole answers so far.
    pub(crate) fn answers(&self) -> usize {
        self.heard.answers
    }

    /// Sends, and listens meanwhile: a server that is not heard out may not read either. What cannot
    /// be sent any more is no matter; how it ended is heard from [`observe`](Self::observe).
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let mut sent = 0;
        poll_fn(|cx| {
            while sent < bytes.len() && self.end.is_none() {
                match self.stream.poll_write(cx, &bytes[sent..]) {
                    std::task::Poll::Ready(Ok(count)) => sent += count,
                    std::task::Poll::Ready(Err(_)) => break,
                    std::task::Poll::Pending => match self.stream.poll_receive(cx) {
                        std::task::Poll::Ready(received) => self.hear(received.as_deref()),
                        std::task::Poll::Pending => return std::task::Poll::Pending,
                    },
                }
            }
            std::task::Poll::Ready(())
        })
        .await;
    }

    /// Sends and does not read a byte of what comes back. An error says that the server is gone.
    pub(crate) async fn send_deaf(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends what goes at once of these bytes, and does not read either; how many went.
    pub(crate) async fn send_some_deaf(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).await
    }

    /// Reads into `buffer`, and makes nothing of what was read.
    pub(crate) async fn sip(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// Sends `drip(n)` every `period` until the server has had enough, or `limit` is over.
    pub(crate) async fn drip<'d>(
        &mut self,
        period: Duration,
        limit: Duration,
        drip: impl Fn(u64) -> &'d [u8],
    ) -> Seen {
        let until = time::now() + limit;
        let mut number = 0;
        while self.end.is_none() && time::now() < until {
            if self.hear_within(period).await {
                continue;
            }
            // That it cannot be sent is heard with the next receive.
            let _ = time::timeout(period, self.stream.write(drip(number))).await;
            number += 1;
        }
        self.seen()
    }

    /// Listens until the server closes, or `limit` is over.
    pub(crate) async fn observe(&mut self, limit: Duration) -> Seen {
        self.listen_until(limit, |_| false).await
    }

    /// Listens until there are so many answers, or the server closes, or `limit` is over.
    pub(crate) async fn observe_answers(&mut self, answers: usize, limit: Duration) -> Seen {
        self.listen_until(limit, |heard| heard.answers >= answers)
            .await
    }

    async fn listen_until(&mut self, limit: Duration, is_enough: impl Fn(&Heard) -> bool) -> Seen {
        let until = time::now() + limit;
        while self.end.is_none() && !is_enough(&self.heard) {
            let left = until.saturating_duration_since(time::now());
            if left.is_zero() || !self.hear_within(left).await {
                break;
            }
        }
        self.seen()
    }

    /// Whether something was heard in that time.
    async fn hear_within(&mut self, limit: Duration) -> bool {
        match time::timeout(limit, self.stream.receive()).await {
            Ok(received) => {
                self.hear(received.as_deref());
                true
            }
            Err(_) => false,
        }
    }

    fn hear(&mut self, received: Result<&[u8], &io::Error>) {
        self.end = match received {
            Ok([]) => Some(self.heard.at_eof()),
            Ok(bytes) => {
                self.heard.take(bytes);
                return;
            }
            // A reset may overtake the answer's end; the answer was heard all the same.
            Err(_) => Some(match self.heard.last_status {
                Some(status) if self.heard.is_whole => Seen::Refused(status),
                _ => Seen::Reset,
            }),
        };
        self.heard.last_at.get_or_insert_with(time::now_precise);
    }

    fn seen(&self) -> Seen {
        if self.heard.is_fooled {
            return Seen::Fooled;
        }
        if self.heard.is_garbled {
            return Seen::Garbled;
        }
        match (&self.end, self.heard.last_status) {
            (Some(end), _) => end.clone(),
            (None, Some(status)) if self.heard.is_whole => Seen::Served(status),
            (None, _) => Seen::Open,
        }
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub(crate) fn finish_sending(&mut self) {
        // It fails when the connection is gone, which is heard with the next receive.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Goes with a reset instead of a farewell.
    pub(crate) fn reset(mut self) {
        // It fails when the connection is gone, and then there is nothing to be reset.
        let _ = self.stream.set_linger(Some(Duration::ZERO));
    }
}

/// What a connection heard from the server.
struct Heard {
    responses: Responses,
    answers: usize,
    last_status: Option<u16>,
    /// The answer of `last_status` has come to its end.
    is_whole: bool,
    /// The server said that nothing would follow.
    is_last: bool,
    is_fooled: bool,
    is_garbled: bool,
    last_at: Option<Instant>,
}

impl Heard {
    fn new() -> Self {
        let mut responses = Responses::new(Rc::new(Limits::default()));
        for _ in 0..ANSWERS_MAX {
            responses.expect(&Method::GET);
        }
        Self {
            responses,
            answers: 0,
            last_status: None,
            is_whole: false,
            is_last: false,
            is_fooled: false,
            is_garbled: false,
            last_at: None,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        loop {
            if self.is_last {
                // An answer behind the last one is an answer to what was smuggled.
                self.is_fooled |= !bytes.is_empty();
                return;
            }
            match self.responses.decode(&mut bytes) {
                Ok(Decoded::Head(head)) => {
                    self.last_status = Some(head.status.as_u16());
                    self.is_whole = false;
                    self.last_at = Some(time::now_precise());
                }
                Ok(Decoded::Body(_)) => {}
                Ok(Decoded::End { keep_alive }) => {
                    self.end_answer();
                    self.is_last = !keep_alive;
                }
                Ok(Decoded::NeedData) => return,
                Err(_) => {
                    self.is_garbled = true;
                    return;
                }
            }
        }
    }

    fn end_answer(&mut self) {
        self.answers += 1;
        self.is_whole = true;
        self.responses.expect(&Method::GET);
    }

    /// What the end of the connection means.
    fn at_eof(&mut self) -> Seen {
        if self.last_status.is_some() && !self.is_whole {
            match self.responses.decode_eof() {
                Ok(AtEof::EndOfMessage | AtEof::Closed) => self.end_answer(),
                Err(_) => return Seen::Garbled,
            }
        }
        match self.last_status {
            Some(status) => Seen::Refused(status),
            None => Seen::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(stream: &str, at_a_time: usize) -> Heard {
        monoloop_runtime::Runtime::new()
            .expect("loop")
            .block_on(async {
                let mut heard = Heard::new();
                for part in stream.as_bytes().chunks(at_a_time) {
                    heard.take(part);
                }
                heard
            })
    }

    #[test]
    fn an_answer_behind_the_last_one_means_that_the_server_was_fooled() {
        let refusal =
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
        let smuggled = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        for at_a_time in [1, 2, 7, 1000] {
            assert!(!heard(refusal, at_a_time).is_fooled);
            let both = [refusal, smuggled].concat();
            assert!(heard(&both, at_a_time).is_fooled, "{at_a_time}");
        }
    }

    #[test]
    fn answers_are_counted_and_the_last_status_is_kept() {
        let answers = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(3)
            + "HTTP/1.1 408 Late\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        for at_a_time in [1, 2, 7, 1000] {
            let mut heard = heard(&answers, at_a_time);
            assert_eq!(heard.answers, 4);
            assert_eq!(heard.at_eof(), Seen::Refused(408));
        }
    }

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        for at_a_time in [1, 7, 1000] {
            let heard = heard("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", at_a_time);
            assert_eq!((heard.answers, heard.is_whole), (1, true));
        }
    }

    #[test]
    fn an_end_without_a_word_is_closed_and_one_in_the_middle_is_garbled() {
        assert_eq!(heard("", 1).at_eof(), Seen::Closed);
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
        assert_eq!(heard(half, 7).at_eof(), Seen::Garbled);
        assert!(heard("SSH-2.0-OpenSSH\r\n\r\n", 7).is_garbled);
    }
}
