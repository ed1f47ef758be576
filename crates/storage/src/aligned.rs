//! Bytes in memory that begin at a multiple of 8, as maps do, for stores without files.

use bytes::Bytes;

const ALIGNMENT: usize = 8;

/// A buffer being filled; its first byte is aligned.
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBuffer {
    /// An empty buffer for `len` bytes. What is pushed beyond them is lost: the buffer never moves.
    pub(crate) fn with_capacity(len: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(len.saturating_add(ALIGNMENT));
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        bytes.resize(start, 0);
        Self { bytes, start }
    }

    /// Appends `source`.
    pub(crate) fn push(&mut self, source: &[u8]) {
        let room = self.bytes.capacity() - self.bytes.len();
        self.bytes.extend_from_slice(source.get(..room).unwrap_or(source));
    }

    /// What was pushed.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// `bytes` themselves if they are aligned, else a copy that is.
pub(crate) fn aligned(bytes: Bytes) -> Bytes {
    if bytes.as_ptr().align_offset(ALIGNMENT) == 0 {
        return bytes;
    }
    let mut buffer = AlignedBuffer::with_capacity(bytes.len());
    buffer.push(&bytes);
    buffer.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_source_the_result_is_aligned_and_the_same() {
        let source = Bytes::from((0..100_u8).collect::<Vec<_>>());
        for start in 0..16 {
            let bytes = aligned(source.slice(start..));
            assert_eq!(bytes.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(bytes, source.slice(start..));
        }
        let mut full = AlignedBuffer::with_capacity(4);
        full.push(b"0123");
        assert_eq!(&*full.freeze(), b"0123");
    }
}
