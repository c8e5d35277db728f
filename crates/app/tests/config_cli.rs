//! What a server's command line does to its exit status and its streams. Each case
//! runs in a process of its own, which is this program again with one ignored test.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::process::{Command, ExitCode, Output};

use clap::Parser;
use monoloop::cli::{self, ServerArgs};
use monoloop::config::{Config, Sources};

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a server whose work is to print where it would listen, or to fail.
fn server(flags: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "work",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_remove("RUST_LOG")
        .env("RUN_BY_TEST", "1")
        .env("FLAGS", flags.join("\n"))
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
#[ignore = "run by the tests of this file"]
fn work() {
    if std::env::var_os("RUN_BY_TEST").is_none() {
        return;
    }
    let flags = std::env::var("FLAGS").unwrap_or_default();
    let flags = flags.split('\n').filter(|flag| !flag.is_empty());
    let flags = Flags::parse_from(std::iter::once("server").chain(flags));
    let code = cli::run(flags.server, |config| {
        tracing::info!("from within");
        println!("> working on {}", config.listen);
        match std::env::var_os("FAIL") {
            None => Ok(()),
            Some(_) => Err(std::io::Error::other("address in use")),
        }
    });
    let status = (0..=255)
        .find(|status| ExitCode::from(*status) == code)
        .unwrap();
    std::process::exit(status.into());
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn work_that_is_done_ends_with_status_0() {
    let output = server(&["--listen", "127.0.0.1:1"], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output).contains("> working on 127.0.0.1:1\n"),
        "{output:?}"
    );
    assert!(stderr(&output).ends_with("from within\n"), "{output:?}");
}

#[test]
fn work_that_fails_ends_with_status_1_after_the_log() {
    let output = server(&[], &[("FAIL", "1")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).ends_with("from within\nerror: address in use\n"),
        "{output:?}"
    );
}

#[test]
fn wrong_flag_ends_with_status_2() {
    let output = server(&["--lisen", "x"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("'--listen'"), "{output:?}");
}

#[test]
fn wrong_configuration_ends_with_status_2_and_nothing_is_worked() {
    for flags in [&["--threads=0"][..], &["--threads=0", "--check-config"]] {
        let output = server(flags, &[("MONOLOOP_LOG_ACCESS", "yes")]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!stdout(&output).contains("> working"), "{output:?}");
        let stderr = stderr(&output);
        assert!(
            stderr.starts_with("error: MONOLOOP_LOG_ACCESS=yes: expected true or false"),
            "{stderr}"
        );
        assert!(
            stderr.contains("\n--threads=0: expected a whole number"),
            "{stderr}"
        );
    }
}

#[test]
fn wrong_variable_of_the_runtime_ends_with_status_2_and_the_choices() {
    let wrong = [
        ("MONOLOOP_DEBUG", "3", "set 1 for warnings"),
        ("MONOLOOP_DRIVER", "epol", "choose selector or poll"),
    ];
    for (name, value, choices) in wrong {
        for flags in [&[][..], &["--check-config"]] {
            let output = server(flags, &[(name, value)]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(!stdout(&output).contains("> working"), "{output:?}");
            let stderr = stderr(&output);
            assert!(stderr.starts_with(&format!("error: {name}")), "{stderr}");
            assert!(stderr.contains(&format!("{value:?}")), "{stderr}");
            assert!(stderr.contains(choices), "{stderr}");
        }
    }
    let fine = [("MONOLOOP_DEBUG", "1"), ("MONOLOOP_DRIVER", "poll")];
    assert_eq!(server(&[], &fine).status.code(), Some(0));
}

#[test]
fn log_that_cannot_be_opened_ends_with_status_2() {
    let output = server(&["--set", "log.output=/does/not/exist.log"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        stderr(&output).starts_with("error: log.output = \"/does/not/exist.log\": "),
        "{output:?}"
    );
    assert!(stderr(&output).contains("No such file"), "{output:?}");
}

#[test]
fn check_config_prints_what_takes_effect_and_does_nothing_else() {
    let output = server(
        &["--check-config", "--threads=3", "--set=timeouts.write=off"],
        &[("MONOLOOP_DRAIN_DELAY", "2s")],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(&output), "");
    let (_, printed) = stdout(&output).split_once("# OK").unwrap();
    assert!(!printed.contains("> working"), "{printed}");
    assert!(printed.contains("\nthreads = 3 # --threads\n"), "{printed}");
    assert!(
        printed.contains("\nwrite = \"off\" # --set timeouts.write\n"),
        "{printed}"
    );
    assert!(
        printed.contains("\ndelay = \"2s\" # MONOLOOP_DRAIN_DELAY\n"),
        "{printed}"
    );

    // It is a file that means the same.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(&path, format!("# OK{printed}")).unwrap();
    let config: Config = Sources::new().file(path).load().unwrap().config;
    assert_eq!((config.threads, config.timeouts.write), (3, None));
}

#[test]
fn flags_are_explained() {
    let output = server(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for flag in [
        "--listen",
        "--config",
        "--check-config",
        "--threads",
        "--access-log",
        "--set",
    ] {
        assert!(stdout(&output).contains(flag), "{flag}");
    }
}
