//! Line framing for plain TCP protocols: lines end in LF or CRLF and have a longest length.

use std::error::Error;
use std::fmt;
use std::mem;

use bytes::{Bytes, BytesMut};

/// Takes bytes in and gives lines out.
///
/// ```
/// use monoloop_proto::lines::Lines;
///
/// let mut lines = Lines::new(80);
/// lines.receive(b"one\r\ntwo\nth");
/// assert_eq!(lines.next_line()?.as_deref(), Some(&b"one"[..]));
/// assert_eq!(lines.next_line()?.as_deref(), Some(&b"two"[..]));
/// assert_eq!(lines.next_line()?, None);
/// lines.receive_eof();
/// assert_eq!(lines.next_line()?.as_deref(), Some(&b"th"[..]));
/// # Ok::<(), monoloop_proto::lines::LineTooLong>(())
/// ```
///
/// Pull lines until there are none before receiving more: what is held is then at most one line.
/// With nothing received it owns no memory but itself.
pub struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer in which there is no LF.
    scanned: usize,
    line_bytes_max: usize,
    eof: bool,
    failed: bool,
}

/// The peer sent a longer line than it may.
///
/// Final: where the next line would begin is not searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    /// The bound, in bytes.
    pub limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line over the limit of {} bytes", self.limit)
    }
}

impl Error for LineTooLong {}

impl Lines {
    /// Lines of at most so many bytes, their end not counted.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            line_bytes_max,
            eof: false,
            failed: false,
        }
    }

    /// Takes what came from the wire: one copy. Ignored after a [`LineTooLong`].
    #[inline]
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Takes note that the peer has finished sending: what follows the last line end is a line too,
    /// as [`std::io::BufRead::lines`] has it. [`ends_in_line`](Self::ends_in_line) tells whether
    /// there is one.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// The next line without its end, or `None` when more has to be received first. A CR anywhere
    /// but before the LF belongs to the line.
    ///
    /// # Errors
    ///
    /// When a line is too long, as soon as that is certain; every later call returns the same.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        if self.failed {
            return Err(self.too_long());
        }
        let lf = memchr::memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at);
        let (line_len, taken) = match lf {
            Some(lf) if lf > 0 && self.buffer[lf - 1] == b'\r' => (lf - 1, lf + 1),
            Some(lf) => (lf, lf + 1),
            None => {
                self.scanned = self.buffer.len();
                // The last byte may be the CR of the line's end, until the peer has finished.
                let line_end = usize::from(!self.eof && self.buffer.last() == Some(&b'\r'));
                let line_len = self.buffer.len() - line_end;
                if self.eof && line_len > 0 || line_len > self.line_bytes_max {
                    (line_len, line_len)
                } else {
                    return Ok(None);
                }
            }
        };
        if line_len > self.line_bytes_max {
            self.failed = true;
            self.buffer = BytesMut::new();
            return Err(self.too_long());
        }
        self.scanned = 0;
        let mut line = if taken == self.buffer.len() {
            mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split_to(taken).freeze()
        };
        line.truncate(line_len);
        Ok(Some(line))
    }

    /// Whether the bytes received end within a line.
    #[inline]
    #[must_use]
    pub fn ends_in_line(&self) -> bool {
        self.buffer.last().is_some_and(|&byte| byte != b'\n')
    }

    /// Bytes received that were not handed out yet.
    #[inline]
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn too_long(&self) -> LineTooLong {
        LineTooLong {
            limit: self.line_bytes_max,
        }
    }
}

impl fmt::Debug for Lines {
    /// Without the bytes received: they hold secrets, and logs are read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("buffered", &self.buffer.len())
            .field("line_bytes_max", &self.line_bytes_max)
            .field("eof", &self.eof)
            .field("failed", &self.failed)
            .finish()
    }
}
