//! What the servers have in common: their flags and how they end.

use crate::example::{Example, Server};
use std::net::TcpListener;

const SERVERS: [&str; 5] = [
    "dashboard",
    "echo_server",
    "events",
    "http_server",
    "request_id",
];

#[test]
fn asked_for_help_they_explain_their_flags() {
    for name in SERVERS {
        let ended = Example::start(name, &["--help"]).wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let usage = format!("Usage: {name} ");
        assert!(ended.stdout.contains(&usage), "{ended:?}");
        assert!(ended.stdout.contains("--listen <ADDR>"), "{ended:?}");
    }
}

#[test]
fn help_begins_with_what_the_program_is() {
    for (name, what) in [
        ("echo_server", "A TCP server that sends back what it gets"),
        ("http_server", "An HTTP server with a route for each thing"),
    ] {
        let ended = Example::start(name, &["--help"]).wait();
        assert!(ended.stdout.starts_with(what), "{ended:?}");
    }
}

#[test]
fn called_wrongly_they_end_with_2_and_say_what_is_wrong() {
    for name in SERVERS {
        for (flags, complaint) in [
            (["--lisen", "127.0.0.1:0"], "'--listen'"),
            (["--listen", "nowhere"], "nowhere"),
        ] {
            let ended = Example::start(name, &flags).wait();
            assert_eq!(ended.code, Some(2), "{name}: {ended:?}");
            assert!(ended.stderr.contains(complaint), "{name}: {ended:?}");
        }
    }
}

#[test]
fn when_their_address_is_taken_they_end_with_1_and_say_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in SERVERS {
        let ended = Example::start(name, &["--listen", &address]).wait();
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        let complaint = format!("error: cannot listen at {address}: Address already in use");
        assert!(ended.stderr.contains(&complaint), "{name}: {ended:?}");
    }
}

#[test]
fn asked_to_end_they_do() {
    for name in SERVERS {
        let server = Server::start(name, &[]);
        server.ask_to_end();
        server.wait_until_stopped();
    }
}
