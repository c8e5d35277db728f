//! What handlers return, as it goes over the wire: framing that no handler can break, streams
//! made while they are sent, and peers that read slowly.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use monoloop::time::sleep;
use monoloop::{
    HeaderName, HeaderValue, IntoResponse, Json, Request, Response, Router, StatusCode, header,
};
use monoloop_proto::http1::ResponseBodyLength;
use server_common::{
    Counter, Dropped, get, patient_server, quiet, secs, serve, serve_in_real_time, serve_with,
};

type Piece = Result<Bytes, Infallible>;

fn pieces(pieces: &'static [&'static str]) -> Response {
    let items = pieces
        .iter()
        .map(|piece| Piece::Ok(Bytes::from_static(piece.as_bytes())));
    Response::stream(stream::iter(items))
}

/// One route that answers with what `make` makes.
fn answering(make: impl Fn() -> Response + Clone + 'static) -> impl Fn() -> Router {
    move || {
        let make = make.clone();
        Router::new().get("/", move |_| {
            let response = make();
            async { response }
        })
    }
}

#[test]
fn everything_a_handler_may_return_becomes_a_response() {
    const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
    const BYTES: Option<&str> = Some("application/octet-stream");
    const JSON: Option<&str> = Some("application/json");
    type Made = fn() -> Response;
    let cases: Vec<(Made, u16, Option<&str>, &str)> = vec![
        (|| "hi".into_response(), 200, TEXT, "hi"),
        (|| String::from("hi").into_response(), 200, TEXT, "hi"),
        (
            || Bytes::from_static(b"hi").into_response(),
            200,
            BYTES,
            "hi",
        ),
        (|| vec![b'h', b'i'].into_response(), 200, BYTES, "hi"),
        (|| ().into_response(), 200, None, ""),
        (|| StatusCode::OK.into_response(), 200, None, ""),
        (|| StatusCode::SEE_OTHER.into_response(), 303, None, ""),
        (
            || StatusCode::NOT_FOUND.into_response(),
            404,
            TEXT,
            "Not Found\n",
        ),
        (
            || StatusCode::from_u16(599).unwrap().into_response(),
            599,
            None,
            "",
        ),
        (
            || (StatusCode::CREATED, "hi").into_response(),
            201,
            TEXT,
            "hi",
        ),
        (
            || Ok::<_, StatusCode>("hi").into_response(),
            200,
            TEXT,
            "hi",
        ),
        (
            || Err::<(), _>((StatusCode::CONFLICT, "no")).into_response(),
            409,
            TEXT,
            "no",
        ),
        (|| Some("hi").into_response(), 200, TEXT, "hi"),
        (|| None::<String>.into_response(), 404, TEXT, "Not Found\n"),
        (|| Json([1, 2]).into_response(), 200, JSON, "[1,2]"),
        (|| Response::json("a"), 200, JSON, "\"a\""),
        (
            || Response::html("<p>"),
            200,
            Some("text/html; charset=utf-8"),
            "<p>",
        ),
        (|| Response::bytes("x"), 200, BYTES, "x"),
    ];
    let made = cases.clone();
    let app = move || {
        made.iter()
            .enumerate()
            .fold(Router::new(), |router, (number, case)| {
                let make = case.0;
                router.get(&format!("/{number}"), move |_| async move { make() })
            })
    };
    serve(app, async |site| {
        let mut client = site.connect().await;
        for (number, (_, status, content_type, body)) in cases.iter().enumerate() {
            let answer = client.get(&format!("/{number}")).await;
            answer.assert_kept(*status);
            let found = (answer.field("content-type"), answer.text());
            assert_eq!(found, (*content_type, *body), "case {number}");
            assert_eq!(answer.length, ResponseBodyLength::Sized(body.len() as u64));
        }
    });
}

#[test]
fn every_response_has_date_server_and_request_id_once() {
    let app = || Router::new().get("/", |_| async { "hi" });
    serve(app, async |site| {
        let mut client = site.connect().await;
        for path in ["/", "/none"] {
            let answer = client.get(path).await;
            let date = answer.field("date").unwrap();
            assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
            assert_eq!(answer.field("server"), Some("monoloop"));
            assert!(answer.field("x-request-id").is_some());
            assert_eq!(answer.field("connection"), None);
        }
    });
}

#[test]
fn json_that_cannot_be_written_is_a_500() {
    let unwritable = || std::collections::HashMap::from([(vec![1], 1)]);
    serve(
        answering(move || Response::json(&unwritable())),
        async |site| {
            assert_eq!(site.get("/").await.status, 500);
        },
    );
}

#[test]
fn framing_fields_set_by_a_handler_are_left_out() {
    let make = || {
        Response::text("four")
            .with_header(header::CONTENT_LENGTH, HeaderValue::from_static("9"))
            .with_header(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            )
            .with_header(header::CONNECTION, HeaderValue::from_static("keep-alive"))
            .with_header(header::ETAG, HeaderValue::from_static("\"e\""))
    };
    serve(answering(make), async |site| {
        let mut client = site.connect().await;
        for _ in 0..2 {
            let answer = client.get("/").await;
            answer.assert_kept(200);
            assert_eq!(answer.text(), "four");
            assert_eq!(answer.field("content-length"), Some("4"));
            assert_eq!(answer.field("transfer-encoding"), None);
            assert_eq!(answer.field("etag"), Some("\"e\""));
        }
    });
}

#[test]
fn fields_of_the_server_set_by_a_handler_are_not_sent_twice() {
    // A handler that hands on what another server answered.
    let make = || {
        Response::text("hi")
            .with_header(
                header::DATE,
                HeaderValue::from_static("Mon, 01 Jan 2001 00:00:00 GMT"),
            )
            .with_header(header::SERVER, HeaderValue::from_static("other"))
            .with_header(
                HeaderName::from_static("x-request-id"),
                HeaderValue::from_static("x"),
            )
    };
    serve(answering(make), async |site| {
        let answer = site.get("/").await;
        for name in ["date", "server", "x-request-id"] {
            assert!(answer.field(name).is_some(), "{name}");
        }
    });
}

#[test]
fn line_break_cannot_get_into_a_field() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"] {
        assert!(HeaderValue::from_str(value).is_err());
        assert!(HeaderName::from_bytes(value.as_bytes()).is_err());
    }
}

#[test]
fn status_that_cannot_be_sent_is_a_500() {
    for make in [
        (|| Response::text("x").with_status(StatusCode::SWITCHING_PROTOCOLS)) as fn() -> Response,
        || pieces(&["x"]).with_status(StatusCode::CONTINUE),
    ] {
        serve(answering(make), async |site| {
            let mut client = site.connect().await;
            client.get("/").await.assert_kept(500);
            // A second time: the refused head has left nothing behind.
            client.get("/").await.assert_kept(500);
        });
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    for (status, length) in [(204, None), (304, None), (205, Some("0"))] {
        let status = StatusCode::from_u16(status).unwrap();
        serve(
            answering(move || Response::text("body").with_status(status)),
            async |site| {
                let mut client = site.connect().await;
                for _ in 0..2 {
                    let answer = client.get("/").await;
                    answer.assert_kept(status.as_u16());
                    assert_eq!(
                        (answer.text(), answer.field("content-length")),
                        ("", length)
                    );
                    assert_eq!(answer.field("transfer-encoding"), None);
                }
            },
        );
    }
}

#[test]
fn stream_is_not_polled_where_no_body_may_be() {
    let polled = Counter::default();
    let dropped = Dropped::default();
    for status in [204, 205, 304] {
        let (polls, guarding) = (polled.clone(), dropped.clone());
        let make = move || {
            let (polls, guard) = (polls.clone(), guarding.guard());
            let pieces = stream::poll_fn(move |_| {
                let _ = &guard;
                // One that never ends would keep the loop for ever.
                let more = polls.add() < 10;
                Poll::Ready(more.then(|| Piece::Ok(Bytes::from_static(b"x"))))
            });
            Response::stream(pieces).with_status(StatusCode::from_u16(status).unwrap())
        };
        serve(answering(make), async |site| {
            let mut client = site.connect().await;
            client.get("/").await.assert_kept(status);
            client.get("/").await.assert_kept(status);
        });
        assert!(dropped.get());
        assert_eq!(polled.get(), 0, "{status}");
    }
}

#[test]
fn connection_close_set_by_a_handler_closes_wherever_it_stands() {
    for value in ["close", "Close", "keep-alive, close", "x ,\tCLOSE,"] {
        let make = move || {
            Response::text("hi").with_header(header::CONNECTION, HeaderValue::from_static(value))
        };
        serve(answering(make), async |site| {
            let mut client = site.connect().await;
            client.get("/").await.assert_last(200);
            client.assert_closed().await;
        });
    }
}

#[test]
fn stream_is_sent_in_chunks_as_it_comes() {
    serve(answering(|| pieces(&["one", "", "three"])), async |site| {
        let mut client = site.send(get("/")).await;
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(answer.text(), "onethree");

        // An empty piece is nothing: it would look like the end.
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        let raw = String::from_utf8(client.rest().await).unwrap();
        let (_, body) = raw.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
    });
}

#[test]
fn stream_to_an_old_peer_lasts_until_the_connection_closes() {
    serve(answering(|| pieces(&["one", "two"])), async |site| {
        let mut client = site
            .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let answer = client.answer().await;
        answer.assert_last(200);
        assert_eq!(answer.length, ResponseBodyLength::UntilClose);
        assert_eq!(answer.field("transfer-encoding"), None);
        assert_eq!(answer.text(), "onetwo");
    });
}

#[test]
fn stream_to_an_old_peer_that_fails_is_reset_and_not_taken_for_whole() {
    let make = || {
        let good = Ok(Bytes::from_static(b"good"));
        let pieces = stream::iter([good, Err("broken")]).then(async |piece| {
            sleep(secs(1)).await;
            piece
        });
        Response::stream(pieces)
    };
    serve(answering(make), async |site| {
        let mut client = site.send("GET / HTTP/1.0\r\n\r\n").await;
        let (answer, error) = client.try_answer_to(&Method::GET).await;
        let answer = answer.expect("the head came before the fault");
        assert_eq!((answer.text(), answer.is_whole), ("good", false));
        let error = error.expect("a close would have made a whole body of it");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn pieces_go_out_when_they_are_there() {
    let make = || {
        let pieces = stream::iter(0..3).then(|number| async move {
            sleep(secs(number)).await;
            Piece::Ok(Bytes::from(number.to_string()))
        });
        Response::stream(pieces)
    };
    serve(answering(make), async |site| {
        let mut client = site.send(get("/")).await;
        let head = client.take_what_came().await;
        assert!(head.ends_with("\r\n\r\n1\r\n0\r\n"), "{head}");
        assert_eq!(site.seconds(), 0);
        assert_eq!(client.take(6).await, "1\r\n1\r\n");
        assert_eq!(site.seconds(), 1);
        assert_eq!(client.take(6).await, "1\r\n2\r\n");
        assert_eq!(client.take(5).await, "0\r\n\r\n");
        assert_eq!(site.seconds(), 3);
    });
}

#[test]
fn stream_lasts_longer_than_a_handler_may() {
    let make = || {
        let pieces = stream::iter(0..5).then(|number| async move {
            sleep(secs(25)).await;
            Piece::Ok(Bytes::from(number.to_string()))
        });
        Response::stream(pieces)
    };
    serve(answering(make), async |site| {
        let answer = site.get("/").await;
        assert_eq!((answer.text(), answer.is_whole), ("01234", true));
        assert_eq!(site.seconds(), 125);
    });
}

#[test]
fn head_of_a_stream_has_its_framing_and_never_polls_it() {
    let polled = Counter::default();
    let polls = polled.clone();
    let make = move || {
        let polls = polls.clone();
        Response::stream(stream::poll_fn(move |_| {
            polls.add();
            Poll::Ready(None::<Piece>)
        }))
    };
    serve(answering(make), async |site| {
        let mut client = site.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.answer_to(&Method::HEAD).await;
        answer.assert_kept(200);
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert_eq!(polled.get(), 0);
        client.get("/").await.assert_kept(200);
        assert_eq!(polled.get(), 1);
    });
}

#[test]
fn stream_is_not_polled_while_the_peer_does_not_read() {
    let polled = Counter::default();
    let dropped = Dropped::default();
    let (polls, guarding) = (polled.clone(), dropped.clone());
    let app = answering(move || {
        let (polls, guard) = (polls.clone(), guarding.guard());
        Response::stream(stream::poll_fn(move |_| {
            let _ = &guard;
            polls.add();
            Poll::Ready(Some(Piece::Ok(Bytes::from_static(&[b'x'; 16 * 1024]))))
        }))
    });
    serve_with(&patient_server(), app, async |site| {
        let mut client = site.send(get("/")).await;
        sleep(secs(1)).await;
        let full = polled.get();
        // What the sockets of both ends hold, and not much more.
        assert!((1..2000).contains(&full), "{full} pieces");
        sleep(secs(3600)).await;
        assert_eq!(polled.get(), full);

        let mut buffer = vec![0; 1024 * 1024];
        let mut read = 0;
        while read < 8 * buffer.len() {
            read += client.read(&mut buffer).await;
        }
        quiet().await;
        assert!(polled.get() > full, "it goes on when the peer reads");
        assert!(!dropped.get());
        drop(client);
        sleep(secs(1)).await;
        assert!(dropped.get());
    });
}

#[test]
fn stream_that_fails_ends_without_the_last_chunk() {
    let make = || {
        let good = Ok(Bytes::from_static(b"good"));
        Response::stream(stream::iter([
            good,
            Err("broken"),
            Ok(Bytes::from_static(b"after")),
        ]))
    };
    serve(answering(make), async |site| {
        let mut client = site.send(get("/")).await;
        let raw = String::from_utf8(client.rest().await).unwrap();
        assert!(raw.ends_with("\r\n\r\n4\r\ngood\r\n"), "{raw}");
    });
}

#[test]
fn stream_that_panics_ends_without_the_last_chunk_and_costs_nobody_else() {
    let make = || {
        Response::stream(stream::iter(0..2).then(|number| async move {
            sleep(secs(1)).await;
            assert!(number == 0, "this stream panics");
            Piece::Ok(Bytes::from_static(b"good"))
        }))
    };
    serve(answering(make), async |site| {
        let mut other = site.connect().await;
        other.get("/none").await.assert_kept(404);
        let mut client = site.send(get("/")).await;
        let raw = String::from_utf8(client.rest().await).unwrap();
        assert!(raw.ends_with("\r\n\r\n4\r\ngood\r\n"), "{raw}");
        other.get("/none").await.assert_kept(404);
    });
}

#[test]
fn stream_that_panics_at_once_costs_no_earlier_answer() {
    let app = || {
        let panics = |_| async {
            let piece = |()| -> Piece { panic!("this stream panics at its first poll") };
            Response::stream(stream::iter([()]).map(piece))
        };
        Router::new()
            .get("/", |_| async { "fine" })
            .get("/panic", panics)
    };
    serve(app, async |site| {
        let mut client = site.send([get("/"), get("/panic")].concat()).await;
        assert_eq!(client.answer().await.text(), "fine");
        let (answer, error) = client.try_answer_to(&Method::GET).await;
        assert!(error.is_none() && answer.is_none_or(|answer| !answer.is_whole));
    });
}

/// Bytes that show when some are missing or out of order.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}

#[test]
fn large_bodies_reach_a_slow_reader_whole() {
    const BYTES: usize = 10 * 1024 * 1024;
    let body = Bytes::from(pattern(BYTES));
    let app = || {
        let (sized, streamed) = (body.clone(), body.clone());
        Router::new()
            .get("/sized", move |_| {
                let body = sized.clone();
                async { body }
            })
            .get("/stream", move |_| {
                let body = streamed.clone();
                let pieces = (0..BYTES).step_by(100_000);
                let pieces =
                    pieces.map(move |at| Piece::Ok(body.slice(at..BYTES.min(at + 100_000))));
                async { Response::stream(stream::iter(pieces)) }
            })
    };
    serve_in_real_time(&patient_server(), app, async |site| {
        let mut client = site.connect().await;
        for path in ["/sized", "/stream", "/sized"] {
            client.send(get(path)).await;
            // Let the sockets fill up before the first byte is read.
            quiet().await;
            let answer = client.answer().await;
            answer.assert_kept(200);
            assert!(answer.body == body, "{path}");
        }
    });
}

#[test]
fn bodies_around_the_size_that_is_sent_in_pieces_are_whole() {
    for length in [65_535, 65_536, 65_537, 131_072, 131_073] {
        let body = Bytes::from(pattern(length));
        let sent = body.clone();
        serve_in_real_time(
            &patient_server(),
            answering(move || Response::bytes(sent.clone())),
            async |site| {
                let mut client = site.send([get("/"), get("/")].concat()).await;
                for _ in 0..2 {
                    let answer = client.answer().await;
                    answer.assert_kept(200);
                    assert!(answer.body == body, "{length}");
                }
                client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
                let answer = client.answer_to(&Method::HEAD).await;
                assert_eq!(answer.field("content-length"), Some(&*length.to_string()));
            },
        );
    }
}

#[test]
fn peer_that_goes_away_has_the_stream_dropped() {
    let dropped = Dropped::default();
    let written = Rc::new(RefCell::new(0));
    let (guarding, writing) = (dropped.clone(), written.clone());
    let app = answering(move || {
        let (guard, written) = (guarding.guard(), writing.clone());
        let pieces = stream::repeat(()).then(move |()| {
            let _ = &guard;
            *written.borrow_mut() += 1;
            async {
                sleep(secs(1)).await;
                Piece::Ok(Bytes::from_static(b"tick"))
            }
        });
        Response::stream(pieces)
    });
    serve(app, async |site| {
        let mut client = site.send(get("/")).await;
        sleep(secs(5)).await;
        assert!(client.take_what_came().await.contains("tick"));
        drop(client);
        sleep(secs(5)).await;
        assert!(dropped.get());
        assert!(*written.borrow() < 10);
    });
}

#[test]
fn stream_that_waits_is_dropped_when_the_peer_resets() {
    // Events that seldom come: nothing is written that could find out.
    let dropped = Dropped::default();
    let guarding = dropped.clone();
    let app = answering(move || {
        let guard = guarding.guard();
        Response::stream(stream::poll_fn(move |_| {
            let _ = &guard;
            Poll::<Option<Piece>>::Pending
        }))
    });
    let report = serve(app, async |site| {
        // The head is not read, so closing sends a reset.
        site.connect().await.reset("/").await;
        sleep(secs(1)).await;
    });
    assert_eq!((dropped.get(), report.forced), (true, 0));
}

#[test]
fn handler_may_answer_with_the_body_it_received() {
    let app = || {
        Router::new().post("/", |request: Request| async {
            let body = request.into_body();
            let pieces = stream::unfold(body, |mut body| async move {
                body.chunk().await.map(|piece| (piece, body))
            });
            Response::stream(pieces)
        })
    };
    serve(app, async |site| {
        // All of it has come with the head; what comes later is not received any more.
        let mut client = site.send(server_common::post("/", "whole")).await;
        let answer = client.answer().await;
        answer.assert_kept(200);
        assert_eq!(answer.text(), "whole");
    });
}
