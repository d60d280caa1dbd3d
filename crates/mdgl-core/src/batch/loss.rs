//! Losses at the readout and their derivative δ = ∂E/∂y.

use serde::Serialize;

use crate::batch::windows::{check_windows, window_at};
use crate::batch::{EncodedBatch, Targets};
use crate::description::Conventions;
use crate::description::given::{Given, deserialise_by_reading};
use crate::error::{Result, invalid, unknown, words};
use crate::network::Network;
use crate::numeric::steps::{in_ms, lasting, steps_in};

/// Objective of training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Objective {
    /// Losses, at most one per readout; their weighted sum is minimised.
    pub losses: Vec<LossTerm>,
    /// Firing-rate regulariser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regulariser: Option<Regulariser>,
}

/// A loss at one readout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LossTerm {
    /// The readout's name.
    pub readout: String,
    /// The loss.
    #[serde(flatten)]
    pub loss: Loss,
    /// Factor of the loss and of its δ; 0: the loss is measured and not minimised.
    pub weight: f64,
    /// Reduction over the steps that count; `None`: the loss's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction: Option<Reduction>,
    /// Factor of each answer by its class, of a cross-entropy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
}

/// How the steps of an answer or a trial become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean: the default of a cross-entropy.
    Mean,
    /// Their sum: the default of the squared error.
    Sum,
}

const fn one() -> f64 {
    1.0
}

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Loss {
    /// Softmax cross-entropy, the mean over trials and over the last `window` steps of each.
    CrossEntropy {
        /// Number of last steps that count; 1: the last step only.
        window: u32,
    },
    /// Softmax cross-entropy within the targets' windows, the mean over windows and over the steps of each.
    WindowedCrossEntropy,
    /// ½ Σ (y − y*)² over steps and units, the mean over trials; with [`Reduction::Mean`] the mean over a trial's steps.
    SquaredError,
    /// δ is computed by the caller.
    Custom,
}

/// ½ c Σ_p (f_p − f0)², f_p the mean over trials and steps; with [`Conventions::Bellec2020`] ½ c Σ_p (f_p,b − f0)²/w,
/// f_p,b the mean over the steps of trial b, the mean over trials, w the window of a cross-entropy or else 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Regulariser {
    /// c.
    pub strength: f64,
    /// f0 in Hz.
    pub target_rate: f64,
}

deserialise_by_reading!(Objective, "objective");
deserialise_by_reading!(LossTerm, "loss");

impl Objective {
    /// Reads one as it is written: losses by readout with windows in steps, and the regulariser.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let [losses, regulariser] = given.parts(["losses", "regulariser"])?;
        Ok(Self {
            losses: losses.items()?.iter().map(LossTerm::read).collect::<Result<_>>()?,
            regulariser: regulariser.set().map(|given| Regulariser::read(&given)).transpose()?,
        })
    }

    /// Reads `{ loss, regulariser }` for a network: one loss, where it has one readout, or losses by the names of readouts. A window is
    /// in ms there.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape, unknown readouts, and values that are not allowed.
    pub fn read_for(given: &Given<'_>, network: &Network) -> Result<Self> {
        let [loss, regulariser] = given.parts(["loss", "regulariser"])?;
        let losses = read_losses(&loss, network)?;
        let regulariser = regulariser.set().map(|given| Regulariser::read(&given)).transpose()?;
        let objective = Self { losses, regulariser };
        objective.check(network)?;
        Ok(objective)
    }

    /// Checks losses and regulariser against a network.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for unknown readouts, and for values that are not allowed.
    pub fn check(&self, network: &Network) -> Result<()> {
        for (i, term) in self.losses.iter().enumerate() {
            let size = network.readout(&term.readout)?.size();
            if self.losses[..i].iter().any(|earlier| earlier.readout == term.readout) {
                let path = format!("losses[{i}].readout");
                return Err(invalid(path, &term.readout, "each readout once"));
            }
            term.check(&term.path(network), size)?;
        }
        self.check_in(network.conventions())?;
        let Some(r) = self.regulariser else { return Ok(()) };
        if network.has_rate_units() {
            return Err(invalid("regulariser", "set", "with rate units: none"));
        }
        if !(r.strength.is_finite() && r.strength >= 0.0) {
            return Err(invalid("regulariser.strength", r.strength, "a finite number ≥ 0"));
        }
        if !(r.target_rate.is_finite() && r.target_rate >= 0.0) {
            return Err(invalid("regulariser.targetRate", r.target_rate, "a finite rate ≥ 0 Hz"));
        }
        Ok(())
    }

    /// Checks losses and targets of a batch against a network.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for unknown readouts, windows beyond a trial, wrong targets.
    pub fn validate(&self, network: &Network, batch: &EncodedBatch) -> Result<()> {
        let targets = &batch.targets;
        if targets.len() != self.losses.len() {
            let allowed = format!("one per loss ({})", self.losses.len());
            return Err(invalid("targets", format!("{} entries", targets.len()), allowed));
        }
        self.check(network)?;
        for (term, targets) in self.losses.iter().zip(targets) {
            let size = network.readout(&term.readout)?.size();
            term.validate(batch, network, size, targets)?;
        }
        Ok(())
    }

    /// Refuses what has no equation in a network's conventions.
    fn check_in(&self, conventions: Conventions) -> Result<()> {
        let several = self.losses.len() != 1 && self.regulariser.is_some();
        if conventions == Conventions::Mdgl2021 {
            return Ok(());
        }
        let only = |path: &str, value: String, allowed: &str| {
            Err(invalid(path, value, format!("with conventions 'bellec2020': {allowed}")))
        };
        for term in &self.losses {
            match term.loss {
                Loss::CrossEntropy { .. } | Loss::SquaredError => {}
                Loss::WindowedCrossEntropy => {
                    return only("loss.window", "'targets'".into(), "a duration in ms");
                }
                Loss::Custom => {
                    return only("loss.kind", "'custom'".into(), "'squared-error' or 'cross-entropy'");
                }
            }
        }
        if several {
            return only("loss", format!("{} losses", self.losses.len()), "one loss, with a regulariser");
        }
        Ok(())
    }

    /// The window by which the only loss divides its gradient, or 1.
    pub(crate) fn divisor(&self) -> f64 {
        match &self.losses[..] {
            [LossTerm { reduction: Some(Reduction::Sum), .. }] => 1.0,
            [LossTerm { loss: Loss::CrossEntropy { window }, .. }] => f64::from(*window),
            _ => 1.0,
        }
    }

    /// Whether δ of some readout is computed by the caller.
    pub fn is_custom(&self) -> bool {
        self.losses.iter().any(|term| term.loss == Loss::Custom)
    }

    /// First step at which any δ may differ from 0 in a trial of so many steps.
    pub(crate) fn first_step(&self, steps: usize) -> usize {
        let first = |term: &LossTerm| match term.loss {
            Loss::CrossEntropy { window } => steps - (window as usize).min(steps),
            Loss::WindowedCrossEntropy | Loss::SquaredError | Loss::Custom => 0,
        };
        self.losses.iter().map(first).min().unwrap_or(steps)
    }
}

/// Losses by the names of their kinds; a cross-entropy before its window is known.
const KINDS: [(&str, Loss); 3] = [
    ("cross-entropy", Loss::CrossEntropy { window: 1 }),
    ("squared-error", Loss::SquaredError),
    ("custom", Loss::Custom),
];

/// The losses of an objective, in the order of the network's readouts.
fn read_losses(given: &Given<'_>, network: &Network) -> Result<Vec<LossTerm>> {
    let readouts = network.readouts();
    let names = || readouts.iter().map(|readout| readout.name());
    if !given.is_object() {
        return Err(given.refused("a loss, as {kind: 'cross-entropy'}, or one for each readout by name"));
    }
    let parts = given.entries()?;
    // Or what was meant for one: readouts have losses, no settings.
    let is_setting = |part: &Given<'_>| part.clone().set().is_some() && !part.is_structure();
    if parts.iter().any(|(key, part)| key == "kind" || is_setting(part)) {
        let [readout] = readouts else {
            let names = words(&names().collect::<Vec<_>>());
            return Err(given.refused(format!("one loss for each readout by name: {names}")));
        };
        return Ok(vec![LossTerm::read_for(given, readout.name(), network)?]);
    }
    if parts.is_empty() {
        return Err(given.refused("at least one loss"));
    }
    if let Some((name, _)) = parts.iter().find(|(name, _)| names().all(|own| own != name)) {
        return Err(unknown(given.path(), name, names()));
    }
    let own = names().map(|name| (name, given.part(name)));
    own.filter(|(_, loss)| !loss.is_missing())
        .map(|(name, loss)| LossTerm::read_for(&loss, name, network))
        .collect()
}

/// Cross-entropy over the last steps of a trial, in ms, or over the windows of the targets.
fn read_window(given: &Given<'_>, dt: f64) -> Result<Loss> {
    if given.known(&[("targets", ())]).is_some() {
        return Ok(Loss::WindowedCrossEntropy);
    }
    if given.is_missing() {
        return Ok(Loss::CrossEntropy { window: 1 });
    }
    lasting(given.path(), given.number(), dt)?;
    Ok(Loss::CrossEntropy { window: steps_in(given.number(), dt) as u32 })
}

impl Regulariser {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [strength, target_rate] = given.parts(["strength", "targetRate"])?;
        Ok(Self { strength: strength.number(), target_rate: target_rate.number() })
    }
}

impl LossTerm {
    /// Reads one as it is written.
    fn read(given: &Given<'_>) -> Result<Self> {
        let windowed = [("windowed-cross-entropy", Loss::WindowedCrossEntropy)];
        let loss = match given.part("kind").word(&[&KINDS[..], &windowed].concat())? {
            Loss::CrossEntropy { .. } => {
                Loss::CrossEntropy { window: given.part("window").whole(0, u32::MAX.into())? }
            }
            other => other,
        };
        given.only(&["readout", "kind", "window", "weight", "reduction", "classWeights"])?;
        Self::with(loss, given.part("readout").text(), given)
    }

    /// Reads one of the options of a call, at a readout of a network.
    fn read_for(given: &Given<'_>, readout: &str, network: &Network) -> Result<Self> {
        given.entries()?;
        let kind = given.part("kind").word(&KINDS)?;
        let keys = match kind {
            Loss::CrossEntropy { .. } | Loss::WindowedCrossEntropy => &["window", "classWeights"][..],
            Loss::SquaredError => &[],
            Loss::Custom => &["classWeights"],
        };
        given.only(&[&["kind", "weight", "reduction"], keys].concat())?;
        let loss = match kind {
            Loss::CrossEntropy { .. } => read_window(&given.part("window"), network.dt())?,
            other => other,
        };
        let term = Self::with(loss, readout.into(), given)?;
        term.check(given.path(), network.readout(readout)?.size())?;
        Ok(term)
    }

    /// A loss with the options that all have.
    fn with(loss: Loss, readout: String, given: &Given<'_>) -> Result<Self> {
        let reductions = [("mean", Reduction::Mean), ("sum", Reduction::Sum)];
        let weights = given.part("classWeights").given().map(|given| given.floats()).transpose()?;
        Ok(Self {
            readout,
            loss,
            weight: given.part("weight").number_or(one()),
            reduction: given.part("reduction").given().map(|given| given.word(&reductions)).transpose()?,
            class_weights: weights.map(|list| Ok(list.numbers(String::new)?.to_vec())).transpose()?,
        })
    }

    /// A loss of weight 1 with its own reduction.
    pub fn new(readout: impl Into<String>, loss: Loss) -> Self {
        Self { readout: readout.into(), loss, weight: one(), reduction: None, class_weights: None }
    }

    /// Checks what does not depend on a batch, at a readout of so many units.
    fn check(&self, path: &str, size: usize) -> Result<()> {
        let is_weight = |weight: f64| weight.is_finite() && weight >= 0.0;
        if !is_weight(self.weight) {
            return Err(invalid(format!("{path}.weight"), self.weight, "a finite number ≥ 0"));
        }
        if let (Loss::Custom, Some(reduction)) = (self.loss, self.reduction) {
            let value = format!("{reduction:?}").to_lowercase();
            return Err(invalid(format!("{path}.reduction"), value, "with a custom loss: nothing"));
        }
        let Some(weights) = &self.class_weights else { return Ok(()) };
        let path = format!("{path}.classWeights");
        let value = format!("{} numbers", weights.len());
        if !matches!(self.loss, Loss::CrossEntropy { .. } | Loss::WindowedCrossEntropy) {
            return Err(invalid(path, value, "with a cross-entropy only"));
        }
        if weights.len() != size {
            return Err(invalid(path, value, format!("one number per class ({size})")));
        }
        match weights.iter().position(|&weight| !is_weight(weight)) {
            Some(i) => Err(invalid(format!("{path}[{i}]"), weights[i], "a finite number ≥ 0")),
            None => Ok(()),
        }
    }

    /// Weight of an answer of a class.
    fn class_weight(&self, class: usize) -> f64 {
        self.class_weights.as_ref().map_or(1.0, |weights| weights[class])
    }

    /// Factor of one of so many steps, in the mean over so many trials or answers.
    fn share(&self, answers: usize, steps: usize, default: Reduction) -> f64 {
        match self.reduction.unwrap_or(default) {
            Reduction::Mean => 1.0 / (answers * steps) as f64,
            Reduction::Sum => 1.0 / answers as f64,
        }
    }

    /// What messages call it.
    fn path(&self, network: &Network) -> String {
        if network.readouts().len() == 1 { "loss".into() } else { format!("loss.{}", self.readout) }
    }

    fn validate(
        &self,
        batch: &EncodedBatch,
        network: &Network,
        size: usize,
        targets: &Targets,
    ) -> Result<()> {
        let path = format!("targets.{}", self.readout);
        match (self.loss, targets) {
            (Loss::CrossEntropy { window }, Targets::Classes(classes)) => {
                let shortest = (0..batch.trials).map(|b| batch.length(b)).min().unwrap_or(0);
                if window == 0 || window as usize > shortest {
                    let in_ms = |steps: f64| in_ms(steps, network.dt());
                    let allowed = format!("at most the shortest trial, {} ms", in_ms(shortest as f64));
                    let path = format!("{}.window", self.path(network));
                    return Err(invalid(path, in_ms(f64::from(window)), allowed));
                }
                check_classes(&path, classes, batch.trials, size)
            }
            (Loss::CrossEntropy { .. }, _) => Err(invalid(path, "of another kind", "a class per trial")),
            (Loss::WindowedCrossEntropy, Targets::Windows(windows)) => {
                check_windows(&path, windows, batch, size)
            }
            (Loss::WindowedCrossEntropy, _) => {
                Err(invalid(path, "of another kind", "windows with a class each"))
            }
            (Loss::SquaredError, Targets::Values(values)) => {
                check_values(&path, values, batch.trials * batch.steps * size)
            }
            (Loss::SquaredError, _) => Err(invalid(path, "of another kind", "values [trial][step][unit]")),
            (Loss::Custom, _) => Ok(()),
        }
    }
}

fn check_classes(path: &str, classes: &[u32], trials: usize, size: usize) -> Result<()> {
    if classes.len() != trials {
        let value = format!("{} classes", classes.len());
        return Err(invalid(path, value, format!("one per trial ({trials})")));
    }
    match classes.iter().position(|&class| class as usize >= size) {
        Some(i) => Err(invalid(format!("{path}[{i}]"), classes[i], format!("0 to {}", size - 1))),
        None => Ok(()),
    }
}

pub(crate) fn check_values(path: &str, values: &[f64], expected: usize) -> Result<()> {
    if values.len() != expected {
        let value = format!("{} values", values.len());
        let allowed = format!("{expected} values [trial][step][unit]");
        return Err(invalid(path, value, allowed));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(i) => Err(invalid(format!("{path}[{i}]"), values[i], "a finite number")),
        None => Ok(()),
    }
}

/// A trial within its batch; means are over the whole batch's trials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrialShape {
    pub trial: usize,
    /// Of the whole batch.
    pub trials: usize,
    /// This trial's steps.
    pub length: usize,
    /// The batch's longest.
    pub steps: usize,
}

/// A step of a trial, and what the readout should do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadoutStep<'a> {
    pub shape: TrialShape,
    pub targets: &'a Targets,
    /// Number of windows of the whole batch at this readout.
    pub windows: usize,
    pub step: usize,
}

/// Loss and answers of one trial at one readout.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TrialTally {
    /// Share of the batch's mean loss.
    pub loss: f64,
    /// Readout summed over the steps that count, by class.
    score: Vec<f64>,
    /// The target of the current answer, if there is one.
    class: Option<usize>,
    /// Finished answers, and how many of them were right.
    answers: u64,
    correct: u64,
}

impl TrialTally {
    /// Ends an answer: it is right where the highest summed readout is the target's. Nothing without a class.
    pub fn close(&mut self) {
        let best = |best: usize, k: usize| if self.score[k] > self.score[best] { k } else { best };
        if let Some(class) = self.class.take() {
            self.answers += 1;
            self.correct += u64::from((0..self.score.len()).fold(0, best) == class);
            self.score.clear();
        }
    }

    /// Number of finished answers, and of right ones.
    pub fn answers(&self) -> (u64, u64) {
        (self.answers, self.correct)
    }
}

impl LossTerm {
    /// Evaluates one step of one trial: adds to the tally, the weight left out, and writes δ = ∂E/∂y; false where the
    /// step does not count (δ is not written then).
    pub(crate) fn step(
        &self,
        at: ReadoutStep<'_>,
        y: &[f64],
        delta: &mut [f64],
        tally: &mut TrialTally,
    ) -> bool {
        let ReadoutStep { shape, targets, windows: all_windows, step } = at;
        if step >= shape.length {
            return false;
        }
        match self.loss {
            Loss::CrossEntropy { window } => {
                let (window, Targets::Classes(classes)) = (window as usize, targets) else { return false };
                if step + window < shape.length {
                    return false;
                }
                let class = classes[shape.trial] as usize;
                let scale = self.share(shape.trials, window, Reduction::Mean) * self.class_weight(class);
                cross_entropy(scale, class, y, delta, tally);
                if step + 1 == shape.length {
                    tally.close();
                }
            }
            Loss::WindowedCrossEntropy => {
                let Targets::Windows(windows) = targets else { return false };
                let Some(window) = window_at(windows, shape.trial, step) else { return false };
                let share = self.share(all_windows, window.steps.len(), Reduction::Mean);
                let class = window.class as usize;
                cross_entropy(share * self.class_weight(class), class, y, delta, tally);
                if step + 1 == window.steps.end as usize {
                    tally.close();
                }
            }
            Loss::SquaredError => {
                let Targets::Values(values) = targets else { return false };
                let from = (shape.trial * shape.steps + step) * y.len();
                let share = self.share(shape.trials, shape.length, Reduction::Sum);
                squared_error(share, &values[from..], y, delta, tally);
            }
            Loss::Custom => return false,
        }
        delta.iter_mut().for_each(|delta| *delta *= self.weight);
        true
    }
}

/// −scale · log softmax(y)\[class\]: added to the tally, and its derivative.
pub(crate) fn cross_entropy(scale: f64, class: usize, y: &[f64], delta: &mut [f64], tally: &mut TrialTally) {
    let highest = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    tally.class = Some(class);
    tally.score.resize(y.len(), 0.0);
    for ((score, delta), &y) in tally.score.iter_mut().zip(&mut *delta).zip(y) {
        *score += y;
        *delta = libm::exp(y - highest);
    }
    let total: f64 = delta.iter().sum();
    tally.loss += scale * (libm::log(total) - (y[class] - highest));
    for (k, delta) in delta.iter_mut().enumerate() {
        let target = if k == class { 1.0 } else { 0.0 };
        *delta = scale * (*delta / total - target);
    }
}

/// scale · ½ Σ (y − y*)²: added to the tally, and its derivative.
pub(crate) fn squared_error(
    scale: f64,
    targets: &[f64],
    y: &[f64],
    delta: &mut [f64],
    tally: &mut TrialTally,
) {
    for ((delta, &y), &target) in delta.iter_mut().zip(y).zip(targets) {
        let error = y - target;
        tally.loss += scale * 0.5 * error * error;
        *delta = scale * error;
    }
}
