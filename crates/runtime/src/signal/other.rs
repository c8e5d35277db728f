//! Ctrl-C and the closing of the console on Windows, through ctrlc.

use super::{SignalKind, dispatch};
use std::io;
use std::sync::Mutex;

/// Installs the handler, once in a process. The system does not say which of the two it was.
pub(super) fn start(_kinds: &[SignalKind]) -> io::Result<()> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = super::lock(&STARTED);
    if !*started {
        ctrlc::set_handler(|| dispatch(SignalKind::Interrupt)).map_err(io::Error::other)?;
        *started = true;
    }
    Ok(())
}
