//! Every bound on what a peer may make us hold or read.

/// The bounds of one HTTP/1 connection.
///
/// A bound is judged by position in the stream, never by how the bytes happened to arrive, so a
/// request is refused or accepted alike in one packet or in a thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request target; beyond it `414`. Default 8 KiB: RFC 9112 §3 asks for request lines
    /// of at least 8,000 octets, and one of nginx's `large_client_header_buffers` holds as much.
    ///
    /// With its method, its version and the spaces between them a request line has at most 64 bytes
    /// more. A method that leaves no room for a target by then is answered `501`.
    pub target_bytes_max: u32,

    /// Bytes of a whole head, from the first byte of the request line (or status line) through the
    /// empty line; beyond it `431`. Default 16 KiB, as in Node and HAProxy.
    pub head_bytes_max: u32,

    /// Fields in a head or in a trailer section; beyond it `431`. Default 100, as in hyper.
    ///
    /// Values over 24,576, which is what an [`http::HeaderMap`] can hold, count as 24,576.
    pub header_count_max: u16,

    /// Bytes of a request's body, after chunks were decoded; beyond it `413`. An announced length is
    /// refused before any of the body is received. Default 1 MiB, as nginx's `client_max_body_size`.
    ///
    /// Response bodies are not bounded by it: a client hands them on without holding them.
    pub body_bytes_max: u64,

    /// Bytes of chunk extensions in a whole body, and of zeros before chunk sizes where they have more
    /// than sixteen digits; beyond it `400`. Nobody sends any; unbounded they let a peer spend our
    /// time for a body of one byte (RFC 9112 §7.1.1). Default 1 KiB.
    pub chunk_extension_bytes_max: u32,

    /// Bytes of a trailer section with its empty line; beyond it `431`. Default 8 KiB, half a head.
    pub trailer_bytes_max: u32,

    /// Empty lines taken for nothing before a request line; beyond it `400`. RFC 9112 §2.2 asks for
    /// at least one, because old clients sent a CRLF after a body. Default 2.
    pub empty_lines_max: u8,

    /// Bytes of a body nobody read that are still received and thrown away after the response, so
    /// that the connection can be kept; with more to come it is closed. Default 64 KiB: less than
    /// what a new connection costs on most paths.
    pub discard_bytes_max: u32,

    /// Informational (1xx) responses a client skips before a final one. Default 5, as in Go.
    pub informational_count_max: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_bytes_max: 8 * 1024,
            head_bytes_max: 16 * 1024,
            header_count_max: 100,
            body_bytes_max: 1024 * 1024,
            chunk_extension_bytes_max: 1024,
            trailer_bytes_max: 8 * 1024,
            empty_lines_max: 2,
            discard_bytes_max: 64 * 1024,
            informational_count_max: 5,
        }
    }
}

/// What an `http::HeaderMap` holds at most: three quarters of its 2^15 slots.
const HEADER_MAP_CAPACITY: u16 = 24_576;

impl Limits {
    #[inline]
    pub(super) fn header_count(&self) -> usize {
        usize::from(self.header_count_max.min(HEADER_MAP_CAPACITY))
    }
}
