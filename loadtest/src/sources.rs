//! Source addresses: where connections come from, so that ports do not run out.
//!
//! One source address has one set of ephemeral ports, about 28,000 on Linux. More connections
//! to one destination need more source addresses; on loopback all of 127.0.0.0/8 is ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::usage::UsageError;

/// Linux's default range of ephemeral ports, 32768 to 60999.
const PORTS_DEFAULT: u32 = 28_232;
/// A range in `--source` is a slip of the pen when it is longer.
const SOURCES_MAX: u32 = 4_096;
const REMEDY: &str = "Write addresses of this machine, such as 127.0.0.1-127.0.0.4 or \
                      10.0.0.5,10.0.0.6.";

/// The addresses to connect from, in turn. Empty: the system chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources(Vec<IpAddr>);

impl Sources {
    /// Reads a comma-separated list of addresses and IPv4 ranges.
    pub(crate) fn parse(list: &str) -> Result<Self, UsageError> {
        let refuse = |reason: String| UsageError::new(format!("--source {list}"), reason, REMEDY);
        let mut addresses = Vec::new();
        for part in list.split(',').map(str::trim) {
            match part.split_once('-') {
                Some((first, last)) => {
                    let ends = (
                        first.trim().parse::<Ipv4Addr>(),
                        last.trim().parse::<Ipv4Addr>(),
                    );
                    let (Ok(first), Ok(last)) = ends else {
                        return Err(refuse(format!("'{part}' is not a range of IPv4 addresses")));
                    };
                    let range = u32::from(first)..=u32::from(last);
                    if range.is_empty() {
                        return Err(refuse(format!("'{part}' ends before it begins")));
                    }
                    if range.end() - range.start() >= SOURCES_MAX {
                        return Err(refuse(format!(
                            "'{part}' is more than {SOURCES_MAX} addresses"
                        )));
                    }
                    addresses.extend(range.map(|bits| IpAddr::from(Ipv4Addr::from(bits))));
                }
                None => match part.parse::<IpAddr>() {
                    Ok(address) => addresses.push(address),
                    Err(_) => return Err(refuse(format!("'{part}' is not an IP address"))),
                },
            }
        }
        Ok(Self(addresses))
    }

    /// Checks that the addresses given fit the target, or chooses them when none are.
    ///
    /// `ports` is how many ephemeral ports one source has.
    pub(crate) fn settle(
        self,
        target: SocketAddr,
        connections: u64,
        ports: u32,
    ) -> Result<Self, UsageError> {
        // A tenth stays free for other programs and for connections in TIME_WAIT.
        let connections_per_source = u64::from(ports - ports / 10).max(1);
        let needed = connections.div_ceil(connections_per_source);
        let given = self.0.len() as u64;

        if self
            .0
            .iter()
            .any(|source| source.is_ipv4() != target.is_ipv4())
        {
            return Err(UsageError::new(
                format!("--source {self}"),
                format!("not of the same address family as the target {target}"),
                REMEDY,
            ));
        }
        if needed <= given.max(1) {
            return Ok(self);
        }
        let loopback = matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback());
        if given == 0 && loopback && cfg!(target_os = "linux") {
            // Other systems configure 127.0.0.1 only.
            let first = u32::from(Ipv4Addr::LOCALHOST);
            let range = (first..).take(usize::try_from(needed).unwrap_or(usize::MAX));
            return Ok(Self(
                range
                    .map(|bits| IpAddr::from(Ipv4Addr::from(bits)))
                    .collect(),
            ));
        }
        Err(UsageError::new(
            format!("--connections {connections}"),
            format!(
                "one source address has ports for about {connections_per_source} connections to \
                 one destination"
            ),
            format!("Give {needed} addresses of this machine with --source, or ask for fewer."),
        ))
    }

    /// Where connection `number` comes from, with port 0; `None` when the system chooses.
    pub(crate) fn of(&self, number: usize) -> Option<SocketAddr> {
        let address = self.0.get(number.checked_rem(self.0.len())?)?;
        Some(SocketAddr::new(*address, 0))
    }

    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.0
    }
}

impl std::fmt::Display for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

/// How many ephemeral ports a source address has on this machine.
pub(crate) fn ephemeral_ports() -> u32 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| parse_port_range(&range))
        .unwrap_or(PORTS_DEFAULT)
}

fn parse_port_range(text: &str) -> Option<u32> {
    let mut ends = text.split_ascii_whitespace().map(str::parse::<u16>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    u32::from(last)
        .checked_sub(u32::from(first))
        .map(|span| span + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8080))
    }

    fn parsed(list: &str) -> String {
        Sources::parse(list).map_or_else(|error| error.to_string(), |sources| sources.to_string())
    }

    #[test]
    fn lists_and_ranges_are_read() {
        assert_eq!(parsed("127.0.0.1"), "127.0.0.1");
        assert_eq!(
            parsed("127.0.0.1-127.0.0.3"),
            "127.0.0.1,127.0.0.2,127.0.0.3"
        );
        assert_eq!(
            parsed("10.0.0.255-10.0.1.0, ::1"),
            "10.0.0.255,10.0.1.0,::1"
        );
    }

    #[test]
    fn a_bad_list_is_refused_by_its_part() {
        for (list, reason) in [
            ("", "'' is not an IP address"),
            ("127.0.0.1,local", "'local' is not an IP address"),
            ("127.0.0.1-x", "'127.0.0.1-x' is not a range"),
            ("127.0.0.2-127.0.0.1", "ends before it begins"),
            ("127.0.0.1-127.9.0.1", "more than 4096"),
        ] {
            assert!(parsed(list).contains(reason), "{list}: {}", parsed(list));
        }
    }

    #[test]
    fn few_connections_leave_the_choice_to_the_system() {
        let sources = Sources::default()
            .settle(loopback(), 25_000, 28_232)
            .expect("settle");
        assert_eq!(sources.of(0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn many_connections_to_loopback_take_as_many_sources_as_they_need() {
        let sources = Sources::default()
            .settle(loopback(), 50_000, 28_232)
            .expect("settle");
        assert_eq!(sources.to_string(), "127.0.0.1,127.0.0.2");
        assert_eq!(sources.of(0), Some(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(sources.of(1), Some(SocketAddr::from(([127, 0, 0, 2], 0))));
        assert_eq!(sources.of(2), sources.of(0));
    }

    #[test]
    fn too_many_connections_for_the_sources_are_refused_with_the_number_needed() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 80));
        let error = Sources::default()
            .settle(elsewhere, 60_000, 28_232)
            .expect_err("settled");
        assert!(error.to_string().contains("Give 3 addresses"), "{error}");
        let one = Sources::parse("127.0.0.1").expect("parse");
        assert!(one.settle(loopback(), 60_000, 28_232).is_err());
    }

    #[test]
    fn a_source_of_the_other_family_is_refused() {
        let sources = Sources::parse("::1").expect("parse");
        let error = sources.settle(loopback(), 1, 28_232).expect_err("settled");
        assert!(error.to_string().contains("address family"), "{error}");
    }

    #[test]
    fn the_port_range_is_counted_inclusively() {
        assert_eq!(parse_port_range("32768\t60999\n"), Some(28_232));
        assert_eq!(parse_port_range("60999 32768"), None);
        assert_eq!(parse_port_range("all"), None);
    }
}
