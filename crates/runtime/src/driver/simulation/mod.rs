//! The driver of a made-up world: a network in memory and a clock that jumps, under a seed.
//!
//! What the loop sees is an operating system. Waiting takes no time: the world's clock jumps to
//! the next thing that happens, or to the end of the wait, whichever comes first. The loop above
//! reads that clock in place of the system's and cannot tell the difference.
//!
//! Nothing here is random but what one generator draws, in the order in which things happen, and
//! nothing is looked up in the order of a hash. So a seed and a program make one history.

mod bell;
mod controls;
mod datagrams;
mod events;
mod faults;
mod jobs;
mod network;
mod socket;

pub use faults::{Broken, Fault, Faults, Link, RETRANSMISSION};

use super::{
    Address, ConnectOptions, Driver, ListenOptions, SocketId, Source, Take, UdpOptions, Wait,
};
use crate::blocking::Jobs;
use crate::clock::{self, WorldTime};
use crate::inbox::Notify;
use crate::task::{Caller, TaskId, Waiter};
use bell::Bell;
use datagrams::Flight;
use events::{Event, Events, Nanos};
use jobs::JobThread;
use slotmap::{DefaultKey, SlotMap};
use socket::{Kind, Listener, Segment, Socket, State, Stream};
use socket2::SockRef;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::ops::RangeInclusive;
#[cfg(unix)]
use std::os::unix::net::SocketAddr as UnixAddress;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// What a world begins with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) link: Link,
    pub(crate) faults: Faults,
    pub(crate) descriptors_max: usize,
    /// How long a job of the blocking pool takes.
    pub(crate) job_takes: RangeInclusive<Duration>,
    /// Whether something may still happen when nothing is planned: another thread may wake.
    pub(crate) other_threads: bool,
    pub(crate) trace: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            link: Link::default(),
            faults: Faults::default(),
            descriptors_max: usize::MAX,
            job_takes: Duration::from_micros(100)..=Duration::from_millis(5),
            other_threads: false,
            trace: false,
        }
    }
}

/// A world, as a driver.
pub(crate) struct Simulation {
    world: WorldTime,
    began: Instant,
    events: Events,
    sockets: SlotMap<DefaultKey, Socket>,
    /// Those the program has; the others wait in backlogs.
    owned: usize,
    listeners: BTreeMap<SocketAddr, Vec<DefaultKey>>,
    /// Datagram sockets by their address.
    datagrams: BTreeMap<SocketAddr, Vec<DefaultKey>>,
    /// Datagrams that are on their way, by the number of those before them.
    flights: BTreeMap<u64, Flight>,
    flights_begun: u64,
    /// Connections by their two ends. Only asked for one, never walked through.
    connections: HashSet<(SocketAddr, SocketAddr)>,
    next_port: u16,
    woken: Vec<Waiter>,
    bell: Bell,
    random: fastrand::Rng,
    link: Link,
    faults: Faults,
    descriptors_max: usize,
    job_takes: RangeInclusive<Duration>,
    other_threads: bool,
    jobs: Option<JobThread>,
    cuts: Vec<(Vec<IpAddr>, Vec<IpAddr>)>,
    /// Whose programs do not read.
    not_reading: BTreeSet<SocketAddr>,
    broken: Vec<Broken>,
    /// Names are in lower case.
    hosts: BTreeMap<String, Vec<IpAddr>>,
    trace: Option<String>,
}

/// Ports that are given to those who do not ask for one (Linux, `ip_local_port_range`).
const EPHEMERAL_PORTS: RangeInclusive<u16> = 32_768..=60_999;

impl Simulation {
    pub(crate) fn new(seed: u64, setup: Setup, jobs: Option<Jobs>) -> Self {
        let began = clock::read();
        Simulation {
            world: Rc::new(Cell::new(began)),
            began,
            events: Events::default(),
            sockets: SlotMap::new(),
            owned: 0,
            listeners: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            flights: BTreeMap::new(),
            flights_begun: 0,
            connections: HashSet::new(),
            next_port: *EPHEMERAL_PORTS.start(),
            woken: Vec::new(),
            bell: Bell::default(),
            random: fastrand::Rng::with_seed(seed),
            link: setup.link,
            faults: setup.faults,
            descriptors_max: setup.descriptors_max,
            job_takes: setup.job_takes,
            other_threads: setup.other_threads,
            jobs: jobs.map(JobThread::new),
            cuts: Vec::new(),
            not_reading: BTreeSet::new(),
            broken: Vec::new(),
            hosts: BTreeMap::new(),
            trace: setup.trace.then(String::new),
        }
    }

    /// The world's clock.
    pub(crate) fn time(&self) -> WorldTime {
        self.world.clone()
    }

    /// How long the world has existed.
    pub(crate) fn elapsed(&self) -> Duration {
        self.world.get().duration_since(self.began)
    }

    /// Lets the time pass while the loop does not look.
    pub(crate) fn pass(&self, time: Duration) {
        self.set_now(self.now().saturating_add(nanos(time)));
    }

    fn now(&self) -> Nanos {
        nanos(self.elapsed())
    }

    fn set_now(&self, now: Nanos) {
        let now = self.began + Duration::from_nanos(now);
        self.world.set(self.world.get().max(now));
    }

    fn add(&mut self, kind: Kind) -> SocketId {
        self.owned += 1;
        SocketId(self.sockets.insert(Socket::new(kind)))
    }

    fn has_descriptor(&mut self, fails: f64) -> bool {
        self.owned < self.descriptors_max && !self.strikes(fails)
    }

    /// The end that a connection to `remote` begins at.
    fn local_end(
        &mut self,
        asked: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> io::Result<SocketAddr> {
        // Every address of this world is one of this host's; a host talks to itself from the
        // address it talks to.
        let asked = asked.unwrap_or(SocketAddr::new(remote.ip(), 0));
        if asked.port() != 0 {
            return match self.connections.contains(&(asked, remote)) {
                true => Err(ErrorKind::AddrInUse.into()),
                false => Ok(asked),
            };
        }
        for _ in EPHEMERAL_PORTS {
            let local = SocketAddr::new(asked.ip(), self.take_port());
            if !self.connections.contains(&(local, remote)) {
                return Ok(local);
            }
        }
        Err(ErrorKind::AddrNotAvailable.into())
    }

    fn take_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = match port {
            port if port == *EPHEMERAL_PORTS.end() => *EPHEMERAL_PORTS.start(),
            port => port + 1,
        };
        port
    }

    /// The stream of an operation.
    fn stream_of(&mut self, socket: SocketId) -> io::Result<&mut Stream> {
        match &mut self.sockets.get_mut(socket.0).ok_or_else(closed)?.kind {
            Kind::Stream(stream) => Ok(stream),
            Kind::Listener(_) | Kind::Datagram(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Takes an end out of the world and tells the other.
    fn close_stream(&mut self, key: DefaultKey, resets: bool) -> [Waiter; 2] {
        let Some(socket) = self.sockets.remove(key) else {
            return [Waiter::NOBODY; 2];
        };
        let Kind::Stream(stream) = socket.kind else {
            unreachable!("listeners are closed elsewhere");
        };
        if stream.connects {
            self.connections.remove(&(stream.local, stream.remote));
        }
        let waited = [socket.reader, socket.writer];
        let connected = stream.state == State::Connected;
        if connected && stream.closes_by_reset {
            // What is on its way is dropped with the connection.
            if let Some(peer) = self.stream_mut(stream.peer) {
                let on_the_way = |(_, segment): &(Nanos, Segment)| !segment.is_repeated();
                peer.inbound.retain(on_the_way);
            }
        }
        if connected && (resets || stream.closes_by_reset || stream.has_unread()) {
            self.send_segment(stream.peer, Segment::Reset);
        } else if connected && !stream.write_shut {
            self.send_segment(stream.peer, Segment::End);
        }
        waited
    }
}

impl Driver for Simulation {
    fn wait(&mut self, wait: Wait, woken: &mut Vec<Waiter>) -> io::Result<usize> {
        self.start_jobs();
        let until = match wait {
            Wait::Not => Some(self.now()),
            Wait::AtMost(timeout) => Some(self.now().saturating_add(nanos(timeout))),
            Wait::Forever => None,
        };
        loop {
            self.run_due()?;
            if self.bell.take() || !self.woken.is_empty() {
                break;
            }
            match (self.events.next_at(), until) {
                (Some(next), until) if until.is_none_or(|until| next <= until) => {
                    self.set_now(next);
                }
                (_, Some(until)) => {
                    self.set_now(until);
                    break;
                }
                (_, None) if self.other_threads => {
                    self.bell.wait();
                    break;
                }
                (_, None) => return Err(ErrorKind::Deadlock.into()),
            }
        }
        let events = self.woken.len();
        woken.append(&mut self.woken);
        Ok(events)
    }

    fn notifier(&mut self) -> io::Result<Box<dyn Notify>> {
        Ok(Box::new(self.bell.clone()))
    }

    fn listen(&mut self, address: SocketAddr, options: &ListenOptions) -> io::Result<SocketId> {
        if !self.has_descriptor(0.0) {
            return Err(no_descriptor());
        }
        let mut address = address;
        if address.port() == 0 {
            let free = |address: &SocketAddr| !self.listeners.contains_key(address);
            address = ephemeral(address.ip(), free).ok_or(ErrorKind::AddrInUse)?;
        }
        let sharing = self.listeners.entry(address).or_default();
        let shares = |key: &DefaultKey| match &self.sockets[*key].kind {
            Kind::Listener(listener) => listener.reuse_port,
            Kind::Stream(_) | Kind::Datagram(_) => unreachable!("only listeners listen"),
        };
        let may_share = options.reuse_port && sharing.iter().all(shares);
        if !sharing.is_empty() && !may_share {
            return Err(ErrorKind::AddrInUse.into());
        }
        let id = self.add(Kind::Listener(Listener {
            address,
            reuse_port: options.reuse_port,
            backlog: Default::default(),
            backlog_max: options.backlog.max(1) as usize,
        }));
        self.listeners.entry(address).or_default().push(id.0);
        self.note(&format_args!("{address} listens"));
        Ok(id)
    }

    /// The address of a socket is taken in this world; the real socket is closed.
    fn adopt(&mut self, source: Source) -> io::Result<SocketId> {
        match source {
            Source::TcpListener(listener) => {
                self.listen(listener.local_addr()?, &ListenOptions::default())
            }
            Source::UdpSocket(socket) => {
                self.bind_datagram(socket.local_addr()?, &UdpOptions::default())
            }
            #[cfg(unix)]
            Source::UnixListener(_) => Err(unsupported("UnixListener")),
            #[cfg(unix)]
            Source::UnixStream(_) => Err(unsupported("UnixStream")),
            #[cfg(unix)]
            Source::UnixDatagram(_) => Err(unsupported("UnixDatagram")),
            #[cfg(unix)]
            Source::Descriptor(_) => Err(unsupported("a descriptor of the system's")),
        }
    }

    fn accept(
        &mut self,
        listener: SocketId,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(SocketId, Address)>> {
        let socket = self.sockets.get_mut(listener.0).ok_or_else(closed)?;
        let Kind::Listener(listening) = &socket.kind else {
            return Poll::Ready(Err(ErrorKind::InvalidInput.into()));
        };
        if listening.backlog.is_empty() {
            caller.wait_in(&mut socket.reader);
            return Poll::Pending;
        }
        if !self.has_descriptor(self.faults.accept_failures) {
            self.note(&format_args!("accept finds no descriptor"));
            return Poll::Ready(Err(no_descriptor()));
        }
        let Kind::Listener(listening) = &mut self.sockets[listener.0].kind else {
            unreachable!("it was one just now");
        };
        let key = listening.backlog.pop_front();
        let key = key.expect("the backlog is not empty");
        self.owned += 1;
        let stream = self.stream_mut(key);
        let stream = stream.expect("what waits in a backlog is closed with its listener only");
        stream.owned = true;
        Poll::Ready(Ok((SocketId(key), stream.remote.into())))
    }

    fn connect(&mut self, address: SocketAddr, options: &ConnectOptions) -> io::Result<SocketId> {
        let address = everywhere_is_here(address);
        let local = self.local_end(options.local_addr, address)?;
        if !self.has_descriptor(self.faults.connect_failures) {
            self.broke(Fault::ConnectFailed, local, address);
            return Err(no_descriptor());
        }
        if self.strikes(self.faults.unreachable) {
            self.broke(Fault::Unreachable, local, address);
            return Err(ErrorKind::HostUnreachable.into());
        }
        self.connections.insert((local, address));
        let room = self.link.buffer_bytes;
        let stream = Stream::new(State::Connecting, local, address, room);
        let id = self.add(Kind::Stream(stream));
        let at = self.now() + self.travel_time();
        let syn = Event::Syn {
            client: id.0,
            attempt: 0,
        };
        self.events.plan(at, syn);
        Ok(id)
    }

    fn connected(&mut self, socket: SocketId, caller: &Caller<'_>) -> Poll<io::Result<()>> {
        let socket = self.sockets.get_mut(socket.0).ok_or_else(closed)?;
        let Kind::Stream(stream) = &mut socket.kind else {
            return Poll::Ready(Err(ErrorKind::InvalidInput.into()));
        };
        match &mut stream.state {
            State::Connecting => {
                caller.wait_in(&mut socket.writer);
                Poll::Pending
            }
            State::Connected => Poll::Ready(Ok(())),
            State::Failed(why) | State::Over(why) => {
                Poll::Ready(Err(why.take().unwrap_or(ErrorKind::NotConnected).into()))
            }
        }
    }

    fn receive(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_datagram(socket) {
            let received = self.receive_datagram(socket, buffer, Take::Out, caller);
            return received.map_ok(|(count, _)| count);
        }
        let stream = self.stream_of(socket)?;
        let (available, peer, local) = (stream.arrived.len(), stream.peer, stream.local);
        let waits = self.not_reading.contains(&local);
        if available > 0 && !waits {
            let mut count = available.min(buffer.len());
            if count > 1 && self.strikes(self.faults.one_byte_reads) {
                count = 1;
            }
            self.stream_of(socket)?.take_arrived(&mut buffer[..count]);
            self.send_segment(peer, Segment::Room(count));
            return Poll::Ready(Ok(count));
        }
        let socket = &mut self.sockets[socket.0];
        let Kind::Stream(stream) = &mut socket.kind else {
            unreachable!("it was one just now");
        };
        match &mut stream.state {
            State::Over(why) | State::Failed(why) => match why.take() {
                Some(why) => Poll::Ready(Err(why.into())),
                None => Poll::Ready(Ok(0)),
            },
            State::Connected if (stream.ended && !waits) || stream.read_shut => Poll::Ready(Ok(0)),
            State::Connecting | State::Connected => {
                caller.wait_in(&mut socket.reader);
                Poll::Pending
            }
        }
    }

    fn send(
        &mut self,
        socket: SocketId,
        buffers: &[IoSlice<'_>],
        caller: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_datagram(socket) {
            return Poll::Ready(self.send_datagram(socket, gather(buffers, usize::MAX), None));
        }
        let stream = self.stream_of(socket)?;
        match &mut stream.state {
            State::Over(why) | State::Failed(why) => {
                let why = why.take().unwrap_or(ErrorKind::BrokenPipe);
                return Poll::Ready(Err(why.into()));
            }
            State::Connected if stream.write_shut => {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            State::Connecting | State::Connected => {}
        }
        if stream.room == 0 || stream.state == State::Connecting {
            caller.wait_in(&mut self.sockets[socket.0].writer);
            return Poll::Pending;
        }
        let (peer, room) = (stream.peer, stream.room);
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut count = length.min(room);
        if count > 1 && self.strikes(self.faults.partial_writes) {
            count = self.random.usize(1..count);
        }
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let bytes = gather(buffers, count);
        self.stream_of(socket)?.room -= count;
        match self.stream(peer) {
            // It may not know yet that it is connected.
            Some(receiver) if matches!(receiver.state, State::Connecting | State::Connected) => {
                self.send_segment(peer, Segment::Bytes(bytes));
            }
            // Nobody will take it, and the sender will be told.
            Some(_) | None => {
                let there = self.travel_time();
                let back = self.travel_time();
                self.push_segment(socket.0, self.now() + there + back, Segment::Reset);
            }
        }
        Poll::Ready(Ok(count))
    }

    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> io::Result<()> {
        let stream = self.stream_of(socket)?;
        if stream.state != State::Connected {
            return Err(ErrorKind::NotConnected.into());
        }
        let peer = stream.peer;
        let (reads, writes) = (how != Shutdown::Write, how != Shutdown::Read);
        stream.read_shut |= reads;
        let ends = writes && !stream.write_shut;
        stream.write_shut |= writes;
        if ends {
            self.send_segment(peer, Segment::End);
        }
        if reads {
            self.wake_reader(socket.0);
        }
        if writes {
            self.wake_writer(socket.0);
        }
        Ok(())
    }

    fn bind_datagram(&mut self, address: SocketAddr, options: &UdpOptions) -> io::Result<SocketId> {
        self.open_datagram(address, options)
    }

    fn connect_datagram(&mut self, socket: SocketId, peer: &Address) -> io::Result<()> {
        self.set_datagram_peer(socket, peer.clone().ip()?)
    }

    fn receive_from(
        &mut self,
        socket: SocketId,
        buffer: &mut [u8],
        what: Take,
        caller: &Caller<'_>,
    ) -> Poll<io::Result<(usize, Address)>> {
        self.receive_datagram(socket, buffer, what, caller)
    }

    fn send_to(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        to: &Address,
        _: &Caller<'_>,
    ) -> Poll<io::Result<usize>> {
        let to = to.clone().ip()?;
        Poll::Ready(self.send_datagram(socket, bytes.to_vec(), Some(to)))
    }

    #[cfg(unix)]
    fn listen_unix(&mut self, _: &UnixAddress, _: u32) -> io::Result<SocketId> {
        Err(unsupported("UnixListener"))
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, _: &UnixAddress) -> io::Result<SocketId> {
        Err(unsupported("UnixStream"))
    }

    #[cfg(unix)]
    fn bind_unix_datagram(&mut self, _: Option<&UnixAddress>) -> io::Result<SocketId> {
        Err(unsupported("UnixDatagram"))
    }

    #[cfg(unix)]
    fn try_send_to(&mut self, _: SocketId, _: &[u8], _: &Address) -> io::Result<()> {
        Err(unsupported("UnixDatagram"))
    }

    fn close(&mut self, socket: SocketId) -> [Waiter; 2] {
        match self.sockets.get(socket.0).map(|socket| &socket.kind) {
            None => [Waiter::NOBODY; 2],
            Some(Kind::Stream(_)) => {
                self.owned -= 1;
                self.close_stream(socket.0, false)
            }
            Some(Kind::Datagram(datagram)) => {
                self.owned -= 1;
                self.forget_datagram(socket.0, datagram.local);
                let closed = self.sockets.remove(socket.0);
                let closed = closed.expect("it was found just now");
                [closed.reader, closed.writer]
            }
            Some(Kind::Listener(listener)) => {
                self.owned -= 1;
                let address = listener.address;
                let sharing = self.listeners.entry(address).or_default();
                sharing.retain(|key| *key != socket.0);
                if sharing.is_empty() {
                    self.listeners.remove(&address);
                }
                let closed = self.sockets.remove(socket.0);
                let closed = closed.expect("it was found just now");
                let Kind::Listener(listener) = closed.kind else {
                    unreachable!("it was one just now");
                };
                for key in listener.backlog {
                    self.close_stream(key, true);
                }
                [closed.reader, closed.writer]
            }
        }
    }

    fn local_addr(&self, socket: SocketId) -> io::Result<Address> {
        match &self.sockets.get(socket.0).ok_or_else(closed)?.kind {
            Kind::Listener(listener) => Ok(listener.address.into()),
            Kind::Stream(stream) => Ok(stream.local.into()),
            Kind::Datagram(datagram) => Ok(datagram.local.into()),
        }
    }

    fn peer_addr(&self, socket: SocketId) -> io::Result<Address> {
        if let Kind::Datagram(datagram) = &self.sockets.get(socket.0).ok_or_else(closed)?.kind {
            let remote = datagram.remote.ok_or(ErrorKind::NotConnected)?;
            return Ok(remote.into());
        }
        let stream = self.stream(socket.0).ok_or_else(closed)?;
        match stream.state {
            State::Connected => Ok(stream.remote.into()),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn set_nodelay(&mut self, socket: SocketId, _: bool) -> io::Result<()> {
        // Every segment goes out at once here.
        self.stream_of(socket).map(|_| ())
    }

    fn set_linger(&mut self, socket: SocketId, linger: Option<Duration>) -> io::Result<()> {
        self.stream_of(socket)?.closes_by_reset = linger == Some(Duration::ZERO);
        Ok(())
    }

    fn os_socket(&self, _: SocketId) -> io::Result<SockRef<'_>> {
        Err(unsupported("an option of the system's sockets"))
    }

    fn sockets(&self) -> usize {
        self.owned
    }

    fn name(&self) -> &'static str {
        "simulation"
    }

    fn each_waiting(&self, found: &mut dyn FnMut(TaskId, &'static str, SocketId)) {
        for (key, socket) in &self.sockets {
            let (reads, writes) = match &socket.kind {
                Kind::Listener(_) => ("accept", "write"),
                Kind::Stream(stream) if matches!(stream.state, State::Connecting) => {
                    ("read", "connect")
                }
                Kind::Stream(_) => ("read", "write"),
                Kind::Datagram(_) => ("receive", "send"),
            };
            if let Waiter::Task(Some(id)) = socket.reader {
                found(id, reads, SocketId(key));
            }
            if let Waiter::Task(Some(id)) = socket.writer {
                found(id, writes, SocketId(key));
            }
        }
    }

    fn simulation(&mut self) -> Option<&mut Simulation> {
        Some(self)
    }
}

/// A port of an address that is given to one who does not ask for one.
fn ephemeral(ip: IpAddr, is_free: impl Fn(&SocketAddr) -> bool) -> Option<SocketAddr> {
    let mut ports = EPHEMERAL_PORTS.map(|port| SocketAddr::new(ip, port));
    ports.rfind(is_free)
}

/// As Linux has it: to everywhere is to oneself.
fn everywhere_is_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The first bytes of several buffers, one behind the other.
fn gather(buffers: &[IoSlice<'_>], bytes_max: usize) -> Vec<u8> {
    let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
    let length = length.min(bytes_max);
    let mut bytes = Vec::with_capacity(length);
    for buffer in buffers {
        let fits = buffer.len().min(length - bytes.len());
        bytes.extend_from_slice(&buffer[..fits]);
    }
    bytes
}

fn nanos(duration: Duration) -> Nanos {
    // Five hundred years fit.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the socket is closed")
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        format!("there is no such thing in a simulated world: {what}"),
    )
}

fn too_large() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EMSGSIZE);
    #[cfg(not(unix))]
    return io::Error::from_raw_os_error(10_040);
}

fn no_descriptor() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EMFILE);
    #[cfg(not(unix))]
    return io::Error::from_raw_os_error(10_024);
}
