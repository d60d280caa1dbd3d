//! Losses beside each other: weights, reductions, class weights, custom and built-in ones, and what is reported of each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::common::best;
use mdgl_core::{
    Assignment, ClassWindow, CounterRng, CustomLoss, CustomTerm, DrawKey, EncodedBatch, Error, Evaluation,
    Forward, Gradients, Input, Model, Network, Objective, Observed, Rule, Score, Targets, ThirdFactor,
    Workers, evaluate, evaluate_custom, gradients, gradients_from_signal, observe,
};
use serde_json::{Value, json};

const STEPS: usize = 24;
const LENGTHS: [u32; 18] = [24, 9, 24, 12, 20, 11, 24, 15, 24, 24, 10, 24, 17, 24, 24, 13, 24, 22];
const TRIALS: usize = LENGTHS.len();
const CLASSES: usize = 3;
const VALUES: usize = 2;

/// Readouts `class` of three units and `value` of two, on ten cells; trials of several lengths in two blocks.
struct Case {
    model: Model<f64>,
    batch: EncodedBatch,
    workers: Workers<f64>,
    cancel: AtomicBool,
}

impl Case {
    fn new() -> Self {
        let description = json!({
            "schema": "mdgl-network/1", "seed": 5,
            "inputs": [{"name": "in", "size": 3}],
            "populations": [{"name": "a", "size": 10, "model": "lif"}],
            "readouts": [{"name": "class", "size": CLASSES}, {"name": "value", "size": VALUES}],
            "projections": [
                {"from": "in", "to": "a", "density": 1}, {"from": "a", "to": "a", "density": 0.5},
                {"from": "a", "to": "class", "density": 1}, {"from": "a", "to": "value", "density": 1}
            ]
        });
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        let rng = &mut CounterRng::new(7, 3, 0, 0);
        let values = (0..TRIALS * STEPS * 3).map(|_| rng.uniform() * 0.3).collect();
        Self {
            model: Model::new(Arc::new(network)).unwrap(),
            batch: EncodedBatch {
                trials: TRIALS,
                steps: STEPS,
                lengths: Some(LENGTHS.to_vec()),
                inputs: vec![Input::Analogue(values)],
                targets: Vec::new(),
                key: DrawKey::default(),
                part: None,
            },
            workers: Workers::with_instructions(1, best()).unwrap(),
            cancel: AtomicBool::new(false),
        }
    }

    fn evaluate(&self, objective: &Objective, targets: &[Targets]) -> Evaluation {
        let assignment = Assignment { batch: &self.batch_with(targets), objective };
        evaluate(&self.model, assignment, &self.workers, &self.cancel).unwrap()
    }

    fn batch_with(&self, targets: &[Targets]) -> EncodedBatch {
        EncodedBatch { targets: targets.to_vec(), ..self.batch.clone() }
    }

    fn learned(&self, objective: &Objective, targets: &[Targets], rule: &Rule) -> Learned {
        let assignment = Assignment { batch: &self.batch_with(targets), objective };
        gradients(&self.model, assignment, rule, None, &self.workers, &self.cancel).unwrap()
    }

    fn forward(&self) -> Forward<f64> {
        Forward::new(&self.model, &self.batch, &self.workers, &self.cancel).unwrap()
    }

    fn refused(&self, losses: &[Value]) -> String {
        match objective(losses).check(self.model.network()) {
            Err(Error::Invalid { path, .. }) => path,
            other => panic!("{other:?}"),
        }
    }
}

type Learned = (Evaluation, Gradients<f64>);

/// Of losses whose parts that are null are left out.
fn objective(losses: &[Value]) -> Objective {
    let mut losses = losses.to_vec();
    let parts = losses.iter_mut().filter_map(Value::as_object_mut);
    parts.for_each(|parts| parts.retain(|_, part| !part.is_null()));
    serde_json::from_value(json!({ "losses": losses })).unwrap()
}

fn classes() -> Targets {
    Targets::Classes((0..TRIALS as u32).map(|trial| trial * 5 % CLASSES as u32).collect())
}

fn windows() -> Targets {
    let window = |(i, steps): (u32, std::ops::Range<u32>)| ClassWindow { trial: i, steps, class: i % 3 };
    Targets::Windows(
        [0..3, 4..9, 2..3, 5..12].into_iter().zip(0..).map(|(steps, i)| window((i, steps))).collect(),
    )
}

fn values() -> Targets {
    let rng = &mut CounterRng::new(8, 3, 0, 0);
    Targets::Values((0..TRIALS * STEPS * VALUES).map(|_| rng.normal()).collect())
}

/// Objectives of every reduction and weight, with their targets.
fn objectives() -> Vec<(Objective, Vec<Targets>)> {
    let mut all = Vec::new();
    for reduction in [json!(null), json!("mean"), json!("sum")] {
        for weights in [json!(null), json!([0.5, 2, 0])] {
            let squared =
                json!({"readout": "value", "kind": "squared-error", "weight": 0.25, "reduction": reduction});
            let end = json!({
                "readout": "class", "kind": "cross-entropy", "window": 6,
                "weight": 3, "reduction": reduction, "classWeights": weights
            });
            all.push((objective(&[end, squared.clone()]), vec![classes(), values()]));
            let within = json!({
                "readout": "class", "kind": "windowed-cross-entropy",
                "weight": 0.5, "reduction": reduction, "classWeights": weights
            });
            all.push((objective(&[squared, within]), vec![values(), windows()]));
        }
    }
    all
}

/// A loss before its weight, by its definition, of a readout `[trial][step][unit]` over all units.
fn by_hand(loss: &Value, targets: &Targets, readout: &[f64]) -> f64 {
    let units = CLASSES + VALUES;
    let row = |trial: usize, step: usize| &readout[(trial * STEPS + step) * units..][..units];
    let mean = |default: bool| loss["reduction"].as_str().map_or(default, |given| given == "mean");
    let surprise = |trial: usize, step: usize, class: usize| {
        let y = &row(trial, step)[..CLASSES];
        y.iter().map(|y| y.exp()).sum::<f64>().ln() - y[class]
    };
    let answer = |trial: usize, steps: std::ops::Range<usize>, class: usize| {
        let weight = loss["classWeights"].get(class).map_or(1.0, |weight| weight.as_f64().unwrap());
        let count = if mean(true) { steps.len() as f64 } else { 1.0 };
        weight * steps.map(|step| surprise(trial, step, class)).sum::<f64>() / count
    };
    match targets {
        Targets::Classes(classes) => {
            let ends = LENGTHS.iter().enumerate().map(|(trial, &end)| {
                let end = end as usize;
                answer(trial, end - 6..end, classes[trial] as usize)
            });
            ends.sum::<f64>() / TRIALS as f64
        }
        Targets::Windows(windows) => {
            let answers = windows.iter().map(|window| {
                let steps = window.steps.start as usize..window.steps.end as usize;
                answer(window.trial as usize, steps, window.class as usize)
            });
            answers.sum::<f64>() / windows.len() as f64
        }
        Targets::Values(values) => {
            let error = |trial: usize, step: usize| {
                let wanted = &values[(trial * STEPS + step) * VALUES..][..VALUES];
                row(trial, step)[CLASSES..]
                    .iter()
                    .zip(wanted)
                    .map(|(y, w)| 0.5 * (y - w).powi(2))
                    .sum::<f64>()
            };
            let trials = LENGTHS.iter().enumerate().map(|(trial, &length)| {
                let count = if mean(false) { f64::from(length) } else { 1.0 };
                (0..length as usize).map(|step| error(trial, step)).sum::<f64>() / count
            });
            trials.sum::<f64>() / TRIALS as f64
        }
        Targets::None => unreachable!("built-in losses have targets"),
    }
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-11 * wanted.abs().max(1.0)
}

#[test]
fn losses_are_those_of_their_definitions_and_their_sum_is_weighted() {
    let case = Case::new();
    let readout = case.forward().readout().unwrap();
    for (objective, targets) in objectives() {
        let Value::Array(losses) = serde_json::to_value(&objective.losses).unwrap() else { unreachable!() };
        let found = case.evaluate(&objective, &targets);
        let mut sum = 0.0;
        for ((loss, targets), report) in losses.iter().zip(&targets).zip(&found.losses) {
            let wanted = by_hand(loss, targets, &readout);
            assert!(close(report.loss, wanted), "{loss}: {} is not {wanted}", report.loss);
            assert_eq!(loss["readout"], report.readout);
            assert_eq!(report.accuracy.is_some(), report.readout == "class");
            sum += loss["weight"].as_f64().unwrap() * wanted;
        }
        assert!(close(found.loss, sum));
        assert_eq!(found.accuracy, found.losses.iter().find_map(|one| one.accuracy));
    }
}

#[test]
fn gradients_at_the_readouts_are_finite_differences_in_every_form() {
    let case = Case::new();
    for (objective, targets) in objectives() {
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::bptt(), Rule::eprop().online(), Rule::rtrl()] {
            let (evaluation, found) = case.learned(&objective, &targets, &rule);
            assert_eq!(evaluation.losses.len(), 2);
            for (projection, name) in [(2, "a->class"), (3, "a->value")] {
                let weights = case.model.weights(name).unwrap();
                for i in [0, 7, weights.len() - 1] {
                    let at = |change: f64| {
                        let mut changed = weights.clone();
                        changed[i] += change;
                        let mut other = Case::new();
                        other.model.set_weights(name, &changed).unwrap();
                        other.evaluate(&objective, &targets).loss
                    };
                    let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
                    let gradient = found.projection(projection)[i];
                    let error = (gradient - wanted).abs();
                    assert!(error < 1e-7 * wanted.abs().max(1.0), "{name}[{i}]: {gradient} is not {wanted}");
                }
            }
        }
    }
}

/// The squared error of `value` as a loss from outside: δ over all readouts, and E.
fn outside(readout: &[f64]) -> (Vec<f64>, f64) {
    let Targets::Values(targets) = values() else { unreachable!() };
    let (mut delta, mut loss) = (vec![0.0; readout.len()], 0.0);
    for (trial, &length) in LENGTHS.iter().enumerate() {
        for step in 0..length as usize {
            let (row, wanted) =
                ((trial * STEPS + step) * (CLASSES + VALUES), (trial * STEPS + step) * VALUES);
            for k in 0..VALUES {
                let error = readout[row + CLASSES + k] - targets[wanted + k];
                delta[row + CLASSES + k] = error / TRIALS as f64;
                loss += 0.5 * error * error / TRIALS as f64;
            }
        }
    }
    // What stands at another loss's readout counts for nothing.
    delta[0] = 1e6;
    (delta, loss)
}

#[test]
fn a_custom_loss_beside_a_built_in_one_is_as_both_built_in() {
    let case = Case::new();
    let cross_entropy = json!({"readout": "class", "kind": "cross-entropy", "window": 6, "weight": 2});
    let both = objective(&[
        cross_entropy.clone(),
        json!({"readout": "value", "kind": "squared-error", "weight": 0.125}),
    ]);
    let mixed = objective(&[cross_entropy, json!({"readout": "value", "kind": "custom", "weight": 0.125})]);
    let batch = case.batch_with(&[classes(), Targets::None]);
    let score = || {
        let (delta, loss) = outside(&case.forward().readout().unwrap());
        Score { delta, losses: vec![CustomTerm { loss, accuracy: Some(0.25) }] }
    };
    for rule in [Rule::eprop(), Rule::mdgl(), Rule::bptt()] {
        let (wanted, expected) = case.learned(&both, &[classes(), values()], &rule);
        let custom = CustomLoss { forward: case.forward(), score: score() };
        let assignment = Assignment { batch: &batch, objective: &mixed };
        let (found, learned) =
            gradients(&case.model, assignment, &rule, Some(custom), &case.workers, &case.cancel).unwrap();
        assert!(close(found.loss, wanted.loss) && close(found.losses[1].loss, wanted.losses[1].loss));
        assert_eq!(found.losses[0], wanted.losses[0]);
        let accuracy = wanted.accuracy.unwrap();
        assert_eq!((found.losses[1].accuracy, found.accuracy), (Some(0.25), Some((accuracy + 0.25) / 2.0)));
        for i in 0..case.model.network().projections().len() {
            let pairs = learned.projection(i).iter().zip(expected.projection(i));
            assert!(pairs.into_iter().all(|(found, wanted)| close(*found, *wanted)), "projection {i}");
        }
        let custom = CustomLoss { forward: case.forward(), score: score() };
        let evaluation =
            evaluate_custom(&case.model, assignment, custom, &case.workers, &case.cancel).unwrap();
        assert_eq!(evaluation, found);
    }
}

#[test]
fn a_rule_from_outside_sees_the_errors_of_both() {
    let case = Case::new();
    let losses = |kind: &str| {
        objective(&[
            json!({"readout": "class", "kind": "cross-entropy", "window": 6}),
            json!({"readout": "value", "kind": kind, "weight": 0.5}),
        ])
    };
    let (delta, loss) = outside(&case.forward().readout().unwrap());
    let score = Score::new(delta, loss);
    let (both, mixed) = (losses("squared-error"), losses("custom"));
    let [known, unknown] = [values(), Targets::None].map(|targets| case.batch_with(&[classes(), targets]));
    let see = |objective, batch, score| {
        let assignment = Assignment { batch, objective };
        observe(&case.model, assignment, score, &case.workers, &case.cancel).unwrap()
    };
    let (_, wanted) = see(&both, &known, None);
    let (observed, found): (Observed<f64>, _) = see(&mixed, &unknown, Some(&score));
    assert!(found.error.iter().zip(&wanted.error).all(|(found, wanted)| close(*found, *wanted)));
    let factor = ThirdFactor { observed, signal: &found.learning_signal };
    let assignment = Assignment { batch: &unknown, objective: &mixed };
    let (evaluation, _) =
        gradients_from_signal(&case.model, assignment, factor, &case.workers, &case.cancel).unwrap();
    assert!(close(evaluation.loss, evaluation.losses[0].loss + 0.5 * loss));
}

#[test]
fn a_weight_of_0_measures_and_does_not_learn() {
    let case = Case::new();
    let alone = objective(&[json!({"readout": "class", "kind": "cross-entropy", "window": 6})]);
    let measured = objective(&[
        json!({"readout": "class", "kind": "cross-entropy", "window": 6}),
        json!({"readout": "value", "kind": "squared-error", "weight": 0}),
    ]);
    let (wanted, expected) = case.learned(&alone, &[classes()], &Rule::mdgl());
    let (found, learned) = case.learned(&measured, &[classes(), values()], &Rule::mdgl());
    assert_eq!((found.loss, &found.losses[0]), (wanted.loss, &wanted.losses[0]));
    assert!(found.losses[1].loss > 0.0);
    assert_eq!(learned, expected);
}

#[test]
fn what_is_not_allowed_is_refused_by_name() {
    let case = Case::new();
    let with = |key: &str, value: Value| {
        let mut loss = json!({"readout": "class", "kind": "cross-entropy", "window": 1});
        loss[key] = value;
        case.refused(&[loss])
    };
    assert_eq!(with("weight", json!(-1)), "loss.class.weight");
    assert_eq!(with("classWeights", json!([1, 2])), "loss.class.classWeights");
    assert_eq!(with("classWeights", json!([1, 2, -3])), "loss.class.classWeights[2]");
    let squared = json!({"readout": "value", "kind": "squared-error", "classWeights": [1, 1]});
    assert_eq!(case.refused(&[squared]), "loss.value.classWeights");
    let custom = json!({"readout": "value", "kind": "custom", "reduction": "sum"});
    assert_eq!(case.refused(&[custom]), "loss.value.reduction");
}
