//! Floating numbers must be numbers: neither NaN nor infinite.

use milvus_types::{Failure, Result};

pub(crate) fn finite_f32(values: &[f32]) -> Result<()> {
    // Without an early exit in the loop the compiler can use wide registers.
    let all_finite = values
        .chunks(1024)
        .all(|chunk| chunk.iter().fold(true, |finite, value| finite & value.is_finite()));
    if all_finite {
        return Ok(());
    }
    let bad = values.iter().find(|value| !value.is_finite());
    bad.map_or(Ok(()), |value| Err(not_finite(f64::from(*value))))
}

pub(crate) fn finite_f64(values: &[f64]) -> Result<()> {
    let bad = values.iter().find(|value| !value.is_finite());
    bad.map_or(Ok(()), |value| Err(not_finite(*value)))
}

/// Half-precision numbers, little-endian.
pub(crate) fn finite_f16(bytes: &[u8]) -> Result<()> {
    finite_halves(
        bytes,
        0x7c00,
        "The length of float16 is not aligned to 2.",
        "float16 vector contain nan or infinity value.",
    )
}

/// Brain floats, little-endian.
pub(crate) fn finite_bf16(bytes: &[u8]) -> Result<()> {
    finite_halves(
        bytes,
        0x7f80,
        "The length of bfloat16 in not aligned to 2",
        "bfloat16 vector contain nan or infinity value.",
    )
}

/// A number whose exponent's bits are all set is none.
fn finite_halves(bytes: &[u8], exponent: u16, odd: &str, not_finite: &str) -> Result<()> {
    let (halves, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Failure::parameter_invalid(odd));
    }
    let is_bad = |half: &[u8; 2]| u16::from_le_bytes(*half) & exponent == exponent;
    let bad =
        halves.chunks(1024).any(|chunk| chunk.iter().fold(false, |bad, half| bad | is_bad(half)));
    if bad { Err(Failure::parameter_invalid(not_finite)) } else { Ok(()) }
}

fn not_finite(value: f64) -> Failure {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    };
    Failure::parameter_invalid(format!("value '{text}' is not a number or infinity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<()>) -> String {
        result.err().map(|failure| failure.reason).unwrap_or_default()
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(finite_f32(&[0.0, -1.0, f32::MAX]), Ok(()));
        let text = |x: &str| format!("value '{x}' is not a number or infinity: invalid parameter");
        assert_eq!(reason(finite_f32(&[0.0, f32::NAN])), text("NaN"));
        assert_eq!(reason(finite_f64(&[f64::NEG_INFINITY])), text("-Inf"));
        let bits = |bits: u16| bits.to_le_bytes();
        for (bad, good) in [(0x7c00, 0x7bff), (0xfc00, 0xfbff), (0x7e00, 0x0001)] {
            assert!(reason(finite_f16(&bits(bad))).starts_with("float16 vector contain nan"));
            assert_eq!(finite_f16(&bits(good)), Ok(()));
        }
        for (bad, good) in [(0x7f80, 0x7f7f), (0xff80, 0x8000), (0xffc1, 0x7c00)] {
            assert!(reason(finite_bf16(&bits(bad))).starts_with("bfloat16 vector contain nan"));
            assert_eq!(finite_bf16(&bits(good)), Ok(()));
        }
        assert!(reason(finite_f16(&[0])).starts_with("The length of float16 is not aligned"));
    }
}
