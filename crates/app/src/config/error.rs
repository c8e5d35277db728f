//! What was wrong with the configuration: where, which key, why, and what to
//! write instead.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration was refused. Holds every problem that was found, so that
/// a file is mended in one go.
///
/// It is the operator's to act on: print it and exit with status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key it is about, as in `timeouts.head`; `None` when it is about the
    /// whole source.
    pub key: Option<String>,
    /// What was written there, when it is the value that is wrong.
    pub value: Option<String>,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file as a whole.
    File {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A line of a file.
    Line {
        /// The path as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1, where it helps.
        column: Option<usize>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line, as in `--threads`, or `--set` with the key
    /// behind it.
    Flag(String),
    /// Nowhere: it is the default.
    Default,
}

impl ConfigError {
    /// Every problem, in the order: file (by line), environment, flags.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "an error has something to say");
        problems.sort_by_key(|problem| problem.origin.rank());
        ConfigError { problems }
    }
}

impl Origin {
    /// The order of a report: as one reads the file, then outwards.
    fn rank(&self) -> (u8, usize) {
        match self {
            Origin::Default | Origin::File { .. } => (0, 0),
            Origin::Line { line, .. } => (0, *line),
            Origin::Environment(_) => (1, 0),
            Origin::Flag(_) => (2, 0),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One problem a line.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// `place: what was written: reason`, the middle in the form of its place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            origin,
            key,
            value,
            reason,
        } = self;
        match (origin, key, value) {
            (Origin::Environment(name) | Origin::Flag(name), _, Some(value)) => {
                write!(f, "{name}={value}: {reason}")
            }
            (Origin::Environment(_) | Origin::Flag(_), _, None) | (_, None, _) => {
                write!(f, "{origin}: {reason}")
            }
            (_, Some(key), Some(value)) => write!(f, "{origin}: {key} = {value}: {reason}"),
            (_, Some(key), None) => write!(f, "{origin}: {key}: {reason}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An empty variable makes an empty path, which would not be seen.
            Origin::File { path } if path.as_os_str().is_empty() => f.write_str("\"\""),
            Origin::File { path } => write!(f, "{}", path.display()),
            Origin::Line {
                path,
                line,
                column: None,
            } => write!(f, "{}:{line}", path.display()),
            Origin::Line {
                path,
                line,
                column: Some(column),
            } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Origin::Environment(name) | Origin::Flag(name) => f.write_str(name),
            Origin::Default => f.write_str("default"),
        }
    }
}
