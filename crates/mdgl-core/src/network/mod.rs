//! A checked network with its synapses drawn: ranges of units per population, lists of synapses per projection.

pub(crate) mod channels;
mod connectivity;
pub(crate) mod currents;
mod delays;
mod free_pairs;
mod initial_weights;
pub(crate) mod initialise;
mod lesioned_pairs;
mod lesions;
mod neurons;
mod populations;
mod projections;
pub(crate) mod sheet;
mod synapse;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::description::legal::NetworkProperties;
use crate::description::{Conventions, Delay, Lesion, NetworkDescription, Projection, Shape};
use crate::error::{Result, invalid, unknown};
use crate::network::channels::Table;
use crate::network::sheet::Grid;
use crate::neuron::{Dynamics, Neuron};
use crate::numeric::csr::Csr;
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::steps::decay;

use connectivity::Surroundings;
use currents::Currents;
pub(crate) use initial_weights::InitialWeights;
pub(crate) use neurons::Groups;
use neurons::neurons;
use populations::{lay_out, types};
pub use projections::Synapses;
pub(crate) use projections::check_weight;
use projections::{check_reach, distinct_delays, projections};
pub(crate) use synapse::{Synapse, SynapseKind};

/// Bytes per unit in all lists of units, those of the compiled network and of a plan aside.
const UNIT_BYTES: usize = 2 * (size_of::<Neuron>() + size_of::<Dynamics<f64>>());
const KINDS: [SynapseKind; 3] = [SynapseKind::Input, SynapseKind::Recurrent, SynapseKind::Readout];
/// The tensor of a weights file that holds the running means of ψ.
pub(crate) const PSI_MEANS: &str = "mdgl.psi-means";
/// The tensor that holds what is left of the difference between adaptive feedback and readout weights.
pub(crate) const FEEDBACK_SHARE: &str = "mdgl.feedback-share";
/// The tensor that holds the indices of the projections whose synapses rewiring has changed.
pub(crate) const REWIRED: &str = "mdgl.rewired";
/// The tensors of a checkpoint: the optimiser's steps; θ of every synapse; both moments of every synapse, then of every bias.
pub(crate) const OPTIMISER: [&str; 4] =
    ["mdgl.optimiser.steps", "mdgl.optimiser.theta", "mdgl.optimiser.first", "mdgl.optimiser.second"];

/// The tensor that holds the k-th of the lists that stand beside the description.
pub(crate) fn list_tensor(k: usize) -> String {
    format!("mdgl.lists.{k}")
}

/// A network description, checked, with its connectivity drawn. Immutable; share it by `Arc`.
#[derive(Debug, Clone)]
pub struct Network {
    description: Arc<NetworkDescription>,
    /// Of the description's inputs, and behind them one per cell that a current is injected into.
    pub(crate) input_units: usize,
    pub(crate) currents: Currents,
    pub(crate) neurons: Arc<Vec<Neuron>>,
    /// Their constants as the equations have them.
    pub(crate) dynamics: Arc<Vec<Dynamics<f64>>>,
    pub(crate) outputs: Vec<ReadoutUnit>,
    readouts: Vec<ReadoutSlot>,
    pub(crate) projections: Vec<Synapses>,
    /// The distinct delays in steps, ascending from 1 on, one list per kind of synapses.
    delays: [Vec<usize>; 3],
    /// Type of each neuron.
    pub(crate) type_of: Arc<Vec<usize>>,
    type_names: Vec<String>,
    /// The synapses of each kind by sender, made on first use.
    by_sender: [OnceLock<Arc<Csr<Synapse>>>; 3],
    /// The same by delay, of kinds with several.
    by_delay: [OnceLock<Arc<Vec<Csr<Synapse>>>>; 3],
    /// Cells of the same type and constants.
    pub(crate) groups: Arc<Groups>,
    /// Sites of the cells on the sheet.
    pub(crate) grid: Arc<Grid>,
    pub(crate) channels: Arc<Table>,
    input_offsets: Vec<usize>,
}

/// Constants of one readout unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ReadoutUnit {
    pub kappa: f64,
}

/// The constants of a network's equations: one value per recurrent neuron, of all populations end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct CellConstants {
    /// α = exp(−dt/τ_m).
    pub alpha: Vec<f64>,
    /// ρ = exp(−dt/τ_a).
    pub rho: Vec<f64>,
    /// α_s = exp(−dt/τ_s) of the synaptic current; 0 where a neuron has none.
    pub synaptic_decay: Vec<f64>,
    /// thr.
    pub threshold: Vec<f64>,
    /// β; 0 for LIF.
    pub beta: Vec<f64>,
    /// γ.
    pub dampening: Vec<f64>,
    /// Steps without a spike after one.
    pub refractory: Vec<u32>,
    /// Scale of the input: 1 − α, or as the conventions have it.
    pub input_gain: Vec<f64>,
    /// Spike increment of the adaptation: 1 − ρ, or as the conventions have it.
    pub jump: Vec<f64>,
    /// Factor of the reset in the eligibility trace: thr, or as the conventions have it.
    pub reset: Vec<f64>,
    /// κ = exp(−dt/τ_out), one per readout unit, of all readouts end to end.
    pub kappa: Vec<f64>,
}

/// A readout's place among all readout units.
#[derive(Debug, Clone)]
pub struct ReadoutSlot {
    name: String,
    pub(crate) units: Range<usize>,
    pub(crate) bias: bool,
}

impl ReadoutSlot {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Its number of units.
    pub fn size(&self) -> usize {
        self.units.len()
    }
    /// Whether it has a plastic bias.
    pub fn has_bias(&self) -> bool {
        self.bias
    }
}

impl Network {
    /// Checks a description and draws its connectivity from its seed.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the option's path, the value and what is allowed.
    pub fn new(description: NetworkDescription) -> Result<Self> {
        let description = description.complete()?;
        let ranges = lay_out(&description)?;
        let counts = description.inputs.iter().map(|p| p.size);
        let counts = counts.chain(description.populations.iter().map(|p| p.size));
        let counts = counts.chain(description.readouts.iter().map(|r| r.size));
        ensure_memory(
            product(&[counts.fold(0, usize::saturating_add), UNIT_BYTES]),
            "the units of a network",
        )?;
        let cells = description.populations.iter().map(|p| p.size).sum();
        let (type_names, type_of) = types(&description, &ranges, cells)?;
        let grid = Grid::new(description.sheet.unwrap_or_default(), description.seed, &type_of)?;
        let around = Surroundings {
            type_names: &type_names,
            type_of: &type_of,
            sheet: description.sheet,
            grid: &grid,
        };
        // The largest first: too many synapses are reported before anything large is allocated.
        let mut projections = projections(&description, &ranges, &around)?;
        let given =
            (0..).zip(&description.lesions).map(|(i, lesion): (usize, _)| (format!("lesions[{i}]"), lesion));
        lesions::apply(&mut projections, given, &type_names, &type_of)?;
        let (neurons, dynamics) = neurons(&description);
        let currents = Currents::new(&description, &neurons);
        let (outputs, readouts) = readouts(&description);
        let delays = KINDS.map(|kind| distinct_delays(&projections, kind));
        check_reach(&delays[SynapseKind::Recurrent as usize], &projections, neurons.len())?;
        let channels = match &description.channels {
            Some(channels) => Table::listed("channels", &type_names, channels, description.dt)?,
            None => Table::DEFAULT,
        };
        let lists = description.split(0).1.len();
        check_tensor_names(&projections, &readouts, lists)?;
        Ok(Self {
            input_units: description.inputs.iter().map(|p| p.size).sum::<usize>() + currents.len(),
            currents,
            input_offsets: description.inputs.iter().map(|p| ranges[&p.name].offset).collect(),
            groups: Groups::new(&neurons, &dynamics, &type_of).into(),
            grid: grid.into(),
            neurons: neurons.into(),
            dynamics: dynamics.into(),
            outputs,
            readouts,
            delays,
            projections,
            by_sender: Default::default(),
            by_delay: Default::default(),
            type_of: type_of.into(),
            type_names,
            channels: channels.into(),
            description: description.into(),
        })
    }

    /// The same network with one more lesion.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a lesion that does not fit, by a path that begins with `lesion`.
    pub(crate) fn with_lesion(&self, lesion: Lesion) -> Result<Self> {
        let mut network = self.clone();
        let earlier = self.description.lesions.iter().map(|lesion| ("lesions".to_owned(), lesion));
        let all = earlier.chain([("lesion".to_owned(), &lesion)]);
        lesions::apply(&mut network.projections, all, &self.type_names, &self.type_of)?;
        Arc::make_mut(&mut network.description).lesions.push(lesion);
        Ok(network)
    }

    /// The same network with other synapses (pre, post) of some projections, by post, then pre; its units are shared. Drawn delays are
    /// those of the pairs.
    ///
    /// # Errors
    /// [`crate::Error::Memory`]; [`crate::Error::Invalid`] for delays that the network cannot have.
    pub(crate) fn with_synapses(&self, changed: Vec<(usize, Vec<u32>, Vec<u32>)>) -> Result<Self> {
        let mut network = self.clone();
        for (index, pre, post) in changed {
            let synapses = &mut network.projections[index];
            (synapses.pre, synapses.post) = (pre.into(), post.into());
            synapses.is_rewired = true;
            synapses.find_silent();
            synapses.draw_delays_again(&self.description, index)?;
            let kind = synapses.kind;
            network.by_sender[kind as usize] = OnceLock::new();
            network.by_delay[kind as usize] = OnceLock::new();
            network.delays[kind as usize] = distinct_delays(&network.projections, kind);
        }
        let recurrent = &network.delays[SynapseKind::Recurrent as usize];
        check_reach(recurrent, &network.projections, network.neurons.len())?;
        Ok(network)
    }

    /// The first projection in which a synapse is more than its pair: with several of a pair, or delays by a list.
    pub(crate) fn unmovable_projection(&self) -> Option<String> {
        let is_more = |own: &&Projection| own.multapses || matches!(own.delay, Some(Delay::Each(_)));
        self.description.projections.iter().find(is_more).map(Projection::key)
    }

    /// Whether its synapses are others than the description gives.
    pub(crate) fn is_rewired(&self) -> bool {
        self.projections.iter().any(|synapses| synapses.is_rewired)
    }

    /// The description it was made from.
    pub fn description(&self) -> &NetworkDescription {
        &self.description
    }
    /// Step in ms.
    pub fn dt(&self) -> f64 {
        self.description.dt
    }
    /// Shape of ψ as a function of the distance to threshold.
    pub fn pseudo_derivative(&self) -> Shape {
        self.description.pseudo_derivative.shape
    }
    /// Whose equations it follows.
    pub fn conventions(&self) -> Conventions {
        self.description.conventions
    }
    /// Number of recurrent neurons.
    pub fn size(&self) -> usize {
        self.neurons.len()
    }
    /// Number of input units, of injected currents too.
    pub(crate) fn input_units(&self) -> usize {
        self.input_units
    }
    /// Number of units of the description's inputs.
    pub fn given_units(&self) -> usize {
        self.input_units - self.currents.len()
    }
    /// Number of readout units.
    pub fn output_units(&self) -> usize {
        self.outputs.len()
    }
    /// The constants of its equations.
    pub fn cell_constants(&self) -> CellConstants {
        let each = |pick: fn(&Neuron) -> f64| self.neurons.iter().map(pick).collect();
        CellConstants {
            alpha: each(|n| n.alpha),
            rho: each(|n| n.rho),
            synaptic_decay: each(|n| n.synaptic_decay),
            threshold: each(|n| n.threshold),
            beta: each(|n| n.beta),
            dampening: each(|n| n.dampening),
            refractory: self.neurons.iter().map(|n| n.refractory).collect(),
            input_gain: each(|n| n.input_scale),
            jump: each(|n| n.adaptation_increment),
            reset: each(|n| n.trace_reset),
            kappa: self.outputs.iter().map(|output| output.kappa).collect(),
        }
    }
    /// The projections, in the order of the description.
    pub fn projections(&self) -> &[Synapses] {
        &self.projections
    }
    /// The readouts, in the order of the description.
    pub fn readouts(&self) -> &[ReadoutSlot] {
        &self.readouts
    }
    /// Number of synapses of all projections together.
    pub(crate) fn synapse_count(&self) -> usize {
        self.projections.iter().map(Synapses::len).sum()
    }
    /// Approximate bytes: per synapse its ends, and its place by sender.
    pub(crate) fn bytes(&self) -> usize {
        let by_delay = if self.has_delays() { size_of::<u32>() + size_of::<(u32, Synapse)>() } else { 0 };
        let synapse = size_of::<[u32; 2]>() + size_of::<(u32, Synapse)>() + by_delay;
        let synapses = product(&[self.synapse_count(), synapse]);
        synapses.saturating_add(product(&[self.unit_count(), size_of::<Neuron>()]))
    }
    /// Number of input units, neurons and readout units together.
    pub(crate) fn unit_count(&self) -> usize {
        self.input_units + self.size() + self.output_units()
    }
    /// Names of the cell types.
    pub fn type_names(&self) -> &[String] {
        &self.type_names
    }
    /// Type of each neuron, an index into [`Self::type_names`].
    pub fn types(&self) -> &[usize] {
        &self.type_of
    }
    /// The synapses of a kind, dead ones too: sender → (target, synapse), projection after projection.
    pub(crate) fn synapses(&self, kind: SynapseKind) -> &Csr<Synapse> {
        self.by_sender[kind as usize].get_or_init(|| {
            let own = (0..).zip(&self.projections).filter(|(_, synapses)| synapses.kind == kind);
            let triples = own.flat_map(|(projection, synapses)| {
                let synapse = move |i: usize| Synapse { projection, index: i as u32 };
                (0..synapses.len()).map(move |i| (synapses.pre_unit(i), synapses.post_unit(i), synapse(i)))
            });
            let senders = if kind == SynapseKind::Input { self.input_units } else { self.size() };
            Csr::group(senders, triples).into()
        })
    }

    /// The synapses of a kind for each of its delays, in the order of [`Self::delays_of`].
    pub(crate) fn synapses_by_delay(&self, kind: SynapseKind) -> &[Csr<Synapse>] {
        let (delays, all) = (self.delays_of(kind), self.synapses(kind));
        if delays.len() == 1 {
            return std::slice::from_ref(all);
        }
        self.by_delay[kind as usize].get_or_init(|| {
            all.split(delays.len(), |synapse| {
                let delay = self.projections[synapse.projection as usize].delays.of(synapse.index as usize);
                delays.partition_point(|&shorter| shorter < delay)
            })
            .into()
        })
    }

    /// The distinct delays of a kind of synapses in steps, ascending; 1 is always the first.
    pub(crate) fn delays_of(&self, kind: SynapseKind) -> &[usize] {
        &self.delays[kind as usize]
    }

    /// Those of recurrent synapses.
    pub(crate) fn delays(&self) -> &[usize] {
        self.delays_of(SynapseKind::Recurrent)
    }

    /// Whether an event takes more than one step anywhere.
    pub(crate) fn has_delays(&self) -> bool {
        self.delays.iter().any(|delays| delays.len() > 1)
    }

    /// Whether any neuron sends values instead of spikes.
    pub(crate) fn has_rate_units(&self) -> bool {
        self.dynamics.iter().any(Dynamics::sends_values)
    }

    /// How messages call the first neurons whose model lacks something.
    fn neurons_without(&self, has: impl Fn(&Dynamics<f64>) -> bool) -> Option<&'static str> {
        self.dynamics.iter().find(|&own| !has(own)).map(Dynamics::plural)
    }

    /// The properties on which it depends which rules have an equation in the network.
    pub(crate) fn properties(&self) -> NetworkProperties {
        NetworkProperties {
            bellec2020: self.conventions() == Conventions::Bellec2020,
            delays: self.has_delays(),
            no_forward_form: self.neurons_without(Dynamics::has_tangent),
            no_linearisation: self.neurons_without(|own| own.linearised(0.0).is_some()),
            unequal_readouts: self.outputs.windows(2).any(|pair| pair[0].kappa != pair[1].kappa),
        }
    }

    /// Refuses a network that cannot be run step by step.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for conventions and for neuron models without a forward form.
    pub fn validate_session(&self) -> Result<()> {
        let NetworkProperties { bellec2020, no_forward_form, .. } = self.properties();
        if bellec2020 {
            let path = "model.description.conventions";
            return Err(invalid(path, "'bellec2020'", "for a session: 'mdgl2021'"));
        }
        no_forward_form.map_or(Ok(()), |neurons| {
            let allowed = "for a session: neurons whose model has a forward form";
            Err(invalid("model.description.populations", neurons, allowed))
        })
    }

    /// The site of each neuron on the sheet at a step; sites are counted row after row.
    pub fn sites_at(&self, t: usize) -> Vec<u32> {
        self.grid.places.at(t, &mut Vec::new()).to_vec()
    }
    /// Width and height of the sheet.
    pub fn sheet(&self) -> (usize, usize) {
        (self.grid.width, self.grid.height)
    }

    pub(crate) fn input_offset(&self, population: usize) -> usize {
        self.input_offsets[population]
    }

    /// A projection's index.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is none of this name.
    pub fn projection_index(&self, name: &str) -> Result<usize> {
        let found = self.projections.iter().position(|p| p.name == name);
        found.ok_or_else(|| {
            let names = self.projections.iter().map(|p| p.name.as_str());
            unknown("projection", name, names)
        })
    }

    /// A readout's place.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is none of this name.
    pub fn readout(&self, name: &str) -> Result<&ReadoutSlot> {
        Ok(&self.readouts[self.readout_index(name)?])
    }

    /// A readout's index.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is none of this name.
    pub fn readout_index(&self, name: &str) -> Result<usize> {
        let found = self.readouts.iter().position(|r| r.name == name);
        found.ok_or_else(|| {
            let names = self.readouts.iter().map(|r| r.name.as_str());
            unknown("readout", name, names)
        })
    }
}

fn readouts(d: &NetworkDescription) -> (Vec<ReadoutUnit>, Vec<ReadoutSlot>) {
    let mut outputs = Vec::new();
    let mut slots = Vec::new();
    for readout in &d.readouts {
        let output = ReadoutUnit { kappa: decay(readout.time_constant, d.dt) };
        let first = outputs.len();
        outputs.resize(first + readout.size, output);
        slots.push(ReadoutSlot {
            name: readout.name.clone(),
            units: first..outputs.len(),
            bias: readout.bias == Some(true),
        });
    }
    (outputs, slots)
}

/// Names of projections and readouts are tensor names in files: each must be unique.
fn check_tensor_names(projections: &[Synapses], readouts: &[ReadoutSlot], lists: usize) -> Result<()> {
    let reserved = ["__metadata__", PSI_MEANS, FEEDBACK_SHARE, REWIRED].into_iter().chain(OPTIMISER);
    let mut taken: HashSet<String> = reserved.map(str::to_owned).chain((0..lists).map(list_tensor)).collect();
    let own = projections.iter().map(|p| (&p.name, vec!["", ".pre", ".post"]));
    let biases = readouts.iter().map(|r| (&r.name, vec![".bias"]));
    for (name, suffixes) in own.chain(biases) {
        for suffix in suffixes {
            if !taken.insert(format!("{name}{suffix}")) {
                let allowed = format!("a name whose tensor '{name}{suffix}' is free in weight files");
                return Err(invalid("name", format!("'{name}'"), allowed));
            }
        }
    }
    Ok(())
}
