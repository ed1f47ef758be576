//! The bytes of a put: one buffer, or several that become one object unjoined.

use bytes::Bytes;

/// What is put at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(Vec<Bytes>);

impl Payload {
    /// Its buffers, in order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.0
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in one buffer; copies only if there are several.
    pub fn into_bytes(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.0) {
            Ok([chunk]) => chunk,
            Err(chunks) => chunks.concat().into(),
        }
    }

    /// Its first `len` bytes.
    pub(crate) fn truncated(&self, len: u64) -> Self {
        let mut left = len;
        let chunks = self.0.iter().map_while(|chunk| {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            left -= take as u64;
            (take > 0).then(|| chunk.slice(..take))
        });
        Self(chunks.collect())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![bytes.into()])
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(chunks: Vec<Bytes>) -> Self {
        Self(chunks)
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Self(vec![Bytes::from_static(bytes)])
    }
}

impl<const N: usize> From<&'static [u8; N]> for Payload {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self(vec![Bytes::from_static(bytes)])
    }
}
