//! Delete files: rows of one sealed segment that were deleted, each with the delete's timestamp.
//!
//! A row is deleted at `ts` when some entry has its number and a timestamp at or below `ts`; of
//! several entries the oldest counts. Entries are sorted by row, then timestamp.
//!
//! ```text
//! | "MVDL" | version 1 | 0 | body len | body                                              | crc32c |
//!                                     | count n, u64 | timestamps, n x u64 | rows, n x u32 |
//! ```
//!
//! Not here: the bitmap over them (`segment`), which files a segment has ([`crate::manifest`]).

use std::io::Write;

use milvus_types::Timestamp;

use crate::error::{DecodeError, EncodeError};
use crate::file_meta::WrittenFile;
use crate::frame::{Format, u32_at, u64_at};

const FORMAT: Format = Format { what: "delete file", magic: *b"MVDL", version: 1 };
const ENTRY_BYTES: u64 = 12;

/// One deleted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeleteEntry {
    /// The row's number in its segment.
    pub row: u32,
    /// From when on it is deleted.
    pub timestamp: Timestamp,
}

/// Writes `entries`, in any order, as one delete file.
pub fn write_deletes(
    out: &mut impl Write,
    entries: &[DeleteEntry],
) -> Result<WrittenFile, EncodeError> {
    let mut entries = entries.to_vec();
    entries.sort_unstable();
    let body_bytes = 8 + entries.len() as u64 * ENTRY_BYTES;
    FORMAT
        .write(out, body_bytes, |out| {
            let mut body = Vec::with_capacity(entries.len() * 12 + 8);
            body.extend_from_slice(&(entries.len() as u64).to_le_bytes());
            body.extend(entries.iter().flat_map(|entry| entry.timestamp.0.to_le_bytes()));
            body.extend(entries.iter().flat_map(|entry| entry.row.to_le_bytes()));
            out.write_all(&body)
        })
        .map_err(|source| EncodeError::Io { what: FORMAT.what, source })
}

/// The entries of the delete file in `bytes`, sorted. Verifies the checksum.
pub fn read_deletes(bytes: &[u8]) -> Result<Vec<DeleteEntry>, DecodeError> {
    let malformed = |reason: String| DecodeError::malformed(FORMAT.what, reason);
    let body = FORMAT.open(bytes)?;
    let (count, entries) =
        body.split_first_chunk::<8>().ok_or_else(|| malformed("it has no count".to_owned()))?;
    let count = u64::from_le_bytes(*count);
    if count.checked_mul(ENTRY_BYTES) != Some(entries.len() as u64) {
        return Err(malformed(format!("{count} entries in {} bytes", entries.len())));
    }
    let count = entries.len() / 12;
    let (timestamps, rows) = entries.split_at_checked(count * 8).unwrap_or_default();
    let entries: Vec<_> = (0..count)
        .filter_map(|i| {
            let (row, timestamp) = (u32_at(rows, i)?, Timestamp(u64_at(timestamps, i)?));
            Some(DeleteEntry { row, timestamp })
        })
        .collect();
    if !entries.is_sorted() {
        return Err(malformed("its entries are not sorted".to_owned()));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(row: u32, timestamp: u64) -> DeleteEntry {
        DeleteEntry { row, timestamp: Timestamp(timestamp) }
    }

    fn encode(entries: &[DeleteEntry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = write_deletes(&mut bytes, entries).unwrap();
        assert_eq!(written, WrittenFile::of(&bytes));
        bytes
    }

    #[test]
    fn golden_v1_decodes_to_what_was_written() {
        let entries = [entry(9, 70), entry(3, 80), entry(3, 60)];
        let path = crate::golden("deletes.del", &encode(&entries));
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(read_deletes(&bytes).unwrap(), [entry(3, 60), entry(3, 80), entry(9, 70)]);
        assert_eq!(bytes, encode(&entries), "the bytes of version 1 never change");
    }

    #[test]
    fn unsorted_entries_are_refused() {
        let mut bytes = encode(&[entry(1, 5), entry(2, 5)]);
        let rows = 16 + 8 + 2 * 8;
        bytes[rows] = 3;
        let end = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        let error = read_deletes(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "delete file is malformed: its entries are not sorted");
    }

    proptest! {
        #[test]
        fn entries_round_trip(entries in proptest::collection::vec((any::<u32>(), any::<u64>()), 0..50)) {
            let mut entries: Vec<_> = entries.into_iter().map(|(r, t)| entry(r, t)).collect();
            let back = read_deletes(&encode(&entries)).unwrap();
            entries.sort_unstable();
            prop_assert_eq!(back, entries);
        }

        #[test]
        fn damaged_bytes_are_refused(at in 0_usize..500, bit in 0_u8..8) {
            let bytes = encode(&[entry(1, 5), entry(2, 6), entry(4, 5)]);
            let at = at % bytes.len();
            prop_assert!(read_deletes(&bytes[..at]).is_err());
            let mut flipped = bytes;
            flipped[at] ^= 1 << bit;
            prop_assert!(read_deletes(&flipped).is_err());
        }
    }
}
