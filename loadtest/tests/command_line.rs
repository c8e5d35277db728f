//! Mistakes in the command line, Ctrl-C, and what a run prints around its result.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use common::{answer_each, loadtest, loadtest_args, ok, refused_port, server};

#[test]
fn a_mistake_names_the_input_and_the_remedy_and_ends_with_status_two() {
    let checks: [(&[&str], &str, &str); 12] = [
        (
            &["http", "https://127.0.0.1/"],
            "https://127.0.0.1/: https is not supported",
            "http port",
        ),
        (
            &["http", "http:///path"],
            "http:///path: the URL names no host",
            "whole URL",
        ),
        (&["http", "127.0.0.1:80/"], "no scheme", "whole URL"),
        (
            &["http", "http://127.0.0.1:1/", "-c", "0"],
            "--connections 0",
            "one or more",
        ),
        (
            &["http", "http://127.0.0.1:1/", "--rate", "fast"],
            "'fast' for '--rate",
            "such as 5000",
        ),
        (
            &["http", "http://127.0.0.1:1/", "--rate"],
            "--rate <PER_SECOND>",
            "--help",
        ),
        (
            &["http", "http://127.0.0.1:1/", "-d", "5s", "-n", "10"],
            "--duration 5s --requests 10",
            "Leave one of them out",
        ),
        (
            &["http", "http://127.0.0.1:1/", "-H", "Accept"],
            "--header 'Accept'",
            "Name: value",
        ),
        (
            &["http", "http://127.0.0.1:1/", "--source", "here"],
            "--source here",
            "127.0.0.4",
        ),
        (&["echo", "127.0.0.1"], "127.0.0.1: no port", "host:port"),
        (
            &["echo", "127.0.0.1:1", "--size", "0"],
            "--size 0",
            "64 bytes",
        ),
        (
            &["demo", "--connections", "0"],
            "--connections 0",
            "one or more",
        ),
    ];
    for (arguments, input, remedy) in checks {
        let run = loadtest_args(arguments);
        run.assert_code(2);
        assert!(run.stderr.contains(input), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(remedy), "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_limit_on_open_files_that_is_too_low_is_named_with_its_remedy() {
    let address = refused_port();
    let binary = env!("CARGO_BIN_EXE_loadtest");
    let script = format!("ulimit -n 200; exec {binary} http http://{address}/ -c 1000");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("a shell");
    let run = common::Run::of(&output, "");
    if run.code == Some(1) {
        // A privileged process may raise the limit again; then the port is what refuses.
        assert!(run.stdout.contains("connect_refused"), "{run:?}");
        return;
    }
    run.assert_code(2);
    assert!(
        run.stderr
            .contains("--connections 1000: needs 1064 open files"),
        "{run:?}"
    );
    assert!(run.stderr.contains("at most 136 connections"), "{run:?}");
    assert!(run.stderr.contains("ulimit -n 1064"), "{run:?}");
}

#[test]
fn a_json_file_that_cannot_be_written_is_named_after_the_report() {
    let address = server(|stream| answer_each(stream, |_| Some(ok("hi"))));
    let url = format!("http://{address}/");
    let run = loadtest_args(&[
        "http",
        &url,
        "-n",
        "1",
        "-c",
        "1",
        "--json",
        "/no/such/dir/x.json",
    ]);
    run.assert_code(2);
    assert!(run.stdout.contains("answered      1 in"), "{run:?}");
    assert!(run.stderr.contains("--json /no/such/dir/x.json"), "{run:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_early_and_prints_the_report() {
    use std::io::{BufRead, BufReader, Read};

    let (sender, requests) = std::sync::mpsc::channel();
    let address = server(move |stream| {
        let sender = sender.clone();
        answer_each(stream, move |_| {
            let _ = sender.send(());
            Some(ok("hi"))
        });
    });
    let mut child = common::start(&format!("http http://{address}/ -c 2 -d 1h --warmup 0s"));
    for _ in 0..100 {
        requests.recv().expect("requests come");
    }
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    let mut text = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout);
    lines.read_line(&mut text).expect("text");
    assert!(text.starts_with("GET http://"), "{text}");
    lines.read_to_string(&mut text).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(text.contains("INTERRUPTED"), "{text}");
    assert!(text.contains("status        200: "), "{text}");
}

#[test]
fn the_plan_is_printed_first() {
    let address = server(|stream| answer_each(stream, |_| Some(ok("hi"))));
    let run = loadtest(&format!("http http://{address}/x -n 3 -c 2"));
    let expected = format!("GET http://{address}/x\n2 connections, closed loop, 3 requests\n");
    assert!(run.stdout.starts_with(&expected), "{run:?}");
    assert_eq!(
        run.json["options"]["target"],
        format!("GET http://{address}/x")
    );
    assert_eq!(run.json["schema"], 1);
}
