//! What went wrong with which path.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of the file system, with the path and what was done with it: inside of every
/// [`io::Error`] of this module, whose [kind](io::Error::kind) is that of the system's error.
///
/// ```
/// use monoloop_runtime::{Runtime, fs};
///
/// Runtime::new()?.block_on(async {
///     let error = fs::read("/no/such/file").await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///     assert!(error.to_string().starts_with("cannot read /no/such/file: "));
///     let inner = error.get_ref().unwrap().downcast_ref::<fs::PathError>().unwrap();
///     assert_eq!(inner.path(), "/no/such/file");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PathError {
    operation: &'static str,
    path: PathBuf,
    to: Option<PathBuf>,
    error: io::Error,
}

impl PathError {
    pub(super) fn wrap(operation: &'static str, path: &Path, error: io::Error) -> io::Error {
        PathError::wrap_two(operation, path, None, error)
    }

    pub(super) fn wrap_two(
        operation: &'static str,
        path: &Path,
        to: Option<&Path>,
        error: io::Error,
    ) -> io::Error {
        let kind = error.kind();
        let error = PathError {
            operation,
            path: path.to_owned(),
            to: to.map(Path::to_owned),
            error,
        };
        io::Error::new(kind, error)
    }

    /// What was done, as a verb: `open`, `read`, `rename`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The path it was done with; of two, that which existed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path that was to exist afterwards, for what takes two.
    #[must_use]
    pub fn to(&self) -> Option<&Path> {
        self.to.as_deref()
    }

    /// What the operating system said, with its [number](io::Error::raw_os_error).
    #[must_use]
    pub fn system_error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path.display())?;
        if let Some(to) = &self.to {
            write!(f, " to {}", to.display())?;
        }
        write!(f, ": {}", self.error)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
