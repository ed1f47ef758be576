//! Searches over several shards.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use milvus_proxy::api::{
    FunctionScore, Placeholder, RankFunction, SearchApiReply, SearchApiRequest, SearchInput,
};
use milvus_types::{ErrorCode, KeyValue, PrimaryKeys, Result};

use crate::roles::{House, int64s, optional_int64s, strings};

fn request(queries: &[[f32; 2]], params: &[(&str, &str)], output: &[&str]) -> SearchApiRequest {
    let bytes = |query: &[f32; 2]| query.iter().flat_map(|x| x.to_le_bytes()).collect::<Bytes>();
    let pairs = params.iter().map(|(key, value)| KeyValue::new(*key, *value));
    SearchApiRequest {
        collection_name: "c".to_owned(),
        input: SearchInput::Vectors(vec![Placeholder {
            tag: "$0".to_owned(),
            kind: 101,
            values: queries.iter().map(bytes).collect(),
        }]),
        search_params: pairs.collect(),
        output_fields: output.iter().map(|name| (*name).to_owned()).collect(),
        nq: i64::try_from(queries.len()).unwrap(),
        ..SearchApiRequest::default()
    }
}

async fn search(
    house: &House,
    queries: &[[f32; 2]],
    params: &[(&str, &str)],
    output: &[&str],
) -> Result<SearchApiReply> {
    house.proxy.search(&house.cx, request(queries, params, output)).await
}

async fn house() -> House {
    let house = House::collection(3).await;
    house.insert(&(0..50).collect::<Vec<_>>()).await;
    house.insert(&(50..100).collect::<Vec<_>>()).await;
    house
}

#[tokio::test]
async fn hits_of_all_shards_come_in_order_with_their_columns() {
    let house = house().await;
    let output = ["n", "color", "id", "v"];
    let reply =
        search(&house, &[[40.0, 0.0], [-5.0, 0.0]], &[("topk", "3")], &output).await.unwrap();
    assert_eq!((reply.nq, reply.top_k, reply.topks), (2, 3, vec![3, 3]));
    assert_eq!(int64s(&reply.keys), [40, 39, 41, 0, 1, 2]);
    assert_eq!(reply.scores, [0.0, 1.0, 1.0, 25.0, 36.0, 49.0]);
    assert_eq!(reply.output_fields, output);
    let names: Vec<_> = reply.columns.iter().map(|column| column.field.name.as_str()).collect();
    assert_eq!(names, ["n", "$meta", "id", "v"]);
    assert_eq!(
        optional_int64s(&reply.columns[0].values),
        [Some(40), None, None, Some(0), None, Some(2)]
    );
    assert_eq!(
        strings(&reply.columns[1].values)[..2],
        [r#"{"color":"c40"}"#, r#"{"color":"c39"}"#]
    );
    assert_eq!(reply.columns[3].values.len(), 6);
    assert_eq!(reply.primary_field_name, "id");
}

#[tokio::test]
async fn offsets_filters_and_rounding() {
    let house = house().await;
    let params = [("topk", "2"), ("offset", "1"), ("round_decimal", "1"), ("metric_type", "l2")];
    let mut asked = request(&[[10.3, 0.0]], &params, &[]);
    asked.expr = "n >= 0 and size < 20".to_owned();
    let reply = house.proxy.search(&house.cx, asked).await.unwrap();
    assert_eq!(int64s(&reply.keys), [12, 8]);
    assert_eq!(reply.scores, [2.9, 5.3]);
    assert!(reply.columns.is_empty());
    let last = house.roles.last_search.lock().take().unwrap();
    assert_eq!(last.k, 3);
}

#[tokio::test]
async fn rows_that_move_are_searched_again_a_few_times() {
    let house = house().await;
    house.roles.moved.store(2, Ordering::Relaxed);
    let reply = search(&house, &[[1.0, 0.0]], &[("topk", "1")], &["n"]).await.unwrap();
    assert_eq!(int64s(&reply.keys), [1]);
    assert_eq!(house.roles.searches.load(Ordering::Relaxed), 9);
    house.roles.moved.store(100, Ordering::Relaxed);
    let error = search(&house, &[[1.0, 0.0]], &[("topk", "1")], &["n"]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InconsistentRequery);
}

#[tokio::test]
async fn an_empty_collection_answers_with_empty_columns() {
    let house = House::collection(2).await;
    let reply = search(&house, &[[1.0, 0.0]], &[("topk", "1")], &["*"]).await.unwrap();
    assert_eq!((reply.topks, reply.keys.len(), reply.columns.len()), (vec![0], 0, 4));
    assert!(reply.columns.iter().all(|column| column.values.is_empty()));
}

#[tokio::test]
async fn what_milvus_refuses_is_refused_in_its_words() {
    let house = house().await;
    let one = [[1.0, 0.0]];
    for (params, output, reason) in [
        (
            &[("topk", "1"), ("metric_type", "COSINE")][..],
            &[][..],
            "metric type not match: invalid parameter[expected=L2][actual=COSINE]",
        ),
        (&[("topk", "20"), ("params", r#"{"ef": 10}"#)], &[], "ef(10) should be larger than k(20)"),
        (&[("topk", "1")], &["%^#"], "parse output field name failed: %^#: invalid parameter"),
        (
            &[("topk", "1"), ("anns_field", "nope")],
            &[],
            "failed to create query plan: failed to get field schema by name: fieldName(nope) not \
             found: invalid parameter: invalid parameter",
        ),
        (&[("topk", "1"), ("hints", "nope")], &[], "hints: nope not supported: invalid parameter"),
        (
            &[("topk", "1"), ("timezone", "Mars/Olympus")],
            &[],
            "unknown or invalid IANA Time Zone ID: Mars/Olympus: invalid parameter",
        ),
        (
            &[("topk", "1"), ("params", r#"{"radius": 1, "range_filter": 2}"#)],
            &[],
            "metric type (L2), range_filter(2) must be less than radius(1)",
        ),
    ] {
        assert_eq!(search(&house, &one, params, output).await.unwrap_err().reason, reason);
    }
    let mut filtered = request(&one, &[("topk", "1")], &[]);
    filtered.expr = "n inn [1]".to_owned();
    let reason = house.proxy.search(&house.cx, filtered).await.unwrap_err().reason;
    assert!(
        reason.starts_with(
            "failed to create query plan: cannot parse expression: n inn [1], error: "
        ),
        "{reason}"
    );
    let mut elsewhere = request(&one, &[("topk", "1")], &[]);
    elsewhere.partition_names = vec!["p".to_owned()];
    assert_eq!(
        house.proxy.search(&house.cx, elsewhere).await.unwrap_err().reason,
        "partition name p not found: invalid parameter"
    );
}

#[tokio::test]
async fn only_what_is_loaded_is_searched() {
    let house = house().await;
    house.proxy.create_partition(&house.cx, "c", "p").await.unwrap();
    house.proxy.create_partition(&house.cx, "c", "q").await.unwrap();
    house.load(Some(&["p", "q"])).await.unwrap();
    house.proxy.release(&house.cx, "c", Some(vec!["p".to_owned()])).await.unwrap();
    let mut asked = request(&[[1.0, 0.0]], &[("topk", "1")], &[]);
    asked.partition_names = vec!["p".to_owned()];
    let error = house.proxy.search(&house.cx, asked).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PartitionNotLoaded);
    assert!(error.reason.starts_with("partition not loaded[partition="), "{error}");
    house.proxy.release(&house.cx, "c", None).await.unwrap();
    let error = search(&house, &[[1.0, 0.0]], &[("topk", "1")], &[]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CollectionNotLoaded);
}

#[tokio::test]
async fn groups_are_made_over_shards_and_come_whole() {
    let house = house().await;
    let params = [("topk", "2"), ("group_by_field", "n"), ("group_size", "2")];
    let reply = search(&house, &[[10.1, 0.0]], &params, &["n"]).await.unwrap();
    // Even keys have a number, which the roles here reduce to its remainder by four.
    assert_eq!(int64s(&reply.keys), [10, 14, 11, 9]);
    assert_eq!(reply.topks, [4]);
    assert!(reply.legacy_group);
    let groups = optional_int64s(&reply.group_values[0].values);
    assert_eq!(groups, [Some(2), Some(2), None, None]);
    let last = house.roles.last_search.lock().take().unwrap();
    assert_eq!((last.k, last.group_by.unwrap().size), (2, 2));
}

#[tokio::test]
async fn hits_ordered_by_fields_are_cut_afterwards() {
    let house = house().await;
    let params = [("topk", "3"), ("offset", "1"), ("order_by_fields", "size:desc")];
    let reply = search(&house, &[[50.0, 0.0]], &params, &["size"]).await.unwrap();
    // The best four are 48 to 51 and 49 ties with 51: by key, 48 before 52.
    assert_eq!(int64s(&reply.keys), [50, 49, 48]);
}

#[tokio::test]
async fn iterators_lose_no_ties() {
    let house = House::collection(2).await;
    house.insert(&(-30..=30).collect::<Vec<_>>()).await;
    let mut params = vec![
        ("topk", "7".to_owned()),
        ("iterator", "True".to_owned()),
        ("search_iter_v2", "True".to_owned()),
        ("search_iter_batch_size", "7".to_owned()),
    ];
    let mut found = Vec::new();
    loop {
        let pairs: Vec<(&str, &str)> =
            params.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let reply = search(&house, &[[0.0, 0.0]], &pairs, &[]).await.unwrap();
        let state = reply.iterator.unwrap();
        if reply.keys.is_empty() {
            assert_eq!(state.last_bound, 900.0);
            break;
        }
        found.extend(int64s(&reply.keys));
        params.retain(|(key, _)| !matches!(*key, "search_iter_id" | "search_iter_last_bound"));
        params.push(("search_iter_id", state.token));
        params.push(("search_iter_last_bound", state.last_bound.to_string()));
    }
    // Every distance but zero comes twice, the smaller key first.
    let expected: Vec<i64> =
        std::iter::once(0).chain((1..=30).flat_map(|key| [-key, key])).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn rows_are_searched_with_the_vectors_of_others() {
    let house = house().await;
    let by_keys = |keys: Vec<i64>| SearchApiRequest {
        input: SearchInput::Keys(PrimaryKeys::Int64(keys.into())),
        ..request(&[], &[("topk", "1")], &[])
    };
    let reply = house.proxy.search(&house.cx, by_keys(vec![70, 3])).await.unwrap();
    assert_eq!((int64s(&reply.keys), reply.nq), (vec![70, 3], 2));
    for (keys, reason) in [
        (
            vec![3, 1000, 2000],
            "some of the provided primary key IDs do not exist: missing IDs = [1000 2000]: invalid \
             parameter",
        ),
        (vec![3, 3], "duplicate IDs found in search request: invalid parameter"),
    ] {
        let error = house.proxy.search(&house.cx, by_keys(keys)).await.unwrap_err();
        assert_eq!(error.reason, reason);
    }
}

#[tokio::test]
async fn a_decay_weighs_scores_by_a_field() {
    let house = house().await;
    let pairs = |given: &[(&str, &str)]| {
        given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect::<Vec<_>>()
    };
    let function = RankFunction {
        input_fields: vec!["n".to_owned()],
        params: pairs(&[
            ("reranker", "decay"),
            ("function", "linear"),
            ("origin", "44"),
            ("scale", "1"),
            ("decay", "0.01"),
        ]),
        ..RankFunction::default()
    };
    let score = FunctionScore { functions: vec![function], params: vec![] };
    let asked = SearchApiRequest {
        function_score: Some(score),
        ..request(&[[40.0, 0.0]], &[("topk", "9")], &[])
    };
    let reply = house.proxy.search(&house.cx, asked).await.unwrap();
    // Only 44 lies at the origin; rows without a number score nothing.
    assert_eq!(int64s(&reply.keys)[0], 44);
    assert_eq!(reply.scores[8], 0.0);
}

#[tokio::test]
async fn vectors_and_counts_that_do_not_agree_are_refused() {
    let house = house().await;
    let mut asked = request(&[[1.0, 0.0]], &[("topk", "1")], &[]);
    asked.nq = 2;
    assert_eq!(
        house.proxy.search(&house.cx, asked).await.unwrap_err().reason,
        "nq [2] does not match the number of search vectors, got 1: invalid parameter"
    );
    let mut asked = request(&[[1.0, 0.0]], &[("topk", "1")], &[]);
    let SearchInput::Vectors(all) = &mut asked.input else { unreachable!() };
    all.push(all[0].clone());
    assert!(house.proxy.search(&house.cx, asked).await.is_err());
}
