//! Every operation of every instruction set of this machine, held bit for bit against the plain twin.

use super::{
    Block, Instructions, LANES, Lanes, Mask, Places, PlainUnfused, RegisterMask, SimdKernel, dispatch, flat,
};
use crate::numeric::random::CounterRng;
use crate::numeric::scalar::Scalar;

/// Layout of a float type in bits.
struct Format<F> {
    fraction_bits: u32,
    /// The exponent field of 1.
    bias: u32,
    from_bits: fn(u64) -> F,
    to_bits: fn(F) -> u64,
}

const F32: Format<f32> = Format {
    fraction_bits: 23,
    bias: 127,
    from_bits: |bits| f32::from_bits(bits as u32),
    to_bits: |x| u64::from(x.to_bits()),
};
const F64: Format<f64> =
    Format { fraction_bits: 52, bias: 1023, from_bits: f64::from_bits, to_bits: f64::to_bits };

impl<F: Scalar> Format<F> {
    /// A number of either sign: 0, subnormal, infinite, of any size, or, most often, near 1.
    fn draw(&self, rng: &mut CounterRng) -> F {
        let sign = u64::from(rng.below(2)) << (self.fraction_bits + self.bias.ilog2() + 2);
        let bits = u64::from(rng.next_u32()) << 32 | u64::from(rng.next_u32());
        let fraction = bits & ((1 << self.fraction_bits) - 1);
        let infinite = 2 * self.bias + 1;
        let (exponent, fraction) = match rng.below(12) {
            0 => (0, 0),
            1 => (0, 1),
            2 => (0, fraction),
            3 => (1, 0),
            4 => (infinite, 0),
            5 => (infinite - 1, (1 << self.fraction_bits) - 1),
            6 => (1 + rng.below(infinite - 1), fraction),
            _ => (self.bias - 2 + rng.below(4), fraction),
        };
        (self.from_bits)(sign | u64::from(exponent) << self.fraction_bits | fraction)
    }

    /// The bits of each lane. One stands for every NaN (∞ − ∞, 0 × ∞): no kernel's result depends on its payload.
    fn bits(&self, block: &Block<F>) -> [u64; LANES] {
        block.0.map(|x| if x.to_f64().is_nan() { u64::MAX } else { (self.to_bits)(x) })
    }
}

/// Operands of every operation.
struct Operands<F: Scalar> {
    x: Block<F>,
    y: Block<F>,
    z: Block<F>,
    mask: Mask,
    /// Any lane of x, y or z, each any number of times.
    places: Places,
}

impl<F: Scalar> Operands<F> {
    fn draw(case: u32, format: &Format<F>) -> Self {
        let mut rng = CounterRng::new(7, 0, 0, case);
        let mut block = || Block(std::array::from_fn(|_| format.draw(&mut rng)));
        let (x, mut y, z) = (block(), block(), block());
        for (y, x) in y.0.iter_mut().zip(&x.0) {
            // Comparisons must meet equal numbers, and numbers that differ in their sign alone.
            match rng.below(8) {
                0 => *y = *x,
                1 => *y = -*x,
                _ => {}
            }
        }
        // Each lane alone, none, all, then any.
        let mask = match case {
            0..16 => 1 << case,
            16 => 0,
            17 => Mask::MAX,
            _ => rng.next_u32() as Mask,
        };
        let places = Places(std::array::from_fn(|_| rng.below(3 * LANES as u32)));
        Self { x, y, z, mask, places }
    }
}

/// The result of one operation.
#[derive(Debug, PartialEq)]
enum LaneResult {
    Lanes([u64; LANES]),
    Mask(Mask),
    Places(Vec<u32>),
}

/// The results by the operations' names.
type LaneResults = Vec<(&'static str, LaneResult)>;

/// Carries out every operation.
struct Everything<'a, F: Scalar> {
    on: &'a Operands<F>,
    format: &'a Format<F>,
}

impl<F: Scalar> SimdKernel<F> for Everything<'_, F> {
    type Output = LaneResults;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Self::Output {
        let Operands { mask, .. } = *self.on;
        let (x, y, z) = (L::load(&self.on.x), L::load(&self.on.y), L::load(&self.on.z));
        let register_mask = L::Mask::from_bits(mask);
        let lanes = |lanes: L| {
            let mut block = Block::ZERO;
            lanes.store(&mut block);
            LaneResult::Lanes(self.format.bits(&block))
        };
        vec![
            ("load", lanes(x)),
            ("splat", lanes(L::splat(self.on.x.0[0]))),
            ("add", lanes(x.add(y))),
            ("sub", lanes(x.sub(y))),
            ("mul", lanes(x.mul(y))),
            ("div", lanes(x.div(y))),
            ("mul_add", lanes(x.mul_add(y, z))),
            ("neg_mul_add", lanes(x.neg_mul_add(y, z))),
            ("max", lanes(x.max(y))),
            ("abs", lanes(x.abs())),
            ("gt", LaneResult::Mask(x.gt(y))),
            ("blend", lanes(x.blend(mask, y))),
            ("add_where", lanes(x.add_where(mask, y))),
            ("clear", lanes(x.clear(mask))),
            ("above", LaneResult::Mask(x.above(y).bits())),
            ("without", LaneResult::Mask(x.above(y).without(register_mask).bits())),
            ("select", lanes(x.select(register_mask, y))),
            ("kept", lanes(x.kept(register_mask))),
            ("masked_out", lanes(x.masked_out(register_mask))),
            ("sub_in", lanes(x.sub_in(register_mask, y))),
            ("add_in", lanes(x.add_in(register_mask, y).abs())),
            ("mul_add_one", LaneResult::Lanes(self.format.bits(&self.one_by_one::<L>()))),
            ("gather", lanes(self.gather::<L>())),
            ("transpose", self.transpose::<L>()),
            ("word", self.word::<L>()),
            ("pick", self.pick::<L>()),
            ("compress", lanes(L::load(&self.compressed::<L>(x)))),
            ("expand", lanes(L::expand(mask, &self.on.x.0))),
        ]
    }
}

impl<F: Scalar> Everything<'_, F> {
    fn one_by_one<L: Lanes<Scalar = F>>(&self) -> Block<F> {
        let Operands { x, y, z, .. } = self.on;
        Block(std::array::from_fn(|i| L::mul_add_one(x.0[i], y.0[i], z.0[i])))
    }

    fn gather<L: Lanes<Scalar = F>>(&self) -> L {
        let Operands { x, y, z, places, .. } = self.on;
        let blocks = [*x, *y, *z];
        // SAFETY: every place is below 3 * LANES.
        unsafe { L::gather(flat(&blocks), places) }
    }

    /// Of blocks that differ in each lane, row after row.
    fn transpose<L: Lanes<Scalar = F>>(&self) -> LaneResult {
        let Operands { x, y, z, .. } = self.on;
        let from = std::array::from_fn(|row| {
            Block(std::array::from_fn(|lane| [x, y, z][row % 3].0[(lane + row) % LANES]))
        });
        let mut to = [Block::ZERO; LANES];
        L::transpose(&from, &mut to);
        for (lane, own) in to.iter().enumerate() {
            let column = Block(from.map(|row| row.0[lane]));
            assert_eq!(self.format.bits(own), self.format.bits(&column), "lane {lane}");
        }
        LaneResult::Lanes(self.format.bits(&to[1]))
    }

    fn word<L: Lanes<Scalar = F>>(&self) -> LaneResult {
        let (mask, other) = (self.on.mask, self.on.places.0.map(|place| place as Mask));
        let bits = [mask, other[0] << 9, !mask, other[1] << 3];
        let word = L::Mask::word(bits.map(L::Mask::from_bits));
        assert_eq!(word, bits.iter().rev().fold(0, |word, &set| word << LANES | u64::from(set)));
        LaneResult::Places(vec![word as u32, (word >> 32) as u32])
    }

    fn pick<L: Lanes<Scalar = F>>(&self) -> LaneResult {
        let mut picked = [0; LANES];
        let count = L::pick(&self.on.places, self.on.mask, &mut picked);
        LaneResult::Places(picked[..count].to_vec())
    }

    /// The lanes of the mask side by side, then zeros.
    #[inline(always)]
    fn compressed<L: Lanes<Scalar = F>>(&self, x: L) -> Block<F> {
        let mut block = Block::ZERO;
        x.compress(self.on.mask, &mut block.0);
        block.0[self.on.mask.count_ones() as usize..].fill(F::ZERO);
        block
    }
}

const CASES: u32 = 4000;

/// Holds the fused sets against their twin, the portable set against its own; the twins must differ in the fused operations alone.
fn hold<F: Scalar>(format: &Format<F>, run: fn(Instructions, Everything<F>) -> LaneResults) {
    let mut portable_differs = Vec::new();
    for case in 0..CASES {
        let on = Operands::draw(case, format);
        let everything = |set| run(set, Everything { on: &on, format });
        let expected = everything(Instructions::FusedTwin);
        let unfused = PlainUnfused::call(Everything { on: &on, format });
        assert_eq!(everything(Instructions::Portable), unfused, "portable, {}, case {case}", F::NAME);
        for set in Instructions::ALL.into_iter().filter(|set| set.is_available()) {
            for ((name, found), (_, expected)) in everything(set).iter().zip(&expected) {
                if set.class() == "fused" {
                    assert_eq!(found, expected, "{name}, {} {}, case {case}", F::NAME, set.name());
                } else if found != expected && !portable_differs.contains(name) {
                    portable_differs.push(*name);
                }
            }
        }
    }
    portable_differs.sort_unstable();
    assert_eq!(portable_differs, ["mul_add", "mul_add_one", "neg_mul_add"]);
}

#[test]
fn every_operation_in_f32_has_the_bits_of_the_plain_twin() {
    hold(&F32, |set, kernel| dispatch::f32(set, kernel));
}

#[test]
fn every_operation_in_f64_has_the_bits_of_the_plain_twin() {
    hold(&F64, |set, kernel| dispatch::f64(set, kernel));
}

#[test]
fn flat_blocks_are_their_values_in_order() {
    let blocks: [Block<f64>; 3] =
        std::array::from_fn(|b| Block(std::array::from_fn(|i| (16 * b + i) as f64)));
    let mut changed = blocks;
    super::flat_mut(&mut changed)[17] = -1.0;
    assert!(flat(&blocks).iter().enumerate().all(|(i, &x)| x == i as f64));
    assert_eq!((flat(&blocks).len(), changed[1].0[1]), (48, -1.0));
}

#[test]
fn neon_is_among_the_sets_tested_on_aarch64() {
    assert_eq!(Instructions::Neon.is_available(), cfg!(target_arch = "aarch64"));
}
