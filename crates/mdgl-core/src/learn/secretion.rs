//! Memory of the secreting cell: kernels that pass its L ψ through a fixed filter of two states.
//!
//! ```text
//! s_t = m_ss s_t+1 + m_sr r_t+1 + i_s ψ_t L_t
//! r_t = m_rs s_t+1 + m_rr r_t+1 + i_r ψ_t L_t ,      Γ_p,t = Σ_j gain (1−α_j) s_j,t
//! ```
//!
//! so s is ψ L convolved, backwards in time, with h(k) = [Mᵏ i]_s. The same filter run forwards on the eligibility of the
//! receiver's synapses gives the same gradient: that is the online form, with two traces per synapse and filter. `'membrane'`
//! has one filter per group of neurons that share type and constants, about a mean of ψ that is known before the batch.

use crate::description::{Exponentials, Membrane, PsiMean, TimeCourse};
use crate::learn::modulation::Modulation;
use crate::model::Model;
use crate::model::psi_means::PsiMeans;
use crate::network::Network;
use crate::network::channels::Table;
use crate::neuron::constants::Narrow;
use crate::neuron::filter::Filter;
use crate::numeric::scalar::Scalar;

fn exponentials(Exponentials { tau_rise, tau_decay }: Exponentials, dt: f64) -> Filter<f64> {
    let a = libm::exp(-dt / tau_decay);
    let b = if tau_rise > 0.0 { libm::exp(-dt / tau_rise) } else { 0.0 };
    let scale = 1.0 / peak(tau_rise / dt, tau_decay / dt);
    Filter { ss: a, sr: b, rs: 0.0, rr: b, s_in: scale, r_in: scale }
}

/// The largest h(k) = Σ_i a^(k−i) b^i = a^k (1 − (b/a)^(k+1))/(1 − b/a), time constants in steps.
fn peak(rise: f64, decay: f64) -> f64 {
    if rise == 0.0 {
        return 1.0;
    }
    // −ln(b/a); the formula's derivative is 0 between the two steps tried.
    let x = 1.0 / rise - 1.0 / decay;
    let best = if x > 0.0 { libm::log(decay / rise) / x } else { decay };
    let h = |k: f64| {
        let sum = if x > 0.0 { libm::expm1(-(k + 1.0) * x) / libm::expm1(-x) } else { k + 1.0 };
        libm::exp(-k / decay) * sum
    };
    let least = (best - 1.0).max(0.0).floor();
    h(least).max(h(least + 1.0))
}

/// The channels of one kernel with memory.
#[derive(Debug)]
pub(crate) struct Secretion<F: Scalar> {
    kernel: TimeCourse,
    pub modulation: Modulation<F>,
    /// Cells that secrete, and the filter of each.
    pub emitters: Vec<(u32, u32)>,
    /// The distinct filters; their number and order follow from the network alone.
    pub filters: Vec<Filter<F>>,
}

impl<F: Scalar> Secretion<F> {
    /// One for each kernel with memory; only cells that `secretes` holds for emit.
    pub fn all(model: &Model<F>, table: &Table, secretes: &[bool]) -> Vec<Self> {
        let kernels = table.kernels().into_iter().filter(|kernel| kernel.is_filter());
        kernels.map(|kernel| Self::new(model, table, kernel, secretes)).collect()
    }

    fn new(model: &Model<F>, table: &Table, kernel: TimeCourse, secretes: &[bool]) -> Self {
        let network = model.network();
        let emits = |&p: &usize| secretes[p] && table.secretes(network.type_of[p], kernel);
        let filter_of = |p: usize| match kernel {
            TimeCourse::Membrane(_) => network.groups.of[p],
            _ => 0,
        };
        let emitters = (0..network.size()).filter(emits).map(|p| (p as u32, filter_of(p)));
        Self {
            kernel,
            modulation: Modulation::new(model, table, kernel, secretes),
            emitters: emitters.collect(),
            filters: filters(network, kernel, &model.psi_means),
        }
    }

    /// The filter of a cell's secretion.
    pub fn filter_of(&self, cell: u32) -> u32 {
        match self.emitters.binary_search_by_key(&cell, |&(j, _)| j) {
            Ok(place) => self.emitters[place].1,
            Err(_) => 0,
        }
    }

    /// Whether its constants follow the mean of ψ.
    pub fn follows_psi(&self) -> bool {
        matches!(self.kernel, TimeCourse::Membrane(_))
    }

    /// Whether they are the mean of the current batch.
    pub fn needs_batch_mean(&self) -> bool {
        matches!(self.kernel, TimeCourse::Membrane(Membrane { mean: PsiMean::Batch, .. }))
    }

    /// Sets the means of a batch, one per group, where they are needed.
    pub fn take_means(&mut self, network: &Network, means: &[f64]) {
        if self.needs_batch_mean() {
            self.filters = filters(network, self.kernel, &PsiMeans::exactly(means));
        }
    }
}

/// One per group of neurons for `'membrane'`, one for exponentials.
fn filters<F: Scalar>(network: &Network, kernel: TimeCourse, means: &PsiMeans) -> Vec<Filter<F>> {
    match kernel {
        TimeCourse::Membrane(membrane) => {
            let of_group = |(group, &first): (usize, &u32)| {
                let neuron = &network.neurons[first as usize];
                let initial = membrane.initial * neuron.dampening / neuron.threshold;
                let linearised = network.dynamics[first as usize].linearised(means.of(group, initial));
                let filter = linearised.expect("description::legal refuses models without one");
                filter.map::<Narrow<F>>()
            };
            network.groups.first.iter().enumerate().map(of_group).collect()
        }
        TimeCourse::Exponentials(own) => vec![exponentials(own, network.dt()).map::<Narrow<F>>()],
        TimeCourse::None | TimeCourse::Exact => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// h(k) = [Mᵏ i]_s.
    fn response(filter: &Filter<f64>, steps: usize) -> Vec<f64> {
        let (mut s, mut r) = (filter.s_in, filter.r_in);
        let mut h = Vec::new();
        for _ in 0..steps {
            h.push(s);
            (s, r) = (filter.ss * s + filter.sr * r, filter.rs * s + filter.rr * r);
        }
        h
    }

    fn of_exponentials(tau_rise: f64, tau_decay: f64) -> Vec<f64> {
        response(&exponentials(Exponentials { tau_rise, tau_decay }, 1.0), 400)
    }

    #[test]
    fn exponentials_are_their_formula_with_a_peak_of_one() {
        for (rise, decay) in [(0.5, 20.0), (5.0, 20.0), (19.0, 20.0)] {
            let (a, b) = ((-1.0f64 / decay).exp(), (-1.0f64 / rise).exp());
            let formula: Vec<f64> = (0..400).map(|k| (a.powi(k + 1) - b.powi(k + 1)) / (a - b)).collect();
            let peak = formula.iter().copied().fold(0.0, f64::max);
            for (h, expected) in of_exponentials(rise, decay).iter().zip(&formula) {
                assert!((h - expected / peak).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn no_rise_is_a_low_pass_and_equal_constants_are_an_alpha_function() {
        let a = (-1.0f64 / 20.0).exp();
        let low_pass = of_exponentials(0.0, 20.0);
        let alpha = of_exponentials(20.0, 20.0);
        let peak = (0..400).map(|k| f64::from(k + 1) * a.powi(k)).fold(0.0, f64::max);
        for k in 0..400 {
            assert!((low_pass[k as usize] - a.powi(k)).abs() < 1e-12);
            assert!((alpha[k as usize] - f64::from(k + 1) * a.powi(k) / peak).abs() < 1e-12);
        }
    }
}
