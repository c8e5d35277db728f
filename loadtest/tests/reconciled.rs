//! What the client has counted and what the server has written down are the same.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use common::loadtest;
use monoloop::ledger::LedgerSnapshot;
use monoloop::time::sleep;
use monoloop::{Reason, Request, Router, Server, StatusCode};
use std::time::Duration;

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/delay", |_| async {
            sleep(Duration::from_millis(20)).await;
            "waited"
        })
        .get("/failed", |_| async { StatusCode::INTERNAL_SERVER_ERROR })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

/// Runs the client with these flags against a server of its own, which has ended when this
/// returns.
fn run(path: &str, flags: &str) -> (common::Run, LedgerSnapshot) {
    let server = Server::bind("127.0.0.1:0").expect("an address").threads(2);
    let running = server.start(app).expect("a free port");
    let address = running.local_addr();
    let run = loadtest(&format!("http http://{address}{path} {flags}"));
    let ledger = running.ledger();
    running.stop();
    let seen = ledger.snapshot();
    assert_eq!(seen.check(), Ok(()));
    let in_flight = (seen.connections.in_flight(), seen.requests.in_flight());
    assert_eq!(in_flight, (0, 0));
    (run, seen)
}

#[test]
fn a_counted_run_is_in_the_ledger_to_the_last_request() {
    for (path, flags) in [
        ("/", "-n 3000 -c 16"),
        ("/", "-n 3000 -c 4 -p 16"),
        ("/delay", "-n 200 -c 32"),
        ("/failed", "-n 300 -c 3"),
        ("/echo", "-n 500 -c 8 -X POST --body hello"),
    ] {
        let (run, seen) = run(path, flags);
        let answered = run.number("/requests/answered");
        assert_eq!(run.number("/requests/failed"), 0, "{path} {flags}");
        assert_eq!(
            seen.requests.ended_in(Reason::Ok),
            answered,
            "{path} {flags}"
        );
        assert_eq!(seen.requests.started(), answered, "{path} {flags}");
        let made = run.number("/connections/made");
        assert_eq!(seen.connections.started(), made, "{path} {flags}");
        let answers = seen.responses.success + seen.responses.server_error;
        assert_eq!(answers, answered, "{path} {flags}");
    }
}

#[test]
fn a_run_that_is_cut_short_leaves_nothing_unexplained() {
    let (run, seen) = run("/delay", "-d 500ms --warmup 0s -c 64");
    let answered = run.number("/requests/answered");
    let unfinished = run.number("/requests/in_flight");
    let ok = seen.requests.ended_in(Reason::Ok);
    // What the client did not wait for the server may have answered all the same.
    assert!((answered..=answered + unfinished).contains(&ok), "{seen:?}");
    let explained = ok + seen.requests.ended_in(Reason::ClientClosed);
    assert_eq!(seen.requests.started(), explained, "{seen:?}");
}
