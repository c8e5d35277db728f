//! TLS: certificates, what is asked of clients, and a new certificate without an old connection
//! lost. Needs the feature `tls`.
//!
//! ```no_run
//! use monoloop::tls::TlsConfig;
//! use monoloop::{Router, Server};
//!
//! Server::bind("0.0.0.0:8443")?
//!     .tls(TlsConfig::new("cert.pem", "key.pem"))
//!     .run(|| Router::new().get("/", |_| async { "hello\n" }))?;
//! # Ok::<(), monoloop::ServerError>(())
//! ```
//!
//! TLS 1.2 and 1.3 by rustls. Only HTTP/1.1 is offered in ALPN: a client that offers others alone
//! is told so (`no_application_protocol`, RFC 7301 §3.2), one that offers nothing is served.
//! Sessions are resumed by tickets, whose keys change every six hours and at each reload. Early
//! data is not taken, because it may be a replay.
//!
//! # A certificate for development
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!     -keyout key.pem -out cert.pem -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost,IP:127.0.0.1
//! http_server --tls-cert cert.pem --tls-key key.pem
//! curl --cacert cert.pem https://localhost:8080/plaintext
//! ```
//!
//! # A new certificate
//!
//! Replace the files and send SIGHUP (`kill -HUP`), or call [`TlsReloader::reload`]. Handshakes
//! from then on, on all loops, get the new one. When something is wrong with the files, the old one
//! stays and the log has an error.

mod certificates;
mod config;
mod error;
mod info;
mod load;
mod pem;
mod reload;
mod session;
mod stream;

pub use config::TlsConfig;
pub use error::TlsError;
pub use info::TlsSession;
pub use pem::Pem;
pub use reload::TlsReloader;

pub use crate::config::{ClientAuth, TlsVersion};
/// The library below, whose configuration [`TlsConfig::from_rustls`] takes.
pub use rustls;

pub(crate) use load::check;
pub(crate) use stream::TlsStream;
