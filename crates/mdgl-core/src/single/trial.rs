//! Simulation of one trial with neurons in the lanes, and the stored spikes, ψ and readouts.
//!
//! As for a block of trials (see [`crate::simulate::trajectory`]) ψ is kept whole while it fits into its budget; of a longer
//! trial only one segment, with the state at each segment's start.

use std::ops::Range;

use bytemuck::cast_slice_mut;

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::neuron::constants::Load as LoadConstants;
use crate::neuron::equations::{Equations, FURTHER, Step, Variables};
use crate::neuron::{SideBySide, for_model};
use crate::numeric::lanes::{Block, LANES, Lanes, Mask, RegisterMask, flat, prefetch_at};
use crate::numeric::memory::{bytes_of, product, refill, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::step::Carried;
use crate::simulate::trajectory::{Keep, MOST_BYTES, Segments};
use crate::single::cells::Cells;
use crate::single::columns::{TILE, TileColumn};
use crate::single::events::{CELLS, Events};
use crate::single::lane_layout::LaneLayout;
use crate::single::outgoing::add_parts;
use crate::single::refractory::{Refractory, is_blocked};
use crate::single::usual_block::UsualBlock;

/// The spikes of four blocks are written one by one and read as one word.
const _: () = assert!(cfg!(target_endian = "little"));

/// Steps between the prefetch of a row of ψ and its writing: a stored value is not read back fast while an earlier store
/// waits for memory.
pub(super) const AHEAD: usize = 4;

/// State that changes from step to step.
#[derive(Debug, Clone, Default)]
pub(super) struct TrialState<F: Scalar> {
    pub(super) carried: Carried<F>,
    pub(super) refractory: Refractory<F>,
    /// The spikes of the last step, a bit per cell.
    pub(super) spiking: Vec<u64>,
}

impl<F: Scalar> TrialState<F> {
    fn reset(&mut self, lane_layout: &LaneLayout<F>) -> Result<()> {
        let (blocks, further) = (lane_layout.blocks(), lane_layout.cells.further());
        self.carried.reset(blocks, further, lane_layout.outputs(), "the state of a trial")?;
        self.spiking.clear();
        resize(&mut self.spiking, blocks.div_ceil(CELLS / LANES), 0, "the state of a trial")?;
        self.refractory.reset(blocks)
    }
}

/// The record of one trial that its losses and its backward pass read.
#[derive(Debug, Default)]
pub(crate) struct Trial<F: Scalar> {
    pub(crate) events: Events,
    /// Whether its input events are listed with the spikes.
    pub(crate) inputs_listed: bool,
    /// Readout `[step][block of units]`.
    pub(super) readout: Vec<Block<F>>,
    /// Membrane `[step][block]`, if recorded.
    pub(super) voltage: Vec<Block<F>>,
    /// This trial's steps, and the batch's longest.
    pub(super) length: usize,
    pub(super) steps: usize,
    /// ψ of the loaded segment, `[tile][block]`; of the last tile only where ψ is not kept.
    pub(super) psi: Vec<TileColumn<F>>,
    /// Whole tiles.
    pub(super) segments: Segments<TrialState<F>>,
    pub(super) state: TrialState<F>,
    /// Constants and state of usual cells while they are simulated; kept for their memory.
    pub(super) usual_cells: Vec<UsualBlock<F>>,
    /// Σ_t ψ of each cell, if kept.
    psi_sums: Vec<Block<F>>,
    pub(crate) probe: Probe,
}

impl<F: Scalar> Trial<F> {
    /// Bytes of memory that its larger parts hold.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.readout) + bytes_of(&self.voltage) + bytes_of(&self.psi) + self.events.bytes()
    }

    /// Takes over the larger buffers of a trial whose backward pass is finished.
    pub fn take_buffers(&mut self, other: &mut Self) {
        self.psi = std::mem::take(&mut other.psi);
        self.readout = std::mem::take(&mut other.readout);
    }

    /// Prepares the buffers; every row is written before it is read. `share`: how many trials share the budget.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn prepare(
        &mut self,
        lane_layout: &LaneLayout<F>,
        (length, steps): (usize, usize),
        keep: Keep<'_, F>,
        share: usize,
    ) -> Result<()> {
        (self.length, self.steps) = (length, steps);
        self.state.reset(lane_layout)?;
        let (blocks, outputs) = (lane_layout.blocks(), lane_layout.outputs());
        self.events.begin(steps)?;
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
    pub(super) fn psi(&self, first: usize, blocks: usize) -> &[TileColumn<F>] {
        &self.psi[self.segments.row(first) / TILE * blocks..][..blocks]
    }

    /// The spikes of a step.
    pub fn spikes_at(&self, step: usize) -> &[u32] {
        self.events.at(step)
    }

    /// The spikes of all steps.
    pub fn all_spikes(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.steps).flat_map(|step| self.events.at(step)).copied()
    }

    /// Adds the spikes of each neuron.
    pub fn count_spikes(&self, counts: &mut [u64]) {
        self.events.count_spikes(counts);
    }

    /// Σ ψ over all steps, one value per neuron (then zeros); empty unless it was kept.
    pub fn psi_sums(&self) -> &[F] {
        flat(&self.psi_sums)
    }

    /// Adds the ψ of a row of the segment.
    #[inline(always)]
    pub(super) fn sum_psi<L: Lanes<Scalar = F>>(&mut self, row: usize) {
        let blocks = self.psi_sums.len();
        let columns = &self.psi[row / TILE * blocks..][..blocks];
        for (sum, psi) in self.psi_sums.iter_mut().zip(columns) {
            L::load(sum).add(L::load(&psi[row % TILE])).store(sum);
        }
    }

    /// The readout of a step, one value per unit (then zeros).
    pub fn readout_at(&self, step: usize, outputs: usize) -> &[F] {
        row(&self.readout, step, outputs)
    }

    /// The membrane of a step, one value per neuron (then zeros), if recorded.
    pub fn voltage_at(&self, step: usize, neurons: usize) -> &[F] {
        row(&self.voltage, step, neurons)
    }

    /// One step, which is this row of its segment.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    #[inline(always)]
    pub(super) fn step<L: Lanes<Scalar = F>>(
        &mut self,
        context: TrialContext<'_, F>,
        t: usize,
        row: usize,
    ) -> Result<()> {
        let TrialContext { network, lane_layout, .. } = context;
        let blocks = lane_layout.blocks();
        self.probe.step();
        self.state.carried.clear_tiny::<L>(t);
        if t.is_multiple_of(TILE) {
            self.state.refractory.begin_tile::<L>();
        }
        if t == self.length {
            self.state.refractory.end();
        }
        self.probe.lap(Section::NeuronUpdate);
        if !self.inputs_listed {
            self.add_inputs::<L>(context, t);
        }
        self.probe.lap(Section::InputScatter);
        let Self { events, state, psi, segments, probe, voltage, readout, .. } = self;
        let (mut lists, steps) = events.lists(t..t + 1, blocks)?;
        let received = steps.map(|step| lists.begin_step(step)).next().unwrap_or_default();
        let synapses = |sender| synapses(network, sender);
        lane_layout.onto_cells.add::<L>(synapses, lists.senders(received), &mut state.carried.integrator);
        probe.lap(Section::RecurrentScatter);
        if let Some(voltage) = voltage.get_mut(t * blocks..(t + 1) * blocks) {
            record_voltage::<L>(&lane_layout.cells, state, voltage);
        }
        let ahead = (row + AHEAD).min(segments.length() - 1);
        update_neurons::<L>(&lane_layout.cells, state, (&mut psi[row / TILE * blocks..], row, ahead));
        for (&word, first) in state.spiking.iter().zip((0..).step_by(CELLS)) {
            lists.list(word, first);
        }
        let spikes = lists.spikes();
        let mut periods = state.refractory.tile(&lane_layout.periods);
        spikes.iter().for_each(|&cell| periods.begin(cell, F::from_f64((row % TILE) as f64)));
        probe.lap(Section::NeuronUpdate);
        let outputs = lane_layout.outputs();
        let out = &mut readout[t * outputs..(t + 1) * outputs];
        update_readout::<L>((network, lane_layout), spikes, &mut state.carried.readout, out);
        lists.keep();
        probe.lap(Section::Readout);
        Ok(())
    }

    /// Inputs that repeat within a step or have values.
    #[inline(always)]
    fn add_inputs<L: Lanes<Scalar = F>>(&mut self, context: TrialContext<'_, F>, t: usize) {
        let TrialContext { network, lane_layout, input, lane } = context;
        let integrator = &mut self.state.carried.integrator;
        let first = network.size() as u32;
        for entry in input.events.at(t) {
            if entry.mask >> lane & 1 == 1 {
                let synapses = network.input.of(entry.unit as usize);
                lane_layout.onto_cells.add_count::<L>(first + entry.unit, synapses, entry.count, integrator);
            }
        }
        let width = input.analogue_units.len();
        let values = &input.analogue[t * width..(t + 1) * width];
        for (&unit, value) in input.analogue_units.iter().zip(values) {
            let synapses = network.input.of(unit as usize);
            lane_layout.onto_cells.add_value::<L>(first + unit, synapses, value.0[lane], integrator);
        }
    }
}

/// One step of all neurons, which is this row of its segment; `psi` begins with its tile. `ahead`: the row of some steps later.
#[inline(always)]
fn update_neurons<L: Lanes>(
    cells: &Cells<L::Scalar>,
    state: &mut TrialState<L::Scalar>,
    (psi, own, ahead): (&mut [TileColumn<L::Scalar>], usize, usize),
) {
    let blocks = cells.count();
    let TrialState { carried: Carried { integrator, further, .. }, refractory, spiking } = state;
    let mut update = NeuronUpdate {
        cells,
        integrator,
        further: further.slices(0..blocks),
        refractory: refractory.blocks(),
        spiking: cast_slice_mut(spiking),
        psi,
        row: own % TILE,
        // Never before the step's own place.
        ahead: (ahead / TILE - own / TILE) * blocks * TILE + ahead % TILE,
    };
    for run in cells.runs() {
        for_model!(cells.block(run.start), first => {
            // The same for all blocks of the loop.
            match cells.are_usual() {
                true => update.run::<L, _, true>(first, run.clone()),
                false => update.run::<L, _, false>(first, run.clone()),
            }
        });
    }
}

/// One step of the readout units, from the spikes of the step.
#[inline(always)]
fn update_readout<L: Lanes>(
    (network, lane_layout): (&CompiledNetwork<L::Scalar>, &LaneLayout<L::Scalar>),
    spikes: &[u32],
    readout: &mut [Block<L::Scalar>],
    out: &mut [Block<L::Scalar>],
) {
    if let Some(rows) = lane_layout.readout.rows() {
        let lists = readout.iter_mut().zip(out).zip(&lane_layout.kappa).zip(&lane_layout.bias);
        for (block, (((y, out), kappa), bias)) in lists.enumerate() {
            let mut sum = [L::load(y).mul(L::load(kappa))];
            add_parts(rows, spikes, block, &mut sum);
            sum[0].store(y);
            sum[0].add(L::load(bias)).store(out);
        }
        return;
    }
    for (y, kappa) in readout.iter_mut().zip(&lane_layout.kappa) {
        L::load(y).mul(L::load(kappa)).store(y);
    }
    lane_layout.readout.add::<L>(|cell| network.readout.of(cell as usize), spikes, readout);
    for ((out, y), bias) in out.iter_mut().zip(&*readout).zip(&lane_layout.bias) {
        L::load(y).add(L::load(bias)).store(out);
    }
}

/// A sender's synapses onto cells: a cell's, or an input unit's, which are counted on from the last cell.
#[inline(always)]
fn synapses<F: Scalar>(network: &CompiledNetwork<F>, sender: u32) -> &[(u32, F)] {
    match (sender as usize).checked_sub(network.size()) {
        Some(unit) => network.input.of(unit),
        None => network.undelayed().csr.of(sender as usize),
    }
}

/// A step of the neurons of a trial.
struct NeuronUpdate<'a, F: Scalar> {
    cells: &'a Cells<F>,
    integrator: &'a mut [Block<F>],
    further: [&'a mut [Block<F>]; FURTHER],
    refractory: &'a [Block<F>],
    spiking: &'a mut [Mask],
    /// From the columns of the step's tile on, and the step's row in them.
    psi: &'a mut [TileColumn<F>],
    row: usize,
    /// Where in them the first block's ψ of some steps later will be written.
    ahead: usize,
}

impl<F: Scalar> NeuronUpdate<'_, F> {
    /// Neighbouring blocks, all of the model of the first.
    #[inline(always)]
    fn run<L: Lanes<Scalar = F>, M: SideBySide<L>, const USUAL: bool>(&mut self, _: &M, run: Range<usize>) {
        // All of one length, so that none is checked in the loop.
        let cells = self.cells.blocks(run.clone());
        let count = cells.len();
        let integrator = &mut self.integrator[run.clone()][..count];
        let refractory = &self.refractory[run.clone()][..count];
        let before = L::splat(F::from_f64(self.row as f64 - 1.0));
        let spiking = &mut self.spiking[run.clone()][..count];
        let mut further = self.further.each_mut().map(|list| list.get_mut(run.clone()).unwrap_or_default());
        for list in &mut further[..<M::Model as Equations<L>>::Variables::COUNT - 1] {
            assert_eq!(list.len(), count, "a list for each variable");
        }
        let columns = &mut self.psi[run.clone()][..count];
        let ahead = columns.as_ptr().cast::<Block<F>>().wrapping_add(self.ahead);
        let row = self.row % TILE;
        for i in 0..count {
            let Some(model) = M::of(&cells[i]) else { continue };
            let model = if USUAL { model.load().usual() } else { model.load() };
            let blocked = is_blocked::<L>(&refractory[i], before);
            let stepped = model.step(Variables::load(L::load(&integrator[i]), &further, i), blocked);
            stepped.state.integrator().store(&mut integrator[i]);
            stepped.state.store(&mut further, i);
            spiking[i] = stepped.spikes.bits();
            prefetch_at(ahead.wrapping_add(i * TILE));
            stepped.psi.store(&mut columns[i][row]);
        }
    }
}

/// v of every cell, from the state with this step's input.
#[inline(always)]
fn record_voltage<L: Lanes>(
    cells: &Cells<L::Scalar>,
    state: &mut TrialState<L::Scalar>,
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

/// Network, weights and inputs of a trial.
#[derive(Clone, Copy)]
pub(crate) struct TrialContext<'a, F: Scalar> {
    pub network: &'a CompiledNetwork<F>,
    pub lane_layout: &'a LaneLayout<F>,
    pub input: &'a BlockInput<F>,
    /// The trial's place in its block of the batch.
    pub lane: usize,
}
