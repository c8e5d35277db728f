//! What a test may do to a world, and ask of it, from inside.

use super::Simulation;
use super::events::Event;
use super::faults::{Broken, Fault, Faults, Link};
use super::socket::{Kind, State};
use slotmap::DefaultKey;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

impl Simulation {
    pub(crate) fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(crate) fn partition(&mut self, these: Vec<IpAddr>, those: Vec<IpAddr>) {
        self.note(&format_args!("partition {these:?} {those:?}"));
        self.cuts.push((these, those));
    }

    /// What could not arrive does so now.
    pub(crate) fn heal(&mut self) {
        self.note(&format_args!("heal"));
        self.cuts.clear();
        let now = self.now();
        for to in self.streams() {
            let waiting = self.stream(to).and_then(|stream| stream.inbound.front());
            if waiting.is_some_and(|(at, _)| *at <= now) {
                self.events.plan(now, Event::Arrival { to });
            }
        }
    }

    /// Resets the connections that have an end for which this holds.
    pub(crate) fn reset_where(&mut self, holds: impl Fn(SocketAddr) -> bool) {
        for key in self.streams() {
            let Some(stream) = self.stream(key) else {
                continue;
            };
            let (client, server) = stream.ends();
            if stream.state != State::Connected || !(holds(client) || holds(server)) {
                continue;
            }
            // Once for both ends; a client's end is there as long as anybody hears of it.
            let peer = stream.peer;
            if stream.connects || self.stream(peer).is_none() {
                self.broke(Fault::Reset, client, server);
            }
            self.end_stream(key, ErrorKind::ConnectionReset);
        }
    }

    /// Gives a name addresses, or none.
    pub(crate) fn set_host(&mut self, name: &str, addresses: Vec<IpAddr>) {
        match addresses.is_empty() {
            true => self.hosts.remove(&host_key(name)),
            false => self.hosts.insert(host_key(name), addresses),
        };
    }

    /// What the world's name server says.
    pub(crate) fn look_up(&mut self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.hosts.get(&host_key(name)).cloned();
        self.note(&format_args!("{name} is looked up: {found:?}"));
        // As getaddrinfo puts it.
        found.ok_or_else(|| io::Error::other("Name or service not known (in this simulated world)"))
    }

    pub(crate) fn stop_reading(&mut self, address: SocketAddr) {
        self.not_reading.insert(address);
    }

    pub(crate) fn resume_reading(&mut self, address: SocketAddr) {
        self.not_reading.remove(&address);
        for key in self.datagrams.get(&address).cloned().unwrap_or_default() {
            self.wake_reader(key);
        }
        for key in self.streams() {
            if self.stream(key).is_some_and(|it| it.local == address) {
                self.wake_reader(key);
            }
        }
    }

    pub(crate) fn broken(&self) -> &[Broken] {
        &self.broken
    }

    pub(crate) fn trace(&self) -> &str {
        self.trace.as_deref().unwrap_or_default()
    }

    /// The open sockets, in words, with who waits for them.
    pub(crate) fn open_sockets(
        &self,
        name: impl Fn(&crate::task::Waiter) -> String,
    ) -> Vec<String> {
        let owned = self.sockets.values().filter_map(|socket| {
            let what = match &socket.kind {
                Kind::Listener(listener) => format!("a listener at {}", listener.address),
                Kind::Stream(stream) if stream.owned => {
                    format!("a stream from {} to {}", stream.local, stream.remote)
                }
                Kind::Stream(_) => return None,
                Kind::Datagram(socket) => format!("a datagram socket at {}", socket.local),
            };
            let mut waits = [&socket.reader, &socket.writer].map(&name).to_vec();
            waits.retain(|who| !who.is_empty());
            Some(match &waits[..] {
                [] => what,
                waits => format!("{what}, waited for by {}", waits.join(" and ")),
            })
        });
        owned.collect()
    }

    fn streams(&self) -> Vec<DefaultKey> {
        let streams = self.sockets.iter();
        let streams = streams.filter(|(_, socket)| matches!(socket.kind, Kind::Stream(_)));
        streams.map(|(key, _)| key).collect()
    }
}

/// Names are compared without regard to case, and to the dot of the root (RFC 1035, section
/// 2.3.3).
fn host_key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
