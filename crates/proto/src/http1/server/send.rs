//! Responses into bytes, and what becomes of the connection behind them.

use std::mem;

use bytes::BytesMut;
use http::StatusCode;

use super::{Connection, Event, Recv};
use crate::http1::encode::{
    FieldWriter, push_chunk, push_content_length, push_last_chunk, push_status_line,
};
use crate::http1::error::{RecvError, SendError};
use crate::http1::framing::HeadScan;
use crate::http1::head::Version;
use crate::http1::response::{AfterResponse, ResponseLength, Send};

impl Connection {
    /// Writes `100 Continue`, if the peer waits for it: not twice, and not when the body has begun to
    /// come (RFC 9110 §10.1.1). Call it when somebody wants to read the body.
    ///
    /// # Errors
    ///
    /// When the final response has begun, or there is no request.
    #[inline]
    pub fn send_continue(&mut self, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_awaits_head()?;
        if mem::take(&mut self.request.awaits_continue) && self.buffer.is_empty() {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Ok(())
    }

    /// Whether there is a request without a head for its response.
    #[inline(always)]
    pub(super) fn check_awaits_head(&self) -> Result<(), SendError> {
        match self.send {
            Send::Head => Ok(()),
            Send::Nothing => Err(SendError::NothingToAnswer),
            Send::Sized { .. } | Send::Chunks | Send::UntilClose | Send::Bodyless => {
                Err(SendError::HeadAlreadySent)
            }
        }
    }

    /// Begins the response: status line, framing, and `Connection` where one is needed. The fields
    /// are written to what it returns, and the head ends when that is dropped.
    ///
    /// A response to HEAD gets the framing fields but no body; 204 and 304 get neither, 205 the
    /// length zero (RFC 9110 §8.6, §15.3.6). What is sent as body of one of those is swallowed.
    ///
    /// # Errors
    ///
    /// When no request waits for a head, or the status is not a final response.
    // These three are called once for each response that is all there, one behind the other: in the
    // caller they are one piece of code without a check made twice.
    #[inline(always)]
    pub fn send_head<'a>(
        &mut self,
        status: StatusCode,
        length: ResponseLength,
        out: &'a mut Vec<u8>,
    ) -> Result<FieldWriter<'a>, SendError> {
        self.check_awaits_head()?;
        if !(200..=599).contains(&status.as_u16()) || self.request.is_connect {
            self.check_uncommon(status)?;
        }
        // Who waits for 100 and gets something else sends the body or does not; nothing that comes
        // now can be told for a request or a body.
        if self.request.awaits_continue && self.buffer.is_empty() {
            self.closing = true;
        }

        push_status_line(out, status);
        self.send = match (status, length) {
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => Send::Bodyless,
            (StatusCode::RESET_CONTENT, _) => {
                out.extend_from_slice(b"content-length: 0\r\n");
                Send::Bodyless
            }
            (_, ResponseLength::Sized(length)) => {
                push_content_length(out, length);
                Send::Sized { left: length }
            }
            (_, ResponseLength::Chunked) if self.request.version == Version::Http10 => {
                self.closing = true;
                Send::UntilClose
            }
            (_, ResponseLength::Chunked) => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Send::Chunks
            }
        };
        if self.request.is_head {
            self.send = Send::Bodyless;
        }
        if self.closing || !self.request.keep_alive {
            self.closing = true;
            out.extend_from_slice(b"connection: close\r\n");
        } else if self.request.version == Version::Http10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        Ok(FieldWriter::new(out))
    }

    /// Sends a piece of the response's body: one chunk a call where it is chunked. An empty piece is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Before the head, or beyond the announced length: nothing is written then.
    #[inline(always)]
    pub fn send_body(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        match &mut self.send {
            Send::Nothing => return Err(SendError::NothingToAnswer),
            Send::Head => return Err(SendError::HeadMissing),
            Send::Bodyless => {}
            Send::Sized { left } => {
                let len = data.len() as u64;
                if len > *left {
                    return Err(SendError::BodyTooLong {
                        excess: len - *left,
                    });
                }
                *left -= len;
                out.extend_from_slice(data);
            }
            Send::Chunks if data.is_empty() => {}
            Send::Chunks => push_chunk(out, data),
            Send::UntilClose => out.extend_from_slice(data),
        }
        Ok(())
    }

    /// Ends the response and says what becomes of the connection.
    ///
    /// A body that nobody read does not become the next request: what is received of it is thrown
    /// away, a short rest is [`AfterResponse::DiscardBody`], and with more to come the connection
    /// closes (RFC 9112 §9.3).
    ///
    /// # Errors
    ///
    /// Before the head, or short of the announced length. The response cannot be completed: close
    /// the connection, so that the peer notices.
    #[inline(always)]
    pub fn send_end(&mut self, out: &mut Vec<u8>) -> Result<AfterResponse, SendError> {
        match self.send {
            Send::Nothing => return Err(SendError::NothingToAnswer),
            Send::Head => return Err(SendError::HeadMissing),
            Send::Sized { left } if left > 0 => {
                return Err(SendError::BodyTooShort { missing: left });
            }
            Send::Sized { .. } | Send::Bodyless | Send::UntilClose => {}
            Send::Chunks => push_last_chunk(out),
        }
        self.send = Send::Nothing;
        if self.closing {
            return Ok(self.close());
        }
        match self.recv {
            Recv::Done | Recv::Sized { left: 0 } => {
                self.recv = Recv::Head(HeadScan::default());
                Ok(AfterResponse::KeepAlive)
            }
            Recv::Closed | Recv::Upgraded | Recv::Failed(_) => Ok(self.close()),
            Recv::Head(_) | Recv::Sized { .. } | Recv::Chunks(_) | Recv::Trailers { .. } => {
                Ok(self.discard_body())
            }
        }
    }

    /// Answers an error without more than its status, and nothing when there is nobody to answer or
    /// the response has begun. The connection is to be closed either way.
    ///
    /// Who wants fields or a body in the answer uses [`send_head`](Self::send_head) instead.
    pub fn refuse(&mut self, error: RecvError, out: &mut Vec<u8>) {
        self.closing = true;
        if let (Some(status), true) = (error.status(), self.awaits_head()) {
            self.send_head(status, ResponseLength::Sized(0), out)
                .expect("a head is awaited, and no error has an informational status")
                .finish();
            self.send = Send::Nothing;
        }
        let _ = self.close();
    }

    /// Only final responses are sent, and no tunnel is opened. Behind a CONNECT that is turned down
    /// may come what was meant for the tunnel.
    #[cold]
    fn check_uncommon(&mut self, status: StatusCode) -> Result<(), SendError> {
        if !(200..=599).contains(&status.as_u16()) || status.is_success() {
            return Err(SendError::UnsupportedStatus(status));
        }
        self.closing = true;
        Ok(())
    }

    #[cold]
    pub(super) fn close(&mut self) -> AfterResponse {
        if !matches!(self.recv, Recv::Failed(_)) {
            self.recv = Recv::Closed;
        }
        self.buffer = BytesMut::new();
        AfterResponse::Close
    }

    /// The response is complete and the request is not.
    #[cold]
    fn discard_body(&mut self) -> AfterResponse {
        if !self.is_rest_short() {
            return self.close();
        }
        if let Recv::Chunks(chunked) = &mut self.recv {
            chunked.shorten(u64::from(self.limits.discard_bytes_max));
        }
        // Most of the time the rest has been received.
        loop {
            match self.next_event() {
                Ok(Event::Body(_)) => {}
                Ok(Event::EndOfMessage(_)) => return AfterResponse::KeepAlive,
                Ok(Event::NeedData) => return AfterResponse::DiscardBody,
                Ok(Event::Request(_) | Event::Paused | Event::Closed) => {
                    unreachable!("the body ends before anything else can come")
                }
                Err(_) => return self.close(),
            }
        }
    }
}
