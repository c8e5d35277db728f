//! The stack of the loop's thread, as text.

use monoloop_stack::{Frame, Handle, Registration};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the thread may take to answer: it is interrupted wherever it is, so that only a
/// machine that has no CPU for it needs longer than microseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// Calls that are told of at most, from the innermost.
const FRAMES_MAX: usize = 40;

/// A function's name that is longer is told without its types. Nobody reads three lines of them.
const FUNCTION_BYTES_MAX: usize = 100;

/// Lets this thread be looked at, where that is possible.
pub(super) fn register() -> Option<Registration> {
    // Without stacks the rest can be told all the same.
    monoloop_stack::register().ok()
}

/// The functions of a step, a line each, the innermost first.
pub(crate) type Calls = Arc<[String]>;

/// The functions between the loop and where the thread is, the innermost first; `None` when it was
/// not there any more. The names are what takes time:
/// the first look-up reads the program's debug information, which may take half a second.
pub(super) fn take(thread: &Handle, is_still_there: impl FnOnce() -> bool) -> Option<Calls> {
    let copy = thread.copy(ANSWER_TIMEOUT)?;
    if !is_still_there() {
        return None;
    }
    let frames = copy.unwind().frames();
    let of_the_step = frames.iter().take_while(|frame| !is_loop(frame));
    let mut calls: Vec<String> = of_the_step.map(one_line).collect();
    let more = calls.len().saturating_sub(FRAMES_MAX);
    if more > 0 {
        calls.truncate(FRAMES_MAX);
        calls.push(format!("{more} more"));
    }
    Some(calls.into())
}

/// Below is the same for all steps.
fn is_loop(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    // Of a function that was inlined the name alone may be known, without its path.
    let file = frame.file.as_deref().unwrap_or(Path::new(""));
    function.contains("monoloop_runtime::event_loop::") || file.ends_with(event_loop_file())
}

/// As the compiler calls it, which may be relative to where it was started.
fn event_loop_file() -> PathBuf {
    let here = Path::new(file!());
    let sources = here.ancestors().nth(2).unwrap_or(here);
    sources.join("event_loop.rs")
}

/// As [`Frame`] says it, without what only makes it long: the types of a function that was made
/// for many, and the directory in which the standard library was built.
fn one_line(frame: &Frame) -> String {
    let mut frame = frame.clone();
    frame.function = frame.function.map(shortened);
    frame.file = frame.file.map(|file| match file.strip_prefix("/rustc") {
        Ok(in_build) => in_build.components().skip(1).collect(),
        Err(_) => file,
    });
    frame.to_string()
}

/// A name that is too long, up to its types: `poll<..>`. One that begins with a type is left.
fn shortened(function: String) -> String {
    match function.find('<') {
        Some(types) if types > 0 && function.len() > FUNCTION_BYTES_MAX => {
            format!("{}<..>", function[..types].trim_end_matches("::"))
        }
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_types_are_left_out_of_names_and_short_ones_are_not() {
        let shortened = |function: &str| shortened(function.to_owned());
        assert_eq!(shortened("poll<app::stall>"), "poll<app::stall>");
        let types = "core::option::Option<alloc::string::String>, ".repeat(3);
        assert_eq!(shortened(&format!("run<{types}>")), "run<..>");
        assert_eq!(shortened(&format!("a::run::<{types}>")), "a::run<..>");
        let of_a_type = format!("<app::Job<{types}> as core::future::Future>::poll");
        assert_eq!(shortened(&of_a_type), of_a_type);
    }

    #[test]
    fn the_loop_is_known_by_its_file_when_the_name_has_no_path() {
        assert!(event_loop_file().ends_with("src/event_loop.rs"));
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let absolute = manifest.join("src/event_loop.rs");
        assert!(absolute.ends_with(event_loop_file()), "{absolute:?}");
        assert!(absolute.exists());
    }
}
