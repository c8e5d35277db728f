//! What handlers read of requests: JSON, text, forms, parameters as types, files, cookies. What
//! does not fit is refused in words for whoever sent it, and with nothing of theirs unescaped.

#![cfg(all(feature = "forms", feature = "multipart", feature = "cookies"))]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;
#[allow(dead_code, reason = "others use more of it")]
mod sim_client;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use monoloop::cookie::{Cookie, SameSite};
use monoloop::sim::{Builder, Faults};
use monoloop::{
    IntoResponse, Json, Limits, MultipartError, MultipartLimits, Request, RequestError, Response,
    Router, Server, Shutdown, StatusCode, Timeouts, header,
};
use serde::{Deserialize, Serialize};
use server_common::{Answer, Site, get, ms, quiet, secs, serve, serve_with, server};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    name: String,
    age: u32,
    #[serde(default)]
    pets: Vec<Pet>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pet {
    legs: u8,
}

#[derive(Debug, Deserialize)]
struct Search {
    q: String,
    #[serde(default)]
    page: u32,
    #[serde(default)]
    tag: Vec<String>,
}

impl std::fmt::Display for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Search { q, page, tag } = self;
        write!(f, "{q} on page {page} with {tag:?}")
    }
}

#[derive(Debug, Deserialize)]
struct Place {
    year: u16,
    slug: String,
}

fn app() -> Router {
    Router::new()
        .post("/json", async |mut request: Request| {
            let user: User = request.json().await?;
            Ok::<_, RequestError>(Json(user))
        })
        .post("/text", async |mut request: Request| request.text().await)
        .post("/form", async |mut request: Request| {
            let search: Search = request.form().await?;
            Ok::<_, RequestError>(search.to_string())
        })
        .get("/search", async |request: Request| {
            let search: Search = request.query_as()?;
            Ok::<_, RequestError>(search.to_string())
        })
        .get("/{year}/{slug}", async |request: Request| {
            let place: Place = request.path_as()?;
            Ok::<_, RequestError>(format!("{} of {}", place.slug, place.year))
        })
        .get("/users/by-id/{id}", async |request: Request| {
            let id: u64 = request.param_as("id")?;
            Ok::<_, RequestError>(id.to_string())
        })
}

fn post_as(path: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

async fn ask(site: &Site, request: impl AsRef<[u8]>) -> Answer {
    site.send(request).await.answer().await
}

async fn post_json(site: &Site, body: &str) -> (u16, String) {
    let answer = ask(
        site,
        post_as("/json", "Content-Type: application/json\r\n", body),
    )
    .await;
    (answer.status, answer.text().to_owned())
}

#[test]
fn json_is_read_by_its_type_and_what_does_not_fit_is_named() {
    serve(app, async |site| {
        let user = r#"{"name":"a","age":3,"pets":[{"legs":4}]}"#;
        assert_eq!(post_json(site, user).await, (200, user.to_owned()));
        for (body, status, message) in [
            ("", 400, "the JSON in the body is missing\n"),
            (
                "{\"name\": \"a\",\n  age: 3}",
                400,
                "the JSON in the body is malformed (line 2, column 3): key must be a string\n",
            ),
            (
                "{\"name\":",
                400,
                "the JSON in the body is malformed (line 1, column 8): EOF while parsing a value\n",
            ),
            (
                "{\"name\":\"a\",\"age\":3} x",
                400,
                "the JSON in the body is malformed (line 1, column 22): trailing characters\n",
            ),
            (
                "{\"name\":\"a\"}",
                422,
                "the JSON in the body does not fit (line 1, column 12): missing field `age`\n",
            ),
            (
                "{\"name\":\"a\",\n\"age\":3,\"pets\":[{\"legs\":4},{\"legs\":300}]}",
                422,
                "the JSON in the body does not fit at pets[1].legs (line 2, column 38): invalid \
                 value: integer `300`, expected u8\n",
            ),
        ] {
            assert_eq!(
                post_json(site, body).await,
                (status, message.to_owned()),
                "{body}"
            );
        }
    });
}

#[test]
fn what_was_sent_is_never_sent_back_unescaped() {
    serve(app, async |site| {
        let (status, text) = post_json(
            site,
            "{\"name\":\"a\",\"age\":1,\"pets\":[{\"<script>&\\u001b\\r\\n\":1}]}",
        )
        .await;
        assert_eq!(status, 422);
        assert!(
            text.contains("unknown field `\\u{3c}script\\u{3e}\\u{26}\\u{1b}\\r\\n`"),
            "{text}"
        );

        let answer = site.get("/search?q=a&page=%3Cb%3E%0A").await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(
            answer.text(),
            "the query does not fit at page: invalid digit found in string\n"
        );
        let (status, text) = post_json(site, &format!("\"{}\"", "x".repeat(100_000))).await;
        assert_eq!(status, 422);
        assert!(text.len() < 500, "{}", text.len());
    });
}

#[test]
fn a_body_of_another_type_is_refused_with_the_type_that_is_taken() {
    serve(app, async |site| {
        for (path, taken, fields) in [
            ("/json", "application/json", ""),
            ("/json", "application/json", "Content-Type: text/plain\r\n"),
            ("/json", "application/json", "Content-Type: \r\n"),
            ("/form", "application/x-www-form-urlencoded", ""),
            (
                "/form",
                "application/x-www-form-urlencoded",
                "Content-Type: application/json\r\n",
            ),
        ] {
            let answer = ask(site, post_as(path, fields, "{}")).await;
            assert_eq!(
                (answer.status, answer.field("accept")),
                (415, Some(taken)),
                "{fields}"
            );
            assert!(answer.text().contains(taken), "{}", answer.text());
            answer.assert_kept(415);
        }
        let latin = "Content-Type: application/json; charset=iso-8859-1\r\n";
        let answer = ask(site, post_as("/json", latin, "{}")).await;
        assert_eq!(answer.status, 415);
        assert_eq!(answer.text(), "the text in the body has to be in UTF-8\n");
    });
}

#[test]
fn a_compressed_body_is_refused_and_not_misread() {
    serve(app, async |site| {
        for coding in ["gzip", "identity, br", "zstd\r\nContent-Encoding: identity"] {
            for path in ["/json", "/text", "/form"] {
                let fields =
                    format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
                let answer = ask(site, post_as(path, &fields, "x")).await;
                assert_eq!(answer.status, 415, "{coding}");
                assert_eq!(answer.field("accept-encoding"), Some("identity"));
            }
        }
        let fields = "Content-Encoding: identity\r\n";
        assert_eq!(ask(site, post_as("/text", fields, "x")).await.text(), "x");
    });
}

#[test]
fn text_is_utf8_and_nothing_else() {
    serve(app, async |site| {
        let answer = ask(site, post_as("/text", "", "gr\u{fc}n")).await;
        assert_eq!(answer.text(), "gr\u{fc}n");
        let answer = ask(site, post_as("/text", "", b"gr\xfcn")).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.text(),
            "the text in the body is not UTF-8 behind byte 2\n"
        );
        let fields = "Content-Type: text/plain; charset=\"latin1\"\r\n";
        assert_eq!(ask(site, post_as("/text", fields, "x")).await.status, 415);
    });
}

#[test]
fn forms_and_queries_are_read_into_a_type() {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    serve(app, async |site| {
        let read = "a b& on page 2 with [\"x\", \"y\"]";
        let pairs = "q=a+b%26&page=2&tag=x&other=1&tag=y";
        assert_eq!(site.get(&format!("/search?{pairs}")).await.text(), read);
        assert_eq!(ask(site, post_as("/form", form, pairs)).await.text(), read);

        let answer = site.get("/search").await;
        assert_eq!(
            (answer.status, answer.text()),
            (400, "the query does not fit: missing field `q`\n")
        );
        let answer = ask(site, post_as("/form", form, "q=a&page=-1")).await;
        assert_eq!(answer.status, 422);
        assert_eq!(
            answer.text(),
            "the form in the body does not fit at page: invalid digit found in string\n"
        );
    });
}

#[test]
fn parameters_of_the_path_are_read_into_types() {
    serve(app, async |site| {
        assert_eq!(site.get("/1999/a%2Fb%26c").await.text(), "a/b&c of 1999");
        let answer = site.get("/next/a").await;
        assert_eq!(
            (answer.status, answer.text()),
            (
                400,
                "the path does not fit at year: invalid digit found in string\n"
            )
        );
        let answer = site.get("/1999/a%ff").await;
        assert_eq!(
            (answer.status, answer.text()),
            (400, "the path is not UTF-8 behind byte 1\n")
        );
        assert_eq!(site.get("/users/by-id/17").await.text(), "17");
        let answer = site.get("/users/by-id/%3Cx%3E").await;
        assert_eq!(
            (answer.status, answer.text()),
            (
                400,
                "the path does not fit at id: invalid digit found in string\n"
            )
        );
    });
}

#[test]
fn a_body_that_does_not_come_or_is_too_long_is_what_its_own_error_says() {
    let server = server()
        .limits(Limits {
            body_bytes_max: 100,
            ..Limits::default()
        })
        .timeouts(Timeouts {
            body: Some(secs(7)),
            ..Timeouts::default()
        });
    let head = "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    serve_with(&server, app, async |site| {
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        let mut client = site.send(&chunked).await;
        quiet().await;
        client.send(format!("65\r\n{:0>101}\r\n", 1)).await;
        assert_eq!(client.answer().await.status, 413);

        let mut client = site
            .send(format!("{head}Content-Length: 10\r\n\r\n{{"))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, site.seconds()), (408, 7));
    });
}

/// What an upload came to: each field, and how it ended.
type Seen = Rc<RefCell<Vec<String>>>;

fn uploads(seen: &Seen, limits: MultipartLimits) -> impl Fn() -> Router {
    let seen = seen.clone();
    move || {
        let seen = seen.clone();
        Router::new().post("/upload", move |request: Request| {
            let seen = seen.clone();
            async move {
                let read = read_upload(request, limits, &seen).await;
                if let Err(error) = &read {
                    seen.borrow_mut().push(error.to_string());
                }
                read.map(|()| "read")
            }
        })
    }
}

async fn read_upload(
    mut request: Request,
    limits: MultipartLimits,
    seen: &Seen,
) -> Result<(), MultipartError> {
    let mut form = request.multipart_with(limits)?;
    while let Some(mut field) = form.next_field().await? {
        let about = format!(
            "{} {:?} {:?}",
            field.name(),
            field.file_name_cleaned(),
            field.content_type()
        );
        if field.name() == "skipped" {
            seen.borrow_mut().push(about);
        } else if field.name() == "text" {
            let text = field.text().await?;
            seen.borrow_mut().push(format!("{about}: {text}"));
        } else {
            seen.borrow_mut().push(about);
            while let Some(piece) = field.chunk().await? {
                let text = String::from_utf8_lossy(&piece).into_owned();
                seen.borrow_mut().push(text);
            }
        }
    }
    seen.borrow_mut().push("end".to_owned());
    Ok(())
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=\"-x-\"\r\n";

fn part(name: &str, more: &str, content: &str) -> String {
    format!("---x-\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
}

#[test]
fn a_form_with_files_is_read_however_it_is_cut() {
    let seen = Seen::default();
    let form = "preamble\r\n".to_owned()
        + &part("text", "", "hello\r\n--x")
        + &part("skipped", "; filename=\"b\"", "nobody reads this")
        + &part(
            "file",
            "; filename=\"../a.txt\"\r\nContent-Type: text/plain",
            "content",
        )
        + &part("", "", "")
        + "---x---\r\nepilogue";
    let request = post_as("/upload", FORM, &form);
    serve(uploads(&seen, MultipartLimits::default()), async |site| {
        for size in [1, 7, 64, request.len()] {
            let mut client = site.connect().await;
            for piece in request.chunks(size) {
                client.send(piece).await;
                if size < 64 {
                    quiet().await;
                }
            }
            client.answer().await.assert_kept(200);
            let mut fields = seen.take();
            // The file comes in pieces.
            let content: String = fields.drain(3..fields.len() - 2).collect();
            assert_eq!(content, "content", "{size} bytes at a time");
            assert_eq!(
                fields,
                [
                    "text None None: hello\r\n--x",
                    "skipped Some(\"b\") None",
                    "file Some(\"a.txt\") Some(\"text/plain\")",
                    " None None",
                    "end"
                ]
            );
        }
    });
}

#[test]
fn nothing_of_a_form_is_read_ahead_of_the_handler() {
    let server = server().limits(Limits {
        body_bytes_max: 100_000_000,
        ..Limits::default()
    });
    let app = || {
        Router::new().post("/upload", async |mut request: Request| {
            let mut form = request.multipart()?;
            let mut field = form.next_field().await?.unwrap();
            field.chunk().await?;
            monoloop::time::sleep(secs(5)).await;
            Ok::<_, MultipartError>("enough")
        })
    };
    serve_with(&server, app, async |site| {
        let length = 50_000_000;
        let mut client = site
            .send(format!(
                "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{FORM}\r\n"
            ))
            .await;
        client
            .send(part("file", "", "").trim_end().to_owned() + "\r\n\r\n")
            .await;
        let piece = vec![b'x'; 1_000_000];
        let mut sent = 0;
        // It stops when all buffers on the way are full.
        while monoloop::time::timeout(ms(100), client.send(&piece))
            .await
            .is_ok()
        {
            sent += piece.len();
            assert!(sent < 40_000_000, "the server takes all of it");
        }
    });
}

async fn upload(site: &Site, body: &str) -> (u16, String) {
    let answer = ask(site, post_as("/upload", FORM, body)).await;
    (answer.status, answer.text().to_owned())
}

#[test]
fn a_form_beyond_its_limits_is_refused() {
    let limits = MultipartLimits {
        fields_max: 2,
        field_bytes_max: 100,
        bytes_max: 1000,
        field_head_bytes_max: 500,
        collected_bytes_max: 50,
    };
    let end = "---x---\r\n";
    let long = "y".repeat(101);
    let seen = Seen::default();
    serve(uploads(&seen, limits), async |site| {
        let fine = part("a", "", "1") + &part("text", "", &"t".repeat(50)) + end;
        assert_eq!(upload(site, &fine).await, (200, "read".to_owned()));
        for (form, message) in [
            (
                part("a", "", "") + &part("b", "", "") + &part("c", "", "") + end,
                "the form has more than 2 fields\n",
            ),
            (
                part("a", "", &long) + end,
                "a field of the form has more than 100 bytes\n",
            ),
            (
                part("skipped", "", &long) + end,
                "a field of the form has more than 100 bytes\n",
            ),
            (
                part("text", "", &"t".repeat(51)) + end,
                "a field of the form has more than 50 bytes\n",
            ),
            (
                "z".repeat(1001) + &part("a", "", "") + end,
                "the form has more than 1000 bytes\n",
            ),
        ] {
            assert_eq!(upload(site, &form).await, (413, message.to_owned()));
        }

        // A head that does not end, in pieces that are each within the limit.
        let mut client = site
            .send(format!(
                "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{FORM}\r\n"
            ))
            .await;
        for _ in 0..6 {
            quiet().await;
            client
                .send_until_closed(format!("64\r\n{}\r\n", "h".repeat(100)).as_bytes())
                .await;
        }
        let answer = client.answer().await;
        assert_eq!(answer.status, 413);
        assert_eq!(
            answer.text(),
            "a field of the form has a head of more than 500 bytes\n"
        );
    });
}

#[test]
fn a_form_that_is_none_is_refused() {
    let seen = Seen::default();
    serve(uploads(&seen, MultipartLimits::default()), async |site| {
        for (body, status, message) in [
            ("", 400, "the form ends before its last boundary\n"),
            ("---y-\r\n", 400, "the form ends before its last boundary\n"),
            (
                &*part("a", "", "x"),
                400,
                "the form ends before its last boundary\n",
            ),
            (
                "---x-\r\nno head",
                400,
                "the form ends before its last boundary\n",
            ),
            (
                "---x-\r\n\0: x\r\n\r\nx\r\n---x---",
                400,
                "the form is malformed: failed to read headers\n",
            ),
        ] {
            assert_eq!(
                upload(site, body).await,
                (status, message.to_owned()),
                "{body:?}"
            );
        }
        let bytes = [
            part("text", "", "").trim_end().as_bytes(),
            b"\r\n\r\n\xff\r\n---x---",
        ]
        .concat();
        let answer = ask(site, post_as("/upload", FORM, bytes)).await;
        assert_eq!(
            (answer.status, answer.text()),
            (400, "the field \"text\" of the form is not UTF-8\n")
        );

        for (fields, status) in [
            ("", 415),
            ("Content-Type: multipart/mixed; boundary=x\r\n", 415),
            ("Content-Type: multipart/form-data\r\n", 400),
            ("Content-Type: multipart/form-data; boundary=\"\"\r\n", 400),
            (
                &*format!(
                    "Content-Type: multipart/form-data; boundary={}\r\n",
                    "x".repeat(71)
                ),
                400,
            ),
            (&*format!("{FORM}Content-Encoding: gzip\r\n"), 415),
        ] {
            let answer = ask(site, post_as("/upload", fields, "x")).await;
            assert_eq!(answer.status, status, "{fields}");
        }
    });
}

#[test]
fn a_form_whose_rest_does_not_come_is_a_timeout_and_one_cut_off_is_noticed() {
    let seen = Seen::default();
    let server = server().timeouts(Timeouts {
        body: Some(secs(7)),
        ..Timeouts::default()
    });
    let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n{FORM}\r\n");
    let begun = head + &part("file", "", "begin");
    serve_with(
        &server,
        uploads(&seen, MultipartLimits::default()),
        async |site| {
            let mut client = site.send(&begun).await;
            assert_eq!((client.answer().await.status, site.seconds()), (408, 7));
            let mut client = site.send(&begun).await;
            client.finish();
            quiet().await;
            let last = seen.borrow().last().cloned();
            assert_eq!(
                last.as_deref(),
                Some("the peer went away in the middle of the body")
            );
        },
    );
}

/// Answers with what all fields hold together.
async fn join_fields(mut request: Request) -> Result<Vec<u8>, MultipartError> {
    let mut form = request.multipart()?;
    let mut all = Vec::new();
    while let Some(mut field) = form.next_field().await? {
        while let Some(piece) = field.chunk().await? {
            all.extend_from_slice(&piece);
        }
    }
    Ok(all)
}

fn random_upload(random: &mut fastrand::Rng) -> sim_client::Question {
    let (mut form, mut body) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(0..5) {
        // Few letters, so that there is much that looks like the beginning of a boundary.
        let length = random.usize(0..30_000);
        let content: Vec<u8> = (0..length)
            .map(|_| *random.choice(b"\r\n--x").unwrap())
            .collect();
        form.extend_from_slice(part("f", "", "").trim_end().as_bytes());
        form.extend_from_slice(b"\r\n\r\n");
        // It may hold the boundary by chance, and then there is less of it.
        let boundary = content.windows(6).position(|six| six == b"\r\n---x");
        let content = &content[..boundary.unwrap_or(length)];
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
        body.extend_from_slice(content);
    }
    form.extend_from_slice(b"---x---\r\n");
    sim_client::Question {
        request: post_as("/upload", FORM, form),
        body,
    }
}

#[test]
fn under_faults_a_form_that_is_read_is_the_one_that_was_sent() {
    let read = Rc::new(Cell::new(0));
    let world = Builder::new().faults(Faults::rough());
    world.seeds(0..40, |seed| {
        let read = read.clone();
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let address: SocketAddr = "10.0.0.1:80".parse().unwrap();
            let shutdown = Shutdown::new();
            let app = || Router::new().post("/upload", join_fields);
            let serving = Server::bind(address)
                .unwrap()
                .spawn(app, &shutdown)
                .unwrap();
            for n in 0..5 {
                let (ip, pace) = (IpAddr::from([10, 0, 1, n]), sim_client::Pace::Eager);
                let connecting = sim_client::Client::connect(ip, address, pace, random.fork());
                let Ok(mut client) = connecting.await else {
                    continue;
                };
                let upload = [random_upload(&mut random)];
                // The client compares; what a fault breaks is not answered.
                let _ = client.ask(&upload, true, || read.set(read.get() + 1)).await;
            }
            shutdown.drain();
            serving.wait().await;
        }
    });
    assert!((50..=200).contains(&read.get()), "{}", read.get());
}

fn cookies_app() -> Router {
    Router::new()
        .get("/read", async |request: Request| {
            format!("{:?}", request.cookie("a"))
        })
        .get("/all", async |request: Request| {
            let jar = request.cookies();
            let mut all: Vec<_> = jar.iter().map(Cookie::to_string).collect();
            all.sort();
            all.join(" ")
        })
        .get("/set", async |_: Request| {
            Response::text("set")
                .with_cookie(("a", "b; c=\u{fc}"))
                .with_cookie(
                    Cookie::build(("plain", "1"))
                        .http_only(false)
                        .secure(false)
                        .path("/x"),
                )
                .with_cookie(Cookie::build(("__Host-id", "2")).same_site(SameSite::Strict))
                .without_cookie("old")
        })
        .get("/changed", async |request: Request| {
            let mut jar = request.cookies();
            jar.add(("new", "1"));
            jar.remove("gone");
            Response::text("").with_cookies(&jar)
        })
        .get("/bad", async |_: Request| {
            Response::text("bad")
                .with_cookie(("", "no name"))
                .with_cookie(("long", "x".repeat(4097)))
                .with_cookie(Cookie::build(("__Host-id", "x")).path("/x"))
                .with_cookie(Cookie::build(("__secure-id", "x")).secure(false))
                .with_cookie(
                    Cookie::build(("across", "x"))
                        .same_site(SameSite::None)
                        .secure(false),
                )
                .with_cookie(Cookie::build(("split", "x")).path("/;Domain=evil.example"))
                .with_cookie(Cookie::build(("split", "x")).domain("a\r\nSet-Cookie: b=c"))
                .with_cookie(("good", "1"))
        })
}

fn set_cookies(answer: &Answer) -> Vec<&str> {
    let fields = answer.fields.iter();
    let cookies = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    cookies.map(|(_, value)| &**value).collect()
}

#[test]
fn cookies_are_read_from_all_lines_and_decoded() {
    serve(cookies_app, async |site| {
        for (fields, expected) in [
            ("", "None"),
            ("Cookie: a=1\r\n", "Some(\"1\")"),
            ("Cookie: b=2; a=x%20y%3B\r\n", "Some(\"x y;\")"),
            (
                "Cookie: b=2\r\nCookie: a=\"quoted\"\r\n",
                "Some(\"quoted\")",
            ),
            ("Cookie: a=1; a=2\r\n", "Some(\"1\")"),
            ("Cookie: ;;=; a; b=\r\n", "None"),
        ] {
            let request = format!("GET /read HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(ask(site, request).await.text(), expected, "{fields}");
        }
        let request = "GET /all HTTP/1.1\r\nHost: a\r\nCookie: b=2; a=1; bad; c=%ff\r\n\r\n";
        assert_eq!(ask(site, request).await.text(), "a=1 b=2");
    });
}

#[test]
fn cookies_are_set_as_safely_as_they_may_be() {
    serve(cookies_app, async |site| {
        let answer = site.get("/set").await;
        let cookies = set_cookies(&answer);
        assert_eq!(
            cookies[..3],
            [
                "a=b%3B%20c%3D%C3%BC; HttpOnly; SameSite=Lax; Secure; Path=/",
                "plain=1; SameSite=Lax; Path=/x",
                "__Host-id=2; HttpOnly; SameSite=Strict; Secure; Path=/",
            ]
        );
        assert!(cookies[3].starts_with("old=; "), "{cookies:?}");
        assert!(cookies[3].contains("Max-Age=0"), "{cookies:?}");

        let request = "GET /changed HTTP/1.1\r\nHost: a\r\nCookie: gone=1; kept=2\r\n\r\n";
        let answer = ask(site, request).await;
        let mut cookies = set_cookies(&answer);
        cookies.sort_unstable();
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        assert!(
            cookies[0].starts_with("gone=; ") && cookies[1].starts_with("new=1; "),
            "{cookies:?}"
        );
    });
}

#[test]
fn a_cookie_that_cannot_be_is_left_out_and_the_others_are_set() {
    serve(cookies_app, async |site| {
        let answer = site.get("/bad").await;
        answer.assert_kept(200);
        assert_eq!(
            set_cookies(&answer),
            ["good=1; HttpOnly; SameSite=Lax; Secure; Path=/"]
        );
    });
}

#[test]
fn errors_are_responses_of_their_own() {
    let error = RequestError::ContentCoding;
    assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let response = error.into_response();
    assert_eq!(
        response.header(&header::ACCEPT_ENCODING).unwrap(),
        "identity"
    );
    serve(app, async |site| {
        let answer = ask(site, get("/users/by-id/18446744073709551616")).await;
        assert_eq!(answer.status, 400);
    });
}
