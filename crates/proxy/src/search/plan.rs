//! Planning: every check of a search that needs no other role, in Milvus's order.

use std::sync::Arc;

use milvus_expr::{Plan, Templates};
use milvus_index::{IndexType, check_range_params, check_search_params};
use milvus_roles::LoadStatus;
use milvus_segment::{Boosts, HASH_BITS, Queries, RangeBounds};
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Window;
use milvus_types::{
    Collection, DataType, ErrorCode, Failure, FieldSchema, IndexMeta, KeyValue, MetricType,
    PartitionId, Result,
};

use super::boost;
use super::iterator::End;
use super::params::{self, Advanced, Params};
use super::placeholder;
use crate::api::{FunctionScore, Placeholder, TimeFormat};
use crate::output_fields::Output;
use crate::rerank::Ranker;
use crate::validate::properties::QUERY_MODE;
use crate::{Proxy, plan};

/// What every search of a request shares.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) collection: Arc<Collection>,
    /// The partitions that the request names; `None` for all.
    pub(crate) partitions: Option<Arc<[PartitionId]>>,
    /// How timestamps are read and shown.
    pub(crate) times: TimeFormat,
}

/// One search as it was asked for.
pub(crate) struct Asked<'r> {
    pub(crate) params: &'r [KeyValue],
    pub(crate) expr: &'r str,
    pub(crate) templates: &'r Templates,
    pub(crate) nq: i64,
    pub(crate) function_score: Option<&'r FunctionScore>,
    /// Of a hybrid search.
    pub(crate) advanced: Option<&'r Advanced>,
}

/// A search that has passed the checks of its words.
pub(crate) struct Draft {
    pub(crate) field: FieldSchema,
    pub(crate) params: Params,
    pub(crate) filter: Plan,
    pub(crate) partitions: Option<Arc<[PartitionId]>>,
    pub(crate) boosts: Option<Boosts>,
    pub(crate) nq: i64,
}

/// A search that has passed every check, as each shard is asked it.
#[derive(Clone, Debug)]
pub(crate) struct ShardSearch {
    pub(crate) field: FieldSchema,
    pub(crate) metric: MetricType,
    pub(crate) queries: Arc<Queries>,
    pub(crate) params: Params,
    pub(crate) filter: Plan,
    pub(crate) partitions: Option<Arc<[PartitionId]>>,
    pub(crate) range: Option<RangeBounds>,
    pub(crate) after: Option<End>,
    pub(crate) boosts: Option<Boosts>,
    /// Whether elements of rows are searched rather than rows.
    pub(crate) elements: bool,
}

impl Draft {
    /// The field that is searched, and those that decide which hits are returned, and in what order.
    pub(crate) fn used<'d>(&'d self, ranker: Option<&'d Ranker>) -> Vec<&'d FieldSchema> {
        let mut used = vec![&self.field];
        if let Some(grouping) = &self.params.grouping {
            used.extend(grouping.fields.iter().map(|by| &by.field));
        }
        used.extend(self.params.order_by.iter().map(|by| &by.field));
        if let Some(Ranker::Decay(decay)) = ranker {
            used.push(&decay.field);
        }
        used
    }
}

fn mismatch<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_mismatch("", "", what))
}

/// Checks the words of one search.
pub(crate) fn draft(target: &Target, asked: &Asked<'_>, proxy: &Proxy) -> Result<Draft> {
    let schema = &target.collection.schema;
    let name = params::anns_field(asked.params, schema)?;
    let params =
        params::parse(asked.params, schema, proxy.window(&target.collection), asked.advanced)?;
    params.check_collection(target.collection.id)?;
    if params.cursor.is_some() && asked.nq > 1 {
        return Err(Failure::parameter_invalid(
            "Number of queries is greater than 1, cannot initialize iterator",
        ));
    }
    if let Some(field) = schema.field(&name) {
        params::check_grouping(&params, field)?;
    }
    let filter =
        plan::plan_in_zone(asked.expr, asked.templates, schema, &target.times.zone, "query")?;
    let field = params::vector_field(schema, &name)?.clone();
    let boosts = match asked.function_score {
        Some(score) => boost::parse(score, asked.templates, schema, &target.times.zone)?,
        None => None,
    };
    if boosts.is_some() && (params.grouping.is_some() || params.cursor.is_some()) {
        return Err(Failure::parameter_invalid(
            "failed to create query plan: don't support use segment scorer with group_by or \
             search_iterator: query plan failed",
        ));
    }
    params.check_hints()?;
    plan::check_isolation(&target.collection, &filter)?;
    let partitions = plan::pruned(&target.collection, target.partitions.as_ref(), &filter)?;
    Ok(Draft { field, params, filter, partitions, boosts, nq: asked.nq })
}

/// Checks what only plain searches of vector lists and their elements are refused.
pub(crate) fn check_elements(target: &Target, draft: &Draft, kind: i32) -> Result<()> {
    let schema = &target.collection.schema;
    check_element_filter(draft, kind)?;
    if draft.field.data_type != DataType::ArrayOfVector {
        return Ok(());
    }
    let params = &draft.params;
    let lists = placeholder::is_lists(kind);
    if lists && params.is_range() {
        return mismatch(
            "range search is not supported for multi-search-multi on embedding list fields",
        );
    }
    if lists && params.iterator {
        return mismatch(
            "search iterator is not supported for multi-search-multi on embedding list fields",
        );
    }
    if params.iterator && params.cursor.is_none() {
        return mismatch(
            "legacy search iterator is not supported for element-level search; use search \
             iterator v2",
        );
    }
    let Some(grouping) = &params.grouping else {
        return Ok(());
    };
    if lists {
        return mismatch(
            "group by is not supported for multi-search-multi on embedding list fields",
        );
    }
    let key = schema.primary_key().map(|field| field.id);
    if grouping.fields.iter().any(|group| Some(group.field.id) != key) {
        return mismatch("only group by primary key is supported for element-level search");
    }
    Ok(())
}

/// An `element_filter` chooses elements of the struct array that is searched.
pub(crate) fn check_element_filter(draft: &Draft, kind: i32) -> Result<()> {
    let Some(owner) = draft.filter.element_filter().map(|filter| filter.field()) else {
        return Ok(());
    };
    let searched = draft.field.struct_name().map(|(owner, _)| owner);
    let plain = DataType::from_number(kind).is_some_and(DataType::is_vector);
    if draft.field.data_type == DataType::ArrayOfVector && searched == Some(owner) && plain {
        return Ok(());
    }
    Err(Failure::parameter_invalid(
        "element_filter is only supported for element-level search on vector sub-fields of the \
         same struct array; use MATCH_ANY/MATCH_* for row-level vector search",
    ))
}

impl Proxy {
    /// How much one read of `collection` may ask for.
    pub(crate) fn window(&self, collection: &Collection) -> Window {
        let large = collection.property(QUERY_MODE) == Some("large_topk");
        self.options().limits.reading(large)
    }

    /// The collection, partitions and zone of a request.
    pub(crate) fn target(
        &self,
        collection: Arc<Collection>,
        partition_names: &[String],
        params: &[KeyValue],
    ) -> Result<Target> {
        let limits = &self.options().limits;
        let partitions = plan::partitions(&collection, partition_names, limits.name_length)?;
        let times = plan::times(&collection, params)?;
        Ok(Target { collection, partitions, times })
    }

    /// Checks a search against its field's index and decodes its vectors.
    pub(crate) async fn finish(
        &self,
        target: &Target,
        draft: Draft,
        placeholder: Placeholder,
    ) -> Result<ShardSearch> {
        let Draft { field, mut params, filter, partitions, boosts, nq } = draft;
        let index = self.index_of(&target.collection, &field).await?;
        let metric = metric(&index, params.metric.as_deref())?;
        check_index_params(&index, &params)?;
        if metric == MetricType::MhJaccard {
            hash_bits(&index, &mut params);
        }
        let range = check_range_params(metric, &params.search).or_failure()?;
        let bytes = placeholder.values.iter().map(bytes::Bytes::len).sum();
        let elements =
            field.data_type == DataType::ArrayOfVector && !placeholder::is_lists(placeholder.kind);
        let of = field.clone();
        let queries = self
            .compute(milvus_base::Priority::Search, bytes, move || {
                placeholder::decode(placeholder, &of, metric)
            })
            .await?;
        if i64::try_from(queries.nq()).ok() != Some(nq) {
            return Err(Failure::parameter_invalid(format!(
                "nq [{nq}] does not match the number of search vectors, got {}",
                queries.nq()
            )));
        }
        Ok(ShardSearch {
            queries: Arc::new(queries),
            range: range.map(|range| RangeBounds {
                radius: range.radius,
                range_filter: range.range_filter,
            }),
            after: None,
            field,
            metric,
            params,
            filter,
            partitions,
            boosts,
            elements,
        })
    }

    /// The index of a vector field, by whose metric it is searched.
    async fn index_of(
        &self,
        collection: &Collection,
        field: &FieldSchema,
    ) -> Result<Arc<IndexMeta>> {
        let indexes = self.data().list_indexes(collection.id).await?;
        let index = indexes.into_iter().find(|index| index.field_id == field.id);
        index.ok_or_else(|| {
            Failure::with_fields(ErrorCode::IndexNotFound, &[("collection", &collection.name)])
        })
    }
}

/// Fields that were left out of the load cannot be searched, filtered by or returned, nor used for
/// anything else.
pub(crate) fn check_loaded(
    status: &LoadStatus,
    collection: &Collection,
    used: &[&FieldSchema],
    filter: &Plan,
    output: &Output,
) -> Result<()> {
    if status.load_fields.is_empty() {
        return Ok(());
    }
    let loaded = |field: &FieldSchema| status.load_fields.contains(&field.name);
    let missing = |field: &FieldSchema| {
        Err(Failure::parameter_invalid(format!("field {} is not loaded", field.name)))
    };
    let schema = &collection.schema;
    for field in filter.fields().iter().filter_map(|id| schema.field_by_id(*id)) {
        if !loaded(field) {
            let what = if field.is_dynamic {
                "dynamic field is not loaded".to_owned()
            } else {
                format!("field {} is not loaded", field.name)
            };
            return Err(Failure::parameter_invalid(format!(
                "failed to create query plan: cannot parse expression: {}, error: {what}",
                filter.text()
            )));
        }
    }
    if let Some(field) = used.iter().find(|field| !loaded(field)) {
        return missing(field);
    }
    match output.fields.iter().find(|field| !loaded(field)) {
        Some(field) if field.is_dynamic => {
            let keys = output.dynamic_keys.as_deref().unwrap_or_default();
            let name = keys.first().unwrap_or(&field.name);
            Err(Failure::parameter_invalid(format!(
                "field {name} cannot be returned since dynamic field not loaded"
            )))
        }
        Some(field) => missing(field),
        None => Ok(()),
    }
}

/// The index's metric, which a request may repeat but not change.
fn metric(index: &IndexMeta, asked: Option<&str>) -> Result<MetricType> {
    let name = index.param("metric_type").unwrap_or_default();
    let metric = MetricType::parse(name).ok_or_else(|| {
        Failure::internal(format!("index {} has unknown metric type {name}", index.name))
    })?;
    // `MAX_SIM` is the short name of `MAX_SIM_COSINE`.
    let plain = |metric| {
        if metric == MetricType::MaxSim { MetricType::MaxSimCosine } else { metric }
    };
    match asked.map(str::to_uppercase).filter(|asked| !asked.is_empty()) {
        Some(asked) if MetricType::parse(&asked).map(plain) != Some(plain(metric)) => {
            Err(Failure::parameter_mismatch(metric.name(), asked, "metric type not match"))
        }
        _ => Ok(metric),
    }
}

/// Hashes are as wide as the index has them, also in rows that are not indexed yet.
fn hash_bits(index: &IndexMeta, params: &mut Params) {
    params.search.retain(|pair| pair.key != HASH_BITS);
    params.search.extend(index.param(HASH_BITS).map(|bits| KeyValue::new(HASH_BITS, bits)));
}

fn check_index_params(index: &IndexMeta, params: &Params) -> Result<()> {
    let name = index.param("index_type").unwrap_or_default();
    let Some(index_type) = IndexType::parse(name) else {
        return Err(Failure::internal(format!("index {} has unknown type {name}", index.name)));
    };
    check_search_params(index_type, params.depth(), &params.search).or_failure().map(drop)
}
