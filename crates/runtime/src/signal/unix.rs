//! Signals of Unix, through signal-hook.

use super::{SignalKind, dispatch};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Mutex;

/// Starts the thread that waits for signals, once in a process.
pub(super) fn start() -> io::Result<()> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = super::lock(&STARTED);
    if *started {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("monoloop-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                dispatch(match signal {
                    SIGINT => SignalKind::Interrupt,
                    _ => SignalKind::Terminate,
                });
            }
        })?;
    *started = true;
    Ok(())
}
