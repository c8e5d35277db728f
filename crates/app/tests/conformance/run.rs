//! Sends what a case has, and compares what comes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use monoloop::net::TcpStream;
use monoloop::{BodyError, Method, Request, Router, time};

use crate::answers::{Answers, assert_answers};
use crate::server_common::{quiet, serve, turns};

/// What is asked for behind a case, to see whether the connection is kept.
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A head or a body longer than this is sent in pieces of a few bytes rather than of one.
const BYTE_BY_BYTE_MAX: usize = 600;

/// What is sent, and what has to come back: statuses in their order, each perhaps with `=` and the
/// body, or with `head` where there must be none, and what becomes of the connection: `kept`,
/// `closed`, or `waits` for the rest of something.
pub(crate) struct Case {
    pub(crate) name: String,
    bytes: Vec<u8>,
    expected: &'static str,
}

/// What stands where the table says, and what comes back.
type Row = (&'static [u8], &'static str);

/// A name, all that is sent, and what comes back.
type NamedRow = (&'static str, &'static [u8], &'static str);

impl Case {
    pub(crate) fn new(name: String, bytes: Vec<u8>, expected: &'static str) -> Self {
        Case {
            name,
            bytes,
            expected,
        }
    }

    fn around(before: &[u8], &(row, expected): &Row, behind: &[u8]) -> Self {
        let bytes = [before, row, behind].concat();
        Case::new(row.escape_ascii().to_string(), bytes, expected)
    }
}

/// A request line with a `Host` behind it.
pub(crate) fn in_line(rows: &[Row]) -> Vec<Case> {
    let case = |row| Case::around(b"", row, b"\r\nHost: a\r\n\r\n");
    rows.iter().map(case).collect()
}

/// The value of `Host`, with the space before it.
pub(crate) fn in_host(rows: &[Row]) -> Vec<Case> {
    let case = |row| Case::around(b"GET / HTTP/1.1\r\nHost:", row, b"\r\n\r\n");
    rows.iter().map(case).collect()
}

/// The fields behind `Host`.
pub(crate) fn in_field(rows: &[Row]) -> Vec<Case> {
    let case = |row| Case::around(b"GET / HTTP/1.1\r\nHost: a\r\n", row, b"\r\n\r\n");
    rows.iter().map(case).collect()
}

/// The value of `Content-Length`, with the space before it, of a POST that is echoed.
pub(crate) fn in_length(rows: &[Row]) -> Vec<Case> {
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:";
    let case = |row| Case::around(head, row, b"\r\n\r\nhello");
    rows.iter().map(case).collect()
}

/// The value of `Transfer-Encoding`, with the space before it, of a POST that is echoed.
pub(crate) fn in_coding(rows: &[Row]) -> Vec<Case> {
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:";
    let case = |row| Case::around(head, row, b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    rows.iter().map(case).collect()
}

/// The body of a chunked POST that is echoed.
pub(crate) fn in_chunked(rows: &[Row]) -> Vec<Case> {
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let case = |row| Case::around(head, row, b"");
    rows.iter().map(case).collect()
}

/// The trailers behind a body of five bytes.
pub(crate) fn in_trailer(rows: &[Row]) -> Vec<Case> {
    let head =
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    let case = |row| Case::around(head, row, b"\r\n\r\n");
    rows.iter().map(case).collect()
}

/// All that is sent.
pub(crate) fn in_request(rows: &[NamedRow]) -> Vec<Case> {
    let case =
        |&(name, bytes, expected): &NamedRow| Case::new(name.to_owned(), bytes.to_vec(), expected);
    rows.iter().map(case).collect()
}

async fn echo(request: Request) -> Result<Bytes, BodyError> {
    request.into_bytes().await
}

/// What the server took the target for.
async fn see(request: Request) -> String {
    let head = request.head();
    let authority = head.authority().unwrap_or("-");
    format!(
        "{authority}|{}|{}",
        head.path(),
        head.query().unwrap_or("-")
    )
}

fn app() -> Router {
    let mut router = Router::new()
        .get("/probe", |_| async { "probe" })
        .get("/see", see)
        .post("/ignore", |_| async { "ignored" })
        .get("/only-get", |_| async { "ok" });
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        router = router
            .route(method.clone(), "/", |_| async { "ok" })
            .route(method, "/echo", echo);
    }
    router
}

/// Has each case sent at once and in pieces.
pub(crate) fn check(cases: &[Case]) {
    serve(app, async |site| {
        for case in cases {
            let small = match case.bytes.len() {
                ..=BYTE_BY_BYTE_MAX => 1,
                _ => 997,
            };
            for piece_bytes in [case.bytes.len().max(1), small] {
                let began = time::now();
                let answers = answers_to(case, piece_bytes, site.address).await;
                // Not by a timeout, which would not tell a close from patience.
                assert!(
                    time::now() - began < Duration::from_secs(1),
                    "{}: it takes a timeout",
                    case.name
                );
                let how = format!(
                    "{} ({}), {piece_bytes} bytes at a time",
                    case.name,
                    case.bytes.escape_ascii()
                );
                assert_answers(&answers, case.expected, &how);
            }
        }
    });
}

async fn answers_to(case: &Case, piece_bytes: usize, site: SocketAddr) -> Answers {
    let mut stream = TcpStream::connect(site).await.unwrap();
    let mut is_open = true;
    for piece in case.bytes.chunks(piece_bytes) {
        // The server may have said no already.
        is_open = is_open && stream.write_all(piece).await.is_ok();
        turns(2).await;
    }
    let waits = case.expected.ends_with("waits");
    if waits {
        quiet().await;
    } else if case.expected.ends_with("kept") {
        let _ = stream.write_all(PROBE).await;
    }
    let mut received = Vec::new();
    let closed = loop {
        if waits {
            let mut buffer = [0; 4096];
            let reading = time::timeout(Duration::from_millis(5), stream.read(&mut buffer));
            match reading.await {
                Err(_) => break false,
                Ok(Ok(0)) => break true,
                Ok(Ok(count)) => received.extend_from_slice(&buffer[..count]),
                Ok(Err(error)) => panic!("{}: {error}", case.name),
            }
            continue;
        }
        match stream.receive().await {
            Ok(chunk) if chunk.is_empty() => break true,
            Ok(chunk) => received.extend_from_slice(&chunk),
            // Who goes on sending behind an answer that was the last is told so by a reset: it was
            // heard, and there is nobody any more.
            Err(_) if piece_bytes < case.bytes.len() && case.expected.starts_with('2') => {
                break true;
            }
            Err(error) => panic!("{}: {error} behind {}", case.name, received.escape_ascii()),
        }
    };
    Answers { received, closed }
}
