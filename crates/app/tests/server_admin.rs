//! The admin listener: metrics, ledger and health, also of a server that is full or leaves.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use monoloop::config::{AdminConfig, Config, DrainConfig};
use monoloop::net::TcpStream;
use monoloop::time::sleep;
use monoloop::{Reason, Request, Router, Runtime, Server, Shutdown};
use server_common::{Answer, Client, get, ms, quiet, secs, serve_with, server};
use std::collections::BTreeSet;
use std::net::SocketAddr;

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/users/{id}", |_| async { "user" })
        .get("/odd\"\\", |_| async { "odd" })
        .get("/slow/{seconds}", |request: Request| async move {
            let seconds = request.param("seconds").unwrap().parse().unwrap();
            sleep(secs(seconds)).await;
            "slow"
        })
}

/// A port that is free: nobody tells [`serve_with`]'s test where the admin listener is.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn ask(admin: SocketAddr, path: &str, fields: &str) -> Answer {
    let mut client = Client::new(TcpStream::connect(admin).await.unwrap());
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    client.send(request).await;
    client.answer().await
}

async fn metrics(admin: SocketAddr) -> String {
    let answer = ask(admin, "/metrics", "").await;
    assert_eq!(answer.status, 200);
    let of_prometheus = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.field("content-type"), Some(of_prometheus));
    answer.text().to_owned()
}

/// The value of a metric, with its labels as they are written.
#[track_caller]
fn value(metrics: &str, name: &str) -> f64 {
    let mut found = metrics.lines().filter_map(|line| {
        let (metric, value) = line.rsplit_once(' ')?;
        (metric == name).then(|| value.parse::<f64>().unwrap())
    });
    let value = found.next();
    assert!(found.next().is_none(), "{name} is there twice");
    value.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}

#[test]
fn metrics_say_what_happened_and_not_what_the_admin_listener_did() {
    let admin = free_address();
    let server = server().admin(admin);
    serve_with(&server, app, async |site| {
        let mut client = site.connect().await;
        for path in ["/", "/users/1", "/users/2", "/nowhere", "/healthz"] {
            client.get(path).await;
        }
        site.send("nonsense\r\n\r\n").await.rest().await;
        let _runs = site.send(get("/slow/5")).await;
        quiet().await;

        metrics(admin).await;
        let seen = metrics(admin).await;
        for (name, expected) in [
            ("connections_total", 3.0),
            ("connections_open", 2.0),
            ("connections_in_flight", 2.0),
            ("connections_ended_total{reason=\"parse_error\"}", 1.0),
            ("connections_ended_total{reason=\"shed\"}", 0.0),
            ("requests_total", 7.0),
            ("requests_in_flight", 1.0),
            ("requests_ended_total{reason=\"ok\"}", 5.0),
            ("requests_ended_total{reason=\"parse_error\"}", 1.0),
            ("responses_total{class=\"2xx\"}", 4.0),
            ("responses_total{class=\"4xx\"}", 2.0),
            ("route_responses_total{route=\"GET /\",class=\"2xx\"}", 1.0),
            (
                "route_responses_total{route=\"GET /users/{id}\",class=\"2xx\"}",
                2.0,
            ),
            (
                "route_responses_total{route=\"unmatched\",class=\"4xx\"}",
                1.0,
            ),
            ("route_responses_total{route=\"health\",class=\"2xx\"}", 1.0),
            (
                "request_duration_seconds_count{route=\"GET /users/{id}\"}",
                2.0,
            ),
            (
                "request_duration_seconds_bucket{le=\"+Inf\",route=\"GET /users/{id}\"}",
                2.0,
            ),
            (
                "request_duration_seconds_count{route=\"GET /odd\\\"\\\\\"}",
                0.0,
            ),
            ("loop_responding{loop=\"0\"}", 1.0),
            ("log_lines_lost_total", 0.0),
            ("accept_errors_total", 0.0),
        ] {
            assert_eq!(
                value(&seen, &format!("monoloop_{name}")),
                expected,
                "{name}"
            );
        }
        for positive in [
            "loop_turns_total{loop=\"0\"}",
            "loop_turn_seconds_count{loop=\"0\"}",
            "loop_queue_delay_seconds_count{loop=\"0\"}",
        ] {
            assert!(
                value(&seen, &format!("monoloop_{positive}")) > 0.0,
                "{positive}"
            );
        }
        assert!(!seen.contains("# EOF") && seen.contains("# TYPE monoloop_requests_total counter"));
    });
}

#[test]
fn a_slow_request_is_in_the_bucket_of_its_time() {
    let admin = free_address();
    serve_with(&server().admin(admin), app, async |site| {
        site.get("/slow/3").await;
        let seen = metrics(admin).await;
        let bucket = |le: &str| {
            let route = "route=\"GET /slow/{seconds}\"";
            value(
                &seen,
                &format!("monoloop_request_duration_seconds_bucket{{le=\"{le}\",{route}}}"),
            )
        };
        assert_eq!(
            (bucket("2.097152"), bucket("4.194304"), bucket("+Inf")),
            (0.0, 1.0, 1.0)
        );
    });
}

#[test]
fn openmetrics_is_given_to_those_who_ask_for_it() {
    let admin = free_address();
    serve_with(&server().admin(admin), app, async |_| {
        let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.3\r\n";
        let answer = ask(admin, "/metrics", accept).await;
        let of_openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.field("content-type"), Some(of_openmetrics));
        let text = answer.text();
        assert!(text.ends_with("# EOF\n") && text.contains("# TYPE monoloop_requests counter\n"));
    });
}

#[test]
fn a_server_that_is_full_is_still_watched() {
    let admin = free_address();
    let server = server().admin(admin).connections_max(2);
    serve_with(&server, app, async |site| {
        let _full = [site.connect().await, site.connect().await];
        let _waits = site.connect().await;
        quiet().await;
        let seen = metrics(admin).await;
        assert_eq!(value(&seen, "monoloop_connections_open"), 2.0);
        assert_eq!(ask(admin, "/health", "").await.status, 200);
    });
}

#[test]
fn a_server_that_drains_is_watched_to_its_end() {
    let admin = free_address();
    let drain = DrainConfig {
        delay: secs(2),
        timeout: secs(25),
    };
    let server = Server::from_config(&Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        drain,
        admin: AdminConfig {
            listen: Some(admin),
            ..AdminConfig::default()
        },
        ..Config::default()
    });
    let report = serve_with(&server, app, async |site| {
        let mut watcher = Client::new(TcpStream::connect(admin).await.unwrap());
        watcher.get("/health/ready").await.assert_kept(200);
        let mut runs = site.send(get("/slow/10")).await;
        quiet().await;
        site.shutdown.drain();
        for _ in 0..2 {
            quiet().await;
            let ready = watcher.get("/health/ready").await;
            assert_eq!((ready.status, ready.text()), (503, "draining\n"));
            assert_eq!(watcher.get("/health/live").await.status, 200);
            assert_eq!(
                value(&metrics(admin).await, "monoloop_requests_in_flight"),
                1.0
            );
            sleep(secs(4)).await;
        }
        runs.answer().await.assert_last(200);
        watcher.assert_closed().await;
    });
    assert!(report.took < secs(11), "{report:?}");
}

#[test]
fn the_ledger_is_there_as_json() {
    let admin = free_address();
    let server = server().admin(admin);
    serve_with(&server, app, async |site| {
        site.get("/").await;
        quiet().await;
        let answer = ask(admin, "/ledger", "").await;
        let seen: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(seen["requests"]["ended"]["ok"], 1);
        assert_eq!(seen["connections"]["started"], 1);
        assert_eq!(seen["connections"]["in_flight"], seen["open_connections"]);
        assert_eq!(seen["responses"]["2xx"], 1);
    });
    assert_eq!(server.ledger().snapshot().requests.ended_in(Reason::Ok), 1);
}

#[test]
fn the_metrics_of_several_loops_are_one() {
    let server = Server::bind("127.0.0.1:0").unwrap().threads(3);
    let running = server
        .admin("127.0.0.1:0".parse().unwrap())
        .start(app)
        .unwrap();
    let admin = running.admin_addr().unwrap();
    let address = running.local_addr();
    Runtime::new().unwrap().block_on(async {
        for _ in 0..30 {
            let mut client = Client::new(TcpStream::connect(address).await.unwrap());
            client.get("/").await.assert_kept(200);
        }
        // The last client may not be missed yet.
        sleep(ms(20)).await;
        let seen = metrics(admin).await;
        assert_eq!(value(&seen, "monoloop_requests_total"), 30.0);
        let route = "route=\"GET /\"";
        let count = format!("monoloop_route_responses_total{{{route},class=\"2xx\"}}");
        assert_eq!(value(&seen, &count), 30.0);
        for number in 0..3 {
            let turns = format!("monoloop_loop_turns_total{{loop=\"{number}\"}}");
            assert!(value(&seen, &turns) > 0.0);
            let waited = format!("monoloop_loop_waiting_seconds_total{{loop=\"{number}\"}}");
            assert!(value(&seen, &waited) > 0.0);
        }
    });
    running.stop();
}

#[test]
fn an_admin_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut runtime = Runtime::new().unwrap();
    let error = runtime.block_on(async {
        let server = server().admin(address);
        server.spawn(app, &Shutdown::new()).unwrap_err().to_string()
    });
    let expected = format!("cannot listen at {address} for admin.listen: ");
    assert!(
        error.starts_with(&expected) && error.ends_with("another port"),
        "{error}"
    );
}

/// The names in the first column of the guide's table, without the prefix that all of them have.
fn metrics_of_the_guide() -> BTreeSet<String> {
    let guide = include_str!("../src/guide/incidents.md");
    let (_, table) = guide.split_once("| metric | meaning |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| {
        let column = row.split('|').nth(1).unwrap();
        column.split('`').skip(1).step_by(2)
    });
    names.map(str::to_owned).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn the_guide_explains_all_metrics_and_no_others() {
    let admin = free_address();
    serve_with(&server().admin(admin), app, async |_| {
        let seen = metrics(admin).await;
        let families = seen.lines().filter_map(|line| {
            let (name, _kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some(name.strip_prefix("monoloop_").unwrap_or(name).to_owned())
        });
        assert_eq!(families.collect::<BTreeSet<_>>(), metrics_of_the_guide());
    });
}

#[test]
fn the_guide_explains_all_reasons() {
    let guide = include_str!("../src/guide/incidents.md");
    for reason in Reason::ALL {
        assert!(guide.contains(&format!("\n| `{reason}` |")), "{reason}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_there_by_the_names_that_everybody_uses() {
    let admin = free_address();
    serve_with(&server().admin(admin), app, async |_| {
        let seen = metrics(admin).await;
        assert!(value(&seen, "process_resident_memory_bytes") > 1e6);
        assert!(value(&seen, "process_virtual_memory_bytes") > 1e6);
        assert!(value(&seen, "process_cpu_seconds_total") >= 0.0);
        let (open, max) = (
            value(&seen, "process_open_fds"),
            value(&seen, "process_max_fds"),
        );
        assert!(open > 3.0 && open < max, "{open} of {max}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - value(&seen, "process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "{age}");
    });
}

#[test]
fn who_asks_for_what_is_not_there_adds_no_series() {
    let admin = free_address();
    serve_with(&server().admin(admin), app, async |site| {
        site.get("/").await;
        let before = metrics(admin).await.lines().count();
        for n in 0..50 {
            site.get(&format!("/nowhere/{n}")).await;
            let odd = format!("GET /{n}%22%0a HTTP/1.1\r\nHost: h{n}\r\nX-Request-Id: {n}\r\n\r\n");
            site.send(odd).await.answer().await;
        }
        let after = metrics(admin).await.lines().count();
        // Those of all that has no route.
        assert!(after <= before + 30, "{before} lines became {after}");
    });
}
