//! Requests that ask for another protocol, and what becomes of the connection.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::rc::Rc;

use http::header::{HeaderName, UPGRADE};
use http::{HeaderValue, StatusCode};
use monoloop_proto::http1::{
    AfterResponse, Connection, Event, RequestHead, ResponseLength, SendError,
};

const ASKS: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                    Upgrade: websocket\r\n\r\n";

fn echo() -> HeaderValue {
    HeaderValue::from_static("echo")
}

fn connection() -> Connection {
    Connection::new(Rc::default())
}

/// The protocols that a request asks for.
fn asked(request: &str) -> Vec<String> {
    let mut connection = connection();
    let mut head = RequestHead::new();
    connection
        .receive_request(request.as_bytes(), &mut head)
        .unwrap();
    let asked: Vec<_> = head
        .upgrades()
        .map(|protocol| String::from_utf8(protocol.to_vec()).unwrap())
        .collect();
    assert_eq!(head.asks_upgrade(), !asked.is_empty());
    asked
}

#[test]
fn protocols_are_those_of_all_upgrade_fields() {
    assert_eq!(asked(ASKS), ["websocket"]);
    assert_eq!(
        asked(
            "GET / HTTP/1.1\r\nHost: a\r\nupgrade: a/1 ,\tb,\r\nCONNECTION: uPGRADE\r\nUpgrade: c\r\nContent-Length: 0\r\n\r\n"
        ),
        ["a/1", "b", "c"]
    );
}

#[test]
fn an_upgrade_is_for_a_get_of_http_1_1_without_a_body_and_with_its_option() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgraded\r\n\r\n",
        "GET / HTTP/1.0\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(asked(request).is_empty(), "{request:?}");
        let mut connection = connection();
        connection.receive(request.as_bytes());
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        let mut out = Vec::new();
        let refused = connection.send_upgrade(&echo(), &mut out).map(drop);
        assert_eq!(refused, Err(SendError::UpgradeNotAsked), "{request:?}");
        assert!(out.is_empty());
        assert!(connection.awaits_head(), "it can still be answered");
    }
}

#[test]
fn a_head_that_is_used_again_does_not_ask_for_what_the_one_before_did() {
    let mut connection = connection();
    let mut head = RequestHead::new();
    assert!(
        connection
            .receive_request(ASKS.as_bytes(), &mut head)
            .is_some()
    );
    assert!(head.asks_upgrade());
    answer(&mut connection);
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(connection.receive_request(plain, &mut head).is_some());
    assert!(!head.asks_upgrade());
}

fn answer(connection: &mut Connection) -> String {
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, ResponseLength::Sized(0), &mut out)
        .unwrap()
        .finish();
    assert_eq!(connection.send_end(&mut out), Ok(AfterResponse::KeepAlive));
    String::from_utf8(out).unwrap()
}

#[test]
fn an_upgrade_that_nobody_wants_is_answered_as_plain_http() {
    let mut connection = connection();
    connection.receive(ASKS.as_bytes());
    connection.receive(ASKS.as_bytes());
    for _ in 0..2 {
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        assert_eq!(
            answer(&mut connection),
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        );
    }
}

#[test]
fn what_follows_an_upgrade_is_in_the_other_protocol_however_it_came() {
    // Behind the head, received before the answer, and received after it.
    for (with_head, before, after) in [
        ("GET / HTTP", "/1.1\r\n\r\n", "\r\n\0\n"),
        ("", "", "after"),
        ("", "before", ""),
        ("with", "", ""),
    ] {
        for is_quick in [true, false] {
            let mut connection = connection();
            let mut head = RequestHead::new();
            if is_quick {
                let len = connection.receive_request(ASKS.as_bytes(), &mut head);
                assert_eq!(len, Some(ASKS.len()));
                connection.receive(with_head.as_bytes());
            } else {
                connection.receive(format!("{ASKS}{with_head}").as_bytes());
                assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
                // The end of the message has not been asked for.
            }
            connection.receive(before.as_bytes());
            assert_eq!(connection.take_buffered(), "", "it is HTTP still");

            let mut out = Vec::new();
            let mut fields = connection.send_upgrade(&echo(), &mut out).unwrap();
            let name = HeaderName::from_static("sec-websocket-accept");
            fields.field(&name, &HeaderValue::from_static("x")).unwrap();
            fields.finish();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\
                 sec-websocket-accept: x\r\n\r\n"
            );
            connection.receive(after.as_bytes());
            assert!(connection.is_upgraded() && !connection.is_idle());
            let expected = format!("{with_head}{before}{after}");
            assert!(matches!(connection.next_event(), Ok(Event::Closed)));
            assert_eq!(connection.receive_request(ASKS.as_bytes(), &mut head), None);
            assert!(!connection.take_request(&mut head));
            assert_eq!(connection.take_buffered(), expected);
            assert_eq!(connection.take_buffered(), "");
        }
    }
}

#[test]
fn an_upgraded_connection_answers_no_more() {
    let mut connection = connection();
    connection.receive(ASKS.as_bytes());
    assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
    assert!(matches!(
        connection.next_event(),
        Ok(Event::EndOfMessage(None))
    ));
    let mut out = Vec::new();
    connection.send_upgrade(&echo(), &mut out).unwrap().finish();
    assert!(!connection.awaits_head());
    let head = connection
        .send_head(StatusCode::OK, ResponseLength::Sized(0), &mut out)
        .map(drop);
    assert_eq!(head, Err(SendError::NothingToAnswer));
    let again = connection.send_upgrade(&echo(), &mut out).map(drop);
    assert_eq!(again, Err(SendError::NothingToAnswer));
    assert_eq!(
        connection.send_end(&mut out),
        Err(SendError::NothingToAnswer)
    );
}

#[test]
fn a_response_that_has_begun_is_not_upgraded() {
    let mut connection = connection();
    connection.receive(ASKS.as_bytes());
    assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
    let mut out = Vec::new();
    connection
        .send_head(StatusCode::OK, ResponseLength::Chunked, &mut out)
        .unwrap()
        .finish();
    let upgrade = connection.send_upgrade(&echo(), &mut out).map(drop);
    assert_eq!(upgrade, Err(SendError::HeadAlreadySent));
}

#[test]
fn an_upgrade_field_comes_with_its_connection_option() {
    let mut connection = connection();
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
    let mut out = Vec::new();
    connection
        .send_head(
            StatusCode::UPGRADE_REQUIRED,
            ResponseLength::Sized(0),
            &mut out,
        )
        .unwrap()
        .field(&UPGRADE, &HeaderValue::from_static("websocket"))
        .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n\r\n"
    );
}
