//! The three ways in which a server runs: until a signal, beside its program, on a loop that is there.

use super::threads::join;
use super::{Running, Server, Serving};
use crate::drain::DrainReport;
use crate::error::ServerError;
use crate::hangup::{self, Reloaded};
use crate::router::Router;
use crate::shutdown::Shutdown;
use crate::supervisor;
use monoloop_runtime::{signal, spawn_named};
use std::net::SocketAddr;
use std::sync::Arc;

impl Server {
    /// Serves until SIGTERM or SIGINT, drains and returns. A second signal ends it at once. SIGHUP
    /// has certificates reloaded where there are any, and ends nothing.
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
        let (signals, hangups) = (signal::shutdown(), signal::hangup());
        let reloaded = Reloaded {
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        };
        announce(&self, first.local_addr());
        supervisor::tell_ready();

        runtime.block_on(async {
            let signals = spawn_named("signals", drain_at_signal(signals, shutdown));
            let hangups = spawn_named("hangups", hangup::heed(hangups, reloaded));
            let alive = spawn_named("supervisor", supervisor::tell_that_it_lives());
            report(&first.wait().await);
            // Nothing is left that they could end.
            signals.cancel();
            alive.cancel();
            hangups.cancel();
            let _cancelled = (signals.await, alive.await, hangups.await);
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
