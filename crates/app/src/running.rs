//! The requests of a loop that take longer than a step: what a drain may have to wait for.

use crate::RequestId;
use slab::Slab;
use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Requests that are named one by one. More of them say nothing that the first have not said,
/// and the log is to be read by somebody.
pub(crate) const NAMED_MAX: usize = 20;

/// A request that holds a drain, or that was cut off at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldRequest {
    /// Its id.
    pub id: RequestId,
    /// The route as in `GET /users/{id}`.
    pub route: String,
    /// The other end of its connection.
    pub peer: SocketAddr,
    /// How long ago its head was received.
    pub age: Duration,
    /// What it waits for.
    pub phase: RequestPhase,
}

/// What a request that takes longer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestPhase {
    /// Its handler wants more of its body than has come.
    ReceivingBody,
    /// Its handler has not answered.
    Handler,
    /// Its answer is not written to its end.
    Writing,
}

impl fmt::Display for RequestPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RequestPhase::ReceivingBody => "receiving its body",
            RequestPhase::Handler => "in its handler",
            RequestPhase::Writing => "writing its answer",
        })
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: RequestId,
    pub(crate) route: u32,
    pub(crate) peer: SocketAddr,
    pub(crate) received_at: Instant,
    pub(crate) phase: RequestPhase,
}

/// All of them, of one loop.
#[derive(Debug, Default)]
pub(crate) struct RunningRequests(RefCell<Slab<Running>>);

impl RunningRequests {
    pub(crate) fn enter(self: &Rc<Self>, request: Running) -> Entry {
        Entry {
            key: self.0.borrow_mut().insert(request),
            all: self.clone(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// The oldest of them, [`NAMED_MAX`] at most; `routes` are by their numbers.
    pub(crate) fn oldest(&self, now: Instant, routes: &[String]) -> Vec<HeldRequest> {
        let all = self.0.borrow();
        let mut all: Vec<&Running> = all.iter().map(|(_, request)| request).collect();
        all.sort_by_key(|request| request.received_at);
        let held = all.into_iter().take(NAMED_MAX).map(|request| HeldRequest {
            id: request.id.clone(),
            route: routes
                .get(request.route as usize)
                .cloned()
                .unwrap_or_default(),
            peer: request.peer,
            age: now.saturating_duration_since(request.received_at),
            phase: request.phase,
        });
        held.collect()
    }
}

/// A request among those that run, until this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    all: Rc<RunningRequests>,
    key: usize,
}

impl Entry {
    pub(crate) fn set_phase(&self, phase: RequestPhase) {
        self.all.0.borrow_mut()[self.key].phase = phase;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.0.borrow_mut().remove(self.key);
    }
}
