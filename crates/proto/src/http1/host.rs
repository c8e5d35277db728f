//! The grammar of `host [":" port]` (RFC 3986 §3.2.2, §3.2.3), without user information.

use std::net::Ipv6Addr;
use std::str;

use super::byte_class::{self, HOST_NAME};

/// Whether the bytes are a host with an optional port. An empty host passes; who cannot take one
/// asks [`is_empty`].
#[inline]
pub(super) fn is_valid(authority: &[u8]) -> bool {
    // Nearly every Host is a plain name, with or without a port.
    let name_len = byte_class::count_leading(HOST_NAME, authority);
    match &authority[name_len..] {
        [] => true,
        [b':', port @ ..] => is_port(port),
        _ => is_uncommon(authority),
    }
}

/// Whether a valid authority has no host.
#[inline]
pub(super) fn is_empty(authority: &[u8]) -> bool {
    matches!(authority, [] | [b':', ..])
}

/// Whether a valid authority ends in a port that is not empty.
#[inline]
pub(super) fn has_port(authority: &[u8]) -> bool {
    authority.last().is_some_and(u8::is_ascii_digit)
        && authority
            .rsplit(|&byte| byte == b':')
            .next()
            .is_some_and(|port| port.len() < authority.len() && is_port(port))
}

/// The grammar has any number of digits; no port has more than sixteen bits.
#[inline]
fn is_port(port: &[u8]) -> bool {
    let mut number = 0_u32;
    port.iter().all(|byte| {
        let digit = byte.wrapping_sub(b'0');
        number = number * 10 + u32::from(digit);
        digit <= 9 && number <= u32::from(u16::MAX)
    })
}

/// Names with percent-encodings and addresses in brackets.
#[cold]
fn is_uncommon(authority: &[u8]) -> bool {
    if let [b'[', literal @ ..] = authority {
        let Some(len) = literal.iter().position(|&byte| byte == b']') else {
            return false;
        };
        return is_ip_literal(&literal[..len])
            && match &literal[len + 1..] {
                [] => true,
                [b':', port @ ..] => is_port(port),
                _ => false,
            };
    }
    let mut rest = authority;
    loop {
        rest = match rest {
            [] => return true,
            [b':', port @ ..] => return is_port(port),
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                tail
            }
            [byte, tail @ ..] if byte_class::is(HOST_NAME, *byte) => tail,
            _ => return false,
        };
    }
}

fn is_ip_literal(literal: &[u8]) -> bool {
    match literal {
        // IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
        [b'v' | b'V', rest @ ..] => {
            let Some(dot) = rest.iter().position(|&byte| byte == b'.') else {
                return false;
            };
            let (version, address) = (&rest[..dot], &rest[dot + 1..]);
            !version.is_empty()
                && version.iter().all(u8::is_ascii_hexdigit)
                && !address.is_empty()
                && address
                    .iter()
                    .all(|&byte| byte == b':' || byte_class::is(HOST_NAME, byte))
        }
        _ => str::from_utf8(literal).is_ok_and(|literal| literal.parse::<Ipv6Addr>().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_grammar_pass() {
        for host in [
            "",
            ":",
            ":80",
            "a",
            "example.com",
            "example.com:",
            "example.com:8080",
            "EXAMPLE.com:65535",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:443",
            "[2001:db8::1]:",
            "[v1.fe80::a]",
            "a%20b",
            "a%2Fb:1",
            "a_b.c~d",
            "sub!$&'()*+,;=",
            "xn--bcher-kva.example",
            "a:0080",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn hosts_outside_the_grammar_do_not_pass() {
        for host in [
            "a b",
            "a/b",
            "user@a",
            "user:pw@a",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+1",
            "a?b",
            "a#b",
            "a\\b",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[:::]",
            "[127.0.0.1]",
            "[v.a]",
            "[v1.]",
            "[vx.a]",
            "[fe80::1%25eth0]",
            "a%",
            "a%2",
            "a%2g",
            "a\tb",
            "a\u{7f}",
            "\u{fc}",
            "a]",
            "<a>",
            "a:99999999999999999999",
            "http://a",
            "a|b",
            "\"a\"",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_port_is_told_from_a_name_and_an_address() {
        for with in ["a:1", "[::1]:80", "127.0.0.1:80", ":1"] {
            assert!(has_port(with.as_bytes()), "{with}");
        }
        for without in ["a", "a:", "127.0.0.1", "[::1]", "[::1]:", "", ":"] {
            assert!(!has_port(without.as_bytes()), "{without}");
        }
    }
}
