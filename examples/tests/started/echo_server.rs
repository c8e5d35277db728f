//! The example `echo_server`.

use crate::client::Client;
use crate::example::{Example, Server, path};
use std::net::Shutdown;
use std::process::Command;
use std::time::Instant;

fn start() -> Server {
    Server::start("echo_server", &[])
}

fn assert_echoes(client: &mut Client, bytes: &[u8]) {
    client.write(bytes);
    assert!(
        client.bytes(bytes.len()) == bytes,
        "{} bytes come back",
        bytes.len()
    );
}

#[test]
fn what_is_sent_comes_back() {
    let server = start();
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let long: Vec<_> = (0..50_000).map(|number| number as u8).collect();
    for bytes in [&b"x"[..], b"hello\n", &long] {
        for client in &mut clients {
            assert_echoes(client, bytes);
        }
    }
}

#[test]
fn client_that_has_finished_gets_the_rest_and_the_end() {
    let server = start();
    let mut client = server.connect();
    client.write("last words");
    client.shutdown(Shutdown::Write);
    assert_eq!(client.text(10), "last words");
    assert!(client.is_closed());
}

#[test]
fn asked_to_end_it_lets_clients_finish_and_goes() {
    let server = start();
    let (mut client, mut idle) = (server.connect(), server.connect());
    assert_echoes(&mut client, b"before");
    assert_echoes(&mut idle, b"idle");
    server.ask_to_end();
    client.shutdown(Shutdown::Write);
    assert!(client.is_closed());
    assert!(idle.is_closed(), "it does not wait for ever");
    server.wait_until_stopped();
}

#[test]
fn without_descriptors_it_waits_and_then_serves_again() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 24; exec \"$0\" --listen 127.0.0.1:0"]);
    command.arg(path("echo_server"));
    let server = Server::wait_until_listening(Example::start_command(command));
    let started = now();
    let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for _ in 0..3 {
        server.wait_for_line("cannot accept");
    }
    // It tries ten times a second: more would be spinning.
    let tries = 3 + server.lines_so_far().len() as u128;
    let tries_max = started.elapsed().as_millis() / 100 + 1;
    assert!(tries <= tries_max, "{tries} tries, {tries_max} were due");

    assert_echoes(&mut clients[0], b"those who are in are served");
    clients.drain(..30);
    for client in &mut clients {
        assert_echoes(client, b"those who waited, too");
    }
}

#[allow(clippy::disallowed_methods, reason = "this process has no loop")]
fn now() -> Instant {
    Instant::now()
}
