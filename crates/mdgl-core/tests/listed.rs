//! Networks with listed synapses: in any order, in JSON or beside it, in files of this and earlier versions.

use std::collections::HashMap;
use std::sync::Arc;

use mdgl_core::{Array, CounterRng, Error, Model, Network, NetworkDescription, precision};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

const CELLS: usize = 300;

type Lists = (Vec<u32>, Vec<u32>, Vec<f64>);

/// Every sixth pair of cells, in the engine's order; the first and every third cell inhibits.
fn synapses() -> Lists {
    let pairs = (0..CELLS as u32).flat_map(|p| (0..CELLS as u32).map(move |q| (q, p)));
    let some = pairs.filter(|(q, p)| q != p && (q + 5 * p) % 6 == 0);
    let (pre, post): (Vec<u32>, Vec<u32>) = some.unzip();
    let weight = |(i, q): (usize, &u32)| (1.0 + i as f64) / 1e5 * if q % 3 == 0 { -1.0 } else { 1.0 };
    let values = pre.iter().enumerate().map(weight).collect();
    (pre, post, values)
}

/// The same in another order, by a generator.
fn shuffled((pre, post, values): &Lists) -> Lists {
    let mut rng = CounterRng::new(1, 0, 0, 0);
    let mut order: Vec<usize> = (0..pre.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last as u32 + 1) as usize);
    }
    let taken = |column: &[u32]| order.iter().map(|&i| column[i]).collect();
    (taken(pre), taken(post), order.iter().map(|&i| values[i]).collect())
}

fn description(connections: Value) -> Value {
    let signs: Vec<i8> = (0..CELLS).map(|q| if q % 3 == 0 { -1 } else { 1 }).collect();
    json!({
        "schema": "mdgl-network/1",
        "populations": [{ "name": "c", "size": CELLS, "model": "lif", "sign": signs }],
        "projections": [{ "name": "r", "from": "c", "to": "c", "connections": connections }],
    })
}

fn read(value: Value) -> NetworkDescription {
    serde_json::from_value(value).expect("a description")
}

fn plain((pre, post, values): &Lists) -> NetworkDescription {
    read(description(json!({ "pre": pre, "post": post, "values": values })))
}

/// As the bindings give it: the lists beside the JSON.
fn beside((pre, post, values): &Lists) -> NetworkDescription {
    let skeleton =
        description(json!({ "pre": { "list": 1 }, "post": { "list": 2 }, "values": { "list": 0 } }));
    let arrays = [
        Array::F64(Arc::new(values.clone())),
        Array::U32(Arc::new(pre.clone())),
        Array::U32(Arc::new(post.clone())),
    ];
    read(skeleton).join(|k| Ok(arrays[k].clone())).expect("lists of these types")
}

fn model(description: NetworkDescription) -> Model<f64> {
    Model::new(Arc::new(Network::new(description).expect("a network"))).expect("a model")
}

/// Asserts an error that names the place.
fn refused(lists: &Lists, path: &str, allowed: &str) {
    match Network::new(beside(lists)) {
        Err(Error::Invalid { path: found, allowed: said, .. }) => {
            assert_eq!(found, format!("projections.r.connections{path}"));
            assert_eq!(said, allowed);
        }
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn the_order_of_a_list_and_where_it_stands_change_no_bit() {
    let sorted = synapses();
    for given in [sorted.clone(), shuffled(&sorted)] {
        assert_eq!(plain(&given), beside(&given));
        for description in [plain(&given), beside(&given)] {
            let model = model(description);
            let synapses = model.projection("r").expect("a projection");
            assert_eq!((synapses.pre(), synapses.post()), (&sorted.0[..], &sorted.1[..]));
            assert_eq!(model.weights("r").expect("weights"), sorted.2);
        }
    }
}

#[test]
fn what_is_wrong_in_a_list_is_named_by_its_place_there() {
    let good = shuffled(&synapses());
    let broken = |change: fn(&mut Lists)| {
        let mut lists = good.clone();
        change(&mut lists);
        lists
    };
    let last = CELLS as u32 - 1;
    let whole = format!("a whole number from 0 to {last}");
    refused(&broken(|l| l.0[7] = CELLS as u32), ".pre[7]", &whole);
    refused(&broken(|l| l.1[100] = u32::MAX), ".post[100]", &whole);
    refused(&broken(|l| l.2[3] = f64::NAN), ".values[3]", "a finite number");
    refused(&broken(|l| l.2[0] = f64::INFINITY), ".values[0]", "a finite number");
    refused(&broken(|l| l.1[9] = l.0[9]), ".post[9]", "another neuron than pre, or autapses: true");
    let twice = broken(|l| (l.0[50], l.1[50], l.2[50]) = (l.0[20], l.1[20], l.2[20]));
    refused(&twice, ".pre[50]", "each pair once in a projection, or multapses: true");
    let excitatory = good.0.iter().position(|q| q % 3 == 1).expect("a third of them");
    let mut signed = good.clone();
    signed.2[excitatory] = -0.5;
    refused(&signed, &format!(".values[{excitatory}]"), "≥ 0 (excitatory sender)");
    let length = format!("as many entries as pre has ({})", good.0.len());
    refused(&broken(|l| l.1.truncate(5)), ".post", &length);
    refused(&broken(|l| l.2.truncate(5)), ".values", &length);
}

#[test]
fn lists_that_are_not_there_or_of_another_type_are_refused() {
    let skeleton = || read(description(json!({ "pre": { "list": 0 }, "post": [1], "values": [0.5] })));
    match Network::new(skeleton()) {
        Err(Error::Invalid { path, .. }) => assert_eq!(path, "projections.r.connections.pre"),
        other => panic!("{other:?}"),
    }
    let floats = skeleton().join(|_| Ok(Array::F64(Arc::new(vec![0.0]))));
    assert!(matches!(floats, Err(Error::Invalid { .. })), "{floats:?}");
    for wrong in [json!({ "list": -1 }), json!({ "list": 0, "more": 1 }), json!({}), json!("0"), json!([0.5])]
    {
        let value = description(json!({ "pre": wrong, "post": [1], "values": [0.5] }));
        let read = serde_json::from_value::<NetworkDescription>(value);
        assert!(
            read.map_err(|error| error.to_string())
                .and_then(|own| Network::new(own).map_err(|error| error.to_string()))
                .is_err()
        );
    }
}

/// The file's one metadata key.
fn metadata(bytes: &[u8]) -> Value {
    let (_, metadata) = SafeTensors::read_metadata(bytes).expect("a file");
    let pairs = metadata.metadata().clone().expect("metadata");
    assert_eq!(pairs.len(), 1);
    serde_json::from_str(&pairs["mdgl"]).expect("JSON")
}

fn rewritten(bytes: &[u8], metadata: &Value, keep: impl Fn(&str) -> bool) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(bytes).expect("a file");
    let kept: Vec<(String, TensorView<'_>)> =
        tensors.tensors().into_iter().filter(|(name, _)| keep(name)).collect();
    let metadata = HashMap::from([("mdgl".to_owned(), metadata.to_string())]);
    safetensors::serialize(kept, Some(metadata)).expect("a file")
}

#[test]
fn files_hold_long_lists_as_tensors_and_those_that_do_not_are_read() {
    let lists = shuffled(&synapses());
    let model = model(plain(&lists));
    let bytes = model.to_safetensors().expect("a file");
    let written = metadata(&bytes);
    assert_eq!(written["network"]["projections"][0]["connections"]["post"], json!({ "list": 1 }));
    assert_eq!(precision(&bytes).expect("a precision"), "f64");
    let loaded = Model::<f64>::from_safetensors(&bytes).expect("a model");
    assert_eq!(loaded.network().description(), model.network().description());
    assert!(loaded.to_safetensors().expect("a file") == bytes);

    // As written before lists could stand beside the JSON.
    let mut before = written.clone();
    before["network"] = serde_json::to_value(plain(&lists)).expect("JSON");
    let old = rewritten(&bytes, &before, |name| !name.starts_with("mdgl.lists."));
    let loaded = Model::<f64>::from_safetensors(&old).expect("a model");
    assert_eq!(loaded.network().description(), model.network().description());
    assert!(loaded.to_safetensors().expect("a file") == bytes);

    for damaged in [
        rewritten(&bytes, &written, |name| name != "mdgl.lists.1"),
        rewritten(&bytes, &swapped(&written), |_| true),
    ] {
        let error = Model::<f64>::from_safetensors(&damaged).expect_err("damage");
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
}

/// Weights in the place of indices.
fn swapped(metadata: &Value) -> Value {
    let mut swapped = metadata.clone();
    swapped["network"]["projections"][0]["connections"]["pre"] = json!({ "list": 2 });
    swapped
}

#[test]
fn lists_of_units_stand_beside_the_json_as_well() {
    let size = 5000;
    let of = |scale: f64| (0..size).map(|i| scale * (1.0 + f64::from(i) / 7.0)).collect::<Vec<f64>>();
    let description = read(json!({
        "schema": "mdgl-network/1",
        "populations": [{ "name": "c", "size": size, "model": "alif", "membraneTimeConstant": of(1.0),
            "threshold": of(0.01), "refractoryPeriod": 2, "dampening": of(0.1), "adaptationTimeConstant": of(100.0),
            "adaptationStrength": of(2.0) }],
        "types": [
            { "name": "first", "members": [{ "population": "c", "units": (0..4999).rev().collect::<Vec<u32>>() }] },
            { "name": "last", "members": [{ "population": "c", "units": [4999] }] },
        ],
    }));
    let (skeleton, arrays) = description.split(4096);
    assert_eq!(arrays.len(), 6);
    assert!(serde_json::to_string(&skeleton).expect("JSON").len() < 1000);
    let joined = skeleton.clone().join(|k| Ok(arrays[k].clone())).expect("its own lists");
    assert_eq!(joined, description);
    assert!(matches!(Network::new(skeleton), Err(Error::Invalid { .. })));
    let model = model(description);
    let bytes = model.to_safetensors().expect("a file");
    let loaded = Model::<f64>::from_safetensors(&bytes).expect("a model");
    assert_eq!(loaded.network().description(), model.network().description());
    assert_eq!(loaded.network().cell_constants(), model.network().cell_constants());
    assert_eq!(loaded.network().types(), model.network().types());
}

#[test]
fn files_of_short_lists_are_as_they_were() {
    let bytes = model(plain(&(vec![1, 2], vec![2, 1], vec![0.5, 0.25]))).to_safetensors().expect("a file");
    assert_eq!(metadata(&bytes)["network"]["projections"][0]["connections"]["pre"], json!([1, 2]));
    assert_eq!(SafeTensors::deserialize(&bytes).expect("a file").names().len(), 3);
}

#[test]
fn a_projection_cannot_take_the_name_of_a_list() {
    let mut value = description(json!({ "pre": [1], "post": [2], "values": [0.5] }));
    value["projections"][0]["name"] = json!("mdgl.lists.0");
    assert!(matches!(Network::new(read(value)), Err(Error::Invalid { .. })));
}
