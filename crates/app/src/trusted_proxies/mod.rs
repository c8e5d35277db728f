//! Who a client is that comes through proxies.

mod field;
mod network;

pub use network::NetworkError;

use crate::Request;
use network::Network;
use std::net::IpAddr;

/// The proxies in front of the server, whose word is taken for who the client is.
///
/// Anybody can send `X-Forwarded-For`; each proxy adds to its end who has come to it. So it is
/// read from the end, through the proxies that are trusted and no further.
///
/// ```
/// # #[cfg(not(feature = "rate-limit"))]
/// # fn main() {}
/// # #[cfg(feature = "rate-limit")]
/// # fn main() -> Result<(), monoloop::NetworkError> {
/// use monoloop::{RateLimit, Router, TrustedProxies};
///
/// let proxies = TrustedProxies::networks(["10.0.0.0/8", "2001:db8::/32"])?;
/// let app = Router::new().middleware(RateLimit::per_second(50).behind(proxies));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    trust: Trust,
    says: Says,
}

#[derive(Debug, Clone)]
enum Trust {
    Count(usize),
    Networks(Vec<Network>),
}

/// The fields that the proxies set. The other ones are then the client's own words.
#[derive(Debug, Clone, Copy)]
enum Says {
    XForwarded,
    Forwarded,
}

impl TrustedProxies {
    /// So many proxies, one behind the other, whatever their addresses. Nobody may reach the
    /// server, nor an inner proxy, past the others: they could say what they like.
    #[must_use]
    pub fn count(proxies: usize) -> Self {
        TrustedProxies {
            trust: Trust::Count(proxies),
            says: Says::XForwarded,
        }
    }

    /// The proxies with addresses in these networks, such as `10.0.0.0/8` or `192.0.2.1`. Who comes
    /// from elsewhere is a client.
    ///
    /// # Errors
    /// When one is no network.
    pub fn networks<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let networks: Result<Vec<Network>, _> = networks.into_iter().map(str::parse).collect();
        Ok(TrustedProxies {
            trust: Trust::Networks(networks?),
            says: Says::XForwarded,
        })
    }

    /// The proxies set `Forwarded` (RFC 7239), and not `X-Forwarded-For` and
    /// `X-Forwarded-Proto`.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.says = Says::Forwarded;
        self
    }

    /// The address of the client: of the first, from here, that is not a trusted proxy. Where one
    /// of the proxies does not say in a way that can be read, the last that is known.
    #[must_use]
    pub fn client_ip(&self, request: &Request) -> IpAddr {
        let mut client = request.peer_addr().ip().to_canonical();
        let mut hops = field::hops_from_here(request, self.says).into_iter();
        let mut passed = 0;
        while self.trusts(client, passed) {
            let Some(Some(next)) = hops.next() else { break };
            client = next;
            passed += 1;
        }
        client
    }

    /// Whether the client came to the outermost of the proxies by HTTPS, as far as they tell.
    #[must_use]
    pub fn is_https(&self, request: &Request) -> bool {
        let peer = request.peer_addr().ip().to_canonical();
        self.trusts(peer, 0) && field::is_https(request, self.says)
    }

    /// Whether somebody that `passed` proxies stand before is one, too.
    fn trusts(&self, address: IpAddr, passed: usize) -> bool {
        match &self.trust {
            Trust::Count(proxies) => passed < *proxies,
            Trust::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}
