//! How the loops of a server are, as they tell themselves.

use monoloop_runtime::sync::remote;
use monoloop_runtime::{
    BlockingStats, Lag, LoopHandle, LoopStats, blocking_stats, lag, loop_handle, loop_stats, time,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a loop has to answer before it counts as stuck; as long as for `monoloop ps`.
const PATIENCE: Duration = Duration::from_millis(200);

/// The loops of a server, and where its admin listener is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loops(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    loops: Vec<LoopHandle>,
    admin: Option<SocketAddr>,
}

/// A loop's own numbers.
#[derive(Debug)]
pub(super) struct Vitals {
    pub(super) number: usize,
    /// `None` when it did not answer: it is stuck.
    pub(super) told: Option<Told>,
}

#[derive(Debug)]
pub(super) struct Told {
    pub(super) stats: LoopStats,
    pub(super) blocking: BlockingStats,
    pub(super) lag: Lag,
}

impl Loops {
    /// Adds the loop of this thread.
    pub(crate) fn add_this(&self) {
        self.state().loops.push(loop_handle());
    }

    pub(crate) fn set_admin_addr(&self, address: SocketAddr) {
        self.state().admin = Some(address);
    }

    pub(crate) fn admin_addr(&self) -> Option<SocketAddr> {
        self.state().admin
    }

    /// Asks all loops that have not ended. Waits for a stuck one no longer than a moment.
    pub(super) async fn ask(&self) -> Vec<Vitals> {
        let loops = self.state().loops.clone();
        if loops.is_empty() {
            return Vec::new();
        }
        let (sender, mut receiver) = remote::channel(loops.len());
        let mut all = Vec::new();
        for (number, handle) in loops.iter().enumerate() {
            let sender = sender.clone();
            let asked = handle.call_soon_threadsafe(move || {
                let told = Told {
                    stats: loop_stats(),
                    blocking: blocking_stats(),
                    lag: lag(),
                };
                // Nobody waits for who is late.
                let _ = sender.try_send((number, told));
            });
            if asked.is_ok() {
                all.push(Vitals { number, told: None });
            }
        }
        drop(sender);
        let answers = async {
            while let Some((number, told)) = receiver.recv().await {
                let asked = all.iter_mut().find(|vitals| vitals.number == number);
                asked.expect("only who was asked answers").told = Some(told);
            }
        };
        // Who has not answered by then stays silent.
        let _ = time::timeout(PATIENCE, answers).await;
        all
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
