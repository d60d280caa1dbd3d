//! SSE2 lanes, the portable instruction set of x86-64, which every such processor has; multiply and add round separately.

// SSE2 belongs to the architecture, so that its intrinsics are safe to call; the shared macro does not know it.
#![allow(unused_unsafe)]

use std::arch::x86_64::*;

use super::{Block, LANES, Lanes, Mask, Places, SimdKernel, bit_masks, each, join_masks, registers};

/// One SSE2 register type and how its intrinsics are called.
macro_rules! sse2 {
    ($name:ident, $scalar:ident, $register:ident, $width:tt,
     $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $max:ident, $and:ident, $andnot:ident, $or:ident, $gt:ident, $movemask:ident, $cast:ident, $bits:expr) => {
        #[doc = concat!("Sixteen `", stringify!($scalar), "` in SSE2 registers.")]
        #[derive(Clone, Copy)]
        pub struct $name([$register; LANES / $width]);

        impl Lanes for $name {
            registers!($name, $scalar, $width, "sse2", $set1, $load, $store, $add, $sub, $mul, $div);
            bit_masks!();
            const REGISTERS: usize = 16;

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                self.mul(a).add(b)
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                b.sub(self.mul(a))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: SSE2 is part of the architecture.
                Self(each!($width, i => unsafe { $max(self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: SSE2 is part of the architecture.
                Self(each!($width, i => unsafe { $andnot($set1(-0.0), self.0[i]) }))
            }
            #[inline(always)]
            fn gt(self, other: Self) -> Mask {
                // SAFETY: SSE2 is part of the architecture.
                join_masks!($width, i => unsafe { $movemask($gt(self.0[i], other.0[i])) } as Mask)
            }
            #[inline(always)]
            fn blend(self, mask: Mask, other: Self) -> Self {
                Self(each!($width, i => {
                    // SAFETY: SSE2 is part of the architecture.
                    unsafe {
                        let lanes = _mm_set1_epi32(i32::from(mask >> ($width * i)));
                        let chosen = $cast(_mm_cmpeq_epi32(_mm_and_si128(lanes, $bits), $bits));
                        $or($and(chosen, other.0[i]), $andnot(chosen, self.0[i]))
                    }
                }))
            }
            #[inline(always)]
            fn mul_add_one(x: $scalar, a: $scalar, b: $scalar) -> $scalar {
                x * a + b
            }
            #[inline(always)]
            unsafe fn gather(values: &[$scalar], places: &Places) -> Self {
                // SAFETY: every place is a value's, by the caller.
                let gathered = places.0.map(|place| unsafe { *values.get_unchecked(place as usize) });
                Self::load(&Block(gathered))
            }
        }
    };
}

sse2!(
    Sse2F32,
    f32,
    __m128,
    4,
    _mm_set1_ps,
    _mm_load_ps,
    _mm_store_ps,
    _mm_add_ps,
    _mm_sub_ps,
    _mm_mul_ps,
    _mm_div_ps,
    _mm_max_ps,
    _mm_and_ps,
    _mm_andnot_ps,
    _mm_or_ps,
    _mm_cmpgt_ps,
    _mm_movemask_ps,
    _mm_castsi128_ps,
    _mm_setr_epi32(1, 2, 4, 8)
);
sse2!(
    Sse2F64,
    f64,
    __m128d,
    2,
    _mm_set1_pd,
    _mm_load_pd,
    _mm_store_pd,
    _mm_add_pd,
    _mm_sub_pd,
    _mm_mul_pd,
    _mm_div_pd,
    _mm_max_pd,
    _mm_and_pd,
    _mm_andnot_pd,
    _mm_or_pd,
    _mm_cmpgt_pd,
    _mm_movemask_pd,
    _mm_castsi128_pd,
    _mm_setr_epi32(1, 1, 2, 2)
);
