//! Projections as lists of synapses: given, or drawn from the network's seed.

use std::collections::HashMap;
use std::sync::Arc;

use super::connectivity::{self, Ends, MOST_SYNAPSES, Surroundings};
use super::initial_weights::{self, InitialWeights};
use super::populations::{PopulationKind, PopulationRange};
use crate::description::{Connections, Initialise, NetworkDescription, Projection};
use crate::error::{Result, invalid};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::steps::steps_in;

/// Direction of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SynapseKind {
    Input,
    Recurrent,
    Readout,
}

/// One synapse: its projection, and its index in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synapse {
    pub projection: u32,
    pub index: u32,
}

/// A projection's synapses: the mask within which weights may differ from 0.
#[derive(Debug, Clone)]
pub struct Synapses {
    pub(super) name: String,
    pub(crate) kind: SynapseKind,
    /// Presynaptic index in its population, one per synapse, ordered by post then pre.
    pub(crate) pre: Arc<Vec<u32>>,
    /// Postsynaptic index in its population.
    pub(crate) post: Arc<Vec<u32>>,
    pub(crate) sizes: (usize, usize),
    pub(crate) offsets: (usize, usize),
    /// Sign of each presynaptic unit: 1, −1 or 0 (free).
    pub(crate) signs: Vec<i8>,
    pub(crate) plastic: bool,
    /// Steps from a spike to its effect, 1 or more.
    pub(crate) delay: usize,
    /// Density times number of pairs: the number that rewiring maintains.
    pub(crate) target_number: f64,
    /// Explicit weights, in the order of the synapses; else how to draw them.
    pub(crate) initial: InitialWeights,
}

impl Synapses {
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
    /// Whether it has no synapses.
    pub fn is_empty(&self) -> bool {
        self.pre.is_empty()
    }
    pub(crate) fn sign(&self, synapse: usize) -> i8 {
        self.signs[self.pre[synapse] as usize]
    }
    /// Presynaptic index among all units of its kind.
    pub(crate) fn pre_unit(&self, synapse: usize) -> usize {
        self.offsets.0 + self.pre[synapse] as usize
    }
    /// Postsynaptic index among all neurons, or all readout units.
    pub(crate) fn post_unit(&self, synapse: usize) -> usize {
        self.offsets.1 + self.post[synapse] as usize
    }
}

pub(super) fn projections(
    d: &NetworkDescription,
    ranges: &HashMap<String, PopulationRange>,
    around: &Surroundings,
) -> Result<Vec<Synapses>> {
    let mut all: Vec<Synapses> = Vec::new();
    let mut total = 0u64;
    for (i, projection) in d.projections.iter().enumerate() {
        let synapses = connect(d, ranges, around, i, projection)?;
        total += synapses.len() as u64;
        if total > MOST_SYNAPSES {
            let allowed = format!("at most {MOST_SYNAPSES} synapses in all");
            return Err(invalid("projections", total, allowed));
        }
        all.push(synapses);
    }
    Ok(all)
}

fn connect(
    d: &NetworkDescription,
    ranges: &HashMap<String, PopulationRange>,
    around: &Surroundings,
    index: usize,
    projection: &Projection,
) -> Result<Synapses> {
    use PopulationKind::{Input, Readout};
    let path = |field: &str| format!("projections.{}.{field}", projection.key());
    let (from, to) = (&ranges[&projection.from], &ranges[&projection.to]);
    let kind = match (from.kind, to.kind) {
        (Input, _) => SynapseKind::Input,
        (_, Readout) => SynapseKind::Readout,
        _ => SynapseKind::Recurrent,
    };
    let delay = projection.delay.map_or(1, |delay| steps_in(delay, d.dt) as usize);
    let ends = Ends { from, to, recurrent: projection.from == projection.to };
    let (pre, post, initial, target_number) = match &projection.connections {
        Some(list) => {
            let (pre, post, values) = listed(&path("connections"), list, from, to, ends.recurrent)?;
            let target_number = pre.len() as f64;
            (pre, post, InitialWeights::Given(values), target_number)
        }
        None => {
            let mut rng = CounterRng::internal(d.seed, DrawStream::Mask, 0, index);
            let (pairs, target_number) = connectivity::draw(&path, projection, ends, around, &mut rng)?;
            let initialise = projection.initialise.clone().unwrap_or(Initialise::Balanced);
            let initial = initial_weights::resolve(&path("initialise"), initialise, ends, around, &pairs)?;
            let (pre, post): (Vec<_>, Vec<_>) = pairs.into_iter().map(|(p, q)| (q, p)).unzip();
            (Arc::new(pre), Arc::new(post), initial, target_number)
        }
    };
    Ok(Synapses {
        name: projection.key(),
        kind,
        pre,
        post,
        sizes: (from.size, to.size),
        offsets: (from.offset, to.offset),
        signs: from.signs.clone(),
        plastic: projection.plastic,
        delay,
        target_number,
        initial,
    })
}

/// The place of a past secretion is a 32-bit index (see `modulation`).
pub(super) fn check_reach(projections: &[Synapses], neurons: usize) -> Result<()> {
    let most = u32::MAX as usize / neurons.max(1);
    match projections.iter().find(|synapses| synapses.delay > most) {
        None => Ok(()),
        Some(synapses) => {
            let path = format!("projections.{}.delay", synapses.name);
            let value = format!("{} steps", synapses.delay);
            Err(invalid(path, value, format!("at most {most} steps with {neurons} neurons")))
        }
    }
}

pub(super) fn delays(projections: &[Synapses]) -> Vec<usize> {
    let recurrent = projections.iter().filter(|synapses| synapses.kind == SynapseKind::Recurrent);
    let mut delays: Vec<usize> = std::iter::once(1).chain(recurrent.map(|synapses| synapses.delay)).collect();
    delays.sort_unstable();
    delays.dedup();
    delays
}

type SynapseLists = (Arc<Vec<u32>>, Arc<Vec<u32>>, Arc<Vec<f64>>);

/// A list's synapses, checked, by post and then pre; a list of that order is shared and not copied.
fn listed(
    path: &str,
    list: &Connections,
    from: &PopulationRange,
    to: &PopulationRange,
    recurrent: bool,
) -> Result<SynapseLists> {
    let column = |field: &'static str| move || format!("{path}.{field}");
    let at = |field: &str, i: usize| format!("{path}.{field}[{i}]");
    let (pre, post) = (list.pre.numbers(column("pre"))?, list.post.numbers(column("post"))?);
    let values = list.values.numbers(column("values"))?;
    if pre.len() as u64 > MOST_SYNAPSES {
        return Err(invalid(path, pre.len(), format!("at most {MOST_SYNAPSES} synapses")));
    }
    for (i, (&value, &q)) in values.iter().zip(pre.iter()).enumerate() {
        check_weight(value, from.signs[q as usize], || at("values", i))?;
    }
    let pairs = post.iter().zip(pre.iter());
    if let Some(i) = pairs.clone().position(|(p, q)| recurrent && p == q) {
        return Err(invalid(at("post", i), post[i], "another neuron than pre (no autapses)"));
    }
    if pairs.is_sorted_by(|one, next| one < next) {
        return Ok((pre.clone(), post.clone(), values.clone()));
    }
    ensure_memory(
        product(&[pre.len(), size_of::<[u32; 3]>() + size_of::<f64>()]),
        "the synapses of a projection",
    )?;
    let order = by_receiver(pre, post, to.size);
    let pair = |i: u32| (pre[i as usize], post[i as usize]);
    if let Some(twice) = order.windows(2).find(|pairs| pair(pairs[0]) == pair(pairs[1])) {
        let i = twice[1] as usize;
        return Err(invalid(at("pre", i), pre[i], "each pair once in a projection"));
    }
    fn sorted<T: Copy>(order: &[u32], column: &[T]) -> Arc<Vec<T>> {
        Arc::new(order.iter().map(|&i| column[i as usize]).collect())
    }
    Ok((sorted(&order, pre), sorted(&order, post), sorted(&order, values)))
}

/// The places of a list's pairs by post, then pre; equal ones stay as they were given.
fn by_receiver(pre: &[u32], post: &[u32], receivers: usize) -> Vec<u32> {
    let mut end = vec![0u32; receivers + 1];
    post.iter().for_each(|&p| end[p as usize + 1] += 1);
    for p in 0..receivers {
        end[p + 1] += end[p];
    }
    let starts = end.clone();
    let mut order = vec![0; post.len()];
    for (i, &p) in (0..).zip(post) {
        order[end[p as usize] as usize] = i;
        end[p as usize] += 1;
    }
    for range in starts.windows(2) {
        order[range[0] as usize..range[1] as usize].sort_unstable_by_key(|&i| (pre[i as usize], i));
    }
    order
}

/// A weight must be finite and keep its sender's sign. Its path is only made for a refusal.
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
