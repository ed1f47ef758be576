//! How long one append takes, from the call to the acknowledgement, one after the other; and how many
//! records pass when many wait at once. For both logs on local files.
//!
//!     cargo run --release -p milvus-wal --example append_latency [DIRECTORY]

use std::sync::Arc;

use bytes::Bytes;
use milvus_base::clock::monotonic;
use milvus_storage::LocalStore;
use milvus_wal::{LocalWal, LocalWalOptions, LogChannel, ObjectWal, ObjectWalOptions, Wal};

const APPENDS: usize = 500;
const RECORD_BYTES: usize = 600;
const AT_ONCE: usize = 20_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| std::env::temp_dir().into());
    let dir = std::path::PathBuf::from(dir).join(milvus_base::random::unique_name());
    let files = LocalWal::open(dir.join("files"), LocalWalOptions::default()).await?;
    measure("rocksmq", &*files.open("channel", 1).await?).await?;
    let store = Arc::new(LocalStore::open(dir.join("objects"))?);
    let objects = ObjectWal::open(store, "log", ObjectWalOptions::local());
    measure("woodpecker", &*objects.open("channel", 1).await?).await?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a measurement is for")]
async fn measure(name: &str, channel: &dyn LogChannel) -> Result<(), Box<dyn std::error::Error>> {
    let record = || vec![Bytes::from(vec![7; RECORD_BYTES])];
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = monotonic();
        channel.append(record()).await?;
        times.push(monotonic() - begun);
    }
    times.sort_unstable();
    let begun = monotonic();
    let under_way: Vec<_> = (0..AT_ONCE).map(|_| channel.append(record())).collect();
    for outcome in under_way {
        outcome.await?;
    }
    let rate = AT_ONCE as f64 / (monotonic() - begun).as_secs_f64();
    let at = |share: usize| times.get(APPENDS * share / 100).copied().unwrap_or_default();
    println!("{name:10} p50 {:?}, p99 {:?}; {rate:.0} records/s at once", at(50), at(99));
    channel.close().await;
    Ok(())
}
