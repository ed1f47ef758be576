//! Query vectors: the serialized `PlaceholderGroup` inside a search request.
//!
//! The bytes come from a client and may be anything. What does not decode is no placeholder; what a
//! value means for the field that is searched is for `proxy` to check.

use bytes::Bytes;

use milvus_proto::milvus::search_request;
use milvus_proto::{Message as _, common as pb};
use milvus_proxy::api::{Placeholder, SearchInput};

use super::primary_keys;

/// The placeholders of a serialized group; `None` if it does not decode.
///
/// The values share the request's buffer. Panics: never.
pub fn decode(group: Bytes) -> Option<Vec<Placeholder>> {
    let group = pb::PlaceholderGroup::decode(group).ok()?;
    let one = |value: pb::PlaceholderValue| Placeholder {
        tag: value.tag,
        kind: value.r#type,
        values: value.values,
    };
    Some(group.placeholders.into_iter().map(one).collect())
}

/// What a search request compares with.
pub fn input(input: Option<search_request::SearchInput>) -> SearchInput {
    match input {
        Some(search_request::SearchInput::PlaceholderGroup(group)) => {
            decode(group).map_or(SearchInput::Nothing, SearchInput::Vectors)
        }
        Some(search_request::SearchInput::Ids(ids)) => {
            primary_keys::from_wire(ids).map_or(SearchInput::Nothing, SearchInput::Keys)
        }
        None => SearchInput::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(kind: i32, values: Vec<Vec<u8>>) -> Vec<u8> {
        let values = values.into_iter().map(Bytes::from).collect();
        let value =
            pb::PlaceholderValue { tag: "$0".into(), r#type: kind, values, element_level: false };
        pb::PlaceholderGroup { placeholders: vec![value] }.encode_to_vec()
    }

    #[test]
    fn nothing_is_no_placeholder() {
        assert!(decode(Bytes::new()).unwrap().is_empty());
        assert!(decode(Bytes::from_static(b"\xff\xff\xff")).is_none());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            kind in prop_oneof![Just(0), Just(21), 100..=105_i32, any::<i32>()],
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 0..6),
        ) {
            let placeholder = decode(group(kind, values.clone()).into()).unwrap().remove(0);
            prop_assert_eq!(placeholder.kind, kind);
            prop_assert_eq!(placeholder.values, values.into_iter().map(Bytes::from).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(bytes.into());
        }

        #[test]
        fn no_damage_panics(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 0..6),
            flip in any::<(usize, u8)>(),
            cut in any::<usize>(),
        ) {
            let mut bytes = group(101, values);
            let length = bytes.len();
            bytes[flip.0 % length] ^= flip.1;
            bytes.truncate(cut % (length + 1));
            let _ = decode(bytes.into());
        }
    }
}
