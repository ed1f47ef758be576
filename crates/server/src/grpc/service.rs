//! The table of RPCs: which are served, and by which function.

use std::sync::Arc;

use milvus_base::Drain;
use milvus_proto::common::Status as WireStatus;
use milvus_proto::flush::FlushResponse;
use milvus_proto::milvus as pb;
use milvus_proto::milvus::milvus_service_server::MilvusService;
use milvus_proxy::Proxy;
use tonic::{Request, Response, Status};

use super::call::{Call, answer};
use super::{
    alias, alter, collection, compaction, connection, database, delete, flush, hybrid, index,
    insert, legacy, load, partition, query, replica, search, segment, system_info,
};
use crate::metrics::Metrics;

/// `MilvusService` in front of a [`Proxy`].
#[derive(Clone)]
pub struct Service {
    proxy: Proxy,
    metrics: Arc<Metrics>,
    under_way: Drain,
}

impl Service {
    /// The service in front of `proxy`, counting into `metrics`.
    pub fn new(proxy: Proxy, metrics: Arc<Metrics>) -> Self {
        Self { proxy, metrics, under_way: Drain::new() }
    }

    /// The requests that are being answered.
    pub fn under_way(&self) -> &Drain {
        &self.under_way
    }

    pub(super) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

macro_rules! rpcs {
    ($($method:ident, $name:literal => $module:ident::$function:ident($request:ty) -> $reply:ty;)*) => {
        #[tonic::async_trait]
        impl MilvusService for Service {
            $(async fn $method(
                &self,
                request: Request<$request>,
            ) -> Result<Response<$reply>, Status> {
                let call = Call::of(self, &request);
                let work = $module::$function(&call, request.into_inner());
                self.under_way.track(answer(self.metrics(), $name, Box::pin(work))).await
            })*
        }
    };
}

rpcs! {
    connect, "Connect" => connection::connect(pb::ConnectRequest) -> pb::ConnectResponse;
    get_version, "GetVersion" => connection::version(pb::GetVersionRequest) -> pb::GetVersionResponse;
    check_health, "CheckHealth" => connection::health(pb::CheckHealthRequest) -> pb::CheckHealthResponse;
    get_component_states, "GetComponentStates" => connection::components(pb::GetComponentStatesRequest) -> pb::ComponentStates;
    alloc_timestamp, "AllocTimestamp" => connection::timestamp(pb::AllocTimestampRequest) -> pb::AllocTimestampResponse;
    get_metrics, "GetMetrics" => system_info::metrics(pb::GetMetricsRequest) -> pb::GetMetricsResponse;
    dummy, "Dummy" => legacy::dummy(pb::DummyRequest) -> pb::DummyResponse;
    calc_distance, "CalcDistance" => legacy::calc_distance(pb::CalcDistanceRequest) -> pb::CalcDistanceResults;

    list_databases, "ListDatabases" => database::list(pb::ListDatabasesRequest) -> pb::ListDatabasesResponse;
    describe_database, "DescribeDatabase" => database::describe(pb::DescribeDatabaseRequest) -> pb::DescribeDatabaseResponse;
    create_database, "CreateDatabase" => database::create(pb::CreateDatabaseRequest) -> WireStatus;
    drop_database, "DropDatabase" => database::drop(pb::DropDatabaseRequest) -> WireStatus;
    alter_database, "AlterDatabase" => database::alter(pb::AlterDatabaseRequest) -> WireStatus;

    create_alias, "CreateAlias" => alias::create(pb::CreateAliasRequest) -> WireStatus;
    drop_alias, "DropAlias" => alias::drop(pb::DropAliasRequest) -> WireStatus;
    alter_alias, "AlterAlias" => alias::alter(pb::AlterAliasRequest) -> WireStatus;
    describe_alias, "DescribeAlias" => alias::describe(pb::DescribeAliasRequest) -> pb::DescribeAliasResponse;
    list_aliases, "ListAliases" => alias::list(pb::ListAliasesRequest) -> pb::ListAliasesResponse;

    create_collection, "CreateCollection" => collection::create(pb::CreateCollectionRequest) -> WireStatus;
    drop_collection, "DropCollection" => collection::drop(pb::DropCollectionRequest) -> WireStatus;
    has_collection, "HasCollection" => collection::has(pb::HasCollectionRequest) -> pb::BoolResponse;
    describe_collection, "DescribeCollection" => collection::describe(pb::DescribeCollectionRequest) -> pb::DescribeCollectionResponse;
    batch_describe_collection, "BatchDescribeCollection" => collection::describe_many(pb::BatchDescribeCollectionRequest) -> pb::BatchDescribeCollectionResponse;
    show_collections, "ShowCollections" => collection::show(pb::ShowCollectionsRequest) -> pb::ShowCollectionsResponse;
    rename_collection, "RenameCollection" => collection::rename(pb::RenameCollectionRequest) -> WireStatus;
    truncate_collection, "TruncateCollection" => collection::truncate(pb::TruncateCollectionRequest) -> pb::TruncateCollectionResponse;
    alter_collection, "AlterCollection" => alter::collection(pb::AlterCollectionRequest) -> WireStatus;
    alter_collection_field, "AlterCollectionField" => alter::field(pb::AlterCollectionFieldRequest) -> WireStatus;
    alter_collection_schema, "AlterCollectionSchema" => alter::schema(pb::AlterCollectionSchemaRequest) -> pb::AlterCollectionSchemaResponse;
    add_collection_field, "AddCollectionField" => alter::add_field(pb::AddCollectionFieldRequest) -> WireStatus;
    add_collection_struct_field, "AddCollectionStructField" => alter::add_struct_field(pb::AddCollectionStructFieldRequest) -> WireStatus;
    get_collection_statistics, "GetCollectionStatistics" => collection::statistics(pb::GetCollectionStatisticsRequest) -> pb::GetCollectionStatisticsResponse;

    create_partition, "CreatePartition" => partition::create(pb::CreatePartitionRequest) -> WireStatus;
    drop_partition, "DropPartition" => partition::drop(pb::DropPartitionRequest) -> WireStatus;
    has_partition, "HasPartition" => partition::has(pb::HasPartitionRequest) -> pb::BoolResponse;
    show_partitions, "ShowPartitions" => partition::show(pb::ShowPartitionsRequest) -> pb::ShowPartitionsResponse;
    get_partition_statistics, "GetPartitionStatistics" => partition::statistics(pb::GetPartitionStatisticsRequest) -> pb::GetPartitionStatisticsResponse;

    load_collection, "LoadCollection" => load::load_collection(pb::LoadCollectionRequest) -> WireStatus;
    release_collection, "ReleaseCollection" => load::release_collection(pb::ReleaseCollectionRequest) -> WireStatus;
    load_partitions, "LoadPartitions" => load::load_partitions(pb::LoadPartitionsRequest) -> WireStatus;
    release_partitions, "ReleasePartitions" => load::release_partitions(pb::ReleasePartitionsRequest) -> WireStatus;
    get_loading_progress, "GetLoadingProgress" => load::progress(pb::GetLoadingProgressRequest) -> pb::GetLoadingProgressResponse;
    get_load_state, "GetLoadState" => load::state(pb::GetLoadStateRequest) -> pb::GetLoadStateResponse;

    create_index, "CreateIndex" => index::create(pb::CreateIndexRequest) -> WireStatus;
    drop_index, "DropIndex" => index::drop(pb::DropIndexRequest) -> WireStatus;
    alter_index, "AlterIndex" => alter::index(pb::AlterIndexRequest) -> WireStatus;
    describe_index, "DescribeIndex" => index::describe(pb::DescribeIndexRequest) -> pb::DescribeIndexResponse;
    get_index_state, "GetIndexState" => index::state(pb::GetIndexStateRequest) -> pb::GetIndexStateResponse;
    get_index_build_progress, "GetIndexBuildProgress" => index::progress(pb::GetIndexBuildProgressRequest) -> pb::GetIndexBuildProgressResponse;
    get_index_statistics, "GetIndexStatistics" => index::statistics(pb::GetIndexStatisticsRequest) -> pb::GetIndexStatisticsResponse;

    insert, "Insert" => insert::insert(pb::InsertRequest) -> pb::MutationResult;
    upsert, "Upsert" => insert::upsert(pb::UpsertRequest) -> pb::MutationResult;
    delete, "Delete" => delete::delete(pb::DeleteRequest) -> pb::MutationResult;

    flush, "Flush" => flush::flush(pb::FlushRequest) -> FlushResponse;
    get_flush_state, "GetFlushState" => flush::state(pb::GetFlushStateRequest) -> pb::GetFlushStateResponse;
    flush_all, "FlushAll" => flush::flush_all(pb::FlushAllRequest) -> pb::FlushAllResponse;
    get_flush_all_state, "GetFlushAllState" => flush::all_state(pb::GetFlushAllStateRequest) -> pb::GetFlushAllStateResponse;
    manual_compaction, "ManualCompaction" => compaction::start(pb::ManualCompactionRequest) -> pb::ManualCompactionResponse;
    get_compaction_state, "GetCompactionState" => compaction::state(pb::GetCompactionStateRequest) -> pb::GetCompactionStateResponse;
    get_compaction_state_with_plans, "GetCompactionStateWithPlans" => compaction::plans(pb::GetCompactionPlansRequest) -> pb::GetCompactionPlansResponse;
    get_persistent_segment_info, "GetPersistentSegmentInfo" => segment::list(pb::GetPersistentSegmentInfoRequest) -> pb::GetPersistentSegmentInfoResponse;
    get_query_segment_info, "GetQuerySegmentInfo" => replica::segments(pb::GetQuerySegmentInfoRequest) -> pb::GetQuerySegmentInfoResponse;
    get_replicas, "GetReplicas" => replica::replicas(pb::GetReplicasRequest) -> pb::GetReplicasResponse;

    search, "Search" => search::search(pb::SearchRequest) -> pb::SearchResults;
    hybrid_search, "HybridSearch" => hybrid::search(pb::HybridSearchRequest) -> pb::SearchResults;
    query, "Query" => query::query(pb::QueryRequest) -> pb::QueryResults;
}
