//! What a run will do: the options, checked against each other and with every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{DemoArgs, EchoArgs, HttpArgs, LoadArgs, RequestArgs};
use crate::ledger::Admin;
use crate::memory;
use crate::request::HttpRequest;
use crate::server_watch::Watched;
use crate::sources::{self, Sources};
use crate::target::{self, HttpTarget};
use crate::usage::UsageError;

/// Further than any one machine goes.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// As many requests in one write as anyone has sent for a reason.
const PIPELINE_MAX: u64 = 10_000;
/// A message, or a batch of pipelined requests, is kept in memory whole.
const BATCH_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A run, ready to be started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) stop: Stop,
    /// Requests due per second (open loop); `None` in the closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) warmup: Duration,
    pub(crate) pipeline: u32,
    pub(crate) timeout: Duration,
    /// New connections per second during set-up.
    pub(crate) connect_rate: f64,
    pub(crate) sources: Sources,
    pub(crate) json: Option<PathBuf>,
    /// What is to be known of the server itself.
    pub(crate) watched: Watched,
}

/// What each connection sends.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Http(HttpRequest),
    Echo { message_bytes: usize },
}

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    After(Duration),
    Requests(u64),
}

struct Defaults {
    connections: u64,
    duration: Duration,
}

const DEFAULTS: Defaults = Defaults {
    connections: 64,
    duration: Duration::from_secs(10),
};
/// Enough clients to see what one thread holds, and short enough to wait for.
const DEMO_DEFAULTS: Defaults = Defaults {
    connections: 1_000,
    duration: Duration::from_secs(6),
};
const WARMUP_DEFAULT: Duration = Duration::from_secs(1);

impl Plan {
    pub(crate) fn http(args: HttpArgs) -> Result<Self, UsageError> {
        let target = HttpTarget::parse(&args.url)?;
        let work = HttpRequest::new(target.clone(), &args.request)?;
        check_load(&args.load, &DEFAULTS)?;
        let admin = args.reconcile.as_deref().map(Admin::parse).transpose()?;
        if let Some(pid) = args.pid {
            memory::check_pid(pid)?;
        }
        let plan = Self::new(Work::Http(work), target.resolve()?, args.load, &DEFAULTS)?;
        Ok(Self {
            watched: Watched {
                admin,
                pid: args.pid,
            },
            ..plan
        })
    }

    pub(crate) fn echo(args: EchoArgs) -> Result<Self, UsageError> {
        if args.size == 0 || args.size > BATCH_BYTES_MAX {
            return Err(UsageError::new(
                format!("--size {}", args.size),
                format!("a message has between 1 and {BATCH_BYTES_MAX} bytes"),
                "Leave --size out for 64 bytes.",
            ));
        }
        let message_bytes = usize::try_from(args.size).unwrap_or(usize::MAX);
        check_load(&args.load, &DEFAULTS)?;
        let address = target::resolve_address(&args.address)?;
        Self::new(Work::Echo { message_bytes }, address, args.load, &DEFAULTS)
    }

    /// Judges the demo's options before its server is started.
    pub(crate) fn check_demo(args: &DemoArgs) -> Result<(), UsageError> {
        check_load(&args.load, &DEMO_DEFAULTS)
    }

    /// How many connections the demo's server will have to take.
    pub(crate) fn demo_connections(args: &DemoArgs) -> u64 {
        args.load.connections.unwrap_or(DEMO_DEFAULTS.connections)
    }

    pub(crate) fn demo(args: DemoArgs, server: SocketAddr) -> Result<Self, UsageError> {
        let target = HttpTarget::parse(&format!("http://{server}/plaintext"))?;
        let work = HttpRequest::new(
            target,
            &RequestArgs {
                method: None,
                header: vec![],
                body: None,
            },
        )?;
        Self::new(Work::Http(work), server, args.load, &DEMO_DEFAULTS)
    }

    fn new(
        work: Work,
        address: SocketAddr,
        load: LoadArgs,
        defaults: &Defaults,
    ) -> Result<Self, UsageError> {
        let connections = load.connections.unwrap_or(defaults.connections);
        let given = match &load.source {
            Some(list) => Sources::parse(list)?,
            None => Sources::default(),
        };
        let request_bytes = match &work {
            Work::Http(request) => request.encoded.len(),
            Work::Echo { message_bytes } => *message_bytes,
        };
        if load.pipeline.saturating_mul(request_bytes as u64) > BATCH_BYTES_MAX {
            return Err(UsageError::new(
                format!("--pipeline {}", load.pipeline),
                format!(
                    "{} requests of {request_bytes} bytes are too much for one write",
                    load.pipeline
                ),
                "Pipeline fewer, or send less.",
            ));
        }
        if load.pipeline > 1 && matches!(&work, Work::Http(request) if request.asks_to_close) {
            return Err(UsageError::new(
                format!("--pipeline {} with Connection: close", load.pipeline),
                "nothing may be sent behind a request that ends the connection",
                "Leave one of them out.",
            ));
        }
        Ok(Self {
            work,
            address,
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            stop: match load.requests {
                Some(requests) => Stop::Requests(requests),
                None => Stop::After(load.duration.unwrap_or(defaults.duration)),
            },
            rate: load.rate,
            warmup: load.warmup.unwrap_or(match load.requests {
                // Who counts requests does not expect others before them.
                Some(_) => Duration::ZERO,
                None => WARMUP_DEFAULT,
            }),
            pipeline: u32::try_from(load.pipeline).unwrap_or(u32::MAX),
            timeout: load.timeout,
            connect_rate: load.connect_rate,
            sources: given.settle(address, connections, sources::ephemeral_ports())?,
            json: load.json,
            watched: Watched::default(),
        })
    }

    /// What is loaded, in one line.
    pub(crate) fn describe_work(&self) -> String {
        match &self.work {
            Work::Http(work) => {
                format!(
                    "{} http://{}{}",
                    work.method, work.target.authority, work.target.path
                )
            }
            Work::Echo { message_bytes } => {
                format!("echo of {message_bytes} bytes at {}", self.address)
            }
        }
    }
}

/// Judges what does not depend on the target, before anything is looked up or started.
fn check_load(load: &LoadArgs, defaults: &Defaults) -> Result<(), UsageError> {
    let connections = load.connections.unwrap_or(defaults.connections);
    let refuse =
        |input: String, reason: &str, remedy: &str| Err(UsageError::new(input, reason, remedy));
    if connections == 0 {
        return refuse(
            "--connections 0".into(),
            "there is nothing to load with",
            "Ask for one or more.",
        );
    }
    if connections > CONNECTIONS_MAX {
        return refuse(
            format!("--connections {connections}"),
            "one thread cannot hold more than 1,000,000",
            "Ask for fewer, or run several clients.",
        );
    }
    if load.requests == Some(0) {
        return refuse(
            "--requests 0".into(),
            "there is nothing to send",
            "Ask for one or more.",
        );
    }
    if let (Some(duration), Some(requests)) = (load.duration, load.requests) {
        return refuse(
            format!(
                "--duration {} --requests {requests}",
                humantime::format_duration(duration)
            ),
            "a run ends after a time or after a number of requests, not both",
            "Leave one of them out.",
        );
    }
    if load.duration.is_some_and(|duration| duration.is_zero()) {
        return refuse(
            "--duration 0s".into(),
            "nothing could be measured",
            "Ask for 1s or more.",
        );
    }
    if load.timeout.is_zero() {
        return refuse(
            "--timeout 0s".into(),
            "no answer is that fast",
            "Ask for 1ms or more.",
        );
    }
    if load.pipeline == 0 || load.pipeline > PIPELINE_MAX {
        return refuse(
            format!("--pipeline {}", load.pipeline),
            "a write carries between 1 and 10,000 requests",
            "Leave --pipeline out to send one at a time.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan(options: &[&str]) -> Result<Plan, String> {
        let line = ["loadtest", "http", "http://127.0.0.1:1/x"]
            .iter()
            .chain(options);
        let Command::Http(args) = Cli::try_parse_from(line)
            .expect("the shape is good")
            .command
        else {
            unreachable!("the line says http");
        };
        Plan::http(args).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_a_closed_loop_of_64_for_ten_seconds() {
        let plan = plan(&[]).expect("plan");
        assert_eq!(plan.connections, 64);
        assert_eq!(plan.stop, Stop::After(Duration::from_secs(10)));
        assert_eq!(plan.rate, None);
        assert_eq!(plan.warmup, Duration::from_secs(1));
    }

    #[test]
    fn a_counted_run_has_no_warm_up_unless_asked() {
        assert_eq!(plan(&["-n", "10"]).expect("plan").warmup, Duration::ZERO);
        let asked = plan(&["-n", "10", "--warmup", "2s"]).expect("plan");
        assert_eq!(asked.warmup, Duration::from_secs(2));
        assert_eq!(asked.stop, Stop::Requests(10));
    }

    #[test]
    fn the_bytes_of_one_write_are_bounded() {
        let line = [
            "loadtest",
            "echo",
            "127.0.0.1:1",
            "--size",
            "100000000",
            "-p",
            "3",
        ];
        let Command::Echo(args) = Cli::parse_from(line).command else {
            unreachable!("the line says echo");
        };
        let error = Plan::echo(args).expect_err("accepted").to_string();
        assert!(
            error.contains("--pipeline 3: 3 requests of 100000000 bytes"),
            "{error}"
        );
    }

    #[test]
    fn options_that_make_no_sense_are_refused_with_input_and_remedy() {
        let checks: [(&[&str], &str, &str); 8] = [
            (&["-c", "0"], "--connections 0", "Ask for one"),
            (&["-c", "2000000"], "--connections 2000000", "Ask for fewer"),
            (&["-n", "0"], "--requests 0", "Ask for one"),
            (
                &["-n", "5", "-d", "1s"],
                "--duration 1s --requests 5",
                "Leave one of them out",
            ),
            (&["-d", "0s"], "--duration 0s", "1s or more"),
            (&["--timeout", "0s"], "--timeout 0s", "1ms or more"),
            (&["-p", "0"], "--pipeline 0", "one at a time"),
            (
                &["-p", "2", "-H", "Connection: close"],
                "--pipeline 2 with Connection",
                "Leave one",
            ),
        ];
        for (options, input, remedy) in checks {
            let error = plan(options).expect_err("accepted");
            assert!(error.contains(input), "{options:?}: {error}");
            assert!(error.contains(remedy), "{options:?}: {error}");
        }
    }
}
