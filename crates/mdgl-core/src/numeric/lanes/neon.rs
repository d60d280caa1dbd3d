//! NEON lanes, for aarch64.
//!
//! Every aarch64 processor that runs this has NEON; [`super::dispatch`] checks for it nevertheless.

use std::arch::aarch64::*;

use super::{
    Block, LANES, Lanes, Mask, Places, RegisterMask, SimdKernel, by_register_masks, each, register_masks,
    registers,
};

/// One NEON register type and how its intrinsics are called.
///
/// `vfma(b, x, y)` is `b + x * y` and `vfms(b, x, y)` is `b - x * y`, both rounded once. `vmax` puts 0 above −0,
/// where `PlainFused` and the x86 sets keep the second operand; hence a comparison and a
/// selection.
macro_rules! neon {
    ($name:ident, $mask:ident, $scalar:ident, $register:ident, $lanes:ident, $width:tt,
     $dup:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $fma:ident, $fms:ident, $abs:ident, $neg:ident, $cgt:ident, $bsl:ident, $bic:ident, $from_bits:ident, $bits:ident) => {
        register_masks!($mask, "NEON", $scalar, $lanes, $width, $from_bits, $bits, |own, other| $bic(own, other));

        #[doc = concat!("Sixteen `", stringify!($scalar), "` in NEON registers.")]
        #[derive(Clone, Copy)]
        pub struct $name([$register; LANES / $width]);

        impl Lanes for $name {
            registers!($name, $scalar, $width, "neon", $dup, $load, $store, $add, $sub, $mul, $div);
            by_register_masks!(
                $mask,
                $width,
                $cgt,
                |mask, x, y| $bsl(mask, x, y),
                |mask, x| $bsl(mask, x, $dup(0.0)),
                |mask, x| $bsl(mask, $dup(0.0), x),
                |x| $neg(x)
            );
            const REGISTERS: usize = 32;

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for NEON.
                Self(each!($width, i => unsafe { $fma(b.0[i], self.0[i], a.0[i]) }))
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: only reached inside a function compiled for NEON.
                Self(each!($width, i => unsafe { $fms(b.0[i], self.0[i], a.0[i]) }))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: only reached inside a function compiled for NEON.
                Self(each!($width, i => unsafe { $bsl($cgt(self.0[i], other.0[i]), self.0[i], other.0[i]) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: only reached inside a function compiled for NEON.
                Self(each!($width, i => unsafe { $abs(self.0[i]) }))
            }
            #[inline(always)]
            fn mul_add_one(x: $scalar, a: $scalar, b: $scalar) -> $scalar {
                x.mul_add(a, b)
            }
            #[inline(always)]
            unsafe fn gather(values: &[$scalar], places: &Places) -> Self {
                // NEON has no gather. SAFETY: the caller's promise.
                let found = places.0.map(|place| unsafe { *values.get_unchecked(place as usize) });
                Self::load(&Block(found))
            }
        }
    };
}

/// Bit i where lane i is all ones: the lanes narrow to bytes, keep the bit they stand for, and add up.
#[inline(always)]
unsafe fn movemask4(lanes: [uint32x4_t; 4]) -> Mask {
    // SAFETY: only reached inside a function compiled for NEON.
    unsafe {
        let [a, b, c, d] = lanes;
        let low = vcombine_u16(vmovn_u32(a), vmovn_u32(b));
        let high = vcombine_u16(vmovn_u32(c), vmovn_u32(d));
        let bit = vcreate_u8(0x8040_2010_0804_0201);
        let low = vaddv_u8(vand_u8(vmovn_u16(low), bit));
        let high = vaddv_u8(vand_u8(vmovn_u16(high), bit));
        Mask::from_le_bytes([low, high])
    }
}

/// Bit i where lane i is all ones.
#[inline(always)]
unsafe fn movemask2(lanes: [uint64x2_t; 8]) -> Mask {
    // SAFETY: only reached inside a function compiled for NEON.
    unsafe { movemask4(each!(4, i => vcombine_u32(vmovn_u64(lanes[2 * i]), vmovn_u64(lanes[2 * i + 1])))) }
}

/// Lane i is all ones where bit i of the low four is set.
#[inline(always)]
unsafe fn expand4(mask: Mask) -> uint32x4_t {
    // SAFETY: only reached inside a function compiled for NEON.
    unsafe {
        let bit = vcombine_u32(vcreate_u32(0x0000_0002_0000_0001), vcreate_u32(0x0000_0008_0000_0004));
        vtstq_u32(vdupq_n_u32(u32::from(mask)), bit)
    }
}

/// Lane i is all ones where bit i of the low two is set.
#[inline(always)]
unsafe fn expand2(mask: Mask) -> uint64x2_t {
    // SAFETY: only reached inside a function compiled for NEON.
    unsafe {
        let bit = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
        vtstq_u64(vdupq_n_u64(u64::from(mask)), bit)
    }
}

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f32(mask: Mask) -> [uint32x4_t; 4] {
    // SAFETY: only reached inside a function compiled for NEON.
    each!(4, i => unsafe { expand4(mask >> (4 * i)) })
}

/// Lane i is all ones where bit i is set.
#[inline(always)]
unsafe fn expand16_f64(mask: Mask) -> [uint64x2_t; 8] {
    // SAFETY: only reached inside a function compiled for NEON.
    each!(2, i => unsafe { expand2(mask >> (2 * i)) })
}

neon!(
    NeonF32,
    NeonMaskF32,
    f32,
    float32x4_t,
    uint32x4_t,
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    vsubq_f32,
    vmulq_f32,
    vdivq_f32,
    vfmaq_f32,
    vfmsq_f32,
    vabsq_f32,
    vnegq_f32,
    vcgtq_f32,
    vbslq_f32,
    vbicq_u32,
    expand16_f32,
    movemask4
);
neon!(
    NeonF64,
    NeonMaskF64,
    f64,
    float64x2_t,
    uint64x2_t,
    2,
    vdupq_n_f64,
    vld1q_f64,
    vst1q_f64,
    vaddq_f64,
    vsubq_f64,
    vmulq_f64,
    vdivq_f64,
    vfmaq_f64,
    vfmsq_f64,
    vabsq_f64,
    vnegq_f64,
    vcgtq_f64,
    vbslq_f64,
    vbicq_u64,
    expand16_f64,
    movemask2
);
