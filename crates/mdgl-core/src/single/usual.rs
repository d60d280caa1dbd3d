//! Simulation of one trial in its usual form: LIF and ALIF neurons, whole rows of weights, listed inputs, nothing recorded.
//!
//! The steps of [`crate::single::trial`] as one loop over slices of its state, which all passes of a training in this layout go
//! through. Each operation is the same, so that the bits are.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use bytemuck::{cast_slice, cast_slice_mut};

use crate::error::Result;
use crate::instrument::section::Section;
use crate::neuron::SideBySide;
use crate::neuron::equations::Step;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask, SimdKernel, prefetch_at};
use crate::numeric::scalar::Scalar;
use crate::simulate::step::Carried;
use crate::single::cells::UsualCells;
use crate::single::columns::{TILE, TileColumn};
use crate::single::trial::{AHEAD, Trial, TrialContext, TrialState};

/// Some steps of a trial within one segment, the first of them the segment's first.
pub(super) struct SimulateUsual<'a, F: Scalar> {
    pub context: TrialContext<'a, F>,
    pub usual: &'a UsualCells<F>,
    pub trial: &'a mut Trial<F>,
    pub steps: Range<usize>,
    pub cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for SimulateUsual<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { context: TrialContext { lane_layout, .. }, usual, trial, steps, cancel } = self;
        let (blocks, outputs) = (lane_layout.blocks(), lane_layout.outputs());
        let Some(readout_rows) = lane_layout.readout.rows() else { return Ok(()) };
        let Trial { events, readout, psi, state, length, probe, .. } = trial;
        let TrialState { carried, refractory, spiking } = state;
        for (first, columns) in steps.clone().step_by(TILE).zip(psi.chunks_exact_mut(blocks)) {
            check_cancelled(first, cancel)?;
            carried.clear_tiny::<L>(first);
            let Carried { integrator, further, readout: held } = &mut *carried;
            let adaptation = further.lists_mut()[0].get_mut(usual.lif.len()..).unwrap_or_default();
            for t in first..steps.end.min(first + TILE) {
                events.begin_step(blocks)?;
                probe.step();
                refractory.advance(&lane_layout.periods, spiking, t >= *length);
                probe.lap(Section::NeuronUpdate);
                lane_layout.onto_cells.add_rows::<L>(events.received(t), integrator);
                probe.lap(Section::RecurrentScatter);
                let (of_lif, of_alif) = columns.split_at_mut(usual.lif.len());
                let (v, v_of_alif) = integrator.split_at_mut(usual.lif.len());
                let blocked = cast_slice::<_, Mask>(refractory.blocked());
                let spikes = cast_slice_mut::<_, Mask>(spiking);
                let (spikes, spikes_of_alif) = spikes.split_at_mut(usual.lif.len());
                let (blocked, blocked_of_alif) = blocked.split_at(usual.lif.len());
                update_lif::<L>(usual, v, blocked, spikes, (of_lif, t % TILE));
                let lists = (v_of_alif, &mut *adaptation, blocked_of_alif, spikes_of_alif);
                update_alif::<L>(usual, lists, (of_alif, t % TILE));
                let count = events.list_spikes(spiking);
                probe.lap(Section::NeuronUpdate);
                let out = &mut readout[t * outputs..][..outputs];
                let lists = held.iter_mut().zip(out).zip(&lane_layout.kappa).zip(&lane_layout.bias);
                for (block, (((y, out), kappa), bias)) in lists.enumerate() {
                    let mut sum = L::load(y).mul(L::load(kappa));
                    for &cell in events.just_listed(count) {
                        sum = sum.add(L::load(&readout_rows[cell as usize * outputs + block]));
                    }
                    sum.store(y);
                    sum.add(L::load(bias)).store(out);
                }
                events.keep_spikes(count);
                probe.lap(Section::Readout);
            }
        }
        Ok(())
    }
}

/// A tile's columns of ψ, and the row to write.
type Columns<'a, F> = (&'a mut [TileColumn<F>], usize);

/// One step of the neurons that do not adapt.
#[inline(always)]
fn update_lif<L: Lanes>(
    usual: &UsualCells<L::Scalar>,
    v: &mut [Block<L::Scalar>],
    blocked: &[Mask],
    spikes: &mut [Mask],
    (columns, row): Columns<'_, L::Scalar>,
) {
    let lists = usual.lif.iter().zip(v).zip(blocked).zip(spikes).zip(columns);
    for ((((model, v), &blocked), spikes), column) in lists {
        let model = SideBySide::<L>::load(model).usual();
        let stepped = model.step([L::load(v)], L::Mask::from_bits(blocked));
        let [next] = stepped.state;
        next.store(v);
        *spikes = stepped.spikes.bits();
        ask_ahead(column, row);
        stepped.psi.store(&mut column[row]);
    }
}

/// v and b of adapting neurons, which of them are blocked, and the spikes to write.
type AdaptingState<'a, F> = (&'a mut [Block<F>], &'a mut [Block<F>], &'a [Mask], &'a mut [Mask]);

/// One step of the neurons that adapt.
#[inline(always)]
fn update_alif<L: Lanes>(
    usual: &UsualCells<L::Scalar>,
    (v, b, blocked, spikes): AdaptingState<'_, L::Scalar>,
    (columns, row): Columns<'_, L::Scalar>,
) {
    let lists = usual.alif.iter().zip(v).zip(b).zip(blocked).zip(spikes).zip(columns);
    for (((((model, v), b), &blocked), spikes), column) in lists {
        let model = SideBySide::<L>::load(model).usual();
        let stepped = model.step([L::load(v), L::load(b)], L::Mask::from_bits(blocked));
        let [next, adapted] = stepped.state;
        next.store(v);
        adapted.store(b);
        *spikes = stepped.spikes.bits();
        ask_ahead(column, row);
        stepped.psi.store(&mut column[row]);
    }
}

/// Prefetches what a block writes some steps later, within its tile.
#[inline(always)]
fn ask_ahead<F: Scalar>(column: &mut TileColumn<F>, row: usize) {
    prefetch_at(column.as_ptr().wrapping_add((row + AHEAD).min(TILE - 1)));
}
