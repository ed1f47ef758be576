//! What the roles know about themselves, as metrics: rows, segments, deletes, log, index builds.

use std::sync::Arc;

use milvus_coord::MixCoord;
use milvus_query::QueryService;
use milvus_storage::CachedStore;
use milvus_streaming::StreamingService;

use crate::metrics::Metrics;

/// Has every scrape ask the roles.
pub(crate) fn watch(
    metrics: &Metrics,
    coord: &Arc<MixCoord>,
    streaming: &Arc<StreamingService>,
    query: &Arc<QueryService>,
) {
    let owner = streaming.clone();
    metrics.add_source(move |samples| {
        let stats = owner.stats();
        let gauges = [
            ("milvus_streaming_channels", "shards owned", stats.channels),
            ("milvus_growing_segments", "growing and flushing segments", stats.growing_segments),
            ("milvus_growing_rows", "rows that are not flushed", stats.growing_rows),
            ("milvus_growing_bytes", "bytes of rows that are not flushed", stats.growing_bytes),
            ("milvus_pending_deletes", "deletes that no file holds yet", stats.pending_deletes),
        ];
        for (name, help, value) in gauges {
            samples.gauge(name, help, &[], value);
        }
        samples.counter("milvus_streaming_writes", "writes acknowledged", &[], stats.writes);
        samples.counter("milvus_streaming_flushes", "flushes committed", &[], stats.flushes);
        for (channel, log) in owner.log_stats() {
            let labels = [("channel_name", channel.as_str())];
            samples.counter("milvus_wal_records", "log records made durable", &labels, log.records);
            samples.counter("milvus_wal_bytes", "log bytes made durable", &labels, log.bytes);
            samples.counter("milvus_wal_syncs", "times the log was synced", &labels, log.syncs);
        }
    });
    let nodes = query.clone();
    metrics.add_source(move |samples| {
        let stats = nodes.stats();
        let segments = stats.segments as u64;
        samples.gauge("milvus_querynode_segment_num", "sealed segments served", &[], segments);
        samples.gauge("milvus_querynode_entity_num", "rows of them", &[], stats.rows);
        let (mapped, heap) = (stats.file_bytes, stats.memory_bytes);
        samples.gauge("milvus_querynode_mapped_bytes", "bytes of their files", &[], mapped);
        samples.gauge("milvus_querynode_memory_bytes", "memory they hold", &[], heap);
    });
    let coord = coord.clone();
    metrics.add_source(move |samples| {
        let stats = coord.data_stats();
        let gauges = [
            ("milvus_datacoord_segment_num", "flushed segments", stats.segments),
            ("milvus_datacoord_stored_rows_num", "rows of them, deleted ones included", stats.rows),
            ("milvus_datacoord_deleted_rows_num", "rows deleted of them", stats.deleted_rows),
            ("milvus_datacoord_stored_bytes", "bytes of all files in use", stats.bytes),
            ("milvus_datacoord_live_bytes", "bytes of them that live rows take", stats.live_bytes),
            (
                "milvus_datacoord_retired_bytes",
                "bytes of files that are kept for a grace after nothing names them",
                stats.retired_bytes,
            ),
            (
                "milvus_datacoord_unnamed_bytes",
                "bytes that compactions under way have written",
                stats.unnamed_bytes,
            ),
            ("milvus_datacoord_pending_index_builds", "index builds to do", stats.pending_builds),
        ];
        for (name, help, value) in gauges {
            samples.gauge(name, help, &[], value);
        }
        let help = "bytes on disk, retired and unnamed ones included, for each that live rows take";
        let amplification = stats.space_amplification();
        samples.gauge("milvus_datacoord_space_amplification", help, &[], amplification);
        let (done, failed) = (stats.compactions, stats.failed_compactions);
        samples.counter("milvus_datacoord_compactions", "compactions done", &[], done);
        let what = "compactions that failed, most of which are tried again";
        samples.counter("milvus_datacoord_failed_compactions", what, &[], failed);
    });
}

/// Has every scrape ask the copies of remote objects.
pub(crate) fn watch_cache(metrics: &Metrics, cache: CachedStore) {
    metrics.add_source(move |samples| {
        let stats = cache.stats();
        let counters = [
            ("milvus_storage_cache_hits", "reads that found a copy", stats.hits),
            ("milvus_storage_cache_misses", "reads that found none", stats.misses),
            ("milvus_storage_cache_fetched_bytes", "bytes fetched", stats.fetched_bytes),
            ("milvus_storage_cache_evictions", "copies that left for space", stats.evictions),
            ("milvus_storage_cache_bypasses", "objects read into memory", stats.bypasses),
        ];
        for (name, help, value) in counters {
            samples.counter(name, help, &[], value);
        }
        let help = "bytes of copies of remote objects";
        samples.gauge("milvus_storage_cache_bytes", help, &[], stats.used_bytes);
        let help = "bytes that copies may take";
        samples.gauge("milvus_storage_cache_limit_bytes", help, &[], stats.max_bytes);
    });
}
