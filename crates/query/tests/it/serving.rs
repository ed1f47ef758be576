//! Reads, deletes, replacement and release of a segment that is served.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use milvus_base::Purpose;
use milvus_roles::{QueryNode, SegmentDeletes};
use milvus_segment::Expiry;
use milvus_types::{ErrorCode, KeyValue, PrimaryKeys, SegmentId, Timestamp};

use crate::fixture::{Fixture, ROWS, SEGMENT, found};

#[tokio::test]
async fn a_loaded_segment_answers_every_kind_of_read() {
    let fixture = Fixture::new().await;
    let (service, governor) = fixture.serve().await;
    assert_eq!(found(&service, &fixture, 499).await, [1, 0, 2]);
    assert_eq!(found(&service, &fixture, 500).await, [2, 3, 4]);

    let all = fixture.filter("");
    let count =
        service.count(&[SEGMENT], all.clone(), Timestamp(600), Expiry::default()).await.unwrap();
    assert_eq!(count, ROWS.unsigned_abs() - 2);
    let keys = PrimaryKeys::Int64(vec![1299, 1001, 1002, 5].into());
    let selected = service
        .select(&[SEGMENT], all, Some(keys), Timestamp(600), Expiry::default(), None)
        .await
        .unwrap();
    assert_eq!(selected[0].1.rows, [2, 299]);
    let rows = service.fetch(SEGMENT, &[7, 2], &["id".to_owned()]).await.unwrap();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[1007, 1002]);

    let stats = service.stats();
    assert_eq!((stats.segments, stats.rows), (1, ROWS.unsigned_abs()));
    assert_eq!(stats.memory_bytes, governor.used_for(Purpose::Load));
    assert!(stats.memory_bytes > 0 && stats.file_bytes > stats.rows * 16);
}

#[tokio::test]
async fn deletes_survive_the_replacement_of_files() {
    let mut fixture = Fixture::new().await;
    let (service, _) = fixture.serve().await;
    let deleted = SegmentDeletes { segment_id: SEGMENT, rows: vec![(2, Timestamp(510))] };
    service.apply_deletes(vec![deleted]).await.unwrap();
    assert_eq!(found(&service, &fixture, 509).await, [2, 3, 4]);
    assert_eq!(found(&service, &fixture, 510).await, [3, 4, 5]);

    fixture.add_index().await;
    service.load_segment(fixture.request(&[(3, 520)])).await.unwrap();
    assert_eq!(found(&service, &fixture, 519).await, [3, 4, 5]);
    assert_eq!(found(&service, &fixture, 520).await, [4, 5, 6]);
    let params = vec![KeyValue::new("ef", "0")];
    let refused = service.search(&[SEGMENT], fixture.spec(params, 600)).await.unwrap_err();
    assert!(refused.reason.contains("'ef' (0) should be in range"), "{}", refused.reason);
    assert_eq!(service.stats().segments, 1);
}

#[tokio::test]
async fn what_is_not_loaded_says_so() {
    let fixture = Fixture::new().await;
    let (service, governor) = fixture.serve().await;
    let other = service
        .count(&[SEGMENT, SegmentId(8)], fixture.filter(""), Timestamp(1), Expiry::default())
        .await;
    assert_eq!(other.unwrap_err().reason, "segment not loaded[segment=8]");
    service.release_segment(SEGMENT).await.unwrap();
    service.release_segment(SEGMENT).await.unwrap();
    let gone = service.fetch(SEGMENT, &[1], &[]).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::SegmentNotLoaded);
    let deletes = SegmentDeletes { segment_id: SEGMENT, rows: vec![(1, Timestamp(1))] };
    let gone = service.apply_deletes(vec![deletes]).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::SegmentNotLoaded);
    assert_eq!(governor.used(), 0);
}
