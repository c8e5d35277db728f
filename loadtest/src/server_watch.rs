//! The server's side of a run: its ledger against what was sent and answered, and its memory.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use monoloop_runtime::{TaskHandle, spawn_named, time};

use crate::ledger::{Admin, Ledger};
use crate::load::Load;
use crate::memory::{self, Samples};

/// How often the server's memory is looked at.
const MEMORY_PERIOD: Duration = Duration::from_millis(500);
/// How often it is looked whether all is answered, or closed.
const SETTLE_PERIOD: Duration = Duration::from_millis(20);
/// How long a server may take to be done with connections that the client has closed.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// What the run is to be told about the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    pub(crate) admin: Option<Admin>,
    pub(crate) pid: Option<u32>,
}

/// What was found at the server's side.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerSide {
    pub(crate) reconciliation: Option<Reconciliation>,
    pub(crate) memory: Samples,
}

impl ServerSide {
    /// Whether the totals agree, as far as anybody asked.
    pub(crate) fn is_reconciled(&self) -> bool {
        self.reconciliation
            .as_ref()
            .is_none_or(Reconciliation::is_exact)
    }
}

/// The totals of both sides, from before the first connection until after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reconciliation {
    /// Connections the client made, and those the server accepted.
    pub(crate) connections: [u64; 2],
    /// Answers the client has read, and requests that ended well at the server.
    pub(crate) answered: [u64; 2],
    /// Requests that ended otherwise at the server, by reason.
    pub(crate) otherwise: Vec<(String, u64)>,
    /// Connections in flight at the server before and after.
    pub(crate) in_flight: [u64; 2],
    pub(crate) is_balanced: bool,
    /// Why the ledger could not be read at the end.
    pub(crate) unreadable: Option<String>,
}

impl Reconciliation {
    /// Whether both sides tell the same, to the last one.
    pub(crate) fn is_exact(&self) -> bool {
        self.unreadable.is_none()
            && self.connections[0] == self.connections[1]
            && self.answered[0] == self.answered[1]
            && self.otherwise.is_empty()
            && self.in_flight[1] <= self.in_flight[0]
            && self.is_balanced
    }
}

/// The server, while a run goes on.
pub(crate) struct ServerWatch {
    before: Option<Before>,
    samples: Rc<RefCell<Samples>>,
    sampler: Option<TaskHandle>,
}

/// The ledger before the first connection.
struct Before {
    admin: Admin,
    ledger: Ledger,
    /// Connections and requests that reading the ledger itself adds to it: none where its listener is
    /// not counted.
    cost: [u64; 2],
}

impl ServerWatch {
    /// Reads the ledger and begins to look at the memory.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    ///
    /// # Cancel safety
    /// Nothing was begun.
    pub(crate) async fn start(watched: &Watched) -> io::Result<Self> {
        let before = match watched.admin.clone() {
            Some(admin) => Some(Before::read(admin).await?),
            None => None,
        };
        let samples: Rc<RefCell<Samples>> = Rc::default();
        let sampler = watched
            .pid
            .map(|pid| spawn_named("memory", sample(pid, Rc::clone(&samples))).task());
        Ok(Self {
            before,
            samples,
            sampler,
        })
    }

    /// Ends the load for good, and compares. To be called when the result is taken: what is in flight
    /// is waited for, then all connections are closed.
    ///
    /// # Cancel safety
    /// The comparison is lost.
    pub(crate) async fn end(self, load: &Load, made_before: u64) -> ServerSide {
        let reconciliation = match self.before {
            Some(before) => Some(before.reconcile(load, made_before).await),
            None => None,
        };
        if let Some(sampler) = self.sampler {
            sampler.cancel();
        }
        ServerSide {
            reconciliation,
            memory: self.samples.take(),
        }
    }
}

async fn sample(pid: u32, samples: Rc<RefCell<Samples>>) {
    let began = time::now();
    while let Some(bytes) = memory::resident_bytes(pid) {
        let elapsed = time::now().saturating_duration_since(began);
        samples.borrow_mut().add(elapsed, bytes);
        time::sleep(MEMORY_PERIOD).await;
    }
}

impl Before {
    async fn read(admin: Admin) -> io::Result<Self> {
        let first = admin.ledger().await?;
        let ledger = admin.ledger().await?;
        let cost = [
            ledger.connections.started - first.connections.started,
            ledger.requests.started - first.requests.started,
        ];
        Ok(Self {
            admin,
            ledger,
            cost,
        })
    }

    async fn reconcile(self, load: &Load, made_before: u64) -> Reconciliation {
        answer_all(load).await;
        load.roster.cancel_all();
        let answered = load.answers();
        let made = made_before + load.record().connections.connect.count();

        let until = time::now() + SETTLES_WITHIN;
        let mut reads = 0;
        let after = loop {
            // What was cancelled is closed in the next turn.
            time::sleep(SETTLE_PERIOD).await;
            reads += 1;
            match self.admin.ledger().await {
                Ok(now) => {
                    let most = self.ledger.connections.in_flight;
                    if now.connections.in_flight <= most || time::now() >= until {
                        break now;
                    }
                }
                Err(error) => return self.unreadable([made, answered], &error),
            }
        };
        let (before, cost) = (&self.ledger, self.cost.map(|each| each * reads));
        let mut otherwise = after.requests.grown_since(&before.requests);
        let ended_well = after.requests.ended_since(&before.requests, &["ok"]);
        otherwise.retain(|(reason, _)| reason != "ok");
        Reconciliation {
            connections: [
                made,
                (after.connections.started - before.connections.started).saturating_sub(cost[0]),
            ],
            answered: [answered, ended_well.saturating_sub(cost[1])],
            otherwise,
            in_flight: [before.connections.in_flight, after.connections.in_flight],
            is_balanced: after.connections.is_balanced() && after.requests.is_balanced(),
            unreadable: None,
        }
    }

    fn unreadable(&self, [made, answered]: [u64; 2], error: &io::Error) -> Reconciliation {
        Reconciliation {
            connections: [made, 0],
            answered: [answered, 0],
            otherwise: Vec::new(),
            in_flight: [self.ledger.connections.in_flight, 0],
            is_balanced: false,
            unreadable: Some(error.to_string()),
        }
    }
}

/// Sends nothing more, and waits until all that was sent is answered or has failed.
async fn answer_all(load: &Load) {
    load.roster.stop();
    let until = time::now() + load.plan.timeout + SETTLES_WITHIN;
    let mut quiet_turns = 0;
    // Work may have been handed to a connection that has not sent it yet: one look is not enough.
    while quiet_turns < 2 && time::now() < until {
        time::sleep(SETTLE_PERIOD).await;
        match load.in_flight() {
            0 => quiet_turns += 1,
            _ => quiet_turns = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact() -> Reconciliation {
        Reconciliation {
            connections: [64, 64],
            answered: [1_000, 1_000],
            otherwise: vec![],
            in_flight: [1, 1],
            is_balanced: true,
            unreadable: None,
        }
    }

    #[test]
    fn one_more_or_one_less_anywhere_is_not_exact() {
        assert!(exact().is_exact());
        let changes: [fn(&mut Reconciliation); 7] = [
            |it| it.connections[1] += 1,
            |it| it.connections[1] -= 1,
            |it| it.answered[1] += 1,
            |it| it.otherwise.push(("client_closed".into(), 1)),
            |it| it.in_flight[1] += 1,
            |it| it.is_balanced = false,
            |it| it.unreadable = Some("gone".into()),
        ];
        for change in changes {
            let mut changed = exact();
            change(&mut changed);
            assert!(!changed.is_exact(), "{changed:?}");
        }
    }

    #[test]
    fn who_asked_for_nothing_is_told_nothing() {
        assert!(ServerSide::default().is_reconciled());
    }
}
