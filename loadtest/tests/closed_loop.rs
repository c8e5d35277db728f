//! Closed-loop runs against servers that answer, close, break and refuse.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{answer_each, loadtest, loadtest_args, ok, read_head, refused_port, server};

#[test]
fn a_counted_run_sends_exactly_its_requests() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = server(move |stream| {
        let count = Arc::clone(&count);
        answer_each(stream, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(ok("hi"))
        });
    });
    let run = loadtest(&format!("http http://{address}/x -n 500 -c 7"));
    run.assert_code(0);
    assert_eq!(seen.load(Ordering::SeqCst), 500);
    assert_eq!(run.number("/requests/answered"), 500);
    assert_eq!(run.number("/requests/failed"), 0);
    assert_eq!(run.number("/requests/in_flight"), 0);
    assert_eq!(run.number("/statuses/200"), 500);
    assert_eq!(run.number("/latency/since_sent/count"), 500);
    assert_eq!(run.number("/connections/made"), 7);
    assert_eq!(
        run.number("/bytes/received_bytes"),
        500 * ok("hi").len() as u64
    );
    assert_eq!(run.json["ended"], "requests");
    assert!(run.stdout.contains("answered      500 in "), "{run:?}");
    assert!(run.stdout.contains("status        200: 500"), "{run:?}");
    assert_eq!(run.stderr, "", "no progress line in a pipe");
}

#[test]
fn the_request_goes_out_as_asked() {
    let (sender, heads) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        let head = read_head(&mut stream).expect("a head");
        let mut body = [0; 5];
        stream.read_exact(&mut body).expect("the body");
        sender.send((head, body)).expect("the test waits");
        stream
            .write_all(ok("").as_bytes())
            .expect("the client reads");
        let _ = stream.read(&mut body);
    });
    let run = loadtest(&format!(
        "http http://{address}/a?b -n 1 -c 1 -X PUT -H Accept:text/plain -H X-A:1 --body hello"
    ));
    run.assert_code(0);
    let (head, body) = heads.recv().expect("a request");
    let expected = format!(
        "PUT /a?b HTTP/1.1\r\nhost: {address}\r\naccept: text/plain\r\nx-a: 1\r\n\
         content-length: 5\r\n\r\n"
    );
    assert_eq!((head.as_str(), &body), (expected.as_str(), b"hello"));
}

#[test]
fn chunked_answers_and_answers_of_every_status_are_counted() {
    let address = server(|stream| {
        answer_each(stream, |number| {
            Some(match number % 3 {
                0 => "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .into(),
                1 => "HTTP/1.1 204 No Content\r\n\r\n".into(),
                _ => ok("hi"),
            })
        });
    });
    let run = loadtest(&format!("http http://{address}/ -n 30 -c 1"));
    run.assert_code(0);
    for status in [200, 204, 404] {
        assert_eq!(run.number(&format!("/statuses/{status}")), 10);
    }
    assert!(
        run.stdout.contains("10 of 30 answers have a status of 400"),
        "{run:?}"
    );
}

#[test]
fn pipelined_requests_go_out_together() {
    let address = server(|mut stream| {
        // Nothing is answered before eight requests have come.
        loop {
            for _ in 0..8 {
                if read_head(&mut stream).is_none() {
                    return;
                }
            }
            let answers = ok("hi").repeat(8);
            if stream.write_all(answers.as_bytes()).is_err() {
                return;
            }
        }
    });
    let run = loadtest(&format!("http http://{address}/ -n 800 -c 2 --pipeline 8"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 800);
}

#[test]
fn an_answer_that_closes_is_no_error_and_loses_nothing_pipelined() {
    let address = server(|stream| {
        answer_each(stream, |number| match number {
            0 | 1 => Some(ok("hi")),
            2 => Some("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".into()),
            _ => None,
        });
    });
    let run = loadtest(&format!("http http://{address}/ -n 100 -c 2 --pipeline 4"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 100);
    assert_eq!(run.number("/requests/failed"), 0);
    assert!(run.number("/requests/resent") > 0);
    assert!(run.number("/connections/closed_by_answer") >= 30);
    assert_eq!(run.number("/connections/broken"), 0);
    assert!(run.stdout.contains("errors        none"), "{run:?}");
}

#[test]
fn requests_that_ask_to_close_each_have_a_connection() {
    let address = server(|stream| {
        // The answer does not say that it is the last.
        answer_each(stream, |number| (number == 0).then(|| ok("hi")));
    });
    let run = loadtest_args(&[
        "http",
        &format!("http://{address}/"),
        "-n20",
        "-c2",
        "-H",
        "Connection: close",
        "--timeout",
        "2s",
    ]);
    run.assert_code(0);
    assert!(run.stdout.contains("errors        none"), "{run:?}");
    assert!(run.stdout.contains("status        200: 20"), "{run:?}");
    assert!(run.stdout.contains("ended by an answer"), "{run:?}");
}

#[test]
fn a_body_that_ends_with_the_connection_is_a_whole_answer() {
    let address = server(|mut stream| {
        if read_head(&mut stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
        }
    });
    let run = loadtest(&format!("http http://{address}/ -n 10 -c 2"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 10);
    assert_eq!(run.number("/requests/failed"), 0);
}

#[test]
fn answers_cut_short_are_errors_and_the_connection_is_made_again() {
    let address = server(|mut stream| {
        if read_head(&mut stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
    });
    let run = loadtest(&format!("http http://{address}/ -n 6 -c 2"));
    run.assert_code(1);
    assert_eq!(run.number("/requests/answered"), 0);
    assert_eq!(run.number("/errors/closed_early/count"), 6);
    assert_eq!(run.number("/connections/broken"), 6);
    assert!(run.number("/connections/reconnects") >= 4);
    assert!(run.stdout.contains("6 closed_early"), "{run:?}");
}

#[test]
fn what_is_no_http_is_an_error_of_the_protocol() {
    let address = server(|mut stream| {
        if read_head(&mut stream).is_some() {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
        }
    });
    let run = loadtest(&format!("http http://{address}/ -n 4 -c 1"));
    run.assert_code(1);
    assert_eq!(run.number("/errors/protocol/count"), 4);
}

#[test]
fn a_server_that_never_answers_runs_into_the_timeout() {
    let address = server(|mut stream| while read_head(&mut stream).is_some() {});
    let run = loadtest(&format!("http http://{address}/ -n 4 -c 2 --timeout 50ms"));
    run.assert_code(1);
    assert_eq!(run.number("/errors/timeout/count"), 4);
    assert!(run.stdout.contains("no answer within 50ms"), "{run:?}");
}

#[test]
fn requests_in_flight_at_the_end_are_neither_answered_nor_failed() {
    let address = server(|stream| answer_each(stream, |number| (number < 5).then(|| ok("hi"))));
    // The sixth request of each connection is read and never answered.
    let silent = server(|mut stream| {
        for _ in 0..5 {
            if read_head(&mut stream).is_none() || stream.write_all(ok("hi").as_bytes()).is_err() {
                return;
            }
        }
        while read_head(&mut stream).is_some() {}
    });
    let run = loadtest(&format!("http http://{silent}/ -d 300ms --warmup 0s -c 3"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 15);
    assert_eq!(run.number("/requests/failed"), 0);
    assert_eq!(run.number("/requests/in_flight"), 3);
    assert!(run.number("/requests/oldest_in_flight_ns") > 100_000_000);
    assert_eq!(run.json["ended"], "time");
    // The other server closes instead: that is an error each time.
    let run = loadtest(&format!("http http://{address}/ -n 12 -c 1"));
    assert_eq!(run.number("/requests/answered"), 10);
    assert_eq!(run.number("/errors/closed_early/count"), 2);
}

#[test]
fn a_refused_port_ends_the_run_at_once_with_status_one() {
    let address = refused_port();
    let run = loadtest(&format!("http http://{address}/ -c 50 -d 1h"));
    run.assert_code(1);
    assert_eq!(run.json["ended"], "gave_up");
    assert!(run.number("/connections/failed/connect_refused/count") >= 3);
    assert!(run.stdout.contains("GAVE UP"), "{run:?}");
    assert!(run.stdout.contains("is the server running"), "{run:?}");
}

#[test]
fn the_warm_up_is_not_counted() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = server(move |stream| {
        let count = Arc::clone(&count);
        answer_each(stream, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(ok("hi"))
        });
    });
    let run = loadtest(&format!("http http://{address}/ -n 10 -c 2 --warmup 100ms"));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 10);
    assert!(seen.load(Ordering::SeqCst) > 10);
}

#[test]
fn echoes_are_counted_and_compared() {
    let address = server(|mut stream| {
        let mut buffer = [0; 1_000];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
    let run = loadtest(&format!(
        "echo {address} --size 3000 -n 200 -c 3 --pipeline 2"
    ));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 200);
    assert_eq!(run.number("/bytes/sent_bytes"), 200 * 3_000);
    assert_eq!(run.number("/bytes/received_bytes"), 200 * 3_000);
    assert_eq!(run.number("/options/size_bytes"), 3_000);

    let wrong = server(|mut stream| {
        let mut buffer = [0; 64];
        while let Ok(()) = stream.read_exact(&mut buffer) {
            buffer[10] ^= 1;
            if stream.write_all(&buffer).is_err() {
                return;
            }
        }
    });
    let run = loadtest(&format!("echo {wrong} -n 3 -c 1"));
    run.assert_code(1);
    assert_eq!(run.number("/errors/protocol/count"), 3);
}

#[test]
fn a_batch_larger_than_all_buffers_does_not_lock_up() {
    let address = server(|mut stream| {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
    let run = loadtest(&format!(
        "echo {address} --size 1000000 -n 32 -c 1 --pipeline 16"
    ));
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 32);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_come_from_the_sources_given() {
    let (sender, peers) = std::sync::mpsc::channel();
    let address = server(move |stream| {
        sender
            .send(stream.peer_addr().expect("connected").ip().to_string())
            .expect("test waits");
        answer_each(stream, |_| Some(ok("hi")));
    });
    let run = loadtest(&format!(
        "http http://{address}/ -n 40 -c 4 --source 127.0.0.2-127.0.0.3"
    ));
    run.assert_code(0);
    let mut seen: Vec<String> = peers.try_iter().collect();
    seen.sort();
    assert_eq!(seen, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
}

#[test]
fn a_ledger_that_tells_otherwise_fails_the_run_and_both_sides_are_shown() {
    const METRICS: &str = "monoloop_connections_total 7\n\
                           monoloop_connections_ended_total{reason=\"ok\"} 7\n\
                           monoloop_requests_total 9\n\
                           monoloop_requests_ended_total{reason=\"ok\"} 9\n";
    let address = server(|stream| answer_each(stream, |_| Some(ok("hi"))));
    let admin = server(|stream| answer_each(stream, |_| Some(ok(METRICS))));
    let run = loadtest(&format!(
        "http http://{address}/ -n 20 -c 2 --reconcile http://{admin}/"
    ));
    run.assert_code(1);
    assert_eq!(run.json["server"]["reconciled"], false, "{run:?}");
    assert_eq!(run.number("/server/client_answered"), 20);
    assert_eq!(run.number("/server/server_ok"), 0);
    assert!(run.stdout.contains("NOT reconciled"), "{run:?}");
}
