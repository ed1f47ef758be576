//! Writing an object piece by piece.

use std::io::{self, Write};

use crate::error::StoreError;
use crate::store::ObjectMeta;

/// A backend's half of an [`ObjectWriter`]. Dropped unfinished it leaves nothing behind.
pub trait Upload: Write + Send {
    /// Makes what was written the object, atomically and durably.
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError>;
}

/// A new object on its way: bytes are written in order, then [`ObjectWriter::finish`] puts it.
///
/// Blocks; for threads that may. Dropped unfinished it leaves nothing behind.
pub struct ObjectWriter {
    path: String,
    upload: Box<dyn Upload>,
}

impl ObjectWriter {
    /// A writer of `path` over a backend's `upload`.
    pub fn new(path: impl Into<String>, upload: Box<dyn Upload>) -> Self {
        Self { path: path.into(), upload }
    }

    /// The object's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Puts the object; durable when it returns.
    pub fn finish(self) -> Result<ObjectMeta, StoreError> {
        self.upload.finish()
    }
}

impl std::fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.upload.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}
