//! A server: where it listens, on how many loops, and how it ends.

use crate::accept::accept_until_draining;
use crate::admin::{Admin, Loops};
use crate::bounds::{Bounds, HalfClose, OnDisconnect};
use crate::config::{Config, HealthConfig};
use crate::drain::{DrainReport, drain_when_asked};
use crate::error::ServerError;
use crate::introspect::Socket;
use crate::ledger::{Ledger, RouteBook};
use crate::loop_state::LoopState;
use crate::overload::Shedding;
use crate::router::{App, Router};
use crate::shutdown::Shutdown;
use crate::successor::Successor;
use crate::supervisor;
use crate::timeouts::Timeouts;
#[cfg(feature = "tls")]
use crate::tls::{TlsConfig, TlsReloader, reload_at_hangup};
use crate::transport::Transports;
use monoloop_proto::http1::Limits;
use monoloop_runtime::net::{ListenOptions, TcpListener};
use monoloop_runtime::{JoinHandle, Runtime, signal, spawn_named};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
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

    /// Serves until SIGTERM or SIGINT, drains and returns. A second signal ends it at once.
    ///
    /// `app` makes the router, once on each loop.
    ///
    /// # Errors
    /// When a route is malformed, the address cannot be listened at, or a thread or loop cannot
    /// be made.
    pub fn run<F>(mut self, app: F) -> Result<(), ServerError>
    where
        F: Fn() -> Router + Send + Sync + 'static,
    {
        self.inherit()?;
        let app = Arc::new(app);
        let shutdown = Shutdown::new();
        let mut runtime = self.make_runtime()?;
        // The first loop is this thread's, so that one thread is all there is.
        let socket = self.open_socket()?;
        let first = runtime.block_on(async { self.listen(&*app, &shutdown, socket.as_ref()) })?;
        let others = self.start_loops(
            first.local_addr(),
            self.threads - 1,
            &app,
            &shutdown,
            socket.as_ref(),
        )?;
        // Each loop keeps them open.
        drop((socket, self.listener.take()));
        let signals = signal::shutdown();
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        announce(&self, first.local_addr());
        supervisor::tell_ready();

        runtime.block_on(async {
            let signals = spawn_named("signals", drain_at_signal(signals, shutdown));
            #[cfg(feature = "tls")]
            let hangups = tls.map(|tls| spawn_named("tls reload", reload_at_hangup(tls)));
            let alive = spawn_named("supervisor", supervisor::tell_that_it_lives());
            report(&first.wait().await);
            // Nothing is left that they could end.
            signals.cancel();
            alive.cancel();
            let _cancelled = (signals.await, alive.await);
            #[cfg(feature = "tls")]
            if let Some(hangups) = hangups {
                hangups.cancel();
                let _cancelled = hangups.await;
            }
        });
        for other in others {
            report(&join(other));
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Serves on threads of its own until the handle is told to end.
    ///
    /// # Errors
    /// As for [`run`](Server::run).
    pub fn start<F>(mut self, app: F) -> Result<Running, ServerError>
    where
        F: Fn() -> Router + Send + Sync + 'static,
    {
        self.inherit()?;
        let app = Arc::new(app);
        let shutdown = Shutdown::new();
        let socket = self.open_socket()?;
        let socket = socket.as_ref();
        let first = self.start_loop(self.address, self.shares_port(), &app, &shutdown, socket)?;
        let local_addr = first.0;
        let mut loops = vec![first.1];
        loops.extend(self.start_loops(local_addr, self.threads - 1, &app, &shutdown, socket)?);
        announce(&self, local_addr);
        Ok(Running {
            local_addr,
            ledger: self.ledger.clone(),
            admin_addr: self.loops.admin_addr(),
            shutdown,
            loops,
        })
    }

    /// Serves on the loop of this thread, beside whatever else runs there, until `shutdown` is
    /// told to drain.
    ///
    /// # Errors
    /// When a route is malformed or the address cannot be listened at.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn spawn(
        &self,
        app: impl Fn() -> Router,
        shutdown: &Shutdown,
    ) -> Result<Serving, ServerError> {
        let socket = self.open_socket()?;
        if !self.inherits {
            return self.listen(&app, shutdown, socket.as_ref());
        }
        let mut server = self.clone();
        server.inherit()?;
        server.listen(&app, shutdown, socket.as_ref())
    }

    /// Takes what a supervisor has handed over.
    fn inherit(&mut self) -> Result<(), ServerError> {
        if std::mem::take(&mut self.inherits) {
            let listener = supervisor::take_listener().map_err(ServerError::Inherit)?;
            self.listener = Some(Arc::new(listener));
        }
        Ok(())
    }

    fn shares_port(&self) -> bool {
        self.threads > 1 || self.reuse_port
    }

    fn successor(&self) -> Successor {
        match (&self.listener, self.reuse_port) {
            (Some(_), _) => Successor::AtSocket,
            (None, true) => Successor::AtPort,
            (None, false) => Successor::None,
        }
    }

    fn open_socket(&self) -> Result<Option<Socket>, ServerError> {
        let opened = self.socket.as_ref().map(Socket::open).transpose();
        opened.map_err(ServerError::Socket)
    }

    fn listen(
        &self,
        app: &dyn Fn() -> Router,
        shutdown: &Shutdown,
        socket: Option<&Socket>,
    ) -> Result<Serving, ServerError> {
        self.listen_at(self.address, self.shares_port(), app, shutdown, socket)
    }

    fn listen_at(
        &self,
        address: SocketAddr,
        share_port: bool,
        app: &dyn Fn() -> Router,
        shutdown: &Shutdown,
        socket: Option<&Socket>,
    ) -> Result<Serving, ServerError> {
        let router = app();
        router.check()?;
        let transports = self.transports()?;
        let listening = match &self.listener {
            Some(listener) => listener.try_clone().and_then(TcpListener::from_std),
            None => {
                let options = ListenOptions::default().reuse_port(share_port);
                TcpListener::bind_with(address, &options)
            }
        };
        let cannot_listen = |error| ServerError::Listen { address, error };
        let listener = listening.map_err(cannot_listen)?;
        let local_addr = listener.local_addr().map_err(cannot_listen)?;

        let settings = self.settings.clone();
        let mut limits = settings.limits;
        let body_bytes_max = limits.body_bytes_max;
        // The protocol refuses what no route takes, and each route what it does not.
        let own = router
            .options()
            .filter_map(|options| options.body_bytes_max);
        limits.body_bytes_max = own.fold(body_bytes_max, u64::max);
        let app = App::new(router, &settings.health, body_bytes_max);
        let routes = self.admin.map(|_| RouteBook::new(app.labels()));
        let is_first = !self.ledger.is_serving();
        let shared = LoopState::new(
            app,
            settings.timeouts,
            limits,
            settings.bounds,
            self.ledger.new_book(routes),
            transports,
        );
        shared.successor.set(self.successor());
        shared.server_timing.set(settings.server_timing);
        self.loops.add_this();
        let admin = match self.admin.filter(|_| is_first) {
            Some(address) => Some(self.open_admin(address, &shared)?),
            None => None,
        };
        let measuring = shared.overload.clone().map(|overload| {
            let measuring = overload.measure();
            spawn_named("overload", measuring)
        });
        let accepting = accept_until_draining(listener, shared.clone());
        let accepting = spawn_named("accept", accepting);
        let shutdown = shutdown.clone();
        if let Some(socket) = socket {
            socket.show_this_loop();
        }
        let socket = socket.cloned();
        let draining = spawn_named("drain", async move {
            let _open_until_drained = socket;
            let report = drain_when_asked(
                &shared,
                &shutdown,
                accepting,
                settings.drain_delay,
                settings.drain_timeout,
            )
            .await;
            if let Some(measuring) = measuring {
                measuring.cancel();
                let _cancelled = measuring.await;
            }
            shared.book.set_over();
            if let Some(admin) = admin {
                admin.close().await;
            }
            report
        });
        Ok(Serving {
            local_addr,
            ledger: self.ledger.clone(),
            admin_addr: self.loops.admin_addr(),
            draining,
        })
    }

    /// Reads the certificates, on the first of the loops.
    fn transports(&self) -> Result<Transports, ServerError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.load_once().map_err(ServerError::Tls)?;
        }
        Ok(Transports {
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        })
    }

    fn open_admin(
        &self,
        address: SocketAddr,
        shared: &Rc<LoopState>,
    ) -> Result<Admin, ServerError> {
        let opened = Admin::open(address, shared, &self.ledger, &self.loops);
        let (admin, local_addr) = opened.map_err(|error| {
            shared.book.set_over();
            ServerError::Admin { address, error }
        })?;
        self.loops.set_admin_addr(local_addr);
        tracing::info!(address = %local_addr, "metrics and health");
        Ok(admin)
    }

    fn start_loops<F>(
        &self,
        address: SocketAddr,
        count: usize,
        app: &Arc<F>,
        shutdown: &Shutdown,
        socket: Option<&Socket>,
    ) -> Result<Vec<thread::JoinHandle<DrainReport>>, ServerError>
    where
        F: Fn() -> Router + Send + Sync + 'static,
    {
        let mut loops = Vec::with_capacity(count);
        for _ in 0..count {
            match self.start_loop(address, true, app, shutdown, socket) {
                Ok((_, thread)) => loops.push(thread),
                Err(error) => {
                    shutdown.force();
                    for thread in loops {
                        join(thread);
                    }
                    return Err(error);
                }
            }
        }
        Ok(loops)
    }

    /// Starts a loop in a thread of its own, and waits until it listens.
    fn start_loop<F>(
        &self,
        address: SocketAddr,
        share_port: bool,
        app: &Arc<F>,
        shutdown: &Shutdown,
        socket: Option<&Socket>,
    ) -> Result<(SocketAddr, thread::JoinHandle<DrainReport>), ServerError>
    where
        F: Fn() -> Router + Send + Sync + 'static,
    {
        let (server, app, shutdown) = (self.clone(), app.clone(), shutdown.clone());
        let socket = socket.cloned();
        let (started, listens) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("monoloop".into())
            .spawn(move || {
                let listening = server.make_runtime().and_then(|mut runtime| {
                    let serving = runtime.block_on(async {
                        server.listen_at(address, share_port, &*app, &shutdown, socket.as_ref())
                    });
                    drop(socket);
                    Ok((serving?, runtime))
                });
                // With its copy of a socket that somebody else takes over.
                drop(server);
                match listening {
                    Ok((serving, mut runtime)) => {
                        let told = started.send(Ok(serving.local_addr()));
                        debug_assert!(told.is_ok(), "the starting thread waits for this");
                        runtime.block_on(serving.wait())
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                        DrainReport::default()
                    }
                }
            });
        let thread = thread.map_err(ServerError::Thread)?;
        let listens = listens.recv().unwrap_or(Err(ServerError::LoopDied));
        Ok((listens?, thread))
    }

    fn make_runtime(&self) -> Result<Runtime, ServerError> {
        raise_descriptor_limit();
        let builder = Runtime::builder().config(self.runtime.clone());
        builder.build().map_err(ServerError::Loop)
    }
}

/// A server on the loop of this thread.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    ledger: Ledger,
    admin_addr: Option<SocketAddr>,
    draining: JoinHandle<DrainReport>,
}

impl Serving {
    /// The address it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What becomes of its connections and requests.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Where its admin listener is, if it has one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Waits until the server was told to end and has.
    ///
    /// # Cancel safety
    /// The server goes on.
    pub async fn wait(self) -> DrainReport {
        self.draining.await.unwrap_or_default()
    }
}

/// A server on threads of its own. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    ledger: Ledger,
    admin_addr: Option<SocketAddr>,
    shutdown: Shutdown,
    loops: Vec<thread::JoinHandle<DrainReport>>,
}

impl Running {
    /// The address it listens at.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What becomes of its connections and requests.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Where its admin listener is, if it has one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// What tells it to end, from any thread.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Has it drain and waits until it has. One report for each loop.
    pub fn stop(self) -> Vec<DrainReport> {
        self.shutdown.drain();
        self.loops.into_iter().map(join).collect()
    }
}

/// A loop whose thread panicked has reported that already.
fn join(thread: thread::JoinHandle<DrainReport>) -> DrainReport {
    thread.join().unwrap_or_default()
}

fn announce(server: &Server, address: SocketAddr) {
    tracing::info!(%address, threads = server.threads, "listening");
}

fn report(drain: &DrainReport) {
    let DrainReport {
        open, forced, took, ..
    } = drain;
    match forced {
        0 => tracing::info!(connections = open, ?took, "drained"),
        _ => tracing::warn!(
            connections = open,
            forced,
            ?took,
            "drained; some connections were cut off"
        ),
    }
}

async fn drain_at_signal(signals: std::io::Result<signal::Signal>, shutdown: Shutdown) {
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(%error, "no signal handler; a signal will end the server without draining");
            return;
        }
    };
    let first = signals.recv().await;
    tracing::info!(signal = %first, "asked to end; once more ends at once");
    supervisor::tell_stopping();
    shutdown.drain();
    let second = signals.recv().await;
    tracing::warn!(signal = %second, "ending at once");
    shutdown.force();
}

/// Raises the limit of open files as far as the system lets this process: a connection is a
/// descriptor, and the soft limit is a default for programs that use `select`. Servers do it
/// by themselves when they start; other programs that hold many sockets call it.
pub fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
