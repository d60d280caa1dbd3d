//! Choice of the instruction set at run time.
//!
//! A kernel is entered inside a function compiled for the instruction set; all that it calls inlines there. Closures do not
//! inherit the instruction set, so kernels have none. Kernels are methods of their types: the compiler makes one codegen unit
//! of those of a file, and files compile in parallel.

use std::sync::OnceLock;

use super::Lanes;
#[cfg(not(target_arch = "x86_64"))]
use super::PlainUnfused;
#[cfg(target_arch = "aarch64")]
use super::neon::{NeonF32, NeonF64};
#[cfg(target_arch = "x86_64")]
use super::sse2::{Sse2F32, Sse2F64};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2F32, Avx2F64, Avx512F32, Avx512F64};
use crate::error::{Result, invalid};
use crate::numeric::scalar::Scalar;

/// A computation written over any lanes.
pub trait SimdKernel<F: Scalar> {
    /// The type of its result.
    type Output;
    /// Runs it; must be `#[inline(always)]`, as all that it calls in its loops.
    fn run<L: Lanes<Scalar = F>>(self) -> Self::Output;
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// AVX-512 (F, BW, DQ, VL); fused.
    Avx512,
    /// AVX2 and FMA; fused.
    Avx2,
    /// NEON, of aarch64; fused.
    Neon,
    /// The baseline of the architecture (SSE2 on x86-64); unfused.
    Portable,
    /// The plain twin of the fused sets: the same bits, slowly. For tests, behind the feature `twin`; `MDGL_SIMD` cannot choose it.
    #[cfg(any(test, feature = "twin"))]
    FusedTwin,
}

impl Instructions {
    /// The names that `MDGL_SIMD` accepts, from best to least.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The name used by `MDGL_SIMD`, files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
            #[cfg(any(test, feature = "twin"))]
            Self::FusedTwin => "fused-twin",
        }
    }

    /// The class whose members give equal bits: `fused` or `unfused`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Avx512 | Self::Avx2 | Self::Neon => "fused",
            #[cfg(any(test, feature = "twin"))]
            Self::FusedTwin => "fused",
            Self::Portable => "unfused",
        }
    }

    /// Whether this processor supports it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(any(test, feature = "twin"))]
            Self::FusedTwin => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            // The sets of other architectures.
            _ => false,
        }
    }

    /// The best this processor has, or the one that the environment variable `MDGL_SIMD` names.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when the named set is unknown or the processor lacks it.
    pub fn choose() -> Result<Self> {
        static CHOICE: OnceLock<Result<Instructions>> = OnceLock::new();
        CHOICE.get_or_init(|| Self::from_name(std::env::var("MDGL_SIMD").ok().as_deref())).clone()
    }

    fn from_name(name: Option<&str>) -> Result<Self> {
        let available = || Self::ALL.into_iter().filter(|set| set.is_available());
        let chosen = match name {
            None | Some("") => available().next(),
            Some(name) => available().find(|set| set.name() == name),
        };
        chosen.ok_or_else(|| {
            let names: Vec<_> = available().map(Self::name).collect();
            let allowed = format!("on this processor: {}", names.join(", "));
            invalid("MDGL_SIMD", name.unwrap_or_default(), allowed)
        })
    }
}

/// The function of one float type: for each instruction set its architecture and lanes.
macro_rules! dispatch {
    ($scalar:ident: $($set:ident, $arch:literal, $lanes:ident;)+) => {
        /// Runs a kernel in the lanes of an instruction set.
        pub(crate) fn $scalar<K: SimdKernel<$scalar>>(instructions: Instructions, kernel: K) -> K::Output {
            assert!(instructions.is_available(), "the processor lacks {instructions:?}");
            match instructions {
                $(
                    #[cfg(target_arch = $arch)]
                    Instructions::$set => $lanes::call(kernel),
                )+
                #[cfg(any(test, feature = "twin"))]
                Instructions::FusedTwin => super::PlainFused::call(kernel),
                #[cfg(not(target_arch = "x86_64"))]
                Instructions::Portable => PlainUnfused::call(kernel),
                // Sets of other architectures, and sets without a row here.
                other => unreachable!("no lanes for {other:?}"),
            }
        }
    };
}

dispatch! {
    f32: Avx512, "x86_64", Avx512F32;
    Avx2, "x86_64", Avx2F32;
    Portable, "x86_64", Sse2F32;
    Neon, "aarch64", NeonF32;
}

dispatch! {
    f64: Avx512, "x86_64", Avx512F64;
    Avx2, "x86_64", Avx2F64;
    Portable, "x86_64", Sse2F64;
    Neon, "aarch64", NeonF64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_instruction_set_is_refused() {
        let error = Instructions::from_name(Some("sse9")).unwrap_err();
        assert!(error.to_string().starts_with("MDGL_SIMD is sse9; allowed: on this processor:"));
    }

    #[test]
    fn the_instructions_of_another_architecture_are_refused() {
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let error = Instructions::from_name(Some(foreign)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("MDGL_SIMD is {foreign}; allowed: on this processor:")));
        assert!(error.ends_with("portable"));
    }

    #[test]
    fn portable_can_always_be_forced() {
        assert_eq!(Instructions::from_name(Some("portable")), Ok(Instructions::Portable));
    }
}
