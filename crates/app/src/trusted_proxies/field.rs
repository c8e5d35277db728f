//! What proxies say of who came to them: `X-Forwarded-For`, or `Forwarded` (RFC 7239).

use super::Says;
use crate::Request;
use std::net::{IpAddr, SocketAddr};

/// Who came to each proxy, from the one nearest to here; `None` where that cannot be read.
pub(super) fn hops_from_here(request: &Request, says: Says) -> Vec<Option<IpAddr>> {
    match says {
        Says::XForwarded => {
            let lines = lines_from_here(request, "x-forwarded-for");
            let hops = lines.iter().flat_map(|line| line.rsplit(','));
            hops.map(|hop| address_in(hop.trim())).collect()
        }
        Says::Forwarded => {
            let lines = lines_from_here(request, "forwarded");
            let elements = lines
                .iter()
                .flat_map(|line| split_unquoted(line, ',').into_iter().rev());
            elements
                .map(|element| address_in(&param(element, "for")?))
                .collect()
        }
    }
}

/// What the proxy nearest to here says, which is what it was told when it trusts the next one.
pub(super) fn is_https(request: &Request, says: Says) -> bool {
    let proto = match says {
        Says::XForwarded => {
            let lines = lines_from_here(request, "x-forwarded-proto");
            let last = lines.first().and_then(|line| line.rsplit(',').next());
            last.map(|proto| proto.trim().to_owned())
        }
        Says::Forwarded => {
            let lines = lines_from_here(request, "forwarded");
            let last = lines
                .first()
                .and_then(|line| split_unquoted(line, ',').pop());
            last.and_then(|element| param(element, "proto"))
        }
    };
    proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

/// The lines of this name, the last one first. One that is no text is there, and says nothing.
fn lines_from_here<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    let fields = request.head().headers();
    let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    let mut lines: Vec<&str> = named
        .map(|(_, value)| str::from_utf8(value).unwrap_or_default())
        .collect();
    lines.reverse();
    lines
}

/// An address, with or without a port, IPv6 in brackets or not.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|with: SocketAddr| with.ip()));
    address.as_ref().map(IpAddr::to_canonical)
}

/// The value of one pair of an element, such as `for="[2001:db8::1]:80";proto=https`.
fn param(element: &str, name: &str) -> Option<String> {
    let pairs = split_unquoted(element, ';').into_iter();
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Some(match quoted {
        Some(text) => text.replace('\\', ""),
        None => value.to_owned(),
    })
}

/// The parts between separators that are not within quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if char == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_or_without_a_port() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.1, 192.0.2.2", None),
            ("[192.0.2.1", None),
            ("", None),
        ] {
            let address = address_in(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn whatever_is_sent_is_read() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let parts = split_unquoted(text, ',');
            assert_eq!(parts.join(","), *text);
            for part in parts {
                let _ = (param(part, "for"), address_in(part));
            }
        });
    }

    #[test]
    fn what_is_quoted_is_not_split() {
        assert_eq!(split_unquoted("a,b", ','), ["a", "b"]);
        assert_eq!(
            split_unquoted("a=\"x,\\\",y\",b", ','),
            ["a=\"x,\\\",y\"", "b"]
        );
        assert_eq!(split_unquoted("", ','), [""]);
        let element = " For=\"[2001:db8::1]:80\" ; proto=https;by=x";
        assert_eq!(param(element, "for").as_deref(), Some("[2001:db8::1]:80"));
        assert_eq!(param(element, "PROTO").as_deref(), Some("https"));
        assert_eq!(param(element, "host"), None);
    }
}
