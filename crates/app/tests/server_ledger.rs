//! Every connection and every request ends in exactly one reason, and in the right one.
//!
//! That what started has ended is asserted at the end of every test of the server; here it is
//! the reasons.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use futures_util::stream;
use monoloop::ledger::Tally;
use monoloop::time::sleep;
use monoloop::{Bytes, Reason, Request, Response, Router, Server, StatusCode, Timeouts};
use server_common::{Site, get, patient_server, post, quiet, secs, serve_with, server};
use std::io;

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/failed", |_| async { StatusCode::INTERNAL_SERVER_ERROR })
        .get("/slow/{seconds}", |request: Request| async move {
            let seconds = request.param("seconds").unwrap().parse().unwrap();
            sleep(secs(seconds)).await;
            "slow"
        })
        .get("/panic", |_| async { panic!("on purpose") as () })
        .get("/large", |_| async { vec![b'x'; 40_000_000] })
        .get("/breaks", |_| async {
            let error = io::Error::other("on purpose");
            Response::stream(stream::iter([Ok(Bytes::from("some")), Err(error)]))
        })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

/// The reasons of the connections and those of the requests, without those of which there are none.
type Reasons = (Vec<(Reason, u64)>, Vec<(Reason, u64)>);

fn reasons_of(server: &Server, test: impl AsyncFnOnce(&Site)) -> Reasons {
    serve_with(server, app, test);
    let seen = server.ledger().snapshot();
    let reasons = |tally: Tally| tally.ended().filter(|(_, count)| *count > 0).collect();
    (reasons(seen.connections), reasons(seen.requests))
}

/// One connection that ended in `connection`, with requests that ended so.
#[track_caller]
fn assert_one(seen: &Reasons, connection: Reason, requests: &[(Reason, u64)]) {
    assert_eq!(*seen, (vec![(connection, 1)], requests.to_vec()));
}

#[test]
fn what_is_answered_is_ok_whatever_the_answer() {
    let server = server();
    let seen = reasons_of(&server, async |site| {
        let mut client = site.connect().await;
        for (path, status) in [("/", 200), ("/nowhere", 404), ("/failed", 500)] {
            assert_eq!(client.get(path).await.status, status);
        }
        client.send(get("/").repeat(5)).await;
        for _ in 0..5 {
            client.answer().await;
        }
        client.finish();
        client.assert_closed().await;
    });
    assert_one(&seen, Reason::Ok, &[(Reason::Ok, 8)]);
    let responses = server.ledger().snapshot().responses;
    let by_class = (
        responses.success,
        responses.client_error,
        responses.server_error,
    );
    assert_eq!(by_class, (6, 1, 1));
}

#[test]
fn a_peer_that_breaks_the_protocol_or_a_bound_is_told_from_one_that_leaves() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", Reason::ParseError, 1),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
            Reason::ParseError,
            1,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
            Reason::Limit,
            1,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            Reason::ParseError,
            1,
        ),
        // Half a head is no request.
        ("GET / HT", Reason::ClientClosed, 0),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
            Reason::ClientClosed,
            1,
        ),
    ];
    for (sent, reason, requests) in cases {
        let seen = reasons_of(&server(), async |site| {
            let mut client = site.send(sent).await;
            client.finish();
            client.rest().await;
        });
        let requests = [(reason, 1)].repeat(requests);
        assert_eq!(seen, (vec![(reason, 1)], requests), "{sent:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    let seen = reasons_of(&server(), async |site| {
        site.send(&long).await.rest().await;
    });
    assert_one(&seen, Reason::Limit, &[(Reason::Limit, 1)]);
}

#[test]
fn each_timeout_has_a_reason_of_its_own() {
    let seen = reasons_of(&server(), async |site| {
        site.send("GET / HTTP").await.rest().await;
    });
    assert_one(&seen, Reason::HeaderTimeout, &[(Reason::HeaderTimeout, 1)]);

    let seen = reasons_of(&server(), async |site| {
        site.connect().await.rest().await;
    });
    assert_one(&seen, Reason::HeaderTimeout, &[]);

    let seen = reasons_of(&server(), async |site| {
        let mut client = site.connect().await;
        client.get("/").await.assert_kept(200);
        client.rest().await;
    });
    assert_one(&seen, Reason::IdleTimeout, &[(Reason::Ok, 1)]);

    let seen = reasons_of(&server(), async |site| {
        let half = post("/echo", "a body");
        let mut client = site.send(&half[..half.len() - 3]).await;
        client.answer().await.assert_last(408);
        client.rest().await;
    });
    assert_one(&seen, Reason::BodyTimeout, &[(Reason::BodyTimeout, 1)]);

    let seen = reasons_of(&server(), async |site| {
        let mut client = site.send(get("/slow/100")).await;
        client.answer().await.assert_last(503);
        client.rest().await;
    });
    assert_one(
        &seen,
        Reason::HandlerTimeout,
        &[(Reason::HandlerTimeout, 1)],
    );

    let seen = reasons_of(&server(), async |site| {
        let _reads_nothing = site.send(get("/") + &get("/large")).await;
        sleep(secs(60)).await;
    });
    let requests = [(Reason::Ok, 1), (Reason::WriteTimeout, 1)];
    assert_one(&seen, Reason::WriteTimeout, &requests);
}

#[test]
fn a_fault_of_ours_is_told_from_the_peers() {
    let seen = reasons_of(&server(), async |site| {
        let mut client = site.connect().await;
        client.get("/panic").await.assert_kept(500);
        client.get("/").await.assert_kept(200);
        client.finish();
        client.rest().await;
    });
    assert_one(&seen, Reason::Ok, &[(Reason::Ok, 1), (Reason::Panic, 1)]);

    let seen = reasons_of(&server(), async |site| {
        site.send(get("/breaks")).await.rest().await;
    });
    assert_one(&seen, Reason::BodyFailed, &[(Reason::BodyFailed, 1)]);
}

#[test]
fn a_peer_that_leaves_while_it_is_answered_has_left() {
    let seen = reasons_of(&server(), async |site| {
        let client = site.send(get("/large")).await;
        client.reset("/").await;
    });
    assert_one(&seen, Reason::ClientClosed, &[(Reason::ClientClosed, 1)]);
}

#[test]
fn the_end_of_the_server_is_a_reason() {
    let seen = reasons_of(&server(), async |site| {
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        let mut runs = site.send(get("/slow/3")).await;
        quiet().await;
        site.shutdown.drain();
        runs.answer().await.assert_last(200);
        idle.rest().await;
    });
    let connections = vec![(Reason::Ok, 1), (Reason::Drained, 1)];
    assert_eq!(seen, (connections, vec![(Reason::Ok, 2)]));

    let hasty = patient_server().drain_timeout(secs(5));
    let seen = reasons_of(&hasty, async |site| {
        let _runs = site.send(get("/slow/100")).await;
        quiet().await;
        site.shutdown.drain();
        sleep(secs(6)).await;
    });
    assert_one(&seen, Reason::DrainForced, &[(Reason::DrainForced, 1)]);
}

#[test]
fn the_ledger_of_several_loops_is_their_sum() {
    let server = Server::bind("127.0.0.1:0").unwrap().threads(2);
    let running = server
        .start(|| Router::new().get("/", |_| async { "root" }))
        .unwrap();
    let address = running.local_addr();
    for _ in 0..20 {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(get("/").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    }
    let ledger = running.ledger();
    running.stop();
    let seen = ledger.snapshot();
    seen.check().unwrap();
    assert_eq!(seen.connections.ended_in(Reason::Ok), 20);
    assert_eq!(seen.requests.ended_in(Reason::Ok), 20);
}

#[test]
fn a_handler_that_answers_in_spite_of_a_body_that_stopped_changes_nothing() {
    let app = || {
        Router::new().post("/", |request: Request| async {
            let _cut_off = request.into_bytes().await;
            "never mind"
        })
    };
    let server = server().timeouts(Timeouts {
        body: Some(secs(2)),
        ..Timeouts::default()
    });
    serve_with(&server, app, async |site| {
        let half = post("/", "a body");
        let mut client = site.send(&half[..half.len() - 3]).await;
        client.answer().await.assert_last(200);
        client.rest().await;
    });
    let seen = server.ledger().snapshot();
    assert_eq!(seen.requests.ended_in(Reason::BodyTimeout), 1);
    assert_eq!(seen.connections.ended_in(Reason::BodyTimeout), 1);
}
