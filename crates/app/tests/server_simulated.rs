//! The real server in a made-up world: many clients, a rough network, many seeds.
//!
//! Whatever happens, a client gets the right answer, or an error that a fault explains; and the
//! server ends drained, with nothing left of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::sim::{self, Builder, Faults};
use monoloop::{Request, Router, Server, Shutdown, spawn, spawn_blocking, time};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const ADDRESS: &str = "10.0.0.1:80";
const CLIENTS: u8 = 20;
const REQUESTS: u32 = 5;

fn router() -> Router {
    Router::new()
        .get("/plain/{n}", |request: Request| async move {
            format!("plain {}", request.param("n").unwrap())
        })
        .get("/slow/{n}", |request: Request| async move {
            time::sleep(Duration::from_millis(70)).await;
            format!("slow {}", request.param("n").unwrap())
        })
        .get("/pool/{n}", |request: Request| async move {
            let n = request.param("n").unwrap().into_owned();
            spawn_blocking(move || format!("pool {n}")).await.unwrap()
        })
        .post("/echo", |request: Request| async move {
            request.into_body().bytes().await.unwrap_or_default()
        })
}

/// A request, and the body of its answer.
fn question(random: &mut fastrand::Rng, n: u32) -> (Vec<u8>, Vec<u8>) {
    let get = |path: &str| {
        let request = format!("GET /{path}/{n} HTTP/1.1\r\nhost: a\r\n\r\n");
        (request.into_bytes(), format!("{path} {n}").into_bytes())
    };
    match random.u8(0..4) {
        0 => get("plain"),
        1 => get("slow"),
        2 => get("pool"),
        _ => {
            let body: Vec<u8> = (0..random.usize(0..5000)).map(|n| n as u8).collect();
            let head = format!(
                "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            ([head.as_bytes(), &body].concat(), body)
        }
    }
}

/// Why a client did not get all of its answers.
#[derive(Debug)]
enum Failed {
    #[allow(dead_code, reason = "printed when nothing explains it")]
    Io(std::io::Error),
    /// The connection ended, with so much of an answer received.
    Ended(usize),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Failed::Io(error)
    }
}

async fn ask(ip: IpAddr, mut random: fastrand::Rng, answered: &Cell<u32>) -> Result<(), Failed> {
    let options = ConnectOptions::default().local_addr(SocketAddr::new(ip, 0));
    let mut stream = TcpStream::connect_with(ADDRESS.parse().unwrap(), &options).await?;
    for n in 0..REQUESTS {
        let (request, body) = question(&mut random, n);
        // In two parts, with a pause between.
        let (first, second) = request.split_at(random.usize(0..request.len()));
        stream.write_all(first).await?;
        time::sleep(Duration::from_millis(random.u64(0..300))).await;
        stream.write_all(second).await?;
        expect(&mut stream, &body).await?;
        answered.set(answered.get() + 1);
        time::sleep(Duration::from_millis(random.u64(0..2000))).await;
    }
    Ok(())
}

/// Receives an answer: status 200 and this body.
async fn expect(stream: &mut TcpStream, body: &[u8]) -> Result<(), Failed> {
    let mut came = Vec::new();
    let head = loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut came).await?;
    };
    let text = String::from_utf8_lossy(&came[..head]).to_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    let length = format!("\r\ncontent-length: {}\r\n", body.len());
    assert!(text.contains(&length), "{length} in {text}");
    while came.len() < head + body.len() {
        more(stream, &mut came).await?;
    }
    assert_eq!(&came[head..], body);
    Ok(())
}

async fn more(stream: &mut TcpStream, came: &mut Vec<u8>) -> Result<(), Failed> {
    let chunk = stream.receive().await?;
    if chunk.is_empty() {
        return Err(Failed::Ended(came.len()));
    }
    came.extend_from_slice(&chunk);
    Ok(())
}

async fn serve_many(seed: u64, drains_early: bool) -> u32 {
    let shutdown = Shutdown::new();
    let server = Server::bind(ADDRESS).unwrap();
    let serving = server.spawn(router, &shutdown).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let answered = Rc::new(Cell::new(0));
    let leaving = Rc::new(Cell::new(false));

    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (answered, leaving) = (answered.clone(), leaving.clone());
            let (ip, random) = (IpAddr::from([10, 0, 1, n]), random.fork());
            spawn(async move {
                let Err(failed) = ask(ip, random, &answered).await else {
                    return;
                };
                let mut broken = sim::net::broken().into_iter();
                let by_fault = broken.any(|broken| broken.client.ip() == ip);
                // A request that was never answered may be sent again elsewhere.
                let by_drain = leaving.get() && !matches!(failed, Failed::Ended(1..));
                assert!(by_fault || by_drain, "nothing explains {failed:?} of {ip}");
            })
        })
        .collect();

    let cut_off = (0..CLIENTS / 4).map(|n| IpAddr::from([10, 0, 1, n]));
    time::sleep(Duration::from_millis(random.u64(0..3000))).await;
    sim::net::partition(cut_off, [IpAddr::from([10, 0, 0, 1])]);
    time::sleep(Duration::from_millis(random.u64(0..4000))).await;
    sim::net::heal();
    if drains_early {
        leaving.set(true);
        shutdown.drain();
    }
    for client in clients {
        client.await.unwrap();
    }
    shutdown.drain();
    let report = serving.wait().await;
    assert_eq!(report.forced, 0, "{report:?}");
    answered.get()
}

fn rough(seeds: std::ops::Range<u64>, drains_early: bool) {
    let (answered, asked) = (Cell::new(0), Cell::new(0));
    let world = Builder::new().faults(Faults::rough());
    world.seeds(seeds, |seed| {
        let (answered, asked) = (&answered, &asked);
        async move {
            asked.set(asked.get() + u32::from(CLIENTS) * REQUESTS);
            answered.set(answered.get() + serve_many(seed, drains_early).await);
        }
    });
    // There are faults, and they leave room for work.
    let (answered, asked) = (answered.get(), asked.get());
    assert!((1..asked).contains(&answered), "{answered} of {asked}");
}

#[test]
fn every_client_gets_its_answer_or_an_error_that_a_fault_explains() {
    rough(0..200, false);
}

#[test]
fn a_server_that_drains_under_faults_answers_what_it_has_begun() {
    rough(1000..1200, true);
}

#[test]
fn without_faults_every_request_is_answered_in_any_schedule() {
    let world = Builder::new().shuffle(true);
    world.seeds(0..50, |seed| async move {
        assert_eq!(serve_many(seed, false).await, u32::from(CLIENTS) * REQUESTS);
    });
}

#[test]
fn a_seed_of_the_server_makes_one_history() {
    let history = |seed| {
        let world = Builder::new().faults(Faults::rough()).trace(true);
        world.run(seed, async move {
            serve_many(seed, false).await;
            sim::trace()
        })
    };
    let first = history(7);
    assert!(first.lines().count() > 500);
    assert_eq!(history(7), first);
    assert_ne!(history(8), first);
}
