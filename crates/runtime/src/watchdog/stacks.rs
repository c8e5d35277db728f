//! The stack of the loop's thread, as one line of text.

use monoloop_stack::{Frame, Handle, Registration};
use std::time::Duration;

/// How long the thread may take to answer: it is interrupted wherever it is, so that only a
/// machine that has no CPU for it needs longer than microseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// Calls that are told of at most, from the innermost.
const FRAMES_MAX: usize = 40;

/// Lets this thread be looked at, where that is possible.
pub(super) fn register() -> Option<Registration> {
    // Without stacks the rest can be told all the same.
    monoloop_stack::register().ok()
}

/// The functions between the loop and where the thread is, the innermost first; `None` when it was
/// not there any more. The names are what takes time:
/// the first look-up reads the program's debug information, which may take half a second.
pub(super) fn take(thread: &Handle, is_still_there: impl FnOnce() -> bool) -> Option<String> {
    let copy = thread.copy(ANSWER_TIMEOUT)?;
    if !is_still_there() {
        return None;
    }
    let frames = copy.unwind().frames();
    let of_the_step = frames.iter().take_while(|frame| !is_loop(frame));
    let lines: Vec<String> = of_the_step.map(ToString::to_string).collect();
    let more = lines.len().saturating_sub(FRAMES_MAX);
    let mut text = lines[..lines.len() - more].join(" <- ");
    if more > 0 {
        text += &format!(" <- {more} more");
    }
    Some(text)
}

/// Below is the same for all steps.
fn is_loop(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    function.contains("monoloop_runtime::event_loop::")
}
