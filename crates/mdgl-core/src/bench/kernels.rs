//! Loops over the steps of a block of trials, with one kernel in each.
//!
//! The sections of a profile are one kernel each here, with the clearing of decayed state.

use crate::batch::encode::EntryLists;
use crate::error::Result;
use crate::learn::backward::Backward;
use crate::numeric::lanes::{Block, Lanes, SimdKernel, clear_tiny};
use crate::run::real::Real;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::packed::Packed;
use crate::simulate::padded_csr::PaddedCsr;
use crate::simulate::scatter::{self, scatter};
use crate::simulate::step::{NetworkState, PackedPsi, update_neurons, update_readout};

/// Scatter of the events of every step to cells.
pub(super) struct Scatter<'a, F: Real> {
    pub lists: &'a EntryLists,
    pub weights: &'a PaddedCsr<F>,
    pub work: &'a mut Vec<scatter::ScatterItem>,
    pub to: &'a mut [Block<F>],
    pub steps: usize,
}

impl<F: Real> SimdKernel<F> for Scatter<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        for t in 0..self.steps {
            scatter::<L>(self.lists.at(t), self.weights, self.work, self.to);
        }
    }
}

/// The cells without input; spikes beyond the steps that the state holds are dropped.
pub(super) struct NeuronUpdateBench<'a, F: Real> {
    pub network: &'a CompiledNetwork<F>,
    pub state: &'a mut NetworkState<F>,
    pub psi: &'a mut Packed<F>,
    pub steps: usize,
}

impl<F: Real> SimdKernel<F> for NeuronUpdateBench<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { network, state, psi, steps } = self;
        psi.clear(steps, network.size())?;
        for t in 0..steps {
            state.carried.clear_tiny::<L>(t);
            state.advance_refractory(network, t);
            let mut row = PackedPsi { row: psi.begin_row()?, runs: &network.runs };
            update_neurons::<L, _>(&network.runs, state, 0, &mut row);
            let written = row.row.written();
            psi.end_row(written);
        }
        state.spikes.truncate(steps);
        Ok(())
    }
}

/// Scatter of the spikes of every step to readout units.
pub(super) struct ReadOut<'a, F: Real> {
    pub network: &'a CompiledNetwork<F>,
    pub state: &'a mut NetworkState<F>,
    pub out: &'a mut [Block<F>],
    pub steps: usize,
}

impl<F: Real> SimdKernel<F> for ReadOut<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        for t in 0..self.steps {
            update_readout::<L>(self.network, self.state, t, self.out);
        }
    }
}

/// Errors, the adjoints of the cells, from the last step to the first, with Γ unchanged.
pub(super) struct Recurse<'a, F: Real>(pub Backward<'a, F>);

impl<F: Real> SimdKernel<F> for Recurse<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let mut pass = self.0;
        let (n, outputs) = (pass.network.size(), pass.network.outputs());
        for t in (0..pass.trajectory.steps).rev() {
            let before = pass.state.rows(t).1;
            clear_tiny::<L>(t, &mut pass.state.input_adjoint[before * n..][..n]);
            pass.state.further_adjoint.clear_tiny::<L>(t);
            clear_tiny::<L>(t, &mut pass.state.error[before * outputs..][..outputs]);
            pass.filter_error::<L>(t);
            pass.update_cells::<L>(t);
        }
    }
}

/// Γ of every step.
pub(super) struct Modulate<'a, F: Real>(pub Backward<'a, F>);

impl<F: Real> SimdKernel<F> for Modulate<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let mut pass = self.0;
        for t in (0..pass.trajectory.steps).rev() {
            pass.modulate::<L>(t);
        }
    }
}

/// The gradient sums of every tile, with λ unchanged.
pub(super) struct GatherBench<'a, F: Real>(pub Backward<'a, F>);

impl<F: Real> SimdKernel<F> for GatherBench<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let mut pass = self.0;
        for t in (0..pass.trajectory.steps).step_by(pass.state.tile).rev() {
            pass.gather_events::<L>(t);
        }
    }
}
