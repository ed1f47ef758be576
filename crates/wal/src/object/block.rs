//! Bytes of a batch, format 1: what one put of the log writes. All numbers are little-endian.
//!
//! ```text
//! object   block | block | ...        a batch is one block; a merged object holds several, as they were
//!
//! block    header 88 | record | record | ...
//!
//! header   magic 8 "MILVUSWP" | version u32 | kind u32 | crc32c of the channel's name u32 | count u32
//!          | log u64 | term u64 | first u64 | end u64 | id 16 | body u64 | zero u32
//!          | crc32c of the 84 bytes before u32
//!
//! record   length u32 | crc32c u32 | payload (length bytes)
//! ```
//!
//! - A position is a number of records and claims in the channel's life. `first` is that of the block
//!   and names the object that it was put as; the block takes `count` positions, and the next block
//!   begins behind them.
//! - `log` is drawn when a channel is made and is part of its objects' names, so that what is left of, or
//!   still under way to, a removed channel is told from the records of one that has its name since.
//! - `end` is the position after the last record before this block: an owner learns from a claim where
//!   the records end. `id` is drawn for each block; who does not know whether its put arrived compares it.
//! - `body` is the number of bytes behind the header. kind 0 is a batch of `count` records, one or more.
//!   Kind 1 is a claim: it takes one position and has no body, so an object of 88 bytes is a claim and
//!   nothing else is. A claim begins an owner's term, or settles that a batch will never be there.
//! - The crc32c of a record covers the block's id, the record's position, its length and its payload.

use bytes::{Buf as _, BufMut as _, Bytes};

/// The newest version known.
pub(super) const VERSION: u32 = 1;
/// Bytes of a block before its records; all of a claim.
pub(super) const BLOCK_HEADER: usize = 88;
/// Bytes of a record before its payload.
pub(super) const RECORD_HEADER: usize = 8;

const MAGIC: [u8; 8] = *b"MILVUSWP";

/// What draws the line between this log and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogId {
    /// The crc32c of the channel's name.
    pub(super) channel: u32,
    /// The number drawn for the channel when it was made.
    pub(super) log: u64,
}

/// A name for one attempt to write something, which nothing else has.
pub(super) type UniqueId = [u8; 16];

/// Draws a new id.
pub(super) fn unique_id() -> UniqueId {
    let (high, low) = (milvus_base::random::u64(), milvus_base::random::u64());
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Batch = 0,
    Claim = 1,
}

/// What stands before a block's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) of: LogId,
    pub(super) kind: Kind,
    pub(super) term: u64,
    pub(super) first: u64,
    pub(super) count: u32,
    /// The position after the last record before this block.
    pub(super) end: u64,
    pub(super) id: UniqueId,
    pub(super) body_bytes: u64,
}

/// Why bytes are not what should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// More bytes are needed, so many.
    Short(usize),
    Newer(u32),
    Bad(&'static str),
}

impl BlockHeader {
    /// A claim of `term` at `first`, behind records that end at `end`.
    pub(super) fn claim(of: LogId, term: u64, first: u64, end: u64) -> Self {
        let id = unique_id();
        Self { of, kind: Kind::Claim, term, first, count: 1, end, id, body_bytes: 0 }
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(BLOCK_HEADER);
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u32_le(self.kind as u32);
        bytes.put_u32_le(self.of.channel);
        bytes.put_u32_le(self.count);
        bytes.put_u64_le(self.of.log);
        bytes.put_u64_le(self.term);
        bytes.put_u64_le(self.first);
        bytes.put_u64_le(self.end);
        bytes.put_slice(&self.id);
        bytes.put_u64_le(self.body_bytes);
        bytes.put_u32_le(0);
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes.into()
    }

    /// The header at the front of `bytes`; checks everything but whose it is and where it belongs.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let Some(header) = bytes.first_chunk::<BLOCK_HEADER>() else {
            return Err(Flaw::Short(BLOCK_HEADER));
        };
        let (checked, mut crc) = header.split_at(BLOCK_HEADER - 4);
        let Some(mut fields) = checked.strip_prefix(&MAGIC) else {
            return Err(Flaw::Bad("no block begins here"));
        };
        let version = fields.get_u32_le();
        if crc32c::crc32c(checked) != crc.get_u32_le() {
            // A later version may well keep its checksum elsewhere.
            let newer = version > VERSION && version < 1 << 16;
            let bad = Flaw::Bad("the checksum of the block's header does not match");
            return Err(if newer { Flaw::Newer(version) } else { bad });
        }
        if version != VERSION {
            return Err(Flaw::Newer(version));
        }
        let kind = fields.get_u32_le();
        let (channel, count) = (fields.get_u32_le(), fields.get_u32_le());
        let of = LogId { channel, log: fields.get_u64_le() };
        let (term, first, end) = (fields.get_u64_le(), fields.get_u64_le(), fields.get_u64_le());
        let mut id = UniqueId::default();
        fields.copy_to_slice(&mut id);
        let body_bytes = fields.get_u64_le();
        let kind = match (kind, count, body_bytes) {
            (0, 1.., 8..) => Kind::Batch,
            (1, 1, 0) => Kind::Claim,
            _ => return Err(Flaw::Bad("the block is of an unknown kind")),
        };
        if end > first || first.checked_add(count.into()).is_none() {
            return Err(Flaw::Bad("the block's positions are beyond every log"));
        }
        Ok(Self { of, kind, term, first, count, end, id, body_bytes })
    }

    /// Refuses a block of another log or another place.
    pub(super) fn check(&self, of: LogId, first: u64) -> Result<(), &'static str> {
        if self.of.channel != of.channel {
            return Err("the block belongs to another channel");
        }
        if self.of.log != of.log {
            return Err("the block belongs to a log that was removed");
        }
        if self.first != first {
            return Err("the block belongs to another position");
        }
        Ok(())
    }

    /// The position of the next block.
    pub(super) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The position after the last record up to and including this block.
    pub(super) fn data_end(&self) -> u64 {
        match self.kind {
            Kind::Batch => self.next(),
            Kind::Claim => self.end,
        }
    }

    /// Bytes of the block.
    pub(super) fn bytes(&self) -> u64 {
        self.body_bytes.saturating_add(BLOCK_HEADER as u64)
    }
}

/// Bytes that a record of `length` bytes takes in a block.
pub(super) fn record_bytes(length: u64) -> u64 {
    RECORD_HEADER as u64 + length
}

/// What stands before the payload of the record at `position` in the block `id`.
pub(super) fn encode_record(
    id: &UniqueId,
    position: u64,
    length: u32,
    payload: &[Bytes],
) -> [u8; RECORD_HEADER] {
    let mut crc = start_of_checksum(id, position, length);
    for part in payload {
        crc = crc32c::crc32c_append(crc, part);
    }
    (u64::from(crc) << 32 | u64::from(length)).to_le_bytes()
}

/// The length of the payload of the record at the front of `bytes`, which must be the one of
/// `position` in the block `id`.
pub(super) fn decode_record(bytes: &[u8], id: &UniqueId, position: u64) -> Result<usize, Flaw> {
    let Some((mut header, rest)) = bytes.split_at_checked(RECORD_HEADER) else {
        return Err(Flaw::Short(RECORD_HEADER));
    };
    let (length, crc) = (header.get_u32_le(), header.get_u32_le());
    let Some(size) = usize::try_from(length).ok().filter(|size| *size <= usize::MAX / 2) else {
        return Err(Flaw::Bad("the record is larger than memory"));
    };
    let Some(payload) = rest.get(..size) else {
        return Err(Flaw::Short(RECORD_HEADER + size));
    };
    let start = start_of_checksum(id, position, length);
    if crc32c::crc32c_append(start, payload) != crc {
        return Err(Flaw::Bad("the checksum of the record does not match"));
    }
    Ok(size)
}

fn start_of_checksum(id: &UniqueId, position: u64, length: u32) -> u32 {
    let crc = crc32c::crc32c(id);
    let crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
    crc32c::crc32c_append(crc, &length.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back_and_no_flipped_bit_goes_unnoticed(
            id: UniqueId, position: u64,
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4),
            bit: prop::sample::Index,
        ) {
            let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
            let payload = parts.concat();
            let length = u32::try_from(payload.len()).unwrap();
            let mut bytes = encode_record(&id, position, length, &parts).to_vec();
            bytes.extend_from_slice(&payload);
            prop_assert_eq!(bytes.len() as u64, record_bytes(length.into()));
            prop_assert_eq!(decode_record(&bytes, &id, position), Ok(payload.len()));
            prop_assert!(decode_record(&bytes, &id, position ^ 1).is_err());
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_record(&bytes, &id, position).is_err());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>, mut start: [u8; BLOCK_HEADER], position: u64) {
            let _ = BlockHeader::decode(&bytes);
            let _ = decode_record(&bytes, &UniqueId::default(), position);
            // Past the magic, the version and the checksum too.
            start[..8].copy_from_slice(&MAGIC);
            start[8..12].copy_from_slice(&VERSION.to_le_bytes());
            let crc = crc32c::crc32c(&start[..BLOCK_HEADER - 4]);
            start[BLOCK_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
            if let Ok(header) = BlockHeader::decode(&start) {
                prop_assert!(header.next() > header.first && header.data_end() <= header.next());
                prop_assert!(header.bytes() >= BLOCK_HEADER as u64);
            }
        }
    }

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_goes_unnoticed() {
        let of = LogId { channel: 7, log: 8 };
        let header = BlockHeader {
            count: 3,
            kind: Kind::Batch,
            body_bytes: 24,
            ..BlockHeader::claim(of, 2, 40, 39)
        };
        let good = header.encode();
        assert_eq!(BlockHeader::decode(&good), Ok(header));
        assert_eq!((header.next(), header.data_end(), header.bytes()), (43, 43, 112));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(BlockHeader::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
