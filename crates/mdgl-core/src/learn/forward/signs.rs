//! Random signs of a trial, from the counter-based generator.

use crate::numeric::random::{CounterRng, DrawStream};

/// Fair signs, independent of one another.
pub(crate) trait SignSource {
    /// 1 or −1.
    fn next(&mut self) -> f64;
}

/// The draws' key for a trial, together with the estimator's stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignKey {
    pub seed: u64,
    pub iteration: u32,
    pub trial: usize,
}

/// The bits of the generator, one per sign.
#[derive(Debug)]
pub(crate) struct Signs {
    rng: CounterRng,
    bits: u32,
    left: u32,
}

impl Signs {
    /// ν of UORO, neuron after neuron, step after step.
    pub fn uoro(key: SignKey) -> Self {
        Self::new(key, DrawStream::UoroSigns)
    }

    /// c₁ and c₂ of KF-RTRL, step after step.
    pub fn kronecker(key: SignKey) -> Self {
        Self::new(key, DrawStream::KroneckerSigns)
    }

    fn new(key: SignKey, stream: DrawStream) -> Self {
        Self { rng: CounterRng::internal(key.seed, stream, key.iteration, key.trial), bits: 0, left: 0 }
    }
}

impl SignSource for Signs {
    fn next(&mut self) -> f64 {
        if self.left == 0 {
            (self.bits, self.left) = (self.rng.next_u32(), 32);
        }
        let sign = if self.bits & 1 == 1 { 1.0 } else { -1.0 };
        self.bits >>= 1;
        self.left -= 1;
        sign
    }
}
