//! Hybrid searches over several shards.

use bytes::Bytes;
use milvus_proxy::api::{
    HybridSearchApiRequest, Placeholder, SearchApiReply, SearchInput, SubSearch,
};
use milvus_types::{KeyValue, Result};

use crate::roles::{House, int64s, optional_int64s};

fn sub(query: [f32; 2], limit: &str, expr: &str) -> SubSearch {
    let bytes = query.iter().flat_map(|x| x.to_le_bytes()).collect::<Bytes>();
    let placeholder = Placeholder { tag: "$0".to_owned(), kind: 101, values: vec![bytes] };
    SubSearch {
        expr: expr.to_owned(),
        input: SearchInput::Vectors(vec![placeholder]),
        search_params: vec![KeyValue::new("anns_field", "v"), KeyValue::new("topk", limit)],
        nq: 1,
        ..SubSearch::default()
    }
}

async fn hybrid(
    house: &House,
    searches: Vec<SubSearch>,
    params: &[(&str, &str)],
) -> Result<SearchApiReply> {
    let request = HybridSearchApiRequest {
        collection_name: "c".to_owned(),
        searches,
        rank_params: params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect(),
        output_fields: vec!["n".to_owned()],
        ..HybridSearchApiRequest::default()
    };
    house.proxy.hybrid_search(&house.cx, request).await
}

async fn house() -> House {
    let house = House::collection(3).await;
    house.insert(&(0..50).collect::<Vec<_>>()).await;
    house
}

#[tokio::test]
async fn rows_found_twice_rank_first() {
    let house = house().await;
    let searches = vec![sub([10.0, 0.0], "3", ""), sub([12.0, 0.0], "3", "id != 12")];
    let reply = hybrid(&house, searches, &[("limit", "3"), ("strategy", "rrf")]).await.unwrap();
    // 10, 9, 11 and 11, 13, 10: 10 and 11 come twice.
    assert_eq!(int64s(&reply.keys), [10, 11, 9]);
    let score = |rank: f32| 1.0 / (60.0 + rank);
    assert_eq!(reply.scores[0], score(1.0) + score(3.0));
    assert_eq!(optional_int64s(&reply.columns[0].values), [Some(10), None, None]);
}

#[tokio::test]
async fn weighted_distances_are_better_small() {
    let house = house().await;
    let searches = || vec![sub([10.0, 0.0], "2", ""), sub([20.0, 0.0], "2", "id >= 20")];
    let params = [("limit", "2"), ("offset", "1"), ("strategy", "weighted")];
    let mut all = params.to_vec();
    all.push(("params", r#"{"weights": [1.0, 0.5]}"#));
    let reply = hybrid(&house, searches(), &all).await.unwrap();
    // 10 and 20 are at distance 0, 21 at half of 1, 9 at 1.
    assert_eq!((int64s(&reply.keys), reply.scores), (vec![20, 21], vec![0.0, 0.5]));
}

#[tokio::test]
async fn groups_of_several_searches() {
    let house = house().await;
    let searches = vec![sub([10.1, 0.0], "3", ""), sub([12.1, 0.0], "3", "")];
    let params = [("limit", "2"), ("group_by_field", "n"), ("group_size", "1")];
    let reply = hybrid(&house, searches, &params).await.unwrap();
    assert_eq!(reply.topks, [2]);
    let groups = optional_int64s(&reply.group_values[0].values);
    assert_eq!(groups.len(), 2);
    assert_ne!(groups[0], groups[1]);
}

#[tokio::test]
async fn what_milvus_refuses_is_refused_in_its_words() {
    let house = house().await;
    let one = || sub([1.0, 0.0], "1", "");
    let two_queries = || SubSearch { nq: 2, ..one() };
    for (searches, params, reason) in [
        (
            vec![],
            &[("limit", "1")][..],
            "nq [0] is invalid, nq (number of search vector per search request) should be in range",
        ),
        (
            vec![one(), two_queries()],
            &[("limit", "1")],
            "sub search request nq should be the same: invalid parameter[expected=1][actual=2]",
        ),
        (vec![one()], &[], "limit not found in rank_params"),
        (
            vec![one()],
            &[("limit", "1"), ("strategy", "weighted"), ("params", r#"{"weights": [1, 1]}"#)],
            "the length of weights param mismatch with ann search requests",
        ),
        (vec![one(); 1025], &[("limit", "1")], "maximum of ann search requests is 1024"),
    ] {
        let error = hybrid(&house, searches, params).await.unwrap_err();
        assert!(error.reason.starts_with(reason), "{error}");
    }
}
