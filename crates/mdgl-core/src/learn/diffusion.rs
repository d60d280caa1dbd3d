//! Fields that spread over the sheet of cells.
//!
//! A channel's field spreads backwards in time, as its secretion runs: learning signals are known from the end only, and an
//! eligibility always meets what comes later. Fields are computed with trials in the lanes alone.

use crate::description::{Reach, TimeCourse};
use crate::network::Network;
use crate::network::channels::Table;
use crate::network::sheet::{Grid, SheetPlaces};
use crate::numeric::lanes::{self, Block, Lanes};
use crate::numeric::scalar::Scalar;

/// G ← K ∗ G, K a box of three by three sites.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread<F> {
    width: usize,
    height: usize,
    /// k/9.
    weight: F,
}

impl<F: Scalar> Spread<F> {
    pub fn new(grid: &Grid) -> Self {
        Self { width: grid.width, height: grid.height, weight: F::from_f64(grid.spread / 9.0) }
    }

    pub fn sites(&self) -> usize {
        self.width * self.height
    }

    /// One step of a field; `sums` has as many sites.
    #[inline(always)]
    pub fn step<L: Lanes<Scalar = F>>(&self, field: &mut [Block<F>], sums: &mut [Block<F>]) {
        L::call(SpreadStep { spread: *self, field, sums });
    }
}

/// [`Spread::step`] as a function of its own.
struct SpreadStep<'a, F: Scalar> {
    spread: Spread<F>,
    field: &'a mut [Block<F>],
    sums: &'a mut [Block<F>],
}

impl<F: Scalar> lanes::SimdKernel<F> for SpreadStep<'_, F> {
    type Output = ();

    /// Rows first, then columns.
    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let Self { spread: Spread { width, height, weight }, field, sums } = self;
        for (row, to) in field.chunks_exact(width).zip(sums.chunks_exact_mut(width)) {
            for (x, to) in to.iter_mut().enumerate() {
                let (left, right) = beside(x, width);
                L::load(&row[left]).add(L::load(&row[x])).add(L::load(&row[right])).store(to);
            }
        }
        for y in 0..height {
            let (up, down) = beside(y, height);
            for x in 0..width {
                let sum = L::load(&sums[up * width + x]).add(L::load(&sums[y * width + x]));
                let sum = sum.add(L::load(&sums[down * width + x]));
                sum.mul(L::splat(weight)).store(&mut field[y * width + x]);
            }
        }
    }
}

/// The neighbours of a place in a ring.
#[inline(always)]
fn beside(x: usize, ring: usize) -> (usize, usize) {
    (if x == 0 { ring - 1 } else { x - 1 }, if x + 1 == ring { 0 } else { x + 1 })
}

/// The channels of reach `'diffusive'` of one kernel.
#[derive(Debug)]
pub(crate) struct Diffusive<F: Scalar> {
    spread: Spread<F>,
    pub places: SheetPlaces,
    /// Secreting cells: (cell, start of its type's field, 1 − α).
    emitters: Vec<(u32, u32, F)>,
    /// Receiving cells: (cell, type).
    receivers: Vec<(u32, u32)>,
    /// Gain `[receiving type][field]`.
    gains: Vec<F>,
    /// One per secreting type.
    fields: usize,
}

impl<F: Scalar> Diffusive<F> {
    /// `None` without such channels. `gain` is that of a pair of types (to, from); only cells that `secretes` holds for emit.
    pub fn new(
        network: &Network,
        table: &Table,
        kernel: TimeCourse,
        gain: impl Fn(usize, usize) -> f64,
        secretes: &[bool],
    ) -> Option<Self> {
        if !table.has(Reach::Diffusive, kernel) {
            return None;
        }
        let (types, grid) = (network.type_names().len(), &network.grid);
        let from: Vec<usize> =
            (0..types).filter(|&from| (0..types).any(|to| gain(to, from) != 0.0)).collect();
        let field_of = |p: usize| from.iter().position(|&t| t == network.type_of[p]);
        let emitter = |p: usize| {
            let field = field_of(p)? * grid.sites();
            Some((p as u32, field as u32, F::from_f64(1.0 - network.neurons[p].alpha)))
        };
        let receives = |to: usize| from.iter().any(|&from| gain(to, from) != 0.0);
        let receivers = (0..network.size()).filter(|&p| receives(network.type_of[p]));
        let emitters: Vec<_> = (0..network.size()).filter(|&p| secretes[p]).filter_map(emitter).collect();
        let gains = (0..types).flat_map(|to| from.iter().map(move |&from| (to, from)));
        Some(Self {
            spread: Spread::new(grid),
            places: grid.places.clone(),
            receivers: match emitters.is_empty() {
                true => Vec::new(),
                false => receivers.map(|p| (p as u32, network.type_of[p] as u32)).collect(),
            },
            emitters,
            gains: gains.map(|(to, from)| F::from_f64(gain(to, from))).collect(),
            fields: from.len(),
        })
    }

    /// Cells that receive anything.
    pub fn receivers(&self) -> impl Iterator<Item = u32> {
        self.receivers.iter().map(|&(p, _)| p)
    }

    /// Sites of all fields, emitters, and pairs of a receiver and a field.
    pub fn counts(&self) -> (u64, u64, u64) {
        let fields = self.fields as u64;
        let sites = fields * self.spread.sites() as u64;
        (sites, self.emitters.len() as u64, fields * self.receivers.len() as u64)
    }

    /// Number of blocks that [`Self::receive`] keeps from step to step.
    pub fn blocks(&self) -> usize {
        (self.fields + 1) * self.spread.sites()
    }

    /// Adds the cells' secretion of a step after the field has spread, and adds to Γ of every receiver; cells at `places`.
    #[inline(always)]
    pub fn receive<L: Lanes<Scalar = F>>(
        &self,
        places: &[u32],
        secreted: &[Block<F>],
        fields: &mut [Block<F>],
        gamma: &mut [Block<F>],
    ) {
        let sites = self.spread.sites();
        let (fields, sums) = fields.split_at_mut(self.fields * sites);
        for field in fields.chunks_exact_mut(sites) {
            self.spread.step::<L>(field, sums);
        }
        for &(j, start, scale) in &self.emitters {
            let field = &mut fields[(start + places[j as usize]) as usize];
            L::load(&secreted[j as usize]).mul_add(L::splat(scale), L::load(field)).store(field);
        }
        for &(p, own) in &self.receivers {
            let site = places[p as usize];
            let gains = &self.gains[own as usize * self.fields..][..self.fields];
            let gamma = &mut gamma[p as usize];
            let mut sum = L::load(gamma);
            for (field, &gain) in fields.chunks_exact(sites).zip(gains) {
                sum = L::load(&field[site as usize]).mul_add(L::splat(gain), sum);
            }
            sum.store(gamma);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Sheet;
    use crate::numeric::lanes::PlainFused;

    /// The sum over a field becomes k times itself in a step, whatever the grid; edges are periodic.
    #[test]
    fn a_field_spreads_over_nine_sites_and_keeps_its_sum_but_for_k() {
        for (width, height) in [(1, 1), (2, 5), (4, 3)] {
            let sheet = Sheet { width: Some(width), height: Some(height), ..Sheet::default() };
            let spread = Spread::<f64>::new(&Grid::new(sheet, 1, &[0; 5]).unwrap());
            let mut field = vec![Block::ZERO; width * height];
            let mut sums = field.clone();
            field[0].0[3] = 9.0;
            spread.step::<PlainFused<f64>>(&mut field, &mut sums);
            let values: Vec<f64> = field.iter().map(|block| block.0[3]).collect();
            assert!((values.iter().sum::<f64>() - 0.75 * 9.0).abs() < 1e-12);
            if (width, height) == (4, 3) {
                let expected = [0.75, 0.75, 0.0, 0.75].repeat(3);
                assert!(values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
            }
            assert!(field.iter().all(|block| block.0[0] == 0.0));
        }
    }
}
