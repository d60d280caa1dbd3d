//! Projections as lists of synapses: given, or drawn from the network's seed.

use std::collections::HashMap;
use std::sync::Arc;

use super::connectivity::{self, Ends, MOST_SYNAPSES, Surroundings};
use super::delays::{DelayedProjection, SynapseDelays};
use super::initial_weights::{self, InitialWeights};
use super::lesioned_pairs::LesionedPairs;
use super::populations::{PopulationKind, PopulationRange};
use super::synapse::SynapseKind;
use crate::description::{Connections, Delay, Initialise, NetworkDescription, Projection};
use crate::error::{Result, invalid};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};

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
    /// Steps from a spike to its effect.
    pub(crate) delays: SynapseDelays,
    /// Whether it is a population's to itself, without synapses of a neuron with itself.
    pub(super) excludes_autapses: bool,
    /// Density times number of pairs: the number that rewiring maintains.
    pub(crate) target_number: f64,
    /// Explicit weights, in the order of the synapses; else how to draw them.
    pub(crate) initial: InitialWeights,
    /// The pairs that lesions keep silent; `None` without one.
    pub(super) lesioned: Option<Arc<LesionedPairs>>,
    /// The synapses among them, ascending.
    pub(crate) silent: Arc<Vec<u32>>,
    /// Whether rewiring has moved synapses to other pairs than the description gives.
    pub(crate) is_rewired: bool,
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
    /// Whether a lesion keeps a synapse silent.
    pub(crate) fn is_silent(&self, synapse: usize) -> bool {
        !self.silent.is_empty() && self.silent.binary_search(&(synapse as u32)).is_ok()
    }
    /// Steps from a spike to its effect: of all synapses, or of each; of an input 1 where it acts in its own step.
    pub fn delay_steps(&self) -> Vec<u32> {
        match &self.delays {
            SynapseDelays::One(steps) => vec![*steps as u32],
            SynapseDelays::Each(steps) => steps.to_vec(),
        }
    }
    #[inline(always)]
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

impl Synapses {
    /// Draws its delays for its present pairs, where they are drawn; `index`: its place in the description.
    pub(super) fn draw_delays_again(&mut self, d: &NetworkDescription, index: usize) -> Result<()> {
        let projection = &d.projections[index];
        if !matches!(projection.delay, Some(Delay::Drawn(_))) {
            return Ok(());
        }
        let path = format!("projections.{}.delay", projection.key());
        let (pre, post) = (&self.pre[..], &self.post[..]);
        let delayed = DelayedProjection { path, dt: d.dt, seed: d.seed, index, pre, post, order: None };
        self.delays = delayed.make(projection.delay.as_ref())?;
        Ok(())
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
    let excludes_autapses = projection.from == projection.to && !projection.autapses;
    let ends = Ends { from, to, excludes_autapses, repeats: projection.multapses };
    let (pre, post, initial, target_number, order) = match &projection.connections {
        Some(list) => {
            let (pre, post, values, order) = listed(&path("connections"), list, ends)?;
            let target_number = pre.len() as f64;
            (pre, post, InitialWeights::Given(values), target_number, order)
        }
        None => {
            let mut rng = CounterRng::internal(d.seed, DrawStream::Mask, 0, index);
            let (pairs, target_number) = connectivity::draw(&path, projection, ends, around, &mut rng)?;
            let initialise = projection.initialise.clone().unwrap_or(Initialise::Balanced);
            let initial = initial_weights::resolve(&path("initialise"), initialise, ends, around, &pairs)?;
            let (pre, post): (Vec<_>, Vec<_>) = pairs.into_iter().map(|(p, q)| (q, p)).unzip();
            (Arc::new(pre), Arc::new(post), initial, target_number, None)
        }
    };
    let delayed = DelayedProjection {
        path: path("delay"),
        dt: d.dt,
        seed: d.seed,
        index,
        pre: &pre,
        post: &post,
        order: order.as_deref(),
    };
    let delays = delayed.make(projection.delay.as_ref())?;
    Ok(Synapses {
        name: projection.key(),
        kind,
        pre,
        post,
        sizes: (from.size, to.size),
        offsets: (from.offset, to.offset),
        signs: from.signs.clone(),
        plastic: projection.plastic,
        delays,
        excludes_autapses,
        target_number,
        initial,
        lesioned: None,
        silent: Arc::default(),
        is_rewired: false,
    })
}

/// The place of a past secretion is a 32-bit index (see `modulation`).
pub(super) fn check_reach(delays: &[usize], projections: &[Synapses], neurons: usize) -> Result<()> {
    let most = u32::MAX as usize / neurons.max(1);
    if delays.last().is_none_or(|&longest| longest <= most) {
        return Ok(());
    }
    let recurrent = projections.iter().filter(|synapses| synapses.kind == SynapseKind::Recurrent);
    let longest = recurrent.map(|synapses| (synapses.delays.distinct().pop().unwrap_or(1), &synapses.name));
    let (steps, name) = longest.max_by_key(|&(steps, _)| steps).unwrap_or((1, &projections[0].name));
    let allowed = format!("at most {most} steps with {neurons} neurons");
    Err(invalid(format!("projections.{name}.delay"), format!("{steps} steps"), allowed))
}

/// The distinct delays of a kind of synapses, ascending from 1 on.
pub(super) fn distinct_delays(projections: &[Synapses], kind: SynapseKind) -> Vec<usize> {
    let own = projections.iter().filter(|synapses| synapses.kind == kind);
    let mut delays: Vec<usize> =
        std::iter::once(1).chain(own.flat_map(|synapses| synapses.delays.distinct())).collect();
    delays.sort_unstable();
    delays.dedup();
    delays
}

/// Senders, receivers and weights, and the place of each in a list that was not in order.
type SynapseLists = (Arc<Vec<u32>>, Arc<Vec<u32>>, Arc<Vec<f64>>, Option<Vec<u32>>);

/// A list's synapses, checked, by post and then pre; a list of that order is shared and not copied.
fn listed(path: &str, list: &Connections, ends: Ends) -> Result<SynapseLists> {
    let Ends { from, to, .. } = ends;
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
    if let Some(i) = pairs.clone().position(|(&p, &q)| ends.is_autapse(p, q)) {
        return Err(invalid(at("post", i), post[i], "another neuron than pre, or autapses: true"));
    }
    if pairs.is_sorted_by(|one, next| one < next || ends.repeats && one == next) {
        return Ok((pre.clone(), post.clone(), values.clone(), None));
    }
    ensure_memory(
        product(&[pre.len(), size_of::<[u32; 3]>() + size_of::<f64>()]),
        "the synapses of a projection",
    )?;
    let order = by_receiver(pre, post, to.size);
    let pair = |i: u32| (pre[i as usize], post[i as usize]);
    if let Some(twice) = order.windows(2).find(|pairs| !ends.repeats && pair(pairs[0]) == pair(pairs[1])) {
        let i = twice[1] as usize;
        return Err(invalid(at("pre", i), pre[i], "each pair once in a projection, or multapses: true"));
    }
    fn sorted<T: Copy>(order: &[u32], column: &[T]) -> Arc<Vec<T>> {
        Arc::new(order.iter().map(|&i| column[i as usize]).collect())
    }
    Ok((sorted(&order, pre), sorted(&order, post), sorted(&order, values), Some(order)))
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
