//! Every line that is logged for a request has the request's id, wherever it is
//! logged. The only test of this program, because a process has one log.

use std::time::Duration;

use monoloop::config::{LogConfig, LogFormat, LogOutput};
use monoloop::{REQUEST_ID, RequestId, Runtime, spawn, spawn_blocking, time, trace};

#[test]
fn id_of_a_request_reaches_child_tasks_timers_and_the_blocking_pool() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.log");
    let config = LogConfig {
        format: LogFormat::Json,
        output: LogOutput::File(path.clone()),
        ..LogConfig::default()
    };
    let guard = trace::init(&config).unwrap();

    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let ids = [
            RequestId::take(b"first").unwrap(),
            RequestId::take(b"second").unwrap(),
        ];
        let requests = ids.map(|id| {
            spawn(REQUEST_ID.scope(id, async {
                tracing::info!("handler");
                let child = spawn(async {
                    time::sleep(Duration::from_millis(1)).await;
                    tracing::info!("child");
                    spawn(async { tracing::info!("grandchild") }).await.unwrap();
                });
                spawn_blocking(|| tracing::info!("pool")).await.unwrap();
                child.await.unwrap();
            }))
        });
        for request in requests {
            request.await.unwrap();
        }
        tracing::info!("nobody");
    });
    drop(guard);

    let mut lines: Vec<String> = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", line["request_id"], line["message"])
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "\"first\" \"child\"",
            "\"first\" \"grandchild\"",
            "\"first\" \"handler\"",
            "\"first\" \"pool\"",
            "\"second\" \"child\"",
            "\"second\" \"grandchild\"",
            "\"second\" \"handler\"",
            "\"second\" \"pool\"",
            "null \"nobody\"",
        ]
    );
}
