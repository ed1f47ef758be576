//! The frame around every value: a version, a checksum, a protobuf message.
//!
//! ```text
//! version u8 | zero 3 | crc32c of all else u32 le | protobuf message
//! ```
//!
//! Messages are private to the files of `entry`; fields may be added (readers skip what they do not
//! know), a change that older readers must not misread raises the version of its kind.

use bytes::Bytes;
use prost::Message;

use crate::error::Undecodable;

const HEADER: usize = 8;

/// Frames `message`.
pub(crate) fn seal(version: u8, message: &impl Message) -> Bytes {
    let mut bytes = vec![0; HEADER];
    bytes[0] = version;
    bytes.extend_from_slice(&message.encode_to_vec());
    let crc = checksum(&bytes[..4], &bytes[HEADER..]);
    bytes[4..HEADER].copy_from_slice(&crc.to_le_bytes());
    bytes.into()
}

/// Takes the message out of the frame found at `key`, if its version is at most `newest`.
pub(crate) fn unseal<M: Message + Default>(
    key: &str,
    newest: u8,
    bytes: &[u8],
) -> Result<M, Undecodable> {
    let Some((header, message)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Undecodable::new(key, format!("it has only {} bytes", bytes.len())));
    };
    let [version, a, b, c, crc @ ..] = *header;
    if checksum(&[version, a, b, c], message) != u32::from_le_bytes(crc) {
        return Err(Undecodable::new(key, "its checksum does not match"));
    }
    if version == 0 || version > newest {
        let what = format!("it has version {version}, this program reads up to {newest}");
        return Err(Undecodable::new(key, what));
    }
    M::decode(message).map_err(|error| Undecodable::new(key, error.to_string()))
}

fn checksum(version: &[u8], message: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(version), message)
}

/// A list of parameters, as many kinds have it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pair {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl Pair {
    pub(crate) fn from_all(pairs: &[milvus_types::KeyValue]) -> Vec<Self> {
        pairs.iter().map(|p| Self { key: p.key.clone(), value: p.value.clone() }).collect()
    }

    pub(crate) fn into_all(pairs: Vec<Self>) -> Vec<milvus_types::KeyValue> {
        pairs.into_iter().map(|p| milvus_types::KeyValue { key: p.key, value: p.value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_flipped_bit_and_no_newer_version_is_read() {
        let message = Pair { key: "k".into(), value: "v".into() };
        let good = seal(2, &message);
        assert_eq!(unseal::<Pair>("key", 2, &good), Ok(message));
        let newer = unseal::<Pair>("key", 1, &good).unwrap_err().to_string();
        assert_eq!(
            newer,
            "metadata entry key cannot be read: it has version 2, this program reads up to 1"
        );
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal::<Pair>("key", 2, &bytes).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            let _ = unseal::<Pair>("key", 1, &bytes);
        }
    }
}
