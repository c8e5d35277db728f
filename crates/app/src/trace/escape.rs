//! Keeps what a peer sent from forging lines or driving a terminal.

use std::fmt::{self, Write};

/// Passes text on with every control character in its escaped form: CR, LF and
/// ESC, the C1 set, and the characters that turn the direction of text around.
pub(super) struct Escaped<'a, W>(pub(super) &'a mut W);

/// As [`Escaped`], and quotation marks and backslashes too, for text that stands
/// between quotes.
pub(super) struct Quoted<'a, W>(pub(super) &'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text, is_dangerous)
    }
}

impl<W: Write> Write for Quoted<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text, |c| matches!(c, '"' | '\\') || is_dangerous(c))
    }
}

/// Whether a value can stand without quotes and still be told from its
/// neighbours. (`key=value` has no other delimiter than the space.)
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| {
            matches!(c, '"' | '=' | '\\') || c.is_whitespace() || is_dangerous(c)
        })
}

fn write_escaped<W: Write>(to: &mut W, text: &str, escapes: impl Fn(char) -> bool) -> fmt::Result {
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| escapes(*c)) {
        to.write_str(&rest[..at])?;
        match c {
            '"' | '\\' | '\n' | '\r' | '\t' => write!(to, "{}", c.escape_default())?,
            _ => write!(to, "{}", c.escape_unicode())?,
        }
        rest = &rest[at + c.len_utf8()..];
    }
    to.write_str(rest)
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
