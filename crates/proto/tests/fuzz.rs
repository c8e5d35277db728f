//! What holds whatever is received. Under `cargo test` each target replays its corpus, beside this
//! file under `__fuzz__`, and a thousand random inputs. `.ci/fuzz 600 connection` runs one for ten
//! minutes, led by coverage, and `.ci/fuzz` all of them for a minute each.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::rc::Rc;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use monoloop_proto::http1::{
    AtEof, BodyLength, Connection, Decoded, Event, Limits, RequestHead, ResponseLength, Responses,
    encode_request,
};
use support::transcript;

/// Small, so that short inputs run into each of them.
fn small() -> Limits {
    Limits {
        target_bytes_max: 40,
        head_bytes_max: 200,
        header_count_max: 6,
        body_bytes_max: 60,
        chunk_extension_bytes_max: 10,
        trailer_bytes_max: 40,
        empty_lines_max: 1,
        discard_bytes_max: 20,
        informational_count_max: 2,
    }
}

/// Cuts the input where its first two bytes say, and over and over at the same lengths.
fn cut(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let [first, second, stream @ ..] = input else {
        return (Vec::new(), &[]);
    };
    let lengths = [usize::from(first % 32) + 1, usize::from(second % 7) + 1];
    let (mut rest, mut pieces) = (stream, Vec::new());
    for len in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*len).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    (pieces, stream)
}

/// The first request of a stream that is there at once, and the events behind it.
fn receive(input: &[u8]) -> Option<(RequestHead, Connection)> {
    let mut connection = Connection::new(Rc::default());
    connection.receive(input);
    match connection.next_event() {
        Ok(Event::Request(head)) => Some((head, connection)),
        Ok(Event::NeedData | Event::Closed) | Err(_) => None,
        Ok(other) => panic!("{other:?} before a request"),
    }
}

fn is_value(value: &[u8]) -> bool {
    HeaderValue::from_bytes(value).is_ok()
}

/// A head is the same however it is received, and in pieces, and it means what it says.
#[test]
fn request_head() {
    bolero::check!(name = "request_head").for_each(|input: &[u8]| {
        let limits = Rc::new(Limits::default());
        let whole = transcript(&limits, std::iter::once(input), false);
        assert_eq!(transcript(&limits, input.chunks(1), false), whole);
        assert_eq!(transcript(&limits, input.chunks(7), false), whole);

        let Some((head, _)) = receive(input) else {
            return;
        };
        // Written out again it is the same request.
        let mut again = format!("{} {} HTTP/1.1\r\n", head.method(), head.target()).into_bytes();
        for (name, value) in head.headers() {
            assert!(HeaderName::from_bytes(name.as_bytes()).is_ok());
            assert!(is_value(value) && value.trim_ascii() == value);
            again.extend_from_slice(&[name.as_bytes(), b":", value, b"\r\n"].concat());
        }
        if head.header("host").is_none() {
            again.extend_from_slice(b"Host:\r\n");
        }
        again.extend_from_slice(b"\r\n");
        if matches!(head.version(), monoloop_proto::http1::Version::Http10)
            && head.header("expect").is_some()
        {
            return;
        }
        let (same, _) = receive(&again).expect("it was accepted before");
        assert_eq!(same.method(), head.method());
        assert_eq!(
            (same.target(), same.path(), same.query(), same.body()),
            (head.target(), head.path(), head.query(), head.body())
        );
        assert!(same.header_map().len() >= head.header_map().len());
    });
}

/// What frames a body is there once, and as the grammar has it.
#[test]
fn framing() {
    bolero::check!(name = "framing").for_each(|input: &[u8]| {
        let stream = [b"POST / HTTP/1.1\r\nHost: a\r\n", input, b"\r\n\r\n"].concat();
        let Some((head, _)) = receive(&stream) else {
            return;
        };
        let all = |wanted: &str| -> Vec<Vec<u8>> {
            head.headers()
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_vec())
                .collect()
        };
        let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
        match head.body() {
            BodyLength::None => assert!(lengths.is_empty() && codings.is_empty()),
            BodyLength::Chunked => {
                assert!(lengths.is_empty());
                assert!(matches!(&codings[..], [one] if one.eq_ignore_ascii_case(b"chunked")));
            }
            BodyLength::Sized(length) => {
                assert!(codings.is_empty() && length <= Limits::default().body_bytes_max);
                for element in lengths
                    .iter()
                    .flat_map(|value| value.split(|&byte| byte == b','))
                {
                    let digits = element.trim_ascii();
                    assert!(digits.iter().all(u8::is_ascii_digit));
                    let number = std::str::from_utf8(digits).unwrap().parse();
                    assert_eq!(number, Ok(length));
                }
            }
        }
    });
}

/// A chunked body is the same in pieces, and, sent again in one chunk, the same again.
#[test]
fn chunked() {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    fn body(chunks: &[u8]) -> Option<Vec<u8>> {
        let (_, mut connection) = receive(&[HEAD, chunks].concat()).unwrap();
        let mut body = Vec::new();
        loop {
            match connection.next_event() {
                Ok(Event::Body(piece)) => body.extend_from_slice(&piece),
                Ok(Event::EndOfMessage(_)) => return Some(body),
                _ => return None,
            }
        }
    }
    bolero::check!(name = "chunked").for_each(|input: &[u8]| {
        let (pieces, stream) = cut(input);
        let limits = Rc::new(small());
        let whole = [HEAD, stream].into_iter();
        let in_pieces = std::iter::once(HEAD).chain(pieces.iter().copied());
        assert_eq!(
            transcript(&limits, in_pieces, true),
            transcript(&limits, whole, true)
        );
        let Some(decoded) = body(stream) else { return };
        let mut again = Vec::new();
        if !decoded.is_empty() {
            again = format!("{:x}\r\n", decoded.len()).into_bytes();
            again.extend_from_slice(&decoded);
            again.extend_from_slice(b"\r\n");
        }
        again.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(body(&again), Some(decoded));
    });
}

/// Trailers are fields that decide nothing.
#[test]
fn trailers() {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    bolero::check!(name = "trailers").for_each(|input: &[u8]| {
        let stream = [HEAD, input, b"\r\n\r\n"].concat();
        let limits = Rc::new(Limits::default());
        let whole = transcript(&limits, std::iter::once(&stream[..]), false);
        assert_eq!(transcript(&limits, stream.chunks(1), false), whole);

        let (_, mut connection) = receive(&stream).unwrap();
        let Ok(Event::EndOfMessage(Some(trailers))) = connection.next_event() else {
            return;
        };
        for (name, value) in trailers.iter() {
            assert!(is_value(value.as_bytes()));
            for decides in [
                "content-length",
                "transfer-encoding",
                "host",
                "connection",
                "expect",
                "authorization",
                "cookie",
                "x-request-id",
            ] {
                assert_ne!(name, decides);
            }
        }
    });
}

/// A target and a host are of their grammar, and mean the same wherever they stand.
#[test]
fn target_and_host() {
    bolero::check!(name = "target_and_host").for_each(|input: &[u8]| {
        let line = [b"GET ", input, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        if let Some((head, _)) = receive(&line)
            && head.target_bytes() == input
        {
            let (path, query) = (head.path(), head.query());
            assert!(path.starts_with('/'));
            assert!(
                path.bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>?".contains(&byte))
            );
            for (at, _) in path.match_indices('%') {
                let digits = &path.as_bytes()[at + 1..at + 3];
                assert!(digits.iter().all(u8::is_ascii_hexdigit));
            }
            if input.starts_with(b"/") {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                assert_eq!(format!("{path}{query}").as_bytes(), input);
                assert_eq!(head.authority(), Some("a"));
                // And a client may ask for it.
                let mut out = Vec::new();
                encode_request(&Method::GET, head.target(), "a", &[], b"", &mut out).unwrap();
                assert_eq!(receive(&out).unwrap().0.target(), head.target());
            } else {
                let authority = head.authority().unwrap();
                let host = format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n");
                assert_eq!(
                    receive(host.as_bytes()).unwrap().0.authority(),
                    Some(authority)
                );
            }
        }
        let line = [b"GET / HTTP/1.1\r\nHost:", input, b"\r\n\r\n"].concat();
        if let Some((head, _)) = receive(&line)
            && !input.contains(&b'\n')
        {
            let authority = head.authority().unwrap();
            assert_eq!(authority.as_bytes(), input.trim_ascii());
            assert!(
                authority
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"/@?#\\".contains(&byte))
            );
            if !authority.is_empty() && !authority.starts_with(':') {
                let absolute = format!("GET http://{authority}/ HTTP/1.1\r\nHost:\r\n\r\n");
                assert_eq!(
                    receive(absolute.as_bytes()).unwrap().0.authority(),
                    Some(authority)
                );
            }
        }
    });
}

/// A server's side takes any stream alike in pieces and whole, holds no more than it may, and what it
/// writes is what a client reads.
#[test]
fn connection() {
    bolero::check!(name = "connection").for_each(|input: &[u8]| {
        let (pieces, stream) = cut(input);
        let limits = Rc::new(small());
        assert_eq!(
            transcript(&limits, pieces.iter().copied(), true),
            transcript(&limits, std::iter::once(stream), true)
        );

        let held_max = limits.head_bytes_max.max(limits.trailer_bytes_max) as usize;
        let mut connection = Connection::new(limits.clone());
        let mut responses = Responses::new(Rc::default());
        let (mut out, mut body, mut in_request) = (Vec::new(), 0, false);
        'pieces: for piece in pieces {
            connection.receive(piece);
            loop {
                let event = connection.next_event();
                if let Ok(Event::Request(head)) = &event {
                    (body, in_request) = (0, true);
                    responses.expect(head.method());
                }
                match event {
                    Ok(Event::NeedData) => break,
                    Ok(Event::Request(head)) if head.asks_upgrade() && stream.len() % 2 == 0 => {
                        let protocol = HeaderValue::from_static("x");
                        connection
                            .send_upgrade(&protocol, &mut Vec::new())
                            .unwrap()
                            .finish();
                        assert!(connection.is_upgraded());
                        return;
                    }
                    Ok(Event::Request(_) | Event::EndOfMessage(_)) => {}
                    Ok(Event::Body(data)) => body += data.len() as u64,
                    Ok(Event::Paused) => {
                        let length = match stream.len() % 3 {
                            0 => ResponseLength::Chunked,
                            _ => ResponseLength::Sized(2),
                        };
                        let head = connection.send_head(StatusCode::NOT_FOUND, length, &mut out);
                        head.unwrap().finish();
                        connection.send_body(b"hi", &mut out).unwrap();
                        let _ = connection.send_end(&mut out).unwrap();
                        in_request = false;
                    }
                    Ok(Event::Closed) => break 'pieces,
                    Err(error) => {
                        assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
                        if connection.awaits_head() && !in_request {
                            responses.expect(&Method::GET);
                        }
                        connection.refuse(error, &mut out);
                        break 'pieces;
                    }
                }
                assert!(body <= limits.body_bytes_max);
            }
            assert!(connection.buffered() < held_max);
        }
        let mut rest = &out[..];
        while !matches!(responses.decode(&mut rest).unwrap(), Decoded::NeedData) {}
        assert!(rest.is_empty());
    });
}

/// A client's side takes any stream alike in pieces and whole.
#[test]
fn responses() {
    fn log<'i>(pieces: impl Iterator<Item = &'i [u8]>) -> (Vec<String>, Vec<u8>) {
        let mut responses = Responses::new(Rc::new(small()));
        for method in [Method::GET, Method::HEAD, Method::GET] {
            responses.expect(&method);
        }
        let (mut log, mut body) = (Vec::new(), Vec::new());
        for mut piece in pieces {
            loop {
                match responses.decode(&mut piece) {
                    Ok(Decoded::Head(head)) => log.push(format!("{head:?}")),
                    Ok(Decoded::Body(data)) => body.extend_from_slice(data),
                    Ok(Decoded::End { keep_alive }) => log.push(format!("end {keep_alive}")),
                    Ok(Decoded::NeedData) => break,
                    Err(error) => {
                        log.push(format!("{error:?}"));
                        return (log, body);
                    }
                }
            }
        }
        match responses.decode_eof() {
            Ok(AtEof::EndOfMessage) => log.push("ended".into()),
            Ok(AtEof::Closed) => log.push("closed".into()),
            Err(error) => log.push(format!("{error:?}")),
        }
        (log, body)
    }
    bolero::check!(name = "responses").for_each(|input: &[u8]| {
        let (pieces, stream) = cut(input);
        // A fault in a head that came in pieces is told at the end of its line.
        let stream = [stream, b"\n"].concat();
        let pieces = pieces.into_iter().chain(std::iter::once(&b"\n"[..]));
        assert_eq!(log(pieces), log(std::iter::once(&stream[..])));
    });
}
