//! What a response is framed as, and what becomes of the connection behind it.

/// How long the body of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseLength {
    /// So many bytes, sent as `Content-Length`.
    Sized(u64),
    /// As long as it turns out. Sent as chunks; to a HTTP/1.0 peer, which knows none, as what comes
    /// until the connection closes.
    Chunked,
}

/// What to do when a response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the connection has to be kept or closed accordingly"]
pub enum AfterResponse {
    /// Go on with [`next_event`](super::Connection::next_event): another request may come.
    KeepAlive,
    /// As for `KeepAlive`, but the rest of this request's body comes first: receive it and throw its
    /// events away. It is short (`discard_bytes_max`); a peer that goes on is an error, and then the
    /// connection is to be closed without another word.
    DiscardBody,
    /// Write what is in `out`, then close.
    Close,
}

/// The response in progress.
///
/// ```text
///            request           send_head            send_end
///   Nothing ─────────▶ Head ──────────────▶ Body.. ─────────▶ Nothing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Send {
    /// No request, or its response is complete.
    Nothing,
    /// A request waits for its response.
    Head,
    /// A body of announced length, of which this many bytes are still to come.
    Sized { left: u64 },
    /// A body in chunks.
    Chunks,
    /// A body that ends with the connection.
    UntilClose,
    /// The response has no body whatever is sent: HEAD, 204, 205, 304.
    Bodyless,
}
