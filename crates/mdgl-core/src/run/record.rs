//! Recording of spikes, voltages, readouts and learning signals of a batch.

use std::sync::atomic::AtomicBool;

use super::pass::{Pass, SignalSources};
use super::workers::{Workers, Workspace};
use super::{Assignment, finite_lists};
use crate::batch::loss::Objective;
use crate::batch::{EncodedBatch, Event};
use crate::description::legal::Use;
use crate::description::rule::Rule;
use crate::error::{Result, invalid};
use crate::learn::backward::Signals;
use crate::learn::batch_sums::BatchSums;
use crate::learn::plan::LearningPlan;
use crate::learn::rates::RatePart;
use crate::model::Model;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::memory::{product, reserve, resize};
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;

/// Options of what a simulation records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The membrane of every neuron.
    pub voltage: bool,
    /// The input events.
    pub inputs: bool,
    /// Learning and modulatory signals of a rule on the batch's targets.
    pub signals: Option<(&'a Objective, &'a Rule)>,
}

/// A recorded simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording<F> {
    /// Spikes, ordered by trial, step and neuron.
    pub spikes: Vec<Event>,
    /// Input events of all populations end to end, ordered by trial, step and unit; empty if not recorded.
    pub inputs: Vec<Event>,
    /// v before the reset, `[trial][step][neuron]`; empty if not recorded.
    pub voltage: Vec<F>,
    /// Readout, `[trial][step][unit]`.
    pub readout: Vec<F>,
    /// L, `[trial][step][neuron]`; empty if not recorded.
    pub learning_signal: Vec<F>,
    /// Γ, `[trial][step][neuron]`; empty if not recorded.
    pub modulatory_signal: Vec<F>,
}

pub(super) const A_READOUT: &str = "a readout";
pub(super) const A_MEMBRANE: &str = "a membrane";
pub(super) const A_LEARNING_SIGNAL: &str = "a learning signal";

impl<F: Real> Recording<F> {
    /// Itself, if every number is finite.
    fn finite(self) -> Result<Self> {
        let Self { voltage, readout, learning_signal, modulatory_signal, .. } = &self;
        finite_lists(&[
            (A_MEMBRANE, voltage),
            (A_READOUT, readout),
            (A_LEARNING_SIGNAL, learning_signal),
            ("a modulatory signal", modulatory_signal),
        ])?;
        Ok(self)
    }
}

/// Simulates a batch and records it.
///
/// # Errors
/// [`crate::Error::Invalid`] for a batch, targets or rule that do not fit, or a custom loss;
/// [`crate::Error::NotFinite`], [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub fn simulate<F: Real>(
    model: &Model<F>,
    batch: &EncodedBatch,
    record: Record<'_>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Recording<F>> {
    batch.validate::<F>(model.network())?;
    let assignment = match record.signals {
        None => Assignment::without_loss(batch),
        Some((objective, _)) => Assignment { batch, objective },
    };
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let with_signals = record.signals.is_some();
    let mut workspaces = pass.forward(Keep {
        psi: with_signals.then_some(&pass.network.runs),
        voltage: record.voltage,
        sums: with_signals,
        in_blocks: with_signals,
        ..Keep::NOTHING
    })?;
    let signals = match record.signals {
        None => Vec::new(),
        Some((_, rule)) => record_signals(&pass, rule, &mut workspaces)?,
    };
    let (neurons, outputs) = (pass.network.size(), pass.network.outputs());
    let flat = |pick: &dyn Fn(&Signals<F>) -> &[Block<F>]| {
        let blocks: Vec<&[Block<F>]> = signals.iter().map(pick).collect();
        transpose(&blocks, batch.trials, neurons)
    };
    let recording = Recording {
        spikes: spike_events(&workspaces, batch, neurons)?,
        inputs: if record.inputs { input_events(&workspaces, batch)? } else { Vec::new() },
        voltage: if record.voltage { voltages(&workspaces, batch, neurons)? } else { Vec::new() },
        readout: readouts(&workspaces, batch.trials, outputs)?,
        learning_signal: flat(&|s| &s.learning)?,
        modulatory_signal: flat(&|s| &s.modulation)?,
    };
    workspaces.into_iter().for_each(|workspace| workers.release(workspace));
    recording.finite()
}

fn record_signals<F: Real>(
    pass: &Pass<'_, F>,
    rule: &Rule,
    workspaces: &mut [Workspace<F>],
) -> Result<Vec<Signals<F>>> {
    let (plan, block_sums) = batch_sums_and_plan(pass, rule, workspaces)?;
    signals(pass, &plan, &block_sums, workspaces)
}

/// What the signals of a rule need of the simulated batch: its losses, and the rule's plan.
pub(super) fn batch_sums_and_plan<F: Real>(
    pass: &Pass<'_, F>,
    rule: &Rule,
    workspaces: &mut [Workspace<F>],
) -> Result<(LearningPlan<F>, Vec<BatchSums>)> {
    let Assignment { objective, .. } = pass.assignment;
    pass.assignment.validate(pass.model)?;
    if objective.is_custom() {
        return Err(invalid("loss", "custom", "for recorded signals: a built-in loss"));
    }
    rule.validate_use(Use::RecordedSignals)?;
    let all = vec![true; pass.model.network().projections().len()];
    let mut plan = LearningPlan::new(pass.model, &pass.network, rule, objective.regulariser.is_some(), &all)?;
    let block_sums = pass.evaluate_losses(workspaces, None)?;
    pass.take_means(&mut plan, &BatchSums::total(&block_sums));
    Ok((plan, block_sums))
}

/// The signals of blocks whose losses are known.
pub(super) fn signals<F: Real>(
    pass: &Pass<'_, F>,
    plan: &LearningPlan<F>,
    block_sums: &[BatchSums],
    workspaces: &mut [Workspace<F>],
) -> Result<Vec<Signals<F>>> {
    let record = |block_workspace| block_signals(pass, plan, block_sums, block_workspace);
    workspaces.iter_mut().enumerate().map(record).collect()
}

/// The signals of one block.
pub(super) fn block_signals<F: Real>(
    pass: &Pass<'_, F>,
    plan: &LearningPlan<F>,
    block_sums: &[BatchSums],
    (block, workspace): (usize, &mut Workspace<F>),
) -> Result<Signals<F>> {
    let shared = BatchSums::total(block_sums).constants(pass.model, pass.assignment);
    let len = product(&[pass.assignment.batch.steps, pass.network.size()]);
    let mut signals = Signals::default();
    for buffer in [&mut signals.learning, &mut signals.modulation] {
        resize(buffer, len, Block::ZERO, "the recorded signals of a block of trials")?;
    }
    let own = pass.trial_rates(block, &block_sums[block]);
    let rates = if own.is_empty() { RatePart::shared(&shared) } else { RatePart::own(&own) };
    let sources = SignalSources { rates, given: None, record: Some(&mut signals) };
    pass.backward_block(plan, block, workspace, sources)?;
    Ok(signals)
}

pub(super) fn spike_events<F: Real>(
    workspaces: &[Workspace<F>],
    batch: &EncodedBatch,
    neurons: usize,
) -> Result<Vec<Event>> {
    let (mut events, mut units) = (Vec::new(), Vec::new());
    let count: u64 = workspaces.iter().flat_map(|workspace| workspace.spike_counts(neurons)).sum();
    reserve(&mut events, count as usize, "a recording")?;
    for trial in 0..batch.trials {
        for step in 0..batch.steps {
            units.clear();
            workspaces[trial / LANES].list_spikes(trial % LANES, step, &mut units);
            let (trial, step) = (trial as u32, step as u32);
            events.extend(units.iter().map(|&unit| Event { trial, step, unit, count: 1 }));
        }
    }
    Ok(events)
}

pub(super) fn input_events<F: Real>(workspaces: &[Workspace<F>], batch: &EncodedBatch) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let entries = workspaces
        .iter()
        .flat_map(|workspace| (0..batch.steps).flat_map(|step| workspace.input.events.at(step)));
    let count = entries.map(|entry| entry.mask.count_ones() as usize).sum();
    reserve(&mut events, count, "a recording")?;
    for trial in 0..batch.trials {
        let (workspace, lane) = (&workspaces[trial / LANES], trial % LANES);
        for step in 0..batch.length(trial) {
            let first = events.len();
            let entries = workspace.input.events.at(step).iter().filter(|entry| entry.mask >> lane & 1 == 1);
            events.extend(entries.map(|entry| Event {
                trial: trial as u32,
                step: step as u32,
                unit: entry.unit,
                count: u32::from(entry.count),
            }));
            events[first..].sort_unstable_by_key(|event| event.unit);
        }
    }
    Ok(events)
}

/// Membranes `[trial][step][neuron]`.
pub(super) fn voltages<F: Real>(
    workspaces: &[Workspace<F>],
    batch: &EncodedBatch,
    neurons: usize,
) -> Result<Vec<F>> {
    let mut out = Vec::new();
    reserve(&mut out, product(&[batch.trials, batch.steps, neurons]), "a recording")?;
    for trial in 0..batch.trials {
        for step in 0..batch.steps {
            workspaces[trial / LANES].list_voltages(trial % LANES, step, neurons, &mut out);
        }
    }
    Ok(out)
}

/// Readouts `[trial][step][unit]`.
pub(super) fn readouts<F: Real>(
    workspaces: &[Workspace<F>],
    trials: usize,
    outputs: usize,
) -> Result<Vec<F>> {
    let blocks: Vec<&[Block<F>]> = workspaces.iter().map(Workspace::readout).collect();
    transpose(&blocks, trials, outputs)
}

/// Blocks of lanes `[step][column]` to `[trial][step][column]`.
pub(super) fn transpose<F: Real>(blocks: &[&[Block<F>]], trials: usize, columns: usize) -> Result<Vec<F>> {
    let rows = blocks.first().map_or(0, |block| block.len() / columns.max(1));
    let mut out = Vec::new();
    if rows > 0 {
        reserve(&mut out, product(&[trials, rows, columns]), "a recording")?;
        for trial in 0..trials {
            out.extend(blocks[trial / LANES].iter().map(|block| block.0[trial % LANES]));
        }
    }
    Ok(out)
}
