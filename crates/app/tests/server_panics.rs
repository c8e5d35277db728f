//! A panic costs the request it happened in, and nothing else: not the connection, not what is
//! pipelined behind, not the other connections.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use monoloop::time::sleep;
use monoloop::{Next, Request, Response, Router, StatusCode, spawn};
use server_common::{get, post, post_chunked, quiet, secs, serve};

/// Looks like it could return.
fn boom<T>(message: &str) -> T {
    panic!("{message}")
}

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "fine" })
        .get("/sync", |_| {
            boom::<()>("before the future");
            async { "never" }
        })
        .get("/async", |_| async { boom::<&str>("at the first step") })
        .get("/later", |_| async {
            sleep(secs(1)).await;
            boom::<&str>("at a later step")
        })
        .post("/body", |mut request: Request| async move {
            request.body().chunk().await.unwrap().unwrap();
            boom::<&str>("in the middle of a body")
        })
        .get("/child", |_| async {
            let child = spawn(async { boom::<()>("in a child") });
            match child.await {
                Ok(()) => StatusCode::OK,
                Err(_) => StatusCode::BAD_GATEWAY,
            }
        })
        .get("/payload", |_| async {
            std::panic::panic_any(7);
            #[allow(unreachable_code, reason = "tells the type")]
            ""
        })
        .middleware(|request: Request, next: Next| async move {
            if request.query() == Some("before") {
                boom::<()>("in middleware, before");
            }
            let after = request.query() == Some("after");
            let response: Response = next.run(request).await;
            if after {
                boom::<()>("in middleware, after");
            }
            response
        })
        .middleware(|request: Request, next: Next| {
            if request.query() == Some("sync") {
                boom::<()>("in the synchronous part of middleware");
            }
            next.run(request)
        })
}

#[test]
fn panic_is_a_500_for_that_request_and_the_connection_goes_on() {
    serve(app, async |site| {
        let mut other = site.connect().await;
        let mut client = site.connect().await;
        for path in [
            "/sync",
            "/async",
            "/later",
            "/payload",
            "/?before",
            "/?after",
            "/?sync",
            "/none?after",
        ] {
            let answer = client.get(path).await;
            answer.assert_kept(500);
            assert_eq!(answer.text(), "Internal Server Error\n", "{path}");
            assert_eq!(client.get("/").await.text(), "fine");
            assert_eq!(other.get("/").await.text(), "fine");
        }
    });
}

#[test]
fn panic_before_there_is_a_future_is_a_500_too() {
    let handler = |_| {
        boom::<()>("before the future");
        async { "never" }
    };
    let middleware = |_: Request, _: Next| {
        boom::<()>("before the future, outermost");
        async { "never" }
    };
    // Without middleware around it the handler is called by the connection itself.
    serve(
        || Router::new().get("/", handler),
        async |site| {
            let mut client = site
                .send([get("/none"), get("/"), get("/none")].concat())
                .await;
            for status in [404, 500, 404] {
                client.answer().await.assert_kept(status);
            }
        },
    );
    serve(
        || Router::new().middleware(middleware),
        async |site| {
            let mut client = site.connect().await;
            client.get("/").await.assert_kept(500);
            client.get("/").await.assert_kept(500);
        },
    );
}

#[test]
fn panic_costs_nothing_that_is_pipelined_around_it() {
    serve(app, async |site| {
        let paths = ["/", "/sync", "/", "/async", "/later", "/", "/?after", "/"];
        let mut client = site.send(paths.map(get).concat()).await;
        for path in paths {
            let status = if path == "/" { 200 } else { 500 };
            client.answer().await.assert_kept(status);
        }
    });
}

#[test]
fn head_of_a_request_whose_handler_panics_has_no_body() {
    serve(app, async |site| {
        let head = get("/async").replace("GET", "HEAD");
        let mut client = site.send(head + &get("/")).await;
        client.answer_to(&http::Method::HEAD).await.assert_kept(500);
        assert_eq!(client.answer().await.text(), "fine");
    });
}

#[test]
fn panic_in_the_middle_of_a_body_leaves_the_rest_to_be_thrown_away() {
    serve(app, async |site| {
        let evil = get("/sync");
        let mut client = site.send(post("/body", &evil) + &get("/")).await;
        client.answer().await.assert_kept(500);
        assert_eq!(client.answer().await.text(), "fine");

        client.send(post_chunked("/body") + "3\r\none\r\n").await;
        client.answer().await.assert_kept(500);
        client.send("3\r\ntwo\r\n").await;
        quiet().await;
        client.send("0\r\n\r\n".to_owned() + &get("/")).await;
        assert_eq!(client.answer().await.text(), "fine");
    });
}

#[test]
fn panic_in_a_child_is_what_its_handler_makes_of_it() {
    serve(app, async |site| {
        assert_eq!(site.get("/child").await.status, 502);
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            boom::<()>("in a destructor");
        }
    }
}

#[test]
fn panic_in_a_destructor_costs_nobody_else() {
    let app = || {
        app()
            .get("/bomb", |_| async {
                let _bomb = Bomb;
                "defused?"
            })
            .get("/stopped", |_| async {
                let _bomb = Bomb;
                sleep(secs(60)).await;
                "late"
            })
    };
    serve(app, async |site| {
        let mut other = site.connect().await;
        other.get("/").await.assert_kept(200);
        let mut client = site.send(get("/bomb") + &get("/")).await;
        client.answer().await.assert_kept(500);
        assert_eq!(client.answer().await.text(), "fine");

        // Stopped at its timeout, it panics while it is dropped.
        let mut client = site.send(get("/stopped")).await;
        client.answer().await.assert_last(503);
        assert_eq!(other.get("/").await.text(), "fine");
    });
}
