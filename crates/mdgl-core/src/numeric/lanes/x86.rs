//! AVX-512 and AVX2+FMA lanes.
//!
//! The methods are inlined into functions compiled for the instruction set (see
//! [`super::dispatch`]), which is entered only after CPUID reported support for it.

use std::arch::x86_64::*;

use super::permutations::{Order, SPREAD4, SPREAD8, SQUEEZE4, SQUEEZE8};
use super::{
    Block, LANES, Lanes, Mask, Places, RegisterMask, SimdKernel, bit_masks, by_register_masks, each,
    join_masks, lanes_before, register_masks, registers,
};

/// One AVX-512 register type and how its intrinsics are called.
macro_rules! avx512 {
    ($name:ident, $scalar:ident, $register:ident, $width:tt,
     $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $fmadd:ident, $fnmadd:ident, $max:ident, $abs:ident, $cmp:ident, $blend:ident, $mask:ident,
     $loadu:ident, $storeu:ident, $compress:ident, $expand:ident, $gather:ident $(, $transpose:ident)?) => {
        #[doc = concat!("Sixteen `", stringify!($scalar), "` in AVX-512 registers.")]
        #[derive(Clone, Copy)]
        pub struct $name([$register; LANES / $width]);

        impl Lanes for $name {
            registers!(
                $name,
                $scalar,
                $width,
                "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt,lzcnt",
                $set1,
                $load,
                $store,
                $add,
                $sub,
                $mul,
                $div
            );
            bit_masks!();
            const REGISTERS: usize = 32;

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512.
                Self(each!($width, i => unsafe { $fmadd(self.0[i], a.0[i], b.0[i]) }))
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512.
                Self(each!($width, i => unsafe { $fnmadd(self.0[i], a.0[i], b.0[i]) }))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512.
                Self(each!($width, i => unsafe { $max(self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512.
                Self(each!($width, i => unsafe { $abs(self.0[i]) }))
            }
            #[inline(always)]
            fn gt(self, other: Self) -> Mask {
                // SAFETY: only reached inside a function compiled for AVX-512.
                join_masks!($width, i => Mask::from(unsafe { $cmp::<_CMP_GT_OQ>(self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn blend(self, mask: Mask, other: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512.
                Self(each!($width, i => unsafe { $blend((mask >> ($width * i)) as $mask, self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn mul_add_one(x: $scalar, a: $scalar, b: $scalar) -> $scalar {
                x.mul_add(a, b)
            }
            #[inline(always)]
            unsafe fn gather(values: &[$scalar], places: &Places) -> Self {
                // SAFETY: only reached inside a function compiled for AVX-512; every place is a value's, by the caller.
                unsafe { $gather(values, places) }
            }
            $(
                #[inline(always)]
                fn transpose(from: &[Block<$scalar>; LANES], to: &mut [Block<$scalar>; LANES]) {
                    // SAFETY: only reached inside a function compiled for AVX-512, which includes AVX.
                    unsafe { $transpose(from, to) }
                }
            )?
            #[inline(always)]
            fn pick(places: &Places, mask: Mask, to: &mut [u32; LANES]) -> usize {
                // SAFETY: only reached inside a function compiled for AVX-512; both arrays hold sixteen.
                unsafe {
                    let picked =
                        _mm512_maskz_compress_epi32(mask, _mm512_load_si512(places.0.as_ptr().cast()));
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), picked);
                }
                mask.count_ones() as usize
            }
            #[inline(always)]
            fn compress(self, mask: Mask, to: &mut [$scalar; LANES]) {
                each!($width, i => {
                    let bits = (mask >> ($width * i)) as $mask;
                    // SAFETY: as above; before register i at most `$width * i` values were written, so that a
                    // whole register fits behind them.
                    unsafe {
                        let to = to.as_mut_ptr().add(lanes_before(mask, $width * i));
                        $storeu(to, $compress(bits, self.0[i]));
                    }
                });
            }
            #[inline(always)]
            fn expand(mask: Mask, from: &[$scalar; LANES]) -> Self {
                Self(each!($width, i => {
                    let bits = (mask >> ($width * i)) as $mask;
                    let from = from.as_ptr().wrapping_add(lanes_before(mask, $width * i));
                    // SAFETY: as for `compress`.
                    unsafe { $expand(bits, $loadu(from)) }
                }))
            }
        }
    };
}

avx512!(
    Avx512F32,
    f32,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_load_ps,
    _mm512_store_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_fmadd_ps,
    _mm512_fnmadd_ps,
    _mm512_max_ps,
    _mm512_abs_ps,
    _mm512_cmp_ps_mask,
    _mm512_mask_blend_ps,
    u16,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_maskz_compress_ps,
    _mm512_maskz_expand_ps,
    gather512_f32,
    transpose_f32
);
avx512!(
    Avx512F64,
    f64,
    __m512d,
    8,
    _mm512_set1_pd,
    _mm512_load_pd,
    _mm512_store_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_div_pd,
    _mm512_fmadd_pd,
    _mm512_fnmadd_pd,
    _mm512_max_pd,
    _mm512_abs_pd,
    _mm512_cmp_pd_mask,
    _mm512_mask_blend_pd,
    u8,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_maskz_compress_pd,
    _mm512_maskz_expand_pd,
    gather512_f64
);

/// The values at sixteen places.
#[inline(always)]
unsafe fn gather512_f32(values: &[f32], places: &Places) -> Avx512F32 {
    // SAFETY: only reached inside a function compiled for AVX-512; every place is a value's, by the caller.
    unsafe {
        let places = _mm512_load_si512(places.0.as_ptr().cast());
        Avx512F32([_mm512_i32gather_ps::<4>(places, values.as_ptr())])
    }
}

/// The values at sixteen places.
#[inline(always)]
unsafe fn gather512_f64(values: &[f64], places: &Places) -> Avx512F64 {
    // SAFETY: only reached inside a function compiled for AVX-512; every place is a value's, by the caller.
    unsafe {
        let [low, high] = [0, 8].map(|i| places.0.as_ptr().add(i).cast());
        Avx512F64([
            _mm512_i32gather_pd::<8>(_mm256_load_si256(low), values.as_ptr()),
            _mm512_i32gather_pd::<8>(_mm256_load_si256(high), values.as_ptr()),
        ])
    }
}

/// One AVX2 register type and how its intrinsics are called.
macro_rules! avx2 {
    ($name:ident, $mask:ident, $scalar:ident, $register:ident, $width:tt,
     $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $fmadd:ident, $fnmadd:ident, $max:ident, $and:ident, $andnot:ident, $xor:ident, $cmp:ident, $movemask:ident,
     $blendv:ident, $expand:ident, $load_places:ident, $gather:ident,
     $loadu:ident, $storeu:ident, $squeeze:ident, $spread:ident, $word:ident $(, $transpose:ident)?) => {
        register_masks!($mask, "AVX2", $scalar, $register, $width, $expand, $movemask, |own, other| $andnot(other, own), $word);

        #[doc = concat!("Sixteen `", stringify!($scalar), "` in AVX2 registers.")]
        #[derive(Clone, Copy)]
        pub struct $name([$register; LANES / $width]);

        impl Lanes for $name {
            registers!(
                $name,
                $scalar,
                $width,
                "avx2,fma,bmi1,bmi2,popcnt,lzcnt",
                $set1,
                $load,
                $store,
                $add,
                $sub,
                $mul,
                $div
            );
            by_register_masks!(
                $mask,
                $width,
                $cmp::<_CMP_GT_OQ>,
                |mask, x, y| $blendv(y, x, mask),
                |mask, x| $and(mask, x),
                |mask, x| $andnot(mask, x),
                |x| $xor($set1(-0.0), x)
            );
            const REGISTERS: usize = 16;

            $(
                #[inline(always)]
                fn transpose(from: &[Block<$scalar>; LANES], to: &mut [Block<$scalar>; LANES]) {
                    // SAFETY: only reached inside a function compiled for AVX2, which includes AVX.
                    unsafe { $transpose(from, to) }
                }
            )?
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX2 and FMA.
                Self(each!($width, i => unsafe { $fmadd(self.0[i], a.0[i], b.0[i]) }))
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX2 and FMA.
                Self(each!($width, i => unsafe { $fnmadd(self.0[i], a.0[i], b.0[i]) }))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX2 and FMA.
                Self(each!($width, i => unsafe { $max(self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: only reached inside a function compiled for AVX2 and FMA.
                Self(each!($width, i => unsafe { $andnot($set1(-0.0), self.0[i]) }))
            }
            #[inline(always)]
            fn mul_add_one(x: $scalar, a: $scalar, b: $scalar) -> $scalar {
                x.mul_add(a, b)
            }
            #[inline(always)]
            unsafe fn gather(values: &[$scalar], places: &Places) -> Self {
                // SAFETY: only reached inside a function compiled for AVX2; every place is a value's, by the caller.
                Self(each!($width, i => unsafe {
                    let places = $load_places(places.0.as_ptr().add($width * i).cast());
                    $gather::<{ size_of::<$scalar>() as i32 }>(values.as_ptr(), places)
                }))
            }
            #[inline(always)]
            fn pick(places: &Places, mask: Mask, to: &mut [u32; LANES]) -> usize {
                let [low, high] = [mask as u8, (mask >> 8) as u8];
                // SAFETY: only reached inside a function compiled for AVX2; `Places` is aligned, and behind the at most
                // eight of the first half there is room for a whole register.
                unsafe {
                    let [low_places, high_places] = [places.0.as_ptr(), places.0.as_ptr().add(8)];
                    let low_places = _mm256_load_si256(low_places.cast());
                    let high_places = _mm256_load_si256(high_places.cast());
                    let low_places = _mm256_permutevar8x32_epi32(low_places, order(&SQUEEZE8[low as usize]));
                    let high_places =
                        _mm256_permutevar8x32_epi32(high_places, order(&SQUEEZE8[high as usize]));
                    let behind = to.as_mut_ptr().add(low.count_ones() as usize);
                    _mm256_storeu_si256(to.as_mut_ptr().cast(), low_places);
                    _mm256_storeu_si256(behind.cast(), high_places);
                }
                mask.count_ones() as usize
            }
            #[inline(always)]
            fn compress(self, mask: Mask, to: &mut [$scalar; LANES]) {
                each!($width, i => {
                    let bits = mask >> ($width * i) & ((1 << $width) - 1);
                    // SAFETY: as above; before register i at most `$width * i` values were written, so that a
                    // whole register fits behind them.
                    unsafe {
                        let to = to.as_mut_ptr().add(lanes_before(mask, $width * i));
                        $storeu(to, $squeeze(bits, self.0[i]));
                    }
                });
            }
            #[inline(always)]
            fn expand(mask: Mask, from: &[$scalar; LANES]) -> Self {
                Self(each!($width, i => {
                    let bits = mask >> ($width * i) & ((1 << $width) - 1);
                    let from = from.as_ptr().wrapping_add(lanes_before(mask, $width * i));
                    // SAFETY: as for `compress`.
                    unsafe { $spread(bits, $loadu(from)) }
                }))
            }
        }
    };
}

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f32(mask: Mask) -> [__m256; 2] {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let all = _mm256_set1_epi16(mask as i16);
        let low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let high = _mm256_slli_epi32::<8>(low);
        [
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, low), low)),
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, high), high)),
        ]
    }
}

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f64(mask: Mask) -> [__m256d; 4] {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let all = _mm256_set1_epi16(mask as i16);
        each!(4, i => {
            let bit = 1 << (4 * i);
            let bit = _mm256_setr_epi64x(bit, 2 * bit, 4 * bit, 8 * bit);
            _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(all, bit), bit))
        })
    }
}

/// Bit i is set where lane i is all ones.
#[inline(always)]
unsafe fn bits_f32([low, high]: [__m256; 2]) -> Mask {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        // Each quarter of the words comes from one half of a register.
        let words = _mm256_packs_epi32(_mm256_castps_si256(low), _mm256_castps_si256(high));
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
        let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        _mm_movemask_epi8(bytes) as Mask
    }
}

/// Bit i is set where lane i is all ones.
#[inline(always)]
unsafe fn bits_f64(registers: [__m256d; 4]) -> Mask {
    // SAFETY: only reached inside a function compiled for AVX2.
    join_masks!(4, i => unsafe { _mm256_movemask_pd(registers[i]) } as Mask)
}

/// The bits of four sets. All at once: a set of its own would take twice the instructions.
#[inline(always)]
unsafe fn word_f32([a, b, c, d]: [[__m256; 2]; 4]) -> u64 {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe { pair_f32(a, b) | pair_f32(c, d) << 32 }
}

/// The bits of two sets. A function, since closures do not inherit the instruction set and may stay calls.
#[inline(always)]
unsafe fn pair_f32([a, b]: [__m256; 2], [c, d]: [__m256; 2]) -> u64 {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let first = _mm256_packs_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
        let second = _mm256_packs_epi32(_mm256_castps_si256(c), _mm256_castps_si256(d));
        // Packs go half by half: quarters of the first and second set, their first halves before their second ones.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), order);
        u64::from(_mm256_movemask_epi8(bytes) as u32)
    }
}

/// The bits of four sets.
#[inline(always)]
unsafe fn word_f64(sets: [[__m256d; 4]; 4]) -> u64 {
    let mut word = 0;
    for (i, set) in sets.into_iter().enumerate() {
        // SAFETY: only reached inside a function compiled for AVX2.
        word |= u64::from(unsafe { bits_f64(set) }) << (i * LANES);
    }
    word
}

/// Lane i of block j becomes lane j of block i, a quarter of eight lanes of eight blocks at a time.
#[inline(always)]
unsafe fn transpose_f32(from: &[Block<f32>; LANES], to: &mut [Block<f32>; LANES]) {
    for (row, column) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
        // SAFETY: only reached inside a function compiled for AVX; eight lanes from 0 or 8 on are within a block, whose alignment is
        // that of two registers.
        unsafe {
            let x: [__m256; 8] = each!([0 1 2 3 4 5 6 7], i => {
                _mm256_load_ps(from[row + i].0.as_ptr().add(column))
            });
            // Pairs of neighbours, then fours, then halves.
            let pair = |a, b| [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)];
            let [a, b, c, d] = [pair(x[0], x[1]), pair(x[2], x[3]), pair(x[4], x[5]), pair(x[6], x[7])];
            let four = |a: [__m256; 2], b: [__m256; 2]| {
                [
                    _mm256_shuffle_ps::<0x44>(a[0], b[0]),
                    _mm256_shuffle_ps::<0xee>(a[0], b[0]),
                    _mm256_shuffle_ps::<0x44>(a[1], b[1]),
                    _mm256_shuffle_ps::<0xee>(a[1], b[1]),
                ]
            };
            let (low, high) = (four(a, b), four(c, d));
            for i in 0..4 {
                let first = _mm256_permute2f128_ps::<0x20>(low[i], high[i]);
                let second = _mm256_permute2f128_ps::<0x31>(low[i], high[i]);
                _mm256_store_ps(to[column + i].0.as_mut_ptr().add(row), first);
                _mm256_store_ps(to[column + 4 + i].0.as_mut_ptr().add(row), second);
            }
        }
    }
}

/// An order as a register.
#[inline(always)]
unsafe fn order(order: &Order) -> __m256i {
    // SAFETY: only reached inside a function compiled for AVX2; an order is a register's size and aligned to it.
    unsafe { _mm256_load_si256(order.0.as_ptr().cast()) }
}

/// Lanes in an order, 0 where it is negative.
#[inline(always)]
unsafe fn ordered(order: __m256i, x: __m256) -> __m256 {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let negative = _mm256_castsi256_ps(_mm256_srai_epi32::<31>(order));
        _mm256_andnot_ps(negative, _mm256_permutevar8x32_ps(x, order))
    }
}

/// The lanes of the mask of eight side by side; the lanes after them are unspecified.
#[inline(always)]
unsafe fn squeeze8(mask: Mask, x: __m256) -> __m256 {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe { _mm256_permutevar8x32_ps(x, order(&SQUEEZE8[mask as usize & 255])) }
}

/// The first lanes at the places of the mask of eight; 0 elsewhere.
#[inline(always)]
unsafe fn spread8(mask: Mask, x: __m256) -> __m256 {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe { ordered(order(&SPREAD8[mask as usize & 255]), x) }
}

/// The lanes of the mask of four side by side; the lanes after them are unspecified.
#[inline(always)]
unsafe fn squeeze4(mask: Mask, x: __m256d) -> __m256d {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let order = order(&SQUEEZE4[mask as usize & 15]);
        _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x), order))
    }
}

/// The first lanes at the places of the mask of four; 0 elsewhere.
#[inline(always)]
unsafe fn spread4(mask: Mask, x: __m256d) -> __m256d {
    // SAFETY: only reached inside a function compiled for AVX2.
    unsafe {
        let order = order(&SPREAD4[mask as usize & 15]);
        _mm256_castps_pd(ordered(order, _mm256_castpd_ps(x)))
    }
}

avx2!(
    Avx2F32,
    Avx2MaskF32,
    f32,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_load_ps,
    _mm256_store_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_fmadd_ps,
    _mm256_fnmadd_ps,
    _mm256_max_ps,
    _mm256_and_ps,
    _mm256_andnot_ps,
    _mm256_xor_ps,
    _mm256_cmp_ps,
    bits_f32,
    _mm256_blendv_ps,
    expand16_f32,
    _mm256_load_si256,
    _mm256_i32gather_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    squeeze8,
    spread8,
    word_f32,
    transpose_f32
);
avx2!(
    Avx2F64,
    Avx2MaskF64,
    f64,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_load_pd,
    _mm256_store_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_div_pd,
    _mm256_fmadd_pd,
    _mm256_fnmadd_pd,
    _mm256_max_pd,
    _mm256_and_pd,
    _mm256_andnot_pd,
    _mm256_xor_pd,
    _mm256_cmp_pd,
    bits_f64,
    _mm256_blendv_pd,
    expand16_f64,
    _mm_load_si128,
    _mm256_i32gather_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    squeeze4,
    spread4,
    word_f64
);
