//! Metrics, in Prometheus form and under Milvus's names where it has one.
//!
//! What happens at the wire is counted here. What a role knows (rows, segments, log bytes) stays
//! with the role: it registers a source, which is asked when somebody scrapes.

mod process;
mod samples;

use std::time::Duration;

use milvus_base::{Governor, Purpose};
use parking_lot::Mutex;
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

pub(crate) use process::{Resident, resident};
pub use samples::Samples;

/// The label that names the one node there is.
const NODE_ID: &str = "1";

/// Milliseconds; Milvus's buckets, with finer ones below.
const LATENCY_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0,
    4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0,
];

/// What rows were counted for.
#[derive(Clone, Copy, Debug)]
pub enum Rows {
    /// Inserted.
    Inserted,
    /// Upserted.
    Upserted,
    /// Deleted.
    Deleted,
    /// Searched for: query vectors.
    Searched,
}

type Source = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    latency: HistogramVec,
    inserted: IntCounter,
    upserted: IntCounter,
    deleted: IntCounter,
    searched: IntCounter,
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let calls = IntCounterVec::new(
            node(Opts::new("milvus_proxy_req_count", "count of operation executed")),
            &["function_name", "status"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::from(node(Opts::new(
                "milvus_proxy_req_latency",
                "latency of each request in milliseconds",
            )))
            .buckets(LATENCY_BUCKETS.to_vec()),
            &["function_name"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        let counter = |name, help| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::with_opts(node(Opts::new(name, help)))?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let inserted = counter(
            "milvus_proxy_insert_vectors_count",
            "counter of vectors successfully inserted",
        )?;
        let upserted = counter(
            "milvus_proxy_upsert_vectors_count",
            "counter of vectors successfully upserted",
        )?;
        let deleted = counter(
            "milvus_proxy_delete_vectors_count",
            "counter of vectors successfully deleted",
        )?;
        let searched = counter(
            "milvus_proxy_search_vectors_count",
            "counter of vectors successfully searched",
        )?;
        let sources = Mutex::new(vec![Box::new(process::samples) as Source]);
        Ok(Self { registry, calls, latency, inserted, upserted, deleted, searched, sources })
    }

    /// Counts one call of `rpc` that took `elapsed`.
    pub fn observe_call(&self, rpc: &str, is_ok: bool, elapsed: Duration) {
        let status = if is_ok { "success" } else { "fail" };
        self.calls.with_label_values(&[rpc, status]).inc();
        self.latency.with_label_values(&[rpc]).observe(elapsed.as_secs_f64() * 1000.0);
    }

    /// Counts rows that a request wrote or looked for.
    pub fn count_rows(&self, what: Rows, rows: i64) {
        let counter = match what {
            Rows::Inserted => &self.inserted,
            Rows::Upserted => &self.upserted,
            Rows::Deleted => &self.deleted,
            Rows::Searched => &self.searched,
        };
        counter.inc_by(u64::try_from(rows).unwrap_or(0));
    }

    /// Asks `source` for more at every scrape. It must be quick and must not block.
    pub fn add_source(&self, source: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.sources.lock().push(Box::new(source));
    }

    /// Shows how the memory budget of `governor` is used.
    pub fn watch_memory(&self, governor: Governor) {
        self.add_source(move |samples| {
            let help = "memory charged to the budget in bytes, by purpose";
            for purpose in Purpose::ALL {
                let used = governor.used_for(purpose);
                samples.gauge(
                    "milvus_memory_used_bytes",
                    help,
                    &[("purpose", purpose.name())],
                    used,
                );
            }
            let help = "memory in use that is charged to nobody, and room kept for it, in bytes";
            samples.gauge("milvus_memory_uncharged_bytes", help, &[], governor.uncharged());
            let help = "memory limit in bytes";
            samples.gauge("milvus_memory_limit_bytes", help, &[], governor.limit());
        });
    }

    /// Everything, as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "cannot encode metrics");
        }
        let mut samples = Samples::default();
        for source in self.sources.lock().iter() {
            source(&mut samples);
        }
        let mut text = String::from_utf8_lossy(&text).into_owned();
        samples.write(&mut text);
        text
    }
}

fn node(opts: Opts) -> Opts {
    opts.const_label("node_id", NODE_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_calls_rows_memory_and_the_sources() {
        let metrics = Metrics::new().unwrap();
        metrics.observe_call("Search", true, Duration::from_millis(3));
        metrics.observe_call("Search", false, Duration::from_millis(3));
        metrics.count_rows(Rows::Inserted, 7);
        let governor = Governor::new(1000);
        let _held = governor.try_reserve(Purpose::Load, 10).unwrap();
        metrics.watch_memory(governor);
        metrics.add_source(|samples| {
            for state in ["Growing", "Flushed"] {
                samples.gauge("milvus_segments", "segments", &[("state", state)], 2_u32);
            }
            samples.counter("milvus_wal_bytes", "bytes", &[("channel", "a\"b")], 5_u32);
        });
        let text = metrics.render();
        for line in [
            "milvus_proxy_req_count{function_name=\"Search\",node_id=\"1\",status=\"success\"} 1",
            "milvus_proxy_req_count{function_name=\"Search\",node_id=\"1\",status=\"fail\"} 1",
            "milvus_proxy_req_latency_bucket{function_name=\"Search\",node_id=\"1\",le=\"4\"} 2",
            "milvus_proxy_insert_vectors_count{node_id=\"1\"} 7",
            "milvus_memory_used_bytes{purpose=\"load\"} 10",
            "milvus_memory_uncharged_bytes 0",
            "milvus_memory_limit_bytes 1000",
            "milvus_segments{state=\"Growing\"} 2",
            "# TYPE milvus_wal_bytes counter",
            "milvus_wal_bytes{channel=\"a\\\"b\"} 5",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE milvus_segments gauge").count(), 1);
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
