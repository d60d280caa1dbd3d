//! Rewiring across all pairs of a projection (DEEP R): the number of synapses kept, the choice uniform, everything else of training as ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::Connections;
use mdgl_core::{
    Assignment, Error, Instructions, Lesion, Model, Network, NetworkDescription, Optimiser, Real, Rewiring,
    Rule, Stream, Training, Workers, gradients, train_step,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::config;
use crate::training::{batch, description, objective};

fn made<F: Real>(description: Value) -> Model<F> {
    let parsed: NetworkDescription = serde_json::from_value(description).unwrap();
    Model::new(Arc::new(Network::new(parsed).unwrap())).unwrap()
}

fn all_pairs(l1: f64) -> Optimiser {
    Optimiser { l1, rewiring: Rewiring::AllPairs, temperature: 1e-7, ..Optimiser::default() }
}

fn trained<F: Real>(
    mut model: Model<F>,
    optimiser: &Optimiser,
    rule: &Rule,
    threads: usize,
    iterations: std::ops::Range<u32>,
) -> Model<F> {
    let workers = Workers::with_instructions(threads, Instructions::choose().unwrap()).unwrap();
    for iteration in iterations {
        let (batch, objective) = (batch(iteration), objective());
        let assignment = Assignment { batch: &batch, objective: &objective };
        let training = Training { rule, optimiser };
        model = train_step(&model, assignment, training, None, &workers, &AtomicBool::new(false)).unwrap().0;
    }
    model
}

/// (pre, post) → weight.
fn synapses<F: Real>(model: &Model<F>, name: &str) -> BTreeMap<(u32, u32), f64> {
    let own = model.projection(name).unwrap();
    let pairs = own.pre().iter().copied().zip(own.post().iter().copied());
    let found: BTreeMap<_, _> = pairs.zip(model.weights(name).unwrap().iter().map(|w| w.to_f64())).collect();
    assert_eq!(found.len(), own.len(), "no pair of {name} twice");
    found
}

const SIGNED: [&str; 5] = ["in->lif", "in->alif", "lif->lif", "lif->alif", "lif->out"];

proptest! {
    #![proptest_config(config(16, 72))]

    /// As many synapses as the densities ask for, each of a pair of its own, of its sender's sign, none an autapse or in a lesion.
    #[test]
    fn the_number_of_synapses_is_kept(seed in any::<u32>(), l1 in 0.01..1.0f64, lesioned in any::<bool>()) {
        let mut described = description();
        described["seed"] = json!(seed);
        if lesioned {
            described["lesions"] = json!([
                {"from": "lif", "to": "lif"},
                {"projection": "lif->alif", "pre": [0, 1, 2, 3], "post": [0, 0, 0, 0]}
            ]);
        }
        let start = made::<f32>(described);
        let silent = |name: &str, pre: u32, post: u32| {
            lesioned && (name == "lif->lif" || (name == "lif->alif" && pre < 4 && post == 0))
        };
        let lost = synapses(&start, "lif->alif").keys().filter(|&&(pre, post)| silent("lif->alif", pre, post)).count();
        // 0.4 · 10 · 32 + 0.3 · 20 · 32 + 0.5 · 20 · 2 synapses; of a projection that is lesioned as a whole none.
        let target = 128 + 192 + 20 - lost - if lesioned { 120 } else { 0 };
        let mut model = start.clone();
        for iteration in 0..6 {
            model = trained(model, &all_pairs(l1), &Rule::mdgl(), 1, iteration..iteration + 1);
            let (mut alive, mut signs) = (0, BTreeMap::new());
            signs.extend((0..20).map(|pre| ((false, pre), pre >= 5)));
            for name in SIGNED {
                for ((pre, post), weight) in synapses(&model, name) {
                    prop_assert!(name != "lif->lif" || pre != post);
                    prop_assert!(!silent(name, pre, post) || weight == 0.0);
                    let sender = (name.starts_with("in"), pre);
                    if weight != 0.0 {
                        prop_assert_eq!(*signs.entry(sender).or_insert(weight > 0.0), weight > 0.0);
                    }
                    alive += usize::from(weight != 0.0);
                }
            }
            prop_assert_eq!(alive, target);
            // Not plastic, and free of signs.
            for name in ["alif->lif", "alif->out"] {
                prop_assert!(model.projection(name).unwrap().pre() == start.projection(name).unwrap().pre());
            }
        }
        let moved = SIGNED.iter().any(|name| {
            let before = synapses(&start, name);
            synapses(&model, name).keys().any(|pair| !before.contains_key(pair))
        });
        prop_assert!(moved);
    }
}

/// With a learning rate at which every weight dies each pair is as likely as any other: χ² of the counts, and no autapse.
#[test]
fn new_synapses_are_drawn_uniformly_from_all_pairs() {
    let described = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": 10}],
        "populations": [{"name": "a", "size": 8, "model": "lif", "sign": "excitatory"}],
        "readouts": [{"name": "out", "size": 2}],
        "projections": [
            {"from": "in", "to": "a", "density": 1},
            {"from": "a", "to": "a", "probability": 0.3},
            {"from": "a", "to": "out", "density": 1, "plastic": false}
        ]
    });
    let mut model = made::<f64>(described);
    let count = model.projection("a->a").unwrap().len();
    let mut drawn = [0u32; 64];
    let iterations = 600;
    for iteration in 0..iterations {
        model = trained(model, &all_pairs(1e4), &Rule::eprop(), 1, iteration..iteration + 1);
        let found = synapses(&model, "a->a");
        assert_eq!(found.len(), count);
        assert!(found.values().all(|&w| w == 1e-12));
        found.keys().for_each(|&(pre, post)| drawn[(8 * pre + post) as usize] += 1);
    }
    let expected = f64::from(iterations) * count as f64 / 56.0;
    let mut chi = 0.0;
    for (place, &found) in drawn.iter().enumerate() {
        match place / 8 == place % 8 {
            true => assert_eq!(found, 0, "an autapse"),
            false => chi += (f64::from(found) - expected).powi(2) / expected,
        }
    }
    // Draws without replacement vary less than Poisson's; the 0.999 quantile of χ² with 55 degrees of freedom is 93.
    assert!(chi < 93.0, "{chi}");
}

#[test]
fn threads_change_no_bit_and_training_goes_on_from_a_checkpoint() {
    for rule in [Rule::mdgl(), Rule::mdgl_membrane(), Rule::eprop_adaptive(), Rule::bptt()] {
        let optimiser = all_pairs(0.05);
        let one = trained(made::<f32>(description()), &optimiser, &rule, 1, 0..6).to_checkpoint().unwrap();
        let two = trained(made::<f32>(description()), &optimiser, &rule, 2, 0..6).to_checkpoint().unwrap();
        assert!(one == two, "{rule:?}");
        let half = trained(made::<f32>(description()), &optimiser, &rule, 1, 0..3);
        let read = Model::<f32>::from_safetensors(&half.to_checkpoint().unwrap()).unwrap();
        assert!(
            read.projection("lif->lif").unwrap().pre()
                != made::<f32>(description()).projection("lif->lif").unwrap().pre()
        );
        assert!(trained(read, &optimiser, &rule, 1, 3..6).to_checkpoint().unwrap() == one, "{rule:?}");
    }
}

/// What a rewired model computes is what a network computes that lists its synapses.
#[test]
fn a_rewired_model_computes_as_one_with_its_synapses_listed() {
    let model = trained(made::<f64>(description()), &all_pairs(0.2), &Rule::mdgl(), 1, 0..5);
    // Not as JSON, which would round the weights.
    let mut described: NetworkDescription = serde_json::from_value(description()).unwrap();
    for (own, projection) in model.network().projections().iter().zip(&mut described.projections) {
        (projection.density, projection.initialise) = (None, None);
        projection.connections = Some(Connections {
            pre: own.pre().to_vec().into(),
            post: own.post().to_vec().into(),
            values: model.weights(own.name()).unwrap().into(),
        });
    }
    let mut listed = Model::<f64>::new(Arc::new(Network::new(described).unwrap())).unwrap();
    listed.set_bias("out", &model.bias("out").unwrap()).unwrap();
    let (batch, objective) = (batch(9), objective());
    let assignment = Assignment { batch: &batch, objective: &objective };
    let workers = Workers::new(1).unwrap();
    for rule in [Rule::mdgl(), Rule::bptt(), Rule::eprop()] {
        let [one, other] = [&model, &listed].map(|model| {
            gradients(model, assignment, &rule, None, &workers, &AtomicBool::new(false)).unwrap()
        });
        assert!(one == other, "{rule:?}");
    }
    // The description still gives the network as it was drawn.
    let again = Model::<f64>::new(model.network().clone()).unwrap();
    assert!(again.to_safetensors().unwrap() == made::<f64>(description()).to_safetensors().unwrap());
    // A lesion of a rewired model takes the pairs that it has now.
    let mut model = model;
    let (pre, post) =
        (model.projection("lif->alif").unwrap().pre()[3], model.projection("lif->alif").unwrap().post()[3]);
    let lesion = json!({"projection": "lif->alif", "pre": [pre], "post": [post]});
    model.lesion(serde_json::from_value::<Lesion>(lesion).unwrap()).unwrap();
    assert_eq!(synapses(&model, "lif->alif")[&(pre, post)], 0.0);
    let read = Model::<f64>::from_safetensors(&model.to_safetensors().unwrap()).unwrap();
    assert!(read.to_safetensors().unwrap() == model.to_safetensors().unwrap());
}

#[test]
fn a_file_whose_moved_synapses_are_impossible_is_refused() {
    let model = trained(made::<f32>(description()), &all_pairs(0.2), &Rule::mdgl(), 1, 0..3);
    let bytes = model.to_safetensors().unwrap();
    let own = model.projection("lif->lif").unwrap();
    let raw = |list: &[u32]| list.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let place = |list: &[u32]| {
        let wanted = raw(list);
        bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
    };
    let changed = |list: &[u32], i: usize, value: u32| {
        let mut bytes = bytes.clone();
        let at = place(list) + 4 * i;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Model::<f32>::from_safetensors(&bytes).map(drop)
    };
    for found in [
        changed(own.pre(), 4, own.post()[4]),
        changed(own.pre(), 4, 20),
        changed(own.post(), 0, 19),
        changed(own.pre(), 1, own.pre()[0]),
        changed(&[0, 1, 2, 3, 5], 1, 0),
        changed(&[0, 1, 2, 3, 5], 4, 7),
    ] {
        assert!(matches!(&found, Err(Error::File { .. })), "{found:?}");
    }
}

/// A projection that has lost its last synapse gets new ones again.
#[test]
fn a_projection_without_a_synapse_is_still_rewired() {
    let mut described = description();
    described["projections"][5]["density"] = json!(0.05);
    let mut model = made::<f64>(described);
    let mut counts = Vec::new();
    for iteration in 0..60 {
        model = trained(model, &all_pairs(1e4), &Rule::eprop(), 1, iteration..iteration + 1);
        counts.push(model.projection("lif->out").unwrap().len());
    }
    let empty =
        counts.iter().position(|&count| count == 0).expect("two synapses that move are elsewhere at times");
    assert!(counts[empty..].iter().any(|&count| count > 0), "{counts:?}");
}

#[test]
fn a_session_refuses_to_move_synapses() {
    let model = made::<f32>(description());
    let found = Stream::new(&model, &Rule::eprop().online(), &all_pairs(0.01), 1);
    assert!(matches!(found, Err(Error::Invalid { path, .. }) if path == "optimiser.rewiring"));
}

#[test]
fn old_values_of_the_option_are_written_as_they_were() {
    for (text, value) in
        [("true", Rewiring::WithinMask), ("false", Rewiring::Off), ("\"all-pairs\"", Rewiring::AllPairs)]
    {
        let given = format!(r#"{{"kind": "adam", "rewiring": {text}}}"#);
        let read: Optimiser = serde_json::from_str(&given).unwrap();
        assert_eq!(read.rewiring, value);
        assert_eq!(serde_json::to_value(&read).unwrap()["rewiring"].to_string(), text);
    }
    for wrong in ["\"all\"", "1", "null"] {
        let given = format!(r#"{{"kind": "adam", "rewiring": {wrong}}}"#);
        assert!(serde_json::from_str::<Optimiser>(&given).is_err(), "{wrong}");
    }
}

/// (pre, post) → delay in steps.
fn delays<F: Real>(model: &Model<F>, name: &str) -> BTreeMap<(u32, u32), u32> {
    let own = model.projection(name).unwrap();
    let steps = own.delay_steps();
    let pairs = own.pre().iter().copied().zip(own.post().iter().copied());
    pairs.enumerate().map(|(i, pair)| (pair, steps[if steps.len() == 1 { 0 } else { i }])).collect()
}

/// Drawn delays belong to pairs: a synapse that moves has that of its new pair, also after a file. Where autapses are asked for, they are
/// among the pairs.
#[test]
fn moved_synapses_have_the_delays_of_their_pairs() {
    let mut described = description();
    for projection in [0, 2] {
        described["projections"][projection]["delay"] = json!({"scheme": "uniform", "low": 1, "high": 6});
    }
    described["projections"][2]["autapses"] = json!(true);
    let mut whole = described.clone();
    for projection in [0, 2] {
        whole["projections"][projection]["density"] = json!(1);
    }
    let (start, whole) = (made::<f32>(described), made::<f32>(whole));
    let model = trained(start.clone(), &all_pairs(1.0), &Rule::mdgl(), 1, 0..4);
    let loaded = Model::<f32>::from_safetensors(&model.to_safetensors().unwrap()).unwrap();
    for name in ["in->lif", "lif->lif"] {
        let (before, found, of_pairs) = (delays(&start, name), delays(&model, name), delays(&whole, name));
        assert!(found.keys().any(|pair| !before.contains_key(pair)), "{name}: nothing moved");
        assert!(found.iter().all(|(pair, steps)| of_pairs[pair] == *steps), "{name}");
        assert_eq!(delays(&loaded, name), found);
    }
    assert!(delays(&model, "lif->lif").keys().any(|(pre, post)| pre == post), "no autapse");
}

/// A synapse that is more than its pair cannot move to another.
#[test]
fn synapses_that_are_more_than_their_pair_do_not_move() {
    let mut several = description();
    several["projections"][2]["multapses"] = json!(true);
    let mut listed = description();
    listed["projections"][2] = json!({
        "from": "lif", "to": "lif", "connections": {"pre": [10, 11], "post": [11, 10], "values": [0.1, 0.2]}, "delay": [1, 2]
    });
    for described in [several, listed] {
        let model = made::<f32>(described);
        let (batch, objective, workers) = (batch(0), objective(), Workers::new(1).unwrap());
        let assignment = Assignment { batch: &batch, objective: &objective };
        for (rewiring, fits) in
            [(Rewiring::AllPairs, false), (Rewiring::WithinMask, true), (Rewiring::Off, true)]
        {
            let training =
                Training { rule: &Rule::eprop(), optimiser: &Optimiser { rewiring, ..Optimiser::default() } };
            match train_step(&model, assignment, training, None, &workers, &AtomicBool::new(false)) {
                Ok(_) => assert!(fits),
                Err(Error::Invalid { path, allowed, .. }) => {
                    assert!(
                        !fits && path == "optimiser.rewiring" && allowed.contains("'lif->lif'"),
                        "{path}: {allowed}"
                    );
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}
