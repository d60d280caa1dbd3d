//! SSE2 lanes, the portable instruction set of x86-64, which every such processor has; multiply and add round separately.

// SSE2 belongs to the architecture, so that its intrinsics are safe to call; the shared macro does not know it.
#![allow(unused_unsafe)]

use std::arch::x86_64::*;

use super::{
    Block, LANES, Lanes, Mask, Places, RegisterMask, SimdKernel, by_register_masks, each, join_masks,
    register_masks, registers,
};

/// One SSE2 register type and how its intrinsics are called.
macro_rules! sse2 {
    ($name:ident, $mask:ident, $scalar:ident, $register:ident, $width:tt,
     $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $max:ident, $and:ident, $andnot:ident, $or:ident, $xor:ident, $gt:ident, $from_bits:ident, $bits:ident) => {
        register_masks!($mask, "SSE2", $scalar, $register, $width, $from_bits, $bits, |own, other| $andnot(other, own));

        #[doc = concat!("Sixteen `", stringify!($scalar), "` in SSE2 registers.")]
        #[derive(Clone, Copy)]
        pub struct $name([$register; LANES / $width]);

        impl Lanes for $name {
            registers!($name, $scalar, $width, "sse2", $set1, $load, $store, $add, $sub, $mul, $div);
            by_register_masks!(
                $mask,
                $width,
                $gt,
                |mask, x, y| $or($and(mask, x), $andnot(mask, y)),
                |mask, x| $and(mask, x),
                |mask, x| $andnot(mask, x),
                |x| $xor($set1(-0.0), x)
            );
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

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f32(mask: Mask) -> [__m128; 4] {
    // SAFETY: SSE2 is part of the architecture.
    unsafe {
        let bit = _mm_setr_epi32(1, 2, 4, 8);
        each!(4, i => {
            let lanes = _mm_set1_epi32(i32::from(mask >> (4 * i)));
            _mm_castsi128_ps(_mm_cmpeq_epi32(_mm_and_si128(lanes, bit), bit))
        })
    }
}

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f64(mask: Mask) -> [__m128d; 8] {
    // SAFETY: SSE2 is part of the architecture.
    unsafe {
        let bit = _mm_setr_epi32(1, 1, 2, 2);
        each!(2, i => {
            let lanes = _mm_set1_epi32(i32::from(mask >> (2 * i)));
            _mm_castsi128_pd(_mm_cmpeq_epi32(_mm_and_si128(lanes, bit), bit))
        })
    }
}

/// Bit i is set where lane i is all ones.
#[inline(always)]
unsafe fn bits_f32(registers: [__m128; 4]) -> Mask {
    // SAFETY: SSE2 is part of the architecture.
    join_masks!(4, i => unsafe { _mm_movemask_ps(registers[i]) } as Mask)
}

/// Bit i is set where lane i is all ones.
#[inline(always)]
unsafe fn bits_f64(registers: [__m128d; 8]) -> Mask {
    // SAFETY: SSE2 is part of the architecture.
    join_masks!(2, i => unsafe { _mm_movemask_pd(registers[i]) } as Mask)
}

sse2!(
    Sse2F32,
    Sse2MaskF32,
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
    _mm_xor_ps,
    _mm_cmpgt_ps,
    expand16_f32,
    bits_f32
);
sse2!(
    Sse2F64,
    Sse2MaskF64,
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
    _mm_xor_pd,
    _mm_cmpgt_pd,
    expand16_f64,
    bits_f64
);
