//! The simulated world as its users see it: one seed, one history; time that jumps; runs that end.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{child, logged, ms, panic_message};
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::sim::{self, Builder, Faults, Link};
use monoloop_runtime::{
    context_var, current_task, spawn, spawn_blocking, spawn_named, time, yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SERVER: &str = "10.0.0.1:80";

fn server() -> SocketAddr {
    SERVER.parse().unwrap()
}

/// Echoes on every connection until it ends or breaks.
async fn echo(mut listener: TcpListener, connections: usize) {
    for _ in 0..connections {
        let mut stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(_) => time::sleep(ms(10)).await,
            }
        };
        drop(spawn(async move {
            while let Ok(chunk) = stream.receive().await {
                if chunk.is_empty() || stream.write_all(&chunk).await.is_err() {
                    break;
                }
            }
        }));
    }
}

/// Sends bytes and takes them back; how many came.
async fn exchange(length: usize) -> std::io::Result<usize> {
    let stream = TcpStream::connect(server()).await?;
    let (mut read, mut write) = stream.into_split();
    let writing = spawn(async move {
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        write.write_all(&bytes).await
    });
    let mut came = 0;
    let end = loop {
        match read.receive().await {
            Ok(chunk) if chunk.is_empty() => break Ok(came),
            Ok(chunk) => {
                for byte in chunk.iter() {
                    assert_eq!(*byte, came as u8, "at {came}");
                    came += 1;
                }
                if came == length {
                    break Ok(came);
                }
            }
            Err(error) => break Err(error),
        }
    };
    drop(read);
    writing.cancel();
    let _ = writing.await;
    end
}

fn rough_history(seed: u64, shuffle: bool) -> String {
    let world = Builder::new().faults(Faults::rough()).trace(true);
    world.shuffle(shuffle).run(seed, async {
        let listener = TcpListener::bind(server()).unwrap();
        let serving = spawn(echo(listener, usize::MAX));
        let clients: Vec<_> = (1..20).map(|n| spawn(exchange(n * 100))).collect();
        for client in clients {
            let _ = client.await.unwrap();
        }
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        serving.cancel();
        sim::trace()
    })
}

#[test]
fn a_seed_makes_one_history_byte_for_byte_and_another_seed_another() {
    for shuffle in [false, true] {
        let histories: BTreeSet<String> = (0..10).map(|n| rough_history(n, shuffle)).collect();
        assert_eq!(histories.len(), 10);
        for seed in 0..10 {
            assert!(histories.contains(&rough_history(seed, shuffle)));
        }
    }
    assert_ne!(rough_history(1, false), rough_history(1, true));
}

#[test]
fn a_day_of_keep_alive_timeouts_passes_at_once() {
    sim::run(1, async {
        let mut listener = TcpListener::bind(server()).unwrap();
        let mut expired = 0;
        while sim::elapsed() < Duration::from_secs(86_400) {
            let connecting = spawn(TcpStream::connect(server()));
            let (mut stream, _) = listener.accept().await.unwrap();
            let silent = connecting.await.unwrap().unwrap();
            let began = time::now();
            let idle = time::timeout(Duration::from_secs(75), stream.receive()).await;
            assert!(idle.is_err());
            assert!(time::now() - began < Duration::from_millis(75_002));
            drop(silent);
            expired += 1;
        }
        assert!((1140..=1152).contains(&expired), "{expired}");
    });
}

#[test]
fn ten_thousand_clients_are_served_in_one_test() {
    echo_clients(10_000);
}

#[test]
fn a_hundred_thousand_clients_are_served_in_one_test() {
    echo_clients(100_000);
}

fn echo_clients(count: u32) {
    let world = Builder::new().turns_max(u64::MAX);
    world.run(1, async move {
        let listener = TcpListener::bind(server()).unwrap();
        let serving = spawn(echo(listener, count as usize));
        let all_there = Rc::new(Cell::new(0));
        let clients: Vec<_> = (0..count)
            .map(|n| {
                let all_there = all_there.clone();
                spawn(async move {
                    let ip: [u8; 4] = (0x0b00_0000 + n).to_be_bytes();
                    let options = monoloop_runtime::net::ConnectOptions::default()
                        .local_addr(SocketAddr::from((ip, 0)));
                    let mut stream = TcpStream::connect_with(server(), &options).await.unwrap();
                    all_there.set(all_there.get() + 1);
                    // All of them are connected at the same time.
                    while all_there.get() < count {
                        time::sleep(ms(100)).await;
                    }
                    let mut buffer = [0; 4];
                    stream.write_all(&n.to_be_bytes()).await.unwrap();
                    let mut came = 0;
                    while came < 4 {
                        came += stream.read(&mut buffer[came..]).await.unwrap();
                    }
                    assert_eq!(u32::from_be_bytes(buffer), n);
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        serving.await.unwrap();
    });
}

#[test]
fn a_task_that_keeps_waking_itself_ends_the_run_at_its_limit_of_turns() {
    let message = panic_message(|| {
        Builder::new().turns_max(1000).run(1, async {
            drop(spawn_named("spinner", async {
                loop {
                    yield_now().await;
                }
            }));
            std::future::pending::<()>().await;
        });
    });
    assert!(message.contains("no end after 1000 turns"), "{message}");
    assert!(message.contains("(spinner), spawned at"), "{message}");
}

#[test]
fn a_run_in_which_nothing_can_happen_any_more_fails_at_once() {
    let message = panic_message(|| sim::run(1, std::future::pending::<()>()));
    assert!(message.contains("nothing will ever happen"), "{message}");
    assert!(message.contains("(main), spawned at"), "{message}");
    assert!(message.contains("tests/sim.rs"), "{message}");
}

#[test]
fn what_is_left_at_the_end_is_listed_with_name_and_place() {
    let leave = async || {
        let listener = TcpListener::bind(server()).unwrap();
        drop(spawn_named("forgotten", async move {
            let _listener = listener;
            time::sleep(Duration::from_secs(60)).await;
        }));
        yield_now().await;
    };
    let message = panic_message(|| sim::run(1, leave()));
    for part in [
        "1 tasks:",
        "(forgotten), spawned at",
        "tests/sim.rs",
        "1 timers:",
        "a listener at 10.0.0.1:80",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    Builder::new().check_balance(false).run(1, leave());
}

#[test]
fn a_buffer_or_handle_that_outlives_the_run_is_noticed() {
    let kept = RefCell::new(None);
    let message = panic_message(|| {
        sim::run(1, async {
            kept.replace(current_task());
        });
    });
    assert!(message.contains("1 handles of the loop"), "{message}");
}

#[test]
fn a_panic_that_nobody_joined_fails_the_run() {
    let (message, lines) = logged(|| {
        panic_message(|| {
            sim::run(1, async {
                drop(spawn(async { panic!("on purpose") }));
                yield_now().await;
            });
        })
    });
    assert!(message.contains("1 tasks panicked"), "{message}");
    assert!(lines.iter().any(|line| line.contains("on purpose")));
}

#[test]
fn a_failing_seed_prints_the_line_that_replays_it() {
    let failing = |seed: u64| async move {
        assert!(seed < 3, "seed {seed} fails");
    };
    if std::env::var_os("MONOLOOP_SIM_TEST_FAILS").is_some() {
        return sim::seeds(0..10, failing);
    }
    let name = "a_failing_seed_prints_the_line_that_replays_it";
    let run = |seed: Option<&str>| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args([name, "--exact", "--nocapture"]);
        test.env("MONOLOOP_SIM_TEST_FAILS", "1");
        test.envs(seed.map(|seed| ("MONOLOOP_SIM_SEED", seed)));
        let output = test.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    };
    let (passed, text) = run(None);
    let line = "\nMONOLOOP_SIM_SEED=3 cargo test -p monoloop-runtime \
                a_failing_seed_prints_the_line_that_replays_it\n";
    assert!(!passed && text.contains(line), "{text}");
    let (passed, text) = run(Some("7"));
    assert!(!passed && text.contains("seed 7 fails"), "{text}");
    assert!(run(Some("2")).0, "only the seed that was asked for runs");
}

#[test]
fn seeds_of_the_environment_take_the_place_of_a_tests_own() {
    child(
        "seeds_of_the_environment_take_the_place_of_a_tests_own",
        || {
            let mut test = std::process::Command::new(std::env::current_exe().unwrap());
            test.args(["count_seeds", "--exact", "--nocapture", "--ignored"]);
            test.env("MONOLOOP_SIM_SEEDS", "5..8");
            let output = test.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("seeds [5, 6, 7]"), "{text}");
        },
    );
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn count_seeds() {
    let ran = RefCell::new(Vec::new());
    sim::seeds(0..2, |seed| {
        ran.borrow_mut().push(seed);
        async {}
    });
    println!("seeds {:?}", ran.take());
}

context_var! { static WHO: u32; }

#[test]
fn blocking_jobs_run_one_by_one_in_the_order_of_the_seed_and_carry_the_context() {
    let order = |seed| {
        sim::run(seed, async {
            let began = Arc::new(Mutex::new(Vec::new()));
            let jobs: Vec<_> = (0..20)
                .map(|n| {
                    let began = began.clone();
                    WHO.sync_scope(n, || {
                        spawn_blocking(move || {
                            began.lock().unwrap().push(n);
                            WHO.get().unwrap()
                        })
                    })
                })
                .collect();
            let started = time::now();
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.await.unwrap(), n as u32);
            }
            assert!(time::now() > started, "jobs take time");
            Arc::try_unwrap(began).unwrap().into_inner().unwrap()
        })
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_shuffled_schedule_is_the_seeds_and_without_it_is_strictly_first_in_first_out() {
    let order = |seed, shuffle| {
        Builder::new().shuffle(shuffle).run(seed, async {
            let ran = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..20)
                .map(|n| {
                    let ran = ran.clone();
                    spawn(async move { ran.borrow_mut().push(n) })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            ran.take()
        })
    };
    assert_eq!(order(1, false), (0..20).collect::<Vec<_>>());
    assert_eq!(order(1, true), order(1, true));
    assert_ne!(order(1, true), order(1, false));
    assert_ne!(order(1, true), order(2, true));
}

#[test]
fn a_world_in_a_world_is_refused_with_a_sentence() {
    let message = panic_message(|| sim::run(1, async { sim::run(2, async {}) }));
    assert!(message.contains("a thread of its own"), "{message}");
    let message = panic_message(|| {
        common::run(async {
            let _ = sim::elapsed();
        });
    });
    assert!(message.contains("sim::run()"), "{message}");
}

#[test]
fn a_link_delays_by_what_it_says() {
    let link = Link {
        delay: ms(20),
        jitter: Duration::ZERO,
        ..Link::default()
    };
    Builder::new().link(link).run(1, async {
        let mut listener = TcpListener::bind(server()).unwrap();
        let began = sim::elapsed();
        let connecting = spawn(TcpStream::connect(server()));
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(sim::elapsed() - began, ms(20));
        let mut stream = connecting.await.unwrap().unwrap();
        assert_eq!(sim::elapsed() - began, ms(40));
        drop(accepted);
        assert!(stream.receive().await.unwrap().is_empty());
        assert_eq!(sim::elapsed() - began, ms(60));
    });
}
