//! Fields that are known when the program is compiled, and are checked then.

use super::byte_class::{self, TOKEN};

/// The name of a field whose value differs from head to head, checked at compile time.
///
/// ```
/// # use monoloop_proto::http1::FieldName;
/// const X_TRACE: FieldName = FieldName::from_static("x-trace: ");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FieldName {
    prefix: &'static str,
}

impl FieldName {
    /// Of the name in lower case, with the colon and the space that follow it in the head.
    ///
    /// # Panics
    ///
    /// At compile time in a `const`: when this is something else, or a name that
    /// [`FieldWriter::field`](super::FieldWriter::field) refuses.
    #[must_use]
    pub const fn from_static(prefix: &'static str) -> Self {
        assert!(
            name_len(prefix.as_bytes()) + b": ".len() == prefix.len(),
            "a name ends in a colon and a space"
        );
        Self { prefix }
    }

    #[inline]
    pub(super) fn prefix(self) -> &'static [u8] {
        self.prefix.as_bytes()
    }

    #[inline]
    pub(super) fn as_str(self) -> &'static str {
        &self.prefix[..self.prefix.len() - b": ".len()]
    }
}

/// A field that is the same in every head, checked at compile time.
///
/// ```
/// # use monoloop_proto::http1::FieldLine;
/// const NO_STORE: FieldLine = FieldLine::from_static("cache-control: no-store\r\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FieldLine {
    line: &'static str,
}

impl FieldLine {
    /// Of the line as it stands in a head: the name in lower case, a colon and a space, the value,
    /// CRLF.
    ///
    /// # Panics
    ///
    /// At compile time in a `const`: when this is something else, has a name that
    /// [`FieldWriter::field`](super::FieldWriter::field) refuses or a value that is not visible ASCII.
    #[must_use]
    pub const fn from_static(line: &'static str) -> Self {
        let bytes = line.as_bytes();
        let mut at = name_len(bytes) + b": ".len();
        while at < bytes.len() && matches!(bytes[at], b' '..=b'~') {
            at += 1;
        }
        assert!(
            at + 2 == bytes.len() && bytes[at] == b'\r' && bytes[at + 1] == b'\n',
            "a value is visible ASCII and ends in CRLF"
        );
        Self { line }
    }

    #[inline]
    pub(super) fn as_bytes(self) -> &'static [u8] {
        self.line.as_bytes()
    }
}

/// The length of the name in front of the first `: `.
const fn name_len(line: &[u8]) -> usize {
    let mut len = 0;
    while len < line.len() && line[len] != b':' {
        let byte = line[len];
        assert!(
            byte_class::is(TOKEN, byte) && !byte.is_ascii_uppercase(),
            "a name is a token in lower case"
        );
        len += 1;
    }
    assert!(len > 0, "a name is not empty");
    assert!(
        len + 1 < line.len() && line[len + 1] == b' ',
        "a colon and a space follow the name"
    );
    let mut reserved = 0;
    while reserved < RESERVED.len() {
        assert!(
            !starts_with(line, RESERVED[reserved]),
            "framing and persistence are the connection's"
        );
        reserved += 1;
    }
    len
}

/// What [`FieldWriter::field`](super::FieldWriter::field) refuses too.
const RESERVED: [&[u8]; 8] = [
    b"content-length:",
    b"transfer-encoding:",
    b"connection:",
    b"trailer:",
    b"keep-alive:",
    b"proxy-connection:",
    b"te:",
    b"upgrade:",
];

const fn starts_with(line: &[u8], prefix: &[u8]) -> bool {
    let mut at = 0;
    while at < prefix.len() {
        if at == line.len() || line[at] != prefix[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_name_is_a_token_in_lower_case_that_frames_nothing() {
        assert_eq!(FieldName::from_static("x-trace: ").as_str(), "x-trace");
        for refused in [
            "",
            ": ",
            "x",
            "x:",
            "x :",
            "X-Trace: ",
            "x y: ",
            "x: y",
            "\r\nx: ",
            "content-length: ",
            "transfer-encoding: ",
            "connection: ",
            "keep-alive: ",
            "te: ",
            "upgrade: ",
        ] {
            let outcome = catch_unwind(|| FieldName::from_static(refused));
            assert!(outcome.is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_line_is_one_field_with_a_visible_value() {
        let line = FieldLine::from_static("x-connection: a b\r\n");
        assert_eq!(line.as_bytes(), b"x-connection: a b\r\n");
        for refused in [
            "",
            "x: y",
            "x: y\n",
            "x: y\r\n\r\n",
            "x: y\r\nz: a\r\n",
            "x: \u{e9}\r\n",
            "x:y\r\n",
            "connection: close\r\n",
        ] {
            let outcome = catch_unwind(|| FieldLine::from_static(refused));
            assert!(outcome.is_err(), "{refused:?}");
        }
    }
}
