//! All that is measured, for a registry to write.
//!
//! Nothing is kept here: the numbers are read where they are counted, once for each time that
//! somebody asks.

use super::vitals::{Told, Vitals};
use crate::ledger::{BUCKETS, LedgerSnapshot, RouteTally, Tally, bucket_end};
use monoloop_runtime::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::time::Duration;

/// A server at one moment.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) ledger: LedgerSnapshot,
    pub(super) routes: Vec<RouteTally>,
    pub(super) loops: Vec<Vitals>,
    pub(super) log_lines_lost: u64,
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut Writer(&mut encoder);
        self.encode_build(to)?;
        self.encode_ledger(to)?;
        self.encode_routes(to)?;
        self.encode_loops(to)?;
        self.encode_blocking(to)
    }
}

impl Metrics {
    fn encode_build(&self, to: &mut Writer<'_, '_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        to.gauges("build_info", "Always 1", [(version, 1_u64)])?;
        let lost = "Lines that were logged and never reached the output";
        to.counter("log_lines_lost", lost, self.log_lines_lost)
    }

    fn encode_ledger(&self, to: &mut Writer<'_, '_>) -> fmt::Result {
        let LedgerSnapshot {
            connections,
            requests,
            responses,
            open,
            accept_errors,
        } = &self.ledger;
        for (started, in_flight, tally) in [
            ("connections", "connections_in_flight", connections),
            ("requests", "requests_in_flight", requests),
        ] {
            to.counter(started, "How many have started", tally.started())?;
            let help = "How many have started and not ended";
            to.gauge(in_flight, help, tally.in_flight())?;
        }
        to.tally("connections_ended", "Connections that ended", connections)?;
        to.tally("requests_ended", "Requests that ended", requests)?;
        to.gauge("connections_open", "Open connections", *open as u64)?;
        to.counter(
            "accept_errors",
            "How often accepting rested because descriptors or memory ran out",
            *accept_errors,
        )?;
        let classes = [
            ("2xx", responses.success),
            ("3xx", responses.redirection),
            ("4xx", responses.client_error),
            ("5xx", responses.server_error),
        ];
        let rows = classes.map(|(class, count)| ([("class", class)], count));
        to.counters("responses", "Responses by the class of their status", rows)
    }

    fn encode_routes(&self, to: &mut Writer<'_, '_>) -> fmt::Result {
        let labelled = || self.routes.iter().map(|it| (it.label.as_str(), it));
        let classes = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let rows = labelled().flat_map(|(label, route)| {
            let counted = classes.into_iter().zip(route.classes);
            let counted = counted.filter(|(_, count)| *count > 0);
            counted.map(move |(class, count)| ([("route", label), ("class", class)], count))
        });
        let help = "Responses by route and by the class of their status";
        to.counters("route_responses", help, rows)?;
        let rows = labelled().map(|(label, route)| {
            let sum = Duration::from_micros(route.micros).as_secs_f64();
            let ends = (0..BUCKETS).map(bucket_end).zip(route.buckets);
            let buckets: Vec<_> = ends.map(|(end, count)| (le(end), count)).collect();
            ([("route", label)], sum, buckets)
        });
        let help = "From when the loop found that a request had come to the end of its answer";
        to.histograms("request_duration", help, rows)
    }

    fn encode_loops(&self, to: &mut Writer<'_, '_>) -> fmt::Result {
        let responding = self.loops.iter().map(|it| {
            let is_well = u64::from(it.told.is_some());
            ([("loop", it.number.to_string())], is_well)
        });
        to.gauges("loop_responding", "0 when it is stuck", responding)?;
        let rows = |read: fn(&Told) -> u64| self.of_loops(read);
        to.counters("loop_turns", "Turns taken", rows(|it| it.stats.turns))?;
        to.counters("loop_steps", "Tasks stepped", rows(|it| it.stats.steps))?;
        to.gauges("loop_tasks", "Tasks", rows(|it| it.stats.tasks as u64))?;
        to.gauges("loop_timers", "Timers", rows(|it| it.stats.timers as u64))?;
        to.gauges(
            "loop_sockets",
            "Sockets",
            rows(|it| it.stats.sockets as u64),
        )?;
        let rows = |read: fn(&Told) -> f64| self.of_loops(read);
        let help = "Time in which the loop did something";
        to.seconds("loop_busy", help, rows(|it| it.lag.busy().as_secs_f64()))?;
        let help = "Time in which the loop waited for something to do";
        to.seconds(
            "loop_waiting",
            help,
            rows(|it| it.lag.waiting().as_secs_f64()),
        )?;

        let help = "How long nobody looked for I/O and no timer fired";
        to.histograms(
            "loop_turn",
            help,
            self.lag_of_loops(|it| it.lag.turn_time()),
        )?;
        let help =
            "From when a task was ready to its step, at most; the sum is of the buckets' ends";
        let rows = self.lag_of_loops(|it| it.lag.queue_delay());
        to.histograms("loop_queue_delay", help, rows)
    }

    fn encode_blocking(&self, to: &mut Writer<'_, '_>) -> fmt::Result {
        let rows = |read: fn(&Told) -> u64| self.of_loops(read);
        for (name, help, read) in BLOCKING {
            to.gauges(name, help, rows(read))?;
        }
        let help = "Jobs that have run in the blocking pool";
        to.counters("blocking_jobs", help, rows(|it| it.blocking.finished))?;
        let help = "The longest that a job has waited for its thread";
        let longest = self.of_loops(|it| it.blocking.longest_wait.as_secs_f64());
        to.gauges("blocking_longest_wait_seconds", help, longest)
    }

    fn of_loops<V>(&self, read: fn(&Told) -> V) -> impl Iterator<Item = (LoopLabel<'_>, V)> {
        self.loops.iter().filter_map(move |it| {
            let told = it.told.as_ref()?;
            Some(([("loop", it.number.to_string())], read(told)))
        })
    }

    fn lag_of_loops(
        &self,
        read: fn(&Told) -> &Histogram,
    ) -> impl Iterator<Item = HistogramRow<LoopLabel<'_>>> {
        self.loops.iter().filter_map(move |it| {
            let (sum, buckets) = coarse(read(it.told.as_ref()?));
            Some(([("loop", it.number.to_string())], sum, buckets))
        })
    }
}

/// A loop's number, as a label.
type LoopLabel<'a> = [(&'a str, String); 1];

/// Labels, the sum, and what each bucket ends with and holds.
type HistogramRow<L> = (L, f64, Vec<(f64, u64)>);

/// A name, what it is, and where it is read.
type GaugeOfLoop = (&'static str, &'static str, fn(&Told) -> u64);

/// What is told of a blocking pool as it is.
const BLOCKING: [GaugeOfLoop; 5] = [
    ("blocking_threads", "Threads of the blocking pool", |it| {
        it.blocking.threads as u64
    }),
    ("blocking_idle", "Threads that have nothing to do", |it| {
        it.blocking.idle as u64
    }),
    ("blocking_running", "Jobs that run", |it| {
        it.blocking.running as u64
    }),
    ("blocking_queued", "Jobs that wait for a thread", |it| {
        it.blocking.queued as u64
    }),
    (
        "blocking_in_line",
        "Callers that wait for a place in the queue",
        |it| it.blocking.in_line as u64,
    ),
];

/// The buckets of a loop's histogram, four of them in one, so that there are as many as of a
/// route; and the sum of the ends of all that is in it.
fn coarse(histogram: &Histogram) -> (f64, Vec<(f64, u64)>) {
    let mut buckets: Vec<_> = (0..BUCKETS).map(|it| (le(bucket_end(it)), 0)).collect();
    let mut sum = 0.0;
    for (end, count) in histogram.buckets() {
        // The last bucket ends nowhere.
        let end = end.min(histogram.max()).as_secs_f64();
        sum += end * count as f64;
        let bucket = buckets.iter_mut().find(|(le, _)| end <= *le);
        bucket.expect("the last bucket takes everything").1 += count;
    }
    (sum, buckets)
}

fn le(end: Option<Duration>) -> f64 {
    end.map_or(f64::INFINITY, |end| end.as_secs_f64())
}

/// Writes families of metrics.
struct Writer<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Writer<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = (self.0).encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = (self.0).encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.rows(name, help, None, rows)
    }

    /// Counters of seconds.
    fn seconds<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        self.rows(name, help, Some(&Unit::Seconds), rows)
    }

    fn rows<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = (self.0).encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in rows {
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = (self.0).encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn tally(&mut self, name: &str, help: &str, tally: &Tally) -> fmt::Result {
        let rows = tally.ended();
        let rows = rows.map(|(reason, count)| ([("reason", reason.name())], count));
        self.counters(name, help, rows)
    }

    /// Histograms of seconds.
    fn histograms<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = HistogramRow<L>>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut family = (self.0).encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (labels, sum, buckets) in rows {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let mut metric = family.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
