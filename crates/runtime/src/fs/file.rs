//! An open file.

use super::{Metadata, OpenOptions, PathError, Permissions, position};
use crate::blocking::{BlockingHandle, output, run_blocking, spawn_blocking};
use crate::net::Chunk;
use crate::runtime::current;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes that one job writes at most. As much as it takes to make the way into the pool not
/// count, and a bound on the copy that is made. Precedent: tokio's 2 MiB.
const WRITE_MAX: usize = 2 * 1024 * 1024;

/// An open file. Closed when it is dropped, once a call that is being made has ended.
///
/// Its calls are made one after the other. When the future of one is dropped, the call is made
/// all the same, and the next one waits for it first: so a read that was given up loses no bytes,
/// they come with the next read; and the error of a write that was given up is that of the next
/// call.
pub struct File {
    file: Arc<std::fs::File>,
    path: Arc<Path>,
    /// Bytes that were read and not handed out: the file's position is behind them.
    unread: Option<Chunk>,
    in_pool: Option<InPool>,
}

/// A call that moves the file's position.
enum InPool {
    Read(BlockingHandle<(Box<[u8]>, io::Result<usize>)>),
    Write(BlockingHandle<io::Result<()>>),
    Seek(BlockingHandle<io::Result<u64>>),
}

/// What came of it.
enum Settled {
    /// Empty at the end of the file.
    Read(Chunk),
    Written,
    At(u64),
}

impl File {
    pub(super) fn new(file: std::fs::File, path: &Path) -> File {
        File {
            file: Arc::new(file),
            path: path.into(),
            unread: None,
            in_pool: None,
        }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// It is opened, and closed again.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Makes a file for writing, or empties the one that is there.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// It is made, and closed again.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let options = OpenOptions::new().write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Takes over a file that is open already; `path` is what its errors say.
    #[must_use]
    pub fn from_std(file: std::fs::File, path: impl AsRef<Path>) -> File {
        File::new(file, path.as_ref())
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads on, into a buffer lent by the loop; empty at the end of the file. Holds the buffer
    /// while it is being read into, and none before and after.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// Nothing is lost: what is being read comes with the next call.
    pub async fn receive(&mut self) -> io::Result<Chunk> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Reads on into `buffer`, and returns how many bytes there were: at most
    /// [`Config::receive_buffer_bytes`](crate::Config::receive_buffer_bytes), since the job
    /// reads into a buffer of the loop's; 0 at the end of the file, or when `buffer` is empty.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// Nothing is lost: what is being read comes with the next call.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// Polls for what [`receive`](File::receive) returns.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Chunk>> {
        self.poll_chunk(cx, usize::MAX)
    }

    /// Polls for what [`read`](File::read) returns.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut chunk = ready!(self.poll_chunk(cx, buffer.len()))?;
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        chunk.advance(count);
        if !chunk.is_empty() {
            self.unread = Some(chunk);
        }
        Poll::Ready(Ok(count))
    }

    /// What an earlier call has read and not handed out, however much; else up to so many bytes.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<io::Result<Chunk>> {
        loop {
            let settled = ready!(self.poll_settled(cx))?;
            match (settled, self.unread.take()) {
                (Some(Settled::Read(chunk)), _) | (_, Some(chunk)) => {
                    return Poll::Ready(Ok(chunk));
                }
                (Some(Settled::Written | Settled::At(_)) | None, None) => {
                    self.in_pool = Some(self.start_read(bytes_max));
                }
            }
        }
    }

    fn start_read(&self, bytes_max: usize) -> InPool {
        let (file, path) = (self.file.clone(), self.path.clone());
        let mut buffer = current().buffers.take();
        InPool::Read(spawn_blocking(move || {
            let limit = buffer.len().min(bytes_max);
            let read = retry(|| (&*file).read(&mut buffer[..limit]));
            (
                buffer,
                read.map_err(|error| PathError::wrap("read", &path, error)),
            )
        }))
    }

    /// Waits for the call that is being made; `None` when there is none.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Settled>>> {
        let Some(in_pool) = &mut self.in_pool else {
            return Poll::Ready(Ok(None));
        };
        let settled = match in_pool {
            InPool::Read(job) => {
                let (buffer, read) = output(ready!(Pin::new(job).poll(cx)));
                // Given back to the loop also when nothing was read.
                let chunk = |count| Chunk::new(current(), buffer, count);
                match read {
                    Ok(count) => Ok(Settled::Read(chunk(count))),
                    Err(error) => {
                        drop(chunk(0));
                        Err(error)
                    }
                }
            }
            InPool::Write(job) => output(ready!(Pin::new(job).poll(cx))).map(|()| Settled::Written),
            InPool::Seek(job) => output(ready!(Pin::new(job).poll(cx))).map(Settled::At),
        };
        self.in_pool = None;
        if let Ok(Settled::At(_)) = settled {
            self.unread = None;
        }
        Poll::Ready(settled.map(Some))
    }

    /// Waits for the call that is being made. What it has read is kept.
    async fn settle(&mut self) -> io::Result<()> {
        if let Some(Settled::Read(chunk)) = poll_fn(|cx| self.poll_settled(cx)).await? {
            self.unread = Some(chunk).filter(|chunk| !chunk.is_empty());
        }
        Ok(())
    }

    /// How far the file's position is ahead of what was handed out.
    fn ahead(&self) -> i64 {
        let unread = self.unread.as_ref().map_or(0, |chunk| chunk.len());
        i64::try_from(unread).expect("a buffer's length fits")
    }

    /// Writes all of `bytes`, from where the last read or write ended. They are with the system
    /// then, not on the disk: see [`sync_all`](File::sync_all). Takes a copy of up to 2 MiB at a
    /// time.
    ///
    /// # Errors
    /// A [`PathError`]; some of the bytes may have been written.
    ///
    /// # Cancel safety
    /// What is copied already is written to its end, 2 MiB at most, what comes after is not. The
    /// next call waits for it, and returns its error if there is one.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.settle().await?;
        for piece in bytes.chunks(WRITE_MAX) {
            let (file, path) = (self.file.clone(), self.path.clone());
            let (piece, ahead) = (piece.to_vec(), self.ahead());
            self.in_pool = Some(InPool::Write(spawn_blocking(move || {
                let write = || {
                    if ahead > 0 {
                        (&*file).seek_relative(-ahead)?;
                    }
                    (&*file).write_all(&piece)
                };
                write().map_err(|error| PathError::wrap("write", &path, error))
            })));
            self.unread = None;
            self.settle().await?;
        }
        Ok(())
    }

    /// Moves to another position, and returns it, counted from the beginning.
    ///
    /// # Errors
    /// A [`PathError`]; the position stays.
    ///
    /// # Cancel safety
    /// The position is moved.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.settle().await?;
        let to = match to {
            SeekFrom::Current(by) => SeekFrom::Current(by.saturating_sub(self.ahead())),
            absolute => absolute,
        };
        let (file, path) = (self.file.clone(), self.path.clone());
        self.in_pool = Some(InPool::Seek(spawn_blocking(move || {
            (&*file)
                .seek(to)
                .map_err(|error| PathError::wrap("seek in", &path, error))
        })));
        match poll_fn(|cx| self.poll_settled(cx)).await? {
            Some(Settled::At(position)) => Ok(position),
            Some(Settled::Read(_) | Settled::Written) | None => {
                unreachable!("the call that is being made is the seek")
            }
        }
    }

    /// Reads `length` bytes from `offset` on, fewer only where the file ends, into memory of its
    /// own. The position of [`read`](File::read) and [`write_all`](File::write_all) stays, except
    /// on Windows. Several of these may be made at a time.
    ///
    /// # Errors
    /// A [`PathError`], for example when it is not a file with positions.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call("read", move |file| {
            let mut bytes = vec![0; length];
            let mut filled = 0;
            while filled < length {
                let at = offset.saturating_add(filled as u64);
                match retry(|| position::read_at(file, &mut bytes[filled..], at))? {
                    0 => break,
                    count => filled += count,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        })
        .await
    }

    /// Writes all of `bytes` from `offset` on. The position of [`read`](File::read) and
    /// [`write_all`](File::write_all) stays, except on Windows. A file that was opened for
    /// appending is appended to by Linux, whatever the offset.
    ///
    /// # Errors
    /// A [`PathError`]; some of the bytes may have been written.
    ///
    /// # Cancel safety
    /// They are written to their end.
    pub async fn write_all_at(&self, bytes: impl Into<Vec<u8>>, offset: u64) -> io::Result<()> {
        let bytes = bytes.into();
        self.call("write", move |file| {
            let mut written = 0;
            while written < bytes.len() {
                let at = offset.saturating_add(written as u64);
                match retry(|| position::write_at(file, &bytes[written..], at))? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => written += count,
                }
            }
            Ok(())
        })
        .await
    }

    /// Waits until all that was written, and what the file system knows of the file, is on the
    /// disk (`fsync`).
    ///
    /// # Errors
    /// A [`PathError`]. What was written may be lost, and calling it again does not tell.
    ///
    /// # Cancel safety
    /// It is done to its end.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.settle().await?;
        self.call("sync", std::fs::File::sync_all).await
    }

    /// [`sync_all`](File::sync_all) without what is not needed to read the file again, such as
    /// its times (`fdatasync`).
    ///
    /// # Errors
    /// As [`sync_all`](File::sync_all).
    ///
    /// # Cancel safety
    /// It is done to its end.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.settle().await?;
        self.call("sync", std::fs::File::sync_data).await
    }

    /// Cuts the file off, or fills it up with zeros. The position stays.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// It is done to its end.
    pub async fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.settle().await?;
        self.call("set the length of", move |file| file.set_len(length))
            .await
    }

    /// What the file system knows of it.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn metadata(&mut self) -> io::Result<Metadata> {
        self.settle().await?;
        self.call("look at", std::fs::File::metadata).await
    }

    /// Sets who may do what with it.
    ///
    /// # Errors
    /// A [`PathError`].
    ///
    /// # Cancel safety
    /// It is done to its end.
    pub async fn set_permissions(&mut self, permissions: Permissions) -> io::Result<()> {
        self.settle().await?;
        self.call("set the permissions of", move |file| {
            file.set_permissions(permissions)
        })
        .await
    }

    /// Gives the file back to the standard library, at the position where the last read or
    /// write has ended.
    ///
    /// # Errors
    /// A [`PathError`] of a write that was given up, or of moving to that position.
    ///
    /// # Cancel safety
    /// The file is closed.
    pub async fn into_std(mut self) -> io::Result<std::fs::File> {
        self.settle().await?;
        if self.ahead() > 0 {
            self.seek(SeekFrom::Current(0)).await?;
        }
        // A read at a position that was given up may still hold it.
        let name = |error| PathError::wrap("take over", &self.path, error);
        Arc::try_unwrap(self.file).or_else(|file| file.try_clone().map_err(name))
    }

    /// A call that neither needs the position nor moves it.
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (file, path) = (self.file.clone(), self.path.clone());
        run_blocking(move || call(&file).map_err(|error| PathError::wrap(operation, &path, error)))
            .await
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
