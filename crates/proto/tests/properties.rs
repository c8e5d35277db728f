//! What holds for every stream, however it is cut.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::rc::Rc;

use http::{Method, StatusCode};
use monoloop_proto::http1::{
    AfterResponse, Connection, Decoded, Event, Limits, ResponseLength, Responses,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::transcript;

/// Small enough for a test to run into each of them.
fn limits() -> Rc<Limits> {
    Rc::new(Limits {
        target_bytes_max: 40,
        head_bytes_max: 120,
        header_count_max: 4,
        body_bytes_max: 60,
        chunk_extension_bytes_max: 10,
        trailer_bytes_max: 30,
        empty_lines_max: 1,
        discard_bytes_max: 10,
        ..Limits::default()
    })
}

/// Cuts `input` into pieces of these lengths, over and over.
fn pieces<'i>(input: &'i [u8], lengths: &[usize]) -> Vec<&'i [u8]> {
    let mut lengths = lengths.iter().cycle();
    let (mut rest, mut pieces) = (input, Vec::new());
    while !rest.is_empty() {
        let len = lengths.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(len);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..30)
}

/// A whole request that is valid within [`limits`], and how many bytes of body it has.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let get = "/[a-z]{0,5}(\\?[a-z]{0,5})?"
        .prop_map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes());
    let sized = (body(), 0..2_usize).prop_map(|(body, empty_lines)| {
        let mut request = b"\r\n".repeat(empty_lines);
        request.extend_from_slice(
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        request.extend_from_slice(&body);
        request
    });
    let chunked = (
        vec(vec(any::<u8>(), 1..10), 0..4),
        "(;[a-z]=\"?)?",
        any::<bool>(),
    )
        .prop_map(|(chunks, extension, trailer)| {
            let extension = extension.replace('"', "\"\"");
            let extension = if extension.ends_with('=') {
                ";e"
            } else {
                &extension
            };
            let mut request =
                b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for (index, chunk) in chunks.iter().enumerate() {
                let extension = if index == 0 { extension } else { "" };
                request.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                request.extend_from_slice(chunk);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n");
            request.extend_from_slice(if trailer {
                b"X-Sum: 1\r\n\r\n"
            } else {
                b"\r\n"
            });
            request
        });
    prop_oneof![get, sized, chunked]
}

/// Pieces of HTTP in any order: what a fuzzer would find after a long time.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST ",
        "HEAD",
        " ",
        "/",
        "/a?b",
        "*",
        "http://a/",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/2.0",
        "\r\n",
        "\r",
        "\n",
        "\r\n\r\n",
        "Host: a\r\n",
        "Host:",
        "Content-Length: 3\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "X: y",
        ": ",
        ",",
        ";",
        ";a=b",
        "\"",
        "0\r\n",
        "0\r\n\r\n",
        "3\r\nabc\r\n",
        "5",
        "f",
        "\t",
        "\0",
        "\u{e9}",
        "chunked",
        "abcdefghijklmnopqrstuvwxyz",
    ])
    .prop_map(|word| word.as_bytes().to_vec());
    let byte = any::<u8>().prop_map(|byte| vec![byte]);
    vec(prop_oneof![8 => word, 1 => byte], 0..40).prop_map(|words| words.concat())
}

/// Valid requests with something cut out of them, doubled or put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (
        vec(request(), 1..4),
        vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 0..3),
    )
        .prop_map(|(requests, damages)| {
            let mut stream = requests.concat();
            for (index, kind, byte) in damages {
                let at = index.index(stream.len());
                match kind {
                    0 => drop(stream.remove(at)),
                    1 => stream.insert(at, stream[at]),
                    _ => stream[at] = byte,
                }
                if stream.is_empty() {
                    break;
                }
            }
            stream
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_requests_are_served_however_they_are_cut(
        requests in vec(request(), 1..6),
        lengths in vec(1..30_usize, 1..6),
    ) {
        let stream = requests.concat();
        let whole = transcript(&limits(), std::iter::once(&stream[..]), true);
        prop_assert!(!whole.contains("error"), "{whole}");
        prop_assert_eq!(whole.matches("HTTP").count(), 0);
        prop_assert_eq!(whole.split(" | ").filter(|entry| entry.starts_with("end")).count(), requests.len());
        let cut = transcript(&limits(), pieces(&stream, &lengths).into_iter(), true);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn a_verdict_does_not_depend_on_the_cut(
        stream in prop_oneof![noise(), damaged()],
        lengths in vec(1..30_usize, 1..6),
    ) {
        let whole = transcript(&limits(), std::iter::once(&stream[..]), true);
        for lengths in [&lengths[..], &[1]] {
            let cut = transcript(&limits(), pieces(&stream, lengths).into_iter(), true);
            prop_assert_eq!(&cut, &whole, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn no_more_is_held_than_the_limits_allow(
        stream in prop_oneof![noise(), damaged()],
        lengths in vec(1..30_usize, 1..6),
    ) {
        let limits = limits();
        let held_max = limits.head_bytes_max.max(limits.trailer_bytes_max) as usize;
        let mut connection = Connection::new(limits.clone());
        let (mut out, mut body) = (Vec::new(), 0);
        'pieces: for piece in pieces(&stream, &lengths) {
            connection.receive(piece);
            loop {
                match connection.next_event() {
                    Ok(Event::NeedData) => break,
                    Ok(Event::Request(_)) => body = 0,
                    Ok(Event::Body(data)) => body += data.len() as u64,
                    Ok(Event::EndOfMessage(_)) => {}
                    Ok(Event::Paused) => {
                        connection
                            .send_head(StatusCode::NOT_FOUND, ResponseLength::Chunked, &mut out)
                            .unwrap()
                            .finish();
                        let _ = connection.send_end(&mut out).unwrap();
                    }
                    Ok(Event::Closed) | Err(_) => break 'pieces,
                }
                prop_assert!(body <= limits.body_bytes_max);
            }
            prop_assert!(connection.buffered() < held_max);
        }
    }

    #[test]
    fn an_unread_body_never_becomes_a_request(
        is_chunked in any::<bool>(),
        answered_after in 0..100_usize,
        lengths in vec(1..30_usize, 1..6),
    ) {
        let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let framed = if is_chunked {
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        } else {
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        };
        let stream = format!("POST /first HTTP/1.1\r\nHost: a\r\n{framed}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut connection = Connection::new(Rc::default());
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let pieces = pieces(stream.as_bytes(), &lengths);
        let last = pieces.len() - 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            connection.receive(piece);
            loop {
                match connection.next_event().unwrap() {
                    Event::Request(head) => seen.push(head.path().to_owned()),
                    Event::Body(_) | Event::EndOfMessage(_) => {}
                    // The first request is answered in the middle of its body, or behind it.
                    Event::NeedData | Event::Paused
                        if connection.awaits_head() && index >= answered_after.min(last) =>
                    {
                        connection
                            .send_head(StatusCode::NOT_FOUND, ResponseLength::Sized(0), &mut out)
                            .unwrap()
                            .finish();
                        prop_assert_ne!(connection.send_end(&mut out), Ok(AfterResponse::Close));
                    }
                    Event::NeedData | Event::Paused => break,
                    Event::Closed => panic!("nobody asked to close"),
                }
            }
        }
        prop_assert_eq!(seen, ["/first", "/next"]);
    }

    #[test]
    fn what_the_server_sends_is_what_the_client_receives(
        exchanges in vec((any::<bool>(), any::<bool>(), 0..4_usize, vec(body(), 0..4)), 1..6),
        lengths in vec(1..30_usize, 1..6),
    ) {
        let mut connection = Connection::new(Rc::default());
        let mut responses = Responses::new(Rc::default());
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        for (is_head, is_chunked, status, pieces) in exchanges {
            let method = if is_head { Method::HEAD } else { Method::GET };
            let status = [200, 204, 304, 500][status];
            connection.receive(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            let request = connection.next_event();
            prop_assert!(matches!(request, Ok(Event::Request(_))));
            responses.expect(&method);

            let body = pieces.concat();
            let length = if is_chunked {
                ResponseLength::Chunked
            } else {
                ResponseLength::Sized(body.len() as u64)
            };
            let code = StatusCode::from_u16(status).unwrap();
            connection.send_head(code, length, &mut out).unwrap().finish();
            for piece in &pieces {
                connection.send_body(piece, &mut out).unwrap();
            }
            prop_assert_eq!(connection.send_end(&mut out), Ok(AfterResponse::KeepAlive));
            let is_bodyless = is_head || status == 204 || status == 304;
            expected.push((status, if is_bodyless { Vec::new() } else { body }));
        }

        let mut received = Vec::new();
        for mut piece in pieces(&out, &lengths) {
            loop {
                match responses.decode(&mut piece).unwrap() {
                    Decoded::Head(head) => received.push((head.status.as_u16(), Vec::new())),
                    Decoded::Body(data) => {
                        received.last_mut().unwrap().1.extend_from_slice(data);
                    }
                    Decoded::End { keep_alive } => prop_assert!(keep_alive),
                    Decoded::NeedData => break,
                }
            }
        }
        prop_assert_eq!(received, expected);
        prop_assert_eq!(responses.outstanding(), 0);
    }

    #[test]
    fn a_client_survives_anything_however_it_is_cut(
        stream in noise(),
        lengths in vec(1..30_usize, 1..6),
    ) {
        // A fault in a head that came in pieces is told at the end of its line.
        let stream = [b"HTTP/1.1 200 OK\r\n", &stream[..], b"\n"].concat();
        let decode = |pieces: Vec<&[u8]>| {
            let mut responses = Responses::new(limits());
            responses.expect(&Method::GET);
            let (mut log, mut body) = (Vec::new(), Vec::new());
            'pieces: for mut piece in pieces {
                loop {
                    match responses.decode(&mut piece) {
                        Ok(Decoded::Head(head)) => log.push(format!("{head:?}")),
                        Ok(Decoded::Body(data)) => body.extend_from_slice(data),
                        Ok(Decoded::End { .. }) => log.push("end".into()),
                        Ok(Decoded::NeedData) => break,
                        Err(error) => {
                            log.push(format!("{error:?}"));
                            break 'pieces;
                        }
                    }
                }
            }
            (log, body)
        };
        prop_assert_eq!(decode(pieces(&stream, &lengths)), decode(vec![&stream[..]]));
    }
}
