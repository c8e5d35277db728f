//! Requests out of bytes. Each `receive_*` returns the next state and the event together.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::{Connection, Event, Received, Recv, RequestFlags};
use crate::http1::byte_class::{self, TOKEN};
use crate::http1::chunked::{Chunked, Next};
use crate::http1::error::RecvError;
use crate::http1::framing::{HeadScan, find_trailers_end};
use crate::http1::head::{BodyLength, RequestHead};
use crate::http1::limits::Limits;
use crate::http1::parse::{check_request_line, parse_head, parse_received};
use crate::http1::response::Send;
use crate::http1::trailers;

impl Connection {
    /// Takes the next request out of `bytes`, which came from the wire behind everything that was
    /// received before, when that is all there is to it: its head is there to its end and
    /// without a fault, and nothing is left of what came before. Returns how long it is;
    /// what follows it in `bytes` is for the next call, or for [`receive`](Self::receive).
    ///
    /// This is the quick way, for nearly all requests: their bytes are copied once, into `head`,
    /// whose memory is used again. On `None` nothing has happened: give the bytes to `receive` and ask
    /// [`next_event`](Self::next_event), which says what there is, what is missing, or what is
    /// wrong. Where a parse was tried, `head` is then as [new](RequestHead::new).
    #[inline]
    pub fn receive_request(&mut self, bytes: &[u8], head: &mut RequestHead) -> Option<usize> {
        if !self.buffer.is_empty() || !self.is_before_head() {
            return None;
        }
        let len = receive_whole_head(bytes, &self.limits, head)?;
        self.begin_request(head);
        Some(len)
    }

    /// As [`receive_request`](Self::receive_request), out of what was received before. False is what
    /// `None` is there.
    #[inline]
    pub fn take_request(&mut self, head: &mut RequestHead) -> bool {
        if !self.is_before_head() {
            return false;
        }
        let Some(len) = receive_whole_head(&self.buffer, &self.limits, head) else {
            return false;
        };
        self.begin_request(head);
        self.discard(len);
        true
    }

    /// Whether a head comes next, of which nothing was looked at.
    #[inline]
    fn is_before_head(&self) -> bool {
        matches!(self.recv, Recv::Head(scan) if scan.is_fresh())
    }

    /// The careful way: it tells what is missing or wrong.
    pub(super) fn receive_head(&mut self, mut scan: HeadScan) -> Received {
        if self.buffer.first().is_some_and(|&byte| byte < b' ') {
            self.skip_empty_lines(&mut scan)?;
        }
        if self.buffer.is_empty() {
            return if self.eof {
                Ok((Recv::Closed, Event::Closed))
            } else {
                self.need_data(Recv::Head(scan))
            };
        }
        let scanned = scan.advance(&self.buffer, &self.limits);
        let (Ok(Some(len)), Some(line_end)) = (scanned, scan.line_end()) else {
            return self.receive_head_in_part(scan, scanned);
        };
        let head = parse_head(&self.buffer[..len], line_end, &self.limits)?;
        self.begin_request(&head);
        self.discard(len);
        Ok((self.recv, Event::Request(head)))
    }

    #[inline]
    fn begin_request(&mut self, head: &RequestHead) {
        self.request = RequestFlags::of(head.parsed());
        self.send = Send::Head;
        self.recv = match head.body() {
            BodyLength::None => Recv::Sized { left: 0 },
            BodyLength::Sized(left) => Recv::Sized { left },
            BodyLength::Chunked => Recv::Chunks(Chunked::new(self.limits.body_bytes_max)),
        };
    }

    /// A head that is not whole, or never will be. A fault of the request line is told as soon as
    /// the line is there, and before any fault behind it.
    #[cold]
    fn receive_head_in_part(
        &mut self,
        mut scan: HeadScan,
        scanned: Result<Option<usize>, RecvError>,
    ) -> Received {
        // Not even a method: a TLS handshake, for one, need not be waited for.
        if self
            .buffer
            .first()
            .is_some_and(|&byte| !byte_class::is(TOKEN, byte) && byte != b'\r')
        {
            return Err(RecvError::RequestLine);
        }
        if let (Some(line_end), false) = (scan.line_end(), scan.line_checked) {
            check_request_line(&self.buffer[..line_end], &self.limits)?;
            scan.line_checked = true;
        }
        scanned?;
        self.need_data(Recv::Head(scan))
    }

    /// Passes over empty lines before a request line (RFC 9112 §2.2).
    #[cold]
    fn skip_empty_lines(&mut self, scan: &mut HeadScan) -> Result<(), RecvError> {
        loop {
            match &self.buffer[..] {
                [b'\r', b'\n', ..] => {}
                // Perhaps the first half of one.
                [] | [b'\r'] => return Ok(()),
                [b'\n', ..] => return Err(RecvError::BareLineFeed),
                [b'\0'..b' ', ..] => return Err(RecvError::RequestLine),
                _ => return Ok(()),
            }
            if scan.empty_lines >= self.limits.empty_lines_max {
                return Err(RecvError::EmptyLines {
                    limit: self.limits.empty_lines_max,
                });
            }
            *scan = HeadScan::after_empty_lines(scan.empty_lines + 1);
            self.discard(b"\r\n".len());
        }
    }

    pub(super) fn receive_sized(&mut self, left: u64) -> Received {
        if self.buffer.is_empty() {
            return self.need_data(self.recv);
        }
        self.request.awaits_continue = false;
        let body = self.take(left.min(self.buffer.len() as u64) as usize);
        Ok((
            Recv::Sized {
                left: left - body.len() as u64,
            },
            Event::Body(body),
        ))
    }

    pub(super) fn receive_chunks(&mut self, mut chunked: Chunked) -> Received {
        if !self.buffer.is_empty() {
            self.request.awaits_continue = false;
        }
        let limits = &*self.limits;
        let (framing, next) = chunked.decode(&self.buffer, limits)?;
        self.discard(framing);
        match next {
            Next::NeedData => self.need_data(Recv::Chunks(chunked)),
            Next::Data(len) => Ok((Recv::Chunks(chunked), Event::Body(self.take(len)))),
            Next::Trailers => self.receive_trailers(0),
        }
    }

    pub(super) fn receive_trailers(&mut self, scanned: u32) -> Received {
        let limits = &*self.limits;
        let found = find_trailers_end(&self.buffer, scanned as usize, limits.trailer_bytes_max)?;
        let Some(len) = found else {
            // What is buffered is less than `trailer_bytes_max`, a u32.
            return self.need_data(Recv::Trailers {
                scanned: self.buffer.len() as u32,
            });
        };
        let trailers = if len == b"\r\n".len() {
            None
        } else {
            trailers::parse(&self.buffer[..len], limits)?
        };
        self.discard(len);
        Ok((self.after_message(), Event::EndOfMessage(trailers)))
    }

    /// The state behind a message: it waits for its response, unless that is complete already.
    #[inline]
    pub(super) fn after_message(&self) -> Recv {
        match self.send {
            Send::Nothing => Recv::Head(HeadScan::default()),
            Send::Head | Send::Sized { .. } | Send::Chunks | Send::UntilClose | Send::Bodyless => {
                Recv::Done
            }
        }
    }

    #[inline]
    fn need_data(&mut self, next: Recv) -> Received {
        if self.eof {
            return Err(RecvError::UnexpectedEof);
        }
        Ok((next, Event::NeedData))
    }

    /// Takes bytes off the front of the buffer; all of them with their allocation.
    #[inline(always)]
    fn take(&mut self, len: usize) -> Bytes {
        if len == self.buffer.len() {
            mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split_to(len).freeze()
        }
    }

    /// Takes bytes off the front of the buffer that nobody will see. One that is empty is given back.
    #[inline]
    fn discard(&mut self, len: usize) {
        if len == self.buffer.len() {
            self.buffer = BytesMut::new();
        } else {
            self.buffer.advance(len);
        }
    }

    /// Enters the final state, here and nowhere else.
    #[cold]
    pub(super) fn fail(&mut self, error: RecvError) -> RecvError {
        // A request that could not be read is owed an answer all the same; while the body of an
        // answered one is discarded there is none left to give.
        if matches!(self.recv, Recv::Head(_)) && error.status().is_some() {
            self.request = RequestFlags::of_part(&self.buffer);
            self.send = Send::Head;
        }
        self.closing = true;
        self.recv = Recv::Failed(error);
        self.buffer = BytesMut::new();
        error
    }

    /// Whether what is still to come of the request is worth receiving for the connection's sake.
    /// Chunks do not say in advance how many follow; they are held to the bound as they come.
    pub(super) fn is_rest_short(&self) -> bool {
        let announced = match self.recv {
            Recv::Sized { left } => left,
            Recv::Chunks(chunked) => chunked.left(),
            Recv::Trailers { .. } | Recv::Done => 0,
            Recv::Head(_) | Recv::Closed | Recv::Upgraded | Recv::Failed(_) => return true,
        };
        announced.saturating_sub(self.buffer.len() as u64)
            <= u64::from(self.limits.discard_bytes_max)
    }
}

/// A head that is there to its end and without a fault, as nearly all are.
// On its own, for its room for fields on the stack is not for every event to touch.
#[inline(never)]
fn receive_whole_head(received: &[u8], limits: &Limits, head: &mut RequestHead) -> Option<usize> {
    // Empty lines in front of it are the other way's to count.
    if received.first().is_none_or(|&byte| byte <= b' ') {
        return None;
    }
    parse_received(received, limits, head)
}
