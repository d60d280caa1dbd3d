//! Sixteen trials side by side: the block of lanes in which every kernel computes.
//!
//! A kernel is written once, over [`Lanes`]; each instruction set implements the trait, and
//! [`dispatch`] picks one at run time. All fused sets give the same bits.

pub mod dispatch;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod permutations;
#[cfg(any(test, feature = "twin", not(target_arch = "x86_64")))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use dispatch::{Instructions, SimdKernel};
#[cfg(any(test, feature = "twin"))]
pub use plain::PlainFused;
#[cfg(any(test, not(target_arch = "x86_64")))]
pub use plain::PlainUnfused;

use crate::numeric::scalar::Scalar;

/// Trials in a block, for every instruction set and float type.
pub const LANES: usize = 16;

/// One value for each of the sixteen trials, aligned for the widest vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Block<F: Scalar>(pub [F; LANES]);

impl<F: Scalar> Block<F> {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([F::ZERO; LANES]);

    /// The same number in all lanes.
    pub const fn of(x: F) -> Self {
        Self([x; LANES])
    }

    /// The sum of the lanes in one fixed tree: halves, quarters, eighths, pairs.
    pub fn sum(&self) -> F {
        let mut x = self.0;
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                x[i] += x[i + width];
            }
            width /= 2;
        }
        x[0]
    }
}

/// A set of lanes: bit i stands for lane i.
pub type Mask = u16;

/// A set of lanes in the form in which an instruction set compares and selects.
pub trait RegisterMask: Copy {
    /// Whether this form is bits: conversions cost nothing.
    const IS_BITS: bool = false;
    /// Lane i is in it where bit i is set.
    fn from_bits(bits: Mask) -> Self;
    /// Bit i stands for lane i.
    fn bits(self) -> Mask;
    /// The lanes that are not in `other`.
    fn without(self, other: Self) -> Self;
    /// The bits of four sets, the first one's lowest.
    #[inline(always)]
    fn word(sets: [Self; 4]) -> u64 {
        let [a, b, c, d] = sets.map(|set| u64::from(set.bits()));
        a | b << LANES | c << (2 * LANES) | d << (3 * LANES)
    }
}

impl RegisterMask for Mask {
    const IS_BITS: bool = true;

    #[inline(always)]
    fn from_bits(bits: Mask) -> Self {
        bits
    }
    #[inline(always)]
    fn bits(self) -> Mask {
        self
    }
    #[inline(always)]
    fn without(self, other: Self) -> Self {
        self & !other
    }
}

/// Masks of an instruction set that keeps them as bits.
macro_rules! bit_masks {
    () => {
        type Mask = Mask;

        #[inline(always)]
        fn above(self, other: Self) -> Mask {
            self.gt(other)
        }
        #[inline(always)]
        fn select(self, mask: Mask, other: Self) -> Self {
            self.blend(mask, other)
        }
        #[inline(always)]
        fn masked_out(self, mask: Mask) -> Self {
            self.clear(mask)
        }
        #[inline(always)]
        fn kept(self, mask: Mask) -> Self {
            Self::splat(<Self::Scalar as crate::numeric::scalar::Scalar>::ZERO).blend(mask, self)
        }
        #[inline(always)]
        fn add_selected(self, mask: Mask, x: Self) -> Self {
            self.add(Self::splat(-<Self::Scalar as crate::numeric::scalar::Scalar>::ZERO).blend(mask, x))
        }
        #[inline(always)]
        fn add_in(self, mask: Mask, x: Self) -> Self {
            self.select(mask, self.add(x))
        }
        #[inline(always)]
        fn sub_in(self, mask: Mask, x: Self) -> Self {
            self.select(mask, self.sub(x))
        }
    };
}
use bit_masks;

/// Masks of an instruction set that keeps them in registers: all bits of a lane are set, or none.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! register_masks {
    ($mask:ident, $set:literal, $scalar:ident, $register:ident, $width:tt,
     $from_bits:ident, $bits:ident, |$own:ident, $other:ident| $without:expr $(, $word:ident)?) => {
        #[doc = concat!("A set of sixteen lanes of `", stringify!($scalar), "` in ", $set, " registers: all bits of a lane are set, or none.")]
        #[derive(Clone, Copy)]
        pub struct $mask([$register; LANES / $width]);

        impl RegisterMask for $mask {
            #[inline(always)]
            fn from_bits(bits: Mask) -> Self {
                // SAFETY: only reached inside a function compiled for the instruction set.
                Self(unsafe { $from_bits(bits) })
            }
            #[inline(always)]
            fn bits(self) -> Mask {
                // SAFETY: as above.
                unsafe { $bits(self.0) }
            }
            #[inline(always)]
            fn without(self, other: Self) -> Self {
                Self(each!($width, i => {
                    let ($own, $other) = (self.0[i], other.0[i]);
                    // SAFETY: as above.
                    unsafe { $without }
                }))
            }
            $(
                #[inline(always)]
                fn word(sets: [Self; 4]) -> u64 {
                    // SAFETY: as above.
                    unsafe { $word(sets.map(|set| set.0)) }
                }
            )?
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use register_masks;

/// What [`Lanes`] does with masks in registers: comparison, selection, what is kept, what is not, the other sign.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! by_register_masks {
    ($mask:ident, $width:tt, $gt:expr,
     |$chosen:ident, $x:ident, $y:ident| $select:expr, |$kx:ident, $k:ident| $kept:expr, |$ox:ident, $o:ident| $masked_out:expr, |$own:ident| $neg:expr) => {
        type Mask = $mask;

        #[inline(always)]
        fn above(self, other: Self) -> $mask {
            // SAFETY: only reached inside a function compiled for the instruction set.
            $mask(each!($width, i => unsafe { $gt(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn select(self, mask: $mask, other: Self) -> Self {
            Self(each!($width, i => {
                let ($chosen, $x, $y) = (mask.0[i], other.0[i], self.0[i]);
                // SAFETY: as above.
                unsafe { $select }
            }))
        }
        #[inline(always)]
        fn kept(self, mask: $mask) -> Self {
            Self(each!($width, i => {
                let ($kx, $k) = (mask.0[i], self.0[i]);
                // SAFETY: as above.
                unsafe { $kept }
            }))
        }
        #[inline(always)]
        fn masked_out(self, mask: $mask) -> Self {
            Self(each!($width, i => {
                let ($ox, $o) = (mask.0[i], self.0[i]);
                // SAFETY: as above.
                unsafe { $masked_out }
            }))
        }
        #[inline(always)]
        fn add_selected(self, mask: $mask, x: Self) -> Self {
            let negative = Self(each!($width, i => {
                let $own = x.0[i];
                // SAFETY: as above.
                unsafe { $neg }
            }));
            self.sub_in(mask, negative)
        }
        #[inline(always)]
        fn add_in(self, mask: $mask, x: Self) -> Self {
            self.add(x.kept(mask))
        }
        #[inline(always)]
        fn sub_in(self, mask: $mask, x: Self) -> Self {
            self.sub(x.kept(mask))
        }
        #[inline(always)]
        fn gt(self, other: Self) -> Mask {
            self.above(other).bits()
        }
        #[inline(always)]
        fn blend(self, mask: Mask, other: Self) -> Self {
            self.select($mask::from_bits(mask), other)
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use by_register_masks;

/// One index for each of the sixteen lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Places(pub [u32; LANES]);

/// The values of some blocks one after another.
#[inline(always)]
pub fn flat<F: Scalar>(blocks: &[Block<F>]) -> &[F] {
    // SAFETY: a block is sixteen values and nothing else: its size is a multiple of its alignment.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), blocks.len() * LANES) }
}

/// The values of some blocks one after another, to be changed.
#[inline(always)]
pub fn flat_mut<F: Scalar>(blocks: &mut [Block<F>]) -> &mut [F] {
    // SAFETY: as for `flat`.
    unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), blocks.len() * LANES) }
}

/// Arithmetic on sixteen lanes.
///
/// Comparisons give a [`Mask`]; lanes outside a mask keep their bits.
pub trait Lanes: Copy {
    /// The float type.
    type Scalar: Scalar;
    /// A set of lanes in registers: what kernels use where a mask is made and read in one step.
    type Mask: RegisterMask;
    /// Vector registers that the instruction set has.
    const REGISTERS: usize;
    /// Number of registers per block.
    const REGISTERS_PER_BLOCK: usize;

    /// Runs a kernel in these lanes, compiled for their instruction set as a function of its own. Called on a part of a
    /// kernel it keeps that part from being compiled anew wherever it is needed, and gives it a name in a profiler.
    fn call<K: SimdKernel<Self::Scalar>>(kernel: K) -> K::Output;

    /// The same value in all lanes.
    fn splat(x: Self::Scalar) -> Self;
    /// Reads a block.
    fn load(block: &Block<Self::Scalar>) -> Self;
    /// Writes a block.
    fn store(self, block: &mut Block<Self::Scalar>);
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Difference.
    fn sub(self, other: Self) -> Self;
    /// Product.
    fn mul(self, other: Self) -> Self;
    /// Quotient.
    fn div(self, other: Self) -> Self;
    /// `self * a + b`, fused or not by the instruction set's class.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`, fused or not by the instruction set's class.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// The larger of both; neither is NaN in a healthy network.
    fn max(self, other: Self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Lanes in which `self > other`.
    fn gt(self, other: Self) -> Mask;
    /// The same in registers.
    fn above(self, other: Self) -> Self::Mask;
    /// `other` in the lanes of the mask, `self` elsewhere.
    fn select(self, mask: Self::Mask, other: Self) -> Self;
    /// 0 in the lanes of the mask.
    fn masked_out(self, mask: Self::Mask) -> Self;
    /// 0 outside the mask.
    fn kept(self, mask: Self::Mask) -> Self;
    /// Adds in the lanes of the mask.
    ///
    /// Elsewhere −0 is added or 0 subtracted, which leaves every number as it is. A choice of results would do too, but takes
    /// more instructions, and where one is stored over what was read, AVX2 would get masked stores, at which some processors
    /// are slow.
    fn add_selected(self, mask: Self::Mask, x: Self) -> Self;
    /// The same; what is added to is no −0, as of a sum that began as 0.
    fn add_in(self, mask: Self::Mask, x: Self) -> Self;
    /// Subtracts in the lanes of the mask.
    fn sub_in(self, mask: Self::Mask, x: Self) -> Self;
    /// `other` in the lanes of the mask, `self` elsewhere.
    fn blend(self, mask: Mask, other: Self) -> Self;
    /// `x * a + b` of single values, fused or not by the instruction set's class.
    fn mul_add_one(x: Self::Scalar, a: Self::Scalar, b: Self::Scalar) -> Self::Scalar;
    /// The value at each of sixteen places.
    ///
    /// # Safety
    /// Every place is below the number of values and below 2³¹.
    unsafe fn gather(values: &[Self::Scalar], places: &Places) -> Self;

    /// Lane i of block j becomes lane j of block i.
    #[inline(always)]
    fn transpose(from: &[Block<Self::Scalar>; LANES], to: &mut [Block<Self::Scalar>; LANES]) {
        for (lane, to) in to.iter_mut().enumerate() {
            for (value, from) in to.0.iter_mut().zip(from) {
                *value = from.0[lane];
            }
        }
    }

    /// Writes the places of the mask's lanes side by side and returns their number; the places after them are
    /// unspecified.
    #[inline(always)]
    fn pick(places: &Places, mask: Mask, to: &mut [u32; LANES]) -> usize {
        let (mut rest, mut count) = (mask, 0);
        while rest != 0 {
            to[count & (LANES - 1)] = places.0[rest.trailing_zeros() as usize];
            rest &= rest - 1;
            count += 1;
        }
        count
    }

    /// Writes the lanes of the mask side by side at the start of `to`; the rest is unspecified.
    #[inline(always)]
    fn compress(self, mask: Mask, to: &mut [Self::Scalar; LANES]) {
        let mut block = Block::ZERO;
        self.store(&mut block);
        let mut place = 0;
        for (lane, &x) in block.0.iter().enumerate() {
            // No branch: the place is below 16 while a lane is left.
            to[place & (LANES - 1)] = x;
            place += usize::from(mask >> lane & 1);
        }
    }

    /// The values at the start of `from`, spread over the lanes of the mask; 0 elsewhere.
    #[inline(always)]
    fn expand(mask: Mask, from: &[Self::Scalar; LANES]) -> Self {
        let mut block = Block::ZERO;
        let mut place = 0;
        for (lane, x) in block.0.iter_mut().enumerate() {
            *x = from[place & (LANES - 1)];
            place += usize::from(mask >> lane & 1);
        }
        Self::load(&block).clear(!mask)
    }

    /// Adds in the lanes of the mask.
    #[inline(always)]
    fn add_where(self, mask: Mask, x: Self) -> Self {
        self.add_selected(Self::Mask::from_bits(mask), x)
    }

    /// 0 in the lanes of the mask.
    #[inline(always)]
    fn clear(self, mask: Mask) -> Self {
        self.blend(mask, Self::splat(Self::Scalar::ZERO))
    }
}

/// Prefetches a block that will be read soon; changes no result.
#[inline(always)]
pub fn prefetch<T>(block: &T) {
    prefetch_at(block);
}

/// The same for an address, which may be any.
#[inline(always)]
pub fn prefetch_at<T>(block: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing; SSE is part of the architecture.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(block.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}

/// An array with an element per register of a block: `each!(lanes per register, i => element)`.
///
/// Written out: closures do not inherit an instruction set, and unrolling a short loop in every operation takes most of the
/// compiler's time.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! each {
    (16, $i:ident => $element:expr) => {
        each!([0], $i => $element)
    };
    (8, $i:ident => $element:expr) => {
        each!([0 1], $i => $element)
    };
    (4, $i:ident => $element:expr) => {
        each!([0 1 2 3], $i => $element)
    };
    (2, $i:ident => $element:expr) => {
        each!([0 1 2 3 4 5 6 7], $i => $element)
    };
    ([$($register:literal)*], $i:ident => $element:expr) => {
        [$({
            let $i: usize = $register;
            $element
        }),*]
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use each;

/// The lanes of the masks of all registers of a block.
#[cfg(target_arch = "x86_64")]
macro_rules! join_masks {
    ($width:tt, $i:ident => $mask:expr) => {{
        let mut joined: Mask = 0;
        each!($width, $i => joined |= $mask << ($width * $i));
        joined
    }};
}
#[cfg(target_arch = "x86_64")]
use join_masks;

/// Number of the mask's lanes before a lane.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn lanes_before(mask: Mask, lane: usize) -> usize {
    (mask & ((1 << lane) - 1)).count_ones() as usize
}

/// Operations that are alike on all architectures, by their own intrinsics: the set's functions, values in and out,
/// arithmetic.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! registers {
    ($name:ident, $scalar:ident, $width:tt, $features:literal,
     $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident) => {
        type Scalar = $scalar;
        const REGISTERS_PER_BLOCK: usize = LANES / $width;

        #[inline(always)]
        fn call<K: SimdKernel<$scalar>>(kernel: K) -> K::Output {
            // A method of the kernel, not a plain function: the compiler puts a method into the codegen unit of its type's
            // module, so that the kernels of different files compile in parallel.
            trait Enter<O> {
                unsafe fn enter(self) -> O;
            }
            impl<K: SimdKernel<$scalar>> Enter<K::Output> for K {
                #[target_feature(enable = $features)]
                #[inline(never)]
                unsafe fn enter(self) -> K::Output {
                    self.run::<$name>()
                }
            }
            // SAFETY: only reached once the processor is known to have the features.
            unsafe { kernel.enter() }
        }

        #[inline(always)]
        fn splat(x: $scalar) -> Self {
            // SAFETY: only reached inside a function compiled for the features.
            Self([unsafe { $splat(x) }; LANES / $width])
        }
        #[inline(always)]
        fn load(block: &Block<$scalar>) -> Self {
            // SAFETY: as above; a block holds 16 values and is aligned to 64 bytes.
            Self(each!($width, i => unsafe { $load(block.0.as_ptr().add($width * i)) }))
        }
        #[inline(always)]
        fn store(self, block: &mut Block<$scalar>) {
            // SAFETY: as for `load`.
            each!($width, i => unsafe { $store(block.0.as_mut_ptr().add($width * i), self.0[i]) });
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: only reached inside a function compiled for the features.
            Self(each!($width, i => unsafe { $add(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: only reached inside a function compiled for the features.
            Self(each!($width, i => unsafe { $sub(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: only reached inside a function compiled for the features.
            Self(each!($width, i => unsafe { $mul(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: only reached inside a function compiled for the features.
            Self(each!($width, i => unsafe { $div(self.0[i], other.0[i]) }))
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use registers;

/// Steps between two clearings of decayed state.
const CLEAR_EVERY: usize = 16;

/// Clears what has decayed below 1e−24, so that no kernel ever meets subnormal numbers.
///
/// Acts at fixed steps only and in `f32` only, on every instruction set alike.
#[inline(always)]
pub fn clear_tiny<L: Lanes>(step: usize, state: &mut [Block<L::Scalar>]) {
    if !L::Scalar::CLEARS_TINY || !step.is_multiple_of(CLEAR_EVERY) {
        return;
    }
    for block in state {
        let x = L::load(block);
        let tiny = tiny(x);
        // Rare; and no masked store (see `add_where`).
        if tiny != 0 {
            x.clear(tiny).store(block);
        }
    }
}

/// Whether state has just been cleared: where it may have become 0.
#[inline(always)]
pub fn just_cleared(step: usize) -> bool {
    step.is_multiple_of(CLEAR_EVERY)
}

/// The same for lanes that are already in registers.
#[inline(always)]
pub fn cleared<L: Lanes>(step: usize, state: L) -> L {
    if !L::Scalar::CLEARS_TINY || !step.is_multiple_of(CLEAR_EVERY) {
        return state;
    }
    state.clear(tiny(state))
}

/// Lanes that count as 0.
#[inline(always)]
fn tiny<L: Lanes>(x: L) -> Mask {
    L::splat(L::Scalar::from_f64(1e-24)).gt(x.abs())
}
