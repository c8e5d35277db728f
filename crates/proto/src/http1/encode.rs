//! Heads on their way out: status line, fields, and the check that nothing else gets in.

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::error::SendError;
use super::hex::hex_digits;
use super::prepared::{FieldLine, FieldName};

/// Writes the fields of a head that was begun; the empty line follows when it is dropped.
///
/// Framing and persistence are the connection's: `Content-Length`, `Transfer-Encoding` and
/// `Connection` are refused.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> FieldWriter<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes one field. On an error the head goes on without it.
    ///
    /// `Upgrade`, as a 426 has to have one, is given the connection option that has to come with it
    /// (RFC 9110 §7.8, §15.5.22).
    #[inline]
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), SendError> {
        let name = checked_name(name)?;
        if name == "upgrade" {
            push_field(self.out, "connection", b"upgrade");
        }
        push_field(self.out, name, value.as_bytes());
        Ok(())
    }

    /// Writes one field whose value is not a `HeaderValue` yet: it is checked here, so that a CR or
    /// LF in a value never becomes a field of its own. On an error the head goes on without it.
    #[inline]
    pub fn field_bytes(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), SendError> {
        let name = checked_name(name)?;
        check_value(value)?;
        push_field(self.out, name, value);
        Ok(())
    }

    /// As [`field_bytes`](Self::field_bytes), under a name that was checked when the program was
    /// compiled.
    #[inline]
    pub fn named(&mut self, name: FieldName, value: &[u8]) -> Result<(), SendError> {
        check_value(value)?;
        push_field(self.out, name.as_str(), value);
        Ok(())
    }

    /// Writes a field whose value is these numbers, each as sixteen lower-case hexadecimal digits:
    /// nothing is left to be checked.
    #[inline]
    pub fn named_hex(&mut self, name: FieldName, high: u64, low: u64) {
        let mut value = *b"0123456789abcdef0123456789abcdef\r\n";
        value[..16].copy_from_slice(&hex_digits(high));
        value[16..32].copy_from_slice(&hex_digits(low));
        self.out.extend_from_slice(name.prefix());
        self.out.extend_from_slice(&value);
    }

    /// Writes a field that was checked when the program was compiled: one copy.
    #[inline]
    pub fn line(&mut self, line: FieldLine) {
        self.out.extend_from_slice(line.as_bytes());
    }

    /// Writes fields that were encoded before, such as `Date` and `Server`: one copy.
    #[inline]
    pub fn encoded(&mut self, fields: &EncodedFields) {
        self.out.extend_from_slice(&fields.lines);
    }

    /// Ends the head. Dropping the writer does the same; this says so.
    #[inline]
    pub fn finish(self) {}
}

impl Drop for FieldWriter<'_> {
    #[inline]
    fn drop(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Fields that are checked and encoded once and then copied into many heads.
#[derive(Clone, Debug, Default)]
pub struct EncodedFields {
    lines: Vec<u8>,
}

impl EncodedFields {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. Refuses what [`FieldWriter::field`] refuses.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), SendError> {
        push_field(&mut self.lines, checked_name(name)?, value.as_bytes());
        Ok(())
    }

    /// Forgets all fields and keeps their allocation.
    pub fn clear(&mut self) {
        self.lines.clear();
    }
}

#[inline]
fn checked_name(name: &HeaderName) -> Result<&str, SendError> {
    // A `HeaderName` is in lower case.
    match name.as_str() {
        "content-length" | "transfer-encoding" | "connection" => Err(SendError::ReservedField),
        name => Ok(name),
    }
}

#[inline]
fn check_value(value: &[u8]) -> Result<(), SendError> {
    // Without an exit in between, so that many bytes are looked at at once.
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    if value
        .iter()
        .fold(false, |any, &byte| any | is_control(byte))
    {
        return Err(SendError::FieldValue);
    }
    Ok(())
}

// Most names are constants, and copying one of known length takes no call: worth a third of it all.
#[inline(always)]
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    // One growth at most, however long name and value are.
    out.reserve(name.len() + value.len() + b": \r\n".len());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub(super) fn push_content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `HTTP/1.1` whatever the peer speaks: a server names its own version (RFC 9110 §2.5, §6.2).
#[inline]
pub(super) fn push_status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    // The space stays when there is no phrase (RFC 9112 §4).
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(super) fn push_request_line(out: &mut Vec<u8>, method: &Method, target: &str) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// One chunk (RFC 9112 §7.1). An empty one would end the body, so it is none of ours to write.
#[inline]
pub(super) fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    debug_assert!(!data.is_empty(), "an empty chunk is the last one");
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut size = [0; usize::BITS as usize / 4];
    let mut first = size.len();
    let mut rest = data.len();
    while rest > 0 {
        first -= 1;
        size[first] = DIGITS[rest % 16];
        rest /= 16;
    }
    let digits = &size[first..];
    out.reserve(digits.len() + data.len() + b"\r\n\r\n".len());
    out.extend_from_slice(digits);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk and an empty trailer section.
#[inline]
pub(super) fn push_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}
