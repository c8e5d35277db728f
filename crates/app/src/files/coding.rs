//! Compressed copies of files: which of them a peer takes.

use crate::Request;
use crate::accept_encoding::{Accepted, Coding};

/// Those that every browser takes, the smaller one first.
const ORDER: [Coding; 2] = [Coding::Brotli, Coding::Gzip];

/// What the name of a copy ends in.
pub(super) fn suffix(coding: Coding) -> &'static str {
    match coding {
        Coding::Zstd => ".zst",
        Coding::Brotli => ".br",
        Coding::Gzip => ".gz",
    }
}

/// The codings that a peer takes, the one to be looked for first in front.
pub(super) fn accepted(request: &Request) -> Vec<Coding> {
    in_order(&Accepted::of(request))
}

fn in_order(accepted: &Accepted) -> Vec<Coding> {
    let mut left = ORDER.map(Some);
    let mut in_order = Vec::new();
    while let Some(best) = accepted.choose(&left) {
        in_order.push(best);
        for it in left.iter_mut().filter(|it| **it == Some(best)) {
            *it = None;
        }
    }
    in_order
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
            ("gzip;q=0", ""),
            ("br;q=0, *", ".gz"),
            ("*", ".br.gz"),
            ("*;q=0", ""),
            ("identity", ""),
            ("identity, br;q=0.5, gzip;q=0.1", ""),
            ("identity;q=0.3, br;q=0.5, gzip;q=0.1", ".br"),
            ("gzip;q=2", ""),
            ("gzipped, brotli", ""),
        ] {
            let mut accepted = Accepted::default();
            accepted.note(list.as_bytes());
            let shown: String = in_order(&accepted).into_iter().map(suffix).collect();
            assert_eq!(shown, suffixes, "{list:?}");
        }
    }
}
