//! Every request leaves one line when it ends: what it was, in which reason it ended, and where
//! its time went.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use monoloop::net::TcpStream;
use monoloop::sim::{Builder, Link};
use monoloop::time::sleep;
use monoloop::{Request, Response, Router, Server, Shutdown, Upgraded};
use server_common::{Site, get, ms, post, quiet, secs, serve_with, server};
use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Once;

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/slow/{seconds}", |request: Request| async move {
            let seconds = request.param("seconds").unwrap().parse().unwrap();
            sleep(secs(seconds)).await;
            "slow"
        })
        .get("/large", |_| async { vec![b'x'; 40_000_000] })
        .get("/upgrade", |request: Request| {
            let response = Response::upgrade(&request, "echo", async |mut peer: Upgraded| {
                let bytes = peer.receive().await.unwrap();
                peer.write_all(&bytes).await.unwrap();
                sleep(secs(3)).await;
            });
            async { response }
        })
        .get("/breaks", |_| async {
            let good = stream::iter([1000, 2000]).map(|bytes| Ok(Bytes::from(vec![b'x'; bytes])));
            Response::stream(good.chain(stream::iter([Err("broken")])))
        })
        .get("/begins", |_| async {
            let good = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; 2000]))]);
            Response::stream(good.chain(stream::pending()))
        })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

thread_local! {
    /// What was logged on this thread, which is one test's.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One log for all tests: with one for each, whether a line is wanted would be found out while
/// others come and go.
fn start_log() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let log = tracing_subscriber::fmt().with_ansi(false);
        log.with_writer(|| Log).init();
    });
}

/// The fields of an access line.
type Line = HashMap<String, String>;

/// The access lines that `test` leaves.
fn lines_of(server: &Server, test: impl AsyncFnOnce(&Site)) -> Vec<Line> {
    start_log();
    serve_with(server, app, test);
    let log = String::from_utf8(LOG.take()).unwrap();
    let lines = log
        .lines()
        .filter_map(|line| line.split_once(" monoloop::access: request "));
    let lines = lines.map(|(_, fields)| {
        let fields = fields.split(' ').filter_map(|field| field.split_once('='));
        fields
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    });
    lines.collect()
}

/// Method, path, status and reason of each.
fn told(lines: &[Line]) -> Vec<String> {
    let told = lines.iter().map(|line| {
        let of = |name: &str| line[name].as_str();
        format!(
            "{} {} {} {}",
            of("method"),
            of("path"),
            of("status"),
            of("reason")
        )
    });
    told.collect()
}

fn us(line: &Line, name: &str) -> u64 {
    line[&format!("{name}_us")].parse().unwrap()
}

#[test]
fn each_request_leaves_one_line_with_the_reason_of_its_end() {
    let lines = lines_of(&server(), async |site| {
        let mut client = site
            .send(get("/?secret") + &get("/nowhere") + &get("/slow/1"))
            .await;
        for status in [200, 404, 200] {
            client.answer().await.assert_kept(status);
        }
        client.send(get("/slow/100")).await;
        client.answer().await.assert_last(503);
        client.rest().await;
        let half = post("/echo", "a body");
        let _ = site.send(&half[..half.len() - 3]).await;
        quiet().await;
        let mut last = site.send(get("/slow/2")).await;
        quiet().await;
        site.shutdown.drain();
        last.answer().await.assert_last(200);
    });
    let expected = [
        "GET / 200 ok",
        "GET /nowhere 404 ok",
        "GET /slow/1 200 ok",
        "GET /slow/100 503 handler_timeout",
        "POST /echo 400 client_closed",
        "GET /slow/2 200 ok",
    ];
    assert_eq!(told(&lines), expected);
}

#[test]
fn what_is_refused_leaves_a_line_with_what_was_understood_of_it() {
    let mut bodies = Vec::new();
    let lines = lines_of(&server(), async |site| {
        for sent in [
            "GET /no-host HTTP/1.1\r\n\r\n",
            "nonsense\r\n\r\n",
            "GET /a\u{1b}[31m HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "GET /trickles HTTP/1.1\r\nHo",
        ] {
            let answer = String::from_utf8(site.send(sent).await.rest().await).unwrap();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            bodies.push(body.len().to_string());
        }
        // One that says nothing has no request.
        site.connect().await.rest().await;
    });
    let told = told(&lines);
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], "GET /no-host 400 parse_error");
    assert_eq!(told[1], "nonsense  400 parse_error");
    assert!(
        told[2].starts_with("GET /a") && !told[2].contains('\u{1b}'),
        "{told:?}"
    );
    assert_eq!(told[3], "POST /echo 400 parse_error");
    assert_eq!(told[4], "GET /trickles 408 header_timeout");
    assert!(lines.iter().all(|line| line.contains_key("path")));
    let bytes: Vec<_> = lines.iter().map(|line| &line["bytes"]).collect();
    assert_eq!(bytes, bodies.iter().collect::<Vec<_>>());
}

#[test]
fn what_is_cut_off_leaves_a_line_too() {
    let hasty = server().drain_timeout(secs(5));
    let lines = lines_of(&hasty, async |site| {
        let _runs = site.send(get("/slow/20")).await;
        quiet().await;
        site.shutdown.drain();
        sleep(secs(6)).await;
    });
    assert_eq!(told(&lines), ["GET /slow/20 0 drain_forced"]);
}

#[test]
fn what_breaks_off_says_how_much_was_sent() {
    let breaks = server().drain_timeout(secs(2));
    let lines = lines_of(&breaks, async |site| {
        let mut client = site.send(get("/breaks")).await;
        client.try_answer_to(&http::Method::GET).await;
        // Takes nothing, until it is cut off.
        let mut large = site.send(get("/large")).await;
        sleep(secs(29)).await;
        let came = large.take_what_came_bytes().await.len();
        assert!(came > 0);
        let _runs = site.send(get("/begins")).await;
        quiet().await;
        site.shutdown.drain();
        sleep(secs(3)).await;
    });
    let bytes = |path: &str| -> u64 {
        let mut of_path = lines.iter().filter(|line| line["path"] == path);
        of_path.next().unwrap()["bytes"].parse().unwrap()
    };
    assert_eq!(bytes("/breaks"), 3000);
    assert_eq!(bytes("/begins"), 2000);
    assert!((100_000..40_000_000).contains(&bytes("/large")));
}

#[test]
fn a_stream_that_the_peer_leaves_says_how_much_the_system_took() {
    let link = Link {
        buffer_bytes: 8192,
        ..Link::default()
    };
    start_log();
    Builder::new().link(link).run(1, async {
        let shutdown = Shutdown::new();
        let serving = Server::bind("10.0.0.1:80").unwrap().spawn(app, &shutdown);
        let address = "10.0.0.1:80".parse::<SocketAddr>().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(get("/large").as_bytes()).await.unwrap();
        sleep(secs(32)).await;
        drop(stream);
        shutdown.drain();
        serving.unwrap().wait().await;
    });
    let log = String::from_utf8(LOG.take()).unwrap();
    let (_, bytes) = log.split_once(" bytes=").unwrap();
    let bytes: u64 = bytes.split(' ').next().unwrap().parse().unwrap();
    // What fits on the way, without the head, and nothing of what waited behind it.
    assert!((7000..2 * 8192).contains(&bytes), "{bytes}");
}

#[test]
fn the_parts_of_the_time_add_up_and_say_where_it_went() {
    let lines = lines_of(&server(), async |site| {
        site.get("/slow/3").await;
        let mut slow_reader = site.send(get("/large")).await;
        sleep(secs(7)).await;
        slow_reader.answer().await.assert_kept(200);
    });
    for line in &lines {
        let parts = ["queue", "cpu", "wait", "write"].map(|part| us(line, part));
        let all = us(line, "duration");
        assert!(parts.iter().sum::<u64>().abs_diff(all) <= 4, "{line:?}");
    }
    let second = 1_000_000;
    assert!(us(&lines[0], "wait") >= 3 * second && us(&lines[0], "write") < second);
    assert!(us(&lines[1], "wait") < second && us(&lines[1], "write") >= 7 * second);
}

#[test]
fn server_timing_is_told_only_where_it_is_asked_for() {
    serve_with(&server(), app, async |site| {
        assert_eq!(site.get("/").await.field("server-timing"), None);
    });
    serve_with(&server().server_timing(true), app, async |site| {
        let mut client = site.connect().await;
        for (path, wait_ms) in [
            ("/", 0.0),
            ("/slow/3", 3000.0),
            ("/nowhere", 0.0),
            ("/large", 0.0),
        ] {
            let answer = client.get(path).await;
            let value = answer.field("server-timing").unwrap();
            let value = value.replace(";desc=\"previous\"", "");
            let parts: Vec<(&str, f64)> = value
                .split(", ")
                .map(|part| part.split_once(";dur=").unwrap())
                .map(|(name, ms)| (name, ms.parse().unwrap()))
                .collect();
            let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
            let of_this = ["queue", "cpu", "wait"];
            match path {
                "/" => assert_eq!(names, of_this),
                _ => assert_eq!(names, [&of_this[..], &["write"]].concat()),
            }
            assert!(
                parts[2].1 >= wait_ms && parts[2].1 < wait_ms + 1000.0,
                "{value}"
            );
        }
        sleep(ms(1)).await;
    });
}

#[test]
fn what_went_on_in_another_protocol_leaves_its_line_when_that_has_ended() {
    let lines = lines_of(&server(), async |site| {
        let ask =
            "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        let mut client = site.send(ask).await;
        client.send("twelve bytes").await;
        client.finish();
        let _ = client.rest().await;
    });
    assert_eq!(told(&lines), ["GET /upgrade 101 upgraded"]);
    assert_eq!(lines[0]["bytes"], "12");
    assert!(us(&lines[0], "duration") >= 3_000_000, "{lines:?}");
}
