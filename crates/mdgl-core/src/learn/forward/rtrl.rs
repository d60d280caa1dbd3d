//! Real-time recurrent learning (RTRL), exact.
//!
//! R. J. Williams and D. Zipser, *A learning algorithm for continually running fully recurrent neural networks*,
//! Neural Computation 1 (1989) 270–280: J_t = D_t J_t−1 + I_t, whole.

use crate::error::Result;
use crate::learn::forward::Influence;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::tangents::Tangents;
use crate::learn::forward::trial_step::TrialStep;

/// Columns processed together: the current part of J stays in the processor's cache.
const TILE: usize = 32;

/// J, a column per weight, in tiles of columns.
#[derive(Debug)]
pub(crate) struct Rtrl(Vec<Tangents>);

impl Rtrl {
    pub fn new(network: &ForwardNetwork) -> Result<Self> {
        let tiles = network.weights.chunks(TILE).map(|weights| Tangents::new(network, weights.len()));
        Ok(Self(tiles.collect::<Result<_>>()?))
    }
}

impl Influence for Rtrl {
    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sums: &mut [f64]) {
        self.0.iter_mut().for_each(|tile| tile.propagate(network, &trial_step.psi));
        for &(sender, value) in &trial_step.active {
            for &(post, weight) in network.targets.of(sender as usize) {
                let (weight, post) = (weight as usize, post as usize);
                let amount = network.weights[weight].scale * value;
                self.0[weight / TILE].inject(network, &trial_step.psi, post, weight % TILE, amount);
            }
        }
        for (tile, sums) in self.0.iter().zip(sums.chunks_mut(TILE)) {
            tile.add_errors(trial_step, sums);
        }
    }
}
