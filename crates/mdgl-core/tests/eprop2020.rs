//! The conventions 'bellec2020' against an oracle: the equations of the publication, written down forwards, with
//! traces; the engine runs backwards.
// The indices are the equations'.
#![allow(clippy::needless_range_loop)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::common::oracle::{Grad, Loss, Spec, Table};
use crate::common::{Case, Shape, best, description, shapes};
use mdgl_core::description::rule::{Estimator, Feedback, Hops, RandomFeedback, ReadoutFilter};
use mdgl_core::{
    Assignment, CounterRng, CustomLoss, DrawKey, EncodedBatch, Event, Forward, Input, Instructions, Layout,
    Model, Network, Objective, RULE_NAMES, Real, Record, Rule, Score, Targets, Workers, evaluate, gradients,
    simulate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A random network of the shape, with the publication's readout and an adaptation that is not scaled down.
fn spec_of(shape: &Shape) -> Spec {
    let mut spec = shape.spec();
    spec.bias = Vec::new();
    spec.beta.iter_mut().zip(&spec.thr).for_each(|(beta, thr)| *beta *= 0.3 * thr);
    spec
}

/// B as a matrix, with pairs that have none.
fn feedback_of(spec: &Spec, seed: u64) -> Table {
    let rng = &mut CounterRng::new(seed, 1, 0, 0);
    let mut weight = || if rng.uniform() < 0.8 { rng.normal() } else { 0.0 };
    (0..spec.n_rec).map(|_| (0..spec.n_out).map(|_| weight()).collect()).collect()
}

fn described(spec: &Spec, gain: &str) -> Value {
    let mut description = description(spec);
    description["conventions"] = json!("bellec2020");
    description["inputGain"] = json!(gain);
    description
}

fn rule_with(weights: Table) -> Rule {
    Rule { feedback: Feedback::Given { weights }, ..Rule::eprop() }
}

/// What the equations give for a batch.
struct Expected {
    spikes: Vec<Event>,
    loss: f64,
    regulariser: f64,
    gradient: Grad,
}

/// One trial's spikes, pseudo-derivatives and readout, `[step][unit]`.
struct Trial {
    z: Table,
    psi: Table,
    y: Table,
}

/// Whether the input is scaled by 1 or by 1 − α.
fn gain(spec: &Spec, unit: bool, p: usize) -> f64 {
    if unit { 1.0 } else { 1.0 - spec.alpha[p] }
}

fn forward(spec: &Spec, unit_gain: bool, x: &Table) -> Trial {
    let n = spec.n_rec;
    let (mut v, mut b, mut r) = (vec![0.0; n], vec![0.0; n], vec![0usize; n]);
    let (mut before, mut y) = (vec![0.0; n], vec![0.0; spec.n_out]);
    let mut trial = Trial { z: Table::new(), psi: Table::new(), y: Table::new() };
    for s in 0..spec.steps {
        let (mut z, mut psi) = (vec![0.0; n], vec![0.0; n]);
        for p in 0..n {
            let thr = spec.thr[p];
            let heard: f64 = (0..spec.n_in).map(|i| spec.w_in[i][p] * x[s][i]).sum();
            let recurrent: f64 = (0..n).map(|q| spec.w_rec[q][p] * before[q]).sum();
            v[p] = spec.alpha[p] * v[p] + gain(spec, unit_gain, p) * (heard + recurrent) - thr * before[p];
            b[p] = spec.rho[p] * b[p] + before[p];
            let threshold = thr + spec.beta[p] * b[p];
            r[p] = r[p].saturating_sub(1);
            if r[p] == 0 {
                psi[p] = spec.gamma[p] / thr * (1.0 - (v[p] - threshold).abs() / thr).max(0.0);
                if v[p] >= threshold {
                    z[p] = 1.0;
                    r[p] = spec.n_ref[p];
                }
            }
        }
        for k in 0..spec.n_out {
            let sum: f64 = (0..n).map(|p| spec.w_out[p][k] * z[p]).sum();
            y[k] = spec.kappa * y[k] + (1.0 - spec.kappa) * sum;
        }
        before.clone_from(&z);
        trial.z.push(z);
        trial.psi.push(psi);
        trial.y.push(y.clone());
    }
    trial
}

/// The trial's loss and its errors.
fn judge(spec: &Spec, trial: usize, y: &Table) -> (f64, Table) {
    let mut error = vec![vec![0.0; spec.n_out]; spec.steps];
    let mut loss = 0.0;
    for s in 0..spec.steps {
        match &spec.loss {
            Loss::SquaredError { targets } => {
                for k in 0..spec.n_out {
                    error[s][k] = y[s][k] - targets[trial][s][k];
                    loss += 0.5 * error[s][k] * error[s][k];
                }
            }
            Loss::CrossEntropy { targets, window } if s + window >= spec.steps => {
                let total: f64 = y[s].iter().map(|y| y.exp()).sum();
                for k in 0..spec.n_out {
                    error[s][k] = y[s][k].exp() / total - f64::from(u8::from(k == targets[trial]));
                }
                loss -= (y[s][targets[trial]].exp() / total).ln() / *window as f64;
            }
            Loss::CrossEntropy { .. } => {}
        }
    }
    (loss, error)
}

fn window(spec: &Spec) -> f64 {
    match spec.loss {
        Loss::CrossEntropy { window, .. } => window as f64,
        Loss::SquaredError { .. } => 1.0,
    }
}

/// f_p − f0 of a trial.
fn excess(spec: &Spec, z: &Table, p: usize) -> f64 {
    z.iter().map(|z| z[p]).sum::<f64>() / spec.steps as f64 - spec.f0
}

/// Σ_s L ē + R Σ_s e of one synapse in one trial, before any division.
fn synapse(spec: &Spec, run: &Trial, pre: &[f64], p: usize, gain: f64, signal: &[f64]) -> f64 {
    let (mut held, mut adapting, mut filtered) = (0.0, 0.0, 0.0);
    let rate = spec.c_reg * excess(spec, &run.z, p) / spec.steps as f64;
    let mut sum = 0.0;
    for s in 0..spec.steps {
        held = spec.alpha[p] * held + gain * pre[s];
        let e = run.psi[s][p] * (held - spec.beta[p] * adapting);
        adapting = spec.rho[p] * adapting + e;
        filtered = spec.kappa * filtered + (1.0 - spec.kappa) * e;
        sum += signal[s] * filtered + rate * e;
    }
    sum
}

fn expected(spec: &Spec, unit_gain: bool, feedback: &Table) -> Expected {
    let (n, trials) = (spec.n_rec, spec.inputs.len());
    let scale = 1.0 / (trials as f64 * window(spec));
    let zeros = |rows: usize, columns: usize| vec![vec![0.0; columns]; rows];
    let mut found = Expected {
        spikes: Vec::new(),
        loss: 0.0,
        regulariser: 0.0,
        gradient: Grad {
            w_in: zeros(spec.n_in, n),
            w_rec: zeros(n, n),
            more: Vec::new(),
            w_out: zeros(n, spec.n_out),
            b_out: Vec::new(),
        },
    };
    let gradient = &mut found.gradient;
    for (trial, x) in spec.inputs.iter().enumerate() {
        let run = forward(spec, unit_gain, x);
        let (loss, error) = judge(spec, trial, &run.y);
        found.loss += loss / trials as f64;
        for p in 0..n {
            let signal: Vec<f64> =
                error.iter().map(|e| e.iter().zip(&feedback[p]).map(|(e, b)| e * b).sum()).collect();
            let g = gain(spec, unit_gain, p);
            for i in 0..spec.n_in {
                let pre: Vec<f64> = x.iter().map(|x| x[i]).collect();
                gradient.w_in[i][p] += scale * synapse(spec, &run, &pre, p, g, &signal);
            }
            for q in 0..n {
                let pre: Vec<f64> =
                    (0..spec.steps).map(|s| if s == 0 { 0.0 } else { run.z[s - 1][q] }).collect();
                gradient.w_rec[q][p] += scale * synapse(spec, &run, &pre, p, g, &signal);
            }
            let mut filtered = 0.0;
            for s in 0..spec.steps {
                filtered = spec.kappa * filtered + (1.0 - spec.kappa) * run.z[s][p];
                for k in 0..spec.n_out {
                    gradient.w_out[p][k] += scale * error[s][k] * filtered;
                }
            }
            let square = excess(spec, &run.z, p).powi(2);
            found.regulariser += 0.5 * spec.c_reg * square * scale;
        }
        for (step, row) in run.z.iter().enumerate() {
            let units = (0..n).filter(|&p| row[p] > 0.0);
            let event = |p| Event { trial: trial as u32, step: step as u32, unit: p as u32, count: 1 };
            found.spikes.extend(units.map(event));
        }
    }
    found
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs().max(1e-3)
}

fn spikes<F: Real>(case: &Case<F>) -> Vec<Event> {
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    simulate(&case.model, &case.batch, Record::default(), &workers, &cancel).unwrap().spikes
}

proptest! {
    #![proptest_config(crate::common::config(96, 1985))]

    #[test]
    fn eprop_of_2020_is_what_its_equations_say(
        shape in shapes(10, 60), unit_gain in any::<bool>(), symmetric in any::<bool>()
    ) {
        let spec = spec_of(&shape);
        let case = Case::<f64>::unbiased(&spec, described(&spec, if unit_gain { "one" } else { "one-minus-alpha" }));
        let feedback = if symmetric { spec.w_out.clone() } else { feedback_of(&spec, shape.seed) };
        let expected = expected(&spec, unit_gain, &feedback);
        prop_assert_eq!(spikes(&case), expected.spikes);
        let rule = if symmetric { Rule::eprop() } else { rule_with(feedback) };
        let error = case.distance_to(&case.gradients(&rule), &expected.gradient);
        prop_assert!(error < 1e-9, "{error:e}");
        let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
        let found = evaluate(&case.model, case.assignment(), &workers, &cancel).unwrap();
        prop_assert!(close(found.loss, expected.loss, 1e-11), "{} {}", found.loss, expected.loss);
        prop_assert!(close(found.regulariser, expected.regulariser, 1e-11));
    }

    /// In single precision wherever that gives the same spikes.
    #[test]
    fn eprop_of_2020_in_single_precision(shape in shapes(10, 60), unit_gain in any::<bool>()) {
        let spec = spec_of(&shape);
        let case = Case::<f32>::unbiased(&spec, described(&spec, if unit_gain { "one" } else { "one-minus-alpha" }));
        let feedback = feedback_of(&spec, shape.seed);
        let expected = expected(&spec, unit_gain, &feedback);
        prop_assume!(spikes(&case) == expected.spikes);
        let error = case.distance_to(&case.gradients(&rule_with(feedback)), &expected.gradient);
        prop_assert!(error < 1e-3, "{error:e}");
    }

    /// The layout, the instruction set, the number of threads and the length of a segment change no bit.
    #[test]
    fn every_path_gives_the_same_bits(shape in shapes(40, 60), unit_gain in any::<bool>()) {
        let spec = spec_of(&shape);
        let gain = if unit_gain { "one" } else { "one-minus-alpha" };
        same_on_every_path::<f64>(&spec, gain, shape.seed)?;
        same_on_every_path::<f32>(&spec, gain, shape.seed)?;
    }

    /// A matrix of feedback weights, by any rule: those that were drawn, and the readout's own.
    #[test]
    fn given_feedback_is_any_other_feedback_of_the_same_weights(shape in shapes(10, 40), seed in any::<u64>()) {
        let spec = shape.spec();
        let case = Case::<f64>::new(&spec);
        let random = RandomFeedback { seed, density: 0.6, standard_deviation: 0.7 };
        let rng = &mut CounterRng::new(seed, 1007, 0, 0);
        let mut draw = || {
            let (present, normal) = (rng.uniform() < 0.6, rng.normal());
            if present { 0.7 * normal } else { 0.0 }
        };
        let drawn: Table = (0..spec.n_rec).map(|_| (0..spec.n_out).map(|_| draw()).collect()).collect();
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::with_hops(2), Rule::mdgl().online()] {
            let with = |feedback| case.gradients(&Rule { feedback, ..rule.clone() });
            let found = with(Feedback::Given { weights: drawn.clone() });
            prop_assert!(found == with(Feedback::Fixed { random }), "{rule:?}");
            let found = with(Feedback::Given { weights: spec.w_out.clone() });
            prop_assert!(found == case.gradients(&rule), "{rule:?}");
        }
    }
}

fn same_on_every_path<F: Real>(spec: &Spec, gain: &str, seed: u64) -> Result<(), TestCaseError> {
    let case = Case::<F>::unbiased(spec, described(spec, gain));
    let rule = rule_with(feedback_of(spec, seed));
    let cancel = AtomicBool::new(false);
    for class in ["fused", "unfused"] {
        let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == class);
        let mut first = None;
        for (i, set) in sets.enumerate() {
            for layout in [Layout::Trials, Layout::Neurons] {
                let workers = Workers::with_instructions(1 + i % 2, set).unwrap().with_layout(layout);
                let workers = if i == 1 { workers.with_segment(16).unwrap() } else { workers };
                let found =
                    gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap();
                let first = first.get_or_insert_with(|| found.clone());
                prop_assert!(*first == found, "{} {layout:?}", set.name());
            }
        }
    }
    Ok(())
}

/// Two cells with an input of exactly the threshold; `steps` steps of it.
fn at_threshold(conventions: Value, steps: usize, layout: Layout) -> Vec<(u32, u32)> {
    let mut description = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": 1}],
        "populations": [{
            "name": "a", "size": 2, "model": "alif", "threshold": 0.5, "refractoryPeriod": [0, 3],
            "adaptationStrength": [0, 0.25]
        }],
        "projections": [{
            "from": "in", "to": "a", "connections": {"pre": [0, 0], "post": [0, 1], "values": [0.5, 0.5]}
        }]
    });
    for (key, value) in conventions.as_object().unwrap() {
        description[key] = value.clone();
    }
    let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
    let model = Model::<f64>::new(Arc::new(network)).unwrap();
    let events = (0..steps as u32).map(|step| Event { trial: 0, step, unit: 0, count: 1 }).collect();
    let inputs = vec![Input::Events(events)];
    let batch = EncodedBatch {
        trials: 1,
        steps,
        lengths: None,
        inputs,
        targets: vec![],
        key: DrawKey::default(),
        part: None,
    };
    let workers = Workers::with_instructions(1, best()).unwrap().with_layout(layout);
    let cancel = AtomicBool::new(false);
    let recording = simulate(&model, &batch, Record::default(), &workers, &cancel).unwrap();
    recording.spikes.iter().map(|spike| (spike.step, spike.unit)).collect()
}

#[test]
fn a_membrane_at_the_threshold_is_a_spike_in_these_conventions_alone() {
    for layout in [Layout::Trials, Layout::Neurons] {
        let with = |gain: &str| json!({"conventions": "bellec2020", "inputGain": gain});
        assert_eq!(at_threshold(with("one"), 1, layout), [(0, 0), (0, 1)]);
        assert!(at_threshold(with("one-minus-alpha"), 1, layout).is_empty());
        assert!(at_threshold(json!({"conventions": "mdgl2021"}), 1, layout).is_empty());
    }
}

/// The spike subtracts as much as the next input adds: v stays α times itself plus nothing, so the cell without a period
/// spikes again as soon as v is above, and the one with a period of three steps not in the two after a spike.
#[test]
fn a_period_of_three_steps_blocks_two() {
    let conventions = json!({"conventions": "bellec2020", "inputGain": "one"});
    for layout in [Layout::Trials, Layout::Neurons] {
        let spikes = at_threshold(conventions.clone(), 12, layout);
        let of = |unit: u32| spikes.iter().filter(|s| s.1 == unit).map(|s| s.0).collect::<Vec<_>>();
        // v without a period: 0.5, 0.5 α, 0.5 α² + 0.5 …: above the threshold from the third step on, in turn.
        assert_eq!(of(0)[..2], [0, 2]);
        assert_eq!(of(1)[..2], [0, 3]);
        assert!(of(1).windows(2).all(|pair| pair[1] - pair[0] >= 3));
    }
}

fn small() -> (Spec, Value) {
    let sizes = Shape {
        seed: 1,
        n_in: 2,
        n_rec: 4,
        n_out: 2,
        steps: 12,
        trials: 2,
        types: 2,
        loss: 1,
        regularised: true,
    };
    let spec = spec_of(&sizes);
    let description = described(&spec, "one");
    (spec, description)
}

fn refused(case: &Case<f64>, rule: &Rule) -> String {
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    gradients(&case.model, case.assignment(), rule, None, &workers, &cancel).unwrap_err().to_string()
}

#[test]
fn rules_without_an_equation_are_refused() {
    let (spec, description) = small();
    let case = Case::unbiased(&spec, description);
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    for name in RULE_NAMES {
        let rule = Rule::named(name).unwrap();
        let found = gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel);
        let is_eprop = Rule { feedback: rule.feedback.clone(), ..Rule::eprop() } == rule;
        if is_eprop {
            assert!(found.is_ok(), "{name}");
        } else {
            let message = found.unwrap_err().to_string();
            assert!(message.contains("with conventions 'bellec2020': "), "{name}: {message}");
        }
    }
    let is = |rule: Rule, begin: &str| {
        let message = refused(&case, &rule);
        assert!(message.starts_with(begin), "{message}");
    };
    is(Rule::mdgl(), "rule.hops is 1; allowed: with conventions 'bellec2020': 0");
    is(Rule::bptt(), "rule.hops is 'all'; allowed: with conventions 'bellec2020': 0");
    is(Rule { estimator: Estimator::Online, ..Rule::eprop() }, "rule.estimator is 'online'; allowed: with");
    is(Rule { readout_filter: ReadoutFilter::Separate, ..Rule::eprop() }, "rule.readoutFilter is 'separate'");
    is(rule_with(vec![vec![0.0; 2]; 3]), "rule.feedback.weights is 3 rows; allowed: 4");
    is(rule_with(vec![vec![0.0; 3]; 4]), "rule.feedback.weights[0] is 3 weights; allowed: 2");
    is(rule_with(vec![vec![f64::NAN; 2]; 4]), "rule.feedback.weights[0][0] is NaN");
    let whole = Rule { hops: Hops::All(mdgl_core::description::rule::AllHops::All), ..Rule::bptt() };
    let given = Feedback::Given { weights: vec![vec![0.0; 2]; 4] };
    is(Rule { feedback: given, ..whole }, "rule.feedback is {weights}; allowed: with hops 'all'");
}

#[test]
fn losses_without_an_equation_are_refused() {
    let (spec, mut description) = small();
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    let case = Case::<f64>::unbiased(&spec, description.clone());
    let forward = Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap();
    let delta = vec![0.0; forward.readout().unwrap().len()];
    let custom = CustomLoss { forward, score: Score::new(delta, 0.0) };
    let losses = json!({"losses": [{"readout": "out", "kind": "custom"}]});
    let objective: Objective = serde_json::from_value(losses).unwrap();
    let assignment = Assignment { batch: &case.batch, objective: &objective };
    let found = gradients(&case.model, assignment, &Rule::eprop(), Some(custom), &workers, &cancel);
    assert!(found.unwrap_err().to_string().starts_with("loss.kind is 'custom'; allowed: with conventions"));

    description["readouts"].as_array_mut().unwrap().push(json!({"name": "more", "size": 2}));
    let case = Case::<f64>::unbiased(&spec, description);
    let loss = |readout: &str| json!({"readout": readout, "kind": "cross-entropy", "window": 1});
    let losses = json!({"losses": [loss("out"), loss("more")], "regulariser": case.objective.regulariser});
    let objective: Objective = serde_json::from_value(losses).unwrap();
    let targets = vec![Targets::Classes(vec![0, 1]), Targets::Classes(vec![1, 0])];
    let batch = EncodedBatch { targets, ..case.batch };
    let assignment = Assignment { batch: &batch, objective: &objective };
    let found = gradients(&case.model, assignment, &Rule::eprop(), None, &workers, &cancel);
    assert!(found.unwrap_err().to_string().starts_with("loss is 2 losses; allowed: with conventions"));
}

#[test]
fn descriptions_that_do_not_fit_the_conventions_are_refused() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut description = small().1;
        change(&mut description);
        match serde_json::from_value(description) {
            Ok(description) => Network::new(description).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    let bias = refused(&|d| d["readouts"][0]["bias"] = json!(true));
    assert_eq!(bias, "readouts.out.bias is true; allowed: with conventions 'bellec2020': false");
    let gain = refused(&|d| d["conventions"] = json!("mdgl2021"));
    assert_eq!(gain, "inputGain is set; allowed: nothing without conventions 'bellec2020'");
    let unknown = refused(&|d| d["conventions"] = json!("bellec2021"));
    assert_eq!(unknown, "conventions is 'bellec2021'; allowed: 'mdgl2021' or 'bellec2020'");
}

/// A description of the usual conventions is written as it was before there were others.
#[test]
fn the_usual_conventions_leave_no_mark_in_a_description() {
    let (spec, _) = small();
    let plain = description(&spec);
    let read =
        |value: &Value| serde_json::from_value::<mdgl_core::NetworkDescription>(value.clone()).unwrap();
    let mut named = plain.clone();
    named["conventions"] = json!("mdgl2021");
    assert_eq!(read(&plain), read(&named));
    let written = serde_json::to_value(read(&plain)).unwrap();
    assert!(written.get("conventions").is_none() && written.get("inputGain").is_none());
}
