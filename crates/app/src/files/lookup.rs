//! From what is asked for to an answer, in one job of the blocking pool: looked up, opened, judged,
//! and, when it is small, read.

use super::coding;
use super::conditions::{Conditions, Verdict};
use super::open::{Found, OpenError, open};
use super::path::FilePath;
use super::range::Wanted;
use super::reading::{Part, Reading};
use super::settings::Settings;
use super::validators::Validators;
use crate::accept_encoding::Coding;
use bytes::Bytes;
use http::HeaderValue;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::time::SystemTime;

/// What a peer asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: FilePath,
    /// Whether the content is wanted, or only what HEAD tells about it.
    pub(super) is_get: bool,
    pub(super) conditions: Conditions,
    pub(super) codings: Vec<Coding>,
}

/// What there is.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 or 206.
    Content(Content),
    /// 304.
    NotModified(About),
    /// 412.
    PreconditionFailed,
    /// 416, of so many bytes.
    Unsatisfiable(u64),
    /// It is a directory, and its name lacks the slash.
    Directory,
    NotFound,
    /// Descriptors or memory ran out.
    Exhausted(io::Error),
    Failed(io::Error),
}

/// What all answers about a file tell.
#[derive(Debug)]
pub(super) struct About {
    pub(super) validators: Validators,
    pub(super) content_type: HeaderValue,
    pub(super) coding: Option<Coding>,
}

#[derive(Debug)]
pub(super) struct Content {
    pub(super) about: About,
    pub(super) kind: Kind,
    pub(super) len: u64,
    /// As much as was read at once; nothing for HEAD.
    pub(super) first: Bytes,
    /// What is left to be read.
    pub(super) rest: Option<Reading>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Whole,
    /// One part of so many bytes.
    Part(Range<u64>, u64),
    /// Several, with this between them.
    Parts {
        boundary: String,
    },
}

/// Looks it up. Blocks.
pub(super) fn look_up(settings: &Settings, asked: Asked) -> Answer {
    answer(settings, asked).unwrap_or_else(|error| match error {
        OpenError::NotFound(error) => {
            tracing::debug!(%error, root = %settings.root.display(), "no such file");
            Answer::NotFound
        }
        OpenError::Exhausted(error) => Answer::Exhausted(error),
        OpenError::Failed(error) => Answer::Failed(error),
    })
}

fn answer(settings: &Settings, asked: Asked) -> Result<Answer, OpenError> {
    let path = match (asked.path.is_directory, &settings.index) {
        (true, Some(index)) => asked.path.join(index),
        (true, None) => return Ok(Answer::NotFound),
        (false, _) => asked.path,
    };
    let (file, metadata) = match open(&settings.root, &path, settings.symlinks)? {
        Found::File(file, metadata) => (file, metadata),
        Found::Directory => return Ok(Answer::Directory),
    };
    let copy = asked
        .codings
        .iter()
        .find_map(|coding| open_copy(settings, &path, *coding, &metadata));
    let (file, metadata, coding) = match copy {
        Some((file, metadata, coding)) => (file, metadata, Some(coding)),
        None => (file, metadata, None),
    };

    let len = metadata.len();
    let suffix = coding.map(coding::suffix);
    let now = SystemTime::now();
    let about = About {
        validators: Validators::of(metadata.modified().ok(), len, suffix, now),
        content_type: settings.content_type(path.file_name()),
        coding,
    };
    let wanted = match asked.conditions.judge(&about.validators) {
        Verdict::NotModified => return Ok(Answer::NotModified(about)),
        Verdict::PreconditionFailed => return Ok(Answer::PreconditionFailed),
        Verdict::Send(None) => Wanted::Whole,
        Verdict::Send(Some(range)) => Wanted::of(range, len),
    };
    let (kind, parts) = match wanted {
        Wanted::Unsatisfiable => return Ok(Answer::Unsatisfiable(len)),
        Wanted::Whole => (Kind::Whole, vec![Part::File(0..len)]),
        Wanted::Parts(ranges) => match <[_; 1]>::try_from(ranges) {
            Ok([range]) => (Kind::Part(range.clone(), len), vec![Part::File(range)]),
            Err(ranges) => in_parts(ranges, len, &about.content_type),
        },
    };
    read_first(about, kind, Reading::new(file, parts), asked.is_get)
        .map(Answer::Content)
        .map_err(OpenError::Failed)
}

/// The compressed copy of a file, unless there is none, or none as new as the file.
fn open_copy(
    settings: &Settings,
    path: &FilePath,
    coding: Coding,
    original: &Metadata,
) -> Option<(File, Metadata, Coding)> {
    let beside = path.with_suffix(coding::suffix(coding));
    let Found::File(file, metadata) = open(&settings.root, &beside, settings.symlinks).ok()? else {
        return None;
    };
    let is_new = metadata.modified().ok()? >= original.modified().ok()?;
    is_new.then_some((file, metadata, coding))
}

/// Several parts, each with its fields in front (RFC 9110 §14.6).
fn in_parts(ranges: Vec<Range<u64>>, len: u64, content_type: &HeaderValue) -> (Kind, Vec<Part>) {
    let boundary = make_boundary();
    let content_type = content_type.to_str().unwrap_or("application/octet-stream");
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    let mut line_end = "";
    for range in ranges {
        let bytes = content_range(&range, len);
        parts.push(Part::Text(format!(
            "{line_end}--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: {bytes}\r\n\r\n"
        )));
        parts.push(Part::File(range));
        line_end = "\r\n";
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n")));
    (Kind::Parts { boundary }, parts)
}

/// The value of `Content-Range` (RFC 9110 §14.4).
pub(super) fn content_range(range: &Range<u64>, len: u64) -> String {
    let last = range.end - 1;
    format!("bytes {}-{last}/{len}", range.start)
}

/// What nobody could have put into a file, since nobody can foresee it.
fn make_boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Reads what one job may. A small file needs no other, and is closed by now.
fn read_first(about: About, kind: Kind, mut rest: Reading, is_get: bool) -> io::Result<Content> {
    let len = rest.len();
    let first = match is_get {
        true => rest.read_piece()?,
        false => Bytes::new(),
    };
    Ok(Content {
        about,
        kind,
        len,
        first,
        rest: Some(rest).filter(|rest| is_get && !rest.is_done()),
    })
}
