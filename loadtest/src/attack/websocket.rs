//! WebSockets: frames that are none, messages that never end, pings without end.

use std::io;
use std::rc::Rc;

use monoloop_runtime::net::TcpStream;
use monoloop_runtime::time;

use crate::attack::arena::Arena;
use crate::attack::peer::Peer;
use crate::attack::tally::{Expected, Seen};
use crate::attack::unread::{Filled, Flood, fill, limits, wait_deaf};
use crate::attack::{Attack, Run, boxed};

/// Each of these keeps a server as busy as a connection can.
const FLOODS_MAX: usize = 8;
/// Fragments of one write.
const FRAGMENTS_PER_WRITE: usize = 1000;
/// Pings of one write.
const PINGS_PER_WRITE: usize = 500;
/// The most that a ping carries (RFC 6455 section 5.5).
const PING_BYTES: u8 = 125;
/// More than a server says while it refuses a frame.
const ANSWER_BYTES_MAX: usize = 4096;

/// Frames that may not be, and the codes of the close that they are answered with (RFC 6455 sections 5 and
/// 7.4.1). A mask of zeros leaves the payload as it is.
const SHAPES: [(&str, &[u8], &[u16]); 13] = [
    ("unmasked", b"\x81\x02hi", &[1002]),
    ("reserved opcode", b"\x83\x80\0\0\0\0", &[1002]),
    ("reserved bit", b"\xc1\x82\0\0\0\0hi", &[1002]),
    ("fragmented ping", b"\x09\x80\0\0\0\0", &[1002]),
    ("long ping", b"\x89\xfe\x00\x7e\0\0\0\0", &[1002]),
    ("continues nothing", b"\x80\x82\0\0\0\0hi", &[1002]),
    (
        "text in a text",
        b"\x01\x81\0\0\0\0h\x81\x81\0\0\0\0i",
        &[1002],
    ),
    (
        "2^63 - 1 bytes",
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x",
        &[1009],
    ),
    (
        "2^64 - 1 bytes",
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x",
        &[1002, 1009],
    ),
    ("2 bytes in 16 bits", b"\x82\xfe\x00\x02\0\0\0\0hi", &[1002]),
    ("not UTF-8", b"\x81\x82\0\0\0\0\xff\xfe", &[1007]),
    ("close of a byte", b"\x88\x81\0\0\0\0x", &[1002]),
    ("close with 1005", b"\x88\x82\0\0\0\0\x03\xed", &[1002]),
];

/// Frames that are none.
pub(crate) struct BrokenFrames;

impl Attack for BrokenFrames {
    fn name(&self) -> &'static str {
        "ws-broken-frames"
    }

    fn about(&self) -> &'static str {
        "opens a WebSocket and sends frames that may not be, or lengths beyond all bounds (RFC 6455)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        // A close is agreed to as a close, also where its code may not be.
        &["parse_error", "limit", "upgraded"]
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.max(SHAPES.len());
        boxed(async move { arena.each(count, broken_frame).await })
    }
}

async fn broken_frame(arena: Rc<Arena>, number: usize) {
    let (shape, frames, codes) = SHAPES[number % SHAPES.len()];
    let expected = Expected::new(
        codes.iter().copied().map(Seen::Refused).collect::<Vec<_>>(),
        arena.grace,
    );
    let Some(mut stream) = open(&arena, number, shape).await else {
        return;
    };
    let since = time::now_precise();
    let talk = async {
        stream.write_all(frames).await?;
        close_code(&mut stream).await
    };
    let seen = match time::timeout(2 * arena.grace, talk).await {
        Ok(Ok(Some(code))) => Seen::Refused(code),
        Ok(Ok(None)) => Seen::Closed,
        Ok(Err(_)) => Seen::Reset,
        Err(_) => Seen::Open,
    };
    let after = time::now_precise().saturating_duration_since(since);
    arena.record(shape, seen, after, &expected);
}

/// The code of the close that comes before the end of the connection, if one does.
async fn close_code(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let mut came = Vec::new();
    loop {
        let chunk = match stream.receive().await {
            Ok(chunk) => chunk,
            // It may overtake what was said before.
            Err(_) if code_of(&came).is_some() => return Ok(code_of(&came)),
            Err(error) => return Err(error),
        };
        if chunk.is_empty() || came.len() > ANSWER_BYTES_MAX {
            return Ok(code_of(&came));
        }
        came.extend_from_slice(&chunk);
    }
}

/// The code of a close frame.
fn code_of(frame: &[u8]) -> Option<u16> {
    match frame {
        [0x88, 2..=125, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// A message in fragments without end.
pub(crate) struct Fragments;

impl Attack for Fragments {
    fn name(&self) -> &'static str {
        "ws-fragments"
    }

    fn about(&self) -> &'static str {
        "sends a WebSocket message in empty fragments, as fast as they are taken, and never its end"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["client_closed", "limit"]
    }

    fn saturates(&self) -> bool {
        true
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(FLOODS_MAX);
        boxed(async move { arena.each(count, fragments).await })
    }
}

async fn fragments(arena: Rc<Arena>, number: usize) {
    // Fragments cost nothing to hold: that they are borne is as good as that they are refused.
    let expected = Expected::new([Seen::Left, Seen::Reset], arena.duration + arena.grace);
    let Some(mut stream) = open(&arena, number, "fragments").await else {
        return;
    };
    let since = time::now_precise();
    let until = time::now() + arena.duration;
    let empty = b"\x00\x80\0\0\0\0".repeat(FRAGMENTS_PER_WRITE);
    let mut sent = stream.write_all(b"\x01\x81\0\0\0\0h").await;
    while sent.is_ok() && time::now() < until && !arena.is_interrupted.get() {
        sent = stream.write_all(&empty).await;
    }
    let seen = match sent {
        Ok(()) => Seen::Left,
        Err(_) => Seen::Reset,
    };
    let after = time::now_precise().saturating_duration_since(since);
    arena.record("fragments", seen, after, &expected);
    Peer::new(stream).reset();
}

/// Pings whose pongs nobody takes.
pub(crate) struct PingFlood;

impl Attack for PingFlood {
    fn name(&self) -> &'static str {
        "ws-ping-flood"
    }

    fn about(&self) -> &'static str {
        "pings a WebSocket again and again and reads no pong (CVE-2019-9512, on WebSockets)"
    }

    fn ends_in(&self) -> &'static [&'static str] {
        &["write_timeout", "too_slow"]
    }

    fn saturates(&self) -> bool {
        true
    }

    fn run(&self, arena: Rc<Arena>) -> Run<'_> {
        let count = arena.connections.min(FLOODS_MAX);
        boxed(async move { arena.each(count, ping_flood).await })
    }
}

async fn ping_flood(arena: Rc<Arena>, number: usize) {
    let (limit, expected) = limits(&arena);
    let Some(stream) = open(&arena, number, "pings").await else {
        return;
    };
    let mut peer = Peer::new(stream);
    let mut ping = vec![0x89, 0x80 | PING_BYTES, 0, 0, 0, 0];
    ping.resize(ping.len() + usize::from(PING_BYTES), b'x');
    let mut pings = Flood::of(ping.repeat(PINGS_PER_WRITE));
    let seen = match fill(&arena, &mut peer, &mut pings).await {
        Filled::Gone => Seen::Reset,
        Filled::Stuck => wait_deaf(&mut peer, &mut pings, limit).await,
    };
    arena.judge("pings", seen, &peer, &expected);
}

/// Opens a WebSocket; that it cannot is in the book.
async fn open(arena: &Arena, number: usize, shape: &str) -> Option<TcpStream> {
    /// The nonce of RFC 6455 section 1.3.
    const FIELDS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    let expected = Expected::new([], arena.grace);
    let Some(mut stream) = arena.try_connect(number).await else {
        arena.record(shape, Seen::NotConnected, arena.grace, &expected);
        return None;
    };
    let request = arena.head("GET", &arena.ws_path, FIELDS);
    let talk = async {
        stream.write_all(request.as_bytes()).await?;
        status(&mut stream).await
    };
    let seen = match time::timeout(2 * arena.grace, talk).await {
        Ok(Ok(Some(101))) => return Some(stream),
        Ok(Ok(Some(status))) => Seen::Refused(status),
        Ok(Ok(None)) => Seen::Garbled,
        Ok(Err(_)) => Seen::Reset,
        Err(_) => Seen::Open,
    };
    arena.record(shape, seen, arena.grace, &expected);
    None
}

/// The status of an answer without a body.
async fn status(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < ANSWER_BYTES_MAX {
        let chunk = stream.receive().await?;
        if chunk.is_empty() {
            break;
        }
        head.extend_from_slice(&chunk);
        // The body of a refusal is of no interest.
        if !head.starts_with(b"HTTP/1.1 101") {
            break;
        }
    }
    let digits = head.get(9..12).and_then(|it| std::str::from_utf8(it).ok());
    Ok(digits.and_then(|it| it.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_a_close_and_of_nothing_else() {
        assert_eq!(code_of(b"\x88\x02\x03\xea"), Some(1002));
        assert_eq!(code_of(b"\x88\x05\x03\xf1bad"), Some(1009));
        for frame in [&b"\x88\x00"[..], b"\x82\x02\x03\xea", b"\x88\x02\x03", b""] {
            assert_eq!(code_of(frame), None, "{frame:?}");
        }
    }
}
