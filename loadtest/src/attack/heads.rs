//! Heads that are too much, or not what they seem.

use std::rc::Rc;

use crate::attack::arena::Arena;
use crate::attack::tally::{Expected, Seen};
use crate::attack::{Attack, Run, boxed};

/// One field, or a target, that is longer than anybody needs.
pub(crate) struct OversizeHead;

impl Attack for OversizeHead {
    fn name(&self) -> &'static str {
        "oversize-head"
    }

    fn about(&self) -> &'static str {
        "sends a field of 256 KiB, or one that never ends (RFC 6585 section 5: 431)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["limit"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, oversize).await })
    }
}

async fn oversize(arena: Rc<Arena>, number: usize) {
    let value = "a".repeat(256 * 1024);
    let (shape, fields) = match number % 3 {
        0 => ("one field", format!("X-Long: {value}\r\n\r\n")),
        1 => ("endless field", format!("X-Endless: {value}")),
        _ => ("long name", format!("X{value}: 1\r\n\r\n")),
    };
    let bytes = arena.head("GET", &arena.path, &fields);
    refused(&arena, number, shape, bytes.as_bytes(), &[431]).await;
}

/// Much that is small.
pub(crate) struct HeaderBomb;

impl Attack for HeaderBomb {
    fn name(&self) -> &'static str {
        "header-bomb"
    }

    fn about(&self) -> &'static str {
        "sends a thousand fields, names, ranges, empty lines, a long target (CVE-2011-3192 and kin)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["limit", "parse_error"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, bomb).await })
    }
}

async fn bomb(arena: Rc<Arena>, number: usize) {
    let (shape, bytes, statuses): (_, _, &[u16]) = match number % 6 {
        0 => {
            let fields: String = (0..1000).map(|n| format!("A{n}: b\r\n")).collect();
            let head = arena.head("GET", &arena.path, &fields) + "\r\n";
            ("many fields", head, &[431])
        }
        1 => {
            let fields = "a:\r\n".repeat(20_000);
            (
                "same field",
                arena.head("GET", &arena.path, &fields) + "\r\n",
                &[431],
            )
        }
        2 => {
            let ranges: String = (0..5000).map(|n| format!(",5-{n}")).collect();
            let fields = format!("Range: bytes=0-{ranges}\r\n\r\n");
            (
                "many ranges",
                arena.head("GET", &arena.path, &fields),
                &[431],
            )
        }
        3 => {
            let path = format!("/{}", "a".repeat(64 * 1024));
            ("long target", arena.head("GET", &path, "\r\n"), &[414, 431])
        }
        4 => ("empty lines", "\r\n".repeat(50_000), &[400, 431]),
        _ => {
            let method = "A".repeat(64 * 1024);
            (
                "long method",
                arena.head(&method, "/", "\r\n"),
                &[400, 414, 431, 501],
            )
        }
    };
    refused(&arena, number, shape, bytes.as_bytes(), statuses).await;
}

/// What is no HTTP at all.
pub(crate) struct Garbage;

impl Attack for Garbage {
    fn name(&self) -> &'static str {
        "garbage"
    }

    fn about(&self) -> &'static str {
        "speaks TLS, SSH, HTTP/2 or noise to the plain port"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // Noise without a line end is a line that is too long.
        &["parse_error", "limit"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        boxed(async move { arena.each(arena.connections, garbage).await })
    }
}

async fn garbage(arena: Rc<Arena>, number: usize) {
    // The beginning of a ClientHello (RFC 8446 section 4.1.2): record header, handshake header.
    const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x00\x01\x02\r\n\r\n";
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let (shape, bytes): (_, &[u8]) = match number % 4 {
        0 => ("tls", CLIENT_HELLO),
        1 => ("ssh", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        2 => ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        _ => ("noise", &noise),
    };
    refused(&arena, number, shape, bytes, &[400, 501, 505]).await;
}

/// Sends something that the server has to refuse at once, and to close behind.
pub(crate) async fn refused(
    arena: &Arena,
    number: usize,
    shape: &str,
    bytes: &[u8],
    statuses: &[u16],
) {
    let endings: Vec<Seen> = statuses
        .iter()
        .map(|status| Seen::Refused(*status))
        .collect();
    let expected = Expected::new(endings, arena.grace);
    let Some(mut peer) = arena.connect(number, shape).await else {
        return;
    };
    peer.send(bytes).await;
    let seen = peer.observe(2 * arena.grace).await;
    arena.judge(shape, seen, &peer, &expected);
}
