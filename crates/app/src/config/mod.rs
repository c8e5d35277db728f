//! What an operator may set: every key, its default, its unit and where the
//! number comes from.
//!
//! These are plain values. Where they come from (a file, the environment, the
//! command line) is the business of [`Sources`]; what they bring about is the
//! business of the server. The list of keys exists once, here: the names of
//! environment variables, the check for unknown keys and the suggestions are
//! derived from the serialised [`Config::default`].

mod bounds;
mod check;
mod choices;
mod effective;
mod environment;
mod error;
mod file;
mod load;
mod schema;
mod tls;
mod values;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::bounds::{DisconnectConfig, OverloadConfig};
pub use self::effective::Effective;
pub use self::error::{ConfigError, Origin, Problem};
pub use self::load::Sources;
pub use self::tls::{ClientAuth, TlsSection, TlsVersion};

/// Everything an operator may set. `config/server.toml` holds every key with
/// its default.
///
/// # Examples
///
/// ```
/// use monoloop::config::Config;
///
/// let config = Config { threads: 2, ..Config::default() };
/// assert_eq!(config.listen.port(), 8080);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to accept connections on. Default `127.0.0.1:8080`: a server
    /// that was started to be looked at is not open to the network.
    #[serde(with = "values::address")]
    pub listen: SocketAddr,
    /// Event loops, each on a thread of its own; they share the port and
    /// nothing else. Default 1, at most 1,024.
    #[serde(deserialize_with = "values::whole::<_, _, 1, 1_024>")]
    pub threads: u16,
    /// Unix socket at which the `monoloop` command, run by the same user, looks into the server;
    /// see [`introspect`](crate::introspect). `None`, written `"off"` and the default: none.
    #[serde(with = "values::socket")]
    pub socket: Option<PathBuf>,
    /// Certificates, and what is asked of clients.
    pub tls: TlsSection,
    /// Bounds on what a peer may make the server hold.
    pub limits: LimitsConfig,
    /// How long a peer, or a handler, may take.
    pub timeouts: TimeoutsConfig,
    /// What it means that a client goes away, and what becomes of its handler.
    pub disconnect: DisconnectConfig,
    /// Turning requests away while they wait too long.
    pub overload: OverloadConfig,
    /// How the server ends.
    pub drain: DrainConfig,
    /// How one server takes over from another.
    pub handover: HandoverConfig,
    /// The answers for those who ask whether the server is well.
    pub health: HealthConfig,
    /// What is told to those who watch the server.
    pub admin: AdminConfig,
    /// What is logged, how, and where to.
    pub log: LogConfig,
    /// Bounds of the runtime below.
    pub runtime: RuntimeConfig,
}

/// What is told to those who watch the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address of a listener of its own with the server's metrics, its ledger and its health, as in
    /// `127.0.0.1:9100`. Who can reach it can read them. `None`, written `"off"` and the default:
    /// none.
    #[serde(with = "values::address_or_off")]
    pub listen: Option<SocketAddr>,
    /// Whether each response says in `Server-Timing` where its time went, for everybody to see.
    /// Default off.
    #[serde(deserialize_with = "values::switch")]
    pub server_timing: bool,
}

/// Bounds on what a peer may make the server hold. Each is for one event loop,
/// one connection or one request, as its name and text say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Open connections of one event loop; more wait in the kernel's backlog. Each
    /// takes a file descriptor.
    /// Default 25,000, as actix-server has it for each worker.
    #[serde(deserialize_with = "values::whole::<_, _, 1, 10_000_000>")]
    pub connections_max: u32,
    /// Connections of one event loop that one peer may have: an IPv4 address, or an IPv6 /64. One
    /// more is told 503 and closed. `None`, written `"off"` and the default, is as many as all
    /// together: behind one address may be a proxy, or an office. nginx has none either
    /// (`limit_conn`).
    #[serde(
        serialize_with = "choices::whole_or_off::serialize",
        deserialize_with = "choices::whole_or_off::deserialize::<_, 1, 10_000_000>"
    )]
    pub connections_per_peer_max: Option<u32>,
    /// Requests that one connection may bring; the last is answered with `connection: close`.
    /// `None`, written `"off"` and the default: no bound, since nothing is kept here that grows
    /// with them. nginx takes 1,000 (`keepalive_requests`) to free what it keeps for each.
    #[serde(
        serialize_with = "choices::whole_or_off::serialize",
        deserialize_with = "choices::whole_or_off::deserialize::<_, 1, 4_294_967_294>"
    )]
    pub requests_per_connection_max: Option<u32>,
    /// Bytes of a request's target; above it the answer is 414. Default
    /// 8 KiB, one of nginx's `large_client_header_buffers`.
    #[serde(
        serialize_with = "values::bytes::serialize",
        deserialize_with = "values::bytes::deserialize::<_, _, 64, 16_777_216>"
    )]
    pub target_bytes_max: u32,
    /// Bytes of a request's head, first line and fields; above it the answer is
    /// 431. Default 16 KiB, as Node.js and HAProxy have it.
    #[serde(
        serialize_with = "values::bytes::serialize",
        deserialize_with = "values::bytes::deserialize::<_, _, 128, 16_777_216>"
    )]
    pub head_bytes_max: u32,
    /// Fields of a request's head; above it the answer is 431. Default 100, as
    /// hyper has it.
    #[serde(deserialize_with = "values::whole::<_, _, 1, 10_000>")]
    pub header_count_max: u16,
    /// Bytes of a request's body; above it the answer is 413. Default 1 MiB,
    /// nginx's `client_max_body_size`.
    #[serde(
        serialize_with = "values::bytes::serialize",
        deserialize_with = "values::bytes::deserialize::<_, _, 0, { i64::MAX as u64 }>"
    )]
    pub body_bytes_max: u64,
    /// Bytes of responses that may wait on one connection for a peer that does
    /// not read; above it the server stops producing until the peer has read.
    /// Default 64 KiB, nginx's `output_buffers` (2 of 32 KiB).
    #[serde(
        serialize_with = "values::bytes::serialize",
        deserialize_with = "values::bytes::deserialize::<_, _, 1_024, 1_073_741_824>"
    )]
    pub response_buffer_bytes_max: u32,
}

/// How long a peer, or a handler, may take. `None`, written `"off"`, waits for
/// ever.
///
/// Zero is refused: it means "never" to some servers and "at once" to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutsConfig {
    /// From a connection's first byte of a request (or from being accepted) to
    /// the end of the head, however it trickles. Default 10 s; actix takes 5,
    /// hyper 30, nginx 60.
    #[serde(with = "values::timeout")]
    pub head: Option<Duration>,
    /// Silence of a connection that was kept open between two requests. Default
    /// 75 s, nginx's `keepalive_timeout`.
    #[serde(with = "values::timeout")]
    pub idle: Option<Duration>,
    /// Silence in the middle of a request's body. Default 20 s; nginx takes 60.
    #[serde(with = "values::timeout")]
    pub body: Option<Duration>,
    /// Bytes that a body has to bring in each second, on average, while it is waited for: it may
    /// take `body` and a second for each so many. Default 240, Kestrel's
    /// `MinRequestBodyDataRate`; Apache's `MinRate` is 500.
    #[serde(
        serialize_with = "choices::whole_or_off::serialize",
        deserialize_with = "choices::whole_or_off::deserialize::<_, 1, 1_000_000_000>"
    )]
    pub body_bytes_per_second_min: Option<u32>,
    /// From the end of a request's head to the head of its response. Default
    /// 30 s: behind most proxies nobody waits longer for the answer.
    #[serde(with = "values::timeout")]
    pub handler: Option<Duration>,
    /// No progress while bytes wait for a peer that does not read. Default
    /// 30 s; nginx's `send_timeout` is 60.
    #[serde(with = "values::timeout")]
    pub write: Option<Duration>,
    /// Bytes that a peer has to take in each second, on average, of what waits for it: it may take
    /// `write` and a second for each so many. Default 240, Kestrel's `MinResponseDataRate`.
    #[serde(
        serialize_with = "choices::whole_or_off::serialize",
        deserialize_with = "choices::whole_or_off::deserialize::<_, 1, 1_000_000_000>"
    )]
    pub write_bytes_per_second_min: Option<u32>,
    /// From a connection's beginning to the end of its TLS handshake; the head's
    /// time begins then. Default 10 s; HAProxy counts it into
    /// `timeout http-request`, nginx takes 60 (`client_header_timeout`).
    #[serde(with = "values::timeout")]
    pub tls_handshake: Option<Duration>,
}

/// How the server ends when it is told to (SIGTERM, SIGINT).
///
/// `delay` and `timeout` follow one another. Together they have to be shorter
/// than what the supervisor grants before it kills: 30 s in Kubernetes, 10 s in
/// Docker, 90 s in systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long the server says that it is not ready, but still accepts, so
    /// that a load balancer can turn away first. Default 0.
    #[serde(with = "values::duration")]
    pub delay: Duration,
    /// From the end of accepting until what still runs is cut off. Default
    /// 25 s: what held the server up is still reported before Kubernetes kills.
    #[serde(with = "values::duration")]
    pub timeout: Duration,
}

/// How one server takes over from another without a connection being refused; see
/// [`operations`](crate::operations).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandoverConfig {
    /// Whether the server serves on the socket that a supervisor has handed over (`LISTEN_FDS`), in
    /// place of `listen`. Default off.
    #[serde(deserialize_with = "values::switch")]
    pub activated: bool,
    /// Whether another process of the same user may listen at the port, too (`SO_REUSEPORT`).
    /// Default off: then a second server is refused, which is mostly a mistake.
    #[serde(deserialize_with = "values::switch")]
    pub reuse_port: bool,
}

/// What is logged, how, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The form of a line. Default [`LogFormat::Auto`].
    #[serde(with = "values::format")]
    pub format: LogFormat,
    /// What is logged: a level, or `target=level` directives parted by commas,
    /// as in `RUST_LOG`. Default `info`.
    #[serde(deserialize_with = "values::filter")]
    pub filter: String,
    /// Whether each request leaves a line, whatever `filter` says. Default off.
    #[serde(deserialize_with = "values::switch")]
    pub access: bool,
    /// Where lines go. Default [`LogOutput::Stderr`].
    #[serde(with = "values::output")]
    pub output: LogOutput,
    /// Lines that may wait for the output; above it lines are lost, and the loss
    /// is counted and reported. Default 16,384: some 4 MB of access lines, a
    /// fraction of a second at the highest rates. (tracing-appender: 128,000.)
    #[serde(deserialize_with = "values::whole::<_, _, 1, 1_048_576>")]
    pub queue_lines_max: u32,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// Text; coloured when the output is a terminal and `NO_COLOR` is not set.
    Auto,
    /// Text, never coloured.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogOutput {
    /// The standard error stream.
    Stderr,
    /// The standard output stream.
    Stdout,
    /// A file, appended to and created when it is not there.
    File(PathBuf),
}

/// The answers for those who ask whether the server is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Whether the server answers the two paths below by itself. Default on.
    #[serde(deserialize_with = "values::switch")]
    pub enabled: bool,
    /// Answers 200 while the loop turns. Default `/healthz`.
    #[serde(deserialize_with = "values::path")]
    pub live_path: String,
    /// Answers 200 while new requests are welcome, 503 while the server drains.
    /// Default `/readyz`.
    #[serde(deserialize_with = "values::path")]
    pub ready_path: String,
}

/// Bounds of the runtime below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Threads of each loop's blocking pool. `None`, written `"auto"` and the
    /// default, is the runtime's own: the number of CPUs and 4, at most 32.
    #[serde(
        serialize_with = "choices::whole_or_auto::serialize",
        deserialize_with = "choices::whole_or_auto::deserialize::<_, 1, 1_024>"
    )]
    pub blocking_threads_max: Option<u32>,
    /// Jobs that may wait for a thread of the blocking pool; above it callers
    /// wait their turn. Default 1,024.
    #[serde(deserialize_with = "values::whole::<_, _, 1, 1_048_576>")]
    pub blocking_queue_max: u32,
    /// How long a step of a loop may take before it is logged, with where it is stuck. `None`,
    /// written `"off"`, is for ever. Default 100 ms.
    #[serde(with = "values::timeout")]
    pub watchdog: Option<Duration>,
}

const KIB: u32 = 1024;

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            threads: 1,
            socket: None,
            tls: TlsSection::default(),
            limits: LimitsConfig::default(),
            timeouts: TimeoutsConfig::default(),
            disconnect: DisconnectConfig::default(),
            overload: OverloadConfig::default(),
            drain: DrainConfig::default(),
            handover: HandoverConfig::default(),
            health: HealthConfig::default(),
            admin: AdminConfig::default(),
            log: LogConfig::default(),
            runtime: RuntimeConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            connections_max: 25_000,
            connections_per_peer_max: None,
            requests_per_connection_max: None,
            target_bytes_max: 8 * KIB,
            head_bytes_max: 16 * KIB,
            header_count_max: 100,
            body_bytes_max: u64::from(1024 * KIB),
            response_buffer_bytes_max: 64 * KIB,
        }
    }
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        TimeoutsConfig {
            head: Some(Duration::from_secs(10)),
            idle: Some(Duration::from_secs(75)),
            body: Some(Duration::from_secs(20)),
            body_bytes_per_second_min: Some(240),
            handler: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(30)),
            write_bytes_per_second_min: Some(240),
            tls_handshake: Some(Duration::from_secs(10)),
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig {
            delay: Duration::ZERO,
            timeout: Duration::from_secs(25),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            format: LogFormat::Auto,
            filter: "info".to_owned(),
            access: false,
            output: LogOutput::Stderr,
            queue_lines_max: 16_384,
        }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        HealthConfig {
            enabled: true,
            live_path: "/healthz".to_owned(),
            ready_path: "/readyz".to_owned(),
        }
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            blocking_threads_max: None,
            blocking_queue_max: 1024,
            watchdog: Some(Duration::from_millis(100)),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Auto => "auto",
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl fmt::Display for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogOutput::Stderr => f.write_str("stderr"),
            LogOutput::Stdout => f.write_str("stdout"),
            LogOutput::File(path) => write!(f, "{}", path.display()),
        }
    }
}
