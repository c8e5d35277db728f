//! The four forms of a request target (RFC 9112 §3.2) and where its parts are.

use http::Method;

use super::byte_class::{PATH, QUERY, count_leading};
use super::error::RecvError;
use super::head::Span;
use super::host;

/// Where the parts of a target are, in bytes from its first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The authority of the absolute and authority forms.
    pub(super) authority: Option<Span>,
    /// The path; empty when an absolute form has none.
    pub(super) path: Span,
    /// Whether a query follows the path.
    pub(super) has_query: bool,
}

/// Whether the bytes may stand in an origin-form target: the client's check before it sends one.
pub(super) fn is_valid(target: &[u8]) -> bool {
    target == b"*" || (target.starts_with(b"/") && split_path(target, 0).is_some())
}

/// Splits a target, in the form its method allows.
#[inline(always)]
pub(super) fn parse(method: &Method, target: &[u8]) -> Result<Parts, RecvError> {
    let parts = if *method != Method::CONNECT && target.starts_with(b"/") {
        split_path(target, 0)
    } else {
        uncommon_form(method, target)
    };
    parts.ok_or(RecvError::Target)
}

/// `/path?query` from `start` to the end of the target.
#[inline(always)]
fn split_path(target: &[u8], start: usize) -> Option<Parts> {
    let tail = &target[start..];
    let mut path_len = count_leading(PATH, tail);
    if tail.get(path_len) == Some(&b'%') {
        path_len = encoded_path_len(tail, path_len)?;
    }
    let has_query = match &tail[path_len..] {
        [] => false,
        [b'?', query @ ..] if count_leading(QUERY, query) == query.len() => true,
        _ => return None,
    };
    Some(Parts {
        authority: None,
        path: Span::new(start, start + path_len),
        has_query,
    })
}

/// The length of a path in which something is encoded from `at` on. A `%` without two digits is not
/// passed on for everyone behind to make something else of (RFC 3986 §2.1).
#[cold]
fn encoded_path_len(tail: &[u8], mut at: usize) -> Option<usize> {
    while let Some(b'%') = tail.get(at) {
        let digits = tail.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += 3 + count_leading(PATH, &tail[at + 3..]);
    }
    Some(at)
}

#[cold]
fn uncommon_form(method: &Method, target: &[u8]) -> Option<Parts> {
    if *method == Method::CONNECT {
        authority_form(target)
    } else if target == b"*" {
        (*method == Method::OPTIONS).then_some(Parts {
            path: Span::new(0, 1),
            ..Parts::default()
        })
    } else {
        absolute_form(target)
    }
}

/// `host:port`, which only CONNECT takes; both have to be there (RFC 9110 §9.3.6).
fn authority_form(target: &[u8]) -> Option<Parts> {
    (host::is_valid(target) && !host::is_empty(target) && host::has_port(target)).then(|| Parts {
        authority: Some(Span::new(0, target.len())),
        path: Span::new(target.len(), target.len()),
        has_query: false,
    })
}

/// `http://host:port/path?query`. Other schemes are not for an HTTP server to serve, user
/// information and an empty host are errors (RFC 9110 §4.2.1, §4.2.4).
fn absolute_form(target: &[u8]) -> Option<Parts> {
    let scheme_len = target.iter().position(|&byte| byte == b':')?;
    let scheme = &target[..scheme_len];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let start = scheme_len + b"://".len();
    let rest = target[scheme_len..].strip_prefix(b"://")?;
    let len = rest
        .iter()
        .position(|&byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = &rest[..len];
    if !host::is_valid(authority) || host::is_empty(authority) {
        return None;
    }
    let parts = split_path(target, start + len)?;
    Some(Parts {
        authority: Some(Span::new(start, start + len)),
        ..parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "authority path query", with `-` for what is not there.
    fn check(method: &Method, target: &str, expected: Option<&str>) {
        let parsed = parse(method, target.as_bytes()).ok().map(|parts| {
            let text = |span: Span| &target[span.range()];
            let query = parts
                .has_query
                .then(|| &target[parts.path.range().end + 1..]);
            format!(
                "{} {} {}",
                parts.authority.map_or("-", text),
                text(parts.path),
                query.unwrap_or("-")
            )
        });
        assert_eq!(parsed.as_deref(), expected, "{method} {target}");
    }

    #[test]
    fn origin_form_is_a_path_and_perhaps_a_query() {
        check(&Method::GET, "/", Some("- / -"));
        check(&Method::GET, "/a/b?c=d", Some("- /a/b c=d"));
        check(&Method::GET, "/?", Some("- / "));
        check(&Method::GET, "/a??b", Some("- /a ?b"));
        check(&Method::GET, "//a/../b", Some("- //a/../b -"));
        check(&Method::GET, "/a|b^{c}[d]`", Some("- /a|b^{c}[d]` -"));
        check(&Method::GET, "/?a\\b", Some("- / a\\b"));
        check(&Method::GET, "/%2F%aB?%", Some("- /%2F%aB %"));
        check(&Method::GET, "/%00b%20/?%zz", Some("- /%00b%20/ %zz"));
    }

    #[test]
    fn what_is_encoded_in_a_path_has_two_digits() {
        for target in [
            "/%",
            "/%?",
            "/%2",
            "/%zz",
            "/a%2g",
            "/%20%",
            "/%%20",
            "/%2?0",
            "http://a/%g0",
        ] {
            check(&Method::GET, target, None);
        }
    }

    #[test]
    fn bytes_that_no_url_holds_are_refused() {
        for target in [
            "/a#b", "/?a#b", "/\"", "/<", "/>", "/a\\b", "/\u{e9}", "/?\u{e9}", "/\u{7f}", "/\0",
        ] {
            check(&Method::GET, target, None);
        }
    }

    #[test]
    fn absolute_form_names_its_authority() {
        check(&Method::GET, "http://a", Some("a  -"));
        check(&Method::GET, "HTTP://a:80/b?c", Some("a:80 /b c"));
        check(&Method::GET, "https://[::1]:8/", Some("[::1]:8 / -"));
        check(&Method::GET, "http://a?b/c", Some("a  b/c"));
        for target in [
            "http://",
            "http:///",
            "http://:80/",
            "http://u@a/",
            "http://u:p@a/",
            "http:/a",
            "http:a",
            "ftp://a/",
            "a",
            "a/b",
            "example.com:80",
            "http://a b/",
            "http://a#b",
            "1http://a",
            "",
        ] {
            check(&Method::GET, target, None);
        }
    }

    #[test]
    fn asterisk_is_for_options_alone() {
        check(&Method::OPTIONS, "*", Some("- * -"));
        check(&Method::GET, "*", None);
        check(&Method::OPTIONS, "*/", None);
    }

    #[test]
    fn authority_form_is_for_connect_alone() {
        check(&Method::CONNECT, "a:443", Some("a:443  -"));
        check(&Method::CONNECT, "[::1]:443", Some("[::1]:443  -"));
        for target in [
            "a",
            "a:",
            ":443",
            "/",
            "*",
            "http://a:443/",
            "a:443/",
            "u@a:443",
        ] {
            check(&Method::CONNECT, target, None);
        }
    }
}
