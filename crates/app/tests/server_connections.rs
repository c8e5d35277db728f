//! A connection from its first request to its end: kept or closed, pipelined, half-closed, reset,
//! refused. Answers come in the order of the requests, whatever became of them.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use http::Method;
use monoloop::net::TcpStream;
use monoloop::time::{sleep, timeout};
use monoloop::{BodyError, Limits, Request, Response, Router, Server, StatusCode};
use server_common::{
    Client, Counter, get, ms, post, post_chunked, quiet, secs, serve, serve_with, server,
};

async fn echo(request: Request) -> Result<bytes::Bytes, BodyError> {
    request.into_bytes().await
}

/// Answers with the last segment of the path, at once or later.
fn app() -> Router {
    let number = |request: &Request| request.param("n").unwrap().into_owned();
    Router::new()
        .get("/", |_| async { "root" })
        .get("/now/{n}", move |request| {
            let number = number(&request);
            async { number }
        })
        .get("/later/{n}", move |request| {
            let number = number(&request);
            async {
                sleep(secs(1)).await;
                number
            }
        })
        .get("/stream/{n}", move |request| {
            let number = number(&request);
            async {
                let piece: Result<_, BodyError> = Ok(bytes::Bytes::from(number));
                Response::stream(futures_util::stream::iter([piece]))
            }
        })
        .post("/echo", echo)
}

#[test]
fn connection_is_kept_or_closed_as_the_peer_asks() {
    serve(app, async |site| {
        for (version, fields, kept, told) in [
            ("1.1", "", true, None),
            ("1.1", "Connection: keep-alive\r\n", true, None),
            ("1.1", "Connection: close\r\n", false, Some("close")),
            ("1.1", "Connection: x, Close\r\n", false, Some("close")),
            (
                "1.1",
                "Connection: x\r\nConnection: close\r\n",
                false,
                Some("close"),
            ),
            ("1.0", "", false, Some("close")),
            (
                "1.0",
                "Connection: Keep-Alive\r\n",
                true,
                Some("keep-alive"),
            ),
            (
                "1.0",
                "Connection: keep-alive, close\r\n",
                false,
                Some("close"),
            ),
        ] {
            let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
            let mut client = site.connect().await;
            for _ in 0..if kept { 3 } else { 1 } {
                client.send(&request).await;
                let answer = client.answer().await;
                assert_eq!((answer.status, answer.text()), (200, "root"));
                assert_eq!(answer.field("connection"), told, "{version} {fields}");
            }
            if !kept {
                client.assert_closed().await;
            }
        }
    });
}

#[test]
fn nothing_behind_a_request_that_closes_is_answered() {
    serve(app, async |site| {
        let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut client = site.send(get("/now/1") + closing + &get("/now/2")).await;
        assert_eq!(client.answer().await.text(), "1");
        client.answer().await.assert_last(200);
        client.assert_closed().await;
    });
}

#[test]
fn last_answer_reaches_a_peer_that_has_sent_far_more() {
    serve(app, async |site| {
        let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut client = site.connect().await;
        client
            .send_until_closed((closing.to_owned() + &get("/").repeat(5_000)).as_bytes())
            .await;
        client.answer().await.assert_last(200);
        client.finish();
        client.assert_closed().await;
    });
}

#[test]
fn hundred_requests_in_one_write_are_answered_in_order() {
    serve(app, async |site| {
        let requests: String = (0..100).map(|n| get(&format!("/now/{n}"))).collect();
        let mut client = site.send(requests).await;
        for n in 0..100 {
            let answer = client.answer().await;
            answer.assert_kept(200);
            assert_eq!(answer.text(), n.to_string());
        }
        assert_eq!(site.seconds(), 0);
    });
}

#[test]
fn pipeline_of_all_kinds_keeps_its_order_around_a_slow_handler() {
    let chunked = post_chunked("/echo") + "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    let requests = [
        (Method::GET, get("/now/1"), "1"),
        (Method::POST, post("/echo", "body"), "body"),
        (Method::HEAD, get("/now/2").replace("GET", "HEAD"), ""),
        (Method::POST, chunked, "onetwo"),
        (Method::GET, get("/later/3"), "3"),
        (Method::GET, get("/stream/4"), "4"),
        (Method::HEAD, get("/stream/4").replace("GET", "HEAD"), ""),
        (Method::HEAD, get("/later/5").replace("GET", "HEAD"), ""),
        (Method::GET, get("/none"), "Not Found\n"),
        (
            Method::PUT,
            post("/echo", "no").replace("POST", "PUT"),
            "Method Not Allowed: this path takes POST, OPTIONS\n",
        ),
        (Method::POST, post("/echo", ""), ""),
        (Method::GET, get("/now/6"), "6"),
    ];
    let all: String = requests
        .iter()
        .map(|(_, request, _)| request.as_str())
        .collect();
    serve(app, async |site| {
        for size in [1, 7, 100, all.len()] {
            let began_at = site.seconds();
            let mut client = site.connect().await;
            for piece in all.as_bytes().chunks(size) {
                client.send(piece).await;
                if size < 100 {
                    server_common::turns(2).await;
                }
            }
            for (method, request, body) in &requests {
                let answer = client.answer_to(method).await;
                assert_eq!(answer.text(), *body, "{request}");
            }
            assert_eq!(site.seconds() - began_at, 2);
        }
    });
}

#[test]
fn answers_do_not_wait_for_a_slow_request_behind_them() {
    serve(app, async |site| {
        let mut client = site
            .send([get("/now/1"), get("/now/2"), get("/later/3")].concat())
            .await;
        assert_eq!(client.answer().await.text(), "1");
        assert_eq!(client.answer().await.text(), "2");
        assert_eq!(site.seconds(), 0);
        assert_eq!(client.answer().await.text(), "3");
        assert_eq!(site.seconds(), 1);
    });
}

#[test]
fn request_behind_a_slow_one_is_not_started_before_it_is_answered() {
    let started = Counter::default();
    let app = || {
        let started = started.clone();
        Router::new().get("/", move |_| {
            let number = started.add();
            async move {
                sleep(secs(1)).await;
                number.to_string()
            }
        })
    };
    serve(app, async |site| {
        let mut client = site.send(get("/").repeat(3)).await;
        sleep(ms(500)).await;
        assert_eq!(started.get(), 1);
        for n in 1..=3 {
            assert_eq!(client.answer().await.text(), n.to_string());
        }
    });
}

#[test]
fn long_pipeline_lets_others_have_their_turn() {
    serve(app, async |site| {
        let mut greedy = site.connect().await;
        greedy.send(get("/now/1").repeat(2000)).await;
        let mut other = site.send(get("/now/2")).await;
        assert_eq!(other.answer().await.text(), "2");
        for _ in 0..2000 {
            assert_eq!(greedy.answer().await.text(), "1");
        }
    });
}

#[test]
fn peer_that_pipelines_and_does_not_read_is_not_answered_without_bound() {
    let answered = Counter::default();
    let app = || {
        let answered = answered.clone();
        Router::new().get("/", move |_| {
            answered.add();
            async { "x".repeat(50_000) }
        })
    };
    serve_with(&server_common::patient_server(), app, async |site| {
        let client = site.send(get("/").repeat(1500)).await;
        sleep(secs(60)).await;
        let full = answered.get();
        assert!(full < 1000, "{full} answers of 50 kB wait for one peer");
        drop(client);
    });
}

/// What a peer can do wrong in a head, and how it is answered.
#[test]
fn each_fault_of_a_head_has_its_status_and_closes() {
    let long_target = "GET /".to_owned() + &"x".repeat(9000);
    let many_fields = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned() + &"x: y\r\n".repeat(101) + "\r\n";
    let long_field = "GET / HTTP/1.1\r\nHost: a\r\nx: ".to_owned() + &"y".repeat(17_000);
    serve(app, async |site| {
        for (request, status) in [
            ("nonsense\r\n\r\n", 400),
            ("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n",
                413,
            ),
            (&long_target, 414),
            (&many_fields, 431),
            (&long_field, 431),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                501,
            ),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("GET / HTTP/3\r\nHost: a\r\n\r\n", 400),
        ] {
            // Alone, and behind requests that are answered first.
            let mut client = site.send(request).await;
            let answer = client.answer().await;
            answer.assert_last(status);
            assert!(answer.field("x-request-id").is_some());
            client.assert_closed().await;

            let mut client = site
                .send([&get("/now/1"), &get("/later/2"), request].concat())
                .await;
            assert_eq!(client.answer().await.text(), "1");
            assert_eq!(client.answer().await.text(), "2");
            client.answer().await.assert_last(status);
            client.assert_closed().await;
        }
    });
}

#[test]
fn refusal_reaches_a_peer_that_goes_on_sending() {
    serve(app, async |site| {
        let mut client = site.send("nonsense\r\n\r\n").await;
        quiet().await;
        client.send(vec![b'x'; 500_000]).await;
        client.answer().await.assert_last(400);
        client.assert_closed().await;
    });
}

#[test]
fn refused_peer_that_neither_closes_nor_stops_is_left_after_a_while() {
    serve(app, async |site| {
        let mut client = site.send("nonsense\r\n\r\n").await;
        client.answer().await.assert_last(400);
        for _ in 0..10 {
            sleep(ms(240)).await;
            client.send("more").await;
        }
        sleep(secs(1)).await;
        client.send_until_closed(b"more").await;
        quiet().await;
        let mut more = [0; 10];
        let reading = timeout(secs(1), client.read_result(&mut more)).await;
        assert!(reading.is_ok(), "the server has not closed");
    });
}

#[test]
fn peer_that_finished_sending_still_gets_its_answers() {
    serve(app, async |site| {
        let mut client = site
            .send([get("/now/1"), get("/later/2"), get("/stream/3")].concat())
            .await;
        client.finish();
        for n in 1..=3 {
            let answer = client.answer().await;
            assert_eq!((answer.text(), answer.is_whole), (&*n.to_string(), true));
        }
        client.assert_closed().await;
    });
}

#[test]
fn peer_that_finishes_before_or_in_a_head_is_closed_without_a_word() {
    serve(app, async |site| {
        for start in ["", "\r\n", "G", "GET / HTTP/1.1\r\nHost"] {
            let mut client = site.send(start).await;
            client.finish();
            client.assert_closed().await;
        }
        let mut client = site.connect().await;
        assert_eq!(client.get("/now/1").await.text(), "1");
        client.finish();
        client.assert_closed().await;
        assert_eq!(site.seconds(), 0);
    });
}

#[test]
fn empty_lines_before_a_request_are_nothing() {
    serve(app, async |site| {
        let mut client = site.send("\r\n".to_owned() + &get("/now/1")).await;
        assert_eq!(client.answer().await.text(), "1");
        client.send("\r\n\r\n".to_owned() + &get("/now/2")).await;
        assert_eq!(client.answer().await.text(), "2");
        client.send("\r\n".repeat(20)).await;
        client.answer().await.assert_last(400);
    });
}

#[test]
fn request_sent_before_the_close_is_seen_does_not_reset_the_last_answer() {
    let server = server().requests_per_connection_max(Some(1));
    serve_with(&server, app, async |site| {
        let mut client = site.send(get("/")).await;
        quiet().await;
        // It was on its way.
        client.send(get("/")).await;
        quiet().await;
        client.answer().await.assert_last(200);
        client.finish();
        client.assert_closed().await;
        assert_eq!(site.seconds(), 0);
    });
}

#[test]
fn peer_that_resets_leaves_nothing_behind_at_any_stage() {
    let report = serve(app, async |site| {
        let first = get("/now/1");
        for stage in [
            "",
            "\r\n",
            "GE",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            &get("/later/2"),
            &get("/stream/3"),
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none",
            "POST /now/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none",
            &(post_chunked("/echo") + "3\r\no"),
            "nonsense\r\n\r\n",
        ] {
            // The first answer is not read, so closing sends a reset.
            let client = site.send(&first).await;
            quiet().await;
            let mut client = client;
            client.send(stage).await;
            server_common::turns(3).await;
            drop(client);
            let client = site.send(first.clone() + stage).await;
            quiet().await;
            drop(client);
            // And without a reset.
            let mut client = site.send(first.clone() + stage).await;
            assert_eq!(client.answer().await.text(), "1");
            drop(client);
            drop(site.send(stage).await);
        }
        sleep(secs(3)).await;
        assert_eq!(site.get("/now/1").await.text(), "1");
        quiet().await;
    });
    assert_eq!((report.open, report.forced), (0, 0));
}

#[test]
fn peer_that_left_has_its_handler_finish_and_leaves_nothing() {
    let finished = Counter::default();
    let app = || {
        let finished = finished.clone();
        Router::new().get("/", move |_| {
            let finished = finished.clone();
            async move {
                sleep(secs(5)).await;
                finished.add();
                "done"
            }
        })
    };
    let report = serve(app, async |site| {
        drop(site.send(get("/")).await);
        sleep(secs(6)).await;
        assert_eq!(finished.get(), 1);
    });
    assert_eq!(report.open, 0);
}

fn at_most(connections: usize) -> Server {
    server().connections_max(connections)
}

#[test]
fn connections_beyond_the_limit_wait_and_are_served_when_there_is_room() {
    serve_with(&at_most(3), app, async |site| {
        let mut held = Vec::new();
        for n in 0..3 {
            let mut client = site.connect().await;
            client.get(&format!("/now/{n}")).await.assert_kept(200);
            held.push(client);
        }
        let mut waiting = Vec::new();
        for n in 0..5 {
            waiting.push(site.send(get(&format!("/now/{n}"))).await);
        }
        sleep(secs(10)).await;
        assert_eq!(waiting[0].take_what_came().await, "");
        assert_eq!(held[0].get("/now/9").await.text(), "9");

        // Each that goes makes room for one.
        for (n, mut client) in waiting.into_iter().enumerate() {
            drop(held.remove(0));
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.text()), (200, &*n.to_string()));
            held.push(client);
        }
        assert_eq!(site.seconds(), 10);
    });
}

#[test]
fn connections_that_wait_are_served_when_the_idle_ones_time_out() {
    serve_with(&at_most(2), app, async |site| {
        let silent = [site.connect().await, site.connect().await];
        quiet().await;
        let mut waiting = site.send(get("/now/1")).await;
        assert_eq!(waiting.answer().await.text(), "1");
        assert_eq!(site.seconds(), 10);
        drop(silent);
    });
}

#[test]
fn server_at_its_limit_does_not_turn_in_circles() {
    serve_with(&at_most(1), app, async |site| {
        let mut held = site.connect().await;
        held.get("/now/1").await.assert_kept(200);
        let waiting: [Client; 2] = [site.send(get("/")).await, site.send(get("/")).await];
        // If a task was ready all the time, no time would pass.
        sleep(secs(70)).await;
        drop((held, waiting));
    });
}

#[test]
fn connection_that_closes_while_it_waits_for_room_costs_nothing() {
    serve_with(&at_most(1), app, async |site| {
        let mut held = site.connect().await;
        held.get("/now/1").await.assert_kept(200);
        let gone: Vec<TcpStream> = {
            let mut gone = Vec::new();
            for _ in 0..5 {
                gone.push(TcpStream::connect(site.address).await.unwrap());
            }
            gone
        };
        drop(gone);
        let mut last = site.send(get("/now/2")).await;
        drop(held);
        assert_eq!(last.answer().await.text(), "2");
    });
}

#[test]
fn limits_of_the_protocol_may_be_set() {
    let limits = Limits {
        target_bytes_max: 100,
        head_bytes_max: 200,
        header_count_max: 2,
        ..Limits::default()
    };
    serve_with(&server().limits(limits), app, async |site| {
        for (request, status) in [
            (get(&("/".to_owned() + &"x".repeat(100))), 414),
            (
                get("/").replace("\r\n\r\n", &format!("\r\nx: {}\r\n\r\n", "y".repeat(200))),
                431,
            ),
            (
                get("/").replace("\r\n\r\n", "\r\nx: y\r\nx: y\r\n\r\n"),
                431,
            ),
        ] {
            let mut client = site.send(request).await;
            client.answer().await.assert_last(status);
        }
        assert_eq!(site.get("/").await.status, StatusCode::OK);
    });
}
