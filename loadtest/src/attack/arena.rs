//! Where an attack takes place: the server, what is known of it, and the book of what was seen.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use monoloop_runtime::net::{ConnectOptions, TcpStream};
use monoloop_runtime::{spawn_named, time};

use crate::attack::peer::Peer;
use crate::attack::tally::{Expected, Seen, Tally};
use crate::sources::Sources;

/// How long a connection may take to be made. On the same machine more means that nobody accepts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Hostile connections begun in one tick of the loop: as fast as a backlog can be expected to bear.
const CONNECTS_PER_TICK: usize = 8;

/// How long the server grants its peers, as far as hostile ones have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) body: Duration,
    pub(crate) write: Duration,
}

/// What an attack is up against, and what it may use.
pub(crate) struct Arena {
    pub(crate) address: SocketAddr,
    /// Value of `Host`.
    pub(crate) host: String,
    /// Path and query that answer a GET.
    pub(crate) path: String,
    /// Path that takes the body of a POST.
    pub(crate) post_path: String,
    /// Path that opens a WebSocket.
    pub(crate) ws_path: String,
    /// Hostile connections at a time.
    pub(crate) connections: usize,
    /// How long an attack goes on that has no end of its own.
    pub(crate) duration: Duration,
    pub(crate) timeouts: Timeouts,
    /// How much later than its timeout the server may cut a connection off.
    pub(crate) grace: Duration,
    pub(crate) sources: Sources,
    pub(crate) tally: RefCell<Tally>,
    pub(crate) is_interrupted: Cell<bool>,
}

impl Arena {
    /// Runs `attack(n)` for each of `count` connections, begun one after the other and then all at
    /// the same time, until each has ended.
    pub(crate) async fn each<F>(
        self: &Rc<Self>,
        count: usize,
        attack: impl Fn(Rc<Self>, usize) -> F,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let mut tasks = Vec::with_capacity(count);
        for number in 0..count {
            if self.is_interrupted.get() {
                break;
            }
            tasks.push(spawn_named("hostile", attack(Rc::clone(self), number)));
            if number % CONNECTS_PER_TICK == CONNECTS_PER_TICK - 1 {
                time::sleep(Duration::from_millis(1)).await;
            }
        }
        for task in tasks {
            if let Err(error) = task.await {
                self.fault(format!("a hostile connection of ours failed: {error}"));
            }
        }
    }

    /// Connects the hostile connection `number`; that it cannot is in the book.
    pub(crate) async fn connect(&self, number: usize, shape: &str) -> Option<Peer> {
        let expected = Expected::new([], CONNECT_TIMEOUT);
        match self.try_connect(number).await {
            Some(stream) => Some(Peer::new(stream)),
            None => {
                self.record(shape, Seen::NotConnected, Duration::ZERO, &expected);
                None
            }
        }
    }

    /// Connects, if the server lets us.
    pub(crate) async fn try_connect(&self, number: usize) -> Option<TcpStream> {
        let mut options = ConnectOptions::default();
        options.local_addr = self.sources.of(number);
        let attempt = TcpStream::connect_with(self.address, &options);
        time::timeout(CONNECT_TIMEOUT, attempt).await.ok()?.ok()
    }

    pub(crate) fn record(&self, shape: &str, seen: Seen, after: Duration, expected: &Expected) {
        self.tally.borrow_mut().record(shape, seen, after, expected);
    }

    /// Notes how a connection that is being watched has ended, and when.
    pub(crate) fn judge(&self, shape: &str, seen: Seen, peer: &Peer, expected: &Expected) {
        self.record(shape, seen, peer.elapsed(), expected);
    }

    pub(crate) fn fault(&self, fault: String) {
        self.tally.borrow_mut().fault(fault);
    }

    /// A head without its last empty line; `fields` end their lines.
    pub(crate) fn head(&self, method: &str, path: &str, fields: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}",
            self.host
        )
    }

    /// A whole request without a body.
    pub(crate) fn get(&self) -> Vec<u8> {
        (self.head("GET", &self.path, "") + "\r\n").into_bytes()
    }

    /// The head of a request whose body is yet to come, to the path that takes one.
    pub(crate) fn post(&self, fields: &str) -> Vec<u8> {
        (self.head("POST", &self.post_path, fields) + "\r\n").into_bytes()
    }

    /// How often to send something that has to look alive within `timeout`.
    pub(crate) fn drip_period(timeout: Duration) -> Duration {
        (timeout / 10).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}
