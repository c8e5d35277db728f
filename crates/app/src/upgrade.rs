//! Connections that go on in another protocol (RFC 9110 §7.8).
//!
//! The connection's task owns the socket to the end: what speaks the other protocol is polled by
//! it and gets the connection lent for each step. So it has the task, the context and the id of the
//! request that it began with, is woken when the server drains, and is cut off with the others.

use crate::catch_panic::{drop_caught, report_panic};
use crate::connection::{Connection, End};
use crate::handler::BoxFuture;
use crate::reply::push_upgrade_head;
use crate::response::ResponseBody;
use crate::{RequestId, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use monoloop_proto::http1::SendError;
use monoloop_runtime::introspect::note_context;
use monoloop_runtime::{Context as VarContext, time};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Speaks the other protocol.
pub(crate) trait Session {
    /// Takes what was received behind the request.
    fn begin(&mut self, received: &[u8], connection: &mut Connection);

    /// Goes on, until it is over. What is in the connection's output when it begins is to be
    /// written before anything else.
    fn poll(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<End>;

    /// Bytes that were written of the other protocol.
    fn bytes(&self) -> u64;
}

/// What a peer did wrong in the other protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "websocket"),
    allow(dead_code, reason = "only WebSocket judges")
)]
pub(crate) enum UpgradeFault {
    Protocol,
    Limit,
    /// A message did not come at the least rate.
    TooSlow,
}

/// What a response brings along that is the last one of its connection.
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    session: Box<dyn Session>,
}

impl Upgrade {
    /// Answers 101, and has `session` go on.
    pub(crate) fn response(protocol: HeaderValue, session: impl Session + 'static) -> Response {
        let upgrade = Upgrade {
            protocol,
            session: Box::new(session),
        };
        Response {
            body: ResponseBody::Upgrade(Box::new(upgrade)),
            ..Response::new(StatusCode::SWITCHING_PROTOCOLS)
        }
    }

    /// Encodes the head that accepts.
    pub(crate) fn push_head(
        &self,
        connection: &mut Connection,
        response: &Response,
        id: &RequestId,
    ) -> Result<(), SendError> {
        push_upgrade_head(connection, &self.protocol, response, id, time::now())
    }

    /// Speaks the other protocol until it is over. Returns how many bytes of it were written, too.
    pub(crate) async fn serve(mut self: Box<Self>, connection: &mut Connection) -> (End, u64) {
        let received: Bytes = connection.protocol.take_buffered();
        self.session.begin(&received, connection);
        drop(received);
        let end = poll_fn(|cx| self.session.poll(connection, cx)).await;
        (end, self.session.bytes())
    }
}

/// A handler's future that goes on behind its response, in the context of its request.
pub(crate) struct Follower {
    future: Option<BoxFuture<()>>,
    context: VarContext,
}

/// How far a [`Follower`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    Waiting,
    Done,
    Panicked,
}

impl Follower {
    /// In the context that is current here.
    pub(crate) fn new(future: impl Future<Output = ()> + 'static) -> Self {
        Follower {
            future: Some(Box::pin(future)),
            context: VarContext::current(),
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.future.is_some()
    }

    /// Takes a step. Runs user code, whose panics end here.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>) -> Followed {
        let Some(future) = &mut self.future else {
            return Followed::Done;
        };
        let step = || {
            note_context();
            catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx)))
        };
        match self.context.run(step) {
            Ok(Poll::Pending) => return Followed::Waiting,
            Ok(Poll::Ready(())) => self.stop(),
            Err(payload) => {
                self.stop();
                self.context.run(|| {
                    report_panic(payload, "a handler panicked; its connection closes");
                });
                return Followed::Panicked;
            }
        }
        Followed::Done
    }

    /// Runs `f` where what is logged has the id of the request.
    #[cfg(feature = "websocket")]
    pub(crate) fn in_context<R>(&self, f: impl FnOnce() -> R) -> R {
        self.context.run(f)
    }

    /// Drops the future, whose destructors are as much the handler's own as the rest.
    pub(crate) fn stop(&mut self) {
        if let Some(future) = self.future.take() {
            self.context.run(|| drop_caught(future));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}
