//! A stream: one trial of unlimited length, stepped by its caller, that learns while it runs.
//!
//! Each step runs the same two halves as a step of the online form on a block of trials (`learn/online.rs`): the same
//! operations, so the same bits. Cells stand in the first lane; of traces sixteen synapses of a target share a row
//! (`learn/traces.rs`). The second half waits until the step's errors are
//! known: [`Stream::add_loss`] only adds to δ, and the next call of any other method runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::batch::DrawKey;
use crate::batch::encode::{BlockInput, InputsInTransit, StepInput};
use crate::batch::loss::{TrialTally, cross_entropy, squared_error};
use crate::description::legal::Use;
use crate::description::rule::Rule;
use crate::error::{Result, invalid, not_finite};
use crate::learn::field::FieldSources;
use crate::learn::learning_synapses::SynapseCache;
use crate::learn::online::{OnlineStep, StepHalf};
use crate::learn::plan::{LearningPlan, trace_dynamics};
use crate::learn::traces::{Before, Rows, Traces, trace_lists};
use crate::model::Model;
use crate::model::optimiser::{self, Optimiser, Rewiring};
use crate::model::psi_means::group_means;
use crate::network::Network;
use crate::neuron::Dynamics;
use crate::neuron::equations::{ADAPTATION, MEMBRANE};
use crate::numeric::lanes::{Block, Instructions, Mask, flat, flat_mut};
use crate::numeric::scalar::{Scalar, all_finite};
use crate::run::real::Real;
use crate::simulate::compiled::CompiledNetwork;

/// The lane in which a stream runs, and all others.
const LANE: usize = 0;
const OTHERS: Mask = !1;

/// A network that runs and learns step by step, in memory that does not grow with time.
///
/// It holds the current weights compiled for the kernels, not the model: [`Stream::update`] takes the model and gives
/// the next one, as [`crate::train_step`] does.
#[derive(Debug)]
pub struct Stream<F: Real> {
    network: Arc<Network>,
    optimiser: Optimiser,
    seed: u64,
    setting: Setting<F>,
    traces: Traces<F>,
    /// The state before the last step.
    before: Before<F>,
    /// Trials ended, by which the noise of the next is drawn.
    trial: u32,
    /// Steps begun.
    steps: usize,
    /// Whether the last step's second half is pending.
    open: bool,
    /// Whether the last step has errors.
    has_delta: bool,
    /// Steps with errors since the last update.
    learned: u64,
    /// All steps since the last update: those that the sums of ψ span.
    summed: u64,
}

/// The data that a step reads.
#[derive(Debug)]
struct Setting<F: Real> {
    rule: Rule,
    learns: Vec<bool>,
    instructions: Instructions,
    network: CompiledNetwork<F>,
    /// The constants of the traces.
    cells: Vec<Dynamics<F>>,
    plan: LearningPlan<F>,
    /// Its learning synapses, for the next.
    cache: SynapseCache<F>,
    input: BlockInput<F>,
}

impl<F: Real> Setting<F> {
    fn run(&self, traces: &mut Traces<F>, t: usize, half: StepHalf) {
        let Self { network, cells, plan, input, .. } = self;
        let online_step = OnlineStep { network, cells, plan, input, regularised: false, traces, t, half };
        F::online_step(self.instructions, online_step);
    }

    /// Compiles the weights of a model.
    fn renew(&mut self, model: &Model<F>) -> Result<()> {
        self.network = CompiledNetwork::new(model)?;
        self.plan = LearningPlan::for_stream(model, &self.network, &self.rule, &self.learns, &self.cache)?;
        Ok(())
    }
}

/// A target of one readout in the last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamTarget<'a> {
    /// Index of the readout.
    pub readout: usize,
    /// The target, or the error itself.
    pub target: Target<'a>,
    /// Factor of loss and error, for instance 1 / (number of steps that count).
    pub weight: f64,
}

/// A target, or the error itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target<'a> {
    /// A class: softmax cross-entropy, δ = softmax(y) − onehot.
    Class(usize),
    /// A value per unit: ½ Σ (y − y*)², δ = y − y*.
    Values(&'a [f64]),
    /// δ = ∂E/∂y of each unit, for a custom loss.
    Error(&'a [f64]),
}

/// Result of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamUpdate {
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Number of steps with errors in the gradient.
    pub steps: u64,
}

/// A stream between two steps, as a value: all that later steps depend on, the weights aside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamState<F> {
    /// Steps since the start.
    pub steps: u64,
    /// α v − thr z of each neuron, to which the next step's input is added, or current.
    pub membrane: Vec<F>,
    /// b of the next step, one per neuron.
    pub adaptation: Vec<F>,
    /// State variables that only some models have, by name: `current`, (1−α) α_s c, a synaptic current decayed for the next step, to
    /// which that step's input is added. One value per neuron, 0 where it has none; empty where no neuron has any.
    pub variables: BTreeMap<String, Vec<F>>,
    /// For how many further steps each neuron cannot spike.
    pub refractory: Vec<u32>,
    /// Neurons that spiked in the last step, ascending.
    pub spikes: Vec<u32>,
    /// Earlier spikes that a delay has not delivered yet: (steps before the last one, neuron), ascending. None without
    /// delays of more than one step.
    pub in_transit: Vec<[u32; 2]>,
    /// Inputs that a delay has not delivered yet. None without delays of more than one step from inputs.
    pub inputs_in_transit: InputsInTransit<F>,
    /// Of a network with noise: the trial's noise so far.
    pub noise: Option<NoiseState>,
    /// y without bias, one per readout unit.
    pub readout: Vec<F>,
    /// The traces of every learning synapse, in an order that network, rule and frozen projections fix.
    pub traces: Vec<F>,
}

/// The noise of a stream's trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NoiseState {
    /// The trial, counted by the stream's returns to rest: its noise is another one.
    pub trial: u32,
    /// n − μ in the last step, one value per neuron with an injected current.
    pub values: Vec<f64>,
}

impl<F: Real> Stream<F> {
    /// A stream in its initial state, on the best instruction set of the processor (or `MDGL_SIMD`'s). `seed` is that
    /// of noise and rewiring.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a rule whose estimator is not `'online'` or that does not fit the network, and for the
    /// optimiser's settings; [`crate::Error::Memory`].
    pub fn new(model: &Model<F>, rule: &Rule, optimiser: &Optimiser, seed: u64) -> Result<Self> {
        Self::with_instructions(model, rule, optimiser, seed, Instructions::choose()?)
    }

    /// The same on a given instruction set.
    ///
    /// # Errors
    /// As [`Self::new`]; also when the processor lacks the instruction set.
    pub fn with_instructions(
        model: &Model<F>,
        rule: &Rule,
        optimiser: &Optimiser,
        seed: u64,
        instructions: Instructions,
    ) -> Result<Self> {
        if !instructions.is_available() {
            return Err(invalid("instructions", instructions.name(), "one that the processor has"));
        }
        rule.validate_use(Use::Session)?;
        optimiser.validate(model.network())?;
        if optimiser.rewiring == Rewiring::AllPairs {
            let allowed = "true or false in a session, whose traces belong to its synapses";
            return Err(invalid("optimiser.rewiring", "'all-pairs'", allowed));
        }
        let learns = optimiser.learns(model.network());
        let network = CompiledNetwork::new(model)?;
        let cache = SynapseCache::default();
        let plan = LearningPlan::for_stream(model, &network, rule, &learns, &cache)?;
        let cells = trace_dynamics(&network, rule.trace);
        let input = BlockInput::default();
        let setting =
            Setting { rule: rule.clone(), learns, instructions, network, cells, plan, cache, input };
        let mut stream = Self {
            network: Arc::clone(model.network()),
            optimiser: optimiser.clone(),
            seed,
            setting,
            traces: Traces::default(),
            before: Before::default(),
            trial: 0,
            steps: 0,
            open: false,
            has_delta: false,
            learned: 0,
            summed: 0,
        };
        stream.begin()?;
        stream.forget()?;
        Ok(stream)
    }

    /// One step of the network with this input, one entry per input population.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an input that does not fit, [`crate::Error::NotFinite`] when an output would not be finite,
    /// [`crate::Error::Memory`]; the stream's state is unchanged then. After [`crate::Error::NotFinite`] the step before takes no more errors.
    pub fn step(&mut self, inputs: &[StepInput<'_>]) -> Result<()> {
        self.check_inputs(inputs)?;
        self.close();
        self.setting.input.encode_step(&self.network, self.steps, inputs)?;
        self.traces.snapshot_into(&mut self.before);
        self.setting.run(&mut self.traces, self.steps, StepHalf::Simulate { ended_lanes: OTHERS });
        if !self.readout().all(Scalar::is_finite) {
            self.traces.take_back(&self.before);
            return Err(not_finite("a readout"));
        }
        self.steps += 1;
        self.summed += 1;
        (self.open, self.has_delta) = (true, false);
        Ok(())
    }

    /// Bytes of memory in use, the model aside.
    pub fn bytes(&self) -> usize {
        let Setting { plan, .. } = &self.setting;
        let wired = CompiledNetwork::<F>::bytes(&self.network)
            .saturating_add(LearningPlan::<F>::bytes(&self.network, plan.receives()));
        self.traces.bytes().saturating_add(wired)
    }

    /// Whether a delay may hold inputs back.
    pub fn has_input_delays(&self) -> bool {
        self.setting.network.input_reach() > 0
    }

    /// Neurons that spiked in the last step, ascending.
    pub fn spikes(&self) -> impl Iterator<Item = u32> {
        let last = self.steps.checked_sub(1).map(|t| self.traces.state.spikes.at(t));
        last.into_iter().flatten().map(|entry| entry.unit)
    }

    /// y of each readout unit in the last step, with bias.
    pub fn readout(&self) -> impl Iterator<Item = F> {
        self.traces.readout.iter().map(|block| block.0[LANE])
    }

    /// Adds errors to the last step and gives their loss (0 for errors given by the caller). The gradient is that of
    /// the sum of all losses since the last [`Self::update`].
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] where no step waits for errors and for targets that do not fit; [`crate::Error::NotFinite`]. Nothing
    /// is added then.
    pub fn add_loss(&mut self, targets: &[StreamTarget<'_>]) -> Result<f64> {
        if !self.open {
            return Err(invalid("addLoss", "not preceded by a step", "after a step, about its outputs"));
        }
        let mut loss = 0.0;
        let mut errors: Vec<F> = lane(&self.traces.delta).collect();
        for target in targets {
            loss += self.evaluate_loss(target, &mut errors)?;
        }
        if !loss.is_finite() {
            return Err(not_finite("the loss of all targets together"));
        }
        fill(&mut self.traces.delta, &mut errors.iter());
        self.learned += u64::from(!self.has_delta);
        self.has_delta = true;
        Ok(loss)
    }

    /// One step of the optimiser with the gradient accumulated since the last one, on a copy of the model; from the
    /// next step on the stream runs on the new weights, with the current mean weights. Its state and traces stay. The
    /// generator of noise and rewiring is keyed by the seed and by the optimiser's steps so far.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a model of another network; [`crate::Error::NotFinite`] when gradient or weights would not be finite:
    /// weights and state are unchanged then, and the gradient is dropped. [`crate::Error::Memory`].
    pub fn update(&mut self, model: &Model<F>) -> Result<(Model<F>, StreamUpdate)> {
        if !Arc::ptr_eq(model.network(), &self.network) {
            return Err(invalid("model", "of another network", "the model that the stream was made of"));
        }
        self.close();
        let updated = self.next_model(model);
        self.forget()?;
        let (next, applied) = updated?;
        self.setting.renew(&next)?;
        self.traces.renew(&self.setting.plan, &self.setting.network);
        Ok((next, applied))
    }

    /// The state between this step and the next one. Errors of a pending step are not lost.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] when a number in it is not finite.
    pub fn state(&self) -> Result<StreamState<F>> {
        let mut traces = self.traces.clone();
        let Setting { network, plan, .. } = &self.setting;
        if self.open {
            self.setting.run(&mut traces, self.steps - 1, StepHalf::Learn { has_delta: false });
        }
        let (rows, lists) = traces.carried(plan);
        let mut carried = Vec::with_capacity(self.trace_len());
        for (arrangement, blocks) in lists {
            let blocks = &blocks[..];
            carried.extend(rows.places_in(arrangement, blocks.len()).map(|place| flat(blocks)[place]));
        }
        let state = StreamState {
            steps: self.steps as u64,
            membrane: self.variable(MEMBRANE),
            adaptation: self.variable(ADAPTATION),
            variables: self.others().into_iter().map(|name| (name.into(), self.variable(name))).collect(),
            refractory: traces.state.blocked(network, LANE, self.steps),
            spikes: self.spikes().collect(),
            in_transit: traces.state.in_transit(network, LANE, self.steps),
            inputs_in_transit: self.setting.input.in_transit(self.steps),
            noise: self.network.currents.are_random().then(|| NoiseState {
                trial: self.trial,
                values: self.setting.input.noise(self.steps).to_vec(),
            }),
            readout: lane(&traces.state.carried.readout).collect(),
            traces: carried,
        };
        let numbers = [&state.membrane, &state.adaptation, &state.readout, &state.traces];
        if !numbers.into_iter().chain(state.variables.values()).all(|values| all_finite(values)) {
            return Err(not_finite("the state of the session"));
        }
        Ok(state)
    }

    /// Puts a state back; the gradient since the last update is kept.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a state of another network or rule; nothing is changed then. [`crate::Error::Memory`].
    pub fn restore(&mut self, state: &StreamState<F>) -> Result<()> {
        self.check_state(state)?;
        self.close();
        if let Some(noise) = &state.noise {
            self.trial = noise.trial;
        }
        self.begin()?;
        self.steps = state.steps as usize;
        let Setting { network, plan, .. } = &self.setting;
        let simulated = &mut self.traces.state;
        simulated.resume(network, self.steps, &state.spikes, &state.refractory, &state.in_transit);
        for (cell, dynamics) in network.cells.iter().enumerate() {
            for (i, &name) in dynamics.variables().iter().enumerate() {
                let values = match name {
                    MEMBRANE => &state.membrane,
                    ADAPTATION => &state.adaptation,
                    other => &state.variables[other],
                };
                simulated.carried.variable_mut(i)[cell].0[LANE] = values[cell];
            }
        }
        fill(&mut simulated.carried.readout, &mut state.readout.iter());
        let mut values = state.traces.iter();
        let (rows, lists) = self.traces.carried(plan);
        for (arrangement, blocks) in lists {
            let places = rows.places_in(arrangement, blocks.len());
            places.zip(&mut values).for_each(|(place, &value)| flat_mut(blocks)[place] = value);
        }
        self.setting.input.resume(self.steps, &state.inputs_in_transit);
        if let Some(noise) = &state.noise {
            self.setting.input.set_noise(&noise.values);
        }
        Ok(())
    }

    /// Returns to rest, as at the start of a trial; the gradient since the last update is kept.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn reset(&mut self) -> Result<()> {
        self.leave()
    }

    /// Names of the state variables that have no field of their own in [`StreamState`].
    fn others(&self) -> BTreeSet<&'static str> {
        let all = self.setting.network.cells.iter().flat_map(|dynamics| dynamics.variables()).copied();
        all.filter(|&name| name != MEMBRANE && name != ADAPTATION).collect()
    }

    /// The values of a state variable, one per neuron; 0 where its model has none.
    fn variable(&self, name: &str) -> Vec<F> {
        let state = &self.traces.state.carried;
        let value = |(cell, dynamics): (usize, &Dynamics<F>)| {
            let place = dynamics.variables().iter().position(|&own| own == name);
            place.map_or(F::ZERO, |place| state.variable(place)[cell].0[LANE])
        };
        self.setting.network.cells.iter().enumerate().map(value).collect()
    }

    /// Carries out the second half of the last step.
    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.setting.run(&mut self.traces, self.steps - 1, StepHalf::Learn { has_delta: self.has_delta });
        }
    }

    /// Ends the trial and starts a new one; errors of the last step still count.
    fn leave(&mut self) -> Result<()> {
        self.close();
        self.trial = self.trial.wrapping_add(1);
        self.begin()
    }

    fn begin(&mut self) -> Result<()> {
        let Setting { network, plan, input, .. } = &mut self.setting;
        (self.steps, self.open) = (0, false);
        let key = DrawKey { seed: self.seed, ..DrawKey::default() };
        input.begin_stream(&self.network, network.input_reach(), key, self.trial);
        self.traces.begin(network, plan, Rows::of_targets, false)?;
        self.traces.renew(plan, network);
        Ok(())
    }

    fn forget(&mut self) -> Result<()> {
        (self.learned, self.summed) = (0, 0);
        self.traces.forget(&self.setting.plan, self.setting.network.outputs())
    }

    fn next_model(&self, model: &Model<F>) -> Result<(Model<F>, StreamUpdate)> {
        let gradients = self.traces.block_gradient().gradients(model, &self.setting.plan)?;
        // A stream's iterations are the model's steps.
        let optimiser = &*self.optimiser.at(model.moments.steps + 1);
        let gradients = gradients.without_biases(&optimiser.frozen_biases(&self.network));
        let gradient_norm = gradients.norm();
        let decay = optimiser::next_feedback_decay(model, &self.setting.rule.feedback, optimiser)?;
        let mut next = optimiser::step(model, optimiser, &gradients, self.seed)?;
        optimiser::rewire(&mut next, optimiser, self.seed)?;
        if let Some(loss) = decay {
            optimiser::decay_feedback(&mut next, loss, optimiser);
        }
        if self.setting.plan.follows_psi() && self.summed > 0 {
            let sums = self.traces.psi_sums();
            next.psi_means.follow(&group_means(&self.network.groups, &sums, self.summed as f64));
        }
        Ok((next.checked()?, StreamUpdate { gradient_norm, steps: self.learned }))
    }

    /// Adds δ of each unit of a target's readout; returns its loss.
    fn evaluate_loss(&self, target: &StreamTarget<'_>, delta: &mut [F]) -> Result<f64> {
        let StreamTarget { readout, target, weight } = *target;
        let Some(slot) = self.network.readouts().get(readout) else {
            return Err(invalid("targets.readout", readout, "the index of a readout"));
        };
        let path = format!("targets.{}", slot.name());
        if !weight.is_finite() {
            return Err(invalid(format!("{path}.weight"), weight, "a finite number"));
        }
        let blocks = &self.traces.readout[slot.units.clone()];
        let y: Vec<f64> = blocks.iter().map(|block| block.0[LANE].to_f64()).collect();
        let (mut errors, mut tally) = (vec![0.0; y.len()], TrialTally::default());
        match target {
            Target::Class(class) if class >= y.len() => {
                return Err(invalid(format!("{path}.target"), class, format!("0 to {}", y.len() - 1)));
            }
            Target::Class(class) => cross_entropy(weight, class, &y, &mut errors, &mut tally),
            Target::Values(values) => {
                check_values::<F>(&format!("{path}.target"), values, y.len())?;
                squared_error(weight, values, &y, &mut errors, &mut tally);
            }
            Target::Error(given) => {
                check_values::<F>(&format!("{path}.error"), given, y.len())?;
                errors.iter_mut().zip(given).for_each(|(error, &given)| *error = weight * given);
            }
        }
        delta[slot.units.clone()].iter_mut().zip(errors).for_each(|(sum, error)| *sum += F::from_f64(error));
        match tally.loss.is_finite() && all_finite(delta) {
            true => Ok(tally.loss),
            false => Err(not_finite(format!("the error of {}", slot.name()))),
        }
    }

    fn check_inputs(&self, inputs: &[StepInput<'_>]) -> Result<()> {
        let populations = &self.network.description().inputs;
        if inputs.len() != populations.len() {
            let value = format!("{} populations", inputs.len());
            return Err(invalid("input", value, format!("{} populations", populations.len())));
        }
        for (input, population) in inputs.iter().zip(populations) {
            let path = || format!("input.{}", population.name);
            let size = population.size;
            match input {
                StepInput::Silent => {}
                StepInput::Events(events) => {
                    if let Some(i) = events.iter().position(|&unit| unit as usize >= size) {
                        let allowed = format!("an index below {size}");
                        return Err(invalid(format!("{}[{i}]", path()), events[i], allowed));
                    }
                }
                StepInput::Analogue(values) => check_values::<F>(&path(), values, size)?,
            }
        }
        Ok(())
    }

    fn check_state(&self, state: &StreamState<F>) -> Result<()> {
        let network = &self.setting.network;
        let n = network.size();
        for (name, values, expected) in [
            ("membrane", &state.membrane, n),
            ("adaptation", &state.adaptation, n),
            ("readout", &state.readout, network.outputs()),
            ("traces", &state.traces, self.trace_len()),
        ] {
            check_values::<F>(&format!("state.{name}"), values, expected)?;
        }
        let others = self.others();
        if !others.iter().copied().eq(state.variables.keys().map(String::as_str)) {
            let value = format!("{:?}", state.variables.keys().collect::<Vec<_>>());
            return Err(invalid("state.variables", value, format!("{others:?}")));
        }
        for (name, values) in &state.variables {
            check_values::<F>(&format!("state.variables.{name}"), values, n)?;
        }
        if state.refractory.len() != n {
            let value = format!("{} values", state.refractory.len());
            return Err(invalid("state.refractory", value, format!("{n} values")));
        }
        if !state.spikes.is_sorted_by(|a, b| a < b) || state.spikes.iter().any(|&unit| unit as usize >= n) {
            return Err(invalid("state.spikes", "another list", format!("ascending indices below {n}")));
        }
        self.check_in_transit(state)?;
        self.check_inputs_in_transit(state)?;
        if state.noise.is_some() != self.network.currents.are_random() {
            let value = if state.noise.is_some() { "a value" } else { "nothing" };
            return Err(invalid(
                "state.noise",
                value,
                "that of a network with noise where the network has any",
            ));
        }
        if let Some(NoiseState { values, .. }) = &state.noise {
            check_values::<f64>("state.noise.values", values, self.network.currents.len())?;
        }
        let mut spiked = vec![false; n];
        state.spikes.iter().for_each(|&unit| spiked[unit as usize] = true);
        // A neuron in its refractory period has spiked: in the last step or before it, but not before the first.
        let possible = |p: usize| {
            let (period, left) = (network.refractory[p], state.refractory[p]);
            let just = left == period && state.steps > 0;
            let earlier = left < period && (left == 0 || u64::from(period - left) < state.steps);
            if spiked[p] { just } else { earlier || period == 0 && left == 0 }
        };
        match (0..n).find(|&p| !possible(p)) {
            Some(p) => {
                let path = format!("state.refractory[{p}]");
                Err(invalid(
                    path,
                    state.refractory[p],
                    "the steps left of the period since the neuron's last spike",
                ))
            }
            None => Ok(()),
        }
    }

    /// Spikes in transit must be possible, and agree with the refractory periods.
    fn check_in_transit(&self, state: &StreamState<F>) -> Result<()> {
        let network = &self.setting.network;
        let longest = network.longest_delay() as u64;
        let refuse = |value: String, allowed: &str| Err(invalid("state.inTransit", value, allowed));
        let possible = |&[before, unit]: &[u32; 2]| {
            before > 0 && u64::from(before) < longest.min(state.steps) && (unit as usize) < network.size()
        };
        if !state.in_transit.is_sorted_by(|a, b| a < b) || !state.in_transit.iter().all(possible) {
            return refuse("another list".into(), "ascending pairs of steps before the last one and neuron");
        }
        let blocked = |&&[before, unit]: &&[u32; 2]| {
            let period = network.refractory[unit as usize];
            before >= period || state.refractory[unit as usize] == period - before
        };
        if let Some(&[before, unit]) = state.in_transit.iter().find(|spike| !blocked(spike)) {
            let value = format!("a spike of neuron {unit}, {before} steps before the last one");
            return refuse(value, "spikes that fit state.refractory");
        }
        let missing = |&unit: &usize| {
            let (period, left) = (network.refractory[unit], state.refractory[unit]);
            let before = period.saturating_sub(left);
            let within = left > 0 && before > 0 && u64::from(before) < longest;
            within && state.in_transit.binary_search(&[before, unit as u32]).is_err()
        };
        match (0..network.size()).find(missing) {
            Some(unit) => refuse(format!("no spike of neuron {unit}"), "spikes that fit state.refractory"),
            None => Ok(()),
        }
    }

    /// Inputs in transit must be units of the network, within reach of its delays.
    fn check_inputs_in_transit(&self, state: &StreamState<F>) -> Result<()> {
        let InputsInTransit { events, places, values } = &state.inputs_in_transit;
        let (reach, units) =
            ((self.setting.network.input_reach() as u64).min(state.steps), self.network.input_units());
        let possible = |before: u32, unit: u32| u64::from(before) < reach && (unit as usize) < units;
        let ordered = events.is_sorted_by_key(|event| event[0]) && places.is_sorted_by_key(|place| place[0]);
        let fits = events.iter().all(|&[before, unit, count]| {
            possible(before, unit) && (1..=u32::from(u16::MAX)).contains(&count)
        });
        if !ordered || !fits || !places.iter().all(|&[before, unit]| possible(before, unit)) {
            let allowed = format!(
                "steps before the last one, ascending and below {reach}, and input units below {units}"
            );
            return Err(invalid("state.inputsInTransit", "other lists", allowed));
        }
        check_values::<F>("state.inputsInTransit.values", values, places.len())
    }

    /// Number of values of the rule's traces.
    fn trace_len(&self) -> usize {
        let Setting { network, plan, .. } = &self.setting;
        let (slots, k) = (plan.synapses.slots.len(), network.outputs());
        let modulation = match plan.receives() {
            true if plan.filters_factors_separately => network.size(),
            true => slots * (k + 2 * plan.filter_traces()),
            false => 0,
        };
        let sites = plan.field.as_ref().map_or(0, FieldSources::sites);
        let past = plan.past_rows() * slots;
        (2 + trace_lists(network)) * slots + slots * k + network.size() + past + modulation + sites
    }
}

/// A stream's own lane of some blocks.
fn lane<F: Real>(blocks: &[Block<F>]) -> impl Iterator<Item = F> {
    blocks.iter().map(|block| block.0[LANE])
}

/// The next values into a stream's own lane.
fn fill<'a, F: Real>(blocks: &mut [Block<F>], values: &mut impl Iterator<Item = &'a F>) {
    for (block, &value) in blocks.iter_mut().zip(values) {
        block.0[LANE] = value;
    }
}

/// So many numbers, finite in the stream's precision.
fn check_values<F: Real>(path: &str, values: &[impl Real], expected: usize) -> Result<()> {
    if values.len() != expected {
        return Err(invalid(path, format!("{} values", values.len()), format!("{expected} values")));
    }
    match values.iter().position(|value| !F::from_f64(value.to_f64()).is_finite()) {
        Some(i) => Err(invalid(format!("{path}[{i}]"), values[i].to_f64(), format!("a finite {}", F::NAME))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lengths of all buffers that could grow; those of the lists of spikes aside.
    fn lengths(stream: &mut Stream<f32>) -> (Vec<usize>, [usize; 2]) {
        let Setting { plan, input, .. } = &stream.setting;
        let mut lengths = vec![input.analogue.len(), input.analogue_units.len()];
        lengths.extend(input.events.lengths());
        lengths.extend(stream.traces.carried(plan).1.iter().map(|(_, blocks)| blocks.len()));
        let state = &stream.traces.state;
        let carried = &state.carried;
        lengths.extend([carried.variable(0), carried.variable(1), &carried.readout].map(<[_]>::len));
        (lengths, state.spikes.lengths())
    }

    #[test]
    fn memory_is_flat_in_time() {
        let description = json!({
            "schema": "mdgl-network/1",
            "inputs": [{"name": "in", "size": 4}],
            "populations": [{"name": "a", "size": 30, "model": "lif"}],
            "readouts": [{"name": "out", "size": 2}],
            "projections": [
                {"from": "in", "to": "a", "density": 1},
                {"from": "a", "to": "a", "density": 0.3},
                {"from": "a", "to": "out", "density": 1}
            ]
        });
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        let mut model = Model::<f32>::new(Arc::new(network)).unwrap();
        let rule = Rule::mdgl().online();
        let mut stream = Stream::new(&model, &rule, &Optimiser::fig_3c(), 1).unwrap();
        let mut spikes = 0;
        let mut run = |stream: &mut Stream<f32>, steps: usize| {
            for t in 0..steps {
                stream.step(&[StepInput::Events(&[0, 1, (t % 4) as u32])]).unwrap();
                spikes += stream.spikes().count();
                let target = Target::Class(t / 10 % 2);
                stream.add_loss(&[StreamTarget { readout: 0, target, weight: 1.0 }]).unwrap();
                if t % 100 == 99 {
                    model = stream.update(&model).unwrap().0;
                }
            }
        };
        run(&mut stream, 3_000);
        let (before, _) = lengths(&mut stream);
        for _ in 0..20 {
            run(&mut stream, 1_000);
            let (after, [starts, entries]) = lengths(&mut stream);
            assert_eq!(after, before);
            // Lists are dropped a thousand at a time, those of the refractory period stay.
            assert!(starts <= 1024 + 8 && entries <= 30 * (1024 + 8), "{starts} lists, {entries} spikes");
        }
        assert!(spikes > 10_000, "{spikes} spikes");
    }
}
