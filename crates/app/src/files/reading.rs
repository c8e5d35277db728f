//! An open file on its way to a peer, piece by piece, each of which is a job of the blocking pool.

use bytes::Bytes;
use futures_core::Stream;
use monoloop_runtime::{BlockingHandle, spawn_blocking};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// What one job reads, and so what a peer that does not read holds. Large enough that the way into
/// the pool and back, some ten microseconds, does not count.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// What is still to be read. Its methods block.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    parts: VecDeque<Part>,
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands here.
    Text(String),
    /// Out of the file.
    File(Range<u64>),
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Part::Text(text) => text.len() as u64,
            Part::File(range) => range.end - range.start,
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Reading {
    pub(super) fn new(file: File, parts: impl IntoIterator<Item = Part>) -> Reading {
        Reading {
            file,
            parts: parts.into_iter().filter(|part| !part.is_empty()).collect(),
        }
    }

    /// The length of all of it.
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    /// Reads on, at most [`PIECE_BYTES`] and at least one unless it is done. A file that has become
    /// shorter meanwhile is an error: nothing can stand for what is missing. One that has become
    /// longer is sent as long as it was.
    pub(super) fn read_piece(&mut self) -> io::Result<Bytes> {
        let room = usize::try_from(self.len()).map_or(PIECE_BYTES, |len| len.min(PIECE_BYTES));
        let mut piece = Vec::with_capacity(room);
        while piece.len() < room
            && let Some(part) = self.parts.pop_front()
        {
            match part {
                Part::Text(mut text) => {
                    let fits = text.len().min(room - piece.len());
                    piece.extend_from_slice(&text.as_bytes()[..fits]);
                    if fits < text.len() {
                        // Fields are ASCII.
                        self.parts.push_front(Part::Text(text.split_off(fits)));
                    }
                }
                Part::File(range) => {
                    let fits = (range.end - range.start).min((room - piece.len()) as u64);
                    let middle = range.start + fits;
                    read_exactly(&mut self.file, range.start..middle, &mut piece)?;
                    if middle < range.end {
                        self.parts.push_front(Part::File(middle..range.end));
                    }
                }
            }
        }
        Ok(piece.into())
    }
}

fn read_exactly(file: &mut File, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
    let from = into.len();
    let count = (range.end - range.start) as usize;
    into.resize(from + count, 0);
    file.seek(SeekFrom::Start(range.start))?;
    file.read_exact(&mut into[from..])
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), "the file became shorter while it was sent")
            }
            _ => error,
        })
}

/// The rest of a file, read while it is sent: the next piece once the last one is on its way.
pub(super) struct FileStream {
    first: Option<Bytes>,
    /// `None` while it is in the pool, and after an error.
    reading: Option<Reading>,
    in_pool: Option<BlockingHandle<(Reading, io::Result<Bytes>)>>,
    _open: OpenFile,
}

impl FileStream {
    /// With the piece that was read when the file was opened.
    pub(super) fn new(first: Bytes, rest: Reading, open: OpenFile) -> FileStream {
        FileStream {
            first: Some(first),
            reading: Some(rest),
            in_pool: None,
            _open: open,
        }
    }
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(mut reading) = self.reading.take_if(|reading| !reading.is_done()) {
            self.in_pool = Some(spawn_blocking(move || {
                let piece = reading.read_piece();
                (reading, piece)
            }));
        }
        let Some(job) = &mut self.in_pool else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(job).poll(cx));
        self.in_pool = None;
        let piece = match read {
            Ok((reading, Ok(piece))) => {
                self.reading = Some(reading);
                Ok(piece)
            }
            Ok((_, Err(error))) => Err(error),
            Err(panicked) => Err(io::Error::other(panicked.to_string())),
        };
        Poll::Ready(Some(piece))
    }
}

/// How many files are being sent, of those that may be.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenFiles(Rc<Cell<usize>>);

/// One of them.
pub(super) struct OpenFile(OpenFiles);

impl OpenFiles {
    /// Counts one more, if there may be so many.
    pub(super) fn open(&self, max: usize) -> Option<OpenFile> {
        let open = self.0.get();
        (open < max).then(|| {
            self.0.set(open + 1);
            OpenFile(self.clone())
        })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let OpenFile(OpenFiles(count)) = self;
        count.set(count.get() - 1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file in which no part is like another, still to be written to.
    fn file_of(len: usize) -> (File, Vec<u8>) {
        let mut bytes = vec![0; len];
        fastrand::Rng::with_seed(len as u64).fill(&mut bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn parts_are_read_one_behind_the_other_in_full_pieces() {
        let (file, bytes) = file_of(300_000);
        let parts = [
            Part::Text("head ".into()),
            Part::File(10..100_010),
            Part::Text("between ".into()),
            Part::File(299_999..300_000),
            Part::Text("x".repeat(70_000)),
            Part::File(0..200_000),
        ];
        let mut expected = Vec::new();
        for part in &parts {
            match part {
                Part::Text(text) => expected.extend_from_slice(text.as_bytes()),
                Part::File(range) => {
                    expected.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
                }
            }
        }
        let mut reading = Reading::new(file, parts);
        assert_eq!(reading.len(), expected.len() as u64);
        let mut got = Vec::new();
        while !reading.is_done() {
            let piece = reading.read_piece().unwrap();
            assert!(piece.len() == PIECE_BYTES || reading.is_done());
            got.extend_from_slice(&piece);
        }
        assert!(got == expected);
        assert!(reading.read_piece().unwrap().is_empty());
    }

    #[test]
    fn what_is_empty_is_done_from_the_beginning() {
        let (file, _) = file_of(0);
        assert!(Reading::new(file, [Part::File(0..0), Part::Text(String::new())]).is_done());
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_one_that_grew_is_cut() {
        let (mut file, bytes) = file_of(1000);
        let mut reading = Reading::new(file.try_clone().unwrap(), [Part::File(0..1000)]);
        file.write_all(b"more").unwrap();
        assert!(*reading.read_piece().unwrap() == *bytes);
        let mut reading = Reading::new(file.try_clone().unwrap(), [Part::File(0..1000)]);
        file.set_len(999).unwrap();
        let error = reading.read_piece().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
