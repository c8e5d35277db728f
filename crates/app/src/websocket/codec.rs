//! The protocol of one connection without its socket: bytes in, messages out, and the other way
//! round. tungstenite's state, fed with frames as far as they have come.

use super::{CloseReason, Message, ReceiveError, Text};
use bytes::Bytes;
use monoloop_proto::websocket::{FrameError, FramePieces};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

/// What tungstenite takes in at a time, and holds while nothing comes. Precedent: gorilla's
/// `ReadBufferSize`.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// The longest piece of a frame that tungstenite gets to see: what it makes room for, and keeps the
/// room of.
const PIECE_BYTES_MAX: usize = 8 * 1024;

/// Frames, or pieces of them, that are looked at before others have their turn. tungstenite takes all that it
/// is given until a message is whole: of a message in empty fragments, which need not come to an end, a single
/// read brings ten thousand, and a turn would be a tenth of a second.
const FRAMES_PER_LOOK: usize = 4;

/// The server's end.
pub(crate) struct Codec {
    context: WebSocketContext,
    input: Input,
    /// What the peer did wrong; final.
    failed: Option<ReceiveError>,
}

/// What came of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Message(Message),
    /// A ping, which is answered already, or a pong.
    Control,
    /// The peer closes, or agrees to be closed. What is in the output is the last.
    Closed(Option<CloseReason>),
    NeedData,
    /// Many frames came that make no message yet; there may be more.
    Pause,
}

/// How much of a message goes into one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    /// What goes on with a message.
    Rest,
}

impl Codec {
    pub(crate) fn new(message_bytes_max: usize, frame_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // Each frame goes to the output at once, which is bounded by whoever asks for frames.
            .write_buffer_size(0)
            // Judged by the headers already.
            .max_message_size(None)
            .max_frame_size(None);
        Codec {
            context: WebSocketContext::new(Role::Server, Some(config)),
            input: Input {
                pieces: FramePieces::new(frame_bytes_max as u64, message_bytes_max as u64),
                bytes: Vec::new(),
                taken: 0,
                header: [0; 14],
                header_left: 0..0,
                payload_left: 0,
                frames_left: 0,
                fault: None,
            },
            failed: None,
        }
    }

    /// Takes bytes that came. To be called when [`next`](Codec::next) needs data.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.bytes.extend_from_slice(bytes);
    }

    /// What comes next out of what was received. Pongs, and the answer to a close, go to `output`.
    /// An error repeats.
    pub(crate) fn next(&mut self, output: &mut Vec<u8>) -> Result<Event, ReceiveError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.input.frames_left = FRAMES_PER_LOOK;
        let mut port = Port {
            input: &mut self.input,
            output,
        };
        let read = self.context.read(&mut port);
        if matches!(
            read,
            Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Close(_))
        ) {
            // What it answers with waits inside. The error says that the connection is over after a
            // close, which is known.
            let _ = self.context.flush(&mut port);
        }
        match read {
            Ok(tungstenite::Message::Text(text)) => Ok(Event::Message(Message::Text(Text(text)))),
            Ok(tungstenite::Message::Binary(bytes)) => Ok(Event::Message(Message::Binary(bytes))),
            Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_)) => Ok(Event::Control),
            Ok(tungstenite::Message::Close(frame)) => {
                Ok(Event::Closed(frame.map(|frame| {
                    CloseReason::received(frame.code.into(), frame.reason)
                })))
            }
            Ok(tungstenite::Message::Frame(_)) => {
                unreachable!("frames are put together before they are handed out")
            }
            Err(error) => self
                .judge(error)
                .inspect_err(|error| self.failed = Some(*error)),
        }
    }

    /// Whether a message, or a frame, has begun that is not whole.
    pub(crate) fn awaits_more(&self) -> bool {
        self.input.pieces.awaits_more()
    }

    /// What is kept for bytes that were received and not looked at.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.input.bytes.capacity()
    }

    fn judge(&self, error: tungstenite::Error) -> Result<Event, ReceiveError> {
        use tungstenite::Error;
        if let Some(fault) = self.input.fault {
            return Err(match fault {
                FrameError::TooLong { limit } => ReceiveError::TooLong {
                    limit: limit as usize,
                },
                fault => ReceiveError::Frame(fault),
            });
        }
        match error {
            Error::Io(error) if error.kind() == ErrorKind::WouldBlock => {
                Ok(match self.input.frames_left {
                    0 => Event::Pause,
                    _ => Event::NeedData,
                })
            }
            Error::ConnectionClosed | Error::AlreadyClosed => Ok(Event::Closed(None)),
            // After the peer's close nothing it sends matters.
            Error::Protocol(ProtocolError::ReceivedAfterClosing) => Ok(Event::Closed(None)),
            Error::Utf8(_) => Err(ReceiveError::NotUtf8),
            _ => Err(ReceiveError::Protocol),
        }
    }

    /// Writes a frame of a message; what goes on with it is [`Kind::Rest`].
    pub(crate) fn send(&mut self, kind: Kind, payload: Bytes, is_last: bool, out: &mut Vec<u8>) {
        let opcode = OpCode::Data(match kind {
            Kind::Text => Data::Text,
            Kind::Binary => Data::Binary,
            Kind::Rest => Data::Continue,
        });
        let frame = Frame::message(payload, opcode, is_last);
        self.write(tungstenite::Message::Frame(frame), out);
    }

    pub(crate) fn ping(&mut self, payload: Bytes, out: &mut Vec<u8>) {
        self.write(tungstenite::Message::Ping(payload), out);
    }

    /// Writes a close, unless one was written.
    pub(crate) fn close(&mut self, reason: Option<&CloseReason>, out: &mut Vec<u8>) {
        let mut port = Port {
            input: &mut self.input,
            output: out,
        };
        // It fails when the connection is closed, which is what is wanted.
        let _ = self
            .context
            .close(&mut port, reason.map(CloseReason::frame));
    }

    fn write(&mut self, message: tungstenite::Message, out: &mut Vec<u8>) {
        let mut port = Port {
            input: &mut self.input,
            output: out,
        };
        // The output takes everything; after a close nothing is sent, and nobody waits for it.
        let _ = self.context.write(&mut port, message);
    }
}

/// The bytes that came, as the frames that tungstenite gets to see.
struct Input {
    pieces: FramePieces,
    bytes: Vec<u8>,
    /// How far they were looked at.
    taken: usize,
    header: [u8; 14],
    /// What of the header was not handed out.
    header_left: std::ops::Range<usize>,
    /// Bytes of payload behind `taken` that belong to the piece.
    payload_left: usize,
    /// How many more may be handed out now.
    frames_left: usize,
    fault: Option<FrameError>,
}

impl Input {
    /// Copies what there is into `buffer`; how much that was.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, FrameError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let room = &mut buffer[filled..];
            if !self.header_left.is_empty() {
                let count = room.len().min(self.header_left.len());
                let end = self.header_left.start + count;
                room[..count].copy_from_slice(&self.header[self.header_left.start..end]);
                self.header_left.start = end;
                filled += count;
            } else if self.payload_left > 0 {
                let count = room.len().min(self.payload_left);
                room[..count].copy_from_slice(&self.bytes[self.taken..self.taken + count]);
                self.taken += count;
                self.payload_left -= count;
                filled += count;
            } else if self.frames_left == 0 {
                break;
            } else {
                match self.advance() {
                    Ok(true) => self.frames_left -= 1,
                    // What came before a fault is good.
                    Err(fault) if filled == 0 => return Err(fault),
                    Ok(false) | Err(_) => break,
                }
            }
        }
        Ok(filled)
    }

    /// Finds the next piece. Whether there is one.
    fn advance(&mut self) -> Result<bool, FrameError> {
        let end = self.bytes.len().min(self.taken + PIECE_BYTES_MAX);
        let mut left = &self.bytes[self.taken..end];
        let piece = self.pieces.next(&mut left)?;
        self.taken = end - left.len();
        let Some(piece) = piece else {
            if self.taken < self.bytes.len() {
                // A header that the end has cut.
                return self.advance();
            }
            self.taken = 0;
            self.bytes.clear();
            if self.bytes.capacity() > READ_BUFFER_BYTES {
                self.bytes = Vec::new();
            }
            return Ok(false);
        };
        let header = piece.header();
        self.header[..header.len()].copy_from_slice(header);
        self.header_left = 0..header.len();
        self.payload_left = piece.payload().len();
        self.taken -= self.payload_left;
        Ok(true)
    }
}

/// What tungstenite takes for a socket.
struct Port<'a> {
    input: &'a mut Input,
    output: &'a mut Vec<u8>,
}

impl Read for Port<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.fill(buffer) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            Ok(filled) => Ok(filled),
            Err(fault) => {
                self.input.fault = Some(fault);
                Err(ErrorKind::InvalidData.into())
            }
        }
    }
}

impl Write for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
