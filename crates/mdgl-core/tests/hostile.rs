//! Hostile input: damaged descriptions and damaged files give a model or an error, never a panic.

use std::sync::Arc;

use mdgl_core::{Model, Network, NetworkDescription, precision};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A network that has one of everything.
fn description() -> Value {
    json!({
        "schema": "mdgl-network/1",
        "dt": 1.0,
        "seed": 3,
        "sheet": { "width": 3, "height": 3, "positions": "random", "spread": 0.5 },
        "pseudoDerivative": { "shape": "exponential", "steepness": 2.0 },
        "inputs": [{ "name": "in", "size": 3, "sign": [1, -1, 0] }],
        "populations": [
            { "name": "cells", "size": 4, "model": "lif", "sign": { "excitatory": 3, "inhibitory": 1, "shuffled": true } },
            { "name": "slow", "size": 2, "model": "alif", "adaptationStrength": [1.0, 0.0], "threshold": 0.02 },
        ],
        "readouts": [{ "name": "out", "size": 2, "timeConstant": 10.0, "bias": true }],
        "types": [
            { "name": "a", "members": [{ "population": "cells", "units": [0, 1] }] },
            { "name": "b", "members": [{ "population": "cells", "units": [2, 3] }, { "population": "slow" }] },
        ],
        "projections": [
            { "name": "p", "from": "in", "to": "cells", "density": 0.5, "initialise": { "scheme": "balanced" } },
            { "name": "q", "from": "cells", "to": "slow", "density": 1.0, "delay": 3.0,
              "initialise": { "scheme": "normal", "standardDeviation": 0.1 } },
            { "name": "r", "from": "slow", "to": "cells",
              "connections": { "pre": [0, 1], "post": [1, 3], "values": [0.5, -0.25] }, "plastic": false },
            { "name": "s", "from": "cells", "to": "out", "density": 1.0 },
        ],
        "channels": [
            { "name": "c", "from": "a", "to": "b", "gain": "mean-weight", "reach": "synaptic", "kernel": "none" },
            { "name": "d", "from": "b", "to": "a", "gain": 0.5, "reach": "nonlocal",
              "kernel": { "tauRise": 1.0, "tauDecay": 4.0 } },
        ],
    })
}

/// A network with few bytes: every one of them is damaged.
fn small() -> Value {
    json!({
        "schema": "mdgl-network/1",
        "populations": [{ "name": "c", "size": 2, "model": "lif" }],
        "readouts": [{ "name": "o", "size": 1 }],
        "projections": [
            { "name": "r", "from": "c", "to": "c", "density": 1.0 },
            { "name": "w", "from": "c", "to": "o", "density": 1.0 },
        ],
    })
}

fn hostile_values() -> impl Strategy<Value = Value> {
    let numbers = [
        json!(0),
        json!(-1),
        json!(-0.0),
        json!(0.5),
        json!(1),
        json!(1_u64 << 31),
        json!(u32::MAX),
        json!(1_u64 << 32),
        json!(1_u64 << 53),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
        json!(1e-12),
    ];
    let others = [
        json!(null),
        json!(true),
        json!(""),
        json!("1"),
        json!("free"),
        json!("cells"),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([1]),
        json!([[[[]]]]),
        json!([u64::MAX]),
        json!({ "list": 0 }),
        json!({ "excitatory": u64::MAX, "inhibitory": 2 }),
        json!({ "tauRise": 1e308, "tauDecay": 1e308 }),
        json!({ "membrane": { "mean": "batch", "initial": 1 } }),
    ];
    prop::sample::select([numbers.as_slice(), others.as_slice()].concat())
}

#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove,
    Rename,
    Twice,
    Nest(usize),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => hostile_values().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => Just(Change::Rename),
        1 => Just(Change::Twice),
        1 => (1..100_usize).prop_map(Change::Nest),
    ]
}

/// Pointers to every value within a value.
fn places(value: &Value, path: &str, all: &mut Vec<String>) {
    let mut inner = |key: String, part: &Value| {
        let path = format!("{path}/{key}");
        all.push(path.clone());
        places(part, &path, all);
    };
    match value {
        Value::Array(parts) => parts.iter().enumerate().for_each(|(i, part)| inner(i.to_string(), part)),
        Value::Object(parts) => parts.iter().for_each(|(key, part)| inner(key.clone(), part)),
        _ => {}
    }
}

fn damage(value: &mut Value, at: prop::sample::Index, change: Change) {
    let mut all = Vec::new();
    places(value, "", &mut all);
    if all.is_empty() {
        return;
    }
    let path = at.get(&all).clone();
    let (parent, key) = path.rsplit_once('/').expect("a pointer begins with a slash");
    let here = value.pointer(&path).expect("it was just listed").clone();
    let list = value.pointer_mut(parent).expect("it was just listed");
    match (change, list) {
        (Change::Replace(with), Value::Object(parts)) => drop(parts.insert(key.to_owned(), with)),
        (Change::Replace(with), Value::Array(parts)) => parts[key.parse::<usize>().expect("an index")] = with,
        (Change::Remove, Value::Object(parts)) => drop(parts.remove(key)),
        (Change::Remove, Value::Array(parts)) => drop(parts.remove(key.parse().expect("an index"))),
        (Change::Rename, Value::Object(parts)) => {
            let moved = parts.remove(key).expect("it was just listed");
            drop(parts.insert(format!("{key}x"), moved));
        }
        (Change::Nest(depth), Value::Object(parts)) => {
            drop(parts.insert(key.to_owned(), (0..depth).fold(here, |inner, _| json!([inner]))));
        }
        (Change::Rename | Change::Twice | Change::Nest(_), Value::Array(parts)) => parts.push(here),
        _ => {}
    }
}

/// Everything that follows from a description: a model of finite weights, or an error.
fn build(value: &Value) -> Result<(), TestCaseError> {
    let Ok(description) = serde_json::from_str::<NetworkDescription>(&value.to_string()) else {
        return Ok(());
    };
    let Ok(network) = Network::new(description) else { return Ok(()) };
    let Ok(model) = Model::<f32>::new(Arc::new(network)) else { return Ok(()) };
    finite(&model)
}

fn finite<F: mdgl_core::Real>(model: &Model<F>) -> Result<(), TestCaseError> {
    for synapses in model.network().projections() {
        let weights = model.weights(synapses.name()).expect("a projection of its own");
        prop_assert!(weights.iter().all(|weight| weight.is_finite()), "{}", synapses.name());
    }
    Ok(())
}

/// Reads a file as the addon does: its precision first.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    match precision(bytes) {
        Ok("f32") => Model::<f32>::from_safetensors(bytes).map_or(Ok(()), |model| finite(&model)),
        Ok(_) => Model::<f64>::from_safetensors(bytes).map_or(Ok(()), |model| finite(&model)),
        Err(_) => Ok(()),
    }
}

/// The files of a network: weights, and weights with the optimiser's state.
fn files(value: Value) -> [Vec<u8>; 2] {
    let network = Network::new(serde_json::from_value(value).expect("a description")).expect("a network");
    let model = Model::<f32>::new(Arc::new(network)).expect("a model");
    [model.to_safetensors().expect("a file"), model.to_checkpoint().expect("a file")]
}

#[test]
fn sizes_that_overflow_are_refused_before_anything_is_laid_out() {
    for size in [1_u64 << 24, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 53, u64::MAX] {
        for place in ["/inputs/0/size", "/populations/0/size", "/readouts/0/size", "/sheet/width"] {
            let mut value = description();
            // Listed signs would be refused for their number alone.
            value["inputs"][0]["sign"] = json!("free");
            value["populations"][0]["sign"] = json!("free");
            value["types"] = json!(null);
            value["channels"] = json!(null);
            *value.pointer_mut(place).expect("it is there") = json!(size);
            if size == 1 << 24 && !place.ends_with("width") {
                value["projections"] = json!([{ "name": "p", "from": "in", "to": "cells", "density": 1.0 }]);
                value["inputs"][0]["size"] = json!(size);
                value["populations"] = json!([{ "name": "cells", "size": size, "model": "lif" }]);
                value["readouts"] = json!([]);
            } else if size == 1 << 24 {
                continue;
            }
            let made = serde_json::from_value::<NetworkDescription>(value).map(Network::new);
            assert!(!matches!(made, Ok(Ok(_))), "{place} {size}");
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    for bytes in files(small()) {
        for length in 0..bytes.len() {
            assert!(
                precision(&bytes[..length]).is_err()
                    || Model::<f32>::from_safetensors(&bytes[..length]).is_err()
            );
        }
        assert!(Model::<f32>::from_safetensors(&bytes).is_ok());
    }
}

proptest! {
    #![proptest_config(crate::common::config(512, 31))]

    #[test]
    fn a_damaged_description_is_a_network_or_an_error(
        edits in prop::collection::vec((any::<prop::sample::Index>(), changes()), 1..4),
    ) {
        let mut value = description();
        for (at, change) in edits {
            damage(&mut value, at, change);
        }
        build(&value)?;
    }

    /// Every byte of a file is damaged in every case.
    #[test]
    fn a_file_with_a_flipped_bit_is_a_model_or_an_error(bit in 0..8_u32, checkpoint in any::<bool>(), skip in 1..40_usize) {
        let bytes = &files(small())[usize::from(checkpoint)];
        for at in (skip % 7..bytes.len()).step_by(skip) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            read(&damaged)?;
        }
    }

    #[test]
    fn a_spliced_file_is_a_model_or_an_error(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 1..200_usize,
        with in prop::collection::vec(any::<u8>(), 0..64), checkpoint in any::<bool>(),
    ) {
        let bytes = &files(description())[usize::from(checkpoint)];
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let piece = &bytes[from..(from + length).min(bytes.len())];
        let inserted = [&bytes[..to], &with, piece, &bytes[to..]].concat();
        read(&inserted)?;
        let mut replaced = bytes.clone();
        replaced.splice(to..(to + length).min(bytes.len()), with.iter().chain(piece).copied());
        read(&replaced)?;
    }
}
