//! What is otherwise on one route than on all.

use crate::OnDisconnect;
use std::time::Duration;

/// What is otherwise on one route than the server has it for all; given to
/// [`Router::with`](crate::Router::with). What is not set stays as it is for all.
///
/// ```
/// use monoloop::{OnDisconnect, Request, RouteOptions, Router};
/// use std::time::Duration;
///
/// async fn upload(request: Request) -> String {
///     format!("{:?}\n", request.into_bytes().await.map(|body| body.len()))
/// }
///
/// let router = Router::new().post("/upload", upload).with(
///     RouteOptions::new()
///         .body_bytes_max(64 * 1024 * 1024)
///         .handler_timeout(Some(Duration::from_secs(300)))
///         .on_disconnect(OnDisconnect::Finish),
/// );
/// assert!(router.check().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteOptions {
    pub(crate) body_bytes_max: Option<u64>,
    pub(crate) handler_timeout: Option<Option<Duration>>,
    pub(crate) on_disconnect: Option<OnDisconnect>,
}

impl RouteOptions {
    /// Nothing otherwise.
    #[must_use]
    pub fn new() -> Self {
        RouteOptions::default()
    }

    /// Bytes of a request's body; above it the answer is 413, before any of it is received when its
    /// length was announced. It may be more or less than the server's `body_bytes_max`.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// How long the handler may take; `None` for ever.
    #[must_use]
    pub fn handler_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handler_timeout = Some(timeout);
        self
    }

    /// What becomes of the handler when its client goes away.
    #[must_use]
    pub fn on_disconnect(mut self, what: OnDisconnect) -> Self {
        self.on_disconnect = Some(what);
        self
    }
}
