//! The frame around our own formats: magic, version, length, body, checksum.
//!
//! ```text
//!  0        4         6          8            16              16 + n
//!  | magic  | version | reserved | body len n | body (n bytes) | crc32c |
//!  | 4      | u16     | u16 = 0  | u64        |                | u32    |
//! ```
//!
//! Numbers are little-endian; the checksum covers every byte before it. Bodies begin at offset 16,
//! so an 8-byte number at a multiple of 8 in the body is aligned in a mapped file.

use std::io::{self, Write};

use crate::crc_writer::CrcWriter;
use crate::error::DecodeError;
use crate::file_meta::WrittenFile;

const HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// One of our formats.
pub(crate) struct Format {
    /// What messages call it.
    pub(crate) what: &'static str,
    /// Its first four bytes.
    pub(crate) magic: [u8; 4],
    /// The version written, and the newest one read.
    pub(crate) version: u16,
}

impl Format {
    /// Writes a frame whose body of `body_bytes` bytes is written by `body`.
    pub(crate) fn write<W: Write>(
        &self,
        out: W,
        body_bytes: u64,
        body: impl FnOnce(&mut CrcWriter<W>) -> io::Result<()>,
    ) -> io::Result<WrittenFile> {
        let mut out = CrcWriter::new(out);
        out.write_all(&self.magic)?;
        out.write_all(&self.version.to_le_bytes())?;
        out.write_all(&0_u16.to_le_bytes())?;
        out.write_all(&body_bytes.to_le_bytes())?;
        body(&mut out)?;
        debug_assert_eq!(out.bytes(), HEADER_BYTES as u64 + body_bytes, "{}", self.what);
        let crc32c = out.written().crc32c;
        out.write_all(&crc32c.to_le_bytes())?;
        out.flush()?;
        Ok(out.written())
    }

    /// The body within `bytes`, once magic, version, length and checksum are right.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let what = self.what;
        let short = |want| DecodeError::Length { what, got: bytes.len() as u64, want };
        let minimum = (HEADER_BYTES + CRC_BYTES) as u64;
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| short(minimum))?;
        if *magic != self.magic {
            return Err(DecodeError::Magic {
                what,
                got: magic.escape_ascii().to_string(),
                want: self.magic.escape_ascii().to_string(),
            });
        }
        let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(|| short(minimum))?;
        let version = u16::from_le_bytes(*version);
        if version > self.version {
            return Err(DecodeError::NewerVersion { what, got: version, newest: self.version });
        }
        let (_reserved, rest) = rest.split_first_chunk::<2>().ok_or_else(|| short(minimum))?;
        let (body_bytes, rest) = rest.split_first_chunk::<8>().ok_or_else(|| short(minimum))?;
        let want = u64::from_le_bytes(*body_bytes).saturating_add(minimum);
        if bytes.len() as u64 != want {
            return Err(short(want));
        }
        let (body, crc) = rest.split_last_chunk::<4>().ok_or_else(|| short(want))?;
        let want = u32::from_le_bytes(*crc);
        let got = crc32c::crc32c(bytes.get(..HEADER_BYTES + body.len()).unwrap_or_default());
        if got != want {
            return Err(DecodeError::Checksum { what, got, want });
        }
        if version == 0 {
            return Err(DecodeError::malformed(what, "format version 0 was never written"));
        }
        Ok(body)
    }
}

/// The `index`-th little-endian `u32` of `bytes`, wherever they are aligned.
pub(crate) fn u32_at(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    bytes.get(start..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

/// The `index`-th little-endian `u64` of `bytes`, wherever they are aligned.
pub(crate) fn u64_at(bytes: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    bytes.get(start..)?.first_chunk::<8>().map(|word| u64::from_le_bytes(*word))
}
