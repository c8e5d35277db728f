//! What happens in a simulated network between the calls of the programs: segments travel,
//! arrive, get lost. Everything random comes from one generator, in the order of events.

use super::events::{Event, Nanos};
use super::faults::{Broken, Fault, GIVE_UP_AFTER, RETRANSMISSION, SYN_RETRIES};
use super::socket::{Kind, Listener, Segment, Socket, State, Stream};
use super::{Simulation, nanos};
use slotmap::DefaultKey;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Simulation {
    /// Has everything happen that is due.
    pub(super) fn run_due(&mut self) -> io::Result<()> {
        let now = self.now();
        while let Some(event) = self.events.pop_due(now) {
            match event {
                Event::Syn { client, attempt } => self.syn_arrives(client, attempt),
                Event::Arrival { to } => self.segments_arrive(to),
                Event::GiveUp { to, since } => self.give_up(to, since),
                Event::Flight { number } => self.flight_arrives(number),
                Event::Job { number } => {
                    self.note(&format_args!("job {number}"));
                    if let Some(jobs) = &mut self.jobs {
                        jobs.run(number)?;
                    }
                    // There is a thread for the next one.
                    self.start_jobs();
                }
            }
        }
        Ok(())
    }

    pub(super) fn start_jobs(&mut self) {
        let Some(jobs) = &mut self.jobs else { return };
        while let Some(number) = jobs.start(self.world.get()) {
            let range = self.job_takes.clone();
            let takes = self.random.u64(nanos(*range.start())..=nanos(*range.end()));
            let now = self.world.get().duration_since(self.began);
            self.events.plan(nanos(now) + takes, Event::Job { number });
        }
    }

    fn syn_arrives(&mut self, key: DefaultKey, attempt: u32) {
        let Some(Stream { local, remote, .. }) = self.stream(key) else {
            // It was given up meanwhile.
            return;
        };
        let (client, server) = (*local, *remote);
        if attempt > SYN_RETRIES {
            self.broke(Fault::TimedOut, client, server);
            return self.end_stream(key, ErrorKind::TimedOut);
        }
        if self.is_cut(client.ip(), server.ip()) {
            return self.repeat_syn(key, attempt);
        }
        if self.strikes(self.faults.refusals) {
            self.broke(Fault::Refused, client, server);
            return self.send_segment(key, Segment::Failed(ErrorKind::ConnectionRefused));
        }
        let Some(listener_key) = self.listener_for(server) else {
            return self.send_segment(key, Segment::Failed(ErrorKind::ConnectionRefused));
        };
        if self
            .listener(listener_key)
            .is_some_and(|listener| listener.backlog.len() >= listener.backlog_max)
        {
            return self.repeat_syn(key, attempt);
        }
        let mut accepted = Stream::new(State::Connected, server, client, self.link.buffer_bytes);
        accepted.peer = key;
        let accepted = self.sockets.insert(Socket::new(Kind::Stream(accepted)));
        let socket = &mut self.sockets[listener_key];
        if let Kind::Listener(listener) = &mut socket.kind {
            listener.backlog.push_back(accepted);
        }
        self.woken.extend(socket.reader.take());
        self.note(&format_args!("{client} > {server} connects"));
        self.send_segment(key, Segment::Connected(accepted));
    }

    /// Nobody answers: it is sent again later and later, and at last given up.
    fn repeat_syn(&mut self, client: DefaultKey, attempt: u32) {
        let at = self.now() + nanos(Duration::from_secs(1 << attempt));
        let attempt = attempt + 1;
        self.events.plan(at, Event::Syn { client, attempt });
    }

    /// Sends something to a socket; it arrives behind all that was sent before.
    pub(super) fn send_segment(&mut self, to: DefaultKey, segment: Segment) {
        let at = self.now() + self.travel_time();
        self.push_segment(to, at, segment);
    }

    pub(super) fn push_segment(&mut self, to: DefaultKey, at: Nanos, segment: Segment) {
        let Some(stream) = self.stream_mut(to) else {
            return;
        };
        if let (Segment::Room(more), Some((_, Segment::Room(room)))) =
            (&segment, stream.inbound.back_mut())
        {
            *room += more;
            return;
        }
        let at = stream.inbound.back().map_or(at, |(last, _)| at.max(*last));
        stream.inbound.push_back((at, segment));
        self.events.plan(at, Event::Arrival { to });
    }

    pub(super) fn travel_time(&mut self) -> Nanos {
        let jitter = self.random.u64(0..=nanos(self.link.jitter));
        let lost = match self.strikes(self.faults.losses) {
            true => nanos(RETRANSMISSION),
            false => 0,
        };
        nanos(self.link.delay) + jitter + lost
    }

    fn segments_arrive(&mut self, to: DefaultKey) {
        let now = self.now();
        loop {
            let Some(stream) = self.stream(to) else {
                return;
            };
            let due = |(at, _): &(Nanos, Segment)| *at <= now;
            if !stream.inbound.front().is_some_and(due) {
                return;
            }
            if self.is_cut(stream.local.ip(), stream.remote.ip()) {
                return self.is_stuck(to);
            }
            let stream = self.stream_mut(to).expect("it was found just now");
            stream.stuck_since = None;
            let (_, segment) = stream.inbound.pop_front().expect("it is due");
            self.arrives(to, segment);
        }
    }

    /// What the peer has sent is sent again and again. That something was received is not.
    fn is_stuck(&mut self, to: DefaultKey) {
        let now = self.now();
        if let Some(stream) = self.stream_mut(to)
            && stream.stuck_since.is_none()
            && stream
                .inbound
                .iter()
                .any(|(_, segment)| segment.is_repeated())
        {
            stream.stuck_since = Some(now);
            let at = now + nanos(GIVE_UP_AFTER);
            self.events.plan(at, Event::GiveUp { to, since: now });
        }
    }

    /// Bytes could not arrive for so long that the one who sent them gives up.
    fn give_up(&mut self, to: DefaultKey, since: Nanos) {
        let Some(stream) = self.stream(to) else {
            return;
        };
        if stream.stuck_since != Some(since) {
            return;
        }
        let ((client, server), sender) = (stream.ends(), stream.peer);
        if let Some(stream) = self.stream_mut(to) {
            stream.inbound.clear();
            stream.stuck_since = None;
        }
        self.broke(Fault::TimedOut, client, server);
        self.end_stream(sender, ErrorKind::TimedOut);
    }

    fn arrives(&mut self, to: DefaultKey, segment: Segment) {
        let stream = self.stream(to).expect("who delivers has found it");
        let ((client, server), peer) = (stream.ends(), stream.peer);
        let (local, remote) = (stream.local, stream.remote);
        self.note(&format_args!("{remote} > {local} {segment}"));
        let bytes = matches!(segment, Segment::Bytes(_));
        if bytes && self.strikes(self.faults.resets) {
            self.broke(Fault::Reset, client, server);
            self.end_stream(to, ErrorKind::ConnectionReset);
            return self.send_segment(peer, Segment::Reset);
        }
        let Kind::Stream(stream) = &mut self.sockets[to].kind else {
            unreachable!("segments travel between streams");
        };
        match segment {
            Segment::Connected(peer) => {
                stream.state = State::Connected;
                stream.peer = peer;
            }
            Segment::Failed(why) => stream.state = State::Failed(Some(why)),
            Segment::Bytes(bytes) => stream.arrived.extend(bytes),
            Segment::Room(more) => stream.room += more,
            Segment::End => stream.ended = true,
            // As Linux has it (tcp_reset): who was told of the end before sees a broken pipe.
            Segment::Reset if stream.ended => {
                return self.end_stream(to, ErrorKind::BrokenPipe);
            }
            Segment::Reset => return self.end_stream(to, ErrorKind::ConnectionReset),
        }
        let (reads, writes) = match &stream.state {
            // Whoever waits for the connection waits for the writer's turn.
            State::Failed(_) => (true, true),
            _ => (!stream.arrived.is_empty() || stream.ended, stream.room > 0),
        };
        if reads {
            self.wake_reader(to);
        }
        if writes {
            self.wake_writer(to);
        }
    }

    /// The connection is over for this end.
    pub(super) fn end_stream(&mut self, key: DefaultKey, why: ErrorKind) {
        let Some(stream) = self.stream_mut(key) else {
            return;
        };
        stream.state = match stream.state {
            State::Connecting => State::Failed(Some(why)),
            State::Connected => State::Over(Some(why)),
            over @ (State::Failed(_) | State::Over(_)) => over,
        };
        stream.inbound.clear();
        stream.stuck_since = None;
        self.wake_reader(key);
        self.wake_writer(key);
    }

    pub(super) fn wake_reader(&mut self, key: DefaultKey) {
        if let Some(socket) = self.sockets.get_mut(key) {
            self.woken.extend(socket.reader.take());
        }
    }

    pub(super) fn wake_writer(&mut self, key: DefaultKey) {
        if let Some(socket) = self.sockets.get_mut(key) {
            self.woken.extend(socket.writer.take());
        }
    }

    /// Whether something that has this probability happens now.
    pub(super) fn strikes(&mut self, probability: f64) -> bool {
        // What cannot happen draws nothing, so that it does not change what else does.
        probability > 0.0 && self.random.f64() < probability
    }

    pub(super) fn broke(&mut self, fault: Fault, client: SocketAddr, server: SocketAddr) {
        self.note(&format_args!("{client} > {server} fault: {fault}"));
        let at = Duration::from_nanos(self.now());
        self.broken.push(Broken {
            fault,
            client,
            server,
            at,
        });
    }

    /// Writes a line into the trace, when there is one.
    pub(super) fn note(&mut self, what: &fmt::Arguments<'_>) {
        let now = self.now();
        if let Some(trace) = &mut self.trace {
            trace.push_str(&format!(
                "{}.{:09} {what}\n",
                now / 1_000_000_000,
                now % 1_000_000_000
            ));
        }
    }

    pub(super) fn is_cut(&self, one: IpAddr, other: IpAddr) -> bool {
        let between = |from: &[IpAddr], to: &[IpAddr]| from.contains(&one) && to.contains(&other);
        let mut cuts = self.cuts.iter();
        cuts.any(|(these, those)| between(these, those) || between(those, these))
    }

    /// Who listens at an address: at exactly this one, or at all of its kind.
    fn listener_for(&mut self, address: SocketAddr) -> Option<DefaultKey> {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let wildcard = SocketAddr::new(any, address.port());
        let sharing = self.listeners.get(&address);
        let sharing = sharing.or_else(|| self.listeners.get(&wildcard))?;
        match &sharing[..] {
            [only] => Some(*only),
            several => Some(several[self.random.usize(..several.len())]),
        }
    }

    pub(super) fn listener(&self, key: DefaultKey) -> Option<&Listener> {
        match &self.sockets.get(key)?.kind {
            Kind::Listener(listener) => Some(listener),
            Kind::Stream(_) | Kind::Datagram(_) => None,
        }
    }

    pub(super) fn stream(&self, key: DefaultKey) -> Option<&Stream> {
        match &self.sockets.get(key)?.kind {
            Kind::Stream(stream) => Some(stream),
            Kind::Listener(_) | Kind::Datagram(_) => None,
        }
    }

    pub(super) fn stream_mut(&mut self, key: DefaultKey) -> Option<&mut Stream> {
        match &mut self.sockets.get_mut(key)?.kind {
            Kind::Stream(stream) => Some(stream),
            Kind::Listener(_) | Kind::Datagram(_) => None,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Connected(_) => f.write_str("connected"),
            Segment::Failed(why) => write!(f, "failed: {why}"),
            Segment::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Segment::Room(more) => write!(f, "room for {more}"),
            Segment::End => f.write_str("end"),
            Segment::Reset => f.write_str("reset"),
        }
    }
}
