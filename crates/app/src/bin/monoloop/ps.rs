//! `monoloop ps`: all tasks in a table.

use crate::failure::Failure;
use crate::table::{Column, Table};
use crate::{Target, format};
use clap::{Args, ValueEnum};
use monoloop::introspect::{Report, TaskReport};
use std::cmp::Reverse;
use std::io::{self, Write};

#[derive(Args)]
pub(crate) struct Flags {
    /// What the table is sorted by
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The id: the oldest slot first
    Id,
    /// The time that its steps took, the busiest first
    Busy,
    /// The time since its last step, the longest first
    Since,
}

pub(crate) fn run(target: &Target, flags: &Flags) -> Result<(), Failure> {
    let mut report = target.report()?;
    for of in &mut report.loops {
        match flags.sort {
            Sort::Id => {}
            Sort::Busy => of.tasks.sort_by_key(|task| Reverse(task.busy_us)),
            Sort::Since => of.tasks.sort_by_key(|task| Reverse(task.since_us)),
        }
    }
    let to = &mut io::stdout().lock();
    if target.json {
        serde_json::to_writer(&mut *to, &report).map_err(io::Error::from)?;
        writeln!(to)?;
        return Ok(());
    }
    warn(&report);
    write_table(&report, usize::MAX, to, None)?;
    Ok(())
}

/// Says which loops are stuck, on stderr: the table is for programs, too.
pub(crate) fn warn(report: &Report) {
    for of in &report.loops {
        if let Some(warning) = format::warning(report, of) {
            let lines = std::iter::once(warning).chain(format::stack(of));
            for line in lines {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
    }
}

/// The tasks of all loops, at most so many.
pub(crate) fn write_table(
    report: &Report,
    rows_max: usize,
    to: &mut dyn Write,
    width: Option<usize>,
) -> io::Result<()> {
    let mut table = Table::new(&[
        Column::Left("ID"),
        Column::Left("NAME"),
        Column::Left("STATE"),
        Column::Right("SINCE"),
        Column::Right("STEPS"),
        Column::Right("BUSY"),
        Column::Right("LONGEST"),
        Column::Left("WAITS ON"),
        Column::Left("CONTEXT"),
    ]);
    let tasks =
        (report.loops.iter()).flat_map(|of| of.tasks.iter().map(move |task| (of.number, task)));
    for (number, task) in tasks.take(rows_max) {
        table.row(row(report, number, task));
    }
    table.write(to, width)
}

fn row(report: &Report, number: usize, task: &TaskReport) -> Vec<String> {
    vec![
        format::id(report, number, &task.id),
        format::name(task.name.as_deref(), &task.place),
        format::text(&task.state),
        format::time_or_dash(task.since_us),
        task.steps.to_string(),
        format::time_or_dash(task.busy_us),
        format::time_or_dash(task.longest_step_us),
        format::waits_on(task),
        format::context(&task.context),
    ]
}
