//! The answers for those who ask whether the server is well.

use crate::Response;
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Whether the loop turns.
    Live,
    /// Whether more work is welcome.
    Ready,
}

impl Probe {
    #[cold]
    pub(crate) fn answer(self, method: &Method, is_leaving: bool) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Response::text("Method Not Allowed: a probe takes GET, HEAD\n")
                .with_status(StatusCode::METHOD_NOT_ALLOWED)
                .with_header(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        match self {
            Probe::Live => Response::text("ok\n"),
            Probe::Ready if is_leaving => {
                Response::text("draining\n").with_status(StatusCode::SERVICE_UNAVAILABLE)
            }
            Probe::Ready => Response::text("ready\n"),
        }
    }
}
