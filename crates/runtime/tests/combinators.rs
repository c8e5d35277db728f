//! Futures of the loop inside combinators that poll with wakers of their own.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{ms, pair, run};
use futures_util::future::{Either, FutureExt, join_all, select, select_all};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::time::{self, sleep, timeout};
use monoloop_runtime::{spawn, spawn_blocking};
use std::future::Future;
use std::pin::{Pin, pin};

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// One of each kind of thing to wait for, each giving its number.
fn one_of_each(number: usize) -> Boxed<usize> {
    match number % 4 {
        0 => Box::pin(async move {
            sleep(ms(number as u64 % 7)).await;
            number
        }),
        1 => Box::pin(async move {
            let task = spawn(async move {
                sleep(ms(3)).await;
                number
            });
            task.await.unwrap()
        }),
        2 => Box::pin(async move { spawn_blocking(move || number).await.unwrap() }),
        _ => Box::pin(async move {
            let (mut one, mut other) = pair().await;
            let echo = spawn(async move {
                let chunk = other.receive().await.unwrap();
                other.write_all(&chunk).await.unwrap();
            });
            one.write_all(&number.to_be_bytes()).await.unwrap();
            let chunk = one.receive().await.unwrap();
            echo.await.unwrap();
            usize::from_be_bytes((*chunk).try_into().unwrap())
        }),
    }
}

#[test]
fn join_all_of_many_children_waits_for_each_of_them() {
    // Beyond 30 children join_all uses FuturesOrdered, with a waker for each.
    for count in [8, 120] {
        let outputs = run(join_all((0..count).map(one_of_each)));
        assert_eq!(outputs, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn an_unordered_set_gives_each_child_as_it_finishes() {
    run(async {
        let children: FuturesUnordered<_> = (0..80).map(one_of_each).collect();
        let mut outputs: Vec<_> = children.collect().await;
        outputs.sort_unstable();
        assert_eq!(outputs, (0..80).collect::<Vec<_>>());
    });
}

#[test]
fn an_ordered_set_inside_an_unordered_one_works_as_well() {
    run(async {
        let sets: FuturesUnordered<_> = (0..8)
            .map(|set| {
                (set * 10..set * 10 + 10)
                    .map(one_of_each)
                    .collect::<FuturesOrdered<_>>()
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut outputs: Vec<_> = sets.collect().await;
        outputs.sort();
        assert_eq!(outputs.concat(), (0..80).collect::<Vec<_>>());
    });
}

#[test]
fn select_ends_with_the_first_and_the_other_can_go_on() {
    run(async {
        let start = time::now();
        let short = pin!(sleep(ms(10)));
        let long = pin!(sleep(ms(30)));
        let Either::Left((_, long)) = select(short, long).await else {
            panic!("the long one was first");
        };
        assert_eq!(time::now() - start, ms(10));
        long.await;
        assert_eq!(time::now() - start, ms(30));
    });
}

#[test]
fn a_select_over_all_kinds_ends_with_each_in_turn() {
    run(async {
        let mut left: Vec<_> = (0..40).map(one_of_each).collect();
        let mut outputs = Vec::new();
        while !left.is_empty() {
            let (output, _, rest) = select_all(left).await;
            outputs.push(output);
            left = rest;
        }
        outputs.sort_unstable();
        assert_eq!(outputs, (0..40).collect::<Vec<_>>());
    });
}

#[test]
fn a_shared_future_wakes_all_tasks_that_wait_for_it() {
    run(async {
        for number in 0..4 {
            let shared = one_of_each(number).shared();
            let tasks: Vec<_> = (0..10).map(|_| spawn(shared.clone())).collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), number);
            }
        }
    });
}

#[test]
fn a_socket_may_be_awaited_first_by_a_combinator_and_then_by_the_task() {
    run(async {
        let (mut one, mut other) = pair().await;
        {
            let receiving = pin!(other.receive());
            let never = timeout(ms(5), select(receiving, std::future::pending::<()>())).await;
            assert!(never.is_err());
        }
        let reading = spawn(async move { other.receive().await.unwrap().to_vec() });
        common::turns(2).await;
        one.write_all(b"hello").await.unwrap();
        assert_eq!(reading.await.unwrap(), b"hello");
    });
}

#[test]
fn both_halves_of_a_stream_may_be_driven_by_one_task() {
    run(async {
        let (mut one, mut other) = pair().await;
        let echo = spawn(async move {
            let (mut read, mut write) = other.split();
            loop {
                let chunk = read.receive().await.unwrap();
                if chunk.is_empty() {
                    break;
                }
                write.write_all(&chunk).await.unwrap();
            }
        });
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let mut came = Vec::new();
        {
            let (mut read, mut write) = one.split();
            let writing = async {
                write.write_all(&sent).await.unwrap();
                write.shutdown().unwrap();
            };
            let reading = async {
                loop {
                    let chunk = read.receive().await.unwrap();
                    if chunk.is_empty() {
                        break;
                    }
                    came.extend_from_slice(&chunk);
                }
            };
            futures_util::future::join(writing, reading).await;
        }
        assert!(came == sent);
        echo.await.unwrap();
    });
}

#[test]
fn accepting_and_connecting_work_inside_combinators() {
    run(async {
        let mut listener = TcpListener::bind(common::any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let clients = join_all((0..60).map(|_| TcpStream::connect(address)));
        let accepting = async {
            let mut accepted = Vec::new();
            while accepted.len() < 60 {
                accepted.push(listener.accept().await.unwrap().0);
            }
            accepted
        };
        let (clients, accepted) = futures_util::future::join(clients, accepting).await;
        assert!(clients.iter().all(Result::is_ok));
        assert_eq!(accepted.len(), 60);
    });
}
