//! Exact counts of the kernels' work, and a model of its bytes and operations.
//!
//! The model counts the loads and stores of the algorithm between registers and memory, wherever the memory lies, and
//! floating-point operations in lanes whose trial has not ended (a multiply-add is two). What a pass leaves out in a step, since
//! it would only add zeros, is not counted ([`BackwardWork`]). B is a block of sixteen lanes,
//! s a number, both in bytes. A pair is an event of one step, in any of its lanes, and one synapse of its sender.
//!
//! | kernel | bytes | operations |
//! |---|---|---|
//! | drawing inputs | 4 per step and unit (bits written and read), 8 per entry | – |
//! | input, recurrent scatter | 2 B + s + 4 per pair, 8 per entry | 1 per synaptic event |
//! | neuron update | 2 B + 2 per cell and step, 2 B more if it adapts; of ψ 2 per cell and step, s per value above 0 | 7 per cell, step and trial, 4 more if it adapts |
//! | readout | 3 B + 2 s per unit and step; s + 4 per pair if the readout is dense, else a scatter | 2 per unit, step and trial, 1 per synaptic event |
//! | modulation | B + s + 4 per gain (B once for four receivers of the same cells), B per receiver, of nonlocal channels 3 B per emitter and B + s per type and receiver, 5 B per emitter with memory | 2 per gain and trial, 10 per memory |
//! | diffusion (of channels: modulation; of errors: backward recursion, twice) | 8 B per site and field, 3 B per emitter, B + s per receiver and field | 6 per site and field, 2 per emitter, 2 per receiver and field |
//! | backward recursion | 2 B per cell and step, and ψ as above; 2 B if it adapts, B if it receives, B if it secretes, of its own signal 2 B and B + s + 4 per readout synapse | 5; 5; 1; 1; 2 per readout synapse |
//! | eligibility traces (online) | 8 B per trace and step, 1 B more if it adapts, 4 B per filter of a kernel | 9; 3; 10 |
//! | modulation, gather (online) | 3 B, 4 B per output, 2 B per output and filter; 1 B and 2 B per output | 6 per output, 2 per filter; 3 per output |
//! | gradient gather | B + 8 per pair, 2 B + 8 per synapse and tile with events | 1 per synaptic event |
//! | reduction | B per synapse and block, then 3 s | 16 |
//! | optimiser | 7 s per weight | 13 |

use crate::batch::encode::{BlockInput, EntryLists};
use crate::instrument::section::Section;
use crate::instrument::tally::{StepCount, Tally};
use crate::learn::gather::tile_rows;
use crate::learn::modulation::Modulation;
use crate::learn::plan::LearningPlan;
use crate::network::SynapseKind;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CompiledNetwork, ended};
use crate::simulate::delays::Delayed;
use crate::simulate::trajectory::Trajectory;

/// The parts of a backward pass that are left out in some steps, as far as they were done.
#[derive(Debug, Clone, Default)]
pub(crate) struct BackwardWork {
    /// Trials that run in the current step.
    running: u64,
    /// Learning signals of the cells that have one.
    pub signals: StepCount,
    /// What cells receive, added in their recursion.
    pub receptions: StepCount,
    /// Γ of channels without memory.
    pub modulation: StepCount,
    /// The recursion of each run of cells.
    pub runs: Vec<StepCount>,
}

impl BackwardWork {
    /// Starts over for so many runs of cells.
    pub fn start(&mut self, runs: usize) {
        let mut counts = std::mem::take(&mut self.runs);
        counts.clear();
        counts.resize(runs, StepCount::default());
        *self = Self { runs: counts, ..Self::default() };
    }

    /// A step begins.
    #[inline(always)]
    pub fn step(&mut self, lengths: &[u32; LANES], t: usize) {
        self.running = LANES as u64 - u64::from(ended(lengths, t).count_ones());
    }

    /// A part is done in the current step.
    #[inline(always)]
    pub fn count(&mut self, part: impl FnOnce(&mut Self) -> &mut StepCount) {
        let running = self.running;
        part(self).add(running);
    }
}

/// Events of each unit in a block of trials.
#[derive(Debug, Clone, Copy, Default)]
struct Activity {
    /// Steps with an event, in any lane; repeated events are counted separately.
    entries: u64,
    /// Lanes of these.
    lanes: u64,
    /// Tiles of steps with an event.
    tiles: u64,
}

fn activity(lists: &EntryLists, units: usize, steps: usize, tile: usize) -> Vec<Activity> {
    let mut units = vec![(Activity::default(), usize::MAX); units];
    for step in 0..steps {
        for entry in lists.at(step) {
            let (activity, last) = &mut units[entry.unit as usize];
            activity.entries += 1;
            activity.lanes += u64::from(entry.mask.count_ones());
            activity.tiles += u64::from(*last != step / tile);
            *last = step / tile;
        }
    }
    units.into_iter().map(|(activity, _)| activity).collect()
}

/// Bytes of a block of lanes and of a number.
fn sizes<F: Scalar>() -> (u64, u64) {
    (size_of::<Block<F>>() as u64, size_of::<F>() as u64)
}

/// Steps of all trials of a block, and of the block.
fn steps<F: Scalar>(trajectory: &Trajectory<F>) -> (u64, u64) {
    (trajectory.lengths.iter().map(|&length| u64::from(length)).sum(), trajectory.steps as u64)
}

fn scattered<F: Scalar, T: Copy>(activity: &[Activity], csr: &Csr<T>, calls: u64) -> Tally {
    let (block, number) = sizes::<F>();
    let mut tally = Tally { calls, ..Tally::default() };
    for (unit, activity) in activity.iter().enumerate() {
        let synapses = csr.of(unit).len() as u64;
        tally.synaptic_events += activity.lanes * synapses;
        tally.bytes += activity.entries * (8 + synapses * (2 * block + number + 4));
    }
    tally.operations = tally.synaptic_events;
    tally
}

/// The input of one block.
pub(crate) fn tally_drawing<F: Scalar>(input: &BlockInput<F>, steps: usize) -> [(Section, Tally); 1] {
    let entries: usize = (0..steps).map(|step| input.events.at(step).len()).sum();
    let analogue = input.analogue.len() as u64 * sizes::<F>().0;
    let bytes = 4 * (steps * input.units) as u64 + 8 * entries as u64 + analogue;
    [(Section::DrawingInputs, Tally { calls: 1, bytes, ..Tally::default() })]
}

/// The forward pass over one block.
pub(crate) fn tally_simulation<F: Scalar>(
    network: &CompiledNetwork<F>,
    input: &BlockInput<F>,
    trajectory: &Trajectory<F>,
) -> [(Section, Tally); 4] {
    let (live, calls) = steps(trajectory);
    let (spikes, tile) = (&trajectory.state.spikes, tile_rows::<F>(network.size()));
    let given = activity(&input.events, input.units, trajectory.steps, tile);
    let all = activity(spikes, network.size(), trajectory.steps, tile);
    let mut onto_neurons = Tally::default();
    for Delayed { delay, csr, .. } in &network.recurrent {
        let sent = sent_before::<F>(network, trajectory, *delay);
        onto_neurons.add(scattered::<F, _>(&sent, csr, calls));
        onto_neurons.add(analogue::<F, _>(&network.rate_units, csr, live, calls));
    }
    let mut onto_cells = scattered::<F, _>(&given, &network.input, calls);
    onto_cells.add(analogue::<F, _>(&input.analogue_units, &network.input, live, calls));
    for late in &network.late_input {
        let steps = trajectory.steps.saturating_sub(late.input_lag());
        onto_cells.add(scattered::<F, _>(
            &activity(&input.events, input.units, steps, tile),
            &late.csr,
            calls,
        ));
        onto_cells.add(analogue::<F, _>(&input.analogue_units, &late.csr, live, calls));
    }
    let mut readout = match network.dense_readout {
        Some(_) => read_densely(&all, network, calls),
        None => scattered::<F, _>(&all, &network.readout, calls),
    };
    readout.add(analogue::<F, _>(&network.rate_units, &network.readout, live, calls));
    readout.add(filtered(network, live, calls));
    [
        (Section::InputScatter, onto_cells),
        (Section::RecurrentScatter, onto_neurons),
        (Section::NeuronUpdate, updated(network, trajectory)),
        (Section::Readout, readout),
    ]
}

/// Values of units, scattered to their targets or added to the sums of their synapses.
fn analogue<F: Scalar, T: Copy>(units: &[u32], csr: &Csr<T>, live: u64, calls: u64) -> Tally {
    let (block, number) = sizes::<F>();
    let synapses = units.iter().map(|&unit| csr.of(unit as usize).len() as u64);
    let synapses = synapses.sum::<u64>();
    Tally {
        bytes: calls * (units.len() as u64 * block + synapses * (2 * block + number + 4)),
        operations: 2 * live * synapses,
        ..Tally::default()
    }
}

fn updated<F: Scalar>(network: &CompiledNetwork<F>, trajectory: &Trajectory<F>) -> Tally {
    let (live, calls) = steps(trajectory);
    let block = sizes::<F>().0;
    let cells = network.size() as u64;
    let further: u64 = network.cells.iter().map(|dynamics| dynamics.further() as u64).sum();
    let operations: u64 = network.cells.iter().map(|dynamics| dynamics.operations().step).sum();
    Tally {
        calls,
        neuron_updates: live * cells,
        bytes: calls * (cells * (2 * block + 2) + further * 2 * block) + kept(network.size(), trajectory),
        operations: live * operations,
        ..Tally::default()
    }
}

/// Bytes of ψ, written or read.
fn kept<F: Scalar>(cells: usize, trajectory: &Trajectory<F>) -> u64 {
    let values = trajectory.mean_psi() * trajectory.steps as f64;
    let masks = if values > 0.0 { 2 * cells * trajectory.steps } else { 0 };
    values as u64 * sizes::<F>().1 + masks as u64
}

/// A readout whose sums stay in registers.
fn read_densely<F: Scalar>(activity: &[Activity], network: &CompiledNetwork<F>, calls: u64) -> Tally {
    let mut tally = scattered::<F, _>(activity, &network.readout, calls);
    let entries: u64 = activity.iter().map(|activity| activity.entries).sum();
    tally.bytes = entries * network.outputs() as u64 * (sizes::<F>().1 + 4);
    tally
}

fn filtered<F: Scalar>(network: &CompiledNetwork<F>, live: u64, calls: u64) -> Tally {
    let (block, number) = sizes::<F>();
    let outputs = network.outputs() as u64;
    let bytes = calls * outputs * (3 * block + 2 * number);
    Tally { bytes, operations: 2 * live * outputs, ..Tally::default() }
}

/// The backward pass over one block, segments simulated again aside.
pub(crate) fn tally_backward<F: Scalar>(
    network: &CompiledNetwork<F>,
    plan: &LearningPlan<F>,
    (input, trajectory): (&BlockInput<F>, &Trajectory<F>),
    work: &BackwardWork,
) -> [(Section, Tally); 3] {
    let (spikes, tile) = (&trajectory.state.spikes, tile_rows::<F>(network.size()));
    let given = activity(&input.events, input.units, trajectory.steps, tile);
    let all = activity(spikes, network.size(), trajectory.steps, tile);
    let (live, calls) = steps(trajectory);
    let tiles = (trajectory.steps as u64).div_ceil(tile as u64);
    let mut gathered = Tally { calls: tiles, ..Tally::default() };
    for (activity, csr) in [(&given, &plan.synapses.input), (&all, &plan.synapses.readout)] {
        gathered.add(summed::<F>(activity, csr));
    }
    for late in &plan.synapses.late_input {
        let steps = trajectory.steps.saturating_sub(late.input_lag());
        gathered.add(summed::<F>(&activity(&input.events, input.units, steps, tile), &late.csr));
    }
    for Delayed { delay, csr, .. } in &plan.synapses.recurrent {
        gathered.add(summed::<F>(&sent_before(network, trajectory, *delay), csr));
        gathered.add(analogue::<F, _>(&network.rate_units, csr, live, calls));
    }
    gathered.add(analogue::<F, _>(&network.rate_units, &plan.synapses.readout, live, calls));
    [
        (Section::BackwardRecursion, recursed(plan, trajectory, work)),
        (Section::Modulation, modulated(plan, (live, calls), work.modulation)),
        (Section::GradientGather, gathered),
    ]
}

/// Spikes that arrive before the end: those of the last steps reach no cell.
fn sent_before<F: Scalar>(
    network: &CompiledNetwork<F>,
    trajectory: &Trajectory<F>,
    delay: usize,
) -> Vec<Activity> {
    let steps = trajectory.steps.saturating_sub(delay);
    activity(&trajectory.state.spikes, network.size(), steps, tile_rows::<F>(network.size()))
}

fn summed<F: Scalar>(activity: &[Activity], csr: &Csr<u32>) -> Tally {
    let (block, _) = sizes::<F>();
    let mut tally = Tally::default();
    for (unit, activity) in activity.iter().enumerate() {
        let synapses = csr.of(unit).len() as u64;
        tally.synaptic_events += activity.lanes * synapses;
        tally.bytes += synapses * (activity.entries * (block + 8) + activity.tiles * (2 * block + 8));
    }
    tally.operations = tally.synaptic_events;
    tally
}

fn recursed<F: Scalar>(plan: &LearningPlan<F>, trajectory: &Trajectory<F>, work: &BackwardWork) -> Tally {
    let (block, number) = sizes::<F>();
    let (live, calls) = steps(trajectory);
    let mut tally = Tally { calls, neuron_updates: live * plan.active.len() as u64, ..Tally::default() };
    // Every rule with fewer hops has the same recursion; the first of them receives nothing.
    let hops = plan.hop_recursions.as_ref().map_or(0, |hop_recursions| hop_recursions.count as u64);
    let later_hops = hops.saturating_sub(1);
    let mut done = hops * calls * plan.active.len() as u64;
    if let Some(sources) = &plan.field {
        let (sites, cells) = (sources.sites() as u64, plan.active.len() as u64);
        tally.bytes += calls * block * (2 * 8 * sites + 3 * cells + 2 * cells);
        tally.operations += live * (2 * 6 * sites + 2 * cells + 2 * cells);
    }
    // Bytes per step, operations per step and trial.
    let mut add = |count: StepCount, bytes: u64, operations: u64| {
        tally.bytes += count.calls * bytes;
        tally.operations += count.trials * operations;
    };
    let every = StepCount { calls, trials: live };
    for (run, &own) in plan.runs.iter().zip(&work.runs) {
        let cells = u64::from(run.end - run.first);
        let state = 2 * (1 + run.dynamics.further() as u64) * block * cells;
        let adjoint = run.dynamics.operations().adjoint * cells;
        add(own, state, adjoint);
        add(every, hops * state + later_hops * block * cells, hops * adjoint + later_hops * cells);
        add(work.receptions, block * cells, cells);
        done += own.calls * cells;
        if run.signalled {
            let secreting = u64::from(plan.secretes()) * cells;
            let synapses = (run.first..run.end).map(|p| plan.feedback.of(p as usize).len() as u64);
            let synapses = synapses.sum::<u64>();
            let bytes = (2 * cells + secreting) * block + synapses * (block + number + 4);
            add(work.signals, bytes, secreting + 2 * synapses);
        }
    }
    let passed = (plan.active.len() * trajectory.steps).max(1) as f64;
    tally.bytes += (kept(plan.active.len(), trajectory) as f64 * done as f64 / passed) as u64;
    tally
}

/// `instant`: the steps in which channels without memory acted; others act in each.
fn modulated<F: Scalar>(plan: &LearningPlan<F>, (live, calls): (u64, u64), instant: StepCount) -> Tally {
    let mut tally = Tally::default();
    if let Some(modulation) = &plan.modulation {
        tally.add(received(modulation, instant.trials, instant.calls));
        tally.add(diffused(modulation, instant.trials, instant.calls));
    }
    for secretion in &plan.secretions {
        for _ in 0..secretion.hops {
            tally.add(received(&secretion.modulation, live, calls));
            tally.add(filtered_secretion::<F>(secretion.emitters.len() as u64, live, calls));
        }
        tally.add(diffused(&secretion.modulation, live, calls));
    }
    if let Some(hop_recursions) = &plan.hop_recursions {
        (0..hop_recursions.count).for_each(|_| tally.add(received(&hop_recursions.modulation, live, calls)));
    }
    let is_instant = plan.secretions.is_empty() && plan.hop_recursions.is_none();
    Tally { calls: if is_instant { instant.calls } else { calls }, ..tally }
}

fn diffused<F: Scalar>(modulation: &Modulation<F>, live: u64, calls: u64) -> Tally {
    let Some(diffusive) = &modulation.diffusive else { return Tally::default() };
    let (block, number) = sizes::<F>();
    let (sites, emitters, receivers) = diffusive.counts();
    Tally {
        bytes: calls * (8 * sites * block + 3 * emitters * block + receivers * (block + number)),
        operations: live * (6 * sites + 2 * emitters + 2 * receivers),
        ..Tally::default()
    }
}

/// The memory of so many cells: s and r read and written, L ψ read.
fn filtered_secretion<F: Scalar>(emitters: u64, live: u64, calls: u64) -> Tally {
    let bytes = calls * emitters * 5 * sizes::<F>().0;
    Tally { bytes, operations: 10 * live * emitters, ..Tally::default() }
}

fn received<F: Scalar>(modulation: &Modulation<F>, live: u64, calls: u64) -> Tally {
    let (block, number) = sizes::<F>();
    let receivers = modulation.receivers.len() as u64;
    let along = modulation.receivers.iter().map(|&p| modulation.synaptic.of(p as usize).len() as u64);
    let types = modulation.totals() as u64 * receivers;
    let bytes = receivers * block + modulation.bytes_of_gains() + types * (block + number);
    let emitters = modulation.nonlocal.as_ref().map_or(0, |nonlocal| nonlocal.emitters.len() as u64);
    Tally {
        calls,
        bytes: calls * (bytes + emitters * 3 * block),
        operations: 2 * live * (along.sum::<u64>() + types + emitters),
        ..Tally::default()
    }
}

/// The online form over one block, its simulation aside.
pub(crate) fn tally_online<F: Scalar>(
    network: &CompiledNetwork<F>,
    plan: &LearningPlan<F>,
    trajectory: &Trajectory<F>,
    receives: &[bool],
) -> [(Section, Tally); 3] {
    let (block, _) = sizes::<F>();
    let (live, calls) = steps(trajectory);
    let traces = plan.synapses.slots.iter().filter(|slot| slot.kind != SynapseKind::Readout);
    let targets = traces.clone().map(|slot| &network.cells[slot.post as usize]);
    let further: u64 = targets.clone().map(|dynamics| dynamics.further() as u64).sum();
    let operations: u64 = targets.map(|dynamics| dynamics.operations().trace).sum();
    let modulated = traces.clone().filter(|slot| receives[slot.post as usize]).count() as u64;
    let traces = traces.count() as u64;
    let filters = traces * network.outputs() as u64;
    let through = modulated * plan.filter_traces() as u64;
    let filters_modulated = modulated * network.outputs() as u64;
    let tally = |blocks: u64, operations: u64| Tally {
        calls,
        bytes: calls * blocks * block,
        operations: live * operations,
        ..Tally::default()
    };
    [
        (Section::EligibilityTraces, tally(8 * traces + further + 4 * through, operations + 10 * through)),
        (
            Section::Modulation,
            tally(
                3 * modulated + 4 * filters_modulated + 2 * through * network.outputs() as u64,
                6 * filters_modulated + 2 * through * network.outputs() as u64,
            ),
        ),
        (Section::GradientGather, tally(traces + 2 * filters, 3 * filters)),
    ]
}

/// Sums of so many slots over lanes, in each of so many blocks, and over blocks.
pub(crate) fn tally_reduction<F: Scalar>(slots: usize, blocks: usize) -> [(Section, Tally); 1] {
    let (block, number) = sizes::<F>();
    let sums = (slots * blocks) as u64;
    let tally = Tally {
        calls: blocks as u64,
        bytes: sums * (block + 3 * number),
        operations: sums * LANES as u64,
        ..Tally::default()
    };
    [(Section::Reduction, tally)]
}

/// The optimiser on so many weights.
pub(crate) fn tally_optimiser<F: Scalar>(weights: usize) -> [(Section, Tally); 1] {
    let (weights, number) = (weights as u64, sizes::<F>().1);
    let tally = Tally { calls: 1, bytes: 7 * number * weights, operations: 13 * weights, ..Tally::default() };
    [(Section::Optimiser, tally)]
}
