//! Servers on threads of their own. The one place here that lives by the system's clock, and
//! waits for nothing but answers.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use monoloop::{Router, Server, ServerError};

/// What a server answers to one request, after which it is asked to close.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_loop_has_an_app_of_its_own_and_all_share_the_port() {
    let made = Arc::new(AtomicUsize::new(0));
    let making = made.clone();
    let running = Server::bind("127.0.0.1:0")
        .unwrap()
        .threads(3)
        .start(move || {
            making.fetch_add(1, Ordering::Relaxed);
            let count = Rc::new(Cell::new(0));
            Router::new().get("/", move |_| {
                count.set(count.get() + 1);
                let text = format!("{:?} {}", std::thread::current().id(), count.get());
                async { text }
            })
        })
        .unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 3);
    for _ in 0..30 {
        assert!(get(running.local_addr(), "/").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let address = running.local_addr();
    let ledger = running.ledger();
    let reports = running.stop();
    let seen = ledger.snapshot();
    assert_eq!(seen.check(), Ok(()));
    assert_eq!(
        (seen.requests.started(), seen.requests.in_flight()),
        (30, 0)
    );
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|report| report.forced == 0));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn server_is_told_to_end_from_any_thread() {
    let running = Server::bind("127.0.0.1:0")
        .unwrap()
        .start(|| Router::new().get("/", |_| async { "hi" }))
        .unwrap();
    assert!(get(running.local_addr(), "/").ends_with("\r\n\r\nhi"));
    let shutdown = running.shutdown();
    std::thread::spawn(move || shutdown.drain()).join().unwrap();
    assert_eq!(running.stop().len(), 1);
}

#[test]
fn fault_in_the_app_is_told_to_who_starts_it() {
    let start = |app: fn() -> Router| Server::bind("127.0.0.1:0").unwrap().threads(2).start(app);
    let error = start(|| Router::new().get("no slash", |_| async { "" })).unwrap_err();
    assert!(matches!(error, ServerError::Route(_)), "{error}");
    let error = start(|| panic!("while the app is made")).unwrap_err();
    assert!(matches!(error, ServerError::LoopDied), "{error}");
    assert!(matches!(
        Server::bind("nonsense"),
        Err(ServerError::Address(_))
    ));
}
