//! The index container: one file of one index over one segment, version 1.
//!
//! ```text
//! 0    magic "MILVUSIX"                     8
//! 8    container version                    u32   1; readers refuse a greater one
//! 12   header bytes, H                      u32   from 64 on
//! 16   file bytes                           u64
//! 24   header crc32c                        u32   over bytes 0..24, then 64..64+H
//! 28   zeros to 64
//! 64   index type, metric                   text  each u16 length, UTF-8
//!      dim u32, rows u64
//!      parameter count u16                  each: key text, value text
//!      section count u16                    each: tag 8 bytes, offset u64, bytes u64, crc32c u32
//!      zeros to a multiple of 64
//! ...  sections, each at a multiple of 64 (some of more), zeros between and after
//! ```
//!
//! Numbers are little endian. Opening verifies every checksum and that the gaps are zero, so any
//! changed bit is found before the index answers anything. What a section holds is its family's
//! business; families check what they read from it, row numbers above all.
//!
//! Golden files: `tests/golden/`.

use std::io::{self, Read, Write};
use std::ops::Range;

use milvus_types::index_meta::find;
use milvus_types::{KeyValue, MetricType};

use crate::error::OpenError;
#[cfg(test)]
use crate::section::Mapped;
use crate::section::Section;
use crate::source::{Region, Source};

/// The first bytes of every index file.
pub const MAGIC: [u8; 8] = *b"MILVUSIX";
/// The newest container version that is understood, and the one that is written.
pub const VERSION: u32 = 1;
/// Sections begin at multiples of this.
const ALIGN: usize = 64;
/// Bytes before the header.
const PREFIX: usize = 64;

/// What the header says of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The Milvus name of its type.
    pub index_type: String,
    /// How vectors are compared.
    pub metric: MetricType,
    /// Floats of a vector.
    pub dim: usize,
    /// Rows it covers.
    pub rows: usize,
    /// Parameters and other small facts, as text.
    pub params: Vec<KeyValue>,
}

impl Header {
    /// The number that parameter `key` holds.
    pub(crate) fn number(&self, key: &str) -> Result<usize, OpenError> {
        find(&self.params, key)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| OpenError::malformed(format!("parameter {key} is missing or no number")))
    }

    /// The text of parameter `key`.
    pub(crate) fn text(&self, key: &str) -> Result<&str, OpenError> {
        find(&self.params, key)
            .ok_or_else(|| OpenError::malformed(format!("parameter {key} is missing")))
    }
}

/// The name of a section.
pub(crate) type Tag = [u8; 8];

/// What a section is written from.
pub(crate) trait Content {
    /// Writes its bytes, the same each time.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;

    /// The multiple of bytes in the file that it begins at.
    fn align(&self) -> usize {
        ALIGN
    }
}

impl Content for &[u8] {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self)
    }
}

/// Counts what is written, and its checksum.
#[derive(Default)]
struct Sum {
    bytes: usize,
    crc: u32,
}

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a container of `sections` to `out`.
pub(crate) fn write(
    out: &mut dyn Write,
    header: &Header,
    sections: &[(Tag, &[u8])],
) -> io::Result<()> {
    let sections: Vec<(Tag, &dyn Content)> =
        sections.iter().map(|(tag, data)| (*tag, data as &dyn Content)).collect();
    write_contents(out, header, &sections)
}

/// As [`write`], of sections that need not be in memory as a whole.
pub(crate) fn write_contents(
    out: &mut dyn Write,
    header: &Header,
    sections: &[(Tag, &dyn Content)],
) -> io::Result<()> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "index header is too long");
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, text: &str| -> io::Result<()> {
        body.extend(u16::try_from(text.len()).map_err(too_long)?.to_le_bytes());
        body.extend(text.as_bytes());
        Ok(())
    };
    text(&mut body, &header.index_type)?;
    text(&mut body, header.metric.name())?;
    body.extend(u32::try_from(header.dim).map_err(too_long)?.to_le_bytes());
    body.extend((header.rows as u64).to_le_bytes());
    body.extend(u16::try_from(header.params.len()).map_err(too_long)?.to_le_bytes());
    for param in &header.params {
        text(&mut body, &param.key)?;
        text(&mut body, &param.value)?;
    }
    body.extend(u16::try_from(sections.len()).map_err(too_long)?.to_le_bytes());
    let table = sections.len() * (8 + 8 + 8 + 4);
    let header_bytes = (body.len() + table).next_multiple_of(ALIGN);
    let mut offset = PREFIX + header_bytes;
    let mut gaps = Vec::with_capacity(sections.len());
    for (tag, content) in sections {
        let start = offset.next_multiple_of(content.align());
        let mut sum = Sum::default();
        content.write(&mut sum)?;
        body.extend(tag);
        body.extend((start as u64).to_le_bytes());
        body.extend((sum.bytes as u64).to_le_bytes());
        body.extend(sum.crc.to_le_bytes());
        let end = start + sum.bytes;
        gaps.push((start - offset, end.next_multiple_of(ALIGN) - end));
        offset = end.next_multiple_of(ALIGN);
    }
    body.resize(header_bytes, 0);

    let mut prefix = Vec::with_capacity(PREFIX);
    prefix.extend(MAGIC);
    prefix.extend(VERSION.to_le_bytes());
    prefix.extend(u32::try_from(header_bytes).map_err(too_long)?.to_le_bytes());
    prefix.extend((offset as u64).to_le_bytes());
    prefix.extend(crc32c::crc32c_append(crc32c::crc32c(&prefix), &body).to_le_bytes());
    prefix.resize(PREFIX, 0);
    out.write_all(&prefix)?;
    out.write_all(&body)?;
    for ((_, content), (before, behind)) in sections.iter().zip(gaps) {
        io::copy(&mut io::repeat(0).take(before as u64), out)?;
        content.write(out)?;
        out.write_all(&[0; ALIGN][..behind])?;
    }
    Ok(())
}

/// A container whose checksums have been verified.
pub(crate) struct Container {
    pub(crate) header: Header,
    source: Source,
    sections: Sections,
}

/// Where each section lies.
type Sections = Vec<(Tag, Range<usize>)>;

impl Container {
    /// Reads the header of `bytes` and verifies every checksum.
    #[cfg(test)]
    pub(crate) fn open(bytes: Mapped) -> Result<Self, OpenError> {
        Self::open_from(Source::Memory(bytes))
    }

    /// As [`Self::open`]; sections of a file are read into memory when they are asked for.
    pub(crate) fn open_from(source: Source) -> Result<Self, OpenError> {
        let (header, sections) = parse(&source)?;
        Ok(Self { header, source, sections })
    }

    /// The section called `tag`, which must have `bytes` bytes, left where it is.
    pub(crate) fn region(&self, tag: Tag, bytes: usize) -> Result<Region, OpenError> {
        let range = self.range(tag, Some(bytes), 1)?;
        Ok(Region { source: self.source.clone(), range })
    }

    /// The section called `tag`, which must hold `count` elements.
    pub(crate) fn section<T: bytemuck::Pod>(
        &self,
        tag: Tag,
        count: usize,
    ) -> Result<Section<T>, OpenError> {
        let range = self.range(tag, count.checked_mul(size_of::<T>()), size_of::<T>())?;
        match &self.source {
            Source::Memory(bytes) => Section::map(bytes, range),
            Source::File(_) => {
                let mut data = vec![T::zeroed(); count];
                self.source.read(range.start as u64, bytemuck::cast_slice_mut(&mut data))?;
                Some(data.into())
            }
        }
        .ok_or_else(|| OpenError::malformed(format!("section {} cannot be read", name(tag))))
    }

    /// Where the section called `tag` is, which must have `bytes` bytes, elements of `size`.
    fn range(
        &self,
        tag: Tag,
        bytes: Option<usize>,
        size: usize,
    ) -> Result<Range<usize>, OpenError> {
        let section = self.sections.iter().find(|(other, _)| *other == tag);
        let (_, range) = section
            .ok_or_else(|| OpenError::malformed(format!("section {} is missing", name(tag))))?;
        if bytes != Some(range.len()) {
            return Err(OpenError::malformed(format!(
                "section {} has {} bytes, want {} elements of {size}",
                name(tag),
                range.len(),
                bytes.map_or_else(|| "too many".to_owned(), |bytes| (bytes / size).to_string()),
            )));
        }
        Ok(range.clone())
    }

    /// How many elements of `T` the section called `tag` holds; 0 where there is none.
    pub(crate) fn count<T>(&self, tag: Tag) -> usize {
        let section = self.sections.iter().find(|(other, _)| *other == tag);
        section.map_or(0, |(_, range)| range.len() / size_of::<T>())
    }
}

/// The name of a section, to speak of it.
fn name(tag: Tag) -> String {
    String::from_utf8_lossy(&tag).trim_end().to_owned()
}

fn parse(source: &Source) -> Result<(Header, Sections), OpenError> {
    let size = source.size()?;
    let len = usize::try_from(size).map_err(|_| OpenError::malformed("file is out of reach"))?;
    let start = source.bytes(0..len.min(PREFIX))?;
    if start.get(..8) != Some(&MAGIC) {
        return Err(OpenError::NotAnIndex);
    }
    let mut prefix = Reader { bytes: start.get(8..).unwrap_or_default() };
    let version = prefix.u32()?;
    if version > VERSION {
        return Err(OpenError::NewerVersion { got: version, want: VERSION });
    }
    let header_bytes = prefix.size()?;
    let file_bytes = prefix.u64()?;
    let want = prefix.u32()?;
    if file_bytes != size {
        return Err(OpenError::WrongLength { got: size, want: file_bytes });
    }
    let end = PREFIX.saturating_add(header_bytes);
    if end > len || start.len() < PREFIX {
        return Err(OpenError::malformed("header is cut off"));
    }
    let body = source.bytes(PREFIX..end)?;
    let got = crc32c::crc32c_append(crc32c::crc32c(&start[..24]), &body);
    if got != want {
        return Err(OpenError::Checksum { part: "header".to_owned(), got, want });
    }
    if version == 0 {
        return Err(OpenError::malformed("version is 0"));
    }
    let (header, table, rest) = parse_body(&body)?;
    let mut covered = end - rest;
    zeros(source, 28..PREFIX)?;
    let mut sections = Vec::with_capacity(table.len());
    for entry in table {
        let range = entry.range(len, end)?;
        if range.start < covered {
            return Err(OpenError::malformed("sections overlap"));
        }
        zeros(source, covered..range.start)?;
        let mut got = 0;
        source.each(range.clone(), &mut |piece| got = crc32c::crc32c_append(got, piece))?;
        if got != entry.crc {
            return Err(OpenError::Checksum {
                part: format!("section {}", name(entry.tag)),
                got,
                want: entry.crc,
            });
        }
        covered = range.end;
        sections.push((entry.tag, range));
    }
    zeros(source, covered..len)?;
    Ok((header, sections))
}

/// Where a section lies, as the header says.
struct Entry {
    tag: Tag,
    offset: usize,
    bytes: usize,
    crc: u32,
}

impl Entry {
    fn range(&self, file_bytes: usize, header_end: usize) -> Result<Range<usize>, OpenError> {
        let end = self.offset.checked_add(self.bytes);
        match end {
            Some(end)
                if end <= file_bytes
                    && self.offset >= header_end
                    && self.offset.is_multiple_of(ALIGN) =>
            {
                Ok(self.offset..end)
            }
            _ => Err(OpenError::malformed("a section lies outside the file")),
        }
    }
}

/// The header, the sections, and how many bytes of padding are left.
fn parse_body(body: &[u8]) -> Result<(Header, Vec<Entry>, usize), OpenError> {
    let mut reader = Reader { bytes: body };
    let index_type = reader.text()?;
    let metric = reader.text()?;
    let metric = MetricType::parse(&metric)
        .ok_or_else(|| OpenError::malformed(format!("metric {metric} is unknown")))?;
    let dim = reader.size()?;
    let rows = reader.long_size()?;
    let mut params = Vec::new();
    for _ in 0..reader.u16()? {
        params.push(KeyValue { key: reader.text()?, value: reader.text()? });
    }
    let mut sections = Vec::new();
    for _ in 0..reader.u16()? {
        sections.push(Entry {
            tag: reader.take()?,
            offset: reader.long_size()?,
            bytes: reader.long_size()?,
            crc: reader.u32()?,
        });
    }
    Ok((Header { index_type, metric, dim, rows, params }, sections, reader.bytes.len()))
}

fn zeros(source: &Source, range: Range<usize>) -> Result<(), OpenError> {
    let mut zero = true;
    source.each(range, &mut |gap| zero &= gap.iter().all(|&byte| byte == 0))?;
    if !zero {
        return Err(OpenError::malformed("bytes between sections are not zero"));
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], OpenError> {
        let (head, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or_else(|| OpenError::malformed("header is cut off"))?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16, OpenError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, OpenError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, OpenError> {
        self.take().map(u64::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, OpenError> {
        self.u32().map(|size| size as usize)
    }

    fn long_size(&mut self) -> Result<usize, OpenError> {
        usize::try_from(self.u64()?).map_err(|_| OpenError::malformed("a size is out of reach"))
    }

    fn text(&mut self) -> Result<String, OpenError> {
        let len = usize::from(self.u16()?);
        let (text, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or_else(|| OpenError::malformed("header is cut off"))?;
        self.bytes = rest;
        String::from_utf8(text.to_vec()).map_err(|_| OpenError::malformed("text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn sample() -> Vec<u8> {
        let header = Header {
            index_type: "FLAT".to_owned(),
            metric: MetricType::L2,
            dim: 3,
            rows: 5,
            params: vec![KeyValue::new("M", "16")],
        };
        let mut bytes = Vec::new();
        let long = [7u8; 100];
        write(&mut bytes, &header, &[(*b"one     ", &[1, 2, 3, 4]), (*b"two     ", &long)])
            .unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_sections_are_aligned() {
        let bytes = sample();
        let container = Container::open(Arc::new(bytes)).unwrap();
        assert_eq!(container.header.number("M"), Ok(16));
        assert!(container.header.number("ef").is_err());
        assert_eq!(container.section::<u32>(*b"one     ", 1).unwrap().as_slice(), [0x0403_0201]);
        assert_eq!(container.count::<u8>(*b"two     "), 100);
        assert!(container.sections.iter().all(|(_, range)| range.start % ALIGN == 0));
        assert!(container.section::<u8>(*b"two     ", 99).is_err());
        assert!(container.section::<u8>(*b"three   ", 99).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let parse = |bytes: &[u8]| super::parse(&Source::Memory(Arc::new(bytes.to_vec())));
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "cut to {len}");
        }
        let mut long = bytes;
        long.push(0);
        assert!(matches!(parse(&long), Err(OpenError::WrongLength { .. })));
    }

    #[test]
    fn a_newer_version_is_named() {
        let parse = |bytes: &[u8]| super::parse(&Source::Memory(Arc::new(bytes.to_vec())));
        let mut bytes = sample();
        bytes[8] = 9;
        let error = parse(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "index file has version 9, this program reads up to 1");
        assert_eq!(parse(b"PAR1").unwrap_err(), OpenError::NotAnIndex);
    }
}
