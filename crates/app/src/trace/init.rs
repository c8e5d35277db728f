//! Puts the log together: filter, form, queue, output.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Dispatch, Level};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{EnvFilter, Layer};

use super::json::{self, Json, JsonFields};
use super::output::{self, Output};
use super::queue::{self, Ledger, QueueWriter};
use super::sink::{Alarm, LossLine, Sink};
use super::text::{self, Text, TextFields};
use super::{filter, request_id};
use crate::config::{LogConfig, LogFormat, LogOutput};

/// How long the end of the program waits for a slow output to take what is queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps the log going: what is queued is written before it is dropped, within a
/// second. Hold it until the end of `main`.
#[must_use = "the log ends when its guard is dropped; hold it until the end of main"]
pub struct Guard {
    worker: Option<WorkerGuard>,
    ledger: Arc<Ledger>,
    output: LogOutput,
}

/// Why there is no log.
#[derive(Debug)]
pub enum InitError {
    /// This process has a log already: ours, or another subscriber of `tracing`.
    AlreadyInitialized,
    /// The file cannot be opened.
    Open {
        /// The path as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The filter is no filter. A configuration that was loaded has none such.
    Filter {
        /// What was expected.
        reason: String,
    },
}

/// Starts the log of this process, as configured.
///
/// # Errors
///
/// When there is a log already, the file cannot be opened, or the filter is none.
pub fn init(config: &LogConfig) -> Result<Guard, InitError> {
    let output = output::open(&config.output).map_err(|source| match &config.output {
        LogOutput::File(path) => InitError::Open {
            path: path.clone(),
            source,
        },
        LogOutput::Stderr | LogOutput::Stdout => unreachable!("the standard streams are open"),
    })?;
    let (dispatch, guard) = assemble(config, output, request_id::of_the_context)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| InitError::AlreadyInitialized)?;
    queue::install(Arc::clone(&guard.ledger));
    Ok(guard)
}

/// Starts the log of this process with the defaults: level `info` as text to the
/// standard error stream, no access lines.
///
/// # Errors
///
/// When there is a log already.
pub fn init_default() -> Result<Guard, InitError> {
    init(&LogConfig::default())
}

/// What the lines are made on: the filter stands before it and answers once for
/// each place in the code, so that an event that is off costs one load.
type Filtered = Layered<EnvFilter, Registry>;

/// Everything but the installation, which only one test of a process could have.
pub(super) fn assemble(
    config: &LogConfig,
    output: Output,
    request_id: request_id::Source,
) -> Result<(Dispatch, Guard), InitError> {
    let filter = filter::with_access(&config.filter, config.access)
        .map_err(|reason| InitError::Filter { reason })?;
    let ledger = Arc::new(Ledger::default());

    let loss_line: LossLine = match config.format {
        LogFormat::Json => json_loss_line,
        LogFormat::Auto | LogFormat::Text => text_loss_line,
    };
    let Output {
        writer,
        is_terminal,
    } = output;
    let sink = Sink::new(
        writer,
        Arc::clone(&ledger),
        loss_line,
        alarm(&config.output),
    );
    let (queue, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(config.queue_lines_max as usize)
        .thread_name("monoloop-log")
        .finish(sink);
    ledger.count_refused(queue.error_counter());
    let queue = QueueWriter::new(queue, Arc::clone(&ledger));

    // `log_internal_errors` would print to stderr, which panics when that is gone.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(queue)
        .log_internal_errors(false);
    let lines: Box<dyn Layer<Filtered> + Send + Sync> = match config.format {
        LogFormat::Json => Box::new(
            lines
                .with_ansi(false)
                .fmt_fields(JsonFields)
                .event_format(Json { request_id }),
        ),
        LogFormat::Auto | LogFormat::Text => {
            let colour = config.format == LogFormat::Auto
                && output::wants_colour(is_terminal, |name| std::env::var_os(name));
            Box::new(
                lines
                    .with_ansi(colour)
                    .fmt_fields(TextFields)
                    .event_format(Text { request_id }),
            )
        }
    };
    let dispatch = Dispatch::new(Registry::default().with(filter).with(lines));
    Ok((
        dispatch,
        Guard {
            worker: Some(worker),
            ledger,
            output: config.output.clone(),
        },
    ))
}

#[cfg(test)]
impl Guard {
    pub(super) fn lost(&self) -> u64 {
        self.ledger.lost()
    }

    pub(super) fn wait_idle(&self, timeout: Duration) -> bool {
        self.ledger.wait_idle(timeout)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let worker = self.worker.take();
        if !self.ledger.wait_idle(FLUSH_TIMEOUT) {
            // The output is stuck. The worker's own guard would now print to
            // stdout, which may be what is stuck: end without it.
            std::mem::forget(worker);
            return;
        }
        drop(worker);
        let lost = self.ledger.unreported();
        if lost > 0 && self.output != LogOutput::Stderr {
            say(&format!(
                "monoloop: {lost} log lines could not be written to {}",
                self.output
            ));
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// What is said when the output fails for the first time, where else it can be.
fn alarm(output: &LogOutput) -> Option<Alarm> {
    if *output == LogOutput::Stderr {
        return None;
    }
    let output = output.clone();
    Some(Box::new(move |error| {
        say(&format!(
            "monoloop: cannot log to {output}: {error}; lines are lost until it works again"
        ));
    }))
}

/// Prints to stderr; unlike `eprintln!`, it does not mind when that is closed.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

const LOSS_TARGET: &str = "monoloop::trace";
const LOSS_MESSAGE: &str = "log lines were lost: the output failed or was too slow";

fn text_loss_line(lost: u64) -> String {
    let mut line = String::new();
    // Writing into a string does not fail.
    let _ = text::write_head(&mut Writer::new(&mut line), Level::WARN);
    line + &format!(" {LOSS_TARGET}: {LOSS_MESSAGE} lines={lost}\n")
}

fn json_loss_line(lost: u64) -> String {
    let mut line = String::new();
    // Writing into a string does not fail.
    let _ = json::write_head(&mut Writer::new(&mut line), Level::WARN, LOSS_TARGET);
    line + &format!(",\"message\":\"{LOSS_MESSAGE}\",\"lines\":{lost}}}\n")
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            InitError::Open { source, .. } => Some(source),
            InitError::AlreadyInitialized | InitError::Filter { .. } => None,
        }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::AlreadyInitialized => f.write_str(
                "this process has a log already; start it once, at the beginning of main, and \
                 install no other tracing subscriber beside it",
            ),
            InitError::Open { path, .. } => {
                write!(
                    f,
                    "log.output = {:?}: the file cannot be opened for appending (see to its \
                     directory and permissions)",
                    path.display()
                )
            }
            InitError::Filter { reason } => write!(f, "log.filter: {reason}"),
        }
    }
}
