//! What a server uses again for the next request - memory, context, the place of a handler's
//! future - carries nothing over from the request before.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use bytes::Bytes;
use http::Method;
use monoloop::net::TcpStream;
use monoloop::time::sleep;
use monoloop::{
    Context, IntoResponse, Next, REQUEST_ID, Request, RequestId, Response, Router, Runtime,
    Shutdown, Timeouts, context_var, introspect, spawn, yield_now,
};
use server_common::{
    Client, Counter, NO_TIMEOUTS, assert_accounted, get, ms, post, quiet, secs, serve, serve_with,
    server, turns,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::env;
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::task::{self, Poll};

context_var! {
    static NOTE: String;
}

context_var! {
    static SITE: u32;
}

#[derive(Clone)]
struct Left(String);

/// Everything that a request says about itself.
async fn tell(mut request: Request) -> String {
    let mut text = format!(
        "{} {} ?{} id={} seen={} param={} left={} x={} authority={} fields={}",
        request.method(),
        request.path(),
        request.query().unwrap_or("-"),
        request.id(),
        REQUEST_ID.get().unwrap(),
        request.param("id").unwrap_or("-".into()),
        request
            .extensions()
            .get::<Left>()
            .map_or("-", |left| &left.0),
        request.header("x-a").unwrap_or("-"),
        request.head().authority().unwrap_or("-"),
        request.head().headers().len(),
    );
    text += &format!(" note={}", NOTE.get().unwrap_or("-".into()));
    if request.query() == Some("note") {
        NOTE.set(request.id().to_string());
    }
    let mut body = Vec::new();
    while let Some(piece) = request.body().chunk().await {
        body.extend_from_slice(&piece.unwrap());
    }
    text + &format!(" body={}\n", body.escape_ascii())
}

fn telling() -> Router {
    Router::new()
        .get("/", tell)
        .post("/", tell)
        .get("/users/{id}", tell)
        .post("/users/{id}", tell)
        .get("/later", |request: Request| async {
            sleep(secs(1)).await;
            tell(request).await
        })
        .get("/stream", |_| async {
            let text = REQUEST_ID.get().unwrap().to_string();
            Response::stream(Pieces(VecDeque::from([text, "!\n".into()])))
        })
}

/// A body in pieces, each with the id that is current when it is asked for.
struct Pieces(VecDeque<String>);

impl futures_util::Stream for Pieces {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.0.pop_front();
        Poll::Ready(piece.map(|piece| Ok(format!("{piece}@{};", REQUEST_ID.get().unwrap()).into())))
    }
}

/// What came, without the dates.
fn without_dates(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split_inclusive("\r\n")
        .filter(|line| !line.starts_with("date: "))
        .collect()
}

#[test]
fn a_request_has_nothing_of_the_one_before() {
    let leaving = || {
        telling().middleware(|mut request: Request, next: Next| async move {
            if let Some(left) = request.header("x-left").map(str::to_owned) {
                request.extensions_mut().insert(Left(left));
            }
            next.run(request).await
        })
    };
    for app in [&leaving as &dyn Fn() -> Router, &telling] {
        serve(app, async |site| {
            let full = "POST /users/ann?note HTTP/1.1\r\nHost: full.example\r\nX-Request-Id: one\r\n\
                        X-Left: left\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody";
            let bare = "GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-Request-Id: two\r\n\r\n";
            let expected =
                "GET / ?- id=two seen=two param=- left=- x=- authority=- fields=2 note=- body=\n";
            // One behind the other, in one packet, and on two connections.
            let mut client = site.send(full).await;
            assert!(client.answer().await.text().contains("param=ann"));
            client.send(bare).await;
            assert_eq!(client.answer().await.text(), expected);
            client.send([full, bare, full, bare].concat()).await;
            for _ in 0..2 {
                let told = client.answer().await;
                assert!(
                    told.text()
                        .contains("authority=full.example fields=5 note=- body=body")
                );
                assert_eq!(client.answer().await.text(), expected);
            }
            let mut other = site.send(bare).await;
            assert_eq!(other.answer().await.text(), expected);
            // An id is not used again either.
            let id =
                |answer: &server_common::Answer| answer.field("x-request-id").unwrap().to_owned();
            let (one, two) = (client.get("/").await, client.get("/").await);
            assert_ne!(id(&one), "two");
            assert_ne!(id(&one), id(&two));
        });
    }
}

#[test]
fn a_head_that_was_refused_leaves_nothing_to_the_next() {
    serve(telling, async |site| {
        for refused in [
            "GET /a HTTP/1.1\r\nHost: a b\r\nX-A: x\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: good\r\nHost: good\r\n\r\n",
            "GET /a HTTP/1.1\r\nX-A: x\r\n\r\n",
            "GET http://good/a HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET http:///a HTTP/1.1\r\nHost: good\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: good\r\nX-A: x\nX-B: y\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: good\r\nContent-Length: 1, 2\r\n\r\n",
        ] {
            // Each of them twice: what was refused once is not known to be good.
            for _ in 0..2 {
                let mut good = site
                    .send("GET / HTTP/1.1\r\nHost: good\r\nX-Request-Id: g\r\n\r\n")
                    .await;
                good.answer().await.assert_kept(200);
                let mut client = site.send(refused).await;
                client.answer().await.assert_last(400);
                let mut client = site
                    .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-Request-Id: n\r\n\r\n")
                    .await;
                assert_eq!(
                    client.answer().await.text(),
                    "GET / ?- id=n seen=n param=- left=- x=- authority=- fields=2 note=- body=\n"
                );
            }
        }
    });
}

#[test]
fn a_pipeline_is_answered_alike_however_it_arrives() {
    let pipeline = [
        "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n\r\n",
        "POST /users/x HTTP/1.1\r\nHost: a\r\nX-Request-Id: 2\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\nA: b\r\n",
        "\r\nHEAD /users/y HTTP/1.1\r\nHost: b\r\nX-Request-Id: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nGET /\r\n2\r\n\r\n\r\n0\r\nT: u\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: a\r\nX-Request-Id: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 6\r\nContent-Length: 0\r\n\r\n",
        "GET /stream HTTP/1.1\r\nHost: a\r\nX-Request-Id: 7\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-Request-Id: 8\r\n\r\n",
        "POST /none HTTP/1.1\r\nHost: a\r\nX-Request-Id: 9\r\nContent-Length: 5\r\n\r\nGET /",
        "GET /users/z?q HTTP/1.1\r\nHost: a\r\nX-Request-Id: 10\r\nConnection: close\r\n\r\n",
        "GET /never HTTP/1.1\r\nHost: a\r\nX-Request-Id: 11\r\n\r\n",
    ]
    .concat();
    serve(telling, async |site| {
        let mut client = site.send(&pipeline).await;
        let expected = without_dates(&client.rest().await);
        let ids: Vec<&str> = expected
            .lines()
            .filter_map(|line| line.strip_prefix("x-request-id: "))
            .collect();
        assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
        for at in 1..pipeline.len() {
            let mut client = site.send(&pipeline[..at]).await;
            quiet().await;
            client.send_until_closed(&pipeline.as_bytes()[at..]).await;
            let came = without_dates(&client.rest().await);
            assert_eq!(came, expected, "split at {at}");
        }
    });
}

#[test]
fn answers_before_a_fault_go_out_in_order_and_what_is_behind_it_is_not_looked_at() {
    let faults = [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n",
            413,
        ),
    ];
    for (fault, status) in faults {
        for before in [
            &["/"][..],
            &["/", "/later"],
            &["/later", "/", "/"],
            &["/", "/stream", "/users/a"],
        ] {
            serve(telling, async |site| {
                let mut all: String = before.iter().map(|path| get(path)).collect();
                all += fault;
                all += &get("/behind");
                let mut client = site.send(all).await;
                for path in before {
                    let answer = client.answer().await;
                    answer.assert_kept(200);
                    assert!(*path == "/stream" || answer.text().contains(&format!("GET {path} ")));
                }
                client.answer().await.assert_last(status);
                client.assert_closed().await;
            });
        }
    }
}

#[test]
fn what_follows_a_close_is_no_request() {
    let handled = Counter::default();
    let app = {
        let handled = handled.clone();
        move || {
            let handled = handled.clone();
            Router::new()
                .get("/", move |_| {
                    handled.add();
                    async {}
                })
                .get("/close", |_| async {
                    ().into_response().with_header(
                        http::header::CONNECTION,
                        http::HeaderValue::from_static("close"),
                    )
                })
        }
    };
    serve(app, async |site| {
        let asks = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned();
        let old = "GET / HTTP/1.0\r\n\r\n".to_owned();
        for (last, handled_each) in [(asks, 2), (old, 2), (get("/close"), 1)] {
            let before = handled.get();
            let mut client = site.send([get("/"), last, get("/")].concat()).await;
            client.answer().await.assert_kept(200);
            client.answer().await.assert_last(200);
            client.assert_closed().await;
            assert_eq!(handled.get() - before, handled_each);
        }
    });
}

#[test]
fn a_drain_in_the_middle_of_a_pipeline_ends_it_there() {
    let handled = Counter::default();
    let shutdown: Rc<RefCell<Option<Shutdown>>> = Rc::default();
    let app = {
        let (handled, shutdown) = (handled.clone(), shutdown.clone());
        move || {
            let (handled, shutdown) = (handled.clone(), shutdown.clone());
            Router::new().get("/", move |_| {
                if handled.add() == 2 {
                    shutdown.borrow().as_ref().unwrap().drain();
                }
                async {
                    sleep(ms(1)).await;
                }
            })
        }
    };
    serve(app, async |site| {
        shutdown.replace(Some(site.shutdown.clone()));
        let mut client = site.send(get("/").repeat(50)).await;
        let mut count = 0;
        loop {
            let answer = client.answer().await;
            assert_eq!(answer.status, 200);
            count += 1;
            if !answer.keep_alive {
                break;
            }
        }
        client.assert_closed().await;
        assert_eq!(count, handled.get());
        shutdown.take();
    });
}

#[test]
fn requests_that_are_kept_stay_what_they_are() {
    let kept: Rc<RefCell<Vec<Request>>> = Rc::default();
    let app = {
        let kept = kept.clone();
        move || {
            let kept = kept.clone();
            telling().post("/keep/{id}", move |request: Request| {
                kept.borrow_mut().push(request);
                async {}
            })
        }
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for round in 0..3 {
            let keep = |n: usize| post(&format!("/keep/{round}-{n}?{n}"), &format!("body {n}"));
            let pipeline: String = (0..20).map(|n| keep(n) + &get("/users/other")).collect();
            client.send(pipeline).await;
            for _ in 0..40 {
                client.answer().await.assert_kept(200);
            }
            let requests = kept.take();
            assert_eq!(requests.len(), 20);
            for (n, mut request) in requests.into_iter().enumerate() {
                assert_eq!(request.param("id").unwrap(), format!("{round}-{n}"));
                assert_eq!(request.query().unwrap(), n.to_string());
                let body = request.body().chunk().await.unwrap().unwrap();
                assert_eq!(body, format!("body {n}"));
            }
            let told = client.get("/").await;
            assert!(
                told.text()
                    .contains("param=- left=- x=- authority=a fields=1 note=- body=\n")
            );
        }
    });
}

#[test]
fn whatever_a_handler_leaves_running_keeps_its_own_context() {
    let contexts: Rc<RefCell<Vec<(String, Context)>>> = Rc::default();
    let seen: Rc<RefCell<Vec<(String, String)>>> = Rc::default();
    let app = {
        let (contexts, seen) = (contexts.clone(), seen.clone());
        move || {
            let (contexts, seen) = (contexts.clone(), seen.clone());
            telling()
                .get("/keep", move |request: Request| {
                    let id = request.id().to_string();
                    contexts.borrow_mut().push((id, Context::current()));
                    async {}
                })
                .get("/spawn", move |request: Request| {
                    let (seen, id) = (seen.clone(), request.id().to_string());
                    drop(spawn(async move {
                        sleep(secs(3)).await;
                        let now = REQUEST_ID.get().unwrap().to_string();
                        seen.borrow_mut().push((id, now));
                    }));
                    async {}
                })
        }
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        let paths = [
            "/keep", "/", "/spawn", "/later", "/stream", "/?note", "/users/a",
        ];
        let with_id = |(n, path): (usize, &&str)| {
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: id{n}\r\n\r\n")
        };
        let pipeline: String = paths
            .iter()
            .cycle()
            .take(70)
            .enumerate()
            .map(with_id)
            .collect();
        client.send(pipeline).await;
        for n in 0..70 {
            let answer = client.answer().await;
            answer.assert_kept(200);
            assert_eq!(answer.field("x-request-id"), Some(&*format!("id{n}")));
            match paths[n % paths.len()] {
                "/stream" => assert_eq!(answer.text(), format!("id{n}@id{n};!\n@id{n};")),
                "/keep" | "/spawn" => {}
                _ => {
                    let expected = format!("id=id{n} seen=id{n} ");
                    assert!(answer.text().contains(&expected), "{answer:?}");
                    assert!(answer.text().contains("note=- "), "{answer:?}");
                }
            }
        }
        sleep(secs(5)).await;
        assert_eq!(seen.borrow().len(), 10);
        for (own, now) in seen.take() {
            assert_eq!(own, now);
        }
        assert_eq!(contexts.borrow().len(), 10);
        for (own, context) in contexts.take() {
            assert_eq!(context.run(|| REQUEST_ID.get().unwrap()).to_string(), own);
        }
    });
}

#[test]
fn a_handler_under_an_id_of_its_own_keeps_its_route() {
    let app = || {
        telling()
            .get("/set", |_| async {
                REQUEST_ID.set(RequestId::take(b"own").unwrap());
                sleep(secs(9)).await;
            })
            .get("/scope", |_| {
                REQUEST_ID.scope(RequestId::take(b"own").unwrap(), async {
                    drop(spawn(sleep(secs(9))));
                })
            })
    };
    for path in ["/set", "/scope"] {
        serve(app, async |site| {
            introspect::observe();
            let mut client = site.send(get(path)).await;
            quiet().await;
            site.get("/users/other").await.assert_kept(200);
            quiet().await;
            let own = ("request_id", "own".to_owned());
            let tasks = introspect::snapshot().tasks;
            let task = tasks
                .iter()
                .find(|task| task.context.contains(&own))
                .unwrap();
            assert!(
                task.context.contains(&("route", format!("GET {path}"))),
                "{:?}",
                task.context
            );
            client.answer().await.assert_kept(200);
            sleep(secs(10)).await;
        });
    }
}

/// Waits for one turn or not, then panics or is over. Panics once more when it is dropped.
struct Doomed {
    waits: bool,
    panics: bool,
    stream: bool,
}

impl Doomed {
    fn new(waits: bool, panics: bool, stream: bool) -> Self {
        Doomed {
            waits,
            panics,
            stream,
        }
    }
}

impl Future for Doomed {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Response> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        assert!(!self.panics, "while polled");
        Poll::Ready(match self.stream {
            true => Response::stream(DoomedStream),
            false => Response::text("fine"),
        })
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        panic!("while dropped");
    }
}

struct DoomedStream;

impl futures_util::Stream for DoomedStream {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

impl Drop for DoomedStream {
    fn drop(&mut self) {
        panic!("while the stream is dropped");
    }
}

fn doomed() -> Router {
    Router::new()
        .get("/", |_| async {})
        .get("/site", |_| async { format!("{:?}", SITE.get()) })
        .get("/panics", |_| Doomed::new(false, true, false))
        .get("/panics-later", |_| Doomed::new(true, true, false))
        .get("/answers", |_| Doomed::new(false, false, false))
        .get("/answers-later", |_| Doomed::new(true, false, false))
        .get("/stream", |_| Doomed::new(false, false, true))
}

/// Runs one of the tests below, which may abort, in a process of its own.
#[track_caller]
fn assert_passes_alone(test: &str) {
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command
        .args(["--exact", test, "--ignored"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_handler_that_panics_once_more_as_it_is_dropped_costs_its_request_alone() {
    assert_passes_alone("doomed_at_its_first_step");
}

#[test]
#[ignore = "may abort; run by the test above"]
fn doomed_at_its_first_step() {
    serve(doomed, async |site| {
        let mut client = site.connect().await;
        client.get("/panics-later").await.assert_kept(500);
        client.get("/panics").await.assert_kept(500);
        client.get("/").await.assert_kept(200);
    });
}

#[test]
fn an_answer_stands_when_its_future_panics_as_it_is_dropped() {
    serve(doomed, async |site| {
        let mut client = site.connect().await;
        for path in ["/answers-later", "/answers"] {
            let answer = client.get(path).await;
            assert_eq!((path, answer.status), (path, 200));
            client.get("/").await.assert_kept(200);
        }
    });
}

#[test]
fn a_panic_of_a_response_that_is_dropped_costs_no_other_request_its_context() {
    assert_passes_alone("doomed_with_a_stream");
}

#[test]
#[ignore = "may abort; run by the test above"]
fn doomed_with_a_stream() {
    Runtime::new().unwrap().block_on(async {
        SITE.set(7);
        let shutdown = Shutdown::new();
        let serving = server().spawn(doomed, &shutdown).unwrap();
        let address = serving.local_addr();
        let connect = async || Client::new(TcpStream::connect(address).await.unwrap());
        assert_eq!(connect().await.get("/site").await.text(), "Some(7)");
        let mut client = connect().await;
        client.send(get("/stream")).await;
        // Whatever comes of this one.
        let _ = client.try_answer_to(&Method::GET).await;
        assert_eq!(connect().await.get("/site").await.text(), "Some(7)");
        shutdown.drain();
        let ledger = serving.ledger();
        serving.wait().await;
        assert_accounted(&ledger);
    });
}

#[test]
fn what_the_server_was_started_in_is_what_handlers_run_in_whatever_panics() {
    Runtime::new().unwrap().block_on(async {
        SITE.set(7);
        let shutdown = Shutdown::new();
        let app = || {
            doomed().get("/panic", |_| async {
                SITE.set(8);
                assert!(SITE.get() == Some(7), "at the first step");
            })
        };
        let serving = server().spawn(app, &shutdown).unwrap();
        SITE.set(9);
        let mut client = Client::new(TcpStream::connect(serving.local_addr()).await.unwrap());
        for path in ["/site", "/panic", "/site", "/answers-later", "/site"] {
            let answer = client.get(path).await;
            if path == "/site" {
                assert_eq!(answer.text(), "Some(7)");
            }
        }
        drop(client);
        shutdown.drain();
        let ledger = serving.ledger();
        serving.wait().await;
        assert_accounted(&ledger);
    });
}

#[test]
fn one_handler_serves_many_at_once_some_of_which_wait() {
    let app = || {
        Router::new().get("/{n}", |request: Request| async move {
            let n = request.param("n").unwrap().into_owned();
            if request.query().is_some() {
                sleep(secs(n.len() as u64)).await;
            }
            format!("{n}{}", request.param("n").unwrap())
        })
    };
    serve(app, async |site| {
        let mut clients = Vec::new();
        for n in 0..30 {
            let wait = if n % 3 == 0 { "?wait" } else { "" };
            clients.push(site.send(get(&format!("/{n}{wait}")).repeat(3)).await);
        }
        for (n, client) in clients.iter_mut().enumerate() {
            for _ in 0..3 {
                assert_eq!(client.answer().await.text(), format!("{n}{n}"));
            }
        }
    });
}

#[test]
fn a_long_pipeline_lets_the_other_connections_have_their_turn() {
    let handled = Counter::default();
    let app = {
        let handled = handled.clone();
        move || {
            let (handled, other) = (handled.clone(), handled.clone());
            Router::new()
                .get("/", move |_| {
                    handled.add();
                    async {}
                })
                .get("/other", move |_| {
                    let count = other.get();
                    async move { count.to_string() }
                })
        }
    };
    serve(app, async |site| {
        let mut long = site.connect().await;
        let mut other = site.connect().await;
        other.get("/other").await;
        long.send(get("/").repeat(1000)).await;
        other.send(get("/other")).await;
        let at: usize = other.answer().await.text().parse().unwrap();
        assert!(at < 500, "after {at} of the other's requests");
        for _ in 0..1000 {
            long.answer().await.assert_kept(200);
        }
    });
}

#[test]
fn a_handler_that_yields_lets_the_others_run() {
    let ran = Counter::default();
    let app = {
        let ran = ran.clone();
        move || {
            let ran = ran.clone();
            Router::new().get("/", move |_| {
                let ran = ran.clone();
                async move {
                    let task = ran.clone();
                    drop(spawn(async move {
                        task.add();
                    }));
                    yield_now().await;
                    ran.get().to_string()
                }
            })
        }
    };
    serve(app, async |site| {
        assert_eq!(site.get("/").await.text(), "1");
        turns(1).await;
    });
}

/// Leaves the id that is current as it is dropped.
struct TellsId(Rc<RefCell<Option<String>>>);

impl Drop for TellsId {
    fn drop(&mut self) {
        let id = REQUEST_ID.get().map(|id| id.to_string());
        self.0.replace(Some(id.unwrap_or("none".into())));
    }
}

#[test]
fn a_handler_is_dropped_in_the_context_of_its_request() {
    let told: Rc<RefCell<Option<String>>> = Rc::default();
    let app = {
        let told = told.clone();
        move || {
            let (told, late) = (told.clone(), told.clone());
            Router::new()
                .get("/at-once", move |_| {
                    let told = TellsId(told.clone());
                    async { drop(told) }
                })
                .get("/timed-out", move |_| {
                    let told = TellsId(late.clone());
                    async {
                        sleep(secs(1_000_000)).await;
                        drop(told);
                    }
                })
        }
    };
    let timeouts = Timeouts {
        handler: Some(secs(1)),
        ..NO_TIMEOUTS
    };
    serve_with(&server().timeouts(timeouts), app, async |site| {
        for (path, status) in [("/at-once", 200), ("/timed-out", 503)] {
            let answer = site.get(path).await;
            assert_eq!(answer.status, status);
            assert_eq!(
                told.take().as_deref(),
                answer.field("x-request-id"),
                "{path}"
            );
        }
    });
}

#[test]
fn a_large_head_is_followed_by_small_ones() {
    serve(telling, async |site| {
        let many: String = (0..98)
            .map(|n| format!("X-{n}: {}\r\n", "v".repeat(140)))
            .collect();
        let method = "M".repeat(2000);
        let large = format!("GET / HTTP/1.1\r\nHost: large\r\n{many}\r\n");
        let odd = format!("{method} / HTTP/1.1\r\nHost: odd\r\n\r\n");
        let mut client = site.connect().await;
        for _ in 0..10 {
            client
                .send([large.as_str(), odd.as_str(), &get("/users/a"), &get("/")].concat())
                .await;
            let told = client.answer().await;
            assert!(
                told.text().contains("authority=large fields=99 "),
                "{told:?}"
            );
            client.answer().await.assert_kept(501);
            assert!(client.answer().await.text().contains("GET /users/a ?- "));
            let told = client.answer().await;
            assert!(
                told.text()
                    .contains("param=- left=- x=- authority=a fields=1 "),
                "{told:?}"
            );
        }
    });
}

#[test]
fn who_waits_for_100_continue_in_a_pipeline_gets_it_in_its_place() {
    serve(telling, async |site| {
        let expecting = "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: e\r\nContent-Length: 28\r\n\
                         Expect: 100-continue\r\n\r\n";
        let mut client = site.send([&get("/later"), expecting].concat()).await;
        let came = client.take_what_came().await;
        assert_eq!(came, "", "nothing before the first answer");
        sleep(secs(2)).await;
        let came = client.take_what_came().await;
        assert!(came.starts_with("HTTP/1.1 200 OK\r\n"), "{came}");
        assert!(came.ends_with("HTTP/1.1 100 Continue\r\n\r\n"), "{came}");
        let smuggled = get("/");
        assert_eq!(smuggled.len(), 27);
        client
            .send([&smuggled, "x", &get("/users/a")].concat())
            .await;
        let answer = client.answer().await;
        assert!(
            answer
                .text()
                .contains("body=GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\nx\n"),
            "{answer:?}"
        );
        assert!(client.answer().await.text().contains("param=a"));
    });
}

#[test]
fn half_closed_peers_get_all_their_answers() {
    serve(telling, async |site| {
        for tail in ["", "GET / HT"] {
            let mut client = site
                .send([&get("/"), &get("/later"), &post("/", "hi"), &get("/"), tail].concat())
                .await;
            client.finish();
            for _ in 0..4 {
                assert_eq!(client.answer().await.status, 200);
            }
            quiet().await;
            let rest = client.rest().await;
            let rest = String::from_utf8_lossy(&rest);
            assert!(
                rest.is_empty() || rest.starts_with("HTTP/1.1 400"),
                "{rest}"
            );
        }
    });
}
