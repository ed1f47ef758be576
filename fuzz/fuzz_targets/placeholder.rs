//! Placeholder groups of searches: any bytes are decoded or refused, and nothing panics.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use milvus_server::wire::placeholder;

fuzz_target!(|bytes: &[u8]| {
    let _ = placeholder::decode(Bytes::copy_from_slice(bytes));
});
