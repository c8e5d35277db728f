//! Each limit at its default: what just fits, and one more (RFC 9112 §3, RFC 6585 §5, RFC 9110
//! §15.5.14).

use crate::run::Case;

const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn cases() -> Vec<Case> {
    let target = |len: usize| format!("/?{}", "a".repeat(len - 2));
    let line = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let fields = |count: usize| {
        let others = "x: y\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n")
    };
    let head = |len: usize| {
        let (before, behind) = ("GET / HTTP/1.1\r\nHost: a\r\nx: ", "\r\n\r\n");
        format!(
            "{before}{}{behind}",
            "y".repeat(len - before.len() - behind.len())
        )
    };
    let sized = |path: &str, len: usize| {
        let body = "x".repeat(len);
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{body}")
    };
    let chunked = |path: &str, chunks: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let chunks_of = |len: usize| {
        let half = len / 2;
        let rest = len - half;
        let (first, second) = ("x".repeat(half), "x".repeat(rest));
        format!("{half:x}\r\n{first}\r\n{rest:x}\r\n{second}\r\n0\r\n\r\n")
    };
    let extensions = |len: usize| {
        // Over two chunks and the last one.
        let first = format!(";{}", "a".repeat(len / 2 - 1));
        let second = format!(";{}", "a".repeat(len - len / 2 - 1));
        format!("1{first}\r\nx\r\n0{second}\r\n\r\n")
    };
    let trailers = |len: usize| format!("0\r\nx: {}\r\n\r\n", "y".repeat(len - 7));
    let trailer_count = |count: usize| format!("0\r\n{}\r\n", "x: y\r\n".repeat(count));

    let rows: Vec<(&str, String, &str)> = vec![
        ("a target of 8192 bytes", line(&target(8192)), "200=ok kept"),
        ("a target of 8193 bytes", line(&target(8193)), "414 closed"),
        ("a target of 9000 bytes", line(&target(9000)), "414 closed"),
        (
            "a target of 100000 bytes",
            line(&target(100_000)),
            "414 closed",
        ),
        (
            "a target without an end",
            format!("GET {}", target(9000)),
            "414 closed",
        ),
        (
            "a target of 8192 bytes in absolute form",
            line(&format!("http://a{}", target(8184))),
            "200=ok kept",
        ),
        (
            "a target of 8193 bytes in absolute form",
            line(&format!("http://a{}", target(8185))),
            "414 closed",
        ),
        (
            "a method of 54 bytes",
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(54)),
            "501 kept",
        ),
        (
            "a method of 9000 bytes",
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(9000)),
            "501 closed",
        ),
        ("a method without an end", "M".repeat(9000), "501 closed"),
        ("a head of 16384 bytes", head(HEAD_BYTES_MAX), "200=ok kept"),
        (
            "a head of 16385 bytes",
            head(HEAD_BYTES_MAX + 1),
            "431 closed",
        ),
        ("a head of 100000 bytes", head(100_000), "431 closed"),
        (
            "a field name of 20000 bytes",
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n",
                "x".repeat(20_000)
            ),
            "431 closed",
        ),
        (
            "a head without an end",
            head(100_000).trim_end().to_owned(),
            "431 closed",
        ),
        ("100 fields", fields(100), "200=ok kept"),
        ("101 fields", fields(101), "431 closed"),
        ("1000 fields", fields(1000), "431 closed"),
        (
            "a body of 1048576 bytes",
            sized("/ignore", BODY_BYTES_MAX),
            "200=ignored closed",
        ),
        (
            "a body of 65536 bytes that nobody reads",
            sized("/ignore", 65_536),
            "200=ignored kept",
        ),
        (
            "a body of 1048577 bytes",
            sized("/echo", BODY_BYTES_MAX + 1),
            "413 closed",
        ),
        (
            "an announced body of 1048577 bytes",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n".to_owned(),
            "413 closed",
        ),
        (
            "chunks of 1048577 bytes",
            chunked("/echo", &chunks_of(BODY_BYTES_MAX + 1)),
            "413 closed",
        ),
        (
            "1024 bytes of extensions",
            chunked("/echo", &extensions(1024)),
            "200=x kept",
        ),
        (
            "1025 bytes of extensions",
            chunked("/echo", &extensions(1025)),
            "400 closed",
        ),
        (
            "extensions without an end",
            chunked("/echo", &format!("1;{}", "a".repeat(5000))),
            "400 closed",
        ),
        (
            "zeros without an end",
            chunked("/echo", &"0".repeat(5000)),
            "400 closed",
        ),
        (
            "8192 bytes of trailers",
            chunked("/echo", &trailers(8192)),
            "200= kept",
        ),
        (
            "8193 bytes of trailers",
            chunked("/echo", &trailers(8193)),
            "431 closed",
        ),
        (
            "100 trailers",
            chunked("/echo", &trailer_count(100)),
            "200= kept",
        ),
        (
            "101 trailers",
            chunked("/echo", &trailer_count(101)),
            "431 closed",
        ),
    ];
    rows.into_iter()
        .map(|(name, bytes, expected)| Case::new(name.to_owned(), bytes.into_bytes(), expected))
        .collect()
}
