//! The result of an attack run as JSON. The keys are described in this crate's README.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::attack::campaign::Campaign;
use crate::attack::plan::AttackPlan;
use crate::attack::verdict::{Books, Verdict, WellBehaved};

/// Grows when a key changes its meaning or goes away, not when one is added.
const SCHEMA: u32 = 1;

/// Writes the result to `path`.
pub(super) fn write(path: &Path, plan: &AttackPlan, result: &Campaign) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&Document::of(plan, result))?;
    text.push('\n');
    std::fs::write(path, text)
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    loadtest_version: &'static str,
    target: String,
    connections: usize,
    rate_per_second: f64,
    clients: u64,
    interrupted: bool,
    quiet: WellBehavedJson,
    attacks: BTreeMap<&'static str, AttackJson>,
}

#[derive(Serialize)]
struct AttackJson {
    verdict: String,
    took_ns: u64,
    hostile: u64,
    endings: BTreeMap<String, u64>,
    cut_off: Option<CutOffJson>,
    well_behaved: Option<WellBehavedJson>,
    p99_max_ns: u64,
    ledger: Option<LedgerJson>,
    memory: Option<MemoryJson>,
    faults: Vec<String>,
    unverified: Vec<String>,
}

#[derive(Serialize)]
struct CutOffJson {
    min_ns: u64,
    p50_ns: u64,
    max_ns: u64,
}

#[derive(Serialize)]
struct WellBehavedJson {
    answered: u64,
    errors: u64,
    first_error: Option<String>,
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
    overdue_ns: u64,
    client_fault: Option<String>,
}

#[derive(Serialize)]
struct LedgerJson {
    expected_reasons: Vec<&'static str>,
    connections_ended: BTreeMap<String, u64>,
    requests_ended: BTreeMap<String, u64>,
    in_flight_before: u64,
    in_flight_after: u64,
    balanced: bool,
}

#[derive(Serialize)]
struct MemoryJson {
    before_bytes: u64,
    peak_bytes: u64,
    after_bytes: u64,
    margin_bytes: u64,
}

impl Document {
    fn of(plan: &AttackPlan, result: &Campaign) -> Self {
        Self {
            schema: SCHEMA,
            loadtest_version: env!("CARGO_PKG_VERSION"),
            target: plan.url.clone(),
            connections: plan.connections,
            rate_per_second: plan.rate,
            clients: plan.clients,
            interrupted: result.is_interrupted,
            quiet: WellBehavedJson::of(&result.quiet),
            attacks: result
                .verdicts
                .iter()
                .map(|verdict| (verdict.name, AttackJson::of(verdict)))
                .collect(),
        }
    }
}

impl AttackJson {
    fn of(verdict: &Verdict) -> Self {
        Self {
            verdict: verdict.judgement().name().to_lowercase(),
            took_ns: ns(verdict.took),
            hostile: verdict.hostile,
            endings: verdict.endings.iter().cloned().collect(),
            cut_off: verdict.cut_off.map(|[min, p50, max]| CutOffJson {
                min_ns: ns(min),
                p50_ns: ns(p50),
                max_ns: ns(max),
            }),
            well_behaved: verdict.well_behaved.as_ref().map(WellBehavedJson::of),
            p99_max_ns: ns(verdict.p99_max),
            ledger: verdict.books.as_ref().map(LedgerJson::of),
            memory: verdict.memory.map(|memory| MemoryJson {
                before_bytes: memory.before_bytes,
                peak_bytes: memory.peak_bytes,
                after_bytes: memory.after_bytes,
                margin_bytes: memory.margin_bytes,
            }),
            faults: verdict.faults.clone(),
            unverified: verdict.unverified.clone(),
        }
    }
}

impl WellBehavedJson {
    fn of(clients: &WellBehaved) -> Self {
        Self {
            answered: clients.answered,
            errors: clients.errors,
            first_error: clients.first_error.clone(),
            p50_ns: ns(clients.p50),
            p99_ns: ns(clients.p99),
            max_ns: ns(clients.max),
            overdue_ns: ns(clients.overdue),
            client_fault: clients.client_fault.clone(),
        }
    }
}

impl LedgerJson {
    fn of(books: &Books) -> Self {
        let (before, after) = (&books.before, &books.after);
        Self {
            expected_reasons: books.reasons.to_vec(),
            connections_ended: after
                .connections
                .grown_since(&before.connections)
                .into_iter()
                .collect(),
            requests_ended: after
                .requests
                .grown_since(&before.requests)
                .into_iter()
                .collect(),
            in_flight_before: before.connections.in_flight,
            in_flight_after: after.connections.in_flight,
            balanced: after.connections.is_balanced() && after.requests.is_balanced(),
        }
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::verdict::tests::verdict;

    #[test]
    fn every_key_is_described_in_the_readme() {
        let document = serde_json::to_value(AttackJson::of(&verdict())).expect("plain data");
        let mut keys = Vec::new();
        keys_of(&document, &mut keys);
        assert!(keys.len() > 30, "only {} keys were found", keys.len());
        let readme = include_str!("../../README.md");
        for key in keys {
            let is_reason = ["ok", "408", "header_timeout"].contains(&key.as_str());
            assert!(
                is_reason || readme.contains(&format!("`{key}`")),
                "`{key}` is not described"
            );
        }
    }

    fn keys_of(value: &serde_json::Value, keys: &mut Vec<String>) {
        if let serde_json::Value::Object(object) = value {
            for (key, value) in object {
                keys.push(key.clone());
                keys_of(value, keys);
            }
        }
    }

    #[test]
    fn results_are_found_under_their_keys() {
        let mut verdict = verdict();
        verdict.judge();
        let document = serde_json::to_value(AttackJson::of(&verdict)).expect("plain data");
        assert_eq!(document["verdict"], "passed");
        assert_eq!(
            document["ledger"]["connections_ended"]["header_timeout"],
            200
        );
        assert_eq!(document["ledger"]["balanced"], true);
        assert_eq!(document["well_behaved"]["answered"], 1_000);
    }
}
