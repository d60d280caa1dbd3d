//! UORO and KF-RTRL on average over **every** sequence of signs: exactly real-time recurrent learning.

use crate::description::Shape;
use crate::learn::forward::Influence;
use crate::learn::forward::kf_rtrl::KfRtrl;
use crate::learn::forward::moment::Moment;
use crate::learn::forward::rtrl::Rtrl;
use crate::learn::forward::signs::SignSource;
use crate::learn::forward::uoro::Uoro;
use crate::learn::forward::wiring::{Weight, Wiring};
use crate::neuron::Dynamics;
use crate::neuron::alif::Alif;
use crate::neuron::lif::Lif;
use crate::neuron::threshold::Threshold;
use crate::numeric::csr::Csr;
use crate::numeric::random::CounterRng;

/// The bits of a number as signs.
struct Listed(u32);

impl SignSource for Listed {
    fn next(&mut self) -> f64 {
        let sign = if self.0 & 1 == 1 { 1.0 } else { -1.0 };
        self.0 >>= 1;
        sign
    }
}

const STEPS: usize = 6;
/// Two a step: ν of two cells, or c₁ and c₂.
const SEQUENCES: u32 = 1 << (2 * STEPS);

/// Two inputs, two cells that excite and inhibit each other, the second one adaptive, two readout units.
fn wiring() -> Wiring {
    let threshold = Threshold {
        threshold: 0.4,
        slope: 1.0,
        steepness: 0.0,
        shape: Shape::Triangular,
        spikes_at_equality: false,
    };
    let lif = |alpha| Lif { alpha, trace_reset: 0.4, threshold };
    let adaptive = Alif { lif: lif(0.8), rho: 0.95, beta: 1.7, adaptation_increment: 0.05 };
    let weights = [(0, 0), (0, 1), (1, 1), (2, 1), (3, 0)];
    let weight = |(i, &(sender, post)): (usize, &(u32, u32))| Weight {
        sender,
        post,
        scale: [0.1, 0.2][post as usize],
        slot: i as u32,
    };
    let target = |(i, &(sender, post)): (usize, &(u32, u32))| (sender as usize, post as usize, i as u32);
    let targets: Vec<_> = weights.iter().enumerate().map(target).collect();
    Wiring {
        inputs: 2,
        kappa: vec![0.7, 0.9],
        recurrent: Csr::new(2, &[(0, 1, 0.8), (1, 0, -0.6)]),
        readout: Csr::new(2, &[(0, 0, 0.3), (0, 1, -0.2), (1, 1, 0.5)]),
        targets: Csr::new(4, &targets),
        weights: weights.iter().enumerate().map(weight).collect(),
        ..Wiring::of_cells(vec![Dynamics::Lif(lif(0.9)), Dynamics::Alif(adaptive)])
    }
}

/// Arbitrary activity: the derivation asks nothing of it. The first step and the fourth are without any.
fn moments(constants: &[f64]) -> Vec<Moment<'_>> {
    let mut rng = CounterRng::new(3, 0, 0, 0);
    let moment = |t: usize| {
        let mut draw = |n: usize| (0..n).map(|_| rng.uniform()).collect::<Vec<_>>();
        let active = draw(4).into_iter().enumerate().map(|(sender, x)| (sender as u32, x));
        let active = active.filter(|&(_, x)| !t.is_multiple_of(3) && x > 0.3).collect();
        let delta = draw(2).into_iter().map(|x| x - 0.4).collect();
        Moment { active, psi: draw(2), delta, constants, spikes: Vec::new() }
    };
    (0..STEPS).map(moment).collect()
}

fn gradient(mut influence: impl Influence, wiring: &Wiring, moments: &[Moment<'_>]) -> Vec<f64> {
    let mut sums = vec![0.0; wiring.weights.len()];
    moments.iter().for_each(|moment| influence.step(wiring, moment, &mut sums));
    sums
}

/// The mean over all sequences is RTRL's gradient, and no single sequence gives it.
fn check<I: Influence>(estimator: impl Fn(&Wiring, Listed) -> I) {
    let wiring = wiring();
    for constants in [&[][..], &[0.3, -0.2]] {
        let moments = moments(constants);
        let exact = gradient(Rtrl::new(&wiring).unwrap(), &wiring, &moments);
        let mut mean = vec![0.0; exact.len()];
        for sequence in 0..SEQUENCES {
            let found = gradient(estimator(&wiring, Listed(sequence)), &wiring, &moments);
            let off = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off > 1e-3, "{off:e}");
            mean.iter_mut().zip(&found).for_each(|(mean, x)| *mean += x / f64::from(SEQUENCES));
        }
        for (mean, exact) in mean.iter().zip(&exact) {
            assert!(exact.abs() > 1e-4 && (mean - exact).abs() < 1e-14, "{mean:e} {exact:e}");
        }
    }
}

#[test]
fn uoro_is_unbiased() {
    check(|wiring, signs| Uoro::new(wiring, signs).unwrap());
}

#[test]
fn kf_rtrl_is_unbiased() {
    check(|wiring, signs| KfRtrl::new(wiring, signs).unwrap());
}
