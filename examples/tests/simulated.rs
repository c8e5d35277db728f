//! The example HTTP server in a made-up world: as many clients as one likes, and days of timeouts.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../http_server.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod http_server;

use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::sim::{self, Builder};
use monoloop::{Reason, Server, Shutdown, spawn, sync::Barrier, time};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

const ADDRESS: &str = "10.0.0.1:80";

/// A request and, byte by byte, what of its answer does not change from time to time: its first
/// line, a field, and everything behind the head.
struct Question {
    request: String,
    field: &'static str,
    body: String,
}

impl Question {
    /// One for each of the routes in turn.
    fn new(n: u32) -> Self {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: example\r\n\r\n");
        let (request, field, body) = match n % 6 {
            0 => (
                get("/plaintext"),
                "content-length: 13",
                "Hello, World!".into(),
            ),
            1 => (
                get("/json"),
                "content-type: application/json",
                r#"{"message":"Hello, World!"}"#.into(),
            ),
            2 => {
                let body = format!("{n:0>100}");
                let head = "POST /echo HTTP/1.1\r\nhost: example\r\ncontent-length: 100\r\n\r\n";
                (format!("{head}{body}"), "content-length: 100", body)
            }
            3 => {
                let body = format!("user {n}\n");
                (
                    get(&format!("/users/{n}")),
                    "content-type: text/plain",
                    body,
                )
            }
            4 => {
                let ms = 1 + n % 999;
                let (path, body) = (format!("/delay?ms={ms}"), format!("waited {ms}ms\n"));
                (get(&path), "content-type: text/plain", body)
            }
            _ => {
                let chunks = (1..=5).map(|n| format!("d\r\nchunk {n} of 5\n\r\n"));
                let body = chunks.chain(["0\r\n\r\n".into()]).collect();
                (get("/stream"), "transfer-encoding: chunked", body)
            }
        };
        Question {
            request,
            field,
            body,
        }
    }

    async fn ask(&self, stream: &mut TcpStream) {
        stream.write_all(self.request.as_bytes()).await.unwrap();
        let mut came = Vec::new();
        let text = loop {
            let chunk = stream.receive().await.unwrap();
            assert!(!chunk.is_empty(), "an end instead of an answer");
            came.extend_from_slice(&chunk);
            let text = std::str::from_utf8(&came).unwrap();
            let body = text.find("\r\n\r\n").map(|end| &text[end + 4..]);
            if body.is_some_and(|body| body.len() >= self.body.len()) {
                break text;
            }
        };
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.to_lowercase().contains(self.field), "{head}");
        assert_eq!(body, self.body);
    }
}

#[test]
fn a_hundred_thousand_clients_are_connected_at_once_and_each_is_answered() {
    const CLIENTS: u32 = 100_000;
    let world = Builder::new().turns_max(u64::MAX);
    world.run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind(ADDRESS).unwrap();
        let server = server.connections_max(CLIENTS as usize);
        let serving = server
            .spawn(|| http_server::routes(false), &shutdown)
            .unwrap();
        let all = Rc::new(Barrier::new(CLIENTS as usize));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let all = all.clone();
                spawn(async move {
                    let ip = (0x0b00_0000 + n).to_be_bytes();
                    let from = ConnectOptions::default().local_addr((ip, 0).into());
                    let to = ADDRESS.parse().unwrap();
                    let mut stream = TcpStream::connect_with(to, &from).await.unwrap();
                    Question::new(n).ask(&mut stream).await;
                    // Nobody leaves before everybody is there.
                    all.wait().await.unwrap();
                    Question::new(n / 6).ask(&mut stream).await;
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        shutdown.drain();
        let ledger = serving.ledger();
        assert_eq!(serving.wait().await.forced, 0);
        let seen = ledger.snapshot();
        seen.check().unwrap();
        let clients = u64::from(CLIENTS);
        assert_eq!(seen.connections.started(), clients);
        assert_eq!(seen.requests.ended_in(Reason::Ok), 2 * clients);
    });
}

#[test]
fn a_day_of_keep_alive_timeouts_takes_less_than_a_second() {
    // The machine may be busy with something else.
    let fastest = (0..3).map(|_| a_day_of_keep_alive_timeouts()).min();
    let fastest = fastest.unwrap();
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

fn a_day_of_keep_alive_timeouts() -> Duration {
    const IDLE: Duration = Duration::from_secs(75);
    let began = real_time();
    sim::run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind(ADDRESS).unwrap();
        let serving = server
            .spawn(|| http_server::routes(false), &shutdown)
            .unwrap();
        let to: SocketAddr = ADDRESS.parse().unwrap();
        let mut expired = 0;
        while sim::elapsed() < Duration::from_secs(86_400) {
            let mut stream = TcpStream::connect(to).await.unwrap();
            Question::new(0).ask(&mut stream).await;
            let answered = time::now();
            assert!(stream.receive().await.unwrap().is_empty());
            let waited = time::now() - answered;
            assert!(
                waited.abs_diff(IDLE) < Duration::from_millis(5),
                "{waited:?}"
            );
            expired += 1;
        }
        assert_eq!(expired, 1152);
        shutdown.drain();
        let ledger = serving.ledger();
        serving.wait().await;
        let seen = ledger.snapshot();
        seen.check().unwrap();
        assert_eq!(seen.connections.ended_in(Reason::IdleTimeout), expired);
    });
    real_time() - began
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long the test takes is not the world's time"
)]
fn real_time() -> Instant {
    Instant::now()
}
