//! The example server against its own load client: attacked, and with the books compared.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;
#[path = "../../examples/http_server.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod http_server;

use common::loadtest;
use monoloop::ledger::LedgerSnapshot;
use monoloop::{Reason, Running, Server, Timeouts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One attack for each of the reasons that hostile connections end in, and for each what the ledger
/// has to have of it.
const ATTACKS: [(&str, Reason); 8] = [
    ("slowloris-head", Reason::HeaderTimeout),
    ("slow-body", Reason::TooSlow),
    ("stalled-body", Reason::BodyTimeout),
    ("idle-flood", Reason::IdleTimeout),
    ("reset-mid-body", Reason::ClientClosed),
    ("oversize-head", Reason::Limit),
    ("smuggling", Reason::ParseError),
    ("no-read", Reason::WriteTimeout),
];

/// They end in the same reasons as others of these do.
const WEBSOCKET_ATTACKS: [&str; 3] = ["ws-broken-frames", "ws-fragments", "ws-ping-flood"];

/// Hostile connections of each attack.
const HOSTILE: u64 = 10;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn start() -> Running {
    let short = Some(Duration::from_millis(300));
    let timeouts = Timeouts {
        head: short,
        // Longer than a well-behaved client leaves a connection idle, even on a busy machine.
        idle: Some(Duration::from_millis(1500)),
        body: short,
        write: short,
        ..Timeouts::default()
    };
    let server = Server::bind("127.0.0.1:0").expect("a port");
    let server = server.timeouts(timeouts).admin(ANY_PORT);
    let app = || http_server::routes(false);
    server.start(app).expect("it starts")
}

fn admin_of(server: &Running) -> SocketAddr {
    server.admin_addr().expect("it was given one")
}

/// Ends the server; its ledger balances, and nothing is in flight.
fn stopped(server: Running) -> LedgerSnapshot {
    let ledger = server.ledger();
    let reports = server.stop();
    assert!(
        reports.iter().all(|report| report.forced == 0),
        "{reports:?}"
    );
    let seen = ledger.snapshot();
    assert_eq!(seen.check(), Ok(()));
    let in_flight = (seen.connections.in_flight(), seen.requests.in_flight());
    assert_eq!(in_flight, (0, 0));
    seen
}

#[test]
fn the_example_server_passes_and_its_ledger_has_every_attack_under_its_reason() {
    let server = start();
    let names = [&ATTACKS.map(|(name, _)| name)[..], &WEBSOCKET_ATTACKS].concat();
    let only = names.join(",");
    let run = loadtest(&format!(
        "attack http://{}/plaintext --admin http://{} --pid {} --only {only} --connections {HOSTILE} \
         --duration 300ms --quiet 300ms --clients 4 --rate 50 --p99-max 10s --grace 10s \
         --memory-margin 1000 --head-timeout 300ms --idle-timeout 1500ms --body-timeout 300ms \
         --write-timeout 300ms",
        server.local_addr(),
        admin_of(&server),
        std::process::id(),
    ));
    run.assert_code(0);
    for name in names {
        let verdict = &run.json["attacks"][name]["verdict"];
        assert_eq!(verdict, "passed", "{name}: {run:?}");
    }
    let seen = stopped(server);
    for (name, reason) in ATTACKS {
        let hostile = run.number(&format!("/attacks/{name}/hostile"));
        // Half of those that idle say nothing at all, which is another reason.
        let expected = match reason {
            Reason::IdleTimeout => hostile / 2,
            _ => hostile,
        };
        assert!(expected > 0, "{name}: {run:?}");
        let ended = seen.connections.ended_in(reason);
        assert!(ended >= expected, "{name}: {ended} {reason} of {expected}");
    }
}

#[test]
fn client_and_server_have_the_same_in_their_books() {
    let server = start();
    let run = loadtest(&format!(
        "http http://{}/json -n 2000 -c 8 --reconcile http://{}",
        server.local_addr(),
        admin_of(&server),
    ));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 2000);
    let seen = stopped(server);
    assert_eq!(seen.requests.ended_in(Reason::Ok), 2000);
    assert_eq!(
        seen.connections.started(),
        run.number("/connections/made"),
        "{run:?}"
    );
}
