//! A loop that is stuck in a child process, and looked at by its watchdog meanwhile: the call
//! goes on as if nothing had been, and the child has nothing of the signal.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(miri)
))]

use monoloop_runtime::Runtime;
use monoloop_runtime::introspect::{NoAnswer, probe};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// SIGURG, as a bit of the masks in `/proc/self/status`.
const SIGURG_BIT: u64 = 1 << 22;

/// Waits for a line, and shows what the process has inherited.
const SCRIPT: &str = "read line; grep ^Sig /proc/self/status";

#[test]
fn a_stack_is_shown_while_a_child_is_waited_for_and_neither_is_disturbed() {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_child = child.stdin.take().unwrap();
    let (to, probes) = channel();
    let the_loop = thread::spawn(move || {
        let built = Runtime::builder()
            .watchdog(Duration::from_millis(10))
            .build();
        built.unwrap().block_on(async {
            to.send(probe()).unwrap();
            // Both stop the loop: one child is waited for, another is spawned here.
            let waited = child.wait_with_output();
            let grep = ["^Sig", "/proc/self/status"];
            (waited, Command::new("grep").args(grep).output())
        })
    });
    let probe = probes.recv().unwrap();
    let calls = loop {
        match probe.snapshot(Duration::from_millis(20)) {
            Err(NoAnswer::Stuck(stuck)) if !stuck.stack.is_empty() => break stuck.stack,
            Err(NoAnswer::Ended) => panic!("the child waits for its line"),
            _ => {}
        }
    };
    assert!(
        calls.iter().any(|call| call.contains("wait_with_output")),
        "{calls:#?}"
    );
    to_child.write_all(b"go on\n").unwrap();

    let (first, second) = the_loop.join().unwrap();
    for output in [first.unwrap(), second.unwrap()] {
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        for name in ["SigBlk", "SigIgn", "SigCgt"] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let mask = line.split_whitespace().nth(1).unwrap();
            let mask = u64::from_str_radix(mask, 16).unwrap();
            assert_eq!(mask & SIGURG_BIT, 0, "{text}");
        }
    }
}
