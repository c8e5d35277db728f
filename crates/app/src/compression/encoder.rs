//! The three libraries behind one face.

use super::Coding;
use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// How hard each one tries, see [`Compression`](super::Compression).
const ZSTD_LEVEL: i32 = 3;
const BROTLI_LEVEL: u32 = 4;
const GZIP_LEVEL: u32 = 5;

/// How far back a stream is looked at, as a power of two: 512 KiB. Precedent: nginx's module for
/// brotli. It bounds what an encoder costs, and what a browser needs to unpack it.
const WINDOW_LOG: u32 = 19;

/// Bytes that brotli puts out at a time.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Compresses one body.
pub(super) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// For a body of this size, if that is known.
    pub(super) fn new(coding: Coding, size: Option<u64>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                match size {
                    // The tables are made to fit.
                    Some(_) => encoder.set_pledged_src_size(size)?,
                    None => encoder.window_log(WINDOW_LOG)?,
                }
                Encoder::Zstd(encoder)
            }
            Coding::Brotli => {
                let window_log = match size {
                    Some(size) => window_for(size),
                    None => WINDOW_LOG,
                };
                let (level, buffer) = (BROTLI_LEVEL, BROTLI_BUFFER_BYTES);
                let encoder = CompressorWriter::new(Vec::new(), buffer, level, window_log);
                Encoder::Brotli(Box::new(encoder))
            }
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Encoder::Gzip(GzEncoder::new(Vec::new(), level))
            }
        })
    }

    pub(super) fn write(&mut self, input: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Zstd(encoder) => encoder.write_all(input),
            Encoder::Brotli(encoder) => encoder.write_all(input),
            Encoder::Gzip(encoder) => encoder.write_all(input),
        }
    }

    /// Has all that was written come out, at the price of a few bytes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Zstd(encoder) => encoder.flush(),
            Encoder::Brotli(encoder) => encoder.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What has come out.
    pub(super) fn take(&mut self) -> Bytes {
        let out = match self {
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }

    /// The rest of what comes out.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        let out = match self {
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(encoder) => encoder.into_inner(),
            Encoder::Gzip(encoder) => encoder.finish()?,
        };
        Ok(out.into())
    }
}

/// The smallest window that holds a body of this size; brotli knows none below 10.
fn window_for(size: u64) -> u32 {
    let bits = u64::BITS - size.leading_zeros();
    bits.clamp(10, WINDOW_LOG)
}
