//! The filter parser: any text is parsed or refused, in bounded time, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let first = milvus_expr::parse(text).ok();
    let second = milvus_expr::parse(text).ok();
    assert_eq!(first, second, "the same text parses the same way");
});
