//! A small server of its own beside the server: what its operator, or what watches it for them,
//! asks it.
//!
//! It has limits of its own and is not in the ledger, so that it answers when the server is full,
//! and while it drains.

mod exposition;
mod metrics;
mod process;
mod routes;
mod vitals;

pub(crate) use vitals::Loops;

use crate::accept::accept_until_draining;
use crate::bounds::{Bounds, HalfClose, OnDisconnect};
use crate::config::HealthConfig;
use crate::ledger::Ledger;
use crate::loop_state::LoopState;
use crate::router::App;
use crate::timeouts::Timeouts;
use crate::transport::Transports;
use monoloop_proto::http1::Limits;
use monoloop_runtime::net::{ListenOptions, TcpListener};
use monoloop_runtime::{TaskHandle, spawn_named, time};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Connections at a time. A Prometheus server has one, and there may be a few of them; nobody
/// else is to be here.
const CONNECTIONS_MAX: usize = 32;

/// Bytes of an answer that wait for its reader: more than the metrics of a hundred routes.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// How often is looked whether the other loops have ended, for whose drain this listens on.
const LAST_LOOKS: Duration = Duration::from_millis(20);

/// How long an answer may take after all that it is about has ended.
const CLOSING_MAX: Duration = Duration::from_secs(1);

const TIMEOUTS: Timeouts = Timeouts {
    head: Some(Duration::from_secs(5)),
    // Prometheus asks every minute by default, and keeps its connection.
    idle: Some(Duration::from_secs(75)),
    body: Some(Duration::from_secs(5)),
    body_bytes_per_second_min: None,
    handler: Some(Duration::from_secs(5)),
    write: Some(Duration::from_secs(5)),
    write_bytes_per_second_min: None,
    tls_handshake: None,
};

const BOUNDS: Bounds = Bounds {
    connections_max: CONNECTIONS_MAX,
    connections_per_peer_max: None,
    requests_per_connection_max: u32::MAX,
    response_buffer_bytes_max: BUFFER_BYTES_MAX,
    on_disconnect: OnDisconnect::Cancel,
    half_close: HalfClose::StillReads,
    shedding: None,
};

/// The admin listener of a server, on the first of its loops.
pub(crate) struct Admin {
    shared: Rc<LoopState>,
    accepting: TaskHandle,
    ledger: Ledger,
}

impl Admin {
    /// Listens at `address`, and answers for the server that `main` is a loop of. Returns the
    /// address with its port, too.
    pub(crate) fn open(
        address: SocketAddr,
        main: &Rc<LoopState>,
        ledger: &Ledger,
        loops: &Loops,
    ) -> io::Result<(Admin, SocketAddr)> {
        let listener = TcpListener::bind_with(address, &ListenOptions::default())?;
        let local_addr = listener.local_addr()?;
        let no_probes = HealthConfig {
            enabled: false,
            ..HealthConfig::default()
        };
        let limits = Limits {
            body_bytes_max: 0,
            ..Limits::default()
        };
        let router = routes::routes(main.clone(), ledger.clone(), loops.clone());
        let shared = LoopState::new(
            App::new(router, &no_probes, limits.body_bytes_max),
            TIMEOUTS,
            limits,
            BOUNDS,
            Arc::default(),
            Transports::default(),
        );
        shared.is_watched.set(false);
        let accepting = accept_until_draining(listener, shared.clone());
        let accepting = spawn_named("admin", accepting).task();
        let ledger = ledger.clone();
        let admin = Admin {
            shared,
            accepting,
            ledger,
        };
        Ok((admin, local_addr))
    }

    /// Answers until the last loop of the server has ended, and then no more.
    pub(crate) async fn close(self) {
        while self.ledger.is_serving() {
            time::sleep(LAST_LOOKS).await;
        }
        let Admin {
            shared, accepting, ..
        } = self;
        shared.begin_draining();
        let closed = || shared.open_connections() == 0 && accepting.is_finished();
        let all_closed = async {
            while !closed() {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        if time::timeout(CLOSING_MAX, all_closed).await.is_err() {
            accepting.cancel();
            shared.cancel_connections("the admin listener ends");
            let all_gone = || shared.open_connections() == 0;
            shared.connections_changed.wait_until(all_gone).await;
        }
    }
}
