//! `HybridSearch`: several searches of one collection, their hits ranked as one list.
//!
//! Each search is planned as a search of its own and all shards are asked all of them at once, in
//! one snapshot where the client names one. Where searches compare elements of struct arrays, rows
//! are ranked by what [`elements`] makes of their elements, unless all searches compare elements of
//! the same struct array: then elements themselves are ranked.

mod elements;
mod params;

use std::sync::Arc;

use arrow::array::ArrayRef;
use futures::future::join_all;
use milvus_types::{Failure, Result, Timestamp};

use crate::api::{Context, HybridSearchApiRequest, SearchApiReply, SearchInput, SubSearch};
use crate::output_fields::{self, Output};
use crate::rerank::group::{Page as GroupPage, Scorer};
use crate::rerank::{Ranker, params as rank_params};
use crate::search::merge::{Hit, Page, better_first};
use crate::search::params as search_params;
use crate::search::placeholder;
use crate::search::plan::{
    Asked, Draft, ShardSearch, Target, check_element_filter, check_loaded, draft,
};
use crate::search::rank::{chosen, scored};
use crate::search::shards::Moment;
use crate::search::{Found, ignore_growing};
use crate::{Proxy, fetch};
use elements::{Collapse, Kind, collapse, scope};
use params::RankParams;

/// Searches of one hybrid search at most.
const MAX_SEARCHES: usize = 1024;

/// A hybrid search that has passed every check.
struct Planned {
    target: Target,
    searches: Vec<ShardSearch>,
    /// What becomes of the elements that each search finds.
    collapses: Vec<Option<Collapse>>,
    /// Whether elements are ranked.
    elements: bool,
    ranker: Ranker,
    scorer: Scorer,
    rank: RankParams,
    output: Output,
    moment: Moment,
}

impl Proxy {
    /// The rows that several searches find together.
    pub async fn hybrid_search(
        &self,
        cx: &Context,
        request: HybridSearchApiRequest,
    ) -> Result<SearchApiReply> {
        let mut planned = Box::pin(self.plan_hybrid(cx, request.clone())).await?;
        let mut attempt = 1;
        loop {
            match Box::pin(self.run_hybrid(&planned)).await {
                Err(failure)
                    if fetch::moved(&failure) && attempt < self.options().requery_attempts =>
                {
                    tracing::debug!(%failure, attempt, "rows moved, searching again");
                    attempt += 1;
                }
                Err(failure) if self.replans(&failure, attempt).await => {
                    planned = Box::pin(self.plan_hybrid(cx, request.clone())).await?;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn plan_hybrid(&self, cx: &Context, request: HybridSearchApiRequest) -> Result<Planned> {
        let limits = &self.options().limits;
        let collection = self.collection(cx, &request.collection_name).await?;
        let target = self.target(collection, &request.partition_names, &request.rank_params)?;
        let schema = &target.collection.schema;
        let output = output_fields::parse(&request.output_fields, schema, true)?;
        if request.searches.len() > MAX_SEARCHES {
            return Err(Failure::parameter_invalid(format!(
                "maximum of ann search requests is {MAX_SEARCHES}"
            )));
        }
        let nq = same_nq(&request.searches)?;
        search_params::check_nq(nq, limits)?;
        let growing_left_out = ignore_growing(&request.rank_params)?;
        let rank = params::parse(&request.rank_params, schema, self.window(&target.collection))?;
        let (scorer, ranker) = ranker(&request, &target)?;
        let mut drafts = Vec::with_capacity(request.searches.len());
        let mut kinds = Vec::with_capacity(request.searches.len());
        let mut scopes = Vec::with_capacity(request.searches.len());
        for search in &request.searches {
            let asked = Asked {
                params: &search.search_params,
                expr: &search.expr,
                templates: &search.templates,
                nq,
                function_score: request.function_score.as_ref(),
                advanced: Some(&rank.advanced),
            };
            let mut draft = draft(&target, &asked, self)?;
            let placeholder = kind_of(&search.input);
            check_element_filter(&draft, placeholder)?;
            let kind = Kind::of(&draft.field, placeholder);
            let scope = scope(&mut draft, &kind)?;
            check_controls(&draft, &kind)?;
            draft.params.ignore_growing |= growing_left_out;
            drafts.push(draft);
            kinds.push(kind);
            scopes.push(scope);
        }
        let elements = elements::of_one_struct(&kinds);
        check_group_by(&target, &drafts, &kinds, elements)?;
        if elements && scopes.iter().any(Option::is_some) {
            return Err(Failure::parameter_invalid(
                "element_scope is not allowed for same-struct element-level hybrid search",
            ));
        }
        if let Some(kind) = request.unsupported.first() {
            return Err(Failure::parameter_invalid(format!("{kind} is not supported yet")));
        }

        let mut searches = Vec::with_capacity(drafts.len());
        let mut collapses = Vec::with_capacity(drafts.len());
        for ((draft, kind), (scope, search)) in
            drafts.into_iter().zip(kinds).zip(scopes.into_iter().zip(request.searches))
        {
            let partitions = draft.partitions.as_deref().unwrap_or_default();
            let status = self.loaded(&target.collection, partitions).await?;
            let used = draft.used(Some(&ranker));
            check_loaded(&status, &target.collection, &used, &draft.filter, &output)?;
            let SearchInput::Vectors(all) = search.input else {
                return Err(Failure::parameter_invalid("must have queries"));
            };
            let search = self.finish(&target, draft, placeholder::only(all)?).await?;
            if let Some(scope) = &scope {
                scope.check_metric(search.metric)?;
            }
            let collapsed = matches!(kind, Kind::Element(_)) && !elements;
            collapses.push(collapsed.then(|| scope.unwrap_or_default()));
            searches.push(search);
        }
        let moment = self.moment(&target.collection, request.consistency, false).await?;
        Ok(Planned { target, searches, collapses, elements, ranker, scorer, rank, output, moment })
    }

    async fn run_hybrid(&self, planned: &Planned) -> Result<SearchApiReply> {
        let Planned { target, rank, .. } = planned;
        let group_size = rank.advanced.grouping.as_ref().map(|grouping| grouping.size);
        let found = planned.searches.iter().zip(&planned.collapses).map(async |(search, into)| {
            let page = Page { offset: 0, limit: search.params.k(), group_size };
            let (mut hits, _) =
                self.search_shards(&target.collection, search, planned.moment, page).await?;
            for query in &mut hits {
                if group_size.is_some() {
                    query.sort_by(|a, b| better_first(a, b, search.metric));
                }
                if let Some(into) = into {
                    *query = collapse(std::mem::take(query), into, search.metric);
                }
            }
            Ok(hits)
        });
        let found: Vec<Vec<Vec<Hit>>> = join_all(found).await.into_iter().collect::<Result<_>>()?;
        let inputs = self.inputs(planned, &found).await?;
        let hits = rank_all(planned, found, &inputs);
        self.answer(
            target,
            Found {
                hits,
                output: &planned.output,
                rounding: rank.rounding,
                grouping: rank.advanced.grouping.as_ref(),
                elements: planned.elements,
                session_ts: Timestamp::ZERO,
            },
        )
        .await
    }

    /// The ranker's column for the hits of each search; none where it reads no field.
    async fn inputs(&self, planned: &Planned, found: &[Vec<Vec<Hit>>]) -> Result<Vec<ArrayRef>> {
        let Some(field) = planned.ranker.input() else {
            return Ok(Vec::new());
        };
        let columns = found.iter().map(|hits| self.column_of_hits(&planned.target, field, hits));
        join_all(columns).await.into_iter().collect()
    }
}

/// Ranks the hits of each query and cuts the page out of them.
fn rank_all(planned: &Planned, found: Vec<Vec<Vec<Hit>>>, inputs: &[ArrayRef]) -> Vec<Vec<Hit>> {
    let metrics: Vec<_> = planned.searches.iter().map(|search| search.metric).collect();
    let rank = &planned.rank;
    let mut queries: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
    let nq = queries.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    let mut firsts = vec![0; queries.len()];
    let query = |_| {
        let lists: Vec<Vec<Hit>> =
            queries.iter_mut().map(|queries| queries.next().unwrap_or_default()).collect();
        let fused = scored(&planned.ranker, &metrics, &lists, |search, place| {
            inputs.get(search).map(|column| (Arc::clone(column), firsts[search] + place))
        });
        firsts.iter_mut().zip(&lists).for_each(|(first, hits)| *first += hits.len());
        match &rank.advanced.grouping {
            None => {
                let hits = chosen(fused, &lists, None, planned.scorer);
                hits.into_iter().skip(rank.offset).take(rank.limit).collect()
            }
            Some(grouping) => {
                let (offset, limit) = (rank.offset, rank.limit);
                let page = GroupPage { size: grouping.size, offset, limit };
                chosen(fused, &lists, Some(page), planned.scorer)
            }
        }
    };
    (0..nq).map(query).collect()
}

/// The number of queries, which all searches share.
fn same_nq(searches: &[SubSearch]) -> Result<i64> {
    let mut nq = 0;
    for search in searches {
        let of_search = search_params::nq(search.nq, &search.input);
        if nq == 0 {
            nq = of_search;
        } else if of_search != nq {
            return Err(Failure::parameter_mismatch(
                nq,
                of_search,
                "sub search request nq should be the same",
            ));
        }
    }
    Ok(nq)
}

fn ranker(request: &HybridSearchApiRequest, target: &Target) -> Result<(Scorer, Ranker)> {
    let schema = &target.collection.schema;
    let searches = request.searches.len();
    let ranker = match &request.function_score {
        Some(score) => {
            rank_params::of_function_score(score, schema, searches)?.ok_or_else(|| {
                Failure::parameter_invalid("rerank_builder: no rerank functions specified")
            })?
        }
        None => rank_params::of_legacy(&request.rank_params, searches)?,
    };
    Ok((rank_params::group_scorer(&request.rank_params)?, ranker))
}

/// The placeholder type of a search's vectors, 0 if there are none.
fn kind_of(input: &SearchInput) -> i32 {
    match input {
        SearchInput::Vectors(all) => all.first().map_or(0, |one| one.kind),
        SearchInput::Nothing | SearchInput::Keys(_) => 0,
    }
}

/// What searches of struct arrays cannot do within a hybrid search.
fn check_controls(draft: &Draft, kind: &Kind) -> Result<()> {
    let level = match kind {
        Kind::Rows => return Ok(()),
        Kind::Element(_) => "element-level",
        Kind::Lists => "embedding-list",
    };
    let what = if matches!(kind, Kind::Lists) && draft.params.is_range() {
        "range search"
    } else if draft.params.iterator {
        "search iterator"
    } else {
        return Ok(());
    };
    Err(Failure::parameter_mismatch(
        "",
        "",
        format!(
            "{what} is not supported for vector array ({level}) fields in hybrid search, \
             fieldName:{}",
            draft.field.name
        ),
    ))
}

fn check_group_by(target: &Target, drafts: &[Draft], kinds: &[Kind], elements: bool) -> Result<()> {
    let Some(grouping) = drafts.first().and_then(|draft| draft.params.grouping.as_ref()) else {
        return Ok(());
    };
    let refuse = |what: String| Err(Failure::parameter_mismatch("", "", what));
    for (draft, kind) in drafts.iter().zip(kinds) {
        let name = &draft.field.name;
        match kind {
            Kind::Lists => {
                return refuse(format!(
                    "group by search is not supported for vector array (embedding-list) fields in \
                     hybrid search, fieldName:{name}"
                ));
            }
            Kind::Element(_) if !elements => {
                return refuse(format!(
                    "group by search is only supported for same-struct element-level vector array \
                     fields in hybrid search, fieldName:{name}"
                ));
            }
            Kind::Element(_) | Kind::Rows => {}
        }
    }
    let key = target.collection.schema.primary_key().map(|field| field.id);
    let by_key = matches!(grouping.fields.as_slice(), [one] if Some(one.field.id) == key);
    if elements && !by_key {
        return refuse(
            "only group by primary key is supported for same-struct element-level vector array \
             fields in hybrid search"
                .to_owned(),
        );
    }
    Ok(())
}
