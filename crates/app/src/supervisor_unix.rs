//! systemd, and those who speak as it does: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).

use listenfd::ListenFd;
use monoloop_runtime::time;
use sd_notify::NotifyState;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

/// A descriptor has one owner, so what was handed over is taken once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The TCP socket that listens already (`LISTEN_FDS`, meant for this process by `LISTEN_PID`).
pub(crate) fn take_listener() -> io::Result<TcpListener> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(invalid(
            "the socket was handed over once, and a server has it already",
        ));
    }
    let mut handed_over = ListenFd::from_env();
    match handed_over.len() {
        0 => Err(invalid(
            "no socket was handed over (LISTEN_FDS, LISTEN_PID); start it by a .socket unit or \
             systemd-socket-activate, or set handover.activated = false",
        )),
        1 => {
            let listener = handed_over.take_tcp_listener(0)?;
            listener.ok_or_else(|| invalid("the socket that was handed over was taken already"))
        }
        _ => Err(invalid(
            "more than one socket was handed over; leave one ListenStream= in the .socket unit",
        )),
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Says that new connections are welcome: `Type=notify` has systemd wait for it.
pub(crate) fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Says that the server drains.
pub(crate) fn tell_stopping() {
    tell(NotifyState::Stopping);
}

/// Says that the loop turns, twice in the time that `WatchdogSec=` allows. Never ends, unless nobody
/// wants to know.
pub(crate) async fn tell_that_it_lives() {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else {
        return;
    };
    loop {
        tell(NotifyState::Watchdog);
        time::sleep(period / 2).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor could not be told of a change");
    }
}
