//! The entries of a directory, a batch at a time.

use super::{FileType, Metadata, PathError, with_path};
use crate::blocking::{BlockingHandle, output, run_blocking, spawn_blocking};
use futures_core::Stream;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Entries that are read by one job and kept. Precedent: tokio's 32.
const BATCH: usize = 32;

/// Opens a directory, to walk through its entries in the order of the file system.
///
/// ```
/// use monoloop_runtime::{Runtime, fs};
///
/// # fn main() -> std::io::Result<()> {
/// Runtime::new()?.block_on(async {
///     let mut entries = fs::read_dir(".").await?;
///     while let Some(entry) = entries.next_entry().await? {
///         println!("{}", entry.path().display());
///     }
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
/// A [`PathError`].
///
/// # Cancel safety
/// Nothing is lost.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let batch = with_path("read the directory", path, |path| {
        Ok(Batch::read(std::fs::read_dir(path)?))
    })
    .await?;
    Ok(ReadDir {
        path: path.into(),
        state: State::Here(batch),
    })
}

/// The entries of a directory; also a [`Stream`]. Some dozens are in memory, however many there
/// are.
pub struct ReadDir {
    path: Arc<Path>,
    state: State,
}

enum State {
    Here(Batch),
    InPool(BlockingHandle<Batch>),
}

struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    /// `None` when there are no more.
    rest: Option<std::fs::ReadDir>,
}

impl Batch {
    fn read(mut directory: std::fs::ReadDir) -> Batch {
        let entries: VecDeque<_> = directory.by_ref().take(BATCH).map(entry).collect();
        let is_all = entries.len() < BATCH;
        Batch {
            entries,
            rest: (!is_all).then_some(directory),
        }
    }
}

/// In the pool: where the file system does not tell the type along, it costs a call.
fn entry(entry: io::Result<std::fs::DirEntry>) -> io::Result<DirEntry> {
    let entry = entry?;
    Ok(DirEntry {
        path: entry.path(),
        file_name: entry.file_name(),
        file_type: entry.file_type().ok(),
    })
}

impl ReadDir {
    /// The next entry; `None` when there are no more.
    ///
    /// # Errors
    /// A [`PathError`] with the directory's path. What can still be read comes with the next
    /// calls.
    ///
    /// # Cancel safety
    /// Nothing is lost: a batch that is being read is kept for the next call.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// Polls for what [`next_entry`](ReadDir::next_entry) returns.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.state {
                State::Here(batch) => {
                    if let Some(entry) = batch.entries.pop_front() {
                        let named =
                            |error| PathError::wrap("read the directory", &self.path, error);
                        return Poll::Ready(entry.map(Some).map_err(named));
                    }
                    let Some(rest) = batch.rest.take() else {
                        return Poll::Ready(Ok(None));
                    };
                    self.state = State::InPool(spawn_blocking(move || Batch::read(rest)));
                }
                State::InPool(job) => {
                    self.state = State::Here(output(ready!(Pin::new(job).poll(cx))));
                }
            }
        }
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_entry(cx).map(Result::transpose)
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// An entry of a directory.
#[derive(Debug, Clone)]
pub struct DirEntry {
    path: PathBuf,
    file_name: OsString,
    file_type: Option<FileType>,
}

impl DirEntry {
    /// Its path, which begins with that given to [`read_dir`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name in the directory.
    #[must_use]
    pub fn file_name(&self) -> &std::ffi::OsStr {
        &self.file_name
    }

    /// Whether it is a file, a directory or a link; of a link, the link itself.
    ///
    /// # Errors
    /// A [`PathError`], when it could not be told along with the entry and cannot now.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => Ok(self.metadata().await?.file_type()),
        }
    }

    /// What the file system knows of it; of a link, the link itself.
    ///
    /// # Errors
    /// A [`PathError`], for example when it was removed meanwhile.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let path = self.path.clone();
        run_blocking(move || {
            std::fs::symlink_metadata(&path)
                .map_err(|error| PathError::wrap("look at", &path, error))
        })
        .await
    }
}
