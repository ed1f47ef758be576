//! Key indexes: any bytes are opened or refused; an open one answers without panicking.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use milvus_format::KeyIndex;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = KeyIndex::open(&Bytes::copy_from_slice(bytes)) {
        for (key, _) in index.iter().take(1000) {
            assert!(index.contains(&key));
        }
    }
});
