//! The optimiser, in the authors' order: Adam or gradient descent on θ, dead entries held at 0,
//! l1 and noise on living ones, rewiring (DEEP R).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::description::given::{Given, deserialise_by_reading};
use crate::description::rule::Feedback;
use crate::error::{Result, invalid, words};
use crate::model::gradients::Gradients;
use crate::model::schedule::{LearningRate, MOST_ITERATIONS};
use crate::model::{AdamMoment, Model};
use crate::network::{Network, ReadoutSlot, SynapseKind, Synapses};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::ranges::{at_least_0, below_1, fraction, positive, whole};
use crate::numeric::scalar::Scalar;

/// θ of a rewired synapse.
const REBORN: f64 = 1e-12;

/// Settings of the optimiser.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Optimiser {
    /// The update.
    #[serde(flatten)]
    pub method: Method,
    /// Rate at which living weights shrink: θ loses learningRate · l1 per step.
    pub l1: f64,
    /// θ gains √(2 · learningRate · temperature) N(0, 1) per step.
    pub temperature: f64,
    /// Where dead synapses of signed senders are made up for.
    pub rewiring: Rewiring,
    /// Decoupled weight decay: θ loses learningRate · weightDecay · θ per step; biases do not.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight_decay: f64,
    /// Factors of the learning rate of single projections and biases, by name; the bias of a readout `out` is `out.bias`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub learning_rate_factors: BTreeMap<String, f64>,
    /// Stepwise decay of the learning rate, counted in the model's steps.
    pub decay: Option<Decay>,
    /// Largest norm of the whole gradient; larger ones are scaled down.
    pub clip_norm: Option<f64>,
    /// Projections and biases that are not trained.
    pub frozen: Vec<String>,
}

/// Which pairs get a synapse in place of one that died (DEEP R, Bellec et al. 2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewiring {
    /// None.
    Off,
    /// Dead pairs of the projection's synapses as they were drawn or listed, as Liu et al. 2021 have it. In JSON `true`.
    WithinMask,
    /// Any pair that the projection could join and that has no living synapse, as published: the projection's synapses are those that
    /// live. In JSON `'all-pairs'`.
    AllPairs,
}

impl Rewiring {
    fn read(given: &Given<'_>) -> Result<Self> {
        match (given.known(&[("all-pairs", Self::AllPairs)]), given.flag()) {
            (Some(named), _) => Ok(named),
            (None, Ok(true)) => Ok(Self::WithinMask),
            (None, Ok(false)) => Ok(Self::Off),
            _ => Err(given.refused("true, false or 'all-pairs'")),
        }
    }
}

impl Serialize for Rewiring {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::WithinMask => serializer.serialize_bool(true),
            Self::AllPairs => serializer.serialize_str("all-pairs"),
        }
    }
}

/// The update rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Method {
    /// θ −= lr √(1−β₂ⁿ)/(1−β₁ⁿ) m / (√v + ε); ε is not bias-corrected.
    Adam {
        /// lr.
        learning_rate: LearningRate,
        /// β₁.
        beta1: f64,
        /// β₂.
        beta2: f64,
        /// ε.
        epsilon: f64,
    },
    /// θ −= lr · gradient.
    GradientDescent {
        /// lr.
        learning_rate: LearningRate,
    },
}

/// lr ← lr · factor every so many iterations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decay {
    /// The factor.
    pub factor: f64,
    /// The number of iterations.
    pub every: u32,
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Default for Optimiser {
    /// Plain Adam at 0.0025.
    fn default() -> Self {
        Self {
            method: Method::Adam {
                learning_rate: LearningRate::Constant(0.0025),
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            },
            l1: 0.0,
            temperature: 0.0,
            rewiring: Rewiring::Off,
            weight_decay: 0.0,
            learning_rate_factors: BTreeMap::new(),
            decay: None,
            clip_norm: None,
            frozen: Vec::new(),
        }
    }
}

deserialise_by_reading!(Optimiser, "optimiser");

/// Keys of every optimiser.
const KEYS: [&str; 10] = [
    "kind",
    "learningRate",
    "learningRateFactors",
    "weightDecay",
    "l1",
    "temperature",
    "rewiring",
    "decay",
    "clipNorm",
    "frozen",
];

impl Optimiser {
    /// Refuses rewiring that a network's synapses do not allow.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`].
    fn check_rewiring(&self, network: &Network) -> Result<()> {
        match network.unmovable_projection() {
            Some(name) if self.rewiring == Rewiring::AllPairs => {
                let allowed = format!(
                    "true or false: projection '{name}' has several synapses of a pair, or delays by a list"
                );
                Err(invalid("optimiser.rewiring", "'all-pairs'", allowed))
            }
            _ => Ok(()),
        }
    }

    /// That of Fig. 3C: Adam at 0.0025, l1 0.01, rewiring.
    pub fn fig_3c() -> Self {
        Self { l1: 0.01, rewiring: Rewiring::WithinMask, ..Self::default() }
    }

    /// Reads one, with [`Self::default`] for what was left out.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        given.entries()?;
        let usual = Self::default();
        let descends = given.part("kind").word(&[("adam", false), ("gradient-descent", true)])?;
        let keys = if descends { vec![] } else { vec!["beta1", "beta2", "epsilon"] };
        given.only(&[&KEYS[..], &keys].concat())?;
        let [_, learning_rate, factors, weight_decay, l1, temperature, rewiring, decay, clip_norm, frozen] =
            KEYS.map(|key| given.part(key));
        let learning_rate =
            learning_rate.or(usual.learning_rate().clone(), |given| LearningRate::read(&given))?;
        let factors = factors.or(vec![], |given| given.entries())?;
        let number = |key: &str, default: f64| given.part(key).number_or(default);
        let method = match usual.method {
            Method::Adam { beta1, beta2, epsilon, .. } if !descends => Method::Adam {
                learning_rate,
                beta1: number("beta1", beta1),
                beta2: number("beta2", beta2),
                epsilon: number("epsilon", epsilon),
            },
            _ => Method::GradientDescent { learning_rate },
        };
        Ok(Self {
            method,
            l1: l1.number_or(usual.l1),
            temperature: temperature.number_or(usual.temperature),
            rewiring: rewiring.or(usual.rewiring, |given| Rewiring::read(&given))?,
            weight_decay: weight_decay.number_or(usual.weight_decay),
            learning_rate_factors: factors
                .into_iter()
                .map(|(name, factor)| (name, factor.number()))
                .collect(),
            decay: decay.set().as_ref().map(Decay::read).transpose()?,
            clip_norm: clip_norm.set().map(|given| given.number()),
            frozen: frozen.or(vec![], |given| Ok(given.items()?.iter().map(Given::text).collect()))?,
        })
    }

    /// The same with the number of the training's iterations where its schedule needs it.
    pub fn complete(mut self, iterations: Option<u32>) -> Self {
        let rate = self.learning_rate_mut();
        *rate = rate.clone().complete(iterations);
        self
    }

    /// Checks the settings against a network.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for values out of range or unknown projections.
    pub fn validate(&self, network: &Network) -> Result<()> {
        self.check_rewiring(network)?;
        let projections = network.projections.iter().map(|synapses| synapses.name().to_owned());
        let biases = network.readouts().iter().filter(|readout| readout.has_bias()).map(bias_name);
        let names: Vec<String> = projections.chain(biases).collect();
        self.validate_for(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Checks the settings against the names of a network's projections and biases.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for values out of range or unknown names.
    pub fn validate_for(&self, names: &[&str]) -> Result<()> {
        self.learning_rate().validate("optimiser.learningRate")?;
        match self.method {
            Method::GradientDescent { .. } => {}
            Method::Adam { beta1, beta2, epsilon, .. } => {
                below_1("optimiser.beta1", beta1)?;
                below_1("optimiser.beta2", beta2)?;
                positive("optimiser.epsilon", epsilon)?;
            }
        }
        at_least_0("optimiser.l1", self.l1)?;
        at_least_0("optimiser.temperature", self.temperature)?;
        at_least_0("optimiser.weightDecay", self.weight_decay)?;
        for (name, &factor) in &self.learning_rate_factors {
            let path = format!("optimiser.learningRateFactors.{name}");
            if !names.contains(&name.as_str()) {
                return Err(invalid(path, factor, format!("only {}", words(names))));
            }
            at_least_0(path, factor)?;
        }
        if let Some(decay) = self.decay {
            if self.learning_rate().is_schedule() {
                return Err(invalid("optimiser.decay", "set", "null with a schedule of the learning rate"));
            }
            fraction("optimiser.decay.factor", decay.factor)?;
            whole("optimiser.decay.every", decay.every.into(), 1, MOST_ITERATIONS)?;
        }
        self.clip_norm.map_or(Ok(()), |norm| positive("optimiser.clipNorm", norm))?;
        match self.frozen.iter().position(|name| !names.contains(&name.as_str())) {
            Some(i) => Err(invalid("optimiser.frozen", format!("'{}'", self.frozen[i]), words(names))),
            None => Ok(()),
        }
    }

    /// Which projections learn: plastic and not frozen.
    pub(crate) fn learns(&self, network: &Network) -> Vec<bool> {
        let learns = |w: &Synapses| w.plastic && !self.freezes(w.name());
        network.projections.iter().map(learns).collect()
    }

    /// The readouts whose biases are not trained.
    pub(crate) fn frozen_biases(&self, network: &Network) -> Vec<usize> {
        let readouts = network.readouts();
        (0..readouts.len()).filter(|&i| self.freezes(&bias_name(&readouts[i]))).collect()
    }

    fn freezes(&self, name: &str) -> bool {
        self.frozen.iter().any(|own| own == name)
    }

    fn learning_rate(&self) -> &LearningRate {
        let (Method::Adam { learning_rate, .. } | Method::GradientDescent { learning_rate }) = &self.method;
        learning_rate
    }

    fn learning_rate_mut(&mut self) -> &mut LearningRate {
        let (Method::Adam { learning_rate, .. } | Method::GradientDescent { learning_rate }) =
            &mut self.method;
        learning_rate
    }

    /// The optimiser of an iteration, counted from 1: a schedule's rate of that iteration in its place.
    pub(crate) fn at(&self, iteration: u64) -> Cow<'_, Self> {
        if !self.learning_rate().is_schedule() {
            return Cow::Borrowed(self);
        }
        let mut own = self.clone();
        let rate = own.learning_rate_mut();
        *rate = LearningRate::Constant(rate.at(iteration));
        Cow::Owned(own)
    }

    /// The learning rate after so many steps of the model, of an optimiser without a schedule.
    pub(crate) fn rate(&self, steps: u64) -> f64 {
        let learning_rate = self.learning_rate().at(1);
        match self.decay {
            None => learning_rate,
            Some(d) => learning_rate * libm::pow(d.factor, (steps / u64::from(d.every)) as f64),
        }
    }
}

impl Decay {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [factor, every] = given.parts(["factor", "every"])?;
        Ok(Self { factor: factor.number(), every: every.whole(1, MOST_ITERATIONS)? })
    }
}

/// The update of one parameter, with factors of the step computed once.
struct Update<F> {
    method: UpdateMethod<F>,
    /// Factor that clipping puts on the gradient.
    clip: F,
    /// Fraction of a weight that remains after weight decay.
    kept: F,
    /// Decrement of a weight by l1.
    shrink: F,
    /// Standard deviation of the noise on a weight.
    heat: f64,
}

enum UpdateMethod<F> {
    Adam { size: F, beta1: F, beta2: F, epsilon: F },
    Descent { rate: F },
}

impl<F: Scalar> Update<F> {
    fn new(optimiser: &Optimiser, rate: f64, steps: u64, norm: f64) -> Self {
        let method = match optimiser.method {
            Method::GradientDescent { .. } => UpdateMethod::Descent { rate: F::from_f64(rate) },
            Method::Adam { beta1, beta2, epsilon, .. } => {
                let n = (steps + 1) as f64;
                let correction = (1.0 - libm::pow(beta2, n)).sqrt() / (1.0 - libm::pow(beta1, n));
                UpdateMethod::Adam {
                    size: F::from_f64(rate * correction),
                    beta1: F::from_f64(beta1),
                    beta2: F::from_f64(beta2),
                    epsilon: F::from_f64(epsilon),
                }
            }
        };
        let clip = match optimiser.clip_norm {
            Some(most) if norm > most => F::from_f64(most / norm),
            _ => F::ONE,
        };
        let shrink = F::from_f64(rate * optimiser.l1);
        let kept = F::from_f64(1.0 - rate * optimiser.weight_decay);
        Self { method, clip, kept, shrink, heat: (2.0 * rate * optimiser.temperature).sqrt() }
    }

    /// Updates the weights of a projection.
    fn projection(
        &self,
        synapses: &Synapses,
        gradients: &[F],
        theta: &mut [F],
        moments: &mut [AdamMoment<F>],
        mut noise: CounterRng,
    ) {
        let (shrink, heat) = (self.shrink, self.heat);
        let mut losses = gradients.to_vec();
        let free = synapses.signs.iter().all(|&sign| sign == 0);
        if !free {
            let signs = synapses.pre.iter().map(|&pre| synapses.signs[pre as usize]);
            losses.iter_mut().zip(signs).filter(|&(_, sign)| sign < 0).for_each(|(g, _)| *g = -*g);
        }
        self.steps(&mut losses, moments);
        if self.kept != F::ONE {
            theta.iter_mut().for_each(|x| *x = *x * self.kept);
        }
        if free && heat == 0.0 {
            // No lookup of each synapse's sender, so that the loop vectorises.
            theta.iter_mut().zip(losses).for_each(|(x, loss)| *x = shrink_to_zero(*x - loss, shrink));
            return;
        }
        for (synapse, (x, loss)) in theta.iter_mut().zip(losses).enumerate() {
            let sign = synapses.sign(synapse);
            let alive = *x > F::ZERO;
            *x = *x - loss;
            if sign != 0 && !alive {
                *x = F::ZERO;
            }
            if sign == 0 {
                *x = shrink_to_zero(*x, shrink);
            } else if *x > F::ZERO {
                *x = *x - shrink;
            } else {
                continue;
            }
            if heat > 0.0 {
                *x += F::from_f64(heat * noise.normal());
            }
        }
    }

    /// The decrement of each parameter, written over its gradient.
    fn steps(&self, gradients: &mut [F], moments: &mut [AdamMoment<F>]) {
        let pairs = gradients.iter_mut().zip(moments);
        match self.method {
            UpdateMethod::Descent { rate } => pairs.for_each(|(g, _)| *g = rate * (*g * self.clip)),
            UpdateMethod::Adam { size, beta1, beta2, epsilon } => pairs.for_each(|(g, moment)| {
                let gradient = *g * self.clip;
                moment.first = beta1 * moment.first + (F::ONE - beta1) * gradient;
                moment.second = beta2 * moment.second + (F::ONE - beta2) * gradient * gradient;
                *g = size * moment.first / (moment.second.sqrt() + epsilon);
            }),
        }
    }
}

/// One step, [`rewire`] aside: the model with changed weights, on which the caller calls [`Model::checked`] at the end.
///
/// # Errors
/// [`crate::Error::Memory`].
pub(crate) fn step<F: Scalar>(
    model: &Model<F>,
    optimiser: &Optimiser,
    gradients: &Gradients<F>,
    seed: u64,
) -> Result<Model<F>> {
    let mut next = model.try_clone()?;
    let steps = model.moments.steps;
    let rate = optimiser.rate(steps);
    let norm = gradients.norm();
    let update = Update::new(optimiser, rate, steps, norm);
    let network = model.network();
    let learns = optimiser.learns(network);
    let own_update = |name: &str| {
        let factor = optimiser.learning_rate_factors.get(name);
        factor.map(|factor| Update::new(optimiser, rate * factor, steps, norm))
    };
    for (index, synapses) in network.projections.iter().enumerate().filter(|&(i, _)| learns[i]) {
        let noise = CounterRng::internal(seed, DrawStream::Noise, steps as u32, index);
        let gradients = gradients.projection(index);
        let theta = &mut next.theta[index];
        let moments = &mut next.moments.theta[index];
        let own = own_update(synapses.name());
        own.as_ref().unwrap_or(&update).projection(synapses, gradients, theta, moments, noise);
    }
    let frozen_biases = optimiser.frozen_biases(network);
    for (readout, bias) in next.bias.iter_mut().enumerate() {
        let name = bias_name(&network.readouts()[readout]);
        if frozen_biases.contains(&readout) {
            continue;
        }
        let moments = &mut next.moments.bias[readout];
        let mut losses = gradients.bias(readout).to_vec();
        own_update(&name).as_ref().unwrap_or(&update).steps(&mut losses, moments);
        bias.iter_mut().zip(losses).for_each(|(b, loss)| *b = *b - loss);
    }
    next.silence();
    next.moments.steps += 1;
    Ok(next)
}

/// The name of a readout's bias among what is trained, and in files.
fn bias_name(readout: &ReadoutSlot) -> String {
    format!("{}.bias", readout.name())
}

/// l1 on a weight of either sign: towards 0, not past it.
fn shrink_to_zero<F: Scalar>(x: F, by: F) -> F {
    if x > by {
        x - by
    } else if x < -by {
        x + by
    } else {
        F::ZERO
    }
}

/// The end of a step: with rewiring, as many synapses of signed senders as the network lacks to its density start anew, shared among
/// projections by their numbers of pairs.
///
/// # Errors
/// [`crate::Error::Memory`].
pub(crate) fn rewire<F: Scalar>(model: &mut Model<F>, optimiser: &Optimiser, seed: u64) -> Result<()> {
    if optimiser.rewiring == Rewiring::Off {
        return Ok(());
    }
    let network = model.network().clone();
    let (network, learns) = (&*network, optimiser.learns(&network));
    let iteration = (model.moments.steps - 1) as u32;
    let rewired: Vec<usize> = (0..learns.len())
        .filter(|&i| learns[i] && network.projections[i].signs.iter().any(|&s| s != 0))
        .collect();
    let mut rng = CounterRng::internal(seed, DrawStream::Rewiring, iteration, 0);
    let shares = missing(model, &rewired, &mut rng);
    if optimiser.rewiring == Rewiring::AllPairs {
        return move_dead(model, &rewired, &shares, &mut rng);
    }
    for (&i, &share) in rewired.iter().zip(&shares) {
        let synapses = &network.projections[i];
        let is_dead =
            |&s: &usize| synapses.sign(s) != 0 && model.theta[i][s] <= F::ZERO && !synapses.is_silent(s);
        let mut dead: Vec<usize> =
            if share == 0 { Vec::new() } else { (0..synapses.len()).filter(is_dead).collect() };
        if share < dead.len() {
            rng.shuffle(&mut dead);
        }
        for &synapse in dead.iter().take(share) {
            model.theta[i][synapse] = F::from_f64(REBORN);
        }
    }
    Ok(())
}

/// How many synapses each of the projections is to get.
fn missing<F: Scalar>(model: &Model<F>, rewired: &[usize], rng: &mut CounterRng) -> Vec<usize> {
    let projections = &model.network().projections;
    let number = |i: usize| projections[i].maintained_number();
    let target: f64 = rewired.iter().map(|&i| number(i)).sum();
    let alive = |&i: &usize| (0..projections[i].len()).filter(|&s| model.lives(i, s)).count();
    let missing = target.floor() - rewired.iter().map(alive).sum::<usize>() as f64;
    let mut shares = vec![0; rewired.len()];
    if missing < 1.0 {
        return shares;
    }
    for _ in 0..missing as u64 {
        let mut place = target * (1.0 - rng.uniform());
        let chosen = rewired.iter().position(|&i| {
            place -= number(i);
            place < 0.0
        });
        shares[chosen.unwrap_or(rewired.len() - 1)] += 1;
    }
    shares
}

/// Removes the dead synapses of projections and makes as many new ones as each has a share, among all pairs without a living one.
fn move_dead<F: Scalar>(
    model: &mut Model<F>,
    rewired: &[usize],
    shares: &[usize],
    rng: &mut CounterRng,
) -> Result<()> {
    let network = model.network().clone();
    let mut changed = Vec::new();
    for (&i, &share) in rewired.iter().zip(shares) {
        let synapses = &network.projections[i];
        let stays = |s: usize| model.lives(i, s) || synapses.is_silent(s);
        let kept: Vec<u32> = (0..synapses.len()).filter(|&s| stays(s)).map(|s| s as u32).collect();
        let made = synapses.free_pairs(&kept).choose(share, rng)?;
        if kept.len() == synapses.len() && made.is_empty() {
            continue;
        }
        let count = kept.len() + made.len();
        let bytes = product(&[count, size_of::<[u32; 2]>() + size_of::<F>() + size_of::<AdamMoment<F>>()]);
        ensure_memory(bytes, "the synapses of a projection")?;
        let mut next = Merged::with_capacity(count);
        let (mut old, mut new) = (kept.into_iter().peekable(), made.into_iter().peekable());
        loop {
            let pair = |&s: &u32| (synapses.post()[s as usize], synapses.pre()[s as usize]);
            match (old.peek().map(pair), new.peek()) {
                (None, None) => break,
                (Some(earlier), later) if later.is_none_or(|later| earlier < *later) => {
                    let s = old.next().unwrap_or_default() as usize;
                    next.push(earlier, model.theta[i][s], model.moments.theta[i][s]);
                }
                (_, later) => {
                    let later = later.copied().unwrap_or_default();
                    new.next();
                    let moment = AdamMoment { first: F::ZERO, second: F::ZERO };
                    next.push(later, F::from_f64(REBORN), moment);
                }
            }
        }
        model.theta[i] = next.theta;
        model.moments.theta[i] = next.moments;
        changed.push((i, next.pre, next.post));
    }
    if !changed.is_empty() {
        model.set_network(network.with_synapses(changed)?);
    }
    Ok(())
}

/// A projection's synapses after rewiring, by post, then pre.
struct Merged<F> {
    pre: Vec<u32>,
    post: Vec<u32>,
    theta: Vec<F>,
    moments: Vec<AdamMoment<F>>,
}

impl<F> Merged<F> {
    fn with_capacity(count: usize) -> Self {
        Self {
            pre: Vec::with_capacity(count),
            post: Vec::with_capacity(count),
            theta: Vec::with_capacity(count),
            moments: Vec::with_capacity(count),
        }
    }

    fn push(&mut self, (post, pre): (u32, u32), theta: F, moment: AdamMoment<F>) {
        self.post.push(post);
        self.pre.push(pre);
        self.theta.push(theta);
        self.moments.push(moment);
    }
}

/// What the next training step subtracts from adaptive feedback and readout weights: learning rate · weight decay.
///
/// # Errors
/// [`crate::Error::Invalid`] when that is more than there is.
pub(crate) fn next_feedback_decay<F: Scalar>(
    model: &Model<F>,
    feedback: &Feedback,
    optimiser: &Optimiser,
) -> Result<Option<f64>> {
    let Feedback::Adaptive { adaptive } = feedback else { return Ok(None) };
    let loss = optimiser.rate(model.moments.steps) * adaptive.weight_decay;
    if loss > 1.0 {
        let path = "rule.feedback.adaptive.weightDecay";
        return Err(invalid(path, adaptive.weight_decay, "at most 1 over the learning rate"));
    }
    Ok(Some(loss))
}

/// The end of a training step with adaptive feedback: readout weights that learn, and the difference of feedback from
/// them, decay.
pub(crate) fn decay_feedback<F: Scalar>(model: &mut Model<F>, loss: f64, optimiser: &Optimiser) {
    model.feedback_share *= 1.0 - loss;
    let network = model.network().clone();
    let learns = optimiser.learns(&network);
    let kept = F::from_f64(1.0 - loss);
    for (index, synapses) in network.projections.iter().enumerate() {
        if learns[index] && synapses.kind == SynapseKind::Readout {
            // θ of a dead synapse does not change.
            let living = model.theta[index].iter_mut().enumerate();
            let living = living.filter(|(synapse, theta)| synapses.sign(*synapse) == 0 || **theta > F::ZERO);
            living.for_each(|(_, theta)| *theta = *theta * kept);
        }
    }
}
