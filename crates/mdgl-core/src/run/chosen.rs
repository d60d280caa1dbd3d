//! Recording of chosen variables of chosen units, in memory in proportion to what was chosen.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::pass::Pass;
use super::record::{batch_sums_and_plan, block_signals};
use super::workers::{Workers, Workspace};
use super::{Assignment, finite_lists};
use crate::batch::EncodedBatch;
use crate::batch::loss::Objective;
use crate::description::NeuronModel;
use crate::description::list::List;
use crate::description::recording::{CellVariable, Choice, Choices, Order, Variable};
use crate::description::rule::Rule;
use crate::error::{Result, invalid, unknown, words};
use crate::learn::backward::Signals;
use crate::model::Model;
use crate::network::Network;
use crate::neuron::equations::ADAPTATION;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::memory::{product, resize};
use crate::numeric::ranges::whole_numbers;
use crate::run::real::Real;
use crate::simulate::step::Column;
use crate::simulate::trajectory::Keep;

/// Recorded numbers, one per trial, step and unit, in the order that was asked for; 0 beyond a trial's end.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<F> {
    /// Of spikes.
    Bits(Vec<u8>),
    /// Of all other variables.
    Floats(Vec<F>),
}

/// The recorded variables of a population or readout.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedPart<F> {
    /// Its name.
    pub name: String,
    /// Indices of the recorded units within it.
    pub units: Vec<u32>,
    /// The values of each variable.
    pub variables: Vec<(Variable, Values<F>)>,
}

/// Simulates a batch and records what was chosen; signals need an objective and a rule.
///
/// # Errors
/// As [`super::simulate`]; [`crate::Error::Invalid`] for choices that do not fit the network.
pub fn simulate_chosen<F: Real>(
    model: &Model<F>,
    batch: &EncodedBatch,
    choices: &Choices,
    signals: Option<(&Objective, &Rule)>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Vec<RecordedPart<F>>> {
    batch.validate::<F>(model.network())?;
    let parts = resolve(model.network(), choices, signals.is_some())?;
    let assignment = match signals {
        None => Assignment::without_loss(batch),
        Some((objective, _)) => Assignment { batch, objective },
    };
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let columns: Vec<Column<F>> = parts.iter().flat_map(|part| part.columns(model.network())).collect();
    let places = Places::new(choices.order, batch);
    let output = Mutex::new(Output::new(&parts, batch)?);
    let fill = |block: usize, workspace: &Workspace<F>, signals: &Signals<F>| {
        let mut output = output.lock().unwrap_or_else(|error| error.into_inner());
        let source = Source { workspace, signals, columns: columns.len(), pass: &pass };
        output.fill(&parts, &source, &places, block);
    };
    let needs_signals = parts.iter().any(|part| part.variables.iter().any(|variable| variable.is_signal()));
    let keep = Keep { chosen: &columns, in_blocks: true, ..Keep::NOTHING };
    match signals.filter(|_| needs_signals) {
        None => {
            let none = Signals::default();
            pass.forward_each(keep, |block, workspace| {
                fill(block, workspace, &none);
                Ok(())
            })?;
        }
        Some((_, rule)) => {
            let mut workspaces = pass.forward(Keep { psi: Some(&pass.network.runs), sums: true, ..keep })?;
            let (plan, block_sums) = batch_sums_and_plan(&pass, rule, &mut workspaces)?;
            for (block, mut workspace) in workspaces.into_iter().enumerate() {
                let signals = block_signals(&pass, &plan, &block_sums, (block, &mut workspace))?;
                fill(block, &workspace, &signals);
                workers.release(workspace);
            }
        }
    }
    output.into_inner().unwrap_or_else(|error| error.into_inner()).finish(parts)
}

/// Checks choices against a network; with `signals` those of a rule are among the variables.
///
/// # Errors
/// [`crate::Error::Invalid`] for names, variables and units that the network does not have.
pub fn check_choices(network: &Network, choices: &Choices, signals: bool) -> Result<()> {
    resolve(network, choices, signals).map(drop)
}

/// A choice whose units and variables a network has.
struct Part {
    name: String,
    /// Its units among all neurons, or all readout units.
    range: Range<usize>,
    units: Vec<u32>,
    variables: Vec<Variable>,
}

fn resolve(network: &Network, choices: &Choices, signals: bool) -> Result<Vec<Part>> {
    choices.each.iter().map(|choice| part(network, choice, &choices.path, signals)).collect()
}

fn part(network: &Network, choice: &Choice, record: &str, signals: bool) -> Result<Part> {
    let (range, model) = place(network, &choice.name, record)?;
    let path = format!("{record}.{}", choice.name);
    let list = if choice.is_short { path.clone() } else { format!("{path}.variables") };
    for (i, &variable) in choice.variables.iter().enumerate() {
        check_variable(variable, model, signals, &format!("{list}[{i}]"))?;
    }
    let units = units(choice.units.as_ref(), range.len(), &path)?;
    if choice.variables.contains(&Variable::Cell(CellVariable::Adaptation)) {
        let adapts =
            |unit: &&u32| network.dynamics[range.start + **unit as usize].variables().contains(&ADAPTATION);
        if let Some(unit) = units.iter().find(|unit| !adapts(unit)) {
            let allowed = "for 'adaptation': units whose adaptationStrength is not 0";
            return Err(invalid(format!("{path}.units"), unit, allowed));
        }
    }
    Ok(Part { name: choice.name.clone(), range, units, variables: choice.variables.clone() })
}

/// The units of a population with its model, or of a readout.
fn place(network: &Network, name: &str, record: &str) -> Result<(Range<usize>, Option<NeuronModel>)> {
    let populations = &network.description().populations;
    let mut first = 0;
    for population in populations {
        if population.name == name {
            return Ok((first..first + population.size, Some(population.model)));
        }
        first += population.size;
    }
    if let Ok(readout) = network.readout(name) {
        return Ok((readout.units.clone(), None));
    }
    let readouts = network.description().readouts.iter().map(|readout| readout.name.as_str());
    Err(unknown(record, name, populations.iter().map(|own| own.name.as_str()).chain(readouts)))
}

fn check_variable(variable: Variable, model: Option<NeuronModel>, signals: bool, path: &str) -> Result<()> {
    let own = Variable::of(model);
    let value = format!("'{}'", variable.name());
    if !own.contains(&variable) {
        let names = words(&own.iter().map(|variable| variable.name()).collect::<Vec<_>>());
        let whose =
            model.map_or("a readout".into(), |model| format!("a population of model '{}'", model.name()));
        return Err(invalid(path, value, format!("for {whose}: {names}")));
    }
    if variable.is_signal() && !signals {
        return Err(invalid(path, value, "signals with a rule alone, whose they are"));
    }
    Ok(())
}

fn units(given: Option<&List<u32>>, size: usize, path: &str) -> Result<Vec<u32>> {
    let Some(given) = given else { return Ok((0..size as u32).collect()) };
    let units = given.numbers(|| format!("{path}.units"))?;
    if units.is_empty() {
        return Err(invalid(format!("{path}.units"), "an empty list", "at least one unit"));
    }
    match units.iter().position(|&unit| unit as usize >= size) {
        Some(i) => {
            let allowed = whole_numbers(0, size as u64 - 1);
            Err(invalid(format!("{path}.units[{i}]"), units[i], allowed))
        }
        None => Ok(units.to_vec()),
    }
}

impl Part {
    /// What the simulation records of it, variable after variable.
    fn columns<F: Real>(&self, network: &Network) -> Vec<Column<F>> {
        let of = |variable: CellVariable| {
            self.units.iter().map(move |&unit| {
                let cell = self.range.start + unit as usize;
                let scale = match variable {
                    CellVariable::Current => 1.0 / network.neurons[cell].input_scale,
                    _ => 1.0,
                };
                Column { cell: cell as u32, variable, scale: F::from_f64(scale) }
            })
        };
        let own = self.variables.iter().filter_map(|variable| match variable {
            Variable::Cell(variable) => Some(*variable),
            Variable::LearningSignal | Variable::ModulatorySignal | Variable::Readout => None,
        });
        own.flat_map(of).collect()
    }
}

/// Where a trial's step begins, in rows of units.
struct Places<'a> {
    batch: &'a EncodedBatch,
    trial_stride: usize,
    step_stride: usize,
}

impl<'a> Places<'a> {
    fn new(order: Order, batch: &'a EncodedBatch) -> Self {
        let (trial_stride, step_stride) = match order {
            Order::TrialTimeUnit => (batch.steps, 1),
            Order::TimeTrialUnit => (1, batch.trials),
        };
        Self { batch, trial_stride, step_stride }
    }

    /// (lane, step, row) of all steps of a block's trials.
    fn of_block(&self, block: usize) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let trials = block * LANES..((block + 1) * LANES).min(self.batch.trials);
        trials.flat_map(move |trial| {
            let row = move |step| trial * self.trial_stride + step * self.step_stride;
            (0..self.batch.length(trial)).map(move |step| (trial % LANES, step, row(step)))
        })
    }
}

/// A simulated block.
struct Source<'a, F: Real> {
    workspace: &'a Workspace<F>,
    signals: &'a Signals<F>,
    /// Columns per step that the simulation recorded.
    columns: usize,
    pass: &'a Pass<'a, F>,
}

/// The values of all parts, `[part][variable]`.
struct Output<F>(Vec<Vec<Values<F>>>);

impl<F: Real> Output<F> {
    fn new(parts: &[Part], batch: &EncodedBatch) -> Result<Self> {
        let zeros = |(part, variable): (&Part, &Variable)| {
            let count = product(&[batch.trials, batch.steps, part.units.len()]);
            Ok(if *variable == Variable::Cell(CellVariable::Spikes) {
                let mut bits = Vec::new();
                resize(&mut bits, count, 0, "a recording")?;
                Values::Bits(bits)
            } else {
                let mut floats = Vec::new();
                resize(&mut floats, count, F::ZERO, "a recording")?;
                Values::Floats(floats)
            })
        };
        let of = |part: &Part| part.variables.iter().map(|variable| zeros((part, variable))).collect();
        parts.iter().map(of).collect::<Result<_>>().map(Self)
    }

    fn fill(&mut self, parts: &[Part], source: &Source<'_, F>, places: &Places<'_>, block: usize) {
        let (neurons, outputs) = (source.pass.network.size(), source.pass.network.outputs());
        let mut column = 0;
        for (part, values) in parts.iter().zip(&mut self.0) {
            let units: Vec<usize> = part.units.iter().map(|&unit| part.range.start + unit as usize).collect();
            for (variable, values) in part.variables.iter().zip(values) {
                let own: Vec<usize>;
                let (rows, width, columns): (&[Block<F>], usize, &[usize]) = match variable {
                    Variable::Readout => (source.workspace.readout(), outputs, &units),
                    Variable::LearningSignal => (&source.signals.learning, neurons, &units),
                    Variable::ModulatorySignal => (&source.signals.modulation, neurons, &units),
                    Variable::Cell(_) => {
                        own = (column..column + units.len()).collect();
                        column += units.len();
                        (&source.workspace.trajectory.chosen, source.columns, &own)
                    }
                };
                for (lane, step, row) in places.of_block(block) {
                    let found = columns.iter().map(|&at| rows[step * width + at].0[lane]);
                    let to = row * columns.len()..(row + 1) * columns.len();
                    match values {
                        Values::Floats(all) => {
                            all[to].iter_mut().zip(found).for_each(|(to, value)| *to = value);
                        }
                        Values::Bits(all) => {
                            all[to]
                                .iter_mut()
                                .zip(found)
                                .for_each(|(to, spike)| *to = u8::from(spike != F::ZERO));
                        }
                    }
                }
            }
        }
    }

    /// The parts with their values, if all of these are finite.
    fn finish(self, parts: Vec<Part>) -> Result<Vec<RecordedPart<F>>> {
        let with_values = |(part, values): (Part, Vec<Values<F>>)| {
            for (variable, values) in part.variables.iter().zip(&values) {
                if let Values::Floats(values) = values {
                    finite_lists(&[(
                        &format!("the recorded {} of '{}'", variable.name(), part.name),
                        values,
                    )])?;
                }
            }
            let variables = part.variables.into_iter().zip(values).collect();
            Ok(RecordedPart { name: part.name, units: part.units, variables })
        };
        parts.into_iter().zip(self.0).map(with_values).collect()
    }
}
