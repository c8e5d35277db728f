//! Child processes: what they are given and what comes back, their ends, and what is left of
//! those that nobody waits for.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{assert_balance, ms, poll_once, until};
use futures_util::future::{join, join_all};
use monoloop_runtime::process::{Child, Command, Stdio};
use monoloop_runtime::sync::oneshot;
use monoloop_runtime::{Runtime, sim, spawn, time};
use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;

/// On a loop by the system's clock: children have no other.
#[track_caller]
fn run<F: Future>(test: F) -> F::Output {
    let mut runtime = Runtime::new().unwrap();
    let output = runtime.block_on(test);
    assert_balance(&mut runtime);
    output
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// A shell that tells its id and then waits for the end of its input.
async fn waiting(command: Command) -> Child {
    let mut command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let line = child.stdout.as_mut().unwrap().receive().await.unwrap();
    assert_eq!(&*line, format!("{}\n", child.id()).as_bytes());
    child
}

fn wait_for_input() -> Command {
    sh("echo $$; read line; exit 7")
}

/// Whether there is a process of that id, be it a zombie.
#[cfg(target_os = "linux")]
fn is_there(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn a_child_is_given_its_arguments_environment_and_directory() {
    run(async {
        let script = r#"printf '%s|%s|%s|%s' "$1" "$GIVEN" "${HOME-none}" "$(pwd)""#;
        let output = sh(script)
            .args(["sh", "an argument"])
            .env("GIVEN", "a variable")
            .env_remove("HOME")
            .current_dir("/")
            .output()
            .await
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "an argument|a variable|none|/");
        let path = std::env::var_os("PATH").unwrap();
        let mut env = Command::new("env").env_clear().env("PATH", &path);
        let output = env.output().await.unwrap().stdout;
        assert!(output.starts_with(b"PATH=") && output.split(|b| *b == b'\n').count() == 2);
    });
}

#[test]
fn how_it_ended_and_what_it_wrote_come_back() {
    run(async {
        let output = sh("echo out; echo err >&2; exit 3").output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert!(sh("exit 0").status().await.unwrap().success());
        // Its input is empty: it does not wait for that of the test.
        assert_eq!(Command::new("cat").output().await.unwrap().stdout, b"");
    });
}

#[test]
fn more_than_pipes_hold_goes_both_ways_at_once() {
    run(async {
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut cat = cat.spawn().unwrap();
        let (mut stdin, mut stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        let write = async {
            stdin.write_all(&bytes).await.unwrap();
            drop(stdin);
        };
        let read = async {
            let mut came = Vec::new();
            loop {
                let chunk = stdout.receive().await.unwrap();
                if chunk.is_empty() {
                    break came;
                }
                came.extend_from_slice(&chunk);
            }
        };
        let ((), came) = join(write, read).await;
        assert!(came == bytes);
        assert_eq!(stdout.read(&mut [0; 4]).await.unwrap(), 0);
        assert!(cat.wait().await.unwrap().success());
    });
}

#[test]
fn both_outputs_are_read_at_once_however_much_it_writes_to_either() {
    run(async {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; \
                      head -c 300000 /dev/zero >&2";
        let output = sh(script).output().await.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 600_000)
        );
    });
}

#[test]
fn one_that_writes_more_than_allowed_is_killed() {
    run(async {
        let error = sh("while :; do echo more; done")
            .output_at_most(10_000)
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("10000 bytes"), "{error}");
        let output = sh("printf 12345").output_at_most(5).await.unwrap();
        assert_eq!(output.stdout, b"12345");
    });
}

#[test]
fn a_program_that_is_not_there_is_named() {
    run(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        assert!(
            text.starts_with("cannot start /no/such/program: "),
            "{text}"
        );
    });
}

#[test]
fn waiting_again_tells_the_same_and_a_wait_that_is_dropped_loses_nothing() {
    run(async {
        let mut child = waiting(wait_for_input()).await;
        assert!(child.try_wait().unwrap().is_none());
        let stdin = child.stdin.take();
        for _ in 0..3 {
            assert!(poll_once(&mut Box::pin(child.wait())).await.is_pending());
        }
        drop(stdin);
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        child.start_kill().unwrap();
        child.terminate().unwrap();
        assert_eq!(child.kill().await.unwrap().code(), Some(7));
    });
}

#[test]
fn waiting_ends_the_input_that_nobody_will_write() {
    run(async {
        let mut child = waiting(wait_for_input()).await;
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
    });
}

#[test]
fn a_child_that_ended_before_anybody_waited_is_not_missed() {
    run(async {
        for _ in 0..50 {
            let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
            // The end of its output is the end of it, or nearly.
            let mut stdout = child.stdout.take().unwrap();
            assert!(stdout.receive().await.unwrap().is_empty());
            common::turns(3).await;
            assert!(child.wait().await.unwrap().success());
        }
    });
}

#[test]
fn many_that_end_at_once_are_all_heard_of_on_every_loop() {
    let on_a_loop = || {
        run(async {
            // Their inputs end together: of a hundred signals a few are left.
            let (reader, writer) = std::io::pipe().unwrap();
            let children: Vec<_> = (0..100)
                .map(|number| {
                    let mut command =
                        sh(&format!("read line; exit {number}")).stdin(reader.try_clone().unwrap());
                    let mut child = command.spawn().unwrap();
                    drop(command);
                    spawn(async move { child.wait().await.unwrap().code() })
                })
                .collect();
            common::turns(2).await;
            drop((reader, writer));
            let codes = join_all(children).await;
            let codes: Vec<_> = codes
                .into_iter()
                .map(|code| code.unwrap().unwrap())
                .collect();
            assert_eq!(codes, (0..100).collect::<Vec<_>>());
        });
    };
    let others: Vec<_> = (0..2).map(|_| std::thread::spawn(on_a_loop)).collect();
    on_a_loop();
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn a_child_is_killed_or_asked_to_end() {
    run(async {
        let mut child = waiting(wait_for_input()).await;
        assert_eq!(child.kill().await.unwrap().signal(), Some(9));
        let polite = sh("trap 'exit 5' TERM; echo $$; while :; do read line; done");
        let mut child = waiting(polite).await;
        let stdin = child.stdin.take();
        child.terminate().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        drop(stdin);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_whose_handle_is_dropped_is_killed_and_leaves_no_zombie() {
    run(async {
        // By itself it would end much later.
        let forever = || sh("echo $$; exec sleep 1000");
        let child = waiting(forever()).await;
        let id = child.id();
        assert!(is_there(id));
        drop(child);
        until(|| !is_there(id)).await;

        let (tell, told) = oneshot::channel();
        let task = spawn(async move {
            let mut child = waiting(forever()).await;
            tell.send(child.id()).unwrap();
            child.wait().await
        });
        let id = told.await.unwrap();
        task.cancel();
        assert!(task.await.is_err());
        until(|| !is_there(id)).await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_that_may_live_on_does_and_leaves_no_zombie() {
    run(async {
        let mut child = waiting(wait_for_input().kill_on_drop(false)).await;
        let (id, stdin) = (child.id(), child.stdin.take());
        drop(child);
        common::turns(10).await;
        assert!(is_there(id));
        // Now it ends by itself, and nobody waits.
        drop(stdin);
        until(|| !is_there(id)).await;
    });
}

#[test]
fn a_child_that_reads_no_more_breaks_the_pipe() {
    run(async {
        let mut command = sh("exec 0<&-; echo closed; read line <&1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        assert_eq!(&*stdout.receive().await.unwrap(), b"closed\n");
        let mut stdin = child.stdin.take().unwrap();
        // A child of another test may have the other end for the moment before its program
        // begins.
        let error = loop {
            if let Err(error) = stdin.write_all(b"x").await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        child.kill().await.unwrap();
    });
}

#[test]
fn a_timeout_around_a_child_ends_it() {
    run(async {
        let mut forever = sh("while :; do read line; done").stdin(Stdio::piped());
        let late = time::timeout(ms(20), forever.output()).await;
        assert!(late.is_err());
    });
}

#[test]
fn children_of_others_are_left_to_them() {
    run(async {
        let mut other = std::process::Command::new("true").spawn().unwrap();
        // Signals come and go.
        for _ in 0..10 {
            assert!(Command::new("true").status().await.unwrap().success());
        }
        assert!(other.wait().unwrap().success());
    });
}

#[test]
fn a_simulated_world_has_no_other_processes() {
    sim::run(1, async {
        let error = Command::new("true").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}
