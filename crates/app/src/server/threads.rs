//! The loops of a server, each on a thread of its own.

use super::Server;
use crate::drain::DrainReport;
use crate::error::ServerError;
use crate::introspect::Socket;
use crate::router::Router;
use crate::shutdown::Shutdown;
use monoloop_runtime::Runtime;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

impl Server {
    pub(super) fn start_loops<F>(
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
    pub(super) fn start_loop<F>(
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

    pub(super) fn make_runtime(&self) -> Result<Runtime, ServerError> {
        raise_descriptor_limit();
        let builder = Runtime::builder().config(self.runtime.clone());
        builder.build().map_err(ServerError::Loop)
    }
}

/// A loop whose thread panicked has reported that already.
pub(super) fn join(thread: thread::JoinHandle<DrainReport>) -> DrainReport {
    thread.join().unwrap_or_default()
}

/// Raises the limit of open files as far as the system lets this process: a connection is a
/// descriptor, and the soft limit is a default for programs that use `select`. Servers do it
/// by themselves when they start; other programs that hold many sockets call it.
pub fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
