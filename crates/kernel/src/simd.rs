//! The choice of instruction set: one table of functions, picked once for the life of the process.
//!
//! A table is reachable only through [`kernels`], which has checked that the CPU has the features
//! its functions were compiled for; that check is what makes calling them sound.

use std::sync::OnceLock;

use half::{bf16, f16};

use crate::fastscan::{self, FastScanKernels};
use crate::impacts::{self, ImpactKernels};
use crate::levels;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::many;
use crate::many::ManyKernels;
use crate::portable;
use crate::rabitq::{self, PlanesKernels};
use crate::short_codes::{self, ShortKernels};

/// The instruction sets there are kernels for, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Any CPU.
    Portable,
    /// NEON of aarch64, with SDOT where it is there.
    Neon,
    /// AVX2, FMA, F16C and POPCNT.
    Avx2,
    /// AVX-512 F, BW, VL and VNNI.
    Avx512,
}

impl Level {
    /// Every level, slowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name `MILVUS_SIMD` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this CPU can run it.
    pub fn is_supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Portable => true,
            Self::Neon => false,
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("popcnt")
            }
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
            }
        };
        #[cfg(target_arch = "aarch64")]
        return match self {
            Self::Portable => true,
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Avx2 | Self::Avx512 => false,
        };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        return self == Self::Portable;
    }
}

/// One row against a query.
pub(crate) type F32Pair = unsafe fn(&[f32], &[f32]) -> f32;
/// Four rows against a query.
pub(crate) type F32Quad = unsafe fn(&[f32], [&[f32]; 4]) -> [f32; 4];
/// Inner products with a query and squared norms of four rows.
pub(crate) type F32QuadNorms = unsafe fn(&[f32], [&[f32]; 4]) -> ([f32; 4], [f32; 4]);
/// Codes of one row against codes of another.
pub(crate) type CodePair = unsafe fn(&[u8], &[u8]) -> i32;
/// Codes of four rows against codes of a query.
pub(crate) type CodeQuad = unsafe fn(&[u8], [&[u8]; 4]) -> [i32; 4];
/// Four rows of 4-bit codes against the planes of a query; see `lvq4`.
pub(crate) type Lvq4Quad = unsafe fn(&[i8], [&[u8]; 4]) -> [i32; 4];
/// Two vectors of half-precision floats.
pub(crate) type F16Pair = unsafe fn(&[f16], &[f16]) -> f32;
/// Two vectors of bfloat16.
pub(crate) type Bf16Pair = unsafe fn(&[bf16], &[bf16]) -> f32;
/// Two vectors of bytes as signed integers.
pub(crate) type I8Pair = unsafe fn(&[i8], &[i8]) -> i32;
/// A count over two bit strings.
pub(crate) type BitsPair = unsafe fn(&[u8], &[u8]) -> u32;
/// Bits of both and of either of two bit strings.
pub(crate) type BitsOverlap = unsafe fn(&[u8], &[u8]) -> (u32, u32);

/// Elements of as many bytes, a power of two up to 32, that are the same in both.
pub(crate) type EqualElements = unsafe fn(&[u8], &[u8], usize) -> u32;

/// The functions of one instruction set. All slices of one call have the same length.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    pub(crate) level: Level,
    pub(crate) l2: F32Pair,
    pub(crate) ip: F32Pair,
    pub(crate) l2_x4: F32Quad,
    pub(crate) ip_x4: F32Quad,
    pub(crate) ip_norm_x4: F32QuadNorms,
    pub(crate) code: CodePair,
    pub(crate) code_x4: CodeQuad,
    pub(crate) lvq4_x4: Lvq4Quad,
    pub(crate) f16_l2: F16Pair,
    pub(crate) f16_ip: F16Pair,
    pub(crate) bf16_l2: Bf16Pair,
    pub(crate) bf16_ip: Bf16Pair,
    pub(crate) i8_l2: I8Pair,
    pub(crate) i8_ip: I8Pair,
    pub(crate) hamming: BitsPair,
    pub(crate) overlap: BitsOverlap,
    pub(crate) equal: EqualElements,
    pub(crate) many: Option<ManyKernels>,
    pub(crate) fastscan: FastScanKernels,
    pub(crate) impacts: ImpactKernels,
    pub(crate) short: ShortKernels,
    pub(crate) planes: PlanesKernels,
    pub(crate) levels: levels::Encode,
}

static PORTABLE: Kernels = Kernels {
    level: Level::Portable,
    l2: portable::l2,
    ip: portable::ip,
    l2_x4: portable::l2_x4,
    ip_x4: portable::ip_x4,
    ip_norm_x4: portable::ip_norm_x4,
    code: portable::code,
    code_x4: portable::code_x4,
    lvq4_x4: portable::lvq4_x4,
    f16_l2: portable::f16_l2,
    f16_ip: portable::f16_ip,
    bf16_l2: portable::bf16_l2,
    bf16_ip: portable::bf16_ip,
    i8_l2: portable::i8_l2,
    i8_ip: portable::i8_ip,
    hamming: portable::hamming,
    overlap: portable::overlap,
    equal: portable::equal,
    many: None,
    fastscan: fastscan::portable::KERNELS,
    impacts: impacts::portable::KERNELS,
    short: short_codes::portable::KERNELS,
    planes: rabitq::portable::KERNELS,
    levels: levels::portable,
};

#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = Kernels {
    level: Level::Avx2,
    l2: crate::avx2::l2,
    ip: crate::avx2::ip,
    l2_x4: crate::avx2::l2_x4,
    ip_x4: crate::avx2::ip_x4,
    ip_norm_x4: crate::avx2::ip_norm_x4,
    code: crate::avx2::code,
    code_x4: crate::avx2::code_x4,
    lvq4_x4: crate::avx2::lvq4_x4,
    f16_l2: crate::avx2_narrow::f16_l2,
    f16_ip: crate::avx2_narrow::f16_ip,
    bf16_l2: crate::avx2_narrow::bf16_l2,
    bf16_ip: crate::avx2_narrow::bf16_ip,
    i8_l2: crate::avx2_narrow::i8_l2,
    i8_ip: crate::avx2_narrow::i8_ip,
    hamming: crate::avx2_narrow::hamming,
    overlap: crate::avx2_narrow::overlap,
    equal: crate::avx2_narrow::equal,
    many: Some(many::avx2::KERNELS),
    fastscan: fastscan::avx2::KERNELS,
    impacts: impacts::avx2::KERNELS,
    short: short_codes::avx2::KERNELS,
    planes: rabitq::avx2::KERNELS,
    levels: levels::avx2,
};

#[cfg(target_arch = "x86_64")]
static AVX512: Kernels = Kernels {
    level: Level::Avx512,
    l2: crate::avx512::l2,
    ip: crate::avx512::ip,
    l2_x4: crate::avx512::l2_x4,
    ip_x4: crate::avx512::ip_x4,
    ip_norm_x4: crate::avx512::ip_norm_x4,
    code: crate::avx512::code,
    code_x4: crate::avx512::code_x4,
    lvq4_x4: crate::avx512::lvq4_x4,
    f16_l2: crate::avx512_narrow::f16_l2,
    f16_ip: crate::avx512_narrow::f16_ip,
    bf16_l2: crate::avx512_narrow::bf16_l2,
    bf16_ip: crate::avx512_narrow::bf16_ip,
    i8_l2: crate::avx512_narrow::i8_l2,
    i8_ip: crate::avx512_narrow::i8_ip,
    hamming: crate::avx512_narrow::hamming,
    overlap: crate::avx512_narrow::overlap,
    equal: crate::avx512_narrow::equal,
    many: Some(many::avx512::KERNELS),
    fastscan: fastscan::avx512::KERNELS,
    impacts: impacts::avx512::KERNELS,
    short: short_codes::avx512::KERNELS,
    planes: rabitq::avx2::KERNELS,
    levels: levels::avx2,
};

/// [`AVX512`] with what this CPU has besides: counts of bits in vectors, products of bfloat16.
#[cfg(target_arch = "x86_64")]
fn avx512() -> &'static Kernels {
    static BEST: OnceLock<Kernels> = OnceLock::new();
    BEST.get_or_init(|| {
        let mut table = AVX512;
        if is_x86_feature_detected!("avx512vpopcntdq") {
            table.hamming = crate::avx512_narrow::hamming_vectors;
            table.overlap = crate::avx512_narrow::overlap_vectors;
            table.planes = rabitq::avx512::KERNELS;
        }
        if is_x86_feature_detected!("avx512bf16") {
            table.many = Some(many::avx512::BF16_KERNELS);
        }
        if is_x86_feature_detected!("avx512vbmi") {
            table.fastscan = fastscan::avx512::VBMI_KERNELS;
        }
        table
    })
}

#[cfg(target_arch = "aarch64")]
static NEON: Kernels = Kernels {
    level: Level::Neon,
    l2: crate::neon::l2,
    ip: crate::neon::ip,
    l2_x4: crate::neon::l2_x4,
    ip_x4: crate::neon::ip_x4,
    ip_norm_x4: crate::neon::ip_norm_x4,
    code: crate::neon::code,
    code_x4: crate::neon::code_x4,
    i8_l2: crate::neon::i8_l2,
    i8_ip: crate::neon::i8_ip,
    hamming: crate::neon::hamming,
    overlap: crate::neon::overlap,
    many: Some(many::neon::KERNELS),
    fastscan: fastscan::neon::KERNELS,
    impacts: impacts::portable::KERNELS,
    ..PORTABLE
};

/// [`NEON`] with dot products of bytes where this CPU has them.
#[cfg(target_arch = "aarch64")]
fn neon() -> &'static Kernels {
    static BEST: OnceLock<Kernels> = OnceLock::new();
    BEST.get_or_init(|| {
        let mut table = NEON;
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            table.code = crate::neon::code_dot;
            table.code_x4 = crate::neon::code_x4_dot;
            table.i8_ip = crate::neon::i8_ip_dot;
        }
        table
    })
}

/// The table of `level`, or of the portable level where the CPU lacks it.
pub(crate) fn kernels_of(level: Level) -> &'static Kernels {
    if !level.is_supported() {
        return &PORTABLE;
    }
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Portable | Level::Neon => &PORTABLE,
        Level::Avx2 => &AVX2,
        Level::Avx512 => avx512(),
    };
    #[cfg(target_arch = "aarch64")]
    return if level == Level::Neon { neon() } else { &PORTABLE };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return &PORTABLE;
}

/// Every table that this CPU can run, also AVX-512 and NEON without their additions.
#[cfg(test)]
pub(crate) fn every_table() -> Vec<&'static Kernels> {
    let supported = Level::ALL.into_iter().filter(|level| level.is_supported());
    let mut tables: Vec<_> = supported.map(kernels_of).collect();
    #[cfg(target_arch = "x86_64")]
    if Level::Avx512.is_supported() {
        tables.push(&AVX512);
    }
    #[cfg(target_arch = "aarch64")]
    if Level::Neon.is_supported() {
        tables.push(&NEON);
    }
    tables
}

/// The table of this process.
#[inline]
pub(crate) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| kernels_of(choose(std::env::var("MILVUS_SIMD").ok().as_deref())))
}

/// The level that `forced` asks for if the CPU has it, else the best one.
fn choose(forced: Option<&str>) -> Level {
    let wanted = Level::ALL
        .into_iter()
        .find(|level| forced.is_some_and(|name| level.name().eq_ignore_ascii_case(name.trim())));
    match wanted {
        Some(level) if level.is_supported() => level,
        _ => Level::ALL
            .into_iter()
            .rev()
            .find(|level| level.is_supported())
            .unwrap_or(Level::Portable),
    }
}

/// The level in use.
pub fn level() -> Level {
    kernels().level
}

/// One line about the CPU and the kernels in use, for logs.
pub fn cpu() -> String {
    let supported: Vec<&str> =
        Level::ALL.into_iter().filter(|level| level.is_supported()).map(Level::name).collect();
    format!("{} simd={} supported={}", std::env::consts::ARCH, level().name(), supported.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_level_can_be_forced_and_nonsense_is_ignored() {
        assert_eq!(choose(Some("portable")), Level::Portable);
        let best = choose(None);
        assert!(best.is_supported());
        assert_eq!(choose(Some("mmx")), best);
        assert!(cpu().contains(&format!("simd={}", level().name())));
    }
}
