//! Accepting connections: one task a loop.

use crate::connection::Connection;
use crate::loop_state::LoopState;
use crate::turn_away::turn_away;
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::{spawn, time, yield_now};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

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
) -> usize {
    let connections_max = shared.bounds.connections_max;
    let mut exhausted = Seldom::default();
    let mut at_limit = Seldom::default();
    while !shared.draining.get() {
        if shared.open_connections() >= connections_max {
            if at_limit.is_due() {
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
                serve(stream, peer, &shared);
            }
            Some(Err(error)) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Some(Err(error)) => {
                if exhausted.is_due() {
                    tracing::warn!(%error, connections = shared.open_connections(), "cannot accept; trying again");
                }
                shared.book.accept_errors.add(1);
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
            Poll::Ready(Err(_)) if shared.open_connections() > 0 => {
                shared.book.accept_errors.add(1);
                rest(shared).await;
            }
            Poll::Ready(Err(error)) => {
                tracing::warn!(%error, "cannot accept; those in the backlog are turned away");
                break;
            }
        }
    }
    accepted
}

/// How often the log is told of one thing that peers can bring about again and again.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Seldom {
    told_at: Option<Instant>,
}

impl Seldom {
    fn is_due(&mut self) -> bool {
        let now = time::now();
        let told_lately = |at: Instant| now.saturating_duration_since(at) < TELL_EVERY;
        let is_due = !self.told_at.is_some_and(told_lately);
        if is_due {
            self.told_at = Some(now);
        }
        is_due
    }
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
    let mut counted = None;
    if let Some(peers) = &shared.peers {
        counted = peers.enter(peer.ip());
        if counted.is_none() {
            tracing::debug!(%peer, "has all the connections that it may have");
            return turn_away(stream, shared);
        }
    }
    let place = shared.enter();
    let key = place.key();
    let mut connection = Connection::new(shared.transports.over(stream), peer, place);
    let task = spawn(async move {
        let end = connection.serve().await;
        tracing::debug!(peer = %connection.peer, %end, "connection ended");
        drop(counted);
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

/// Whether accepting can go on at once, because the error is that of one connection, which is gone
/// with it. All others (EMFILE, ENFILE, ENOBUFS, ENOMEM, and what is not known) would be met again:
/// accepting rests, and the listener stays. EINTR is not seen here: the driver tries again.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    #[cfg(unix)]
    if is_network_error(error) {
        return true;
    }
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | ConnectionRefused
            | TimedOut
            | NetworkDown
            | NetworkUnreachable
            | HostUnreachable
            // A firewall forbids it (accept(2)).
            | PermissionDenied
    )
}

/// What the network has to say of a new socket, passed on by Linux as the error of accept(2), which
/// says to take it for `EAGAIN`. Those of them that have a kind are told by that.
#[cfg(unix)]
fn is_network_error(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_the_network = [
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::OPNOTSUPP,
        #[cfg(target_os = "linux")]
        Errno::NONET,
    ];
    let errno = error.raw_os_error();
    errno.is_some_and(|errno| of_the_network.iter().any(|one| one.raw_os_error() == errno))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn each_error_that_accept_is_documented_to_have_is_told_apart() {
        // accept(2), "Error handling" and "ERRORS".
        let of_one = [
            Errno::CONNABORTED,
            Errno::NETDOWN,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::NONET,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ];
        let of_all = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            // No reason to spin.
            Errno::INVAL,
            Errno::BADF,
        ];
        for errno in of_one {
            assert!(concerns_one_connection(&errno.into()), "{errno:?}");
        }
        for errno in of_all {
            assert!(!concerns_one_connection(&errno.into()), "{errno:?}");
        }
    }
}
