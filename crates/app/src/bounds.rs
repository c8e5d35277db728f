//! What one loop is told of the bounds on its connections, beside those of the protocol.

use crate::overload::Shedding;

/// What becomes of a handler whose client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDisconnect {
    /// It is dropped, as hyper does and nginx with what it proxies: nobody gets its answer, and what
    /// it holds is for others. Its task groups end `Cancelled { reason: "client_closed" }`, its
    /// [`on_cancel`](crate::on_cancel) cleanups run; what has to be finished is put in a
    /// [`shield`](crate::shield), or spawned. A handler has to bear that anyhow: its timeout does
    /// the same. The default.
    #[default]
    Cancel,
    /// It goes on to its end, as Go's do and nginx with `proxy_ignore_client_abort on`.
    Finish,
}

/// What a peer means that closes its sending half while it is owed an answer.
///
/// On the wire, a client that has sent everything and one that is gone look alike, until something is
/// written to the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfClose {
    /// That it has nothing more to ask, and still reads: RFC 9112 §9.6 lets it. `nc -N` and others
    /// do so. The default.
    #[default]
    StillReads,
    /// That it is gone. For servers whose handlers are costly and whose clients are browsers and
    /// proxies, which do not close one half.
    Leaves,
}

/// The bounds of one loop.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) connections_max: usize,
    pub(crate) connections_per_peer_max: Option<u32>,
    /// `u32::MAX` stands for no bound.
    pub(crate) requests_per_connection_max: u32,
    pub(crate) response_buffer_bytes_max: usize,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) half_close: HalfClose,
    pub(crate) shedding: Option<Shedding>,
}
