//! How long peers and handlers may take, phase by phase, and that those who take too long cost
//! the others nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::convert::Infallible;
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream;
use monoloop::time::{self, sleep};
use monoloop::{Request, Response, Router, Server, Timeouts, spawn};
use server_common::{
    Client, Counter, Dropped, NO_TIMEOUTS, get, ms, patient_server, post, quiet, secs, serve,
    serve_with, server,
};

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/slow/{seconds}", |request: Request| async move {
            let seconds = request.param("seconds").unwrap().parse().unwrap();
            sleep(secs(seconds)).await;
            "slow"
        })
        .get("/large", |_| async { vec![b'x'; LARGE_BYTES] })
        .get("/endless", |_| async { endless() })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

/// More than the sockets of both ends hold.
const LARGE_BYTES: usize = 32 * 1024 * 1024;

fn endless() -> Response {
    Response::stream(stream::poll_fn(|_| {
        Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from_static(
            &[b'x'; 64 * 1024],
        ))))
    }))
}

fn server_with(timeouts: Timeouts) -> Server {
    server().timeouts(timeouts)
}

#[test]
fn head_that_trickles_is_cut_off_at_its_deadline() {
    serve(app, async |site| {
        let mut client = site.connect().await;
        // Every byte is in time; all of them are not.
        let head = get("/");
        for byte in head.as_bytes().chunks(1).take(9) {
            sleep(secs(1)).await;
            client.send(byte).await;
        }
        let answer = client.answer().await;
        answer.assert_last(408);
        assert_eq!(site.seconds(), 10);
        client.assert_closed().await;
    });
}

#[test]
fn head_that_ends_in_time_is_served() {
    serve(app, async |site| {
        let mut client = site.send("GET / HT").await;
        sleep(ms(9_990)).await;
        client.send("TP/1.1\r\nHost: a\r\n\r\n").await;
        client.answer().await.assert_kept(200);
    });
}

#[test]
fn connection_that_says_nothing_is_closed_without_a_word() {
    serve(app, async |site| {
        let mut silent = site.connect().await;
        // An empty line is not the beginning of a request.
        let mut almost = site.send("\r\n").await;
        silent.assert_closed().await;
        assert_eq!(site.seconds(), 10);
        almost.assert_closed().await;
        assert_eq!(site.seconds(), 10);
    });
}

#[test]
fn time_for_a_later_head_begins_with_its_first_byte() {
    serve(app, async |site| {
        let mut client = site.connect().await;
        client.get("/").await.assert_kept(200);
        sleep(secs(60)).await;
        client.send("G").await;
        sleep(secs(9)).await;
        client.send("E").await;
        client.answer().await.assert_last(408);
        assert_eq!(site.seconds(), 70);
    });
}

#[test]
fn half_a_head_behind_a_whole_request_is_cut_off_too() {
    serve(app, async |site| {
        let mut client = site.send(get("/") + "GET /").await;
        client.answer().await.assert_kept(200);
        client.answer().await.assert_last(408);
        assert_eq!(site.seconds(), 10);
        client.assert_closed().await;
    });
}

#[test]
fn idle_connection_is_closed_and_activity_extends_its_time() {
    serve(app, async |site| {
        let mut client = site.connect().await;
        for _ in 0..4 {
            client.get("/").await.assert_kept(200);
            sleep(secs(74)).await;
        }
        client.get("/").await.assert_kept(200);
        let began_at = time::now();
        client.assert_closed().await;
        assert_eq!((time::now() - began_at).as_secs(), 75);
    });
}

#[test]
fn idle_time_begins_when_the_response_is_complete() {
    serve(app, async |site| {
        let mut client = site.send(get("/slow/20")).await;
        client.answer().await.assert_kept(200);
        client.assert_closed().await;
        assert_eq!(site.seconds(), 95);
    });
}

#[test]
fn handler_that_takes_too_long_is_dropped_and_answered_with_503() {
    let dropped = Dropped::default();
    let finished = Counter::default();
    let app = || {
        let (dropped, finished) = (dropped.clone(), finished.clone());
        Router::new()
            .get("/", |_| async { "root" })
            .get("/late", move |_| {
                let (guard, finished) = (dropped.guard(), finished.clone());
                async move {
                    let _guard = guard;
                    sleep(secs(31)).await;
                    finished.add();
                    "late"
                }
            })
    };
    serve(app, async |site| {
        let mut client = site.send(get("/late") + &get("/")).await;
        client.answer().await.assert_last(503);
        assert_eq!(site.seconds(), 30);
        assert!(dropped.get());
        client.assert_closed().await;
        sleep(secs(10)).await;
        assert_eq!(finished.get(), 0);
    });
}

#[test]
fn handler_that_is_done_in_time_is_answered() {
    serve(app, async |site| {
        let mut client = site.send(get("/slow/30")).await;
        // What is finished at the deadline is kept.
        client.answer().await.assert_kept(200);
        assert_eq!(site.seconds(), 30);
    });
}

#[test]
fn child_of_a_handler_that_was_stopped_goes_on() {
    let finished = Counter::default();
    let app = || {
        let finished = finished.clone();
        Router::new().get("/", move |_| {
            let finished = finished.clone();
            async move {
                let child = spawn(async move {
                    sleep(secs(60)).await;
                    finished.add();
                });
                child.await.unwrap();
                "late"
            }
        })
    };
    serve(app, async |site| {
        site.get("/").await.assert_last(503);
        sleep(secs(31)).await;
        assert_eq!(finished.get(), 1);
    });
}

#[test]
fn reader_that_never_reads_is_cut_off() {
    for path in ["/large", "/endless"] {
        let report = serve(app, async |site| {
            let _client = site.send(get(path)).await;
            sleep(secs(29)).await;
            let mut other = site.connect().await;
            other.get("/").await.assert_kept(200);
            drop(other);
            sleep(secs(2)).await;
        });
        assert_eq!(report.open, 0, "{path}");
    }
}

#[test]
fn reader_of_many_answers_that_never_reads_is_cut_off() {
    let app = || Router::new().get("/", |_| async { vec![b'x'; 60_000] });
    let report = serve(app, async |site| {
        let _client = site.send(get("/").repeat(1500)).await;
        sleep(secs(31)).await;
    });
    assert_eq!(report.open, 0);
}

#[test]
fn reader_that_reads_a_little_has_more_time() {
    serve(app, async |site| {
        let mut client = site.send(get("/endless")).await;
        let mut buffer = vec![0; 1024 * 1024];
        for _ in 0..5 {
            sleep(secs(29)).await;
            let mut read = 0;
            while read < 6 * buffer.len() {
                let count = client.read(&mut buffer).await;
                assert_ne!(count, 0, "cut off at {} s", site.seconds());
                read += count;
            }
        }
        assert_eq!(site.seconds(), 5 * 29);
        drop(client);
        quiet().await;
    });
}

#[test]
fn slow_write_leaves_the_next_phase_its_own_time() {
    // Whoever was waited for while writing is not at once idle for too long.
    let timeouts = Timeouts {
        write: Some(secs(1000)),
        ..Timeouts::default()
    };
    serve_with(&server_with(timeouts), app, async |site| {
        let mut client = site.send(get("/large")).await;
        sleep(secs(500)).await;
        let answer = client.answer().await;
        assert_eq!((answer.body.len(), answer.is_whole), (LARGE_BYTES, true));
        let began_at = time::now();
        sleep(secs(74)).await;
        client.get("/").await.assert_kept(200);
        client.assert_closed().await;
        assert_eq!((time::now() - began_at).as_secs(), 74 + 75);
    });
}

#[test]
fn without_timeouts_the_server_waits_for_ever() {
    const YEAR: u64 = 365 * 86_400;
    let app = || app().get("/year", |_| async { sleep(secs(YEAR)).await });
    let report = serve_with(&patient_server(), app, async |site| {
        let mut silent = site.connect().await;
        let mut head = site.send("GET /").await;
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        let mut body = site
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
            .await;
        let mut handler = site.send(get("/year")).await;
        let mut writing = site.send(get("/large")).await;

        sleep(secs(YEAR)).await;
        silent.get("/").await.assert_kept(200);
        head.send(" HTTP/1.1\r\nHost: a\r\n\r\n").await;
        head.answer().await.assert_kept(200);
        idle.get("/").await.assert_kept(200);
        body.send("body").await;
        assert_eq!(body.answer().await.text(), "body");
        handler.answer().await.assert_kept(200);
        // Read so far that it cannot have been broken off.
        let mut buffer = vec![0; 1024 * 1024];
        let mut read = 0;
        while read < LARGE_BYTES {
            read += writing.read(&mut buffer).await;
        }
    });
    assert_eq!(report.forced, 0);
}

#[test]
fn each_timeout_is_its_own() {
    let timeouts = Timeouts {
        head: Some(secs(1)),
        idle: Some(secs(2)),
        body: Some(secs(3)),
        handler: Some(secs(4)),
        write: None,
        tls_handshake: None,
    };
    serve_with(&server_with(timeouts), app, async |site| {
        let seconds = async |client: &mut Client| {
            let began_at = time::now();
            let rest = client.rest().await;
            let status = String::from_utf8_lossy(&rest)
                .split(' ')
                .nth(1)
                .map(str::to_owned);
            (
                status.unwrap_or_default(),
                (time::now() - began_at).as_secs(),
            )
        };
        let mut head = site.send("GET").await;
        assert_eq!(seconds(&mut head).await, ("408".to_owned(), 1));
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        assert_eq!(seconds(&mut idle).await, (String::new(), 2));
        let mut body = site
            .send(post("/echo", "body").replace("\r\nbody", "\r\nbod"))
            .await;
        body.answer().await.assert_last(408);
        let mut handler = site.send(get("/slow/9")).await;
        assert_eq!(seconds(&mut handler).await, ("503".to_owned(), 4));
    });
}

#[test]
fn what_arrived_while_the_loop_was_busy_is_in_time() {
    serve(app, async |site| {
        let mut client = site.send("GET /").await;
        quiet().await;
        client.send(" HTTP/1.1\r\nHost: a\r\n\r\n").await;
        // The request has come, and nobody has looked when its time is long over.
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        client.answer().await.assert_kept(200);
    });
}

#[test]
fn hostile_peers_are_cut_off_while_all_others_are_served() {
    let report = serve(app, async |site| {
        let mut hostile = Vec::new();
        for _ in 0..10 {
            // Half a head, then silence.
            hostile.push((site.send("GET / HTTP/1.1\r\nHost").await, Some(408)));
            // Nothing at all.
            hostile.push((site.connect().await, None));
            // A body that never comes.
            let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
            hostile.push((site.send(head).await, Some(408)));
            hostile.push((site.send(head.to_owned() + "half").await, Some(408)));
        }
        // A head that never ends.
        let mut endless_heads = Vec::new();
        for _ in 0..10 {
            let client = site.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
            endless_heads.push(spawn(async move {
                let mut client = client;
                for _ in 0..9 {
                    sleep(ms(1_050)).await;
                    client.send("x: y\r\n").await;
                }
                let answer = client.answer().await;
                answer.assert_last(408);
                time::now()
            }));
        }
        // Readers that never read.
        let mut deaf = Vec::new();
        for _ in 0..3 {
            deaf.push(site.send(get("/endless")).await);
        }

        let mut others = Vec::new();
        for _ in 0..100 {
            let client = site.connect().await;
            others.push(spawn(async move {
                let mut client = client;
                let mut served = 0;
                for _ in 0..60 {
                    client.get("/").await.assert_kept(200);
                    served += 1;
                    sleep(secs(1)).await;
                }
                served
            }));
        }

        let began_at = time::now();
        for (mut client, status) in hostile {
            match status {
                Some(status) => client.answer().await.assert_last(status),
                None => client.assert_closed().await,
            }
        }
        assert_eq!((time::now() - began_at).as_secs(), 20);
        for endless in endless_heads {
            assert_eq!((endless.await.unwrap() - began_at).as_secs(), 10);
        }
        let mut served = 0;
        for other in others {
            served += other.await.unwrap();
        }
        assert_eq!(served, 6000);
        drop(deaf);
    });
    assert_eq!(
        (report.open, report.forced),
        (0, 0),
        "the deaf were cut off long before"
    );
}

#[test]
fn timeouts_are_those_of_the_documentation() {
    let default = Timeouts::default();
    let all = [
        default.head,
        default.idle,
        default.body,
        default.handler,
        default.write,
    ];
    assert_eq!(all, [10, 75, 20, 30, 30].map(|seconds| Some(secs(seconds))));
    assert_ne!(default, NO_TIMEOUTS);
}
