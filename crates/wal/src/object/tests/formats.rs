//! Bytes in the store: golden objects of format 1, and bytes of anybody's making.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::ObjectStore;
use proptest::prelude::*;

use super::{CHANNEL, memory, options, path_of, put, texts, wal};
use crate::error::OpenError;
use crate::log::{Position, Wal};
use crate::object::ObjectWalOptions;
use crate::object::block::{
    BLOCK_HEADER, BlockHeader, Kind, RECORD_HEADER, decode_record, encode_record,
};
use crate::object::manifest::Manifest;

const OBJECTS: [&str; 4] = ["manifest", "claim.batch", "batch.batch", "merged.merged"];

/// Puts the golden objects under the names that they have in a store.
async fn golden_store() -> Arc<dyn ObjectStore> {
    let golden = Path::new("tests/golden/v1/object");
    let store = memory();
    let bytes = std::fs::read(golden.join("manifest")).unwrap();
    let manifest = Manifest::decode(&bytes, crc32c::crc32c(CHANNEL.as_bytes())).unwrap();
    let dir = format!("log/{CHANNEL}/{:016x}", manifest.of.log);
    for name in OBJECTS {
        let bytes = std::fs::read(golden.join(name)).unwrap();
        let path = match name {
            "manifest" => format!("log/{CHANNEL}/manifest"),
            "merged.merged" => {
                let extent = manifest.settled[0];
                let crate::object::extents::Kind::Merged(id) = extent.kind else { panic!() };
                format!("{dir}/{:020}-{:020}-{id:016x}.merged", extent.first, extent.end)
            }
            _ => {
                let header = BlockHeader::decode(&bytes).unwrap();
                format!("{dir}/{:020}.batch", header.first)
            }
        };
        store.put(&path, bytes.into()).await.unwrap();
    }
    store
}

/// Makes the golden objects: a merged one, a claim and a batch behind it.
async fn update_golden() {
    let golden = Path::new("tests/golden/v1/object");
    let store = memory();
    let merging = ObjectWalOptions { merge_objects: 4, ..options() };
    let channel = wal(&store, merging).open(CHANNEL, 3).await.unwrap();
    for text in ["one", "", "three"] {
        put(&*channel, text).await;
    }
    channel.close().await;
    let channel = wal(&store, options()).open(CHANNEL, 4).await.unwrap();
    let two =
        ["four", "five"].map(|text| channel.append(vec![Bytes::from_static(text.as_bytes())]));
    for place in two {
        place.await.unwrap();
    }
    for meta in store.list("log/").await.unwrap() {
        let name = match meta.path.rsplit_once('/').unwrap().1 {
            "00000000000000000000.batch" => continue,
            "00000000000000000004.batch" => "claim.batch",
            "00000000000000000005.batch" => "batch.batch",
            name if name.ends_with(".merged") => "merged.merged",
            name => name,
        };
        std::fs::write(golden.join(name), store.get(&meta.path).await.unwrap().bytes).unwrap();
    }
}

/// Format 1 is what these objects say, for as long as logs of format 1 exist.
#[tokio::test]
async fn the_golden_objects_of_format_1_read_and_are_still_what_is_written() {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        update_golden().await;
    }
    let store = golden_store().await;
    let channel = wal(&store, options()).open(CHANNEL, 5).await.unwrap();
    let found = texts(&*channel, Position::START).await;
    assert_eq!(found, ["one", "", "three", "four", "five"]);
    assert_eq!((channel.end(), channel.trim_point()), (Position(7), Position(0)));

    let golden = Path::new("tests/golden/v1/object");
    let bytes = std::fs::read(golden.join("manifest")).unwrap();
    let manifest = Manifest::decode(&bytes, crc32c::crc32c(CHANNEL.as_bytes())).unwrap();
    assert_eq!(manifest.encode(), bytes);
    let bytes = std::fs::read(golden.join("batch.batch")).unwrap();
    let header = BlockHeader::decode(&bytes).unwrap();
    let mut again = header.encode().to_vec();
    let mut rest = &bytes[BLOCK_HEADER..];
    for position in header.first..header.next() {
        let length = decode_record(rest, &header.id, position).unwrap();
        let payload = Bytes::copy_from_slice(&rest[RECORD_HEADER..RECORD_HEADER + length]);
        let length = u32::try_from(length).unwrap();
        again.extend(encode_record(&header.id, position, length, std::slice::from_ref(&payload)));
        again.extend(payload.clone());
        rest = &rest[RECORD_HEADER + payload.len()..];
    }
    assert_eq!(again, bytes);
}

#[tokio::test]
async fn a_newer_format_is_named() {
    for object in ["manifest", "04.batch"] {
        let store = golden_store().await;
        let path = path_of(&store, object).await;
        let mut bytes = store.get(&path).await.unwrap().bytes.to_vec();
        bytes[8] = 2;
        store.put(&path, bytes.into()).await.unwrap();
        let error = wal(&store, options()).open(CHANNEL, 5).await.err().unwrap();
        assert!(matches!(error, OpenError::NewerFormat { got: 2, want: 1, .. }), "{error}");
        assert!(error.to_string().contains(object), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Sound headers around any bytes: neither opening nor reading nor merging panics.
    #[test]
    fn any_bytes_at_all_are_no_panic(
        body: Vec<u8>, count in 1..9u32, said in 8..64u64, behind_header: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let store = memory();
            let dir = format!("log/{CHANNEL}");
            let channel = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
            channel.close().await;
            let bytes = store.get(&format!("{dir}/manifest")).await.unwrap().bytes;
            let of = Manifest::decode(&bytes, crc32c::crc32c(CHANNEL.as_bytes())).unwrap().of;
            let mut bytes = Vec::new();
            if behind_header {
                let claim = BlockHeader::claim(of, 1, 1, 0);
                let header = BlockHeader { kind: Kind::Batch, count, body_bytes: said, ..claim };
                bytes.extend(header.encode());
            }
            bytes.extend(body);
            let path = format!("{dir}/{:016x}/{:020}.batch", of.log, 1);
            store.put(&path, bytes.into()).await.unwrap();
            let merging = ObjectWalOptions { merge_objects: 2, ..options() };
            let opened = wal(&store, merging).open(CHANNEL, 2).await;
            assert_eq!(opened.is_ok(), behind_header);
            if let Ok(channel) = opened {
                put(&*channel, "behind").await;
                let reader = channel.read(Position::START);
                let read = milvus_base::io::run(move || reader.collect::<Vec<_>>()).await.unwrap();
                assert!(read.last().unwrap().is_err());
                channel.close().await;
            }
        });
    }
}
