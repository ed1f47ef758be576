//! Log records: any payload is decoded or refused, and nothing panics.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use milvus_format::LogRecord;

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = LogRecord::decode_vchannel(&bytes);
    let _ = LogRecord::decode(&bytes);
});
