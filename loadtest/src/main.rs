//! `loadtest`: loads a server with thousands of connections from one thread, and prints what
//! came of it.
//!
//! The command line ([`cli`]) becomes a checked [`plan`]; [`control`] runs it on a loop of its own,
//! where [`connection`] keeps each connection busy with a protocol ([`http`], [`echo`]) at a
//! [`pace`] (the [`roster`] says whose turn it is); what they [`record`] becomes an [`outcome`], shown as a [`report`] and as [`json`].
//! [`attack`] runs hostile peers beside such a load; [`ledger`] and [`memory`] are the server's side of
//! the matter, which [`server_watch`] compares.

mod answers;
mod attack;
mod backoff;
mod cli;
mod connection;
mod control;
mod cpu;
mod demo;
mod echo;
mod fault;
mod format;
mod http;
mod json;
mod ledger;
mod load;
mod memory;
mod open_files;
mod outcome;
mod pace;
mod plan;
mod progress;
mod record;
mod report;
mod request;
mod roster;
mod server_watch;
mod sources;
mod target;
mod usage;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// A mistake in the command line, as clap reports its own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Http(args) => Plan::http(args).map_err(Failure::from).and_then(run),
        Command::Echo(args) => Plan::echo(args).map_err(Failure::from).and_then(run),
        Command::Demo(args) => demo::run(args),
        Command::Attack(args) => attack::run(args),
    };
    code.unwrap_or_else(|failure| failure.print())
}

fn run(plan: Plan) -> Result<ExitCode, Failure> {
    open_files::make_room(plan.connections as u64, 1)?;
    finish(&load(plan)?)
}

fn load(plan: Plan) -> Result<Outcome, Failure> {
    print(&report::render_plan(&plan));
    Ok(control::run(plan)?)
}

/// Shows the result; says with the exit status whether there was one.
fn finish(outcome: &Outcome) -> Result<ExitCode, Failure> {
    print(&report::render(outcome));
    if let Some(path) = &outcome.plan.json {
        json::write(path, outcome).map_err(|error| {
            usage::UsageError::new(
                format!("--json {}", path.display()),
                format!("the file cannot be written: {error}"),
                "Give a path in a directory that exists and may be written to.",
            )
        })?;
    }
    Ok(
        if outcome.has_succeeded() && outcome.server.is_reconciled() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
    )
}

/// Prints to standard output. That nobody reads it is no reason to fail.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Why there is no result.
enum Failure {
    Usage(usage::UsageError),
    System(io::Error),
    Server(monoloop::ServerError),
}

impl Failure {
    fn print(&self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                eprintln!("error: {error}");
                ExitCode::from(USAGE)
            }
            Self::System(error) => {
                eprintln!("error: the system refused what the run needs: {error}");
                ExitCode::FAILURE
            }
            Self::Server(error) => {
                eprintln!("error: the demo's server cannot start: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

impl From<monoloop::ServerError> for Failure {
    fn from(error: monoloop::ServerError) -> Self {
        Self::Server(error)
    }
}

impl From<usage::UsageError> for Failure {
    fn from(error: usage::UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
