//! The online family on random networks: RTRL, SnAp-1, RFLO and exact online MDGL against independent forms.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::common::{Case, best, masked, oracle, shapes};
use mdgl_core::description::rule::{Estimator, Trace};
use mdgl_core::{
    CustomLoss, DrawKey, EncodedBatch, Error, Event, Forward, Gradients, Input, Instructions, Model, Network,
    Objective, Real, Record, Rule, Score, Targets, Workers, gradients, simulate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn rflo() -> Rule {
    Rule { trace: Trace::Rflo, ..Rule::eprop().online() }
}

proptest! {
    #![proptest_config(crate::common::config(64, 1989))]

    /// Three exact methods: ours forwards, ours backwards, and the oracle's dense Jacobian.
    #[test]
    fn rtrl_is_bptt(shape in shapes(8, 60)) {
        let spec = shape.spec();
        let case = Case::<f64>::new(&spec);
        let found = case.gradients(&Rule::rtrl());
        let error = case.distance(&found, &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-9, "BPTT: {error:e}");
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let error = case.distance_to(&found, &oracle::gradient(&spec, &run, oracle::Rule::Rtrl));
        prop_assert!(error < 1e-9, "oracle: {error:e}");
    }

    #[test]
    fn rtrl_in_f32_is_bptt_in_f32(shape in shapes(8, 60)) {
        let case = Case::<f32>::new(&shape.spec());
        let error = case.distance(&case.gradients(&Rule::rtrl()), &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-4, "{error:e}");
    }

    /// The published definition, a mask over the dense recursion, gives ours; and both are e-prop.
    #[test]
    fn snap1_is_the_masked_recursion_and_eprop(shape in shapes(6, 40)) {
        let spec = shape.spec();
        let case = Case::<f64>::new(&spec);
        let found = case.gradients(&Rule::snap1());
        let error = case.distance(&found, &case.gradients(&Rule::eprop()));
        prop_assert!(error < 1e-9, "e-prop: {error:e}");
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let masked = masked::snap1(&spec, &run, masked::StepEnds::AfterTheSpike);
        let error = case.distance_to(&found, &masked);
        prop_assert!(error < 1e-9, "masked: {error:e}");
    }

    /// Ending the step before the spike leaves the adaptation out of SnAp-1's pattern, and so out of the trace.
    #[test]
    fn snap1_with_steps_that_end_before_the_spike_forgets_adaptation(shape in shapes(6, 40)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        let masked = masked::snap1(&spec, &run, masked::StepEnds::BeforeTheSpike);
        let forgetful = oracle::Spec { beta: vec![0.0; spec.n_rec], ..spec.clone() };
        let expected = oracle::gradient(&forgetful, &run, oracle::Rule::Eprop);
        prop_assert!(masked::distance(&masked, &expected) < 1e-12);
    }

    /// RFLO's trace is e-prop's of a neuron without reset and adaptation, on the spikes of one that has both.
    #[test]
    fn rflo_forgets_reset_and_adaptation(shape in shapes(9, 60)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let zeros = vec![0.0; spec.n_rec];
        let leaky = oracle::Spec { thr: zeros.clone(), beta: zeros, ..spec };
        for (channels, theirs) in [(Rule::eprop(), oracle::Rule::Eprop), (Rule::mdgl(), oracle::Rule::Mdgl)] {
            let rule = Rule { trace: Trace::Rflo, ..channels.online() };
            let error = case.distance_to(&case.gradients(&rule), &oracle::gradient(&leaky, &run, theirs));
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    /// One extra filtered trace per output: the same gradient as the acausal sum over traces.
    #[test]
    fn exact_online_mdgl_is_mdgl(shape in shapes(9, 60)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let expected = oracle::gradient(&spec, &run, oracle::Rule::Mdgl);
        let error = case.distance_to(&case.gradients(&Rule::mdgl().online()), &expected);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(8, 40)) {
        let case = Case::<f32>::new(&shape.spec());
        for rule in [Rule::rtrl(), Rule::snap1(), Rule::uoro(), Rule::kf_rtrl(), rflo()] {
            let twin = case.gradients_with(&rule, 1, Instructions::FusedTwin);
            for threads in [1, 2, 3] {
                let found = case.gradients_with(&rule, threads, best_fused());
                prop_assert!(found == twin, "{rule:?} on {threads} threads");
            }
        }
    }
}

fn best_fused() -> Instructions {
    if best().class() == "fused" { best() } else { Instructions::FusedTwin }
}

/// Everything at once: LIF and ALIF, two input populations (events, values), two readouts of different time constants
/// and losses, a projection that does not learn, and a regulariser.
struct Mixed {
    model: Model<f64>,
    batch: EncodedBatch,
    objective: Objective,
}

const STEPS: usize = 50;
const TRIALS: usize = 18;

fn mixed_description() -> Value {
    let weights = |sd: f64| json!({"scheme": "normal", "standardDeviation": sd});
    json!({
        "schema": "mdgl-network/1",
        "seed": 4,
        "inputs": [{"name": "events", "size": 4}, {"name": "values", "size": 2}],
        "populations": [
            {"name": "lif", "size": 5, "model": "lif", "refractoryPeriod": 3},
            {"name": "alif", "size": 4, "model": "alif", "adaptationTimeConstant": 40, "refractoryPeriod": [0, 1, 2, 5]}
        ],
        "readouts": [
            {"name": "choice", "size": 3, "timeConstant": 8},
            {"name": "trace", "size": 2, "timeConstant": 30, "bias": false}
        ],
        "projections": [
            {"from": "events", "to": "lif", "density": 0.8, "initialise": weights(0.5)},
            {"from": "values", "to": "alif", "density": 0.9, "initialise": weights(0.1)},
            {"from": "lif", "to": "lif", "density": 0.6, "initialise": weights(0.2)},
            {"from": "lif", "to": "alif", "density": 0.6, "initialise": weights(0.2)},
            {"from": "alif", "to": "lif", "density": 0.6, "initialise": weights(0.2), "plastic": false},
            {"from": "lif", "to": "choice", "density": 0.7, "initialise": weights(1.0)},
            {"from": "alif", "to": "choice", "density": 0.7, "initialise": weights(1.0)},
            {"from": "alif", "to": "trace", "density": 0.9, "initialise": weights(1.0)}
        ]
    })
}

impl Mixed {
    fn new() -> Self {
        let network = Network::new(serde_json::from_value(mixed_description()).unwrap()).unwrap();
        let mut rng = mdgl_core::CounterRng::new(8, 0, 0, 0);
        let lengths: Vec<u32> = (0..TRIALS).map(|trial| (STEPS - trial) as u32).collect();
        let mut events = Vec::new();
        for (trial, &length) in lengths.iter().enumerate() {
            for step in 0..length {
                let count = 1 + u32::from(rng.below(4) == 0);
                events.push(Event { trial: trial as u32, step, unit: rng.below(4), count });
            }
        }
        let mut draw = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<_>>();
        let batch = EncodedBatch {
            trials: TRIALS,
            steps: STEPS,
            lengths: Some(lengths),
            inputs: vec![Input::Events(events), Input::Analogue(draw(TRIALS * STEPS * 2))],
            targets: vec![
                Targets::Classes((0..TRIALS as u32).map(|trial| trial % 3).collect()),
                Targets::Values(draw(TRIALS * STEPS * 2)),
            ],
            key: DrawKey::default(),
            part: None,
        };
        let objective = json!({
            "losses": [
                {"readout": "choice", "kind": "cross-entropy", "window": 12},
                {"readout": "trace", "kind": "squared-error"}
            ],
            "regulariser": {"strength": 3.0, "targetRate": 15.0}
        });
        Self {
            model: Model::new(Arc::new(network)).unwrap(),
            batch,
            objective: serde_json::from_value(objective).unwrap(),
        }
    }

    fn gradients(&self, rule: &Rule) -> Gradients<f64> {
        let assignment = mdgl_core::Assignment { batch: &self.batch, objective: &self.objective };
        let workers = Workers::new(2).unwrap();
        gradients(&self.model, assignment, rule, None, &workers, &AtomicBool::new(false)).unwrap().1
    }

    /// Largest difference, relative to each projection's and each bias's largest entry.
    fn distance(&self, found: &Gradients<f64>, expected: &Gradients<f64>) -> f64 {
        let projections = 0..self.model.network().projections().len();
        let pairs = projections.map(|i| (found.projection(i), expected.projection(i)));
        let pairs = pairs.chain([(found.bias(0), expected.bias(0))]);
        let error = |(found, expected): (&[f64], &[f64])| {
            let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(largest > 0.0);
            found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
        };
        pairs.map(error).fold(0.0, f64::max)
    }
}

#[test]
fn rtrl_and_snap1_are_exact_on_mixed_networks() {
    let mixed = Mixed::new();
    let bptt = mixed.gradients(&Rule::bptt());
    let eprop = mixed.gradients(&Rule::eprop());
    let rtrl = mixed.distance(&mixed.gradients(&Rule::rtrl()), &bptt);
    let snap1 = mixed.distance(&mixed.gradients(&Rule::snap1()), &eprop);
    assert!(rtrl < 1e-12 && snap1 < 1e-12, "{rtrl:e} {snap1:e}");
    assert!(mixed.distance(&eprop, &bptt) > 0.01, "recurrence matters here");
}

#[test]
fn exact_online_mdgl_holds_on_mixed_networks() {
    let mixed = Mixed::new();
    let error = mixed.distance(&mixed.gradients(&Rule::mdgl().online()), &mixed.gradients(&Rule::mdgl()));
    assert!(error < 1e-12, "{error:e}");
    let eprop = mixed.gradients(&Rule::eprop());
    assert!(mixed.distance(&eprop, &mixed.gradients(&rflo())) > 0.01, "reset and adaptation matter here");
}

/// The random estimators leave the readout alone: its own weights get their exact gradient.
#[test]
fn readout_gradients_are_exact_whatever_the_estimator() {
    let mixed = Mixed::new();
    let bptt = mixed.gradients(&Rule::bptt());
    for rule in [Rule::uoro(), Rule::kf_rtrl()] {
        let found = mixed.gradients(&rule);
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
        for projection in 5..8 {
            let pairs = found.projection(projection).iter().zip(bptt.projection(projection));
            assert!(pairs.into_iter().all(close), "{rule:?}");
        }
        assert!(found.bias(0).iter().zip(bptt.bias(0)).all(close), "{rule:?}");
        assert!(mixed.distance(&found, &bptt) > 0.01, "one draw is no gradient");
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String, String) {
    match result {
        Err(Error::Invalid { path, value, allowed }) => (path, value, allowed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn combinations_without_an_equation_are_refused() {
    for estimator in [Estimator::Rtrl, Estimator::Snap1, Estimator::Uoro, Estimator::KfRtrl] {
        let (path, value, allowed) = refused(Rule { estimator, ..Rule::mdgl() }.validate());
        assert_eq!((path.as_str(), value), ("rule.estimator", format!("'{}'", estimator.name())));
        assert!(allowed.contains("'online'"), "{allowed}");
        let whole = Rule { estimator, ..Rule::bptt() };
        whole.validate().unwrap();
        let (path, ..) = refused(Rule { trace: Trace::Rflo, ..whole }.validate());
        assert_eq!(path, "rule.trace");
    }
    let (path, ..) = refused(Rule { trace: Trace::Rflo, ..Rule::bptt() }.validate());
    assert_eq!(path, "rule.trace");
}

#[test]
fn recorded_signals_and_custom_losses_are_refused() {
    let mixed = Mixed::new();
    let workers = Workers::new(1).unwrap();
    let cancel = AtomicBool::new(false);
    let rule = Rule::uoro();
    let signals = Some((&mixed.objective, &rule));
    let record = Record { signals, ..Record::default() };
    let (path, ..) = refused(simulate(&mixed.model, &mixed.batch, record, &workers, &cancel));
    assert_eq!(path, "rule.estimator");
    let objective: Objective =
        serde_json::from_value(json!({"losses": [{"readout": "choice", "kind": "custom"}]})).unwrap();
    let forward = Forward::new(&mixed.model, &mixed.batch, &workers, &cancel).unwrap();
    let custom = CustomLoss { forward, score: Score::new(Vec::new(), 1.0) };
    let batch = EncodedBatch { targets: vec![Targets::None], ..mixed.batch };
    let assignment = mdgl_core::Assignment { batch: &batch, objective: &objective };
    let result = gradients(&mixed.model, assignment, &rule, Some(custom), &workers, &cancel);
    assert!(refused(result).2.starts_with("with a custom loss: 'backward' ("));
}

/// A network of so many cells, each with every input.
fn wide<F: Real>(inputs: usize, cells: usize) -> Model<F> {
    let weights = json!({"scheme": "normal", "standardDeviation": 0.1});
    let description = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": inputs}],
        "populations": [{"name": "lif", "size": cells, "model": "lif"}],
        "readouts": [{"name": "out", "size": 2}],
        "projections": [
            {"from": "in", "to": "lif", "density": 1, "initialise": weights},
            {"from": "lif", "to": "out", "density": 1, "initialise": weights}
        ]
    });
    Model::new(Arc::new(Network::new(serde_json::from_value(description).unwrap()).unwrap())).unwrap()
}

#[test]
fn too_much_memory_is_refused_with_its_size() {
    let workers = Workers::new(1).unwrap();
    let batch = EncodedBatch {
        trials: 1,
        steps: 5,
        lengths: None,
        inputs: vec![Input::Silent],
        targets: vec![Targets::Classes(vec![1])],
        key: DrawKey::default(),
        part: None,
    };
    let objective: Objective =
        serde_json::from_value(json!({"losses": [{"readout": "out", "kind": "cross-entropy", "window": 1}]}))
            .unwrap();
    let assignment = mdgl_core::Assignment { batch: &batch, objective: &objective };
    let run = |model: &Model<f32>, rule: &Rule| {
        gradients(model, assignment, rule, None, &workers, &AtomicBool::new(false)).map(|(found, _)| found)
    };
    // 100 × 1000 synapses by the state of 1000 neurons (v, z) and 2 readout units, 8 bytes each.
    let model = wide(100, 1000);
    let (path, value, allowed) = refused(run(&model, &Rule::rtrl()));
    assert_eq!(path, "rule.estimator");
    assert!(value.contains("'rtrl'") && value.contains("1601600000 bytes"), "{value}");
    assert!(value.contains("1000 neurons, 100000 learning synapses"), "{value}");
    assert!(allowed.contains(&mdgl_core::MOST_INFLUENCE_BYTES.to_string()), "{allowed}");
    for rule in [Rule::snap1(), Rule::uoro(), Rule::kf_rtrl()] {
        run(&model, &rule).unwrap();
    }
    let (_, value, _) = refused(run(&wide(1, 9000), &Rule::kf_rtrl()));
    assert!(value.contains("'kf-rtrl'") && value.contains("1296144000 bytes"), "{value}");
}
