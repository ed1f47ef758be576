//! The container of a scalar index: one file over one field of one segment, version 1.
//!
//! ```text
//! 0    magic "MILVUSSX"                     8
//! 8    container version                    u32   1; readers refuse a greater one
//! 12   header bytes, H                      u32   a multiple of 64
//! 16   file bytes                           u64
//! 24   header crc32c                        u32   over bytes 0..24, then 64..64+H
//! 28   zeros to 64
//! 64   index type                           text  u16 length, UTF-8
//!      field id i64, rows u64
//!      parameter count u16                  each: key text, value text
//!      section count u16                    each: tag 8 bytes, offset u64, bytes u64, crc32c u32
//!      zeros to a multiple of 64
//! ...  sections, each at a multiple of 64, zeros between and after
//! ```
//!
//! Numbers are little endian. Opening verifies every checksum and that the gaps are zero. What a
//! section holds is checked by its reader, row numbers above all.
//!
//! Golden files: `tests/golden/`.

use std::io::{self, Write};
use std::ops::Range;

use milvus_types::index_meta::find;
use milvus_types::{FieldId, KeyValue};

use crate::error::OpenError;
use crate::section::{Mapped, Section};

const MAGIC: [u8; 8] = *b"MILVUSSX";
const VERSION: u32 = 1;
const ALIGN: usize = 64;
/// Bytes before the header.
const PREFIX: usize = 64;

/// What the header says of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) index_type: String,
    pub(crate) field: FieldId,
    pub(crate) rows: usize,
    pub(crate) params: Vec<KeyValue>,
}

impl Header {
    /// The text of parameter `key`.
    pub(crate) fn text(&self, key: &str) -> Result<&str, OpenError> {
        find(&self.params, key)
            .ok_or_else(|| OpenError::malformed(format!("parameter {key} is missing")))
    }

    /// The number that parameter `key` holds.
    pub(crate) fn number(&self, key: &str) -> Result<usize, OpenError> {
        self.text(key)?
            .parse()
            .map_err(|_| OpenError::malformed(format!("parameter {key} is no number")))
    }

    /// Whether parameter `key` is `true`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        find(&self.params, key) == Some("true")
    }
}

/// The name of a section.
pub(crate) type Tag = [u8; 8];

/// A section to be written.
pub(crate) type Part = (Tag, Vec<u8>);

/// A section of `data` as it lies in memory, little endian.
pub(crate) fn part<T: bytemuck::Pod>(tag: Tag, data: &[T]) -> Part {
    (tag, bytemuck::cast_slice(data).to_vec())
}

/// Writes a container of `sections` to `out`.
pub(crate) fn write(out: &mut dyn Write, header: &Header, sections: &[Part]) -> io::Result<()> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "index header is too long");
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, text: &str| -> io::Result<()> {
        body.extend(u16::try_from(text.len()).map_err(too_long)?.to_le_bytes());
        body.extend(text.as_bytes());
        Ok(())
    };
    text(&mut body, &header.index_type)?;
    body.extend(header.field.0.to_le_bytes());
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
    for (tag, data) in sections {
        body.extend(tag);
        body.extend((offset as u64).to_le_bytes());
        body.extend((data.len() as u64).to_le_bytes());
        body.extend(crc32c::crc32c(data).to_le_bytes());
        offset += data.len().next_multiple_of(ALIGN);
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
    for (_, data) in sections {
        out.write_all(data)?;
        let gap = data.len().next_multiple_of(ALIGN) - data.len();
        out.write_all([0; ALIGN].get(..gap).unwrap_or_default())?;
    }
    Ok(())
}

/// A container whose checksums have been verified.
pub(crate) struct Container {
    pub(crate) header: Header,
    bytes: Mapped,
    sections: Sections,
}

/// Where each section lies.
type Sections = Vec<(Tag, Range<usize>)>;

impl Container {
    /// Reads the header of `bytes` and verifies every checksum.
    pub(crate) fn open(bytes: Mapped) -> Result<Self, OpenError> {
        let (header, sections) = parse((*bytes).as_ref())?;
        Ok(Self { header, bytes, sections })
    }

    /// The section called `tag`; empty if there is none.
    pub(crate) fn section<T: bytemuck::Pod>(&self, tag: Tag) -> Result<Section<T>, OpenError> {
        let Some((_, range)) = self.sections.iter().find(|(other, _)| *other == tag) else {
            return Ok(Section::Owned(Vec::new()));
        };
        Section::map(&self.bytes, range.clone()).ok_or_else(|| {
            OpenError::malformed(format!(
                "section {} has {} bytes, want a multiple of {}",
                name(tag),
                range.len(),
                size_of::<T>()
            ))
        })
    }

    /// The section called `tag`, which must hold `count` elements.
    pub(crate) fn exactly<T: bytemuck::Pod>(
        &self,
        tag: Tag,
        count: usize,
    ) -> Result<Section<T>, OpenError> {
        let section = self.section::<T>(tag)?;
        if section.len() != count {
            return Err(OpenError::malformed(format!(
                "section {} has {} elements, want {count}",
                name(tag),
                section.len()
            )));
        }
        Ok(section)
    }
}

fn name(tag: Tag) -> String {
    String::from_utf8_lossy(&tag).trim_end().to_owned()
}

fn parse(bytes: &[u8]) -> Result<(Header, Sections), OpenError> {
    if bytes.get(..8) != Some(&MAGIC) {
        return Err(OpenError::NotAnIndex);
    }
    let mut prefix = Reader { bytes: bytes.get(8..).unwrap_or_default() };
    let version = prefix.u32()?;
    if version > VERSION {
        return Err(OpenError::NewerVersion { got: version, want: VERSION });
    }
    let header_bytes = prefix.u32()? as usize;
    let file_bytes = prefix.u64()?;
    let want = prefix.u32()?;
    if file_bytes != bytes.len() as u64 {
        return Err(OpenError::WrongLength { got: bytes.len() as u64, want: file_bytes });
    }
    let end = PREFIX.saturating_add(header_bytes);
    let cut = || OpenError::malformed("header is cut off");
    let body = bytes.get(PREFIX..end).ok_or_else(cut)?;
    let checked = crc32c::crc32c(bytes.get(..24).ok_or_else(cut)?);
    let got = crc32c::crc32c_append(checked, body);
    if got != want {
        return Err(OpenError::Checksum { part: "header".to_owned(), got, want });
    }
    if version == 0 {
        return Err(OpenError::malformed("version is 0"));
    }
    let (header, table, rest) = parse_body(body)?;
    let mut covered = end.saturating_sub(rest);
    zeros(bytes, 28..PREFIX)?;
    let mut sections = Vec::with_capacity(table.len());
    for entry in table {
        let (range, data) = entry.locate(bytes, end)?;
        if range.start < covered {
            return Err(OpenError::malformed("sections overlap"));
        }
        zeros(bytes, covered..range.start)?;
        let got = crc32c::crc32c(data);
        if got != entry.crc {
            let part = format!("section {}", name(entry.tag));
            return Err(OpenError::Checksum { part, got, want: entry.crc });
        }
        covered = range.end;
        sections.push((entry.tag, range));
    }
    zeros(bytes, covered..bytes.len())?;
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
    fn locate<'b>(
        &self,
        bytes: &'b [u8],
        header_end: usize,
    ) -> Result<(Range<usize>, &'b [u8]), OpenError> {
        let outside = || OpenError::malformed("a section lies outside the file");
        let range = self.offset..self.offset.checked_add(self.bytes).ok_or_else(outside)?;
        if self.offset < header_end || !self.offset.is_multiple_of(ALIGN) {
            return Err(outside());
        }
        let data = bytes.get(range.clone()).ok_or_else(outside)?;
        Ok((range, data))
    }
}

/// The header, the sections, and how many bytes of padding are left.
fn parse_body(body: &[u8]) -> Result<(Header, Vec<Entry>, usize), OpenError> {
    let mut reader = Reader { bytes: body };
    let index_type = reader.text()?;
    let field = FieldId(reader.u64()?.cast_signed());
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
    Ok((Header { index_type, field, rows, params }, sections, reader.bytes.len()))
}

fn zeros(bytes: &[u8], range: Range<usize>) -> Result<(), OpenError> {
    match bytes.get(range) {
        Some(gap) if gap.iter().all(|&byte| byte == 0) => Ok(()),
        _ => Err(OpenError::malformed("bytes between sections are not zero")),
    }
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
            index_type: "BITMAP".to_owned(),
            field: FieldId(101),
            rows: 5,
            params: vec![KeyValue::new("limit", "16")],
        };
        let sections = [part(*b"one     ", &[0x0403_0201u32]), part(*b"two     ", &[7u8; 100])];
        let mut bytes = Vec::new();
        write(&mut bytes, &header, &sections).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let container = Container::open(Arc::new(sample())).unwrap();
        assert_eq!(container.header.number("limit"), Ok(16));
        assert!(container.header.number("ef").is_err());
        assert_eq!(container.exactly::<u32>(*b"one     ", 1).unwrap().as_slice(), [0x0403_0201]);
        assert!(container.exactly::<u8>(*b"two     ", 99).is_err());
        assert!(container.section::<u64>(*b"two     ").is_err());
        assert!(container.section::<u8>(*b"three   ").unwrap().is_empty());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "cut to {len}");
        }
        let mut newer = bytes;
        newer[8] = 9;
        assert_eq!(parse(&newer), Err(OpenError::NewerVersion { got: 9, want: 1 }));
    }
}
