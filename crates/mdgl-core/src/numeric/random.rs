//! The counter-based generator: every draw is a pure function of (seed, stream, iteration, trial, index).
//!
//! Philox4x32-10 of Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3* (SC11).

/// The uses of the generator. Input events are drawn from the streams that a batch's key names
/// (0 to 99), tasks draw from 100 to 199; the engine itself uses these.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DrawStream {
    Signs = 1000,
    Mask = 1001,
    Weights = 1002,
    Rewiring = 1003,
    Noise = 1004,
    UoroSigns = 1005,
    KroneckerSigns = 1006,
    Feedback = 1007,
    Sheet = 1008,
    Delays = 1010,
}

/// A stream of random numbers with a key instead of a state.
#[derive(Debug, Clone)]
pub struct CounterRng {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl CounterRng {
    /// The stream of one trial.
    pub fn new(seed: u64, stream: u32, iteration: u32, trial: u32) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, trial, iteration, stream],
            words: [0; 4],
            used: 4,
        }
    }

    pub(crate) fn internal(seed: u64, stream: DrawStream, iteration: u32, item: usize) -> Self {
        Self::new(seed, stream as u32, iteration, item as u32)
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in (0, 1], in steps of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        let bits = u64::from(self.next_u32()) << 32 | u64::from(self.next_u32());
        ((bits >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n, without bias (Lemire's method).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "an empty range has no element");
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Standard normal (Box and Muller; one value per pair of draws).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// The numbers 0..n in random order (Fisher and Yates).
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Puts a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

/// Four independent standard normal numbers at a place among those of a key (Box and Muller).
pub(crate) fn normals_at(key: [u32; 2], place: [u32; 4]) -> [f64; 4] {
    let [a, b, c, d] = philox(place, key).map(|word| (f64::from(word) + 1.0) * (1.0 / (1u64 << 32) as f64));
    let pair = |a: f64, b: f64| {
        let (sine, cosine) = libm::sincos(std::f64::consts::TAU * b);
        let radius = (-2.0 * libm::log(a)).sqrt();
        [radius * cosine, radius * sine]
    };
    let ([first, second], [third, fourth]) = (pair(a, b), pair(c, d));
    [first, second, third, fourth]
}

fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (p, q) = (u64::from(c0) * 0xD251_1F53, u64::from(c2) * 0xCD9E_8D57);
        (c0, c1, c2, c3) = ((q >> 32) as u32 ^ c1 ^ k0, q as u32, (p >> 32) as u32 ^ c3 ^ k1, p as u32);
        (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
    }
    [c0, c1, c2, c3]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]);
        assert_eq!(pi, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn normals_by_place_have_the_moments_of_normals() {
        let draws: Vec<f64> = (0..20_000).flat_map(|i| normals_at([7, 1], [i, 3, 0, 0])).collect();
        let count = draws.len() as f64;
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / count;
        // Five standard errors each.
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error = (moment(k) - expected).abs();
            assert!(error < 5.0 * f64::sqrt(variance / count), "moment {k}: {error}");
        }
        let next = draws.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / count;
        assert!(next.abs() < 5.0 / count.sqrt(), "{next}");
        assert_ne!(normals_at([7, 1], [0, 3, 0, 0]), normals_at([7, 2], [0, 3, 0, 0]));
    }

    #[test]
    fn moments_are_right() {
        let mut rng = CounterRng::new(7, 0, 0, 0);
        let n = 20_000;
        let draws: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let mean = (0..n).map(|_| rng.exponential()).sum::<f64>() / f64::from(n);
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert!((0..n).all(|_| rng.below(7) < 7));
    }
}
