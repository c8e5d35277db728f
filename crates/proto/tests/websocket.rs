//! Frames of WebSocket clients: what is refused by which byte, and what is handed on of the rest.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use monoloop_proto::websocket::{FrameError, FramePieces};

/// What is handed on of some input, put together: each frame with what pieces it has come in, and
/// the error at the end. Control frames are never in pieces.
#[track_caller]
fn check(input: &[u8], frames: &[(u8, &[u8])], end: Option<FrameError>) {
    for size in [1, 2, 7, input.len().max(1)] {
        let mut pieces = FramePieces::new(70_000, 100_000);
        let mut whole: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut at_header = true;
        let mut found = None;
        'feeding: for mut bytes in input.chunks(size) {
            loop {
                let piece = match pieces.next(&mut bytes) {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(pieces.next(&mut bytes).unwrap_err(), error, "it repeats");
                        found = Some(error);
                        break 'feeding;
                    }
                };
                let Some((&first, rest)) = piece.header().split_first() else {
                    // The rest of a control frame.
                    let (_, payload) = whole.last_mut().unwrap();
                    let at = payload.len();
                    let mask = [1, 2, 3, 4];
                    let bytes = piece.payload().iter().enumerate();
                    payload.extend(bytes.map(|(n, byte)| byte ^ mask[(at + n) % 4]));
                    continue;
                };
                let mask: [u8; 4] = rest[rest.len() - 4..].try_into().unwrap();
                let payload = piece.payload().iter().zip(mask.iter().cycle());
                let payload = payload.map(|(byte, mask)| byte ^ mask);
                match at_header {
                    true => whole.push((first, payload.collect())),
                    false => {
                        assert_eq!(first & 0x7f, 0, "it goes on with the one before");
                        let (begun, so_far) = whole.last_mut().unwrap();
                        *begun |= first & 0x80;
                        so_far.extend(payload);
                    }
                }
                // In what was fed here only the last piece of a frame is final.
                at_header = first & 0x80 != 0 || first & 0x0f >= 8;
            }
        }
        let frames: Vec<_> = frames.iter().map(|(f, p)| (*f, p.to_vec())).collect();
        assert_eq!(
            (&whole, found),
            (&frames, end),
            "fed {size} bytes at a time"
        );
    }
}

/// A frame masked with 1, 2, 3, 4.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[1, 2, 3, 4]);
    let mask = [1, 2, 3, 4].iter().cycle();
    frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

#[test]
fn frames_of_every_length_come_out_as_they_went_in() {
    for length in [0, 1, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let input = [frame(0x82, &payload), frame(0x81, b"next")].concat();
        check(&input, &[(0x82, &payload), (0x81, b"next")], None);
    }
}

#[test]
fn control_frames_are_not_cut() {
    let longest = [7; 125];
    let input = [
        frame(0x89, &longest),
        frame(0x8a, b""),
        frame(0x88, b"\x03\xe8"),
    ]
    .concat();
    let frames: [(u8, &[u8]); 3] = [(0x89, &longest), (0x8a, b""), (0x88, b"\x03\xe8")];
    check(&input, &frames, None);
}

#[test]
fn a_frame_that_is_cut_is_handed_on_as_fragments() {
    let mut pieces = FramePieces::new(100, 100);
    let whole = frame(0x81, b"hello");
    let (first, second) = whole.split_at(8);
    let mut input = first;
    let piece = pieces.next(&mut input).unwrap().unwrap();
    assert_eq!(piece.header(), [0x01, 0x82, 1, 2, 3, 4]);
    assert!(pieces.next(&mut input).unwrap().is_none());
    input = second;
    let piece = pieces.next(&mut input).unwrap().unwrap();
    // The mask is the one that falls on its first byte.
    assert_eq!(piece.header(), [0x80, 0x83, 3, 4, 1, 2]);
    assert_eq!(piece.payload().len(), 3);
}

#[test]
fn what_is_wrong_is_refused_by_its_header() {
    use FrameError::*;
    let refused: &[(&[u8], FrameError)] = &[
        (&[0xc1, 0x80], ReservedBits),
        (&[0xa1, 0x80], ReservedBits),
        (&[0x91, 0x80], ReservedBits),
        (&[0x83, 0x80], ReservedOpcode(3)),
        (&[0x87, 0x80], ReservedOpcode(7)),
        (&[0x8b, 0x80], ReservedOpcode(11)),
        (&[0x8f, 0x80], ReservedOpcode(15)),
        (&[0x81, 0x05], Unmasked),
        (&[0x08, 0x80], FragmentedControl),
        (&[0x89, 0xfe], ControlTooLong),
        (&[0x8a, 0xff], ControlTooLong),
        (&[0x82, 0xfe, 0, 125, 1, 2, 3, 4], MalformedLength),
        (
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4],
            MalformedLength,
        ),
        (
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
            MalformedLength,
        ),
        (
            &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x71, 1, 2, 3, 4],
            TooLong { limit: 70_000 },
        ),
        (
            &[
                0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4,
            ],
            TooLong { limit: 70_000 },
        ),
    ];
    for (input, error) in refused {
        check(input, &[], Some(*error));
        let behind = [&frame(0x81, b"good")[..], input].concat();
        check(&behind, &[(0x81, b"good")], Some(*error));
    }
}

#[test]
fn fragments_of_a_message_count_together_and_messages_do_not() {
    let long = Bytes::from(vec![0; 60_000]);
    let mut pieces = FramePieces::new(70_000, 100_000);
    let mut feed = |bytes: Vec<u8>| {
        let mut input = &bytes[..];
        while pieces.next(&mut input)?.is_some() {}
        Ok(())
    };
    assert_eq!(feed(frame(0x02, &long)), Ok(()));
    assert_eq!(feed(frame(0x89, b"between")), Ok(()));
    assert_eq!(feed(frame(0x80, &long[..40_000])), Ok(()));
    assert_eq!(feed(frame(0x02, &long)), Ok(()));
    let limit = 100_000;
    assert_eq!(
        feed(frame(0x00, &long[..40_001])),
        Err(FrameError::TooLong { limit })
    );
}
