//! The result as JSON. The keys are described in this crate's README.
//!
//! Units are in the names: `_ns` nanoseconds, `_bytes`, `_per_second` of the measured time.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::outcome::Outcome;
use crate::plan::{Plan, Stop, Work};
use crate::record::{Durations, Faults};
use crate::server_watch::Reconciliation;

/// Grows when a key changes its meaning or goes away, not when one is added.
const SCHEMA: u32 = 1;

/// Writes the result to `path`.
pub(crate) fn write(path: &Path, outcome: &Outcome) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&Document::of(outcome))?;
    text.push('\n');
    std::fs::write(path, text)
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    loadtest_version: &'static str,
    options: Options,
    ended: &'static str,
    set_up_ns: u64,
    measured_ns: u64,
    requests: Requests,
    bytes: Bytes,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<&'static str, FaultJson>,
    latency: Latency,
    connections: ConnectionsJson,
    client: Client,
    server: Option<ServerJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Options {
    target: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<usize>,
    connections: usize,
    duration_ns: Option<u64>,
    requests: Option<u64>,
    rate_per_second: Option<f64>,
    warmup_ns: u64,
    pipeline: u32,
    timeout_ns: u64,
    connect_rate_per_second: f64,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct Requests {
    answered: u64,
    answered_per_second: f64,
    failed: u64,
    in_flight: u64,
    oldest_in_flight_ns: Option<u64>,
    unsent: u64,
    oldest_unsent_ns: Option<u64>,
    queued: u64,
    resent: u64,
}

#[derive(Serialize)]
struct Bytes {
    received_bytes: u64,
    received_bytes_per_second: f64,
    sent_bytes: u64,
    sent_bytes_per_second: f64,
}

#[derive(Serialize)]
struct FaultJson {
    count: u64,
    first: String,
}

#[derive(Serialize)]
struct Latency {
    since_due: Option<DurationsJson>,
    since_sent: Option<DurationsJson>,
    send_lag: Option<DurationsJson>,
    connecting: Option<DurationsJson>,
}

#[derive(Serialize)]
struct DurationsJson {
    count: u64,
    min_ns: u64,
    mean_ns: u64,
    stddev_ns: u64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    p99_99_ns: u64,
    max_ns: u64,
}

#[derive(Serialize)]
struct ConnectionsJson {
    made: u64,
    reconnects: u64,
    open: usize,
    closed_by_answer: u64,
    closed_idle: u64,
    broken: u64,
    failed: BTreeMap<&'static str, FaultJson>,
}

#[derive(Serialize)]
struct Client {
    cpu_ns: u64,
    cpu_share: f64,
    cpu_per_answer_ns: u64,
    was_limit: bool,
}

#[derive(Serialize)]
struct ServerJson {
    reconciled: Option<bool>,
    client_connections: Option<u64>,
    server_connections: Option<u64>,
    client_answered: Option<u64>,
    server_ok: Option<u64>,
    server_otherwise: BTreeMap<String, u64>,
    memory_first_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
    memory_last_bytes: Option<u64>,
    memory_slope_bytes_per_second: Option<f64>,
}

impl ServerJson {
    /// `None` when nobody asked for the server's side.
    fn of(outcome: &Outcome) -> Option<Self> {
        let watched = &outcome.plan.watched;
        if watched.admin.is_none() && watched.pid.is_none() {
            return None;
        }
        let found = outcome.server.reconciliation.as_ref();
        let memory = &outcome.server.memory;
        Some(Self {
            reconciled: found.map(Reconciliation::is_exact),
            client_connections: found.map(|it| it.connections[0]),
            server_connections: found.map(|it| it.connections[1]),
            client_answered: found.map(|it| it.answered[0]),
            server_ok: found.map(|it| it.answered[1]),
            server_otherwise: found
                .map(|it| it.otherwise.iter().cloned().collect())
                .unwrap_or_default(),
            memory_first_bytes: memory.first(),
            memory_max_bytes: memory.max(),
            memory_last_bytes: memory.last(),
            memory_slope_bytes_per_second: memory.slope_per_second(),
        })
    }
}

impl Document {
    fn of(outcome: &Outcome) -> Self {
        let record = &outcome.record;
        let connections = &record.connections;
        Self {
            schema: SCHEMA,
            loadtest_version: env!("CARGO_PKG_VERSION"),
            options: Options::of(&outcome.plan),
            ended: outcome.ended.name(),
            set_up_ns: ns(outcome.set_up),
            measured_ns: ns(outcome.measured),
            requests: Requests {
                answered: record.answered(),
                answered_per_second: outcome.per_second(record.answered()),
                failed: record.failed.total(),
                in_flight: outcome.in_flight,
                oldest_in_flight_ns: outcome.oldest_in_flight.map(ns),
                unsent: outcome.unsent,
                oldest_unsent_ns: outcome.oldest_unsent.map(ns),
                queued: record.queued,
                resent: record.resent,
            },
            bytes: Bytes {
                received_bytes: record.received_bytes,
                received_bytes_per_second: outcome.per_second(record.received_bytes),
                sent_bytes: record.sent_bytes,
                sent_bytes_per_second: outcome.per_second(record.sent_bytes),
            },
            statuses: record.statuses().collect(),
            errors: faults(&record.failed),
            latency: Latency {
                since_due: durations(&record.corrected),
                since_sent: durations(&record.service),
                send_lag: durations(&record.send_lag),
                connecting: durations(&connections.connect),
            },
            connections: ConnectionsJson {
                made: connections.connect.count(),
                reconnects: connections.reconnects,
                open: outcome.open,
                closed_by_answer: connections.closed_by_answer,
                closed_idle: connections.closed_idle,
                broken: connections.broken,
                failed: faults(&connections.failed),
            },
            client: Client {
                cpu_ns: ns(outcome.cpu.thread),
                cpu_share: outcome.cpu_share(),
                cpu_per_answer_ns: ns(outcome.cpu_per_answer(outcome.cpu.thread)),
                was_limit: outcome.is_client_limited(),
            },
            server: ServerJson::of(outcome),
            warnings: outcome.warnings(),
        }
    }
}

impl Options {
    fn of(plan: &Plan) -> Self {
        let (http, size_bytes) = match &plan.work {
            Work::Http(work) => (Some(work), None),
            Work::Echo { message_bytes } => (None, Some(*message_bytes)),
        };
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        Self {
            target: plan.describe_work(),
            address: plan.address.to_string(),
            method: http.map(|work| work.method.to_string()),
            headers: http.map(|work| work.headers.iter().map(header).collect()),
            body_bytes: http.map(|work| work.body_bytes),
            size_bytes,
            connections: plan.connections,
            duration_ns: match plan.stop {
                Stop::After(duration) => Some(ns(duration)),
                Stop::Requests(_) => None,
            },
            requests: match plan.stop {
                Stop::After(_) => None,
                Stop::Requests(requests) => Some(requests),
            },
            rate_per_second: plan.rate,
            warmup_ns: ns(plan.warmup),
            pipeline: plan.pipeline,
            timeout_ns: ns(plan.timeout),
            connect_rate_per_second: plan.connect_rate,
            sources: plan
                .sources
                .addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}

fn durations(durations: &Durations) -> Option<DurationsJson> {
    if durations.is_empty() {
        return None;
    }
    let percentile = |percentile| ns(durations.percentile(percentile));
    Some(DurationsJson {
        count: durations.count(),
        min_ns: ns(durations.min()),
        mean_ns: ns(durations.mean()),
        stddev_ns: ns(durations.stddev()),
        p50_ns: percentile(50.0),
        p90_ns: percentile(90.0),
        p99_ns: percentile(99.0),
        p99_9_ns: percentile(99.9),
        p99_99_ns: percentile(99.99),
        max_ns: ns(durations.max()),
    })
}

fn faults(faults: &Faults) -> BTreeMap<&'static str, FaultJson> {
    faults
        .iter()
        .map(|fault| {
            (
                fault.kind.name(),
                FaultJson {
                    count: fault.count,
                    first: fault.first.clone(),
                },
            )
        })
        .collect()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::outcome::tests::outcome;

    fn keys_of(value: &Value, keys: &mut Vec<String>) {
        if let Value::Object(object) = value {
            for (key, value) in object {
                keys.push(key.clone());
                keys_of(value, keys);
            }
        }
    }

    #[test]
    fn every_key_is_described_in_the_readme() {
        let mut outcome = outcome();
        outcome.record.service.record(Duration::from_millis(1));
        outcome.plan.watched.pid = Some(1);
        let document = serde_json::to_value(Document::of(&outcome)).expect("plain data");
        let mut keys = Vec::new();
        keys_of(&document, &mut keys);
        assert!(keys.len() > 60, "only {} keys were found", keys.len());
        let readme = include_str!("../README.md");
        for key in keys {
            assert!(
                readme.contains(&format!("`{key}`")),
                "`{key}` is not described"
            );
        }
    }

    #[test]
    fn results_are_found_under_their_keys() {
        let mut outcome = outcome();
        outcome.record.service.record(Duration::from_millis(2));
        outcome.record.status(200);
        outcome
            .record
            .failed
            .add(&Fault::new(FaultKind::Reset, "by peer"), 4);
        let document = serde_json::to_value(Document::of(&outcome)).expect("plain data");
        assert_eq!(document["requests"]["answered"], 1);
        assert_eq!(document["requests"]["answered_per_second"], 0.1);
        assert_eq!(document["statuses"]["200"], 1);
        assert_eq!(document["errors"]["reset"]["count"], 4);
        assert_eq!(document["errors"]["reset"]["first"], "by peer");
        assert_eq!(document["latency"]["since_due"], Value::Null);
        assert_eq!(document["options"]["size_bytes"], 64);
        assert_eq!(document["ended"], "time");
        let p50 = document["latency"]["since_sent"]["p50_ns"]
            .as_u64()
            .expect("a number");
        assert!((1_998_000..2_002_000).contains(&p50), "{p50}");
    }
}
