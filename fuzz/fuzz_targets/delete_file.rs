//! Delete files: any bytes are read or refused, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milvus_format::delete_file::read_deletes;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_deletes(bytes);
});
