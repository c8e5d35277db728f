//! `monoloop cancel`: asks a task to end.

use crate::failure::Failure;
use crate::{Target, format};
use clap::Args;
use monoloop::TaskId;
use monoloop::introspect::{Ask, Reply};
use std::io::{self, Write};

#[derive(Args)]
pub(crate) struct Flags {
    /// The task, as `monoloop ps` shows it: 17.3, or 1/17.3 in loop 1
    #[arg(value_name = "ID", value_parser = task)]
    task: (Option<usize>, TaskId),
}

fn task(text: &str) -> Result<(Option<usize>, TaskId), String> {
    let (number, id) = match text.split_once('/') {
        None => (None, text),
        Some((number, id)) => {
            let number = number.parse();
            let number = number.map_err(|_| "before the / stands the number of a loop");
            (Some(number?), id)
        }
    };
    let id = id.parse().map_err(|error| format!("{error}"));
    Ok((number, id?))
}

pub(crate) fn run(target: &Target, flags: &Flags) -> Result<(), Failure> {
    let (number, id) = flags.task;
    let ask = Ask::Cancel {
        number,
        task: id.to_string(),
    };
    let mut cancelled = None;
    target
        .client()?
        .ask(&ask, |reply| cancelled = Some(reply))?;
    let to = &mut io::stdout().lock();
    match cancelled {
        Some(reply @ Reply::Cancelled { .. }) if target.json => {
            serde_json::to_writer(&mut *to, &reply).map_err(io::Error::from)?;
            writeln!(to)?;
        }
        Some(Reply::Cancelled { task, name }) => {
            let name = name.map_or_else(String::new, |name| format!(" ({})", format::text(&name)));
            writeln!(to, "asked {}{name} to end", format::text(&task))?;
        }
        _ => return Err(Failure::failed("the server did not say what became of it")),
    }
    Ok(())
}
