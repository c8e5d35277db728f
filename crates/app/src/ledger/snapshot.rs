//! The ledger as it was at one moment, and whether it is right.

use super::Reason;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// What became of the connections and requests of a server, as of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LedgerSnapshot {
    /// Connections, from when they are accepted.
    pub connections: Tally,
    /// Requests, from when their head is whole, or they are refused instead.
    pub requests: Tally,
    /// What was answered.
    pub responses: Responses,
    /// Connections that are open, counted in another place than those of the tally.
    pub open: usize,
    /// How often accepting had to rest because descriptors or memory ran out.
    pub accept_errors: u64,
}

/// How many have started, and in which reasons they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    started: u64,
    ended: [u64; Reason::ALL.len()],
}

/// Responses by the class of their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Responses {
    /// 2xx.
    pub success: u64,
    /// 3xx.
    pub redirection: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
}

/// What is wrong with a ledger: a defect of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbalanced {
    ledger: Box<LedgerSnapshot>,
    what: &'static str,
}

impl LedgerSnapshot {
    /// Whether it is right: what started has ended in one reason or is in flight.
    ///
    /// To be asked on the loop itself, or when the server has ended: other threads may look
    /// while something is being written down.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn check(&self) -> Result<(), Unbalanced> {
        let wrong = |what| {
            Err(Unbalanced {
                ledger: Box::new(*self),
                what,
            })
        };
        for tally in [&self.connections, &self.requests] {
            if tally.ended_in_all() > tally.started {
                return wrong("more has ended than started");
            }
        }
        if self.connections.in_flight() != self.open as u64 {
            return wrong("the connections in flight are not those that are open");
        }
        if self.open == 0 && self.requests.in_flight() > 0 {
            return wrong("requests are in flight without a connection");
        }
        Ok(())
    }
}

impl Tally {
    pub(super) fn new(started: u64, ended: [u64; Reason::ALL.len()]) -> Self {
        Tally { started, ended }
    }

    /// How many have started.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// How many have ended in this reason.
    #[must_use]
    pub fn ended_in(&self, reason: Reason) -> u64 {
        self.ended[reason as usize]
    }

    /// All reasons, and how many have ended in each.
    pub fn ended(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.ended)
    }

    /// How many have ended.
    #[must_use]
    pub fn ended_in_all(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// How many have started and not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.ended_in_all())
    }
}

impl Add for Tally {
    type Output = Tally;

    fn add(mut self, other: Tally) -> Tally {
        self.started += other.started;
        for (count, more) in self.ended.iter_mut().zip(other.ended) {
            *count += more;
        }
        self
    }
}

impl Add for Responses {
    type Output = Responses;

    fn add(self, other: Responses) -> Responses {
        Responses {
            success: self.success + other.success,
            redirection: self.redirection + other.redirection,
            client_error: self.client_error + other.client_error,
            server_error: self.server_error + other.server_error,
        }
    }
}

/// Of several loops.
impl Sum for LedgerSnapshot {
    fn sum<I: Iterator<Item = LedgerSnapshot>>(loops: I) -> Self {
        loops.fold(LedgerSnapshot::default(), |all, one| LedgerSnapshot {
            connections: all.connections + one.connections,
            requests: all.requests + one.requests,
            responses: all.responses + one.responses,
            open: all.open + one.open,
            accept_errors: all.accept_errors + one.accept_errors,
        })
    }
}

/// `started 5 = ok 3 + client_closed 1 + in flight 1`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "started {} =", self.started)?;
        for (reason, count) in self.ended().filter(|(_, count)| *count > 0) {
            write!(f, " {reason} {count} +")?;
        }
        write!(f, " in flight {}", self.in_flight())
    }
}

impl fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LedgerSnapshot {
            connections,
            requests,
            open,
            ..
        } = &*self.ledger;
        write!(
            f,
            "the ledger does not balance: {}; connections: {connections}, {open} are open; \
             requests: {requests}",
            self.what
        )
    }
}

impl std::error::Error for Unbalanced {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(started: u64, ok: u64) -> Tally {
        let mut ended = [0; Reason::ALL.len()];
        ended[Reason::Ok as usize] = ok;
        Tally::new(started, ended)
    }

    fn what_is_wrong(connections: Tally, requests: Tally, open: usize) -> Option<&'static str> {
        let ledger = LedgerSnapshot {
            connections,
            requests,
            open,
            ..LedgerSnapshot::default()
        };
        ledger.check().err().map(|wrong| wrong.what)
    }

    #[test]
    fn a_ledger_that_cannot_be_is_found() {
        let wrong = what_is_wrong;
        assert_eq!(wrong(tally(3, 2), tally(9, 8), 1), None);
        assert_eq!(wrong(tally(3, 3), tally(9, 9), 0), None);
        assert!(wrong(tally(3, 3), tally(9, 10), 0).is_some());
        assert!(wrong(tally(3, 4), tally(9, 9), 0).is_some());
        assert!(wrong(tally(3, 2), tally(9, 9), 0).is_some());
        assert!(wrong(tally(3, 3), tally(9, 8), 0).is_some());
    }

    #[test]
    fn a_tally_reads_as_a_sum() {
        assert_eq!(tally(3, 2).to_string(), "started 3 = ok 2 + in flight 1");
    }
}
