//! Groups, pages of iterators, expiry and boosts against the model.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_segment::{
    Boost, BoostMode, Boosts, Cursor, Expiry, GroupBy, GroupField, GroupValue, Hit, Queries,
    SearchSpec, Segment,
};
use milvus_types::{MetricType, PkType, Timestamp};
use proptest::prelude::*;

use crate::model::{DIM, Row, filter, growing, sealed};

const QUERY: [f32; DIM] = [1.0, 0.0, 0.0];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let vector = prop::array::uniform3((-2_i8..3).prop_map(f32::from));
    let row = (prop::option::of(0..5_i64), any::<bool>(), "[ab]{0,1}", vector);
    prop::collection::vec(row, 1..200).prop_map(|rows| {
        rows.into_iter()
            .zip(0..)
            .map(|((age, red, name, vector), key)| Row {
                key: (key * 7919) % 10_007,
                age,
                red,
                name,
                vector,
                ts: 10 + key.unsigned_abs() / 7,
                deleted: (key % 11 == 3).then_some(90),
            })
            .collect()
    })
}

fn spec(k: usize) -> SearchSpec {
    let queries = Arc::new(Queries::floats(QUERY.to_vec(), DIM).unwrap());
    let all = filter(PkType::Int64, "");
    SearchSpec::new("vector", MetricType::L2, queries, k, all, Timestamp(100))
}

/// All live rows of `rows`, best first.
fn ranked(rows: &[Row]) -> Vec<(f32, i64, usize)> {
    let live = rows.iter().enumerate().filter(|(_, row)| row.visible(100));
    let mut all: Vec<_> =
        live.map(|(n, row)| (row.score(MetricType::L2, &QUERY), row.key, n)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

fn group(row: &Row) -> Vec<GroupValue> {
    let age = row.age.map_or(GroupValue::Null, GroupValue::Int);
    vec![age, GroupValue::Bool(row.red), GroupValue::VarChar(row.name.as_str().into())]
}

fn field(column: &str) -> GroupField {
    let column = column.to_owned();
    GroupField { column, path: Vec::new(), json_type: None, strict_cast: false }
}

fn keys(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.key.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn strict_groups_are_the_best_of_the_best_groups(
        rows in rows(), k in 1..8_usize, size in 1..4_usize, split in 1..50_usize,
    ) {
        let growing = growing(PkType::Int64, &rows, split);
        let sealed = sealed(&growing, true);
        let by = GroupBy {
            fields: vec![field("age"), field("red"), field("name")],
            size,
            strict: true,
            only: None,
        };
        let spec = SearchSpec { group_by: Some(by), ..spec(k) };
        let mut counts: HashMap<Vec<GroupValue>, usize> = HashMap::new();
        let mut scores: HashMap<Vec<GroupValue>, Vec<f32>> = HashMap::new();
        for (score, _, n) in ranked(&rows) {
            let group = group(&rows[n]);
            let groups = counts.len();
            let count = counts.entry(group.clone()).or_insert(usize::MAX);
            if *count == usize::MAX {
                *count = if groups < k { 0 } else { size };
            }
            if *count < size {
                *count += 1;
                scores.entry(group).or_default().push(score);
            }
        }
        for segment in [&growing as &dyn Segment, &sealed] {
            let hits = segment.search(&spec).unwrap().remove(0);
            let mut got: HashMap<Vec<GroupValue>, Vec<f32>> = HashMap::new();
            for hit in &hits {
                let values = hit.group.clone().unwrap().to_vec();
                prop_assert_eq!(&values, &group(&rows[hit.row as usize]));
                got.entry(values).or_default().push(hit.score);
            }
            // Which of several groups that tie for the last place comes in is left open.
            prop_assert_eq!(got.len(), scores.len());
            let sorted = |groups: &HashMap<Vec<GroupValue>, Vec<f32>>| {
                let mut best: Vec<f32> = groups.values().map(|scores| scores[0]).collect();
                best.sort_by(f32::total_cmp);
                best
            };
            prop_assert_eq!(sorted(&got), sorted(&scores));
            for (group, scores) in scores.iter().filter(|(group, _)| got.contains_key(*group)) {
                prop_assert_eq!(&got[group], scores);
            }
        }
    }

    #[test]
    fn pages_of_an_iterator_give_every_row_once_in_order(
        rows in rows(), page in 1..40_usize, split in 1..50_usize,
    ) {
        let growing = growing(PkType::Int64, &rows, split);
        let sealed = sealed(&growing, false);
        let want: Vec<String> = ranked(&rows).iter().map(|(_, key, _)| key.to_string()).collect();
        for segment in [&growing as &dyn Segment, &sealed] {
            let mut spec = SearchSpec { iterator: true, ..spec(page) };
            let mut got = Vec::new();
            loop {
                let hits = segment.search(&spec).unwrap().remove(0);
                let Some(last) = hits.last() else { break };
                let (score, key, element) = (last.score, last.key.clone(), last.element);
                spec.after = Some(Cursor { score, key, element });
                got.extend(keys(&hits));
            }
            prop_assert_eq!(&got, &want);
        }
    }

    #[test]
    fn rows_expire_by_their_insertion(rows in rows(), before in 5..50_u64, split in 1..50_usize) {
        let growing = growing(PkType::Int64, &rows, split);
        let sealed = sealed(&growing, true);
        let expiry = Expiry { rows_before: Some(Timestamp(before)), field: None };
        let fresh = |row: &&Row| row.visible(100) && row.ts >= before;
        let want = rows.iter().filter(fresh).count();
        let all = filter(PkType::Int64, "");
        for segment in [&growing as &dyn Segment, &sealed] {
            let count = segment.count(&all, Timestamp(100), &expiry).unwrap();
            prop_assert_eq!(count, want as u64);
            let selected = segment.select(&all, None, Timestamp(100), &expiry, None).unwrap();
            prop_assert_eq!(selected.rows.len(), want);
            let spec = SearchSpec { expiry: expiry.clone(), ..spec(1000) };
            prop_assert_eq!(segment.search(&spec).unwrap()[0].len(), want);
        }
    }
}

#[test]
fn boosts_score_the_best_hits_anew() {
    let row = |key: i64| Row {
        key,
        age: Some(key),
        red: key == 3,
        name: String::new(),
        vector: [key as f32, 0.0, 0.0],
        ts: 10,
        deleted: None,
    };
    let rows: Vec<Row> = (1..6).map(row).collect();
    let segment = growing(PkType::Int64, &rows, 2);
    let boost = |text: &str, weight| Boost {
        filter: Some(filter(PkType::Int64, text)),
        weight,
        random: None,
    };
    let boosted = |boost_mode, function_mode| {
        let functions = vec![boost("age >= 2", 2.0), boost("red == true", 0.1)];
        let boosts = Some(Arc::new(Boosts { boost_mode, function_mode, functions }));
        let hits = segment.search(&SearchSpec { boosts, ..spec(3) }).unwrap().remove(0);
        hits.iter().map(|hit| (hit.key.to_string(), hit.score)).collect::<Vec<_>>()
    };
    let hit = |key: &str, score: f32| (key.to_owned(), score);
    let (multiply, sum) = (BoostMode::Multiply, BoostMode::Sum);
    // Raw distances of 1, 2, 3: 0, 1, 4.
    assert_eq!(boosted(multiply, multiply), [hit("1", 0.0), hit("3", 0.8), hit("2", 2.0)]);
    assert_eq!(boosted(sum, sum), [hit("2", -1.0), hit("1", 0.0), hit("3", 4.0 - 2.1)]);
}
