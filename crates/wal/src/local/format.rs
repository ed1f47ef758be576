//! Bytes of a log file, format 1. All numbers are little-endian; everything is 8-byte aligned.
//!
//! ```text
//! file     header 40 | record | record | ...
//!
//! header   magic 8 "MILVUSWL" | version u32 | crc32c of the channel's name u32 | base u64
//!          | term u64 | zero u32 | crc32c of the 36 bytes before u32
//!
//! record   magic u32 "MREC" | crc32c u32 | position u64 | durable u64 | term u64
//!          | length u32 | kind u32 | payload (length bytes) | zeros to a multiple of 8
//! ```
//!
//! - A position is the number of record bytes before it in the channel's life, file headers not
//!   counted. `base` is the position of the file's first record, and names the file.
//! - The crc32c covers all of a record behind the field itself, padding included.
//! - `durable`: everything before this position was durable when the record was written. Of two
//!   records with the same value neither proves that the other was ever acknowledged.
//! - kind 0 is data. Kind 1 is a mark: no payload, `durable` equal to its own position. One is
//!   written, without waiting for the disk, when the channel goes idle, so that damage to the last
//!   acknowledged record can be told from a write that was cut short.

use bytes::{Buf as _, BufMut as _, Bytes};

/// The newest version known.
pub(super) const VERSION: u32 = 1;
/// Bytes of a file header.
pub(super) const FILE_HEADER: usize = 40;
/// Bytes of a record before its payload.
pub(super) const RECORD_HEADER: usize = 40;

const FILE_MAGIC: [u8; 8] = *b"MILVUSWL";
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"MREC");
/// Where the part of a record begins that its checksum covers.
const CHECKED_FROM: usize = 8;
const PADDING: [u8; 8] = [0; 8];

/// What the head of a log file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) channel_hash: u32,
    pub(super) base: u64,
    pub(super) term: u64,
}

/// Why the head of a file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFlaw {
    Newer(u32),
    Bad(&'static str),
}

impl FileHeader {
    pub(super) fn new(channel: &str, base: u64, term: u64) -> Self {
        Self { channel_hash: crc32c::crc32c(channel.as_bytes()), base, term }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEADER);
        bytes.put_slice(&FILE_MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u32_le(self.channel_hash);
        bytes.put_u64_le(self.base);
        bytes.put_u64_le(self.term);
        bytes.put_u32_le(0);
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFlaw> {
        let Some(header) = bytes.first_chunk::<FILE_HEADER>() else {
            return Err(HeaderFlaw::Bad("the file ends within its header"));
        };
        let (checked, mut crc) = header.split_at(FILE_HEADER - 4);
        let Some(mut fields) = checked.strip_prefix(&FILE_MAGIC) else {
            return Err(HeaderFlaw::Bad("the file does not begin as a log file does"));
        };
        let version = fields.get_u32_le();
        if crc32c::crc32c(checked) != crc.get_u32_le() {
            // A later version may well keep its checksum elsewhere.
            let newer = version > VERSION && version < 1 << 16;
            let bad = HeaderFlaw::Bad("the checksum of the file header does not match");
            return Err(if newer { HeaderFlaw::Newer(version) } else { bad });
        }
        if version != VERSION {
            return Err(HeaderFlaw::Newer(version));
        }
        let channel_hash = fields.get_u32_le();
        let base = fields.get_u64_le();
        Ok(Self { channel_hash, base, term: fields.get_u64_le() })
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data = 0,
    Mark = 1,
}

/// What stands before a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) position: u64,
    pub(super) durable: u64,
    pub(super) term: u64,
    pub(super) length: u32,
    pub(super) kind: Kind,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordFlaw {
    /// There may be one, of this many bytes.
    Short(usize),
    Bad(&'static str),
}

/// The zeros behind a payload of `length` bytes.
pub(super) fn padding(length: u64) -> &'static [u8] {
    // Fewer than eight.
    let count = usize::try_from(length.next_multiple_of(8) - length).unwrap_or(0);
    PADDING.get(..count).unwrap_or(&[])
}

/// Bytes that a record of `length` bytes takes in the log.
pub(super) fn record_bytes(length: u64) -> u64 {
    RECORD_HEADER as u64 + length.next_multiple_of(8)
}

impl RecordHeader {
    /// The header's bytes for a payload of these parts, together `self.length` long.
    pub(super) fn encode(&self, payload: &[Bytes]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_HEADER);
        bytes.put_u32_le(RECORD_MAGIC);
        bytes.put_u32_le(0);
        bytes.put_u64_le(self.position);
        bytes.put_u64_le(self.durable);
        bytes.put_u64_le(self.term);
        bytes.put_u32_le(self.length);
        bytes.put_u32_le(self.kind as u32);
        let mut crc = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        for part in payload {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc = crc32c::crc32c_append(crc, padding(self.length.into()));
        bytes[4..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The record at the front of `bytes`, which must be the one of `position`.
    pub(super) fn decode(bytes: &[u8], position: u64) -> Result<Self, RecordFlaw> {
        let Some(header) = bytes.first_chunk::<RECORD_HEADER>() else {
            return Err(RecordFlaw::Short(RECORD_HEADER));
        };
        let mut fields = &header[..];
        if fields.get_u32_le() != RECORD_MAGIC {
            return Err(RecordFlaw::Bad("no record begins here"));
        }
        let crc = fields.get_u32_le();
        let (found, durable) = (fields.get_u64_le(), fields.get_u64_le());
        let (term, length) = (fields.get_u64_le(), fields.get_u32_le());
        if found != position {
            return Err(RecordFlaw::Bad("the record belongs to another position"));
        }
        let Ok(total) = usize::try_from(record_bytes(length.into())) else {
            return Err(RecordFlaw::Bad("the record is larger than memory"));
        };
        let Some(record) = bytes.get(..total) else {
            return Err(RecordFlaw::Short(total));
        };
        if crc32c::crc32c(&record[CHECKED_FROM..]) != crc {
            return Err(RecordFlaw::Bad("the checksum of the record does not match"));
        }
        let kind = match fields.get_u32_le() {
            0 => Kind::Data,
            1 => Kind::Mark,
            _ => return Err(RecordFlaw::Bad("the record is of an unknown kind")),
        };
        Ok(Self { position, durable, term, length, kind })
    }

    /// The position after the record.
    pub(super) fn next(&self) -> u64 {
        self.position + record_bytes(self.length.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back_and_no_flipped_bit_goes_unnoticed(
            position: u64, durable: u64, term: u64,
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4),
            bit: prop::sample::Index,
        ) {
            let position = position >> 1;
            let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
            let payload = parts.concat();
            let length = u32::try_from(payload.len()).unwrap();
            let header = RecordHeader { position, durable, term, length, kind: Kind::Data };
            let mut bytes = header.encode(&parts);
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(padding(length.into()));
            prop_assert_eq!(bytes.len() as u64, record_bytes(length.into()));
            prop_assert_eq!(RecordHeader::decode(&bytes, position), Ok(header));
            prop_assert_eq!(header.next(), position + bytes.len() as u64);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(RecordHeader::decode(&bytes, position).is_err());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>, position: u64) {
            let _ = FileHeader::decode(&bytes);
            let _ = RecordHeader::decode(&bytes, position);
        }
    }

    #[test]
    fn a_file_header_reads_back_and_no_flipped_bit_goes_unnoticed() {
        let header = FileHeader::new("by-dev-rootcoord-dml_0", 4096, 3);
        let good = header.encode();
        assert_eq!(FileHeader::decode(&good), Ok(header));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
