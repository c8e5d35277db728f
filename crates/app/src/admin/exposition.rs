//! The two forms that metrics are read in.

use super::metrics::Metrics;
use super::process::Process;
use crate::{Response, StatusCode};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::fmt::{self, Write};

/// A text form of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4, for everybody else.
    Prometheus,
}

impl Form {
    /// What is wanted by somebody who sends this `Accept`. OpenMetrics is for those who say so, as
    /// in all of Prometheus' own libraries; Prometheus itself does.
    pub(super) fn wanted(accept: &str) -> Form {
        match accept.contains("application/openmetrics-text") {
            true => Form::OpenMetrics,
            false => Form::Prometheus,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        })
    }

    pub(super) fn response(self, metrics: Metrics, process: Process) -> Response {
        match self.text(metrics, process) {
            Ok(text) => Response::text(text).with_header(CONTENT_TYPE, self.content_type()),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                Response::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    pub(super) fn text(self, metrics: Metrics, process: Process) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process));
        let ours = registry.sub_registry_with_prefix("monoloop");
        ours.register_collector(Box::new(metrics));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        match self {
            Form::OpenMetrics => Ok(text),
            Form::Prometheus => without_openmetrics(&text),
        }
    }
}

/// In the older form the name of a counter has its suffix everywhere, and there are no units
/// and no mark at the end.
fn without_openmetrics(text: &str) -> Result<String, fmt::Error> {
    let counters: HashSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut older = String::with_capacity(text.len());
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let told = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|what| Some((what, line.strip_prefix(what)?.split_once(' ')?)));
        match told {
            Some((what, (name, rest))) if counters.contains(name) => {
                writeln!(older, "{what}{name}_total {rest}")?;
            }
            _ => writeln!(older, "{line}")?,
        }
    }
    Ok(older)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1";
        assert_eq!(Form::wanted(prometheus), Form::OpenMetrics);
        for other in ["", "*/*", "text/plain", "text/html"] {
            assert_eq!(Form::wanted(other), Form::Prometheus);
        }
    }

    #[test]
    fn the_older_form_names_counters_with_their_suffix() {
        let newer = "# HELP a_b Some.\n# TYPE a_b counter\na_b_total{x=\"y\"} 3\n\
                     # HELP c_seconds Time.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\n\
                     c_seconds 1.5\n# EOF\n";
        let older = "# HELP a_b_total Some.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 3\n\
                     # HELP c_seconds Time.\n# TYPE c_seconds gauge\nc_seconds 1.5\n";
        assert_eq!(without_openmetrics(newer).as_deref(), Ok(older));
    }
}
