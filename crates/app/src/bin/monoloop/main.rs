//! The `monoloop` command: looks into a running server.
//!
//! ```text
//! http_server --socket /run/http.sock &
//! export MONOLOOP_SOCKET=/run/http.sock
//! monoloop ps                # the tasks: what each waits on, and since when
//! monoloop pstree            # who spawned whom
//! monoloop top               # live, the busiest first
//! monoloop trace --turns 5   # what the loop's next turns do
//! monoloop cancel 17.3
//! ```
//! The status is 0 when the question was answered, 1 when it was not, 2 for wrong usage.

mod cancel;
mod failure;
mod format;
mod ps;
mod pstree;
mod table;
mod terminal;
mod top;
mod trace;

use clap::{Args, Parser, Subcommand};
use failure::Failure;
use monoloop::introspect::{Ask, Client, Reply, Report};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Look into a running monoloop server
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Flags {
    #[command(flatten)]
    target: Target,

    #[command(subcommand)]
    command: Command,
}

/// Whom to ask, and how to answer.
#[derive(Args)]
struct Target {
    /// The socket that the server was started with
    #[arg(long, value_name = "PATH", env = "MONOLOOP_SOCKET", global = true)]
    socket: Option<PathBuf>,

    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the tasks: what each waits on, and since when
    Ps(ps::Flags),
    /// Show which task spawned which
    Pstree,
    /// Watch the busiest tasks, live
    Top(top::Flags),
    /// Print what the next turns of a loop do, stage by stage
    Trace(trace::Flags),
    /// Ask a task to end
    Cancel(cancel::Flags),
}

fn main() -> ExitCode {
    let Flags { target, command } = Flags::parse();
    let done = match command {
        Command::Ps(flags) => ps::run(&target, &flags),
        Command::Pstree => pstree::run(&target),
        Command::Top(flags) => top::run(&target, &flags),
        Command::Trace(flags) => trace::run(&target, &flags),
        Command::Cancel(flags) => cancel::run(&target, &flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                let _ = writeln!(io::stderr(), "error: {message}");
            }
            failure.status()
        }
    }
}

impl Target {
    fn client(&self) -> Result<Client, Failure> {
        match &self.socket {
            Some(path) => Ok(Client::new(path)),
            None => Err(Failure::usage(
                "which server? give its socket with --socket PATH or MONOLOOP_SOCKET=PATH; a \
                 server opens one when it is started with --socket PATH",
            )),
        }
    }

    /// All tasks of the server.
    fn report(&self) -> Result<Report, Failure> {
        let mut report = None;
        self.client()?.ask(&Ask::Ps, |reply| {
            if let Reply::Tasks(tasks) = reply {
                report = Some(tasks);
            }
        })?;
        report.ok_or_else(|| Failure::failed("the server did not say which tasks it has"))
    }
}
