//! The command line that servers share, and a `main` for those that need no more.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};

use crate::config::{Config, ConfigError, Effective, Sources};
use crate::debug::Debug;
use crate::{DriverKind, trace};

/// The status of a program whose work failed.
const EXIT_FAILED: u8 = 1;

/// The status of a program that was called or configured wrongly; clap uses the
/// same one for wrong flags.
const EXIT_USAGE: u8 = 2;

/// The variable that chooses the runtime's driver.
const DRIVER: &str = "MONOLOOP_DRIVER";

/// The flags that every server takes. To be flattened into a program's own:
///
/// ```
/// #[derive(clap::Parser)]
/// struct Flags {
///     #[command(flatten)]
///     server: monoloop::cli::ServerArgs,
///     /// Where the pages are.
///     #[arg(long, default_value = "./pages")]
///     root: std::path::PathBuf,
/// }
/// ```
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Address to accept connections on, as in 127.0.0.1:8080
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// Event loops, each on a thread of its own
    #[arg(long, value_name = "N")]
    threads: Option<String>,

    /// Unix socket for the `monoloop` command to look in at, or off
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,

    /// Address for metrics and health, as in 127.0.0.1:9100, or off
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,

    /// PEM file of a certificate and its chain: serve TLS; more of them parted by commas
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<String>,

    /// PEM file of the certificate's private key; of several, in the same order
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,

    /// Configuration file; without it MONOLOOP_CONFIG names one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set any key of the configuration, as in limits.body_bytes_max=4MiB
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,

    /// Check the configuration, print it as it takes effect, and exit
    #[arg(long)]
    check_config: bool,

    /// Leave a line in the log for each request
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    access_log: Option<String>,

    /// Form of the log: auto is text, coloured on a terminal
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "text", "json"])]
    log_format: Option<String>,

    /// What is logged: a level, or target=level directives parted by commas
    #[arg(long, value_name = "DIRECTIVES")]
    log_filter: Option<String>,

    /// How long requests may still run after SIGTERM, as in 10s
    #[arg(long, value_name = "DURATION")]
    drain_timeout: Option<String>,
}

impl ServerArgs {
    /// Reads the configuration: flags over the environment of this process over
    /// the file over defaults.
    ///
    /// # Errors
    ///
    /// See [`Sources::load`].
    pub fn load(self) -> Result<Config, ConfigError> {
        Ok(self.sources(std::env::vars_os()).load()?.config)
    }

    /// Whether the configuration is only to be checked.
    pub fn check_config(&self) -> bool {
        self.check_config
    }

    /// The sources that these flags and an environment make.
    pub fn sources(self, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Sources {
        let mut sources = Sources::new().environment(environment);
        if let Some(path) = self.config {
            sources = sources.file(path);
        }
        let flags = [
            ("--listen", "listen", self.listen),
            ("--threads", "threads", self.threads),
            ("--socket", "socket", self.socket),
            ("--tls-cert", "tls.certificate", self.tls_cert),
            ("--tls-key", "tls.key", self.tls_key),
            ("--admin", "admin.listen", self.admin),
            ("--access-log", "log.access", self.access_log),
            ("--log-format", "log.format", self.log_format),
            ("--log-filter", "log.filter", self.log_filter),
            ("--drain-timeout", "drain.timeout", self.drain_timeout),
        ];
        for (name, key, text) in flags {
            if let Some(text) = text {
                sources = sources.flag(name, key, text);
            }
        }
        for (key, text) in self.set {
            sources = sources.flag(format!("--set {key}"), key, text);
        }
        sources
    }
}

/// The whole `main` of a server that has no flags of its own: reads the command
/// line and the configuration, starts the log, and does the work.
///
/// The status is 0 when the work is done, 1 when it failed, and 2 when the
/// command line, the configuration, `MONOLOOP_DEBUG` or `MONOLOOP_DRIVER` is wrong; what went
/// wrong is on stderr.
///
/// # Examples
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     monoloop::cli::main(|config| {
///         println!("would listen on {}", config.listen);
///         Ok::<(), std::io::Error>(())
///     })
/// }
/// ```
pub fn main<E: Into<Box<dyn Error>>>(work: impl FnOnce(Config) -> Result<(), E>) -> ExitCode {
    // clap shows the name that the program was called by.
    let command = ServerArgs::augment_args(Command::new("server"));
    // The documentation of `ServerArgs` is for programmers.
    let command = command.about("An HTTP server").long_about(None);
    let matches = command.get_matches();
    let args = ServerArgs::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    run(args, work)
}

/// As [`main`], for a program that parses its own flags with [`ServerArgs`] among
/// them.
pub fn run<E: Into<Box<dyn Error>>>(
    args: ServerArgs,
    work: impl FnOnce(Config) -> Result<(), E>,
) -> ExitCode {
    if let Err(message) = check_variables_of_the_runtime() {
        return fail(EXIT_USAGE, &message);
    }
    let check_only = args.check_config;
    let effective = match args.sources(std::env::vars_os()).load() {
        Ok(effective) => effective,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    #[cfg(feature = "tls")]
    if let Err(error) = crate::tls::check(&effective.config.tls) {
        return fail(EXIT_USAGE, &with_causes(&error));
    }
    if check_only {
        return print_checked(&effective);
    }
    let guard = match trace::init(&effective.config.log) {
        Ok(guard) => guard,
        Err(error) => return fail(EXIT_USAGE, &with_causes(&error)),
    };
    let worked = work(effective.config);
    // What the log still holds comes before the last word.
    drop(guard);
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &with_causes(error.into().as_ref())),
    }
}

/// Looks at the variables that are no keys of the configuration, as the runtime reads them
/// itself: `MONOLOOP_DEBUG` and `MONOLOOP_DRIVER`.
fn check_variables_of_the_runtime() -> Result<(), String> {
    if let Err(error) = Debug::from_env() {
        return Err(error.to_string());
    }
    if let Some(name) = std::env::var_os(DRIVER) {
        let kind = name.to_string_lossy().parse::<DriverKind>();
        kind.map_err(|error| format!("{DRIVER}: {error}"))?;
    }
    Ok(())
}

/// A TOML file again, so that what was checked can be kept.
fn print_checked(effective: &Effective) -> ExitCode {
    match write!(
        io::stdout(),
        "# OK: the configuration as it takes effect\n{effective}"
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

/// Prints to stderr; unlike `eprintln!`, it does not mind when that is closed.
fn fail(status: u8, error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(status)
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors repeat their cause in their own words.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err("expected KEY=VALUE, as in limits.body_bytes_max=4MiB".to_owned()),
    }
}
