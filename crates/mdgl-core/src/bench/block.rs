//! One block of sixteen trials, simulated and passed backwards: the input of the kernel benchmarks.

use std::sync::atomic::AtomicBool;

use super::Dispatch;
use super::kernels::{GatherBench, Modulate, NeuronUpdateBench, ReadOut, Recurse, Scatter};
use super::workload::Workload;
use crate::batch::encode::BlockInput;
use crate::batch::encode::are_by_trial;
use crate::batch::loss::{Loss, LossTerm, Objective};
use crate::batch::{EncodedBatch, Event, Input, Targets};
use crate::description::rule::Rule;
use crate::instrument::section::Section;
use crate::instrument::tally::Tally;
use crate::learn::backward::{Backward, BackwardState};
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::plan::{Delta, LearningPlan};
use crate::learn::rates::RatePart;
use crate::learn::work::{self, BackwardWork};
use crate::model::Model;
use crate::model::gradients::Gradients;
use crate::model::optimiser::{self, Optimiser};
use crate::network::Network;
use crate::neuron::for_model;
use crate::numeric::lanes::{Block, Instructions, LANES};
use crate::run::real::Real;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::packed::Packed;
use crate::simulate::scatter;
use crate::simulate::step::NetworkState;
use crate::simulate::trajectory::{Keep, Simulate, Trajectory};

/// Steps of the trials per call: microseconds of a call are nanoseconds per step.
pub const STEPS: usize = 1000;
/// Blocks whose sums the reduction adds: a batch of 64.
const BLOCKS: usize = 4;
/// One synapse of so many is dead before rewiring.
const DEAD: usize = 20;
/// Of f32.
const SUBNORMAL: f64 = 1e-42;

/// A block of trials and all state that kernels need.
#[derive(Debug)]
pub struct TrialBlock<F: Real> {
    workload: Workload<F>,
    /// The workload's trials without inputs, with a value per readout unit and step as targets.
    valued: EncodedBatch,
    network: CompiledNetwork<F>,
    plan: LearningPlan<F>,
    input: BlockInput<F>,
    trajectory: Trajectory<F>,
    delta: Delta<F>,
    backward_state: BackwardState<F>,
    /// Destination of scattered events and spikes.
    cells: Vec<Block<F>>,
    scattering: Vec<scatter::ScatterItem>,
    readout: Vec<Block<F>>,
    still: Still<F>,
    cancel: AtomicBool,
}

/// Cells whose membranes neither decay nor receive, so that every step meets the voltages of the first.
#[derive(Debug)]
struct Still<F: Real> {
    network: CompiledNetwork<F>,
    /// State with the voltages, adaptation and spikes of the trials.
    active: NetworkState<F>,
    /// All zero.
    silent: NetworkState<F>,
    psi: Packed<F>,
}

impl<F: Dispatch> TrialBlock<F> {
    /// Sixteen trials of Fig. 3C, with a readout of that density, passed backwards by a rule.
    ///
    /// # Panics
    /// When memory is short, or the rule is unknown.
    pub fn new(rule: &str, readout_density: f64) -> Self {
        let workload = Workload::paper(LANES, STEPS, readout_density);
        let network = CompiledNetwork::new(&workload.model).expect("memory for a network");
        let rule = Rule::named(rule).expect("a rule");
        let learns = vec![true; workload.model.network().projections().len()];
        let plan = LearningPlan::new(&workload.model, &network, &rule, false, &learns).expect("a plan");
        let still = Still {
            network: still_circuit(&workload.model),
            active: NetworkState::default(),
            silent: NetworkState::default(),
            psi: Packed::default(),
        };
        let targets = vec![Targets::Values(vec![0.0; LANES * STEPS * network.outputs()])];
        let valued = EncodedBatch { inputs: Vec::new(), targets, ..workload.batch.clone() };
        let mut block = Self {
            valued,
            cells: vec![Block::ZERO; network.size()],
            readout: vec![Block::ZERO; network.outputs()],
            workload,
            network,
            plan,
            input: BlockInput::default(),
            trajectory: Trajectory::default(),
            delta: Delta::default(),
            backward_state: BackwardState::default(),
            scattering: Vec::new(),
            still,
            cancel: AtomicBool::new(false),
        };
        block.run_once();
        block
    }

    fn run_once(&mut self) {
        let set = Instructions::choose().expect("an instruction set");
        self.encode();
        let keep =
            Keep { psi: Some(&self.plan.psi_runs), voltage: true, segment: Some(STEPS), ..Keep::NOTHING };
        let lengths = [STEPS as u32; LANES];
        self.trajectory.prepare(&self.network, lengths, STEPS, keep).expect("memory for a block");
        let kernel = Simulate {
            network: &self.network,
            input: &self.input,
            trajectory: &mut self.trajectory,
            keep,
            segment: None,
            cancel: &self.cancel,
        };
        F::simulate(set, kernel).expect("a simulation");
        let Workload { model, batch, objective, .. } = &self.workload;
        self.delta
            .reset(objective.first_step(STEPS), STEPS, self.network.outputs())
            .expect("memory for errors");
        evaluate_loss(model.network(), batch, objective, &self.trajectory, &mut self.delta);
        F::backward(set, self.backward()).expect("a backward pass");
        self.still.begin(&self.trajectory);
    }

    fn backward(&mut self) -> Backward<'_, F> {
        Backward {
            network: &self.network,
            plan: &self.plan,
            input: &self.input,
            trajectory: &mut self.trajectory,
            delta: &self.delta,
            rates: RatePart::shared(&[]),
            given: None,
            state: &mut self.backward_state,
            signals: None,
            cancel: &self.cancel,
        }
    }

    /// Work of a kernel in one call, by the model of the profile.
    pub fn tally(&self, section: Section) -> Tally {
        let drawn = work::tally_drawing(&self.input, STEPS);
        let forth = work::tally_simulation(&self.network, &self.input, &self.trajectory);
        let batch = (&self.input, &self.trajectory);
        let back = work::tally_backward(&self.network, &self.plan, batch, &self.whole_pass());
        let reduced = work::tally_reduction::<F>(self.plan.synapses.slots.len(), BLOCKS);
        let optimised = work::tally_optimiser::<F>(self.workload.model.parameters());
        let all = drawn.into_iter().chain(forth).chain(back).chain(reduced).chain(optimised);
        all.filter(|&(of, _)| of == section).map(|(_, tally)| tally).next().unwrap_or_default()
    }

    /// A backward pass that leaves nothing out.
    fn whole_pass(&self) -> BackwardWork {
        let mut work = BackwardWork::default();
        work.start(self.plan.runs.len());
        for t in 0..STEPS {
            work.step(&self.trajectory.lengths, t);
            work.count(|work| &mut work.signals);
            work.count(|work| &mut work.modulation);
            (0..self.plan.runs.len()).for_each(|run| work.count(|work| &mut work.runs[run]));
        }
        work
    }

    /// Number of input events.
    pub fn events(&self) -> u64 {
        let entries = (0..STEPS).flat_map(|t| self.input.events.at(t));
        entries.map(|entry| u64::from(entry.mask.count_ones()) * u64::from(entry.count)).sum()
    }

    /// Number of weights.
    pub fn weights(&self) -> u64 {
        self.workload.model.parameters() as u64
    }

    /// Draws the inputs and packs them.
    pub fn encode(&mut self) {
        let Workload { model, batch, .. } = &self.workload;
        let by_trial = are_by_trial(&batch.inputs);
        let cancel = AtomicBool::new(false);
        self.input.encode(model.network(), (batch, &by_trial), 0, &cancel).expect("memory for the input");
    }

    /// Turns the drawn events into given ones, which [`Self::encode`] sorts and packs from then on.
    pub fn give_events(&mut self) {
        let mut events = Vec::new();
        for step in 0..STEPS {
            for entry in self.input.events.at(step) {
                let lanes = (0..LANES as u32).filter(|lane| entry.mask >> lane & 1 == 1);
                let (step, unit, count) = (step as u32, entry.unit, u32::from(entry.count));
                events.extend(lanes.map(|trial| Event { trial, step, unit, count }));
            }
        }
        events.sort_unstable();
        self.workload.batch.inputs = vec![Input::Events(events)];
    }

    /// Scatter of input events to cells.
    pub fn scatter_input(&mut self, set: Instructions) {
        self.cells.fill(Block::ZERO);
        let kernel = Scatter {
            lists: &self.input.events,
            weights: &self.network.input_chunks,
            work: &mut self.scattering,
            to: &mut self.cells,
            steps: STEPS,
        };
        F::dispatch(set, kernel);
    }

    /// Spikes onto cells.
    pub fn scatter_spikes(&mut self, set: Instructions) {
        self.cells.fill(Block::ZERO);
        let kernel = Scatter {
            lists: &self.trajectory.state.spikes,
            weights: &self.network.undelayed().chunks,
            work: &mut self.scattering,
            to: &mut self.cells,
            steps: STEPS,
        };
        F::dispatch(set, kernel);
    }

    /// The cells, with voltages as the trials had them or all zero; ψ is kept.
    pub fn update_neurons(&mut self, set: Instructions, silent: bool) {
        let Still { network, active, silent: zero, psi } = &mut self.still;
        let state = if silent { zero } else { active };
        let kernel = NeuronUpdateBench { network, state, psi, steps: STEPS };
        F::dispatch(set, kernel).expect("memory for ψ");
    }

    /// Scatter of spikes to readout units.
    pub fn read_out(&mut self, set: Instructions) {
        let kernel = ReadOut {
            network: &self.network,
            state: &mut self.trajectory.state,
            out: &mut self.readout,
            steps: STEPS,
        };
        F::dispatch(set, kernel);
    }

    /// Squared error at every step, in place of the workload's loss.
    pub fn evaluate_loss_every_step(&mut self) -> BatchSums {
        let objective =
            Objective { losses: vec![LossTerm::new("choice", Loss::SquaredError)], regulariser: None };
        self.delta.reset(0, STEPS, self.network.outputs()).expect("memory for errors");
        let network = self.workload.model.network();
        evaluate_loss(network, &self.valued, &objective, &self.trajectory, &mut self.delta)
    }

    /// λ of every step.
    pub fn recurse(&mut self, set: Instructions) {
        F::dispatch(set, Recurse(self.backward()));
    }

    /// Γ of every step.
    pub fn modulate(&mut self, set: Instructions) {
        F::dispatch(set, Modulate(self.backward()));
    }

    /// The gradient sums of every tile.
    pub fn gather(&mut self, set: Instructions) {
        F::dispatch(set, GatherBench(self.backward()));
    }

    /// The sums over lanes and over the blocks of a batch, to gradients by projection.
    pub fn reduce(&self) -> Gradients<F> {
        let block_gradients = (0..BLOCKS).map(|_| self.backward_state.block_gradient(&self.plan)).collect();
        let subtrees = Subtree::of_blocks(0, block_gradients);
        let sum = BlockGradient::tree_reduce(subtrees);
        sum.gradients(&self.workload.model, &self.plan).expect("finite gradients")
    }

    /// A copy of the model.
    pub fn model(&self) -> &Model<F> {
        &self.workload.model
    }

    /// The model after so long without a gradient that first moments have become subnormal, and no gradient.
    pub fn forgotten(&self) -> (Model<F>, Gradients<F>) {
        let mut model = self.workload.model.clone();
        let moments = &mut model.moments;
        moments.steps = 1000;
        for moment in moments.theta.iter_mut().flatten() {
            moment.first = F::from_f64(SUBNORMAL);
        }
        let none = BlockGradient {
            sums: vec![F::ZERO; self.plan.synapses.slots.len()],
            bias: vec![F::ZERO; self.network.outputs()],
            ..BlockGradient::default()
        };
        let gradients = none.gradients(&model, &self.plan).expect("finite gradients");
        (model, gradients)
    }

    /// A model after a step, with some dead synapses.
    pub fn pruned(&self) -> Model<F> {
        let mut model = optimise(self.model(), &self.reduce());
        for theta in model.theta.iter_mut().flat_map(|theta| theta.iter_mut().step_by(DEAD)) {
            *theta = F::ZERO;
        }
        model
    }
}

/// A step of Fig. 3C's optimiser, rewiring aside.
pub fn optimise<F: Real>(model: &Model<F>, gradients: &Gradients<F>) -> Model<F> {
    optimiser::step(model, &Optimiser::fig_3c(), gradients, 1).expect("memory for a copy of the model")
}

/// Rewiring of dead synapses.
pub fn rewire<F: Real>(model: &mut Model<F>) {
    optimiser::rewire(model, &Optimiser::fig_3c(), 1).expect("memory for the synapses");
}

fn evaluate_loss<F: Real>(
    network: &Network,
    batch: &EncodedBatch,
    objective: &Objective,
    trajectory: &Trajectory<F>,
    delta: &mut Delta<F>,
) -> BatchSums {
    let mut evaluator = LossEvaluator::new(network, batch, objective, 0);
    evaluator.all(&trajectory.readout, network.output_units(), delta);
    evaluator.batch_sums()
}

fn still_circuit<F: Real>(model: &Model<F>) -> CompiledNetwork<F> {
    let mut network = CompiledNetwork::new(model).expect("memory for a network");
    for run in &mut network.runs {
        for_model!(&mut run.dynamics, model => *model.decay_mut() = F::ONE);
    }
    network
}

impl<F: Real> Still<F> {
    fn begin(&mut self, trajectory: &Trajectory<F>) {
        let n = self.network.size();
        for state in [&mut self.active, &mut self.silent] {
            state.reset(&self.network).expect("memory for a state");
        }
        self.active.carried.integrator.copy_from_slice(&trajectory.voltage[(STEPS - 1) * n..][..n]);
        self.active.carried.further.clone_from(&trajectory.state.carried.further);
        self.active.spikes.copy_steps(&trajectory.state.spikes, 0..STEPS);
        (0..STEPS).for_each(|_| self.silent.spikes.end_step());
    }
}
