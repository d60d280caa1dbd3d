//! A block of LIF or ALIF neurons as [`crate::single::usual`] simulates it.

use std::iter::repeat;

use crate::error::Result;
use crate::neuron::SideBySide;
use crate::neuron::alif::Alif;
use crate::neuron::equations::Step;
use crate::numeric::lanes::{Block, Lanes, cleared};
use crate::numeric::memory::reserve;
use crate::numeric::scalar::Scalar;
use crate::simulate::step::Carried;
use crate::single::cells::UsualCells;

/// Constants and state of a block of cells, side by side, so that a step finds them at one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsualBlock<F: Scalar> {
    cells: Alif<Block<F>>,
    pub v: Block<F>,
    b: Block<F>,
}

impl<F: Scalar> UsualBlock<F> {
    /// All blocks, with their state.
    pub fn read(usual: &UsualCells<F>, carried: &Carried<F>, to: &mut Vec<Self>) -> Result<()> {
        to.clear();
        reserve(to, usual.cells.len(), "the state of a trial")?;
        let b = carried.further.lists()[0].iter().copied().chain(repeat(Block::ZERO));
        let state = carried.integrator.iter().zip(b);
        to.extend(usual.cells.iter().zip(state).map(|(&cells, (&v, b))| Self { cells, v, b }));
        Ok(())
    }

    /// Writes their state back.
    pub fn write(blocks: &[Self], carried: &mut Carried<F>) {
        blocks.iter().zip(&mut carried.integrator).for_each(|(own, v)| *v = own.v);
        blocks.iter().zip(&mut carried.further.lists_mut()[0]).for_each(|(own, b)| *b = own.b);
    }

    #[inline(always)]
    pub fn clear_tiny<L: Lanes<Scalar = F>>(&mut self, step: usize) {
        for state in [&mut self.v, &mut self.b] {
            cleared(step, L::load(state)).store(state);
        }
    }

    /// One step of cells that do not adapt, with its input in v; which of them spike.
    #[inline(always)]
    pub fn step_lif<L: Lanes<Scalar = F>>(&mut self, blocked: L::Mask, psi: &mut Block<F>) -> L::Mask {
        let cells = SideBySide::<L>::load(&self.cells.lif).usual();
        let stepped = cells.step([L::load(&self.v)], blocked);
        let [v] = stepped.state;
        v.store(&mut self.v);
        stepped.psi.store(psi);
        stepped.spikes
    }

    /// The same of cells that adapt.
    #[inline(always)]
    pub fn step_alif<L: Lanes<Scalar = F>>(&mut self, blocked: L::Mask, psi: &mut Block<F>) -> L::Mask {
        let cells = SideBySide::<L>::load(&self.cells).usual();
        let stepped = cells.step([L::load(&self.v), L::load(&self.b)], blocked);
        let [v, b] = stepped.state;
        v.store(&mut self.v);
        b.store(&mut self.b);
        stepped.psi.store(psi);
        stepped.spikes
    }
}
