//! Reading and writing at a position, by the calls of Unix: the file's own position stays.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}
