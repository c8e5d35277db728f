//! The client's side: requests encoded, responses decoded.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use monoloop_proto::http1::{
    AtEof, Connection, Decoded, Event, Limits, RecvError, ResponseBodyLength, Responses, SendError,
    Version, encode_request,
};

/// Feeds `input` 1, 2, 7 and all bytes at a time to a client that has sent these requests, and
/// asserts the transcript each time.
#[track_caller]
fn check(methods: &[Method], input: impl AsRef<[u8]>, eof: bool, expected: &str) {
    check_with(Limits::default(), methods, input, eof, expected);
}

#[track_caller]
fn check_with(
    limits: Limits,
    methods: &[Method],
    input: impl AsRef<[u8]>,
    eof: bool,
    expected: &str,
) {
    let (limits, input) = (Rc::new(limits), input.as_ref());
    for size in [1, 2, 7, input.len().max(1)] {
        let mut responses = Responses::new(limits.clone());
        for method in methods {
            responses.expect(method);
        }
        let found = transcript(&mut responses, input.chunks(size), eof);
        assert_eq!(
            found,
            expected,
            "fed {size} bytes at a time: {}",
            input.escape_ascii()
        );
    }
}

fn transcript<'i>(
    responses: &mut Responses,
    pieces: impl Iterator<Item = &'i [u8]>,
    eof: bool,
) -> String {
    let (mut log, mut body) = (String::new(), Vec::new());
    let mut entry = |body: &mut Vec<u8>, entry: String| {
        if !body.is_empty() {
            write!(log, "\"{}\" | ", std::mem::take(body).escape_ascii()).unwrap();
        }
        write!(log, "{entry} | ").unwrap();
    };
    'pieces: for mut piece in pieces {
        loop {
            match responses.decode(&mut piece) {
                Ok(Decoded::Head(head)) => {
                    let close = if head.keep_alive { "" } else { " close" };
                    entry(
                        &mut body,
                        format!("{} {:?}{close}", head.status.as_u16(), head.length),
                    );
                }
                Ok(Decoded::Body(data)) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(data);
                }
                Ok(Decoded::End { keep_alive }) => {
                    entry(
                        &mut body,
                        if keep_alive { "end" } else { "end close" }.into(),
                    );
                }
                Ok(Decoded::NeedData) => break,
                Err(error) => {
                    entry(&mut body, format!("error {error:?}"));
                    assert_eq!(
                        responses.decode(&mut piece).err(),
                        Some(error),
                        "errors repeat"
                    );
                    break 'pieces;
                }
            }
        }
        assert!(piece.is_empty(), "all of a slice is used up");
    }
    if eof {
        entry(&mut body, format!("{:?}", responses.decode_eof()));
    } else if !body.is_empty() {
        entry(&mut body, "..".into());
    }
    log.trim_end_matches(" | ").to_owned()
}

const GET: [Method; 1] = [Method::GET];
const GETS: [Method; 2] = [Method::GET, Method::GET];

#[test]
fn a_sized_response_ends_at_its_length() {
    check(
        &GETS,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        true,
        r#"200 Sized(5) | "hello" | end | 404 Sized(0) | end | Ok(Closed)"#,
    );
}

#[test]
fn a_chunked_response_ends_with_its_last_chunk() {
    check(
        &GETS,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\nC:\r\n\r\n\
         HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        true,
        r#"200 Chunked | "hello!" | end | 200 Sized(0) | end | Ok(Closed)"#,
    );
}

#[test]
fn a_response_without_a_length_ends_with_the_connection() {
    check(
        &GET,
        "HTTP/1.1 200 OK\r\n\r\nhello",
        true,
        r#"200 UntilClose close | "hello" | Ok(EndOfMessage)"#,
    );
    check(
        &GET,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        true,
        r#"200 UntilClose close | "hello" | Ok(EndOfMessage)"#,
    );
}

#[test]
fn responses_that_have_no_body_by_their_request_or_status() {
    check(
        &[
            Method::GET,
            Method::HEAD,
            Method::HEAD,
            Method::GET,
            Method::GET,
        ],
        "HTTP/1.1 204 No Content\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
         HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        true,
        r#"204 None | end | 200 None | end | 200 None | end | 304 None | end | 200 Sized(2) | "hi" | end | Ok(Closed)"#,
    );
}

#[test]
fn informational_responses_are_passed_over() {
    check(
        &GET,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        true,
        r#"200 Sized(2) | "hi" | end | Ok(Closed)"#,
    );
    check(
        &GET,
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(6),
        false,
        "error TooManyInformational { limit: 5 }",
    );
    // They are counted for each response anew.
    check(
        &GETS,
        format!(
            "{0}HTTP/1.1 204 \r\n\r\n{0}HTTP/1.1 204 \r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(3)
        ),
        false,
        "204 None | end | 204 None | end",
    );
    check(
        &GET,
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        false,
        "error UnexpectedResponse",
    );
}

#[test]
fn persistence_is_the_servers_to_end() {
    check(
        &GET,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        true,
        r#"200 Sized(2) close | "hi" | end close | Ok(Closed)"#,
    );
    check(
        &GET,
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        true,
        r#"200 Sized(2) close | "hi" | end close | Ok(Closed)"#,
    );
    check(
        &GET,
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        true,
        r#"200 Sized(2) | "hi" | end | Ok(Closed)"#,
    );
    check(
        &GETS,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        false,
        "200 Sized(0) close | end close | error UnexpectedResponse",
    );
}

#[test]
fn a_response_nobody_asked_for_is_an_error() {
    check(&[], "H", false, "error UnexpectedResponse");
    check(
        &GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
        false,
        "200 Sized(0) | end | error UnexpectedResponse",
    );
}

#[test]
fn a_connection_that_ends_too_early_is_an_error() {
    check(&[], "", true, "Ok(Closed)");
    check(&GET, "", true, "Err(UnexpectedEof)");
    check(&GET, "HTTP/1.1 200", true, "Err(UnexpectedEof)");
    check(
        &GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        true,
        r#"200 Sized(3) | "hi" | Err(UnexpectedEof)"#,
    );
    check(
        &GET,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        true,
        "200 Chunked | Err(UnexpectedEof)",
    );
    check(
        &GETS,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        true,
        "200 Sized(0) | end | Err(UnexpectedEof)",
    );
}

#[test]
fn malformed_responses_are_errors() {
    for (head, error) in [
        ("HTTP/2.0 200 OK\r\n\r\n", "Version"),
        ("GET / HTTP/1.1\r\n\r\n", "Version"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 20 OK\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 099 No\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 200 O\0K\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "Field"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "Field"),
        ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "Field"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "ContentLength",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "ContentLength",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "AmbiguousFraming",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "TransferEncoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "UnknownCoding",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "TransferEncoding",
        ),
    ] {
        check(&GET, head, false, &format!("error {error}"));
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, error) in [
        ("x\r\n", "ChunkSize"),
        ("0\r\n\n", "BareLineFeed"),
        ("0\r\nA: b\n", "BareLineFeed"),
        ("0\r\n\rx", "Field"),
    ] {
        check(
            &GET,
            format!("{chunked}{chunks}"),
            false,
            &format!("200 Chunked | error {error}"),
        );
    }
}

#[test]
fn heads_and_trailers_are_bounded() {
    let limits = || Limits {
        head_bytes_max: 50,
        header_count_max: 2,
        trailer_bytes_max: 8,
        ..Limits::default()
    };
    let head = |len: usize| {
        let head = "HTTP/1.1 204 No Content\r\nX: \r\n\r\n";
        head.replace("X: ", &format!("X: {}", "x".repeat(len - head.len())))
    };
    check_with(limits(), &GET, head(50), false, "204 None | end");
    check_with(
        limits(),
        &GET,
        head(51),
        false,
        "error HeadTooLarge { limit: 50 }",
    );
    check_with(
        limits(),
        &GET,
        &head(60)[..50],
        false,
        "error HeadTooLarge { limit: 50 }",
    );
    check_with(limits(), &GET, &head(60)[..49], false, "");
    check_with(
        limits(),
        &GET,
        "HTTP/1.1 204 \r\na:\r\nb:\r\nc:\r\n\r\n",
        false,
        "error TooManyFields { limit: 2 }",
    );
    let chunked = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    check_with(
        limits(),
        &GET,
        format!("{chunked}a: b\r\n\r\n"),
        false,
        "200 Chunked | end",
    );
    check_with(
        limits(),
        &GET,
        format!("{chunked}a: bc\r\n\r\n"),
        false,
        "200 Chunked | error TrailersTooLarge { limit: 8 }",
    );
}

#[test]
fn a_body_of_any_size_is_let_through() {
    let limits = Limits {
        body_bytes_max: 1,
        ..Limits::default()
    };
    check_with(
        limits,
        &GETS,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n",
        false,
        r#"200 Sized(2) | "hi" | end | 200 Chunked | "ho" | end"#,
    );
}

#[test]
fn a_head_gives_its_fields_however_it_came() {
    let input = b"HTTP/1.1 200 OK\r\nServer-Timing: a;dur=1\r\nX-Request-Id:\t7 \r\nEmpty:\r\nContent-Length: 0\r\n\r\n";
    for cut in 0..input.len() {
        let mut responses = Responses::new(Rc::new(Limits::default()));
        responses.expect(&Method::GET);
        let (mut first, mut second) = input.split_at(cut);
        assert!(matches!(
            responses.decode(&mut first),
            Ok(Decoded::NeedData)
        ));
        let Ok(Decoded::Head(head)) = responses.decode(&mut second) else {
            panic!("cut at {cut}")
        };
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.version, Version::Http11);
        assert_eq!(head.length, ResponseBodyLength::Sized(0));
        assert_eq!(head.header("server-timing"), Some(&b"a;dur=1"[..]));
        assert_eq!(head.header("x-request-id"), Some(&b"7"[..]));
        assert_eq!(head.header("empty"), Some(&b""[..]));
        assert_eq!(head.header("200 OK"), None);
        assert_eq!(head.headers().count(), 4);
        assert_eq!(head.len_bytes(), input.len());
        assert!(matches!(
            responses.decode(&mut second),
            Ok(Decoded::End { keep_alive: true })
        ));
        assert_eq!(responses.outstanding(), 0);
    }
}

#[test]
fn everything_behind_an_accepted_connect_is_the_tunnels() {
    check(
        &[Method::CONNECT],
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello",
        true,
        r#"200 UntilClose close | "hello" | Ok(EndOfMessage)"#,
    );
    check(
        &[Method::CONNECT],
        "HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nhi",
        true,
        r#"405 Sized(2) | "hi" | end | Ok(Closed)"#,
    );
}

// Requests

fn encoded(method: &Method, target: &str, host: &str, body: &str) -> Result<String, SendError> {
    let headers = [(header::ACCEPT, HeaderValue::from_static("*/*"))];
    let mut out = Vec::new();
    encode_request(method, target, host, &headers, body.as_bytes(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_request_has_a_length_when_it_has_or_may_have_a_body() {
    assert_eq!(
        encoded(&Method::GET, "/a?b", "c:80", "").unwrap(),
        "GET /a?b HTTP/1.1\r\nhost: c:80\r\naccept: */*\r\n\r\n"
    );
    assert_eq!(
        encoded(&Method::POST, "/", "c", "hello").unwrap(),
        "POST / HTTP/1.1\r\nhost: c\r\naccept: */*\r\ncontent-length: 5\r\n\r\nhello"
    );
    assert_eq!(
        encoded(&Method::PUT, "/", "c", "").unwrap(),
        "PUT / HTTP/1.1\r\nhost: c\r\naccept: */*\r\ncontent-length: 0\r\n\r\n"
    );
}

#[test]
fn what_would_break_a_request_apart_is_refused() {
    for target in [
        "",
        "a",
        "/a b",
        "/\r\n",
        "/a\r\nb: c",
        "/#",
        "http://a/",
        "/\u{e9}",
    ] {
        assert_eq!(
            encoded(&Method::GET, target, "a", ""),
            Err(SendError::Target),
            "{target:?}"
        );
    }
    for host in ["a b", "a\r\nb: c", "a/b", "u@a"] {
        assert_eq!(
            encoded(&Method::GET, "/", host, ""),
            Err(SendError::Host),
            "{host:?}"
        );
    }
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        let mut out = Vec::new();
        let headers = [(name, HeaderValue::from_static("1"))];
        let refused = encode_request(&Method::GET, "/", "a", &headers, b"", &mut out);
        assert_eq!(refused, Err(SendError::ReservedField));
        assert_eq!(out, b"", "nothing of a refused request is written");
    }
}

#[test]
fn an_encoded_request_is_what_the_server_receives() {
    let mut out = Vec::new();
    let headers = [(header::CONNECTION, HeaderValue::from_static("close"))];
    encode_request(&Method::POST, "/a?b", "c", &headers, b"hello", &mut out).unwrap();
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(&out);
    let Ok(Event::Request(head)) = connection.next_event() else {
        panic!()
    };
    assert_eq!((head.method(), head.target()), (&Method::POST, "/a?b"));
    assert_eq!(head.authority(), Some("c"));
    assert!(!head.keep_alive());
    let Ok(Event::Body(body)) = connection.next_event() else {
        panic!()
    };
    assert_eq!(body, "hello");
    assert!(matches!(
        connection.next_event(),
        Ok(Event::EndOfMessage(None))
    ));
}

#[test]
fn an_error_after_eof_repeats() {
    let mut responses = Responses::new(Rc::new(Limits::default()));
    responses.expect(&Method::GET);
    assert_eq!(responses.decode_eof(), Err(RecvError::UnexpectedEof));
    assert_eq!(responses.decode_eof(), Err(RecvError::UnexpectedEof));
    assert_eq!(
        responses.decode(&mut &b"x"[..]).err(),
        Some(RecvError::UnexpectedEof)
    );
    let mut responses = Responses::new(Rc::new(Limits::default()));
    assert_eq!(responses.decode_eof(), Ok(AtEof::Closed));
}
