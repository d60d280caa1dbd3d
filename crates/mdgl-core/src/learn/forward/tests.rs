//! UORO and KF-RTRL averaged over **every** sequence of signs: exactly real-time recurrent learning.

use crate::description::Shape;
use crate::learn::forward::Influence;
use crate::learn::forward::kf_rtrl::KfRtrl;
use crate::learn::forward::network::{ForwardNetwork, Weight};
use crate::learn::forward::rtrl::Rtrl;
use crate::learn::forward::signs::SignSource;
use crate::learn::forward::trial_step::TrialStep;
use crate::learn::forward::uoro::Uoro;
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
/// Two per step: ν of two cells, or c₁ and c₂.
const SEQUENCES: u32 = 1 << (2 * STEPS);

/// Two inputs, two cells that excite and inhibit each other, the second one adaptive, two readout units.
fn network() -> ForwardNetwork {
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
    ForwardNetwork {
        inputs: 2,
        kappa: vec![0.7, 0.9],
        recurrent: Csr::new(2, &[(0, 1, 0.8), (1, 0, -0.6)]),
        readout: Csr::new(2, &[(0, 0, 0.3), (0, 1, -0.2), (1, 1, 0.5)]),
        targets: Csr::new(4, &targets),
        weights: weights.iter().enumerate().map(weight).collect(),
        ..ForwardNetwork::of_cells(vec![Dynamics::Lif(lif(0.9)), Dynamics::Alif(adaptive)])
    }
}

/// Arbitrary activity: the derivation assumes nothing about it. The first step and the fourth have none.
fn trial_steps(constants: &[f64]) -> Vec<TrialStep<'_>> {
    let mut rng = CounterRng::new(3, 0, 0, 0);
    let trial_step = |t: usize| {
        let mut draw = |n: usize| (0..n).map(|_| rng.uniform()).collect::<Vec<_>>();
        let active = draw(4).into_iter().enumerate().map(|(sender, x)| (sender as u32, x));
        let active = active.filter(|&(_, x)| !t.is_multiple_of(3) && x > 0.3).collect();
        let delta = draw(2).into_iter().map(|x| x - 0.4).collect();
        TrialStep { active, psi: draw(2), delta, constants, spikes: Vec::new() }
    };
    (0..STEPS).map(trial_step).collect()
}

fn gradient(
    mut influence: impl Influence,
    network: &ForwardNetwork,
    trial_steps: &[TrialStep<'_>],
) -> Vec<f64> {
    let mut sums = vec![0.0; network.weights.len()];
    trial_steps.iter().for_each(|trial_step| influence.step(network, trial_step, &mut sums));
    sums
}

/// The mean over all sequences is RTRL's gradient, and no single sequence gives it.
fn check<I: Influence>(estimator: impl Fn(&ForwardNetwork, Listed) -> I) {
    let network = network();
    for constants in [&[][..], &[0.3, -0.2]] {
        let trial_steps = trial_steps(constants);
        let exact = gradient(Rtrl::new(&network).unwrap(), &network, &trial_steps);
        let mut mean = vec![0.0; exact.len()];
        for sequence in 0..SEQUENCES {
            let found = gradient(estimator(&network, Listed(sequence)), &network, &trial_steps);
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
    check(|network, signs| Uoro::new(network, signs).unwrap());
}

#[test]
fn kf_rtrl_is_unbiased() {
    check(|network, signs| KfRtrl::new(network, signs).unwrap());
}
