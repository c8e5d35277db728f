//! Line framing.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use monoloop_proto::lines::{LineTooLong, Lines};
use proptest::collection::vec;
use proptest::prelude::*;

const MAX: usize = 8;

/// Feeds `input` in pieces of this length; the lines, and whether one was too long.
fn lines(input: &[u8], piece: usize, eof: bool) -> (Vec<Bytes>, bool) {
    let mut framing = Lines::new(MAX);
    let mut found = Vec::new();
    let mut pull = |framing: &mut Lines| {
        loop {
            match framing.next_line() {
                Ok(Some(line)) => found.push(line),
                Ok(None) => return true,
                Err(error) => {
                    assert_eq!(error, LineTooLong { limit: MAX });
                    assert_eq!(framing.next_line(), Err(error), "errors repeat");
                    return false;
                }
            }
        }
    };
    for piece in input.chunks(piece) {
        framing.receive(piece);
        if !pull(&mut framing) {
            return (found, true);
        }
        assert!(framing.buffered() <= MAX + 1, "more is held than a line");
    }
    if eof {
        framing.receive_eof();
        if !pull(&mut framing) {
            return (found, true);
        }
        assert_eq!(framing.buffered(), 0);
    }
    (found, false)
}

#[track_caller]
fn check(input: &str, eof: bool, expected: &[&str], too_long: bool) {
    for piece in [1, 2, 7, input.len().max(1)] {
        let (found, failed) = lines(input.as_bytes(), piece, eof);
        assert_eq!(found, expected, "fed {piece} bytes at a time: {input:?}");
        assert_eq!(failed, too_long, "fed {piece} bytes at a time: {input:?}");
    }
}

#[test]
fn lines_end_in_lf_or_crlf() {
    check(
        "one\ntwo\r\n\n\r\nthree\n",
        false,
        &["one", "two", "", "", "three"],
        false,
    );
}

#[test]
fn a_carriage_return_within_a_line_belongs_to_it() {
    check("a\rb\r\r\n\r\n", false, &["a\rb\r", ""], false);
}

#[test]
fn a_line_without_an_end_waits_for_more() {
    check("one\ntwo", false, &["one"], false);
}

#[test]
fn eof_ends_the_last_line() {
    check("one\ntwo", true, &["one", "two"], false);
    check("one\n", true, &["one"], false);
    check("one\r", true, &["one\r"], false);
    check("", true, &[], false);
}

#[test]
fn a_line_may_be_as_long_as_its_limit() {
    check(
        "12345678\n12345678\r\n",
        false,
        &["12345678", "12345678"],
        false,
    );
    check("12345678\r", false, &[], false);
    check("123456789\n", false, &[], true);
    check("one\n123456789", false, &["one"], true);
    check("12345678\rx", false, &[], true);
    check("12345678\r", true, &[], true);
    check("12345678", true, &["12345678"], false);
}

#[test]
fn nothing_is_held_of_a_line_that_is_too_long() {
    let mut framing = Lines::new(MAX);
    framing.receive(&[b'x'; 100]);
    assert!(framing.next_line().is_err());
    framing.receive(b"more\n");
    assert_eq!(framing.buffered(), 0);
}

#[test]
fn whether_the_stream_ends_within_a_line_is_known() {
    let mut framing = Lines::new(MAX);
    assert!(!framing.ends_in_line());
    framing.receive(b"one\n");
    assert!(!framing.ends_in_line());
    framing.receive(b"tw");
    assert!(framing.ends_in_line());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_are_those_of_the_standard_library(
        input in vec(prop::sample::select(b"ab\r\n\n".to_vec()), 0..60),
        piece in 1..10_usize,
    ) {
        let text = String::from_utf8(input.clone()).unwrap();
        let expected: Vec<_> = text.lines().take_while(|line| line.len() <= MAX).collect();
        let too_long = expected.len() < text.lines().count();
        let (found, failed) = lines(&input, piece, true);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(failed, too_long);
    }
}
