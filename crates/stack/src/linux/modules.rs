//! The files that the process consists of, and their unwind tables.

use framehop::{ExplicitModuleSectionInfo, Module};
use object::read::{File, ObjectSegment, ReadCache};
use object::{Object, ObjectSection, SegmentFlags, elf};
use std::fs;
use std::ops::Range;

/// The largest page that Linux has.
const PAGE_MAX: u64 = 64 * 1024;

/// All loaded files that have code. Read anew each time: libraries come and go.
pub(super) fn loaded() -> Vec<Module<Vec<u8>>> {
    // Without it there are no frames but the innermost.
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines()
        .filter_map(Mapping::parse)
        .filter_map(|mapping| module(&mapping))
        .collect()
}

/// A stretch of memory with code from a file.
struct Mapping<'a> {
    memory: Range<u64>,
    offset: u64,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    /// A line such as `55d0-55f0 r-xp 0001000 08:01 1234   /usr/bin/server`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let offset = fields.next()?;
        let path = fields.nth(2)?.trim_start();
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let has_code = permissions.contains('x') && path.starts_with('/');
        has_code.then_some(Mapping {
            memory: hex(start)?..hex(end)?,
            offset: hex(offset)?,
            path,
        })
    }

    /// Opens the file, also that of a program that was replaced while it runs.
    fn open(&self) -> Option<fs::File> {
        const PROGRAM: &str = "/proc/self/exe";
        let is_program = fs::read_link(PROGRAM).is_ok_and(|path| path.to_str() == Some(self.path));
        fs::File::open(if is_program { PROGRAM } else { self.path }).ok()
    }
}

fn module(mapping: &Mapping<'_>) -> Option<Module<Vec<u8>>> {
    let cache = ReadCache::new(mapping.open()?);
    let file = File::parse(&cache).ok()?;
    let section = |name: &str| {
        let section = file.section_by_name(name)?;
        let start = section.address();
        let data = section.uncompressed_data().ok()?.into_owned();
        Some((start..start + section.size(), data))
    };
    let (eh_frame_svma, eh_frame) = section(".eh_frame").unzip();
    let (eh_frame_hdr_svma, eh_frame_hdr) = section(".eh_frame_hdr").unzip();
    let text = file.section_by_name(".text");
    let sections = ExplicitModuleSectionInfo {
        text_svma: text.map(|text| text.address()..text.address() + text.size()),
        eh_frame_svma,
        eh_frame,
        eh_frame_hdr_svma,
        eh_frame_hdr,
        ..Default::default()
    };
    let bias = mapping
        .memory
        .start
        .wrapping_sub(address_of(&file, mapping.offset)?);
    Some(Module::new(
        mapping.path.to_owned(),
        mapping.memory.clone(),
        bias,
        sections,
    ))
}

/// The address that the file gives to its code at this offset.
fn address_of<'a>(file: &impl Object<'a>, offset: u64) -> Option<u64> {
    let code = file.segments().find(|segment| {
        let SegmentFlags::Elf { p_flags, .. } = segment.flags() else {
            return false;
        };
        let (start, size) = segment.file_range();
        // Whole pages are mapped: the segment may begin behind where the mapping does.
        let is_code = p_flags.0 & elf::PF_X.0 != 0;
        is_code && start < offset + PAGE_MAX && offset < start + size
    })?;
    let (start, _) = code.file_range();
    Some(code.address().wrapping_add(offset).wrapping_sub(start))
}
