//! The memory of requests, used again for later ones.

use crate::request::RequestParts;
use crate::router::RouteParams;
use crate::{Body, RequestId};
use http::Extensions;
use monoloop_proto::http1::RequestHead;
use monoloop_runtime::time;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

/// Requests' memory kept for reuse. Most requests are over before the next one begins, so a few
/// hot ones serve all connections.
const KEPT_MAX: usize = 8;

/// The size of a head's memory above which it is not kept: four times what browsers send.
const HEAD_KEPT_BYTES_MAX: usize = 8 * 1024;

/// What requests of one loop are received into. Empty ones are kept, so it holds nothing of what
/// peers sent but bytes that are to be written over.
#[derive(Default)]
#[allow(
    clippy::vec_box,
    reason = "a request is handed on by its box, which is what is kept"
)]
pub(crate) struct RequestPool {
    free: RefCell<Vec<Box<RequestParts>>>,
}

impl RequestPool {
    /// Parts of nothing yet.
    #[inline]
    pub(crate) fn take(&self) -> Box<RequestParts> {
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(make)
    }

    /// Takes back what is no longer needed.
    #[inline]
    pub(crate) fn give_back(&self, mut parts: Box<RequestParts>) {
        // What the program or its handlers have put there may run code when it is dropped, so
        // nothing is borrowed meanwhile.
        parts.clear();
        if parts.head.memory_bytes() > HEAD_KEPT_BYTES_MAX {
            return discard(parts);
        }
        let mut free = self.free.borrow_mut();
        match free.len() < KEPT_MAX {
            true => free.push(parts),
            false => discard(parts),
        }
    }
}

/// What is empty runs nobody's code when it is dropped.
#[cold]
fn discard(parts: Box<RequestParts>) {
    drop(parts);
}

#[cold]
fn make() -> Box<RequestParts> {
    Box::new(RequestParts {
        head: RequestHead::new(),
        body: Body::default(),
        id: RequestId::NONE,
        peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        received_at: time::now(),
        params: RouteParams::default(),
        extensions: Extensions::new(),
        #[cfg(feature = "tls")]
        tls: None,
    })
}

impl RequestParts {
    /// Drops what the head does not overwrite by itself.
    #[inline]
    fn clear(&mut self) {
        self.params.clear();
        #[cfg(feature = "tls")]
        let is_plain = self.tls.is_none();
        #[cfg(not(feature = "tls"))]
        let is_plain = true;
        if !(self.body.is_empty() && self.extensions.is_empty() && is_plain) {
            self.clear_the_rest();
        }
    }

    #[cold]
    #[inline(never)]
    fn clear_the_rest(&mut self) {
        self.body = Body::default();
        // What handlers keep in there may be large.
        self.extensions = Extensions::new();
        #[cfg(feature = "tls")]
        {
            self.tls = None;
        }
    }
}
