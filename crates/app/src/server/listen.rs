//! A server on one loop: its listener, its state, and the tasks around them.

use super::{Server, Serving};
use crate::accept::accept_until_draining;
use crate::admin::Admin;
use crate::drain::drain_when_asked;
use crate::error::ServerError;
use crate::introspect::Socket;
use crate::ledger::RouteBook;
use crate::loop_state::LoopState;
use crate::router::{App, Router};
use crate::shutdown::Shutdown;
use crate::successor::Successor;
use crate::transport::Transports;
use monoloop_runtime::net::{ListenOptions, TcpListener};
use monoloop_runtime::spawn_named;
use std::net::SocketAddr;
use std::rc::Rc;

impl Server {
    pub(super) fn listen(
        &self,
        app: &dyn Fn() -> Router,
        shutdown: &Shutdown,
        socket: Option<&Socket>,
    ) -> Result<Serving, ServerError> {
        self.listen_at(self.address, self.shares_port(), app, shutdown, socket)
    }

    pub(super) fn listen_at(
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

    pub(super) fn shares_port(&self) -> bool {
        self.threads > 1 || self.reuse_port
    }

    fn successor(&self) -> Successor {
        match (&self.listener, self.reuse_port) {
            (Some(_), _) => Successor::AtSocket,
            (None, true) => Successor::AtPort,
            (None, false) => Successor::None,
        }
    }

    pub(super) fn open_socket(&self) -> Result<Option<Socket>, ServerError> {
        let opened = self.socket.as_ref().map(Socket::open).transpose();
        opened.map_err(ServerError::Socket)
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
}
