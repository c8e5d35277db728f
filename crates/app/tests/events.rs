//! Server-sent events, in a made-up world.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use futures_util::stream::{self, StreamExt};
use monoloop::events::{Event, Events};
use monoloop::net::TcpStream;
use monoloop::sim;
use monoloop::time::{self, sleep};
use monoloop::{
    DrainReport, IntoResponse, REQUEST_ID, Request, Response, Router, Server, Shutdown,
};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a test beside a server that drains when the test is over.
fn serve(app: impl Fn() -> Router, test: impl AsyncFnOnce(&Shutdown)) -> DrainReport {
    sim::run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap();
        let serving = server.spawn(app, &shutdown).unwrap();
        test(&shutdown).await;
        shutdown.drain();
        serving.wait().await
    })
}

async fn ask(path: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect("10.0.0.1:80".parse().unwrap())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Receives until this was among it.
async fn receive_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let chunk = stream.receive().await.unwrap();
        assert!(!chunk.is_empty(), "an end instead of {text:?}: {all}");
        all.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    all
}

/// One a second, for ever; the first one that the peer has not seen comes first.
fn counting(request: &Request) -> Response {
    let seen = request.last_event_id().and_then(|id| id.parse().ok());
    let first: u64 = seen.map_or(1, |seen: u64| seen + 1);
    Response::events(stream::unfold(first, async |n| {
        sleep(secs(1)).await;
        Some((
            Event::data(format!("tick {n}")).with_id(n.to_string()),
            n + 1,
        ))
    }))
}

fn app() -> Router {
    Router::new()
        .get(
            "/counting",
            |request: Request| async move { counting(&request) },
        )
        .get("/silent", |_| async { Response::events(stream::pending()) })
        .get("/mute", |_| async {
            Events::new(stream::pending()).keep_alive(None)
        })
}

#[test]
fn events_come_one_by_one_as_they_happen() {
    serve(app, async |_| {
        let mut stream = ask("/counting", "").await;
        let began = time::now();
        let head = receive_until(&mut stream, "\r\n\r\n").await;
        assert!(time::now() - began < secs(1), "the head waits for nothing");
        for field in [
            "HTTP/1.1 200 OK\r\n",
            "content-type: text/event-stream\r\n",
            "cache-control: no-cache\r\n",
            "x-accel-buffering: no\r\n",
        ] {
            assert!(head.contains(field), "{head}");
        }
        for n in 1..=3 {
            let event = receive_until(&mut stream, "\n\n").await;
            assert!(
                event.contains(&format!("data: tick {n}\nid: {n}\n\n")),
                "{event}"
            );
            assert_eq!((time::now() - began).as_secs(), n);
        }
    });
}

#[test]
fn who_comes_back_says_what_it_has_seen() {
    serve(app, async |_| {
        let mut stream = ask("/counting", "Last-Event-ID: 41\r\n").await;
        receive_until(&mut stream, "data: tick 42\n").await;
    });
}

#[test]
fn a_comment_every_fifteen_seconds_keeps_a_silent_stream_alive() {
    serve(app, async |_| {
        let mut stream = ask("/silent", "").await;
        receive_until(&mut stream, "\r\n\r\n").await;
        let began = time::now();
        for n in 1..=3 {
            receive_until(&mut stream, "\r\n:\n\n\r\n").await;
            assert_eq!((time::now() - began).as_secs(), 15 * n);
        }
    });
}

#[test]
fn a_drain_ends_events_in_order_and_says_when_to_come_back() {
    let report = serve(app, async |shutdown| {
        let mut streams = Vec::new();
        for path in ["/silent", "/mute", "/counting"] {
            let mut stream = ask(path, "").await;
            receive_until(&mut stream, "\r\n\r\n").await;
            streams.push(stream);
        }
        shutdown.drain();
        for mut stream in streams {
            let last = receive_until(&mut stream, "0\r\n\r\n").await;
            assert!(last.contains("retry: 2000\n\n"), "{last}");
            assert!(stream.receive().await.unwrap().is_empty());
        }
    });
    assert_eq!(report.forced, 0);
    assert!(report.took < secs(1), "{report:?}");
}

struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        // In the context of the handler, to the end.
        self.0.set(REQUEST_ID.get().is_some());
    }
}

#[test]
fn a_stream_runs_in_its_handlers_context_and_is_dropped_when_the_peer_has_gone() {
    let dropped = Rc::new(Cell::new(false));
    let tell = dropped.clone();
    let app = move || {
        let tell = tell.clone();
        Router::new().get("/", move |_| {
            let guard = Guard(tell.clone());
            let events = stream::once(async move {
                let _guard = guard;
                let id = REQUEST_ID.get().unwrap();
                sleep(secs(1_000_000)).await;
                Event::data(id.to_string())
            });
            async { Response::events(events.chain(stream::pending())) }
        })
    };
    serve(app, async |_| {
        let mut stream = ask("/", "").await;
        receive_until(&mut stream, "\r\n\r\n").await;
        drop(stream);
        // It may only have finished sending; the second comment finds out.
        sleep(secs(31)).await;
        assert!(dropped.get());
    });
}

#[test]
fn a_head_request_gets_no_events() {
    serve(app, async |_| {
        let mut stream = TcpStream::connect("10.0.0.1:80".parse().unwrap())
            .await
            .unwrap();
        let request = b"HEAD /silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let head = receive_until(&mut stream, "\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n") && head.contains("text/event-stream"));
        assert!(stream.receive().await.unwrap().is_empty());
        assert_eq!(Events::new(stream::empty()).into_response().status(), 200);
    });
}
