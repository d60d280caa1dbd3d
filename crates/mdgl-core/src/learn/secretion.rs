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
//!
//! With several hops a cell also passes on what it receives, through the same filter and its mean ψ, m:
//!
//! ```text
//! s⁽ⁿ⁾_j = h_j ⋆ (ψ_j L_j + m_j Γ⁽ⁿ⁻¹⁾_j,t+1) ,      Γ⁽ⁿ⁾_p,t = Σ_j gain (1−α_j) s⁽ⁿ⁾_j,t ,   Γ⁽⁰⁾ = 0
//! ```
//!
//! Filters commute, so that the online form carries one trace per multiset of at most n of them ([`Secretion::traces`]): the cell that
//! secretes L ψ at the end of a path of cells meets the eligibility that has passed the filters of all cells of the path.

use std::collections::BTreeMap;

use crate::description::{Exponentials, Membrane, PsiMean, TimeCourse};
use crate::learn::modulation::Modulation;
use crate::model::Model;
use crate::model::psi_means::PsiMeans;
use crate::network::Network;
use crate::network::channels::Table;
use crate::neuron::constants::{Narrow, Splat};
use crate::neuron::filter::Filter;
use crate::numeric::lanes::{Block, Lanes};
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
    /// m of each filter, by which a cell passes on what it receives; used with several hops.
    pub means: Vec<F>,
    /// Number of hops, at least 1.
    pub hops: usize,
}

/// A trace of the online form: eligibility through a filter after others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterTrace {
    /// The last filter.
    pub filter: usize,
    /// The trace through the filters before it, which acts one step later; none: the eligibility itself.
    pub parent: Option<usize>,
}

/// A cell whose L ψ reaches a receiver along paths through the same filters: (cell, gain of all these paths, trace).
pub(crate) type PathEmitter<F> = (u32, F, usize);

impl<F: Scalar> Secretion<F> {
    /// One for each kernel with memory; only cells that `signalled` holds for secrete of their own accord.
    pub fn all(model: &Model<F>, table: &Table, signalled: &[bool], hops: usize) -> Vec<Self> {
        let kernels = table.kernels().into_iter().filter(|kernel| kernel.is_filter());
        kernels.map(|kernel| Self::new(model, table, kernel, (signalled, hops))).collect()
    }

    fn new(model: &Model<F>, table: &Table, kernel: TimeCourse, (signalled, hops): (&[bool], usize)) -> Self {
        let network = model.network();
        // With several hops every cell may pass on what it receives.
        let all_cells = vec![true; signalled.len()];
        let secretes = if hops > 1 { &all_cells } else { signalled };
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
            means: means(network, kernel, &model.psi_means),
            hops,
        }
    }

    /// s and r of the secreting cells one step back in time.
    #[inline(always)]
    pub fn remember<L: Lanes<Scalar = F>>(
        &self,
        secreted: &[Block<F>],
        s: &mut [Block<F>],
        r: &mut [Block<F>],
    ) {
        for &(j, filter) in &self.emitters {
            let filter = self.filters[filter as usize].map::<Splat<L>>();
            let j = j as usize;
            let (now_s, now_r) = filter.step((L::load(&s[j]), L::load(&r[j])), L::load(&secreted[j]));
            now_s.store(&mut s[j]);
            now_r.store(&mut r[j]);
        }
    }

    /// The same for a further hop: what a cell received in the step after this one joins what it secretes, by its mean ψ.
    #[inline(always)]
    pub fn pass_on<L: Lanes<Scalar = F>>(
        &self,
        secreted: &[Block<F>],
        received: &[Block<F>],
        s: &mut [Block<F>],
        r: &mut [Block<F>],
    ) {
        for &(j, filter) in &self.emitters {
            let mean = L::splat(self.means[filter as usize]);
            let filter = self.filters[filter as usize].map::<Splat<L>>();
            let j = j as usize;
            let x = L::load(&received[j]).mul_add(mean, L::load(&secreted[j]));
            let (now_s, now_r) = filter.step((L::load(&s[j]), L::load(&r[j])), x);
            now_s.store(&mut s[j]);
            now_r.store(&mut r[j]);
        }
    }

    /// Number of [`Self::traces`], without listing them: binomial(filters + hops, hops) − 1.
    pub fn trace_count(&self) -> usize {
        let mut count = 1u128;
        for i in 1..=self.hops {
            count = count * (self.filters.len() + i) as u128 / i as u128;
            if count > usize::MAX as u128 {
                return usize::MAX;
            }
        }
        count as usize - 1
    }

    /// The traces of the online form: all multisets of one to `hops` filters, in ascending order of their size, those of one filter in the
    /// filters' order. A trace comes after its parent.
    pub fn traces(&self) -> Vec<FilterTrace> {
        self.multisets().into_iter().map(|(_, trace)| trace).collect()
    }

    fn multisets(&self) -> Vec<(Vec<usize>, FilterTrace)> {
        let filters = self.filters.len();
        let single = |filter| (vec![filter], FilterTrace { filter, parent: None });
        let mut all: Vec<_> = (0..filters).map(single).collect();
        let mut level = 0..filters;
        for _ in 1..self.hops {
            for parent in level.clone() {
                let own = all[parent].0.clone();
                for filter in own[own.len() - 1]..filters {
                    let further = own.iter().copied().chain([filter]).collect();
                    all.push((further, FilterTrace { filter, parent: Some(parent) }));
                }
            }
            level = level.end..all.len();
        }
        all
    }

    /// Who reaches each receiver along paths of up to `hops` synapses: only cells that `signalled` lists have an L ψ to secrete. With one
    /// hop these are the channels' own emitters.
    pub fn paths(&self, cells: usize, signalled: &[u32]) -> Vec<Vec<PathEmitter<F>>> {
        let direct: Vec<_> = (0..cells).map(|p| self.modulation.emitters(p)).collect();
        if self.hops == 1 {
            let own = |(place, gain): (u32, F)| (place, gain, self.filter_of(place % cells as u32) as usize);
            return direct.into_iter().map(|list| list.into_iter().map(own).collect()).collect();
        }
        let multisets = self.multisets();
        let index: BTreeMap<&[usize], usize> = multisets.iter().map(|(own, _)| &own[..]).zip(0..).collect();
        let mut has_signal = vec![false; cells];
        signalled.iter().for_each(|&p| has_signal[p as usize] = true);
        let further = |filters: Option<&[usize]>, filter: usize| {
            let mut all = filters.unwrap_or_default().to_vec();
            all.insert(all.partition_point(|&own| own <= filter), filter);
            index[&all[..]]
        };
        let of_receiver = |p: usize| {
            // (trace, cell) → gain of the paths that end there, one more synapse at each turn.
            let mut reached = BTreeMap::new();
            for &(j, gain) in &direct[p] {
                let filter = self.filter_of(j) as usize;
                *reached.entry((further(None, filter), j)).or_insert(F::ZERO) += gain;
            }
            let mut emitters = Vec::new();
            for hop in 1..=self.hops {
                let ends = reached.iter().filter(|&(&(_, j), _)| has_signal[j as usize]);
                emitters.extend(ends.map(|(&(trace, j), &gain)| (j, gain, trace)));
                if hop == self.hops {
                    break;
                }
                let mut next = BTreeMap::new();
                for (&(trace, i), &along) in &reached {
                    let passed = along * self.means[self.filter_of(i) as usize];
                    for &(j, gain) in &direct[i as usize] {
                        let key = (further(Some(&multisets[trace].0), self.filter_of(j) as usize), j);
                        *next.entry(key).or_insert(F::ZERO) += passed * gain;
                    }
                }
                reached = next;
            }
            emitters
        };
        (0..cells).map(of_receiver).collect()
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
    pub fn take_means(&mut self, network: &Network, batch_means: &[f64]) {
        if self.needs_batch_mean() {
            self.filters = filters(network, self.kernel, &PsiMeans::exactly(batch_means));
            self.means = means(network, self.kernel, &PsiMeans::exactly(batch_means));
        }
    }
}

/// m of each group of neurons.
fn group_means(network: &Network, membrane: Membrane, means: &PsiMeans) -> Vec<f64> {
    let of_group = |(group, &first): (usize, &u32)| {
        let neuron = &network.neurons[first as usize];
        means.of(group, membrane.initial * neuron.dampening / neuron.threshold)
    };
    network.groups.first.iter().enumerate().map(of_group).collect()
}

/// One per filter: with kernels other than `'membrane'` nothing is passed on.
fn means<F: Scalar>(network: &Network, kernel: TimeCourse, means: &PsiMeans) -> Vec<F> {
    match kernel {
        TimeCourse::Membrane(membrane) => {
            group_means(network, membrane, means).into_iter().map(F::from_f64).collect()
        }
        TimeCourse::Exponentials(_) => vec![F::ZERO],
        TimeCourse::None | TimeCourse::Exact => Vec::new(),
    }
}

/// One per group of neurons for `'membrane'`, one for exponentials.
fn filters<F: Scalar>(network: &Network, kernel: TimeCourse, means: &PsiMeans) -> Vec<Filter<F>> {
    match kernel {
        TimeCourse::Membrane(membrane) => {
            let of_group = |(mean, &first): (f64, &u32)| {
                let linearised = network.dynamics[first as usize].linearised(mean);
                let filter = linearised.expect("description::legal refuses models without one");
                filter.map::<Narrow<F>>()
            };
            group_means(network, membrane, means)
                .into_iter()
                .zip(&network.groups.first)
                .map(of_group)
                .collect()
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
