//! The chunked decoder against a slow, plain one that is written as the grammar reads.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::rc::Rc;

use monoloop_proto::http1::{Connection, Event, Limits};
use proptest::collection::vec;
use proptest::prelude::*;

/// The body, and what is left behind it, of a whole and valid chunked body.
fn reference(mut input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line = line(&mut input)?;
        let (size, extensions) = match line.iter().position(|&byte| byte == b';') {
            Some(semicolon) => {
                let size = &line[..semicolon];
                (trim_end(size), &line[semicolon..])
            }
            None => (line, &b""[..]),
        };
        if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        if !is_extensions(extensions) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).ok()?;
        if size == 0 {
            break;
        }
        if input.len() < size {
            return None;
        }
        body.extend_from_slice(&input[..size]);
        input = input[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let line = line(&mut input)?;
        if line.is_empty() {
            return Some((body, input));
        }
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty()
            || !name.iter().all(|&byte| is_token(byte))
            || !value.iter().all(|&byte| is_text(byte))
        {
            return None;
        }
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn is_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(behind) = trim_start(rest).strip_prefix(b";") else {
            return false;
        };
        rest = trim_start(behind);
        let Some(behind) = skip_token(rest) else {
            return false;
        };
        rest = behind;
        if let Some(value) = trim_start(rest).strip_prefix(b"=") {
            let value = trim_start(value);
            let behind = match value.strip_prefix(b"\"") {
                Some(quoted) => skip_quoted(quoted),
                None => skip_token(value),
            };
            let Some(behind) = behind else { return false };
            rest = behind;
        }
    }
    true
}

fn skip_token(input: &[u8]) -> Option<&[u8]> {
    let len = input.iter().take_while(|&&byte| is_token(byte)).count();
    (len > 0).then(|| &input[len..])
}

fn skip_quoted(mut input: &[u8]) -> Option<&[u8]> {
    loop {
        match *input.first()? {
            b'"' => return Some(&input[1..]),
            b'\\' if is_text(*input.get(1)?) => input = &input[2..],
            b'\\' => return None,
            byte if is_text(byte) => input = &input[1..],
            _ => return None,
        }
    }
}

/// What comes before the next CRLF, in which there is neither CR nor LF.
fn line<'i>(input: &mut &'i [u8]) -> Option<&'i [u8]> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &input[..end];
    *input = &input[end + 2..];
    (!line.contains(&b'\r') && !line.contains(&b'\n')).then_some(line)
}

fn trim_start(input: &[u8]) -> &[u8] {
    &input[input
        .iter()
        .take_while(|&&byte| byte == b' ' || byte == b'\t')
        .count()..]
}

fn trim_end(input: &[u8]) -> &[u8] {
    let spaces = input
        .iter()
        .rev()
        .take_while(|&&byte| byte == b' ' || byte == b'\t')
        .count();
    &input[..input.len() - spaces]
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The same from the decoder, fed in pieces of this length.
fn decoded(input: &[u8], piece: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut connection = Connection::new(Rc::new(Limits::default()));
    connection.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
    let (mut body, mut fed) = (Vec::new(), 0);
    for piece in input.chunks(piece) {
        connection.receive(piece);
        fed += piece.len();
        loop {
            match connection.next_event() {
                Ok(Event::Body(data)) => body.extend_from_slice(&data),
                Ok(Event::EndOfMessage(_)) => {
                    let taken = fed - connection.buffered();
                    return Some((body, input[taken..].to_vec()));
                }
                Ok(Event::NeedData) => break,
                Err(_) => return None,
                Ok(other) => panic!("{other:?}"),
            }
        }
    }
    None
}

#[track_caller]
fn agree(input: &[u8]) -> bool {
    let expected = reference(input).map(|(body, rest)| (body, rest.to_vec()));
    for piece in [1, 2, 7, input.len().max(1)] {
        assert_eq!(decoded(input, piece), expected, "{}", input.escape_ascii());
    }
    expected.is_some()
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let extension = prop_oneof![
        6 => Just(String::new()),
        1 => "[ \t]{0,2};[ ]{0,1}[a-z!]{1,3}",
        1 => ";a[ ]?=[ ]?[a-z0-9]{1,3}",
        1 => ";a=\"([ -!#-\\[\\]-~]|\\\\.){0,4}\"",
    ];
    let size = prop_oneof![Just(false), Just(true)];
    (vec(any::<u8>(), 1..40), extension, size, 0..3_usize).prop_map(
        |(data, extension, upper, zeros)| {
            let size = if upper {
                format!("{:X}", data.len())
            } else {
                format!("{:x}", data.len())
            };
            let head = format!("{}{size}{extension}\r\n", "0".repeat(zeros));
            [head.as_bytes(), &data, b"\r\n"].concat()
        },
    )
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let trailers = prop_oneof![
        3 => Just(String::new()),
        1 => "([a-zA-Z-]{1,8}: ?[a-z \t]{0,8}\r\n){1,2}",
    ];
    (vec(chunk(), 0..5), "0{1,3}(;a)?", trailers, "[a-z]{0,4}").prop_map(
        |(chunks, last, trailers, rest)| {
            let end = format!("{last}\r\n{trailers}\r\n{rest}");
            [&chunks.concat()[..], end.as_bytes()].concat()
        },
    )
}

#[test]
fn whatever_comes_is_decoded_alike() {
    bolero::check!(name = "chunked").for_each(|input: &[u8]| {
        // The reference knows no limits; none is reached by so few bytes.
        if input.len() <= 400 {
            agree(input.get(2..).unwrap_or_default());
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_bodies_are_decoded_alike(stream in stream()) {
        // `.` in an escape may draw what no quoted string holds; all else is valid.
        let is_valid = agree(&stream);
        prop_assert!(is_valid || stream.contains(&b'\\'), "{}", stream.escape_ascii());
    }

    #[test]
    fn damaged_bodies_are_decoded_alike(
        stream in stream(),
        damages in vec((any::<prop::sample::Index>(), 0..3, prop::sample::select(b"\r\n 0a;=\"\t:\0g".to_vec())), 1..3),
    ) {
        let mut stream = stream;
        for (index, kind, byte) in damages {
            let at = index.index(stream.len());
            match kind {
                0 => drop(stream.remove(at)),
                1 => stream.insert(at, byte),
                _ => stream[at] = byte,
            }
        }
        agree(&stream);
    }

    #[test]
    fn noise_is_decoded_alike(
        stream in vec(prop::sample::select(b"\r\n\r\n\r\n 0012a;=\"\\\t:x".to_vec()), 0..24),
    ) {
        agree(&stream);
    }
}
