//! Counts of operations and bytes of the kernels for single trials, as [`crate::learn::work`] has them for blocks.
//!
//! The model of bytes differs: B is a block of sixteen neurons, s a number, n the blocks of neurons, k those of readout
//! units.
//!
//! | kernel | bytes |
//! |---|---|
//! | input, recurrent scatter | per spike 3 s + 4 per synapse, or 3 B/2 per block of its row where there are rows |
//! | neuron update | n (9 B + 2 L) per step, 2 B more per block that adapts; L the bytes of sixteen indices |
//! | readout | 5 k B per step, and per spike as above |
//! | backward recursion | n (4 B + B/16 per term of the errors) per step, 2 B more per block that adapts, B if it receives |
//! | modulation | of BPTT 2 s + 4 per synapse of cells with ψ > 0; else a sixteenth of a block's, and 4 n B; 10 n B per channel with memory |
//! | gradient gather | per spike 3 B + L per block of its sums |

use crate::instrument::section::Section;
use crate::instrument::tally::Tally;
use crate::learn::plan::LearningPlan;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;
use crate::single::learning::Learning;
use crate::single::outgoing::Outgoing;
use crate::single::sums::Sums;
use crate::single::trial::{Trial, TrialContext};

/// Bytes of sixteen indices.
const INDICES: u64 = 4 * LANES as u64;

fn block<F: Scalar>() -> u64 {
    size_of::<Block<F>>() as u64
}

/// Events of each input unit that reach a trial; several at once count as one.
fn given<F: Scalar>(context: TrialContext<'_, F>, steps: usize) -> impl Iterator<Item = u32> {
    let entries = (0..steps).flat_map(move |step| context.input.events.at(step));
    entries.filter(move |entry| entry.mask >> context.lane & 1 == 1).map(|entry| entry.unit)
}

fn scattered<F: Scalar>(
    senders: impl Iterator<Item = u32>,
    (csr, outgoing): (&Csr<F>, &Outgoing<F>),
    calls: u64,
) -> Tally {
    let mut tally = Tally { calls, ..Tally::default() };
    for sender in senders {
        let synapses = csr.of(sender as usize).len() as u64;
        tally.synaptic_events += synapses;
        tally.bytes += match outgoing.columns() {
            Some(columns) => columns as u64 * 3 * block::<F>() / 2,
            None => synapses * (3 * size_of::<F>() as u64 + 4),
        };
    }
    tally.operations = tally.synaptic_events;
    tally
}

/// The forward pass over one trial.
pub(crate) fn simulation<F: Scalar>(context: TrialContext<'_, F>, trial: &Trial<F>) -> [(Section, Tally); 4] {
    let TrialContext { network, lane_layout, input, .. } = context;
    let (calls, live) = (trial.steps as u64, trial.length as u64);
    let (cells, blocks, outputs) =
        (network.size() as u64, lane_layout.blocks() as u64, lane_layout.outputs() as u64);
    let mut onto_cells =
        scattered(given(context, trial.steps), (&network.input, &lane_layout.onto_cells), calls);
    let analogue = input.analogue_units.iter().map(|&unit| network.input.of(unit as usize).len() as u64);
    let analogue: u64 = analogue.sum();
    onto_cells.bytes += calls * analogue * (3 * size_of::<F>() as u64 + 4);
    onto_cells.operations += 2 * live * analogue;
    let before = (0..trial.steps).flat_map(|step| trial.events.before(step)).copied();
    let all = trial.all_spikes();
    let mut readout = scattered(all, (&network.readout, &lane_layout.readout), calls);
    readout.bytes += calls * 5 * outputs * block::<F>();
    readout.operations += 2 * live * network.outputs() as u64;
    let own: u64 = network.cells.iter().map(|dynamics| dynamics.operations().step).sum();
    let updated = Tally {
        calls,
        neuron_updates: live * cells,
        bytes: calls
            * (blocks * (9 * block::<F>() + 2 * INDICES)
                + lane_layout.cells.further_variables() * 2 * block::<F>()),
        operations: live * own,
        ..Tally::default()
    };
    [
        (Section::InputScatter, onto_cells),
        (
            Section::RecurrentScatter,
            scattered(before, (&network.undelayed().csr, &lane_layout.onto_cells), calls),
        ),
        (Section::NeuronUpdate, updated),
        (Section::Readout, readout),
    ]
}

/// `first`: the number of the adjacency's first sender among those of the sums.
fn summed<F: Scalar>(
    senders: impl Iterator<Item = u32>,
    (csr, first): (&Csr<u32>, u32),
    sums: &Sums,
) -> Tally {
    let mut tally = Tally::default();
    for sender in senders {
        tally.synaptic_events += csr.of(sender as usize).len() as u64;
        tally.bytes += sums.blocks_of(first + sender) as u64 * (3 * block::<F>() + INDICES);
    }
    tally.operations = tally.synaptic_events;
    tally
}

/// The backward pass over one trial, segments simulated again aside; `asked` is the number of synapses that BPTT
/// followed, `skipped` the number of steps that the recursion of each block of cells left out.
pub(crate) fn backward<F: Scalar>(
    context: TrialContext<'_, F>,
    (plan, learning): (&LearningPlan<F>, &Learning<F>),
    trial: &Trial<F>,
    (asked, skipped): (u64, &[u64]),
) -> [(Section, Tally); 3] {
    let (calls, live) = (trial.steps as u64, trial.length as u64);
    let (blocks, number) = (context.lane_layout.blocks() as u64, size_of::<F>() as u64);
    let before = (0..trial.steps).flat_map(|step| trial.events.before(step)).copied();
    let mut gathered = Tally { calls, ..Tally::default() };
    let cells = context.network.size() as u32;
    let (of_inputs, of_cells) = ((&plan.synapses.input, cells), (&plan.synapses.recurrent[0].csr, 0));
    gathered.add(summed::<F>(given(context, trial.steps), of_inputs, &learning.sums.onto_cells));
    gathered.add(summed::<F>(before, of_cells, &learning.sums.onto_cells));
    gathered.add(summed::<F>(trial.all_spikes(), (&plan.synapses.readout, 0), &learning.sums.readout));
    let receives = u64::from(plan.receives());
    let rules = 1 + plan.hop_recursions.as_ref().map_or(0, |hop_recursions| hop_recursions.count as u64);
    let mut recursed = Tally { calls, neuron_updates: live * plan.active.len() as u64, ..Tally::default() };
    for run in &plan.runs {
        for p in run.first..run.end {
            let terms_of_cell = plan.feedback.of(p as usize).len() as u64;
            let own = run.dynamics.operations().adjoint + receives;
            let done = live - skipped[p as usize / LANES];
            recursed.operations += done * (rules * own + 2 * terms_of_cell);
        }
    }
    let terms = learning.feedback.terms() as u64 * number;
    let further = context.lane_layout.cells.further_variables() * 2 * block::<F>();
    let per_step = rules * (blocks * (4 + receives) * block::<F>() + further) + terms;
    recursed.bytes = (calls - skipped.iter().sum::<u64>() / blocks.max(1)) * per_step;
    let mut modulated = Tally::default();
    if learning.returns.is_some() {
        modulated = Tally { calls, bytes: asked * (2 * number + 4), operations: 2 * asked, ..modulated };
    } else {
        let hop_recursions = plan
            .hop_recursions
            .iter()
            .flat_map(|hop_recursions| vec![&hop_recursions.modulation; hop_recursions.count]);
        let filtered =
            plan.secretions.iter().flat_map(|secretion| vec![&secretion.modulation; secretion.hops]);
        for secretion in &plan.secretions {
            let hops = secretion.hops as u64;
            let operations = 10 * hops * live * secretion.emitters.len() as u64;
            modulated.add(Tally {
                bytes: calls * 10 * hops * blocks * block::<F>(),
                operations,
                ..Tally::default()
            });
        }
        for modulation in plan.modulation.iter().chain(filtered).chain(hop_recursions) {
            let gains = modulation.receivers.iter().map(|&p| modulation.synaptic.of(p as usize).len());
            let gains =
                gains.sum::<usize>() as u64 + (modulation.totals() * modulation.receivers.len()) as u64;
            let along = modulation.bytes_of_gains();
            let types = (modulation.totals() * modulation.receivers.len()) as u64;
            let bytes = (along + types * (block::<F>() + number)) / LANES as u64 + 4 * blocks * block::<F>();
            modulated.add(Tally {
                calls,
                bytes: calls * bytes,
                operations: 2 * live * gains,
                ..Tally::default()
            });
        }
    }
    [
        (Section::BackwardRecursion, recursed),
        (Section::Modulation, modulated),
        (Section::GradientGather, gathered),
    ]
}
