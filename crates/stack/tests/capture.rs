//! Stacks of threads that are stuck in various ways.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![cfg(not(miri))]

use monoloop_stack::{Handle, Registration, SUPPORTED, Stack, register};
use std::hint::black_box;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

/// A registered thread that runs `work`.
fn watched<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> (Handle, JoinHandle<R>) {
    let (tell, told) = channel();
    let thread = thread::spawn(move || {
        let me: Registration = register().unwrap();
        tell.send(me.handle()).unwrap();
        work()
    });
    (told.recv().unwrap(), thread)
}

/// Captures until the function is on the stack: the thread may not have come to it yet.
fn capture_in(handle: &Handle, function: &str) -> Stack {
    for _ in 0..10_000 {
        let stack = handle.capture(LONG).expect("the thread answers");
        if stack.to_string().contains(function) {
            return stack;
        }
    }
    panic!(
        "never seen in {function}: {}",
        handle.capture(LONG).unwrap()
    );
}

fn stop_sign() -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let stop = Arc::new(AtomicBool::new(false));
    (stop.clone(), stop)
}

#[inline(never)]
fn outer_of_the_stuck(stop: &AtomicBool) -> u64 {
    black_box(inner_of_the_stuck(stop)) + 1
}

#[inline(never)]
fn inner_of_the_stuck(stop: &AtomicBool) -> u64 {
    let mut spins = 0;
    while !stop.load(Ordering::Relaxed) {
        spins = black_box(spins + 1);
    }
    spins
}

#[test]
fn a_stack_names_the_functions_of_a_thread_that_computes_innermost_first() {
    if !SUPPORTED {
        return;
    }
    let (stop, stopped) = stop_sign();
    let (handle, thread) = watched(move || outer_of_the_stuck(&stopped));
    let stack = capture_in(&handle, "inner_of_the_stuck");
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    let frames = stack.frames();
    let depth = |function: &str| {
        let is_it = |frame: &monoloop_stack::Frame| {
            frame
                .function
                .as_deref()
                .is_some_and(|name| name.ends_with(function))
        };
        frames
            .iter()
            .position(is_it)
            .unwrap_or_else(|| panic!("no {function}: {stack}"))
    };
    assert!(depth("inner_of_the_stuck") < depth("outer_of_the_stuck"));
    assert!(
        stack.is_complete(),
        "down to where the thread began: {stack}"
    );
    let inner = &frames[depth("inner_of_the_stuck")];
    assert!(inner.file.as_ref().unwrap().ends_with("tests/capture.rs"));
    assert!(inner.line.unwrap() > 30, "{inner}");
}

#[inline(never)]
fn waits_for_a_lock(lock: &Mutex<u32>) -> u32 {
    black_box(*lock.lock().unwrap())
}

#[test]
fn a_thread_that_waits_for_a_lock_is_seen_and_goes_on_waiting() {
    if !SUPPORTED {
        return;
    }
    let lock = Arc::new(Mutex::new(7));
    let held = lock.lock().unwrap();
    let (handle, thread) = watched({
        let lock = lock.clone();
        move || waits_for_a_lock(&lock)
    });
    capture_in(&handle, "waits_for_a_lock");
    for _ in 0..20 {
        assert!(handle.capture(LONG).is_some());
    }
    assert!(!thread.is_finished());
    drop(held);
    assert_eq!(thread.join().unwrap(), 7);
}

#[test]
fn a_read_that_is_interrupted_goes_on_and_loses_nothing() {
    if !SUPPORTED {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut reader, _) = listener.accept().unwrap();
    #[inline(never)]
    fn reads_once(reader: &mut TcpStream) -> std::io::Result<[u8; 1]> {
        let mut byte = [0];
        // Not read_exact, which would hide an interruption.
        assert_eq!(reader.read(&mut byte)?, 1);
        Ok(black_box(byte))
    }
    let (handle, thread) = watched(move || reads_once(&mut reader));
    capture_in(&handle, "reads_once");
    for _ in 0..20 {
        assert!(handle.capture(LONG).is_some());
    }
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), *b"x");
}

#[inline(never)]
fn makes_garbage(stop: &AtomicBool) -> usize {
    let mut bytes = 0;
    while !stop.load(Ordering::Relaxed) {
        // Allocates, and takes the unwinder's way: what a handler may not do, interrupted.
        bytes += black_box(vec![1_u8; 100]).len();
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(1)));
        assert!(caught.is_err());
    }
    bytes
}

#[test]
fn a_thread_that_allocates_and_unwinds_is_captured_again_and_again() {
    if !SUPPORTED {
        return;
    }
    let (stop, stopped) = stop_sign();
    let (handle, thread) = watched(move || makes_garbage(&stopped));
    for _ in 0..150 {
        assert!(handle.capture(LONG).is_some());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(thread.join().unwrap() > 0);
}

#[test]
fn a_thread_that_comes_and_goes_is_captured_or_not_but_nothing_breaks() {
    let (handles, received): (Sender<Handle>, Receiver<Handle>) = channel();
    let coming_and_going = thread::spawn(move || {
        for _ in 0..60 {
            let handles = handles.clone();
            let short = thread::spawn(move || {
                let me = register().unwrap();
                handles.send(me.handle()).unwrap();
            });
            short.join().unwrap();
        }
    });
    let mut seen = 0;
    for handle in received {
        seen += 1;
        // Too short at times, so that answers come late.
        let _ = handle.capture(Duration::ZERO);
        let _ = handle.capture(Duration::from_micros(30));
    }
    coming_and_going.join().unwrap();
    assert_eq!(seen, 60);
}

#[test]
fn an_answer_that_comes_too_late_does_not_disturb_the_next_question() {
    if !SUPPORTED {
        return;
    }
    let (stop, stopped) = stop_sign();
    let (handle, thread) = watched(move || outer_of_the_stuck(&stopped));
    for _ in 0..40 {
        let _ = handle.capture(Duration::ZERO);
    }
    let stack = capture_in(&handle, "inner_of_the_stuck");
    assert!(stack.is_complete(), "{stack}");
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

#[test]
fn a_thread_that_is_gone_and_ones_own_have_no_stack() {
    let (handle, thread) = watched(|| ());
    thread.join().unwrap();
    assert_eq!(handle.capture(LONG), None);
    let me = register().unwrap();
    assert_eq!(me.handle().capture(LONG), None);
}
