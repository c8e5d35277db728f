//! Names: their addresses, and connecting to whichever of them answers.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{ms, run};
use monoloop_runtime::net::{
    ConnectError, ConnectOptions, LookupError, TcpListener, TcpStream, lookup_host,
};
use monoloop_runtime::{blocking_stats, sim, spawn, time};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn inner<E: std::error::Error + 'static>(error: &io::Error) -> &E {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

#[test]
fn a_literal_address_is_its_own_answer_without_the_pool() {
    run(async {
        for (host, answer) in [
            ("127.0.0.1", "127.0.0.1:7"),
            ("::1", "[::1]:7"),
            ("[fd00::1]", "[fd00::1]:7"),
        ] {
            assert_eq!(lookup_host(host, 7).await.unwrap(), [at(answer)]);
        }
        assert_eq!(blocking_stats().threads, 0);
    });
}

#[test]
fn localhost_has_an_address_of_the_loopback() {
    run(async {
        let found = lookup_host("localhost", 80).await.unwrap();
        assert!(found.iter().all(|it| it.ip().is_loopback()), "{found:?}");
        assert!(found.iter().all(|it| it.port() == 80), "{found:?}");
        assert_eq!(blocking_stats().threads, 1);
    });
}

#[test]
fn the_error_of_a_lookup_names_the_host() {
    run(async {
        // No name has such a label (RFC 1035, section 2.3.4), so nobody is asked.
        let long = "x".repeat(300);
        let error = lookup_host(&long, 80).await.unwrap_err();
        assert!(error.to_string().contains(&long), "{error}");
        assert_eq!(inner::<LookupError>(&error).host(), long);
        assert!(lookup_host("", 80).await.is_err());
    });
}

#[test]
fn a_connection_is_made_by_name_to_the_address_that_listens() {
    run(async {
        let mut listener = TcpListener::bind(common::any_port()).unwrap();
        let port = listener.local_addr().unwrap().port();
        // Where localhost is ::1 first, that refuses and the next is tried.
        let stream = TcpStream::connect_host(&format!("localhost:{port}")).await;
        let stream = stream.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        drop(listener.accept().await.unwrap());
    });
}

#[test]
fn a_host_without_a_port_is_an_error_that_shows_how() {
    run(async {
        let error = TcpStream::connect_host("db.example").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("db.example:5432"), "{error}");
    });
}

/// A world in which jobs, and so answers to names, take 5 ms.
fn world() -> sim::Builder {
    sim::Builder::new().blocking_takes(ms(5)..=ms(5))
}

#[test]
fn names_of_a_simulated_world_are_those_the_test_gives_and_answers_take_their_time() {
    world().seeds(0..10, |_| async {
        sim::net::host("DB.example.", [ip("10.0.0.5"), ip("fd00::5")]);
        let found = lookup_host("db.EXAMPLE", 5432).await.unwrap();
        assert_eq!(found, [at("10.0.0.5:5432"), at("[fd00::5]:5432")]);
        assert_eq!(sim::elapsed(), ms(5));
        for unknown in ["other.example", "localhost"] {
            let error = lookup_host(unknown, 5432).await.unwrap_err();
            assert!(error.to_string().contains(unknown), "{error}");
        }
        sim::net::host("db.example", []);
        assert!(lookup_host("db.example", 5432).await.is_err());
    });
}

/// A world in which `host.example` has these addresses, and those at which somebody listens.
async fn hosts(addresses: &[&str], listening: &[&str]) -> Vec<TcpListener> {
    sim::net::host("host.example", addresses.iter().map(|it| ip(it)));
    let listen = |address: &&str| TcpListener::bind(SocketAddr::new(ip(address), 80)).unwrap();
    listening.iter().map(listen).collect()
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next_at_once() {
    world().seeds(0..50, |_| async {
        let _listeners = hosts(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &["10.0.0.3"]).await;
        let stream = TcpStream::connect_host("host.example:80").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at("10.0.0.3:80"));
        assert!(sim::elapsed() < ms(250), "{:?}", sim::elapsed());
    });
}

#[test]
fn beside_an_address_that_does_not_answer_the_next_is_tried_after_250_ms() {
    world().seeds(0..50, |_| async {
        let addresses = ["fd00::1", "fd00::2", "10.0.0.1"];
        let _listeners = hosts(&addresses, &addresses).await;
        sim::net::partition([ip("fd00::1")], [ip("fd00::1")]);
        let stream = TcpStream::connect_host("host.example:80").await.unwrap();
        // The families take turns.
        assert_eq!(stream.peer_addr().unwrap(), at("10.0.0.1:80"));
        assert!((ms(255)..ms(500)).contains(&sim::elapsed()));
    });
}

#[test]
fn an_address_that_answers_late_is_still_waited_for_while_others_fail() {
    world().seeds(0..50, |_| async {
        let _listeners = hosts(&["10.0.0.1", "10.0.0.2"], &["10.0.0.1"]).await;
        sim::net::partition([ip("10.0.0.1")], [ip("10.0.0.1")]);
        let connecting = spawn(TcpStream::connect_host("host.example:80"));
        time::sleep(ms(600)).await;
        sim::net::heal();
        let stream = connecting.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at("10.0.0.1:80"));
    });
}

#[test]
fn the_error_names_every_address_that_was_tried_and_why_it_failed() {
    world().seeds(0..50, |_| async {
        sim::net::host("host.example", [ip("10.0.0.1"), ip("fd00::1")]);
        let error = TcpStream::connect_host("host.example:80").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = error.to_string();
        for part in ["host.example:80", "10.0.0.1:80 (", "[fd00::1]:80 ("] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let tried = inner::<ConnectError>(&error).tried();
        let tried: Vec<_> = tried.iter().map(|(address, _)| *address).collect();
        assert_eq!(tried, [at("10.0.0.1:80"), at("[fd00::1]:80")]);
    });
}

#[test]
fn from_an_address_of_one_family_only_that_family_is_tried() {
    world().run(1, async {
        let _listeners = hosts(&["fd00::1", "10.0.0.1"], &["fd00::1", "10.0.0.1"]).await;
        let from = |local| ConnectOptions::default().local_addr(at(local));
        let four = TcpStream::connect_host_with("host.example:80", &from("10.0.0.9:0")).await;
        assert_eq!(four.unwrap().peer_addr().unwrap(), at("10.0.0.1:80"));
        sim::net::host("four.example", [ip("10.0.0.1")]);
        let error = TcpStream::connect_host_with("four.example:80", &from("[fd00::9]:0")).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("family"), "{error}");
    });
}

#[test]
fn a_connect_by_name_that_is_dropped_leaves_nothing_behind() {
    world().seeds(0..50, |seed| async move {
        let _listeners = hosts(&["10.0.0.1", "10.0.0.2"], &["10.0.0.1", "10.0.0.2"]).await;
        sim::net::partition([ip("10.0.0.1")], [ip("10.0.0.1")]);
        let limit = ms([1, 5, 100, 251][seed as usize % 4]);
        let _ = time::timeout(limit, TcpStream::connect_host("host.example:80")).await;
        // The world checks that no socket and no timer is left.
        sim::net::heal();
    });
}
