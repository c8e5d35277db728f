//! The command line: names, help and the shape of single values.
//!
//! Whatever depends on more than one value is judged in [`crate::plan`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::attack::args::AttackArgs;

const EXAMPLES: &str = "\
Examples:
  loadtest demo
  loadtest http http://127.0.0.1:8080/plaintext --connections 1000
  loadtest http http://127.0.0.1:8080/echo --body 'hello' --rate 5000 --duration 30s
  loadtest echo 127.0.0.1:7000 --size 64 --json result.json
  loadtest attack --all http://127.0.0.1:8080/plaintext

Without --rate each connection sends its next request as soon as the last is answered (closed
loop): it finds the highest throughput. With --rate requests are due at fixed times, whatever the
server does (open loop): latency is counted from the moment a request was due, so a stall
shows in the percentiles instead of merely slowing the client down.

Exit status: 0 when something was answered, 1 when nothing was or --reconcile found a difference,
2 for a mistake in the command line.";

/// Loads a server and prints honest percentiles.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load an HTTP/1.1 server.
    Http(HttpArgs),
    /// Load a TCP server that answers every byte with the same byte.
    Echo(EchoArgs),
    /// Start an HTTP server on a thread of this process and load it.
    Demo(DemoArgs),
    /// Attack an HTTP/1.1 server of your own, beside well-behaved clients.
    Attack(AttackArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// What to request, such as http://127.0.0.1:8080/plaintext
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Where the server exports its ledger, such as http://127.0.0.1:9090/metrics: at the end its
    /// connections and answered requests have to be exactly those of this run
    #[arg(long, value_name = "URL")]
    pub(crate) reconcile: Option<String>,
    /// Process of the server on this machine, to watch its memory
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct EchoArgs {
    /// Where the server listens, such as 127.0.0.1:7000
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = count)]
    pub(crate) size: u64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Request method [default: GET, or POST with --body]
    #[arg(long, short = 'X')]
    pub(crate) method: Option<String>,
    /// A header field, as 'Name: value'; may be given several times
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// Request body: the text itself, or @FILE for the content of a file
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) body: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Connections kept open [default: 64, demo: 1000]
    #[arg(long, short = 'c', value_name = "N", value_parser = count)]
    pub(crate) connections: Option<u64>,
    /// Ends the run after this time, such as 10s or 2m [default: 10s, demo: 6s]
    #[arg(long, short = 'd', value_name = "TIME", value_parser = time)]
    pub(crate) duration: Option<Duration>,
    /// Ends the run after this many requests instead
    #[arg(long, short = 'n', value_name = "N", value_parser = count)]
    pub(crate) requests: Option<u64>,
    /// Open loop: requests due per second, over all connections
    #[arg(long, short = 'r', value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Load that is not counted, before the run [default: 1s, or none with --requests]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) warmup: Option<Duration>,
    /// Requests sent in one write; the next follow when all of them are answered
    #[arg(long, short = 'p', value_name = "N", default_value = "1", value_parser = count)]
    pub(crate) pipeline: u64,
    /// How long to wait for a connection, and for an answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) timeout: Duration,
    /// New connections per second while the run is set up
    #[arg(long, value_name = "PER_SECOND", default_value = "10000", value_parser = rate)]
    pub(crate) connect_rate: f64,
    /// Source addresses, such as 127.0.0.1-127.0.0.4 or 10.0.0.5,10.0.0.6 [default: chosen as needed]
    #[arg(long, value_name = "ADDRS")]
    pub(crate) source: Option<String>,
    /// Writes all results and options to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a number with its unit, such as 10s, 500ms or 2m".to_owned())
}

pub(crate) fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_| "write a whole number, such as 1000 or 50_000".to_owned())
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("write a number per second above zero, such as 5000 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_may_be_grouped() {
        let Ok(Command::Http(args)) =
            parse("loadtest http http://h/ -c 50_000 -r 0.5").map(|cli| cli.command)
        else {
            panic!("refused");
        };
        assert_eq!(args.load.connections, Some(50_000));
        assert_eq!(args.load.rate, Some(0.5));
    }

    #[test]
    fn a_bad_value_names_itself_its_option_and_a_good_one() {
        let checks = [
            (
                "--rate fast",
                "'fast' for '--rate <PER_SECOND>': write a number per second above zero",
            ),
            ("--rate 0", "'0' for '--rate <PER_SECOND>'"),
            ("--rate nan", "'nan' for '--rate <PER_SECOND>'"),
            (
                "--duration 10",
                "'10' for '--duration <TIME>': write a number with its unit",
            ),
            ("--connections -5", "'-5'"),
            ("--connections many", "write a whole number"),
            ("--rate", "a value is required for '--rate <PER_SECOND>'"),
        ];
        for (options, expected) in checks {
            let error = parse(&format!("loadtest http http://h/ {options}"))
                .expect_err("accepted a bad value");
            assert!(error.contains(expected), "{options}: {error}");
        }
    }
}
