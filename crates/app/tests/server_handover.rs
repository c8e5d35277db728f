//! A server that another one takes over from: those who are on their way to it are still served.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod server_common;

use monoloop::sim::Builder;
use monoloop::time::{self, sleep};
use monoloop::{Response, Router, Server, Shutdown};
use server_common::{Client, get, ms, patient_server, quiet, secs, serve_with, server};

fn router() -> Router {
    Router::new().get("/", async |_| Response::text("hello"))
}

#[test]
fn a_connection_between_two_requests_is_answered_once_more_and_then_closed() {
    serve_with(&patient_server().reuse_port(true), router, async |site| {
        let mut busy = site.connect().await;
        let mut idle = site.connect().await;
        for client in [&mut busy, &mut idle] {
            client.get("/").await.assert_kept(200);
        }
        site.shutdown.drain();
        quiet().await;
        sleep(ms(400)).await;
        busy.get("/").await.assert_last(200);
        busy.assert_closed().await;
        let asked_at = time::now();
        idle.assert_closed().await;
        assert!(time::now() - asked_at <= ms(101));
    });
}

#[test]
fn a_head_that_begins_in_the_grace_has_the_time_of_a_head() {
    serve_with(&server().reuse_port(true), router, async |site| {
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        site.shutdown.drain();
        sleep(ms(400)).await;
        let request = get("/");
        idle.send(&request[..10]).await;
        sleep(secs(9)).await;
        idle.send(&request[10..]).await;
        idle.answer().await.assert_last(200);
        idle.assert_closed().await;
    });
}

#[test]
fn a_server_that_nobody_takes_over_from_closes_them_at_once() {
    serve_with(&patient_server(), router, async |site| {
        let mut idle = site.connect().await;
        idle.get("/").await.assert_kept(200);
        let asked_at = time::now();
        site.shutdown.drain();
        idle.assert_closed().await;
        assert!(time::now() - asked_at <= ms(10));
    });
}

#[test]
fn a_socket_that_listens_already_is_served_and_closed_at_the_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::bind("127.0.0.1:1").unwrap().threads(2);
    let running = server.listener(listener).start(router).unwrap();
    assert_eq!(running.local_addr(), address);
    for _ in 0..10 {
        let answer = ask(address);
        assert!(answer.ends_with("hello"), "{answer}");
    }
    running.stop();
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

fn ask(address: std::net::SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where the system cannot have new connections ignored, the server ends as others do.
#[test]
fn without_the_systems_help_it_drains_all_the_same() {
    Builder::new().seeds(0..20, |_| async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap().reuse_port(true);
        let serving = server.spawn(router, &shutdown).unwrap();
        let stream = monoloop::net::TcpStream::connect(serving.local_addr()).await;
        let mut client = Client::new(stream.unwrap());
        client.send(get("/")).await;
        shutdown.drain();
        assert_eq!(client.answer().await.text(), "hello");
        serving.wait().await;
    });
}
