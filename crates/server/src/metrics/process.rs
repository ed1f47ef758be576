//! What the system and the allocator say about this process.

use milvus_base::clock;

use super::Samples;

/// Memory and age of the process.
pub(super) fn samples(samples: &mut Samples) {
    if let Some(bytes) = resident_bytes() {
        let help = "resident memory in bytes";
        samples.gauge("process_resident_memory_bytes", help, &[], bytes);
    }
    let help = "seconds since the process started";
    samples.gauge("milvus_uptime_seconds", help, &[], clock::monotonic().as_secs_f64());
    #[cfg(all(feature = "jemalloc", not(debug_assertions)))]
    allocator(samples);
}

/// Memory of the process as the system counts it, pages of mapped files included.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(all(feature = "jemalloc", not(debug_assertions)))]
fn allocator(samples: &mut Samples) {
    use tikv_jemalloc_ctl::{epoch, stats};
    if epoch::advance().is_err() {
        return;
    }
    let help = "memory as the allocator counts it, in bytes";
    let kinds = [
        ("allocated", stats::allocated::read()),
        ("active", stats::active::read()),
        ("resident", stats::resident::read()),
        ("retained", stats::retained::read()),
    ];
    for (kind, bytes) in kinds {
        if let Ok(bytes) = bytes {
            samples.gauge("milvus_allocator_bytes", help, &[("kind", kind)], bytes);
        }
    }
}
