//! The arrays of an index, borrowed from the bytes of its container.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

/// Bytes kept by someone else: a mapped file or a buffer. They stay the same for as long as the
/// owner lives.
pub type Mapped = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An array of an index.
pub(crate) enum Section<T> {
    /// Copied, because the bytes did not lie as `T`s must.
    Owned(Vec<T>),
    Mapped {
        bytes: Mapped,
        range: Range<usize>,
        of: PhantomData<T>,
    },
}

impl<T: Pod> Section<T> {
    /// The bytes of `bytes` in `range`. `None` if they are not whole `T`s or not there.
    pub(crate) fn map(bytes: &Mapped, range: Range<usize>) -> Option<Self> {
        let raw = (**bytes).as_ref().get(range.clone())?;
        if raw.len() % size_of::<T>() != 0 {
            return None;
        }
        if bytemuck::try_cast_slice::<u8, T>(raw).is_ok() {
            return Some(Self::Mapped { bytes: Arc::clone(bytes), range, of: PhantomData });
        }
        Some(Self::Owned(
            raw.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect(),
        ))
    }

    /// The elements. Call once for each answer: it asks the owner.
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned(data) => data,
            Self::Mapped { bytes, range, .. } => {
                let raw = (**bytes).as_ref().get(range.clone()).unwrap_or_default();
                bytemuck::try_cast_slice(raw).unwrap_or_default()
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Owned(data) => data.len(),
            Self::Mapped { range, .. } => range.len() / size_of::<T>(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the elements.
    pub(crate) fn bytes(&self) -> u64 {
        (self.len() * size_of::<T>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_lie_wrong_are_copied_and_halves_refused() {
        let bytes: Mapped = Arc::new((0u8..64).collect::<Vec<u8>>());
        for start in 0..8 {
            let section = Section::<u32>::map(&bytes, start..start + 16).unwrap();
            let want: Vec<u8> = (0u8..64).skip(start).take(16).collect();
            assert_eq!(bytemuck::cast_slice::<u32, u8>(section.as_slice()), want);
            assert_eq!((section.len(), section.bytes()), (4, 16));
        }
        assert!(Section::<u32>::map(&bytes, 0..7).is_none());
        assert!(Section::<u32>::map(&bytes, 32..128).is_none());
    }
}
