//! Who a request is counted for.

use crate::{Request, TrustedProxies};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

/// As small for a long name as for an address, so that memory is bounded by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Address(IpAddr),
    /// The hash of a name that peers cannot foresee, so they cannot take another's.
    Named(u64),
}

pub(super) enum Keying {
    Peer,
    Behind(TrustedProxies),
    Named(Box<NameOf>, RandomState),
}

type NameOf = dyn Fn(&Request) -> Option<String>;

impl Keying {
    pub(super) fn by(name_of: impl Fn(&Request) -> Option<String> + 'static) -> Self {
        Keying::Named(Box::new(name_of), RandomState::new())
    }

    pub(super) fn of(&self, request: &Request) -> Option<Key> {
        match self {
            Keying::Peer => Some(Key::Address(network_of(request.peer_addr().ip()))),
            Keying::Behind(proxies) => Some(Key::Address(network_of(proxies.client_ip(request)))),
            Keying::Named(name_of, hasher) => {
                name_of(request).map(|name| Key::Named(hasher.hash_one(name)))
            }
        }
    }
}

/// The addresses that one customer has: one of IPv4, the /64 of IPv6 (RFC 6177).
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_a_customer_are_one() {
        let network = |text: &str| {
            let address: IpAddr = text.parse().expect("an address");
            network_of(address).to_string()
        };
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
