//! The result as a table for people.

use std::fmt::Write;

use crate::format;
use crate::outcome::{Ended, Outcome};
use crate::plan::{Plan, Stop};
use crate::record::{Durations, Faults};

/// Percentiles in the table, with their headings.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// What the run is going to do, in two lines.
pub(crate) fn render_plan(plan: &Plan) -> String {
    let connections = match plan.connections {
        1 => "1 connection".to_owned(),
        many => format!("{} connections", format::count(many as u64)),
    };
    let pace = match plan.rate {
        Some(rate) => format!("open loop, {} requests due per second", format::rate(rate)),
        None => "closed loop".to_owned(),
    };
    let pipeline = match plan.pipeline {
        1 => String::new(),
        depth => format!(", {depth} requests per write"),
    };
    let length = match plan.stop {
        Stop::After(duration) => format::duration(duration),
        Stop::Requests(1) => "1 request".to_owned(),
        Stop::Requests(requests) => format!("{} requests", format::count(requests)),
    };
    let warmup = match plan.warmup {
        warmup if warmup.is_zero() => String::new(),
        warmup => format!(" after {} of warm-up", format::duration(warmup)),
    };
    let work = plan.describe_work();
    format!("{work}\n{connections}, {pace}{pipeline}, {length}{warmup}\n")
}

/// What to try after a closed or an open loop.
pub(crate) fn next_step(plan: &Plan) -> &'static str {
    match plan.rate {
        None => {
            "Every client asks again as soon as it is answered, so this is the most the server can do\n\
             and the latency is that of a full queue. What users would see at a load it can bear:\n\
             loadtest demo --rate 5000"
        }
        Some(_) => {
            "Requests were due at fixed times, and a request that had to wait counts its waiting. What\n\
             the server can do at most: loadtest demo"
        }
    }
}

/// The result of a run.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    render_end(outcome, &mut text);
    // A run that never got to its measurement has no numbers, only reasons.
    if !outcome.measured.is_zero() {
        render_totals(outcome, &mut text);
        render_latency(outcome, &mut text);
    }
    render_troubles(outcome, &mut text);
    render_server(outcome, &mut text);
    for (index, warning) in outcome.warnings().iter().enumerate() {
        let separator = if index == 0 {
            "
"
        } else {
            ""
        };
        line(&mut text, format_args!("{separator}! {warning}"));
    }
    text
}

fn render_end(outcome: &Outcome, text: &mut String) {
    match outcome.ended {
        Ended::Time | Ended::Requests => {}
        Ended::Interrupted => line(
            text,
            format_args!("\nINTERRUPTED: the run was ended early."),
        ),
        Ended::GaveUp => line(text, format_args!("\nGAVE UP: no connection was left.")),
    }
}

fn render_totals(outcome: &Outcome, text: &mut String) {
    let record = &outcome.record;
    let answered = record.answered();
    let measured = format::duration(outcome.measured);
    let per_second = format::rate(outcome.per_second(answered));
    line(
        text,
        format_args!(
            "\nanswered      {} in {measured}, {per_second}/s",
            format::count(answered)
        ),
    );
    for (name, bytes) in [
        ("received", record.received_bytes),
        ("sent", record.sent_bytes),
    ] {
        let total = format::bytes(bytes as f64);
        let per_second = format::bytes(outcome.per_second(bytes));
        line(text, format_args!("{name:<13} {total}, {per_second}/s"));
    }
    let statuses: Vec<String> = record
        .statuses()
        .map(|(code, count)| format!("{code}: {}", format::count(count)))
        .collect();
    if !statuses.is_empty() {
        line(text, format_args!("status        {}", statuses.join(", ")));
    }
}

fn render_latency(outcome: &Outcome, text: &mut String) {
    let record = &outcome.record;
    let rows = [
        ("since due", &record.corrected),
        ("since sent", &record.service),
        ("sent late by", &record.send_lag),
        ("connecting", &record.connections.connect),
    ];
    let mut heading = "\nlatency      ".to_owned();
    for name in PERCENTILES
        .map(|(name, _)| name)
        .into_iter()
        .chain(["max", "mean", "stddev"])
    {
        // Writing to a string cannot fail.
        let _ = write!(heading, "{name:>9}");
    }
    line(text, format_args!("{heading}"));
    for (name, durations) in rows {
        if !durations.is_empty() {
            line(
                text,
                format_args!("{name:<13}{}", render_durations(durations)),
            );
        }
    }
}

fn render_durations(durations: &Durations) -> String {
    let percentiles = PERCENTILES.map(|(_, percentile)| durations.percentile(percentile));
    let others = [durations.max(), durations.mean(), durations.stddev()];
    let cells = percentiles.into_iter().chain(others);
    cells
        .map(|cell| format!("{:>9}", format::duration(cell)))
        .collect()
}

fn render_troubles(outcome: &Outcome, text: &mut String) {
    let record = &outcome.record;
    let connections = &record.connections;
    line(
        text,
        format_args!("\nerrors        {}", render_faults(&record.failed)),
    );

    let made = format::count(connections.connect.count() - connections.reconnects);
    let set_up = format::duration(outcome.set_up);
    let open = format::count(outcome.open as u64);
    let mut life = format!("{made} made in {set_up}, {open} open at the end");
    if connections.reconnects > 0 {
        let _ = write!(
            life,
            "; {} made again",
            format::count(connections.reconnects)
        );
    }
    line(text, format_args!("connections   {life}"));
    let ends = [
        ("ended by an answer", connections.closed_by_answer),
        ("closed while idle", connections.closed_idle),
        ("broken", connections.broken),
    ];
    let ends: Vec<String> = ends
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", format::count(count)))
        .collect();
    if !ends.is_empty() {
        line(text, format_args!("              {}", ends.join(", ")));
    }
    if connections.failed.total() > 0 {
        line(
            text,
            format_args!(
                "              failed: {}",
                render_faults(&connections.failed)
            ),
        );
    }
    if record.resent > 0 {
        let resent = format::count(record.resent);
        line(
            text,
            format_args!(
                "              {resent} requests sent again after an answer ended their connection"
            ),
        );
    }

    if outcome.in_flight > 0 {
        let in_flight = format::count(outcome.in_flight);
        let age = match outcome.oldest_in_flight {
            Some(age) => format!(", the oldest for {}", format::duration(age)),
            None => String::new(),
        };
        line(
            text,
            format_args!("in flight     {in_flight} at the end{age}; neither answered nor errors"),
        );
    }
    if outcome.has_succeeded() {
        let share = outcome.cpu_share() * 100.0;
        let each = format::duration(outcome.cpu_per_answer(outcome.cpu.thread));
        line(
            text,
            format_args!("client        {share:.0} % of one core, {each} of CPU per answer"),
        );
    }
}

fn render_server(outcome: &Outcome, text: &mut String) {
    let server = &outcome.server;
    if let (Some(first), Some(max), Some(last)) = (
        server.memory.first(),
        server.memory.max(),
        server.memory.last(),
    ) {
        let bytes = |bytes: u64| format::bytes(bytes as f64);
        let slope = match server.memory.slope_per_second() {
            Some(slope) => format!(", {slope:+.0} B a second over the second half"),
            None => String::new(),
        };
        line(
            text,
            format_args!(
                "memory        {} at first, {} at most, {} at the end{slope}",
                bytes(first),
                bytes(max),
                bytes(last)
            ),
        );
    }
    let Some(found) = &server.reconciliation else {
        return;
    };
    let word = if found.is_exact() {
        "reconciled"
    } else {
        "NOT reconciled"
    };
    if let Some(error) = &found.unreadable {
        line(
            text,
            format_args!("{word}: the ledger cannot be read: {error}"),
        );
        return;
    }
    let [made, accepted] = found.connections.map(format::count);
    let [answered, ok] = found.answered.map(format::count);
    line(
        text,
        format_args!(
            "{word:<13} client {made} connections, {answered} answers; server {accepted} \
             connections, {ok} requests ok"
        ),
    );
    for (reason, count) in &found.otherwise {
        line(
            text,
            format_args!(
                "              server: {} requests {reason}",
                format::count(*count)
            ),
        );
    }
    let [before, after] = found.in_flight;
    if after > before || !found.is_balanced {
        let balance = if found.is_balanced {
            ""
        } else {
            "; its ledger does not balance"
        };
        line(
            text,
            format_args!(
                "              server: {before} connections in flight before, {after} after{balance}"
            ),
        );
    }
}

fn render_faults(faults: &Faults) -> String {
    let each: Vec<String> = faults
        .iter()
        .map(|fault| {
            let remedy = fault
                .kind
                .remedy()
                .map_or(String::new(), |remedy| format!(": {remedy}"));
            let (count, name) = (format::count(fault.count), fault.kind.name());
            format!("{count} {name} ({}{remedy})", fault.first)
        })
        .collect();
    if each.is_empty() {
        "none".to_owned()
    } else {
        each.join(", ")
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::outcome::tests::outcome;

    #[test]
    fn a_plan_is_two_lines() {
        let mut plan = outcome().plan;
        assert_eq!(
            render_plan(&plan),
            "echo of 64 bytes at 127.0.0.1:7000\n\
             1,000 connections, closed loop, 10.0 s after 1.00 s of warm-up\n"
        );
        plan.rate = Some(5_000.0);
        plan.pipeline = 16;
        plan.stop = Stop::Requests(100_000);
        plan.warmup = Duration::ZERO;
        assert_eq!(
            render_plan(&plan),
            "echo of 64 bytes at 127.0.0.1:7000\n\
             1,000 connections, open loop, 5,000 requests due per second, 16 requests per write, \
             100,000 requests\n"
        );
    }

    #[test]
    fn a_clean_run_is_a_table_without_warnings() {
        let mut outcome = outcome();
        for microseconds in 1..=200_000 {
            outcome
                .record
                .service
                .record(Duration::from_micros(microseconds / 10));
            outcome.record.status(200);
        }
        outcome.record.received_bytes = 30_000_000;
        outcome.record.sent_bytes = 8_000_000;
        let expected = "
answered      200,000 in 10.0 s, 20,000/s
received      30.0 MB, 3.00 MB/s
sent          8.00 MB, 800 kB/s
status        200: 200,000

latency            p50      p90      p99    p99.9   p99.99      max     mean   stddev
since sent     10.0 ms  18.0 ms  19.8 ms  20.0 ms  20.0 ms  20.0 ms  10.0 ms  5.77 ms
connecting     1.00 ms  1.00 ms  1.00 ms  1.00 ms  1.00 ms  1.00 ms  1.00 ms     0 ns

errors        none
connections   1,000 made in 100 ms, 1,000 open at the end
client        40 % of one core, 20.0 µs of CPU per answer
";
        assert_eq!(render(&outcome), expected);
    }

    #[test]
    fn a_run_that_never_measured_shows_reasons_and_no_numbers() {
        let mut outcome = outcome();
        outcome.ended = Ended::GaveUp;
        outcome.measured = Duration::ZERO;
        let refused = Fault::new(FaultKind::ConnectRefused, "Connection refused");
        outcome.record.connections.failed.add(&refused, 11);
        let text = render(&outcome);
        assert!(text.contains("failed: 11 connect_refused"), "{text}");
        assert!(
            !text.contains("answered") && !text.contains("latency"),
            "{text}"
        );
    }

    #[test]
    fn troubles_are_named_with_their_first_words() {
        let mut outcome = outcome();
        outcome.ended = Ended::Interrupted;
        outcome.in_flight = 7;
        outcome.oldest_in_flight = Some(Duration::from_millis(20));
        let record = &mut outcome.record;
        record.service.record(Duration::from_millis(1));
        record
            .failed
            .add(&Fault::new(FaultKind::Timeout, "no answer within 1s"), 3);
        let refused = Fault::new(FaultKind::ConnectRefused, "Connection refused");
        record.connections.failed.add(&refused, 2);
        record.connections.reconnects = 5;
        record.connections.broken = 3;
        let text = render(&outcome);
        for part in [
            "INTERRUPTED",
            "errors        3 timeout (no answer within 1s)",
            "995 made in 100 ms, 1,000 open at the end; 5 made again",
            "              3 broken",
            "failed: 2 connect_refused (Connection refused: is the server running",
            "in flight     7 at the end, the oldest for 20.0 ms",
            "! 3 requests failed",
            "! p99 and beyond rest on fewer than ten answers",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
