//! Datagrams in a simulated world: what gets lost there, and that nobody says so.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{ms, poll_once};
use monoloop_runtime::net::{UdpOptions, UdpSocket};
use monoloop_runtime::sim::{self, Builder, Faults, Link};
use monoloop_runtime::time::{self, timeout};
use monoloop_runtime::{spawn, yield_now};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn server() -> SocketAddr {
    address("10.0.0.1:53")
}

fn client() -> SocketAddr {
    address("10.0.0.2:5000")
}

fn two() -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind(client()).unwrap();
    (one, UdpSocket::bind(server()).unwrap())
}

/// Sends so many numbered datagrams and returns what comes within a second.
async fn numbers(count: u32) -> Vec<u32> {
    let (mut one, mut other) = two();
    for number in 0..count {
        one.send_to(&number.to_be_bytes(), server()).await.unwrap();
    }
    let mut came = Vec::new();
    while let Ok(datagram) = timeout(ms(1000), other.receive()).await {
        let datagram: [u8; 4] = (*datagram.unwrap()).try_into().unwrap();
        came.push(u32::from_be_bytes(datagram));
    }
    came
}

#[test]
fn datagrams_pass_both_ways_after_a_delay() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        one.connect(server()).unwrap();
        assert_eq!(one.peer_addr().unwrap(), server());
        one.send(b"question").await.unwrap();
        let mut buffer = [0; 4];
        assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (4, client()));
        assert!(sim::elapsed() >= Duration::from_micros(250));
        let (question, from) = other.receive_from().await.unwrap();
        assert_eq!((&*question, from), (&b"question"[..], client()));
        other.send_to(b"", from).await.unwrap();
        other.send_to(b"answer", from).await.unwrap();
        let mut came = BTreeSet::new();
        for _ in 0..2 {
            came.insert(one.receive().await.unwrap().to_vec());
        }
        assert_eq!(came, BTreeSet::from([b"".to_vec(), b"answer".to_vec()]));
    });
}

#[test]
fn a_receive_that_is_dropped_while_it_waits_loses_nothing() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        for round in 0..20u8 {
            {
                let mut receiving = Box::pin(other.receive());
                assert!(poll_once(&mut receiving).await.is_pending());
                one.send_to(&[round], server()).await.unwrap();
                time::sleep(ms(u64::from(round % 3))).await;
            }
            assert_eq!(*other.receive().await.unwrap(), [round]);
        }
    });
}

#[test]
fn without_faults_all_come_though_in_another_order_and_one_seed_makes_one_history() {
    let run = |seed| sim::run(seed, numbers(100));
    let came = run(1);
    assert_ne!(came, (0..100).collect::<Vec<_>>(), "some overtake others");
    assert_eq!(BTreeSet::from_iter(came.clone()).len(), 100);
    assert_eq!(came, run(1));
    assert_ne!(came, run(2));
    let steady = Link {
        jitter: Duration::ZERO,
        ..Link::default()
    };
    let came = Builder::new().link(steady).run(1, numbers(100));
    assert_eq!(came, (0..100).collect::<Vec<_>>());
}

#[test]
fn what_is_lost_does_not_come_and_what_is_doubled_comes_twice() {
    let lossy = Faults {
        losses: 0.5,
        ..Faults::default()
    };
    let came = Builder::new().faults(lossy).run(1, numbers(200));
    assert!((50..150).contains(&came.len()), "{}", came.len());
    assert_eq!(BTreeSet::from_iter(came.clone()).len(), came.len());
    let doubling = Faults {
        duplicates: 1.0,
        ..Faults::default()
    };
    let mut came = Builder::new().faults(doubling).run(1, numbers(50));
    came.sort_unstable();
    let twice: Vec<_> = (0..50).flat_map(|number| [number, number]).collect();
    assert_eq!(came, twice);
}

#[test]
fn a_partition_swallows_datagrams_and_healing_brings_none_back() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        sim::net::partition([client().ip()], [server().ip()]);
        one.send_to(b"lost", server()).await.unwrap();
        assert!(timeout(ms(1000), other.receive()).await.is_err());
        sim::net::heal();
        one.send_to(b"heard", server()).await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"heard");
    });
}

#[test]
fn who_is_connected_with_nobody_is_told_and_who_is_not_connected_is_not() {
    sim::run(1, async {
        let (mut one, other) = two();
        drop(other);
        one.send_to(b"anybody?", server()).await.unwrap();
        assert!(timeout(ms(1000), one.receive()).await.is_err());
        assert!(one.send(b"to whom?").await.is_err());
        one.connect(server()).unwrap();
        one.send(b"anybody?").await.unwrap();
        let error = one.receive().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        one.send(b"anybody?").await.unwrap();
        time::sleep(ms(5)).await;
        let error = one.send(b"anybody?").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn who_is_connected_hears_only_its_peer() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        one.connect(server()).unwrap();
        let mut stranger = UdpSocket::bind(address("10.0.0.3:1")).unwrap();
        stranger.send_to(b"psst", client()).await.unwrap();
        other.send_to(b"hello", client()).await.unwrap();
        assert_eq!(&*one.receive().await.unwrap(), b"hello");
        assert!(timeout(ms(1000), one.receive()).await.is_err());
    });
}

#[test]
fn a_socket_at_all_addresses_answers_from_the_one_it_was_asked_at() {
    sim::run(1, async {
        let mut everywhere = UdpSocket::bind(address("0.0.0.0:53")).unwrap();
        let mut one = UdpSocket::bind(address("10.0.0.2:0")).unwrap();
        assert_ne!(one.local_addr().unwrap().port(), 0);
        one.connect(server()).unwrap();
        one.send(b"question").await.unwrap();
        let (_, from) = everywhere.receive_from().await.unwrap();
        assert_eq!(from, one.local_addr().unwrap());
        everywhere.send_to(b"to nobody", server()).await.unwrap();
    });
}

#[test]
fn an_address_in_use_is_refused_unless_it_is_shared() {
    sim::run(1, async {
        let socket = UdpSocket::bind(server()).unwrap();
        let error = UdpSocket::bind(server()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(socket);
        let shared = UdpOptions::default().reuse_port(true);
        let _one = UdpSocket::bind_with(server(), &shared).unwrap();
        let _other = UdpSocket::bind_with(server(), &shared).unwrap();
        assert!(UdpSocket::bind(server()).is_err());
    });
}

#[test]
fn what_there_is_no_room_for_is_lost_and_too_large_is_refused() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        let error = one.send_to(&[0; 65_508], server()).await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        for number in 0..100u8 {
            one.send_to(&[number; 1024], server()).await.unwrap();
        }
        time::sleep(ms(5)).await;
        let mut came = 0;
        while timeout(ms(5), other.receive()).await.is_ok() {
            came += 1;
        }
        assert_eq!(came, 64, "as many as the buffer holds");
    });
}

#[test]
fn a_socket_that_does_not_read_keeps_what_came() {
    sim::run(1, async {
        let (mut one, mut other) = two();
        sim::net::stop_reading(server());
        one.send_to(b"kept", server()).await.unwrap();
        assert!(timeout(ms(50), other.receive()).await.is_err());
        let receiving = spawn(async move { other.receive().await.unwrap().to_vec() });
        yield_now().await;
        sim::net::resume_reading(server());
        assert_eq!(receiving.await.unwrap(), b"kept");
    });
}

#[test]
fn there_are_no_more_sockets_than_descriptors_and_no_options() {
    Builder::new().descriptors_max(1).run(1, async {
        let mut one = UdpSocket::bind(client()).unwrap();
        let error = UdpSocket::bind(server()).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        let error = one.set_broadcast(true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        drop(one);
        UdpSocket::bind(server()).unwrap();
    });
}

#[test]
fn a_question_that_is_asked_again_until_it_is_answered_survives_all_faults() {
    let rough = Faults {
        losses: 0.3,
        duplicates: 0.2,
        ..Faults::default()
    };
    Builder::new().faults(rough).seeds(0..50, |_| async {
        let (mut one, mut other) = two();
        one.connect(server()).unwrap();
        let answering = spawn(async move {
            loop {
                let (question, from) = other.receive_from().await.unwrap();
                other.send_to(&question, from).await.unwrap();
            }
        });
        for number in 0..20u8 {
            let mut answered = false;
            while !answered {
                one.send(&[number]).await.unwrap();
                let answer = timeout(ms(10), async {
                    // A late answer to an earlier question may come first.
                    while *one.receive().await.unwrap() != [number] {}
                });
                answered = answer.await.is_ok();
            }
        }
        answering.cancel();
        assert!(answering.await.is_err());
    });
}
