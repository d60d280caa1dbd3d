//! One step of a network in one block of trials: input and weights → spikes, ψ, readout.

use std::ops::Range;

use crate::batch::encode::{BlockInput, Entry, EntryLists};
use crate::description::recording::CellVariable;
use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::neuron::constants::Splat;
use crate::neuron::equations::{ADAPTATION, Described, Step, Variables};
use crate::neuron::storage::Further;
use crate::neuron::{Dynamics, for_model};
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask, SimdKernel, clear_tiny, just_cleared};
use crate::numeric::memory::{bytes_of, refill};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CellRun, CompiledNetwork};
use crate::simulate::delays::{Delayed, Rows};
use crate::simulate::packed::{PartWriter, RowWriter};
use crate::simulate::scatter::{ScatterItem, scatter};

/// The state between two steps, in either layout.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried<F: Scalar> {
    /// The first state variable of each cell, to which its input is added (see [`crate::neuron`]).
    pub integrator: Vec<Block<F>>,
    /// Its others.
    pub further: Further<F>,
    /// The κ-filtered readout without bias.
    pub readout: Vec<Block<F>>,
}

impl<F: Scalar> Carried<F> {
    /// Zeros: blocks of cells, lists of their variables beyond the first, blocks of the readout.
    ///
    /// # Errors
    /// [`Error::Memory`] when they cannot be allocated.
    pub fn reset(&mut self, cells: usize, further: usize, outputs: usize, what: &str) -> Result<()> {
        refill(&mut self.integrator, cells, what)?;
        self.further.reset(further, cells, what)?;
        refill(&mut self.readout, outputs, what)
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.integrator) + self.further.bytes() + bytes_of(&self.readout)
    }

    #[inline(always)]
    pub fn clear_tiny<L: Lanes<Scalar = F>>(&mut self, step: usize) {
        if !just_cleared(step) {
            return;
        }
        clear_tiny::<L>(step, &mut self.integrator);
        self.further.clear_tiny::<L>(step);
        clear_tiny::<L>(step, &mut self.readout);
    }

    /// The values of a cell's state variable by its place among those of its model.
    pub fn variable(&self, place: usize) -> &[Block<F>] {
        match place.checked_sub(1) {
            None => &self.integrator,
            Some(i) => &self.further.lists()[i],
        }
    }

    /// The same, mutably.
    pub fn variable_mut(&mut self, place: usize) -> &mut [Block<F>] {
        match place.checked_sub(1) {
            None => &mut self.integrator,
            Some(i) => &mut self.further.lists_mut()[i],
        }
    }
}

/// State of a network in one block of trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkState<F: Scalar> {
    pub carried: Carried<F>,
    refractory: Vec<Mask>,
    /// Spikes of the current step; one entry more than there are cells.
    spiking: Vec<Entry>,
    scattering: Vec<ScatterItem>,
    /// Spikes of each step, at least of those that the next one reads.
    pub spikes: EntryLists,
    /// z of the rate units in each step, of as many steps.
    pub values: Rows<F>,
    pub probe: Probe,
}

/// A state between two steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot<F: Scalar> {
    carried: Carried<F>,
    refractory: Vec<Mask>,
}

impl<F: Scalar> Snapshot<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.carried.bytes() + bytes_of(&self.refractory)
    }
}

impl<F: Scalar> NetworkState<F> {
    /// All zero, as every trial starts.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when so many neurons cannot be allocated.
    pub fn reset(&mut self, network: &CompiledNetwork<F>) -> Result<()> {
        let what = "the state of a block of trials";
        self.carried.reset(network.size(), network.further, network.outputs(), what)?;
        self.refractory.clear();
        self.refractory.resize(network.size(), 0);
        self.spiking.resize(network.size() + 1, Entry::default());
        self.spikes.clear();
        self.values.clear(network.rate_units.len());
        Ok(())
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.carried.bytes() + bytes_of(&self.refractory) + self.spikes.bytes() + self.values.bytes()
    }

    /// The state for a later [`Self::restore`], the spikes aside.
    pub fn snapshot(&self) -> Snapshot<F> {
        Snapshot { carried: self.carried.clone(), refractory: self.refractory.clone() }
    }

    /// The state before a step, from its snapshot and the values sent in all steps.
    pub fn restore(
        &mut self,
        network: &CompiledNetwork<F>,
        snapshot: &Snapshot<F>,
        sent: &Self,
        step: usize,
    ) {
        self.carried.clone_from(&snapshot.carried);
        self.refractory.clone_from(&snapshot.refractory);
        self.spiking.resize(network.size() + 1, Entry::default());
        let before = step.saturating_sub(network.looks_back())..step;
        self.spikes.copy_steps(&sent.spikes, before.clone());
        self.values.copy_steps(&sent.values, before);
    }

    /// Writes the same into an existing snapshot.
    pub fn snapshot_into(&self, snapshot: &mut Snapshot<F>) {
        snapshot.carried.clone_from(&self.carried);
        snapshot.refractory.clone_from(&self.refractory);
    }

    /// Undoes the last step, from the snapshot before it; there are no rate units.
    pub fn take_back(&mut self, snapshot: &Snapshot<F>) {
        self.carried.clone_from(&snapshot.carried);
        self.refractory.clone_from(&snapshot.refractory);
        self.spikes.take_back();
    }

    /// Before a step: for how many further steps each cell of a lane is blocked.
    pub fn blocked(&self, network: &CompiledNetwork<F>, lane: usize, step: usize) -> Vec<u32> {
        let mut blocked = vec![0; network.size()];
        for back in 0..network.longest_period().min(step) {
            let spiked = self.spikes.at(step - 1 - back).iter();
            for entry in spiked.filter(|entry| entry.mask >> lane & 1 == 1) {
                let unit = entry.unit as usize;
                let left = network.refractory[unit].saturating_sub(back as u32);
                blocked[unit] = left.max(blocked[unit]);
            }
        }
        blocked
    }

    /// Before a step: the spikes of a lane that a delay has not delivered yet, those of the last step aside, as (steps
    /// before the last one, neuron).
    pub fn in_transit(&self, network: &CompiledNetwork<F>, lane: usize, step: usize) -> Vec<[u32; 2]> {
        let back = 1..network.longest_delay().min(step);
        let at = |back: usize| {
            let spiked = self.spikes.at(step - 1 - back).iter();
            let spiked = spiked.filter(move |entry| entry.mask >> lane & 1 == 1);
            spiked.map(move |entry| [back as u32, entry.unit])
        };
        back.flat_map(at).collect()
    }

    /// The past spikes that the steps from one on read, in the first lane: from those of the last step, from
    /// [`Self::in_transit`], and those that only refractory periods read from [`Self::blocked`].
    pub fn resume(
        &mut self,
        network: &CompiledNetwork<F>,
        step: usize,
        spikes: &[u32],
        blocked: &[u32],
        in_transit: &[[u32; 2]],
    ) {
        let cells = || (0u32..).zip(blocked.iter().zip(&network.refractory));
        let first = step.saturating_sub(network.looks_back());
        let entry = |unit| Entry { unit, mask: 1, count: 1 };
        self.spikes.clear();
        self.spikes.begin_at(first);
        for back in (1..step - first).rev() {
            if back < network.longest_delay() {
                let then = in_transit.iter().filter(|&&[before, _]| before as usize == back);
                then.for_each(|&[_, unit]| self.spikes.push(entry(unit)));
            } else {
                let then =
                    cells().filter(|&(_, (&left, &period))| left > 0 && (period - left) as usize == back);
                then.for_each(|(unit, _)| self.spikes.push(entry(unit)));
            }
            self.spikes.end_step();
        }
        if step > 0 {
            spikes.iter().for_each(|&unit| self.spikes.push(entry(unit)));
            self.spikes.end_step();
        }
        for (mask, &left) in self.refractory.iter_mut().zip(blocked) {
            *mask = Mask::from(left > 0);
        }
    }

    /// Blocks the cells that spiked in the last step, frees those whose period is over. (Lanes that have ended are blocked
    /// anew in each step.)
    #[inline(always)]
    pub fn advance_refractory(&mut self, network: &CompiledNetwork<F>, step: usize) {
        if step == 0 {
            return;
        }
        for entry in self.spikes.at(step - 1) {
            if network.refractory[entry.unit as usize] > 0 {
                self.refractory[entry.unit as usize] |= entry.mask;
            }
        }
        for &period in &network.periods {
            let Some(fired) = (step - 1).checked_sub(period as usize) else { continue };
            for entry in self.spikes.at(fired) {
                if network.refractory[entry.unit as usize] == period {
                    self.refractory[entry.unit as usize] &= !entry.mask;
                }
            }
        }
    }
}

/// Adds each unit's value times its weights.
#[inline(always)]
fn scatter_values<L: Lanes>(
    units: &[u32],
    values: &[Block<L::Scalar>],
    csr: &Csr<L::Scalar>,
    to: &mut [Block<L::Scalar>],
) {
    for (&unit, value) in units.iter().zip(values) {
        let value = L::load(value);
        for &(post, weight) in csr.of(unit as usize) {
            let to = &mut to[post as usize];
            value.mul_add(L::splat(weight), L::load(to)).store(to);
        }
    }
}

/// Receives the pseudo-derivatives of a step, cell after cell.
pub(crate) trait Psi<'a, F: Scalar> {
    /// Whether those of all cells are needed, always.
    const OF_ALL: bool = false;
    /// Whether any are needed.
    fn is_needed(&self) -> bool {
        true
    }
    /// The cells by runs, some of them not needed; without runs all are.
    fn runs(&self) -> Option<&'a [CellRun<F>]> {
        None
    }
    /// Destination of some neighbouring cells.
    type Part<'p>
    where
        Self: 'p;
    /// The next cells, those of a run.
    fn part(&mut self, cells: Range<usize>) -> Self::Part<'_>;
    /// Writes ψ of cell i of a part; one after another.
    fn put<L: Lanes<Scalar = F>>(part: &mut Self::Part<'_>, i: usize, psi: L);
    /// Amount that a part has written, for [`Self::end_part`].
    fn written(_: Self::Part<'_>) -> usize {
        0
    }
    /// Ends a part of so many cells.
    fn end_part(&mut self, _cells: usize, _written: usize) {}
    /// So many cells that are not needed.
    fn skip(&mut self, _: usize) {}
}

/// Discards them: those of a run are not needed.
struct NoPsi;

impl<F: Scalar> Psi<'_, F> for NoPsi {
    type Part<'p> = ();
    #[inline(always)]
    fn part(&mut self, _: Range<usize>) {}
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>((): &mut (), _: usize, _: L) {}
}

/// One block per cell.
impl<F: Scalar> Psi<'_, F> for &mut [Block<F>] {
    const OF_ALL: bool = true;
    type Part<'p>
        = &'p mut [Block<F>]
    where
        Self: 'p;
    #[inline(always)]
    fn part(&mut self, cells: Range<usize>) -> &mut [Block<F>] {
        &mut self[cells]
    }
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>(part: &mut &mut [Block<F>], i: usize, psi: L) {
        psi.store(&mut part[i]);
    }
}

/// Packed.
pub(crate) struct PackedPsi<'w, 'a, F: Scalar> {
    pub row: RowWriter<'w, F>,
    pub runs: &'a [CellRun<F>],
}

impl<'a, F: Scalar> PackedPsi<'_, 'a, F> {
    /// Without a row: none are needed.
    pub fn none(runs: &'a [CellRun<F>]) -> Self {
        Self { row: RowWriter::default(), runs }
    }
}

impl<'a, F: Scalar> Psi<'a, F> for PackedPsi<'_, 'a, F> {
    #[inline(always)]
    fn is_needed(&self) -> bool {
        self.row.columns() > 0
    }
    #[inline(always)]
    fn runs(&self) -> Option<&'a [CellRun<F>]> {
        Some(self.runs)
    }
    type Part<'p>
        = PartWriter<'p, F>
    where
        Self: 'p;
    #[inline(always)]
    fn part(&mut self, cells: Range<usize>) -> PartWriter<'_, F> {
        self.row.part(cells.len())
    }
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>(part: &mut PartWriter<'_, F>, i: usize, psi: L) {
        part.push(i, psi);
    }
    #[inline(always)]
    fn written(part: PartWriter<'_, F>) -> usize {
        part.written()
    }
    #[inline(always)]
    fn end_part(&mut self, cells: usize, written: usize) {
        self.row.end_part(cells, written);
    }
    #[inline(always)]
    fn skip(&mut self, cells: usize) {
        if self.is_needed() {
            self.row.skip(cells);
        }
    }
}

/// Destination of one step's results.
pub(crate) struct Row<'a, F: Scalar> {
    /// Readout of each unit, with bias.
    pub readout: &'a mut [Block<F>],
    /// Membrane of each neuron, if recorded.
    pub voltage: Option<&'a mut [Block<F>]>,
    /// One value per column, if some are recorded.
    pub chosen: Option<RecordedColumns<'a, F>>,
}

/// Columns, and a step's value of each.
pub(crate) type RecordedColumns<'a, F> = (&'a [Column<F>], &'a mut [Block<F>]);

/// A variable of a neuron that is recorded in each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<F> {
    pub cell: u32,
    pub variable: CellVariable,
    /// Factor of the recorded value: the state holds (1−α) c, not c.
    pub scale: F,
}

/// A step of a block of trials: network, input, time, and the trials that are over.
#[derive(Clone, Copy)]
pub(crate) struct BlockStep<'a, F: Scalar> {
    pub network: &'a CompiledNetwork<F>,
    pub input: &'a BlockInput<F>,
    pub step: usize,
    pub ended_lanes: Mask,
}

/// One step of a whole network in one block of trials; spikes are appended to the state.
#[inline(always)]
pub(crate) fn step<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    block_step: BlockStep<'a, L::Scalar>,
    state: &mut NetworkState<L::Scalar>,
    psi: &mut P,
    mut row: Row<'_, L::Scalar>,
) {
    let BlockStep { network, input, step, ended_lanes } = block_step;
    state.probe.step();
    state.carried.clear_tiny::<L>(step);
    state.advance_refractory(network, step);
    state.probe.lap(Section::NeuronUpdate);
    let work = &mut state.scattering;
    scatter::<L>(input.events.at(step), &network.input_chunks, work, &mut state.carried.integrator);
    let (units, values) = input.analogue_at(step);
    scatter_values::<L>(units, values, &network.input, &mut state.carried.integrator);
    for late in &network.late_input {
        if let Some(sent) = step.checked_sub(late.input_lag()) {
            scatter::<L>(input.events.at(sent), &late.chunks, work, &mut state.carried.integrator);
            let (units, values) = input.analogue_at(sent);
            scatter_values::<L>(units, values, &late.csr, &mut state.carried.integrator);
        }
    }
    state.probe.lap(Section::InputScatter);
    for Delayed { delay, chunks, csr } in &network.recurrent {
        if let Some(sent) = step.checked_sub(*delay) {
            scatter::<L>(state.spikes.at(sent), chunks, work, &mut state.carried.integrator);
            scatter_values::<L>(
                &network.rate_units,
                state.values.at(sent),
                csr,
                &mut state.carried.integrator,
            );
        }
    }
    state.probe.lap(Section::RecurrentScatter);
    if let Some(voltage) = row.voltage.as_mut() {
        record_voltage::<L>(&network.runs, state, voltage);
    }
    if let Some((columns, values)) = row.chosen.as_mut() {
        L::call(RecordColumns { cells: &network.cells, state, columns, values });
    }
    update_neurons::<L, P>(psi.runs().unwrap_or(&network.runs), state, ended_lanes, psi);
    state.probe.lap(Section::NeuronUpdate);
    update_readout::<L>(network, state, step, row.readout);
    state.probe.lap(Section::Readout);
}

#[inline(always)]
pub(crate) fn update_neurons<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    runs: &[CellRun<L::Scalar>],
    state: &mut NetworkState<L::Scalar>,
    ended_lanes: Mask,
    psi: &mut P,
) {
    let found = L::call(UpdateRuns { runs, state: &mut *state, ended_lanes, psi });
    state.spikes.push_step(&state.spiking[..found]);
}

/// One step of all cells, compiled once for all passes: it includes every model.
struct UpdateRuns<'s, F: Scalar, P> {
    runs: &'s [CellRun<F>],
    state: &'s mut NetworkState<F>,
    ended_lanes: Mask,
    psi: &'s mut P,
}

impl<'a, F: Scalar, P: Psi<'a, F>> SimdKernel<F> for UpdateRuns<'_, F, P> {
    /// The number of cells found spiking.
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> usize {
        let Self { runs, state, ended_lanes, psi } = self;
        let mut found = 0;
        if ended_lanes != 0 {
            state.refractory.iter_mut().for_each(|mask| *mask |= ended_lanes);
        }
        for run in runs {
            if P::OF_ALL || run.needs_psi && psi.is_needed() {
                found = update_run::<L, P>(run, state, psi, found);
            } else {
                found = update_run::<L, NoPsi>(run, state, &mut NoPsi, found);
                psi.skip((run.end - run.first) as usize);
            }
        }
        found
    }
}

/// One step of neighbours with the same constants; the number of cells found spiking so far.
#[inline(always)]
fn update_run<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    run: &CellRun<L::Scalar>,
    state: &mut NetworkState<L::Scalar>,
    psi: &mut P,
    found: usize,
) -> usize {
    for_model!(run.dynamics, model => {
        let model = model.map::<Splat<L>>();
        // Hoisted out of the loop over cells.
        match model.is_usual() {
            true => update_cells(run, model.usual(), state, psi, found),
            false => update_cells(run, model, state, psi, found),
        }
    })
}

#[inline(always)]
fn update_cells<'a, L: Lanes, P: Psi<'a, L::Scalar>, M: Step<L>>(
    run: &CellRun<L::Scalar>,
    model: M,
    state: &mut NetworkState<L::Scalar>,
    psi: &mut P,
    found: usize,
) -> usize {
    let cells = run.first as usize..run.end as usize;
    let count = cells.len();
    // One entry more than there are cells; none is checked in the loop.
    let spiking = &mut state.spiking[found..][..=count];
    let refractory = &state.refractory[cells.clone()][..count];
    let integrator = &mut state.carried.integrator[cells.clone()][..count];
    let mut further = state.carried.further.slices_of(cells.clone(), M::Variables::COUNT);
    let mut part = psi.part(cells.clone());
    let mut own = 0;
    for i in 0..count {
        let variables = M::Variables::load(L::load(&integrator[i]), &further, i);
        let stepped = model.step(variables, L::Mask::from_bits(refractory[i]));
        P::put(&mut part, i, stepped.psi);
        if M::SENDS_VALUES {
            let mut value = Block::ZERO;
            stepped.value.store(&mut value);
            state.values.push(value);
        }
        stepped.state.integrator().store(&mut integrator[i]);
        stepped.state.store(&mut further, i);
        if !M::SENDS_VALUES {
            let mask = stepped.spikes.bits();
            spiking[own] = Entry { unit: (cells.start + i) as u32, mask, count: 1 };
            // No branch: whether any of sixteen trials spikes is unpredictable.
            own += usize::from(mask != 0);
        }
    }
    let written = P::written(part);
    psi.end_part(count, written);
    found + own
}

/// v of every cell, from the state with this step's input.
#[inline(always)]
fn record_voltage<L: Lanes>(
    runs: &[CellRun<L::Scalar>],
    state: &mut NetworkState<L::Scalar>,
    voltage: &mut [Block<L::Scalar>],
) {
    for run in runs {
        let cells = run.first as usize..run.end as usize;
        let integrator = &state.carried.integrator[cells.clone()];
        let further = state.carried.further.slices(cells.clone());
        for_model!(run.dynamics, model => {
            let model = model.map::<Splat<L>>();
            for (i, (voltage, integrator)) in voltage[cells].iter_mut().zip(integrator).enumerate() {
                let variables = Variables::load(L::load(integrator), &further, i);
                model.voltage(variables).store(voltage);
            }
        });
    }
}

/// Records chosen variables from the state with this step's input; compiled once for all passes.
struct RecordColumns<'s, F: Scalar> {
    cells: &'s [Dynamics<F>],
    state: &'s mut NetworkState<F>,
    columns: &'s [Column<F>],
    values: &'s mut [Block<F>],
}

impl<F: Scalar> SimdKernel<F> for RecordColumns<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let Self { cells, state, columns, values } = self;
        for (column, value) in columns.iter().zip(values) {
            let cell = column.cell as usize;
            let own = &cells[cell];
            let blocked = L::Mask::from_bits(state.refractory[cell]);
            let integrator = L::load(&state.carried.integrator[cell]);
            let adaptation = own.variables().iter().position(|&name| name == ADAPTATION);
            let adaptation =
                adaptation.map_or(L::splat(F::ZERO), |place| L::load(&state.carried.variable(place)[cell]));
            let further = state.carried.further.slices(cell..cell + 1);
            for_model!(own, model => {
                let model = model.map::<Splat<L>>();
                let variables = Variables::load(integrator, &further, 0);
                let found = match column.variable {
                    CellVariable::Spikes => {
                        let spikes = model.step(variables, blocked).spikes;
                        L::splat(F::ZERO).select(spikes, L::splat(F::ONE))
                    }
                    CellVariable::Activity => model.step(variables, blocked).value,
                    CellVariable::Psi => model.step(variables, blocked).psi,
                    CellVariable::Voltage => model.voltage(variables),
                    CellVariable::Threshold => model.effective_threshold(variables),
                    CellVariable::Adaptation => adaptation,
                    CellVariable::Current => integrator.mul(L::splat(column.scale)),
                };
                found.store(value);
            });
        }
    }
}

#[inline(always)]
pub(crate) fn update_readout<L: Lanes>(
    network: &CompiledNetwork<L::Scalar>,
    state: &mut NetworkState<L::Scalar>,
    step: usize,
    out: &mut [Block<L::Scalar>],
) {
    let spikes = state.spikes.at(step);
    for (k, (y, &kappa)) in state.carried.readout.iter_mut().zip(&network.kappa).enumerate() {
        let mut sum = L::load(y).mul(L::splat(kappa));
        if let Some(weights) = network.dense_readout.as_ref().map(|dense| dense.row(k)) {
            // The sum of one unit stays in a register.
            for entry in spikes {
                sum = sum.add_where(entry.mask, L::splat(weights[entry.unit as usize]));
            }
        }
        sum.store(y);
    }
    if network.dense_readout.is_none() {
        for &Entry { unit, mask, .. } in spikes {
            for &(k, weight) in network.readout.of(unit as usize) {
                let y = &mut state.carried.readout[k as usize];
                L::load(y).add_where(mask, L::splat(weight)).store(y);
            }
        }
    }
    let values = state.values.at(step);
    scatter_values::<L>(&network.rate_units, values, &network.readout, &mut state.carried.readout);
    for ((out, y), &bias) in out.iter_mut().zip(&state.carried.readout).zip(&network.bias) {
        L::load(y).add(L::splat(bias)).store(out);
    }
}
