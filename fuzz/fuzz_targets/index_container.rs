//! Index containers: any bytes are opened or refused, and nothing panics.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use milvus_index::{Vectors, open};

fuzz_target!(|bytes: &[u8]| {
    let vectors = Vectors::from_vec(vec![0.5; 64], 4).expect("16 rows of 4");
    let _ = open(Arc::new(bytes.to_vec()), vectors);
});
