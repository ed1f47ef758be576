//! Geometries, instants and sparse rows: any bytes and texts are read or refused, and what was read and
//! written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milvus_values::timestamptz::{self, Zone};
use milvus_values::{geometry, sparse};

fuzz_target!(|bytes: &[u8]| {
    if sparse::check_row(bytes).is_ok() {
        assert_eq!(sparse::encode(sparse::iter(bytes)), bytes);
    }
    if geometry::check(bytes).is_ok() {
        let text = geometry::to_wkt(bytes).expect("a checked geometry has a text");
        let again = geometry::from_wkt(&text).expect("its text is a geometry");
        assert_eq!(geometry::to_wkt(&again).as_deref(), Ok(text.as_str()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(wkb) = geometry::from_wkt(text) {
        geometry::check(&wkb).expect("what was written is sound");
    }
    let _ = timestamptz::Interval::parse(text);
    let utc = Zone::utc();
    if let Ok(micros) = timestamptz::parse(text, &utc) {
        let shown = timestamptz::format(micros, &utc);
        assert_eq!(timestamptz::parse(&shown, &utc).ok(), Some(micros), "{shown}");
    }
});
