//! A network, checked and wired: populations laid end to end, projections as lists of synapses.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::OnceLock;

use crate::channels::Table;
use crate::description::{
    Connections, Conventions, Initialise, InputGain, NamedSign, NetworkDescription, NeuronModel, Parameter,
    Population, Projection, PseudoDerivative, SCHEMA, Shape, Sign,
};
use crate::diffusion::Grid;
use crate::error::{Error, Result, invalid};
use crate::fan::Fan;
use crate::memory::{product, room_for};
use crate::random::{CounterRng, Stream};

/// Most neurons or units of a network, so that every index fits and products do not overflow.
const MOST_UNITS: usize = 1 << 24;
/// What a unit takes in all lists of units, those of the circuit and of a plan apart.
const UNIT_BYTES: usize = 2 * size_of::<Neuron>();
/// The tensor of a weights file that holds the running means of ψ.
pub(crate) const PSI_MEANS: &str = "mdgl.psi-means";
/// The tensor that holds what is left of the difference between adaptive feedback and readout weights.
pub(crate) const FEEDBACK_SHARE: &str = "mdgl.feedback-share";
/// The tensors of a checkpoint: the optimiser's steps; θ of every synapse; both moments of every synapse, then of every bias.
pub(crate) const OPTIMISER: [&str; 4] =
    ["mdgl.optimiser.steps", "mdgl.optimiser.theta", "mdgl.optimiser.first", "mdgl.optimiser.second"];
/// Longest delay, in steps.
const MOST_DELAY: f64 = 10_000.0;
/// Most synapses of a network.
const MOST_SYNAPSES: u64 = 1 << 30;

/// A network description, checked, with its connectivity drawn. Immutable; share it by `Arc`.
#[derive(Debug, Clone)]
pub struct Network {
    description: NetworkDescription,
    pub(crate) input_units: usize,
    pub(crate) neurons: Vec<Neuron>,
    pub(crate) outputs: Vec<Output>,
    readouts: Vec<ReadoutSlot>,
    pub(crate) projections: Vec<Wires>,
    /// The distinct delays of recurrent synapses in steps, ascending from 1 on.
    delays: Vec<usize>,
    /// Type of each neuron.
    pub(crate) type_of: Vec<usize>,
    type_names: Vec<String>,
    /// The synapses of each stage by what sends, made when first asked for.
    by_sender: [OnceLock<Fan<Synapse>>; 3],
    /// Cells of the same type and constants.
    pub(crate) groups: Groups,
    /// Where they sit.
    pub(crate) grid: Grid,
    pub(crate) channels: Table,
    input_offsets: Vec<usize>,
}

/// Neurons that share their type and all constants: what one mean of ψ speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    /// Group of each neuron, numbered as they first appear.
    pub of: Vec<u32>,
    /// The first neuron of each.
    pub first: Vec<u32>,
    /// Number of neurons of each.
    pub sizes: Vec<usize>,
}

impl Groups {
    fn new(neurons: &[Neuron], type_of: &[usize]) -> Self {
        let (mut of, mut first, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut known: HashMap<(usize, [u64; 11]), usize> = HashMap::new();
        for (p, (neuron, &own)) in neurons.iter().zip(type_of).enumerate() {
            let group = *known.entry((own, neuron.bits())).or_insert_with(|| {
                first.push(p as u32);
                sizes.push(0);
                sizes.len() - 1
            });
            sizes[group] += 1;
            of.push(group as u32);
        }
        Self { of, first, sizes }
    }

    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// Constants of one neuron, in steps and decay factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neuron {
    pub alpha: f64,
    pub rho: f64,
    pub threshold: f64,
    pub beta: f64,
    pub dampening: f64,
    /// Steps without a spike after one.
    pub refractory: u32,
    /// What scales its input: 1 − α, or 1.
    pub gain: f64,
    /// What a spike adds to the adaptation: 1 − ρ, or 1.
    pub jump: f64,
    /// What the reset weighs in the eligibility trace: thr, or 0.
    pub reset: f64,
    /// k of the pseudo-derivative; 0 for the triangle.
    pub steepness: f64,
    /// Whether it gives max(0, v) and not spikes.
    pub rate: bool,
}

impl Neuron {
    /// All constants, comparable.
    fn bits(&self) -> [u64; 11] {
        let Self { alpha, rho, threshold, beta, dampening, refractory, gain, jump, reset, steepness, rate } =
            *self;
        let (refractory, rate) = (f64::from(refractory), f64::from(u8::from(rate)));
        [alpha, rho, threshold, beta, dampening, refractory, gain, jump, reset, steepness, rate]
            .map(f64::to_bits)
    }
}

/// Constants of one readout unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Output {
    pub kappa: f64,
}

/// The constants of a network's equations: one value a recurrent neuron, of all populations end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct CellConstants {
    /// α = exp(−dt/τ_m).
    pub alpha: Vec<f64>,
    /// ρ = exp(−dt/τ_a).
    pub rho: Vec<f64>,
    /// thr.
    pub threshold: Vec<f64>,
    /// β; 0 for LIF.
    pub beta: Vec<f64>,
    /// γ.
    pub dampening: Vec<f64>,
    /// Steps without a spike after one.
    pub refractory: Vec<u32>,
    /// What scales the input: 1 − α, or what the conventions say.
    pub input_gain: Vec<f64>,
    /// What a spike adds to the adaptation: 1 − ρ, or what the conventions say.
    pub jump: Vec<f64>,
    /// What the reset weighs in the eligibility trace: thr, or what the conventions say.
    pub reset: Vec<f64>,
    /// κ = exp(−dt/τ_out), one a readout unit, of all readouts end to end.
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

/// Which way a projection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Input,
    Recurrent,
    Readout,
}

/// One synapse: its projection, and its place in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synapse {
    pub projection: u32,
    pub index: u32,
}

/// A projection's synapses: the mask within which weights may differ from 0.
#[derive(Debug, Clone)]
pub struct Wires {
    name: String,
    pub(crate) stage: Stage,
    /// Presynaptic index in its population, one a synapse, ordered by post then pre.
    pub(crate) pre: Vec<u32>,
    /// Postsynaptic index in its population.
    pub(crate) post: Vec<u32>,
    pub(crate) sizes: (usize, usize),
    pub(crate) offsets: (usize, usize),
    /// Sign of each presynaptic unit: 1, −1 or 0 (free).
    pub(crate) signs: Vec<i8>,
    pub(crate) plastic: bool,
    /// Steps from a spike to its effect, 1 or more.
    pub(crate) delay: usize,
    /// Density times number of pairs: what rewiring keeps up.
    pub(crate) wanted: f64,
    /// Explicit weights, in the order of the synapses; else how to draw them.
    pub(crate) initial: InitialWeights,
}

#[derive(Debug, Clone)]
pub(crate) enum InitialWeights {
    Given(Vec<f64>),
    Drawn(Initialise),
}

impl Wires {
    /// The projection's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Presynaptic index of each synapse.
    pub fn pre(&self) -> &[u32] {
        &self.pre
    }
    /// Postsynaptic index of each synapse.
    pub fn post(&self) -> &[u32] {
        &self.post
    }
    /// Sizes of the two populations.
    pub fn sizes(&self) -> (usize, usize) {
        self.sizes
    }
    /// Number of synapses.
    pub fn len(&self) -> usize {
        self.pre.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pre.is_empty()
    }
    pub(crate) fn sign(&self, synapse: usize) -> i8 {
        self.signs[self.pre[synapse] as usize]
    }
    /// Presynaptic index among all units of its stage.
    pub(crate) fn pre_unit(&self, synapse: usize) -> usize {
        self.offsets.0 + self.pre[synapse] as usize
    }
    /// Postsynaptic index among all neurons, or all readout units.
    pub(crate) fn post_unit(&self, synapse: usize) -> usize {
        self.offsets.1 + self.post[synapse] as usize
    }
}

/// A named population's place.
#[derive(Clone)]
struct Slot {
    kind: SlotKind,
    offset: usize,
    size: usize,
    signs: Vec<i8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotKind {
    Input,
    Population,
    Readout,
}

impl Network {
    /// Checks a description and draws its connectivity from its seed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the option's path, the value and what is allowed.
    pub fn new(mut description: NetworkDescription) -> Result<Self> {
        if description.schema != SCHEMA {
            return Err(invalid("schema", &description.schema, SCHEMA));
        }
        positive("dt", description.dt)?;
        check_conventions(&description)?;
        let biased = description.conventions == Conventions::Mdgl2021;
        description.readouts.iter_mut().for_each(|readout| readout.bias = readout.bias.or(Some(biased)));
        let slots = lay_out(&description)?;
        let counts = description.inputs.iter().map(|p| p.size);
        let counts = counts.chain(description.populations.iter().map(|p| p.size));
        let counts = counts.chain(description.readouts.iter().map(|r| r.size));
        room_for(product(&[counts.fold(0, usize::saturating_add), UNIT_BYTES]), "the units of a network")?;
        // The largest first: too many synapses are said before anything large is made.
        let projections = projections(&description, &slots)?;
        let neurons = neurons(&description)?;
        let (outputs, readouts) = readouts(&description)?;
        let (type_names, type_of) = types(&description, &slots, neurons.len())?;
        check_reach(&projections, neurons.len())?;
        let channels = match &description.channels {
            Some(channels) => Table::listed("channels", &type_names, channels)?,
            None => Table::DEFAULT,
        };
        check_tensor_names(&projections, &readouts)?;
        Ok(Self {
            input_units: description.inputs.iter().map(|p| p.size).sum(),
            input_offsets: description.inputs.iter().map(|p| slots[&p.name].offset).collect(),
            groups: Groups::new(&neurons, &type_of),
            grid: Grid::new(description.sheet.unwrap_or_default(), description.seed, &type_of)?,
            neurons,
            outputs,
            readouts,
            delays: delays(&projections),
            projections,
            by_sender: Default::default(),
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
    /// How ψ falls with the distance to threshold.
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
    /// Number of input units.
    pub fn input_units(&self) -> usize {
        self.input_units
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
            threshold: each(|n| n.threshold),
            beta: each(|n| n.beta),
            dampening: each(|n| n.dampening),
            refractory: self.neurons.iter().map(|n| n.refractory).collect(),
            input_gain: each(|n| n.gain),
            jump: each(|n| n.jump),
            reset: each(|n| n.reset),
            kappa: self.outputs.iter().map(|output| output.kappa).collect(),
        }
    }
    /// The projections, in the order of the description.
    pub fn projections(&self) -> &[Wires] {
        &self.projections
    }
    /// The readouts, in the order of the description.
    pub fn readouts(&self) -> &[ReadoutSlot] {
        &self.readouts
    }
    /// Number of synapses of all projections together.
    pub(crate) fn synapse_count(&self) -> usize {
        self.projections.iter().map(Wires::len).sum()
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
    /// The synapses of a stage, dead ones too: sender → (target, synapse), projection after projection.
    pub(crate) fn synapses(&self, stage: Stage) -> &Fan<Synapse> {
        self.by_sender[stage as usize].get_or_init(|| {
            let own = self.projections.iter().filter(|wires| wires.stage == stage);
            let mut triples = Vec::with_capacity(own.map(Wires::len).sum());
            for (projection, wires) in (0..).zip(&self.projections).filter(|(_, wires)| wires.stage == stage)
            {
                let synapse = |i: usize| Synapse { projection, index: i as u32 };
                let all = 0..wires.len();
                triples.extend(all.map(|i| (wires.pre_unit(i), wires.post_unit(i), synapse(i))));
            }
            let senders = if stage == Stage::Input { self.input_units } else { self.size() };
            Fan::new(senders, &triples)
        })
    }

    /// The distinct delays of recurrent synapses in steps, ascending; 1 is always the first.
    pub(crate) fn delays(&self) -> &[usize] {
        &self.delays
    }

    /// Whether a spike takes more than one step anywhere.
    pub(crate) fn has_delays(&self) -> bool {
        self.delays.len() > 1
    }

    /// Whether any neuron gives values and not spikes.
    pub(crate) fn has_rate_units(&self) -> bool {
        self.neurons.iter().any(|neuron| neuron.rate)
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
    /// [`Error::Invalid`] when there is none of this name.
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
    /// [`Error::Invalid`] when there is none of this name.
    pub fn readout(&self, name: &str) -> Result<&ReadoutSlot> {
        Ok(&self.readouts[self.readout_index(name)?])
    }

    /// A readout's index.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name.
    pub fn readout_index(&self, name: &str) -> Result<usize> {
        let found = self.readouts.iter().position(|r| r.name == name);
        found.ok_or_else(|| {
            let names = self.readouts.iter().map(|r| r.name.as_str());
            unknown("readout", name, names)
        })
    }
}

pub(crate) fn unknown<'a>(path: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<_> = names.collect();
    invalid(path, format!("'{name}'"), format!("one of: {}", names.join(", ")))
}

fn positive(path: impl Into<String>, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(invalid(path, value, "a finite number above 0"))
}

/// What only some conventions know.
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

fn lay_out(d: &NetworkDescription) -> Result<HashMap<String, Slot>> {
    let inputs = d.inputs.iter().map(|p| (&p.name, p.size, Some(&p.sign), SlotKind::Input));
    let populations = d.populations.iter().map(|p| (&p.name, p.size, Some(&p.sign), SlotKind::Population));
    let readouts = d.readouts.iter().map(|r| (&r.name, r.size, None, SlotKind::Readout));
    let mut slots = HashMap::new();
    let mut offsets = [0; 3];
    for (i, (name, size, sign, kind)) in inputs.chain(populations).chain(readouts).enumerate() {
        if name.is_empty() {
            return Err(invalid("name", "''", "a non-empty name"));
        }
        let offset = &mut offsets[kind as usize];
        if size == 0 || size > MOST_UNITS || *offset + size > MOST_UNITS {
            let path = format!("{name}.size");
            return Err(invalid(path, size, format!("1 to {MOST_UNITS}, all populations together")));
        }
        let signs = match sign {
            Some(sign) => expand_sign(name, sign, size, d.seed, i)?,
            None => Vec::new(),
        };
        let slot = Slot { kind, offset: *offset, size, signs };
        *offset += size;
        if slots.insert(name.clone(), slot).is_some() {
            return Err(invalid("name", format!("'{name}' twice"), "a name of its own for each"));
        }
    }
    if d.populations.is_empty() {
        return Err(invalid("populations", "empty", "at least one recurrent population"));
    }
    Ok(slots)
}

fn expand_sign(name: &str, sign: &Sign, size: usize, seed: u64, slot: usize) -> Result<Vec<i8>> {
    let path = || format!("{name}.sign");
    match sign {
        Sign::Named(NamedSign::Free) => Ok(vec![0; size]),
        Sign::Named(NamedSign::Excitatory) => Ok(vec![1; size]),
        Sign::Named(NamedSign::Inhibitory) => Ok(vec![-1; size]),
        Sign::Each(signs) if signs.len() != size => {
            Err(invalid(path(), format!("{} values", signs.len()), format!("{size} values")))
        }
        Sign::Each(signs) => match signs.iter().find(|s| !(-1..=1).contains(*s)) {
            Some(wrong) => Err(invalid(path(), wrong, "1, -1 or 0 for each unit")),
            None => Ok(signs.clone()),
        },
        Sign::Counts(counts) => {
            if counts.excitatory.checked_add(counts.inhibitory) != Some(size) {
                let value = format!("{} + {}", counts.excitatory, counts.inhibitory);
                return Err(invalid(path(), value, format!("numbers that add up to {size}")));
            }
            let mut signs = vec![1; size];
            signs[..counts.inhibitory].fill(-1);
            if counts.shuffled {
                CounterRng::internal(seed, Stream::Signs, 0, slot).shuffle(&mut signs);
            }
            Ok(signs)
        }
    }
}

fn neurons(d: &NetworkDescription) -> Result<Vec<Neuron>> {
    let mut all = Vec::with_capacity(d.populations.iter().map(|p| p.size).sum());
    for population in &d.populations {
        for unit in 0..population.size {
            all.push(neuron(d, population, unit)?);
        }
    }
    Ok(all)
}

fn neuron(d: &NetworkDescription, p: &Population, unit: usize) -> Result<Neuron> {
    if p.model == NeuronModel::Rate { rate_unit(d, p, unit) } else { spiking_neuron(d, p, unit) }
}

/// One neuron's value of a parameter that must be above 0, or may be 0.
fn value(
    p: &Population,
    unit: usize,
    (field, parameter, default): (&str, &Option<Parameter>, f64),
    zero_allowed: bool,
) -> Result<f64> {
    let path = format!("{}.{field}", p.name);
    let x = match parameter {
        None => default,
        Some(Parameter::One(x)) => *x,
        Some(Parameter::Each(values)) if values.len() != p.size => {
            let value = format!("{} values", values.len());
            return Err(invalid(path, value, format!("a number or {} numbers", p.size)));
        }
        Some(Parameter::Each(values)) => values[unit],
    };
    if x.is_finite() && (x > 0.0 || zero_allowed && x == 0.0) {
        return Ok(x);
    }
    let allowed = if zero_allowed { "finite numbers ≥ 0" } else { "finite numbers above 0" };
    Err(invalid(path, x, allowed))
}

/// A leaky unit without threshold, reset and adaptation.
fn rate_unit(d: &NetworkDescription, p: &Population, unit: usize) -> Result<Neuron> {
    for (field, given) in [
        ("threshold", p.threshold.is_some()),
        ("refractoryPeriod", p.refractory_period.is_some()),
        ("dampening", p.dampening.is_some()),
        ("adaptationTimeConstant", p.adaptation_time_constant.is_some()),
        ("adaptationStrength", p.adaptation_strength.is_some()),
    ] {
        if given {
            return Err(invalid(format!("{}.{field}", p.name), "set", "not with model 'rate'"));
        }
    }
    if d.conventions == Conventions::Bellec2020 {
        let path = format!("{}.model", p.name);
        return Err(invalid(path, "'rate'", "with conventions 'bellec2020': 'lif' or 'alif'"));
    }
    let time_constant = ("membraneTimeConstant", &p.membrane_time_constant, 100.0);
    let alpha = libm::exp(-d.dt / value(p, unit, time_constant, false)?);
    Ok(Neuron {
        alpha,
        rho: 0.0,
        threshold: 1.0,
        beta: 0.0,
        dampening: 1.0,
        refractory: 0,
        gain: 1.0 - alpha,
        jump: 0.0,
        reset: 0.0,
        steepness: 0.0,
        rate: true,
    })
}

fn spiking_neuron(d: &NetworkDescription, p: &Population, unit: usize) -> Result<Neuron> {
    let dt = d.dt;
    let value = |field: &str, parameter: &Option<Parameter>, default: f64, zero_allowed: bool| {
        value(p, unit, (field, parameter, default), zero_allowed)
    };
    if p.model == NeuronModel::Lif
        && (p.adaptation_strength.is_some() || p.adaptation_time_constant.is_some())
    {
        let path = format!("{}.adaptationStrength", p.name);
        return Err(invalid(path, "set", "only with model 'alif'"));
    }
    let adaptive = p.model == NeuronModel::Alif;
    let refractory = (value("refractoryPeriod", &p.refractory_period, 5.0, true)? / dt).round();
    if refractory > 1e6 {
        let path = format!("{}.refractoryPeriod", p.name);
        return Err(invalid(path, refractory * dt, "at most 1000000 steps"));
    }
    let alpha = libm::exp(-dt / value("membraneTimeConstant", &p.membrane_time_constant, 20.0, false)?);
    let rho = libm::exp(-dt / value("adaptationTimeConstant", &p.adaptation_time_constant, 2000.0, false)?);
    let threshold = value("threshold", &p.threshold, 0.01, false)?;
    let usual = Neuron {
        alpha,
        rho,
        threshold,
        beta: value("adaptationStrength", &p.adaptation_strength, if adaptive { 1.8 } else { 0.0 }, true)?,
        dampening: value("dampening", &p.dampening, 0.3, true)?,
        refractory: refractory as u32,
        gain: 1.0 - alpha,
        jump: 1.0 - rho,
        reset: threshold,
        steepness: steepness(d.pseudo_derivative)?,
        rate: false,
    };
    Ok(match d.conventions {
        Conventions::Mdgl2021 => usual,
        Conventions::Bellec2020 => Neuron {
            refractory: usual.refractory.saturating_sub(1),
            gain: if d.input_gain == Some(InputGain::One) { 1.0 } else { usual.gain },
            jump: 1.0,
            reset: 0.0,
            ..usual
        },
    })
}

/// k, or 0 where the shape has none.
fn steepness(pseudo: PseudoDerivative) -> Result<f64> {
    const PATH: &str = "pseudoDerivative.steepness";
    match (pseudo.shape.usual_steepness(), pseudo.steepness) {
        (None, None) => Ok(0.0),
        (None, Some(given)) => Err(invalid(PATH, given, "nothing with shape 'triangular'")),
        (Some(_), Some(given)) => positive(PATH, given).map(|()| given),
        (Some(usual), None) => Ok(usual),
    }
}

fn readouts(d: &NetworkDescription) -> Result<(Vec<Output>, Vec<ReadoutSlot>)> {
    let mut outputs = Vec::new();
    let mut slots = Vec::new();
    for readout in &d.readouts {
        positive(format!("{}.timeConstant", readout.name), readout.time_constant)?;
        let output = Output { kappa: libm::exp(-d.dt / readout.time_constant) };
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

type Types = (Vec<String>, Vec<usize>);

fn types(d: &NetworkDescription, slots: &HashMap<String, Slot>, neurons: usize) -> Result<Types> {
    let Some(types) = &d.types else {
        let names = d.populations.iter().map(|p| p.name.clone()).collect();
        let type_of = d.populations.iter().enumerate().flat_map(|(i, p)| vec![i; p.size]).collect();
        return Ok((names, type_of));
    };
    let mut type_of = vec![usize::MAX; neurons];
    let mut names: Vec<String> = Vec::new();
    for (index, cell_type) in types.iter().enumerate() {
        if names.contains(&cell_type.name) || cell_type.name.is_empty() {
            let value = format!("'{}'", cell_type.name);
            return Err(invalid(format!("types[{index}].name"), value, "a name of its own"));
        }
        names.push(cell_type.name.clone());
        for member in type_members(cell_type, slots)? {
            if type_of[member] != usize::MAX {
                let other = &names[type_of[member]];
                let value = format!("neuron {member}, which type '{other}' has too");
                return Err(invalid(
                    format!("types[{index}].members"),
                    value,
                    "each neuron in exactly one type",
                ));
            }
            type_of[member] = index;
        }
    }
    match type_of.iter().position(|&t| t == usize::MAX) {
        Some(neuron) => {
            Err(invalid("types", format!("without neuron {neuron}"), "each neuron in exactly one type"))
        }
        None => Ok((names, type_of)),
    }
}

fn type_members(
    cell_type: &crate::description::CellType,
    slots: &HashMap<String, Slot>,
) -> Result<Vec<usize>> {
    let mut members = Vec::new();
    for part in &cell_type.members {
        let path = format!("types.{}.members", cell_type.name);
        let slot = find(slots, &path, &part.population, &[SlotKind::Population])?;
        match &part.units {
            None => members.extend(slot.offset..slot.offset + slot.size),
            Some(units) => {
                if let Some(unit) = units.iter().find(|&&unit| unit >= slot.size) {
                    return Err(invalid(path, unit, format!("indices below {}", slot.size)));
                }
                members.extend(units.iter().map(|unit| slot.offset + unit));
            }
        }
    }
    Ok(members)
}

fn find<'a>(
    slots: &'a HashMap<String, Slot>,
    path: &str,
    name: &str,
    kinds: &[SlotKind],
) -> Result<&'a Slot> {
    match slots.get(name) {
        Some(slot) if kinds.contains(&slot.kind) => Ok(slot),
        _ => {
            let mut names: Vec<_> = slots
                .iter()
                .filter(|(_, slot)| kinds.contains(&slot.kind))
                .map(|(name, _)| name.as_str())
                .collect();
            names.sort_unstable();
            Err(unknown(path, name, names.into_iter()))
        }
    }
}

/// Names of projections and readouts are tensor names in files: none may be taken twice.
fn check_tensor_names(projections: &[Wires], readouts: &[ReadoutSlot]) -> Result<()> {
    let reserved = ["__metadata__", PSI_MEANS, FEEDBACK_SHARE].into_iter().chain(OPTIMISER);
    let mut taken: HashSet<String> = reserved.map(str::to_owned).collect();
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

fn projections(d: &NetworkDescription, slots: &HashMap<String, Slot>) -> Result<Vec<Wires>> {
    let mut all: Vec<Wires> = Vec::new();
    let mut synapses = 0u64;
    for (i, projection) in d.projections.iter().enumerate() {
        let name = projection.key();
        if name.is_empty() || all.iter().any(|earlier| earlier.name == name) {
            let path = format!("projections[{i}].name");
            return Err(invalid(path, format!("'{name}'"), "a name of its own"));
        }
        let wires = wire(d, slots, i, projection)?;
        synapses += wires.len() as u64;
        if synapses > MOST_SYNAPSES {
            let allowed = format!("at most {MOST_SYNAPSES} synapses in all");
            return Err(invalid("projections", synapses, allowed));
        }
        all.push(wires);
    }
    Ok(all)
}

fn wire(
    d: &NetworkDescription,
    slots: &HashMap<String, Slot>,
    index: usize,
    projection: &Projection,
) -> Result<Wires> {
    use SlotKind::{Input, Population, Readout};
    let path = |field: &str| format!("projections.{}.{field}", projection.key());
    let from = find(slots, &path("from"), &projection.from, &[Input, Population])?;
    let targets: &[_] = if from.kind == Input { &[Population] } else { &[Population, Readout] };
    let to = find(slots, &path("to"), &projection.to, targets)?;
    let stage = match (from.kind, to.kind) {
        (Input, _) => Stage::Input,
        (_, Readout) => Stage::Readout,
        _ => Stage::Recurrent,
    };
    let delay = delay_steps(&path("delay"), projection.delay, d.dt, stage)?;
    let recurrent = projection.from == projection.to;
    let pairs = from.size as f64 * to.size as f64;
    let (pre, post, initial, wanted) = match (&projection.connections, projection.density) {
        (Some(list), None) => {
            if projection.initialise.is_some() {
                return Err(invalid(path("initialise"), "set", "only with density"));
            }
            let (pre, post, values) = listed(&path("connections"), list, from, to, recurrent)?;
            let wanted = pre.len() as f64;
            (pre, post, InitialWeights::Given(values), wanted)
        }
        (None, Some(density)) => {
            if !(density > 0.0 && density <= 1.0) {
                return Err(invalid(path("density"), density, "above 0, at most 1"));
            }
            let initialise = projection.initialise.unwrap_or(Initialise::Balanced);
            validate_initialise(&path("initialise"), initialise)?;
            let mut rng = CounterRng::internal(d.seed, Stream::Mask, 0, index);
            let (pre, post) = draw_mask(&path("density"), &mut rng, density, from, to, recurrent)?;
            (pre, post, InitialWeights::Drawn(initialise), density * pairs)
        }
        _ => return Err(invalid(path("density"), "given with connections, or neither", "one of the two")),
    };
    Ok(Wires {
        name: projection.key(),
        stage,
        pre,
        post,
        sizes: (from.size, to.size),
        offsets: (from.offset, to.offset),
        signs: from.signs.clone(),
        plastic: projection.plastic,
        delay,
        wanted,
        initial,
    })
}

/// A projection's delay in steps; only synapses between neurons have one of more than a step.
fn delay_steps(path: &str, delay: Option<f64>, dt: f64, stage: Stage) -> Result<usize> {
    let Some(delay) = delay else { return Ok(1) };
    let steps = (delay / dt).round();
    match stage {
        Stage::Recurrent if (1.0..=MOST_DELAY).contains(&steps) => Ok(steps as usize),
        Stage::Recurrent => Err(invalid(path, delay, format!("1 to {MOST_DELAY} steps of {dt} ms"))),
        _ if steps == 1.0 => Ok(1),
        _ => {
            let allowed =
                format!("{dt} ms (one step): only projections between populations have longer ones");
            Err(invalid(path, delay, allowed))
        }
    }
}

/// What was secreted so many steps before has a place of 32 bits (see `modulation`).
fn check_reach(projections: &[Wires], neurons: usize) -> Result<()> {
    let most = u32::MAX as usize / neurons.max(1);
    match projections.iter().find(|wires| wires.delay > most) {
        None => Ok(()),
        Some(wires) => {
            let path = format!("projections.{}.delay", wires.name);
            let value = format!("{} steps", wires.delay);
            Err(invalid(path, value, format!("at most {most} steps with {neurons} neurons")))
        }
    }
}

fn delays(projections: &[Wires]) -> Vec<usize> {
    let recurrent = projections.iter().filter(|wires| wires.stage == Stage::Recurrent);
    let mut delays: Vec<usize> = std::iter::once(1).chain(recurrent.map(|wires| wires.delay)).collect();
    delays.sort_unstable();
    delays.dedup();
    delays
}

fn validate_initialise(path: &str, initialise: Initialise) -> Result<()> {
    match initialise {
        Initialise::Balanced => Ok(()),
        Initialise::Normal { standard_deviation } => {
            positive(format!("{path}.standardDeviation"), standard_deviation)
        }
    }
}

/// floor(density · pairs) index pairs drawn with replacement (the authors' way), autapses
/// discarded; at density 1 every pair.
fn draw_mask(
    path: &str,
    rng: &mut CounterRng,
    density: f64,
    from: &Slot,
    to: &Slot,
    recurrent: bool,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let pairs = from.size as u64 * to.size as u64;
    if density * pairs as f64 > MOST_SYNAPSES as f64 {
        let allowed = format!("at most {MOST_SYNAPSES} synapses");
        return Err(invalid(path, density, allowed));
    }
    let count = (density * pairs as f64).floor() as u64;
    // Pairs, and then again by sender and by receiver.
    room_for(product(&[2, count as usize, size_of::<(u32, u32)>()]), "the synapses of a projection")?;
    let mut drawn: Vec<(u32, u32)> = Vec::with_capacity(count as usize);
    if density == 1.0 {
        drawn.extend((0..to.size as u32).flat_map(|p| (0..from.size as u32).map(move |q| (p, q))));
    } else {
        let mut pair = || {
            let q = rng.below(from.size as u32);
            (rng.below(to.size as u32), q)
        };
        drawn.extend((0..count).map(|_| pair()));
    }
    drawn.retain(|&(p, q)| !(recurrent && p == q));
    drawn.sort_unstable();
    drawn.dedup();
    Ok(drawn.into_iter().map(|(p, q)| (q, p)).unzip())
}

type Listed = (Vec<u32>, Vec<u32>, Vec<f64>);

fn listed(path: &str, list: &Connections, from: &Slot, to: &Slot, recurrent: bool) -> Result<Listed> {
    let Connections { pre, post, values } = list;
    if pre.len() != post.len() || pre.len() != values.len() {
        let value = format!("{}, {} and {} entries", pre.len(), post.len(), values.len());
        return Err(invalid(path, value, "pre, post and values of one length"));
    }
    room_for(product(&[pre.len(), size_of::<[usize; 3]>()]), "the synapses of a projection")?;
    let mut order: Vec<usize> = (0..pre.len()).collect();
    order.sort_unstable_by_key(|&i| (post[i], pre[i]));
    for (rank, &i) in order.iter().enumerate() {
        let at = |field: &str| format!("{path}.{field}[{i}]");
        if pre[i] as usize >= from.size {
            return Err(invalid(at("pre"), pre[i], format!("an index below {}", from.size)));
        }
        if post[i] as usize >= to.size {
            return Err(invalid(at("post"), post[i], format!("an index below {}", to.size)));
        }
        if recurrent && pre[i] == post[i] {
            return Err(invalid(at("post"), post[i], "another neuron than pre (no autapses)"));
        }
        if rank > 0 && (pre[i], post[i]) == (pre[order[rank - 1]], post[order[rank - 1]]) {
            return Err(invalid(at("pre"), pre[i], "each pair once in a projection"));
        }
        check_weight(values[i], from.signs[pre[i] as usize], || at("values"))?;
    }
    Ok((
        order.iter().map(|&i| pre[i]).collect(),
        order.iter().map(|&i| post[i]).collect(),
        order.iter().map(|&i| values[i]).collect(),
    ))
}

/// A weight must be finite and keep its sender's sign. Where it stands is asked for only if it is wrong.
pub(crate) fn check_weight(value: f64, sign: i8, path: impl Fn() -> String) -> Result<()> {
    if !value.is_finite() {
        return Err(invalid(path(), value, "a finite number"));
    }
    if value * f64::from(sign) < 0.0 {
        let allowed = if sign > 0 { "≥ 0 (excitatory sender)" } else { "≤ 0 (inhibitory sender)" };
        return Err(invalid(path(), value, allowed));
    }
    Ok(())
}
