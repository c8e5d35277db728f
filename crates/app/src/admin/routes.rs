//! What the admin listener answers.

use super::exposition::Form;
use super::metrics::Metrics;
use super::process::Process;
use super::vitals::Loops;
use crate::ledger::{Ledger, LedgerSnapshot, Tally};
use crate::loop_state::LoopState;
use crate::trace::lost_lines;
use crate::{Json, Request, Response, Router, StatusCode};
use monoloop_runtime::{spawn_blocking, time};
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

/// `/metrics`, `/ledger`, `/health` and its two halves.
pub(super) fn routes(main: Rc<LoopState>, ledger: Ledger, loops: Loops) -> Router {
    let of_ledger = ledger.clone();
    Router::new()
        .get("/", |_| async { INDEX })
        .get("/metrics", move |request| {
            metrics(request, ledger.clone(), loops.clone())
        })
        .get("/ledger", move |_| {
            let seen = of_ledger.snapshot();
            async move { Json(as_json(&seen)) }
        })
        .get("/health/live", |_| async { "ok\n" })
        .get("/health/ready", ready(main.clone()))
        .get("/health", ready(main))
}

/// How long reading about the process may take.
const PROCESS_MAX: Duration = Duration::from_millis(500);

const INDEX: &str = "/metrics       for Prometheus\n\
                     /ledger        what became of connections and requests, as JSON\n\
                     /health        200 while new requests are welcome, 503 while the server drains\n\
                     /health/ready  the same\n\
                     /health/live   200 while the loop turns\n";

fn ready(main: Rc<LoopState>) -> impl crate::Handler {
    move |_| {
        let is_leaving = main.leaving.get();
        async move {
            match is_leaving {
                false => (StatusCode::OK, "ready\n"),
                true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            }
        }
    }
}

async fn metrics(request: Request, ledger: Ledger, loops: Loops) -> Response {
    let form = Form::wanted(request.header("accept").unwrap_or_default());
    let loops = loops.ask().await;
    let metrics = Metrics {
        ledger: ledger.snapshot(),
        routes: ledger.routes(),
        loops,
        log_lines_lost: lost_lines(),
    };
    // Thousands of descriptors take a while to count. A pool that has no thread for it is worth
    // seeing, too, so nobody waits for one.
    let read = time::timeout(PROCESS_MAX, spawn_blocking(Process::read)).await;
    let process = read.ok().and_then(Result::ok).unwrap_or_default();
    form.response(metrics, process)
}

fn as_json(seen: &LedgerSnapshot) -> Value {
    let LedgerSnapshot {
        connections,
        requests,
        responses,
        open,
        accept_errors,
    } = seen;
    json!({
        "connections": tally(connections),
        "requests": tally(requests),
        "responses": {
            "2xx": responses.success,
            "3xx": responses.redirection,
            "4xx": responses.client_error,
            "5xx": responses.server_error,
        },
        "open_connections": open,
        "accept_errors": accept_errors,
        "log_lines_lost": lost_lines(),
    })
}

fn tally(tally: &Tally) -> Value {
    let ended = tally.ended().map(|(reason, count)| (reason.name(), count));
    json!({
        "started": tally.started(),
        "in_flight": tally.in_flight(),
        "ended": ended.collect::<std::collections::BTreeMap<_, _>>(),
    })
}
