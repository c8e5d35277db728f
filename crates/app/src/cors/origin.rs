//! Which origins are allowed.

use http::Uri;
use std::fmt;
use std::rc::Rc;

#[derive(Clone, Default)]
pub(super) struct Origins {
    is_any: bool,
    named: Rc<[Box<str>]>,
    predicates: Rc<[Rc<Predicate>]>,
}

type Predicate = dyn Fn(&str) -> bool;

impl Origins {
    pub(super) fn add<'a>(&mut self, origins: impl IntoIterator<Item = &'a str>) {
        let known = self.named.iter().cloned();
        self.named = known.chain(origins.into_iter().map(Box::from)).collect();
    }

    pub(super) fn allow_any(&mut self) {
        self.is_any = true;
    }

    pub(super) fn allow_if(&mut self, allows: impl Fn(&str) -> bool + 'static) {
        let allows: Rc<Predicate> = Rc::new(allows);
        let known = self.predicates.iter().cloned();
        self.predicates = known.chain([allows]).collect();
    }

    pub(super) fn is_any(&self) -> bool {
        self.is_any
    }

    /// Byte by byte: browsers write an origin in one way (RFC 6454 §6.2).
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.named.iter().any(|named| **named == *origin)
            || self.predicates.iter().any(|allows| allows(origin))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = self.named.iter().find_map(|origin| {
            let reason = fault_of(origin)?;
            Some(format!("Cors: \"{origin}\" is no origin: {reason}"))
        });
        wrong.map_or(Ok(()), Err)
    }
}

/// Why no browser would ever send this.
fn fault_of(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return Some("call any_origin for all of them");
    }
    if origin == "null" {
        return Some("anybody can have it; allow it by origin_if, if you must");
    }
    let uri: Uri = match origin.parse() {
        Ok(uri) => uri,
        Err(_) => return Some("write it as in https://app.example"),
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Some("it begins with a scheme, as in https://app.example");
    };
    let written = format!("{scheme}://{authority}");
    let has_default_port = matches!(
        (scheme, authority.port_u16()),
        ("http", Some(80)) | ("https", Some(443))
    );
    match () {
        () if origin.ends_with('/') => Some("it has no slash at the end"),
        () if written.len() != origin.len() => Some("it ends behind the host and the port"),
        () if authority.as_str().contains('@') => Some("it has no user"),
        () if has_default_port => Some("the port of the scheme is left out"),
        () if origin.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some("it is in lower-case letters")
        }
        () => None,
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_any {
            true => f.write_str("any"),
            false => f.debug_list().entries(self.named.iter()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_no_browser_sends_is_a_mistake() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "http://[::1]:8080",
            "https://a.example:80",
            "chrome-extension://abc",
        ] {
            assert_eq!(fault_of(good), None, "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "a.example",
            "//a.example",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?x",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://u@a.example",
            "https://a b",
        ] {
            assert!(fault_of(bad).is_some(), "{bad}");
        }
    }
}
