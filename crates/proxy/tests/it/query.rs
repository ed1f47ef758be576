//! Queries over several shards.

use milvus_proxy::api::{QueryApiReply, QueryApiRequest};
use milvus_types::{KeyValue, Result};

use crate::roles::{House, optional_int64s, strings};

async fn query(
    house: &House,
    expr: &str,
    params: &[(&str, &str)],
    output: &[&str],
) -> Result<QueryApiReply> {
    let pairs = params.iter().map(|(key, value)| KeyValue::new(*key, *value));
    let request = QueryApiRequest {
        collection_name: "c".to_owned(),
        expr: expr.to_owned(),
        output_fields: output.iter().map(|name| (*name).to_owned()).collect(),
        query_params: pairs.collect(),
        ..QueryApiRequest::default()
    };
    house.proxy.query(&house.cx, request).await
}

async fn house() -> House {
    let house = House::collection(3).await;
    house.insert(&(0..40).rev().collect::<Vec<_>>()).await;
    house
}

#[tokio::test]
async fn rows_come_in_order_of_keys_and_the_key_is_always_there() {
    let house = house().await;
    let reply = query(&house, "id >= 10", &[("limit", "3"), ("offset", "2")], &["size"]);
    let reply = reply.await.unwrap();
    let names: Vec<_> = reply.columns.iter().map(|column| column.field.name.as_str()).collect();
    assert_eq!(names, ["$meta", "id"]);
    assert_eq!(
        strings(&reply.columns[0].values),
        [r#"{"size":12}"#, r#"{"size":13}"#, r#"{"size":14}"#]
    );
    assert_eq!(optional_int64s(&reply.columns[1].values), [Some(12), Some(13), Some(14)]);
    assert_eq!(reply.output_fields, ["size"]);
}

#[tokio::test]
async fn counting() {
    let house = house().await;
    let reply = query(&house, "", &[], &["count(*)"]).await.unwrap();
    assert_eq!(reply.columns[0].field.name, "count(*)");
    assert_eq!(optional_int64s(&reply.columns[0].values), [Some(40)]);
    let reply = query(&house, "n is null", &[], &["count(*)"]).await.unwrap();
    assert_eq!(optional_int64s(&reply.columns[0].values), [Some(20)]);
}

#[tokio::test]
async fn rows_ordered_by_fields_are_paged() {
    let house = house().await;
    let params = [("limit", "3"), ("offset", "1"), ("order_by_fields", "n:desc:nulls_last")];
    let reply = query(&house, "id < 30", &params, &["id"]).await.unwrap();
    assert_eq!(optional_int64s(&reply.columns[0].values), [Some(26), Some(24), Some(22)]);
}

#[tokio::test]
async fn rows_are_aggregated_by_groups_and_as_a_whole() {
    let house = house().await;
    let params = [("group_by_fields", "n"), ("limit", "2"), ("order_by_fields", "n:desc")];
    let reply = query(&house, "id < 8", &params, &["count(*)", "n", "sum(id)"]).await.unwrap();
    // Odd keys have no number: they are one group, which comes first in descending order.
    let columns: Vec<_> =
        reply.columns.iter().map(|column| optional_int64s(&column.values)).collect();
    assert_eq!(columns[0], [Some(4), Some(1)]);
    assert_eq!(columns[1], [None, Some(6)]);
    assert_eq!(columns[2], [Some(16), Some(6)]);
    let reply = query(&house, "id < 8", &[], &["max(id)", "count(n)"]).await.unwrap();
    assert_eq!(optional_int64s(&reply.columns[0].values), [Some(7)]);
    assert_eq!(optional_int64s(&reply.columns[1].values), [Some(4)]);
}

#[tokio::test]
async fn only_the_first_page_of_an_iterator_is_told_the_snapshot() {
    let house = house().await;
    let limit = ("limit", "1");
    let plain = query(&house, "id > 0", &[limit], &[]).await.unwrap();
    assert_eq!(plain.session_ts.0, 0);
    let first = query(&house, "id > 0", &[limit, ("iterator", "True")], &[]).await.unwrap();
    assert!(first.session_ts.0 > 0);
}

#[tokio::test]
async fn what_milvus_refuses_is_refused_in_its_words() {
    let house = house().await;
    for (expr, params, output, reason) in [
        ("", &[][..], &[][..], "empty expression should be used with limit: invalid parameter"),
        (
            "",
            &[("limit", "1")],
            &["count(*)"],
            "count entities with pagination is not allowed: invalid parameter",
        ),
        ("id > 0", &[], &["nope("], "parse output field name failed: nope(: invalid parameter"),
        (
            "id",
            &[],
            &[],
            "failed to create query plan: predicate is not a boolean expression: id, data type: \
             Int64: invalid parameter",
        ),
    ] {
        assert_eq!(query(&house, expr, params, output).await.unwrap_err().reason, reason);
    }
}
