//! Results are the same with and without an index, whatever the rows, the index and the filter.

use std::collections::BTreeMap;
use std::sync::Arc;

use milvus_expr::{Templates, plan};
use milvus_scalar::{ScalarIndexSet, open};

use crate::arbitrary::{Random, batch, built, filter, indexes, schema};

const ROUNDS: u64 = 6;
const FILTERS: usize = 120;

#[test]
fn an_index_never_changes_a_result() {
    let schema = schema();
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut random = Random(round);
        let rows = *random.pick(&[1, 63, 64, 200, 500]);
        let batch = batch(&mut random, rows);
        for (field, index_type, params) in indexes() {
            let bytes = built(&batch, (field, index_type, &params));
            let index = open(Arc::new(bytes)).unwrap();
            assert_eq!(index.rows(), rows);
            let set = ScalarIndexSet::new(vec![Arc::from(index)]);
            for _ in 0..FILTERS {
                let text = filter(&mut random, field, 2);
                let plan = match plan(&text, &schema, &Templates::default()) {
                    Ok(plan) => plan,
                    Err(error) => panic!("{text}: {error}"),
                };
                let bound = plan.bind(&set);
                // No filter asks for the dynamic field as a whole.
                if (field, params.first()) != ("$meta", Some(&("json_path", ""))) {
                    *answered.entry(format!("{field} {index_type} {params:?}")).or_default() +=
                        usize::from(bound.is_indexed());
                }
                let plain = plan.evaluate(&batch).unwrap();
                // Each half as a batch of its own: answers are of the whole segment.
                let half = rows / 2;
                let halves = [(0, half), (half, rows - half)].map(|(start, length)| {
                    let part = batch.slice(start, length);
                    bound.evaluate(&part, u32::try_from(start).unwrap()).unwrap()
                });
                let indexed: Vec<bool> = halves.iter().flatten().collect();
                let wrong = plain.iter().zip(&indexed).position(|(want, got)| want != *got);
                if let Some(row) = wrong {
                    let name = if field == "$meta" { "$meta" } else { field };
                    let column = batch.column_by_name(name).unwrap().slice(row, 1);
                    panic!(
                        "round {round}, {index_type} {params:?} on {field}: {text}\n\
                         row {row}: {column:?} want {}",
                        plain.value(row)
                    );
                }
            }
        }
    }
    for (index, count) in answered {
        assert!(count > 0, "{index} answered nothing");
    }
}
