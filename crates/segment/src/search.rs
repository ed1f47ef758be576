//! A search of one segment, from the live rows to its hits.

use milvus_index::VectorIndex;
use milvus_types::MetricType;

use crate::boost;
use crate::chunk::Rows;
use crate::error::SearchError;
use crate::exact::Exact;
use crate::group::{Groups, best_groups};
use crate::indexed::Indexed;
use crate::live::Live;
use crate::ranking::{Item, Ranking};
use crate::spec::{Cursor, Hit, SearchSpec, result_order};
use crate::target::{Items, Target};

/// More hits than asked for, so that ties at the end of a page are seen.
const SLACK: usize = 16;

/// Where hits come from.
enum Source<'t, 's> {
    Exact(Exact<'t, 's>),
    Indexed(Indexed<'t, 's>),
}

impl Source<'_, '_> {
    fn top(&self) -> Result<Vec<Vec<Item>>, SearchError> {
        match self {
            Self::Exact(exact) => exact.top(),
            Self::Indexed(indexed) => Ok(indexed.top()),
        }
    }

    /// All hits of query `query`; those well before `after` may be left out.
    fn ranking(
        &self,
        query: usize,
        after: Option<&Cursor>,
    ) -> Result<Box<dyn Ranking + '_>, SearchError> {
        Ok(match self {
            Self::Exact(exact) => Box::new(exact.ranking(query)?),
            Self::Indexed(indexed) => {
                Box::new(indexed.ranking(query, after.map(|after| after.score)))
            }
        })
    }
}

/// The hits of each query among the `live` rows: through `index` where there is one.
pub(crate) fn search(
    rows: &Rows,
    live: &Live,
    spec: &SearchSpec,
    target: &Target<'_>,
    index: Option<&dyn VectorIndex>,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    let source = match index.filter(|_| target.items == Items::Rows) {
        Some(index) => Source::Indexed(Indexed::new(rows, index, live, spec, target)?),
        None => Source::Exact(Exact::new(rows, live, spec, target)?),
    };
    let mut queries: Vec<Vec<Hit>> = if spec.k == 0 {
        vec![Vec::new(); target.nq]
    } else if spec.group_by.is_some() {
        grouped(rows, spec, target, &source)?
    } else if spec.iterator || spec.after.is_some() {
        let page = |query| page(rows, spec, &mut *source.ranking(query, spec.after.as_ref())?);
        (0..target.nq).map(page).collect::<Result<_, _>>()?
    } else {
        let hits =
            |items: Vec<Item>| items.into_iter().filter_map(|item| hit(rows, item)).collect();
        source.top()?.into_iter().map(hits).collect()
    };
    for hits in &mut queries {
        sort(hits, spec.metric);
    }
    if let Some(boosts) = &spec.boosts {
        boost::apply(rows, boosts, spec.metric, &mut queries)?;
    }
    Ok(queries)
}

/// Best first, ties by ascending key, element and row.
pub(crate) fn sort(hits: &mut [Hit], metric: MetricType) {
    hits.sort_by(|a, b| {
        result_order(metric, (a.score, &a.key, a.element), (b.score, &b.key, b.element))
            .then(a.row.cmp(&b.row))
    });
}

/// `item` with its key.
fn hit(rows: &Rows, item: Item) -> Option<Hit> {
    let Item { score, row, element } = item;
    let (_, chunk) = rows.locate(row).ok()?;
    let key = chunk.keys.get((row - chunk.start) as usize);
    Some(Hit { score, row, key, element, group: None })
}

/// The best hits of the best groups.
fn grouped(
    rows: &Rows,
    spec: &SearchSpec,
    target: &Target<'_>,
    source: &Source<'_, '_>,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    let Some(by) = &spec.group_by else {
        return Ok(vec![Vec::new(); target.nq]);
    };
    let groups = Groups::new(rows, by)?;
    (0..target.nq)
        .map(|query| {
            let mut ranking = source.ranking(query, None)?;
            let found = best_groups(&mut *ranking, &groups, by, spec.k)?;
            Ok(found
                .into_iter()
                .filter_map(|(item, group)| Some(Hit { group: Some(group), ..hit(rows, item)? }))
                .collect())
        })
        .collect()
}

/// The next `k` hits of an iterator, exact to the last tie.
fn page(
    rows: &Rows,
    spec: &SearchSpec,
    ranking: &mut dyn Ranking,
) -> Result<Vec<Hit>, SearchError> {
    let behind = |hit: &Hit| {
        spec.after.as_ref().is_none_or(|after| {
            let after = (after.score, &after.key, after.element);
            result_order(spec.metric, after, (hit.score, &hit.key, hit.element)).is_lt()
        })
    };
    let mut hits: Vec<Hit> = Vec::new();
    let mut step = spec.k.saturating_add(SLACK);
    loop {
        let items = ranking.next(step)?;
        if items.is_empty() {
            break;
        }
        hits.extend(items.into_iter().filter_map(|item| hit(rows, item)).filter(behind));
        sort(&mut hits, spec.metric);
        let last = hits.get(spec.k - 1).zip(hits.last());
        if last.is_some_and(|(last, worst)| last.score.total_cmp(&worst.score).is_ne()) {
            break;
        }
        step = step.saturating_mul(2);
    }
    hits.truncate(spec.k);
    Ok(hits)
}
