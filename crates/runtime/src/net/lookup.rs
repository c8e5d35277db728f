//! The addresses of a name.

use crate::blocking::run_blocking;
use crate::runtime::current;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Asks the system for the addresses of a host, in the order in which they should be tried.
/// A literal address, IPv6 with brackets or without, is its own answer at once.
///
/// The question is a job of the [blocking pool](crate::spawn_blocking) (`getaddrinfo`), where a
/// name server that does not answer holds a thread for as long as the system waits for it: 10 s
/// by default with glibc (resolv.conf(5): 2 attempts of 5 s), for each server. Answers are not
/// kept.
///
/// ```
/// use monoloop_runtime::{Runtime, net};
///
/// # fn main() -> std::io::Result<()> {
/// Runtime::new()?.block_on(async {
///     let literal = net::lookup_host("[::1]", 80).await?;
///     assert_eq!(literal, ["[::1]:80".parse().unwrap()]);
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
/// What the system says, inside of a [`LookupError`] that names the host; also when the answer
/// has no address in it.
///
/// # Cancel safety
/// Nothing is lost; the question is asked to its end, for nobody.
pub async fn lookup_host(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host) {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let made_up = {
        let core = current();
        let mut driver = core.driver.borrow_mut();
        driver.simulation().map(|world| world.look_up(host))
    };
    // In a made-up world the answer is known, and takes the time of a job all the same.
    let answer = run_blocking(move || match made_up {
        Some(answer) => answer.map(|found| with_port(found, port)),
        None => (name.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect),
    })
    .await;
    let failed = |error| LookupError::wrap(host, error);
    let mut found: Vec<SocketAddr> = answer.map_err(failed)?;
    if found.is_empty() {
        return Err(failed(io::Error::other("it has no address")));
    }
    remove_repeated(&mut found);
    Ok(found)
}

fn literal(host: &str) -> Option<IpAddr> {
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match bracketed {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => host.parse().ok(),
    }
}

fn with_port(addresses: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let addresses = addresses.into_iter();
    addresses.map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The system may have a host twice, in its own file and from a server.
fn remove_repeated(addresses: &mut Vec<SocketAddr>) {
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
}

/// A name whose addresses could not be found: inside of the [`io::Error`] of [`lookup_host`].
#[derive(Debug)]
pub struct LookupError {
    host: String,
    error: io::Error,
}

impl LookupError {
    fn wrap(host: &str, error: io::Error) -> io::Error {
        let host = host.to_owned();
        io::Error::new(error.kind(), LookupError { host, error })
    }

    /// The name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot find the address of {:?}: {}",
            self.host, self.error
        )
    }
}

impl Error for LookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_an_address_with_brackets_for_ipv6_only() {
        for (host, address) in [
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[127.0.0.1]", None),
            ("[::1", None),
            ("", None),
            ("localhost", None),
            ("1.2.3", None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(literal(host), address, "{host:?}");
        }
    }

    #[test]
    fn an_address_that_comes_twice_is_tried_once_in_its_first_place() {
        let at = |last| SocketAddr::from(([10, 0, 0, last], 80));
        let mut addresses = vec![at(2), at(1), at(2), at(3), at(1)];
        remove_repeated(&mut addresses);
        assert_eq!(addresses, [at(2), at(1), at(3)]);
    }
}
