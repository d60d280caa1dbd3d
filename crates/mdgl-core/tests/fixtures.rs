//! Exact gradients of `__test__/fixtures/gradients`, for every rule, precision and instruction set.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{
    Assignment, DrawKey, EncodedBatch, Event, Input, Instructions, Model, Network, NetworkDescription,
    Objective, Real, Record, Rule, Targets, Workers, gradients, simulate,
};
use serde_json::{Value, json};

const RULES: [(&str, &str); 6] = [
    ("bptt", "bptt"),
    ("eprop", "eprop"),
    ("mdgl", "mdgl"),
    ("mdgl_cell", "mdgl-cell"),
    ("nl_mdgl", "nl-mdgl"),
    ("on_mdgl", "on-mdgl"),
];

fn fixtures() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/fixtures/gradients");
    let folders = [folder.join("reference"), folder];
    let mut all = Vec::new();
    for path in folders.iter().flat_map(|f| fs::read_dir(f).unwrap()).map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|e| e == "json") {
            let value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            all.push((path, value));
        }
    }
    assert!(all.len() >= 10, "only {} fixtures in {:?}", all.len(), folders[1]);
    all
}

fn size(fixture: &Value, name: &str) -> usize {
    fixture["config"][name].as_u64().unwrap() as usize
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn connections(weights: &Value) -> Value {
    let (mut pre, mut post, mut values) = (vec![], vec![], vec![]);
    for (q, row) in matrix(weights).iter().enumerate() {
        for (p, &w) in row.iter().enumerate().filter(|&(_, &w)| w != 0.0) {
            pre.push(q);
            post.push(p);
            values.push(w);
        }
    }
    json!({"pre": pre, "post": post, "values": values})
}

fn description(fixture: &Value) -> NetworkDescription {
    let c = &fixture["config"];
    let types: Vec<usize> = serde_json::from_value(fixture["types"].clone()).unwrap();
    let members = |t: usize| (0..types.len()).filter(|&p| types[p] == t).collect::<Vec<_>>();
    let cell_type =
        |t| json!({"name": format!("t{t}"), "members": [{"population": "rec", "units": members(t)}]});
    let weights = &fixture["weights"];
    serde_json::from_value(json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": c["n_in"]}],
        "populations": [{
            "name": "rec", "size": c["n_rec"], "model": "alif", "membraneTimeConstant": c["tau_m"],
            "threshold": c["thr"], "refractoryPeriod": c["n_ref"], "dampening": c["gamma"],
            "adaptationTimeConstant": c["tau_a"], "adaptationStrength": c["beta"]
        }],
        "readouts": [{"name": "out", "size": c["n_out"], "timeConstant": c["tau_out"]}],
        "types": (0..size(fixture, "n_types")).map(cell_type).collect::<Vec<_>>(),
        "projections": [
            {"from": "in", "to": "rec", "connections": connections(&weights["W_in"])},
            {"from": "rec", "to": "rec", "connections": connections(&weights["W_rec"])},
            {"from": "rec", "to": "out", "connections": connections(&weights["W_out"])}
        ]
    }))
    .unwrap()
}

fn events(value: &Value) -> Vec<Event> {
    let triples: Vec<[u32; 3]> = serde_json::from_value(value.clone()).unwrap();
    triples.into_iter().map(|[trial, step, unit]| Event { trial, step, unit, count: 1 }).collect()
}

fn objective(fixture: &Value) -> (Objective, Vec<Targets>) {
    let c = &fixture["config"];
    let mut loss = json!({"readout": "out", "kind": "squared-error"});
    let targets = fixture["targets"].clone();
    let targets = if c["loss"] == "classification" {
        loss = json!({"readout": "out", "kind": "cross-entropy", "window": c["window"]});
        Targets::Classes(serde_json::from_value(targets).unwrap())
    } else {
        let values: Vec<Vec<Vec<f64>>> = serde_json::from_value(targets).unwrap();
        Targets::Values(values.into_iter().flatten().flatten().collect())
    };
    let strength = c["c_reg"].as_f64().unwrap();
    let regulariser = (strength != 0.0)
        .then(|| json!({"strength": strength, "targetRate": c["f0"].as_f64().unwrap() * 1000.0}));
    let objective = json!({"losses": [loss], "regulariser": regulariser});
    (serde_json::from_value(objective).unwrap(), vec![targets])
}

/// The fixture's gradient of each synapse of a projection.
fn expected(fixture: &Value, rule: &str, name: &str, pre: &[u32], post: &[u32]) -> Vec<f64> {
    let gradient = &fixture["gradients"][rule][name];
    match &fixture["gradient_index"][name] {
        Value::Null => {
            let dense = matrix(gradient);
            pre.iter().zip(post).map(|(&q, &p)| dense[q as usize][p as usize]).collect()
        }
        index => {
            let index: Vec<[u32; 2]> = serde_json::from_value(index.clone()).unwrap();
            let values: Vec<f64> = serde_json::from_value(gradient.clone()).unwrap();
            let find = |(&q, &p): (&u32, &u32)| values[index.iter().position(|i| *i == [q, p]).unwrap()];
            pre.iter().zip(post).map(find).collect()
        }
    }
}

fn largest_error<F: Real>(found: &[F], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    found.iter().zip(expected).map(|(a, b)| (a.to_f64() - b).abs() / scale).fold(0.0, f64::max)
}

fn check<F: Real>(tolerance: f64, instructions: Instructions) {
    let workers = Workers::<F>::with_instructions(2, instructions).unwrap();
    let cancel = AtomicBool::new(false);
    for (path, fixture) in fixtures() {
        let label = format!("{} {} {}", path.file_name().unwrap().display(), F::NAME, instructions.name());
        let mut model = Model::<F>::new(Arc::new(Network::new(description(&fixture)).unwrap())).unwrap();
        let bias: Vec<f64> = serde_json::from_value(fixture["weights"]["b_out"].clone()).unwrap();
        model.set_bias("out", &bias).unwrap();
        let (objective, targets) = objective(&fixture);
        let batch = EncodedBatch {
            trials: size(&fixture, "n_trials"),
            steps: size(&fixture, "n_steps"),
            lengths: None,
            inputs: vec![Input::Events(events(&fixture["inputs"]))],
            targets,
            key: DrawKey::default(),
            part: None,
        };
        let mut spikes = events(&fixture["spikes"]);
        spikes.sort_unstable();
        let recording = simulate(&model, &batch, Record::default(), &workers, &cancel).unwrap();
        assert_eq!(recording.spikes, spikes, "{label}: spikes");
        let assignment = Assignment { batch: &batch, objective: &objective };
        for (theirs, ours) in RULES {
            let rule = Rule::named(ours).unwrap();
            let (evaluation, found) = gradients(&model, assignment, &rule, None, &workers, &cancel).unwrap();
            let loss = fixture["loss"]["total"].as_f64().unwrap();
            let error = ((evaluation.loss + evaluation.regulariser) / loss - 1.0).abs();
            assert!(error < tolerance, "{label} {ours}: loss {error:e}");
            for (index, name) in ["W_in", "W_rec", "W_out"].into_iter().enumerate() {
                let synapses = &model.network().projections()[index];
                let expected = expected(&fixture, theirs, name, synapses.pre(), synapses.post());
                let error = largest_error(found.projection(index), &expected);
                assert!(error < tolerance, "{label} {ours}: {name} {error:e}");
            }
            let expected: Vec<f64> =
                serde_json::from_value(fixture["gradients"][theirs]["b_out"].clone()).unwrap();
            let error = largest_error(found.bias(0), &expected);
            assert!(error < tolerance, "{label} {ours}: b_out {error:e}");
        }
    }
}

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|instructions| instructions.is_available())
}

#[test]
fn f64_matches_to_1e_9() {
    available().for_each(|instructions| check::<f64>(1e-9, instructions));
}

#[test]
fn f32_matches_to_1e_4() {
    available().for_each(|instructions| check::<f32>(1e-4, instructions));
}
