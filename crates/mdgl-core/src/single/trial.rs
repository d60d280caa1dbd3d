//! One trial through time, neurons side by side, and what is kept of it.
//!
//! As for a block of trials (see [`crate::simulate::trajectory`]) ψ is kept whole while it fits into its budget; of a longer
//! trial only one segment, with the state at each segment's start.

use std::sync::atomic::AtomicBool;

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::neuron::constants::Load as LoadConstants;
use crate::neuron::equations::{Step, Variables};
use crate::neuron::for_model;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, LANES, Lanes, Mask, SimdKernel, flat, prefetch};
use crate::numeric::memory::{bytes_of, product, refill, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::step::Carried;
use crate::simulate::trajectory::{Keep, MOST_BYTES, Segments};
use crate::single::cells::Cells;
use crate::single::columns::{Column, TILE};
use crate::single::refractory::Refractory;
use crate::single::spikes::Spikes;
use crate::single::wiring::Wiring;

/// Steps between asking for a row of ψ and writing it: what was stored is not read back fast while a store before it
/// waits for memory.
const AHEAD: usize = 4;

/// What changes from step to step.
#[derive(Debug, Clone, Default)]
pub(super) struct State<F: Scalar> {
    carried: Carried<F>,
    refractory: Refractory,
}

impl<F: Scalar> State<F> {
    fn reset(&mut self, wiring: &Wiring<F>) -> Result<()> {
        let (blocks, further) = (wiring.blocks(), wiring.cells.further());
        self.carried.reset(blocks, further, wiring.outputs(), "the state of a trial")?;
        self.refractory.reset(&wiring.periods)
    }
}

/// What one trial did: all that its backward pass and its losses need.
#[derive(Debug, Default)]
pub(crate) struct Trial<F: Scalar> {
    pub(super) spikes: Spikes,
    /// Readout `[step][block of units]`.
    readout: Vec<Block<F>>,
    /// Membrane `[step][block]`, if recorded.
    voltage: Vec<Block<F>>,
    /// This trial's steps, and the batch's longest.
    pub(super) length: usize,
    pub(super) steps: usize,
    /// ψ of the loaded segment, `[tile][block]`; of the last tile only where none is wanted.
    psi: Vec<Column<F>>,
    /// Whole tiles.
    pub(super) segments: Segments<State<F>>,
    state: State<F>,
    /// Σ_t ψ of each cell, if wanted.
    psi_sums: Vec<Block<F>>,
    pub(crate) probe: Probe,
}

impl<F: Scalar> Trial<F> {
    /// Bytes of memory that its larger parts hold.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.readout) + bytes_of(&self.voltage) + bytes_of(&self.psi) + self.spikes.bytes()
    }

    /// Prepares the buffers; every row is written before it is read. `share`: how many trials share the budget.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be had.
    pub fn prepare(
        &mut self,
        wiring: &Wiring<F>,
        (length, steps): (usize, usize),
        keep: Keep<'_, F>,
        share: usize,
    ) -> Result<()> {
        (self.length, self.steps) = (length, steps);
        self.state.reset(wiring)?;
        self.spikes.clear();
        let (blocks, outputs) = (wiring.blocks(), wiring.outputs());
        let fitting = MOST_BYTES / share / (blocks * size_of::<Block<F>>());
        let tiles = match keep.psi.is_some() {
            true => (keep.segment.unwrap_or(fitting) / TILE).clamp(1, steps.div_ceil(TILE)),
            false => 1,
        };
        self.segments.reset(steps, tiles * TILE);
        let what = "the pseudo-derivatives of a trial";
        resize(&mut self.psi, product(&[tiles, blocks]), [Block::ZERO; TILE], what)?;
        refill(&mut self.psi_sums, if keep.sums { blocks } else { 0 }, what)?;
        let voltages = if keep.voltage { steps } else { 0 };
        for (buffer, rows, columns, what) in [
            (&mut self.voltage, voltages, blocks, "the membrane trace of a trial"),
            (&mut self.readout, steps, outputs, "the readout of a trial"),
        ] {
            resize(buffer, product(&[rows, columns]), Block::ZERO, what)?;
        }
        Ok(())
    }

    /// ψ of a tile of the loaded segment.
    #[inline(always)]
    pub(super) fn psi(&self, first: usize, blocks: usize) -> &[Column<F>] {
        &self.psi[self.segments.row(first) / TILE * blocks..][..blocks]
    }

    /// The spikes of a step.
    pub fn spikes_at(&self, step: usize) -> &[u32] {
        self.spikes.at(step)
    }

    /// The spikes of all steps.
    pub fn all_spikes(&self) -> &[u32] {
        self.spikes.all()
    }

    /// Adds the spikes of each neuron.
    pub fn count_spikes(&self, counts: &mut [u64]) {
        self.spikes.all().iter().for_each(|&unit| counts[unit as usize] += 1);
    }

    /// Σ ψ over all steps, one a neuron (and zeros behind them); none where it was not wanted.
    pub fn psi_sums(&self) -> &[F] {
        flat(&self.psi_sums)
    }

    /// Adds the ψ of a step.
    #[inline(always)]
    fn sum_psi<L: Lanes<Scalar = F>>(&mut self, step: usize) {
        let blocks = self.psi_sums.len();
        let columns = &self.psi[self.segments.row(step) / TILE * blocks..][..blocks];
        for (sum, psi) in self.psi_sums.iter_mut().zip(columns) {
            L::load(sum).add(L::load(&psi[step % TILE])).store(sum);
        }
    }

    /// The readout of a step, one value a unit (and zeros behind them).
    pub fn readout_at(&self, step: usize, outputs: usize) -> &[F] {
        row(&self.readout, step, outputs)
    }

    /// The membrane of a step, one value a neuron (and zeros behind them), if recorded.
    pub fn voltage_at(&self, step: usize, neurons: usize) -> &[F] {
        row(&self.voltage, step, neurons)
    }

    /// One step; the number of its spikes, which are left to be kept or to be written over.
    #[inline(always)]
    fn step<L: Lanes<Scalar = F>>(&mut self, on: On<'_, F>, t: usize) -> Result<usize> {
        let On { compiled, wiring, input, lane } = on;
        let blocks = wiring.blocks();
        let (state, probe) = (&mut self.state, &mut self.probe);
        probe.step();
        state.carried.clear_tiny::<L>(t);
        state.refractory.advance(&wiring.periods);
        probe.lap(Section::NeuronUpdate);
        for entry in input.events.at(t) {
            if entry.mask >> lane & 1 == 1 {
                wiring.input.count::<L>(
                    &compiled.input,
                    entry.unit,
                    entry.count,
                    &mut state.carried.integrator,
                );
            }
        }
        let width = input.analogue_units.len();
        let values = &input.analogue[t * width..(t + 1) * width];
        for (&unit, value) in input.analogue_units.iter().zip(values) {
            wiring.input.value::<L>(&compiled.input, unit, value.0[lane], &mut state.carried.integrator);
        }
        probe.lap(Section::InputScatter);
        wiring.recurrent.spikes::<L>(
            &compiled.undelayed().csr,
            self.spikes.before(t),
            &mut state.carried.integrator,
        );
        probe.lap(Section::RecurrentScatter);
        if let Some(voltage) = self.voltage.get_mut(t * blocks..(t + 1) * blocks) {
            record_voltage::<L>(&wiring.cells, state, voltage);
        }
        let over = if t < self.length { 0 } else { Mask::MAX };
        let spikes = L::call(UpdateNeurons { trial: &mut *self, wiring, t, over })?;
        self.probe.lap(Section::NeuronUpdate);
        self.update_readout::<L>(on, t, spikes);
        self.probe.lap(Section::Readout);
        Ok(spikes)
    }

    #[inline(always)]
    fn update_cells<L: Lanes<Scalar = F>, const USUAL: bool>(
        &mut self,
        wiring: &Wiring<F>,
        t: usize,
        over: Mask,
    ) -> Result<usize> {
        let (blocks, row) = (wiring.blocks(), t % TILE);
        let own = self.segments.row(t);
        let ahead = (own + AHEAD).min(self.segments.length() - 1);
        let place = own / TILE * blocks;
        // Always behind or at the row's place.
        let ahead_place = (ahead / TILE * blocks - place, ahead % TILE);
        let psi = &mut self.psi[place..];
        let mut spikes = self.spikes.begin_step(blocks)?;
        let State { carried: Carried { integrator, further, .. }, refractory } = &mut self.state;
        let mut further = further.slices(0..blocks);
        let mut masks = refractory.masks(&wiring.periods);
        for (block, integrator) in integrator.iter_mut().enumerate() {
            let blocked = masks.blocked(block) | over;
            let (spiked, psi_now) = for_model!(wiring.cells.block(block), model => {
                let model = model.map::<LoadConstants<L>>();
                let model = if USUAL { model.usual() } else { model };
                let stepped = model.step(Variables::load(L::load(integrator), &further, block), blocked);
                stepped.state.integrator().store(integrator);
                stepped.state.store(&mut further, block);
                (stepped.spikes, stepped.psi)
            });
            prefetch(&psi[ahead_place.0 + block][ahead_place.1]);
            psi_now.store(&mut psi[block][row]);
            masks.spiked(block, spiked);
            spikes.push::<L>(&wiring.numbers[block], spiked);
        }
        Ok(spikes.len())
    }

    #[inline(always)]
    fn update_readout<L: Lanes<Scalar = F>>(&mut self, on: On<'_, F>, t: usize, spikes: usize) {
        let On { compiled, wiring, .. } = on;
        let readout = &mut self.state.carried.readout;
        for (y, kappa) in readout.iter_mut().zip(&wiring.kappa) {
            L::load(y).mul(L::load(kappa)).store(y);
        }
        wiring.readout.spikes::<L>(&compiled.readout, self.spikes.now(spikes), readout);
        let out = &mut self.readout[t * wiring.outputs()..(t + 1) * wiring.outputs()];
        for ((out, y), bias) in out.iter_mut().zip(&*readout).zip(&wiring.bias) {
            L::load(y).add(L::load(bias)).store(out);
        }
    }
}

/// One step of all neurons, compiled once for all passes: it has every model. Gives the number of spikes.
struct UpdateNeurons<'a, F: Scalar> {
    trial: &'a mut Trial<F>,
    wiring: &'a Wiring<F>,
    t: usize,
    over: Mask,
}

impl<F: Scalar> SimdKernel<F> for UpdateNeurons<'_, F> {
    type Output = Result<usize>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<usize> {
        let Self { trial, wiring, t, over } = self;
        // What no block of the loop needs to ask.
        match wiring.cells.are_usual() {
            true => trial.update_cells::<L, true>(wiring, t, over),
            false => trial.update_cells::<L, false>(wiring, t, over),
        }
    }
}

/// v of every cell, from the state with this step's input.
#[inline(always)]
fn record_voltage<L: Lanes>(
    cells: &Cells<L::Scalar>,
    state: &mut State<L::Scalar>,
    voltage: &mut [Block<L::Scalar>],
) {
    let further = state.carried.further.slices(0..voltage.len());
    for (block, (voltage, integrator)) in voltage.iter_mut().zip(&state.carried.integrator).enumerate() {
        for_model!(cells.block(block), model => {
            let variables = Variables::load(L::load(integrator), &further, block);
            model.map::<LoadConstants<L>>().voltage(variables).store(voltage);
        });
    }
}

/// A step of rows of blocks, as values.
fn row<F: Scalar>(rows: &[Block<F>], step: usize, columns: usize) -> &[F] {
    let columns = columns.div_ceil(LANES);
    flat(&rows[step * columns..(step + 1) * columns])
}

/// What a trial runs on.
#[derive(Clone, Copy)]
pub(crate) struct On<'a, F: Scalar> {
    pub compiled: &'a CompiledNetwork<F>,
    pub wiring: &'a Wiring<F>,
    pub input: &'a BlockInput<F>,
    /// The trial's place in its block of the batch.
    pub lane: usize,
}

/// Brings a segment's ψ back.
pub(super) struct Load<'a, F: Scalar> {
    pub on: On<'a, F>,
    pub trial: &'a mut Trial<F>,
    pub segment: usize,
    pub cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for Load<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { on, trial, segment, cancel } = self;
        let Some((snapshot, steps)) = trial.segments.missing(segment) else { return Ok(()) };
        trial.state.clone_from(snapshot);
        for t in steps {
            check_cancelled(t, cancel)?;
            trial.step::<L>(on, t)?;
        }
        trial.segments.set_loaded(segment);
        Ok(())
    }
}

/// The simulation of one trial as a kernel.
pub struct SimulateOne<'a, F: Scalar> {
    pub(crate) on: On<'a, F>,
    pub(crate) trial: &'a mut Trial<F>,
    pub(crate) keep: Keep<'a, F>,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for SimulateOne<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { on, trial, keep, cancel } = self;
        for t in 0..trial.steps {
            check_cancelled(t, cancel)?;
            if keep.psi.is_some() && trial.segments.begins(t) {
                trial.segments.keep(trial.state.clone());
            }
            let spikes = trial.step::<L>(on, t)?;
            trial.spikes.end_step(spikes);
            if keep.sums {
                trial.sum_psi::<L>(t);
            }
        }
        Ok(())
    }
}
