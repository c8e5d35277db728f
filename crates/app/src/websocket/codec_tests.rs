//! Whatever comes, and however it is cut, the codec makes the same of it and holds no more than it
//! may. The corpora beside this file are fed first; `BOLERO_RANDOM_TEST_TIME_MS` says how long it
//! goes on.

use super::codec::{Codec, Event, Kind};
use super::{CloseReason, Message, ReceiveError};
use bytes::Bytes;

const MESSAGE_BYTES_MAX: usize = 300;
const FRAME_BYTES_MAX: usize = 200;

/// What a codec makes of bytes.
#[derive(Debug, PartialEq)]
struct Made {
    messages: Vec<Message>,
    end: Option<Result<Option<CloseReason>, ReceiveError>>,
    /// What it has answered.
    output: Vec<u8>,
}

/// Feeds bytes in pieces of these lengths, over and over.
fn feed(mut bytes: &[u8], lengths: &[usize]) -> Made {
    let mut codec = Codec::new(MESSAGE_BYTES_MAX, FRAME_BYTES_MAX);
    let mut made = Made {
        messages: Vec::new(),
        end: None,
        output: Vec::new(),
    };
    let mut lengths = lengths.iter().cycle();
    while !bytes.is_empty() && made.end.is_none() {
        let length = lengths.next().map_or(1, |length| *length);
        let (piece, rest) = bytes.split_at(length.clamp(1, bytes.len()));
        bytes = rest;
        codec.receive(piece);
        loop {
            match codec.next(&mut made.output) {
                Ok(Event::NeedData) => break,
                Ok(Event::Control | Event::Pause) => {}
                Ok(Event::Message(message)) => {
                    assert!(message.clone().into_bytes().len() <= MESSAGE_BYTES_MAX);
                    made.messages.push(message);
                }
                Ok(Event::Closed(reason)) => {
                    made.end = Some(Ok(reason));
                    break;
                }
                Err(error) => {
                    assert_eq!(codec.next(&mut made.output), Err(error), "it repeats");
                    codec.close(error.close_reason().as_ref(), &mut made.output);
                    made.end = Some(Err(error));
                    break;
                }
            }
        }
    }
    made
}

fn check(bytes: &[u8]) {
    let whole = feed(bytes, &[bytes.len()]);
    for lengths in [&[1][..], &[2], &[7], &[3, 50, 1, 14]] {
        let cut = feed(bytes, lengths);
        assert_eq!(
            cut,
            whole,
            "fed {lengths:?} at a time: {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn any_bytes_make_the_same_however_they_are_cut() {
    bolero::check!().for_each(check);
}

#[test]
fn any_frames_make_the_same_however_they_are_cut() {
    bolero::check!()
        .with_type::<Vec<(u8, u8, Vec<u8>)>>()
        .for_each(|frames| {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|it| frame(it.0, it.1, &it.2))
                .collect();
            check(&bytes);
        });
}

/// A frame that is mostly good: the opcode one of those there are, masked, of the length it says.
fn frame(first: u8, odds: u8, payload: &[u8]) -> Vec<u8> {
    const OPCODES: [u8; 8] = [0, 1, 2, 0, 1, 8, 9, 10];
    let opcode = match first & 0x3f {
        0 => first >> 4,
        n => OPCODES[usize::from(n & 7)],
    };
    let is_final = first & 0x80;
    let reserved = u8::from(odds == 1) << 4;
    let mut frame = vec![is_final | reserved | opcode];
    let masked = u8::from(odds != 2) << 7;
    let announced = payload.len() + usize::from(odds == 3) * 100;
    match announced {
        0..126 if odds != 4 => frame.push(masked | announced as u8),
        _ => {
            frame.push(masked | 126);
            frame.extend_from_slice(&(announced as u16).to_be_bytes());
        }
    }
    let mask = [odds, first, 0, 0x55];
    if masked != 0 {
        frame.extend_from_slice(&mask);
    }
    let text = odds.is_multiple_of(4);
    let bytes = payload
        .iter()
        .map(|byte| if text { byte & 0x7f } else { *byte });
    frame.extend(
        bytes
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

#[test]
fn a_message_in_pieces_is_one_message_of_several_frames() {
    let mut codec = Codec::new(MESSAGE_BYTES_MAX, FRAME_BYTES_MAX);
    let mut out = Vec::new();
    codec.send(Kind::Text, Bytes::from_static(b"one "), false, &mut out);
    codec.ping(Bytes::from_static(b"?"), &mut out);
    codec.send(Kind::Rest, Bytes::from_static(b"two"), true, &mut out);
    codec.close(None, &mut out);
    codec.send(Kind::Text, Bytes::from_static(b"late"), true, &mut out);
    assert_eq!(out, b"\x01\x04one \x89\x01?\x80\x03two\x88\x00");
}

#[test]
fn what_was_looked_at_leaves_no_memory_behind() {
    let mut codec = Codec::new(1 << 20, 1 << 20);
    let mut out = Vec::new();
    let payload = vec![0x20; 100_000];
    let mut frame = vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0];
    frame.extend_from_slice(&payload);
    for _ in 0..3 {
        codec.receive(&frame);
        let message = loop {
            // A frame that is large is looked at piece by piece.
            match codec.next(&mut out) {
                Ok(Event::Pause) => {}
                other => break other,
            }
        };
        assert_eq!(
            message,
            Ok(Event::Message(Message::binary(payload.clone())))
        );
        assert_eq!(codec.next(&mut out), Ok(Event::NeedData));
        assert!(codec.memory_bytes() <= 4096);
    }
}

#[test]
fn a_message_in_fragments_without_end_leaves_others_their_turn() {
    const FRAGMENTS: usize = 1000;
    let mut codec = Codec::new(MESSAGE_BYTES_MAX, FRAME_BYTES_MAX);
    let mut out = Vec::new();
    codec.receive(b"\x01\x81\0\0\0\0a");
    codec.receive(&b"\x00\x80\0\0\0\0".repeat(FRAGMENTS));
    let mut pauses = 0;
    while codec.next(&mut out) == Ok(Event::Pause) {
        pauses += 1;
    }
    assert!(pauses > FRAGMENTS / 20, "{pauses} pauses");
    codec.receive(b"\x80\x81\0\0\0\0b");
    let whole = Message::text("ab");
    assert_eq!(codec.next(&mut out), Ok(Event::Message(whole)));
    assert_eq!(codec.next(&mut out), Ok(Event::NeedData));
}
