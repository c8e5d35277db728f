//! SIGINT, SIGTERM and SIGHUP as futures, in a child process that may be signalled.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::child;
use monoloop_runtime::signal::{self, SignalKind};
use monoloop_runtime::{Runtime, spawn};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::raise;

#[test]
fn each_signal_reaches_those_who_asked_for_it_and_the_process_lives() {
    child(
        "each_signal_reaches_those_who_asked_for_it_and_the_process_lives",
        || {
            let mut runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let mut interrupt = signal::interrupt().unwrap();
                let mut terminate = signal::terminate().unwrap();
                let mut either = signal::shutdown().unwrap();
                raise(SIGINT).unwrap();
                assert_eq!(interrupt.recv().await, SignalKind::Interrupt);
                assert_eq!(either.recv().await, SignalKind::Interrupt);
                raise(SIGTERM).unwrap();
                assert_eq!(terminate.recv().await, SignalKind::Terminate);
                assert_eq!(either.recv().await, SignalKind::Terminate);
                // Asked for later than the others.
                let mut hangup = signal::hangup().unwrap();
                raise(SIGHUP).unwrap();
                assert_eq!(hangup.recv().await, SignalKind::Hangup);
                assert_eq!(SignalKind::Hangup.to_string(), "SIGHUP");
                assert_eq!(SignalKind::Terminate.to_string(), "SIGTERM");
                assert_eq!(SignalKind::Interrupt.to_string(), "SIGINT");
            });
            common::assert_balance(&mut runtime);
        },
    );
}

#[test]
fn a_signal_wakes_tasks_that_wait_and_loops_that_sleep() {
    child(
        "a_signal_wakes_tasks_that_wait_and_loops_that_sleep",
        || {
            let mut runtime = Runtime::new().unwrap();
            let (ready, is_ready) = std::sync::mpsc::channel();
            let other = std::thread::spawn(move || {
                Runtime::new().unwrap().block_on(async {
                    let mut signal = signal::shutdown().unwrap();
                    ready.send(()).unwrap();
                    signal.recv().await
                })
            });
            is_ready.recv().unwrap();
            runtime.block_on(async {
                let tasks: Vec<_> = (0..5)
                    .map(|_| {
                        let mut signal = signal::terminate().unwrap();
                        spawn(async move { signal.recv().await })
                    })
                    .collect();
                common::turns(2).await;
                raise(SIGTERM).unwrap();
                for task in tasks {
                    assert_eq!(task.await.unwrap(), SignalKind::Terminate);
                }
            });
            assert_eq!(other.join().unwrap(), SignalKind::Terminate);
            common::assert_balance(&mut runtime);
        },
    );
}

#[test]
fn a_wait_for_a_signal_that_is_dropped_loses_none() {
    child("a_wait_for_a_signal_that_is_dropped_loses_none", || {
        let mut runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut first = signal::interrupt().unwrap();
            let mut second = signal::interrupt().unwrap();
            {
                let mut waiting = Box::pin(first.recv());
                assert!(common::poll_once(&mut waiting).await.is_pending());
                raise(SIGINT).unwrap();
                // Who waits beside has it: it was given to all.
                second.recv().await;
            }
            assert_eq!(first.recv().await, SignalKind::Interrupt);
        });
        common::assert_balance(&mut runtime);
    });
}
