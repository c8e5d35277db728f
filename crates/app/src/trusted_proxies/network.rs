//! Networks of addresses, as operators write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits. IPv4 is held as what it is within IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    bits: u128,
    mask: u128,
}

/// What is no network of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError {
    text: String,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            f,
            "\"{text}\" is no network; write an address, and behind a slash how many of its bits \
             count, as in 10.0.0.0/8 or 2001:db8::/32"
        )
    }
}

impl std::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError { text: text.into() };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits_max: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => bits_max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| error())?
            }
            Some(_) => return Err(error()),
        };
        let rest = bits_max.checked_sub(length).ok_or_else(error)?;
        let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
        let bits = bits_of(address);
        // 10.0.0.1/8 is a mistake, or was meant as something else.
        match bits & mask == bits {
            true => Ok(Network { bits, mask }),
            false => Err(error()),
        }
    }
}

impl Network {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        bits_of(address) & self.mask == self.bits
    }
}

fn bits_of(address: IpAddr) -> u128 {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.0/31", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::/0", "10.0.0.1", ""),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
        ] {
            let parsed: Network = network.parse().expect(network);
            assert!(parsed.contains(inside.parse().expect(inside)), "{network}");
            if let Ok(outside) = outside.parse() {
                assert!(!parsed.contains(outside), "{network}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "::/129",
            "10.0.0",
            "localhost",
            "10.0.0.0/8/8",
            "10.0.0.0/4294967296",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
