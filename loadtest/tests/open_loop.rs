//! Open-loop runs: what a stall does to the percentiles.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::{answer_each, loadtest, ok, server};

const STALL: Duration = Duration::from_millis(400);

/// Waits without sleeping: nobody ever sends.
fn stall(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

#[test]
fn a_stall_shows_in_the_latency_since_due_and_hides_in_the_latency_since_sent() {
    let address = server(|stream| {
        answer_each(stream, |number| {
            if number == 20 {
                stall(STALL);
            }
            Some(ok("hi"))
        });
    });
    // One connection and 1,000 ms at 100/s: some 40 of the 100 requests become due in the stall.
    let run = loadtest(&format!("http http://{address}/ -c 1 --rate 100 -n 100"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 100);
    assert!(run.number("/requests/queued") >= 20, "{run:?}");
    let stalled_ns = STALL.as_nanos() as u64;
    // Only one answer took that long by itself ..
    assert!(
        run.number("/latency/since_sent/p90_ns") < stalled_ns / 4,
        "{run:?}"
    );
    assert!(
        run.number("/latency/since_sent/max_ns") >= stalled_ns,
        "{run:?}"
    );
    // .. but one request in ten waited most of it.
    assert!(
        run.number("/latency/since_due/p90_ns") > stalled_ns / 2,
        "{run:?}"
    );
    assert!(run.stdout.contains("since due"), "{run:?}");
    assert!(
        run.stdout.contains("requests found every connection busy"),
        "{run:?}"
    );
}

#[test]
fn the_rate_is_kept_however_many_connections_there_are() {
    let address = server(|stream| answer_each(stream, |_| Some(ok("hi"))));
    for connections in [1, 20] {
        let run = loadtest(&format!(
            "http http://{address}/ -c {connections} --rate 500 -d 400ms --warmup 100ms"
        ));
        run.assert_code(0);
        // Due from 0 to 400 ms: 200, give or take what is in flight at the end.
        let answered = run.number("/requests/answered");
        let unanswered = run.number("/requests/in_flight") + run.number("/requests/unsent");
        assert!(answered <= 230, "{run:?}");
        assert!(answered + unanswered >= 190, "{run:?}");
        assert_eq!(run.number("/latency/since_due/count"), answered);
    }
}

#[test]
fn requests_that_could_not_be_sent_are_reported() {
    let address = server(|stream| {
        answer_each(stream, |number| {
            if number > 0 {
                stall(Duration::from_secs(60));
            }
            Some(ok("hi"))
        });
    });
    let run = loadtest(&format!(
        "http http://{address}/ -c 2 --rate 100 -d 500ms --warmup 0s"
    ));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 2);
    assert_eq!(run.number("/requests/in_flight"), 2);
    assert!(run.number("/requests/unsent") >= 20, "{run:?}");
    assert!(
        run.number("/requests/oldest_unsent_ns") >= 200_000_000,
        "{run:?}"
    );
    assert!(
        run.stdout.contains("requests were due and never sent"),
        "{run:?}"
    );
}

#[test]
fn due_requests_may_share_a_write() {
    let address = server(|stream| answer_each(stream, |_| Some(ok("hi"))));
    let run = loadtest(&format!(
        "http http://{address}/ -c 2 --rate 5000 -n 1000 --pipeline 8"
    ));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 1_000);
    assert_eq!(run.number("/latency/since_due/count"), 1_000);
}

#[test]
fn a_server_that_closes_idle_connections_costs_no_errors() {
    let address = server(|stream| {
        stream
            .set_read_timeout(Some(Duration::from_millis(30)))
            .expect("a timeout");
        answer_each(stream, |_| Some(ok("hi")));
    });
    // Ten connections take turns, each every 200 ms, so the server closes them in between.
    let run = loadtest(&format!("http http://{address}/ -c 10 --rate 50 -n 40"));
    run.assert_code(0);
    assert_eq!(
        run.number("/requests/answered") + run.number("/requests/failed"),
        40
    );
    assert!(run.number("/connections/closed_idle") > 0, "{run:?}");
    assert!(run.number("/requests/answered") >= 30, "{run:?}");
}
