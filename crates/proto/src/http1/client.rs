//! The responses of one connection, decoded from the slices they arrive in.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

use http::Method;

use super::chunked::{Chunked, Next};
use super::client_response::{Expected, ResponseBodyLength, ResponseHead};
use super::error::RecvError;
use super::limits::Limits;

/// Decodes the responses of one connection.
///
/// Each [`decode`](Self::decode) takes from the front of the slice it is handed and borrows from
/// it. Only a head that is cut in two is copied, so a response that arrives whole costs no allocation.
#[derive(Debug)]
pub struct Responses {
    limits: Rc<Limits>,
    recv: Recv,
    expected: ExpectedQueue,
    /// The beginning of a head that is not whole yet.
    partial: Vec<u8>,
    keep_alive: bool,
    informational: u8,
}

/// What [`Responses::decode`] found.
#[derive(Debug)]
pub enum Decoded<'i> {
    /// A final response begins. Informational ones are passed over.
    Head(ResponseHead<'i>),
    /// A piece of its body; never empty.
    Body(&'i [u8]),
    /// The response is complete.
    End {
        /// Whether the connection can be used for another request.
        keep_alive: bool,
    },
    /// The slice is used up.
    NeedData,
}

/// What the end of the connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEof {
    /// It ended the body of the response in progress, which is complete with that.
    EndOfMessage,
    /// It came between responses, with none outstanding.
    Closed,
}

/// ```text
///   Head ──▶ Sized | Chunks ─▶ Trailers | UntilClose ──▶ End ──▶ Head, or Closed
///   any ──▶ Failed (a RecvError)
/// ```
#[derive(Clone, Copy, Debug)]
enum Recv {
    Head,
    Sized { left: u64 },
    Chunks(Chunked),
    Trailers(TrailerScan),
    UntilClose,
    Closed,
    Failed(RecvError),
}

impl Responses {
    /// A connection on which no request was sent yet.
    #[must_use]
    pub fn new(limits: Rc<Limits>) -> Self {
        Self {
            limits,
            recv: Recv::Head,
            expected: ExpectedQueue::default(),
            partial: Vec::new(),
            keep_alive: true,
            informational: 0,
        }
    }

    /// Takes note of a request that was sent: once for each, in order. A response to HEAD has no
    /// body, which only who sent it can know.
    #[inline]
    pub fn expect(&mut self, method: &Method) {
        self.expected.push(match *method {
            Method::HEAD => Expected::Head,
            Method::CONNECT => Expected::Connect,
            _ => Expected::Plain,
        });
    }

    /// Responses that are outstanding, the one in progress included.
    #[inline]
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.expected.len()
    }

    /// Takes what comes next off the front of `input`. Call it until it says
    /// [`Decoded::NeedData`].
    ///
    /// # Errors
    ///
    /// The server's fault. Final: every later call returns the same.
    #[inline]
    pub fn decode<'i>(&mut self, input: &mut &'i [u8]) -> Result<Decoded<'i>, RecvError> {
        let decoded = match self.recv {
            Recv::Head => self.decode_head(input),
            Recv::Sized { left: 0 } => return Ok(self.end()),
            Recv::Sized { left } => Ok(self.decode_sized(left, input)),
            Recv::Chunks(chunked) => self.decode_chunks(chunked, input),
            Recv::Trailers(scan) => self.decode_trailers(scan, input),
            Recv::UntilClose if input.is_empty() => return Ok(Decoded::NeedData),
            Recv::UntilClose => return Ok(Decoded::Body(mem::take(input))),
            Recv::Closed if input.is_empty() => return Ok(Decoded::NeedData),
            Recv::Closed => Err(RecvError::UnexpectedResponse),
            Recv::Failed(error) => return Err(error),
        };
        if let Err(error) = decoded {
            self.fail(error);
        }
        decoded
    }

    /// Takes note that the server has closed.
    ///
    /// # Errors
    ///
    /// When a response is incomplete or outstanding.
    pub fn decode_eof(&mut self) -> Result<AtEof, RecvError> {
        match self.recv {
            Recv::UntilClose => {
                self.keep_alive = false;
                self.end();
                Ok(AtEof::EndOfMessage)
            }
            // What came without a body or to its length is complete, whoever closes now.
            Recv::Sized { left: 0 } => {
                self.keep_alive = false;
                self.end();
                Ok(AtEof::EndOfMessage)
            }
            Recv::Closed => Ok(AtEof::Closed),
            Recv::Head if self.expected.len() == 0 && self.partial.is_empty() => {
                self.recv = Recv::Closed;
                Ok(AtEof::Closed)
            }
            Recv::Head | Recv::Sized { .. } | Recv::Chunks(_) | Recv::Trailers(_) => {
                self.fail(RecvError::UnexpectedEof);
                Err(RecvError::UnexpectedEof)
            }
            Recv::Failed(error) => Err(error),
        }
    }

    #[inline]
    fn decode_head<'i>(&mut self, input: &mut &'i [u8]) -> Result<Decoded<'i>, RecvError> {
        loop {
            if input.is_empty() {
                return Ok(Decoded::NeedData);
            }
            let Some(expected) = self.expected.front() else {
                return Err(RecvError::UnexpectedResponse);
            };
            if !self.partial.is_empty() {
                let Some(head) = self.decode_partial_head(expected, input)? else {
                    return Ok(Decoded::NeedData);
                };
                if let Some(head) = self.begin(head)? {
                    return Ok(Decoded::Head(head));
                }
                continue;
            }
            let Some((len, meaning)) = ResponseHead::parse(input, expected, &self.limits)? else {
                self.partial.extend_from_slice(mem::take(input));
                return Ok(Decoded::NeedData);
            };
            let (bytes, rest) = input.split_at(len);
            *input = rest;
            if let Some(head) = self.begin(ResponseHead::new(Cow::Borrowed(bytes), meaning))? {
                return Ok(Decoded::Head(head));
            }
        }
    }

    /// A head whose beginning came before.
    #[cold]
    fn decode_partial_head<'i>(
        &mut self,
        expected: Expected,
        input: &mut &'i [u8],
    ) -> Result<Option<ResponseHead<'i>>, RecvError> {
        let held = self.partial.len();
        // More than this is not looked at, so less than this is what has to be held.
        let room = (self.limits.head_bytes_max as usize).saturating_sub(held);
        let added = &input[..input.len().min(room)];
        self.partial.extend_from_slice(added);
        // A head ends in a line feed: bytes without one need not be parsed again.
        if memchr::memchr(b'\n', added).is_none() && self.partial.len() < room + held {
            *input = &[];
            return Ok(None);
        }
        let Some((len, meaning)) = ResponseHead::parse(&self.partial, expected, &self.limits)?
        else {
            *input = &[];
            return Ok(None);
        };
        *input = &input[len - held..];
        let mut bytes = mem::take(&mut self.partial);
        bytes.truncate(len);
        Ok(Some(ResponseHead::new(Cow::Owned(bytes), meaning)))
    }

    /// Enters the body of a final response; `None` for an informational one.
    #[inline]
    fn begin<'i>(&mut self, head: ResponseHead<'i>) -> Result<Option<ResponseHead<'i>>, RecvError> {
        if head.status.is_informational() {
            self.skip_informational(&head)?;
            return Ok(None);
        }
        self.informational = 0;
        self.keep_alive = head.keep_alive;
        self.recv = match head.length {
            ResponseBodyLength::None => Recv::Sized { left: 0 },
            ResponseBodyLength::Sized(left) => Recv::Sized { left },
            ResponseBodyLength::Chunked => Recv::Chunks(Chunked::new(u64::MAX)),
            ResponseBodyLength::UntilClose => Recv::UntilClose,
        };
        Ok(Some(head))
    }

    #[cold]
    fn skip_informational(&mut self, head: &ResponseHead<'_>) -> Result<(), RecvError> {
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(RecvError::UnexpectedResponse);
        }
        if self.informational >= self.limits.informational_count_max {
            let limit = self.limits.informational_count_max;
            return Err(RecvError::TooManyInformational { limit });
        }
        self.informational += 1;
        Ok(())
    }

    #[inline]
    fn decode_sized<'i>(&mut self, left: u64, input: &mut &'i [u8]) -> Decoded<'i> {
        if input.is_empty() {
            return Decoded::NeedData;
        }
        let (body, rest) = input.split_at(left.min(input.len() as u64) as usize);
        *input = rest;
        self.recv = Recv::Sized {
            left: left - body.len() as u64,
        };
        Decoded::Body(body)
    }

    fn decode_chunks<'i>(
        &mut self,
        mut chunked: Chunked,
        input: &mut &'i [u8],
    ) -> Result<Decoded<'i>, RecvError> {
        let (framing, next) = chunked.decode(input, &self.limits)?;
        *input = &input[framing..];
        self.recv = Recv::Chunks(chunked);
        match next {
            Next::NeedData => Ok(Decoded::NeedData),
            Next::Data(len) => {
                let (body, rest) = input.split_at(len);
                *input = rest;
                Ok(Decoded::Body(body))
            }
            Next::Trailers => self.decode_trailers(TrailerScan::default(), input),
        }
    }

    fn decode_trailers<'i>(
        &mut self,
        mut scan: TrailerScan,
        input: &mut &'i [u8],
    ) -> Result<Decoded<'i>, RecvError> {
        let ended = scan.advance(input, self.limits.trailer_bytes_max)?;
        self.recv = Recv::Trailers(scan);
        Ok(if ended { self.end() } else { Decoded::NeedData })
    }

    #[inline]
    fn end(&mut self) -> Decoded<'static> {
        self.expected.pop();
        self.recv = if self.keep_alive {
            Recv::Head
        } else {
            Recv::Closed
        };
        Decoded::End {
            keep_alive: self.keep_alive,
        }
    }

    #[cold]
    fn fail(&mut self, error: RecvError) {
        self.recv = Recv::Failed(error);
        self.partial = Vec::new();
    }
}

/// Finds the empty line behind trailers, which a client has no use for, without holding them.
#[derive(Clone, Copy, Debug, Default)]
struct TrailerScan {
    bytes: u32,
    /// Bytes of the current line, up to two: enough to know whether it is empty.
    line: u8,
    after_cr: bool,
}

impl TrailerScan {
    fn advance(&mut self, input: &mut &[u8], bytes_max: u32) -> Result<bool, RecvError> {
        while let [byte, rest @ ..] = *input {
            *input = rest;
            if self.bytes == bytes_max {
                return Err(RecvError::TrailersTooLarge { limit: bytes_max });
            }
            self.bytes += 1;
            match (byte, self.after_cr) {
                (b'\n', false) => return Err(RecvError::BareLineFeed),
                (b'\n', true) if self.line == 0 => return Ok(true),
                (b'\n', true) => (self.line, self.after_cr) = (0, false),
                (_, true) => return Err(RecvError::Field),
                (b'\r', false) => self.after_cr = true,
                (_, false) => self.line = 1,
            }
        }
        Ok(false)
    }
}

/// What the outstanding requests mean for their responses, as runs of alike ones: a client that
/// sends one kind of request never grows it, however deep it pipelines.
#[derive(Debug, Default)]
struct ExpectedQueue {
    front: Option<(Expected, usize)>,
    later: VecDeque<(Expected, usize)>,
}

impl ExpectedQueue {
    #[inline]
    fn push(&mut self, expected: Expected) {
        let last = self.later.back_mut().or(self.front.as_mut());
        match last {
            Some((kind, count)) if *kind == expected => *count += 1,
            Some(_) => self.later.push_back((expected, 1)),
            None => self.front = Some((expected, 1)),
        }
    }

    #[inline]
    fn front(&self) -> Option<Expected> {
        self.front.map(|(kind, _)| kind)
    }

    #[inline]
    fn pop(&mut self) {
        match &mut self.front {
            Some((_, count)) if *count > 1 => *count -= 1,
            front => *front = self.later.pop_front(),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.front
            .iter()
            .chain(&self.later)
            .map(|(_, count)| count)
            .sum()
    }
}
