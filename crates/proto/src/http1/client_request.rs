//! Requests on their way out.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use super::encode::{push_content_length, push_field, push_request_line};
use super::error::SendError;
use super::host;
use super::target;

/// Appends a whole request to `out`: head and body.
///
/// `target` is in origin form (`/path?query`) or `*`. `Host` comes first of the fields, as RFC 9110
/// §7.2 recommends. `Content-Length` is written when there is a body, and for methods that usually
/// have one also when it is empty (RFC 9110 §8.6).
///
/// # Errors
///
/// A target or host that is none; `Host`, `Content-Length` or `Transfer-Encoding` among the fields.
/// `Connection` is the caller's to set here. Nothing is written then.
pub fn encode_request(
    method: &Method,
    target: &str,
    host: &str,
    headers: &[(HeaderName, HeaderValue)],
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SendError> {
    if !target::is_valid(target.as_bytes()) {
        return Err(SendError::Target);
    }
    if !host::is_valid(host.as_bytes()) {
        return Err(SendError::Host);
    }
    const RESERVED: [HeaderName; 3] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    if headers.iter().any(|(name, _)| RESERVED.contains(name)) {
        return Err(SendError::ReservedField);
    }

    push_request_line(out, method, target);
    push_field(out, "host", host.as_bytes());
    for (name, value) in headers {
        push_field(out, name.as_str(), value.as_bytes());
    }
    if !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        push_content_length(out, body.len() as u64);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Ok(())
}
