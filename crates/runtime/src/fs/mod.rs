//! Files and directories, through the blocking pool.
//!
//! Operating systems have no readiness for files: a read from a disk that is slow stops the
//! thread that makes it. So every call here is a job of the [blocking
//! pool](crate::spawn_blocking), bounded by
//! [`Config::blocking_threads_max`](crate::Config::blocking_threads_max) and
//! [`Config::blocking_queue_max`](crate::Config::blocking_queue_max); when those are used up,
//! callers wait their turn. A job costs some ten microseconds more than the call itself: many
//! small operations in a row belong into one [`spawn_blocking`](crate::spawn_blocking).
//!
//! **Errors** name the path and what was done with it: [`PathError`].
//!
//! # Cancel safety
//! The same for all functions here: nothing happens before the future is awaited; a call that
//! has a thread or a place in the pool's queue is made to its end though its future is dropped,
//! and its result is lost; one that still waits in line for the queue is not made. A [`File`]
//! keeps what it needs of a call whose future was dropped, see there.
//!
//! In a [simulated](crate::sim) world these are the real files, and each call takes the time of a
//! job. The order of a directory's entries is the file system's.
//!
//! ```
//! use monoloop_runtime::{Runtime, fs};
//!
//! # fn main() -> std::io::Result<()> {
//! let path = std::env::temp_dir().join(format!("monoloop-doc-{}", std::process::id()));
//! Runtime::new()?.block_on(async {
//!     fs::write(&path, "hello").await?;
//!     let mut file = fs::File::open(&path).await?;
//!     assert_eq!(&*file.receive().await?, b"hello");
//!     assert!(file.receive().await?.is_empty(), "that was all");
//!     fs::remove_file(&path).await
//! })
//! # }
//! ```

mod error;
mod file;
mod open_options;
#[cfg_attr(windows, path = "position_windows.rs")]
#[cfg_attr(not(windows), path = "position_unix.rs")]
mod position;
mod read_dir;

pub use error::PathError;
pub use file::File;
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use std::fs::{FileType, Metadata, Permissions};

use crate::blocking::run_blocking;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Does something with a path in the pool.
async fn with_path<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    run_blocking(move || call(&path).map_err(|error| PathError::wrap(operation, &path, error)))
        .await
}

/// Does something with two paths in the pool.
async fn with_paths<T: Send + 'static>(
    operation: &'static str,
    from: &Path,
    to: &Path,
    call: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (from, to) = (from.to_owned(), to.to_owned());
    run_blocking(move || {
        call(&from, &to).map_err(|error| PathError::wrap_two(operation, &from, Some(&to), error))
    })
    .await
}

/// Reads a whole file. It takes as much memory as the file is long, and one that grows while it
/// is read, or never ends, takes more: use [`read_at_most`] for files that somebody else made.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// It is read to its end, for nobody.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    with_path("read", path.as_ref(), |path| std::fs::read(path)).await
}

/// Reads a whole file, if it is not longer than `bytes_max`. It takes no more memory than that.
///
/// # Errors
/// A [`PathError`]; `FileTooLarge` when there is more.
///
/// # Cancel safety
/// It is read to its end, for nobody.
pub async fn read_at_most(path: impl AsRef<Path>, bytes_max: usize) -> io::Result<Vec<u8>> {
    with_path("read", path.as_ref(), move |path| {
        let file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length.min(bytes_max));
        // One more tells a file that ends there from one that goes on.
        let limit = (bytes_max as u64).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes)?;
        match bytes.len() > bytes_max {
            true => Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is longer than the {bytes_max} bytes allowed"),
            )),
            false => Ok(bytes),
        }
    })
    .await
}

/// Reads a whole file of text; as to memory, see [`read`].
///
/// # Errors
/// A [`PathError`]; `InvalidData` when it is not UTF-8.
///
/// # Cancel safety
/// It is read to its end, for nobody.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    with_path("read", path, |path| std::fs::read_to_string(path)).await
}

/// Makes a file of these bytes, in place of what was there. Who reads it meanwhile sees a part:
/// to replace a file at once, write another beside it and [`rename`] it.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// It is written to its end.
pub async fn write(path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
    let bytes = bytes.into();
    with_path("write", path.as_ref(), move |path| {
        std::fs::write(path, &bytes)
    })
    .await
}

/// What the file system knows of a path, links followed.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// Nothing is lost.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    with_path("look at", path, |path| std::fs::metadata(path)).await
}

/// What the file system knows of a path, a link itself included.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// Nothing is lost.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    with_path("look at", path, |path| std::fs::symlink_metadata(path)).await
}

/// Whether there is something at a path, links followed.
///
/// # Errors
/// A [`PathError`] when that cannot be told.
///
/// # Cancel safety
/// Nothing is lost.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    with_path("look at", path.as_ref(), Path::try_exists).await
}

/// Sets who may do what with a path.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// It is done to its end.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    with_path("set the permissions of", path.as_ref(), move |path| {
        std::fs::set_permissions(path, permissions)
    })
    .await
}

/// Makes a directory in one that exists.
///
/// # Errors
/// A [`PathError`]; `AlreadyExists` when something is there.
///
/// # Cancel safety
/// It is done to its end.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    with_path("create the directory", path, |path| {
        std::fs::create_dir(path)
    })
    .await
}

/// Makes a directory and those it lies in, as far as they are missing.
///
/// # Errors
/// A [`PathError`]; some directories may have been made.
///
/// # Cancel safety
/// It is done to its end.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path("create the directory", path.as_ref(), |path| {
        std::fs::create_dir_all(path)
    })
    .await
}

/// Removes a file.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// It is done to its end.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    with_path("remove", path, |path| std::fs::remove_file(path)).await
}

/// Removes an empty directory.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// It is done to its end.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    with_path("remove the directory", path, |path| {
        std::fs::remove_dir(path)
    })
    .await
}

/// Removes a directory and all that is in it. Links are removed, not followed.
///
/// # Errors
/// A [`PathError`] with the directory's path; some of it may have been removed.
///
/// # Cancel safety
/// It is done to its end.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path("remove the directory", path.as_ref(), |path| {
        std::fs::remove_dir_all(path)
    })
    .await
}

/// Gives a file or directory another path on the same file system, in place of a file that is
/// there.
///
/// # Errors
/// A [`PathError`] with both paths.
///
/// # Cancel safety
/// It is done to its end.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    with_paths("rename", from.as_ref(), to.as_ref(), |from, to| {
        std::fs::rename(from, to)
    })
    .await
}

/// Copies a file and its permissions, in place of a file that is there. Returns how many bytes
/// were copied; no memory is taken for them.
///
/// # Errors
/// A [`PathError`] with both paths.
///
/// # Cancel safety
/// It is copied to its end.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    with_paths("copy", from.as_ref(), to.as_ref(), |from, to| {
        std::fs::copy(from, to)
    })
    .await
}

/// Gives a file a second name on the same file system.
///
/// # Errors
/// A [`PathError`] with both paths.
///
/// # Cancel safety
/// It is done to its end.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    with_paths(
        "link",
        original.as_ref(),
        link.as_ref(),
        |original, link| std::fs::hard_link(original, link),
    )
    .await
}

/// Where a symbolic link points.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// Nothing is lost.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    with_path("read the link", path, |path| std::fs::read_link(path)).await
}

/// The absolute path of what exists at a path, without links and dots.
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// Nothing is lost.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    with_path("find", path, |path| std::fs::canonicalize(path)).await
}
