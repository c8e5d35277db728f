//! Compresses what is answered, for those who can unpack it.

mod eligible;
mod encoder;
mod stream;

pub use crate::accept_encoding::Coding;

use crate::accept_encoding::Accepted;
use crate::handler::BoxFuture;
use crate::response::ResponseBody;
use crate::{Middleware, Next, Request, Response};
use bytes::Bytes;
use encoder::Encoder;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use std::io;

/// A body up to this size is compressed at once, and its length is known before it is sent.
/// A third of a millisecond of the loop's time by zstd, two by the others; a larger one is
/// compressed piece by piece while it is sent.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// A middleware that compresses responses.
///
/// It compresses what is worth it: text, JSON, scripts, fonts, SVG and the like, by
/// `Content-Type`; at least 1 KiB of it. It leaves alone what is a part (206), has no body, has a
/// `Content-Encoding` or a digest of its bytes already, or says `Cache-Control: no-transform`
/// (RFC 9111 §5.2.2.6); and `text/event-stream`, for each of thousands of clients that wait would
/// have an encoder of its own (precedent: tower-http).
///
/// What is compressed has `Vary: Accept-Encoding`, as has what would have been for somebody
/// else, and a weak `ETag` (RFC 9110 §8.8.3.3), and `Accept-Ranges` goes.
///
/// A streamed body is compressed as it comes; when it pauses, what there is goes out. Compressing
/// is done on the loop, where 64 KiB of text are a third of a millisecond of zstd, and more than one
/// of br and gzip. What is larger, or streamed, is compressed in slices of half of that, between
/// which others have their turn, and its encoder holds 0.3 MB (gzip), 0.9 (zstd) or up to 2.5 (br)
/// until it is sent. A large file that is asked for often is better compressed once, beforehand.
///
/// | | level | precedent |
/// |---|---|---|
/// | zstd | 3 | the library's default, Caddy |
/// | br | 4 | tower-http, Cloudflare |
/// | gzip | 5 | Caddy; nginx has 1, zlib 6 |
///
/// A secret beside something that an attacker may choose, in one compressed body, can be guessed
/// from its size (BREACH): leave such responses out with `no-transform`.
///
/// ```
/// use monoloop::{Compression, Router};
///
/// let app = Router::new()
///     .middleware(Compression::new())
///     .get("/", |_| async { "hello\n" });
/// ```
#[derive(Debug, Clone)]
pub struct Compression {
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    body_bytes_min: usize,
    /// The best first.
    order: [Option<Coding>; 3],
}

impl Compression {
    /// With zstd, br and gzip, in this order for who has no preference.
    #[must_use]
    pub fn new() -> Self {
        Compression {
            settings: Settings {
                body_bytes_min: 1024,
                order: [Some(Coding::Zstd), Some(Coding::Brotli), Some(Coding::Gzip)],
            },
        }
    }

    /// Bodies with fewer bytes are sent as they are. Default 1024: what fits into one packet
    /// anyway is not there sooner. Precedents: nginx 20, tower-http 32, Caddy 512.
    #[must_use]
    pub fn body_bytes_min(mut self, bytes: usize) -> Self {
        self.settings.body_bytes_min = bytes;
        self
    }

    /// Uses only these, the best first. Those that come several times count once.
    #[must_use]
    pub fn codings(mut self, codings: &[Coding]) -> Self {
        let mut order = [None; 3];
        let mut free = order.iter_mut();
        for (number, coding) in codings.iter().enumerate() {
            if !codings[..number].contains(coding)
                && let Some(place) = free.next()
            {
                *place = Some(*coding);
            }
        }
        self.settings.order = order;
        self
    }
}

impl Default for Compression {
    fn default() -> Self {
        Compression::new()
    }
}

impl Middleware for Compression {
    fn call(&self, request: Request, next: Next) -> BoxFuture<Response> {
        let settings = self.settings;
        let accepted = Accepted::of(&request);
        let revalidates = request
            .header(IF_NONE_MATCH.as_str())
            .is_some_and(|tags| tags.contains("W/\""));
        let tags = revalidates.then(|| request.header(IF_NONE_MATCH.as_str()).map(str::to_owned));
        Box::pin(async move {
            let mut response = next.run(request).await;
            if response.status() == StatusCode::NOT_MODIFIED {
                finish_not_modified(&mut response, tags.flatten().as_deref());
                return response;
            }
            if !eligible::is_whole(&response) {
                return response;
            }
            let is_worth_it = eligible::is_worth_it(&response, settings.body_bytes_min);
            if eligible::is_compressible(&response) {
                response.add_vary(ACCEPT_ENCODING_NAME);
            }
            // Who does not take it as it is gets it compressed even when that does not pay.
            let coding = accepted.choose(&settings.order);
            let is_forced = accepted.refuses_identity();
            match coding.filter(|_| is_worth_it || is_forced) {
                Some(coding) => compress(response, coding, is_forced),
                None => response,
            }
        })
    }
}

const ACCEPT_ENCODING_NAME: &str = "accept-encoding";

/// What a 304 says of the body that the peer has is about the compressed one, if it has that
/// (RFC 9110 §15.4.5, RFC 9111 §4.3.4).
fn finish_not_modified(response: &mut Response, tags: Option<&str>) {
    response.add_vary(ACCEPT_ENCODING_NAME);
    let Some(weak) = response.header(&ETAG).and_then(weakened) else {
        return;
    };
    let is_known = tags.is_some_and(|tags| weak.to_str().is_ok_and(|weak| tags.contains(weak)));
    if is_known {
        response.set_header(ETAG, weak);
    }
}

fn compress(mut response: Response, coding: Coding, is_forced: bool) -> Response {
    let empty = ResponseBody::Bytes(Bytes::new());
    response.body = match std::mem::replace(&mut response.body, empty) {
        ResponseBody::Bytes(body) if body.len() <= AT_ONCE_BYTES_MAX => {
            match at_once(coding, &body) {
                Ok(smaller) if smaller.len() < body.len() || is_forced => {
                    ResponseBody::Bytes(smaller)
                }
                Ok(_) => {
                    response.body = ResponseBody::Bytes(body);
                    return response;
                }
                Err(error) => {
                    // It is memory or the library; the body is good as it is.
                    tracing::error!(%error, ?coding, "a response could not be compressed");
                    response.body = ResponseBody::Bytes(body);
                    return response;
                }
            }
        }
        ResponseBody::Bytes(body) => ResponseBody::Stream(stream::of_bytes(coding, body)),
        ResponseBody::Stream(body) | ResponseBody::Sized(_, body) => {
            ResponseBody::Stream(stream::of_stream(coding, body))
        }
        other @ (ResponseBody::Events(_) | ResponseBody::Upgrade(_)) => {
            response.body = other;
            return response;
        }
    };
    response.set_header(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    response.add_vary(ACCEPT_ENCODING_NAME);
    response.remove_header(&CONTENT_LENGTH);
    response.remove_header(&ACCEPT_RANGES);
    if let Some(weak) = response.header(&ETAG).and_then(weakened) {
        response.set_header(ETAG, weak);
    }
    response
}

fn at_once(coding: Coding, body: &Bytes) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding, Some(body.len() as u64))?;
    encoder.write(body)?;
    encoder.finish()
}

/// A strong entity tag as a weak one; `None` when it is none.
fn weakened(tag: &HeaderValue) -> Option<HeaderValue> {
    let tag = tag.as_bytes();
    let is_strong = tag.first() == Some(&b'"');
    let weak = is_strong.then(|| [b"W/", tag].concat())?;
    HeaderValue::try_from(weak).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_field_is_that_of_the_field() {
        assert_eq!(ACCEPT_ENCODING_NAME, http::header::ACCEPT_ENCODING.as_str());
    }

    #[test]
    fn only_a_strong_tag_is_weakened() {
        let weak = |tag| weakened(&HeaderValue::from_static(tag));
        assert_eq!(weak("\"a\"").expect("a tag"), "W/\"a\"");
        assert_eq!(weak("W/\"a\""), None);
        assert_eq!(weak("a"), None);
    }
}
