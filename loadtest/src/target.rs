//! What is loaded: an URL or an address as the user wrote it, and the socket address behind it.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use http::Uri;

use crate::usage::UsageError;

const ADDRESS_REMEDY: &str = "Write host:port, such as 127.0.0.1:7000.";
const URL_REMEDY: &str = "Write the whole URL, such as http://127.0.0.1:8080/plaintext.";

/// An `http` URL, taken apart for the request line and the `Host` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpTarget {
    /// Host and port as `Host` carries them: the port is left out when the URL has none.
    pub(crate) authority: String,
    /// Path and query, never empty.
    pub(crate) path: String,
    /// Host to look up, without brackets.
    host: String,
    port: u16,
}

impl HttpTarget {
    pub(crate) fn parse(url: &str) -> Result<Self, UsageError> {
        let refuse = |reason: &str, remedy: &str| Err(UsageError::new(url, reason, remedy));
        if !url.contains("://") {
            return refuse("no scheme in the URL", URL_REMEDY);
        }
        if url.contains('#') {
            return refuse(
                "a fragment (#...) is never sent to a server",
                "Leave it out.",
            );
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            unreachable!("looked for above");
        };
        if scheme.eq_ignore_ascii_case("https") {
            return refuse(
                "https is not supported yet",
                "Load the server's http port, or a plain listener behind its TLS.",
            );
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return refuse("only http URLs can be loaded", URL_REMEDY);
        }
        if rest.is_empty() || rest.starts_with(['/', '?', ':']) {
            return refuse("the URL names no host", URL_REMEDY);
        }
        let Ok(uri) = url.parse::<Uri>() else {
            return refuse("not a valid URL", URL_REMEDY);
        };
        let Some(authority) = uri.authority() else {
            return refuse("the URL names no host", URL_REMEDY);
        };
        if authority.as_str().contains('@') {
            return refuse(
                "credentials in a URL are not sent",
                "Leave them out and use --header 'Authorization: ...'.",
            );
        }
        let port = match (authority.port_u16(), authority.port()) {
            (Some(0), _) => return refuse("nothing listens on port 0", URL_REMEDY),
            (Some(port), _) => port,
            // `Uri` keeps a port that is no u16 as text only.
            (None, _) if has_port_text(authority.as_str()) => {
                return refuse("the port is not a number up to 65535", URL_REMEDY);
            }
            (None, _) => 80,
        };
        Ok(Self {
            authority: authority.as_str().to_owned(),
            path: origin_form(uri.path_and_query().map_or("", |path| path.as_str())),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port,
        })
    }

    pub(crate) fn resolve(&self) -> Result<SocketAddr, UsageError> {
        resolve(&self.authority, (self.host.as_str(), self.port))
    }
}

/// A query without a path is a query of the root.
fn origin_form(path_and_query: &str) -> String {
    let slash = if path_and_query.starts_with('/') {
        ""
    } else {
        "/"
    };
    format!("{slash}{path_and_query}")
}

/// Whether something follows the host, past an IPv6 address's own colons.
fn has_port_text(authority: &str) -> bool {
    let after_host = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    after_host.contains(':')
}

/// Looks up `host:port` for an echo server.
pub(crate) fn resolve_address(text: &str) -> Result<SocketAddr, UsageError> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(UsageError::new(
            text,
            "no port in the address",
            ADDRESS_REMEDY,
        ));
    };
    if host.is_empty() {
        return Err(UsageError::new(
            text,
            "no host in the address",
            ADDRESS_REMEDY,
        ));
    }
    match port.parse::<u16>() {
        Ok(0) => Err(UsageError::new(
            text,
            "nothing listens on port 0",
            ADDRESS_REMEDY,
        )),
        Ok(_) => resolve(text, text),
        Err(_) => Err(UsageError::new(
            text,
            "the port is not a number up to 65535",
            ADDRESS_REMEDY,
        )),
    }
}

fn resolve(input: &str, name: impl ToSocketAddrs) -> Result<SocketAddr, UsageError> {
    let addresses: Vec<SocketAddr> = match name.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return Err(UsageError::new(
                input,
                format!("the host cannot be looked up: {error}"),
                "Check its name, or give an IP address.",
            ));
        }
    };
    first_that_answers(&addresses).ok_or_else(|| {
        UsageError::new(
            input,
            "the host has no address",
            "Check its name, or give an IP address.",
        )
    })
}

/// `localhost` is often two addresses and a server listens on one of them: the load goes to the
/// first that takes a connection, or to the first when none does, whose failure is then reported.
fn first_that_answers(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    if let [only] = addresses {
        return Some(*only);
    }
    let answers =
        |address: &&SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok();
    addresses
        .iter()
        .find(answers)
        .or(addresses.first())
        .copied()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let checks = [
            (
                "http://127.0.0.1:8080/a?b=c",
                "127.0.0.1:8080",
                "/a?b=c",
                "127.0.0.1",
                8080,
            ),
            ("http://host", "host", "/", "host", 80),
            ("HTTP://host?q", "host", "/?q", "host", 80),
            ("http://[::1]:81/", "[::1]:81", "/", "::1", 81),
            ("http://[::1]/", "[::1]", "/", "::1", 80),
        ];
        for (url, authority, path, host, port) in checks {
            let target = HttpTarget::parse(url).expect(url);
            assert_eq!(target.authority, authority, "{url}");
            assert_eq!(target.path, path, "{url}");
            assert_eq!(target.host, host, "{url}");
            assert_eq!(target.port, port, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_loaded_is_refused_with_its_reason() {
        let checks = [
            ("https://host/", "https is not supported yet"),
            ("ftp://host/", "only http URLs"),
            ("localhost:8080/", "no scheme"),
            ("/path", "no scheme"),
            ("http:///path", "names no host"),
            ("http://", "names no host"),
            ("http://:80/", "names no host"),
            ("http://user:secret@host/", "credentials"),
            ("http://host:99999/", "the port is not a number"),
            ("http://host:/", "the port is not a number"),
            ("http://host:0/", "port 0"),
            ("http://host/#top", "fragment"),
            ("http://ho st/", "not a valid URL"),
        ];
        for (url, reason) in checks {
            let error = HttpTarget::parse(url).expect_err(url).to_string();
            assert!(error.starts_with(&format!("{url}: ")), "{error}");
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn an_address_needs_host_and_port() {
        let checks = [
            ("127.0.0.1", "no port"),
            (":7000", "no host"),
            ("127.0.0.1:seven", "the port is not a number"),
            ("127.0.0.1:70000", "the port is not a number"),
            ("127.0.0.1:0", "port 0"),
        ];
        for (text, reason) in checks {
            let error = resolve_address(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let address = resolve_address("127.0.0.1:7000").expect("a literal needs no look-up");
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 7000)));
    }

    #[test]
    fn of_several_addresses_the_one_that_listens_is_taken() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
            listener.local_addr().expect("address")
        };
        let open = TcpListener::bind("127.0.0.1:0").expect("bind");
        let listening = open.local_addr().expect("address");
        assert_eq!(first_that_answers(&[closed, listening]), Some(listening));
        assert_eq!(first_that_answers(&[closed, closed]), Some(closed));
    }
}
