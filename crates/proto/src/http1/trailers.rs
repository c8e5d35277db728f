//! The trailer section behind the last chunk (RFC 9112 §7.1.2).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::RecvError;
use super::limits::Limits;

/// Parses a whole trailer section by the rules of a head's fields. `None` when nothing is left.
///
/// Fields that frame, route, authenticate or modify a request are dropped: what was decided when
/// the head came is not decided anew by its trailers (RFC 9110 §6.5.1).
#[cold]
pub(super) fn parse(section: &[u8], limits: &Limits) -> Result<Option<Box<HeaderMap>>, RecvError> {
    let count_max = limits.header_count();
    let lines = memchr::memchr_iter(b'\n', section).count() - 1;
    if lines > count_max {
        return Err(RecvError::TooManyFields {
            limit: limits.header_count_max,
        });
    }
    let mut fields = vec![httparse::EMPTY_HEADER; lines];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(section, &mut fields)
    else {
        return Err(RecvError::Field);
    };

    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| RecvError::Field)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| RecvError::Field)?;
        if !is_dropped(&name) {
            trailers.append(name, value);
        }
    }
    Ok((!trailers.is_empty()).then(|| Box::new(trailers)))
}

fn is_dropped(name: &HeaderName) -> bool {
    const DROPPED: [HeaderName; 36] = [
        // framing and persistence
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        header::EXPECT,
        // routing, and who asks
        header::HOST,
        header::FORWARDED,
        header::VIA,
        header::ORIGIN,
        header::REFERER,
        header::MAX_FORWARDS,
        HeaderName::from_static("x-forwarded-for"),
        HeaderName::from_static("x-forwarded-host"),
        HeaderName::from_static("x-forwarded-proto"),
        // authentication
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
        header::WWW_AUTHENTICATE,
        header::COOKIE,
        header::SET_COOKIE,
        // what modifies the request
        header::CACHE_CONTROL,
        header::PRAGMA,
        header::RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
        // how the content is to be read
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_RANGE,
        // hop by hop, and identity
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("x-request-id"),
    ];
    DROPPED.contains(name)
}
