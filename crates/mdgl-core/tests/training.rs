//! The optimiser's order, determinism of whole runs, files, and refusals.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::given::Given;
use mdgl_core::{
    Assignment, Decay, DrawKey, EncodedBatch, Error, Event, Input, Instructions, Method, Model, Network,
    NetworkDescription, Objective, Optimiser, RateSegment, Real, Record, Rewiring, Rule, Targets, Training,
    Workers, evaluate, gradients, precision, simulate, train_step,
};
use serde_json::{Value, json};

pub fn description() -> Value {
    json!({
        "schema": "mdgl-network/1",
        "seed": 11,
        "inputs": [{"name": "in", "size": 10, "sign": {"excitatory": 8, "inhibitory": 2, "shuffled": true}}],
        "populations": [
            {"name": "lif", "size": 20, "model": "lif", "sign": {"excitatory": 15, "inhibitory": 5}},
            {"name": "alif", "size": 12, "model": "alif", "adaptationStrength": 1.2}
        ],
        "readouts": [{"name": "out", "size": 2}],
        "projections": [
            {"from": "in", "to": "lif", "density": 0.4},
            {"from": "in", "to": "alif", "density": 0.4, "initialise": {"scheme": "normal", "standardDeviation": 0.3}},
            {"from": "lif", "to": "lif", "density": 0.3},
            {"from": "lif", "to": "alif", "density": 0.3},
            {"from": "alif", "to": "lif", "density": 1, "plastic": false},
            {"from": "lif", "to": "out", "density": 0.5},
            {"from": "alif", "to": "out", "density": 0.5}
        ]
    })
}

pub fn network(description: Value) -> Result<Network, Error> {
    NetworkDescription::read(&Given::new(&description, "description", &[])).and_then(Network::new)
}

pub fn model<F: Real>() -> Model<F> {
    Model::new(Arc::new(network(description()).unwrap())).unwrap()
}

pub fn batch(iteration: u32) -> EncodedBatch {
    batch_of(20, 100, 60.0, iteration)
}

pub fn batch_of(trials: u32, steps: u32, rate: f64, iteration: u32) -> EncodedBatch {
    let segment = |trial| RateSegment { trial, units: (0, 10), steps: (0, steps), rate };
    EncodedBatch {
        trials: trials as usize,
        steps: steps as usize,
        lengths: None,
        inputs: vec![Input::Rates((0..trials).map(segment).collect())],
        targets: vec![Targets::Classes((0..trials).map(|b| b % 2).collect())],
        key: DrawKey { seed: 5, stream: 0, iteration },
        part: None,
    }
}

pub fn objective() -> Objective {
    let loss = json!({"readout": "out", "kind": "cross-entropy", "window": 10});
    serde_json::from_value(json!({"losses": [loss], "regulariser": {"strength": 1.0, "targetRate": 20.0}}))
        .unwrap()
}

fn trained<F: Real>(
    threads: usize,
    instructions: Instructions,
    optimiser: &Optimiser,
    rule: &Rule,
    iterations: u32,
) -> Model<F> {
    trained_on(&(0..iterations).map(batch).collect::<Vec<_>>(), threads, instructions, optimiser, rule)
}

fn trained_on<F: Real>(
    batches: &[EncodedBatch],
    threads: usize,
    instructions: Instructions,
    optimiser: &Optimiser,
    rule: &Rule,
) -> Model<F> {
    let workers = Workers::with_instructions(threads, instructions).unwrap();
    let cancel = AtomicBool::new(false);
    let mut model = model();
    for batch in batches {
        let objective = objective();
        let assignment = Assignment { batch, objective: &objective };
        model =
            train_step(&model, assignment, Training { rule, optimiser }, None, &workers, &cancel).unwrap().0;
    }
    model
}

fn best() -> Instructions {
    Instructions::choose().unwrap()
}

/// A hundred iterations by every rule that has a name. Three blocks of trials for the threads; of the estimators of influence, which
/// are slow and share out trials, a few short ones.
fn threads_agree(class: Instructions) {
    for name in mdgl_core::RULE_NAMES {
        let rule = Rule::named(name).unwrap();
        let (trials, steps) = if crate::shared::carries_influence(name) { (6, 10) } else { (34, 14) };
        let batches: Vec<_> = (0..100).map(|iteration| batch_of(trials, steps, 300.0, iteration)).collect();
        let train = |threads, set| {
            trained_on::<f32>(&batches, threads, set, &Optimiser::fig_3c(), &rule).to_safetensors().unwrap()
        };
        let expected = train(1, class);
        assert!(expected != model::<f32>().to_safetensors().unwrap(), "{name} has learnt nothing");
        for set in
            Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == class.class())
        {
            for threads in [1, 2, 4] {
                // The reference run for the others.
                if set == class && threads == 1 {
                    continue;
                }
                assert!(train(threads, set) == expected, "{name}: {set:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn runs_do_not_depend_on_threads_or_instruction_set() {
    threads_agree(Instructions::FusedTwin);
}

#[test]
fn runs_without_fused_products_do_not_depend_on_threads() {
    threads_agree(Instructions::Portable);
}

#[test]
fn signs_hold_and_what_is_frozen_or_not_plastic_stays() {
    let optimiser = Optimiser { frozen: vec!["lif->lif".into()], temperature: 1e-4, ..Optimiser::fig_3c() };
    let (before, after) = (model::<f64>(), trained::<f64>(2, best(), &optimiser, &Rule::mdgl(), 20));
    for name in ["lif->lif", "alif->lif"] {
        assert_eq!(before.weights(name).unwrap(), after.weights(name).unwrap(), "{name}");
    }
    for name in ["in->lif", "lif->alif", "alif->out"] {
        assert_ne!(before.weights(name).unwrap(), after.weights(name).unwrap(), "{name}");
    }
    let synapses = after.projection("lif->alif").unwrap();
    for (&pre, weight) in synapses.pre().iter().zip(after.weights("lif->alif").unwrap()) {
        let sign = if pre < 5 { -1.0 } else { 1.0 };
        assert!(weight * sign >= 0.0, "sender {pre} has weight {weight}");
    }
}

/// With a learning rate at which every weight dies, rewiring brings all of the mask back at 1e−12.
#[test]
fn dead_synapses_restart() {
    let big = |rewiring| Optimiser { l1: 1e4, rewiring, ..Optimiser::fig_3c() };
    let alive = |model: &Model<f64>| {
        let weights = model.weights("lif->alif").unwrap();
        weights.iter().filter(|w| **w != 0.0).map(|w| w.abs()).collect::<Vec<_>>()
    };
    assert!(alive(&trained(1, best(), &big(Rewiring::Off), &Rule::eprop(), 1)).is_empty());
    let reborn = alive(&trained(1, best(), &big(Rewiring::WithinMask), &Rule::eprop(), 1));
    assert!(!reborn.is_empty() && reborn.iter().all(|&w| w == 1e-12), "{reborn:?}");
}

/// Adam's first step is lr · g/(|g| + ε/√(1−β₂)): lr towards −gradient for every parameter; then l1.
#[test]
fn first_adam_step_has_the_size_of_the_learning_rate() {
    let optimiser = Optimiser { l1: 0.0, rewiring: Rewiring::Off, ..Optimiser::fig_3c() };
    let (before, after) = (model::<f64>(), trained::<f64>(1, best(), &optimiser, &Rule::bptt(), 1));
    let workers = Workers::new(1).unwrap();
    let (batch, objective) = (batch(0), objective());
    let assignment = Assignment { batch: &batch, objective: &objective };
    let cancel = AtomicBool::new(false);
    let found = gradients(&before, assignment, &Rule::bptt(), None, &workers, &cancel).unwrap().1;
    let index = before.network().projection_index("in->alif").unwrap();
    let old = before.weights("in->alif").unwrap();
    let new = after.weights("in->alif").unwrap();
    let mut checked = 0;
    for ((&old, &new), &gradient) in old.iter().zip(&new).zip(found.projection(index)) {
        if gradient.abs() > 1e-4 && new != 0.0 {
            let expected = -0.0025 * gradient / (gradient.abs() + 1e-8 / (1.0f64 - 0.999).sqrt());
            assert!((new - old - expected).abs() < 1e-12, "{} {expected}", new - old);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} synapses of in->alif had a gradient");
}

/// A frozen bias keeps its value and counts in no norm; a factor of its learning rate scales its step.
#[test]
fn biases_are_frozen_and_have_factors_by_their_names() {
    let method = Method::GradientDescent { learning_rate: 0.1.into() };
    let plain = Optimiser { method, l1: 0.0, rewiring: Rewiring::Off, ..Optimiser::default() };
    let frozen = Optimiser { frozen: vec!["out.bias".into()], ..plain.clone() };
    let halved = Optimiser { learning_rate_factors: [("out.bias".into(), 0.5)].into(), ..plain.clone() };
    let bias =
        |optimiser: &Optimiser| trained::<f64>(1, best(), optimiser, &Rule::eprop(), 1).bias("out").unwrap();
    let moved = bias(&plain);
    assert!(moved.iter().all(|&x| x != 0.0), "{moved:?}");
    assert_eq!(bias(&frozen), [0.0; 2]);
    assert!(bias(&halved).iter().zip(&moved).all(|(half, &whole)| (half - whole / 2.0).abs() < 1e-15));
    let others = |optimiser: &Optimiser| {
        trained::<f64>(1, best(), optimiser, &Rule::eprop(), 1).weights("alif->out").unwrap()
    };
    assert_eq!(others(&frozen), others(&plain));
    let norm = |optimiser: &Optimiser| {
        let (batch, objective, workers) = (batch(0), objective(), Workers::new(1).unwrap());
        let assignment = Assignment { batch: &batch, objective: &objective };
        let training = Training { rule: &Rule::eprop(), optimiser };
        train_step(&model::<f64>(), assignment, training, None, &workers, &AtomicBool::new(false)).unwrap().1
    };
    let of_bias = moved.iter().map(|x| (x / 0.1).powi(2)).sum::<f64>();
    let (whole, without) = (norm(&plain).gradient_norm, norm(&frozen).gradient_norm);
    assert!((whole.powi(2) - without.powi(2) - of_bias).abs() < 1e-9 * whole.powi(2));
    let unbiased = Optimiser { frozen: vec!["out.biases".into()], ..plain };
    assert!(unbiased.validate(&network(description()).unwrap()).is_err());
}

/// The report of a step counts the weights other than 0 of each projection.
#[test]
fn a_step_counts_living_synapses() {
    let (batch, objective, workers) = (batch(0), objective(), Workers::new(1).unwrap());
    let assignment = Assignment { batch: &batch, objective: &objective };
    let optimiser = Optimiser { l1: 20.0, rewiring: Rewiring::Off, ..Optimiser::default() };
    let training = Training { rule: &Rule::eprop(), optimiser: &optimiser };
    let (next, report) =
        train_step(&model::<f32>(), assignment, training, None, &workers, &AtomicBool::new(false)).unwrap();
    for (synapses, &living) in next.network().projections().iter().zip(&report.living) {
        let weights = next.weights(synapses.name()).unwrap();
        assert_eq!(living, weights.iter().filter(|&&w| w != 0.0).count());
    }
    let all: usize = next.network().projections().iter().map(|synapses| synapses.len()).sum();
    let living: usize = report.living.iter().sum();
    assert!(living > 0 && living < all, "{living} of {all}");
}

#[test]
fn gradient_descent_with_decay_and_clipping() {
    let method = Method::GradientDescent { learning_rate: 0.1.into() };
    let decay = Some(Decay { factor: 0.5, every: 1 });
    let plain = Optimiser { method, l1: 0.0, rewiring: Rewiring::Off, ..Optimiser::fig_3c() };
    let first = trained::<f64>(1, best(), &plain, &Rule::eprop(), 1);
    let clipped = Optimiser { clip_norm: Some(1e-3), ..plain.clone() };
    let clipped = trained::<f64>(1, best(), &clipped, &Rule::eprop(), 1);
    let moved = |a: &Model<f64>| {
        let names = ["in->alif", "alif->out"];
        let old = names.iter().flat_map(|n| model::<f64>().weights(n).unwrap()).collect::<Vec<_>>();
        let new = names.iter().flat_map(|n| a.weights(n).unwrap());
        old.iter().zip(new).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    };
    assert!(moved(&clipped) <= 0.1 * 1e-3 * 1.000001 && moved(&clipped) > 0.0);
    assert!(moved(&first) > moved(&clipped));
    let never = Optimiser { decay: Some(Decay { factor: 1e-300, every: 1 }), ..plain.clone() };
    let one = trained::<f64>(1, best(), &never, &Rule::eprop(), 1);
    let two = trained::<f64>(1, best(), &never, &Rule::eprop(), 2);
    assert_eq!(one.weights("in->alif").unwrap(), two.weights("in->alif").unwrap());
    let halved = trained::<f64>(1, best(), &Optimiser { decay, ..plain.clone() }, &Rule::eprop(), 2);
    let full = trained::<f64>(1, best(), &plain, &Rule::eprop(), 2);
    assert_ne!(halved.weights("in->alif").unwrap(), full.weights("in->alif").unwrap());
}

#[test]
fn files_hold_the_weights_and_the_network() {
    let model = trained::<f32>(1, best(), &Optimiser::fig_3c(), &Rule::mdgl(), 3);
    let bytes = model.to_safetensors().unwrap();
    assert_eq!(precision(&bytes).unwrap(), "f32");
    let loaded = Model::<f32>::from_safetensors(&bytes).unwrap();
    assert_eq!(loaded.network().description(), model.network().description());
    assert!(loaded.to_safetensors().unwrap() == bytes);
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = Model::<f32>::from_safetensors(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{cut}: {error}");
    }
    assert!(matches!(Model::<f64>::from_safetensors(&bytes), Err(Error::File { .. })));
}

#[test]
fn a_cancelled_step_says_so() {
    let workers = Workers::<f32>::new(2).unwrap();
    let (batch, objective) = (batch(0), objective());
    let assignment = Assignment { batch: &batch, objective: &objective };
    let result = evaluate(&model(), assignment, &workers, &AtomicBool::new(true));
    assert_eq!(result.unwrap_err(), Error::Cancelled);
}

/// Changes one place of the description and expects a refusal that names the place.
fn refused(pointer: &str, value: Value, path: &str) {
    let mut changed = description();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    match network(changed) {
        Err(Error::Invalid { path: found, .. }) => assert_eq!(found, path),
        other => panic!("{pointer}: {other:?}"),
    }
}

#[test]
fn wrong_descriptions_are_refused_by_name() {
    refused("/schema", json!("mdgl-network/9"), "description.schema");
    refused("/inputs/0/size", json!(0), "inputs.in.size");
    refused("/inputs/0/size", json!(1u64 << 31), "inputs.in.size");
    refused("/inputs/0/sign/excitatory", json!(9), "inputs.in.sign");
    refused("/inputs/0/name", json!("lif"), "populations.name");
    refused("/populations/1/adaptationStrength", json!([1.0, 2.0]), "populations.alif.adaptationStrength");
    refused("/populations/1/adaptationStrength", json!(-1.0), "populations.alif.adaptationStrength");
    refused("/projections/0/density", json!(1.5), "projections.in->lif.density");
    refused("/projections/0/density", json!(0), "projections.in->lif.density");
    refused("/projections/0/from", json!("nobody"), "projections.nobody->lif.from");
    refused("/projections/0/to", json!("out"), "projections.in->out.to");
    refused("/projections/1/to", json!("lif"), "projections.name");
    refused(
        "/projections/1/initialise",
        json!({"scheme": "normal", "standardDeviation": -1.0}),
        "projections.in->alif.initialise.standardDeviation",
    );
}

#[test]
fn wrong_batches_are_refused_by_name() {
    let workers = Workers::<f32>::new(1).unwrap();
    let cancel = AtomicBool::new(false);
    let refuse = |change: &dyn Fn(&mut EncodedBatch), path: &str| {
        let (mut batch, objective) = (batch(0), objective());
        change(&mut batch);
        let assignment = Assignment { batch: &batch, objective: &objective };
        match evaluate(&model(), assignment, &workers, &cancel) {
            Err(Error::Invalid { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{path}: {other:?}"),
        }
    };
    let event = |trial, step, unit| vec![Input::Events(vec![Event { trial, step, unit, count: 1 }])];
    refuse(&|b| b.inputs = event(0, 100, 0), "batch.inputs.in[0].step");
    refuse(&|b| b.inputs = event(20, 0, 0), "batch.inputs.in[0].trial");
    refuse(&|b| b.inputs = event(0, 0, 10), "batch.inputs.in[0].unit");
    refuse(&|b| b.inputs = vec![Input::Analogue(vec![0.0; 7])], "batch.inputs.in");
    refuse(&|b| b.inputs = vec![], "batch.inputs");
    refuse(&|b| b.lengths = Some(vec![101; 20]), "batch.length[0]");
    refuse(&|b| b.lengths = Some(vec![5; 20]), "batch.inputs.in[0].steps");
    refuse(&|b| b.targets[0] = Targets::Classes(vec![2; 20]), "targets.out[0]");
    refuse(&|b| b.targets[0] = Targets::Classes(vec![0; 19]), "targets.out");
    refuse(&|b| b.targets[0] = Targets::Values(vec![0.0; 4000]), "targets.out");
}

/// Hot, cooling, with l1 that kills synapses and rewiring that brings them back: nothing of the state is idle.
fn restless() -> Optimiser {
    Optimiser {
        method: Method::Adam { learning_rate: 0.02.into(), beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        l1: 0.05,
        temperature: 1e-6,
        decay: Some(Decay { factor: 0.5, every: 2 }),
        ..Optimiser::fig_3c()
    }
}

fn continued<F: Real>(mut model: Model<F>, rule: &Rule, iterations: std::ops::Range<u32>) -> Model<F> {
    let workers = Workers::new(2).unwrap();
    for iteration in iterations {
        let batch = batch(iteration);
        let assignment = Assignment { batch: &batch, objective: &objective() };
        let cancel = AtomicBool::new(false);
        model = train_step(
            &model,
            assignment,
            Training { rule, optimiser: &restless() },
            None,
            &workers,
            &cancel,
        )
        .unwrap()
        .0;
    }
    model
}

fn goes_on<F: Real>(rule: &Rule) {
    let half = continued(model::<F>(), rule, 0..3);
    let bytes = half.to_checkpoint().unwrap();
    let read = Model::<F>::from_safetensors(&bytes).unwrap();
    assert!(read.to_checkpoint().unwrap().len() == bytes.len());
    let straight = continued(half, rule, 3..6);
    let resumed = continued(read, rule, 3..6);
    let files = [straight, resumed].map(|model| model.to_safetensors().unwrap());
    assert!(files[0] == files[1], "{rule:?}");
}

#[test]
fn training_goes_on_from_a_checkpoint_with_the_same_bits() {
    for rule in [Rule::mdgl(), Rule::mdgl_membrane(), Rule::eprop_adaptive(), Rule::bptt()] {
        goes_on::<f32>(&rule);
        goes_on::<f64>(&rule);
    }
    // From the weights alone the optimiser starts anew: that is another run.
    let half = continued(model::<f32>(), &Rule::mdgl(), 0..3);
    let weights = Model::<f32>::from_safetensors(&half.to_safetensors().unwrap()).unwrap();
    let ends = [half, weights].map(|model| continued(model, &Rule::mdgl(), 3..6).to_safetensors().unwrap());
    assert!(ends[0] != ends[1]);
}

#[test]
fn a_checkpoint_cut_or_with_a_changed_optimiser_is_an_error_or_another_model() {
    let model = continued(model::<f32>(), &Rule::mdgl(), 0..2);
    let bytes = model.to_checkpoint().unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Model::<f32>::from_safetensors(&bytes[..length]).is_err(), "{length} bytes");
    }
    let text = String::from_utf8_lossy(&bytes[..4096]).into_owned();
    let renamed = |from: &str, to: &str| {
        let at = text.find(from).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        Model::<f32>::from_safetensors(&changed)
    };
    for tensor in ["mdgl.optimiser.theta", "mdgl.optimiser.first", "mdgl.optimiser.second"] {
        assert!(renamed(tensor, "mdgl.optimiser.xxxx").is_err(), "{tensor} is missing");
    }
}

#[test]
fn names_that_files_cannot_hold_are_refused() {
    let named = |name: &str| {
        let mut changed = description();
        changed["projections"][0]["name"] = json!(name);
        network(changed)
    };
    for name in ["__metadata__", "out.bias", "lif->lif.pre", "mdgl.optimiser.theta"] {
        assert!(matches!(named(name), Err(Error::Invalid { .. })), "{name}");
    }
    assert!(named("lif->lif.other").is_ok());
}

#[test]
fn a_balanced_matrix_beyond_memory_is_an_error() {
    let wide = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": 1 << 22}],
        "populations": [{"name": "a", "size": 2, "model": "lif"}],
        "projections": [{"from": "in", "to": "a", "density": 1e-6}]
    });
    let result = Model::<f32>::new(Arc::new(network(wide).unwrap()));
    assert!(matches!(result, Err(Error::Memory { .. })));
}

#[test]
fn one_trial_of_a_network_without_readout_can_be_simulated() {
    let cells = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": 10}],
        "populations": [{"name": "a", "size": 20, "model": "lif"}],
        "projections": [{"from": "in", "to": "a", "density": 1}, {"from": "a", "to": "a", "density": 1}]
    });
    let model = Model::<f32>::new(Arc::new(network(cells).unwrap())).unwrap();
    let batch = EncodedBatch { trials: 1, inputs: vec![Input::Silent], ..batch(0) };
    let workers = Workers::new(1).unwrap();
    let record = Record { voltage: true, ..Record::default() };
    let recording = simulate(&model, &batch, record, &workers, &AtomicBool::new(false)).unwrap();
    assert_eq!(recording.voltage.len(), 2000);
}

#[test]
fn a_list_of_two_signs_is_two_units() {
    let pair = json!({
        "schema": "mdgl-network/1",
        "inputs": [],
        "populations": [{"name": "a", "size": 2, "model": "lif", "sign": [1, 1]}],
        "projections": [{"from": "a", "to": "a", "density": 1}]
    });
    let model = Model::<f32>::new(Arc::new(network(pair).unwrap())).unwrap();
    let weights = model.weights("a->a").unwrap();
    assert_eq!(weights.len(), 2);
    assert!(weights.iter().all(|&weight| weight >= 0.0), "{weights:?}");
}

/// Results of a small network per rule after ten iterations, on every instruction set of this machine. A change here is a change of results: it belongs into
/// CHANGELOG.md.
#[test]
fn golden_hashes() {
    let hash = |rule: &Rule, set| {
        let model = trained::<f32>(2, set, &Optimiser::fig_3c(), rule, 10);
        let names = model.network().projections().iter().map(|synapses| synapses.name());
        let weights = names.flat_map(|name| model.weights(name).unwrap());
        let bytes = weights.flat_map(|w: f32| w.to_le_bytes());
        bytes.fold(0xcbf29ce484222325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3))
    };
    let found = mdgl_core::RULE_NAMES.map(|name| {
        let rule = Rule::named(name).unwrap();
        let [fused, unfused] = [Instructions::FusedTwin, Instructions::Portable].map(|set| hash(&rule, set));
        for set in Instructions::ALL.into_iter().filter(|set| set.is_available()) {
            let expected = if set.class() == "fused" { fused } else { unfused };
            assert_eq!(hash(&rule, set), expected, "{name} on {}", set.name());
        }
        (name, fused, unfused)
    });
    let others = found.into_iter().filter(|row| !GOLDEN.contains(row));
    let rows: Vec<_> = others.map(|(name, a, b)| format!("    (\"{name}\", {a:#x}, {b:#x}),")).collect();
    assert!(rows.is_empty(), "rows that GOLDEN has not:\n{}", rows.join("\n"));
    assert_eq!(found.len(), GOLDEN.len(), "GOLDEN has rules that there are not");
}

/// Rule, fused class, unfused class.
const GOLDEN: &[(&str, u64, u64)] = &[
    ("bptt", 0xbebc_86dc_6ba9_cb23, 0xf7fa_255d_1029_02b9),
    ("eprop", 0x8a4e_0765_afcb_2105, 0xe8f0_7e62_f5ee_7838),
    ("mdgl", 0x1a5b_1610_c4b8_ac01, 0x5e05_f2ae_b4bb_19d0),
    ("mdgl-cell", 0x758e_a302_6398_0938, 0xd15d_d6d5_bf93_125c),
    ("nl-mdgl", 0x27b6_3793_734d_7a16, 0xfda3_8d77_f43d_36e2),
    ("on-mdgl", 0xcea7_d6ba_da96_7ac1, 0xb8a2_09a0_4bc1_515a),
    ("mdgl-membrane", 0x13b0_d7a3_d2f2_8e9a, 0x971d_f0ab_7cbd_ba7f),
    ("mdgl-above", 0x4653_d419_4674_c604, 0x4038_8ac4_89c4_9d51),
    ("mdgl-membrane-2", 0x9079_1ae7_c520_1de9, 0x6ca4_356c_acf0_d160),
    ("mdgl-membrane-3", 0x9a34_366e_5802_6426, 0x7d38_c38e_8ad1_e2ee),
    ("mdgl-exact", 0x156c_ff20_4367_31e8, 0xb45d_cb94_a7d0_c703),
    ("hops-2", 0x27a7_0273_aa6b_4936, 0x2da5_defc_1ba5_f55f),
    ("hops-3", 0x815c_59a6_0676_03a8, 0x1c00_9cf2_6a1a_b87c),
    ("modprop", 0x2985_2cdf_3ff7_2c67, 0x031a_4841_73fe_ffcb),
    ("eprop-random", 0xa8eb_1f27_6852_bf54, 0xd5ce_f2ab_e782_87bb),
    ("eprop-adaptive", 0xf744_19f9_317e_ebcf, 0x4f5d_fa80_0433_aaea),
    ("eprop-diffusive", 0x5386_351d_0af1_1e32, 0xcf3a_3c07_4eca_4b9f),
    ("rflo", 0xf6c1_89d9_1b57_f440, 0x41c6_f55e_6917_a3af),
    ("eprop-online", 0xff4d_9bbb_c8a2_49f6, 0x09c7_af82_a828_7a4f),
    ("eprop-diffusive-online", 0x1bc1_8ae8_b77f_e0da, 0xbcbf_c8db_f6de_7b72),
    ("mdgl-online", 0x5b28_b590_d7eb_39cd, 0x0b4c_74c7_c826_8e0d),
    ("mdgl-membrane-online", 0x7add_89e9_9cea_2982, 0xef69_c909_2fa7_ad3a),
    ("on-mdgl-online", 0xfb41_d1f8_4461_7386, 0xb4e2_4c37_2a68_3c7a),
    ("rtrl", 0x3f72_580f_5171_0357, 0xe0e8_4a7f_84d7_4a18),
    ("snap1", 0xafd7_06ff_6b68_4b24, 0x2aab_3989_3fb3_169e),
    ("uoro", 0xb043_edbc_4ac0_f73f, 0x68cb_3a71_d679_50d7),
    ("kf-rtrl", 0x5a00_ee9c_b479_92ee, 0xc16b_e680_6b8c_a66a),
];
