//! A connection that goes on as a plain stream of bytes, in a protocol of the program's own.

use crate::changed::Changed;
use crate::connection::{Connection, End, deadline_in};
use crate::ledger::Reason;
use crate::loop_state::LoopState;
use crate::upgrade::{Followed, Follower, Session, Upgrade};
use crate::upgrade_output::UpgradeOutput;
use crate::{IntoResponse, Request, Response};
use bytes::Bytes;
use http::header::UPGRADE;
use http::{HeaderValue, StatusCode};
use monoloop_runtime::{poll_consume_budget, time};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Bytes that wait to be written, beyond which writing waits. As much as the server holds of responses
/// by default.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A connection that left HTTP behind: bytes both ways.
///
/// The connection's own task moves them, one piece ahead in either direction. It is closed when the
/// handler's future is over, behind what was written. The server's write timeout holds; how long
/// to wait for what the peer sends is for the handler to say.
///
/// ```
/// use monoloop::{Request, Response, Router, Upgraded};
///
/// /// Sends back whatever comes.
/// async fn echo(request: Request) -> Response {
///     Response::upgrade(&request, "echo", async |mut peer: Upgraded| {
///         while let Ok(bytes) = peer.receive().await {
///             if bytes.is_empty() || peer.write_all(&bytes).await.is_err() {
///                 break;
///             }
///         }
///     })
/// }
///
/// let app = Router::new().get("/echo", echo);
/// assert!(app.check().is_ok());
/// ```
pub struct Upgraded {
    pipe: Rc<Pipe>,
}

/// What the handler's end and the connection's end share.
#[derive(Default)]
struct Pipe {
    received: RefCell<Bytes>,
    has_finished: Cell<bool>,
    to_write: RefCell<Vec<u8>>,
    is_written: Cell<bool>,
    ends: Cell<bool>,
    broken: Cell<Option<ErrorKind>>,
    reader: RefCell<Option<Waker>>,
    writers: Changed,
    connection: RefCell<Option<Waker>>,
    was_touched: Cell<bool>,
    shared: RefCell<Option<Rc<LoopState>>>,
}

impl Upgraded {
    /// Receives what has come; empty when the peer has finished.
    ///
    /// # Errors
    /// What the operating system says, for example `ConnectionReset`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive(&mut self) -> io::Result<Bytes> {
        poll_fn(|cx| self.pipe.poll_receive(cx)).await
    }

    /// Hands over bytes to be written; waits while 64 KiB wait for the peer.
    ///
    /// # Errors
    /// What the operating system said, `TimedOut` after the write timeout, `BrokenPipe` after
    /// [`finish`](Upgraded::finish).
    ///
    /// # Cancel safety
    /// Some of the bytes may have been handed over: end it.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pipe = &*self.pipe;
        let mut left = bytes;
        while !left.is_empty() {
            let has_room = || pipe.to_write.borrow().len() < WRITE_BYTES_MAX;
            let is_over = || pipe.broken.get().is_some() || pipe.ends.get();
            pipe.writers.wait_until(|| is_over() || has_room()).await;
            pipe.check()?;
            if pipe.ends.get() {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let mut to_write = pipe.to_write.borrow_mut();
            let (now, rest) = left.split_at(left.len().min(WRITE_BYTES_MAX - to_write.len()));
            to_write.extend_from_slice(now);
            drop(to_write);
            left = rest;
            pipe.is_written.set(false);
            pipe.touch();
        }
        Ok(())
    }

    /// Waits until all that was handed over has been given to the operating system.
    ///
    /// # Errors
    /// As for [`write_all`](Upgraded::write_all).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&mut self) -> io::Result<()> {
        let pipe = &*self.pipe;
        let is_written = || pipe.is_written.get() && pipe.to_write.borrow().is_empty();
        let is_over = || pipe.broken.get().is_some();
        pipe.writers.wait_until(|| is_over() || is_written()).await;
        pipe.check()
    }

    /// Tells the peer, behind what was written, that nothing more will be sent.
    pub fn finish(&mut self) {
        self.pipe.ends.set(true);
        self.pipe.touch();
    }

    /// Waits until the server drains: what goes on without end has to end now, before the drain's
    /// deadline cuts it off.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_for_drain(&self) {
        // It is there from the handler's first step on.
        let shared = self.pipe.shared.borrow().clone();
        if let Some(shared) = shared {
            let is_draining = || shared.draining.get();
            shared.draining_began.wait_until(is_draining).await;
        }
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("broken", &self.pipe.broken)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Goes on in a protocol of the program's own (RFC 9110 §7.8): 101, behind which `handler` goes on,
    /// in the task and the context of the request. A request that does not ask for `protocol` is
    /// answered with 426, which names it.
    ///
    /// For WebSocket there is `websocket`.
    ///
    /// # Panics
    /// When `protocol` is no name that a protocol can have: a mistake in the program.
    #[must_use]
    pub fn upgrade(
        request: &Request,
        protocol: &'static str,
        handler: impl AsyncFnOnce(Upgraded) + 'static,
    ) -> Response {
        let name = HeaderValue::from_static(protocol);
        let mut asked = request.head().upgrades();
        if !asked.any(|asked| asked.eq_ignore_ascii_case(protocol.as_bytes())) {
            let text = format!("this address speaks {protocol}: ask for it with \"Upgrade\"\n");
            let refused = (StatusCode::UPGRADE_REQUIRED, text).into_response();
            return refused.with_header(UPGRADE, name);
        }
        let pipe = Rc::new(Pipe::default());
        let upgraded = Upgraded { pipe: pipe.clone() };
        let session = Bytestream {
            pipe,
            handler: Follower::new(async move { handler(upgraded).await }),
            output: UpgradeOutput::default(),
            has_shut_down: false,
        };
        Upgrade::response(name, session)
    }
}

impl Pipe {
    fn poll_receive(&self, cx: &Context<'_>) -> Poll<io::Result<Bytes>> {
        let received = self.received.take();
        if !received.is_empty() {
            self.touch();
            return Poll::Ready(Ok(received));
        }
        self.check()?;
        if self.has_finished.get() {
            return Poll::Ready(Ok(Bytes::new()));
        }
        self.reader.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn check(&self) -> io::Result<()> {
        self.broken.get().map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn touch(&self) {
        self.was_touched.set(true);
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }

    /// Has the handler look, unless that is the task that is here.
    fn wake_reader(&self, here: &Context<'_>) {
        if let Some(reader) = self.reader.take()
            && !reader.will_wake(here.waker())
        {
            reader.wake();
        }
    }

    fn fail(&self, kind: ErrorKind, here: &Context<'_>) {
        self.broken.set(Some(kind));
        self.writers.notify();
        self.wake_reader(here);
    }
}

/// The connection's end.
struct Bytestream {
    pipe: Rc<Pipe>,
    handler: Follower,
    output: UpgradeOutput,
    has_shut_down: bool,
}

impl Session for Bytestream {
    fn begin(&mut self, received: &[u8], connection: &mut Connection) {
        self.output.begin(connection);
        self.pipe.received.replace(Bytes::copy_from_slice(received));
        let shared = connection.place.shared.clone();
        self.pipe.shared.replace(Some(shared));
    }

    fn poll(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<End> {
        self.pipe.connection.take();
        loop {
            self.pipe.was_touched.set(false);
            match self.handler.step(cx) {
                Followed::Waiting => {}
                Followed::Done => self.pipe.ends.set(true),
                Followed::Panicked => {
                    connection.account.judge(Reason::Panic);
                    // What was written may be a part of something, and an orderly close says that
                    // it is all.
                    connection.set_close_breaks(true);
                    return Poll::Ready(End::BodyFailed);
                }
            }
            match self.write(connection, cx) {
                Poll::Ready(Ok(())) if !self.handler.is_waiting() => {
                    return Poll::Ready(End::Closed);
                }
                Poll::Ready(Err(end)) => return Poll::Ready(self.lose(end, cx)),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            if let Poll::Ready(end) = self.receive(connection, cx) {
                return Poll::Ready(self.lose(end, cx));
            }
            if self.pipe.was_touched.replace(false) {
                if poll_consume_budget(cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            self.pipe.connection.replace(Some(cx.waker().clone()));
            let due = self.output.due(connection);
            let deadline = due.map_or_else(|| deadline_in(None), |(due, _)| due);
            connection.deadline.reset(deadline);
            ready!(connection.deadline.poll_elapsed(cx));
            // The loop may have been stuck since, which is not the peer's time.
            if let Some((due, end)) = self.output.due(connection)
                && due <= time::now()
            {
                return Poll::Ready(self.lose(end, cx));
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.output.bytes()
    }
}

impl Bytestream {
    /// Writes what there is, and behind it the end when there is one.
    fn write(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Poll<Result<(), End>> {
        loop {
            ready!(self.output.poll_write(connection, cx))?;
            let mut to_write = self.pipe.to_write.borrow_mut();
            if to_write.is_empty() {
                break;
            }
            mem::swap(&mut *to_write, &mut connection.output);
            drop(to_write);
            self.pipe.writers.notify();
        }
        if !self.pipe.is_written.replace(true) {
            self.pipe.writers.notify();
        }
        if self.pipe.ends.get() && !self.has_shut_down {
            ready!(self.output.poll_close(connection, cx));
            self.has_shut_down = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Receives a piece when there is a place for it. Ready when the connection is broken.
    fn receive(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Poll<End> {
        if self.pipe.has_finished.get() || !self.pipe.received.borrow().is_empty() {
            return Poll::Pending;
        }
        match connection.stream.poll_receive(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Ready(Ok(chunk)) if chunk.is_empty() => self.pipe.has_finished.set(true),
            Poll::Ready(Ok(chunk)) => {
                self.pipe.received.replace(Bytes::copy_from_slice(&chunk));
            }
        }
        self.pipe.wake_reader(cx);
        // The handler is to look.
        self.pipe.was_touched.set(true);
        Poll::Pending
    }

    /// The handler, where it is in this task, has one more step to find out; others are woken.
    fn lose(&mut self, end: End, cx: &mut Context<'_>) -> End {
        let kind = match end {
            End::Broken(kind) => kind,
            _ => ErrorKind::TimedOut,
        };
        self.pipe.fail(kind, cx);
        let _ = self.handler.step(cx);
        end
    }
}
