//! Lesions: silent for good, whatever trains the model, in its copies and files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{
    Assignment, Error, LearningRate, Lesion, Method, Model, Network, NetworkDescription, Optimiser, Real,
    Rewiring, Rule, Stream, StreamTarget, Target, Training, Workers, gradients, train_step,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::config;
use crate::training::{batch, description, objective};

fn made<F: Real>(description: Value) -> Result<Model<F>, Error> {
    let parsed: NetworkDescription = serde_json::from_value(description).unwrap();
    Model::new(Arc::new(Network::new(parsed)?))
}

fn lesion(value: Value) -> Lesion {
    serde_json::from_value(value).unwrap()
}

fn trained<F: Real>(
    mut model: Model<F>,
    optimiser: &Optimiser,
    iterations: std::ops::Range<u32>,
) -> Model<F> {
    let workers = Workers::new(1).unwrap();
    for iteration in iterations {
        let (batch, objective) = (batch(iteration), objective());
        let assignment = Assignment { batch: &batch, objective: &objective };
        let training = Training { rule: &Rule::mdgl(), optimiser };
        model = train_step(&model, assignment, training, None, &workers, &AtomicBool::new(false)).unwrap().0;
    }
    model
}

/// The synapses that each of the lesions below takes, by the words of its description alone.
fn is_taken(kind: usize, name: &str, pre: u32, post: u32) -> bool {
    let (from, to) = name.split_once("->").unwrap();
    match kind {
        0 => name == "lif->lif",
        1 => from == "lif",
        2 => to == "alif",
        3 => from == "alif" && to == "lif",
        4 => from == "lif" && to == "alif",
        _ => name == "lif->alif" && [(0, 1), (3, 3), (7, 2), (19, 11), (5, 5)].contains(&(pre, post)),
    }
}

fn lesions() -> [Value; 6] {
    [
        json!({"projection": "lif->lif"}),
        json!({"from": "lif"}),
        json!({"to": "alif"}),
        json!({"from": "alif", "to": "lif"}),
        json!({"projection": "lif->alif", "from": "lif"}),
        json!({"projection": "lif->alif", "pre": [0, 3, 7, 19, 5], "post": [1, 3, 2, 11, 5]}),
    ]
}

/// Whether the synapses that a lesion takes are silent, and how many others are not.
fn silent<F: Real>(model: &Model<F>, kind: usize) -> (bool, usize) {
    let (mut silent, mut others) = (true, 0);
    for synapses in model.network().projections() {
        let weights = model.weights(synapses.name()).unwrap();
        for ((&pre, &post), weight) in synapses.pre().iter().zip(synapses.post()).zip(weights) {
            match is_taken(kind, synapses.name(), pre, post) {
                true => silent &= weight == F::ZERO,
                false => others += usize::from(weight != F::ZERO),
            }
        }
    }
    (silent, others)
}

fn optimisers() -> impl Strategy<Value = Optimiser> {
    let numbers =
        (0.001..0.1f64, 0.0..0.5f64, prop_oneof![Just(0.0), Just(1e-4)], prop_oneof![Just(0.0), Just(0.1)]);
    let rewirings = prop::sample::select(vec![Rewiring::Off, Rewiring::WithinMask, Rewiring::AllPairs]);
    (any::<bool>(), rewirings, numbers, any::<bool>()).prop_map(
        |(adam, rewiring, (rate, l1, temperature, weight_decay), clips)| {
            let learning_rate = LearningRate::Constant(rate);
            let method = match adam {
                true => Method::Adam { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
                false => Method::GradientDescent { learning_rate },
            };
            let clip_norm = clips.then_some(0.1);
            Optimiser { method, l1, temperature, weight_decay, rewiring, clip_norm, ..Optimiser::default() }
        },
    )
}

proptest! {
    #![proptest_config(config(24, 71))]

    /// Through training by every optimiser, of trained models and from the description, lesioned synapses have no weight and no gradient.
    #[test]
    fn lesions_are_permanent(
        seed in any::<u32>(),
        kind in 0..6usize,
        optimiser in optimisers(),
        (first, later) in (any::<bool>(), 0..3u32),
    ) {
        let mut described = description();
        described["seed"] = json!(seed);
        // More pairs for those that are listed to be among.
        described["projections"][3]["density"] = json!(1);
        if first {
            described["lesions"] = json!([lesions()[kind]]);
        }
        let mut model = made::<f32>(described).unwrap();
        if !first {
            model = trained(model, &optimiser, 0..later);
            prop_assert!(!silent(&model, kind).0);
            model.lesion(lesion(lesions()[kind].clone())).unwrap();
        }
        for iteration in later..later + 5 {
            let (batch, objective) = (batch(iteration), objective());
            let assignment = Assignment { batch: &batch, objective: &objective };
            let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
            let found = gradients(&model, assignment, &Rule::bptt(), None, &workers, &cancel).unwrap().1;
            for (i, synapses) in model.network().projections().iter().enumerate() {
                for ((&pre, &post), &g) in synapses.pre().iter().zip(synapses.post()).zip(found.projection(i)) {
                    prop_assert!(!is_taken(kind, synapses.name(), pre, post) || g == 0.0);
                }
            }
            model = trained(model, &optimiser, iteration..iteration + 1);
            let (silent, others) = silent(&model, kind);
            prop_assert!(silent && others > 0, "{kind} in iteration {iteration}, {others} others");
        }
    }
}

/// What rewiring does not restart in a lesion it does not restart elsewhere either: all others come back, and no more.
#[test]
fn rewiring_keeps_the_number_without_the_lesioned() {
    let kills = Optimiser { l1: 1e4, ..Optimiser::fig_3c() };
    let mut model = made::<f64>(description()).unwrap();
    model.lesion(lesion(json!({"projection": "lif->lif", "pre": [0], "post": [1]}))).unwrap();
    model.lesion(lesion(json!({"from": "lif", "to": "alif"}))).unwrap();
    let alive =
        |model: &Model<f64>, name: &str| model.weights(name).unwrap().iter().filter(|w| **w != 0.0).count();
    let after = trained(model.clone(), &kills, 0..1);
    assert_eq!(alive(&after, "lif->alif"), 0);
    assert_eq!(alive(&after, "lif->lif"), alive(&model, "lif->lif"));
    assert_eq!(model.network().description().lesions.len(), 2);
}

#[test]
fn files_and_checkpoints_hold_lesions_and_training_goes_on_from_them() {
    let optimiser = Optimiser { l1: 0.05, temperature: 1e-6, ..Optimiser::fig_3c() };
    let mut model = trained(made::<f32>(description()).unwrap(), &optimiser, 0..2);
    model.lesion(lesion(lesions()[1].clone())).unwrap();
    model.lesion(lesion(lesions()[5].clone())).unwrap();
    let read = Model::<f32>::from_safetensors(&model.to_checkpoint().unwrap()).unwrap();
    assert_eq!(read.network().description(), model.network().description());
    let ends = [&model, &read].map(|model| trained(model.clone(), &optimiser, 2..5).to_checkpoint().unwrap());
    assert!(ends[0] == ends[1]);
    // A file whose weights contradict its lesions.
    let mut other = made::<f32>(description()).unwrap();
    let whole = other.to_safetensors().unwrap();
    other.lesion(lesion(json!({"projection": "lif->lif"}))).unwrap();
    let cut = other.to_safetensors().unwrap();
    let data = |bytes: &[u8]| 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let forged = [&cut[..data(&cut)], &whole[data(&whole)..]].concat();
    match Model::<f32>::from_safetensors(&forged).map(drop) {
        Err(Error::Invalid { path, allowed, .. }) => {
            assert_eq!((&path[..17], &allowed[..2]), ("weights.lif->lif[", "0:"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_respect_lesions() {
    let mut model = made::<f64>(description()).unwrap();
    model.lesion(lesion(lesions()[1].clone())).unwrap();
    let optimiser = Optimiser { l1: 0.5, temperature: 1e-4, ..Optimiser::fig_3c() };
    let mut stream = Stream::new(&model, &Rule::eprop().online(), &optimiser, 3).unwrap();
    for _ in 0..4 {
        for _ in 0..20 {
            stream.step(&[mdgl_core::StepInput::Events(&[0, 2, 4, 6, 8])]).unwrap();
            stream.add_loss(&[StreamTarget { readout: 0, target: Target::Class(1), weight: 1.0 }]).unwrap();
        }
        model = stream.update(&model).unwrap().0;
        assert!(silent(&model, 1).0);
    }
}

#[test]
fn a_lesion_that_does_not_fit_is_refused_and_changes_nothing() {
    let refused = |value: Value, path: &str, said: &str| {
        let mut model = made::<f32>(description()).unwrap();
        let before = model.to_safetensors().unwrap();
        let found = model.lesion(lesion(value.clone()));
        assert!(
            matches!(&found, Err(Error::Invalid { path: at, allowed, .. })
            if at == path && allowed.contains(said)),
            "{value}: {found:?}"
        );
        assert!(model.to_safetensors().unwrap() == before);
        let mut described = description();
        described["lesions"] = json!([value]);
        let found = made::<f32>(described).map(drop);
        let path = path.replacen("lesion", "lesions[0]", 1);
        assert!(matches!(&found, Err(Error::Invalid { path: at, .. }) if *at == path), "{value}: {found:?}");
    };
    refused(json!({}), "lesion", "a projection");
    refused(json!({"projection": "lif->lift"}), "lesion.projection", "lif->lif");
    refused(json!({"from": "pv"}), "lesion.from", "'lif'");
    refused(json!({"to": "out"}), "lesion.to", "'alif'");
    refused(json!({"projection": "in->lif", "from": "lif"}), "lesion.from", "inputs have no cell types");
    refused(json!({"projection": "lif->out", "to": "lif"}), "lesion.to", "readouts have no cell types");
    refused(json!({"projection": "lif->lif", "pre": [1]}), "lesion.post", "as many");
    refused(json!({"projection": "lif->lif", "pre": [1], "post": [1, 2]}), "lesion.post", "(1)");
    refused(json!({"from": "lif", "pre": [1], "post": [2]}), "lesion.pre", "with projection");
    refused(json!({"projection": "lif->lif", "pre": [20], "post": [2]}), "lesion.pre[0]", "0 to 19");
    refused(json!({"projection": "lif->out", "pre": [0, 1], "post": [1, 2]}), "lesion.post[1]", "0 to 1");
}

#[test]
fn weights_of_lesioned_synapses_stay_zero_by_hand_too() {
    let mut model = made::<f64>(description()).unwrap();
    model.lesion(lesion(json!({"projection": "alif->out"}))).unwrap();
    let zeros = vec![0.0; model.projection("alif->out").unwrap().len()];
    model.set_weights("alif->out", &zeros).unwrap();
    let mut one = zeros;
    one[3] = 0.5;
    assert!(
        matches!(model.set_weights("alif->out", &one), Err(Error::Invalid { path, .. }) if path == "weights.alif->out[3]")
    );
}
