//! Accepting connections: one task a loop.

use crate::connection::Connection;
use crate::loop_state::LoopState;
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::{spawn, time, yield_now};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// How long accepting rests when the process or the system is out of something, unless one of
/// our connections closes before. Precedent: nginx, `accept_mutex_delay` 500 ms; a fifth of it
/// serves sooner and costs ten system calls a second.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long the drain waits before it looks at the backlog for the last time. A tick: timers are
/// judged after the operating system was asked, so by then it has told who was waiting.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// Connections that are accepted once the loop drains: as many as the backlog holds, so that a
/// flood of new ones does not put off the end.
const LAST_ACCEPTS_MAX: usize = 4096;

/// Accepts that a fresh step can do for certain (`ops_per_step_max` is 128): within it, "nobody
/// waits" is never the step's own exhaustion.
const ACCEPTS_PER_STEP: usize = 32;

/// Accepts until the loop drains. What was in the backlog by then is accepted, too; returns how
/// many those were.
pub(crate) async fn accept_until_draining(
    mut listener: TcpListener,
    shared: Rc<LoopState>,
    connections_max: usize,
) -> usize {
    let mut at_limit = false;
    while !shared.draining.get() {
        if shared.open_connections() >= connections_max {
            if !std::mem::replace(&mut at_limit, true) {
                tracing::warn!(
                    connections = connections_max,
                    "at the limit of connections; new ones wait in the backlog"
                );
            }
            let room = || shared.open_connections() < connections_max || shared.draining.get();
            shared.connections_changed.wait_until(room).await;
            continue;
        }
        match accept_or_drain(&mut listener, &shared).await {
            None => break,
            Some(Ok((stream, peer))) => {
                at_limit = false;
                serve(stream, peer, &shared);
            }
            Some(Err(error)) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Some(Err(error)) => {
                tracing::warn!(%error, connections = shared.open_connections(), "cannot accept; trying again");
                rest(&shared).await;
            }
        }
    }
    let late = accept_handshakes(&mut listener, &shared).await;
    late + accept_backlog(&mut listener, &shared).await
}

/// Accepts those who are half in, and lets nobody else begin: who comes now comes again in a second,
/// and gets to the one who takes over. Without that, closing the listener would reset those whom the
/// kernel gives it between the last look at the backlog and the end.
async fn accept_handshakes(listener: &mut TcpListener, shared: &Rc<LoopState>) -> usize {
    let Some(grace) = shared.successor.get().handshake_grace() else {
        return 0;
    };
    if let Err(error) = listener.ignore_new_connections() {
        tracing::debug!(%error, "new connections cannot be left to the successor");
        return 0;
    }
    let mut accepted = 0;
    let mut over = pin!(time::sleep(grace));
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(Some(accepted));
            }
            over.as_mut().poll(cx).map(|()| None)
        });
        match next.await {
            None => return accepted,
            Some(Ok((stream, peer))) => {
                accepted += 1;
                serve(stream, peer, shared);
            }
            Some(Err(error)) if concerns_one_connection(&error) => {}
            Some(Err(_)) => rest(shared).await,
        }
    }
}

/// Accepts those who connected before the loop began to drain: closing the listener would reset
/// them, with their requests sent.
async fn accept_backlog(listener: &mut TcpListener, shared: &Rc<LoopState>) -> usize {
    let mut accepted = 0;
    time::sleep(LAST_LOOK).await;
    for tried in 0..LAST_ACCEPTS_MAX {
        if tried % ACCEPTS_PER_STEP == 0 {
            yield_now().await;
        }
        match poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
            Poll::Pending => break,
            Poll::Ready(Ok((stream, peer))) => {
                accepted += 1;
                serve(stream, peer, shared);
            }
            Poll::Ready(Err(error)) if concerns_one_connection(&error) => {}
            // Descriptors come back when connections close, and only then.
            Poll::Ready(Err(_)) if shared.open_connections() > 0 => rest(shared).await,
            Poll::Ready(Err(error)) => {
                tracing::warn!(%error, "cannot accept; those in the backlog are turned away");
                break;
            }
        }
    }
    accepted
}

/// `None` when the loop drains.
async fn accept_or_drain(
    listener: &mut TcpListener,
    shared: &LoopState,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    let mut draining = pin!(shared.draining_began.wait_until(|| shared.draining.get()));
    poll_fn(|cx| {
        if let Poll::Ready(accepted) = listener.poll_accept(cx) {
            return Poll::Ready(Some(accepted));
        }
        draining.as_mut().poll(cx).map(|()| None)
    })
    .await
}

fn serve(stream: TcpStream, peer: SocketAddr, shared: &Rc<LoopState>) {
    let place = shared.enter();
    let key = place.key();
    let mut connection = Connection::new(stream, peer, place);
    let task = spawn(async move {
        let end = connection.serve().await;
        tracing::debug!(peer = %connection.peer, %end, "connection ended");
    });
    shared.set_task(key, task.task());
}

/// Waits a while, or until a connection has closed.
async fn rest(shared: &LoopState) {
    let open = shared.open_connections();
    let fewer = shared
        .connections_changed
        .wait_until(|| shared.open_connections() < open);
    // Either will do.
    let _ = time::timeout(EXHAUSTED_PAUSE, fewer).await;
}

/// Whether accepting can go on at once. All other errors mean that descriptors or memory ran
/// out: accepting again would fail again.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | ConnectionRefused | TimedOut
    )
}
