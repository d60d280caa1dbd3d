//! Refusals of durations and time constants that round to no step, for every option.

use mdgl_core::{Network, NetworkDescription};
use serde_json::{Value, json};

/// Steps of 0.1 ms; a value in ms stands where `at` points.
fn made(at: &str, value: f64) -> Result<Network, String> {
    let mut description = json!({
        "schema": "mdgl-network/1",
        "dt": 0.1,
        "inputs": [{"name": "in", "size": 2}],
        "populations": [
            {"name": "lif", "size": 2, "model": "lif", "membraneTimeConstant": [20, 20], "refractoryPeriod": [5, 5]},
            {"name": "alif", "size": 2, "model": "alif", "adaptationTimeConstant": 200, "refractoryPeriod": 5},
            {"name": "rate", "size": 1, "model": "rate", "membraneTimeConstant": 20}
        ],
        "readouts": [{"name": "out", "size": 1, "timeConstant": 20}],
        "projections": [
            {"name": "input", "from": "in", "to": "lif", "density": 1, "delay": 0.1},
            {"name": "recurrent", "from": "lif", "to": "alif", "density": 1, "delay": 0.3},
            {"name": "output", "from": "lif", "to": "out", "density": 1, "delay": 0.1}
        ],
        "channels": [{
            "name": "slow", "from": "alif", "to": "lif", "gain": 1, "reach": "nonlocal",
            "kernel": {"tauRise": 2, "tauDecay": 20}
        }]
    });
    *description.pointer_mut(at).unwrap() = Value::from(value);
    let description: NetworkDescription = serde_json::from_value(description).unwrap();
    Network::new(description).map_err(|error| error.to_string())
}

/// The path of a value, how its error names it, and whether 0 is allowed.
const GIVEN: [(&str, &str, bool); 11] = [
    ("/populations/0/membraneTimeConstant/1", "populations.lif.membraneTimeConstant[1]", true),
    ("/populations/2/membraneTimeConstant", "populations.rate.membraneTimeConstant", true),
    ("/populations/1/adaptationTimeConstant", "populations.alif.adaptationTimeConstant", true),
    ("/populations/0/refractoryPeriod/1", "populations.lif.refractoryPeriod[1]", true),
    ("/populations/1/refractoryPeriod", "populations.alif.refractoryPeriod", true),
    ("/readouts/0/timeConstant", "readouts.out.timeConstant", true),
    ("/projections/0/delay", "projections.input.delay", false),
    ("/projections/1/delay", "projections.recurrent.delay", false),
    ("/projections/2/delay", "projections.output.delay", false),
    ("/channels/0/kernel/tauRise", "channels.slow.kernel.tauRise", true),
    ("/channels/0/kernel/tauDecay", "channels.slow.kernel.tauDecay", false),
];

#[test]
fn a_duration_that_rounds_to_no_step_is_refused_and_half_a_step_is_one() {
    for (at, path, zero) in GIVEN {
        for vanishing in [0.049, 1e-9, 5e-324] {
            let error = made(at, vanishing).expect_err(at);
            assert!(error.starts_with(&format!("{path} is ")), "{error}");
        }
        // A decay may not be shorter than the rise.
        if !at.ends_with("tauDecay") {
            made(at, 0.05).unwrap();
        }
        assert_eq!(made(at, 0.0).is_ok(), zero, "{at}");
    }
}

#[test]
fn what_has_no_time_constant_keeps_nothing() {
    for zero in [0.0, -0.0] {
        let constants = |at| made(at, zero).unwrap().cell_constants();
        assert_eq!(constants("/readouts/0/timeConstant").kappa, [0.0]);
        assert_eq!(constants("/populations/0/membraneTimeConstant/1").alpha[1], 0.0);
        assert_eq!(constants("/populations/1/adaptationTimeConstant").rho[2..4], [0.0, 0.0]);
        assert_eq!(constants("/populations/2/membraneTimeConstant").alpha[4], 0.0);
    }
}
