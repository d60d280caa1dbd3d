//! A checked network with its synapses drawn: ranges of units per population, lists of synapses per projection.

pub(crate) mod channels;
mod connectivity;
pub(crate) mod currents;
mod delays;
mod initial_weights;
pub(crate) mod initialise;
mod neurons;
mod populations;
mod projections;
pub(crate) mod sheet;
mod synapse;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

use crate::description::legal::NetworkProperties;
use crate::description::{Conventions, NetworkDescription, SCHEMA, Shape};
use crate::error::{Result, invalid, unknown};
use crate::network::channels::Table;
use crate::network::sheet::Grid;
use crate::neuron::{Dynamics, Neuron};
use crate::numeric::csr::Csr;
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::steps::{decay, lasting_or_zero};

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

/// Most neurons or units of a network, so that every index fits and products do not overflow.
const MOST_UNITS: usize = 1 << 24;
/// Bytes per unit in all lists of units, those of the compiled network and of a plan aside.
const UNIT_BYTES: usize = 2 * (size_of::<Neuron>() + size_of::<Dynamics<f64>>());
/// The tensor of a weights file that holds the running means of ψ.
pub(crate) const PSI_MEANS: &str = "mdgl.psi-means";
/// The tensor that holds what is left of the difference between adaptive feedback and readout weights.
pub(crate) const FEEDBACK_SHARE: &str = "mdgl.feedback-share";
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
    description: NetworkDescription,
    /// Of the description's inputs, and behind them one per cell that a current is injected into.
    pub(crate) input_units: usize,
    pub(crate) currents: Currents,
    pub(crate) neurons: Vec<Neuron>,
    /// Their constants as the equations have them.
    pub(crate) dynamics: Vec<Dynamics<f64>>,
    pub(crate) outputs: Vec<ReadoutUnit>,
    readouts: Vec<ReadoutSlot>,
    pub(crate) projections: Vec<Synapses>,
    /// The distinct delays in steps, ascending from 1 on, one list per kind of synapses.
    delays: [Vec<usize>; 3],
    /// Type of each neuron.
    pub(crate) type_of: Vec<usize>,
    type_names: Vec<String>,
    /// The synapses of each kind by sender, made on first use.
    by_sender: [OnceLock<Csr<Synapse>>; 3],
    /// The same by delay, of kinds with several.
    by_delay: [OnceLock<Vec<Csr<Synapse>>>; 3],
    /// Cells of the same type and constants.
    pub(crate) groups: Groups,
    /// Sites of the cells on the sheet.
    pub(crate) grid: Grid,
    pub(crate) channels: Table,
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
    pub fn new(mut description: NetworkDescription) -> Result<Self> {
        if description.schema != SCHEMA {
            return Err(invalid("schema", &description.schema, SCHEMA));
        }
        positive("dt", description.dt)?;
        check_conventions(&description)?;
        let biased = description.conventions == Conventions::Mdgl2021;
        description.readouts.iter_mut().for_each(|readout| readout.bias = readout.bias.or(Some(biased)));
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
        let projections = projections(&description, &ranges, &around)?;
        let (neurons, dynamics) = neurons(&description)?;
        let currents = Currents::new(&description, &neurons)?;
        let (outputs, readouts) = readouts(&description)?;
        let kinds = [SynapseKind::Input, SynapseKind::Recurrent, SynapseKind::Readout];
        let delays = kinds.map(|kind| distinct_delays(&projections, kind));
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
            groups: Groups::new(&neurons, &dynamics, &type_of),
            grid,
            neurons,
            dynamics,
            outputs,
            readouts,
            delays,
            projections,
            by_sender: Default::default(),
            by_delay: Default::default(),
            type_of,
            type_names,
            channels,
            description,
        })
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
            Csr::group(senders, triples)
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

fn positive(path: impl Into<String>, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(invalid(path, value, "a finite number above 0"))
}

/// Refuses what only other conventions have.
fn check_conventions(d: &NetworkDescription) -> Result<()> {
    match d.conventions {
        Conventions::Mdgl2021 if d.input_gain.is_some() => {
            Err(invalid("inputGain", "set", "only with conventions 'bellec2020'"))
        }
        Conventions::Mdgl2021 => Ok(()),
        Conventions::Bellec2020 => match d.readouts.iter().find(|readout| readout.bias == Some(true)) {
            Some(readout) => {
                Err(invalid(format!("{}.bias", readout.name), true, "with conventions 'bellec2020': false"))
            }
            None => Ok(()),
        },
    }
}

fn readouts(d: &NetworkDescription) -> Result<(Vec<ReadoutUnit>, Vec<ReadoutSlot>)> {
    let mut outputs = Vec::new();
    let mut slots = Vec::new();
    for readout in &d.readouts {
        lasting_or_zero(format!("{}.timeConstant", readout.name), readout.time_constant, d.dt)?;
        let output = ReadoutUnit { kappa: decay(readout.time_constant, d.dt) };
        let first = outputs.len();
        outputs.resize(first + readout.size, output);
        slots.push(ReadoutSlot {
            name: readout.name.clone(),
            units: first..outputs.len(),
            bias: readout.bias == Some(true),
        });
    }
    Ok((outputs, slots))
}

/// Names of projections and readouts are tensor names in files: each must be unique.
fn check_tensor_names(projections: &[Synapses], readouts: &[ReadoutSlot], lists: usize) -> Result<()> {
    let reserved = ["__metadata__", PSI_MEANS, FEEDBACK_SHARE].into_iter().chain(OPTIMISER);
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
