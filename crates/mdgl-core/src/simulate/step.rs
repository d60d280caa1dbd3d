//! One step of a network in one block of trials: input and weights → spikes, ψ, readout.

use crate::batch::encode::{BlockInput, Entry, EntryLists};
use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::neuron::constants::Splat;
use crate::neuron::equations::{Described, Step, Variables};
use crate::neuron::for_model;
use crate::neuron::storage::Further;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, Kernel, Lanes, Mask, clear_tiny};
use crate::numeric::memory::{bytes_of, refill};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CompiledNetwork, Run};
use crate::simulate::delays::{Delayed, Rows};
use crate::simulate::packed::RowWriter;
use crate::simulate::scatter::{Work, scatter};

/// The numbers that a step leaves to the next one, in either layout.
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
    /// [`Error::Memory`] when there is no room for them.
    pub fn reset(&mut self, cells: usize, further: usize, outputs: usize, what: &str) -> Result<()> {
        refill(&mut self.integrator, cells, what)?;
        self.further.reset(further, cells, what)?;
        refill(&mut self.readout, outputs, what)
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.integrator) + self.further.bytes() + bytes_of(&self.readout)
    }

    #[inline(always)]
    pub fn clear_tiny<L: Lanes<Scalar = F>>(&mut self, step: usize) {
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

    /// The same, to be changed.
    pub fn variable_mut(&mut self, place: usize) -> &mut [Block<F>] {
        match place.checked_sub(1) {
            None => &mut self.integrator,
            Some(i) => &mut self.further.lists_mut()[i],
        }
    }
}

/// What changes from step to step in one block of trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<F: Scalar> {
    pub carried: Carried<F>,
    refractory: Vec<Mask>,
    /// Spikes of the step at hand; one entry more than there are cells.
    spiking: Vec<Entry>,
    scattering: Vec<Work>,
    /// Spikes of each step, at least of those that the next one looks back on.
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
    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.carried.bytes() + bytes_of(&self.refractory)
    }
}

impl<F: Scalar> State<F> {
    /// All zero, as every trial starts.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when there is no room for so many neurons.
    pub fn reset(&mut self, circuit: &CompiledNetwork<F>) -> Result<()> {
        let what = "the state of a block of trials";
        self.carried.reset(circuit.size(), circuit.further, circuit.outputs(), what)?;
        self.refractory.clear();
        self.refractory.resize(circuit.size(), 0);
        self.spiking.resize(circuit.size() + 1, Entry::default());
        self.spikes.clear();
        self.values.clear(circuit.rate_units.len());
        Ok(())
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.carried.bytes() + bytes_of(&self.refractory) + self.spikes.bytes() + self.values.bytes()
    }

    /// What a later [`Self::restore`] needs, the spikes aside.
    pub fn snapshot(&self) -> Snapshot<F> {
        Snapshot { carried: self.carried.clone(), refractory: self.refractory.clone() }
    }

    /// The state before a step, from its snapshot and what all steps sent.
    pub fn restore(
        &mut self,
        circuit: &CompiledNetwork<F>,
        snapshot: &Snapshot<F>,
        sent: &Self,
        step: usize,
    ) {
        self.carried.clone_from(&snapshot.carried);
        self.refractory.clone_from(&snapshot.refractory);
        self.spiking.resize(circuit.size() + 1, Entry::default());
        let before = step.saturating_sub(circuit.looks_back())..step;
        self.spikes.copy_steps(&sent.spikes, before.clone());
        self.values.copy_steps(&sent.values, before);
    }

    /// The same into a snapshot that there is.
    pub fn snapshot_into(&self, snapshot: &mut Snapshot<F>) {
        snapshot.carried.clone_from(&self.carried);
        snapshot.refractory.clone_from(&self.refractory);
    }

    /// Takes the last step back, from the snapshot before it; there are no rate units.
    pub fn take_back(&mut self, snapshot: &Snapshot<F>) {
        self.carried.clone_from(&snapshot.carried);
        self.refractory.clone_from(&snapshot.refractory);
        self.spikes.take_back();
    }

    /// Before a step: for how many steps to come each cell of a lane is blocked.
    pub fn blocked(&self, circuit: &CompiledNetwork<F>, lane: usize, step: usize) -> Vec<u32> {
        let mut blocked = vec![0; circuit.size()];
        for back in 0..circuit.longest_period().min(step) {
            let spiked = self.spikes.at(step - 1 - back).iter();
            for entry in spiked.filter(|entry| entry.mask >> lane & 1 == 1) {
                let unit = entry.unit as usize;
                let left = circuit.refractory[unit].saturating_sub(back as u32);
                blocked[unit] = left.max(blocked[unit]);
            }
        }
        blocked
    }

    /// Before a step: the spikes of a lane that a delay has still to deliver, those of the last step aside, as (steps before
    /// the last one, neuron).
    pub fn in_transit(&self, circuit: &CompiledNetwork<F>, lane: usize, step: usize) -> Vec<[u32; 2]> {
        let back = 1..circuit.longest_delay().min(step);
        let at = |back: usize| {
            let spiked = self.spikes.at(step - 1 - back).iter();
            let spiked = spiked.filter(move |entry| entry.mask >> lane & 1 == 1);
            spiked.map(move |entry| [back as u32, entry.unit])
        };
        back.flat_map(at).collect()
    }

    /// The spikes that the steps from one on look back on, in the first lane: from those of the last step, from
    /// [`Self::in_transit`], and as far as only refractory periods look back from [`Self::blocked`].
    pub fn resume(
        &mut self,
        circuit: &CompiledNetwork<F>,
        step: usize,
        spikes: &[u32],
        blocked: &[u32],
        in_transit: &[[u32; 2]],
    ) {
        let cells = || (0u32..).zip(blocked.iter().zip(&circuit.refractory));
        let first = step.saturating_sub(circuit.looks_back());
        let entry = |unit| Entry { unit, mask: 1, count: 1 };
        self.spikes.clear();
        self.spikes.begin_at(first);
        for back in (1..step - first).rev() {
            if back < circuit.longest_delay() {
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

    /// Blocks the cells that spiked in the last step, frees those whose period is over.
    #[inline(always)]
    pub fn advance_refractory(&mut self, circuit: &CompiledNetwork<F>, step: usize) {
        if step == 0 {
            return;
        }
        for entry in self.spikes.at(step - 1) {
            if circuit.refractory[entry.unit as usize] > 0 {
                self.refractory[entry.unit as usize] |= entry.mask;
            }
        }
        for &period in &circuit.periods {
            let Some(over) = (step - 1).checked_sub(period as usize) else { continue };
            for entry in self.spikes.at(over) {
                if circuit.refractory[entry.unit as usize] == period {
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
    fan: &Csr<L::Scalar>,
    to: &mut [Block<L::Scalar>],
) {
    for (&unit, value) in units.iter().zip(values) {
        let value = L::load(value);
        for &(post, weight) in fan.of(unit as usize) {
            let to = &mut to[post as usize];
            value.mul_add(L::splat(weight), L::load(to)).store(to);
        }
    }
}

/// Takes the pseudo-derivatives of a step, cell after cell.
pub(crate) trait Psi<'a, F: Scalar> {
    /// The cells by runs, some of them not wanted; all are, where there are none.
    fn runs(&self) -> Option<&'a [Run<F>]> {
        None
    }
    /// Of the next cell.
    fn put<L: Lanes<Scalar = F>>(&mut self, unit: usize, psi: L);
    /// So many cells that are not wanted.
    fn skip(&mut self, _: usize) {}
}

/// Nobody wants them.
pub(crate) struct Unwanted;

impl<F: Scalar> Psi<'_, F> for Unwanted {
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>(&mut self, _: usize, _: L) {}
}

/// One block a cell.
impl<F: Scalar> Psi<'_, F> for &mut [Block<F>] {
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>(&mut self, unit: usize, psi: L) {
        psi.store(&mut self[unit]);
    }
}

/// Packed.
pub(crate) struct PackedPsi<'w, 'a, F: Scalar> {
    pub row: RowWriter<'w, F>,
    pub runs: &'a [Run<F>],
}

impl<'a, F: Scalar> Psi<'a, F> for PackedPsi<'_, 'a, F> {
    #[inline(always)]
    fn runs(&self) -> Option<&'a [Run<F>]> {
        Some(self.runs)
    }
    #[inline(always)]
    fn put<L: Lanes<Scalar = F>>(&mut self, _: usize, psi: L) {
        self.row.push(psi);
    }
    #[inline(always)]
    fn skip(&mut self, cells: usize) {
        self.row.skip(cells);
    }
}

/// Where one step's results go.
pub(crate) struct Row<'a, F: Scalar> {
    /// Readout of each unit, with bias.
    pub readout: &'a mut [Block<F>],
    /// Membrane of each neuron, if wanted.
    pub voltage: Option<&'a mut [Block<F>]>,
}

/// One step of a whole network in one block of trials; spikes are appended to the state.
#[inline(always)]
pub(crate) fn step<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    circuit: &'a CompiledNetwork<L::Scalar>,
    input: &BlockInput<L::Scalar>,
    state: &mut State<L::Scalar>,
    step: usize,
    over: Mask,
    psi: &mut P,
    mut row: Row<'_, L::Scalar>,
) {
    state.probe.step();
    state.carried.clear_tiny::<L>(step);
    state.advance_refractory(circuit, step);
    state.probe.lap(Section::NeuronUpdate);
    let work = &mut state.scattering;
    scatter::<L>(input.events.at(step), &circuit.input_chunks, work, &mut state.carried.integrator);
    let values = input.analogue_at(step);
    scatter_values::<L>(&input.analogue_units, values, &circuit.input, &mut state.carried.integrator);
    state.probe.lap(Section::InputScatter);
    for Delayed { delay, chunks, fan } in &circuit.recurrent {
        if let Some(sent) = step.checked_sub(*delay) {
            scatter::<L>(state.spikes.at(sent), chunks, work, &mut state.carried.integrator);
            scatter_values::<L>(
                &circuit.rate_units,
                state.values.at(sent),
                fan,
                &mut state.carried.integrator,
            );
        }
    }
    state.probe.lap(Section::RecurrentScatter);
    if let Some(voltage) = row.voltage.as_mut() {
        record_voltage::<L>(&circuit.runs, state, voltage);
    }
    update_neurons::<L, P>(psi.runs().unwrap_or(&circuit.runs), state, over, psi);
    state.probe.lap(Section::NeuronUpdate);
    update_readout::<L>(circuit, state, step, row.readout);
    state.probe.lap(Section::Readout);
}

#[inline(always)]
pub(crate) fn update_neurons<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    runs: &[Run<L::Scalar>],
    state: &mut State<L::Scalar>,
    over: Mask,
    psi: &mut P,
) {
    let found = L::call(UpdateRuns { runs, state: &mut *state, over, psi });
    state.spikes.push_step(&state.spiking[..found]);
}

/// One step of all cells, compiled once for all passes: it has every model.
struct UpdateRuns<'s, F: Scalar, P> {
    runs: &'s [Run<F>],
    state: &'s mut State<F>,
    over: Mask,
    psi: &'s mut P,
}

impl<'a, F: Scalar, P: Psi<'a, F>> Kernel<F> for UpdateRuns<'_, F, P> {
    /// The number of cells found spiking.
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> usize {
        let Self { runs, state, over, psi } = self;
        let mut found = 0;
        for run in runs {
            if run.wanted {
                found = update_run::<L, P>(run, state, over, psi, found);
            } else {
                found = update_run::<L, Unwanted>(run, state, over, &mut Unwanted, found);
                psi.skip((run.end - run.first) as usize);
            }
        }
        found
    }
}

/// One step of neighbours with the same constants; the number of cells found spiking so far.
#[inline(always)]
fn update_run<'a, L: Lanes, P: Psi<'a, L::Scalar>>(
    run: &Run<L::Scalar>,
    state: &mut State<L::Scalar>,
    over: Mask,
    psi: &mut P,
    found: usize,
) -> usize {
    for_model!(run.dynamics, model => {
        let model = model.map::<Splat<L>>();
        // What no cell of the loop needs to ask.
        match model.is_usual() {
            true => update_cells(run, model.usual(), state, over, psi, found),
            false => update_cells(run, model, state, over, psi, found),
        }
    })
}

#[inline(always)]
fn update_cells<'a, L: Lanes, P: Psi<'a, L::Scalar>, M: Step<L>>(
    run: &Run<L::Scalar>,
    model: M,
    state: &mut State<L::Scalar>,
    over: Mask,
    psi: &mut P,
    mut found: usize,
) -> usize {
    let spiking = &mut state.spiking[..];
    let cells = run.first as usize..run.end as usize;
    let refractory = &state.refractory[cells.clone()];
    let integrator = &mut state.carried.integrator[cells.clone()];
    let mut further = state.carried.further.slices(cells.clone());
    for list in &mut further[..M::Variables::COUNT - 1] {
        assert_eq!(list.len(), integrator.len(), "a list for each variable");
    }
    for (i, (unit, (integrator, &refractory))) in cells.zip(integrator.iter_mut().zip(refractory)).enumerate()
    {
        let variables = M::Variables::load(L::load(integrator), &further, i);
        let stepped = model.step(variables, refractory | over);
        psi.put(unit, stepped.psi);
        if M::SENDS_VALUES {
            let mut value = Block::ZERO;
            stepped.value.store(&mut value);
            state.values.push(value);
        }
        stepped.state.integrator().store(integrator);
        stepped.state.store(&mut further, i);
        if !M::SENDS_VALUES {
            spiking[found] = Entry { unit: unit as u32, mask: stepped.spikes, count: 1 };
            // No branch: whether any of sixteen trials spikes is as good as random.
            found += usize::from(stepped.spikes != 0);
        }
    }
    found
}

/// v of every cell, from the state with this step's input.
#[inline(always)]
fn record_voltage<L: Lanes>(
    runs: &[Run<L::Scalar>],
    state: &mut State<L::Scalar>,
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

#[inline(always)]
pub(crate) fn update_readout<L: Lanes>(
    circuit: &CompiledNetwork<L::Scalar>,
    state: &mut State<L::Scalar>,
    step: usize,
    out: &mut [Block<L::Scalar>],
) {
    let spikes = state.spikes.at(step);
    for (k, (y, &kappa)) in state.carried.readout.iter_mut().zip(&circuit.kappa).enumerate() {
        let mut sum = L::load(y).mul(L::splat(kappa));
        if let Some(weights) = circuit.dense_readout.as_ref().map(|dense| dense.row(k)) {
            // The sum of one unit stays in a register.
            for entry in spikes {
                sum = sum.add_where(entry.mask, L::splat(weights[entry.unit as usize]));
            }
        }
        sum.store(y);
    }
    if circuit.dense_readout.is_none() {
        for &Entry { unit, mask, .. } in spikes {
            for &(k, weight) in circuit.readout.of(unit as usize) {
                let y = &mut state.carried.readout[k as usize];
                L::load(y).add_where(mask, L::splat(weight)).store(y);
            }
        }
    }
    let values = state.values.at(step);
    scatter_values::<L>(&circuit.rate_units, values, &circuit.readout, &mut state.carried.readout);
    for ((out, y), &bias) in out.iter_mut().zip(&state.carried.readout).zip(&circuit.bias) {
        L::load(y).add(L::splat(bias)).store(out);
    }
}
