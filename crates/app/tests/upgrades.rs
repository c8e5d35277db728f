//! Connections that go on in a protocol of the program's own, in a made-up world.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use monoloop::net::TcpStream;
use monoloop::sim;
use monoloop::time::{self, sleep};
use monoloop::{DrainReport, Reason, Request, Response, Router, Server, Shutdown, Upgraded};
use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::Shutdown as Direction;
use std::rc::Rc;
use std::time::Duration;

const REQUEST: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other, Echo\r\n\r\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a test beside a server whose `/` goes on with `handler`, and drains it.
fn serve<F>(handler: &F, test: impl AsyncFnOnce(&Shutdown)) -> DrainReport
where
    F: AsyncFnOnce(Upgraded) + Clone + 'static,
{
    sim::run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap();
        let app = || {
            let handler = handler.clone();
            Router::new().get("/", move |request: Request| {
                let response = Response::upgrade(&request, "echo", handler.clone());
                async move { response }
            })
        };
        let serving = server.spawn(app, &shutdown).unwrap();
        test(&shutdown).await;
        shutdown.drain();
        serving.wait().await
    })
}

async fn echo(mut stream: Upgraded) {
    loop {
        match stream.receive().await {
            Ok(bytes) if !bytes.is_empty() => stream.write_all(&bytes).await.unwrap(),
            _ => break,
        }
    }
}

async fn connect(bytes: &str) -> TcpStream {
    let to = "10.0.0.1:80".parse().unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// All that comes until this is the end of it.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        let chunk = stream.receive().await.unwrap();
        assert!(!chunk.is_empty(), "an end instead of {end:?}: {all}");
        all.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    all
}

#[test]
fn what_came_with_the_request_and_behind_it_comes_back_until_both_have_finished() {
    serve(&echo, async |_| {
        let mut stream = connect(&format!("{REQUEST}early ")).await;
        let head = until(&mut stream, "early ").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.contains("connection: upgrade\r\nupgrade: echo\r\n"),
            "{head}"
        );
        stream.write_all(b"late").await.unwrap();
        until(&mut stream, "late").await;
        let long = "x".repeat(500_000);
        let (mut reader, mut writer) = stream.into_split();
        let sent = long.clone();
        let writing = monoloop::spawn(async move {
            writer.write_all(sent.as_bytes()).await.unwrap();
            writer.shutdown().unwrap();
            writer
        });
        let mut back = 0;
        loop {
            let chunk = reader.receive().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            back += chunk.len();
        }
        assert_eq!(back, long.len());
        drop(writing.await.unwrap());
    });
}

#[test]
fn who_does_not_ask_is_told_what_to_ask_for() {
    serve(&echo, async |_| {
        for request in [
            REQUEST.replace("Echo", "h2c"),
            REQUEST.replace("Connection: upgrade", "Connection: close"),
            REQUEST.replace("HTTP/1.1", "HTTP/1.0"),
        ] {
            let mut stream = connect(&request).await;
            let answer = until(&mut stream, "\"Upgrade\"\n").await;
            assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
            assert!(answer.contains("\r\nupgrade: echo\r\n"), "{answer}");
        }
    });
}

#[test]
fn a_handler_that_has_finished_still_receives() {
    let heard: Rc<RefCell<Vec<u8>>> = Rc::default();
    let hear = heard.clone();
    let handler = async move |mut stream: Upgraded| {
        stream.write_all(b"all that is to be said").await.unwrap();
        stream.finish();
        stream.flush().await.unwrap();
        let late = stream.write_all(b"more").await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
        loop {
            let bytes = stream.receive().await.unwrap();
            if bytes.is_empty() {
                break;
            }
            hear.borrow_mut().extend_from_slice(&bytes);
        }
    };
    serve(&handler, async |_| {
        let mut stream = connect(REQUEST).await;
        until(&mut stream, "to be said").await;
        assert!(stream.receive().await.unwrap().is_empty());
        stream.write_all(b"an answer").await.unwrap();
        stream.shutdown(Direction::Write).unwrap();
        sleep(secs(1)).await;
    });
    assert_eq!(*heard.borrow(), b"an answer");
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_and_holds_bounded_memory() {
    let wrote: Rc<RefCell<(usize, Option<ErrorKind>)>> = Rc::default();
    let tell = wrote.clone();
    let handler = async move |mut stream: Upgraded| {
        loop {
            match stream.write_all(&[1; 10_000]).await {
                Ok(()) => tell.borrow_mut().0 += 10_000,
                Err(error) => break tell.borrow_mut().1 = Some(error.kind()),
            }
        }
    };
    serve(&handler, async |_| {
        let _stream = connect(REQUEST).await;
        sleep(secs(29)).await;
        let (bytes, error) = *wrote.borrow();
        // What the way between holds, and 64 KiB twice: one lot is being written.
        assert!(bytes < 2 * 128 * 1024 + 2 * 65_536, "{bytes}");
        assert_eq!(error, None);
        sleep(secs(2)).await;
        assert_eq!(wrote.borrow().1, Some(ErrorKind::TimedOut));
    });
}

#[test]
fn a_reset_is_told() {
    let told: Rc<RefCell<Option<ErrorKind>>> = Rc::default();
    let tell = told.clone();
    let handler = async move |mut stream: Upgraded| {
        let error = stream.receive().await.unwrap_err();
        tell.replace(Some(error.kind()));
    };
    serve(&handler, async |_| {
        let stream = connect(REQUEST).await;
        sleep(secs(1)).await;
        sim::net::reset(stream.local_addr().unwrap());
        sleep(secs(1)).await;
    });
    assert_eq!(*told.borrow(), Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_handler_learns_of_the_drain_and_ends_in_order() {
    let handler = async |mut stream: Upgraded| {
        stream.wait_for_drain().await;
        stream.write_all(b"good bye").await.unwrap();
    };
    let report = serve(&handler, async |shutdown| {
        let mut stream = connect(REQUEST).await;
        sleep(secs(100)).await;
        let began = time::now();
        shutdown.drain();
        until(&mut stream, "good bye").await;
        assert!(stream.receive().await.unwrap().is_empty());
        assert!(time::now() - began < secs(1));
    });
    assert_eq!(report.forced, 0);
}

#[test]
fn a_handler_that_panics_breaks_the_connection_and_is_booked() {
    let handler = async |mut stream: Upgraded| {
        stream.write_all(b"half of").await.unwrap();
        stream.receive().await.unwrap();
        panic!("on purpose");
    };
    let ledger = Rc::new(RefCell::new(None));
    sim::run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap();
        ledger.replace(Some(server.ledger().clone()));
        let app = || {
            Router::new().get("/", move |request: Request| {
                let response = Response::upgrade(&request, "echo", handler);
                async move { response }
            })
        };
        let serving = server.spawn(app, &shutdown).unwrap();
        let mut stream = connect(REQUEST).await;
        until(&mut stream, "half of").await;
        stream.write_all(b"go").await.unwrap();
        // What came is not all of it, and a close would say that it is.
        let ended = stream.receive().await;
        assert!(ended.is_err(), "{ended:?}");
        shutdown.drain();
        serving.wait().await;
    });
    let seen = ledger.take().unwrap().snapshot();
    for tally in [seen.connections, seen.requests] {
        assert_eq!(
            (tally.ended_in(Reason::Panic), tally.ended_in_all()),
            (1, 1)
        );
    }
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_is_cut_off() {
    let ended: Rc<RefCell<Option<ErrorKind>>> = Rc::default();
    let tell = ended.clone();
    let handler = async move |mut stream: Upgraded| {
        let error = loop {
            if let Err(error) = stream.write_all(&[1; 10_000]).await {
                break error;
            }
        };
        tell.replace(Some(error.kind()));
    };
    serve(&handler, async |_| {
        let mut stream = connect(REQUEST).await;
        let mut buffer = [0; 2000];
        let mut seconds = 0;
        while ended.borrow().is_none() {
            sleep(secs(20)).await;
            seconds += 20;
            assert!(seconds < 400, "100 bytes a second are enough");
            let _ = stream.read(&mut buffer).await;
        }
        assert!(seconds > 30, "it does read");
    });
}
