//! What stands around handlers: compression, CORS, security headers, rate limits, proxies.

#![cfg(all(feature = "compression", feature = "rate-limit"))]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Read;
use std::rc::Rc;

use futures_util::{StreamExt, stream};
use http::Method;
use monoloop::time::sleep;
use monoloop::{
    Bytes, Coding, Compression, Cors, HeaderName, HeaderValue, IntoResponse, Next, RateLimit,
    Request, Response, Router, SecurityHeaders, Shutdown, StatusCode, TrustedProxies, header,
    spawn, with_middleware, yield_now,
};
use monoloop_proto::http1::ResponseBodyLength;
use server_common::{Answer, Counter, Site, ms, quiet, secs, serve, serve_in_real_time, server};

/// Compresses well, and no two parts are alike.
fn prose(bytes: usize) -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }
        text += &format!("word {n} ");
    }
    text.truncate(bytes);
    text
}

/// Far more than is compressed at once.
const LARGE: usize = 1_000_000;

fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut body = Vec::new();
    match answer.field("content-encoding") {
        None => body.extend_from_slice(&answer.body),
        Some("gzip") => {
            flate2::read::GzDecoder::new(&*answer.body)
                .read_to_end(&mut body)
                .unwrap();
        }
        Some("br") => {
            brotli::Decompressor::new(&*answer.body, 4096)
                .read_to_end(&mut body)
                .unwrap();
        }
        Some("zstd") => body = zstd::decode_all(&*answer.body).unwrap(),
        Some(other) => panic!("nobody has asked for {other}"),
    }
    body
}

async fn ask_with(site: &Site, method: &Method, path: &str, fields: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    site.send(request).await.answer_to(method).await
}

async fn get_with(site: &Site, path: &str, fields: &str) -> Answer {
    ask_with(site, &Method::GET, path, fields).await
}

const ALL: &str = "Accept-Encoding: gzip, br, zstd\r\n";

fn etag(response: Response, tag: &'static str) -> Response {
    response.with_header(header::ETAG, HeaderValue::from_static(tag))
}

fn texts() -> Router {
    Router::new()
        .middleware(Compression::new())
        .get("/small", async |_: Request| prose(1023))
        .get("/text", async |_: Request| {
            etag(Response::text(prose(5000)), "\"t\"")
        })
        .get("/large", async |_: Request| Response::text(prose(LARGE)))
        .get("/noise", async |_: Request| {
            let mut noise = vec![0; 4096];
            fastrand::Rng::with_seed(1).fill(&mut noise);
            Response::text(noise)
        })
        .get("/stream", async |_: Request| {
            let pieces = stream::iter(0..5).then(async |n| {
                sleep(secs(1)).await;
                Ok::<_, Infallible>(Bytes::from(format!("piece {n} of a body\n")))
            });
            typed(Response::stream(pieces), "text/plain")
        })
        .get("/fails", async |_: Request| {
            let pieces = [Ok(Bytes::from(prose(5000))), Err("no more")];
            typed(Response::stream(stream::iter(pieces)), "text/plain")
        })
        .get("/{kind}", async |request: Request| {
            let text = || Response::text(prose(5000));
            let with = |name, value| text().with_header(name, HeaderValue::from_static(value));
            match &*request.param("kind").unwrap() {
                "picture" => with(header::CONTENT_TYPE, "image/png"),
                "events" => with(header::CONTENT_TYPE, "text/event-stream"),
                "packed" => with(header::CONTENT_ENCODING, "gzip"),
                "fixed" => with(header::CACHE_CONTROL, "public, No-Transform"),
                "digested" => with(HeaderName::from_static("content-digest"), "sha-256=:x:"),
                "ranges" => with(header::ACCEPT_RANGES, "bytes"),
                "varied" => with(header::VARY, "origin, Accept-Encoding"),
                "part" => text().with_status(StatusCode::PARTIAL_CONTENT),
                "error" => text().with_status(StatusCode::BAD_REQUEST),
                "nothing" => Response::new(StatusCode::NO_CONTENT),
                "unchanged" => etag(Response::new(StatusCode::NOT_MODIFIED), "\"t\""),
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        })
}

fn typed(response: Response, value: &'static str) -> Response {
    response.with_header(header::CONTENT_TYPE, HeaderValue::from_static(value))
}

#[test]
fn a_text_comes_compressed_as_the_peer_likes_it_best() {
    serve(texts, async |site| {
        for (accepted, coding) in [
            ("gzip, br, zstd", Some("zstd")),
            ("gzip, br", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0.5, gzip", Some("gzip")),
            ("gzip\r\nAccept-Encoding: br", Some("br")),
            ("deflate", None),
            ("identity, gzip;q=0.1", None),
        ] {
            let answer = get_with(site, "/text", &format!("Accept-Encoding: {accepted}\r\n")).await;
            assert_eq!(answer.field("content-encoding"), coding, "{accepted}");
            assert_eq!(answer.field("vary"), Some("accept-encoding"));
            assert_eq!(
                answer.field("content-type"),
                Some("text/plain; charset=utf-8")
            );
            let tag = if coding.is_some() { "W/\"t\"" } else { "\"t\"" };
            assert_eq!(answer.field("etag"), Some(tag));
            let length = answer.body.len();
            assert_eq!(answer.field("content-length"), Some(&*length.to_string()));
            assert!(coding.is_none() || length < 2500, "{length}");
            assert_eq!(unpacked(&answer), prose(5000).into_bytes());
        }
        let answer = site.get("/text").await;
        assert_eq!(answer.field("content-encoding"), None);
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
    });
}

#[test]
fn what_is_not_worth_it_or_may_not_be_changed_is_left_alone() {
    serve(texts, async |site| {
        for (path, vary) in [
            ("/small", true),
            ("/noise", true),
            ("/picture", false),
            ("/events", false),
            ("/fixed", false),
            ("/digested", false),
            ("/part", false),
            ("/nothing", false),
        ] {
            let plain = site.get(path).await;
            let answer = get_with(site, path, ALL).await;
            assert_eq!(answer.field("content-encoding"), None, "{path}");
            assert_eq!(answer.body, plain.body, "{path}");
            assert_eq!(answer.field("vary").is_some(), vary, "{path}");
            assert_eq!(
                answer.field("content-length"),
                plain.field("content-length"),
                "{path}"
            );
        }
        let packed = get_with(site, "/packed", ALL).await;
        assert_eq!(packed.field("content-encoding"), Some("gzip"));
        assert_eq!(packed.body, prose(5000).into_bytes());
        let error = get_with(site, "/error", ALL).await;
        assert_eq!(
            (error.status, error.field("content-encoding")),
            (400, Some("zstd"))
        );
        assert_eq!(
            get_with(site, "/ranges", ALL).await.field("accept-ranges"),
            None
        );
        assert_eq!(
            site.get("/ranges").await.field("accept-ranges"),
            Some("bytes")
        );
        let varied = get_with(site, "/varied", ALL).await;
        assert_eq!(varied.field("vary"), Some("origin, Accept-Encoding"));
    });
}

#[test]
fn who_refuses_what_is_not_compressed_gets_it_compressed() {
    serve(texts, async |site| {
        for path in ["/small", "/noise", "/picture"] {
            let plain = site.get(path).await;
            let answer = get_with(site, path, "Accept-Encoding: gzip, identity;q=0\r\n").await;
            assert_eq!(answer.field("content-encoding"), Some("gzip"), "{path}");
            assert_eq!(answer.field("vary"), Some("accept-encoding"), "{path}");
            assert_eq!(unpacked(&answer), plain.body, "{path}");
        }
        // Nothing is left that both have: as it is, for that is better than nothing.
        let answer = get_with(site, "/text", "Accept-Encoding: *;q=0\r\n").await;
        assert_eq!(
            (answer.status, answer.field("content-encoding")),
            (200, None)
        );
    });
}

#[test]
fn the_answer_to_head_says_what_that_to_get_does() {
    serve(texts, async |site| {
        for path in ["/text", "/small", "/large", "/picture"] {
            let of = |answer: &Answer| {
                let fields = [
                    "content-encoding",
                    "content-length",
                    "vary",
                    "etag",
                    "transfer-encoding",
                ];
                fields.map(|name| answer.field(name).map(str::to_owned))
            };
            let get = get_with(site, path, ALL).await;
            let head = ask_with(site, &Method::HEAD, path, ALL).await;
            assert_eq!(head.body, b"");
            assert_eq!(of(&head), of(&get), "{path}");
        }
    });
}

#[test]
fn an_unchanged_answer_is_about_the_compressed_one_where_the_peer_has_that() {
    serve(texts, async |site| {
        for (fields, tag) in [
            ("", "\"t\""),
            ("If-None-Match: \"t\"\r\n", "\"t\""),
            ("If-None-Match: \"a\", W/\"t\"\r\n", "W/\"t\""),
            ("If-None-Match: W/\"a\"\r\n", "\"t\""),
        ] {
            let answer = get_with(site, "/unchanged", &format!("{ALL}{fields}")).await;
            assert_eq!(answer.status, 304);
            assert_eq!(
                (answer.field("etag"), answer.field("vary")),
                (Some(tag), Some("accept-encoding")),
                "{fields}"
            );
        }
    });
}

#[test]
fn a_large_body_is_compressed_while_it_is_sent() {
    serve_in_real_time(&server(), texts, async |site| {
        for coding in ["gzip", "br", "zstd"] {
            let answer = get_with(site, "/large", &format!("Accept-Encoding: {coding}\r\n")).await;
            assert_eq!(answer.field("content-encoding"), Some(coding));
            assert_eq!(answer.length, ResponseBodyLength::Chunked);
            assert!(answer.body.len() < LARGE / 2, "{}", answer.body.len());
            assert!(unpacked(&answer) == prose(LARGE).into_bytes(), "{coding}");
        }
    });
}

#[test]
fn others_have_their_turn_while_a_large_body_is_compressed() {
    let turns = Counter::default();
    // The turn in which each piece was asked for.
    let asked = Rc::new(RefCell::new(Vec::new()));
    let app = || {
        let (turns, asked) = (turns.clone(), asked.clone());
        let pieces = move |_: Request| {
            let (turns, asked) = (turns.clone(), asked.clone());
            let pieces = stream::iter(0..20).map(move |_| {
                asked.borrow_mut().push(turns.get());
                Ok::<_, Infallible>(Bytes::from(prose(32 * 1024)))
            });
            async { typed(Response::stream(pieces), "text/plain") }
        };
        Router::new()
            .middleware(Compression::new())
            .get("/", pieces)
    };
    serve_in_real_time(&server(), app, async |site| {
        let counting = turns.clone();
        let other = spawn(async move {
            loop {
                yield_now().await;
                counting.add();
            }
        });
        assert!(get_with(site, "/", ALL).await.is_whole);
        other.cancel();
        let _cancelled = other.await;
    });
    let asked = asked.borrow();
    assert_eq!(asked.len(), 20);
    assert!(asked.is_sorted_by(|one, next| one < next), "{asked:?}");
}

#[test]
fn what_there_is_of_a_stream_goes_out_when_it_pauses() {
    serve(texts, async |site| {
        for coding in ["gzip", "br", "zstd"] {
            let request =
                format!("GET /stream HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n");
            let mut client = site.send(request).await;
            let mut came = Vec::new();
            for _ in 0..5 {
                sleep(secs(1)).await;
                came.push(client.take_what_came_bytes().await.len());
            }
            assert!(came.iter().all(|bytes| *bytes > 10), "{coding}: {came:?}");

            let answer = get_with(site, "/stream", &format!("Accept-Encoding: {coding}\r\n")).await;
            let text: String = (0..5).map(|n| format!("piece {n} of a body\n")).collect();
            assert_eq!(unpacked(&answer), text.into_bytes());
        }
    });
}

#[test]
fn a_stream_that_fails_is_cut_off_and_not_ended() {
    serve(texts, async |site| {
        let mut client = site
            .send(format!("GET /fails HTTP/1.1\r\nHost: a\r\n{ALL}\r\n"))
            .await;
        let (answer, _) = client.try_answer_to(&Method::GET).await;
        let answer = answer.unwrap();
        assert!(!answer.is_whole);
        // What was good has come, compressed or not.
        let mut body = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(&*answer.body).unwrap();
        let _cut_off = decoder.read_to_end(&mut body);
        assert_eq!(body, prose(5000).into_bytes());
    });
}

#[test]
fn only_the_codings_that_are_wanted_are_used() {
    let app = || {
        let gzip = Compression::new()
            .codings(&[Coding::Gzip, Coding::Gzip])
            .body_bytes_min(10);
        Router::new()
            .middleware(gzip)
            .get("/", async |_: Request| "a".repeat(100))
    };
    serve(app, async |site| {
        assert_eq!(
            get_with(site, "/", ALL).await.field("content-encoding"),
            Some("gzip")
        );
        assert_eq!(
            get_with(site, "/", "Accept-Encoding: br\r\n")
                .await
                .field("content-encoding"),
            None
        );
    });
}

fn shared_app(reached: &Counter) -> impl Fn() -> Router {
    let reached = reached.clone();
    move || {
        let reached = reached.clone();
        let cors = Cors::new()
            .origins(["https://a.example"])
            .origin_if(|origin| origin.ends_with(".b.example"))
            .methods([Method::PUT, Method::DELETE])
            .headers([header::CONTENT_TYPE, HeaderName::from_static("x-token")])
            .expose([header::ETAG])
            .credentials()
            .max_age(secs(600));
        Router::new()
            .middleware(cors)
            .get("/own", async |_: Request| {
                let any = HeaderValue::from_static("*");
                Response::text("").with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, any)
            })
            .get("/", move |_: Request| {
                reached.add();
                async { "hello" }
            })
    }
}

fn preflight(origin: &str) -> String {
    format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-token,x-other\r\n"
    )
}

#[test]
fn a_browser_that_asks_beforehand_is_told_what_is_allowed() {
    let reached = Counter::default();
    serve(shared_app(&reached), async |site| {
        for (path, origin) in [
            ("/", "https://a.example"),
            ("/nowhere", "https://x.b.example"),
        ] {
            let answer = ask_with(site, &Method::OPTIONS, path, &preflight(origin)).await;
            assert_eq!(answer.status, 204);
            for (name, value) in [
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-methods", "PUT, DELETE"),
                ("access-control-allow-headers", "content-type, x-token"),
                ("access-control-max-age", "600"),
            ] {
                assert_eq!(answer.field(name), Some(value), "{answer:?}");
            }
            let vary = answer.fields.iter().filter(|(name, _)| name == "vary");
            let vary: Vec<_> = vary.map(|(_, value)| value.as_str()).collect();
            assert_eq!(
                vary,
                [
                    "origin",
                    "access-control-request-method",
                    "access-control-request-headers"
                ]
            );
        }
    });
    assert_eq!(reached.get(), 0);
}

#[test]
fn an_origin_that_is_not_allowed_is_told_nothing() {
    let reached = Counter::default();
    serve(shared_app(&reached), async |site| {
        for origin in [
            "https://evil.example",
            "null",
            "http://a.example",
            "https://a.example.evil",
            "https://A.example",
            "*",
        ] {
            let answer = ask_with(site, &Method::OPTIONS, "/", &preflight(origin)).await;
            assert_eq!(answer.status, 403);
            assert_eq!(
                answer.text(),
                "pages of this origin may not use what is here\n"
            );
            let simple = get_with(site, "/", &format!("Origin: {origin}\r\n")).await;
            assert_eq!((simple.status, simple.text()), (200, "hello"));
            for answer in [answer, simple] {
                assert_eq!(answer.field("vary"), Some("origin"));
                let is_cors = |(name, _): &(String, String)| name.starts_with("access-control");
                assert!(!answer.fields.iter().any(is_cors), "{answer:?}");
            }
        }
    });
    assert_eq!(reached.get(), 6);
}

#[test]
fn a_response_says_who_may_read_it() {
    let reached = Counter::default();
    serve(shared_app(&reached), async |site| {
        for (path, status) in [("/", 200), ("/nowhere", 404)] {
            let answer = get_with(site, path, "Origin: https://a.example\r\n").await;
            assert_eq!(answer.status, status);
            assert_eq!(
                answer.field("access-control-allow-origin"),
                Some("https://a.example")
            );
            assert_eq!(
                answer.field("access-control-allow-credentials"),
                Some("true")
            );
            assert_eq!(answer.field("access-control-expose-headers"), Some("etag"));
            assert_eq!(answer.field("vary"), Some("origin"));
        }
        let own = get_with(site, "/own", "Origin: https://a.example\r\n").await;
        assert_eq!(own.field("access-control-allow-origin"), Some("*"));
        assert_eq!(own.field("access-control-allow-credentials"), None);
        // Nobody asks beforehand without saying for what.
        let options = ask_with(site, &Method::OPTIONS, "/", "Origin: https://a.example\r\n").await;
        assert_eq!(
            (options.status, options.field("allow")),
            (204, Some("GET, HEAD, OPTIONS"))
        );
        assert_eq!(site.get("/").await.field("vary"), Some("origin"));
    });
}

#[test]
fn what_is_public_is_so_for_all_and_is_cached_once() {
    let app = || {
        let cors = Cors::new().any_origin().any_method().any_header();
        Router::new()
            .middleware(cors)
            .get("/", async |_: Request| "hello")
    };
    serve(app, async |site| {
        for fields in ["", "Origin: https://a.example\r\n"] {
            let answer = get_with(site, "/", fields).await;
            assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.field("vary"), None);
        }
        let answer = ask_with(site, &Method::OPTIONS, "/", &preflight("https://a.example")).await;
        assert_eq!(answer.field("access-control-allow-methods"), Some("PUT"));
        assert_eq!(
            answer.field("access-control-allow-headers"),
            Some("x-token,x-other")
        );
        assert_eq!(answer.field("access-control-allow-credentials"), None);
    });
}

#[test]
fn what_cannot_be_is_found_before_the_server_starts() {
    let error = |router: Router| router.check().unwrap_err().to_string();
    let around = |cors: Cors| error(Router::new().middleware(cors));
    assert!(around(Cors::new().any_origin().credentials()).contains("have to be named"));
    assert_eq!(
        around(Cors::new().origins(["https://a.example/"])),
        "Cors: \"https://a.example/\" is no origin: it has no slash at the end"
    );
    assert!(
        error(Router::new().middleware(RateLimit::per_second(0))).contains("RateLimit: 0 requests")
    );
    assert!(
        error(Router::new().middleware(RateLimit::per_second(1).burst(0))).contains("0 at once")
    );
    assert!(
        error(Router::new().middleware(RateLimit::per_second(1).keys_max(0))).contains("keys_max")
    );
    let bad = SecurityHeaders::new().set(header::X_FRAME_OPTIONS, "a\r\nb: c");
    assert!(error(Router::new().middleware(bad)).contains("x-frame-options"));

    let hello = async |_: Request| "hello";
    let wrapped = with_middleware(
        RateLimit::per_second(0),
        with_middleware(Cors::new(), hello),
    );
    let message = error(Router::new().get("/x", wrapped.clone()));
    assert!(message.starts_with("route \"/x\": RateLimit"), "{message}");
    assert!(error(Router::new().fallback(wrapped)).contains("RateLimit"));
    let app = || Router::new().middleware(RateLimit::per_second(0));
    let mut runtime = monoloop::Runtime::new().unwrap();
    let started = runtime.block_on(async { server().spawn(app, &Shutdown::new()).map(|_| ()) });
    assert!(started.unwrap_err().to_string().contains("RateLimit"));
}

#[test]
fn browsers_are_told_to_be_careful_unless_a_handler_knows_better() {
    let app = || {
        let headers = SecurityHeaders::new()
            .set(header::REFERRER_POLICY, "same-origin")
            .without(&HeaderName::from_static("permissions-policy"))
            .hsts(secs(300), |request| {
                TrustedProxies::count(1).is_https(request)
            });
        Router::new()
            .middleware(headers)
            .get("/", async |_: Request| {
                let frame = HeaderValue::from_static("SAMEORIGIN");
                Response::html("").with_header(header::X_FRAME_OPTIONS, frame)
            })
    };
    serve(app, async |site| {
        for (path, frame) in [("/", "SAMEORIGIN"), ("/nowhere", "DENY")] {
            let answer = site.get(path).await;
            assert_eq!(answer.field("x-frame-options"), Some(frame));
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.field("referrer-policy"), Some("same-origin"));
            assert_eq!(
                answer.field("cross-origin-opener-policy"),
                Some("same-origin")
            );
            assert!(
                answer
                    .field("content-security-policy")
                    .unwrap()
                    .contains("frame-ancestors 'none'")
            );
            assert_eq!(answer.field("permissions-policy"), None);
            assert_eq!(answer.field("strict-transport-security"), None);
        }
        let answer = get_with(site, "/", "X-Forwarded-Proto: https\r\n").await;
        assert_eq!(
            answer.field("strict-transport-security"),
            Some("max-age=300; includeSubDomains")
        );
    });
}

async fn statuses(site: &Site, path: &str, fields: &str, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get_with(site, path, fields).await.status);
    }
    statuses
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let reached = Counter::default();
    let app = || {
        let reached = reached.clone();
        Router::new()
            .middleware(RateLimit::per_minute(6).burst(3))
            .get("/", move |_: Request| {
                reached.add();
                async { "hello" }
            })
    };
    serve(app, async |site| {
        assert_eq!(statuses(site, "/", "", 4).await, [200, 200, 200, 429]);
        assert_eq!(reached.get(), 3);
        let late = site.get("/nowhere").await;
        late.assert_kept(429);
        assert_eq!(late.field("retry-after"), Some("10"));
        assert_eq!(late.text(), "too many requests; try again in 10 s\n");
        // The probes are not counted.
        assert_eq!(site.get("/readyz").await.status, 200);
        sleep(ms(8_500)).await;
        assert_eq!(site.get("/").await.field("retry-after"), Some("2"));
        sleep(secs(1)).await;
        assert_eq!(site.get("/").await.field("retry-after"), Some("1"));
        sleep(secs(1)).await;
        assert_eq!(statuses(site, "/", "", 2).await, [200, 429]);
        sleep(secs(3600)).await;
        assert_eq!(statuses(site, "/", "", 4).await, [200, 200, 200, 429]);
    });
}

#[test]
fn a_limit_of_one_route_is_its_own() {
    let app = || {
        let hello = async |_: Request| "hello";
        Router::new()
            .get("/free", hello)
            .get("/rare", with_middleware(RateLimit::per_minute(1), hello))
    };
    serve(app, async |site| {
        assert_eq!(statuses(site, "/rare", "", 2).await, [200, 429]);
        assert_eq!(statuses(site, "/free", "", 3).await, [200; 3]);
    });
}

#[test]
fn clients_behind_a_proxy_are_counted_each_for_itself() {
    let app = || {
        let hello = async |_: Request| "hello";
        let proxies = TrustedProxies::networks(["127.0.0.0/8"]).unwrap();
        let user = |request: &Request| request.header("x-user").map(str::to_owned);
        Router::new()
            .get(
                "/client",
                with_middleware(RateLimit::per_minute(1).behind(proxies), hello),
            )
            .get(
                "/user",
                with_middleware(RateLimit::per_minute(1).by(user), hello),
            )
    };
    serve(app, async |site| {
        for (fields, expected) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", [200, 429]),
            // What stands in front is what the client says.
            ("X-Forwarded-For: 203.0.113.7, 192.0.2.1\r\n", [429, 429]),
            (
                "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n",
                [200, 429],
            ),
            ("X-Forwarded-For: 2001:db8::1\r\n", [200, 429]),
            ("X-Forwarded-For: 2001:db8::2\r\n", [429, 429]),
            ("", [200, 429]),
            // Nobody is forgotten for the others that came.
            ("X-Forwarded-For: 192.0.2.1\r\n", [429, 429]),
        ] {
            assert_eq!(
                statuses(site, "/client", fields, 2).await,
                expected,
                "{fields}"
            );
        }
        assert_eq!(
            statuses(site, "/user", "X-User: a\r\n", 2).await,
            [200, 429]
        );
        assert_eq!(
            statuses(site, "/user", "X-User: b\r\n", 2).await,
            [200, 429]
        );
        assert_eq!(statuses(site, "/user", "", 3).await, [200; 3]);
    });
}

#[test]
fn a_client_is_found_through_the_proxies_that_are_trusted_and_no_further() {
    let app = || {
        let by = |proxies: TrustedProxies| {
            move |request: Request| {
                let client = proxies.client_ip(&request);
                let is_https = proxies.is_https(&request);
                async move { format!("{client} {is_https}") }
            }
        };
        let networks = TrustedProxies::networks(["127.0.0.1", "10.0.0.0/8"]).unwrap();
        Router::new()
            .get("/none", by(TrustedProxies::count(0)))
            .get("/one", by(TrustedProxies::count(1)))
            .get("/two", by(TrustedProxies::count(2)))
            .get("/networks", by(networks.clone()))
            .get("/forwarded", by(networks.forwarded()))
            .get(
                "/strangers",
                by(TrustedProxies::networks(["10.0.0.0/8"]).unwrap()),
            )
    };
    let xff = "X-Forwarded-For: 203.0.113.1, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n";
    let forwarded = "Forwarded: for=203.0.113.1, for=\"[2001:db8::1]:4711\";proto=http, For=10.0.0.1;proto=https\r\n";
    serve(app, async |site| {
        for (path, fields, expected) in [
            ("/none", xff, "127.0.0.1 false"),
            ("/one", xff, "10.0.0.1 true"),
            ("/two", xff, "192.0.2.1 true"),
            ("/networks", xff, "192.0.2.1 true"),
            ("/strangers", xff, "127.0.0.1 false"),
            (
                "/networks",
                "X-Forwarded-For: 203.0.113.1, unknown, 10.0.0.1\r\n",
                "10.0.0.1 false",
            ),
            (
                "/networks",
                "X-Forwarded-For: 10.0.0.1\r\n",
                "10.0.0.1 false",
            ),
            ("/networks", "", "127.0.0.1 false"),
            ("/two", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 false"),
            ("/networks", forwarded, "127.0.0.1 false"),
            ("/forwarded", forwarded, "2001:db8::1 true"),
            ("/forwarded", xff, "127.0.0.1 false"),
        ] {
            assert_eq!(
                get_with(site, path, fields).await.text(),
                expected,
                "{path} {fields}"
            );
        }
    });
}

#[test]
fn middleware_of_a_route_is_inside_that_of_the_router() {
    let add = |value: &'static str| {
        move |request: Request, next: Next| async move {
            let mut response = next.run(request).await;
            response.add_header(header::VIA, HeaderValue::from_static(value));
            response
        }
    };
    let app = || {
        let hello = async |_: Request| "hello";
        let inner = with_middleware(add("2"), with_middleware(add("1"), hello));
        Router::new().middleware(add("3")).get("/", inner)
    };
    serve(app, async |site| {
        let answer = site.get("/").await;
        let via = answer.fields.iter().filter(|(name, _)| name == "via");
        let via: Vec<_> = via.map(|(_, value)| value.as_str()).collect();
        assert_eq!(via, ["1", "2", "3"]);
    });
}

#[test]
fn a_panic_behind_middleware_costs_its_request_alone() {
    let app = || {
        Router::new()
            .middleware(SecurityHeaders::new())
            .middleware(Compression::new())
            .middleware(Cors::new().any_origin())
            .middleware(RateLimit::per_second(100))
            .get("/", async |_: Request| "hello")
            .get("/panic", async |_: Request| -> &'static str {
                panic!("on purpose")
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        assert_eq!(client.get("/panic").await.status, 500);
        assert_eq!(client.get("/").await.status, 200);
        quiet().await;
    });
}
