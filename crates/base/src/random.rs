//! Random numbers: identities that never collide, and jitter that spreads retries.
//!
//! Not for keys or tokens of security.

use std::time::Duration;

/// Any 64-bit number, each as likely as another.
pub fn u64() -> u64 {
    rand::random()
}

/// A name nobody else has: 32 hexadecimal digits from 122 random bits, laid out as a version 4 UUID
/// without its hyphens.
pub fn unique_name() -> String {
    let bits: u128 = rand::random();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    format!("{bits:032x}")
}

/// `duration` made shorter or longer by up to `fraction` of itself (0.0 to 1.0).
pub fn jitter(duration: Duration, fraction: f64) -> Duration {
    let swing: f64 = rand::random_range(-1.0..=1.0);
    duration.mul_f64((1.0 + swing * fraction.clamp(0.0, 1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_jitter_stays_within_bounds() {
        let name = unique_name();
        assert_eq!((name.len(), name.as_bytes()[12]), (32, b'4'));
        assert_ne!(name, unique_name());
        assert_ne!(u64(), u64());
        for _ in 0..1000 {
            let ms = jitter(Duration::from_millis(100), 0.2).as_secs_f64() * 1000.0;
            assert!((79.9..=120.1).contains(&ms), "{ms}");
        }
    }
}
