//! A handler of the signal that was there before is still called. In a file of its own, for the
//! handlers belong to the whole process.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![cfg(all(target_os = "linux", not(miri)))]

use monoloop_stack::{SUPPORTED, register};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn a_handler_that_was_there_before_is_called_as_well() {
    if !SUPPORTED {
        return;
    }
    let called = Arc::new(AtomicUsize::new(0));
    signal_hook::flag::register_usize(signal_hook::consts::SIGURG, called.clone(), 7).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let (tell, told) = channel();
    let thread = thread::spawn({
        let stop = stop.clone();
        move || {
            let me = register().unwrap();
            tell.send(me.handle()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        }
    });
    let handle = told.recv().unwrap();
    assert_eq!(called.load(Ordering::Relaxed), 0);
    assert!(handle.capture(Duration::from_secs(10)).is_some());
    // It is called behind ours, which answers first.
    while called.load(Ordering::Relaxed) != 7 {
        thread::yield_now();
    }

    // And one that comes later is called, and calls ours.
    let later = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGURG, later.clone()).unwrap();
    assert!(handle.capture(Duration::from_secs(10)).is_some());
    while !later.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}
