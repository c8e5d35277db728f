//! The log of a whole process, with outputs that misbehave. Each case runs in a
//! process of its own, which is this program again with one ignored test.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use monoloop::config::{LogConfig, LogOutput};
use monoloop::trace;

/// Runs one of the ignored tests below.
fn process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_remove("RUST_LOG")
        .env("RUN_BY_TEST", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a process and returns it when it is ready to log.
fn start(test: &str, path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = process(test).env("LOG_PATH", path).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(answer(&mut stdout), "ready");
    (child, stdout)
}

/// Reads on to the next line that is for us; the test harness writes there too.
fn answer(stdout: &mut impl BufRead) -> String {
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 {
        if let Some((_, answer)) = line.trim_end().split_once("> ") {
            return answer.to_owned();
        }
        line.clear();
    }
    panic!("the process ended");
}

fn go_on(child: &mut Child) {
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
}

/// The process: logs to stderr or to the file it is told, when it is told, and says
/// on stdout how many lines it lost; or logs to stdout and says it on stderr.
#[test]
#[ignore = "run by the tests of this file"]
fn log_many_lines() {
    if std::env::var_os("RUN_BY_TEST").is_none() {
        return;
    }
    let path = std::env::var("LOG_PATH").unwrap_or_default();
    let output = match path.as_str() {
        "" => LogOutput::Stderr,
        "stdout" => LogOutput::Stdout,
        path => LogOutput::File(path.into()),
    };
    let say = |answer: &dyn Display| match output {
        LogOutput::Stdout => eprintln!("> {answer}"),
        _ => println!("> {answer}"),
    };
    let config = LogConfig {
        output: output.clone(),
        queue_lines_max: 128,
        ..LogConfig::default()
    };
    let guard = trace::init(&config).unwrap();
    say(&"ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for number in 0..20_000 {
        tracing::info!(
            number,
            "a line of some length, so that they fill a pipe before long"
        );
    }
    drop(guard);
    say(&trace::lost_lines());
    // Past the harness, which would have its say on the streams.
    std::process::exit(0);
}

#[test]
fn reader_that_went_away_costs_lines_and_nothing_else() {
    let (mut child, mut stdout) = start("log_many_lines", Path::new(""));
    drop(child.stderr.take());
    go_on(&mut child);
    assert_eq!(answer(&mut stdout), "20000");
    assert!(child.wait().unwrap().success());
}

#[test]
fn reader_that_does_not_read_neither_stops_nor_keeps_the_process() {
    let (mut child, mut stdout) = start("log_many_lines", Path::new(""));
    go_on(&mut child);
    // Nobody reads stderr until the process has logged everything and is over.
    let lost: u64 = answer(&mut stdout).parse().unwrap();
    assert!(lost > 0 && lost < 20_000, "{lost}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn stdout_that_is_not_read_does_not_keep_the_process_at_its_end() {
    let mut child = process("log_many_lines")
        .env("LOG_PATH", "stdout")
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    assert_eq!(answer(&mut stderr), "ready");
    go_on(&mut child);
    let lost: u64 = answer(&mut stderr).parse().unwrap();
    assert!(lost > 0 && lost < 20_000, "{lost}");
    assert!(child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_costs_lines_and_is_told_on_stderr() {
    let (mut child, mut stdout) = start("log_many_lines", Path::new("/dev/full"));
    go_on(&mut child);
    assert_eq!(answer(&mut stdout), "20000");
    assert!(child.wait().unwrap().success());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("monoloop: cannot log to /dev/full: No space left"),
        "{stderr}"
    );
    assert_eq!(
        lines[1],
        "monoloop: 20000 log lines could not be written to /dev/full"
    );
}

#[test]
fn file_is_appended_to_and_says_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.log");
    std::fs::write(&path, "before\n").unwrap();
    let (mut child, mut stdout) = start("log_many_lines", &path);
    go_on(&mut child);
    let lost: usize = answer(&mut stdout).parse().unwrap();
    assert!(child.wait().unwrap().success());

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n") && text.ends_with('\n'));
    assert_eq!(text.matches(" number=").count() + lost, 20_000);
    let told: usize = text
        .lines()
        .filter_map(|line| {
            line.split_once("log lines were lost")?
                .1
                .split_once("lines=")?
                .1
                .parse::<usize>()
                .ok()
        })
        .sum();
    assert_eq!(told, lost, "each lost line is told of once");
}

#[test]
#[ignore = "run by the tests of this file"]
fn initialize_twice() {
    if std::env::var_os("RUN_BY_TEST").is_none() {
        return;
    }
    let _guard = trace::init_default().unwrap();
    tracing::info!("from the first");
    println!("> {}", trace::init_default().unwrap_err());
    std::process::exit(0);
}

#[test]
fn second_log_of_a_process_is_an_error() {
    let output = process("initialize_twice").output().unwrap();
    assert!(output.status.success());
    let answer = answer(&mut &output.stdout[..]);
    assert!(
        answer.starts_with("this process has a log already; start it once"),
        "{answer}"
    );
}

#[test]
fn file_that_cannot_be_opened_is_named() {
    let config = LogConfig {
        output: LogOutput::File("/does/not/exist.log".into()),
        ..LogConfig::default()
    };
    let error = trace::init(&config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "log.output = \"/does/not/exist.log\": the file cannot be opened for appending (see to its directory and permissions)"
    );
    assert!(std::error::Error::source(&error).is_some());
}
