//! Simulation of one block of trials: input and weights → spikes, ψ, readout.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::circuit::{Circuit, Fan, ended};
use crate::encode::{BlockInput, Entry, EntryLists};
use crate::error::{Error, Result};
use crate::lanes::{Block, Kernel, LANES, Lanes, Mask, clear_tiny};
use crate::memory::{product, resize};
use crate::neuron;
use crate::real::Real;

/// Steps between two looks at the caller's wish to stop.
const LOOK_EVERY: usize = 64;

/// Fails when the caller wishes to stop; looks every so many steps.
#[inline(always)]
pub(crate) fn check_cancelled(step: usize, cancel: &AtomicBool) -> Result<()> {
    if step.is_multiple_of(LOOK_EVERY) && cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}

/// What changes from step to step in one block of trials.
#[derive(Debug, Default)]
pub(crate) struct State<F: Real> {
    /// α v − thr z between steps (see [`neuron`]).
    membrane: Vec<Block<F>>,
    adaptation: Vec<Block<F>>,
    /// The κ-filtered readout without bias.
    readout: Vec<Block<F>>,
    refractory: Vec<Mask>,
    /// Spikes of each step, at least of the last refractory period.
    pub spikes: EntryLists,
}

impl<F: Real> State<F> {
    /// All zero, as every trial starts.
    pub fn reset(&mut self, circuit: &Circuit<F>) {
        refill(&mut self.membrane, circuit.size());
        refill(&mut self.adaptation, circuit.size());
        refill(&mut self.readout, circuit.outputs());
        self.refractory.clear();
        self.refractory.resize(circuit.size(), 0);
        self.spikes.clear();
    }

    /// Blocks the cells that spiked in the last step, frees those whose period is over.
    #[inline(always)]
    fn advance_refractory(&mut self, circuit: &Circuit<F>, step: usize) {
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

/// Makes a buffer hold so many zeros, without giving memory back.
pub(crate) fn refill<F: Real>(buffer: &mut Vec<Block<F>>, len: usize) {
    buffer.clear();
    buffer.resize(len, Block::ZERO);
}

/// Adds each entry's weight to its targets, in the entry's lanes.
#[inline(always)]
fn scatter<L: Lanes>(entries: &[Entry], fan: &Fan<L::Scalar>, to: &mut [Block<L::Scalar>]) {
    for entry in entries {
        for &(post, weight) in fan.of(entry.unit as usize) {
            let to = &mut to[post as usize];
            let weight = match entry.count {
                1 => weight,
                count => weight * L::Scalar::from_f64(f64::from(count)),
            };
            L::load(to).add_where(entry.mask, L::splat(weight)).store(to);
        }
    }
}

/// Adds each unit's value times its weights.
#[inline(always)]
fn scatter_values<L: Lanes>(
    units: &[u32],
    values: &[Block<L::Scalar>],
    fan: &Fan<L::Scalar>,
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

/// Where one step's results go.
pub(crate) struct Row<'a, F: Real> {
    /// ψ of each neuron.
    pub psi: &'a mut [Block<F>],
    /// Readout of each unit, with bias.
    pub readout: &'a mut [Block<F>],
    /// Membrane of each neuron, if wanted.
    pub voltage: Option<&'a mut [Block<F>]>,
}

/// One step of a whole network in one block of trials; spikes are appended to the state.
#[inline(always)]
pub(crate) fn step<L: Lanes>(
    circuit: &Circuit<L::Scalar>,
    input: &BlockInput<L::Scalar>,
    state: &mut State<L::Scalar>,
    step: usize,
    over: Mask,
    mut row: Row<'_, L::Scalar>,
) {
    clear_tiny::<L>(step, &mut state.membrane);
    clear_tiny::<L>(step, &mut state.adaptation);
    clear_tiny::<L>(step, &mut state.readout);
    state.advance_refractory(circuit, step);
    scatter::<L>(input.events.at(step), &circuit.input, &mut state.membrane);
    let width = input.analogue_units.len();
    let values = &input.analogue[step * width..(step + 1) * width];
    scatter_values::<L>(&input.analogue_units, values, &circuit.input, &mut state.membrane);
    if step > 0 {
        scatter::<L>(state.spikes.at(step - 1), &circuit.recurrent, &mut state.membrane);
    }
    if let Some(voltage) = row.voltage.as_mut() {
        voltage.copy_from_slice(&state.membrane);
    }
    update_neurons::<L>(circuit, state, over, row.psi);
    update_readout::<L>(circuit, state, step, row.readout);
}

#[inline(always)]
fn update_neurons<L: Lanes>(
    circuit: &Circuit<L::Scalar>,
    state: &mut State<L::Scalar>,
    over: Mask,
    psi: &mut [Block<L::Scalar>],
) {
    let cells = circuit.cells.iter().zip(&state.refractory);
    let blocks = state.membrane.iter_mut().zip(&mut state.adaptation).zip(psi);
    for (unit, ((cell, &refractory), ((membrane, adaptation), psi))) in cells.zip(blocks).enumerate() {
        let stepped = neuron::step(cell, L::load(membrane), L::load(adaptation), refractory | over);
        stepped.psi.store(psi);
        stepped.membrane.store(membrane);
        if cell.adaptive {
            stepped.adaptation.store(adaptation);
        }
        if stepped.spikes != 0 {
            state.spikes.push(Entry { unit: unit as u32, mask: stepped.spikes, count: 1 });
        }
    }
    state.spikes.end_step();
}

#[inline(always)]
fn update_readout<L: Lanes>(
    circuit: &Circuit<L::Scalar>,
    state: &mut State<L::Scalar>,
    step: usize,
    out: &mut [Block<L::Scalar>],
) {
    for (y, &kappa) in state.readout.iter_mut().zip(&circuit.kappa) {
        L::load(y).mul(L::splat(kappa)).store(y);
    }
    scatter::<L>(state.spikes.at(step), &circuit.readout, &mut state.readout);
    for ((out, y), &bias) in out.iter_mut().zip(&state.readout).zip(&circuit.bias) {
        L::load(y).add(L::splat(bias)).store(out);
    }
}

/// What a block of trials did: all that the backward pass and the losses need.
#[derive(Debug, Default)]
pub(crate) struct Trajectory<F: Real> {
    pub state: State<F>,
    /// ψ `[step][neuron]`; of the last step only where no gradient is wanted.
    pub psi: Vec<Block<F>>,
    /// Readout `[step][unit]`.
    pub readout: Vec<Block<F>>,
    /// Membrane `[step][neuron]`, if recorded.
    pub voltage: Vec<Block<F>>,
    pub lengths: [u32; LANES],
    pub steps: usize,
}

/// What a simulation keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    pub psi: bool,
    pub voltage: bool,
}

impl<F: Real> Trajectory<F> {
    /// Prepares the buffers for so many steps; every row is written before it is read.
    ///
    /// # Errors
    /// [`Error::Memory`] when they cannot be had.
    pub fn prepare(
        &mut self,
        circuit: &Circuit<F>,
        lengths: [u32; LANES],
        steps: usize,
        keep: Keep,
    ) -> Result<()> {
        self.lengths = lengths;
        self.steps = steps;
        self.state.reset(circuit);
        let rows = |wanted: bool| if wanted { steps } else { 0 };
        let (n, outputs) = (circuit.size(), circuit.outputs());
        for (buffer, rows, columns, what) in [
            (&mut self.psi, rows(keep.psi).max(1), n, "the pseudo-derivatives of a block of trials"),
            (&mut self.voltage, rows(keep.voltage), n, "the membrane traces of a block of trials"),
            (&mut self.readout, steps, outputs, "the readouts of a block of trials"),
        ] {
            resize(buffer, product(&[rows, columns]), Block::ZERO, what)?;
        }
        Ok(())
    }

    /// Number of spikes of each neuron in all lanes.
    pub fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        let mut counts = vec![0; neurons];
        for step in 0..self.steps {
            for entry in self.state.spikes.at(step) {
                counts[entry.unit as usize] += u64::from(entry.mask.count_ones());
            }
        }
        counts
    }
}

/// The simulation of one block as a kernel.
pub struct Simulate<'a, F: Real> {
    pub(crate) circuit: &'a Circuit<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a mut Trajectory<F>,
    pub(crate) keep: Keep,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Real> Kernel<F> for Simulate<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { circuit, input, trajectory, keep, cancel } = self;
        let (n, outputs) = (circuit.size(), circuit.outputs());
        for t in 0..trajectory.steps {
            check_cancelled(t, cancel)?;
            let psi = if keep.psi { t * n } else { 0 };
            let row = Row {
                psi: &mut trajectory.psi[psi..psi + n],
                readout: &mut trajectory.readout[t * outputs..(t + 1) * outputs],
                voltage: keep.voltage.then(|| &mut trajectory.voltage[t * n..(t + 1) * n]),
            };
            let over = ended(&trajectory.lengths, t);
            step::<L>(circuit, input, &mut trajectory.state, t, over, row);
        }
        Ok(())
    }
}
