//! What is to be thought of an attack: plain arithmetic on what was seen.

use std::time::Duration;

use crate::format;
use crate::ledger::Ledger;
use crate::outcome::Outcome;

/// How much longer than twice the quiet one the well-behaved clients' p99 may be: the timers of both
/// sides tick in milliseconds, and they share the processors with the attack.
const P99_FLOOR: Duration = Duration::from_millis(5);
/// The same where all that the server has is taken by requests that are allowed. A loop is fair, so
/// the others wait for one round of those: some milliseconds for each hundred pipelined requests.
const P99_FLOOR_SATURATED: Duration = Duration::from_millis(50);

/// The well-behaved clients, of one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WellBehaved {
    pub(crate) answered: u64,
    /// What they had no answer to, or another one than they should have had.
    pub(crate) errors: u64,
    /// In words.
    pub(crate) first_error: Option<String>,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    /// The longest that anything was due, or asked, without an answer when the run ended.
    pub(crate) overdue: Duration,
    /// Why the numbers say more about this client than about the server.
    pub(crate) client_fault: Option<String>,
}

impl WellBehaved {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let record = &outcome.record;
        let refused: Vec<(u16, u64)> = record
            .statuses()
            .filter(|(status, _)| *status >= 400)
            .collect();
        let connections = &record.connections;
        let mut errors = record.failed.total() + connections.failed.total();
        let fault = record.failed.iter().chain(connections.failed.iter()).next();
        let mut first_error = fault.map(|fault| format!("{}: {}", fault.kind.name(), fault.first));
        for (status, count) in refused {
            errors += count;
            first_error.get_or_insert_with(|| format!("status {status}"));
        }
        let waits = [outcome.oldest_in_flight, outcome.oldest_unsent];
        Self {
            answered: record.answered(),
            errors,
            first_error,
            p50: record.corrected.percentile(50.0),
            p99: record.corrected.percentile(99.0),
            max: record.corrected.max(),
            overdue: waits.into_iter().flatten().max().unwrap_or_default(),
            client_fault: outcome
                .is_client_limited()
                .then(|| outcome.warnings().into_iter().next().unwrap_or_default()),
        }
    }
}

/// Memory of the server around an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) before_bytes: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) after_bytes: u64,
    pub(crate) margin_bytes: u64,
}

/// The ledger around an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) before: Ledger,
    pub(crate) after: Ledger,
    /// Reasons in which the hostile connections should have ended.
    pub(crate) reasons: &'static [&'static str],
}

/// All there is to know about one attack.
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    pub(crate) hostile: u64,
    pub(crate) endings: Vec<(String, u64)>,
    /// Shortest, middle and longest time until the server cut one off, if it cut off any.
    pub(crate) cut_off: Option<[Duration; 3]>,
    pub(crate) well_behaved: Option<WellBehaved>,
    pub(crate) p99_max: Duration,
    pub(crate) books: Option<Books>,
    pub(crate) memory: Option<Memory>,
    pub(crate) took: Duration,
    /// What went wrong, in sentences.
    pub(crate) faults: Vec<String>,
    /// What was not looked at, in sentences.
    pub(crate) unverified: Vec<String>,
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Passed,
    Failed,
    /// Nothing that was looked at is wrong, and not everything was looked at.
    Unverified,
    /// Something is wrong, and whoever judges was itself too slow to say whose fault it is.
    Invalid,
}

impl Judgement {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Unverified => "unverified",
            Self::Invalid => "INVALID",
        }
    }
}

impl Verdict {
    pub(crate) fn judgement(&self) -> Judgement {
        let client_fault = self
            .well_behaved
            .as_ref()
            .is_some_and(|clients| clients.client_fault.is_some());
        match (self.faults.is_empty(), client_fault) {
            // Both sides run on this machine: where the clients were late, so was the attack, and
            // what looks like the server's fault may be our own. Where nothing is wrong, our being
            // late has only made it harder.
            (false, true) => Judgement::Invalid,
            (false, false) => Judgement::Failed,
            (true, _) if self.unverified.is_empty() => Judgement::Passed,
            (true, _) => Judgement::Unverified,
        }
    }

    /// Judges everything but how the hostile connections themselves ended.
    pub(crate) fn judge(&mut self) {
        self.judge_well_behaved();
        self.judge_books();
        self.judge_memory();
    }

    fn judge_well_behaved(&mut self) {
        let Some(clients) = &self.well_behaved else {
            self.faults
                .push("the well-behaved clients could not be run".into());
            return;
        };
        if clients.errors > 0 {
            let first = clients.first_error.as_deref().unwrap_or("unknown");
            self.faults.push(format!(
                "well-behaved clients saw {} errors (the first: {first})",
                format::count(clients.errors)
            ));
        }
        if clients.answered == 0 {
            self.faults
                .push("well-behaved clients were not answered once".into());
        }
        for (what, time) in [
            ("p99", clients.p99),
            ("the oldest unanswered", clients.overdue),
        ] {
            if time > self.p99_max {
                self.faults.push(format!(
                    "well-behaved clients: {what} {}, above {}",
                    format::duration(time),
                    format::duration(self.p99_max)
                ));
            }
        }
    }

    fn judge_books(&mut self) {
        let Some(books) = &self.books else {
            self.unverified
                .push("the ledger was not looked at (give --admin URL)".into());
            return;
        };
        let (before, after) = (&books.before.connections, &books.after.connections);
        for (what, account) in [
            ("connections", &books.after.connections),
            ("requests", &books.after.requests),
        ] {
            if !account.is_balanced() {
                self.faults.push(format!(
                    "the ledger of {what} does not balance: {} started, {} ended, {} in flight",
                    account.started,
                    account.ended_in_all(),
                    account.in_flight
                ));
            }
        }
        if after.in_flight > before.in_flight {
            self.faults.push(format!(
                "{} connections are in flight afterwards, {} were before",
                after.in_flight, before.in_flight
            ));
        }
        let found = after.ended_since(before, books.reasons);
        if found < self.hostile {
            let grown: Vec<String> = after
                .grown_since(before)
                .into_iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            self.faults.push(format!(
                "the ledger has {found} of {} hostile connections under {}: {}",
                self.hostile,
                books.reasons.join(" or "),
                grown.join(", ")
            ));
        }
    }

    fn judge_memory(&mut self) {
        let Some(memory) = self.memory else {
            self.unverified.push(
                "memory was not looked at (give --pid PID, or an --admin that exports it)".into(),
            );
            return;
        };
        let most = memory.before_bytes + memory.margin_bytes;
        if memory.after_bytes > most {
            self.faults.push(format!(
                "memory did not come back: {} before, {} after, margin {}",
                format::bytes(memory.before_bytes as f64),
                format::bytes(memory.after_bytes as f64),
                format::bytes(memory.margin_bytes as f64)
            ));
        }
    }
}

/// The bound on the well-behaved clients' p99 that follows from a quiet server's.
pub(crate) fn p99_bound(quiet: Duration, saturates: bool) -> Duration {
    let floor = match saturates {
        true => P99_FLOOR_SATURATED,
        false => P99_FLOOR,
    };
    2 * quiet + floor
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ledger::Account;

    fn account(ended: &[(&str, u64)], in_flight: u64) -> Account {
        let ended: std::collections::BTreeMap<_, _> = ended
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect();
        Account {
            started: ended.values().sum::<u64>() + in_flight,
            ended,
            in_flight,
        }
    }

    fn ledger(ended: &[(&str, u64)], in_flight: u64) -> Ledger {
        Ledger {
            connections: account(ended, in_flight),
            ..Ledger::default()
        }
    }

    /// Of an attack in which all went well.
    pub(crate) fn verdict() -> Verdict {
        Verdict {
            name: "slowloris-head",
            hostile: 200,
            endings: vec![("408".into(), 200)],
            cut_off: Some([Duration::from_secs(2); 3]),
            well_behaved: Some(WellBehaved {
                answered: 1_000,
                errors: 0,
                first_error: None,
                p50: Duration::from_micros(300),
                p99: Duration::from_millis(2),
                max: Duration::from_millis(4),
                overdue: Duration::ZERO,
                client_fault: None,
            }),
            p99_max: Duration::from_millis(7),
            books: Some(Books {
                before: ledger(&[("ok", 20)], 1),
                after: ledger(&[("ok", 40), ("header_timeout", 200)], 1),
                reasons: &["header_timeout"],
            }),
            memory: Some(Memory {
                before_bytes: 6_000_000,
                peak_bytes: 9_000_000,
                after_bytes: 7_000_000,
                margin_bytes: 16_000_000,
            }),
            took: Duration::from_secs(4),
            faults: vec![],
            unverified: vec![],
        }
    }

    /// Changes one thing, and expects one fault that says so.
    fn fails(change: impl Fn(&mut Verdict), with: &str) {
        let mut verdict = verdict();
        change(&mut verdict);
        verdict.judge();
        assert_eq!(verdict.judgement(), Judgement::Failed, "{with}");
        assert_eq!(verdict.faults.len(), 1, "{:?}", verdict.faults);
        assert!(verdict.faults[0].contains(with), "{:?}", verdict.faults);
    }

    fn clients(verdict: &mut Verdict) -> &mut WellBehaved {
        verdict.well_behaved.as_mut().expect("there are some")
    }

    fn books(verdict: &mut Verdict) -> &mut Books {
        verdict.books.as_mut().expect("there are some")
    }

    #[test]
    fn all_well_is_passed() {
        let mut verdict = verdict();
        verdict.judge();
        assert_eq!(
            verdict.judgement(),
            Judgement::Passed,
            "{:?}",
            verdict.faults
        );
    }

    #[test]
    fn each_thing_that_is_wrong_fails_the_attack_and_is_said() {
        fails(|it| clients(it).errors = 1, "saw 1 errors");
        fails(|it| clients(it).answered = 0, "not answered once");
        fails(
            |it| clients(it).p99 = Duration::from_millis(8),
            "p99 8.00 ms",
        );
        fails(
            |it| clients(it).overdue = Duration::from_secs(1),
            "the oldest unanswered 1.00 s",
        );
        fails(
            |it| books(it).after = ledger(&[("ok", 40), ("client_closed", 200)], 1),
            "0 of 200 hostile connections under header_timeout: 200 client_closed, 20 ok",
        );
        fails(
            |it| books(it).after = ledger(&[("ok", 40), ("header_timeout", 200)], 2),
            "2 connections are in flight afterwards, 1 were before",
        );
        fails(
            |it| books(it).after.requests.started = 1,
            "the ledger of requests does not balance: 1 started, 0 ended, 0 in flight",
        );
        fails(
            |it| it.memory.as_mut().expect("some").after_bytes = 30_000_000,
            "memory did not come back",
        );
    }

    #[test]
    fn what_was_not_looked_at_is_unverified_and_not_passed() {
        let mut verdict = verdict();
        (verdict.books, verdict.memory) = (None, None);
        verdict.judge();
        assert_eq!(verdict.judgement(), Judgement::Unverified);
        assert!(verdict.unverified[0].contains("--admin"));
        assert!(verdict.unverified[1].contains("--pid"));
    }

    #[test]
    fn a_client_that_was_late_itself_does_not_blame_the_server() {
        let mut verdict = verdict();
        clients(&mut verdict).client_fault = Some("The client sent late".into());
        verdict.judge();
        assert_eq!(
            verdict.judgement(),
            Judgement::Passed,
            "good enough all the same"
        );
        clients(&mut verdict).p99 = Duration::from_secs(1);
        verdict.judge();
        assert_eq!(verdict.judgement(), Judgement::Invalid);
    }
}
