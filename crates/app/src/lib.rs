//! Network servers that hold thousands of clients on one thread.
//!
//! This is the crate to depend on. It has the HTTP server and brings the runtime along:
//! [`spawn`], [`time`], [`net`], [`fs`], [`io`], `process`, [`context_var!`], [`spawn_blocking`].
//!
//! ```no_run
//! use monoloop::time::{sleep, timeout};
//! use monoloop::{IntoResponse, REQUEST_ID, Request, Response, Router, Server, StatusCode};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), monoloop::ServerError> {
//!     let _log = monoloop::trace::init_default();
//!     Server::bind("127.0.0.1:8080")?
//!         .run(|| Router::new().get("/", |_| async { "hello\n" }).get("/slow", slow))
//! }
//!
//! async fn slow(_: Request) -> Response {
//!     match timeout(Duration::from_millis(50), sleep(Duration::from_secs(1))).await {
//!         Ok(()) => "woke up\n".into_response(),
//!         Err(late) => {
//!             let id = REQUEST_ID.get().expect("set for every handler");
//!             (StatusCode::GATEWAY_TIMEOUT, format!("{id} gave up: {late}\n")).into_response()
//!         }
//!     }
//! }
//! ```
//!
//! # Handlers
//! Plain async functions that need not be `Send`; shared state is an `Rc`, made once on each
//! loop by the closure given to [`Server::run`].
//!
//! # Web applications
//! JSON, forms, files, cookies; compression, CORS, security headers, rate limits: [`guide::web`]
//! shows each in a few lines.
//!
//! # Accounts
//! Every connection and every request ends in exactly one [`Reason`]: see [`ledger`], and
//! [`Server::admin`] for metrics.
//!
//! # Limits
//! Every timeout and every bound has a default: [`Timeouts`], [`Limits`], [`config::Config`]; a route
//! may have its own ([`RouteOptions`]).
//!
//! Pipelined requests are answered one at a time. What is sent ahead waits in the kernel, but for
//! one piece that the loop has taken (`receive_buffer_bytes`), and no further request is begun while
//! `response_buffer_bytes_max` of answers wait for the peer. A peer that does not read so holds two
//! buffers of ours, however much it asks for.
//!
//! Time in which the loop itself was stuck is not charged to peers ([`time::stuck`]).
//!
//! # Features
//! None is on by default; `full` is all of them. What is not listed here is always there: routes,
//! JSON, server-sent events, upgrades, CORS, security headers, metrics, the ledger, the handover.
//!
//! | feature | brings | by |
//! |---|---|---|
//! | `compression` | `Compression`: responses in zstd, br or gzip | `zstd`, `brotli`, `flate2` |
//! | `cookies` | `Request::cookie`, `Request::cookies`, `Response::with_cookie`, `cookie` | `cookie` |
//! | `files` | `Files`, `Router::files`: static files with ranges and validators | `mime_guess` |
//! | `forms` | `Request::form`, `Request::query_as`, `Request::path_as` | `serde_html_form` |
//! | `multipart` | `Request::multipart`: forms with files, piece by piece | `multer` |
//! | `rate-limit` | `RateLimit`: 429 for who asks too often | `governor` |
//! | `tls` | `tls`, `Server::tls`, the keys of `[tls]`: certificates, reload, client certificates | `rustls` with `ring` |
//! | `websocket` | `websocket`: RFC 6455 | `tungstenite` (its protocol side) |
//!
//! # Guides
//! What of HTTP is spoken and what is refused: [`guide::http`]. What to look at when something is
//! wrong: [`guide::incidents`]. How a new version takes over: [`operations`]. All: [`guide`].

mod accept;
#[cfg(any(feature = "compression", feature = "files"))]
mod accept_encoding;
mod admin;
mod body;
mod body_pump;
mod bounds;
mod catch_panic;
mod changed;
pub mod cli;
#[cfg(feature = "compression")]
mod compression;
pub mod config;
mod connection;
#[cfg(feature = "cookies")]
mod cookies;
mod cors;
mod drain;
mod drain_forced;
mod endpoint;
mod error;
pub mod events;
mod exchange;
mod extract;
#[cfg(feature = "files")]
mod files;
pub mod guide;
mod handler;
mod hangup;
mod health;
pub mod introspect;
pub mod ledger;
mod loop_state;
#[cfg(feature = "multipart")]
mod multipart;
pub mod operations;
mod overload;
mod peer_deadline;
mod peers;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod reply;
mod request;
mod request_id;
mod request_log;
mod request_pool;
mod response;
mod response_fields;
mod route_label;
mod route_options;
mod router;
mod running;
mod security_headers;
mod sending;
mod server;
mod shutdown;
mod standard_fields;
mod successor;
mod supervisor;
mod timeouts;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;
mod transport;
mod trusted_proxies;
mod turn_away;
mod upgrade;
mod upgrade_output;
mod upgraded;
#[cfg(feature = "websocket")]
pub mod websocket;
mod with_middleware;

pub use body::{Body, BodyError};
pub use bounds::{HalfClose, OnDisconnect};
#[cfg(feature = "compression")]
pub use compression::{Coding, Compression};
pub use cors::Cors;
pub use drain::DrainReport;
pub use drain_forced::ForcedConnections;
pub use error::ServerError;
pub use extract::{RequestError, RequestPart};
#[cfg(feature = "files")]
pub use files::{Files, Symlinks};
pub use handler::{Handler, Middleware, Next, ToResponse};
pub use ledger::{Ledger, Reason};
#[cfg(feature = "multipart")]
pub use multipart::{Multipart, MultipartError, MultipartField, MultipartLimits};
pub use overload::Shedding;
#[cfg(feature = "rate-limit")]
pub use rate_limit::RateLimit;
pub use request::Request;
pub use request_id::{REQUEST_ID, REQUEST_ID_BYTES_MAX, RequestId};
pub use response::{BoxError, IntoResponse, Json, Response};
pub use route_options::RouteOptions;
pub use router::{RouteError, Router};
pub use running::{HeldRequest, RequestPhase};
pub use security_headers::SecurityHeaders;
pub use server::{Running, Server, Serving, raise_descriptor_limit};
pub use shutdown::Shutdown;
pub use timeouts::Timeouts;
pub use trusted_proxies::{NetworkError, TrustedProxies};
pub use upgraded::Upgraded;
pub use with_middleware::{WithMiddleware, with_middleware};

pub use bytes::Bytes;
/// Cookies: what [`Request::cookies`] and [`Response::with_cookie`] are about.
#[cfg(feature = "cookies")]
pub use cookie;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use monoloop_proto::http1::Limits;
pub use monoloop_proto::lines;
pub use monoloop_runtime::*;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
