//! What every driver must do: one list of named checks, one line per driver.
//!
//! The checks see a driver through its contract alone: an operation that is not complete names
//! who asked in a later wait, and asked again completes. Nothing here knows of readiness or of
//! completions.

use super::simulation::{Link, Setup, Simulation};
use super::{
    ConnectOptions, Driver, DriverKind, ListenOptions, SocketId, Source, Take, UdpOptions, Wait,
};
use crate::config::Config;
use crate::task::{Caller, TaskId, Waiter, WakerIdentity};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A driver under test, and a loop in its simplest form around it.
struct Subject {
    driver: Box<dyn Driver>,
    woken: Vec<Waiter>,
    /// How two ends of a connection are made.
    pair: fn(&mut Subject) -> (SocketId, SocketId),
}

type Check = fn(&mut Subject);

/// The list.
const CHECKS: &[(&str, Check)] = &[
    ("a wait that may not wait returns at once", wait_not),
    ("a wait ends at its limit", wait_limit),
    (
        "a notification ends a wait, also one made before it",
        notification,
    ),
    ("an address in use is refused", address_in_use),
    (
        "accepting and connecting complete together",
        accept_and_connect,
    ),
    ("a connection that is refused says so", refused),
    (
        "a connection that nobody waits for is still accepted",
        accept_later,
    ),
    (
        "a successor does not see the events of a closed socket",
        successor,
    ),
    ("operations of the wrong kind are errors", wrong_kind),
    ("the addresses of both ends agree", addresses),
    ("sockets are counted", counted),
    (
        "datagrams arrive whole, with the address of who sent them",
        datagrams_arrive,
    ),
    (
        "datagrams that nobody has asked for again are not lost",
        datagrams_stay,
    ),
    (
        "a connected datagram socket receives and sends like a stream",
        connected_datagrams,
    ),
    (
        "an address of datagrams in use is refused",
        datagrams_in_use,
    ),
];

/// What holds for the two ends of a connection, of whatever kind.
const STREAM_CHECKS: &[(&str, Check)] = &[
    ("bytes arrive as they were sent", bytes_arrive),
    ("an operation is asked twice without harm", asked_twice),
    ("who asked last is told, and once", who_is_told),
    ("a foreign waker is woken like a task", foreign_waker),
    (
        "an operation that nobody asks for again loses nothing",
        abandoned,
    ),
    (
        "an end that came with the last bytes is seen",
        end_with_bytes,
    ),
    ("an end stays", end_stays),
    ("each direction ends by itself", half_close),
    (
        "a sender stops when nobody receives and goes on when somebody does",
        full,
    ),
    (
        "a sender that was stopped goes on after a call with many buffers",
        many_buffers,
    ),
    ("both directions wait at the same time", both_directions),
    ("a reset reaches who receives", reset),
    ("closing drops who waits, and the id names nothing", closed),
];

/// What drivers of an operating system's do besides.
#[cfg(unix)]
const SYSTEM_CHECKS: &[(&str, Check)] = &[
    ("a pipe's end is received from and ends", pipe_ends),
    ("a pipe that is full goes on when it is emptied", pipe_full),
    (
        "what a pipe has got is told once and received",
        pipe_told_once,
    ),
    ("a file of a disk is refused or is always ready", disk_file),
];

type Open = fn(&Config) -> io::Result<Box<dyn Driver>>;

fn conform(open: Open) {
    conform_to(CHECKS, open, through_tcp);
    conform_to(STREAM_CHECKS, open, through_tcp);
}

fn conform_to(
    checks: &[(&str, Check)],
    open: Open,
    pair: fn(&mut Subject) -> (SocketId, SocketId),
) {
    let mut failed = Vec::new();
    for (name, check) in checks {
        let passed = std::panic::catch_unwind(|| {
            let mut subject = Subject {
                driver: open(&Config::default()).unwrap(),
                woken: Vec::new(),
                pair,
            };
            check(&mut subject);
            assert_eq!(subject.driver.sockets(), 0, "sockets are left open");
        });
        if passed.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "what does not hold: {failed:#?}");
}

#[test]
fn the_selector_conforms() {
    conform(|config| super::open(DriverKind::Selector, config));
}

#[cfg(unix)]
#[test]
fn poll_conforms() {
    conform(|config| super::open(DriverKind::Poll, config));
}

/// The drivers of an operating system's.
#[cfg(unix)]
const SYSTEMS: [Open; 2] = [
    |config| super::open(DriverKind::Selector, config),
    |config| super::open(DriverKind::Poll, config),
];

#[cfg(unix)]
#[test]
fn the_drivers_of_a_system_take_its_descriptors() {
    for open in SYSTEMS {
        conform_to(SYSTEM_CHECKS, open, through_tcp);
    }
}

#[cfg(unix)]
#[test]
fn unix_streams_are_streams_as_others_are() {
    for open in SYSTEMS {
        conform_to(STREAM_CHECKS, open, through_unix);
    }
}

#[test]
fn the_simulation_conforms() {
    conform(|_| {
        // The list takes what it sent to be there at the next look, as on a loopback, and sends
        // 200,000 bytes before anybody reads.
        let link = Link {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            buffer_bytes: 256 * 1024,
        };
        let setup = Setup {
            link,
            other_threads: true,
            ..Setup::default()
        };
        Ok(Box::new(Simulation::new(1, setup, None)))
    });
}

fn task(number: u64) -> TaskId {
    TaskId::from_bits(1 << 32 | number)
}

/// Asks in the name of a task.
fn ask<R>(number: u64, operation: impl FnOnce(&Caller<'_>) -> R) -> R {
    let cx = Context::from_waker(Waker::noop());
    operation(&Caller::new(
        Some(task(number)),
        WakerIdentity::of(cx.waker()),
        &cx,
    ))
}

impl Subject {
    /// Waits once. Which tasks were woken.
    fn wait(&mut self, wait: Wait) -> Vec<TaskId> {
        self.driver.wait(wait, &mut self.woken).unwrap();
        self.woken
            .drain(..)
            .filter_map(|waiter| match waiter {
                Waiter::Task(id) => id,
                Waiter::Waker(waker) => {
                    waker.wake();
                    None
                }
            })
            .collect()
    }

    /// Asks until it completes, each time after its task was woken. The limit is there so that a
    /// wake that never comes fails the check instead of stopping it.
    fn complete<R>(
        &mut self,
        number: u64,
        mut operation: impl FnMut(&mut dyn Driver, &Caller<'_>) -> Poll<R>,
    ) -> R {
        loop {
            let driver = &mut *self.driver;
            if let Poll::Ready(result) = ask(number, |caller| operation(driver, caller)) {
                return result;
            }
            let mut woken = self.wait(Wait::AtMost(LIMIT));
            while !woken.contains(&task(number)) {
                assert!(!woken.is_empty(), "task {number} was never woken");
                woken = self.wait(Wait::AtMost(LIMIT));
            }
        }
    }

    fn listen(&mut self) -> (SocketId, SocketAddr) {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = self.driver.listen(any, &ListenOptions::default()).unwrap();
        (listener, self.local_addr(listener))
    }

    fn local_addr(&self, socket: SocketId) -> SocketAddr {
        self.driver.local_addr(socket).unwrap().ip().unwrap()
    }

    fn peer_addr(&self, socket: SocketId) -> SocketAddr {
        self.driver.peer_addr(socket).unwrap().ip().unwrap()
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<SocketId> {
        let socket = self.driver.connect(address, &ConnectOptions::default())?;
        match self.complete(1, |driver, caller| driver.connected(socket, caller)) {
            Ok(()) => Ok(socket),
            Err(error) => {
                self.driver.close(socket);
                Err(error)
            }
        }
    }

    fn accept(&mut self, listener: SocketId) -> (SocketId, SocketAddr) {
        let accepted = self.complete(2, |driver, caller| driver.accept(listener, caller));
        let (socket, peer) = accepted.unwrap();
        (socket, peer.ip().unwrap())
    }

    /// Two ends of a connection.
    fn pair(&mut self) -> (SocketId, SocketId) {
        (self.pair)(self)
    }

    fn close(&mut self, sockets: impl IntoIterator<Item = SocketId>) {
        for socket in sockets {
            self.driver.close(socket);
        }
    }

    fn receive(&mut self, socket: SocketId, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = self.complete(3, |driver, caller| {
            driver.receive(socket, &mut buffer, caller)
        })?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Receives to the end.
    fn rest(&mut self, socket: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let came = self.receive(socket, 64 * 1024).unwrap();
            if came.is_empty() {
                return all;
            }
            all.extend(came);
        }
    }

    /// A datagram socket and its address.
    fn datagram(&mut self) -> (SocketId, SocketAddr) {
        let any = "127.0.0.1:0".parse().unwrap();
        let socket = self.driver.bind_datagram(any, &UdpOptions::default());
        let socket = socket.unwrap();
        (socket, self.local_addr(socket))
    }

    fn send_to(&mut self, socket: SocketId, bytes: &[u8], to: SocketAddr) {
        let sent = self.complete(4, |driver, caller| {
            driver.send_to(socket, bytes, &to.into(), caller)
        });
        assert_eq!(sent.unwrap(), bytes.len());
    }

    fn receive_from(
        &mut self,
        socket: SocketId,
        length: usize,
        take: Take,
    ) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; length];
        let received = self.complete(3, |driver, caller| {
            driver.receive_from(socket, &mut buffer, take, caller)
        });
        let (count, from) = received.unwrap();
        buffer.truncate(count);
        (buffer, from.ip().unwrap())
    }

    fn try_receive(&mut self, number: u64, socket: SocketId) -> Poll<io::Result<Vec<u8>>> {
        let mut buffer = vec![0; 1024];
        let driver = &mut *self.driver;
        ask(number, |caller| driver.receive(socket, &mut buffer, caller)).map_ok(|count| {
            buffer.truncate(count);
            buffer
        })
    }

    fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        let mut sent = 0;
        while sent < bytes.len() {
            let left = [IoSlice::new(&bytes[sent..])];
            sent += self
                .complete(4, |driver, caller| driver.send(socket, &left, caller))
                .unwrap();
        }
    }

    /// Sends until nothing fits any more; how much that was.
    fn fill(&mut self, socket: SocketId) -> usize {
        let block = vec![7; 256 * 1024];
        let mut sent = 0;
        loop {
            let driver = &mut *self.driver;
            let some = [IoSlice::new(&block)];
            match ask(4, |caller| driver.send(socket, &some, caller)) {
                Poll::Ready(count) => sent += count.unwrap(),
                Poll::Pending => return sent,
            }
        }
    }
}

fn through_tcp(subject: &mut Subject) -> (SocketId, SocketId) {
    let (listener, address) = subject.listen();
    let client = subject.connect(address).unwrap();
    let (server, _) = subject.accept(listener);
    subject.driver.close(listener);
    (client, server)
}

#[cfg(unix)]
fn through_unix(subject: &mut Subject) -> (SocketId, SocketId) {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut adopt = |end| subject.driver.adopt(Source::UnixStream(end)).unwrap();
    (adopt(one), adopt(other))
}

/// Long enough for a loopback connection on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

fn wait_not(subject: &mut Subject) {
    assert_eq!(subject.wait(Wait::Not), []);
}

fn wait_limit(subject: &mut Subject) {
    assert_eq!(subject.wait(Wait::AtMost(Duration::from_millis(1))), []);
}

fn notification(subject: &mut Subject) {
    let notifier = subject.driver.notifier().unwrap();
    notifier.notify();
    assert_eq!(subject.wait(Wait::Forever), []);
    std::thread::scope(|scope| {
        scope.spawn(|| notifier.notify());
        assert_eq!(subject.wait(Wait::Forever), []);
    });
    for _ in 0..1000 {
        notifier.notify();
    }
    assert_eq!(subject.wait(Wait::Forever), []);
    let events = subject.driver.wait(Wait::Not, &mut subject.woken).unwrap();
    assert_eq!(events, 0, "it is used up");
}

fn address_in_use(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    let again = subject.driver.listen(address, &ListenOptions::default());
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse);
    subject.close([listener]);
}

fn accept_and_connect(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    let waits = ask(2, |caller| subject.driver.accept(listener, caller));
    assert!(waits.is_pending(), "nobody has connected");
    for _ in 0..3 {
        let client = subject.connect(address).unwrap();
        let (server, _) = subject.accept(listener);
        subject.close([client, server]);
    }
    subject.close([listener]);
}

fn refused(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    subject.close([listener]);
    let error = subject.connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

fn accept_later(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    let clients = [(); 3].map(|()| subject.connect(address).unwrap());
    let servers = [(); 3].map(|()| subject.accept(listener).0);
    let waits = ask(2, |caller| subject.driver.accept(listener, caller));
    assert!(waits.is_pending());
    subject.close(clients.into_iter().chain(servers).chain([listener]));
}

fn bytes_arrive(subject: &mut Subject) {
    let (client, server) = subject.pair();
    for (from, to) in [(client, server), (server, client)] {
        subject.send(from, b"hello");
        assert_eq!(subject.receive(to, 3).unwrap(), b"hel");
        assert_eq!(subject.receive(to, 100).unwrap(), b"lo");
        let parts = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bc")];
        let sent = subject.complete(4, |driver, caller| driver.send(from, &parts, caller));
        assert_eq!(sent.unwrap(), 3);
        assert_eq!(subject.receive(to, 3).unwrap(), b"abc");
    }
    subject.close([client, server]);
}

fn asked_twice(subject: &mut Subject) {
    let (client, server) = subject.pair();
    for _ in 0..3 {
        assert!(subject.try_receive(3, server).is_pending());
    }
    subject.send(client, b"x");
    assert_eq!(subject.receive(server, 10).unwrap(), b"x");
    subject.close([client, server]);
}

fn who_is_told(subject: &mut Subject) {
    let (client, server) = subject.pair();
    assert!(subject.try_receive(10, server).is_pending());
    assert!(subject.try_receive(11, server).is_pending());
    subject.send(client, b"x");
    assert_eq!(subject.wait(Wait::AtMost(LIMIT)), [task(11)]);
    subject.send(client, b"y");
    assert_eq!(subject.wait(Wait::Not), [], "nobody has asked since");
    // What came is still there.
    assert_eq!(subject.receive(server, 10).unwrap(), b"xy");
    subject.close([client, server]);
}

fn foreign_waker(subject: &mut Subject) {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (client, server) = subject.pair();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let cx = Context::from_waker(&waker);
    let running = WakerIdentity::of(Waker::noop());
    let caller = Caller::new(Some(task(3)), running, &cx);
    let waits = subject.driver.receive(server, &mut [0; 8], &caller);
    assert!(waits.is_pending());
    drop(caller);
    drop(waker);
    subject.send(client, b"x");
    while count.0.load(Ordering::Relaxed) == 0 {
        subject.wait(Wait::AtMost(LIMIT));
    }
    assert_eq!(Arc::strong_count(&count), 1, "it is not kept");
    subject.close([client, server]);
}

fn abandoned(subject: &mut Subject) {
    let (client, server) = subject.pair();
    assert!(subject.try_receive(3, server).is_pending());
    subject.send(client, b"kept");
    // Complete, and the one who asked is gone.
    subject.wait(Wait::AtMost(LIMIT));
    let events = subject.driver.wait(Wait::Not, &mut subject.woken).unwrap();
    assert_eq!(events, 0, "what nobody takes does not end every wait");
    assert_eq!(subject.receive(server, 10).unwrap(), b"kept");
    subject.close([client, server]);
}

fn end_with_bytes(subject: &mut Subject) {
    for length in [1, 1000, 200_000] {
        let (client, server) = subject.pair();
        let bytes: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
        subject.send(client, &bytes);
        subject.close([client]);
        assert!(subject.rest(server) == bytes);
        subject.close([server]);
    }
}

fn end_stays(subject: &mut Subject) {
    let (client, server) = subject.pair();
    subject.close([client]);
    for _ in 0..3 {
        assert_eq!(subject.receive(server, 10).unwrap(), b"");
    }
    subject.close([server]);
}

fn half_close(subject: &mut Subject) {
    let (client, server) = subject.pair();
    subject.send(client, b"question");
    subject.driver.shutdown(client, Shutdown::Write).unwrap();
    assert_eq!(subject.rest(server), b"question");
    subject.send(server, b"answer");
    subject.driver.shutdown(server, Shutdown::Write).unwrap();
    assert_eq!(subject.rest(client), b"answer");
    subject.close([client, server]);
}

fn full(subject: &mut Subject) {
    let (client, server) = subject.pair();
    for (from, to) in [(client, server), (server, client)] {
        for _ in 0..3 {
            let mut sent = subject.fill(from);
            subject.wait(Wait::Not);
            while sent > 0 {
                sent -= subject.receive(to, 1024 * 1024).unwrap().len();
            }
            // There is room: it goes on.
            subject.send(from, b"x");
            assert_eq!(subject.receive(to, 10).unwrap(), b"x");
        }
    }
    subject.close([client, server]);
}

fn many_buffers(subject: &mut Subject) {
    let (client, server) = subject.pair();
    for (from, to) in [(client, server), (server, client)] {
        let mut left = subject.fill(from);
        while left > 0 {
            left -= subject.receive(to, 1024 * 1024).unwrap().len();
        }
        // More than the system takes in one call, though there is room for all.
        let bytes = [7; 3000];
        let slices: Vec<_> = bytes
            .iter()
            .map(std::slice::from_ref)
            .map(IoSlice::new)
            .collect();
        let mut sent = 0;
        while sent < slices.len() {
            let rest = &slices[sent..];
            sent += subject
                .complete(4, |driver, caller| driver.send(from, rest, caller))
                .unwrap();
        }
        let mut came = 0;
        while came < bytes.len() {
            came += subject.receive(to, 4000).unwrap().len();
        }
    }
    subject.close([client, server]);
}

fn both_directions(subject: &mut Subject) {
    let (client, server) = subject.pair();
    assert!(subject.try_receive(10, client).is_pending());
    let mut sent = subject.fill(client);
    subject.send(server, b"x");
    let mut woken = Vec::new();
    while sent > 0 {
        woken.extend(subject.wait(Wait::Not));
        sent -= subject.receive(server, 1024 * 1024).unwrap().len();
    }
    while !(woken.contains(&task(10)) && woken.contains(&task(4))) {
        let more = subject.wait(Wait::AtMost(LIMIT));
        assert!(!more.is_empty(), "only {woken:?} were told");
        woken.extend(more);
    }
    assert_eq!(subject.receive(client, 10).unwrap(), b"x");
    subject.close([client, server]);
}

fn reset(subject: &mut Subject) {
    let (client, server) = subject.pair();
    assert!(subject.try_receive(3, client).is_pending());
    // Closing with bytes that were never received resets the connection.
    subject.send(client, b"never received");
    subject.wait(Wait::AtMost(Duration::from_millis(1)));
    subject.close([server]);
    let error = subject.receive(client, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    subject.close([client]);
}

fn closed(subject: &mut Subject) {
    let (client, server) = subject.pair();
    assert!(subject.try_receive(10, server).is_pending());
    let waited = subject.driver.close(server);
    let told = |waiter: &Waiter| matches!(waiter, Waiter::Task(Some(id)) if *id == task(10));
    assert!(waited.iter().any(told), "the caller gets who waited");
    let Poll::Ready(Err(error)) = subject.try_receive(10, server) else {
        panic!("a closed socket receives nothing");
    };
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(subject.driver.local_addr(server).is_err());
    assert!(subject.driver.shutdown(server, Shutdown::Both).is_err());
    subject.close([server, client]);
    assert!(!subject.wait(Wait::Not).contains(&task(10)));
}

fn successor(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    for _ in 0..20 {
        let client = subject.connect(address).unwrap();
        let (server, _) = subject.accept(listener);
        assert!(subject.try_receive(10, server).is_pending());
        subject.send(client, b"old");
        // The event is on its way; the slot is used again before it is looked at.
        subject.close([server]);
        let next = subject.connect(address).unwrap();
        let (server, _) = subject.accept(listener);
        assert!(subject.try_receive(11, server).is_pending());
        assert!(subject.wait(Wait::Not).is_empty());
        subject.send(next, b"new");
        assert_eq!(subject.receive(server, 10).unwrap(), b"new");
        subject.close([client, next, server]);
    }
    subject.close([listener]);
}

fn wrong_kind(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    assert!(subject.driver.peer_addr(listener).is_err());
    assert!(subject.driver.set_nodelay(listener, true).is_err());
    assert!(subject.driver.shutdown(listener, Shutdown::Both).is_err());
    let mut buffer = [0; 8];
    let driver = &mut *subject.driver;
    let to = address.into();
    let sent = ask(3, |caller| driver.send_to(listener, b"x", &to, caller));
    assert!(matches!(sent, Poll::Ready(Err(_))));
    let client = subject.connect(address).unwrap();
    let (server, _) = subject.accept(listener);
    subject.send(client, b"x");
    assert_eq!(subject.receive(server, 10).unwrap(), b"x");
    subject.send(client, b"y");
    let received = subject.complete(3, |driver, caller| {
        driver.receive_from(server, &mut buffer, Take::Out, caller)
    });
    assert!(received.is_err());
    assert_eq!(subject.receive(server, 10).unwrap(), b"y");
    subject.close([listener, client, server]);
}

fn addresses(subject: &mut Subject) {
    let (listener, address) = subject.listen();
    let client = subject.connect(address).unwrap();
    let (server, peer) = subject.accept(listener);
    assert_eq!(subject.local_addr(client), peer);
    assert_eq!(subject.peer_addr(client), address);
    assert_eq!(subject.local_addr(server), address);
    assert_eq!(subject.peer_addr(server), peer);
    subject.close([listener, client, server]);
}

fn counted(subject: &mut Subject) {
    assert_eq!(subject.driver.sockets(), 0);
    let (client, server) = subject.pair();
    assert_eq!(subject.driver.sockets(), 2);
    subject.close([client, client]);
    assert_eq!(subject.driver.sockets(), 1);
    subject.close([server]);
    let adopted = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let adopted = Source::TcpListener(adopted);
    let adopted = subject.driver.adopt(adopted).unwrap();
    assert_eq!(subject.driver.sockets(), 1);
    subject.close([adopted]);
}

fn datagrams_arrive(subject: &mut Subject) {
    let ((one, here), (other, there)) = (subject.datagram(), subject.datagram());
    for text in ["hello", "", "longer", "x"] {
        subject.send_to(one, text.as_bytes(), there);
    }
    for _ in 0..2 {
        let peeked = subject.receive_from(other, 4, Take::Copy);
        assert_eq!(peeked, (b"hell".to_vec(), here));
    }
    for text in ["hello", ""] {
        let received = subject.receive_from(other, 100, Take::Out);
        assert_eq!(received, (text.as_bytes().to_vec(), here));
    }
    // What does not fit is lost, and nothing else is.
    assert_eq!(subject.receive_from(other, 2, Take::Out).0, b"lo");
    assert_eq!(subject.receive_from(other, 2, Take::Out).0, b"x");
    let mut buffer = [0; 4];
    let driver = &mut *subject.driver;
    let waits = ask(3, |caller| {
        driver.receive_from(other, &mut buffer, Take::Out, caller)
    });
    assert!(waits.is_pending());
    subject.send_to(other, b"back", here);
    assert_eq!(
        subject.receive_from(one, 9, Take::Out),
        (b"back".to_vec(), there)
    );
    subject.close([one, other]);
}

fn datagrams_stay(subject: &mut Subject) {
    let ((one, _), (other, there)) = (subject.datagram(), subject.datagram());
    for round in 0..3u8 {
        assert!(subject.try_receive(10, other).is_pending());
        assert!(subject.try_receive(11, other).is_pending());
        subject.send_to(one, &[round, 1], there);
        subject.send_to(one, &[round, 2], there);
        assert_eq!(subject.wait(Wait::AtMost(LIMIT)), [task(11)]);
        // The one who asked is gone.
        subject.wait(Wait::Not);
        for number in [1, 2] {
            assert_eq!(subject.receive_from(other, 9, Take::Out).0, [round, number]);
        }
    }
    subject.close([one, other]);
}

fn connected_datagrams(subject: &mut Subject) {
    let ((one, here), (other, there)) = (subject.datagram(), subject.datagram());
    assert!(subject.driver.peer_addr(one).is_err());
    subject.driver.connect_datagram(one, &there.into()).unwrap();
    subject
        .driver
        .connect_datagram(other, &here.into())
        .unwrap();
    assert_eq!(subject.peer_addr(one), there);
    let (stranger, _) = subject.datagram();
    subject.send_to(stranger, b"psst", here);
    for (from, to) in [(one, other), (other, one)] {
        subject.send(from, b"hello");
        let parts = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bc")];
        let sent = subject.complete(4, |driver, caller| driver.send(from, &parts, caller));
        assert_eq!(sent.unwrap(), 3);
        assert_eq!(subject.receive(to, 100).unwrap(), b"hello");
        assert_eq!(
            subject.receive(to, 100).unwrap(),
            b"abc",
            "it is one datagram"
        );
        assert!(subject.try_receive(3, to).is_pending());
    }
    subject.close([one, stranger]);
    // Nobody is there any more, which the next but one call says at the latest.
    subject.send(other, b"anybody?");
    let error = subject.receive(other, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    subject.close([other]);
}

fn datagrams_in_use(subject: &mut Subject) {
    let (socket, address) = subject.datagram();
    let again = subject
        .driver
        .bind_datagram(address, &UdpOptions::default());
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse);
    // A stream's port is another's.
    let listener = subject.driver.listen(address, &ListenOptions::default());
    let listener = listener.unwrap();
    assert!(
        subject
            .driver
            .connect_datagram(listener, &address.into())
            .is_err()
    );
    subject.close([socket, listener]);
}

/// A pipe whose ends both are in the driver: the one to read, the one to write.
#[cfg(unix)]
fn pipe(subject: &mut Subject) -> (SocketId, SocketId) {
    let (reader, writer) = io::pipe().unwrap();
    let mut adopt = |end| subject.driver.adopt(Source::Descriptor(end)).unwrap();
    (adopt(reader.into()), adopt(writer.into()))
}

#[cfg(unix)]
fn pipe_ends(subject: &mut Subject) {
    let (reader, writer) = pipe(subject);
    assert!(subject.try_receive(3, reader).is_pending());
    subject.send(writer, b"hello");
    assert_eq!(subject.receive(reader, 3).unwrap(), b"hel");
    assert_eq!(subject.receive(reader, 9).unwrap(), b"lo");
    assert!(subject.try_receive(3, reader).is_pending());
    subject.send(writer, b"bye");
    subject.close([writer]);
    assert_eq!(subject.rest(reader), b"bye");
    assert!(subject.driver.local_addr(reader).is_err());
    assert!(subject.driver.shutdown(reader, Shutdown::Both).is_err());
    subject.close([reader]);

    let (reader, writer) = pipe(subject);
    subject.fill(writer);
    subject.close([reader]);
    let nobody_reads = subject.complete(4, |driver, caller| {
        driver.send(writer, &[IoSlice::new(b"x")], caller)
    });
    assert_eq!(nobody_reads.unwrap_err().kind(), ErrorKind::BrokenPipe);
    subject.close([writer]);
}

#[cfg(unix)]
fn pipe_full(subject: &mut Subject) {
    let (reader, writer) = pipe(subject);
    for _ in 0..3 {
        let mut sent = subject.fill(writer);
        while sent > 0 {
            sent -= subject.receive(reader, 1024 * 1024).unwrap().len();
        }
        subject.send(writer, b"x");
        assert_eq!(subject.receive(reader, 10).unwrap(), b"x");
    }
    subject.close([reader, writer]);
}

#[cfg(unix)]
fn pipe_told_once(subject: &mut Subject) {
    let (reader, writer) = pipe(subject);
    assert!(subject.try_receive(5, reader).is_pending());
    subject.send(writer, b"x");
    assert_eq!(subject.wait(Wait::AtMost(LIMIT)), [task(5)]);
    assert_eq!(subject.wait(Wait::Not), [], "it is told once");
    assert_eq!(subject.receive(reader, 10).unwrap(), b"x");
    assert!(subject.try_receive(3, reader).is_pending());
    subject.close([reader, writer]);
}

#[cfg(unix)]
fn disk_file(subject: &mut Subject) {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    match subject.driver.adopt(Source::Descriptor(file.into())) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        Ok(file) => {
            assert_eq!(subject.receive(file, 4).unwrap().len(), 4);
            subject.close([file]);
        }
    }
}
