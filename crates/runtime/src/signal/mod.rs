//! SIGINT, SIGTERM and SIGHUP as futures.
//!
//! From the first subscription to one of them on, the process no longer ends by itself when it
//! comes. One thread of the process waits for signals and wakes the loops that asked.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(not(unix), path = "other.rs")]
mod source;

use crate::introspect::note;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: somebody asks the process to end.
    Terminate,
    /// SIGHUP: somebody asks a server to read its files again; a terminal was closed.
    Hangup,
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalKind::Interrupt => "SIGINT",
            SignalKind::Terminate => "SIGTERM",
            SignalKind::Hangup => "SIGHUP",
        })
    }
}

/// Waits for SIGINT.
///
/// # Errors
/// When the signal handler cannot be installed.
pub fn interrupt() -> io::Result<Signal> {
    Signal::subscribe(&[SignalKind::Interrupt])
}

/// Waits for SIGTERM. On Windows: for the console being closed.
///
/// # Errors
/// When the signal handler cannot be installed.
pub fn terminate() -> io::Result<Signal> {
    Signal::subscribe(&[SignalKind::Terminate])
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// When the signal handler cannot be installed.
pub fn shutdown() -> io::Result<Signal> {
    Signal::subscribe(&[SignalKind::Interrupt, SignalKind::Terminate])
}

/// Waits for SIGHUP. On Windows, which has none, for ever.
///
/// # Errors
/// When the signal handler cannot be installed.
pub fn hangup() -> io::Result<Signal> {
    Signal::subscribe(&[SignalKind::Hangup])
}

/// A subscription to signals. It sees every signal that comes after it was made, except that
/// signals of one kind that come before anybody looks may count as one.
#[derive(Debug)]
pub struct Signal {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    kinds: &'static [SignalKind],
    pending: Vec<SignalKind>,
    waker: Option<Waker>,
}

static SUBSCRIBERS: Mutex<Vec<std::sync::Weak<Mutex<State>>>> = Mutex::new(Vec::new());

impl Signal {
    fn subscribe(kinds: &'static [SignalKind]) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            kinds,
            pending: Vec::new(),
            waker: None,
        }));
        let mut subscribers = lock(&SUBSCRIBERS);
        subscribers.retain(|subscriber| subscriber.strong_count() > 0);
        subscribers.push(Arc::downgrade(&state));
        drop(subscribers);
        source::start(kinds)?;
        Ok(Signal { state })
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> SignalKind {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if !state.pending.is_empty() {
                return Poll::Ready(state.pending.remove(0));
            }
            state.waker = Some(cx.waker().clone());
            note("signal");
            Poll::Pending
        })
        .await
    }
}

/// A signal came: called in the thread that waits for them.
fn dispatch(kind: SignalKind) {
    let subscribers: Vec<_> = lock(&SUBSCRIBERS)
        .iter()
        .filter_map(std::sync::Weak::upgrade)
        .collect();
    for subscriber in subscribers {
        let mut state = lock(&subscriber);
        if state.kinds.contains(&kind) && !state.pending.contains(&kind) {
            state.pending.push(kind);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
