//! A server: where it listens, on how many loops, and how it ends.

mod handles;
mod listen;
mod run;
mod threads;

pub use handles::{Running, Serving};
pub use threads::raise_descriptor_limit;

use crate::admin::Loops;
use crate::bounds::{Bounds, HalfClose, OnDisconnect};
use crate::config::{Config, HealthConfig};
use crate::error::ServerError;
use crate::ledger::Ledger;
use crate::overload::Shedding;
use crate::timeouts::Timeouts;
#[cfg(feature = "tls")]
use crate::tls::{TlsConfig, TlsReloader};
use monoloop_proto::http1::Limits;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A server that is about to start.
///
/// ```no_run
/// use monoloop::{Router, Server};
///
/// Server::bind("127.0.0.1:8080")?
///     .run(|| Router::new().get("/", |_| async { "hello\n" }))?;
/// # Ok::<(), monoloop::ServerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    threads: usize,
    socket: Option<PathBuf>,
    inherits: bool,
    /// What listens already, in place of the address.
    listener: Option<Arc<std::net::TcpListener>>,
    reuse_port: bool,
    settings: Settings,
    runtime: monoloop_runtime::Config,
    ledger: Ledger,
    #[cfg(feature = "tls")]
    tls: Option<TlsReloader>,
    admin: Option<SocketAddr>,
    loops: Loops,
}

/// What each loop of a server is told.
#[derive(Debug, Clone)]
struct Settings {
    bounds: Bounds,
    limits: Limits,
    timeouts: Timeouts,
    health: HealthConfig,
    drain_delay: Duration,
    drain_timeout: Duration,
    server_timing: bool,
}

impl Server {
    /// A server for `address`, such as `"127.0.0.1:8080"`, with the defaults of
    /// [`Config`]. Port 0 lets the kernel choose. Sockets are opened when it starts.
    ///
    /// # Errors
    /// When `address` is none, or its host has no address.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Server, ServerError> {
        let mut addresses = address.to_socket_addrs().map_err(ServerError::Address)?;
        let address = addresses.next().ok_or(ServerError::NoAddress)?;
        Ok(Server::from_config(&Config {
            listen: address,
            ..Config::default()
        }))
    }

    /// A server as an operator has configured it.
    #[must_use]
    pub fn from_config(config: &Config) -> Server {
        let (limits, timeouts) = (&config.limits, &config.timeouts);
        let mut runtime = monoloop_runtime::Config::default();
        runtime.blocking_queue_max = config.runtime.blocking_queue_max;
        runtime.watchdog = config.runtime.watchdog.unwrap_or(Duration::ZERO);
        if let Some(threads) = config.runtime.blocking_threads_max {
            runtime.blocking_threads_max = threads;
        }
        Server {
            address: config.listen,
            threads: config.threads.into(),
            socket: config.socket.clone(),
            inherits: config.handover.activated,
            listener: None,
            reuse_port: config.handover.reuse_port,
            settings: Settings {
                bounds: config.bounds(),
                limits: Limits {
                    target_bytes_max: limits.target_bytes_max,
                    head_bytes_max: limits.head_bytes_max,
                    header_count_max: limits.header_count_max,
                    body_bytes_max: limits.body_bytes_max,
                    ..Limits::default()
                },
                timeouts: timeouts.into(),
                health: config.health.clone(),
                drain_delay: config.drain.delay,
                drain_timeout: config.drain.timeout,
                server_timing: config.admin.server_timing,
            },
            runtime,
            ledger: Ledger::default(),
            #[cfg(feature = "tls")]
            tls: TlsConfig::from_section(&config.tls).map(TlsReloader::new),
            admin: config.admin.listen,
            loops: Loops::default(),
        }
    }

    /// Serves TLS. The files are read when the server starts, and by [`run`](Server::run) again at
    /// each SIGHUP.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.tls = Some(TlsReloader::new(config));
        self
    }

    /// What gives the server new certificates while it runs; `None` without TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_reloader(&self) -> Option<TlsReloader> {
        self.tls.clone()
    }

    /// Runs so many loops, each on a thread of its own with its own app and its own socket on
    /// the same port (SO_REUSEPORT). Default 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Opens a Unix socket at which the `monoloop` command can look into the server, see
    /// [`introspect`](crate::introspect). Default: none.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// Opens a listener beside the server's with its metrics (`/metrics`, for Prometheus), its
    /// ledger (`/ledger`, as JSON) and its health (`/health`). It is on the first loop, has
    /// limits of its own, and answers when the server is full and while it drains.
    /// Who can reach it can read all of it. Default: none.
    ///
    /// Requests are timed, each by one reading of the clock, only with such a listener.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = Some(address);
        self
    }

    /// Has each response say in a field `Server-Timing` where its time went, in milliseconds, for
    /// everybody to see: `queue` from when the loop found the request to the handler's first step,
    /// `cpu` in the handler's steps, `wait` the rest up to its answer. Default off.
    ///
    /// How long it takes to write an answer is not known when its head is made, so `write` is that
    /// of the answer before it on the same connection, and says so; the access log has them
    /// all.
    #[must_use]
    pub fn server_timing(mut self, is_on: bool) -> Self {
        self.settings.server_timing = is_on;
        self
    }

    /// Lets another process of the same user listen at the port while this one does: one that is
    /// started before this one is ended, and takes over. See [`operations`](crate::operations).
    /// Default: no.
    #[must_use]
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Serves on a socket that listens already, in place of an address: one that was inherited, or
    /// is to be handed on. All loops share it. The server closes its copies when it drains;
    /// connections then wait for whoever has another.
    #[must_use]
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listener = Some(Arc::new(listener));
        self.inherits = false;
        self
    }

    /// Serves on the socket that a supervisor has opened and handed over (systemd's socket
    /// activation, `LISTEN_FDS`), in place of an address. It is taken when the server starts, which
    /// fails when there is none. See [`operations`](crate::operations). Default: no.
    #[must_use]
    pub fn activated(mut self, activated: bool) -> Self {
        self.inherits = activated;
        self
    }

    /// Connections that one loop holds at most; more wait in the kernel's backlog.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.settings.bounds.connections_max = connections.max(1);
        self
    }

    /// Connections that one peer may have on one loop: an IPv4 address, or an IPv6 /64. One more is
    /// told 503 with `Retry-After` and closed. `None`, the default, is as many as all together:
    /// behind one address may be a proxy, or an office.
    #[must_use]
    pub fn connections_per_peer_max(mut self, connections: Option<u32>) -> Self {
        let connections = connections.map(|connections| connections.max(1));
        self.settings.bounds.connections_per_peer_max = connections;
        self
    }

    /// Requests that one connection may bring; the last is answered with `connection: close`. `None`,
    /// the default, is no bound: nothing is kept that grows with them.
    #[must_use]
    pub fn requests_per_connection_max(mut self, requests: Option<u32>) -> Self {
        let requests = requests.map_or(u32::MAX, |requests| requests.max(1));
        self.settings.bounds.requests_per_connection_max = requests;
        self
    }

    /// What becomes of a handler whose client goes away.
    #[must_use]
    pub fn on_disconnect(mut self, what: OnDisconnect) -> Self {
        self.settings.bounds.on_disconnect = what;
        self
    }

    /// What a client means that closes its sending half.
    #[must_use]
    pub fn half_close(mut self, meaning: HalfClose) -> Self {
        self.settings.bounds.half_close = meaning;
        self
    }

    /// Turns requests away, with 503 and `Retry-After`, while they wait too long for their handlers.
    /// Health checks are always answered. `None`, the default: never.
    #[must_use]
    pub fn shedding(mut self, shedding: Option<Shedding>) -> Self {
        self.settings.bounds.shedding = shedding;
        self
    }

    /// How long peers and handlers may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// The bounds of the protocol.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How long requests may still run once the server drains.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain_timeout = timeout;
        self
    }

    /// What becomes of this server's connections and requests: of all that it has started, and
    /// its clones.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }
}
