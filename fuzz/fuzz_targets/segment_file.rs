//! Segment files: any bytes are opened or refused; an open one has as many times as rows, and every
//! value can be looked at.
#![no_main]

use arrow::array::Array;
use arrow::buffer::Buffer;
use arrow::util::display::array_value_to_string;
use libfuzzer_sys::fuzz_target;
use milvus_format::{WrittenFile, open_segment};

fuzz_target!(|bytes: &[u8]| {
    let expect = WrittenFile::of(bytes).at("fuzz");
    if let Ok(file) = open_segment(&Buffer::from(bytes), &expect) {
        assert_eq!(file.rows.num_rows(), file.timestamps.len());
        for column in file.rows.columns() {
            for row in 0..column.len().min(100) {
                let _ = array_value_to_string(column, row);
            }
        }
    }
});
