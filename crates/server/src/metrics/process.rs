//! What the system and the allocator say about this process.

use milvus_base::clock;

use super::Samples;

/// Memory and age of the process.
pub(super) fn samples(samples: &mut Samples) {
    if let Some(resident) = resident() {
        let help = "resident memory in bytes";
        samples.gauge("process_resident_memory_bytes", help, &[], resident.all);
        let help = "resident memory that is not a page of a mapped file, in bytes";
        samples.gauge("milvus_resident_own_bytes", help, &[], resident.own);
    }
    let help = "seconds since the process started";
    samples.gauge("milvus_uptime_seconds", help, &[], clock::monotonic().as_secs_f64());
    #[cfg(all(feature = "jemalloc", not(debug_assertions)))]
    allocator(samples);
}

/// Memory of the process as the system counts it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resident {
    /// All of it, pages of mapped files included.
    pub(crate) all: u64,
    /// What no file backs: the system cannot take it away.
    pub(crate) own: u64,
}

/// `None` where the system does not tell.
pub(crate) fn resident() -> Option<Resident> {
    parse_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmRSS:     12 kB`
fn parse_status(status: &str) -> Option<Resident> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Resident { all: bytes("VmRSS")?, own: bytes("RssAnon")? })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_its_two_parts() {
        let status = "VmHWM:\t 9 kB\nVmRSS:\t     12 kB\nRssAnon:\t   5 kB\nRssFile:\t 7 kB\n";
        assert_eq!(parse_status(status), Some(Resident { all: 12 << 10, own: 5 << 10 }));
        assert_eq!(parse_status("VmRSS: 12 kB\n"), None);
        let now = resident().unwrap();
        assert!(now.own > 0 && now.own <= now.all);
    }
}
