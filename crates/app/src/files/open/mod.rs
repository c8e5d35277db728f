//! Opening a file below a root, and nothing that is not below it.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

use super::path::FilePath;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Whether symbolic links below the root are followed. Those in the path of the root itself are the
/// program's own, and always are: a deployment may swap one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// None of them: what lies behind one is not found. The default.
    #[default]
    Refuse,
    /// Relative ones that do not leave the root on their way.
    WithinRoot,
    /// All of them, wherever they lead: for a root that nobody else can write to.
    Follow,
}

/// Why there is no open file.
#[derive(Debug)]
pub(super) enum OpenError {
    /// There is nothing of that name, or nothing that is shown.
    NotFound(io::Error),
    /// The process or the system is out of descriptors or memory.
    Exhausted(io::Error),
    /// The file cannot be opened though it is there, or its root cannot.
    Failed(io::Error),
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    File(File, Metadata),
    Directory,
}

/// Opens a file for reading. Blocks, but not for the other end of a pipe: what is neither a file nor
/// a directory is not found.
pub(super) fn open(root: &Path, path: &FilePath, symlinks: Symlinks) -> Result<Found, OpenError> {
    debug_assert!(!path.names.is_empty(), "the root itself is nothing to open");
    let Some(file) = system::open(root, &path.names, symlinks)? else {
        return Ok(Found::Directory);
    };
    // Asked of what is open, not of what has the name by now.
    let metadata = file.metadata().map_err(OpenError::Failed)?;
    match metadata.file_type() {
        kind if kind.is_file() => Ok(Found::File(file, metadata)),
        kind if kind.is_dir() => Ok(Found::Directory),
        _ => Err(OpenError::NotFound(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a file nor a directory",
        ))),
    }
}
