//! Where the bytes of an index file are: in memory, mapped or owned, or in a file that is read from.
//!
//! A mapped file is read by touching it, and what was touched stays in memory as long as the system
//! likes. A file that is read from keeps nothing in memory but what an index asks it for.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::error::OpenError;
use crate::section::Mapped;

/// Bytes that are read at a time when a file is verified.
const PIECE: usize = 1 << 20;

/// A file that can be read from at any place, by several threads at once. Its bytes stay the same.
pub trait ReadAt: Send + Sync {
    /// Fills `out` with the bytes from `offset` on.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Bytes there are.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, out, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}

/// The bytes of an index file.
#[derive(Clone)]
pub(crate) enum Source {
    Memory(Mapped),
    File(Arc<dyn ReadAt>),
}

impl Source {
    pub(crate) fn size(&self) -> Result<u64, OpenError> {
        match self {
            Self::Memory(bytes) => Ok((**bytes).as_ref().len() as u64),
            Self::File(file) => file.size().map_err(|error| OpenError::Read(error.kind())),
        }
    }

    /// The bytes in `range`; an error where there are fewer.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, OpenError> {
        match self {
            Self::Memory(bytes) => {
                let bytes = (**bytes).as_ref().get(range);
                bytes.map(Cow::Borrowed).ok_or(OpenError::Read(io::ErrorKind::UnexpectedEof))
            }
            Self::File(_) => {
                let mut bytes = vec![0; range.len()];
                self.read(range.start as u64, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Fills `out` with the bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), OpenError> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let range = start..start.saturating_add(out.len());
                let bytes = (**bytes).as_ref().get(range);
                out.copy_from_slice(bytes.ok_or(OpenError::Read(io::ErrorKind::UnexpectedEof))?);
                Ok(())
            }
            Self::File(file) => {
                file.read_at(offset, out).map_err(|error| OpenError::Read(error.kind()))
            }
        }
    }

    /// Hands the bytes in `range` to `see`, piece after piece.
    pub(crate) fn each(
        &self,
        range: Range<usize>,
        see: &mut dyn FnMut(&[u8]),
    ) -> Result<(), OpenError> {
        for start in range.clone().step_by(PIECE) {
            see(&self.bytes(start..range.end.min(start + PIECE))?);
        }
        Ok(())
    }
}

/// A part of an index file that stays where it is, to be read from piece by piece.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) source: Source,
    pub(crate) range: Range<usize>,
}

impl Region {
    /// Fills `out` with the region's bytes from `offset` on.
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), OpenError> {
        let start = self.range.start.saturating_add(offset);
        if start.saturating_add(out.len()) > self.range.end {
            return Err(OpenError::Read(io::ErrorKind::UnexpectedEof));
        }
        self.source.read(start as u64, out)
    }
}
