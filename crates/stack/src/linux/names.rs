//! From an address to the functions that are there.

use crate::Frame;
use std::ffi::c_void;

/// The functions at an address, the innermost first: several where they were inlined.
pub(crate) fn frames_at(address: usize, is_return: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    // What is asked for is taken for an address that a call returns to, and the call is looked
    // up, the instruction before.
    let returns_to = if is_return { address } else { address + 1 };
    backtrace::resolve(returns_to as *mut c_void, |symbol| {
        frames.push(Frame {
            // The alternate form is without the compiler's hash.
            function: symbol.name().map(|name| format!("{name:#}")),
            file: symbol.filename().map(ToOwned::to_owned),
            line: symbol.lineno(),
            address,
        });
    });
    if frames.is_empty() {
        frames.push(Frame::unnamed(address));
    }
    frames
}
