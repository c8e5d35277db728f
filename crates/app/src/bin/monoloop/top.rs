//! `monoloop top`: the busiest tasks, live. Where the output is no terminal, one table after
//! another.

use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::{Target, format, ps};
use clap::Args;
use monoloop::introspect::Report;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Flags {
    /// Time between two looks, from 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,

    /// End after so many looks; without it, at q or Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,

    /// Most tasks to show where the output is no terminal
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
}

fn interval(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&duration) {
        true => Ok(duration),
        false => Err("from 100ms to 1h".to_owned()),
    }
}

/// Calls of a loop that is stuck that are shown: the tasks have to fit, too.
const CALLS_MAX: usize = 6;

/// What tasks had done at the last look, by loop and id.
type Seen = HashMap<(usize, String), u64>;

pub(crate) fn run(target: &Target, flags: &Flags) -> Result<(), Failure> {
    // A server that is not there is told on the screen that stays.
    let mut report = target.report()?;
    let terminal = match target.json {
        true => None,
        false => Terminal::open()?,
    };
    let mut seen = Seen::new();
    for look in 1.. {
        let before = std::mem::replace(&mut seen, busy_times(&report));
        sort_by_busy_since(&mut report, &before);
        match &terminal {
            Some(terminal) => {
                let (columns, rows) = terminal.size();
                terminal.show(&page(&report, columns, rows)?)?;
            }
            None => write(target, flags, &report)?,
        }
        if flags
            .iterations
            .is_some_and(|iterations| look >= iterations)
        {
            break;
        }
        if quits_within(terminal.as_ref(), flags.interval) {
            break;
        }
        report = target.report()?;
    }
    Ok(())
}

fn busy_times(report: &Report) -> Seen {
    let tasks = (report.loops.iter()).flat_map(|of| of.tasks.iter().map(move |task| (of, task)));
    let known = |(of, task): (
        &monoloop::introspect::LoopReport,
        &monoloop::introspect::TaskReport,
    )| { Some(((of.number, task.id.clone()), task.busy_us?)) };
    tasks.filter_map(known).collect()
}

/// The busiest since the last look first; among those who did nothing, the busiest ever.
fn sort_by_busy_since(report: &mut Report, before: &Seen) {
    for of in &mut report.loops {
        let number = of.number;
        of.tasks.sort_by_cached_key(|task| {
            let busy = task.busy_us.unwrap_or(0);
            let before = before.get(&(number, task.id.clone())).copied();
            Reverse((busy.saturating_sub(before.unwrap_or(0)), busy))
        });
    }
}

/// What fits on a screen.
fn page(report: &Report, columns: usize, rows: usize) -> io::Result<String> {
    let mut text = Vec::new();
    write_heading(report, &mut text)?;
    // One line is the table's own.
    let above = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let rows_max = rows.saturating_sub(above + 1);
    ps::write_table(report, rows_max, &mut text, Some(columns))?;
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .map(|line| line.chars().take(columns).collect::<String>());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn write(target: &Target, flags: &Flags, report: &Report) -> io::Result<()> {
    let to = &mut io::stdout().lock();
    if target.json {
        serde_json::to_writer(&mut *to, report)?;
        writeln!(to)?;
    } else {
        write_heading(report, to)?;
        ps::write_table(report, flags.rows, to, None)?;
        writeln!(to)?;
    }
    to.flush()
}

fn write_heading(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let program = format::text(&report.program);
    writeln!(to, "{program}, process {}", report.pid)?;
    for of in &report.loops {
        writeln!(
            to,
            "loop {}: {} tasks, {} sockets, {} timers, {} turns, {} steps",
            of.number,
            of.tasks.len(),
            of.sockets,
            of.timers,
            of.turns,
            of.steps
        )?;
        if let Some(warning) = format::warning(report, of) {
            writeln!(to, "{warning}")?;
            for call in format::stack(of).iter().take(CALLS_MAX) {
                writeln!(to, "{call}")?;
            }
        }
    }
    Ok(())
}

fn quits_within(terminal: Option<&Terminal>, time: Duration) -> bool {
    match terminal {
        Some(terminal) => terminal.quits_within(time),
        None => {
            let (_nobody_sends, passes) = channel::<()>();
            let _ = passes.recv_timeout(time);
            false
        }
    }
}
