//! The example HTTP server through a day of the world: good clients and hostile ones, wave after wave, and
//! at every hour's end it is as it was at the first's.
//!
//! `MONOLOOP_SOAK_HOURS=168 cargo test -p monoloop-examples --test soak` is a week.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../http_server.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod http_server;

use monoloop::ledger::LedgerSnapshot;
use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::sim::Builder;
use monoloop::{JoinHandle, Reason, Server, Shutdown, introspect, spawn, time};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown as Half, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const ADDRESS: &str = "10.0.0.1:80";
/// Hours of the world, when nobody asks for others: some five seconds of ours.
const HOURS_DEFAULT: u64 = 24;
const HOUR: Duration = Duration::from_secs(3600);
/// A wave of clients begins this often.
const WAVE: Duration = Duration::from_secs(60);
const WAVES_AN_HOUR: u64 = HOUR.as_secs() / WAVE.as_secs();
/// What a wave leaves is gone after the longest of the timeouts, and the linger of a refusal.
const SETTLED: Duration = Duration::from_secs(120);
/// Memory of this process may differ between hours by what allocators keep back.
#[cfg(target_os = "linux")]
const MEMORY_MARGIN_BYTES: u64 = 8 * 1024 * 1024;

/// How the clients' connections ended, by what they did and what they saw.
type Book = Rc<RefCell<BTreeMap<(&'static str, String), u64>>>;

#[test]
fn a_day_of_good_and_hostile_clients_leaves_nothing_behind() {
    let hours = std::env::var("MONOLOOP_SOAK_HOURS");
    let hours = hours.map_or(HOURS_DEFAULT, |hours| hours.parse().unwrap());
    let world = Builder::new().turns_max(u64::MAX);
    world.run(1, async move {
        let shutdown = Shutdown::new();
        let server = Server::bind(ADDRESS).unwrap();
        let serving = server
            .spawn(|| http_server::routes(false), &shutdown)
            .unwrap();
        let ledger = serving.ledger();
        let mut first = None;
        for hour in 0..hours {
            let book = an_hour(hour).await;
            assert_eq!(*book.borrow(), expected(), "hour {hour}");
            let census = Census::take();
            let before = first.get_or_insert(census);
            census.assert_as(before, hour);
            assert_ledger(&ledger.snapshot(), hour + 1);
        }
        shutdown.drain();
        let report = serving.wait().await;
        assert_eq!(report.forced, 0, "{report:?}");
        assert_ledger(&ledger.snapshot(), hours);
        // That no task, timer, socket or buffer is left is what the world itself insists on.
    });
}

/// What is alive on the loop, and in the process.
#[derive(Debug, Clone, Copy)]
struct Census {
    tasks: usize,
    timers: usize,
    sockets: usize,
    resident_bytes: Option<u64>,
}

impl Census {
    fn take() -> Self {
        let stats = introspect::snapshot().stats;
        Census {
            tasks: stats.tasks,
            timers: stats.timers,
            sockets: stats.sockets,
            resident_bytes: resident_bytes(),
        }
    }

    fn assert_as(&self, first: &Census, hour: u64) {
        let counts = |it: &Census| (it.tasks, it.timers, it.sockets);
        assert_eq!(counts(self), counts(first), "hour {hour}");
        #[cfg(target_os = "linux")]
        if let (Some(now), Some(first)) = (self.resident_bytes, first.resident_bytes) {
            assert!(
                now <= first + MEMORY_MARGIN_BYTES,
                "hour {hour}: {now} bytes, {first} after the first hour"
            );
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// What the clients have seen after so many hours is what the server has written down, to the last
/// connection; and nothing is in flight.
fn assert_ledger(seen: &LedgerSnapshot, hours: u64) {
    assert_eq!(seen.check(), Ok(()), "after {hours} hours");
    let in_flight = (seen.connections.in_flight(), seen.requests.in_flight());
    assert_eq!(in_flight, (0, 0), "after {hours} hours");
    let clients = hours * WAVES_AN_HOUR;
    for (reason, count) in seen.connections.ended() {
        let of_it = CLIENTS.iter().filter(|client| client.ends_in == reason);
        let expected = of_it.count() as u64 * clients;
        assert_eq!(count, expected, "{reason} after {hours} hours");
    }
    for (reason, count) in seen.requests.ended() {
        let expected: u64 = CLIENTS
            .iter()
            .map(|client| client.requests_that_end_in(reason))
            .sum();
        match reason {
            // How many more requests of those who do not read are answered is a matter of buffers.
            Reason::Ok | Reason::WriteTimeout => assert!(count >= expected * clients, "{reason}"),
            _ => assert_eq!(count, expected * clients, "{reason} after {hours} hours"),
        }
    }
}

/// All waves of an hour, and the time until the last of them has settled.
async fn an_hour(hour: u64) -> Book {
    let began = time::now();
    let book = Book::default();
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    for wave in 0..WAVES_AN_HOUR {
        time::sleep_until(began + WAVE * u32::try_from(wave).unwrap()).await;
        for (number, client) in CLIENTS.iter().enumerate() {
            let book = book.clone();
            let number = (hour * WAVES_AN_HOUR + wave) * CLIENTS.len() as u64 + number as u64;
            clients.push(spawn(async move {
                let seen = (client.act)(connect(number).await).await;
                *book.borrow_mut().entry((client.name, seen)).or_default() += 1;
            }));
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    time::sleep(SETTLED).await;
    book
}

/// What an hour of waves has to come to.
fn expected() -> BTreeMap<(&'static str, String), u64> {
    let rows = CLIENTS.iter();
    rows.map(|client| ((client.name, client.sees.to_owned()), WAVES_AN_HOUR))
        .collect()
}

/// One kind of client: what it does, what it sees, and where the server's ledger has it.
struct Kind {
    name: &'static str,
    act: Act,
    sees: &'static str,
    /// In which its connection ends, and the last of its requests unless all were answered.
    ends_in: Reason,
    /// Its requests that were answered, and those that ended as the connection did.
    requests: [u64; 2],
}

impl Kind {
    fn requests_that_end_in(&self, reason: Reason) -> u64 {
        let [answered, lost] = self.requests;
        let count = |is_it: bool, count| if is_it { count } else { 0 };
        count(reason == Reason::Ok, answered) + count(reason == self.ends_in, lost)
    }
}

type Act = fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = String>>>;

/// One of each in every wave.
const CLIENTS: [Kind; 14] = [
    Kind {
        name: "good",
        act: |stream| Box::pin(good(stream)),
        sees: "200 200 200, left",
        ends_in: Reason::Ok,
        requests: [3, 0],
    },
    Kind {
        name: "keeps-alive",
        act: |stream| Box::pin(says(stream, GET.into())),
        sees: "200, closed",
        ends_in: Reason::IdleTimeout,
        requests: [1, 0],
    },
    Kind {
        name: "half-close",
        act: |stream| Box::pin(half_close(stream)),
        sees: "200, closed",
        ends_in: Reason::Ok,
        requests: [1, 0],
    },
    Kind {
        name: "slowloris",
        act: |stream| Box::pin(drips(stream, "GET / HTTP/1.1\r\nhost: h\r\n", "x: y\r\n")),
        sees: "408, closed",
        ends_in: Reason::HeaderTimeout,
        requests: [0, 1],
    },
    Kind {
        name: "slowloris, later",
        act: |stream| Box::pin(drips_later(stream)),
        sees: "200, 408, closed",
        ends_in: Reason::HeaderTimeout,
        requests: [1, 1],
    },
    Kind {
        name: "silent",
        act: |stream| Box::pin(says(stream, String::new())),
        sees: "closed",
        ends_in: Reason::HeaderTimeout,
        requests: [0, 0],
    },
    Kind {
        name: "stalled-body",
        act: |stream| {
            let half = POST.to_owned() + "content-length: 100\r\n\r\nhalf";
            Box::pin(says(stream, half))
        },
        sees: "408, closed",
        ends_in: Reason::BodyTimeout,
        requests: [0, 1],
    },
    Kind {
        name: "slow-body",
        act: |stream| Box::pin(drips(stream, SLOW, "x")),
        sees: "408, closed",
        ends_in: Reason::TooSlow,
        requests: [0, 1],
    },
    Kind {
        name: "breaks-off",
        act: |stream| Box::pin(breaks_off(stream)),
        sees: "left",
        ends_in: Reason::ClientClosed,
        requests: [0, 1],
    },
    Kind {
        name: "oversize",
        act: |stream| {
            let long = "a".repeat(20_000);
            let head = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {long}");
            Box::pin(says(stream, head))
        },
        sees: "431, closed",
        ends_in: Reason::Limit,
        requests: [0, 1],
    },
    Kind {
        name: "smuggles",
        act: |stream| {
            let both = "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
            Box::pin(says(stream, POST.to_owned() + both + GET))
        },
        sees: "400, closed",
        ends_in: Reason::ParseError,
        requests: [0, 1],
    },
    Kind {
        name: "no-read",
        act: |stream| Box::pin(no_read(stream)),
        sees: "reset",
        ends_in: Reason::WriteTimeout,
        requests: [0, 1],
    },
    Kind {
        name: "talks",
        act: |stream| Box::pin(talks(stream)),
        sees: "101, hi, closed",
        ends_in: Reason::Upgraded,
        requests: [0, 1],
    },
    Kind {
        // Neither a message nor a pong.
        name: "falls-silent",
        act: |stream| Box::pin(says(stream, UPGRADE.into())),
        sees: "101, closed",
        ends_in: Reason::IdleTimeout,
        requests: [0, 1],
    },
];

const GET: &str = "GET /plaintext HTTP/1.1\r\nhost: h\r\n\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nhost: h\r\n";
const SLOW: &str = "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n";
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\n\
                       upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// A text of two bytes and a close, as a client frames them: the mask is zero (RFC 6455 §5.2).
const HI: &[u8] = b"\x81\x82\0\0\0\0hi";
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

async fn connect(number: u64) -> TcpStream {
    // Each has an address of its own, as in the world out there.
    let ip = Ipv4Addr::from(0x0b00_0000 + u32::try_from(number).unwrap());
    let from = ConnectOptions::default().local_addr((ip, 0).into());
    let to: SocketAddr = ADDRESS.parse().unwrap();
    TcpStream::connect_with(to, &from).await.unwrap()
}

async fn good(mut stream: TcpStream) -> String {
    let mut seen = Vec::new();
    for _ in 0..3 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        let chunk = stream.receive().await.unwrap();
        seen.extend(statuses(&chunk));
        time::sleep(Duration::from_secs(5)).await;
    }
    seen.join(" ") + ", left"
}

/// Says something, and waits for what comes of it.
async fn says(mut stream: TcpStream, what: String) -> String {
    stream.write_all(what.as_bytes()).await.unwrap();
    to_its_end(stream).await
}

async fn half_close(mut stream: TcpStream) -> String {
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream.shutdown(Half::Write).unwrap();
    to_its_end(stream).await
}

/// Says the first, and then the second every second until it is answered, for as long as nobody would
/// have the patience to listen.
async fn drips(mut stream: TcpStream, first: &str, then: &str) -> String {
    stream.write_all(first.as_bytes()).await.unwrap();
    for _ in 0..1000 {
        match time::timeout(Duration::from_secs(1), stream.receive()).await {
            Ok(came) => {
                let seen = statuses(&came.unwrap());
                return seen.join(" ") + ", " + &to_its_end(stream).await;
            }
            Err(_) => stream.write_all(then.as_bytes()).await.unwrap(),
        }
    }
    "still heard".into()
}

/// Behaves well, once.
async fn drips_later(mut stream: TcpStream) -> String {
    stream.write_all(GET.as_bytes()).await.unwrap();
    let seen = statuses(&stream.receive().await.unwrap()).join(" ");
    seen + ", " + &drips(stream, "GET / HTTP/1.1\r\nhost: h\r\n", "x: y\r\n").await
}

/// Has a message echoed, and says goodbye.
async fn talks(mut stream: TcpStream) -> String {
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut seen = statuses(&stream.receive().await.unwrap());
    stream.write_all(HI).await.unwrap();
    let echo = stream.receive().await.unwrap();
    seen.push(String::from_utf8_lossy(&echo[2..]).into_owned());
    stream.write_all(CLOSE).await.unwrap();
    seen.push(to_its_end(stream).await);
    seen.join(", ")
}

async fn breaks_off(mut stream: TcpStream) -> String {
    let head = POST.to_owned() + "content-length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 10_000]).await.unwrap();
    time::sleep(Duration::from_secs(1)).await;
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    "left".into()
}

/// Asks until the server has had enough of not being heard.
async fn no_read(mut stream: TcpStream) -> String {
    let requests = GET.repeat(100);
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
    "reset".into()
}

async fn to_its_end(mut stream: TcpStream) -> String {
    let mut came = Vec::new();
    loop {
        let chunk = stream.receive().await.unwrap();
        if chunk.is_empty() {
            let seen = statuses(&came).join(" ");
            return if seen.is_empty() {
                "closed".into()
            } else {
                seen + ", closed"
            };
        }
        came.extend_from_slice(&chunk);
    }
}

fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let answers = text.split("HTTP/1.1 ").skip(1);
    answers.map(|it| it[..3].to_owned()).collect()
}
