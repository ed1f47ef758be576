//! Entries of the catalogue: any bytes are decoded or refused; what decodes encodes to something that
//! decodes to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milvus_meta::{AliasEntry, CollectionEntry, DatabaseEntry, Entry, LoadEntry, ManifestEntry};
use milvus_types::IndexMeta;

fn try_as<E: Entry>(bytes: &[u8]) {
    if let Ok(entry) = E::decode("fuzz", bytes) {
        // By bytes: a default value may be a NaN, which equals nothing.
        let again = E::decode("fuzz", &entry.encode()).expect("what was written reads back");
        assert_eq!(entry.encode(), again.encode());
    }
}

fuzz_target!(|bytes: &[u8]| {
    try_as::<CollectionEntry>(bytes);
    try_as::<DatabaseEntry>(bytes);
    try_as::<AliasEntry>(bytes);
    try_as::<LoadEntry>(bytes);
    try_as::<ManifestEntry>(bytes);
    try_as::<IndexMeta>(bytes);
});
