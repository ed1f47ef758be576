//! Key indexes: the golden file, lookups beside a model, damaged bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn encode(keys: &PrimaryKeys) -> Bytes {
    let mut bytes = Vec::new();
    let written = write_key_index(keys, &mut bytes).unwrap();
    assert_eq!(written, crate::WrittenFile::of(&bytes));
    bytes.into()
}

fn ints(keys: &[i64]) -> PrimaryKeys {
    PrimaryKeys::Int64(keys.to_vec().into())
}

fn strings(keys: &[&str]) -> PrimaryKeys {
    PrimaryKeys::VarChar(keys.to_vec().into())
}

fn int(key: i64) -> PrimaryKey {
    PrimaryKey::Int64(key)
}

fn string(key: &str) -> PrimaryKey {
    PrimaryKey::VarChar(key.into())
}

fn rows(index: &KeyIndex, key: &PrimaryKey) -> Vec<u32> {
    index.get(key).collect()
}

#[test]
fn golden_v1_of_both_key_types_is_searched_as_written() {
    let keys = ints(&[30, -5, 10, 30]);
    let bytes = std::fs::read(crate::golden("keys-int64.idx", &encode(&keys))).unwrap();
    assert_eq!(bytes, encode(&keys), "the bytes of version 1 never change");
    let index = KeyIndex::open(&bytes.into()).unwrap();
    assert_eq!(rows(&index, &int(30)), [0, 3]);
    assert_eq!((index.min_key(), index.max_key()), (Some(int(-5)), Some(int(30))));

    let keys = strings(&["b", "", "ä", "b"]);
    let bytes = std::fs::read(crate::golden("keys-varchar.idx", &encode(&keys))).unwrap();
    assert_eq!(bytes, encode(&keys), "the bytes of version 1 never change");
    let index = KeyIndex::open(&bytes.into()).unwrap();
    assert_eq!(rows(&index, &string("b")), [0, 3]);
    assert_eq!(rows(&index, &string("")), [1]);
    assert_eq!((index.min_key(), index.max_key()), (Some(string("")), Some(string("ä"))));
}

#[test]
fn missing_and_foreign_keys_have_no_rows() {
    let index = KeyIndex::open(&encode(&ints(&[1, 3]))).unwrap();
    for key in [int(0), int(2), int(4), string("1")] {
        assert_eq!(rows(&index, &key), [] as [u32; 0], "{key}");
    }
    assert_eq!(index.lookup_many(&strings(&["1"])), []);
    let empty = KeyIndex::open(&encode(&PrimaryKeys::empty(PkType::VarChar))).unwrap();
    assert!(empty.is_empty() && empty.min_key().is_none() && !empty.contains(&string("")));
}

#[test]
fn it_is_searched_at_any_alignment() {
    let bytes = encode(&ints(&[7, 5, 6]));
    for shift in 0..8 {
        let mut moved = vec![0; shift];
        moved.extend_from_slice(&bytes);
        let index = KeyIndex::open(&Bytes::from(moved).slice(shift..)).unwrap();
        assert_eq!(rows(&index, &int(6)), [2]);
    }
}

#[test]
fn unsorted_keys_are_refused_even_with_a_right_checksum() {
    let mut bytes = encode(&ints(&[1, 2])).to_vec();
    bytes[16 + HEADER_BYTES] = 9;
    let end = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    let error = KeyIndex::open(&bytes.into()).unwrap_err();
    assert_eq!(error.to_string(), "key index is malformed: its keys are not sorted");
}

fn check_against_model<K: Ord + Clone>(
    keys: &[K],
    asked: &[K],
    to_keys: impl Fn(&[K]) -> PrimaryKeys,
) -> Result<(), TestCaseError> {
    let mut model: BTreeMap<&K, Vec<u32>> = BTreeMap::new();
    for (key, row) in keys.iter().zip(0_u32..) {
        model.entry(key).or_default().push(row);
    }
    let index = KeyIndex::open(&encode(&to_keys(keys))).unwrap();
    let mut want = Vec::new();
    for (place, key) in asked.iter().enumerate() {
        let found = model.get(key).cloned().unwrap_or_default();
        prop_assert_eq!(rows(&index, &to_keys(std::slice::from_ref(key)).get(0)), found.clone());
        want.extend(found.into_iter().map(|row| (place, row)));
    }
    prop_assert_eq!(index.lookup_many(&to_keys(asked)), want);
    Ok(())
}

proptest! {
    #[test]
    fn lookups_agree_with_a_map(
        keys in proptest::collection::vec(-40_i64..40, 0..100),
        asked in proptest::collection::vec(-50_i64..50, 0..60),
    ) {
        check_against_model(&keys, &asked, ints)?;
        let text = |keys: &[i64]| keys.iter().map(|key| format!("k{key}")).collect::<Vec<_>>();
        check_against_model(&text(&keys), &text(&asked), |keys| {
            strings(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        })?;
    }

    #[test]
    fn damaged_bytes_are_refused(at in 0_usize..400, bit in 0_u8..8, text: bool) {
        let keys = if text { strings(&["a", "bc", "d"]) } else { ints(&[3, 1, 2]) };
        let bytes = encode(&keys);
        let at = at % bytes.len();
        prop_assert!(KeyIndex::open(&bytes.slice(..at)).is_err());
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << bit;
        prop_assert!(KeyIndex::open(&flipped.into()).is_err());
    }

    #[test]
    fn arbitrary_bodies_never_panic(body in proptest::collection::vec(0_u8..4, 0..120)) {
        let mut bytes = b"MVKX\x01\0\0\0".to_vec();
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        if let Ok(index) = KeyIndex::open(&bytes.into()) {
            let keys = index.iter().map(|(key, _)| key).collect::<Vec<_>>();
            for key in &keys {
                prop_assert!(index.contains(key));
            }
        }
    }
}
