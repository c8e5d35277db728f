//! Opening where there is no opening from directory to directory: the path is looked at first, and
//! opened then. Somebody who can write below the root can swap a directory for a link in between;
//! keep the root to yourself.

use super::{OpenError, Symlinks};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Opens a file; `None` when it is a directory.
pub(super) fn open(
    root: &Path,
    names: &[String],
    symlinks: Symlinks,
) -> Result<Option<File>, OpenError> {
    let root = fs::canonicalize(root).map_err(OpenError::Failed)?;
    let mut path = root.clone();
    for name in names {
        path.push(name);
        if symlinks == Symlinks::Refuse && is_link(&path)? {
            return Err(not_found("a symbolic link"));
        }
    }
    if symlinks == Symlinks::WithinRoot {
        let found = fs::canonicalize(&path).map_err(why)?;
        if !found.starts_with(&root) {
            return Err(not_found("out of the root"));
        }
        path = found;
    }
    // Directories cannot be opened as files everywhere.
    if fs::metadata(&path).map_err(why)?.is_dir() {
        return Ok(None);
    }
    File::open(&path).map(Some).map_err(why)
}

fn is_link(path: &Path) -> Result<bool, OpenError> {
    let metadata = fs::symlink_metadata(path).map_err(why)?;
    Ok(metadata.is_symlink())
}

fn not_found(reason: &'static str) -> OpenError {
    OpenError::NotFound(io::Error::new(ErrorKind::NotFound, reason))
}

fn why(error: io::Error) -> OpenError {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => OpenError::NotFound(error),
        ErrorKind::OutOfMemory => OpenError::Exhausted(error),
        _ => OpenError::Failed(error),
    }
}
