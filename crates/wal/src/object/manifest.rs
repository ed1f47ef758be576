//! Bytes of a channel's manifest, format 1: what can be known of its log without walking it. All
//! numbers are little-endian.
//!
//! ```text
//! object   magic 8 "MILVUSWM" | version u32 | crc32c of the channel's name u32 | log u64 | term u64
//!          | owner 16 | id 16 | trim u64 | next u64 | end u64 | flags u32 | count u32
//!          | extent (count times) | crc32c of everything before u32
//!
//! extent   first u64 | end u64 | bytes u64 | merged u64
//! ```
//!
//! - Every object of the log that begins at or after `next` exists: nothing there is ever deleted before
//!   a manifest with a higher `next` was put. An owner finds the tail by getting object after object from
//!   `next` on, and no list of the store is believed.
//! - Positions from `trim` to `next` lie in the extents, which follow each other: `merged` is 0 for an
//!   object as it was put, else the number in a merged one's name. Records before `trim` are given up.
//! - `end` is the position after the last record when the manifest was put; the blocks from `next` on say
//!   more.
//! - A manifest is only ever put in the place of the one that was read before. A new owner puts one of
//!   its `term` and its own `owner` id first, so that an older owner's no longer match. `id` is drawn for
//!   each, so that no two are the same bytes.
//! - Flag 1: the channel is removed; what is left of it is to be deleted.

use std::collections::VecDeque;

use bytes::{Buf as _, BufMut as _, Bytes};

use super::block::{BLOCK_HEADER, Flaw, LogId, UniqueId, VERSION};
use super::extents::{Extent, Kind};

const MAGIC: [u8; 8] = *b"MILVUSWM";
const HEADER: usize = 96;
const EXTENT: usize = 32;
const REMOVED: u32 = 1;

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) of: LogId,
    pub(super) term: u64,
    pub(super) owner: UniqueId,
    pub(super) id: UniqueId,
    pub(super) trim: u64,
    pub(super) next: u64,
    pub(super) end: u64,
    pub(super) removed: bool,
    pub(super) settled: VecDeque<Extent>,
}

impl Manifest {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(HEADER + EXTENT * self.settled.len() + 4);
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u32_le(self.of.channel);
        bytes.put_u64_le(self.of.log);
        bytes.put_u64_le(self.term);
        bytes.put_slice(&self.owner);
        bytes.put_slice(&self.id);
        bytes.put_u64_le(self.trim);
        bytes.put_u64_le(self.next);
        bytes.put_u64_le(self.end);
        bytes.put_u32_le(if self.removed { REMOVED } else { 0 });
        // More would be as many terabytes of log as there are extents of a few MiB in 2^32.
        bytes.put_u32_le(u32::try_from(self.settled.len()).unwrap_or(u32::MAX));
        for extent in &self.settled {
            bytes.put_u64_le(extent.first);
            bytes.put_u64_le(extent.end);
            bytes.put_u64_le(extent.bytes);
            bytes.put_u64_le(match extent.kind {
                Kind::Batch | Kind::Claim => 0,
                Kind::Merged(id) => id,
            });
        }
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes.into()
    }

    /// The manifest in `bytes`, of the channel whose name has the crc32c `channel`.
    pub(super) fn decode(bytes: &[u8], channel: u32) -> Result<Self, Flaw> {
        let Some((checked, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(Flaw::Short(HEADER + 4));
        };
        let Some(mut fields) = checked.strip_prefix(&MAGIC) else {
            return Err(Flaw::Bad("the object does not begin as a manifest does"));
        };
        if checked.len() < HEADER {
            return Err(Flaw::Short(HEADER + 4));
        }
        let version = fields.get_u32_le();
        if version > VERSION && version < 1 << 16 {
            // A later version may well keep its checksum elsewhere.
            return Err(Flaw::Newer(version));
        }
        if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) || version != VERSION {
            return Err(Flaw::Bad("the checksum of the manifest does not match"));
        }
        let found = fields.get_u32_le();
        if found != channel {
            return Err(Flaw::Bad("the manifest belongs to another channel"));
        }
        let of = LogId { channel, log: fields.get_u64_le() };
        let term = fields.get_u64_le();
        let (mut owner, mut id) = (UniqueId::default(), UniqueId::default());
        fields.copy_to_slice(&mut owner);
        fields.copy_to_slice(&mut id);
        let (trim, next, end) = (fields.get_u64_le(), fields.get_u64_le(), fields.get_u64_le());
        let (flags, count) = (fields.get_u32_le(), fields.get_u32_le());
        if flags > REMOVED || u64::from(count) * EXTENT as u64 != fields.len() as u64 {
            return Err(Flaw::Bad("the manifest is not of the length that it says"));
        }
        let settled = extents(fields, next)?;
        let removed = flags == REMOVED;
        Ok(Self { of, term, owner, id, trim, next, end, removed, settled })
    }
}

/// The extents in `fields`, which must follow each other up to `next`.
fn extents(mut fields: &[u8], next: u64) -> Result<VecDeque<Extent>, Flaw> {
    let mut settled = VecDeque::with_capacity(fields.len() / EXTENT);
    while fields.len() >= EXTENT {
        let (first, end) = (fields.get_u64_le(), fields.get_u64_le());
        let bytes = fields.get_u64_le();
        let kind = match fields.get_u64_le() {
            0 if bytes == BLOCK_HEADER as u64 => Kind::Claim,
            0 => Kind::Batch,
            id => Kind::Merged(id),
        };
        let before = settled.back().map(|before: &Extent| before.end);
        if first >= end || before.is_some_and(|before| before != first) {
            return Err(Flaw::Bad("the manifest's extents do not follow each other"));
        }
        settled.push_back(Extent { first, end, bytes, kind });
    }
    if settled.back().is_some_and(|last| last.end != next) {
        return Err(Flaw::Bad("the manifest's extents do not follow each other"));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let extent = |first, kind| Extent { first, end: first + 10, bytes: 900, kind };
        Manifest {
            of: LogId { channel: 5, log: 6 },
            term: 3,
            owner: [1; 16],
            id: [2; 16],
            trim: 12,
            next: 30,
            end: 29,
            removed: false,
            settled: [extent(10, Kind::Merged(77)), extent(20, Kind::Batch)].into(),
        }
    }

    #[test]
    fn a_manifest_reads_back_and_no_flipped_bit_goes_unnoticed() {
        let good = manifest().encode();
        assert_eq!(Manifest::decode(&good, 5), Ok(manifest()));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&bytes, 5).is_err(), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(Manifest::decode(&good[..cut], 5).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn extents_with_a_gap_are_refused() {
        let mut holed = manifest();
        holed.settled[1].first += 1;
        assert!(Manifest::decode(&holed.encode(), 5).is_err());
        let short = Manifest { next: 31, ..manifest() };
        assert!(Manifest::decode(&short.encode(), 5).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = Manifest::decode(&bytes, 5);
            let mut sound = manifest().encode()[..HEADER].to_vec();
            sound.extend(tail);
            sound.put_u32_le(crc32c::crc32c(&sound));
            let _ = Manifest::decode(&sound, 5);
        }
    }
}
