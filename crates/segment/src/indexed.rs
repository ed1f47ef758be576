//! Search through a vector index.

use milvus_index::{VectorIndex, check_search_params};

use crate::chunk::Rows;
use crate::error::SearchError;
use crate::exact::{range, with_keys};
use crate::live::Live;
use crate::spec::{Hit, SearchSpec};

/// The best live rows for each query, as `index` finds them. Search parameters are the index's to
/// judge.
pub(crate) fn search(
    rows: &Rows,
    index: &dyn VectorIndex,
    live: &Live,
    spec: &SearchSpec,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    let params = check_search_params(index.index_type(), spec.k, &spec.params)?;
    let live = live.range(0, rows.len());
    let range = range(spec);
    let mut found = Vec::with_capacity(spec.k.min(rows.len() as usize));
    Ok((0..spec.queries.nq())
        .map(|query| {
            let query = spec.queries.get(query);
            match &range {
                None => index.search(query, spec.k, &params, live.as_ref(), &mut found),
                Some(range) => {
                    index.range_search(query, range, spec.k, live.as_ref(), &mut found);
                }
            }
            with_keys(rows, spec.metric, found.drain(..))
        })
        .collect())
}
