//! The numbers of one loop: written by it, read by whoever wants to.

use super::Reason;
use super::routes::RouteBook;
use super::snapshot::{Responses, Tally};
use http::StatusCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A number that one thread counts and others may read.
///
/// Counting is a load and a store, and not one locked instruction: nobody else writes.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Connections, or requests, of a loop.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    started: Counter,
    ended: [Counter; Reason::ALL.len()],
}

impl Entries {
    #[inline]
    pub(super) fn begin(&self) {
        self.started.add(1);
    }

    #[inline]
    pub(super) fn end(&self, reason: Reason, count: u64) {
        self.ended[reason as usize].add(count);
    }

    /// What has ended is read before what has begun, so that on other threads, too, nothing ends
    /// that has not begun.
    pub(super) fn read(&self) -> Tally {
        let ended = self.ended.each_ref().map(Counter::get);
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        Tally::new(self.started.get(), ended)
    }
}

/// All that one loop has counted of its server.
#[derive(Debug, Default)]
pub(crate) struct LoopBook {
    pub(super) connections: Entries,
    pub(super) requests: Entries,
    /// By the first digit of their status; what has another is the 0th.
    responses: [Counter; 6],
    /// Accepting has failed, and rested.
    pub(crate) accept_errors: Counter,
    /// As the loop keeps them, which is not by accounts.
    open: AtomicUsize,
    is_forcing: AtomicBool,
    is_over: AtomicBool,
    /// Where somebody looks at it.
    pub(crate) routes: Option<RouteBook>,
}

impl LoopBook {
    pub(crate) fn new(routes: Option<RouteBook>) -> Self {
        LoopBook {
            routes,
            ..LoopBook::default()
        }
    }

    /// The loop has ended its serving.
    pub(crate) fn set_over(&self) {
        self.is_over.store(true, Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// A response's head was encoded.
    #[inline]
    pub(crate) fn count_response(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        self.responses
            .get(class)
            .unwrap_or(&self.responses[0])
            .add(1);
    }

    /// So many connections are open.
    pub(crate) fn set_open(&self, connections: usize) {
        self.open.store(connections, Relaxed);
    }

    /// From now on connections end because they are cut off.
    pub(crate) fn set_forcing(&self) {
        self.is_forcing.store(true, Relaxed);
    }

    pub(super) fn is_forcing(&self) -> bool {
        self.is_forcing.load(Relaxed)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(super) fn read_responses(&self) -> Responses {
        let [_, _, success, redirection, client_error, server_error] =
            self.responses.each_ref().map(Counter::get);
        Responses {
            success,
            redirection,
            client_error,
            server_error,
        }
    }
}
