//! What a manifest says of a file: where it is, how long, and the checksum of its bytes.

use crate::error::DecodeError;

/// A file as a manifest names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMeta {
    /// Its path in the object store.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The CRC32C of all its bytes.
    pub crc32c: u32,
}

/// What a writer has written: the part of a [`FileMeta`] that does not depend on the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// How many bytes.
    pub bytes: u64,
    /// Their CRC32C.
    pub crc32c: u32,
}

impl WrittenFile {
    /// These bytes as the file at `path`.
    pub fn at(self, path: impl Into<String>) -> FileMeta {
        FileMeta { path: path.into(), bytes: self.bytes, crc32c: self.crc32c }
    }

    /// What writing exactly `bytes` amounts to.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) }
    }
}

/// Checks that `bytes` are those `expect` names: all of them, unchanged.
///
/// Cost: reads every byte once.
pub fn verify(bytes: &[u8], expect: &FileMeta) -> Result<(), DecodeError> {
    const WHAT: &str = "file";
    if bytes.len() as u64 != expect.bytes {
        let got = bytes.len() as u64;
        return Err(DecodeError::Length { what: WHAT, got, want: expect.bytes });
    }
    let got = crc32c::crc32c(bytes);
    if got != expect.crc32c {
        return Err(DecodeError::Checksum { what: WHAT, got, want: expect.crc32c });
    }
    Ok(())
}
