//! How long a peer, or a handler, may take.

use std::time::Duration;

/// The timeouts of a connection. `None` waits for ever.
///
/// Time in which the loop itself was stuck ([`time::stuck`](crate::time::stuck)) is not charged to
/// the peer: a deadline that has passed is moved by so much, three times at most.
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
    /// Bytes that a body has to bring in each second, on average, while somebody waits for it: it
    /// may take [`body`](Timeouts::body) and a second for each so many bytes. Then the handler gets
    /// [`BodyError::TooSlow`](crate::BodyError::TooSlow), by default a 408. Default 240 (Kestrel's
    /// `MinRequestBodyDataRate`; Apache's `MinRate` is 500). Without `body` there is none.
    pub body_bytes_per_second_min: Option<u32>,
    /// From the end of a request's head to the head of its response. Then 503. Default 30 s.
    pub handler: Option<Duration>,
    /// No progress while bytes wait for a peer that does not read. Then the connection is
    /// closed. Default 30 s (nginx 60).
    pub write: Option<Duration>,
    /// Bytes that a peer has to take in each second, on average, of what waits for it (up to
    /// `response_buffer_bytes_max`): it may take [`write`](Timeouts::write) and a second for each
    /// so many bytes. Default 240 (Kestrel's `MinResponseDataRate`). Without `write` there is none.
    pub write_bytes_per_second_min: Option<u32>,
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
            body_bytes_per_second_min: Some(240),
            handler: seconds(30),
            write: seconds(30),
            write_bytes_per_second_min: Some(240),
            tls_handshake: seconds(10),
        }
    }
}
