//! Reading and writing at a position, by the calls of Windows: the file's own position moves.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;

pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}
