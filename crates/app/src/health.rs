//! The answers for those who ask whether the server is well.

use crate::loop_state::LoopState;
use crate::{Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

/// The answer when the request is for one of the health paths.
#[inline]
pub(crate) fn answer(shared: &LoopState, request: &Request) -> Option<Response> {
    let health = &shared.health;
    if !health.enabled {
        return None;
    }
    let path = request.head().path_bytes();
    let response = if path == health.live_path.as_bytes() {
        Response::text("ok\n")
    } else if path == health.ready_path.as_bytes() {
        match shared.leaving.get() {
            false => Response::text("ready\n"),
            true => Response::text("draining\n").with_status(StatusCode::SERVICE_UNAVAILABLE),
        }
    } else {
        return None;
    };
    Some(match *request.method() {
        Method::GET | Method::HEAD => response,
        _ => Response::new(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(ALLOW, HeaderValue::from_static("GET, HEAD")),
    })
}
