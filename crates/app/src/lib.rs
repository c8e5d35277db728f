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
//! # Limits
//! Every timeout and every bound has a default: [`Timeouts`], [`Limits`], [`config::Config`].

mod accept;
mod access;
mod body;
mod body_pump;
mod catch_panic;
mod changed;
pub mod cli;
pub mod config;
mod connection;
mod drain;
mod endpoint;
mod error;
mod exchange;
#[cfg(feature = "files")]
mod files;
mod handler;
mod health;
pub mod introspect;
mod loop_state;
pub mod operations;
mod reply;
mod request;
mod request_id;
mod request_pool;
mod response;
mod route_label;
mod router;
mod sending;
mod server;
mod shutdown;
mod standard_fields;
mod successor;
mod supervisor;
mod timeouts;
pub mod trace;

pub use body::{Body, BodyError};
pub use drain::DrainReport;
pub use error::ServerError;
#[cfg(feature = "files")]
pub use files::{Files, Symlinks};
pub use handler::{Handler, Middleware, Next, ToResponse};
pub use request::Request;
pub use request_id::{REQUEST_ID, REQUEST_ID_BYTES_MAX, RequestId};
pub use response::{BoxError, IntoResponse, Json, Response};
pub use router::{RouteError, Router};
pub use server::{Running, Server, Serving, raise_descriptor_limit};
pub use shutdown::Shutdown;
pub use timeouts::Timeouts;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use monoloop_proto::http1::Limits;
pub use monoloop_proto::lines;
pub use monoloop_runtime::*;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
