//! WebSocket frames of a client (RFC 6455 §5), judged by their headers and cut where the bytes end.
//!
//! A library that puts frames together into messages wants each frame whole: it makes room for the
//! length a peer announces, and finds out about text that is none when all of it has come. Here
//! each frame is handed on as far as it has come, as a fragment of its own, which whoever stands
//! between two ends may do as long as no extension is in use (RFC 6455 §5.4). So nothing is held
//! for what was only announced, and what is wrong is seen with the byte that is wrong.

use std::fmt;

/// The longest header: two bytes, a length of eight, a mask of four.
const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: u64 = 125;

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const CONTINUATION: u8 = 0;
const MASKED: u8 = 0x80;

/// Cuts the frames of one client.
///
/// ```
/// use monoloop_proto::websocket::FramePieces;
///
/// let mut pieces = FramePieces::new(1024, 4096);
/// // Text of five bytes, of which two have come.
/// let mut input: &[u8] = &[0x81, 0x85, 0, 0, 0, 0, b'h', b'e'];
/// let piece = pieces.next(&mut input)?.expect("there is something of it");
/// assert_eq!(piece.header(), [0x01, 0x82, 0, 0, 0, 0]);
/// assert_eq!(piece.payload(), b"he");
/// assert!(pieces.next(&mut input)?.is_none());
///
/// input = b"llo";
/// let piece = pieces.next(&mut input)?.expect("the rest");
/// assert_eq!(piece.header(), [0x80, 0x83, 0, 0, 0, 0]);
/// # Ok::<(), monoloop_proto::websocket::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FramePieces {
    state: State,
    frame_bytes_max: u64,
    message_bytes_max: u64,
    /// Payload of the message in progress that was announced so far.
    message_bytes: u64,
    /// The frame before did not end its message.
    message_goes_on: bool,
}

/// ```text
///          header is whole                    nothing left
///   Header ───────────────▶ Data | Control ────────────────▶ Header
///     any ──▶ Failed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Header {
        bytes: [u8; HEADER_BYTES_MAX],
        len: u8,
    },
    /// The rest of a data frame.
    Data {
        /// The first byte of the next piece's header, if it is the last one.
        first: u8,
        left: u64,
        /// As it falls on the next byte.
        mask: [u8; 4],
    },
    /// The rest of a control frame, which may not be cut: its header is handed on with its whole
    /// length.
    Control {
        left: u64,
    },
    Failed(FrameError),
}

/// Some of a frame: a header, unless it goes on with the frame before, and a payload, which is
/// masked as it came.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'i> {
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    payload: &'i [u8],
}

/// What is wrong with a frame. The peer's fault, and final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A bit is set that no extension has given a meaning to (RFC 6455 §5.2).
    ReservedBits,
    /// An opcode that means nothing (RFC 6455 §5.2).
    ReservedOpcode(u8),
    /// Clients mask all they send (RFC 6455 §5.1).
    Unmasked,
    /// A control frame in fragments (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    ControlTooLong,
    /// A length in more bytes than it takes, or of more than 63 bits (RFC 6455 §5.2).
    MalformedLength,
    /// A frame that is longer than it may be, or makes its message longer than that may be.
    TooLong {
        /// The most bytes of payload.
        limit: u64,
    },
}

impl FramePieces {
    /// For frames, and messages, of so many bytes of payload at most. Both are judged by headers, so
    /// that nothing depends on how the bytes happen to arrive.
    #[must_use]
    pub fn new(frame_bytes_max: u64, message_bytes_max: u64) -> Self {
        FramePieces {
            state: State::AT_HEADER,
            frame_bytes_max,
            message_bytes_max,
            message_bytes: 0,
            message_goes_on: false,
        }
    }

    /// Whether something has begun that has not come to its end: a message, or a frame.
    #[must_use]
    pub fn awaits_more(&self) -> bool {
        match self.state {
            State::Header { len: 0, .. } => self.message_goes_on,
            State::Header { .. } | State::Data { .. } | State::Control { .. } => true,
            State::Failed(_) => false,
        }
    }

    /// Takes the next piece off the front of `input`; `None` when all of it was taken and more has
    /// to come.
    ///
    /// # Errors
    /// See [`FrameError`]; it repeats.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'i>>, FrameError> {
        let advanced = match self.state {
            State::Header { bytes, len } => self.header(bytes, len, input),
            State::Failed(error) => Err(error),
            State::Data { .. } | State::Control { .. } => Ok(None),
        };
        match advanced {
            // A control frame begins, or a frame without payload.
            Ok(Some(piece)) => return Ok(Some(piece)),
            Ok(None) => {}
            Err(error) => {
                self.state = State::Failed(error);
                return Err(error);
            }
        }
        Ok(self.payload(input))
    }

    /// Takes bytes until the header is whole, and judges it.
    fn header<'i>(
        &mut self,
        mut bytes: [u8; HEADER_BYTES_MAX],
        mut len: u8,
        input: &mut &'i [u8],
    ) -> Result<Option<Piece<'i>>, FrameError> {
        loop {
            let needed = header_len(&bytes[..len.into()]);
            if usize::from(len) == needed {
                break;
            }
            let Some((&byte, rest)) = input.split_first() else {
                self.state = State::Header { bytes, len };
                return Ok(None);
            };
            *input = rest;
            bytes[usize::from(len)] = byte;
            len += 1;
            if len == 2 {
                judge_start(bytes[0], bytes[1])?;
            }
        }
        let (first, header) = (bytes[0], &bytes[..len.into()]);
        let (left, mask) = length_and_mask(header)?;
        if first & CONTROL != 0 {
            self.state = State::Control { left };
            return Ok(Some(self.control(bytes, len, left, input)));
        }
        self.judge_length(first, left)?;
        if left == 0 {
            self.state = State::AT_HEADER;
            return Ok(Some(Piece::new(first, mask, &[])));
        }
        self.state = State::Data { first, left, mask };
        Ok(None)
    }

    fn judge_length(&mut self, first: u8, length: u64) -> Result<(), FrameError> {
        if length > self.frame_bytes_max {
            let limit = self.frame_bytes_max;
            return Err(FrameError::TooLong { limit });
        }
        if first & OPCODE != CONTINUATION {
            self.message_bytes = 0;
        }
        self.message_goes_on = first & FIN == 0;
        self.message_bytes = self.message_bytes.saturating_add(length);
        if self.message_bytes > self.message_bytes_max {
            let limit = self.message_bytes_max;
            return Err(FrameError::TooLong { limit });
        }
        Ok(())
    }

    fn control<'i>(
        &mut self,
        header: [u8; HEADER_BYTES_MAX],
        header_len: u8,
        left: u64,
        input: &mut &'i [u8],
    ) -> Piece<'i> {
        let payload = take(input, left);
        self.state = State::control_with(left - payload.len() as u64);
        Piece {
            header,
            header_len,
            payload,
        }
    }

    /// What there is of a payload.
    fn payload<'i>(&mut self, input: &mut &'i [u8]) -> Option<Piece<'i>> {
        if input.is_empty() {
            return None;
        }
        match self.state {
            State::Data { first, left, mask } => {
                let payload = take(input, left);
                let left = left - payload.len() as u64;
                if left == 0 {
                    self.state = State::AT_HEADER;
                    return Some(Piece::new(first, mask, payload));
                }
                // What follows continues it, and ends the message if the frame would have.
                let mut next_mask = mask;
                next_mask.rotate_left(payload.len() % mask.len());
                self.state = State::Data {
                    first: first & FIN,
                    left,
                    mask: next_mask,
                };
                Some(Piece::new(first & !FIN, mask, payload))
            }
            State::Control { left } => {
                let payload = take(input, left);
                self.state = State::control_with(left - payload.len() as u64);
                Some(Piece {
                    header: [0; HEADER_BYTES_MAX],
                    header_len: 0,
                    payload,
                })
            }
            State::Header { .. } | State::Failed(_) => None,
        }
    }
}

impl State {
    const AT_HEADER: State = State::Header {
        bytes: [0; HEADER_BYTES_MAX],
        len: 0,
    };

    fn control_with(left: u64) -> State {
        match left {
            0 => State::AT_HEADER,
            left => State::Control { left },
        }
    }
}

impl<'i> Piece<'i> {
    fn new(first: u8, mask: [u8; 4], payload: &'i [u8]) -> Self {
        let mut header = [0; HEADER_BYTES_MAX];
        header[0] = first;
        let length = payload.len() as u64;
        let end = match length {
            0..126 => {
                header[1] = length as u8;
                2
            }
            126..0x1_0000 => {
                header[1] = 126;
                header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                4
            }
            _ => {
                header[1] = 127;
                header[2..10].copy_from_slice(&length.to_be_bytes());
                10
            }
        };
        header[1] |= MASKED;
        header[end..end + 4].copy_from_slice(&mask);
        Piece {
            header,
            header_len: end as u8 + 4,
            payload,
        }
    }

    /// The header of a frame of its own; empty for the rest of a control frame.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header[..self.header_len.into()]
    }

    /// The payload, masked.
    #[must_use]
    pub fn payload(&self) -> &'i [u8] {
        self.payload
    }
}

/// How long a header is, as far as what there is of it tells.
fn header_len(bytes: &[u8]) -> usize {
    let Some(second) = bytes.get(1) else { return 2 };
    let length_bytes = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length_bytes + 4
}

/// What the first two bytes of a frame tell.
fn judge_start(first: u8, second: u8) -> Result<(), FrameError> {
    if first & RESERVED_BITS != 0 {
        return Err(FrameError::ReservedBits);
    }
    let opcode = first & OPCODE;
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(FrameError::ReservedOpcode(opcode));
    }
    if second & MASKED == 0 {
        return Err(FrameError::Unmasked);
    }
    if opcode & CONTROL != 0 {
        if first & FIN == 0 {
            return Err(FrameError::FragmentedControl);
        }
        if u64::from(second & !MASKED) > CONTROL_BYTES_MAX {
            return Err(FrameError::ControlTooLong);
        }
    }
    Ok(())
}

fn length_and_mask(header: &[u8]) -> Result<(u64, [u8; 4]), FrameError> {
    let (head, mask) = header.split_at(header.len() - 4);
    let mask = mask.try_into().expect("four bytes were split off");
    let extended = head[2..]
        .iter()
        .fold(0, |length, &byte| length << 8 | u64::from(byte));
    let length = match head.len() {
        4 if extended >= 126 => extended,
        10 if extended >> 16 != 0 && extended >> 63 == 0 => extended,
        2 => u64::from(head[1] & !MASKED),
        _ => return Err(FrameError::MalformedLength),
    };
    Ok((length, mask))
}

/// Takes up to so many bytes off the front.
fn take<'i>(input: &mut &'i [u8], most: u64) -> &'i [u8] {
    let count = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
    let (taken, rest) = input.split_at(count);
    *input = rest;
    taken
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::ReservedBits => f.write_str("a reserved bit is set"),
            FrameError::ReservedOpcode(opcode) => write!(f, "opcode {opcode} is reserved"),
            FrameError::Unmasked => f.write_str("a frame is not masked"),
            FrameError::FragmentedControl => f.write_str("a control frame is fragmented"),
            FrameError::ControlTooLong => {
                write!(f, "a control frame exceeds {CONTROL_BYTES_MAX} bytes")
            }
            FrameError::MalformedLength => f.write_str("the length of a frame is malformed"),
            FrameError::TooLong { limit } => {
                write!(f, "a frame or its message exceeds {limit} bytes")
            }
        }
    }
}

impl std::error::Error for FrameError {}
