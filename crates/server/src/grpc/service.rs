//! The table of RPCs: which are served, and by which function.

use std::sync::Arc;

use milvus_base::Drain;
use milvus_proto::common::Status as WireStatus;
use milvus_proto::milvus as pb;
use milvus_proto::milvus::milvus_service_server::MilvusService;
use milvus_proxy::Proxy;
use tonic::{Request, Response, Status};

use super::call::{Call, answer};
use super::{
    collection, connection, database, delete, flush, index, insert, load, partition, query, search,
    segment,
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

    list_databases, "ListDatabases" => database::list(pb::ListDatabasesRequest) -> pb::ListDatabasesResponse;
    describe_database, "DescribeDatabase" => database::describe(pb::DescribeDatabaseRequest) -> pb::DescribeDatabaseResponse;

    create_collection, "CreateCollection" => collection::create(pb::CreateCollectionRequest) -> WireStatus;
    drop_collection, "DropCollection" => collection::drop(pb::DropCollectionRequest) -> WireStatus;
    has_collection, "HasCollection" => collection::has(pb::HasCollectionRequest) -> pb::BoolResponse;
    describe_collection, "DescribeCollection" => collection::describe(pb::DescribeCollectionRequest) -> pb::DescribeCollectionResponse;
    show_collections, "ShowCollections" => collection::show(pb::ShowCollectionsRequest) -> pb::ShowCollectionsResponse;
    rename_collection, "RenameCollection" => collection::rename(pb::RenameCollectionRequest) -> WireStatus;
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
    describe_index, "DescribeIndex" => index::describe(pb::DescribeIndexRequest) -> pb::DescribeIndexResponse;
    get_index_state, "GetIndexState" => index::state(pb::GetIndexStateRequest) -> pb::GetIndexStateResponse;
    get_index_build_progress, "GetIndexBuildProgress" => index::progress(pb::GetIndexBuildProgressRequest) -> pb::GetIndexBuildProgressResponse;
    get_index_statistics, "GetIndexStatistics" => index::statistics(pb::GetIndexStatisticsRequest) -> pb::GetIndexStatisticsResponse;

    insert, "Insert" => insert::insert(pb::InsertRequest) -> pb::MutationResult;
    upsert, "Upsert" => insert::upsert(pb::UpsertRequest) -> pb::MutationResult;
    delete, "Delete" => delete::delete(pb::DeleteRequest) -> pb::MutationResult;

    flush, "Flush" => flush::flush(pb::FlushRequest) -> pb::FlushResponse;
    get_flush_state, "GetFlushState" => flush::state(pb::GetFlushStateRequest) -> pb::GetFlushStateResponse;
    get_persistent_segment_info, "GetPersistentSegmentInfo" => segment::list(pb::GetPersistentSegmentInfoRequest) -> pb::GetPersistentSegmentInfoResponse;

    search, "Search" => search::search(pb::SearchRequest) -> pb::SearchResults;
    query, "Query" => query::query(pb::QueryRequest) -> pb::QueryResults;
}
