//! Injected currents: steps and noise against the oracle, statistics of the noise, layouts, streams, refusals.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Spec, Table};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::{
    DrawKey, EncodedBatch, Error, Input, Layout, Model, Network, Optimiser, Record, Recording, Rule,
    StepInput, Stream, StreamState, StreamTarget, Target, Workers, gradients, simulate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

const NOISE: f64 = 0.01;

fn workers(layout: Option<Layout>, threads: usize) -> Workers<f64> {
    let workers = Workers::with_instructions(threads, best()).unwrap();
    match layout {
        None => workers,
        Some(layout) => workers.with_layout(layout),
    }
}

fn record(model: &Model<f64>, batch: &EncodedBatch, workers: &Workers<f64>) -> Recording<f64> {
    let record = Record { voltage: true, ..Record::default() };
    simulate(model, batch, record, workers, &AtomicBool::new(false)).unwrap()
}

fn with_currents(description: &mut Value, noise: bool) {
    for population in description["populations"].as_array_mut().unwrap() {
        let steps =
            [json!({"from": 3, "to": 9, "amplitude": 0.03}), json!({"from": 6, "to": 11, "amplitude": 0.02})];
        population["currents"] = steps.into();
        if noise {
            population["noise"] = json!({"mean": 0.01, "standardDeviation": NOISE, "timeConstant": 4});
        }
    }
}

fn steps_at(t: usize) -> f64 {
    let first = if (3..9).contains(&t) { 0.03 } else { 0.0 };
    first + if (6..11).contains(&t) { 0.02 } else { 0.0 }
}

/// The currents of a network, as the membranes of cells without memory, thresholds out of reach, show them.
fn injected(spec: &Spec, batch: &EncodedBatch, seed: u64) -> Vec<Table> {
    let description = json!({
        "schema": "mdgl-network/1",
        "populations": [{
            "name": "rec", "size": spec.n_rec, "model": "lif", "membraneTimeConstant": 0, "threshold": 1e6,
        }]
    });
    let mut description = description;
    with_currents(&mut description, true);
    let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
    let model = Model::<f64>::new(Arc::new(network)).unwrap();
    let batch = EncodedBatch {
        inputs: Vec::new(),
        targets: vec![],
        key: DrawKey { seed, ..DrawKey::default() },
        ..batch.clone()
    };
    let voltage = record(&model, &batch, &workers(None, 1)).voltage;
    let rows: Vec<Vec<f64>> = voltage.chunks(spec.n_rec).map(<[f64]>::to_vec).collect();
    rows.chunks(batch.steps).map(<[Vec<f64>]>::to_vec).collect()
}

proptest! {
    #![proptest_config(crate::common::config(32, 2029))]

    #[test]
    fn step_currents_drive_cells_as_the_oracle_says(shape in shapes(7, 40), first in 1..7usize) {
        let mut spec = shape.current_spec(first.min(shape.n_rec), 3);
        spec.injected = vec![(0..shape.steps).map(|t| vec![steps_at(t); shape.n_rec]).collect(); shape.trials];
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::described(&spec, |description| with_currents(description, false));
        for (rule, theirs) in [(Rule::bptt(), oracle::Rule::Rtrl), (Rule::mdgl(), oracle::Rule::Mdgl)] {
            let error = case.distance_to(&case.gradients(&rule), &oracle::gradient(&spec, &run, theirs));
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
        let error = case.distance(&case.gradients(&Rule::mdgl().online()), &case.gradients(&Rule::mdgl()));
        prop_assert!(error < 1e-10, "{error:e}");
    }

    /// Also for estimators that carry influences forwards, which know no delay.
    #[test]
    fn noise_drives_cells_as_the_oracle_says(shape in shapes(7, 40)) {
        let mut spec = shape.spec();
        let mut case = Case::<f64>::described(&spec, |description| with_currents(description, true));
        case.batch.key.seed = shape.seed;
        spec.injected = injected(&spec, &case.batch, shape.seed);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        for (rule, theirs) in [
            (Rule::bptt(), oracle::Rule::Rtrl),
            (Rule::rtrl(), oracle::Rule::Rtrl),
            (Rule::mdgl(), oracle::Rule::Mdgl),
        ] {
            let error = case.distance_to(&case.gradients(&rule), &oracle::gradient(&spec, &run, theirs));
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    #[test]
    fn threads_layouts_and_segments_change_no_bit(shape in shapes(20, 60), segment in 1..30usize) {
        let shape = Shape { trials: 16 + shape.trials, ..shape };
        let mut case = Case::<f64>::described(&shape.spec(), |description| with_currents(description, true));
        case.batch.key.seed = 1;
        let expected = record(&case.model, &case.batch, &workers(Some(Layout::Trials), 1));
        for (layout, threads) in [(Layout::Trials, 3), (Layout::Neurons, 1), (Layout::Neurons, 3)] {
            prop_assert!(record(&case.model, &case.batch, &workers(Some(layout), threads)) == expected);
        }
        let cancel = AtomicBool::new(false);
        let learn = |workers: &Workers<f64>| {
            gradients(&case.model, case.assignment(), &Rule::bptt(), None, workers, &cancel).unwrap().1
        };
        let whole = learn(&workers(Some(Layout::Trials), 1));
        let parts = learn(&workers(Some(Layout::Trials), 1).with_segment(segment).unwrap());
        prop_assert!(case.distance(&parts, &whole) == 0.0);
        prop_assert!(case.distance(&learn(&workers(Some(Layout::Neurons), 1)), &whole) < 1e-10);
    }
}

/// Moments and autocorrelation of the noise of independent cells and trials, each within five standard errors; no two
/// cells, trials, iterations or seeds share it.
#[test]
fn noise_has_its_statistics() {
    let (cells, trials, steps, tau) = (40, 48, 30, 5.0);
    let description = json!({
        "schema": "mdgl-network/1",
        "populations": [{
            "name": "a", "size": cells, "model": "lif", "membraneTimeConstant": 0, "threshold": 1e6,
            "noise": {"mean": 0.7, "standardDeviation": 0.2, "timeConstant": tau}
        }]
    });
    let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
    let model = Model::<f64>::new(Arc::new(network)).unwrap();
    let run = |seed, iteration| {
        let key = DrawKey { seed, stream: 0, iteration };
        let batch =
            EncodedBatch { trials, steps, lengths: None, part: None, inputs: vec![], targets: vec![], key };
        record(&model, &batch, &workers(None, 1)).voltage
    };
    let voltage = run(3, 0);
    let at = |trial: usize, t: usize, cell: usize| (voltage[(trial * steps + t) * cells + cell] - 0.7) / 0.2;
    let samples = (trials * cells) as f64;
    let mean_over = |of: &dyn Fn(usize, usize) -> f64| {
        let each = (0..trials).flat_map(|trial| (0..cells).map(move |cell| (trial, cell)));
        each.map(|(trial, cell)| of(trial, cell)).sum::<f64>() / samples
    };
    // At every step, the first one too.
    for t in [0, 1, 2, 7, 29] {
        assert!(mean_over(&|trial, cell| at(trial, t, cell)).abs() < 5.0 / samples.sqrt(), "mean at {t}");
        let variance = mean_over(&|trial, cell| at(trial, t, cell).powi(2));
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / samples).sqrt(), "variance at {t}: {variance}");
    }
    for lag in [1, 4, 10] {
        let found = mean_over(&|trial, cell| at(trial, 12, cell) * at(trial, 12 + lag, cell));
        let expected = (-(lag as f64) / tau).exp();
        assert!(
            (found - expected).abs() < 5.0 * ((1.0 + expected * expected) / samples).sqrt(),
            "{lag}: {found}"
        );
    }
    let across = mean_over(&|trial, cell| at(trial, 9, cell) * at(trial, 9, (cell + 1) % cells));
    assert!(across.abs() < 5.0 / samples.sqrt(), "between cells: {across}");
    let between = mean_over(&|trial, cell| at(trial, 9, cell) * at((trial + 1) % trials, 9, cell));
    assert!(between.abs() < 5.0 / samples.sqrt(), "between trials: {between}");
    assert!(run(3, 0) == voltage && run(3, 1) != voltage && run(4, 0) != voltage);
}

/// What a cell gets does not depend on the trials and steps beside it.
#[test]
fn noise_belongs_to_its_trial() {
    let shape = Shape {
        seed: 9,
        n_in: 2,
        n_rec: 6,
        n_out: 1,
        steps: 40,
        trials: 20,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let spec = shape.spec();
    let case = Case::<f64>::new(&spec);
    let all = injected(&spec, &case.batch, 4);
    let fewer = EncodedBatch { trials: 3, steps: 25, ..case.batch };
    let some = injected(&spec, &fewer, 4);
    assert!(some.iter().zip(&all).all(|(some, all)| some[..] == all[..25]));
}

/// A stream of a seed is the first trial of that key; a state put back goes on with the same noise, a reset with another.
#[test]
fn a_stream_draws_its_noise_from_its_seed() {
    let shape = Shape {
        seed: 2,
        n_in: 2,
        n_rec: 9,
        n_out: 2,
        steps: 30,
        trials: 1,
        types: 1,
        loss: 2,
        regularised: false,
    };
    for most in [1, 4] {
        let spec = if most > 1 { shape.synaptic_spec(most) } else { shape.spec() };
        let mut case = Case::<f64>::described(&spec, |description| with_currents(description, true));
        case.batch.inputs[0] = Input::Silent;
        case.batch.key.seed = 6;
        let expected = record(&case.model, &case.batch, &workers(None, 1));
        let open = || Stream::new(&case.model, &Rule::mdgl().online(), &Optimiser::default(), 6).unwrap();
        let (mut stream, mut other) = (open(), open());
        let mut first = Vec::new();
        for t in 0..shape.steps {
            stream.step(&[StepInput::Silent]).unwrap();
            first.push(stream.spikes().collect::<Vec<_>>());
            let units = 2 * t..2 * t + 2;
            assert!(stream.readout().eq(expected.readout[units].iter().copied()), "step {t}");
            let target = StreamTarget { readout: 0, target: Target::Class(0), weight: 1.0 };
            stream.add_loss(&[target]).unwrap();
            let state = stream.state().unwrap();
            other.restore(&state).unwrap();
            assert!(other.state().unwrap() == state, "step {t}");
            std::mem::swap(&mut stream, &mut other);
        }
        assert!(first.iter().any(|spikes| !spikes.is_empty()));
        let state = stream.state().unwrap();
        let without = StreamState { noise: None, ..state.clone() };
        assert!(
            matches!(stream.restore(&without), Err(Error::Invalid { path, .. }) if path == "state.noise")
        );
        stream.reset().unwrap();
        assert_eq!(stream.state().unwrap().noise.unwrap().trial, state.noise.unwrap().trial + 1);
        let run = |stream: &mut Stream<f64>| -> Vec<f64> {
            (0..shape.steps)
                .flat_map(|_| {
                    stream.step(&[StepInput::Silent]).unwrap();
                    stream.state().unwrap().membrane
                })
                .collect()
        };
        let second = run(&mut stream);
        let mut fresh = open();
        assert!(run(&mut fresh) != second);
    }
}

#[test]
fn currents_that_cannot_be_are_refused() {
    let refused = |key: &str, value: Value| {
        let mut description = json!({
            "schema": "mdgl-network/1",
            "populations": [{"name": "a", "size": 2, "model": "lif"}]
        });
        description["populations"][0][key] = value;
        let description = serde_json::from_value(description).map_err(|error| error.to_string());
        description.and_then(|description| Network::new(description).map_err(|error| error.to_string())).err()
    };
    let noise = json!({"standardDeviation": 0.1, "timeConstant": 5});
    assert_eq!(refused("noise", noise.clone()), None);
    for (field, value, path) in [
        ("mean", json!(1e300), "populations.a.noise.mean"),
        ("standardDeviation", json!(-1), "populations.a.noise.standardDeviation"),
        ("timeConstant", json!(0.3), "populations.a.noise.timeConstant"),
        ("timeConstant", json!(-1), "populations.a.noise.timeConstant"),
        ("sd", json!(1), "sd"),
    ] {
        let mut wrong = noise.clone();
        wrong[field] = value;
        let message = refused("noise", wrong).unwrap();
        assert!(message.contains(path), "{message}");
    }
    let current = json!({"from": 2, "to": 5, "amplitude": 0.5});
    assert_eq!(refused("currents", json!([current])), None);
    for (field, value, path) in [
        ("from", json!(-1), "populations.a.currents[1].from"),
        ("from", json!(7), "populations.a.currents[1].from"),
        ("to", json!(2.3), "populations.a.currents[1].to"),
        ("amplitude", json!(1e300), "populations.a.currents[1].amplitude"),
    ] {
        let mut wrong = current.clone();
        wrong[field] = value;
        let message = refused("currents", json!([current, wrong])).unwrap();
        assert!(message.contains(path), "{message}");
    }
}
