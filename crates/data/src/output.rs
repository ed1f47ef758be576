//! Writing an object while counting its bytes and their checksum.

use std::io::{self, Write};

use milvus_format::{FileMeta, WrittenFile};
use milvus_storage::{ObjectWriter, StoreError};

/// A new object and what its manifest entry will say of it.
pub(crate) struct Output {
    writer: ObjectWriter,
    written: WrittenFile,
}

impl Output {
    pub(crate) fn new(writer: ObjectWriter) -> Self {
        Self { writer, written: WrittenFile { bytes: 0, crc32c: 0 } }
    }

    /// Makes the object durable.
    pub(crate) fn finish(self) -> Result<FileMeta, StoreError> {
        let path = self.writer.path().to_owned();
        self.writer.finish()?;
        Ok(self.written.at(path))
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = self.writer.write(buf)?;
        let bytes = buf.get(..taken).unwrap_or(buf);
        self.written.crc32c = crc32c::crc32c_append(self.written.crc32c, bytes);
        self.written.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
