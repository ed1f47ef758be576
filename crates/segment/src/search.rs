//! A search of one segment, from the live rows to its hits.

use milvus_index::{Hit as IndexHit, VectorIndex};
use milvus_types::MetricType;

use crate::boost;
use crate::chunk::Rows;
use crate::error::SearchError;
use crate::exact::{Exact, range};
use crate::group::{Groups, best_groups};
use crate::indexed::Indexed;
use crate::live::Live;
use crate::pages::{Asked, Complete, Paged, Pages};
use crate::ranking::{Item, Ranking};
use crate::spec::{Hit, SearchSpec, result_order};
use crate::target::{Items, Target};

/// Where hits come from.
enum Source<'t, 's> {
    Exact(Exact<'t, 's>),
    Indexed(Indexed<'t, 's>),
}

impl Source<'_, '_> {
    /// The best `k` items of each query, and one more where there is one; ties by row.
    fn top(&self) -> Result<Vec<Vec<Item>>, SearchError> {
        match self {
            Self::Exact(exact) => exact.top(),
            Self::Indexed(indexed) => Ok(indexed.top()),
        }
    }

    /// Whether it finds the best rows for certain, so that it knows all that tie.
    fn is_exact(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Indexed(indexed) => indexed.is_exact(),
        }
    }

    /// All hits of query `query`.
    fn ranking(&self, query: usize) -> Result<Box<dyn Ranking + '_>, SearchError> {
        Ok(match self {
            Self::Exact(exact) => Box::new(exact.ranking(query)?),
            Self::Indexed(indexed) => Box::new(indexed.ranking(query)),
        })
    }
}

/// One query of a search of rows.
struct One<'a, 't, 's> {
    source: &'a Source<'t, 's>,
    query: usize,
}

impl Complete for One<'_, '_, '_> {
    fn complete(&self, from: Option<f32>, limit: usize) -> Result<Vec<IndexHit>, SearchError> {
        match self.source {
            Source::Exact(exact) => exact.complete(self.query, from, limit),
            Source::Indexed(indexed) => Ok(indexed.complete(self.query, from, limit)),
        }
    }
}

/// The hits of each query among the `live` rows: through `index` where there is one.
pub(crate) fn search(
    rows: &Rows,
    live: &Live,
    spec: &SearchSpec,
    target: &Target<'_>,
    index: Option<&dyn VectorIndex>,
    pages: &Pages,
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
        (0..target.nq)
            .map(|query| match target.one(query).filter(|_| target.items == Items::Rows) {
                Some(one) => {
                    let asked = Asked {
                        field: target.field.id,
                        comparison: target.comparison,
                        query: one,
                        range: range(spec),
                        live: live.clone(),
                    };
                    let from = spec.after.as_ref().map(|after| after.score);
                    let (len, one) = (rows.len() as usize, One { source: &source, query });
                    page(rows, spec, &mut Paged::new(one, pages, asked, len, from))
                }
                None => page(rows, spec, &mut *source.ranking(query)?),
            })
            .collect::<Result<_, _>>()?
    } else {
        best(rows, spec, &source)?
    };
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

/// `items` with their keys, in order.
fn in_order(rows: &Rows, metric: MetricType, items: Vec<Item>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = items.into_iter().filter_map(|item| hit(rows, item)).collect();
    sort(&mut hits, metric);
    hits
}

/// The best `k` hits; ties at the end are cut by key where the search is exact.
fn best(
    rows: &Rows,
    spec: &SearchSpec,
    source: &Source<'_, '_>,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    let k = spec.k;
    let one = |(query, mut items): (usize, Vec<Item>)| {
        let tied = items.get(k - 1).zip(items.get(k)).is_some_and(|(a, b)| a.score == b.score);
        if tied && source.is_exact() {
            return page(rows, spec, &mut *source.ranking(query)?);
        }
        items.truncate(k);
        Ok(in_order(rows, spec.metric, items))
    };
    source.top()?.into_iter().enumerate().map(one).collect()
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
            let mut ranking = source.ranking(query)?;
            let in_order = |items| in_order(rows, spec.metric, items);
            let mut hits = best_groups(&mut *ranking, in_order, &groups, (by, query), spec.k)?;
            sort(&mut hits, spec.metric);
            Ok(hits)
        })
        .collect()
}

/// The next `k` hits, of an iterator or of a search whose end is tied, exact to the last tie.
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
    let mut step = spec.k;
    while hits.len() < spec.k {
        let items = ranking.next(step)?;
        if items.is_empty() {
            break;
        }
        hits.extend(items.into_iter().filter_map(|item| hit(rows, item)).filter(behind));
        step = step.saturating_mul(2);
    }
    sort(&mut hits, spec.metric);
    hits.truncate(spec.k);
    Ok(hits)
}
