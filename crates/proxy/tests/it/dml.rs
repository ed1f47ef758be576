//! Writes from the request to the rows that are read back.

use milvus_proxy::api::{DeleteRequest, InputValues, QueryApiRequest};
use milvus_types::{ErrorCode, Result};

use crate::roles::{House, int64s, optional_int64s, strings};

async fn read(house: &House, expr: &str, output: &str) -> Vec<milvus_proxy::api::OutputColumn> {
    let request = QueryApiRequest {
        collection_name: "c".to_owned(),
        expr: expr.to_owned(),
        output_fields: vec![output.to_owned()],
        ..QueryApiRequest::default()
    };
    house.proxy.query(&house.cx, request).await.unwrap().columns
}

async fn count(house: &House) -> i64 {
    optional_int64s(&read(house, "", "count(*)").await[0].values)[0].unwrap()
}

async fn delete(house: &House, expr: &str) -> Result<(Vec<i64>, i64)> {
    let request = DeleteRequest {
        collection_name: "c".to_owned(),
        expr: expr.to_owned(),
        ..DeleteRequest::default()
    };
    let reply = house.proxy.delete(&house.cx, request).await?;
    Ok((int64s(&reply.keys), reply.delete_count))
}

#[tokio::test]
async fn deletes_by_key_count_the_keys_given() {
    let house = House::collection(2).await;
    house.insert(&[1, 2, 3, 4, 5, 6]).await;
    assert_eq!(delete(&house, "id in [1, 99]").await.unwrap(), (vec![1, 99], 2));
    assert_eq!(count(&house).await, 5);
    let (mut keys, deleted) = delete(&house, "size > 3 and color != 'c5'").await.unwrap();
    keys.sort_unstable();
    assert_eq!((keys, deleted), (vec![4, 6], 2));
    assert_eq!(count(&house).await, 3);
}

#[tokio::test]
async fn a_delete_of_everything_is_refused() {
    let house = House::collection(1).await;
    assert_eq!(
        delete(&house, "").await.unwrap_err().reason,
        "delete plan can't be empty or always true : : invalid parameter"
    );
    let reason = delete(&house, "id inn [1]").await.unwrap_err().reason;
    assert!(
        reason.starts_with("failed to create delete plan: cannot parse expression: "),
        "{reason}"
    );
    house.proxy.release(&house.cx, "c", None).await.unwrap();
    let error = delete(&house, "size > 1").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CollectionNotLoaded);
    assert!(delete(&house, "id == 1").await.is_ok());
}

#[tokio::test]
async fn upserts_replace_rows() {
    let house = House::collection(2).await;
    house.insert(&[1, 2, 3]).await;
    let reply = house.proxy.upsert(&house.cx, House::rows(&[2, 3, 4])).await.unwrap();
    assert_eq!((reply.upsert_count, int64s(&reply.keys)), (3, vec![2, 3, 4]));
    assert_eq!(count(&house).await, 4);
}

#[tokio::test]
async fn a_partial_update_keeps_what_it_does_not_give() {
    let house = House::collection(2).await;
    house.insert(&[1, 2, 3]).await;
    let mut request = House::rows(&[3, 2]);
    request.partial_update = true;
    request.columns.retain(|column| column.name == "id" || column.is_dynamic);
    let texts = vec![r#"{"color":"red"}"#, r#"{"weight":9}"#];
    request.columns[1].values =
        InputValues::Scalars(std::sync::Arc::new(arrow::array::StringArray::from(texts)));
    house.proxy.upsert(&house.cx, request).await.unwrap();
    let columns = read(&house, "id >= 1", "*").await;
    assert_eq!(optional_int64s(&columns[0].values), [Some(1), Some(2), Some(3)]);
    assert_eq!(optional_int64s(&columns[2].values), [None, Some(2), None]);
    assert_eq!(
        strings(&columns[3].values),
        [
            r#"{"color":"c1","size":1}"#,
            r#"{"color":"c2","size":2,"weight":9}"#,
            r#"{"color":"red","size":3}"#,
        ]
    );
    let mut unknown = House::rows(&[77]);
    unknown.partial_update = true;
    unknown.columns.retain(|column| column.name != "v");
    assert_eq!(
        house.proxy.upsert(&house.cx, unknown).await.unwrap_err().reason,
        "fieldSchema(v) has no corresponding fieldData pass in: invalid parameter"
    );
}

#[tokio::test]
async fn a_big_insert_is_checked_on_the_pool_and_charged_while_in_flight() {
    let house = House::collection(2).await;
    let keys: Vec<i64> = (0..20_000).collect();
    house.insert(&keys).await;
    assert_eq!(count(&house).await, 20_000);

    let small = House::with_memory(1000);
    small.create(1).await.unwrap();
    let error = small.proxy.insert(&small.cx, House::rows(&keys)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MemoryLimitExceeded);
    assert!(error.reason.starts_with("memory limit exceeded[predict(MB)="), "{error}");
}

#[tokio::test]
async fn an_old_view_of_the_schema_is_told_so() {
    let house = House::collection(1).await;
    let mut request = House::rows(&[1]);
    request.schema_timestamp = 12345;
    let error = house.proxy.insert(&house.cx, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CollectionSchemaMismatch);
    assert_eq!(error.reason, "collection schema mismatch[collection=c]");
}
