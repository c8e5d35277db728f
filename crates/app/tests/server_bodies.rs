//! Bodies of requests: read piece by piece, refused, late, cut off, or never read at all. Whatever
//! a handler does, what follows on the connection is never mistaken.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::stream;
use monoloop::time::{sleep, timeout};
use monoloop::{
    Body, BodyError, Limits, Request, Response, Router, Server, StatusCode, Timeouts, spawn, time,
};
use server_common::{
    Counter, get, ms, post, post_chunked, quiet, secs, serve, serve_in_real_time, serve_with,
    server,
};

async fn echo(request: Request) -> Result<bytes::Bytes, BodyError> {
    request.into_bytes().await
}

/// Answers without a look at the body.
async fn ignore(_: Request) -> &'static str {
    "ignored"
}

/// Sleeps, then answers without a look at the body.
async fn ignore_later(_: Request) -> &'static str {
    sleep(secs(1)).await;
    "ignored later"
}

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/evil", |_| async { "a body was taken for a request" })
        .post("/echo", echo)
        .post("/ignore", ignore)
        .post("/later", ignore_later)
}

fn small_limit() -> Server {
    server().limits(Limits {
        body_bytes_max: 1000,
        ..Limits::default()
    })
}

/// What a handler saw of a body, in order.
type Seen = Rc<RefCell<Vec<String>>>;

fn note(seen: &Seen, piece: Option<Result<bytes::Bytes, BodyError>>) -> bool {
    let more = matches!(piece, Some(Ok(_)));
    seen.borrow_mut().push(match piece {
        Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Err(error)) => format!("{error:?}"),
        None => "end".to_owned(),
    });
    more
}

/// Reads a body, notes what it sees, and answers 200 whatever that is.
fn noting(seen: &Seen) -> impl Fn() -> Router {
    let seen = seen.clone();
    move || {
        let seen = seen.clone();
        Router::new()
            .get("/", |_| async { "root" })
            .post("/", move |mut request: Request| {
                let seen = seen.clone();
                async move {
                    while note(&seen, request.body().chunk().await) {}
                    "read"
                }
            })
    }
}

#[test]
fn body_is_whole_however_it_is_cut() {
    let sized = post("/echo", "hello, body");
    let chunked =
        post_chunked("/echo") + "5;ext=1\r\nhello\r\n6\r\n, body\r\n0\r\nTrailer: x\r\n\r\n";
    serve(app, async |site| {
        for request in [sized.as_bytes(), chunked.as_bytes()] {
            let mut client = site.connect().await;
            for size in [1, 2, 7, request.len()] {
                for piece in request.chunks(size) {
                    client.send(piece).await;
                    quiet().await;
                }
                let answer = client.answer().await;
                answer.assert_kept(200);
                assert_eq!(answer.text(), "hello, body", "{size} bytes at a time");
            }
        }
    });
}

#[test]
fn empty_bodies_end_at_once() {
    let seen = Seen::default();
    serve(noting(&seen), async |site| {
        let mut client = site.connect().await;
        for request in [
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            post("/", ""),
            post_chunked("/") + "0\r\n\r\n",
        ] {
            client.send(request).await;
            client.answer().await.assert_kept(200);
        }
        client.send(post_chunked("/")).await;
        quiet().await;
        client.send("0\r\n\r\n").await;
        client.answer().await.assert_kept(200);
    });
    assert_eq!(*seen.borrow(), ["end"; 4]);
}

#[test]
fn body_is_read_piece_by_piece_as_it_comes() {
    let seen = Seen::default();
    serve(noting(&seen), async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            .await;
        for (number, piece) in ["one", "two", "six"].into_iter().enumerate() {
            quiet().await;
            client.send(piece).await;
            quiet().await;
            assert_eq!(seen.borrow()[number], piece);
        }
        assert_eq!(client.answer().await.text(), "read");
    });
    assert_eq!(*seen.borrow(), ["one", "two", "six", "end"]);
}

#[test]
fn large_body_is_read_whole() {
    let limits = Limits {
        body_bytes_max: 20_000_000,
        ..Limits::default()
    };
    let body: String = (0..10_000_000)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    serve_in_real_time(&server().limits(limits), app, async |site| {
        let mut client = site.send(post("/echo", &body)).await;
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert!(answer.text() == body);
    });
}

#[test]
fn handler_that_does_not_read_makes_the_peer_wait() {
    let limits = Limits {
        body_bytes_max: 100_000_000,
        ..Limits::default()
    };
    let server = server_common::patient_server().limits(limits);
    serve_with(
        &server,
        || {
            Router::new().post("/", |request: Request| async {
                sleep(secs(3600)).await;
                request
                    .into_bytes()
                    .await
                    .map(|bytes| bytes.len().to_string())
            })
        },
        async |site| {
            const BYTES: usize = 50_000_000;
            let client = site
                .send(format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n"
                ))
                .await;
            let sending = spawn(async move {
                let mut client = client;
                client.send(vec![b'x'; BYTES]).await;
                client
            });
            sleep(secs(60)).await;
            assert!(!sending.is_finished());
            let mut client = sending.await.unwrap();
            assert_eq!(site.seconds(), 3600);
            assert_eq!(client.answer().await.text(), BYTES.to_string());
        },
    );
}

#[test]
fn body_announced_beyond_the_limit_is_refused_before_it_comes() {
    let called = Counter::default();
    let app = || {
        let called = called.clone();
        Router::new().post("/", move |_| {
            called.add();
            async { "called" }
        })
    };
    serve_with(&small_limit(), app, async |site| {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut client = site
                .send(format!(
                    "POST / HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: 1001\r\n\r\n"
                ))
                .await;
            client.answer().await.assert_last(413);
            client.assert_closed().await;
        }
        assert_eq!(called.get(), 0);
        let mut client = site.send(post("/", &"x".repeat(1000))).await;
        client.answer().await.assert_kept(200);
    });
}

#[test]
fn chunked_body_beyond_the_limit_is_refused_where_it_crosses() {
    serve_with(&small_limit(), app, async |site| {
        let chunk = |bytes: usize| format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
        // With the head, and behind it.
        let mut client = site.send(post_chunked("/echo") + &chunk(1001)).await;
        client.answer().await.assert_last(413);
        client.assert_closed().await;

        let mut client = site.send(post_chunked("/echo")).await;
        for _ in 0..10 {
            quiet().await;
            client.send(chunk(100)).await;
        }
        quiet().await;
        client.send("1\r\n").await;
        client.answer().await.assert_last(413);
        client.assert_closed().await;

        let mut client = site
            .send(post_chunked("/echo") + &chunk(1000) + "0\r\n\r\n")
            .await;
        client.answer().await.assert_kept(200);
    });
}

#[test]
fn peer_that_sends_far_beyond_the_limit_sees_the_answer() {
    serve_with(&small_limit(), app, async |site| {
        let chunk = format!("{:x}\r\n{}\r\n", 300, "x".repeat(300));
        let mut client = site.send(post_chunked("/echo")).await;
        quiet().await;
        // The handler reads, and is told of the limit while the peer goes on. Closing with bytes
        // unread would be a reset, which overtakes the answer.
        client.send(chunk.repeat(1000)).await;
        client.answer().await.assert_last(413);
        client.send_until_closed(chunk.as_bytes()).await;
        client.finish();
        client.assert_closed().await;
    });
}

/// A head that announces far more than the limit.
fn too_large() -> String {
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n".to_owned()
}

#[test]
fn peer_that_looks_for_an_answer_behind_its_whole_body_sees_it() {
    serve_with(&small_limit(), app, async |site| {
        let mut client = site.send(too_large()).await;
        for _ in 0..10 {
            client.send("x".repeat(400_000)).await;
            sleep(secs(1)).await;
        }
        client.answer().await.assert_last(413);
        client.finish();
        client.assert_closed().await;
        assert_eq!(site.seconds(), 10);
    });
}

#[test]
fn peer_that_is_refused_and_says_nothing_more_is_let_go_of_soon() {
    serve_with(&small_limit(), app, async |site| {
        let mut client = site.send(too_large()).await;
        client.answer().await.assert_last(413);
        sleep(ms(2400)).await;
        client.send("x").await;
        sleep(ms(5_200)).await;
        // The first byte finds nobody there, the second one is told so.
        let _ = client.send_and_see("x").await;
        quiet().await;
        assert!(client.send_and_see("x").await.is_err());
    });
}

#[test]
fn peer_that_is_refused_and_never_stops_is_cut_off() {
    serve_with(&small_limit(), app, async |site| {
        let mut client = site.send(too_large()).await;
        client.answer().await.assert_last(413);
        while client.send_and_see("x").await.is_ok() {
            sleep(secs(1)).await;
        }
        assert!((30..=33).contains(&site.seconds()), "{}", site.seconds());
    });
}

#[test]
fn body_error_that_a_handler_ignores_closes_all_the_same() {
    let seen = Seen::default();
    serve(noting(&seen), async |site| {
        let mut client = site.send(post_chunked("/") + "3\r\none\r\n").await;
        quiet().await;
        client.send("nonsense\r\n\r\n").await;
        client.send(get("/evil")).await;
        let answer = client.answer().await;
        answer.assert_last(200);
        client.finish();
        client.assert_closed().await;
    });
    assert_eq!(*seen.borrow(), ["one", "Refused(ChunkSize)"]);
}

#[test]
fn malformed_body_is_a_400_by_default() {
    serve(app, async |site| {
        for (first, second) in [
            ("3\r\nabcd", "\r\n"),
            ("", "-3\r\n"),
            ("3\r\nabc\r\n", "\n"),
            ("x", ""),
        ] {
            let mut client = site.send(post_chunked("/echo") + first).await;
            quiet().await;
            client.send_until_closed(second.as_bytes()).await;
            client.answer().await.assert_last(400);
            client.finish();
            client.assert_closed().await;
        }
    });
}

#[test]
fn refused_body_is_answered_with_the_id_of_its_request() {
    serve(app, async |site| {
        for pause in [false, true] {
            let head = post_chunked("/echo").replace("Host", "X-Request-Id: mine\r\nHost");
            let mut client = site.connect().await;
            if pause {
                client.send(head).await;
                quiet().await;
                client.send("x\r\n").await;
            } else {
                client.send(head + "x\r\n").await;
            }
            let answer = client.answer().await;
            answer.assert_last(400);
            assert_eq!(answer.field("x-request-id"), Some("mine"), "pause: {pause}");
        }
    });
}

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn expecting(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[test]
fn continue_is_sent_when_the_handler_reads_and_not_before() {
    let app = || {
        Router::new().post("/", |request: Request| async {
            sleep(secs(5)).await;
            echo(request).await
        })
    };
    serve(app, async |site| {
        let mut client = site.send(expecting("/", 4)).await;
        sleep(secs(4)).await;
        assert_eq!(client.take_what_came().await, "");
        assert_eq!(client.take(CONTINUE.len()).await, CONTINUE);
        assert_eq!(site.seconds(), 5);
        client.send("bo").await;
        quiet().await;
        client.send("dy").await;
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert_eq!(answer.text(), "body");

        let chunked = post_chunked("/").replace("Host", "expect: 100-Continue\r\nHost");
        client.send(chunked).await;
        assert_eq!(client.take(CONTINUE.len()).await, CONTINUE);
        client.send("1\r\nx\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "x");
    });
}

#[test]
fn continue_comes_behind_earlier_answers() {
    serve(app, async |site| {
        let mut client = site.send(get("/") + &expecting("/echo", 2)).await;
        assert_eq!(client.answer().await.text(), "root");
        assert_eq!(client.take(CONTINUE.len()).await, CONTINUE);
        client.send("hi").await;
        assert_eq!(client.answer().await.text(), "hi");
    });
}

#[test]
fn continue_is_not_sent_to_those_who_do_not_wait() {
    serve(app, async |site| {
        let mut early = site.send(expecting("/echo", 4) + "body").await;
        assert!(early.take_what_came().await.starts_with("HTTP/1.1 200"));

        let old = expecting("/echo", 4).replace("HTTP/1.1", "HTTP/1.0");
        let mut old = site.send(old).await;
        assert_eq!(old.take_what_came().await, "");
        old.send("body").await;
        assert!(old.take_what_came().await.starts_with("HTTP/1.1 200"));

        let mut empty = site.send(expecting("/echo", 0)).await;
        let all = empty.take_what_came().await;
        assert!(
            all.starts_with("HTTP/1.1 200") && !all.contains("close"),
            "{all}"
        );
    });
}

#[test]
fn handler_that_does_not_want_an_expected_body_closes() {
    serve(app, async |site| {
        for path in ["/ignore", "/later", "/none"] {
            let mut client = site.send(expecting(path, 30)).await;
            let all = String::from_utf8(client.rest().await).unwrap();
            assert!(!all.contains("100 Continue"), "{all}");
            assert!(all.contains("connection: close\r\n"), "{all}");
            // Whether this is the body or a request cannot be told.
            client.send_until_closed(get("/evil").as_bytes()).await;
            client.finish();
            client.assert_closed().await;
        }
    });
}

#[test]
fn unknown_expectation_is_a_417() {
    serve(app, async |site| {
        let request = expecting("/echo", 4).replace("100-continue", "miracles");
        let mut client = site.send(request).await;
        client.answer().await.assert_last(417);
        client.assert_closed().await;
    });
}

#[test]
fn short_body_that_nobody_read_is_never_taken_for_a_request() {
    let evil = get("/evil");
    let chunked = format!("{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len());
    serve(app, async |site| {
        for path in ["/ignore", "/later", "/none", "/"] {
            for request in [post(path, &evil), post_chunked(path) + &chunked] {
                let (head, body) = request.split_once("\r\n\r\n").unwrap();
                let (body, half) = (body.to_owned() + &get("/"), body.len() / 2);

                // With the head; behind the answer; and in between.
                let mut client = site.send(format!("{head}\r\n\r\n{body}")).await;
                client.answer().await;
                assert_eq!(client.answer().await.text(), "root");

                client.send(format!("{head}\r\n\r\n")).await;
                client.answer().await;
                client.send(&body).await;
                assert_eq!(client.answer().await.text(), "root");

                client
                    .send(format!("{head}\r\n\r\n{}", &body[..half]))
                    .await;
                client.answer().await;
                client.send(&body[half..]).await;
                assert_eq!(client.answer().await.text(), "root");
            }
        }
    });
}

#[test]
fn body_read_in_part_is_thrown_away_to_its_end() {
    let app = || {
        app().post("/some", |mut request: Request| async move {
            request.body().chunk().await.unwrap().unwrap();
            "some"
        })
    };
    serve(app, async |site| {
        let mut client = site.send(post_chunked("/some") + "3\r\none\r\n").await;
        assert_eq!(client.answer().await.text(), "some");
        client.send("3\r\ntwo\r\n").await;
        quiet().await;
        client.send("0\r\n\r\n".to_owned() + &get("/")).await;
        assert_eq!(client.answer().await.text(), "root");
    });
}

#[test]
fn long_body_that_nobody_reads_closes_the_connection() {
    const LONG: usize = 300_000;
    serve(app, async |site| {
        for path in ["/ignore", "/later"] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n");
            // The answer comes while the body is sent, and no reset overtakes it.
            let mut client = site.send(head).await;
            client.send(vec![b'x'; LONG / 2]).await;
            client.answer().await.assert_last(200);
            client.send_until_closed(&vec![b'x'; LONG / 2]).await;
            client.send_until_closed(get("/evil").as_bytes()).await;
            client.finish();
            client.assert_closed().await;
        }
    });
}

#[test]
fn chunked_body_that_nobody_reads_and_that_never_ends_is_cut_off() {
    serve(app, async |site| {
        let mut client = site.send(post_chunked("/ignore")).await;
        // How long it will be is not known yet.
        client.answer().await.assert_kept(200);
        let chunk = format!("{:x}\r\n{}\r\n", 20_000, "x".repeat(20_000));
        client.send_until_closed(chunk.repeat(6).as_bytes()).await;
        client.finish();
        client.assert_closed().await;
        assert_eq!(site.seconds(), 0);
    });
}

#[test]
fn body_that_nobody_reads_and_that_stalls_is_cut_off() {
    serve(app, async |site| {
        let mut client = site.send(post_chunked("/ignore") + "5\r\nab").await;
        client.answer().await.assert_kept(200);
        client.assert_closed().await;
        assert_eq!(site.seconds(), 20);
    });
}

#[test]
fn body_that_stalls_is_a_408_and_the_last_answer() {
    serve(app, async |site| {
        for length in [10, 500_000] {
            let began_at = site.seconds();
            let head =
                format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            let mut client = site.send(head + "half").await;
            let answer = client.answer().await;
            assert_eq!(site.seconds() - began_at, 20);
            answer.assert_last(408);
            client.send_until_closed(get("/evil").as_bytes()).await;
            client.finish();
            client.assert_closed().await;
        }
    });
}

#[test]
fn every_piece_extends_the_time_for_the_next() {
    let timeouts = Timeouts {
        handler: None,
        body_bytes_per_second_min: None,
        ..Timeouts::default()
    };
    serve_with(&server().timeouts(timeouts), app, async |site| {
        let mut client = site
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
            .await;
        for _ in 0..10 {
            sleep(secs(19)).await;
            client.send("x").await;
        }
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert_eq!((site.seconds(), answer.text()), (190, "xxxxxxxxxx"));
    });
}

#[test]
fn body_may_stall_while_nobody_wants_it() {
    let app = || {
        Router::new().post("/", |request: Request| async {
            sleep(secs(25)).await;
            echo(request).await
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
            .await;
        sleep(secs(24)).await;
        client.send("late").await;
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert_eq!(answer.text(), "late");
    });
}

#[test]
fn wait_for_a_piece_may_be_given_up_and_taken_up_again() {
    let app = || {
        Router::new().post("/", |mut request: Request| async move {
            let first = timeout(secs(1), request.body().chunk()).await;
            assert!(first.is_err());
            sleep(secs(1)).await;
            echo(request).await
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
            .await;
        sleep(ms(1500)).await;
        client.send("la").await;
        sleep(secs(2)).await;
        client.send("te").await;
        assert_eq!(client.answer().await.text(), "late");
    });
}

#[test]
fn peer_that_goes_away_in_the_middle_of_a_body_ends_it() {
    let seen = Seen::default();
    serve(noting(&seen), async |site| {
        for request in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none".to_owned(),
            post_chunked("/") + "3\r\none\r\n",
        ] {
            // It finishes, and still reads: whether it is gone cannot be told.
            let mut client = site.send(&request).await;
            client.finish();
            client.answer().await.assert_last(200);
            client.assert_closed().await;
            // It closes.
            drop(site.send(&request).await);
            quiet().await;
        }
        // It resets.
        let mut client = site.send(get("/")).await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
            .await;
        quiet().await;
        drop(client);
        quiet().await;
        assert_eq!(site.seconds(), 0);
    });
    assert_eq!(seen.borrow().join(" "), ["one Disconnected"; 5].join(" "));
}

#[test]
fn body_cut_off_is_a_400_by_default() {
    serve(app, async |site| {
        let mut client = site
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
            .await;
        client.finish();
        client.answer().await.assert_last(400);
        client.assert_closed().await;
    });
}

#[test]
fn body_may_be_read_by_another_task() {
    let app = || {
        Router::new()
            .get("/", |_| async { "root" })
            .post("/", |request: Request| async {
                spawn(echo(request)).await.unwrap()
            })
    };
    serve(app, async |site| {
        let mut client = site.send(post_chunked("/")).await;
        for piece in ["1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n"] {
            quiet().await;
            client.send(piece).await;
        }
        client.send(get("/")).await;
        assert_eq!(client.answer().await.text(), "ab");
        assert_eq!(client.answer().await.text(), "root");
    });
}

#[test]
fn body_that_outlives_its_request_is_told_and_reads_nothing_of_the_next() {
    let seen = Seen::default();
    let app = || {
        let seen = seen.clone();
        Router::new()
            .get("/", |_| async { "root" })
            .post("/", move |request: Request| {
                let (seen, mut body): (_, Body) = (seen.clone(), request.into_body());
                drop(spawn(
                    async move { while note(&seen, body.chunk().await) {} },
                ));
                async { "answered" }
            })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
            .await;
        assert_eq!(client.answer().await.text(), "answered");
        client.send("twosix".to_owned() + &get("/")).await;
        assert_eq!(client.answer().await.text(), "root");
    });
    assert_eq!(*seen.borrow(), ["one", "Abandoned"]);
}

#[test]
fn handler_chooses_the_answer_to_a_body_error() {
    let app = || {
        Router::new().post("/", |request: Request| async {
            match request.into_bytes().await {
                Ok(_) => Response::text("ok"),
                Err(error) => {
                    Response::text(format!("{error:?}")).with_status(StatusCode::IM_A_TEAPOT)
                }
            }
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            .await;
        let answer = client.answer().await;
        answer.assert_last(418);
        assert_eq!(answer.text(), "TimedOut");
    });
}

#[test]
fn time_for_a_body_ends_with_the_time_for_the_handler() {
    let timeouts = Timeouts {
        body: None,
        ..Timeouts::default()
    };
    serve_with(&server().timeouts(timeouts), app, async |site| {
        let started_at = time::now();
        let mut client = site
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            .await;
        client.answer().await.assert_last(503);
        assert_eq!((time::now() - started_at).as_secs(), 30);
        client.finish();
        client.assert_closed().await;
    });
}

/// Answers with a stream that is made of the request's body.
async fn stream_back(request: Request) -> Response {
    let pieces = stream::unfold(request.into_body(), |mut body| async move {
        body.chunk().await.map(|piece| (piece, body))
    });
    Response::stream(pieces)
}

#[test]
fn response_may_be_made_of_the_body_while_it_comes() {
    serve(
        || app().post("/back", stream_back),
        async |site| {
            let mut client = site.send(post_chunked("/back")).await;
            assert!(client.take_what_came().await.ends_with("\r\n\r\n"));
            for (sent, back) in [
                ("3\r\none\r\n", "3\r\none\r\n"),
                ("3\r\ntwo\r\n", "3\r\ntwo\r\n"),
            ] {
                client.send(sent).await;
                assert_eq!(client.take(back.len()).await, back);
            }
            client.send("0\r\n\r\n".to_owned() + &get("/")).await;
            assert_eq!(client.take(5).await, "0\r\n\r\n");
            assert_eq!(client.answer().await.text(), "root");
        },
    );
}

#[test]
fn response_made_of_a_body_breaks_off_with_it() {
    serve(
        || app().post("/back", stream_back),
        async |site| {
            let sized = "POST /back HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none".to_owned();
            for (request, after) in [
                (&sized, None),
                (
                    &(post_chunked("/back") + "3\r\none\r\n"),
                    Some("nonsense\r\n"),
                ),
            ] {
                let began_at = site.seconds();
                let mut client = site.send(request).await;
                quiet().await;
                if let Some(after) = after {
                    client.send(after).await;
                }
                let (answer, error) = client.try_answer_to(&http::Method::POST).await;
                let answer = answer.unwrap();
                assert_eq!(
                    (answer.text(), answer.is_whole, error.is_none()),
                    ("one", false, true)
                );
                let waited = site.seconds() - began_at;
                assert_eq!(waited, if after.is_some() { 0 } else { 20 });
            }
            // The peer goes away.
            let mut client = site.send(&sized).await;
            client.finish();
            let (answer, _) = client.try_answer_to(&http::Method::POST).await;
            assert!(!answer.unwrap().is_whole);
        },
    );
}

#[test]
fn response_made_of_an_expected_body_asks_for_it() {
    serve(
        || app().post("/back", stream_back),
        async |site| {
            let mut client = site.send(expecting("/back", 4)).await;
            assert_eq!(client.take(CONTINUE.len()).await, CONTINUE);
            client.send("body").await;
            let answer = client.answer().await;
            answer.assert_kept(200);
            assert_eq!(answer.text(), "body");
        },
    );
}

#[test]
fn stream_whose_handler_dropped_a_long_body_says_that_it_closes() {
    let app = || {
        Router::new().post("/", |_| async {
            Response::stream(stream::iter([Ok::<_, BodyError>(
                bytes::Bytes::from_static(b"done"),
            )]))
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
            .await;
        client.send(vec![b'x'; 150_000]).await;
        let answer = client.answer().await;
        answer.assert_last(200);
        client.finish();
        client.assert_closed().await;
    });
}

#[test]
fn child_that_reads_a_body_is_told_when_the_response_cannot_be_sent() {
    let seen = Seen::default();
    let app = || {
        let seen = seen.clone();
        Router::new().post("/", move |request: Request| {
            let (seen, mut body) = (seen.clone(), request.into_body());
            drop(spawn(
                async move { while note(&seen, body.chunk().await) {} },
            ));
            async {
                let response = Response::stream(stream::iter([Ok::<_, BodyError>("x".into())]));
                response.with_status(StatusCode::SWITCHING_PROTOCOLS)
            }
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
            .await;
        client.answer().await.assert_kept(500);
        drop(client);
        quiet().await;
    });
    assert_eq!(*seen.borrow(), ["one", "Abandoned"]);
}
