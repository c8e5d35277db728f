//! Datagrams of a simulated network: each travels by itself, so they overtake each other, get
//! lost, come twice, and nobody says so.

use super::events::{Event, Nanos};
use super::socket::{Datagram, Kind};
use super::{Simulation, closed, ephemeral, everywhere_is_here, nanos, no_descriptor, too_large};
use crate::driver::{Address, SocketId, Take, UdpOptions};
use crate::task::Caller;
use slotmap::DefaultKey;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

/// What a datagram carries at most: 65,535 bytes less the headers of UDP and IP (RFC 768, 791).
const BYTES_MAX: usize = 65_507;

/// What is on its way from one address to another. It finds its receiver when it arrives.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    load: Load,
}

#[derive(Debug, Clone)]
enum Load {
    Bytes(Vec<u8>),
    /// What was sent the other way has found nobody (ICMP, port unreachable).
    Refusal,
}

impl Simulation {
    pub(super) fn open_datagram(
        &mut self,
        address: SocketAddr,
        options: &UdpOptions,
    ) -> io::Result<SocketId> {
        if !self.has_descriptor(0.0) {
            return Err(no_descriptor());
        }
        let reused = options.reuse_address || options.reuse_port;
        let mut address = address;
        if address.port() == 0 {
            let free = |address: &SocketAddr| !self.datagrams.contains_key(address);
            address = ephemeral(address.ip(), free).ok_or(ErrorKind::AddrInUse)?;
        }
        let sharing = self.datagrams.entry(address).or_default();
        let shares = |key: &DefaultKey| match &self.sockets[*key].kind {
            Kind::Datagram(socket) => socket.reused,
            Kind::Listener(_) | Kind::Stream(_) => unreachable!("only datagram sockets are here"),
        };
        let may_share = reused && sharing.iter().all(shares);
        if !sharing.is_empty() && !may_share {
            return Err(ErrorKind::AddrInUse.into());
        }
        let id = self.add(Kind::Datagram(Datagram::new(address, reused)));
        self.datagrams.entry(address).or_default().push(id.0);
        Ok(id)
    }

    pub(super) fn set_datagram_peer(
        &mut self,
        socket: SocketId,
        peer: SocketAddr,
    ) -> io::Result<()> {
        self.datagram_of(socket)?.remote = Some(everywhere_is_here(peer));
        Ok(())
    }

    pub(super) fn receive_datagram(
        &mut self,
        id: SocketId,
        buffer: &mut [u8],
        what: Take,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(usize, Address)>> {
        let local = self.datagram_of(id)?.local;
        let waits = self.not_reading.contains(&local);
        let socket = self.sockets.get_mut(id.0).ok_or_else(closed)?;
        let Kind::Datagram(datagram) = &mut socket.kind else {
            unreachable!("it was one just now");
        };
        if std::mem::take(&mut datagram.refused) {
            return Poll::Ready(Err(ErrorKind::ConnectionRefused.into()));
        }
        let next = datagram.arrived.front().filter(|_| !waits);
        let Some((from, bytes)) = next else {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        };
        // What does not fit is lost.
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        let from = *from;
        if what == Take::Out {
            datagram.arrived.pop_front();
        }
        Poll::Ready(Ok((count, from.into())))
    }

    /// Sends one datagram, to whom the socket is connected with unless told otherwise. There is
    /// always room: what is too much is lost.
    pub(super) fn send_datagram(
        &mut self,
        socket: SocketId,
        bytes: Vec<u8>,
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        let datagram = self.datagram_of(socket)?;
        if std::mem::take(&mut datagram.refused) {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let to = to.map(everywhere_is_here).or(datagram.remote);
        let to = to.ok_or(ErrorKind::NotConnected)?;
        let mut from = datagram.local;
        if from.is_ipv4() != to.is_ipv4() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if from.ip().is_unspecified() {
            // A host of this world talks to itself from the address it talks to.
            from.set_ip(to.ip());
        }
        let count = bytes.len();
        if count > BYTES_MAX {
            return Err(too_large());
        }
        if self.strikes(self.faults.losses) {
            self.note(&format_args!(
                "{from} > {to} datagram of {count} bytes lost"
            ));
            return Ok(count);
        }
        let flight = Flight {
            from,
            to,
            load: Load::Bytes(bytes),
        };
        if self.strikes(self.faults.duplicates) {
            self.fly(flight.clone());
        }
        self.fly(flight);
        Ok(count)
    }

    fn fly(&mut self, flight: Flight) {
        let at = self.now() + self.flight_time();
        let number = self.flights_begun;
        self.flights_begun += 1;
        self.flights.insert(number, flight);
        self.events.plan(at, Event::Flight { number });
    }

    /// Nothing is sent again.
    fn flight_time(&mut self) -> Nanos {
        let jitter = self.random.u64(0..=nanos(self.link.jitter));
        nanos(self.link.delay) + jitter
    }

    pub(super) fn flight_arrives(&mut self, number: u64) {
        let flight = self.flights.remove(&number);
        let Flight { from, to, load } = flight.expect("each flight has one event");
        if self.is_cut(from.ip(), to.ip()) {
            return self.note(&format_args!("{from} > {to} datagram cut off"));
        }
        let receiver = self.datagram_receiver(from, to);
        match (load, receiver) {
            (Load::Bytes(bytes), Some(key)) => self.datagram_arrives(key, from, to, bytes),
            (Load::Bytes(_), None) => {
                self.note(&format_args!("{from} > {to} datagram finds nobody"));
                let load = Load::Refusal;
                self.fly(Flight {
                    from: to,
                    to: from,
                    load,
                });
            }
            // Only who is connected is told.
            (Load::Refusal, Some(key)) => {
                if let Kind::Datagram(socket) = &mut self.sockets[key].kind
                    && socket.remote == Some(from)
                {
                    socket.refused = true;
                    self.wake_reader(key);
                }
            }
            (Load::Refusal, None) => {}
        }
    }

    fn datagram_arrives(
        &mut self,
        key: DefaultKey,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        let room = self.link.buffer_bytes;
        let count = bytes.len();
        let Kind::Datagram(socket) = &mut self.sockets[key].kind else {
            unreachable!("datagrams are received by datagram sockets");
        };
        let held: usize = socket.arrived.iter().map(|(_, bytes)| bytes.len()).sum();
        if held > 0 && held + count > room {
            return self.note(&format_args!("{from} > {to} no room for {count} bytes"));
        }
        socket.arrived.push_back((from, bytes));
        self.note(&format_args!("{from} > {to} datagram of {count} bytes"));
        self.wake_reader(key);
    }

    /// Who receives at an address: who is connected with the sender before who hears
    /// everybody.
    fn datagram_receiver(&mut self, from: SocketAddr, to: SocketAddr) -> Option<DefaultKey> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut hears = Vec::new();
        for address in [to, SocketAddr::new(any, to.port())] {
            for key in self.datagrams.get(&address).into_iter().flatten() {
                match &self.sockets[*key].kind {
                    Kind::Datagram(socket) if socket.remote == Some(from) => return Some(*key),
                    Kind::Datagram(socket) if socket.remote.is_none() => hears.push(*key),
                    _ => {}
                }
            }
        }
        match &hears[..] {
            [] => None,
            [only] => Some(*only),
            several => Some(several[self.random.usize(..several.len())]),
        }
    }

    pub(super) fn forget_datagram(&mut self, key: DefaultKey, local: SocketAddr) {
        let sharing = self.datagrams.entry(local).or_default();
        sharing.retain(|other| *other != key);
        if sharing.is_empty() {
            self.datagrams.remove(&local);
        }
    }

    pub(super) fn is_datagram(&self, socket: SocketId) -> bool {
        let socket = self.sockets.get(socket.0);
        socket.is_some_and(|socket| matches!(socket.kind, Kind::Datagram(_)))
    }

    fn datagram_of(&mut self, socket: SocketId) -> io::Result<&mut Datagram> {
        match &mut self.sockets.get_mut(socket.0).ok_or_else(closed)?.kind {
            Kind::Datagram(datagram) => Ok(datagram),
            Kind::Listener(_) | Kind::Stream(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}
