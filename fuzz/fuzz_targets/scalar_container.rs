//! Scalar index containers: any bytes are opened or refused, and nothing panics.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use milvus_scalar::open;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = open(Arc::new(bytes.to_vec())) {
        assert!(index.memory_bytes() <= bytes.len() as u64 + 4096);
    }
});
