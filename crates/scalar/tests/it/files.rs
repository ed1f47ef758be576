//! What is written stays readable, and what is damaged is refused.
//!
//! `UPDATE_EXPECT=1` writes the golden files anew; a format that changes gets a version of its own
//! instead.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use milvus_expr::{Templates, plan};
use milvus_scalar::{ScalarIndexSet, open};

use crate::arbitrary::{Params, Random, batch, built, filter, schema};

/// One index of each layout.
const SAMPLES: [(&str, &str, Params<'static>); 9] = [
    ("int64", "INVERTED", &[]),
    ("double", "STL_SORT", &[]),
    ("int8", "BITMAP", &[]),
    ("text", "TRIE", &[]),
    ("texts", "INVERTED", &[]),
    ("text", "NGRAM", &[("min_gram", "2"), ("max_gram", "3")]),
    ("geo", "RTREE", &[]),
    ("json", "INVERTED", &[("json_path", "/a"), ("json_cast_type", "DOUBLE")]),
    ("json", "INVERTED", &[("json_path", ""), ("json_cast_type", "JSON")]),
];

fn golden(sample: usize) -> PathBuf {
    let (field, index_type, _) = SAMPLES[sample];
    PathBuf::from("tests/golden/v1")
        .join(format!("{sample}-{field}-{}.idx", index_type.to_lowercase()))
}

#[test]
fn golden_files_open_and_answer() {
    let batch = batch(&mut Random(42), 100);
    for (number, sample) in SAMPLES.into_iter().enumerate() {
        let bytes = built(&batch, sample);
        let path = golden(number);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let stored = fs::read(&path).unwrap();
        assert!(stored == bytes, "{} is not what is written now", path.display());
        let index = open(Arc::new(stored)).unwrap();
        assert_eq!((index.rows(), index.index_type().name()), (100, sample.1));
    }
}

/// Opens `bytes` and asks it; only that it returns counts.
fn ask(bytes: Vec<u8>, field: &str, random: &mut Random) -> bool {
    let Ok(index) = open(Arc::new(bytes)) else {
        return false;
    };
    if index.rows() > 10_000 {
        return true;
    }
    let set = ScalarIndexSet::new(vec![Arc::from(index)]);
    for _ in 0..5 {
        let text = filter(random, field, 1);
        plan(&text, &schema(), &Templates::default()).unwrap().bind(&set);
    }
    true
}

#[test]
fn every_cut_and_every_flipped_bit_is_found() {
    let mut random = Random(1);
    let batch = batch(&mut random, 30);
    for sample in SAMPLES {
        let bytes = built(&batch, sample);
        assert!(ask(bytes.clone(), sample.0, &mut random));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!ask(bad, sample.0, &mut random), "{sample:?} bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(!ask(bytes[..length].to_vec(), sample.0, &mut random), "cut to {length}");
        }
    }
}

/// Makes the checksums of a container right again, so that what its sections hold is looked at.
fn checksummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let read = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    // The table of sections is what precedes the padding; find it by walking the header.
    let mut at = 64;
    let text = |bytes: &[u8], at: &mut usize| {
        *at += 2 + usize::from(u16::from_le_bytes(bytes[*at..*at + 2].try_into().unwrap()));
    };
    let count = |bytes: &[u8], at: &mut usize| {
        *at += 2;
        u16::from_le_bytes(bytes[*at - 2..*at].try_into().unwrap())
    };
    text(&bytes, &mut at);
    at += 16;
    for _ in 0..count(&bytes, &mut at) {
        text(&bytes, &mut at);
        text(&bytes, &mut at);
    }
    for _ in 0..count(&bytes, &mut at) {
        let (start, length) = (read(&bytes, at + 8), read(&bytes, at + 16));
        let (start, length) = (usize::try_from(start).unwrap(), usize::try_from(length).unwrap());
        let crc = crc32c::crc32c(&bytes[start..start + length]);
        bytes[at + 24..at + 28].copy_from_slice(&crc.to_le_bytes());
        at += 28;
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..24]), &bytes[64..64 + header]);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn wrong_sections_with_right_checksums_do_not_panic() {
    let mut random = Random(2);
    let batch = batch(&mut random, 40);
    for sample in SAMPLES {
        let bytes = built(&batch, sample);
        let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let mut refused = 0;
        for _ in 0..3000 {
            let mut bad = bytes.clone();
            for _ in 0..1 + random.below(3) {
                let at = 64 + header + random.below(bytes.len() - 64 - header);
                bad[at] ^= u8::try_from(random.below(256)).unwrap();
            }
            refused += usize::from(!ask(checksummed(bad), sample.0, &mut random));
        }
        assert!(refused > 0, "{sample:?}");
    }
}
