//! `Search`: the nearest rows to each query vector.
//!
//! Everything is checked and planned once, in Milvus's order ([`plan`]); then all shards are asked
//! at once ([`shards`]), their hits merged, and ranked anew, ordered or put into buckets if that is
//! asked for; columns are fetched for the hits that are returned. Should rows move between finding
//! and fetching them, both are done again.
//!
//! Not here: several searches as one (`hybrid`), which share everything up to the ranking.

mod aggregation;
mod answer;
pub(crate) mod boost;
mod buckets;
mod by_keys;
pub(crate) mod group_by;
pub(crate) mod iterator;
pub(crate) mod merge;
mod order;
pub(crate) mod params;
pub(crate) mod placeholder;
pub(crate) mod plan;
pub(crate) mod rank;
pub(crate) mod shards;

use milvus_types::{Failure, Result, Timestamp};

use crate::api::{Context, IteratorState, SearchApiReply, SearchApiRequest, SearchInput};
use crate::output_fields::{self, Output};
use crate::rerank::{Ranker, params as rank_params};
use crate::{Proxy, fetch};
use aggregation::AggregationPlan;
pub(crate) use answer::Found;
use by_keys::Queries;
use iterator::{Cursor, End};
use merge::{Hit, Page};
pub(crate) use params::ignore_growing;
use plan::{Asked, ShardSearch, Target, check_elements, check_loaded, draft};
use shards::Moment;

/// A search that has passed every check.
struct Planned {
    target: Target,
    search: ShardSearch,
    output: Output,
    aggregation: Option<AggregationPlan>,
    ranker: Option<Ranker>,
    /// Of each query asked for, whether there is a vector to search with; all if empty.
    present: Vec<bool>,
    moment: Moment,
    /// Whether the reply names the snapshot.
    first_page: bool,
}

impl Proxy {
    /// The nearest rows to each query vector.
    pub async fn search(&self, cx: &Context, request: SearchApiRequest) -> Result<SearchApiReply> {
        let mut planned = Box::pin(self.plan_search(cx, request.clone())).await?;
        let mut attempt = 1;
        loop {
            match Box::pin(self.run_search(&planned)).await {
                Err(failure)
                    if fetch::moved(&failure) && attempt < self.options().requery_attempts =>
                {
                    tracing::debug!(%failure, attempt, "rows moved, searching again");
                    attempt += 1;
                }
                Err(failure) if self.replans(&failure, attempt).await => {
                    planned = Box::pin(self.plan_search(cx, request.clone())).await?;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn plan_search(&self, cx: &Context, request: SearchApiRequest) -> Result<Planned> {
        let limits = &self.options().limits;
        let collection = self.collection(cx, &request.collection_name).await?;
        let target = self.target(collection, &request.partition_names, &request.search_params)?;
        let schema = &target.collection.schema;
        let output = output_fields::parse(&request.output_fields, schema, true)?;
        by_keys::check(&request.input, &request.search_params, schema)?;
        let nq = params::nq(request.nq, &request.input);
        params::check_nq(nq, limits)?;
        let aggregation = aggregation_of(&request, &target, nq)?;
        let asked = Asked {
            params: &request.search_params,
            expr: &request.expr,
            templates: &request.templates,
            nq,
            function_score: request.function_score.as_ref(),
            advanced: None,
        };
        let mut draft = draft(&target, &asked, self)?;
        let ranker = match &request.function_score {
            Some(score) if !score.functions.is_empty() => {
                rank_params::of_function_score(score, schema, 1)?
            }
            _ => None,
        };
        check_combinations(&draft.params, ranker.as_ref(), aggregation.as_ref())?;
        if let Some(aggregation) = &aggregation {
            group_by::check_types(&aggregation.grouping)?;
            draft.params.grouping = Some(aggregation.grouping.clone());
            draft.params.top_k = aggregation.top_k;
        }
        if let SearchInput::Vectors(all) = &request.input {
            check_elements(&target, &draft, all.first().map_or(0, |one| one.kind))?;
        }
        if let Some(kind) = request.unsupported.first() {
            return Err(Failure::parameter_invalid(format!("{kind} is not supported yet")));
        }

        let partitions = draft.partitions.as_deref().unwrap_or_default();
        let status = self.loaded(&target.collection, partitions).await?;
        let mut used = draft.used(ranker.as_ref());
        used.extend(aggregation.iter().flat_map(|plan| &plan.columns));
        check_loaded(&status, &target.collection, &used, &draft.filter, &output)?;
        let consistency = request.consistency;
        let moment = self.moment(&target.collection, consistency, draft.params.iterator).await?;
        let first_page = draft.params.iterator && consistency.guarantee_timestamp == 0;
        let Queries { placeholder, present } =
            self.queries(&target, &draft, request.input, moment).await?;
        if !present.is_empty() {
            draft.nq = i64::try_from(placeholder.values.len()).unwrap_or(i64::MAX);
        }
        let mut search = self.finish(&target, draft, placeholder).await?;
        search.after = self.after(&target, search.params.cursor.as_ref());
        Ok(Planned { target, search, output, aggregation, ranker, present, moment, first_page })
    }

    /// Where the page before the one that `cursor` asks for ended.
    fn after(&self, target: &Target, cursor: Option<&Cursor>) -> Option<End> {
        let cursor = cursor?;
        let pk_type = target.collection.schema.pk_type();
        Some(self.iterators().end(&cursor.token, cursor.last_bound?, pk_type))
    }

    async fn run_search(&self, planned: &Planned) -> Result<SearchApiReply> {
        let Planned { target, search, .. } = planned;
        let (mut hits, mvcc) = if search.queries.nq() == 0 {
            (Vec::new(), Timestamp::ZERO)
        } else {
            let page = page(&search.params, planned);
            self.search_shards(&target.collection, search, planned.moment, page).await?
        };
        if let Some(plan) = &planned.aggregation {
            return self.buckets(target, search, plan, &planned.output, hits).await;
        }
        if let Some(ranker) = &planned.ranker {
            hits = self.ranked(target, search, ranker, hits).await?;
        } else if !search.params.order_by.is_empty() {
            hits = self.ordered(target, &search.params, hits).await?;
        }
        if !planned.present.is_empty() {
            let mut found = hits.into_iter();
            let one = |present: &bool| {
                if *present { found.next().unwrap_or_default() } else { Vec::new() }
            };
            hits = planned.present.iter().map(one).collect();
        }
        let last = hits.last().and_then(|hits| hits.last()).cloned();
        let found = Found {
            hits,
            output: &planned.output,
            rounding: search.params.rounding,
            grouping: search.params.grouping.as_ref(),
            elements: search.elements,
            session_ts: if planned.first_page { mvcc } else { Timestamp::ZERO },
        };
        let mut reply = self.answer(target, found).await?;
        if let Some(cursor) = &search.params.cursor {
            reply.iterator = Some(self.turn_page(search, cursor, last, &reply));
        }
        Ok(reply)
    }

    /// What the client is to send for the next page.
    fn turn_page(
        &self,
        search: &ShardSearch,
        cursor: &Cursor,
        last: Option<Hit>,
        reply: &SearchApiReply,
    ) -> IteratorState {
        let token = match cursor.token.as_str() {
            "" => iterator::new_token(),
            token => token.to_owned(),
        };
        let (Some(last), Some(&last_bound)) = (last, reply.scores.last()) else {
            let first = iterator::first_bound(search.metric);
            return IteratorState { token, last_bound: cursor.last_bound.unwrap_or(first) };
        };
        let end = End { score: last.score, key: last.key, element: last.element };
        self.iterators().remember(&token, last_bound, end);
        IteratorState { token, last_bound }
    }
}

/// What of the merged hits is wanted: what is to be ordered by fields is cut afterwards.
fn page(params: &params::Params, planned: &Planned) -> Page {
    let group_size = params.grouping.as_ref().map(|grouping| grouping.size);
    if planned.aggregation.is_some() || !params.order_by.is_empty() || params.cursor.is_some() {
        return Page { offset: 0, limit: params.k(), group_size };
    }
    Page { offset: params.offset, limit: params.top_k, group_size }
}

fn aggregation_of(
    request: &SearchApiRequest,
    target: &Target,
    nq: i64,
) -> Result<Option<AggregationPlan>> {
    let Some(spec) = &request.aggregation else {
        return Ok(None);
    };
    let refuse = |what: &str| {
        Err(Failure::parameter_invalid(format!(
            "{what} and search_aggregation cannot be used simultaneously"
        )))
    };
    if request.unsupported.iter().any(|kind| kind == "highlighter") {
        return refuse("highlighter");
    }
    for key in ["group_by_field", "group_by_fields"] {
        if crate::wire_text::param(&request.search_params, key).is_some_and(|v| !v.is_empty()) {
            return refuse(key);
        }
    }
    aggregation::plan(spec, &target.collection.schema, nq).map(Some)
}

fn check_combinations(
    params: &params::Params,
    ranker: Option<&Ranker>,
    aggregation: Option<&AggregationPlan>,
) -> Result<()> {
    let refusal = if !params.order_by.is_empty() && ranker.is_some() {
        "order_by and function_score cannot be used together: they specify conflicting sort criteria"
    } else if aggregation.is_some() && params.iterator {
        "search iterator is not supported with search_aggregation"
    } else if aggregation.is_some() && params.offset > 0 {
        "offset is not supported with search_aggregation"
    } else {
        return Ok(());
    };
    Err(Failure::parameter_invalid(refusal))
}
