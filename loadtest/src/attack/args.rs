//! The options of `loadtest attack`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::{count, rate, time};

const EXAMPLES: &str = "\
Examples:
  loadtest attack --list
  loadtest attack --all http://127.0.0.1:8080/plaintext --admin http://127.0.0.1:9090/metrics --pid 4711
  loadtest attack --only slowloris-head,no-read http://127.0.0.1:8080/plaintext
  loadtest attack --all http://127.0.0.1:8080/plaintext --server-config config/attack.toml

Beside each attack well-behaved clients ask for the URL at a fixed rate. An attack is passed when these saw
no error and no p99 above the bound, every hostile connection was ended as and when it had to be,
the server's ledger has them under the right reason and balances, and its memory came back. What could not
be looked at makes it UNVERIFIED; what is wrong is INVALID where this client was itself too slow to judge.

With the default timeouts of a server an attack takes up to two minutes; config/attack.toml has short ones.

Exit status: 0 when no attack failed, 1 when one failed or was invalid, 2 for a mistake in the
command line.";

/// Attack an HTTP/1.1 server of your own, beside well-behaved clients.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttackArgs {
    /// What the well-behaved clients request, such as http://127.0.0.1:8080/plaintext
    #[arg(required_unless_present = "list")]
    pub(crate) url: Option<String>,
    /// Run every attack
    #[arg(long, conflicts_with = "only")]
    pub(crate) all: bool,
    /// Run these attacks only
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', hide_possible_values = true,
          value_parser = PossibleValuesParser::new(super::all().map(super::Attack::name)))]
    pub(crate) only: Vec<String>,
    /// Name the attacks and what they do, and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Where the server exports its ledger, such as http://127.0.0.1:9090/metrics
    #[arg(long, value_name = "URL")]
    pub(crate) admin: Option<String>,
    /// Process of the server on this machine, to watch its memory
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// Hostile connections at a time
    #[arg(long, short = 'c', value_name = "N", default_value = "200", value_parser = count)]
    pub(crate) connections: u64,
    /// How long an attack goes on that has no end of its own
    #[arg(long, short = 'd', value_name = "TIME", default_value = "3s", value_parser = time)]
    pub(crate) duration: Duration,
    /// Requests of the well-behaved clients per second, over all of them
    #[arg(long, short = 'r', value_name = "PER_SECOND", default_value = "200", value_parser = rate)]
    pub(crate) rate: f64,
    /// Well-behaved clients
    #[arg(long, value_name = "N", default_value = "20", value_parser = count)]
    pub(crate) clients: u64,
    /// How long the quiet server is measured first
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = time)]
    pub(crate) quiet: Duration,
    /// Highest p99 of the well-behaved clients [default: twice the quiet one, and 5 ms]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) p99_max: Option<Duration>,
    /// Takes the server's timeouts from its own configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) server_config: Option<PathBuf>,
    /// How long the server waits for a head [default: monoloop's, 10s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) head_timeout: Option<Duration>,
    /// How long the server keeps an idle connection [default: monoloop's, 75s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) idle_timeout: Option<Duration>,
    /// How long the server waits for more of a body [default: monoloop's, 20s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) body_timeout: Option<Duration>,
    /// How long the server waits for a peer that does not read [default: monoloop's, 30s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) write_timeout: Option<Duration>,
    /// How much later than its timeout the server may act; more on a machine that is busy
    #[arg(long, value_name = "TIME", default_value = "1500ms", value_parser = time)]
    pub(crate) grace: Duration,
    /// Path on the same server that takes the body of a POST
    #[arg(long, value_name = "PATH", default_value = "/echo")]
    pub(crate) post_path: String,
    /// Path on the same server that opens a WebSocket
    #[arg(long, value_name = "PATH", default_value = "/ws")]
    pub(crate) ws_path: String,
    /// What the server's memory may have grown by when an attack is over, in MiB: allocators keep
    /// what they may need again
    #[arg(long, value_name = "MIB", default_value = "16", value_parser = count)]
    pub(crate) memory_margin: u64,
    /// Source addresses of the hostile connections [default: 127.0.66.1-127.0.66.16 on loopback]
    #[arg(long, value_name = "ADDRS")]
    pub(crate) source: Option<String>,
    /// Attack an address that is neither loopback nor private. You answer for it
    #[arg(long)]
    pub(crate) i_own_this_server: bool,
    /// Writes all results and options to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
