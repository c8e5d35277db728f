//! The real server in a made-up world: many clients, a rough network, many seeds.
//!
//! Whatever happens, a client gets the right answer, byte by byte, or an error that a fault
//! explains; and the server ends drained, with nothing left of it.
//!
//! By default each test runs some hundred seeds. `.ci/seeds` runs ten thousand, in chunks.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod sim_client;
mod sim_hostile;

use futures_util::stream;
use monoloop::sim::{self, Builder, Faults, Link};
use monoloop::{
    Bytes, Ledger, OnDisconnect, Reason, Request, Response, Router, Server, Shedding, Shutdown,
    spawn, spawn_blocking, time,
};
use sim_client::{Client, Failed, Pace, Question};
use sim_hostile::Hostile;
use std::cell::Cell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const ADDRESS: &str = "10.0.0.1:80";
const CLIENTS: u8 = 20;
const REQUESTS: u32 = 5;

fn address() -> SocketAddr {
    ADDRESS.parse().unwrap()
}

fn router() -> Router {
    Router::new()
        .get("/plain/{n}", |request: Request| async move {
            format!("plain {}", request.param("n").unwrap())
        })
        .get("/slow/{n}", |request: Request| async move {
            time::sleep(Duration::from_millis(70)).await;
            format!("slow {}", request.param("n").unwrap())
        })
        .get("/long", |_| async {
            time::sleep(Duration::from_secs(20)).await;
            "long"
        })
        .get("/pool/{n}", |request: Request| async move {
            let n = request.param("n").unwrap().into_owned();
            spawn_blocking(move || format!("pool {n}")).await.unwrap()
        })
        .get("/fixed/{bytes}", |request: Request| async move {
            Response::bytes(pattern(number(&request)))
        })
        .get("/stream/{bytes}", |request: Request| async move {
            in_pieces(pattern(number(&request)))
        })
        .post("/echo", |request: Request| async move {
            request.into_body().bytes().await.unwrap_or_default()
        })
        .post("/upload", |request: Request| async move {
            request.into_bytes().await
        })
        .post("/relay", |request: Request| async move {
            Response::stream(request.into_body())
        })
}

fn number(request: &Request) -> usize {
    request.param("bytes").unwrap().parse().unwrap()
}

/// So many bytes, no part of which is like another.
fn pattern(bytes: usize) -> Vec<u8> {
    let mut pattern = vec![0; bytes];
    fastrand::Rng::with_seed(bytes as u64).fill(&mut pattern);
    pattern
}

/// A body in pieces of all sizes, some of which take their time.
fn in_pieces(bytes: Vec<u8>) -> Response {
    let random = fastrand::Rng::with_seed(bytes.len() as u64);
    let pieces = stream::unfold(
        (Bytes::from(bytes), random),
        async |(mut left, mut random)| {
            if left.is_empty() {
                return None;
            }
            if random.u8(0..4) == 0 {
                time::sleep(Duration::from_millis(random.u64(0..30))).await;
            }
            let largest = 1 << random.u32(0..18);
            let piece = left.split_to(random.usize(1..=largest).min(left.len()));
            Some((Ok::<_, Infallible>(piece), (left, random)))
        },
    );
    Response::stream(pieces)
}

fn question(random: &mut fastrand::Rng, n: u32) -> Question {
    let text = |path: &str| get(&format!("{path}/{n}"), format!("{path} {n}").into_bytes());
    match random.u8(0..8) {
        0 | 1 => text("plain"),
        2 => text("slow"),
        3 => text("pool"),
        4 => {
            let bytes = size(random);
            get(&format!("fixed/{bytes}"), pattern(bytes))
        }
        5 => {
            let bytes = size(random);
            get(&format!("stream/{bytes}"), pattern(bytes))
        }
        6 => upload("echo", random),
        _ => upload("relay", random),
    }
}

fn get(path: &str, body: Vec<u8>) -> Question {
    Question {
        request: format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(),
        body,
    }
}

/// Small ones, and some that do not fit into all the buffers on the way.
fn size(random: &mut fastrand::Rng) -> usize {
    let largest = 1 << random.u32(0..20);
    random.usize(0..largest).min(500_000)
}

fn upload(path: &str, random: &mut fastrand::Rng) -> Question {
    let body = pattern(size(random));
    let line = format!("POST /{path} HTTP/1.1\r\nhost: a\r\n");
    let request = match random.bool() {
        true => {
            let head = format!("{line}content-length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        }
        false => {
            let mut request = format!("{line}transfer-encoding: chunked\r\n\r\n").into_bytes();
            let mut left = &body[..];
            while !left.is_empty() {
                let largest = 1 << random.u32(0..18);
                let (chunk, rest) = left.split_at(random.usize(1..=largest).min(left.len()));
                request.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                request.extend_from_slice(chunk);
                request.extend_from_slice(b"\r\n");
                left = rest;
            }
            request.extend_from_slice(b"0\r\n\r\n");
            request
        }
    };
    Question { request, body }
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Asks when it has been answered.
    OneByOne,
    /// Asks everything at once.
    Pipelines,
    /// Goes away in the middle of an answer.
    Leaves,
    /// Stops to read in the middle of an answer, for longer than a server has to put up with.
    Stalls,
}

struct Plan {
    manner: Manner,
    pace: Pace,
    half_closes: bool,
}

impl Plan {
    fn draw(random: &mut fastrand::Rng) -> Plan {
        Plan {
            manner: match random.u8(0..20) {
                0 => Manner::Leaves,
                1 => Manner::Stalls,
                2..9 => Manner::Pipelines,
                _ => Manner::OneByOne,
            },
            pace: match random.u8(0..4) {
                0 => Pace::Slow,
                _ => Pace::Eager,
            },
            half_closes: random.bool(),
        }
    }

    /// Answers that it will get when nothing goes wrong.
    fn answers(&self) -> u32 {
        match self.manner {
            Manner::OneByOne | Manner::Pipelines => REQUESTS,
            Manner::Leaves | Manner::Stalls => 0,
        }
    }

    async fn run(
        &self,
        ip: IpAddr,
        mut random: fastrand::Rng,
        answered: &Cell<u32>,
    ) -> Result<(), Failed> {
        let mut client = Client::connect(ip, address(), self.pace, random.fork()).await?;
        let answered = || answered.set(answered.get() + 1);
        match self.manner {
            Manner::OneByOne => {
                for n in 1..=REQUESTS {
                    let ends = self.half_closes && n == REQUESTS;
                    let question = [question(&mut random, n)];
                    client.ask(&question, ends, answered).await?;
                    time::sleep(Duration::from_millis(random.u64(0..2000))).await;
                }
            }
            Manner::Pipelines => {
                let questions: Vec<_> = (0..REQUESTS).map(|n| question(&mut random, n)).collect();
                client.ask(&questions, self.half_closes, answered).await?;
            }
            Manner::Leaves => {
                let bytes = size(&mut random);
                let question = get(&format!("stream/{bytes}"), pattern(bytes));
                client.begin(&question, random.usize(0..=bytes)).await?;
            }
            Manner::Stalls => {
                // More than fits on the way. The server gives up after thirty seconds.
                let question = get("fixed/400000", pattern(400_000));
                client.begin(&question, random.usize(0..200_000)).await?;
                time::sleep(Duration::from_secs(60)).await;
                let finished = client.finish(&question).await;
                assert!(finished.is_err(), "a server waits for ever");
            }
        }
        Ok(())
    }
}

/// How many answers came, and how many would have without faults.
struct Outcome {
    answered: u32,
    asked: u32,
    /// By the server's ledger.
    ok: u64,
    turned_away: u64,
    too_slow: u64,
}

/// What a world is like.
#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    drains_early: bool,
    /// Each bound is on that is off by default, and there are peers who overstep them.
    is_bounded: bool,
}

const PLAIN: Setting = Setting {
    drains_early: false,
    is_bounded: false,
};

const BOUNDED: Setting = Setting {
    is_bounded: true,
    ..PLAIN
};

/// None of the bounds is in the way of those who keep them.
fn bounded(server: Server, seed: u64) -> Server {
    server
        .connections_per_peer_max(Some(1))
        .requests_per_connection_max(Some(REQUESTS))
        .shedding(Some(Shedding::new(Duration::from_secs(1))))
        .on_disconnect(match seed % 2 {
            0 => OnDisconnect::Cancel,
            _ => OnDisconnect::Finish,
        })
}

async fn serve_many(seed: u64, setting: Setting) -> Outcome {
    let shutdown = Shutdown::new();
    // Longer than anybody is waited for.
    let mut server = Server::bind(ADDRESS)
        .unwrap()
        .drain_timeout(Duration::from_secs(120));
    if setting.is_bounded {
        server = bounded(server, seed);
    }
    let serving = server.spawn(router, &shutdown).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let answered = Rc::new(Cell::new(0));
    let leaving = Rc::new(Cell::new(false));
    let mut asked = 0;

    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (answered, leaving) = (answered.clone(), leaving.clone());
            let (ip, mut random) = (IpAddr::from([10, 0, 1, n]), random.fork());
            let plan = Plan::draw(&mut random);
            asked += plan.answers();
            spawn(async move {
                let Err(failed) = plan.run(ip, random, &answered).await else {
                    return;
                };
                let mut broken = sim::net::broken().into_iter();
                let by_fault = broken.any(|broken| broken.client.ip() == ip);
                // A request that was never answered may be sent again elsewhere.
                let by_drain = leaving.get() && failed.came == 0;
                assert!(by_fault || by_drain, "nothing explains {failed:?} of {ip}");
            })
        })
        .collect();

    let hostile = Hostile::ALL.into_iter().zip(0u8..);
    let hostile: Vec<_> = hostile
        .filter(|_| setting.is_bounded)
        .map(|(hostile, n)| {
            let leaving = leaving.clone();
            let ip = IpAddr::from([10, 0, 2, n]);
            spawn(async move {
                let Err(failed) = hostile.run(ip, address()).await else {
                    return;
                };
                let mut broken = sim::net::broken().into_iter();
                let by_fault = broken.any(|broken| broken.client.ip() == ip);
                assert!(
                    by_fault || leaving.get(),
                    "nothing explains {failed} of {hostile:?}"
                );
            })
        })
        .collect();

    let cut_off = (0..CLIENTS / 4).map(|n| IpAddr::from([10, 0, 1, n]));
    time::sleep(Duration::from_millis(random.u64(0..3000))).await;
    sim::net::partition(cut_off, [IpAddr::from([10, 0, 0, 1])]);
    time::sleep(Duration::from_millis(random.u64(0..4000))).await;
    sim::net::heal();
    if setting.drains_early {
        leaving.set(true);
        shutdown.drain();
    }
    for client in clients.into_iter().chain(hostile) {
        client.await.unwrap();
    }
    shutdown.drain();
    let ledger = serving.ledger();
    let report = serving.wait().await;
    assert_eq!(report.forced, 0, "{report:?}");
    let ok = assert_accounted(&ledger, answered.get());
    let seen = ledger.snapshot();
    Outcome {
        answered: answered.get(),
        asked,
        ok,
        turned_away: seen.connections.ended_in(Reason::Limit),
        too_slow: seen.requests.ended_in(Reason::TooSlow),
    }
}

/// Whatever the faults have done, the ledger balances, and nobody was answered without it.
/// Returns how many requests ended well.
fn assert_accounted(ledger: &Ledger, answered: u32) -> u64 {
    let seen = ledger.snapshot();
    seen.check().unwrap();
    let in_flight = (seen.connections.in_flight(), seen.requests.in_flight());
    assert_eq!(in_flight, (0, 0), "{seen:?}");
    // Of answers that go out together and break off none is ok, and the first may have come.
    assert!(
        seen.responses.success >= u64::from(answered),
        "{answered}: {seen:?}"
    );
    seen.requests.ended_in(Reason::Ok)
}

fn rough(world: &Builder, seeds: std::ops::Range<u64>, setting: Setting) {
    let (answered, asked) = (Cell::new(0), Cell::new(0));
    let world = world.clone().faults(Faults::rough());
    world.seeds(seeds, |seed| {
        let (answered, asked) = (&answered, &asked);
        async move {
            let outcome = serve_many(seed, setting).await;
            asked.set(asked.get() + outcome.asked);
            answered.set(answered.get() + outcome.answered);
        }
    });
    // There are faults, and they leave room for work.
    let (answered, asked) = (answered.get(), asked.get());
    println!("{answered} of {asked} requests were answered");
    assert!((1..asked).contains(&answered), "{answered} of {asked}");
}

#[test]
fn under_faults_every_client_gets_its_answer_or_an_error_that_a_fault_explains() {
    rough(&Builder::new(), 0..200, PLAIN);
}

#[test]
fn under_faults_and_in_any_schedule_the_answers_are_right() {
    rough(&Builder::new().shuffle(true), 2000..2100, PLAIN);
}

#[test]
fn under_faults_on_slow_narrow_ways_and_with_few_descriptors_the_answers_are_right() {
    let link = Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        buffer_bytes: 8192,
    };
    // Not enough for both ends of all connections and the listener.
    let world = Builder::new().link(link).descriptors_max(30);
    rough(&world.shuffle(true), 3000..3100, PLAIN);
}

#[test]
fn a_server_that_drains_under_faults_answers_what_it_has_begun() {
    let drains_early = Setting {
        drains_early: true,
        ..PLAIN
    };
    rough(&Builder::new(), 1000..1100, drains_early);
}

#[test]
fn under_faults_peers_that_overstep_the_bounds_cost_the_others_nothing() {
    rough(&Builder::new().shuffle(true), 4000..4100, BOUNDED);
}

#[test]
fn under_faults_a_server_with_every_bound_drains_and_accounts_for_all() {
    let drains_early = Setting {
        drains_early: true,
        ..BOUNDED
    };
    rough(&Builder::new(), 5000..5100, drains_early);
}

#[test]
fn without_faults_whoever_oversteps_a_bound_ends_in_the_reason_for_it() {
    let world = Builder::new().shuffle(true);
    world.seeds(0..50, |seed| async move {
        let outcome = serve_many(seed, BOUNDED).await;
        assert_eq!(outcome.answered, outcome.asked);
        assert_eq!((outcome.turned_away, outcome.too_slow), (1, 1));
    });
}

#[test]
fn without_faults_every_request_is_answered_in_any_schedule() {
    let world = Builder::new().shuffle(true);
    world.seeds(0..50, |seed| async move {
        let outcome = serve_many(seed, PLAIN).await;
        assert_eq!(outcome.answered, outcome.asked);
        // Who leaves without waiting may have been answered, too.
        assert!(outcome.ok >= u64::from(outcome.answered));
    });
}

#[test]
fn a_seed_of_the_server_makes_one_history() {
    let history = |seed| {
        let world = Builder::new().faults(Faults::rough()).trace(true);
        world.run(seed, async move {
            serve_many(seed, PLAIN).await;
            sim::trace()
        })
    };
    let first = history(7);
    assert!(first.lines().count() > 500);
    assert_eq!(history(7), first);
    assert_ne!(history(8), first);
}
