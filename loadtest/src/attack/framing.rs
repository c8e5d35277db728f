//! Messages whose end is a matter of opinion, and chunks that are a burden.

use std::rc::Rc;

use crate::attack::arena::Arena;
use crate::attack::heads::refused;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// What every smuggled request asks for. An answer to it means that the server took for a request
/// what another one would have taken for a body.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// Fields, and what follows the head in front of the smuggled request. All of it is refused by
/// RFC 9112: sections 6.3 (length), 6.1 (transfer coding), 7.1 (chunks), 5 (field syntax), 2.2 (line ends).
const SHAPES: [(&str, &str, &str); 26] = [
    (
        "CL.TE",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE.CL",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "CL+CL",
        "Content-Length: 0\r\nContent-Length: 6\r\n\r\n",
        "",
    ),
    ("CL list", "Content-Length: 0, 6\r\n\r\n", ""),
    ("CL sign", "Content-Length: +0\r\n\r\n", ""),
    ("CL minus", "Content-Length: -1\r\n\r\n", ""),
    ("CL hex", "Content-Length: 0x0\r\n\r\n", ""),
    ("CL space", "Content-Length: 0 0\r\n\r\n", ""),
    ("CL empty", "Content-Length: \r\n\r\n", ""),
    (
        "CL overflow",
        "Content-Length: 18446744073709551616\r\n\r\n",
        "",
    ),
    ("CL name space", "Content-Length : 0\r\n\r\n", ""),
    (
        "TE name space",
        "Transfer-Encoding : chunked\r\n\r\n",
        "0\r\n\r\n",
    ),
    ("TE identity", "Transfer-Encoding: identity\r\n\r\n", ""),
    (
        "TE xchunked",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE twice",
        "Transfer-Encoding: chunked, chunked\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE not last",
        "Transfer-Encoding: chunked, gzip\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE vertical tab",
        "Transfer-Encoding:\x0bchunked\r\n\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE quoted",
        "Transfer-Encoding: \"chunked\"\r\n\r\n",
        "0\r\n\r\n",
    ),
    ("obs-fold", "X-Fold: a\r\n Content-Length: 6\r\n\r\n", ""),
    ("bare LF", "X-Bare: a\nContent-Length: 6\r\n\r\n", ""),
    ("bare CR", "X-Bare: a\rContent-Length: 6\r\n\r\n", ""),
    ("NUL", "X-Nul: a\0b\r\n\r\n", ""),
    ("two hosts", "Host: other\r\n\r\n", ""),
    (
        "chunk hex",
        "Transfer-Encoding: chunked\r\n\r\n",
        "0x0\r\n\r\n",
    ),
    (
        "chunk bare LF",
        "Transfer-Encoding: chunked\r\n\r\n",
        "0\n\r\n",
    ),
];

/// Requests inside of requests.
pub(crate) struct Smuggling;

impl Attack for Smuggling {
    fn name(&self) -> &'static str {
        "smuggling"
    }

    fn about(&self) -> &'static str {
        "hides a request behind ambiguous framing, in 26 shapes (Linhart 2005, Kettle 2019)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["parse_error"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.max(SHAPES.len());
        boxed(async move { arena.each(count, smuggle).await })
    }
}

async fn smuggle(arena: Rc<Arena>, number: usize) {
    let (shape, fields, body) = SHAPES[number % SHAPES.len()];
    let bytes = arena.head("POST", &arena.post_path, fields) + body + SMUGGLED;
    refused(&arena, number, shape, bytes.as_bytes(), &[400, 501]).await;
}

/// Bodies whose framing weighs more than they do.
pub(crate) struct ChunkBomb;

impl Attack for ChunkBomb {
    fn name(&self) -> &'static str {
        "chunk-bomb"
    }

    fn about(&self) -> &'static str {
        "sends chunk extensions, trailers and sizes without end, and chunks of one byte (CVE-2023-39326)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // Chunks of one byte are allowed, and end well.
        &["parse_error", "limit", "ok"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, chunk_bomb).await })
    }
}

async fn chunk_bomb(arena: Rc<Arena>, number: usize) {
    let head = arena.post("Transfer-Encoding: chunked\r\n");
    let (shape, body, statuses): (_, _, &[u16]) = match number % 6 {
        0 => (
            "extensions",
            "1;a=b\r\nx\r\n".repeat(20_000),
            &[400, 413, 431],
        ),
        1 => (
            "one extension",
            format!("1;a={}", "b".repeat(100_000)),
            &[400, 413, 431],
        ),
        2 => (
            "trailers",
            format!("0\r\n{}", "A: b\r\n".repeat(20_000)),
            &[400, 413, 431],
        ),
        3 => (
            "size overflow",
            "10000000000000000\r\nx".into(),
            &[400, 413],
        ),
        4 => ("huge size", "7fffffffffffffff\r\nx".into(), &[400, 413]),
        _ => return one_byte_chunks(&arena, number, &head).await,
    };
    let bytes = [&head[..], body.as_bytes()].concat();
    refused(&arena, number, shape, &bytes, statuses).await;
}

/// Allowed, and six bytes of framing to each: it has to be served like any other body.
async fn one_byte_chunks(arena: &Arena, number: usize, head: &[u8]) {
    const CHUNKS: usize = 10_000;
    let expected = Expected::new([Seen::Served(200)], 2 * arena.grace);
    let Some(mut peer) = arena.connect(number, "one byte").await else {
        return;
    };
    peer.send(head).await;
    peer.send("1\r\nx\r\n".repeat(CHUNKS).as_bytes()).await;
    peer.send(b"0\r\n\r\n").await;
    peer.start_clock();
    let seen = peer.observe_answers(1, 2 * arena.grace).await;
    arena.judge("one byte", seen, &peer, &expected);
}
