//! `monoloop trace`: what the next turns of a loop do, stage by stage.

use crate::failure::Failure;
use crate::{Target, format};
use clap::Args;
use monoloop::introspect::{Ask, Reply, TurnReport};
use std::io::{self, Write};
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Flags {
    /// How many turns, from 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    turns: u32,

    /// Of which loop, when the server has several
    #[arg(long = "loop", value_name = "NUMBER", default_value_t = 0)]
    number: usize,

    /// How long to wait for them, at most 60s: a loop with nothing to do takes no turn
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match duration <= Duration::from_secs(60) {
        true => Ok(duration),
        false => Err("at most 60s".to_owned()),
    }
}

pub(crate) fn run(target: &Target, flags: &Flags) -> Result<(), Failure> {
    let ask = Ask::Trace {
        number: flags.number,
        turns: flags.turns,
        timeout_ms: u64::try_from(flags.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let mut written = Ok(());
    target.client()?.ask(&ask, |reply| {
        if written.is_ok() {
            written = write_reply(target.json, &reply);
        }
    })?;
    Ok(written?)
}

fn write_reply(json: bool, reply: &Reply) -> io::Result<()> {
    let to = &mut io::stdout().lock();
    match reply {
        Reply::Turn(turn) if json => {
            serde_json::to_writer(&mut *to, turn)?;
            writeln!(to)
        }
        Reply::Turn(turn) => write_turn(to, turn),
        Reply::End {
            reason: Some(reason),
        } => writeln!(io::stderr(), "{}", format::text(reason)),
        _ => Ok(()),
    }
}

/// The stages in their order.
fn write_turn(to: &mut dyn Write, turn: &TurnReport) -> io::Result<()> {
    writeln!(to, "turn {}", turn.number)?;
    match turn.polled {
        true => writeln!(
            to,
            "  I/O    polled, waited {}: {}",
            format::time(turn.waited_us),
            counted(turn.events, "completion", "completions")
        )?,
        false => writeln!(to, "  I/O    not polled: tasks are ready")?,
    }
    writeln!(to, "  timers {} fired", turn.timers)?;
    writeln!(
        to,
        "  inbox  {} of other threads",
        counted(turn.inbox, "call or wake", "calls and wakes")
    )?;
    writeln!(
        to,
        "  tasks  {} stepped in {}",
        turn.steps,
        format::time(turn.took_us)
    )?;
    for step in &turn.stepped {
        writeln!(
            to,
            "         {:>6}  {} {}",
            format::time(step.took_us),
            format::text(&step.id),
            format::name(step.name.as_deref(), &step.place)
        )?;
    }
    match turn.steps.saturating_sub(turn.stepped.len()) {
        0 => Ok(()),
        more => writeln!(to, "         and {more} more"),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}
