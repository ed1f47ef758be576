//! A writer that counts and checksums what passes through it.

use std::io::{self, Write};

use crate::file_meta::WrittenFile;

pub(crate) struct CrcWriter<W> {
    inner: W,
    bytes: u64,
    crc32c: u32,
}

impl<W: Write> CrcWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, bytes: 0, crc32c: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn written(&self) -> WrittenFile {
        WrittenFile { bytes: self.bytes, crc32c: self.crc32c }
    }
}

impl<W: Write> Write for CrcWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        let done = buf.get(..n).unwrap_or(buf);
        self.crc32c = crc32c::crc32c_append(self.crc32c, done);
        self.bytes += done.len() as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
