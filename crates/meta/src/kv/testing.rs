//! The conformance suite of the store: every promise of [`Kv`], as checks that panic when broken.

use bytes::Bytes;

use super::{Compare, Kv, MAX_OPERATIONS, Op, Transaction};
use crate::error::{CommitError, Conflict};

/// Runs every check against an empty store.
pub async fn conformance(kv: &dyn Kv) {
    empty_at_first(kv).await;
    ranges_are_ordered_and_end_with_their_prefix(kv).await;
    a_compare_that_fails_changes_nothing(kv).await;
    operations_apply_in_order(kv).await;
    large_transactions_are_refused(kv).await;
    of_two_writers_one_wins(kv).await;
}

fn put(key: &str, value: &str) -> Op {
    Op::Put { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

fn delete(key: &str) -> Op {
    Op::Delete { key: key.to_owned() }
}

fn absent(key: &str) -> Compare {
    Compare::Absent { key: key.to_owned() }
}

fn equals(key: &str, value: &str) -> Compare {
    Compare::Equals { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

async fn commit(
    kv: &dyn Kv,
    compares: impl Into<Vec<Compare>>,
    ops: impl Into<Vec<Op>>,
) -> Result<(), CommitError> {
    kv.commit(Transaction { compares: compares.into(), ops: ops.into() }).await
}

async fn get(kv: &dyn Kv, key: &str) -> Option<String> {
    let value = kv.get(key).await.expect("store reads");
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

async fn keys(kv: &dyn Kv, prefix: &str) -> Vec<String> {
    let found = kv.range(prefix).await.expect("store reads");
    found.into_iter().map(|(key, _)| key).collect()
}

async fn empty_at_first(kv: &dyn Kv) {
    assert_eq!(get(kv, "anything").await, None);
    assert!(keys(kv, "").await.is_empty());
    commit(kv, [], []).await.expect("nothing to do is done");
}

async fn ranges_are_ordered_and_end_with_their_prefix(kv: &dyn Kv) {
    let all = ["r/10", "r/2", "r/1", "r/", "r0", "q", "r/\u{10ffff}"];
    commit(kv, [], all.map(|key| put(key, key))).await.expect("store writes");
    assert_eq!(keys(kv, "r/").await, ["r/", "r/1", "r/10", "r/2", "r/\u{10ffff}"]);
    assert_eq!(keys(kv, "r/1").await, ["r/1", "r/10"]);
    assert!(keys(kv, "s").await.is_empty());
    assert_eq!(get(kv, "r/2").await.as_deref(), Some("r/2"));
}

async fn a_compare_that_fails_changes_nothing(kv: &dyn Kv) {
    commit(kv, [absent("c")], [put("c", "1")]).await.expect("store writes");
    let present = |key: &str| Compare::Present { key: key.to_owned() };
    let failing = [
        (vec![absent("c")], "exists", "absent"),
        (vec![present("none")], "is missing", "present"),
        (vec![equals("none", "1")], "is missing", "unchanged"),
        (vec![equals("c", "2")], "has changed", "unchanged"),
        (vec![equals("c", "1"), absent("d"), equals("c", "")], "has changed", "unchanged"),
    ];
    for (compares, found, want) in failing {
        match commit(kv, compares, [put("c", "wrong"), put("d", "wrong")]).await {
            Err(CommitError::Conflict(Conflict { found: f, want: w, .. })) => {
                assert_eq!((f, w), (found, want));
            }
            other => panic!("want a conflict, got {other:?}"),
        }
    }
    assert_eq!((get(kv, "c").await.as_deref(), get(kv, "d").await), (Some("1"), None));
    commit(kv, [equals("c", "1"), present("c"), absent("d")], [put("c", "2")])
        .await
        .expect("all compares hold");
    assert_eq!(get(kv, "c").await.as_deref(), Some("2"));
}

async fn operations_apply_in_order(kv: &dyn Kv) {
    let all = ["o/1", "o/2", "o/3", "o0"];
    commit(kv, [], all.map(|key| put(key, "x"))).await.expect("store writes");
    let prefix = "o/".to_owned();
    let ops = [
        put("o/4", "gone"),
        Op::DeletePrefix { prefix },
        put("o/5", "stays"),
        put("o/6", "goes"),
        delete("o/6"),
        delete("never there"),
    ];
    commit(kv, [], ops).await.expect("store writes");
    assert_eq!(keys(kv, "o").await, ["o/5", "o0"]);
}

async fn large_transactions_are_refused(kv: &dyn Kv) {
    let ops =
        |count: usize| -> Vec<Op> { (0..count).map(|i| put(&format!("large/{i}"), "x")).collect() };
    let refused = commit(kv, [], ops(MAX_OPERATIONS + 1)).await;
    assert!(matches!(refused, Err(CommitError::TooManyOperations { got: 129, limit: 128 })));
    assert!(keys(kv, "large/").await.is_empty());
    commit(kv, [], ops(MAX_OPERATIONS)).await.expect("so many fit");
    assert_eq!(keys(kv, "large/").await.len(), MAX_OPERATIONS);
}

async fn of_two_writers_one_wins(kv: &dyn Kv) {
    let (one, two) = tokio::join!(
        commit(kv, [absent("race")], [put("race", "one")]),
        commit(kv, [absent("race")], [put("race", "two")]),
    );
    assert!(one.is_ok() != two.is_ok());
    let winner = if one.is_ok() { "one" } else { "two" };
    assert_eq!(get(kv, "race").await.as_deref(), Some(winner));
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn memory_keeps_every_promise() {
        super::conformance(&crate::kv::MemoryKv::new()).await;
    }
}
