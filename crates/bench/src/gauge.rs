//! What a piece of work took: wall time, CPU time and memory.
//!
//! CPU time counts this process only, so that it means the same on a machine that others use too.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::path::Path;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Seconds that work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// By the clock on the wall.
    pub(crate) wall_s: f64,
    /// Of all threads of this process together.
    pub(crate) cpu_s: f64,
}

/// Does `work` and says what it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let done = work();
    (done, Spent { wall_s: start.elapsed().as_secs_f64(), cpu_s: cpu_seconds() - cpu })
}

/// Seconds of CPU that the process has used.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Does `work` and says how many seconds passed; cheap enough for single searches.
pub(crate) fn wall_seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle of `values`; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The value below which `share` of `values` are; 0 of none.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = share_of(values.len(), share);
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// `share` of `count`, rounded.
#[expect(clippy::cast_possible_truncation, reason = "shares of counts are counts")]
pub(crate) fn share_of(count: usize, share: f64) -> usize {
    (count as f64 * share).round().max(0.0) as usize
}

/// Memory of this process in bytes, as the system counts it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) resident: u64,
    /// Of that, memory that no file backs.
    pub(crate) anonymous: u64,
    /// The most that was resident since the start, or since [`Memory::forget_peak`].
    pub(crate) peak: u64,
}

impl Memory {
    /// As it is now; 0 where the system does not tell.
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or_default() * 1024
        };
        Self { resident: bytes("VmRSS:"), anonymous: bytes("RssAnon:"), peak: bytes("VmHWM:") }
    }

    /// Lets the peak begin anew from what is resident now.
    pub(crate) fn forget_peak() {
        // Where it cannot be, the peak stays that of the whole process: an upper bound.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
}

/// Bytes of the mapped file at `path` that are resident in this process.
pub(crate) fn resident_of(path: &Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let name = path.display().to_string();
    let (mut ours, mut kib) = (false, 0);
    for line in maps.lines() {
        if let Some(rss) = line.strip_prefix("Rss:") {
            let rss = rss.split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
            kib += rss.filter(|_| ours).unwrap_or_default();
        } else if !line.split(' ').next().unwrap_or_default().ends_with(':') {
            // The first line of a mapping: addresses, rights, offset, device, inode, path.
            ours = line.ends_with(&name);
        }
    }
    kib * 1024
}

/// Bytes as megabytes (2^20) with one digit, for reports.
pub(crate) fn mb(bytes: u64) -> f64 {
    (bytes as f64 / 104_857.6).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_tail_are_those_of_sorted_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![]), 0.0);
        let hundred: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(quantile(hundred, 0.99), 99.0);
        assert_eq!(mb(3 << 19), 1.5);
    }

    #[test]
    fn resident_bytes_of_a_file_are_those_that_were_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mapped");
        std::fs::write(&path, vec![1u8; 1 << 20]).unwrap();
        assert_eq!(resident_of(&path), 0, "not mapped");
        let map = crate::mapped::map(&path, 0).unwrap();
        let sum: u64 = (*map).as_ref().iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 1 << 20);
        if cfg!(target_os = "linux") {
            assert_eq!(resident_of(&path), 1 << 20);
        }
    }
}
