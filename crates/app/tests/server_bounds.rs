//! What peers cannot use up, however they try: time, connections, requests, memory; what is not
//! charged to them: our own lag; and what becomes of a handler when nobody waits for it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use bytes::Bytes;
use futures_util::stream;
use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::sim::{self, Builder, Link};
use monoloop::time::{self, sleep, timeout};
use monoloop::{
    HalfClose, OnDisconnect, Request, Response, RouteOptions, Router, Server, Shedding, Shutdown,
    Timeouts, on_cancel, spawn, task_group,
};
use server_common::{
    Answer, Client, Counter, Dropped, NO_TIMEOUTS, get, ms, patient_server, post, post_chunked,
    quiet, secs, serve, serve_with, server,
};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

const ADDRESS: &str = "10.0.0.1:80";

fn address() -> SocketAddr {
    ADDRESS.parse().unwrap()
}

/// Serves in a simulated world without faults.
async fn simulated<R>(
    server: Server,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce() -> R,
) -> R {
    let shutdown = Shutdown::new();
    let serving = server.spawn(app, &shutdown).unwrap();
    let tested = timeout(secs(100_000), test()).await;
    let output = tested.expect("the test waits for something that never comes");
    shutdown.drain();
    serving.wait().await;
    output
}

fn sim_server() -> Server {
    Server::bind(ADDRESS).unwrap()
}

async fn connect() -> Client {
    Client::new(TcpStream::connect(address()).await.unwrap())
}

async fn connect_from(ip: &str) -> Client {
    let options = ConnectOptions::default().local_addr(format!("{ip}:0").parse().unwrap());
    Client::new(TcpStream::connect_with(address(), &options).await.unwrap())
}

async fn send(bytes: impl AsRef<[u8]>) -> Client {
    let mut client = connect().await;
    client.send(bytes).await;
    client
}

// Lag: what the loop itself was stuck is not charged to peers.

const STUCK: Duration = Duration::from_secs(6);

fn burning() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/burn", |_| async {
            sim::burn(STUCK);
            "burnt"
        })
        .get("/endless", |_| async { endless() })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

fn endless() -> Response {
    Response::stream(stream::poll_fn(|_| {
        Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from_static(
            &[b'x'; 16 * 1024],
        ))))
    }))
}

fn five_seconds() -> Server {
    let five = Some(secs(5));
    sim_server().timeouts(Timeouts {
        head: five,
        idle: five,
        body: five,
        write: five,
        ..NO_TIMEOUTS
    })
}

#[test]
fn a_stuck_loop_serves_those_whose_requests_came_in_time() {
    sim::run(1, async {
        simulated(five_seconds(), burning, async || {
            let mut silent = connect().await;
            let mut half = send("GET / HT").await;
            let mut body = send(post("/echo", "body").replace("\r\n\r\nbody", "\r\n\r\nbo")).await;
            let mut idle = connect().await;
            idle.get("/").await.assert_kept(200);
            sleep(secs(1)).await;

            // All of this is on its way when the loop gets stuck, or comes while it is.
            let mut burner = send(get("/burn")).await;
            half.send("TP/1.1\r\nHost: a\r\n").await;
            body.send("d").await;
            idle.send(get("/")).await;
            let late = TcpStream::connect(address());
            let mut late = Box::pin(late);
            let polled = std::future::poll_fn(|cx| Poll::Ready(Future::poll(late.as_mut(), cx)));
            assert!(polled.await.is_pending());
            let began = sim::elapsed();
            burner.answer().await.assert_kept(200);
            assert!(sim::elapsed() - began >= STUCK);

            // What is left of their time is theirs still.
            sleep(secs(3)).await;
            silent.get("/").await.assert_kept(200);
            half.send("\r\n").await;
            half.answer().await.assert_kept(200);
            body.send("y").await;
            assert_eq!(body.answer().await.text(), "body");
            idle.answer().await.assert_kept(200);
            let mut late = Client::new(late.await.unwrap());
            late.get("/").await.assert_kept(200);
        })
        .await;
    });
}

#[test]
fn a_stuck_loop_still_cuts_off_who_is_silent_and_by_no_more_than_it_was_stuck() {
    sim::run(2, async {
        simulated(five_seconds(), burning, async || {
            let began = sim::elapsed();
            let mut half = send("GET / HT").await;
            sleep(secs(1)).await;
            send(get("/burn")).await.answer().await.assert_kept(200);
            half.answer().await.assert_last(408);
            let took = sim::elapsed() - began;
            assert!(took >= secs(11) && took < secs(12), "{took:?}");
        })
        .await;
    });
}

#[test]
fn a_reader_that_did_read_while_the_loop_was_stuck_goes_on() {
    sim::run(3, async {
        simulated(five_seconds(), burning, async || {
            let mut reader = send(get("/endless")).await;
            let mut buffer = vec![0; 1 << 20];
            assert!(reader.read(&mut buffer).await > 0);
            sleep(secs(4)).await;
            send(get("/burn")).await.answer().await.assert_kept(200);
            sleep(ms(500)).await;
            // More than ten seconds have passed without a byte, four and a half of them its own.
            let mut read = 0;
            while read < 4 << 20 {
                let count = reader.read(&mut buffer).await;
                assert_ne!(count, 0, "cut off");
                read += count;
            }
        })
        .await;
    });
}

#[test]
fn a_loop_that_is_always_stuck_does_not_keep_the_silent_for_ever() {
    sim::run(4, async {
        simulated(five_seconds(), burning, async || {
            let mut silent = connect().await;
            let burning = spawn(async {
                loop {
                    sim::burn(ms(150));
                    monoloop::yield_now().await;
                }
            });
            let closed = timeout(secs(60), silent.assert_closed()).await;
            assert!(closed.is_ok());
            burning.cancel();
        })
        .await;
    });
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the loop is to be stuck")]
fn a_real_loop_that_was_stuck_serves_what_came_in_time_and_no_more() {
    let timeouts = Timeouts {
        head: Some(ms(400)),
        ..NO_TIMEOUTS
    };
    let app = || {
        Router::new()
            .get("/", |_| async { "root" })
            .get("/burn", |_| async {
                std::thread::sleep(ms(700));
                "burnt"
            })
    };
    server_common::serve_in_real_time(&server().timeouts(timeouts), app, async |site| {
        let mut half = site.send("GET / HT").await;
        let mut silent = site.send("GET").await;
        sleep(ms(50)).await;
        let mut burner = site.send(get("/burn")).await;
        half.send("TP/1.1\r\nHost: a\r\n").await;
        // Connected and told while the loop is stuck: it waits in the backlog.
        let mut late = std::net::TcpStream::connect(site.address).unwrap();
        std::io::Write::write_all(&mut late, get("/").as_bytes()).unwrap();
        burner.answer().await.assert_kept(200);
        half.send("\r\n").await;
        half.answer().await.assert_kept(200);
        late.set_nonblocking(true).unwrap();
        silent.answer().await.assert_last(408);
        let mut answer = [0; 12];
        std::io::Read::read_exact(&mut late, &mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    });
}

// Rates: a byte now and then does not pay for its time.

#[test]
fn a_body_that_trickles_is_cut_off_though_it_never_stops() {
    serve(burning, async |site| {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
        let mut client = site.send(head).await;
        for _ in 0..19 {
            sleep(secs(1)).await;
            client.send("x").await;
        }
        let answer = client.answer().await;
        answer.assert_last(408);
        assert_eq!(answer.text(), "the request's body came too slowly\n");
        // Twenty seconds, and nineteen bytes' worth.
        assert_eq!(site.seconds(), 20);
    });
}

#[test]
fn a_body_that_comes_at_the_rate_has_all_the_time_it_takes() {
    let unhurried = server().timeouts(Timeouts {
        handler: None,
        ..Timeouts::default()
    });
    serve_with(&unhurried, burning, async |site| {
        let mut client = site
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 24000\r\n\r\n")
            .await;
        for _ in 0..100 {
            sleep(secs(1)).await;
            client.send([b'x'; 240]).await;
        }
        assert_eq!(client.answer().await.body.len(), 24_000);
        assert_eq!(site.seconds(), 100);
    });
}

#[test]
fn time_in_which_nobody_wants_the_body_is_not_the_peers() {
    let app = || {
        Router::new().post("/late", |request: Request| async move {
            let mut body = request.into_body();
            let mut bytes = 0;
            while let Some(piece) = body.chunk().await {
                bytes += piece?.len();
                sleep(secs(9)).await;
            }
            Ok::<_, monoloop::BodyError>(format!("{bytes}"))
        })
    };
    let unhurried = server().timeouts(Timeouts {
        handler: None,
        ..Timeouts::default()
    });
    serve_with(&unhurried, app, async |site| {
        let mut client = site
            .send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
            .await;
        for _ in 0..10 {
            client.send("x").await;
            sleep(secs(10)).await;
        }
        assert_eq!(client.answer().await.text(), "10");
    });
}

#[test]
fn a_reader_that_takes_a_few_bytes_now_and_then_is_cut_off() {
    let link = Link {
        buffer_bytes: 512,
        ..Link::default()
    };
    Builder::new().link(link).run(5, async {
        simulated(sim_server(), burning, async || {
            let mut client = send(get("/endless")).await;
            let mut buffer = [0; 16];
            let mut read = 0;
            let began = sim::elapsed();
            loop {
                sleep(secs(2)).await;
                match client.read_result(&mut buffer).await {
                    Ok(count) if count > 0 => read += count,
                    _ => break,
                }
                assert!(sim::elapsed() - began < secs(400), "{read} bytes");
            }
            // It never stopped for thirty seconds, and was not waited for by the hour.
            assert!(sim::elapsed() - began > secs(30));
        })
        .await;
    });
}

#[test]
fn the_rest_of_a_body_that_nobody_wants_is_bounded_in_time_and_bytes() {
    let app = || Router::new().post("/", |_| async { "no, thank you" });
    serve(app, async |site| {
        let mut slow = site.send(post_chunked("/") + "1\r\nx\r\n").await;
        slow.answer().await.assert_kept(200);
        for _ in 0..19 {
            sleep(secs(1)).await;
            slow.send("1\r\nx\r\n").await;
        }
        slow.assert_closed().await;
        assert_eq!(site.seconds(), 20);

        let mut much = site.send(post_chunked("/")).await;
        much.answer().await.assert_kept(200);
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        for _ in 0..17 {
            much.send_until_closed(&chunk).await;
        }
        much.assert_closed().await;
        assert_eq!(site.seconds(), 20, "64 KiB were enough");
    });
}

// Counts.

#[test]
fn the_last_request_of_a_connection_says_so_and_the_rest_of_a_pipeline_is_not_served() {
    let served = Counter::default();
    let app = || {
        let served = served.clone();
        Router::new().get("/", move |_| {
            served.add();
            async { "root" }
        })
    };
    let server = patient_server().requests_per_connection_max(Some(3));
    serve_with(&server, app, async |site| {
        let mut client = site.send(get("/").repeat(5)).await;
        client.answer().await.assert_kept(200);
        client.answer().await.assert_kept(200);
        client.answer().await.assert_last(200);
        client.assert_closed().await;
        assert_eq!(served.get(), 3);
        site.get("/").await.assert_kept(200);
    });
}

#[test]
fn one_peer_has_so_many_connections_and_the_others_theirs() {
    sim::run(6, async {
        let server = sim_server().connections_per_peer_max(Some(2));
        simulated(server, burning, async || {
            let mut first = connect_from("10.0.1.1").await;
            first.get("/").await.assert_kept(200);
            let mut second = connect_from("10.0.1.1").await;
            second.get("/").await.assert_kept(200);

            let mut third = connect_from("10.0.1.1").await;
            third.send(get("/")).await;
            let answer = third.answer().await;
            answer.assert_last(503);
            assert_eq!(answer.field("retry-after"), Some("1"));
            third.assert_closed().await;

            let mut other = connect_from("10.0.1.2").await;
            other.get("/").await.assert_kept(200);
            drop(first);
            sleep(ms(100)).await;
            let mut again = connect_from("10.0.1.1").await;
            again.get("/").await.assert_kept(200);
            second.get("/").await.assert_kept(200);
        })
        .await;
    });
}

#[test]
fn a_pipeline_that_nobody_reads_the_answers_of_is_not_worked_off() {
    const REQUESTS: usize = 20_000;
    let served = Counter::default();
    let app = || {
        let served = served.clone();
        Router::new().get("/", move |_| {
            served.add();
            async { vec![b'x'; 10_000] }
        })
    };
    let link = Link {
        buffer_bytes: 64 * 1024,
        ..Link::default()
    };
    Builder::new().link(link).run(7, async {
        simulated(sim_server(), app, async || {
            let mut client = connect().await;
            let flood = get("/").repeat(REQUESTS);
            let sent = timeout(secs(10), client.send_until_closed(flood.as_bytes())).await;
            assert!(sent.is_err(), "it is not all received");
            // The buffers on the way, the response buffer and one answer more.
            assert!(served.get() * 10_000 < 512 * 1024, "{}", served.get());
            drop(client);
        })
        .await;
    });
}

// Bodies by route.

fn by_route() -> Router {
    let length = |request: Request| async move {
        let body = request.into_bytes().await;
        body.map(|body| body.len().to_string())
    };
    Router::new()
        .post("/small", length)
        .with(RouteOptions::new().body_bytes_max(10))
        .post("/large/{name}", length)
        .with(RouteOptions::new().body_bytes_max(3 << 20))
        .post("/usual", length)
}

#[test]
fn each_route_takes_bodies_of_its_own_length() {
    serve(by_route, async |site| {
        let megabytes = |count: usize| "x".repeat(count << 20);
        for (path, bytes, taken) in [
            ("/small", 10, true),
            ("/small", 11, false),
            ("/large/a", 3 << 20, true),
            ("/large/a", (3 << 20) + 1, false),
            ("/usual", 1 << 20, true),
            ("/usual", (1 << 20) + 1, false),
            ("/nowhere", (1 << 20) + 1, false),
        ] {
            let body = "x".repeat(bytes);
            let announced = post(path, &body);
            let head = announced.split_inclusive("\r\n\r\n").next().unwrap();
            let chunks = format!("{bytes:x}\r\n{body}\r\n0\r\n\r\n");
            let mut chunked = site.send(post_chunked(path)).await;
            chunked.send_until_closed(chunks.as_bytes()).await;
            if taken {
                let mut client = site.send(&announced).await;
                assert_eq!(client.answer().await.text(), bytes.to_string());
                assert_eq!(chunked.answer().await.text(), bytes.to_string());
            } else {
                // Not a byte of it has to be sent.
                site.send(head).await.answer().await.assert_last(413);
                if path != "/nowhere" {
                    chunked.answer().await.assert_last(413);
                }
            }
        }
        assert_eq!(megabytes(1).len(), 1 << 20);
    });
}

#[test]
fn options_without_a_route_are_a_mistake_that_is_told() {
    let error = Router::new().with(RouteOptions::new()).check().unwrap_err();
    assert!(error.to_string().contains("behind the route"));
}

#[test]
fn each_handler_has_the_time_of_its_route() {
    let slow = |_: Request| async {
        sleep(secs(100)).await;
        "slow"
    };
    let app = move || {
        Router::new()
            .get("/usual", slow)
            .get("/long", slow)
            .with(RouteOptions::new().handler_timeout(None))
            .get("/short", slow)
            .with(RouteOptions::new().handler_timeout(Some(secs(1))))
    };
    serve(app, async |site| {
        site.get("/short").await.assert_last(503);
        assert_eq!(site.seconds(), 1);
        site.get("/long").await.assert_kept(200);
        assert_eq!(site.seconds(), 101);
        site.get("/usual").await.assert_last(503);
        assert_eq!(site.seconds(), 131);
    });
}

// Clients that go away.

/// What became of a handler that waits for a minute.
#[derive(Clone, Default)]
struct Fate {
    dropped: Dropped,
    finished: Counter,
    cleaned: Counter,
    told: Rc<RefCell<Vec<&'static str>>>,
}

/// Tells, when it is dropped, why the task was cancelled that it is in.
struct Told(Rc<RefCell<Vec<&'static str>>>);

impl Drop for Told {
    fn drop(&mut self) {
        let reason = monoloop::current_task().and_then(|task| task.cancelled());
        self.0.borrow_mut().extend(reason.map(|it| it.reason));
    }
}

fn minute(fate: &Fate, options: RouteOptions) -> Router {
    let fate = fate.clone();
    Router::new()
        .get("/", |_| async { "root" })
        .get("/minute", move |_| {
            let Fate {
                dropped,
                finished,
                cleaned,
                told,
            } = fate.clone();
            async move {
                let _guard = dropped.guard();
                let work = task_group(async move |group: monoloop::TaskGroup<Infallible>| {
                    let told = Told(told);
                    group.spawn(async move {
                        let _told = told;
                        sleep(secs(60)).await;
                        Ok(())
                    });
                    Ok(())
                });
                let cleanup = async move {
                    cleaned.add();
                };
                let _ = on_cancel(work, secs(1), cleanup).await;
                finished.add();
                "done"
            }
        })
        .with(options)
}

#[test]
fn a_handler_whose_client_has_gone_is_cancelled_with_all_that_is_its() {
    let fate = Fate::default();
    sim::run(8, async {
        let app = || minute(&fate, RouteOptions::new());
        let server = sim_server().timeouts(NO_TIMEOUTS);
        simulated(server, app, async || {
            let mut stream = TcpStream::connect(address()).await.unwrap();
            stream.write_all(get("/minute").as_bytes()).await.unwrap();
            sleep(secs(1)).await;
            assert!(!fate.dropped.get());
            stream.set_linger(Some(Duration::ZERO)).unwrap();
            drop(stream);
            sleep(secs(1)).await;
            assert!(fate.dropped.get());
            assert_eq!(*fate.told.borrow(), ["client_closed"]);
            assert_eq!((fate.cleaned.get(), fate.finished.get()), (1, 0));
        })
        .await;
    });
}

#[test]
fn a_handler_whose_client_takes_no_earlier_answer_is_told_why_it_ends() {
    let fate = Fate::default();
    let link = Link {
        buffer_bytes: 8192,
        ..Link::default()
    };
    Builder::new().link(link).run(8, async {
        let app = || {
            let large = |_| async { vec![b'x'; 60_000] };
            minute(&fate, RouteOptions::new()).get("/large", large)
        };
        simulated(sim_server(), app, async || {
            for reason in ["client_closed", "write_timeout"] {
                let mut stream = TcpStream::connect(address()).await.unwrap();
                let both = get("/large") + &get("/minute");
                stream.write_all(both.as_bytes()).await.unwrap();
                sleep(secs(1)).await;
                if reason == "client_closed" {
                    stream.set_linger(Some(Duration::ZERO)).unwrap();
                    drop(stream);
                    sleep(secs(1)).await;
                } else {
                    sleep(secs(30)).await;
                }
                assert_eq!(fate.told.take(), [reason]);
            }
            assert_eq!((fate.cleaned.get(), fate.finished.get()), (2, 0));
        })
        .await;
    });
}

#[test]
fn a_handler_that_is_to_finish_does_so_without_a_client() {
    for by_route in [true, false] {
        let fate = Fate::default();
        sim::run(9, async {
            let (mut server, mut options) = (sim_server(), RouteOptions::new());
            server = server.timeouts(NO_TIMEOUTS);
            match by_route {
                true => options = options.on_disconnect(OnDisconnect::Finish),
                false => server = server.on_disconnect(OnDisconnect::Finish),
            }
            let app = || minute(&fate, options.clone());
            simulated(server, app, async || {
                let mut stream = TcpStream::connect(address()).await.unwrap();
                stream.write_all(get("/minute").as_bytes()).await.unwrap();
                sleep(secs(1)).await;
                stream.set_linger(Some(Duration::ZERO)).unwrap();
                drop(stream);
                sleep(secs(61)).await;
                assert_eq!((fate.cleaned.get(), fate.finished.get()), (0, 1));
            })
            .await;
        });
    }
}

#[test]
fn who_closes_the_sending_half_gets_the_answer_unless_that_means_leaving() {
    for meaning in [HalfClose::StillReads, HalfClose::Leaves] {
        let fate = Fate::default();
        let app = || minute(&fate, RouteOptions::new());
        serve_with(&patient_server().half_close(meaning), app, async |site| {
            let mut client = site.send(get("/minute")).await;
            client.finish();
            if meaning == HalfClose::Leaves {
                client.assert_closed().await;
                assert_eq!((site.seconds(), fate.finished.get()), (0, 0));
            } else {
                assert_eq!(client.answer().await.text(), "done");
                assert_eq!(site.seconds(), 60);
            }
        });
    }
}

#[test]
fn what_is_sent_ahead_while_a_handler_runs_is_bounded_and_then_served() {
    let app = || minute(&Fate::default(), RouteOptions::new());
    let link = Link {
        buffer_bytes: 64 * 1024,
        ..Link::default()
    };
    Builder::new().link(link).run(10, async {
        simulated(sim_server().timeouts(NO_TIMEOUTS), app, async || {
            let mut stream = TcpStream::connect(address()).await.unwrap();
            stream.write_all(get("/minute").as_bytes()).await.unwrap();
            sleep(secs(1)).await;
            let ahead = get("/").repeat(20_000);
            let mut sent = 0;
            while let Ok(count) = timeout(secs(1), stream.write(&ahead.as_bytes()[sent..])).await {
                sent += count.unwrap();
            }
            // The buffers on the way and one piece of the loop's.
            assert!(sent < 256 * 1024, "{sent}");
            drop(stream);
        })
        .await;
    });
}

// Overload.

/// A handler that takes ten milliseconds of the loop's time.
fn costly() -> Router {
    Router::new().get("/", |_| async {
        sim::burn(ms(10));
        "root"
    })
}

/// Asks so many times a second for so long. How many were served, shed, and the longest wait of one
/// that was served in the second half.
async fn ask(rate: u32, seconds: u64) -> (u32, u32, Duration) {
    let served = Rc::new(Cell::new(0));
    let shed = Rc::new(Cell::new(0));
    let longest = Rc::new(Cell::new(Duration::ZERO));
    let half = sim::elapsed() + secs(seconds) / 2;
    let mut clients = Vec::new();
    let began = time::now();
    for n in 0..rate * seconds as u32 {
        time::sleep_until(began + secs(1) * n / rate).await;
        let due = began + secs(1) * n / rate;
        let (served, shed, longest) = (served.clone(), shed.clone(), longest.clone());
        clients.push(spawn(async move {
            let answer: Answer = connect().await.get("/").await;
            match answer.status {
                200 => {
                    served.set(served.get() + 1);
                    if sim::elapsed() > half {
                        longest.set(longest.get().max(time::now_precise() - due));
                    }
                }
                503 => {
                    assert_eq!(answer.field("retry-after"), Some("1"));
                    answer.assert_kept(503);
                    shed.set(shed.get() + 1);
                }
                status => panic!("{status}"),
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    (served.get(), shed.get(), longest.get())
}

#[test]
fn an_overloaded_server_turns_so_many_away_that_the_others_are_answered_in_time() {
    sim::run(11, async {
        let server = sim_server().shedding(Some(Shedding::new(ms(50))));
        simulated(server, costly, async || {
            // Half of what it can do, then three times as much, then half again.
            assert_eq!(ask(50, 5).await.1, 0);
            let (served, shed, longest) = ask(300, 20).await;
            assert!(shed > served, "{served} served, {shed} shed");
            assert!(served > 1_000, "{served} served");
            assert!(longest < secs(2), "{longest:?}");
            sleep(secs(5)).await;
            assert_eq!(ask(50, 5).await.1, 0, "it has recovered");
        })
        .await;
    });
}

#[test]
fn without_shedding_the_queue_is_what_it_is() {
    sim::run(12, async {
        simulated(sim_server().timeouts(NO_TIMEOUTS), costly, async || {
            let (served, shed, longest) = ask(300, 5).await;
            assert_eq!((served, shed), (1500, 0));
            assert!(longest > secs(5), "{longest:?}");
        })
        .await;
    });
}

#[test]
fn an_overloaded_server_always_answers_for_its_health() {
    sim::run(13, async {
        let server = sim_server().shedding(Some(Shedding::new(ms(20))));
        simulated(server, costly, async || {
            let flood = spawn(ask(300, 10));
            let mut probes = 0;
            while !flood.is_finished() {
                connect().await.get("/healthz").await.assert_kept(200);
                probes += 1;
                sleep(ms(100)).await;
            }
            assert!(flood.await.unwrap().1 > 0);
            assert!(probes > 10);
        })
        .await;
    });
}

#[test]
fn a_server_that_sheds_rests_when_nobody_asks() {
    let server = server().shedding(Some(Shedding::new(ms(50))));
    serve_with(&server, burning, async |site| {
        site.get("/").await.assert_kept(200);
        sleep(secs(1)).await;
        let before = monoloop::all_tasks().filter_map(|task| task.steps());
        let before: u32 = before.sum();
        sleep(secs(3600)).await;
        let after = monoloop::all_tasks().filter_map(|task| task.steps());
        assert!(after.sum::<u32>() - before < 20);
        quiet().await;
    });
}

// Memory of those who do not read.

#[test]
fn a_stream_that_nobody_reads_is_not_asked_for_more() {
    const PIECE_BYTES: usize = 16 * 1024;
    let asked = Counter::default();
    let app = || {
        let asked = asked.clone();
        Router::new().get("/endless", move |_| {
            let asked = asked.clone();
            async move {
                Response::stream(stream::poll_fn(move |_| {
                    asked.add();
                    Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from_static(
                        &[b'x'; PIECE_BYTES],
                    ))))
                }))
            }
        })
    };
    let link = Link {
        buffer_bytes: 64 * 1024,
        ..Link::default()
    };
    Builder::new().link(link).run(14, async {
        simulated(sim_server().timeouts(NO_TIMEOUTS), app, async || {
            let client = send(get("/endless")).await;
            sleep(secs(60)).await;
            // The buffers on the way, the response buffer, and a piece.
            let bytes = asked.get() * PIECE_BYTES;
            assert!(bytes <= 64 * 1024 * 3 + PIECE_BYTES, "{bytes}");
            drop(client);
        })
        .await;
    });
}

// The end.

#[test]
fn a_drain_answers_what_has_begun_and_closes_what_idles_at_once() {
    sim::run(15, async {
        let shutdown = Shutdown::new();
        let serving = sim_server().spawn(burning, &shutdown).unwrap();
        let (mut half, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            let announced = post("/echo", "body");
            half.push(send(announced.trim_end_matches("dy")).await);
            let mut client = connect().await;
            client.get("/").await.assert_kept(200);
            idle.push(client);
        }
        let began = sim::elapsed();
        shutdown.drain();
        for mut client in idle {
            client.assert_closed().await;
        }
        assert!(sim::elapsed() - began < ms(100));
        sleep(secs(10)).await;
        for client in &mut half {
            client.send("dy").await;
        }
        for client in &mut half {
            let answer = client.answer().await;
            answer.assert_last(200);
            assert_eq!(answer.text(), "body");
        }
        drop(half);
        let answered = sim::elapsed();
        let report = serving.wait().await;
        assert_eq!((report.open, report.forced), (100, 0));
        assert!(sim::elapsed() - answered < secs(1));
    });
}
