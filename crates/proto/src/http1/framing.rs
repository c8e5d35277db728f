//! Where a head or a trailer section ends: the first empty line.

use memchr::memchr2_iter;

use super::error::RecvError;
use super::limits::Limits;

/// Bytes of a method. The longest one that is registered with IANA has 17.
const METHOD_BYTES_MAX: usize = 54;

/// Bytes of a request line beside its target.
const LINE_REST_BYTES_MAX: usize = METHOD_BYTES_MAX + b"  HTTP/1.1".len();

/// How far a head was searched, so that bytes that trickle in are looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    scanned: u32,
    /// Where the request line ends, with its CRLF; 0 until that is known.
    line_end: u32,
    /// The request line was found to be well-formed.
    pub(super) line_checked: bool,
    /// Empty lines that came before the request line.
    pub(super) empty_lines: u8,
}

impl HeadScan {
    /// Nothing searched yet of what follows so many empty lines.
    pub(super) fn after_empty_lines(empty_lines: u8) -> Self {
        Self {
            empty_lines,
            ..Self::default()
        }
    }

    /// Whether nothing was searched yet.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Searches what is new. Returns the length of the head once it is whole.
    ///
    /// Every line has to end in CRLF: the parser behind would take a bare LF, and a bare CR may hide
    /// that the head has ended (RFC 9112 §2.2). The limits are judged by position, so that the same
    /// bytes get the same verdict however they arrive.
    #[inline]
    pub(super) fn advance(
        &mut self,
        received: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, RecvError> {
        let window = &received[..received.len().min(limits.head_bytes_max as usize)];
        let from = resume_at(window, self.scanned as usize);
        for at in memchr2_iter(b'\r', b'\n', &window[from..]).map(|at| from + at) {
            if window[at] == b'\r' {
                if matches!(window.get(at + 1), None | Some(b'\n')) {
                    continue;
                }
                return Err(if self.line_end != 0 {
                    RecvError::Field
                } else if at > line_bytes_max(limits) {
                    line_too_long(window, limits)
                } else {
                    RecvError::RequestLine
                });
            }
            let lf = at;
            // One byte more than the limit may be the CR of a line that just fits.
            if self.line_end == 0 && lf > line_bytes_max(limits) + 1 {
                return Err(line_too_long(window, limits));
            }
            if lf == 0 || window[lf - 1] != b'\r' {
                return Err(RecvError::BareLineFeed);
            }
            if self.line_end == 0 {
                self.line_end = lf as u32 + 1;
            } else if window[lf - 2] == b'\n' {
                return Ok(Some(lf + 1));
            }
        }
        self.scanned = window.len() as u32;
        if self.line_end == 0 && window.len() > line_bytes_max(limits) + 1 {
            return Err(line_too_long(window, limits));
        }
        if received.len() >= limits.head_bytes_max as usize {
            return Err(RecvError::HeadTooLarge {
                limit: limits.head_bytes_max,
            });
        }
        Ok(None)
    }

    /// The length of the request line with its CRLF, once it is whole.
    #[inline]
    pub(super) fn line_end(&self) -> Option<usize> {
        (self.line_end != 0).then_some(self.line_end as usize)
    }
}

/// Where to go on: what is behind a CR decides what it is.
#[inline]
fn resume_at(window: &[u8], scanned: usize) -> usize {
    scanned - usize::from(scanned > 0 && window[scanned - 1] == b'\r')
}

/// Bytes of a request line without its CRLF, at most.
#[inline]
pub(super) fn line_bytes_max(limits: &Limits) -> usize {
    limits.target_bytes_max as usize + LINE_REST_BYTES_MAX
}

/// A request line of so many bytes is too long for its target or, when none has begun by then, for
/// its method (RFC 9112 §3).
#[cold]
fn line_too_long(line: &[u8], limits: &Limits) -> RecvError {
    if line[..=METHOD_BYTES_MAX].contains(&b' ') {
        RecvError::TargetTooLong {
            limit: limits.target_bytes_max,
        }
    } else {
        RecvError::MethodTooLong
    }
}

/// Searches a trailer section from `scanned` on. Returns its length with the empty line once it is
/// whole.
pub(super) fn find_trailers_end(
    received: &[u8],
    scanned: usize,
    bytes_max: u32,
) -> Result<Option<usize>, RecvError> {
    let window = &received[..received.len().min(bytes_max as usize)];
    let from = resume_at(window, scanned);
    for at in memchr2_iter(b'\r', b'\n', &window[from..]).map(|at| from + at) {
        match (window[at], window.get(at + 1)) {
            (b'\r', None | Some(b'\n')) => {}
            (b'\r', Some(_)) => return Err(RecvError::Field),
            _ if at == 0 || window[at - 1] != b'\r' => return Err(RecvError::BareLineFeed),
            _ if at == 1 || window[at - 2] == b'\n' => return Ok(Some(at + 1)),
            _ => {}
        }
    }
    if received.len() >= bytes_max as usize {
        return Err(RecvError::TrailersTooLarge { limit: bytes_max });
    }
    Ok(None)
}
