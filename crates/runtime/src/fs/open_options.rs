//! How a file is opened.

use super::{File, with_path};
use std::io;
use std::path::Path;

/// How a file is opened: the standard library's options. Those that only one system has are set
/// there, and taken over with `from`.
///
/// ```no_run
/// # async fn log() -> std::io::Result<()> {
/// use monoloop_runtime::fs::OpenOptions;
///
/// let mut log = OpenOptions::new().append(true).create(true).open("server.log").await?;
/// log.write_all(b"started\n").await
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenOptions(std::fs::OpenOptions);

impl OpenOptions {
    /// Nothing is allowed yet.
    #[allow(
        clippy::new_without_default,
        reason = "options that allow nothing are not a default that opens anything"
    )]
    pub fn new() -> Self {
        OpenOptions(std::fs::OpenOptions::new())
    }

    /// Whether it can be read.
    pub fn read(mut self, read: bool) -> Self {
        self.0.read(read);
        self
    }

    /// Whether it can be written, from its beginning.
    pub fn write(mut self, write: bool) -> Self {
        self.0.write(write);
        self
    }

    /// Whether all that is written goes to its end.
    pub fn append(mut self, append: bool) -> Self {
        self.0.append(append);
        self
    }

    /// Whether what is in it is dropped.
    pub fn truncate(mut self, truncate: bool) -> Self {
        self.0.truncate(truncate);
        self
    }

    /// Whether it is made when there is none.
    pub fn create(mut self, create: bool) -> Self {
        self.0.create(create);
        self
    }

    /// Whether it has to be made, and opening one that exists fails.
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.0.create_new(create_new);
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    /// A [`PathError`](super::PathError).
    ///
    /// # Cancel safety
    /// It is opened, or made, and closed again.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (path, options) = (path.as_ref(), self.0.clone());
        let file = with_path("open", path, move |path| options.open(path)).await?;
        Ok(File::new(file, path))
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> Self {
        OpenOptions(options)
    }
}
