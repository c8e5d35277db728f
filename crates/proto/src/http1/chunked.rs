//! The chunked transfer coding (RFC 9112 §7.1), taken apart byte by byte and to the letter.

use super::byte_class::{self, TOKEN};
use super::error::RecvError;
use super::limits::Limits;

/// Decodes the chunks of one body. What follows the last chunk, the trailer section, is not its
/// business.
///
/// It looks at each byte of the framing once and keeps none, so framing in any number of pieces
/// costs the same. The grammar is kept to the letter, because this is where a lenient recipient and
/// a strict one see two different requests.
///
/// ```text
///          digits        ";"                    CR        LF
///   Size ─────────▶ Size ────▶ Extension.. ──────▶ SizeLf ───▶ Data ──▶ DataCr ──▶ DataLf ──▶ Size
///                                                        └──▶ (size 0) last chunk
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunked {
    /// The size being read, then what is left of the chunk.
    left: u64,
    /// Bytes of all chunks so far, announced ones included.
    total: u64,
    /// What `total` may come to.
    bytes_max: u64,
    extension_bytes: u32,
    size_digits: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Whitespace after the size: only an extension may follow.
    SizeSpace,
    /// After `;`, where a name has to come.
    ExtensionStart,
    ExtensionName,
    ExtensionNameSpace,
    /// After `=`, where a token or a quoted string has to come.
    ValueStart,
    ValueToken,
    ValueQuoted,
    ValueEscaped,
    /// After a closing quote.
    ValueEnd,
    ValueSpace,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Last,
}

/// What came after the framing that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The input is used up.
    NeedData,
    /// This many bytes of body.
    Data(usize),
    /// The last chunk has ended: trailers follow.
    Trailers,
}

/// A size of 16 hexadecimal digits fills a `u64`.
const SIZE_DIGITS_MAX: u8 = 16;

impl Chunked {
    /// A body of which nothing was seen yet, of at most so many bytes.
    pub(super) fn new(bytes_max: u64) -> Self {
        Chunked {
            left: 0,
            total: 0,
            bytes_max,
            extension_bytes: 0,
            size_digits: 0,
            state: State::default(),
        }
    }

    /// Passes over framing. Returns how many bytes it took and what comes next; data that is
    /// announced counts as taken.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Next), RecvError> {
        for (taken, &byte) in input.iter().enumerate() {
            if self.state == State::Data {
                let data = self.left.min((input.len() - taken) as u64);
                self.left -= data;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok((taken, Next::Data(data as usize)));
            }
            self.state = self.step(byte, limits)?;
            if self.state == State::Last {
                return Ok((taken + 1, Next::Trailers));
            }
        }
        Ok((input.len(), Next::NeedData))
    }

    /// Bytes of the current chunk that have not come yet.
    pub(super) fn left(&self) -> u64 {
        if self.state == State::Data {
            self.left
        } else {
            0
        }
    }

    /// Lets only this many more bytes of body come, within the bound that there is.
    pub(super) fn shorten(&mut self, bytes: u64) {
        self.bytes_max = self.bytes_max.min(self.total.saturating_add(bytes));
    }

    /// Sets another bound for the whole body, before any of it was seen.
    pub(super) fn limit(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
    }

    #[inline]
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, RecvError> {
        use State::*;
        let next = match self.state {
            Size => match (byte, self.size_digits) {
                (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', 0..SIZE_DIGITS_MAX) => {
                    // At most 16 digits of four bits each: nothing is shifted out.
                    self.left = (self.left << 4) | u64::from(hex_digit(byte));
                    self.size_digits += 1;
                    return Ok(Size);
                }
                // The grammar has any number of digits: more than sixteen begin with zeros, which are
                // counted with the extensions. Its value decides, and may not overflow.
                (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _) if self.left >> 60 == 0 => {
                    self.left = (self.left << 4) | u64::from(hex_digit(byte));
                    Size
                }
                (_, 0) => return Err(RecvError::ChunkSize),
                (b'\r', _) => SizeLf,
                (b';', _) => ExtensionStart,
                (b' ' | b'\t', _) => SizeSpace,
                _ => return Err(RecvError::ChunkSize),
            },
            SizeSpace => match byte {
                b';' => ExtensionStart,
                b' ' | b'\t' => SizeSpace,
                _ => return Err(RecvError::ChunkSize),
            },
            ExtensionStart => match byte {
                b' ' | b'\t' => ExtensionStart,
                _ if byte_class::is(TOKEN, byte) => ExtensionName,
                _ => return Err(RecvError::ChunkExtension),
            },
            ExtensionName => match byte {
                b'=' => ValueStart,
                b';' => ExtensionStart,
                b'\r' => SizeLf,
                b' ' | b'\t' => ExtensionNameSpace,
                _ if byte_class::is(TOKEN, byte) => ExtensionName,
                _ => return Err(RecvError::ChunkExtension),
            },
            ExtensionNameSpace => match byte {
                b'=' => ValueStart,
                b';' => ExtensionStart,
                b' ' | b'\t' => ExtensionNameSpace,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueStart => match byte {
                b'"' => ValueQuoted,
                b' ' | b'\t' => ValueStart,
                _ if byte_class::is(TOKEN, byte) => ValueToken,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueToken => match byte {
                b';' => ExtensionStart,
                b'\r' => SizeLf,
                b' ' | b'\t' => ValueSpace,
                _ if byte_class::is(TOKEN, byte) => ValueToken,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueQuoted => match byte {
                b'"' => ValueEnd,
                b'\\' => ValueEscaped,
                b'\t' | b' '..=b'~' | 0x80.. => ValueQuoted,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueEscaped => match byte {
                b'\t' | b' '..=b'~' | 0x80.. => ValueQuoted,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueEnd => match byte {
                b';' => ExtensionStart,
                b'\r' => SizeLf,
                b' ' | b'\t' => ValueSpace,
                _ => return Err(RecvError::ChunkExtension),
            },
            ValueSpace => match byte {
                b';' => ExtensionStart,
                b' ' | b'\t' => ValueSpace,
                _ => return Err(RecvError::ChunkExtension),
            },
            SizeLf => return self.end_size(byte),
            DataCr if byte == b'\r' => return Ok(DataLf),
            DataLf if byte == b'\n' => {
                self.size_digits = 0;
                return Ok(Size);
            }
            DataCr | DataLf => return Err(RecvError::ChunkEnd),
            Data | Last => {
                unreachable!("decode takes no framing byte within data or after the end")
            }
        };
        if next != SizeLf {
            self.extension_bytes += 1;
            if self.extension_bytes > limits.chunk_extension_bytes_max {
                let limit = limits.chunk_extension_bytes_max;
                return Err(RecvError::ChunkExtensionsTooLarge { limit });
            }
        }
        Ok(next)
    }

    fn end_size(&mut self, byte: u8) -> Result<State, RecvError> {
        if byte != b'\n' {
            return Err(RecvError::ChunkSize);
        }
        if self.left == 0 {
            return Ok(State::Last);
        }
        self.total = match self.total.checked_add(self.left) {
            Some(total) if total <= self.bytes_max => total,
            _ => {
                return Err(RecvError::BodyTooLarge {
                    limit: self.bytes_max,
                });
            }
        };
        Ok(State::Data)
    }
}

#[inline]
fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        // Upper and lower case differ in this one bit.
        _ => (byte | 0x20) - b'a' + 10,
    }
}
