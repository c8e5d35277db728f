//! How long a peer, or a handler, may take.

use std::time::Duration;

/// The timeouts of a connection. `None` waits for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From a connection's first byte of a request, or from being accepted, to the end of the
    /// head; a byte now and then does not extend it. Then 408, or just the end when nothing came.
    /// Default 10 s (actix 5, hyper 30, nginx 60).
    pub head: Option<Duration>,
    /// Silence of a connection that was kept open between two requests. Default 75 s (nginx).
    pub idle: Option<Duration>,
    /// Silence in the middle of a request's body, while somebody wants it. Then the handler gets
    /// [`BodyError::TimedOut`](crate::BodyError::TimedOut), by default a 408. Default 20 s.
    pub body: Option<Duration>,
    /// From the end of a request's head to the head of its response. Then 503. Default 30 s.
    pub handler: Option<Duration>,
    /// No progress while bytes wait for a peer that does not read. Then the connection is
    /// closed. Default 30 s (nginx 60).
    pub write: Option<Duration>,
    /// From a connection's beginning to the end of its TLS handshake; the time of the first head
    /// begins then. Default 10 s, that of a head (nginx has the same for both, 60).
    pub tls_handshake: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Timeouts {
            head: seconds(10),
            idle: seconds(75),
            body: seconds(20),
            handler: seconds(30),
            write: seconds(30),
            tls_handshake: seconds(10),
        }
    }
}
