//! Every example, started as a newcomer starts it, used from outside, and ended.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod callbacks;
mod client;
mod command_line;
mod dashboard;
mod echo_server;
mod events;
mod example;
mod files;
mod handover;
mod http_server;
mod request_id;
mod tls;
mod web;

use std::time::Duration;

/// How long a test waits for anything; only one that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
