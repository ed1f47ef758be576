//! `mmap.enabled` and warm-up policies of what is loaded.

use std::sync::Arc;

use milvus_base::Purpose;
use milvus_roles::QueryNode;
use milvus_types::{ErrorCode, KeyValue};

use crate::fixture::{Fixture, SEGMENT, found};

/// The memory a load is charged, with these properties of the collection.
async fn charged(fixture: &mut Fixture, properties: &[(&str, &str)]) -> u64 {
    let set = properties.iter().map(|(key, value)| KeyValue::new(*key, *value));
    Arc::make_mut(&mut fixture.collection).properties = set.collect();
    let (service, governor) = fixture.service(1 << 30);
    service.load_segment(fixture.request(&[])).await.unwrap();
    assert_eq!(found(&service, fixture, 500).await, [2, 3, 4]);
    let charged = governor.used_for(Purpose::Load);
    service.release_segment(SEGMENT).await.unwrap();
    assert_eq!(governor.used(), 0);
    charged
}

#[tokio::test]
async fn files_that_are_not_mapped_are_charged_and_answer_alike() {
    let mut fixture = Fixture::new().await;
    fixture.add_index().await;
    let mapped = charged(&mut fixture, &[]).await;
    let copied = charged(&mut fixture, &[("mmap.enabled", "false")]).await;
    let files = fixture.entry.columns.bytes + fixture.entry.indexes[0].file.bytes;
    assert_eq!(copied, mapped + files);
    for policy in ["sync", "async", "disable"] {
        let set = [("warmup.vectorIndex", policy), ("warmup.vectorField", policy)];
        assert_eq!(charged(&mut fixture, &set).await, mapped, "{policy}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_not_copied() {
    let mut fixture = Fixture::new().await;
    let mapped = charged(&mut fixture, &[]).await;
    Arc::make_mut(&mut fixture.collection).properties =
        vec![KeyValue::new("mmap.enabled", "false")];
    let (service, governor) = fixture.service(mapped + 100);
    let refused = service.load_segment(fixture.request(&[])).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::MemoryLimitExceeded);
    assert_eq!(governor.used(), 0);
}
