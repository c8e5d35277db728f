//! What there is in hand of a server that runs.

use super::threads::join;
use crate::drain::DrainReport;
use crate::ledger::Ledger;
use crate::shutdown::Shutdown;
use monoloop_runtime::JoinHandle;
use std::net::SocketAddr;
use std::thread;

/// A server on the loop of this thread.
#[derive(Debug)]
pub struct Serving {
    pub(super) local_addr: SocketAddr,
    pub(super) ledger: Ledger,
    pub(super) admin_addr: Option<SocketAddr>,
    pub(super) draining: JoinHandle<DrainReport>,
}

impl Serving {
    /// The address it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What becomes of its connections and requests.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Where its admin listener is, if it has one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Waits until the server was told to end and has.
    ///
    /// # Cancel safety
    /// The server goes on.
    pub async fn wait(self) -> DrainReport {
        self.draining.await.unwrap_or_default()
    }
}

/// A server on threads of its own. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct Running {
    pub(super) local_addr: SocketAddr,
    pub(super) ledger: Ledger,
    pub(super) admin_addr: Option<SocketAddr>,
    pub(super) shutdown: Shutdown,
    pub(super) loops: Vec<thread::JoinHandle<DrainReport>>,
}

impl Running {
    /// The address it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What becomes of its connections and requests.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Where its admin listener is, if it has one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// What tells it to end, from any thread.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Has it drain and waits until it has. One report for each loop.
    pub fn stop(self) -> Vec<DrainReport> {
        self.shutdown.drain();
        self.loops.into_iter().map(join).collect()
    }
}
