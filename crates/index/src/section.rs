//! The data of an index: built in memory, or borrowed from a mapped container.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

/// Bytes kept by someone else: a mapped file or a buffer. They stay the same for as long as the
/// owner lives.
pub type Mapped = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An array of an index.
#[derive(Clone)]
pub(crate) enum Section<T> {
    Owned(Vec<T>),
    Mapped { bytes: Mapped, range: Range<usize>, of: PhantomData<T> },
}

impl<T: Pod> Section<T> {
    /// The bytes of `bytes` in `range`, copied if they do not lie as `T`s must. `None` if they are
    /// not whole `T`s or not there.
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

    /// The elements. Call once for each search: it asks the owner.
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned(data) => data,
            Self::Mapped { bytes, range, .. } => {
                let raw = (**bytes).as_ref().get(range.clone()).unwrap_or_default();
                bytemuck::try_cast_slice(raw).unwrap_or_default()
            }
        }
    }

    /// The elements as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self.as_slice())
    }

    /// Bytes of the elements.
    pub(crate) fn bytes(&self) -> u64 {
        size_of_val(self.as_slice()) as u64
    }
}

impl<T> From<Vec<T>> for Section<T> {
    fn from(data: Vec<T>) -> Self {
        Self::Owned(data)
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
            assert_eq!(section.as_bytes(), want);
        }
        assert!(Section::<u32>::map(&bytes, 0..7).is_none());
        assert!(Section::<u32>::map(&bytes, 32..128).is_none());
    }
}
