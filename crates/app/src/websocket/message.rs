//! What goes to and fro: messages, and the reason of a close.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::coding;

/// A message, whole. Pings and pongs are the connection's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(Text),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Message::Text(text.into())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Message::Binary(bytes.into())
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// The bytes, of text too.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(text) => text.0.into(),
            Message::Binary(bytes) => bytes,
        }
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Message::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::binary(bytes)
    }
}

/// Text, shared rather than copied when it is cloned.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(pub(super) Utf8Bytes);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Text(Utf8Bytes::from_static(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// The bytes that the reason of a close may have (RFC 6455 §5.5: a control frame has 125, two are
/// the code's).
const REASON_BYTES_MAX: usize = 123;

/// Why an end closes: a code (RFC 6455 §7.4) and a few words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    code: u16,
    reason: Text,
}

impl CloseReason {
    /// 1000: what the connection was for is done.
    pub const NORMAL: u16 = 1000;
    /// 1001: the server ends, or the page was left.
    pub const GOING_AWAY: u16 = 1001;
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// 1003: a kind of message that cannot be accepted.
    pub const UNSUPPORTED: u16 = 1003;
    /// 1007: text that is no UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// 1008: a message against the rules of the application.
    pub const POLICY: u16 = 1008;
    /// 1009: a message that is too long.
    pub const TOO_LONG: u16 = 1009;
    /// 1011: a fault of the server's.
    pub const INTERNAL_ERROR: u16 = 1011;

    /// A reason with a code that an end may send: 1000 to 1003, 1007 to 1011, 1012 and 1013, and
    /// 3000 to 4999, which are the applications' own. What is longer than 123 bytes of `reason` is
    /// cut off.
    ///
    /// # Panics
    /// With any other code: a mistake in the program.
    #[must_use]
    #[track_caller]
    pub fn new(code: u16, reason: impl Into<Text>) -> Self {
        assert!(
            coding::CloseCode::from(code).is_allowed(),
            "{code} is no code that a close may have; the applications' own are 4000 to 4999"
        );
        let mut reason = reason.into();
        if reason.len() > REASON_BYTES_MAX {
            let cut = (0..=REASON_BYTES_MAX).rev();
            let end = cut.into_iter().find(|at| reason.is_char_boundary(*at));
            reason = Text::from(reason[..end.unwrap_or(0)].to_owned());
        }
        CloseReason { code, reason }
    }

    pub(super) fn received(code: u16, reason: Utf8Bytes) -> Self {
        CloseReason {
            code,
            reason: Text(reason),
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The words, as the peer chose them; often none.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn frame(&self) -> tungstenite::protocol::CloseFrame {
        tungstenite::protocol::CloseFrame {
            code: self.code.into(),
            reason: self.reason.0.clone(),
        }
    }
}
