//! `loadtest attack`: a server that withstands passes, one that lets everybody do what they like fails.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Run, answer_each, loadtest, loadtest_args, ok, read_head, refused_port, server};
use monoloop::{Request, Router, Running, Server, Timeouts};
use serde_json::Value;

/// Few, quick and lenient about time: the machine of a test may be busy.
const SMALL: &str = "--connections 12 --duration 300ms --quiet 300ms --clients 4 --rate 50 \
                     --head-timeout 300ms --idle-timeout 1500ms --body-timeout 300ms \
                     --write-timeout 300ms";

/// All that need no more than a connection's timeouts and limits.
const WITHSTOOD: &str = "slowloris-head,slow-body,stalled-body,expect-never,idle-flood,\
                         half-close,reset-mid-body,oversize-head,header-bomb,garbage,smuggling,chunk-bomb,\
                         pipeline-flood,connection-churn,slow-read,no-read";

fn attack(url: &str, options: &str) -> Run {
    attack_with_p99(url, "10s", &format!("--grace 500ms {options}"))
}

fn attack_with_p99(url: &str, p99_max: &str, options: &str) -> Run {
    loadtest(&format!(
        "attack {url} {SMALL} --p99-max {p99_max} {options}"
    ))
}

fn faults(run: &Run, attack: &str) -> Vec<String> {
    let faults = &run.json["attacks"][attack]["faults"];
    let Value::Array(faults) = faults else {
        panic!("no faults of {attack}: {run:?}");
    };
    faults.iter().map(ToString::to_string).collect()
}

/// Routes as those of the example server, and timeouts as short as a test is.
fn good_server() -> Running {
    let short = Some(Duration::from_millis(300));
    let timeouts = Timeouts {
        head: short,
        // Longer than a well-behaved client leaves a connection idle, even on a busy machine.
        idle: Some(Duration::from_millis(1500)),
        body: short,
        write: short,
        ..Timeouts::default()
    };
    let app = || {
        Router::new()
            .get("/plaintext", async |_| "Hello, World!")
            .post("/echo", async |request: Request| request.into_bytes().await)
    };
    let server = Server::bind("127.0.0.1:0").expect("a port");
    server.timeouts(timeouts).start(app).expect("it starts")
}

#[test]
fn a_server_with_timeouts_and_limits_withstands() {
    let server = good_server();
    let url = format!("http://{}/plaintext", server.local_addr());
    let run = attack_with_p99(&url, "10s", &format!("--grace 10s --only {WITHSTOOD}"));
    for name in WITHSTOOD.split(',').map(str::trim) {
        assert_eq!(faults(&run, name), [""; 0], "{name}: {run:?}");
        assert!(
            run.number(&format!("/attacks/{name}/hostile")) > 0,
            "{run:?}"
        );
    }
    assert!(
        run.stdout
            .contains("? unverified: the ledger was not looked at"),
        "{run:?}"
    );
    server.stop();
}

/// Answers each head, whatever it says, and waits for the next as long as it takes.
fn weak(stream: TcpStream) {
    answer_each(stream, |_| Some(ok("hi")));
}

#[test]
fn a_server_that_waits_for_ever_fails_and_each_attack_says_why() {
    let url = format!("http://{}/", server(weak));
    let only =
        "slowloris-head,stalled-body,expect-never,idle-flood,oversize-head,smuggling,garbage";
    let run = attack(&url, &format!("--only {only}"));
    run.assert_code(1);
    for (name, why) in [
        ("slowloris-head", "head: still_open instead of 408"),
        ("stalled-body", "sized: served_200 instead of 408"),
        ("expect-never", "expect: served_200 instead of 408"),
        ("idle-flood", "still_open instead of closed"),
        ("oversize-head", "one field: "),
        ("smuggling", "CL.TE: served_200 instead of 400 or 501"),
        ("garbage", "instead of 400 or 501 or 505"),
    ] {
        let faults = faults(&run, name).join("\n");
        assert!(faults.contains(why), "{name}: {why}\n{faults}\n{run:?}");
    }
}

#[test]
fn a_server_that_stops_serving_others_fails_by_what_these_saw() {
    // One thread for all: whoever comes first is served for as long as it likes.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(400)));
            serve_one(stream);
        }
    });
    let run = attack_with_p99(&url, "200ms", "--only slowloris-head");
    run.assert_code(1);
    let faults = faults(&run, "slowloris-head").join("\n");
    assert!(
        faults.contains("well-behaved clients") || run.stdout.contains("INVALID"),
        "{run:?}"
    );
}

fn serve_one(mut stream: TcpStream) {
    while read_head(&mut stream).is_some() {
        if stream.write_all(ok("hi").as_bytes()).is_err() {
            return;
        }
    }
}

/// Serves `metrics` to whoever asks.
fn admin(metrics: &'static str) -> String {
    let address = server(move |stream| answer_each(stream, |_| Some(ok(metrics))));
    format!("http://{address}")
}

#[test]
fn a_ledger_that_does_not_have_the_attack_fails_it() {
    let server = good_server();
    let url = format!("http://{}/plaintext", server.local_addr());
    let admin = admin(
        "monoloop_connections_total 5\n\
         monoloop_connections_ended_total{reason=\"ok\"} 5\n\
         monoloop_connections_in_flight 0\n",
    );
    let run = attack_with_p99(
        &url,
        "10s",
        &format!("--grace 10s --only oversize-head --admin {admin}"),
    );
    run.assert_code(1);
    let faults = faults(&run, "oversize-head").join("\n");
    assert!(
        faults.contains("the ledger has 0 of 12 hostile connections under limit"),
        "{faults}"
    );
    server.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_watched_where_the_process_is_known() {
    let server = good_server();
    let url = format!("http://{}/plaintext", server.local_addr());
    let pid = std::process::id();
    let run = attack_with_p99(
        &url,
        "10s",
        &format!("--grace 10s --only oversize-head --pid {pid} --memory-margin 1000"),
    );
    assert!(run.number("/attacks/oversize-head/memory/before_bytes") > 0);
    assert_eq!(faults(&run, "oversize-head"), [""; 0]);
    server.stop();
}

#[test]
fn a_server_that_is_not_there_is_a_mistake_and_no_verdict() {
    let run = attack(&format!("http://{}/", refused_port()), "--all");
    run.assert_code(2);
    assert!(run.stderr.contains("though nobody attacks"), "{run:?}");
    let metrics = admin("up 1\n");
    let url = format!("http://{}/", server(weak));
    let run = attack(&url, &format!("--only garbage --admin {metrics}"));
    run.assert_code(2);
    assert!(
        run.stderr
            .contains("the ledger cannot be read: no monoloop_"),
        "{run:?}"
    );
}

#[test]
fn the_list_names_every_attack_and_needs_no_server() {
    let run = loadtest_args(&["attack", "--list"]);
    run.assert_code(0);
    for name in WITHSTOOD.split(',').map(str::trim).chain(["fd-exhaustion"]) {
        assert!(run.stdout.contains(name), "{name}: {run:?}");
    }
    let help = loadtest_args(&["attack", "--help"]);
    assert!(
        help.stdout.contains("Exit status: 0 when no attack failed"),
        "{help:?}"
    );
}

#[test]
fn mistakes_name_the_input_and_the_remedy() {
    let checks: [(&[&str], &str, &str); 4] = [
        (&["http://127.0.0.1:1/"], "not said which attacks", "--list"),
        (
            &["--all", "http://192.0.2.1/"],
            "neither loopback nor",
            "--i-own-this-server",
        ),
        (
            &["--only", "slowlori-head", "http://127.0.0.1:1/"],
            "'slowlori-head'",
            "slowloris-head",
        ),
        (&["--all"], "<URL>", "--help"),
    ];
    for (arguments, input, remedy) in checks {
        let run = loadtest_args(&[&["attack"], arguments].concat());
        run.assert_code(2);
        assert!(run.stderr.contains(input), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(remedy), "{arguments:?}: {run:?}");
    }
}

#[test]
fn a_server_that_answers_what_was_smuggled_is_caught() {
    // Takes the body for the next request, and answers the first as the last.
    let url = format!(
        "http://{}/",
        server(|mut stream| {
            let Some(head) = read_head(&mut stream) else {
                return;
            };
            if head.starts_with("GET") {
                let _ = stream.write_all(ok("hi").as_bytes());
                return weak(stream);
            }
            let refusal = "HTTP/1.1 400 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all((refusal.to_owned() + &ok("smuggled")).as_bytes());
            let _ = stream.read(&mut [0; 4096]);
        })
    );
    let run = attack(&url, "--only smuggling");
    run.assert_code(1);
    let faults = faults(&run, "smuggling").join("\n");
    assert!(
        faults.contains("fooled instead of 400 or 501"),
        "{faults}\n{run:?}"
    );
}
