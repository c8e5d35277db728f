//! Requests that are served, and what of them the server sees.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::rc::Rc;

use http::Method;
use monoloop_proto::http1::{Connection, Event, Limits, RequestHead, Version};
use support::{check, check_to_eof};

#[test]
fn a_get_has_no_body() {
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / | end | idle");
}

#[test]
fn any_token_is_a_method() {
    check("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / | end | idle");
    check(
        "A-METHOD-THAT-IS-LONGER-THAN-ANY / HTTP/1.1\r\nHost: a\r\n\r\n",
        "A-METHOD-THAT-IS-LONGER-THAN-ANY / | end | idle",
    );
    check(
        "M!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "M!#$%&'*+-.^_`|~ / | end | idle",
    );
}

#[test]
fn a_sized_body_ends_at_its_length() {
    check(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello\r\n\r\nhi",
        r#"POST /a sized 11 | "hello\\r\\n\\r\\nhi" | end | idle"#,
    );
    check(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST /a sized 0 | end | idle",
    );
    check(
        "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nhi",
        r#"GET /a sized 2 | "hi" | end | idle"#,
    );
    check(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nhi",
        r#"POST /a sized 3 | "hi" | waiting"#,
    );
}

#[test]
fn repeated_equal_lengths_are_one() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2, 2\r\n\r\nhi",
        r#"POST / sized 2 | "hi" | end | idle"#,
    );
}

#[test]
fn a_chunked_body_ends_with_its_last_chunk() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00B\r\n, w\r\n0\r\n\r\n!\r\n0\r\n\r\n",
        r#"POST / chunked | "hello, w\\r\\n0\\r\\n\\r\\n!" | end | idle"#,
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
        "POST / chunked | end | idle",
    );
}

#[test]
fn a_chunk_size_may_begin_with_any_number_of_zeros() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         00000000000000000000000000000005\r\nhello\r\n0000000000000000000000\r\n\r\n",
        r#"POST / chunked | "hello" | end | idle"#,
    );
}

#[test]
fn chunk_extensions_are_passed_over() {
    check(
        concat!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1;a\r\nx\r\n",
            "1;a=b;c=\"d; \\\" \"\r\ny\r\n",
            "1 ; a = b\t;c\r\nz\r\n",
            "0;e=\"\"\r\n\r\n",
        ),
        r#"POST / chunked | "xyz" | end | idle"#,
    );
}

#[test]
fn trailers_come_with_the_end() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum:  1\r\nx-Sum:2\t\r\nEmpty:\r\n\r\n",
        r#"POST / chunked | "hi" | end x-sum=1 x-sum=2 empty= | idle"#,
    );
}

#[test]
fn trailers_that_frame_route_or_authenticate_are_dropped() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\
         Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: c\r\n\
         Cookie: d\r\nX-Forwarded-For: e\r\nConnection: close\r\nX-Request-Id: f\r\nKept: g\r\n\r\n",
        "POST / chunked | end kept=g | idle",
    );
}

#[test]
fn pipelined_requests_come_one_after_the_other() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
         POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n\
         HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n",
        r#"GET /1 | end | POST /2 sized 2 | "hi" | end | POST /3 chunked | "ho" | end | HEAD /4 | end | idle"#,
    );
}

#[test]
fn a_fault_behind_whole_requests_is_told_after_them() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
        "GET /1 | end | error HostMissing -> Some(400)",
    );
}

#[test]
fn nothing_is_received_behind_a_request_that_closes() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /1 close | end | closed",
    );
}

#[test]
fn http_1_0_is_kept_only_when_it_asks() {
    check("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close | end | closed");
    check(
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "GET / 1.0 | end | GET / 1.0 close | end | closed",
    );
    check(
        "POST / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive, close\r\n\r\nhi",
        r#"POST / 1.0 sized 2 close | "hi" | end | closed"#,
    );
}

#[test]
fn a_higher_minor_version_is_taken_for_the_highest_that_is_spoken() {
    for minor in 2..=9 {
        check(
            format!("GET /HTTP/1.{minor} HTTP/1.{minor}\r\nHost: a\r\nX: HTTP/1.{minor}\r\n\r\n"),
            &format!("GET /HTTP/1.{minor} | end | idle"),
        );
    }
    check(
        "POST / HTTP/1.2\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
         GET / HTTP/1.9\r\nHost: a\r\nConnection: close\r\n\r\n",
        r#"POST / chunked | "hi" | end | GET / close | end | closed"#,
    );
    let head = head("GET /a HTTP/1.2\r\nHost: b\r\nX: HTTP/1.2\r\n\r\n");
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.authority(), Some("b"));
    assert_eq!(head.header("x"), Some(&b"HTTP/1.2"[..]));
}

#[test]
fn empty_lines_before_a_request_are_nothing() {
    check(
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / | end | idle",
    );
    check("\r\n\r\n", "idle");
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n",
        r#"POST / sized 2 | "hi" | end | idle"#,
    );
}

#[test]
fn continue_is_expected_only_with_a_body_to_come() {
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
        r#"POST / sized 2 continue | "hi" | end | idle"#,
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        "POST / sized 0 | end | idle",
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET / | end | idle",
    );
}

#[test]
fn http_1_0_has_no_expectations() {
    check(
        "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        r#"POST / 1.0 sized 2 close | "hi" | end | closed"#,
    );
    check(
        "GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n",
        "GET / 1.0 close | end | closed",
    );
}

#[test]
fn any_valid_host_is_served() {
    for host in [
        "",
        "a",
        "a:80",
        "a:",
        "127.0.0.1:8080",
        "[::1]:80",
        "a%20b",
        ":80",
        "\t a \t",
    ] {
        check(
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "GET / | end | idle",
        );
    }
}

#[test]
fn all_four_target_forms_are_served() {
    for (method, target) in [
        ("GET", "/a/b?c=d&e"),
        ("GET", "http://example.com/a"),
        ("OPTIONS", "*"),
        ("OPTIONS", "/"),
    ] {
        check(
            format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &format!("{method} {target} | end | idle"),
        );
    }
    // What is behind it was perhaps meant for the tunnel.
    check(
        "CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT example.com:443 | end | closed",
    );
}

#[test]
fn values_may_hold_tabs_and_bytes_beyond_ascii() {
    check(
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb \xe9\xff\r\n\r\n",
        "GET / | end | idle",
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nBlank: \t \r\n\r\n",
        "GET / | end | idle",
    );
}

#[test]
fn eof_between_requests_is_a_clean_end() {
    check_to_eof("", "closed");
    check_to_eof("\r\n", "closed");
    check_to_eof("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / | end | closed");
}

#[test]
fn eof_within_a_request_is_an_error_nobody_waits_for() {
    check_to_eof("G", "error UnexpectedEof -> None");
    check_to_eof(
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "error UnexpectedEof -> None",
    );
    check_to_eof(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nhi",
        r#"POST / sized 3 | "hi" | error UnexpectedEof -> None"#,
    );
    check_to_eof(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        r#"POST / chunked | "hi" | error UnexpectedEof -> None"#,
    );
}

fn head(input: &str) -> RequestHead {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(input.as_bytes());
    match connection.next_event() {
        Ok(Event::Request(head)) => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_gives_its_parts() {
    let head = head(
        "PUT /a%20b/c?d=e?f HTTP/1.1\r\nhost:  example.com:80 \r\nX-Request-ID: r1\r\nAccept: a\r\naccept:b\r\n\r\n",
    );
    assert_eq!(head.method(), Method::PUT);
    assert_eq!(head.target(), "/a%20b/c?d=e?f");
    assert_eq!(head.path(), "/a%20b/c");
    assert_eq!(head.query(), Some("d=e?f"));
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.authority(), Some("example.com:80"));
    assert_eq!(head.request_id(), Some(&b"r1"[..]));
    assert_eq!(head.header("ACCEPT"), Some(&b"a"[..]));
    assert_eq!(head.header("missing"), None);
    let fields: Vec<_> = head.headers().map(|(name, _)| name).collect();
    assert_eq!(fields, ["host", "X-Request-ID", "Accept", "accept"]);

    let map = head.header_map();
    assert_eq!(map["host"], "example.com:80");
    assert_eq!(map.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(map.len(), 4);
}

#[test]
fn a_head_holds_any_number_of_fields() {
    for count in [0, 1, 15, 16, 17, 18, 100] {
        let lines: String = (0..count).map(|at| format!("X-{at}: {at}\r\n")).collect();
        let head = head(&format!("GET / HTTP/1.0\r\n{lines}\r\n"));
        assert_eq!(head.headers().len(), count);
        for (at, (name, value)) in head.headers().enumerate() {
            assert_eq!(name, format!("X-{at}"));
            assert_eq!(value, at.to_string().as_bytes());
            assert_eq!(head.header(name), Some(value));
        }
        assert_eq!(head.header_map().len(), count);
    }
}

#[test]
fn target_and_path_are_there_as_bytes_too() {
    for (line, target, path) in [
        ("GET /a?b", "/a?b", "/a"),
        ("GET http://a", "http://a", "/"),
        ("OPTIONS http://a", "http://a", "*"),
        ("CONNECT a:1", "a:1", ""),
    ] {
        let head = head(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((head.target(), head.path()), (target, path));
        assert_eq!(head.target_bytes(), target.as_bytes());
        assert_eq!(head.path_bytes(), path.as_bytes());
    }
}

#[test]
fn the_authority_of_an_absolute_target_overrides_host() {
    let of = |target: &str, method: &str| {
        let head = head(&format!(
            "{method} {target} HTTP/1.1\r\nHost: other\r\n\r\n"
        ));
        format!(
            "{} {} {}",
            head.authority().unwrap_or("-"),
            head.path(),
            head.query().unwrap_or("-")
        )
    };
    assert_eq!(
        of("http://example.com:81/a?b", "GET"),
        "example.com:81 /a b"
    );
    assert_eq!(of("HTTPS://[::1]?b", "GET"), "[::1] / b");
    assert_eq!(of("http://example.com", "GET"), "example.com / -");
    assert_eq!(of("http://example.com", "OPTIONS"), "example.com * -");
    assert_eq!(of("http://example.com/", "OPTIONS"), "example.com / -");
    assert_eq!(of("*", "OPTIONS"), "other * -");
    assert_eq!(of("example.com:443", "CONNECT"), "example.com:443  -");
    assert_eq!(of("/", "GET"), "other / -");
}

#[test]
fn http_1_0_may_come_without_a_host() {
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").authority(), None);
    assert_eq!(
        head("GET / HTTP/1.0\r\nHost:\r\n\r\n").authority(),
        Some("")
    );
}

#[test]
fn the_debug_form_of_a_head_keeps_its_fields_to_itself() {
    let head = head("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n");
    assert!(!format!("{head:?}").contains("secret"));
}
