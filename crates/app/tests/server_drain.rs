//! The end of a server: nothing new, what runs is finished, what idles is closed, and what is
//! left at the deadline is cut off and counted.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::net::SocketAddr;
use std::time::Duration;

use monoloop::config::{Config, DrainConfig};
use monoloop::net::TcpStream;
use monoloop::time::{self, sleep};
use monoloop::{ClockMode, HeldRequest, Request, Router, Runtime, Server, Shutdown, spawn};
use server_common::{
    Client, Dropped, assert_accounted, assert_balance, get, ms, patient_server, post, quiet, secs,
    serve, serve_with, server,
};

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/slow/{seconds}", |request: Request| async move {
            let seconds = request.param("seconds").unwrap().parse().unwrap();
            sleep(secs(seconds)).await;
            "slow"
        })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

fn server_that_drains(delay: Duration, timeout: Duration) -> Server {
    Server::from_config(&Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        drain: DrainConfig { delay, timeout },
        ..Config::default()
    })
}

#[test]
fn idle_connections_are_closed_at_once() {
    let report = serve(app, async |site| {
        let mut idle = Vec::new();
        for _ in 0..50 {
            let mut client = site.connect().await;
            client.get("/").await.assert_kept(200);
            idle.push(client);
        }
        site.shutdown.drain();
        for client in &mut idle {
            client.assert_closed().await;
        }
        assert_eq!(site.seconds(), 0);
    });
    assert_eq!((report.open, report.forced), (50, 0));
    assert!(report.took < ms(100), "{report:?}");
}

#[test]
fn nothing_is_accepted_any_more() {
    serve(app, async |site| {
        let mut running = site.send(get("/slow/5")).await;
        quiet().await;
        site.shutdown.drain();
        sleep(ms(5)).await;
        let refused = TcpStream::connect(site.address).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        running.answer().await.assert_last(200);
    });
}

#[test]
fn what_runs_is_finished_and_then_closed() {
    let report = serve(app, async |site| {
        let mut slow = site.send(get("/slow/5") + &get("/")).await;
        quiet().await;
        site.shutdown.drain();
        slow.answer().await.assert_last(200);
        assert_eq!(site.seconds(), 5);
        // The answer said so: the request behind it goes unanswered.
        slow.assert_closed().await;
    });
    assert_eq!((report.open, report.forced), (1, 0));
    assert!(
        report.took > ms(4_900) && report.took <= secs(5),
        "{report:?}"
    );
}

#[test]
fn half_sent_posts_are_finished() {
    let report = serve(app, async |site| {
        let request = post("/echo", "a body in halves");
        let (first, second) = request.split_at(request.len() - 8);
        let half_a_head = &request[..20];
        let mut posts = Vec::new();
        for sent in [first, &request[..request.len() - 16], half_a_head] {
            for _ in 0..10 {
                posts.push((site.send(sent).await, &request[sent.len()..]));
            }
        }
        assert_eq!(second.len(), 8);
        quiet().await;
        site.shutdown.drain();
        sleep(secs(5)).await;
        for (client, rest) in &mut posts {
            client.send(rest).await;
            let answer = client.answer().await;
            answer.assert_last(200);
            assert_eq!(answer.text(), "a body in halves");
            client.assert_closed().await;
        }
    });
    assert_eq!((report.open, report.forced), (30, 0));
}

#[test]
fn stream_is_sent_to_its_end() {
    use futures_util::{StreamExt, stream};
    let app = || {
        Router::new().get("/", |_| async {
            monoloop::Response::stream(stream::iter(0..5).then(|n| async move {
                sleep(secs(1)).await;
                Ok::<_, std::convert::Infallible>(bytes::Bytes::from(n.to_string()))
            }))
        })
    };
    let report = serve(app, async |site| {
        let mut client = site.send(get("/")).await;
        sleep(ms(1500)).await;
        site.shutdown.drain();
        let answer = client.answer().await;
        assert_eq!((answer.text(), answer.is_whole), ("01234", true));
        // Its head has promised more than can be kept.
        client.assert_closed().await;
    });
    assert_eq!(report.forced, 0);
}

#[test]
fn what_is_left_at_the_deadline_is_cut_off_and_counted() {
    let dropped = Dropped::default();
    let app = || {
        let dropped = dropped.clone();
        app().get("/hang", move |_| {
            let guard = dropped.guard();
            async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }
        })
    };
    let report = serve_with(
        &patient_server().drain_timeout(secs(7)),
        app,
        async |site| {
            let mut hangs = [site.send(get("/hang")).await, site.send(get("/hang")).await];
            let mut slow = site.send(get("/slow/5")).await;
            let mut half = site.send("GET / HT").await;
            quiet().await;
            site.shutdown.drain();
            slow.answer().await.assert_last(200);
            let mut byte = [0];
            // Cut off: a reset or the end, but no answer.
            for client in &mut hangs {
                assert!(!matches!(client.read_result(&mut byte).await, Ok(1)));
            }
            assert!(!matches!(half.read_result(&mut byte).await, Ok(1)));
            assert_eq!(site.seconds(), 7);
        },
    );
    assert!(dropped.get());
    assert_eq!(
        (report.open, report.forced, report.took.as_secs()),
        (4, 3, 7)
    );
}

#[test]
fn asking_again_changes_nothing_and_force_ends_it_at_once() {
    let report = serve_with(&patient_server(), app, async |site| {
        let mut slow = site.send(get("/slow/60")).await;
        quiet().await;
        site.shutdown.drain();
        sleep(secs(3)).await;
        site.shutdown.drain();
        sleep(secs(3)).await;
        assert_eq!(slow.take_what_came().await, "");
        site.shutdown.force();
        let mut byte = [0];
        assert!(!matches!(slow.read_result(&mut byte).await, Ok(1)));
        assert_eq!(site.seconds(), 6);
    });
    assert_eq!((report.open, report.forced), (1, 1));
}

#[test]
fn force_alone_ends_everything() {
    let report = serve_with(&patient_server(), app, async |site| {
        let _slow = site.send(get("/slow/60")).await;
        let _idle = site.connect().await;
        quiet().await;
        site.shutdown.force();
        quiet().await;
        assert_eq!(site.seconds(), 0);
    });
    assert_eq!((report.open, report.forced), (2, 2));
}

#[test]
fn server_is_alive_but_not_ready_while_it_leaves() {
    let server = server_that_drains(secs(10), secs(25));
    let report = serve_with(&server, app, async |site| {
        let mut kept = site.connect().await;
        kept.get("/readyz").await.assert_kept(200);
        site.shutdown.drain();
        sleep(secs(5)).await;
        // Still accepting, still keeping connections.
        let mut new = site.connect().await;
        for client in [&mut kept, &mut new] {
            let ready = client.get("/readyz").await;
            ready.assert_kept(503);
            assert_eq!(ready.text(), "draining\n");
            client.get("/healthz").await.assert_kept(200);
            client.get("/").await.assert_kept(200);
        }
        // Then it drains.
        kept.assert_closed().await;
        new.assert_closed().await;
        assert_eq!(site.seconds(), 10);
        sleep(ms(5)).await;
        assert!(TcpStream::connect(site.address).await.is_err());
    });
    assert_eq!(
        (report.open, report.forced, report.took.as_secs()),
        (2, 0, 10)
    );
}

#[test]
fn force_cuts_the_delay_short() {
    let server = server_that_drains(secs(10), secs(25));
    let report = serve_with(&server, app, async |site| {
        site.shutdown.drain();
        sleep(secs(1)).await;
        site.shutdown.force();
        quiet().await;
        assert!(TcpStream::connect(site.address).await.is_err());
    });
    assert_eq!(report.took.as_secs(), 1);
}

/// Clients that have connected and sent before the server has looked. The sockets are the
/// standard library's, which do not give the loop a turn.
fn connect_without_a_turn(address: SocketAddr, count: usize) -> Vec<std::net::TcpStream> {
    use std::io::Write;
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(get("/").as_bytes()).unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

/// What a server sends to a client until it closes.
fn read_blocking(mut stream: &std::net::TcpStream) -> String {
    use std::io::Read;
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Ok(_) => text,
        Err(error) => format!("{text}{error}"),
    }
}

#[test]
fn requests_in_the_backlog_when_the_drain_begins_are_answered() {
    for count in [1, 50, 500] {
        let mut clients = Vec::new();
        let report = serve(app, async |site| {
            quiet().await;
            clients = connect_without_a_turn(site.address, count);
            site.shutdown.drain();
        });
        let answered = clients
            .iter()
            .map(read_blocking)
            .filter(|text| text.starts_with("HTTP/1.1 200") && text.contains("connection: close"))
            .count();
        assert_eq!(answered, count);
        assert_eq!((report.open, report.forced), (count, 0));
    }
}

#[test]
fn connections_at_the_limit_do_not_keep_the_backlog_from_being_answered() {
    let mut clients = Vec::new();
    serve_with(&server().connections_max(1), app, async |site| {
        let mut held = site.connect().await;
        held.get("/").await.assert_kept(200);
        clients = connect_without_a_turn(site.address, 10);
        quiet().await;
        site.shutdown.drain();
        held.assert_closed().await;
    });
    for client in &clients {
        assert!(read_blocking(client).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn connection_without_a_request_gets_a_moment_for_it() {
    let report = serve(app, async |site| {
        let mut quick = site.connect().await;
        let mut silent = site.connect().await;
        quiet().await;
        site.shutdown.drain();
        sleep(ms(20)).await;
        quick.send(get("/")).await;
        quick.answer().await.assert_last(200);
        silent.assert_closed().await;
    });
    assert_eq!(report.forced, 0);
    assert!(report.took < secs(1), "{report:?}");
}

#[test]
fn body_that_nobody_reads_does_not_hold_up_the_drain() {
    let report = serve(app, async |site| {
        // Its rest is awaited, and never comes.
        let mut client = site
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
            .await;
        client.answer().await.assert_kept(405);
        site.shutdown.drain();
        client.assert_closed().await;
    });
    assert_eq!(report.forced, 0);
}

#[test]
fn drained_server_leaves_its_port_to_the_next() {
    let mut runtime = Runtime::builder()
        .clock(ClockMode::Jumping)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        for _ in 0..3 {
            let shutdown = Shutdown::new();
            let server = Server::bind(address).unwrap();
            let serving = server.spawn(app, &shutdown).unwrap();
            address = serving.local_addr();
            let mut client = Client::new(TcpStream::connect(address).await.unwrap());
            client.get("/").await.assert_kept(200);
            shutdown.drain();
            let ledger = serving.ledger();
            serving.wait().await;
            assert_accounted(&ledger);
            client.assert_closed().await;
        }
    });
    assert_balance(&mut runtime);
}

#[test]
fn wait_for_the_end_may_be_given_up() {
    let mut runtime = Runtime::builder()
        .clock(ClockMode::Jumping)
        .build()
        .unwrap();
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        let serving = server().spawn(app, &shutdown).unwrap();
        let address = serving.local_addr();
        assert!(time::timeout(secs(1), serving.wait()).await.is_err());
        let mut client = Client::new(TcpStream::connect(address).await.unwrap());
        client.get("/").await.assert_kept(200);
        shutdown.drain();
        client.assert_closed().await;
        sleep(ms(5)).await;
    });
    assert_balance(&mut runtime);
}

#[test]
fn servers_on_one_loop_end_one_by_one() {
    serve(app, async |site| {
        let other = Shutdown::new();
        let serving = server()
            .spawn(|| Router::new().get("/", |_| async { "other" }), &other)
            .unwrap();
        let mut client = Client::new(TcpStream::connect(serving.local_addr()).await.unwrap());
        assert_eq!(client.get("/").await.text(), "other");
        other.drain();
        let waiting = spawn(serving.wait());
        client.assert_closed().await;
        waiting.await.unwrap();
        assert_eq!(site.get("/").await.text(), "root");
    });
}

#[test]
fn what_holds_the_drain_and_what_was_cut_off_is_told_by_request() {
    let hasty = server_that_drains(Duration::ZERO, secs(5));
    let report = serve_with(&hasty, app, async |site| {
        let asked = "GET /slow/3 HTTP/1.1\r\nHost: a\r\nX-Request-Id: three\r\n\r\n";
        let mut three = site.send(asked).await;
        let asked = "GET /slow/9 HTTP/1.1\r\nHost: a\r\nX-Request-Id: nine\r\n\r\n";
        let mut nine = site.send(asked).await;
        sleep(ms(500)).await;
        let half =
            "POST /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: half\r\nContent-Length: 9\r\n\r\n";
        let mut half = site.send(half).await;
        let _no_request = site.send("GET / HT").await;
        quiet().await;
        site.shutdown.drain();
        three.answer().await.assert_last(200);
        sleep(secs(5)).await;
        for cut_off in [&mut nine, &mut half] {
            let (answer, _) = cut_off.try_answer_to(&http::Method::GET).await;
            assert!(answer.is_none(), "{answer:?}");
        }
    });
    let told = |requests: &[HeldRequest]| -> Vec<(String, String, String)> {
        let told = requests.iter().map(|it| {
            let (id, phase) = (it.id.to_string(), it.phase.to_string());
            (id, it.route.clone(), phase)
        });
        told.collect()
    };
    let line =
        |id: &str, route: &str, phase: &str| (id.to_owned(), route.to_owned(), phase.to_owned());
    let nine = line("nine", "GET /slow/{seconds}", "in its handler");
    let half = line("half", "POST /echo", "receiving its body");
    let three = line("three", "GET /slow/{seconds}", "in its handler");
    assert_eq!(told(&report.held), [three, nine.clone(), half.clone()]);
    assert_eq!(told(&report.forced_requests), [nine, half]);
    assert_eq!(report.forced, 3);
    assert!(report.forced_requests[0].age >= ms(5_500), "{report:?}");
}

#[test]
fn what_was_cut_off_without_a_request_is_counted_by_what_was_waited_for() {
    let server = patient_server().drain_timeout(secs(5));
    let app = || app().get("/large", |_| async { vec![b'x'; 60_000] });
    let report = serve_with(&server, app, async |site| {
        let _half_heads = [
            site.send("GET / HT").await,
            site.send(get("/") + "GET /").await,
        ];
        let _running = site.send(get("/slow/9")).await;
        // Answered before its body has come.
        let _body = site.send(&post("/", &"x".repeat(1000))[..70]).await;
        let mut not_reading = site.connect().await;
        let flood = get("/large").repeat(1000);
        let flooding = time::timeout(secs(1), not_reading.send_until_closed(flood.as_bytes()));
        let _sent_in_part = flooding.await;
        quiet().await;
        site.shutdown.drain();
        sleep(secs(6)).await;
    });
    let others = report.forced_without_request;
    assert_eq!((report.forced, report.forced_requests.len()), (5, 1));
    assert_eq!(
        (others.sending_head, others.sending_body, others.not_reading),
        (2, 1, 1),
        "{others}"
    );
    assert_eq!(others.count(), 4);
}

#[test]
fn a_head_that_begins_while_the_server_leaves_has_the_time_of_a_head() {
    let report = serve(app, async |site| {
        let mut fresh = site.connect().await;
        quiet().await;
        site.shutdown.drain();
        sleep(ms(20)).await;
        let request = get("/");
        fresh.send(&request[..10]).await;
        sleep(secs(9)).await;
        fresh.send(&request[10..]).await;
        fresh.answer().await.assert_last(200);
        fresh.assert_closed().await;
    });
    assert_eq!(report.forced, 0);
}

#[test]
fn only_so_many_requests_are_named() {
    let hasty = server_that_drains(Duration::ZERO, secs(3));
    let report = serve_with(&hasty, app, async |site| {
        let mut slow = Vec::new();
        for _ in 0..30 {
            slow.push(site.send(get("/slow/9")).await);
        }
        quiet().await;
        site.shutdown.drain();
        sleep(secs(4)).await;
    });
    let named = (report.held.len(), report.forced_requests.len());
    assert_eq!((named, report.forced), ((20, 20), 30));
}
