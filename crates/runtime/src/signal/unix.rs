//! Signals of Unix, through signal-hook.

use super::{SignalKind, dispatch};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::Mutex;

/// Has signals of these kinds dispatched from now on, by a thread that is started once in a
/// process. What nobody has asked for does what it always did.
pub(super) fn start(kinds: &[SignalKind]) -> io::Result<()> {
    static STARTED: Mutex<Option<Handle>> = Mutex::new(None);
    let mut started = super::lock(&STARTED);
    let handle = match &mut *started {
        Some(handle) => handle,
        none => none.insert(start_thread()?),
    };
    for kind in kinds {
        handle.add_signal(match kind {
            SignalKind::Interrupt => SIGINT,
            SignalKind::Terminate => SIGTERM,
            SignalKind::Hangup => SIGHUP,
        })?;
    }
    Ok(())
}

fn start_thread() -> io::Result<Handle> {
    let mut signals = Signals::new([0; 0])?;
    let handle = signals.handle();
    std::thread::Builder::new()
        .name("monoloop-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                dispatch(match signal {
                    SIGINT => SignalKind::Interrupt,
                    SIGHUP => SignalKind::Hangup,
                    _ => SignalKind::Terminate,
                });
            }
        })?;
    Ok(handle)
}
