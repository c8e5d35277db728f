//! The server's own account of what became of its connections and requests, as it exports it.
//!
//! The only place that knows the names of the server's metrics.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http::Method;
use monoloop_proto::http1::{Decoded, Limits, Responses, encode_request};
use monoloop_runtime::net::TcpStream;
use monoloop_runtime::time;

use crate::target::HttpTarget;
use crate::usage::UsageError;

/// Where the metrics are when the URL names no path, by Prometheus' own convention.
const PATH_DEFAULT: &str = "/metrics";
/// A listener that does not answer for so long is not there.
const TIMEOUT: Duration = Duration::from_secs(5);

const CONNECTIONS_STARTED: &str = "monoloop_connections_total";
const CONNECTIONS_ENDED: &str = "monoloop_connections_ended_total";
const CONNECTIONS_IN_FLIGHT: &str = "monoloop_connections_in_flight";
const REQUESTS_STARTED: &str = "monoloop_requests_total";
const REQUESTS_ENDED: &str = "monoloop_requests_ended_total";
const REQUESTS_IN_FLIGHT: &str = "monoloop_requests_in_flight";
/// As the Prometheus client libraries name it, where it is exported.
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";

/// The listener that exports the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    target: HttpTarget,
    address: std::net::SocketAddr,
}

/// The ledger as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) connections: Account,
    pub(crate) requests: Account,
    /// Memory of the process that is in RAM, when it says so.
    pub(crate) resident_bytes: Option<u64>,
}

/// What became of the connections, or of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) started: u64,
    pub(crate) ended: BTreeMap<String, u64>,
    pub(crate) in_flight: u64,
}

impl Account {
    pub(crate) fn ended_in_all(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Whether all that started has ended in one reason or is in flight.
    pub(crate) fn is_balanced(&self) -> bool {
        self.started == self.ended_in_all() + self.in_flight
    }

    /// How many have ended in one of these reasons since `before`.
    pub(crate) fn ended_since(&self, before: &Self, reasons: &[&str]) -> u64 {
        let in_reasons = |account: &Self| -> u64 {
            let counts = reasons.iter().filter_map(|name| account.ended.get(*name));
            counts.sum()
        };
        in_reasons(self).saturating_sub(in_reasons(before))
    }

    /// Reasons with what they have grown by since `before`, the largest first.
    pub(crate) fn grown_since(&self, before: &Self) -> Vec<(String, u64)> {
        let mut grown: Vec<_> = self
            .ended
            .iter()
            .map(|(name, count)| {
                let earlier = before.ended.get(name).copied().unwrap_or(0);
                (name.clone(), count.saturating_sub(earlier))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        grown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        grown
    }
}

impl Admin {
    pub(crate) fn parse(url: &str) -> Result<Self, UsageError> {
        let mut target = HttpTarget::parse(url)?;
        if target.path == "/" {
            target.path = PATH_DEFAULT.into();
        }
        Ok(Self {
            address: target.resolve()?,
            target,
        })
    }

    /// Asks for the ledger.
    ///
    /// # Errors
    /// When nobody answers, or with something else than a ledger.
    ///
    /// # Cancel safety
    /// The request is given up.
    pub(crate) async fn ledger(&self) -> io::Result<Ledger> {
        let text = match time::timeout(TIMEOUT, self.fetch()).await {
            Ok(text) => text?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        Ledger::parse(&text).ok_or_else(|| {
            io::Error::other(format!(
                "no {CONNECTIONS_ENDED} in http://{}{}",
                self.target.authority, self.target.path
            ))
        })
    }

    async fn fetch(&self) -> io::Result<String> {
        let mut request = Vec::new();
        let (path, host) = (&self.target.path, &self.target.authority);
        encode_request(&Method::GET, path, host, &[], &[], &mut request)
            .map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(&request).await?;

        let mut responses = Responses::new(Rc::new(Limits::default()));
        responses.expect(&Method::GET);
        let mut body = Vec::new();
        loop {
            let chunk = stream.receive().await?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = &chunk[..];
            loop {
                match responses.decode(&mut bytes).map_err(io::Error::other)? {
                    Decoded::Head(head) if !head.status.is_success() => {
                        let status = head.status;
                        return Err(io::Error::other(format!("http://{host}{path}: {status}")));
                    }
                    Decoded::Head(_) => {}
                    Decoded::Body(piece) => body.extend_from_slice(piece),
                    Decoded::End { .. } => {
                        return String::from_utf8(body).map_err(io::Error::other);
                    }
                    Decoded::NeedData => break,
                }
            }
        }
    }
}

impl Ledger {
    /// Reads the text format of Prometheus; `None` when there is no ledger in it.
    fn parse(text: &str) -> Option<Self> {
        let mut ledger = Self::default();
        let mut has_reasons = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some(sample) = Sample::parse(line) else {
                continue;
            };
            let account = match sample.name {
                CONNECTIONS_STARTED | CONNECTIONS_ENDED | CONNECTIONS_IN_FLIGHT => {
                    &mut ledger.connections
                }
                REQUESTS_STARTED | REQUESTS_ENDED | REQUESTS_IN_FLIGHT => &mut ledger.requests,
                RESIDENT_BYTES => {
                    ledger.resident_bytes = Some(sample.value);
                    continue;
                }
                _ => continue,
            };
            // A server of several loops may have a line for each.
            match sample.label("reason") {
                Some(reason) => {
                    has_reasons = true;
                    *account.ended.entry(reason.to_owned()).or_default() += sample.value;
                }
                None if [CONNECTIONS_STARTED, REQUESTS_STARTED].contains(&sample.name) => {
                    account.started += sample.value;
                }
                None => account.in_flight += sample.value,
            }
        }
        has_reasons.then_some(ledger)
    }
}

/// One line of the text format: `name{label="value",..} 12`.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: u64,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (series, value) = match line.rfind('}') {
            Some(end) => line.split_at(end + 1),
            None => line.split_once(' ')?,
        };
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        // A timestamp may follow the value.
        let value: f64 = value.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self {
            name,
            labels,
            value: value as u64,
        })
    }

    /// The value of a label. Reasons have no quotes and commas in them.
    fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.split(',').find_map(|label| {
            let (key, value) = label.split_once('=')?;
            (key.trim() == name).then(|| value.trim_matches('"'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP monoloop_connections_ended Connections.
# TYPE monoloop_connections_ended counter
monoloop_connections_total 12
monoloop_connections_ended_total{reason=\"ok\"} 7
monoloop_connections_ended_total{loop=\"0\",reason=\"limit\"} 2
monoloop_connections_ended_total{loop=\"1\",reason=\"limit\"} 1 1700000000
monoloop_connections_in_flight 2
monoloop_requests_total 30
monoloop_requests_ended_total{reason=\"ok\"} 30
monoloop_requests_in_flight 0
process_resident_memory_bytes 5.767168e+06
something_else{reason=\"ok\"} 99
# EOF
";

    #[test]
    fn the_ledger_is_read_from_the_metrics_and_its_balance_is_judged() {
        let ledger = Ledger::parse(TEXT).expect("a ledger");
        assert_eq!(ledger.connections.ended["limit"], 3);
        assert!(ledger.connections.is_balanced() && ledger.requests.is_balanced());
        assert_eq!(ledger.resident_bytes, Some(5_767_168));
        let lost = TEXT.replace("connections_total 12", "connections_total 13");
        assert!(
            !Ledger::parse(&lost)
                .expect("a ledger")
                .connections
                .is_balanced()
        );
    }

    #[test]
    fn what_has_grown_is_told_by_reason() {
        let before = Ledger::parse(TEXT).expect("a ledger").connections;
        let after = TEXT.replace("reason=\"ok\"} 7", "reason=\"ok\"} 17");
        let after = Ledger::parse(&after).expect("a ledger").connections;
        assert_eq!(after.ended_since(&before, &["ok", "limit"]), 10);
        assert_eq!(after.ended_since(&before, &["limit"]), 0);
        assert_eq!(after.grown_since(&before), [("ok".to_owned(), 10)]);
    }

    #[test]
    fn metrics_without_a_ledger_are_none() {
        assert_eq!(Ledger::parse("up 1\n"), None);
        assert_eq!(Ledger::parse("<html>\n"), None);
    }
}
