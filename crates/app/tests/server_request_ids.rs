//! The id of a request: where it comes from, how far it reaches, and that it never reaches the
//! work of another request.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use monoloop::time::sleep;
use monoloop::{
    Next, REQUEST_ID, Request, Response, Router, call_later, call_soon, context_var, spawn,
    spawn_blocking,
};
use server_common::{Client, get, ms, quiet, secs, serve};

context_var! { static TENANT: String; }

fn current() -> String {
    REQUEST_ID
        .get()
        .map_or_else(|| "none".to_owned(), |id| id.to_string())
}

/// Answers with the id in the context.
async fn tell(_: Request) -> String {
    current()
}

fn with_id(path: &str, id: &str) -> String {
    get(path).replace("Host", &format!("X-Request-Id: {id}\r\nHost"))
}

fn id_of(answer: &server_common::Answer) -> String {
    answer.field("x-request-id").unwrap().to_owned()
}

fn assert_made(id: &str) {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(id.len() == 32 && id.bytes().all(is_hex), "{id}");
}

#[test]
fn well_formed_id_is_taken_and_given_back() {
    let longest = "x".repeat(128);
    let app = || {
        Router::new()
            .get("/", tell)
            .get("/request", |request: Request| async move {
                request.id().to_string()
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for id in [
            "a",
            "7f3a-11",
            "Root=1-67891233-abcdef012345678912345678",
            "a/b+c:d@e~_.=",
            &longest,
        ] {
            for path in ["/", "/request", "/none"] {
                client.send(with_id(path, id)).await;
                let answer = client.answer().await;
                assert_eq!(id_of(&answer), id);
                assert!(path == "/none" || answer.text() == id);
            }
        }
        client
            .send(with_id("/", "UPPER").replace("X-Request-Id", "x-rEQUEST-iD"))
            .await;
        assert_eq!(client.answer().await.text(), "UPPER");
    });
}

#[test]
fn id_that_is_none_is_replaced() {
    let too_long = "x".repeat(129);
    serve(
        || Router::new().get("/", tell),
        async |site| {
            let mut client = site.connect().await;
            for id in [
                "",
                "a b",
                "a\"b",
                "a\tb",
                "<x>",
                "a;b",
                "a,b",
                "%0d%0aX: y",
                "\u{e4}",
                &too_long,
            ] {
                client.send(with_id("/", id)).await;
                let answer = client.answer().await;
                answer.assert_kept(200);
                assert_made(&id_of(&answer));
                assert_eq!(answer.text(), id_of(&answer), "{id:?}");
            }
            // A line break in it is a fault of the head.
            for id in ["a\rb", "a\nb", "a\0b"] {
                let mut client = site.send(with_id("/", id)).await;
                let answer = client.answer().await;
                answer.assert_last(400);
                assert_made(&id_of(&answer));
            }
        },
    );
}

#[test]
fn ids_that_are_made_differ_also_within_a_pipeline() {
    serve(
        || Router::new().get("/", tell),
        async |site| {
            let mut seen = HashSet::new();
            let mut clients: Vec<Client> = Vec::new();
            for _ in 0..5 {
                clients.push(site.send(get("/").repeat(20)).await);
            }
            for client in &mut clients {
                for _ in 0..20 {
                    let answer = client.answer().await;
                    assert_made(answer.text());
                    assert_eq!(answer.text(), id_of(&answer));
                    assert!(seen.insert(id_of(&answer)));
                }
            }
        },
    );
}

#[test]
fn id_reaches_everything_that_a_handler_starts() {
    let app = || {
        Router::new().get("/", |_| async {
            let told = Rc::new(RefCell::new(vec![current()]));
            let tell = |what: &Rc<RefCell<Vec<String>>>| {
                let told = what.clone();
                move || told.borrow_mut().push(current())
            };
            call_soon(tell(&told));
            call_later(secs(2), tell(&told));
            let child = spawn({
                let tell = tell(&told);
                async move {
                    sleep(secs(1)).await;
                    tell();
                    spawn(async move { current() }).await.unwrap()
                }
            });
            let grandchild = child.await.unwrap();
            let blocking = spawn_blocking(current).await.unwrap();
            sleep(secs(3)).await;
            told.borrow_mut().extend([grandchild, blocking, current()]);
            told.take().join(" ")
        })
    };
    serve(app, async |site| {
        let mut one = site.send(with_id("/", "one")).await;
        let mut two = site.send(with_id("/", "two")).await;
        for (client, id) in [(&mut one, "one"), (&mut two, "two")] {
            let answer = client.answer().await;
            assert_eq!(answer.text(), [id; 7].join(" "));
            assert_eq!(id_of(&answer), id);
        }
    });
}

#[test]
fn child_that_outlives_its_request_keeps_its_id_while_others_have_theirs() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let app = || {
        let told = told.clone();
        // The handler is done at its first step, so the next request may use its memory.
        Router::new().get("/", tell).get("/child", move |_| {
            let told = told.clone();
            drop(spawn(async move {
                for _ in 0..3 {
                    told.borrow_mut().push(current());
                    sleep(secs(1)).await;
                }
            }));
            async { current() }
        })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for id in ["one", "two"] {
            client
                .send(with_id("/child", id) + &with_id("/", "between") + &get("/"))
                .await;
            assert_eq!(client.answer().await.text(), id);
            assert_eq!(client.answer().await.text(), "between");
            assert_made(client.answer().await.text());
            sleep(ms(500)).await;
        }
        sleep(secs(5)).await;
        assert_eq!(client.get("/").await.status, 200);
    });
    assert_eq!(*told.borrow(), ["one", "two", "one", "two", "one", "two"]);
}

#[test]
fn value_that_a_request_sets_is_not_seen_by_the_next() {
    let app = || {
        let set = |request: Request| async move {
            let before = TENANT.get();
            TENANT.set(request.path().to_owned());
            REQUEST_ID.set(monoloop::RequestId::take(b"changed").unwrap());
            format!("{before:?}")
        };
        let set_later = |request: Request| async move {
            let before = TENANT.get();
            TENANT.set(request.path().to_owned());
            sleep(secs(1)).await;
            assert_eq!(TENANT.get().as_deref(), Some(request.path()));
            format!("{before:?}")
        };
        Router::new()
            .get("/", |_| async {
                format!("{:?} {}", TENANT.get(), current())
            })
            .get("/set", set)
            .get("/later", set_later)
            .get("/panic", |_| async {
                TENANT.set("panicked".to_owned());
                panic!("with a value set");
                #[allow(unreachable_code, reason = "tells the type")]
                ""
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for path in ["/set", "/later", "/panic", "/set", "/later"] {
            client.send(get(path) + &with_id("/", "mine")).await;
            let answer = client.answer().await;
            assert!(path == "/panic" || answer.text() == "None", "{path}");
            assert_eq!(client.answer().await.text(), "None mine", "behind {path}");
        }
    });
}

#[test]
fn value_that_middleware_sets_reaches_the_handler_its_children_and_the_stream() {
    let app = || {
        let tenant = || TENANT.get().unwrap_or_else(|| "none".to_owned());
        Router::new()
            .get("/", move |_| async move {
                spawn(async move { tenant() }).await.unwrap()
            })
            .get("/stream", move |_| async move {
                let pieces = stream::iter(0..2).then(move |_| async move {
                    sleep(secs(1)).await;
                    Ok::<_, Infallible>(Bytes::from(tenant()))
                });
                Response::stream(pieces)
            })
            .middleware(|request: Request, next: Next| async move {
                TENANT.set("ann".to_owned());
                next.run(request).await
            })
    };
    serve(app, async |site| {
        assert_eq!(site.get("/").await.text(), "ann");
        assert_eq!(site.get("/stream").await.text(), "annann");
    });
}

#[test]
fn id_is_there_while_a_stream_is_sent() {
    let app = || {
        Router::new().get("/", |_| async {
            let pieces = stream::iter(0..2).then(|_| async {
                let at_first = current();
                sleep(secs(1)).await;
                let in_child = spawn(async { current() }).await.unwrap();
                Ok::<_, Infallible>(Bytes::from(format!("{at_first} {in_child} ")))
            });
            Response::stream(pieces)
        })
    };
    serve(app, async |site| {
        let mut one = site.send(with_id("/", "one")).await;
        let mut two = site.send(with_id("/", "two")).await;
        assert_eq!(one.answer().await.text(), "one one one one ");
        assert_eq!(two.answer().await.text(), "two two two two ");
    });
}

#[test]
fn middleware_and_what_the_server_answers_itself_have_the_id() {
    let app = || {
        Router::new()
            .get("/", tell)
            .get("/panic", |_| async { panic!("no answer") as () })
            .get("/late", |_| async { sleep(secs(60)).await })
            .middleware(|request: Request, next: Next| async move {
                let before = current();
                assert_eq!(before, request.id().to_string());
                let response = next.run(request).await;
                assert_eq!(current(), before);
                response
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (path, status) in [
            ("/", 200),
            ("/none", 404),
            ("/panic", 500),
            ("/healthz", 200),
            ("/late", 503),
        ] {
            client.send(with_id(path, "mine")).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, id_of(&answer).as_str()), (status, "mine"));
        }
    });
}

#[test]
fn work_of_the_server_itself_has_no_id() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let app = || {
        let seen = seen.clone();
        seen.borrow_mut().push(current());
        Router::new().get("/", tell)
    };
    serve(app, async |site| {
        site.get("/").await.assert_kept(200);
        quiet().await;
        assert_eq!(current(), "none");
    });
    assert_eq!(*seen.borrow(), ["none"]);
}
