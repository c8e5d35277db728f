//! Which handler answers, with what of the request, and what stands around it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::cell::RefCell;
use std::rc::Rc;

use http::Method;
use monoloop::{
    HeaderName, HeaderValue, IntoResponse, Next, Request, Response, Router, Runtime, Server,
    ServerError, Shutdown, StatusCode, header,
};
use server_common::{Counter, get, serve, server};

async fn hello(_: Request) -> &'static str {
    "hello"
}

#[test]
fn parameters_are_percent_decoded() {
    let app = || {
        Router::new()
            .get("/users/{id}", |request: Request| async move {
                request.param("id").unwrap_or_default().into_owned()
            })
            .get("/{a}/of/{b}", |request: Request| async move {
                assert_eq!(request.param("c"), None);
                format!(
                    "{}+{}",
                    request.param("a").unwrap(),
                    request.param("b").unwrap()
                )
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (path, expected) in [
            ("/users/7", "7"),
            ("/users/a%20b", "a b"),
            ("/users/a%2Fb", "a/b"),
            ("/users/%E2%82%AC", "\u{20ac}"),
            ("/users/%ff", "\u{fffd}"),
            ("/users/100%25", "100%"),
            ("/users/+", "+"),
            ("/x/of/y?z", "x+y"),
        ] {
            assert_eq!(client.get(path).await.text(), expected, "{path}");
        }
    });
}

#[test]
fn wildcard_takes_the_rest_of_the_path() {
    let app = || {
        Router::new().get("/files/{*path}", |request: Request| async move {
            request.param("path").unwrap_or_default().into_owned()
        })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        assert_eq!(client.get("/files/a/b/c%20d").await.text(), "a/b/c d");
        assert_eq!(client.get("/files/").await.status, 404);
        assert_eq!(client.get("/files").await.status, 404);
    });
}

#[test]
fn what_is_written_out_comes_before_a_parameter() {
    let app = || {
        Router::new()
            .get("/users/{id}", |_| async { "parameter" })
            .get("/users/me", |_| async { "me" })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        assert_eq!(client.get("/users/me").await.text(), "me");
        assert_eq!(client.get("/users/you").await.text(), "parameter");
    });
}

#[test]
fn query_is_decoded_as_a_form_is() {
    let app = || {
        Router::new().get("/", |request: Request| async move {
            let name = request
                .query_value("name")
                .map(std::borrow::Cow::into_owned);
            format!("{:?} {name:?}", request.query())
        })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        assert_eq!(
            client.get("/?x=1&name=a+b%26&name=c").await.text(),
            r#"Some("x=1&name=a+b%26&name=c") Some("a b&")"#
        );
        assert_eq!(client.get("/?").await.text(), r#"Some("") None"#);
        assert_eq!(client.get("/").await.text(), "None None");
    });
}

#[test]
fn target_in_absolute_form_is_routed_by_its_path() {
    let app = || Router::new().get("/x", hello);
    serve(app, async |site| {
        let mut client = site.connect().await;
        let answer = client.get("http://b.example/x?y").await;
        assert_eq!(answer.text(), "hello");
        assert_eq!(client.get("http://b.example").await.status, 404);
    });
}

#[test]
fn path_that_no_route_matches_is_a_404() {
    let app = || Router::new().get("/x", hello);
    serve(app, async |site| {
        let mut client = site.connect().await;
        for path in ["/", "/y", "/x/", "/X", "/x/y", "//x"] {
            client.get(path).await.assert_kept(404);
        }
        assert_eq!(client.get("/x").await.text(), "hello");
    });
}

#[test]
fn method_without_a_handler_is_a_405_with_those_that_have_one() {
    let app = || {
        Router::new()
            .get("/x", hello)
            .delete("/x", hello)
            .post("/y", hello)
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (method, path, allow) in [
            ("PUT", "/x", "GET, DELETE, HEAD, OPTIONS"),
            ("TRACE", "/x", "GET, DELETE, HEAD, OPTIONS"),
            ("GET", "/y", "POST, OPTIONS"),
            ("PATCH", "/y", "POST, OPTIONS"),
        ] {
            client
                .send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            let answer = client.answer().await;
            answer.assert_kept(405);
            assert_eq!(answer.field("allow"), Some(allow), "{method} {path}");
        }
        client.send("HEAD /y HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.answer_to(&Method::HEAD).await.assert_kept(405);
    });
}

#[test]
fn head_is_answered_by_the_handler_for_get_without_the_body() {
    let app = || {
        Router::new()
            .get("/x", hello)
            .get("/own", |_| async { "get" })
            .route(Method::HEAD, "/own", |_| async { "four" })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (path, length) in [("/x", "5"), ("/own", "4")] {
            client
                .send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            let answer = client.answer_to(&Method::HEAD).await;
            answer.assert_kept(200);
            assert_eq!(answer.field("content-length"), Some(length));
        }
        // Had a body come, this would not be the next response.
        assert_eq!(client.get("/x").await.text(), "hello");
    });
}

#[test]
fn options_are_answered_with_allow() {
    let app = || {
        Router::new().get("/x", hello).post("/own", hello).route(
            Method::OPTIONS,
            "/own",
            |_| async { "own" },
        )
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        client.send("OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.answer().await;
        answer.assert_kept(204);
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(answer.field("content-length"), None);

        client
            .send("OPTIONS /own HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.text(), "own");

        client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.answer().await;
        answer.assert_kept(204);
        assert_eq!(answer.field("allow"), Some("GET, POST, OPTIONS, HEAD"));

        client
            .send("OPTIONS /none HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        client.answer().await.assert_kept(404);
    });
}

#[test]
fn connect_is_not_implemented_and_nothing_behind_it_is_looked_at() {
    // What a tunnel would be asked for may follow at once.
    for app in [
        || Router::new().get("/", hello),
        || Router::new().get("/", hello).fallback(hello),
    ] {
        serve(app, async |site| {
            let connect = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n";
            let mut client = site.send([connect, &get("/")].concat()).await;
            client.answer_to(&Method::CONNECT).await.assert_last(501);
            client.assert_closed().await;
        });
    }
}

#[test]
fn method_that_nobody_knows_is_a_501_and_one_that_somebody_routes_is_not() {
    let app = || {
        Router::new()
            .get("/x", hello)
            .route(Method::from_bytes(b"BREW").unwrap(), "/pot", hello)
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (line, status) in [
            ("BREW /pot", 200),
            ("BREW /x", 405),
            ("BREW /none", 404),
            ("MAKE /pot", 501),
            ("MAKE /none", 501),
            ("get /x", 501),
            ("PATCH /pot", 405),
            ("TRACE /none", 404),
        ] {
            client
                .send(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            let answer = client.answer().await;
            assert_eq!(answer.status, status, "{line}");
            assert_eq!(answer.field("allow").is_some(), status == 405, "{line}");
        }
    });
}

#[test]
fn fallback_answers_what_no_route_matches_and_only_that() {
    let app = || {
        Router::new()
            .get("/x", hello)
            .fallback(|request: Request| async move {
                (StatusCode::IM_A_TEAPOT, request.path().to_owned())
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        let answer = client.get("/a/b").await;
        assert_eq!((answer.status, answer.text()), (418, "/a/b"));
        assert_eq!(client.get("/x").await.text(), "hello");
        client.send("PUT /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.answer().await.assert_kept(405);
    });
}

#[test]
fn health_is_told_beside_the_routes() {
    let app = || Router::new().fallback(|_| async { StatusCode::IM_A_TEAPOT });
    serve(app, async |site| {
        let mut client = site.connect().await;
        assert_eq!(client.get("/healthz").await.text(), "ok\n");
        assert_eq!(client.get("/readyz?verbose").await.text(), "ready\n");
        client
            .send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        client.answer_to(&Method::HEAD).await.assert_kept(200);
        client
            .send("POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let answer = client.answer().await;
        answer.assert_kept(405);
        assert_eq!(answer.field("allow"), Some("GET, HEAD"));
    });
}

#[test]
fn handlers_share_state_that_is_not_send() {
    let app = || {
        let words = Rc::new(RefCell::new(Vec::<String>::new()));
        let read = words.clone();
        Router::new()
            .post("/words", move |request: Request| {
                let words = words.clone();
                async move {
                    let word = request.into_bytes().await?;
                    words
                        .borrow_mut()
                        .push(String::from_utf8_lossy(&word).into());
                    Ok::<_, monoloop::BodyError>(StatusCode::CREATED)
                }
            })
            .get("/words", move |_| {
                let all = read.borrow().join(" ");
                async move { all }
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for word in ["one", "two"] {
            client.send(server_common::post("/words", word)).await;
            client.answer().await.assert_kept(201);
        }
        assert_eq!(site.get("/words").await.text(), "one two");
    });
}

/// Leaves its mark on the way in and on the way out.
fn marking(mark: &'static str) -> impl monoloop::Middleware {
    move |mut request: Request, next: Next| async move {
        let mut marks = request
            .extensions()
            .get::<Vec<&str>>()
            .cloned()
            .unwrap_or_default();
        marks.push(mark);
        request.extensions_mut().insert(marks);
        let mut response = next.run(request).await;
        let name = HeaderName::from_static("x-out");
        response.add_header(name, HeaderValue::from_static(mark));
        response
    }
}

#[test]
fn first_middleware_is_the_outermost() {
    let app = || {
        Router::new()
            .get("/", |request: Request| async move {
                request.extensions().get::<Vec<&str>>().unwrap().join(",")
            })
            .middleware(marking("first"))
            .middleware(marking("second"))
    };
    serve(app, async |site| {
        let answer = site.get("/").await;
        assert_eq!(answer.text(), "first,second");
        let out: Vec<_> = answer
            .fields
            .iter()
            .filter(|(name, _)| name == "x-out")
            .collect();
        assert_eq!(
            out.iter()
                .map(|(_, mark)| mark.as_str())
                .collect::<Vec<_>>(),
            ["second", "first"]
        );
    });
}

#[test]
fn middleware_may_answer_itself() {
    let reached = Counter::default();
    let app = || {
        let reached = reached.clone();
        Router::new()
            .get("/", move |_| {
                reached.add();
                async { "handler" }
            })
            .middleware(|request: Request, next: Next| async move {
                match request.header("authorization") {
                    Some(_) => next.run(request).await,
                    None => StatusCode::UNAUTHORIZED.into_response(),
                }
            })
            .middleware(marking("inner"))
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        let answer = client.get("/").await;
        answer.assert_kept(401);
        assert_eq!((answer.field("x-out"), reached.get()), (None, 0));
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: b\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.text(), "handler");
        assert_eq!(reached.get(), 1);
    });
}

#[test]
fn middleware_stands_around_404_405_and_options_too() {
    let app = || Router::new().get("/x", hello).middleware(marking("m"));
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (line, status) in [
            ("GET /none", 404),
            ("PUT /x", 405),
            ("OPTIONS /x", 204),
            ("OPTIONS *", 204),
            ("GET /x", 200),
        ] {
            client
                .send(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            let answer = client.answer().await;
            assert_eq!(
                (answer.status, answer.field("x-out")),
                (status, Some("m")),
                "{line}"
            );
        }
    });
}

#[test]
fn middleware_may_replace_the_response() {
    let app = || {
        Router::new()
            .get("/", hello)
            .middleware(|request: Request, next: Next| async move {
                let response = next.run(request).await;
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(
                    response.header(&header::CONTENT_TYPE).unwrap(),
                    "text/plain; charset=utf-8"
                );
                response
                    .with_status(StatusCode::ACCEPTED)
                    .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/x"))
            })
    };
    serve(app, async |site| {
        let answer = site.get("/").await;
        assert_eq!(
            (answer.status, answer.field("content-type")),
            (202, Some("text/x"))
        );
        assert_eq!(answer.text(), "hello");
    });
}

#[test]
fn route_that_cannot_be_keeps_the_server_from_starting() {
    let mut runtime = Runtime::new().unwrap();
    let start = |app: fn() -> Router| server().spawn(app, &Shutdown::new()).unwrap_err();
    runtime.block_on(async {
        for app in [
            (|| Router::new().get("x", hello)) as fn() -> Router,
            || Router::new().get("/x", hello).get("/x", hello),
            || Router::new().get("/{a}", hello).post("/{b}", hello),
            || Router::new().get("/{*rest}/x", hello),
            || Router::new().get("/{", hello),
        ] {
            let error = start(app);
            assert!(matches!(error, ServerError::Route(_)), "{error}");
        }
    });
    server_common::assert_balance(&mut runtime);
}

#[test]
fn address_in_use_is_told() {
    serve(Router::new, async |site| {
        let second = Server::bind(site.address).unwrap();
        let error = second.spawn(Router::new, &Shutdown::new()).unwrap_err();
        assert!(matches!(error, ServerError::Listen { address, .. } if address == site.address));
    });
}

#[test]
fn handler_sees_the_request_as_it_was_sent() {
    let app = || {
        Router::new().get("/x", |request: Request| async move {
            assert_eq!(request.header("x-two"), Some("2"));
            assert_eq!(request.header("X-BYTES"), None);
            assert_eq!(request.header_bytes("x-bytes"), Some(&b"\xff"[..]));
            assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
            assert_eq!(request.head().authority(), Some("a:1"));
            assert!(request.peer_addr().ip().is_loopback());
            Response::text(format!("{} {}", request.method(), request.path()))
        })
    };
    serve(app, async |site| {
        let mut client = site
            .send(b"GET /x HTTP/1.1\r\nHost: a:1\r\nX-Two: 2\r\nx-tWo: 3\r\nX-Bytes: \xff\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.text(), "GET /x");
        assert_eq!(client.get("/x%79").await.status, 404);
        client.send(get("/")).await;
        client.answer().await.assert_kept(404);
    });
}
