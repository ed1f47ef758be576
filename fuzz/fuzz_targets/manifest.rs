//! Manifests: any bytes are decoded or refused; what decodes encodes to something that decodes to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milvus_format::Manifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::decode(bytes) {
        let again = Manifest::decode(&manifest.encode()).expect("what was written reads back");
        assert_eq!(manifest, again);
    }
});
