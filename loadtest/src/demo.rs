//! `loadtest demo`: a server and its load in one process, for those who have just arrived.

use std::process::ExitCode;
use std::time::Duration;

use monoloop::{Router, Running, Server, ServerError};

use crate::cli::DemoArgs;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::{Failure, format, open_files, report};

/// Connections the server takes beyond those of the load: the reader's browser.
const GUESTS: usize = 64;
/// Nothing is left to drain once the client is gone.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts a server on a thread of its own and a free port, loads it from this thread, and says
/// how to read the result.
pub(crate) fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    Plan::check_demo(&args)?;
    let connections = Plan::demo_connections(&args);
    // Both ends of each connection are files of this process.
    open_files::make_room(connections, 2)?;
    let server = start_server(usize::try_from(connections).unwrap_or(usize::MAX))?;
    let plan = Plan::demo(args, server.local_addr())?;

    crate::print(&describe(&plan));
    let outcome = crate::load(plan)?;
    server.stop();
    let code = crate::finish(&outcome)?;
    crate::print(&explain(&outcome));
    Ok(code)
}

fn start_server(connections: usize) -> Result<Running, ServerError> {
    let app = || Router::new().get("/plaintext", |_| async { "Hello, World!" });
    Server::bind("127.0.0.1:0")?
        .threads(1)
        .connections_max(connections.saturating_add(GUESTS))
        .drain_timeout(DRAIN_TIMEOUT)
        .start(app)
}

fn describe(plan: &Plan) -> String {
    format!(
        "An HTTP server has been started in this process. It runs on one thread and listens at\n\
         http://{}/plaintext (open it in a browser while the run lasts).\n\
         A second thread is the load client. What it is about to do:\n\n",
        plan.address
    )
}

/// How to read the table, in the numbers of this very run.
fn explain(outcome: &Outcome) -> String {
    if !outcome.has_succeeded() {
        return String::new();
    }
    let server_share = outcome.share_of_core(outcome.cpu.others()) * 100.0;
    let server_cpu = format::duration(outcome.cpu_per_answer(outcome.cpu.others()));
    let connections = format::count(outcome.plan.connections as u64);
    let per_second = format::rate(outcome.per_second(outcome.record.answered()));
    let (name, latency) = match outcome.plan.rate {
        Some(_) => ("since due", &outcome.record.corrected),
        None => ("since sent", &outcome.record.service),
    };
    let (median, tail) = (latency.percentile(50.0), latency.percentile(99.0));
    let (median, tail) = (format::duration(median), format::duration(tail));
    let next = report::next_step(&outcome.plan);
    format!(
        "\nHow to read it: one server thread answered {connections} clients {per_second} times a \
         second, using\n{server_share:.0} % of one core, {server_cpu} for each answer. In the row \
         \"{name}\" half of all answers\ntook at most {median} (p50) and one in a hundred took \
         more than {tail} (p99).\n{next}\n"
    )
}
