//! Responses: their framing, what becomes of the connection, and what may not be sent.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::rc::Rc;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use monoloop_proto::http1::{
    AfterResponse, Connection, EncodedFields, Event, Limits, RecvError, ResponseLength, SendError,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection that has received `input` and the head of the first request in it.
fn asked(input: &str) -> Connection {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(input.as_bytes());
    match connection.next_event() {
        Ok(Event::Request(_)) => connection,
        other => panic!("{other:?}"),
    }
}

/// Answers with `body` in one piece.
fn answer(
    connection: &mut Connection,
    status: StatusCode,
    length: ResponseLength,
    body: &str,
) -> (String, AfterResponse) {
    let mut out = Vec::new();
    connection
        .send_head(status, length, &mut out)
        .unwrap()
        .finish();
    connection.send_body(body.as_bytes(), &mut out).unwrap();
    let after = connection.send_end(&mut out).unwrap();
    (String::from_utf8(out).unwrap(), after)
}

#[track_caller]
fn check(
    request: &str,
    status: u16,
    length: ResponseLength,
    expected: &str,
    expected_after: AfterResponse,
) {
    let mut connection = asked(request);
    while let Ok(Event::Body(_) | Event::EndOfMessage(_)) = connection.next_event() {}
    let status = StatusCode::from_u16(status).unwrap();
    let (out, after) = answer(&mut connection, status, length, "hello");
    assert_eq!(out, expected);
    assert_eq!(after, expected_after);
}

use AfterResponse::{Close, DiscardBody, KeepAlive};
use ResponseLength::{Chunked, Sized};

#[test]
fn a_sized_response_announces_its_length() {
    check(
        GET,
        200,
        Sized(5),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        KeepAlive,
    );
    check(
        GET,
        404,
        Sized(5),
        "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello",
        KeepAlive,
    );
}

#[test]
fn a_status_without_a_phrase_keeps_the_space() {
    check(
        GET,
        299,
        Sized(5),
        "HTTP/1.1 299 \r\ncontent-length: 5\r\n\r\nhello",
        KeepAlive,
    );
}

#[test]
fn a_stream_is_sent_in_chunks() {
    let mut connection = asked(GET);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Chunked, &mut out)
        .unwrap()
        .finish();
    for piece in ["hello", "", "0123456789abcdef", &"x".repeat(300)] {
        connection.send_body(piece.as_bytes(), &mut out).unwrap();
    }
    assert_eq!(connection.send_end(&mut out), Ok(KeepAlive));
    let expected = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n12c\r\n{}\r\n0\r\n\r\n",
        "x".repeat(300)
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn http_1_0_is_answered_in_its_own_framing() {
    check(
        "GET / HTTP/1.0\r\n\r\n",
        200,
        Sized(5),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        Close,
    );
    check(
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        200,
        Sized(5),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
        KeepAlive,
    );
    // No chunks there: a stream ends with the connection, whatever the peer asked for.
    check(
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        200,
        Chunked,
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
        Close,
    );
}

#[test]
fn a_peer_that_asks_for_it_is_closed() {
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        200,
        Sized(5),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        Close,
    );
}

#[test]
fn a_response_to_head_has_the_framing_and_no_body() {
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    check(
        head,
        200,
        Sized(5),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        KeepAlive,
    );
    check(
        head,
        200,
        Chunked,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        KeepAlive,
    );
}

#[test]
fn statuses_without_content_have_no_body() {
    check(
        GET,
        204,
        Sized(5),
        "HTTP/1.1 204 No Content\r\n\r\n",
        KeepAlive,
    );
    check(
        GET,
        204,
        Chunked,
        "HTTP/1.1 204 No Content\r\n\r\n",
        KeepAlive,
    );
    check(
        GET,
        304,
        Sized(5),
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        KeepAlive,
    );
    check(
        GET,
        205,
        Chunked,
        "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
        KeepAlive,
    );
    check(
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        204,
        Chunked,
        "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n",
        KeepAlive,
    );
}

#[test]
fn what_one_request_asked_for_is_not_the_next_ones() {
    let mut connection = asked(
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    // Pulling on does not let a later request into an earlier answer.
    assert!(matches!(
        connection.next_event(),
        Ok(Event::EndOfMessage(None))
    ));
    assert!(matches!(connection.next_event(), Ok(Event::Paused)));
    let (first, _) = answer(&mut connection, StatusCode::OK, Sized(5), "hello");
    assert_eq!(first, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");

    for expected in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ] {
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        let (out, after) = answer(&mut connection, StatusCode::OK, Sized(5), "hello");
        assert_eq!((out.as_str(), after), (expected, KeepAlive));
    }
}

#[test]
fn a_drain_closes_with_the_next_head() {
    let mut connection = asked(GET);
    connection.close_after_response();
    let (out, after) = answer(&mut connection, StatusCode::OK, Sized(5), "hello");
    assert_eq!(
        out,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    );
    assert_eq!(after, Close);
    assert!(matches!(connection.next_event(), Ok(Event::Closed)));
}

#[test]
fn a_drain_behind_the_head_closes_all_the_same() {
    let mut connection = asked(GET);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Sized(0), &mut out)
        .unwrap()
        .finish();
    connection.close_after_response();
    assert_eq!(connection.send_end(&mut out), Ok(Close));
}

// 100 Continue

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";

#[test]
fn continue_is_sent_once_to_who_waits_for_it() {
    let mut connection = asked(EXPECTING);
    let mut out = Vec::new();
    connection.send_continue(&mut out).unwrap();
    connection.send_continue(&mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");

    connection.receive(b"hi");
    while let Ok(Event::Body(_) | Event::EndOfMessage(_)) = connection.next_event() {}
    let (out, after) = answer(&mut connection, StatusCode::OK, Sized(0), "");
    assert_eq!(
        (out.as_str(), after),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", KeepAlive)
    );
}

#[test]
fn continue_is_not_sent_to_who_does_not_wait() {
    let mut out = Vec::new();
    asked(GET).send_continue(&mut out).unwrap();
    // The body has come without it, whether it was pulled or not.
    let mut connection = asked(&format!("{EXPECTING}h"));
    connection.send_continue(&mut out).unwrap();
    let mut connection = asked(&format!("{EXPECTING}h"));
    assert!(matches!(connection.next_event(), Ok(Event::Body(_))));
    connection.send_continue(&mut out).unwrap();
    assert_eq!(out, b"");
}

#[test]
fn continue_does_not_follow_the_final_head() {
    let mut connection = asked(EXPECTING);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Sized(0), &mut out)
        .unwrap()
        .finish();
    assert_eq!(
        connection.send_continue(&mut out),
        Err(SendError::HeadAlreadySent)
    );
    let _ = connection.send_end(&mut out);
    assert_eq!(
        connection.send_continue(&mut out),
        Err(SendError::NothingToAnswer)
    );
}

#[test]
fn who_waited_in_vain_is_closed_and_told_so() {
    let mut connection = asked(EXPECTING);
    let (out, after) = answer(&mut connection, StatusCode::FORBIDDEN, Sized(0), "");
    assert_eq!(
        out,
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(after, Close);
    // The body that comes now is not taken for a request.
    connection.receive(GET.as_bytes());
    assert!(matches!(connection.next_event(), Ok(Event::Closed)));
}

// Bodies nobody read

#[test]
fn an_unread_body_that_was_received_is_thrown_away() {
    for request in [
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut connection = asked(&format!("{request}{GET}"));
        let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
        assert_eq!(after, KeepAlive);
        match connection.next_event() {
            Ok(Event::Request(head)) => assert_eq!(head.method(), Method::GET),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_short_unread_body_is_discarded_as_it_comes() {
    for (request, rest) in [
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
            "world",
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello",
            " \r\n0\r\nA: b\r\n\r\n",
        ),
    ] {
        let mut connection = asked(request);
        let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
        assert_eq!(after, DiscardBody);
        assert!(!connection.is_idle());
        connection.receive(rest.as_bytes());
        connection.receive(GET.as_bytes());
        assert!(matches!(connection.next_event(), Ok(Event::Body(_))));
        assert!(matches!(
            connection.next_event(),
            Ok(Event::EndOfMessage(_))
        ));
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
    }
}

#[test]
fn a_long_unread_body_closes() {
    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
    let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(after, Close);

    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nh");
    let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(after, DiscardBody);

    let mut connection =
        asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10002\r\nh");
    assert!(matches!(connection.next_event(), Ok(Event::Body(_))));
    let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(after, Close);
}

#[test]
fn an_abandoned_body_is_told_in_the_head() {
    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
    connection.abandon_body();
    let (out, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(
        out,
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(after, Close);

    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    connection.abandon_body();
    let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(after, DiscardBody);
}

#[test]
fn chunks_that_go_on_while_they_are_discarded_are_an_error_without_an_answer() {
    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (_, after) = answer(&mut connection, StatusCode::NOT_FOUND, Sized(0), "");
    assert_eq!(after, DiscardBody);
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    for _ in 0..16 {
        connection.receive(chunk.as_bytes());
        assert!(matches!(connection.next_event(), Ok(Event::Body(_))));
        assert!(matches!(connection.next_event(), Ok(Event::NeedData)));
    }
    connection.receive(b"1\r\n");
    let error = connection.next_event().unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert!(!connection.awaits_head());
    let mut out = Vec::new();
    connection.refuse(error, &mut out);
    assert_eq!(out, b"");
}

#[test]
fn a_body_may_be_read_while_the_response_is_sent() {
    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Chunked, &mut out)
        .unwrap()
        .finish();
    for rest in ["cd", ""] {
        match connection.next_event() {
            Ok(Event::Body(data)) => connection.send_body(&data, &mut out).unwrap(),
            other => panic!("{other:?}"),
        }
        connection.receive(rest.as_bytes());
    }
    assert!(matches!(
        connection.next_event(),
        Ok(Event::EndOfMessage(None))
    ));
    assert!(matches!(connection.next_event(), Ok(Event::Paused)));
    assert_eq!(connection.send_end(&mut out), Ok(KeepAlive));
    assert!(out.ends_with(b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"));
    assert!(connection.is_idle());
}

// Errors of the peer

#[test]
fn a_refusal_closes() {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(b"GET / HTTP/1.1\r\n\r\n");
    let error = connection.next_event().unwrap_err();
    assert_eq!(error, RecvError::HostMissing);
    assert!(connection.awaits_head());
    let mut out = Vec::new();
    connection.refuse(error, &mut out);
    assert_eq!(
        out,
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let len = out.len();
    connection.refuse(error, &mut out);
    assert_eq!(out.len(), len, "a second refusal writes nothing");
    assert_eq!(connection.next_event().unwrap_err(), error);
}

#[test]
fn a_refusal_may_have_fields_and_a_body() {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(b"GET / HTTP/9.9\r\n");
    let error = connection.next_event().unwrap_err();
    let (out, after) = answer(&mut connection, error.status().unwrap(), Sized(4), "nope");
    assert_eq!(
        out,
        "HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnope"
    );
    assert_eq!(after, Close);
    assert!(!connection.awaits_head());
}

#[test]
fn a_bad_body_is_refused_while_no_head_was_sent() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    let mut connection = asked(request);
    let error = connection.next_event().unwrap_err();
    let mut out = Vec::new();
    connection.refuse(error, &mut out);
    assert!(out.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));

    let mut connection = asked(request);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Chunked, &mut out)
        .unwrap()
        .finish();
    let error = connection.next_event().unwrap_err();
    let len = out.len();
    connection.refuse(error, &mut out);
    assert_eq!(
        out.len(),
        len,
        "a response in progress is not answered into"
    );
}

#[test]
fn a_peer_that_left_is_not_answered() {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(b"GET / HT");
    connection.receive_eof();
    let error = connection.next_event().unwrap_err();
    assert_eq!(error, RecvError::UnexpectedEof);
    assert!(!connection.awaits_head());
    let mut out = Vec::new();
    connection.refuse(error, &mut out);
    assert_eq!(out, b"");
}

#[test]
fn an_answer_may_be_given_in_place_of_waiting_for_a_request() {
    for received in ["", "GET / HT"] {
        let mut connection = Connection::new(Rc::new(Limits::default()));
        connection.receive(received.as_bytes());
        let _ = connection.next_event();
        connection.stop_receiving();
        let (out, after) = answer(&mut connection, StatusCode::REQUEST_TIMEOUT, Sized(0), "");
        assert_eq!(
            out,
            "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(after, Close);
        assert!(matches!(connection.next_event(), Ok(Event::Closed)));
    }
}

#[test]
fn a_request_in_progress_is_answered_once_when_receiving_stops() {
    let mut connection = asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    connection.stop_receiving();
    let (out, after) = answer(&mut connection, StatusCode::REQUEST_TIMEOUT, Sized(0), "");
    assert!(out.contains("connection: close\r\n"));
    assert_eq!(after, Close);
    connection.stop_receiving();
    assert!(!connection.awaits_head());
}

#[test]
fn a_connect_that_is_turned_down_closes() {
    check(
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        501,
        Sized(5),
        "HTTP/1.1 501 Not Implemented\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        Close,
    );
}

#[test]
fn a_body_that_ends_with_the_connection_is_told_from_one_with_an_end_of_its_own() {
    for (request, length, is_ended_by_close) in [
        ("GET / HTTP/1.0\r\n\r\n", Chunked, true),
        ("GET / HTTP/1.0\r\n\r\n", Sized(0), false),
        ("HEAD / HTTP/1.0\r\n\r\n", Chunked, false),
        (GET, Chunked, false),
    ] {
        let mut connection = asked(request);
        assert!(!connection.is_ended_by_close());
        let mut out = Vec::new();
        connection
            .send_head(StatusCode::OK, length, &mut out)
            .unwrap()
            .finish();
        assert_eq!(
            connection.is_ended_by_close(),
            is_ended_by_close,
            "{request}"
        );
        let _ = connection.send_end(&mut out).unwrap();
        assert!(!connection.is_ended_by_close(), "it is whole");
    }
}

// Errors of the caller

#[test]
fn fields_of_the_connection_are_refused() {
    let mut connection = asked(GET);
    let mut out = Vec::new();
    let mut fields = connection
        .send_head(StatusCode::OK, Sized(0), &mut out)
        .unwrap();
    let value = HeaderValue::from_static("1");
    let mut encoded = EncodedFields::new();
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TRAILER,
        header::TE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        assert_eq!(fields.field(&name, &value), Err(SendError::ReservedField));
        assert_eq!(
            fields.field_bytes(&name, b"1"),
            Err(SendError::ReservedField)
        );
        assert_eq!(encoded.push(&name, &value), Err(SendError::ReservedField));
    }
    drop(fields);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn a_value_never_becomes_a_field_of_its_own() {
    let mut connection = asked(GET);
    let mut out = Vec::new();
    let mut fields = connection
        .send_head(StatusCode::OK, Sized(0), &mut out)
        .unwrap();
    let name = HeaderName::from_static("x-request-id");
    for value in [
        &b"a\r\nb: c"[..],
        b"a\nb",
        b"a\rb",
        b"a\0",
        b"a\x7f",
        b"\x1b[0m",
    ] {
        assert_eq!(fields.field_bytes(&name, value), Err(SendError::FieldValue));
    }
    fields.field_bytes(&name, b"a\tb\xff").unwrap();
    fields.finish();
    assert_eq!(
        out,
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: a\tb\xff\r\n\r\n"
    );
}

#[test]
fn encoded_fields_are_copied_as_they_are() {
    let mut encoded = EncodedFields::new();
    encoded
        .push(&header::DATE, &HeaderValue::from_static("x"))
        .unwrap();
    encoded.clear();
    encoded
        .push(&header::DATE, &HeaderValue::from_static("now"))
        .unwrap();
    encoded
        .push(&header::SERVER, &HeaderValue::from_static("monoloop"))
        .unwrap();
    let mut connection = asked(GET);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Sized(0), &mut out)
        .unwrap()
        .encoded(&encoded);
    assert_eq!(
        out,
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: now\r\nserver: monoloop\r\n\r\n"
    );
}

#[test]
fn bodies_keep_to_their_announced_length() {
    let mut connection = asked(GET);
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, Sized(3), &mut out)
        .unwrap()
        .finish();
    let len = out.len();
    assert_eq!(
        connection.send_body(b"four", &mut out),
        Err(SendError::BodyTooLong { excess: 1 })
    );
    connection.send_body(b"tw", &mut out).unwrap();
    assert_eq!(
        connection.send_end(&mut out),
        Err(SendError::BodyTooShort { missing: 1 })
    );
    connection.send_body(b"o", &mut out).unwrap();
    assert_eq!(connection.send_end(&mut out), Ok(KeepAlive));
    assert_eq!(&out[len..], b"two");
}

#[test]
fn a_response_is_sent_in_its_order() {
    let mut out = Vec::new();
    let mut connection = Connection::new(Rc::new(Limits::default()));
    let head = |connection: &mut Connection, out: &mut Vec<u8>| {
        connection
            .send_head(StatusCode::OK, Sized(0), out)
            .map(drop)
    };
    assert_eq!(
        head(&mut connection, &mut out),
        Err(SendError::NothingToAnswer)
    );
    assert_eq!(
        connection.send_body(b"", &mut out),
        Err(SendError::NothingToAnswer)
    );
    assert_eq!(
        connection.send_end(&mut out),
        Err(SendError::NothingToAnswer)
    );
    assert_eq!(out, b"");

    let mut connection = asked(GET);
    assert_eq!(
        connection.send_body(b"", &mut out),
        Err(SendError::HeadMissing)
    );
    assert_eq!(connection.send_end(&mut out), Err(SendError::HeadMissing));
    assert_eq!(head(&mut connection, &mut out), Ok(()));
    assert_eq!(
        head(&mut connection, &mut out),
        Err(SendError::HeadAlreadySent)
    );
    assert_eq!(connection.send_end(&mut out), Ok(KeepAlive));
    assert_eq!(
        connection.send_end(&mut out),
        Err(SendError::NothingToAnswer)
    );
}

#[test]
fn statuses_that_are_not_final_are_refused() {
    let status = |request: &str, status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        asked(request)
            .send_head(status, Sized(0), &mut Vec::new())
            .map(drop)
            .err()
    };
    for informational in [100, 101, 103, 199, 600, 999] {
        let code = StatusCode::from_u16(informational).unwrap();
        assert_eq!(
            status(GET, informational),
            Some(SendError::UnsupportedStatus(code))
        );
    }
    let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    assert_eq!(
        status(connect, 200),
        Some(SendError::UnsupportedStatus(StatusCode::OK))
    );
    assert_eq!(status(connect, 405), None);
}
