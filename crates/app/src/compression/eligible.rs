//! Which responses are compressed.

use crate::Response;
use crate::response::ResponseBody;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderName, StatusCode};

/// Digests of the bytes as they are (RFC 9530, and what was before it): they would be wrong.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether it is a body that may be changed at all.
pub(super) fn is_whole(response: &Response) -> bool {
    let has = |name: &HeaderName| response.header(name).is_some();
    let has_body = match &response.body {
        ResponseBody::Bytes(body) => !body.is_empty(),
        ResponseBody::Stream(_) | ResponseBody::Sized(..) => true,
        // Events are few bytes at a time and have to go out at once.
        ResponseBody::Events(_) | ResponseBody::Upgrade(_) => false,
    };
    has_body
        && may_have_body(response.status())
        && !has(&CONTENT_RANGE)
        && !has(&CONTENT_ENCODING)
        && !DIGESTS.iter().any(has)
        && !response
            .list_values(&CACHE_CONTROL)
            .any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether compressing makes it smaller by enough.
pub(super) fn is_worth_it(response: &Response, body_bytes_min: usize) -> bool {
    let is_large = match &response.body {
        ResponseBody::Bytes(body) => body.len() >= body_bytes_min,
        ResponseBody::Stream(_) => true,
        ResponseBody::Sized(length, _) => *length >= body_bytes_min as u64,
        ResponseBody::Events(_) | ResponseBody::Upgrade(_) => false,
    };
    is_large && is_compressible(response)
}

fn may_have_body(status: StatusCode) -> bool {
    !matches!(
        status,
        StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
    ) && !status.is_informational()
}

/// Whether a body of this type is not compressed by itself. Those named are what Caddy names.
pub(super) fn is_compressible(response: &Response) -> bool {
    let Some(value) = response.header(&CONTENT_TYPE) else {
        return false;
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    let essence = essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let starts = |start: &[u8]| essence.starts_with(start);
    let ends = |end: &[u8]| essence.ends_with(end);
    if essence == b"text/event-stream" {
        return false;
    }
    starts(b"text/")
        || ends(b"+json")
        || ends(b"+xml")
        || ends(b"+text")
        || NAMED.contains(&&*essence)
}

const NAMED: [&[u8]; 22] = [
    b"application/atom+xml",
    b"application/eot",
    b"application/graphql",
    b"application/javascript",
    b"application/json",
    b"application/json5",
    b"application/manifest+json",
    b"application/ndjson",
    b"application/rtf",
    b"application/toml",
    b"application/vnd.ms-fontobject",
    b"application/wasm",
    b"application/x-javascript",
    b"application/x-ndjson",
    b"application/xml",
    b"application/yaml",
    b"font/eot",
    b"font/otf",
    b"font/ttf",
    b"image/bmp",
    b"image/vnd.microsoft.icon",
    b"image/x-icon",
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_type_is_compressible_unless_it_is_compressed_by_itself() {
        let is = |value| {
            let response = Response::new(StatusCode::OK)
                .with_header(CONTENT_TYPE, HeaderValue::from_static(value));
            is_compressible(&response)
        };
        for value in [
            "text/html; charset=utf-8",
            "Text/CSS",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
            "font/ttf",
            "application/wasm",
        ] {
            assert!(is(value), "{value}");
        }
        for value in [
            "image/png",
            "font/woff2",
            "video/mp4",
            "application/zip",
            "application/octet-stream",
            "text/event-stream",
            "",
        ] {
            assert!(!is(value), "{value}");
        }
        assert!(!is_compressible(&Response::new(StatusCode::OK)));
    }
}
