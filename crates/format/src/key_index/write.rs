//! Writing a key index.

use std::io::Write;

use milvus_types::PrimaryKeys;

use super::{FORMAT, HEADER_BYTES};
use crate::error::EncodeError;
use crate::file_meta::WrittenFile;

/// Writes the index of a segment whose row `i` has the `i`-th of `keys`.
///
/// Cost: sorts once; allocates 16 bytes per row.
pub fn write_key_index(
    keys: &PrimaryKeys,
    out: &mut impl Write,
) -> Result<WrittenFile, EncodeError> {
    let count = u32::try_from(keys.len()).map_err(|_| too_large("rows", keys.len()))?;
    match keys {
        PrimaryKeys::Int64(keys) => {
            let mut sorted: Vec<(i64, u32)> = keys.values().iter().copied().zip(0..count).collect();
            sorted.sort_unstable();
            write(
                out,
                1,
                sorted.iter().flat_map(|(key, _)| key.to_le_bytes()).collect(),
                sorted.iter().flat_map(|(_, row)| row.to_le_bytes()).collect(),
                &[],
            )
        }
        PrimaryKeys::VarChar(keys) => {
            let mut sorted: Vec<(&str, u32)> =
                keys.iter().map(Option::unwrap_or_default).zip(0..count).collect();
            sorted.sort_unstable();
            let text_bytes: usize = sorted.iter().map(|(key, _)| key.len()).sum();
            u32::try_from(text_bytes).map_err(|_| too_large("bytes of keys", text_bytes))?;
            let text: String = sorted.iter().map(|(key, _)| *key).collect();
            let ends = sorted.iter().scan(0_u32, |end, (key, _)| {
                *end += u32::try_from(key.len()).unwrap_or_default();
                Some(*end)
            });
            write(
                out,
                2,
                ends.flat_map(u32::to_le_bytes).collect(),
                sorted.iter().flat_map(|(_, row)| row.to_le_bytes()).collect(),
                text.as_bytes(),
            )
        }
    }
}

fn write(
    out: &mut impl Write,
    key_type: u8,
    keys: Vec<u8>,
    rows: Vec<u8>,
    text: &[u8],
) -> Result<WrittenFile, EncodeError> {
    let body_bytes = HEADER_BYTES + keys.len() + rows.len() + text.len();
    FORMAT
        .write(out, body_bytes as u64, |out| {
            out.write_all(&[key_type, 0, 0, 0, 0, 0, 0, 0])?;
            out.write_all(&(rows.len() as u64 / 4).to_le_bytes())?;
            out.write_all(&(text.len() as u64).to_le_bytes())?;
            out.write_all(&keys)?;
            out.write_all(&rows)?;
            out.write_all(text)
        })
        .map_err(|source| EncodeError::Io { what: FORMAT.what, source })
}

fn too_large(unit: &'static str, got: usize) -> EncodeError {
    let limit = u64::from(u32::MAX);
    EncodeError::TooLarge { what: FORMAT.what, unit, got: got as u64, limit }
}
