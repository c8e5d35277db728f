//! Standard input and output, in processes of their own with pipes for them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use monoloop_runtime::{Runtime, io, sim, spawn, time};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const INSIDE: &str = "MONOLOOP_TEST_STDIO";

/// Runs `inside` in this test binary once more, with pipes for its standard input and output,
/// and `outside` at their other ends.
fn with_pipes(
    name: &str,
    inside: impl FnOnce(),
    outside: impl FnOnce(&mut Child, ChildStdin, ChildStdout),
) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let stderr = match name == STDERR_IS_A_PIPE {
        true => Stdio::piped(),
        false => Stdio::inherit(),
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    outside(&mut child, stdin, stdout);
    assert!(child.wait().unwrap().success());
}

/// In this test; elsewhere what a panic says is to be seen.
const STDERR_IS_A_PIPE: &str = "an_output_that_nobody_reads_stops_no_loop";

/// Reads up to a mark.
fn read_until(input: &mut impl Read, mark: &str) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(mark.as_bytes()) {
        let mut byte = [0];
        input.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
}

/// What is between two marks of the child's, and not of its test harness's.
fn between_marks(text: &str) -> &str {
    let (_, rest) = text.split_once("<<<").unwrap();
    rest.split_once(">>>").unwrap().0
}

#[test]
fn lines_go_in_and_out() {
    with_pipes(
        "lines_go_in_and_out",
        || {
            let mut runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let mut out = io::stdout();
                out.write_all(b"<<<").await.unwrap();
                while let Some(line) = io::stdin().read_line().await.unwrap() {
                    let answer = format!("[{line}]");
                    out.write_all(answer.as_bytes()).await.unwrap();
                }
                out.write_all(b">>>").await.unwrap();
                out.flush().await.unwrap();
                io::stderr().write_all(b"").await.unwrap();
            });
            common::assert_balance(&mut runtime);
        },
        |_, mut stdin, mut stdout| {
            stdin.write_all(b"one\ntwo\r\n\nno end").unwrap();
            drop(stdin);
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            assert_eq!(between_marks(&text), "[one][two][][no end]");
        },
    );
}

#[test]
fn a_read_that_is_given_up_loses_no_input_and_stops_no_timer() {
    with_pipes(
        "a_read_that_is_given_up_loses_no_input_and_stops_no_timer",
        || {
            Runtime::new().unwrap().block_on(async {
                let mut input = io::stdin();
                for _ in 0..3 {
                    let limit = Duration::from_millis(1);
                    assert!(time::timeout(limit, input.read_line()).await.is_err());
                }
                io::stdout().write_all(b"ready>").await.unwrap();
                let line = input.read_line().await.unwrap();
                assert_eq!(line.as_deref(), Some("half and half"));
                let mut buffer = [0; 100];
                assert_eq!(input.read(&mut buffer).await.unwrap(), 4);
                assert_eq!(&buffer[..4], b"rest");
                assert_eq!(input.read(&mut buffer).await.unwrap(), 0);
            });
        },
        |_, mut stdin, mut stdout| {
            stdin.write_all(b"half ").unwrap();
            read_until(&mut stdout, "ready>");
            stdin.write_all(b"and half\nrest").unwrap();
            drop(stdin);
            stdout.read_to_end(&mut Vec::new()).unwrap();
        },
    );
}

#[test]
fn a_process_ends_though_somebody_waits_for_input() {
    with_pipes(
        "a_process_ends_though_somebody_waits_for_input",
        || {
            let mut runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let reading = spawn(async { io::stdin().read_line().await });
                common::turns(3).await;
                reading.cancel();
                assert!(reading.await.is_err());
            });
        },
        |child, stdin, _stdout| {
            // Nothing is ever written to it.
            assert!(child.wait().unwrap().success());
            drop(stdin);
        },
    );
}

#[test]
fn writes_of_many_tasks_go_out_whole_and_in_order_also_when_given_up() {
    with_pipes(
        "writes_of_many_tasks_go_out_whole_and_in_order_also_when_given_up",
        || {
            Runtime::new().unwrap().block_on(async {
                io::stdout().write_all(b"<<<").await.unwrap();
                // Larger than a pipe, so that they take a while.
                let tasks: Vec<_> = (0..20u8)
                    .map(|number| {
                        spawn(async move {
                            let bytes = vec![b'a' + number; 50_000];
                            io::stdout().write_all(&bytes).await.unwrap();
                        })
                    })
                    .collect();
                common::turns(1).await;
                for task in tasks {
                    task.cancel();
                    let _ = task.await;
                }
                io::stdout().write_all(b">>>").await.unwrap();
            });
        },
        |_, _stdin, mut stdout| {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            let expected: String = (0..20u8)
                .map(|number| char::from(b'a' + number).to_string().repeat(50_000))
                .collect();
            assert!(between_marks(&text) == expected);
        },
    );
}

#[test]
fn an_output_that_nobody_reads_stops_no_loop() {
    with_pipes(
        "an_output_that_nobody_reads_stops_no_loop",
        || {
            Runtime::new().unwrap().block_on(async {
                let writing = spawn(async {
                    io::stdout()
                        .write_all(&vec![b'.'; 1_000_000])
                        .await
                        .unwrap();
                });
                for _ in 0..20 {
                    time::sleep(Duration::from_millis(1)).await;
                }
                assert!(!writing.is_finished());
                // The outside reads only after this has come another way.
                io::stderr().write_all(b"alive>").await.unwrap();
                writing.await.unwrap();
            });
        },
        |child, _stdin, mut stdout| {
            read_until(child.stderr.as_mut().unwrap(), "alive>");
            let mut text = Vec::new();
            stdout.read_to_end(&mut text).unwrap();
            assert!(text.iter().filter(|byte| **byte == b'.').count() >= 1_000_000);
        },
    );
}

#[cfg(unix)]
#[test]
fn a_broken_pipe_is_an_error_and_no_panic() {
    with_pipes(
        "a_broken_pipe_is_an_error_and_no_panic",
        || {
            Runtime::new().unwrap().block_on(async {
                io::stdout().write_all(b"ready>").await.unwrap();
                // Until then the other end is open.
                assert_eq!(io::stdin().read_line().await.unwrap(), None);
                for _ in 0..3 {
                    let error = io::stdout().write_all(b"x\n").await.unwrap_err();
                    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
                }
            });
            // The test harness would stumble over it.
            std::process::exit(0);
        },
        |_, stdin, mut stdout| {
            read_until(&mut stdout, "ready>");
            drop(stdout);
            drop(stdin);
        },
    );
}

#[test]
fn in_a_simulated_world_input_has_ended_and_output_takes_no_time() {
    sim::seeds(0..5, |_| async {
        assert_eq!(io::stdin().read_line().await.unwrap(), None);
        assert_eq!(io::stdin().read(&mut [0; 4]).await.unwrap(), 0);
        io::stdout().write_all(b"").await.unwrap();
        io::stderr().flush().await.unwrap();
        assert_eq!(sim::elapsed(), Duration::ZERO);
    });
}
