//! `Accept-Encoding` (RFC 9110 §12.5.3): what the peer can unpack, and what it likes better.

use crate::Request;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "compression"),
    allow(
        unreachable_pub,
        dead_code,
        reason = "no copy of a file is looked for in zstd, and only the middleware names them"
    )
)]
pub enum Coding {
    /// RFC 8878. A quarter of the others' time, a few per cent more bytes.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952. Everybody can unpack it.
    Gzip,
}

impl Coding {
    /// As it stands in `Accept-Encoding` and `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

/// A weight in thousandths, as fine as they come (RFC 9110 §12.4.2).
type Weight = u16;

const WEIGHT_MAX: Weight = 1000;

/// What was said of each coding that matters here. The first word of several stands; what is
/// malformed was not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    zstd: Option<Weight>,
    brotli: Option<Weight>,
    gzip: Option<Weight>,
    identity: Option<Weight>,
    /// `*`: all that are not named.
    others: Option<Weight>,
}

impl Accepted {
    /// Nothing said means that nothing is compressed: anything would be acceptable then, but who
    /// does not ask for it often cannot unpack it.
    pub(crate) fn of(request: &Request) -> Self {
        let mut accepted = Accepted::default();
        for (name, value) in request.head().headers() {
            if name.eq_ignore_ascii_case("accept-encoding") {
                accepted.note(value);
            }
        }
        accepted
    }

    /// Takes note of one line.
    pub(crate) fn note(&mut self, line: &[u8]) {
        for element in line.split(|byte| *byte == b',') {
            let mut parts = element.splitn(2, |byte| *byte == b';');
            let name = parts.next().unwrap_or_default().trim_ascii();
            let Some(weight) = parts.next().map_or(Some(WEIGHT_MAX), parse_weight) else {
                continue;
            };
            let slot = match () {
                () if name == b"*" => &mut self.others,
                () if name.eq_ignore_ascii_case(b"zstd") => &mut self.zstd,
                () if name.eq_ignore_ascii_case(b"br") => &mut self.brotli,
                // RFC 9110 §8.4.1.3: the same.
                () if name.eq_ignore_ascii_case(b"gzip") => &mut self.gzip,
                () if name.eq_ignore_ascii_case(b"x-gzip") => &mut self.gzip,
                () if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
                () => continue,
            };
            slot.get_or_insert(weight);
        }
    }

    /// The one that the peer likes best, and of several the first in `order`. `None` for nothing
    /// that it takes, and when it likes better what is not compressed.
    pub(crate) fn choose(&self, order: &[Option<Coding>]) -> Option<Coding> {
        let mut best: Option<(Coding, Weight)> = None;
        for coding in order.iter().copied().flatten() {
            let weight = self.weight(coding);
            if weight > best.map_or(0, |(_, weight)| weight) {
                best = Some((coding, weight));
            }
        }
        let likes_identity = |weight| self.identity.is_some_and(|identity| identity > weight);
        best.filter(|(_, weight)| !likes_identity(*weight))
            .map(|(coding, _)| coding)
    }

    /// Whether what is not compressed is not acceptable.
    #[cfg(any(feature = "compression", test))]
    pub(crate) fn refuses_identity(&self) -> bool {
        self.identity.or(self.others) == Some(0)
    }

    fn weight(&self, coding: Coding) -> Weight {
        let named = match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip => self.gzip,
        };
        named.or(self.others).unwrap_or(0)
    }
}

/// `q=` and a number from 0 to 1 with up to three digits behind the point.
fn parse_weight(text: &[u8]) -> Option<Weight> {
    let (q, number) = text.trim_ascii().split_at_checked(2)?;
    if !q.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, fraction) = match number {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => WEIGHT_MAX,
        _ => return None,
    };
    let mut unit = WEIGHT_MAX / 10;
    for digit in fraction {
        let digit = digit.is_ascii_digit().then(|| Weight::from(digit - b'0'))?;
        weight += digit * unit;
        unit /= 10;
    }
    (weight <= WEIGHT_MAX).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: [Option<Coding>; 3] =
        [Some(Coding::Zstd), Some(Coding::Brotli), Some(Coding::Gzip)];

    fn accepted(line: &str) -> Accepted {
        let mut accepted = Accepted::default();
        accepted.note(line.as_bytes());
        accepted
    }

    #[test]
    fn the_best_that_both_have_is_chosen() {
        use Coding::{Brotli, Gzip, Zstd};
        for (line, chosen) in [
            ("gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("GZIP;Q=1", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("gzip ; q=0.001", Some(Gzip)),
            ("br;q=0.999, gzip;q=1.000", Some(Gzip)),
            ("zstd;q=0, br;q=0, gzip", Some(Gzip)),
            ("*", Some(Zstd)),
            ("*;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("zstd;q=0, *", Some(Brotli)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("identity, gzip", Some(Gzip)),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("deflate, compress", None),
            ("", None),
            (", ,", None),
            // Not grammar, so not said.
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=.5", None),
            ("gzip;q=-1", None),
            ("gzip;q=", None),
            ("gzip;q", None),
            ("gzip;q=1;q=1", None),
            ("gzip;level=9", None),
            ("gzip q=1", None),
            ("\"gzip\"", None),
        ] {
            assert_eq!(accepted(line).choose(&ORDER), chosen, "{line}");
        }
    }

    #[test]
    fn what_is_not_compressed_is_acceptable_unless_it_is_refused() {
        for (line, refused) in [
            ("", false),
            ("gzip", false),
            ("identity;q=0", true),
            ("identity;q=0.000, gzip", true),
            ("*;q=0", true),
            ("*;q=0, identity", false),
            ("*;q=0, identity;q=0.1", false),
            ("*;q=0.1", false),
        ] {
            assert_eq!(accepted(line).refuses_identity(), refused, "{line}");
        }
    }

    /// Every weight there is, written in every way there is.
    #[test]
    fn weights_are_read_as_they_are_written() {
        for thousandths in 0..=1000u16 {
            let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            let short = text.trim_end_matches('0');
            for text in [&text, short, short.trim_end_matches('.')] {
                let weight = parse_weight(format!(" q={text} ").as_bytes());
                assert_eq!(weight, Some(thousandths), "{text}");
            }
        }
    }

    /// Against a reading that is slow and goes by floating point.
    #[test]
    fn any_list_is_read_as_a_slow_reading_reads_it() {
        const NAMES: [&str; 7] = ["zstd", "br", "gzip", "identity", "*", "deflate", "Br"];
        const WEIGHTS: [&str; 9] = [
            "", ";q=0", ";q=1", "; q=0.5", ";q=0.501", " ;q=0.05", ";q=1.1", ";x", ";q=0.",
        ];
        bolero::check!()
            .with_type::<Vec<(u8, u8)>>()
            .for_each(|drawn| {
                let elements: Vec<String> = drawn
                    .iter()
                    .map(|(name, weight)| {
                        let name = NAMES[usize::from(*name) % NAMES.len()];
                        format!("{name}{}", WEIGHTS[usize::from(*weight) % WEIGHTS.len()])
                    })
                    .collect();
                let line = elements.join(" , ");
                let accepted = accepted(&line);
                assert_eq!(accepted.choose(&ORDER), slow_choice(&elements), "{line}");
            });
    }

    fn slow_choice(elements: &[String]) -> Option<Coding> {
        let weight_of = |wanted: &str| {
            elements.iter().find_map(|element| {
                let (name, weight) = element.split_once(';').unwrap_or((element, "q=1"));
                let weight: f64 = weight.trim().strip_prefix("q=")?.parse().ok()?;
                (name.trim().eq_ignore_ascii_case(wanted) && weight <= 1.0).then_some(weight)
            })
        };
        let identity = weight_of("identity").unwrap_or(0.0);
        let mut best = (None, 0.0);
        for coding in ORDER.into_iter().flatten() {
            let weight = weight_of(coding.name()).or_else(|| weight_of("*"));
            let weight = weight.unwrap_or(0.0);
            if weight > best.1 {
                best = (Some(coding), weight);
            }
        }
        best.0.filter(|_| identity <= best.1)
    }

    #[test]
    fn whatever_is_sent_is_read() {
        bolero::check!().for_each(|line: &[u8]| {
            let mut accepted = Accepted::default();
            accepted.note(line);
            let _ = (accepted.choose(&ORDER), accepted.refuses_identity());
        });
    }
}
