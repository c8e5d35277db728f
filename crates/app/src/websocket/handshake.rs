//! The opening handshake (RFC 6455 §4.2).

use super::Options;
use crate::{IntoResponse, Request, Response};
use http::header::{
    ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::fmt;
use tungstenite::handshake::derive_accept_key;

const VERSION: &str = "13";

pub(super) const PROTOCOL: HeaderValue = HeaderValue::from_static("websocket");

/// Why a request is not one for a WebSocket that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It does not ask for a WebSocket: 426, which tells to ask for one (RFC 9110 §15.5.22).
    NotAsked,
    /// Another version than 13, or none: 426 with the version that is spoken (RFC 6455 §4.4).
    Version,
    /// A field that has to be there once, and well-formed: 400 (RFC 6455 §4.2.1).
    Field(&'static str),
    /// A page that may not connect: 403 (RFC 6455 §10.2).
    Origin,
}

/// What is agreed on.
pub(super) struct Agreed {
    pub(super) accept: HeaderValue,
    pub(super) protocol: Option<&'static str>,
}

/// Judges a request.
pub(super) fn agree(request: &Request, options: &Options) -> Result<Agreed, HandshakeError> {
    let head = request.head();
    let asks = head
        .upgrades()
        .any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    if !asks || *request.method() != Method::GET {
        return Err(HandshakeError::NotAsked);
    }
    if once(request, &SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(HandshakeError::Version);
    }
    let key = once(request, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or(HandshakeError::Field("Sec-WebSocket-Key"))?;
    let host = request.header_bytes("host").unwrap_or_default();
    if let Some(origin) = request.header_bytes(ORIGIN.as_str())
        && !options.origins.allow(origin, host)
    {
        return Err(HandshakeError::Origin);
    }
    let protocol = options
        .protocols
        .iter()
        .copied()
        .find(|ours| offered(request).any(|offer| offer == ours.as_bytes()));
    Ok(Agreed {
        accept: HeaderValue::from_str(&derive_accept_key(key)).expect("base64 is visible ASCII"),
        protocol,
    })
}

impl Agreed {
    /// The fields of the answer that say so.
    pub(super) fn add_to(&self, response: &mut Response) {
        response.add_header(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(protocol) = self.protocol {
            match HeaderValue::from_str(protocol) {
                Ok(value) => response.add_header(SEC_WEBSOCKET_PROTOCOL, value),
                Err(_) => tracing::error!(protocol, "no name that a subprotocol can have"),
            }
        }
    }
}

/// The value of a field that is there exactly once.
fn once<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a [u8]> {
    let mut found = request
        .head()
        .headers()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_str()));
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// The subprotocols that the peer speaks, by its preference.
fn offered(request: &Request) -> impl Iterator<Item = &[u8]> {
    let name = SEC_WEBSOCKET_PROTOCOL;
    request
        .head()
        .headers()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_str()))
        .flat_map(|(_, value)| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Whether this is base64 of 16 bytes (RFC 6455 §4.2.1): 22 digits, of which the last one has only
/// two bits, and two signs that fill up.
fn is_key(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_at_checked(22) else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.iter().all(is_digit) && matches!(digits[21], b'A' | b'Q' | b'g' | b'w')
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::NotAsked => f.write_str(
                "this address speaks WebSocket: ask for it with GET over HTTP/1.1, \
                 \"Connection: upgrade\" and \"Upgrade: websocket\"",
            ),
            HandshakeError::Version => {
                write!(f, "WebSocket version {VERSION} is spoken here, no other")
            }
            HandshakeError::Field(name) => {
                write!(f, "{name} has to be there once, and well-formed")
            }
            HandshakeError::Origin => f.write_str("pages of this origin may not connect here"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        let status = match self {
            HandshakeError::NotAsked | HandshakeError::Version => StatusCode::UPGRADE_REQUIRED,
            HandshakeError::Field(_) => StatusCode::BAD_REQUEST,
            HandshakeError::Origin => StatusCode::FORBIDDEN,
        };
        let mut response = Response::text(format!("{self}\n")).with_status(status);
        if status == StatusCode::UPGRADE_REQUIRED {
            response.add_header(UPGRADE, PROTOCOL);
            response.add_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_base64_of_16_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for wrong in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25j-Q==",
            "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=",
        ] {
            assert!(!is_key(wrong.as_bytes()), "{wrong}");
        }
    }
}
