//! Compressed copies of files: which of them a peer takes (RFC 9110 §12.5.3).

use http::HeaderValue;

/// A coding that copies of files may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    /// What the copy's name ends in.
    pub(super) suffix: &'static str,
    names: &'static [&'static str],
}

/// Those that every browser takes, the smaller one first.
const CODINGS: [Coding; 2] = [
    Coding {
        suffix: ".br",
        names: &["br"],
    },
    Coding {
        suffix: ".gz",
        names: &["gzip", "x-gzip"],
    },
];

impl Coding {
    /// What the copy is in, as the peer is told.
    pub(super) fn field(self) -> HeaderValue {
        HeaderValue::from_static(self.names[0])
    }

    /// The codings that a peer takes, the one to be looked for first in front.
    pub(super) fn accepted(accept_encoding: &[u8]) -> Vec<Coding> {
        let Ok(list) = std::str::from_utf8(accept_encoding) else {
            return Vec::new();
        };
        let mut accepted: Vec<(u16, Coding)> = CODINGS
            .into_iter()
            .map(|coding| (weight_of(coding, list), coding))
            .filter(|(weight, _)| *weight > 0)
            .collect();
        // Stable: of those that the peer likes as much, ours decides.
        accepted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        accepted.into_iter().map(|(_, coding)| coding).collect()
    }
}

/// How much a peer likes a coding, in thousandths; 0 when it does not take it. What it names is
/// meant, and not the asterisk.
fn weight_of(coding: Coding, list: &str) -> u16 {
    let mut of_all_others = 0;
    for element in list.split(',') {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let weight = parts.find_map(weight).unwrap_or(1000);
        if coding
            .names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
        {
            return weight;
        }
        if name == "*" {
            of_all_others = weight;
        }
    }
    of_all_others
}

/// `q=0.5` in thousandths (§12.4.2); 0 when it is malformed, for then nothing is certain.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.eq_ignore_ascii_case("q") {
        return None;
    }
    let is_weight = matches!(value.as_bytes(), [b'0' | b'1'] | [b'0' | b'1', b'.', ..]);
    let number: f32 = value.parse().unwrap_or(0.0);
    let fits = is_weight && (0.0..=1.0).contains(&number);
    Some(if fits { (number * 1000.0) as u16 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_looked_for_as_the_peer_likes_them() {
        for (list, suffixes) in [
            ("", ""),
            ("gzip", ".gz"),
            ("x-gzip", ".gz"),
            ("br", ".br"),
            ("gzip, deflate, br, zstd", ".br.gz"),
            ("gzip;q=1.0, br;q=0.5", ".gz.br"),
            ("gzip; q=0.001", ".gz"),
            ("gzip;q=0", ""),
            ("gzip;q=0.000", ""),
            ("br;q=0, *", ".gz"),
            ("*", ".br.gz"),
            ("*;q=0", ""),
            ("identity", ""),
            ("GZIP;Q=0.5", ".gz"),
            ("gzip;q=2", ""),
            ("gzip;q=x", ""),
            ("gzip;q=-1", ""),
            ("gzip;q=inf", ""),
            ("gzipped, brotli", ""),
        ] {
            let accepted = Coding::accepted(list.as_bytes());
            let shown: String = accepted.iter().map(|coding| coding.suffix).collect();
            assert_eq!(shown, suffixes, "{list:?}");
        }
    }
}
