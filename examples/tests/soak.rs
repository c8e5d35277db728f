//! The example HTTP server through a day of the world: good clients and hostile ones, wave after wave, and
//! at every hour's end it is as it was at the first's.
//!
//! `MONOLOOP_SOAK_HOURS=168 cargo test -p monoloop-examples --test soak` is a week.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../http_server.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod http_server;

use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::sim::Builder;
use monoloop::{JoinHandle, Server, Shutdown, introspect, spawn, time};
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
        let mut first = None;
        for hour in 0..hours {
            let book = an_hour(hour).await;
            assert_eq!(*book.borrow(), expected(), "hour {hour}");
            let census = Census::take();
            let before = first.get_or_insert(census);
            census.assert_as(before, hour);
        }
        shutdown.drain();
        let report = serving.wait().await;
        assert_eq!(report.forced, 0, "{report:?}");
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

/// All waves of an hour, and the time until the last of them has settled.
async fn an_hour(hour: u64) -> Book {
    let began = time::now();
    let book = Book::default();
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    for wave in 0..HOUR.as_secs() / WAVE.as_secs() {
        time::sleep_until(began + WAVE * u32::try_from(wave).unwrap()).await;
        for (number, (name, act)) in CLIENTS.iter().enumerate() {
            let book = book.clone();
            let number = (hour * 60 + wave) * CLIENTS.len() as u64 + number as u64;
            clients.push(spawn(async move {
                let seen = act(connect(number).await).await;
                *book.borrow_mut().entry((*name, seen)).or_default() += 1;
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
    let waves = HOUR.as_secs() / WAVE.as_secs();
    let seen = [
        ("good", "200 200 200, left"),
        ("keeps-alive", "200, closed"),
        ("half-close", "200, closed"),
        ("slowloris", "408, closed"),
        ("silent", "closed"),
        ("stalled-body", "408, closed"),
        ("breaks-off", "left"),
        ("oversize", "431, closed"),
        ("smuggles", "400, closed"),
        ("no-read", "reset"),
    ];
    let rows = seen.into_iter();
    rows.map(|(name, seen)| ((name, seen.to_owned()), waves))
        .collect()
}

type Act = fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = String>>>;

/// One of each in every wave.
const CLIENTS: [(&str, Act); 10] = [
    ("good", |stream| Box::pin(good(stream))),
    ("keeps-alive", |stream| Box::pin(says(stream, GET.into()))),
    ("half-close", |stream| Box::pin(half_close(stream))),
    ("slowloris", |stream| Box::pin(slowloris(stream))),
    ("silent", |stream| Box::pin(says(stream, String::new()))),
    ("stalled-body", |stream| {
        Box::pin(says(
            stream,
            POST.to_owned() + "content-length: 100\r\n\r\nhalf",
        ))
    }),
    ("breaks-off", |stream| Box::pin(breaks_off(stream))),
    ("oversize", |stream| {
        let long = "a".repeat(20_000);
        Box::pin(says(
            stream,
            format!("GET / HTTP/1.1\r\nhost: h\r\nx: {long}"),
        ))
    }),
    ("smuggles", |stream| {
        let both = "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        Box::pin(says(stream, POST.to_owned() + both + GET))
    }),
    ("no-read", |stream| Box::pin(no_read(stream))),
];

const GET: &str = "GET /plaintext HTTP/1.1\r\nhost: h\r\n\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nhost: h\r\n";

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

async fn slowloris(mut stream: TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n")
        .await
        .unwrap();
    loop {
        match time::timeout(Duration::from_secs(1), stream.receive()).await {
            Ok(came) => {
                let seen = statuses(&came.unwrap());
                return seen.join(" ") + ", " + &to_its_end(stream).await;
            }
            Err(_) => stream.write_all(b"x: y\r\n").await.unwrap(),
        }
    }
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
