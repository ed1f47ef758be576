//! Files that are not what the manifest says, and memory that is not there.

use milvus_roles::QueryNode;
use milvus_types::ErrorCode;

use crate::fixture::{Fixture, SEGMENT, found};

#[tokio::test]
async fn a_flipped_bit_in_columns_keys_or_deletes_fails_the_load_by_name() {
    for pick in 0..3 {
        let fixture = Fixture::new().await;
        let entry = &fixture.entry;
        let file = match pick {
            0 => entry.columns.clone(),
            1 => entry.key_index.clone(),
            _ => entry.delete_files[0].file.clone(),
        };
        fixture.corrupt(&file).await;
        let (service, governor) = fixture.service(1 << 30);
        let failure = service.load_segment(fixture.request(&[])).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::DataIntegrity, "{failure}");
        assert!(
            failure.reason.contains(&file.path) && failure.reason.contains("checksum"),
            "{failure}"
        );
        assert_eq!((governor.used(), service.segments().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_broken_or_missing_index_leaves_exact_search() {
    for missing in [false, true] {
        let mut fixture = Fixture::new().await;
        fixture.add_index().await;
        let file = fixture.entry.indexes[0].file.clone();
        if missing {
            fixture.store.delete(&file.path).await.unwrap();
        } else {
            fixture.corrupt(&file).await;
        }
        let (service, _) = fixture.serve().await;
        assert_eq!(found(&service, &fixture, 600).await, [2, 3, 4]);
    }
}

#[tokio::test]
async fn a_load_over_budget_is_refused_and_what_was_served_stays() {
    let mut fixture = Fixture::new().await;
    let (service, governor) = fixture.service(1 << 30);
    service.load_segment(fixture.request(&[])).await.unwrap();
    governor.set_limit(governor.used() + 1);
    fixture.add_index().await;
    let failure = service.load_segment(fixture.request(&[])).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::MemoryLimitExceeded);
    assert!(failure.reason.contains("memory limit exceeded[predict(MB)="), "{failure}");
    assert_eq!(service.segments(), [SEGMENT]);
    assert_eq!(found(&service, &fixture, 600).await, [2, 3, 4]);
}
