//! What comes back, taken apart by a parser that takes nothing but what a server should send.

/// Everything that was received, and whether the server has closed behind it.
pub(crate) struct Answers {
    pub(crate) received: Vec<u8>,
    pub(crate) closed: bool,
}

/// What has markup in it is never sent back to somebody who may be a browser.
const MARKUP: &str = "<script>";

struct Answer<'a> {
    status: u16,
    fields: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl Answer<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| *known == name);
        let value = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

pub(crate) fn assert_answers(answers: &Answers, expected: &str, how: &str) {
    let text = String::from_utf8_lossy(&answers.received);
    assert!(!text.contains(MARKUP), "{how} is sent back: {text}");
    let mut words: Vec<&str> = expected.split(' ').collect();
    let end = words.pop().expect("it says what becomes of the connection");
    if end == "kept" {
        words.push("200=probe");
    }
    let mut rest = &answers.received[..];
    let mut last_closes = false;
    for (at, word) in words.iter().enumerate() {
        let (word, is_head) = match word.strip_suffix("head") {
            Some(word) => (word, true),
            None => (*word, false),
        };
        let (status, body) = match word.split_once('=') {
            Some((status, body)) => (status, Some(body)),
            None => (word, None),
        };
        let answer = take_answer(&mut rest, is_head, how, &text);
        assert_eq!(answer.status.to_string(), status, "{how}: {text}");
        if let Some(body) = body {
            // Words are apart by spaces, so those of a body stand for them.
            let found = answer.body.escape_ascii().to_string().replace(' ', "_");
            assert_eq!(found, body, "{how}");
        }
        assert_is_proper(&answer, is_head, how);
        last_closes = answer.closes();
        assert!(
            at + 1 == words.len() || !last_closes,
            "{how}: more follows {text}"
        );
    }
    assert!(rest.is_empty(), "{how}: unexpected {}", rest.escape_ascii());
    assert_eq!(answers.closed, end != "waits", "{how}: {text}");
    // Whoever is closed is told so, where there is anything to be told.
    assert_eq!(
        last_closes,
        end != "waits" && !words.is_empty(),
        "{how}: {text}"
    );
}

/// One response off the front, framed as RFC 9112 §6.3 says.
fn take_answer<'a>(rest: &mut &'a [u8], is_head: bool, how: &str, text: &str) -> Answer<'a> {
    let head_len = rest
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{how}: no more answers in {text:?}"));
    let head = std::str::from_utf8(&rest[..head_len]).unwrap();
    *rest = &rest[head_len + 4..];
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap();
    let mut words = status_line.splitn(3, ' ');
    assert_eq!(words.next(), Some("HTTP/1.1"), "{how}: {status_line}");
    let status: u16 = words.next().unwrap().parse().unwrap();
    assert!(words.next().is_some(), "{how}: {status_line}");
    let fields: Vec<_> = lines
        .map(|line| {
            line.split_once(": ")
                .unwrap_or_else(|| panic!("{how}: {line}"))
        })
        .collect();
    for (name, value) in &fields {
        let is_token =
            |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit();
        assert!(name.bytes().all(is_token), "{how}: {name}");
        assert!(
            value.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{how}: {value}"
        );
    }
    let mut answer = Answer {
        status,
        fields,
        body: b"",
    };
    assert_eq!(
        answer.field("transfer-encoding"),
        None,
        "{how}: nothing here is streamed"
    );
    let length: usize = answer
        .field("content-length")
        .map_or(0, |length| length.parse().unwrap());
    if !is_head && status >= 200 && status != 204 && status != 304 {
        let (body, behind) = rest.split_at(length);
        (answer.body, *rest) = (body, behind);
    }
    answer
}

/// What every response has, by its status.
fn assert_is_proper(answer: &Answer<'_>, is_head: bool, how: &str) {
    let status = answer.status;
    if status < 200 {
        assert!(answer.fields.is_empty(), "{how}");
        return;
    }
    assert!(
        answer
            .field("date")
            .is_some_and(|date| date.ends_with(" GMT")),
        "{how}"
    );
    assert!(answer.field("x-request-id").is_some(), "{how}");
    assert_eq!(
        answer.field("content-length").is_some(),
        status != 204,
        "{how}"
    );
    assert_eq!(
        answer.field("allow").is_some(),
        status == 405 || status == 204,
        "{how}"
    );
    if status >= 400 && !is_head {
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain; charset=utf-8"),
            "{how}"
        );
        let text = std::str::from_utf8(answer.body).unwrap();
        assert!(
            text.ends_with('\n') && text.trim().len() > 8,
            "{how}: {text:?}"
        );
        assert!(
            text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')),
            "{how}: {text:?}"
        );
    }
}
