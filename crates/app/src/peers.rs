//! How many connections each peer has on one loop.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

/// Counts connections by peer. Keys are chosen by peers, so the hash is one that they cannot
/// foresee.
#[derive(Debug)]
pub(crate) struct Peers {
    max: u32,
    counts: RefCell<HashMap<IpAddr, u32>>,
}

/// A connection among those of its peer; boxed, for most servers do not count.
#[derive(Debug)]
pub(crate) struct PeerPlace {
    peers: Rc<Peers>,
    peer: IpAddr,
}

impl Peers {
    pub(crate) fn new(max: u32) -> Rc<Self> {
        Rc::new(Peers {
            max,
            counts: RefCell::default(),
        })
    }

    /// A place for one more connection of a peer; `None` when it has all that it may have.
    pub(crate) fn enter(self: &Rc<Self>, address: IpAddr) -> Option<Box<PeerPlace>> {
        let peer = peer_of(address);
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(peer).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Box::new(PeerPlace {
            peers: self.clone(),
            peer,
        }))
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut counts = self.peers.counts.borrow_mut();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
                // A flood leaves no memory behind.
                if counts.is_empty() {
                    counts.shrink_to_fit();
                }
            }
        }
    }
}

/// Who counts as one: an IPv4 address, also when it is written as an IPv6 one; of IPv6 the /64, as
/// each subscriber has at least one to himself (RFC 6177, RIPE-690) and any address in it.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
    fn addresses_of_one_subscriber_are_one_peer() {
        let peer = |text: &str| peer_of(text.parse().unwrap());
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    #[test]
    fn a_place_that_is_given_up_is_free_and_leaves_nothing_behind() {
        let peers = Peers::new(1);
        let address = IpAddr::from([192, 0, 2, 1]);
        let place = peers.enter(address);
        assert!(place.is_some() && peers.enter(address).is_none());
        assert!(peers.enter(IpAddr::from([192, 0, 2, 2])).is_some());
        drop(place);
        assert!(peers.counts.borrow().is_empty());
        assert!(peers.enter(address).is_some());
    }
}
