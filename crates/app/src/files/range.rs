//! `Range`: which parts of a file are asked for (RFC 9110 §14).

use std::ops::Range;

/// Parts that one request may ask for; beyond that it gets the whole file. No program needs more
/// than a few, and thousands of small ones were an attack on Apache (CVE-2011-3192), whose own bound
/// is 200 since.
const RANGES_MAX: usize = 32;

/// Parts nearer to each other than this are sent as one: the fields between them would be longer
/// (RFC 9110 §15.3.7.2 leaves that to us).
const GAP_BYTES_MAX: u64 = 80;

/// What is sent of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: nothing else was asked for, or nothing that can be understood or is reasonable.
    Whole,
    /// These parts, at least one, none of them empty, no two of which overlap; in the order in which
    /// they were asked for.
    Parts(Vec<Range<u64>>),
    /// There is nothing of it in the file.
    Unsatisfiable,
}

impl Wanted {
    /// What a `Range` field asks for of a file of so many bytes. Units other than bytes and what is
    /// malformed are ignored (§14.2).
    pub(super) fn of(value: &[u8], len: u64) -> Wanted {
        // No part of an empty file can be told to the peer; who asks for one gets all there is, as
        // from Go's net/http.
        if len == 0 {
            return Wanted::Whole;
        }
        let Some(specs) = parse(value) else {
            return Wanted::Whole;
        };
        let mut parts: Vec<Range<u64>> = Vec::new();
        for part in specs.iter().filter_map(|spec| spec.resolve(len)) {
            add(&mut parts, part);
        }
        match parts.is_empty() {
            true => Wanted::Unsatisfiable,
            false => Wanted::Parts(parts),
        }
    }
}

/// Adds a part, as one with those that it overlaps or comes near to. So no byte is sent twice,
/// whatever is asked for.
fn add(parts: &mut Vec<Range<u64>>, mut part: Range<u64>) {
    let mut place = parts.len();
    let mut number = 0;
    while let Some(known) = parts.get(number) {
        let is_near = known.start <= part.end.saturating_add(GAP_BYTES_MAX)
            && part.start <= known.end.saturating_add(GAP_BYTES_MAX);
        if is_near {
            part = known.start.min(part.start)..known.end.max(part.end);
            parts.remove(number);
            place = place.min(number);
            // It has grown, and may have come near to one that it was far from.
            number = 0;
        } else {
            number += 1;
        }
    }
    parts.insert(place.min(parts.len()), part);
}

/// A part as it is asked for.
#[derive(Debug, Clone, Copy)]
enum Spec {
    /// From one byte to another, that one included.
    FromTo(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl Spec {
    /// Where it is in a file, if it is.
    fn resolve(self, len: u64) -> Option<Range<u64>> {
        match self {
            Spec::FromTo(first, last) => {
                (first < len).then(|| first..last.saturating_add(1).min(len))
            }
            Spec::Last(0) => None,
            Spec::Last(count) => Some(len.saturating_sub(count)..len),
        }
    }
}

fn parse(value: &[u8]) -> Option<Vec<Spec>> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])) {
        // Empty elements of a list mean nothing (§5.6.1.2).
        if spec.is_empty() {
            continue;
        }
        if specs.len() == RANGES_MAX {
            return None;
        }
        let (first, last) = spec.split_once('-')?;
        specs.push(match (first, last) {
            ("", count) => Spec::Last(number(count)?),
            (first, "") => Spec::FromTo(number(first)?, u64::MAX),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                Spec::FromTo(first, last)
            }
        });
    }
    (!specs.is_empty()).then_some(specs)
}

/// Digits and nothing else; a number larger than any file is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(value: &str, len: u64) -> String {
        match Wanted::of(value.as_bytes(), len) {
            Wanted::Whole => "whole".into(),
            Wanted::Unsatisfiable => "unsatisfiable".into(),
            Wanted::Parts(parts) => {
                let parts = parts
                    .iter()
                    .map(|part| format!("{}..{}", part.start, part.end));
                parts.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        for (value, of_10_000) in [
            // Those of §14.1.2.
            ("bytes=0-499", "0..500"),
            ("bytes=500-999", "500..1000"),
            ("bytes=-500", "9500..10000"),
            ("bytes=9500-", "9500..10000"),
            ("bytes=0-0,-1", "0..1 9999..10000"),
            (
                "bytes= 0-999, 4500-5499, -1000",
                "0..1000 4500..5500 9000..10000",
            ),
            ("bytes=500-600,601-999", "500..1000"),
            ("bytes=500-700,601-999", "500..1000"),
            // Longer than there is.
            ("bytes=0-", "0..10000"),
            ("bytes=0-99999", "0..10000"),
            ("bytes=-99999", "0..10000"),
            ("bytes=9999-", "9999..10000"),
            ("bytes=0-18446744073709551615", "0..10000"),
            ("bytes=0-99999999999999999999999", "0..10000"),
            ("bytes=-99999999999999999999999", "0..10000"),
            // The unit's case, empty elements, white space.
            ("BYTES=0-1", "0..2"),
            ("bytes=,, 0-1 ,\t,", "0..2"),
            ("bytes=0001-0002", "1..3"),
            // Not there.
            ("bytes=10000-", "unsatisfiable"),
            ("bytes=10000-20000", "unsatisfiable"),
            ("bytes=99999999999999999999999-", "unsatisfiable"),
            ("bytes=-0", "unsatisfiable"),
            ("bytes=10000-,-0", "unsatisfiable"),
            ("bytes=10000-,1-1", "1..2"),
            // No ranges.
            ("", "whole"),
            ("bytes", "whole"),
            ("bytes=", "whole"),
            ("bytes=,", "whole"),
            ("bytes=-", "whole"),
            ("bytes=--1", "whole"),
            ("bytes=1", "whole"),
            ("bytes=2-1", "whole"),
            ("bytes=0-1,2-1", "whole"),
            ("bytes=0-1;2-3", "whole"),
            ("bytes=0 - 1", "whole"),
            ("bytes=+0-1", "whole"),
            ("bytes=0x0-1", "whole"),
            ("bytes=0-1-2", "whole"),
            ("bytes =0-1", "whole"),
            (" bytes=0-1", "whole"),
            ("lines=0-1", "whole"),
            ("bytes=0-\u{663}", "whole"),
        ] {
            assert_eq!(wanted(value, 10_000), of_10_000, "{value:?}");
        }
    }

    #[test]
    fn parts_that_overlap_or_nearly_touch_are_one() {
        for (value, parts) in [
            ("bytes=0-9,90-99", "0..100"),
            ("bytes=0-9,91-99", "0..10 91..100"),
            ("bytes=91-99,0-9", "91..100 0..10"),
            ("bytes=500-509,0-9,200-209,10-", "0..1000"),
            // The third joins the first two, and stands where the first stood.
            ("bytes=700-799,200-249,350-399,300-320", "700..800 200..400"),
            ("bytes=0-0,0-0,0-0", "0..1"),
        ] {
            assert_eq!(wanted(value, 1000), parts, "{value}");
        }
    }

    #[test]
    fn an_empty_file_is_sent_whole() {
        for value in ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=5-"] {
            assert_eq!(wanted(value, 0), "whole", "{value}");
        }
    }

    #[test]
    fn who_asks_for_too_many_parts_gets_the_whole() {
        let many = |count: usize| {
            let specs: Vec<_> = (0..count).map(|n| format!("{0}-{0}", n * 1000)).collect();
            wanted(&format!("bytes={}", specs.join(",")), 1_000_000)
        };
        assert_eq!(many(RANGES_MAX).split(' ').count(), RANGES_MAX);
        assert_eq!(many(RANGES_MAX + 1), "whole");
        assert_eq!(many(1300), "whole");
    }

    /// Against a model that knows nothing but single bytes.
    #[test]
    fn exactly_the_bytes_asked_for_are_sent_and_gaps_that_cost_less_than_fields() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let len = random.u64(1..2000);
            let specs: Vec<(Option<u64>, Option<u64>)> = (0..random.usize(1..8))
                .map(|_| {
                    let first = random.u64(0..len + 50);
                    match random.u8(0..4) {
                        0 => (None, Some(random.u64(0..len + 50))),
                        1 => (Some(first), None),
                        _ => (Some(first), Some(first + random.u64(0..100))),
                    }
                })
                .collect();
            let shown = |number: Option<u64>| number.map_or(String::new(), |n| n.to_string());
            let texts = specs
                .iter()
                .map(|(a, b)| format!("{}-{}", shown(*a), shown(*b)));
            let value = format!("bytes={}", texts.collect::<Vec<_>>().join(","));

            let is_asked_for = |byte: u64| {
                specs.iter().any(|spec| match *spec {
                    (None, Some(count)) => byte >= len.saturating_sub(count),
                    (Some(first), last) => byte >= first && last.is_none_or(|last| byte <= last),
                    (None, None) => unreachable!(),
                })
            };
            let mut model = vec![false; len as usize];
            for byte in 0..len {
                model[byte as usize] = is_asked_for(byte);
            }
            let parts = match Wanted::of(value.as_bytes(), len) {
                Wanted::Parts(parts) => parts,
                Wanted::Unsatisfiable => Vec::new(),
                Wanted::Whole => panic!("{value} is well-formed"),
            };
            let mut sent = vec![0; len as usize];
            for part in &parts {
                assert!(!part.is_empty());
                for byte in part.clone() {
                    sent[byte as usize] += 1;
                }
                assert!(
                    model[part.start as usize] && model[part.end as usize - 1],
                    "{value}"
                );
            }
            let mut gap = 0;
            for (byte, asked_for) in model.iter().enumerate() {
                assert!(
                    sent[byte] <= 1,
                    "{value} of {len} sends {byte} twice: {parts:?}"
                );
                assert!(
                    !asked_for || sent[byte] == 1,
                    "{value} of {len}: {byte} is missing"
                );
                gap = if *asked_for || sent[byte] == 0 {
                    0
                } else {
                    gap + 1
                };
                assert!(gap <= GAP_BYTES_MAX, "{value} of {len}: {parts:?}");
            }
        }
    }
}
