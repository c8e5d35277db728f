//! What an attack run will do: the options, judged, with every default filled in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use monoloop::config;

use crate::attack::arena::Timeouts;
use crate::attack::args::AttackArgs;
use crate::attack::{Attack, exhaustion};
use crate::cli::{HttpArgs, LoadArgs, RequestArgs};
use crate::ledger::Admin;
use crate::memory;
use crate::plan::Plan;
use crate::sources::Sources;
use crate::target::HttpTarget;
use crate::usage::UsageError;

/// One thread holds more, but the two sides share a machine, and an attack that starves its own
/// judges proves nothing.
const CONNECTIONS_MAX: u64 = 10_000;
/// Of the well-behaved: these are to be answered, not to be a load.
const CLIENTS_MAX: u64 = 1_000;
/// A timeout that the server has switched off cannot be waited for.
const FOREVER: Duration = Duration::from_secs(600);
/// Where hostile connections come from on loopback, so that a bound on one address does not hit
/// the well-behaved.
const HOSTILE_SOURCES: &str = "127.0.66.1-127.0.66.16";
const MIB: u64 = 1024 * 1024;

/// A run, ready to be started.
pub(crate) struct AttackPlan {
    pub(super) attacks: Vec<&'static dyn Attack>,
    pub(super) url: String,
    pub(super) target: HttpTarget,
    pub(super) address: SocketAddr,
    pub(super) post_path: String,
    pub(super) ws_path: String,
    pub(super) admin: Option<Admin>,
    pub(super) pid: Option<u32>,
    pub(super) connections: usize,
    pub(super) duration: Duration,
    pub(super) quiet: Duration,
    pub(super) rate: f64,
    pub(super) clients: u64,
    /// The bound on the well-behaved clients' p99, when it is not made of the quiet one.
    pub(super) p99_max: Option<Duration>,
    pub(super) timeouts: Timeouts,
    pub(super) grace: Duration,
    pub(super) memory_margin_bytes: u64,
    pub(super) sources: Sources,
    pub(super) json: Option<PathBuf>,
}

impl AttackPlan {
    pub(super) fn new(args: AttackArgs) -> Result<Self, UsageError> {
        check_numbers(&args)?;
        let attacks = select(&args)?;
        let url = args.url.clone().unwrap_or_default();
        let target = HttpTarget::parse(&url)?;
        let address = target.resolve()?;
        if !args.i_own_this_server && !is_near(address.ip()) {
            return Err(UsageError::new(
                url,
                format!("{} is neither loopback nor a private address", address.ip()),
                "Attack a server on this machine or network. If the server is yours, and so is the \
                 network in between, say so with --i-own-this-server.",
            ));
        }
        for (option, path) in [
            ("--post-path", &args.post_path),
            ("--ws-path", &args.ws_path),
        ] {
            if !path.starts_with('/') {
                return Err(UsageError::new(
                    format!("{option} {path}"),
                    "not a path",
                    "Write a path that begins with a slash, such as /echo.",
                ));
            }
        }
        let sources = match &args.source {
            Some(list) => Sources::parse(list)?,
            None if cfg!(target_os = "linux") && is_loopback_v4(address) => {
                Sources::parse(HOSTILE_SOURCES)?
            }
            None => Sources::default(),
        };
        let admin = args.admin.as_deref().map(Admin::parse).transpose()?;
        if let Some(pid) = args.pid {
            memory::check_pid(pid)?;
        }
        Ok(Self {
            attacks,
            timeouts: timeouts(&args)?,
            grace: args.grace,
            url,
            target,
            address,
            post_path: args.post_path,
            ws_path: args.ws_path,
            admin,
            pid: args.pid,
            connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
            duration: args.duration,
            quiet: args.quiet,
            rate: args.rate,
            clients: args.clients,
            p99_max: args.p99_max,
            memory_margin_bytes: args.memory_margin.saturating_mul(MIB),
            sources,
            json: args.json,
        })
    }

    /// The well-behaved clients, for so long at most.
    pub(super) fn well_behaved(&self, duration: Duration) -> Result<Plan, UsageError> {
        Plan::http(HttpArgs {
            url: self.url.clone(),
            request: RequestArgs {
                method: None,
                header: vec![],
                body: None,
            },
            load: LoadArgs {
                connections: Some(self.clients),
                duration: Some(duration),
                requests: None,
                rate: Some(self.rate),
                warmup: Some(Duration::from_millis(300)),
                pipeline: 1,
                timeout: Duration::from_secs(10),
                connect_rate: 10_000.0,
                source: None,
                json: None,
            },
            reconcile: None,
            pid: None,
        })
    }

    /// How many files this process has to be able to open.
    pub(super) fn files_needed(&self) -> u64 {
        let exhausts = self
            .attacks
            .iter()
            .any(|attack| attack.name() == "fd-exhaustion");
        let hostile = match exhausts {
            // As many as there can be, up to its own bound; fewer do.
            true => rlimit_hard().min(exhaustion::CONNECTIONS_MAX as u64),
            false => 0,
        };
        let needed = hostile.max(self.connections as u64) + self.clients;
        match exhausts {
            true => needed.min(rlimit_hard().saturating_sub(64)),
            false => needed,
        }
    }
}

#[cfg(unix)]
fn rlimit_hard() -> u64 {
    rlimit::Resource::NOFILE
        .get()
        .map_or(1024, |(_, hard)| hard)
}

#[cfg(not(unix))]
fn rlimit_hard() -> u64 {
    u64::MAX
}

fn select(args: &AttackArgs) -> Result<Vec<&'static dyn Attack>, UsageError> {
    if !args.all && args.only.is_empty() {
        return Err(UsageError::new(
            "loadtest attack",
            "it is not said which attacks to run",
            "Say --all, or --only with some of the names that --list shows.",
        ));
    }
    let is_wanted =
        |attack: &&'static dyn Attack| args.all || args.only.iter().any(|it| it == attack.name());
    Ok(super::all().filter(is_wanted).collect())
}

/// The server's timeouts: as given, else from its configuration, else monoloop's defaults.
fn timeouts(args: &AttackArgs) -> Result<Timeouts, UsageError> {
    let config = match &args.server_config {
        Some(path) => {
            config::Sources::new()
                .file(path)
                .load()
                .map_err(|error| {
                    UsageError::new(
                        format!("--server-config {}", path.display()),
                        error.to_string(),
                        "Give the file that the server was started with.",
                    )
                })?
                .config
        }
        None => config::Config::default(),
    };
    let of_server = config.timeouts;
    let known = |given: Option<Duration>, configured: Option<Duration>| {
        given.or(configured).unwrap_or(FOREVER)
    };
    Ok(Timeouts {
        head: known(args.head_timeout, of_server.head),
        idle: known(args.idle_timeout, of_server.idle),
        body: known(args.body_timeout, of_server.body),
        write: known(args.write_timeout, of_server.write),
    })
}

fn check_numbers(args: &AttackArgs) -> Result<(), UsageError> {
    let bounds = [
        ("--connections", args.connections, CONNECTIONS_MAX),
        ("--clients", args.clients, CLIENTS_MAX),
    ];
    for (option, given, most) in bounds {
        if given == 0 || given > most {
            return Err(UsageError::new(
                format!("{option} {given}"),
                format!("an attack has between 1 and {most}"),
                format!("Leave {option} out for its default."),
            ));
        }
    }
    for (option, given) in [("--duration", args.duration), ("--quiet", args.quiet)] {
        if given < Duration::from_millis(100) {
            return Err(UsageError::new(
                format!("{option} {}", humantime::format_duration(given)),
                "nothing could be measured",
                "Ask for 100ms or more.",
            ));
        }
    }
    Ok(())
}

/// Whether an address can only be a machine of one's own, or of one's own network (RFC 1918,
/// RFC 4193, RFC 3927, RFC 4291).
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().map(IpAddr::V4);
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || mapped.is_some_and(is_near)
        }
    }
}

fn is_loopback_v4(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(v4) if v4.is_loopback())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan(options: &[&str]) -> Result<AttackPlan, String> {
        let line = ["loadtest", "attack"].iter().chain(options);
        let cli = Cli::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Attack(args) = cli.command else {
            unreachable!("the line says attack");
        };
        AttackPlan::new(args).map_err(|error| error.to_string())
    }

    const URL: &str = "http://127.0.0.1:1/x";

    #[test]
    fn defaults_are_those_of_the_server() {
        let plan = plan(&["--all", URL]).expect("a plan");
        assert_eq!(plan.timeouts.head, Duration::from_secs(10));
        assert_eq!(plan.timeouts.idle, Duration::from_secs(75));
        assert_eq!(plan.attacks.len(), super::super::all().count());
        assert_eq!(plan.memory_margin_bytes, 16 * MIB);
    }

    #[test]
    fn the_servers_configuration_says_its_timeouts_and_flags_are_stronger() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/attack.toml");
        let plan = plan(&[
            "--all",
            URL,
            "--server-config",
            file,
            "--body-timeout",
            "7s",
        ]);
        let timeouts = plan.expect("a plan").timeouts;
        assert_eq!(timeouts.head, Duration::from_secs(2));
        assert_eq!(timeouts.body, Duration::from_secs(7));
    }

    #[test]
    fn only_the_named_attacks_run_and_a_wrong_name_gets_a_suggestion() {
        let some = plan(&["--only", "no-read,slowloris-head", URL]).expect("a plan");
        let names: Vec<_> = some.attacks.iter().map(|attack| attack.name()).collect();
        assert_eq!(names, ["slowloris-head", "no-read"], "in the usual order");
        let error = plan(&["--only", "slowloris", URL]).err().expect("refused");
        assert!(
            error.contains("'slowloris'") && error.contains("slowloris-head"),
            "{error}"
        );
    }

    #[test]
    fn addresses_of_others_are_refused_without_consent() {
        for far in [
            "http://192.0.2.1/",
            "http://8.8.8.8:80/x",
            "http://[2001:db8::1]/",
        ] {
            let error = plan(&["--all", far]).err().expect("refused");
            assert!(error.contains("neither loopback nor a private"), "{error}");
            assert!(error.contains("--i-own-this-server"), "{error}");
            assert!(
                plan(&["--all", far, "--i-own-this-server"]).is_ok(),
                "{far}"
            );
        }
        for near in [
            "http://10.1.2.3/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://192.168.0.1/",
        ] {
            assert!(plan(&["--all", near]).is_ok(), "{near}");
        }
    }

    #[test]
    fn options_that_make_no_sense_are_refused_with_input_and_remedy() {
        let checks: [(&[&str], &str, &str); 7] = [
            (&[URL], "not said which", "--list"),
            (&["--all", URL, "-c", "0"], "--connections 0", "default"),
            (
                &["--all", URL, "--clients", "2000"],
                "--clients 2000",
                "default",
            ),
            (&["--all", URL, "-d", "1ms"], "--duration 1ms", "100ms"),
            (
                &["--all", URL, "--post-path", "echo"],
                "--post-path echo",
                "slash",
            ),
            (
                &["--all", URL, "--pid", "4294967295"],
                "--pid 4294967295",
                "process id",
            ),
            (
                &["--all", URL, "--server-config", "/no/such"],
                "--server-config /no/such",
                "started with",
            ),
        ];
        for (options, input, remedy) in checks {
            let error = plan(options).err().expect("accepted");
            assert!(error.contains(input), "{options:?}: {error}");
            assert!(error.contains(remedy), "{options:?}: {error}");
        }
    }
}
