//! Which driver a loop runs on, and who says so.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use monoloop_runtime::{DriverKind, Runtime};
use std::io::ErrorKind;
use std::process::Command;

/// The driver of a loop, as it says itself.
fn driver_of(runtime: &Runtime) -> &'static str {
    let text = format!("{runtime:?}");
    match (text.contains("\"selector\""), text.contains("\"poll\"")) {
        (true, false) => "selector",
        (false, true) => "poll",
        _ => panic!("{text} names one driver"),
    }
}

/// Not a test by itself: what the others start, in an environment of their own.
#[test]
fn child() {
    let Some(expected) = std::env::var_os("MONOLOOP_TEST_EXPECTS") else {
        return;
    };
    let expected = expected.to_str().unwrap();
    let found = match Runtime::new() {
        Ok(runtime) => driver_of(&runtime).to_owned(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        }
    };
    assert_eq!(found, expected);
    // The code knows better than the environment.
    let runtime = Runtime::builder().driver(DriverKind::Selector).build();
    assert_eq!(driver_of(&runtime.unwrap()), "selector");
}

#[track_caller]
fn check(environment: Option<&str>, expected: &str) {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["child", "--exact", "--nocapture"])
        .env("MONOLOOP_TEST_EXPECTS", expected);
    match environment {
        Some(value) => test.env("MONOLOOP_DRIVER", value),
        None => test.env_remove("MONOLOOP_DRIVER"),
    };
    let output = test.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_loop_runs_on_the_selector_unless_somebody_says_otherwise() {
    check(None, "selector");
    check(Some("selector"), "selector");
}

#[cfg(unix)]
#[test]
fn a_loop_runs_on_poll_when_the_environment_or_the_code_says_so() {
    check(Some("poll"), "poll");
    let runtime = Runtime::builder().driver(DriverKind::Poll).build();
    assert_eq!(driver_of(&runtime.unwrap()), "poll");
}

#[test]
fn an_unknown_driver_is_an_error_that_names_it_and_the_choices() {
    check(
        Some("epol"),
        r#"MONOLOOP_DRIVER: there is no driver "epol": choose selector or poll"#,
    );
    check(
        Some(""),
        r#"MONOLOOP_DRIVER: there is no driver "": choose selector or poll"#,
    );
}

#[test]
fn the_simulation_is_not_chosen_and_the_error_says_how_it_is_made() {
    check(
        Some("simulation"),
        "MONOLOOP_DRIVER: a simulated world is not chosen for a program, it is made around a \
         future: monoloop_runtime::sim::run(seed, future); choose selector or poll",
    );
}
