//! Waiting for a handler.

use crate::body_pump::BodyPump;
use crate::bounds::OnDisconnect;
use crate::catch_panic::CatchPanic;
use crate::connection::{Connection, deadline_in};
use crate::peer_deadline::{Passed, PeerDeadline};
use crate::route_options::RouteOptions;
use crate::running::{Entry, RequestPhase};
use crate::{IntoResponse, Reason, RequestId, Response};
use http::StatusCode;
use monoloop_runtime::{InContext, time};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Waits for a handler, and has its body received meanwhile when it asks for it.
pub(super) struct WaitingForHandler<'a> {
    handler: InContext<CatchPanic>,
    is_watched: bool,
    entry: &'a Entry,
    pump: BodyPump<'a>,
    deadline: PeerDeadline,
    on_disconnect: OnDisconnect,
}

/// Why a handler is dropped before it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    TimedOut,
    ClientClosed,
}

impl<'a> WaitingForHandler<'a> {
    pub(super) fn new(
        handler: InContext<CatchPanic>,
        entry: &'a Entry,
        pump: BodyPump<'a>,
        options: Option<&RouteOptions>,
        is_watched: bool,
        connection: &Connection,
    ) -> Self {
        let shared = connection.shared();
        let own = options.and_then(|options| options.handler_timeout);
        let timeout = own.unwrap_or(shared.timeouts.handler);
        let own = options.and_then(|options| options.on_disconnect);
        WaitingForHandler {
            handler,
            is_watched,
            entry,
            pump,
            deadline: PeerDeadline::at(deadline_in(timeout), &connection.deadline),
            on_disconnect: own.unwrap_or(shared.bounds.on_disconnect),
        }
    }

    pub(super) fn poll(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, GivenUp>> {
        loop {
            if let Poll::Ready(response) = self.step(connection, cx) {
                return Poll::Ready(Ok(response));
            }
            if self.pump.poll(connection, cx).is_ready() {
                continue;
            }
            self.entry.set_phase(match self.pump.deadline() {
                Some(_) => RequestPhase::ReceivingBody,
                None => RequestPhase::Handler,
            });
            // While the body is wanted the pump looks at the socket.
            let watches = self.on_disconnect == OnDisconnect::Cancel;
            if watches && connection.poll_peer(cx).is_ready() {
                return Poll::Ready(Err(GivenUp::ClientClosed));
            }
            let handler_by = self.deadline.instant();
            let body_first = self.pump.deadline();
            let body_first = body_first.filter(|body| body.instant() < handler_by);
            let is_bodys = body_first.is_some();
            let first = body_first.unwrap_or(&mut self.deadline);
            match ready!(first.poll_passed(&mut connection.deadline, cx)) {
                Passed::Later => {}
                Passed::Over if is_bodys => self.pump.time_out(),
                Passed::Over => return Poll::Ready(Err(GivenUp::TimedOut)),
            }
        }
    }

    fn step(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<Response> {
        let began_at = self.is_watched.then(time::now_precise);
        let polled = Pin::new(&mut self.handler).poll(cx);
        if let Some(began_at) = began_at {
            connection
                .account
                .record(|record| record.end_step(began_at));
        }
        polled
    }
}

impl GivenUp {
    /// What the tasks are told that end with the handler.
    pub(super) fn reason(self) -> &'static str {
        match self {
            GivenUp::TimedOut => "handler_timeout",
            GivenUp::ClientClosed => "client_closed",
        }
    }
}

pub(super) fn handler_timed_out(connection: &mut Connection, id: &RequestId) -> Response {
    tracing::warn!(request_id = %id, "a handler was stopped at its timeout");
    connection.protocol.close_after_response();
    let told = "the handler took too long\n";
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, told).into_response();
    response.reason = Reason::HandlerTimeout;
    response
}

/// For the log: there is nobody to be answered. Precedent: nginx, 499.
pub(super) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("a status has three digits")
}
