//! Connectivity and initial weights as they are asked for: numbers of synapses within their confidence interval, degrees exact, weights of
//! the distribution that was named.

use mdgl_core::description::given::Given;
use mdgl_core::{Model, Network, NetworkDescription};
use serde_json::{Value, json};
use std::sync::Arc;

fn network(projection: Value, more: Value) -> Result<Network, mdgl_core::Error> {
    let mut description = json!({
        "schema": "mdgl-network/1",
        "seed": 3,
        "inputs": [{ "name": "in", "size": 40, "sign": "free" }],
        "populations": [
            { "name": "a", "model": "lif", "size": 200, "sign": "free" },
            { "name": "b", "model": "lif", "size": 100, "sign": "inhibitory" }
        ],
        "readouts": [{ "name": "out", "size": 2 }],
        "projections": [projection],
    });
    for (key, value) in more.as_object().unwrap() {
        description[key] = value.clone();
    }
    NetworkDescription::read(&Given::new(&description, "description", &[])).and_then(Network::new)
}

fn of(projection: Value) -> Network {
    network(projection, json!({})).unwrap()
}

fn refused(projection: Value, more: Value) -> String {
    network(projection, more).map(|_| ()).unwrap_err().to_string()
}

fn weights(network: Network) -> Vec<f64> {
    let model = Model::<f64>::new(Arc::new(network)).unwrap();
    let name = model.network().projections()[0].name().to_owned();
    model.weights(&name).unwrap()
}

/// Within 4.5 standard deviations of a binomial count: once in 150 000 draws it is not.
fn assert_binomial(count: usize, pairs: f64, p: f64) {
    let (mean, sd) = (pairs * p, (pairs * p * (1.0 - p)).sqrt());
    assert!((count as f64 - mean).abs() <= 4.5 * sd + 1e-9, "{count} of {pairs} pairs at {p}");
}

#[test]
fn each_pair_has_a_synapse_with_the_probability() {
    for p in [1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0] {
        let drawn = of(json!({ "from": "a", "to": "b", "probability": p }));
        let synapses = &drawn.projections()[0];
        assert_binomial(synapses.len(), 20_000.0, p);
        let pairs: Vec<_> = synapses.post().iter().zip(synapses.pre()).collect();
        assert!(pairs.is_sorted_by(|one, next| one < next), "each pair once");
        if p == 0.5 {
            for pre in 0..200 {
                assert_binomial(synapses.pre().iter().filter(|&&q| q == pre).count(), 100.0, p);
            }
        }
    }
}

#[test]
fn a_neuron_has_no_synapse_with_itself() {
    for rule in
        [json!({ "probability": 1.0 }), json!({ "fixedInDegree": 199 }), json!({ "fixedOutDegree": 199 })]
    {
        let mut projection = rule.clone();
        (projection["from"], projection["to"]) = (json!("a"), json!("a"));
        let drawn = of(projection);
        let synapses = &drawn.projections()[0];
        assert_eq!(synapses.len(), 200 * 199, "{rule}");
        assert!(synapses.pre().iter().zip(synapses.post()).all(|(pre, post)| pre != post));
    }
}

#[test]
fn degrees_are_exact_and_partners_uniform() {
    for (rule, recurrent) in [
        ("fixedInDegree", false),
        ("fixedInDegree", true),
        ("fixedOutDegree", false),
        ("fixedOutDegree", true),
    ] {
        let to = if recurrent { "a" } else { "b" };
        let drawn = of(json!({ "from": "a", "to": to, rule: 20 }));
        let synapses = &drawn.projections()[0];
        let (ends, others) = match rule {
            "fixedInDegree" => (synapses.post(), synapses.pre()),
            _ => (synapses.pre(), synapses.post()),
        };
        let units = if rule == "fixedInDegree" { synapses.sizes().1 } else { synapses.sizes().0 };
        let partners = if rule == "fixedInDegree" { synapses.sizes().0 } else { synapses.sizes().1 };
        let count = |list: &[u32], unit: usize| list.iter().filter(|&&own| own as usize == unit).count();
        assert!((0..units).all(|unit| count(ends, unit) == 20), "{rule}");
        let choices = partners as f64 - f64::from(u8::from(recurrent));
        for partner in 0..partners {
            assert_binomial(count(others, partner), units as f64, 20.0 / choices);
        }
    }
}

#[test]
fn probabilities_by_type_hold_for_each_pair_of_types() {
    let types = json!({ "types": [
        { "name": "pyr", "members": [{ "population": "a", "units": (0..150).collect::<Vec<_>>() }] },
        { "name": "pv", "members": [{ "population": "a", "units": (150..200).collect::<Vec<_>>() }] },
        { "name": "rest", "members": [{ "population": "b" }] }
    ] });
    let table = json!({ "pyr": { "pyr": 0.1, "pv": 0.4 }, "pv": { "pyr": 0.5 } });
    let drawn = network(json!({ "from": "a", "to": "a", "probability": table }), types.clone()).unwrap();
    let synapses = &drawn.projections()[0];
    let of_type = |unit: u32| usize::from(unit >= 150);
    let mut counts = [[0; 2]; 2];
    for (&pre, &post) in synapses.pre().iter().zip(synapses.post()) {
        counts[of_type(pre)][of_type(post)] += 1;
    }
    assert_binomial(counts[0][0], 150.0 * 149.0, 0.1);
    assert_binomial(counts[0][1], 150.0 * 50.0, 0.4);
    assert_binomial(counts[1][0], 50.0 * 150.0, 0.5);
    assert_eq!(counts[1][1], 0);
    let wrong = json!({ "from": "a", "to": "a", "probability": { "pyr": { "som": 0.1 } } });
    assert!(refused(wrong, types.clone()).contains("projections.a->a.probability.pyr"));
    let inputs = json!({ "from": "in", "to": "a", "probability": { "pyr": { "pv": 0.1 } } });
    assert!(refused(inputs, types).contains("inputs and readouts have no types"));
}

/// The factor of a probability at a distance in sites.
type Factor = fn(f64) -> f64;

#[test]
fn probability_falls_off_with_the_distance_on_the_sheet() {
    let sheet = json!({ "sheet": { "width": 20, "height": 15, "positions": "sorted" } });
    let at = |site: usize| (site % 20, site / 20);
    let apart = |a: usize, b: usize, side: usize| a.abs_diff(b).min(side - a.abs_diff(b)) as f64;
    let factors: [(Value, Factor); 4] = [
        (json!({ "profile": "gaussian", "width": 3.0 }), |d| (-d * d / 18.0).exp()),
        (json!({ "profile": "exponential", "width": 2.0 }), |d| (-d / 2.0).exp()),
        (json!({ "profile": "logistic", "width": 1.0, "midpoint": 4.0 }), |d| 1.0 / (1.0 + (d - 4.0).exp())),
        (json!({ "profile": "logistic-squared", "width": 3.0 }), |d| 1.0 / (1.0 + (d * d / 9.0).exp())),
    ];
    for (distance, factor) in factors {
        let projection = json!({ "from": "a", "to": "a", "probability": 0.8, "distance": distance });
        let drawn = network(projection, sheet.clone()).unwrap();
        let sites = drawn.sites_at(0);
        let rings = |pre: usize, post: usize| {
            let ((x, y), (u, v)) = (at(sites[pre] as usize), at(sites[post] as usize));
            apart(x, u, 20).hypot(apart(y, v, 15))
        };
        let synapses = &drawn.projections()[0];
        for (from, to) in [(0.5, 2.0), (2.0, 4.0), (4.0, 7.0), (7.0, 13.0)] {
            let within = |pre: usize, post: usize| (from..to).contains(&rings(pre, post));
            let all = (0..200).flat_map(|pre| (0..200).map(move |post| (pre, post)));
            let pairs: Vec<f64> = all
                .filter(|&(pre, post)| pre != post && within(pre, post))
                .map(|(pre, post)| 0.8 * factor(rings(pre, post)))
                .collect();
            let (mean, variance) = pairs.iter().fold((0.0, 0.0), |(m, v), p| (m + p, v + p * (1.0 - p)));
            let ends = synapses.pre().iter().zip(synapses.post());
            let found = ends.filter(|&(&pre, &post)| within(pre as usize, post as usize)).count() as f64;
            assert!(
                (found - mean).abs() <= 4.5 * variance.sqrt() + 1e-9,
                "{distance} {from}: {found} of {mean}"
            );
        }
    }
    let plain = json!({ "from": "a", "to": "a", "probability": 0.5, "distance": { "profile": "gaussian", "width": 3.0 } });
    assert!(refused(plain.clone(), json!({})).contains("with a sheet only"));
    let shuffled = json!({ "sheet": { "positions": "shuffled" } });
    assert!(refused(plain, shuffled).contains("keep their sites"));
    let degree = json!({ "from": "a", "to": "a", "fixedInDegree": 5, "distance": { "profile": "gaussian", "width": 3.0 } });
    assert!(refused(degree, sheet).contains("with probability only"));
}

/// The largest distance of an empirical distribution from the one that is meant, times √n: above 1.95 once in 1000 draws.
fn kolmogorov(mut values: Vec<f64>, below: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distances = values.iter().enumerate().map(|(i, &x)| {
        let meant = below(x);
        (meant - i as f64 / n).abs().max(((i + 1) as f64 / n - meant).abs())
    });
    distances.fold(0.0, f64::max) * n.sqrt()
}

fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

#[test]
fn weights_have_the_distribution_that_was_named() {
    let drawn = |initialise: Value, from: &str| {
        weights(of(json!({ "from": from, "to": "a", "probability": 0.2, "initialise": initialise })))
    };
    let normal = drawn(json!({ "scheme": "normal", "mean": 0.5, "standardDeviation": 2.0 }), "a");
    assert!(normal.len() > 7000);
    assert!(kolmogorov(normal, |x| normal_below((x - 0.5) / 2.0)) < 1.95);
    let lognormal = drawn(json!({ "scheme": "lognormal", "mean": 2.0, "standardDeviation": 1.0 }), "a");
    let mean = lognormal.iter().sum::<f64>() / lognormal.len() as f64;
    assert!((mean - 2.0).abs() < 0.06, "{mean}");
    let (variance, sigma) = (1.25f64.ln(), 1.25f64.ln().sqrt());
    assert!(kolmogorov(lognormal, |x| normal_below((x.ln() - 2f64.ln() + 0.5 * variance) / sigma)) < 1.95);
    let uniform = drawn(json!({ "scheme": "uniform", "low": -1.0, "high": 3.0 }), "a");
    assert!(kolmogorov(uniform, |x| (x + 1.0) / 4.0) < 1.95);
    assert!(drawn(json!({ "scheme": "constant", "value": 0.25 }), "a").iter().all(|&w| w == 0.25));
    // Of inhibitory senders the size counts.
    let inhibitory = drawn(json!({ "scheme": "normal", "standardDeviation": 1.0 }), "b");
    assert!(inhibitory.iter().all(|&w| w < 0.0));
    assert!(kolmogorov(inhibitory, |x| 2.0 * normal_below(x)) < 1.95);
}

#[test]
fn two_senders_give_as_many_weights_as_synapses() {
    let small = json!({ "inputs": [{ "name": "in", "size": 2, "sign": "free" }] });
    let drawn = network(json!({ "from": "in", "to": "a", "probability": 0.5 }), small).unwrap();
    let mut values = weights(drawn);
    let count = values.len();
    values.sort_by(f64::total_cmp);
    values.dedup();
    assert_eq!(values.len(), count);
}

#[test]
fn scaling_divides_by_the_root_of_the_in_degree() {
    let one = json!({ "scheme": "constant", "value": 1.0, "scaling": "in-degree" });
    let drawn = of(
        json!({ "from": "a", "to": "b", "probability": 0.3, "initialise": { "scheme": "constant", "value": 1.0 } }),
    );
    let posts = drawn.projections()[0].post().to_vec();
    let free = network(json!({ "from": "in", "to": "b", "probability": 0.3, "initialise": one }), json!({}))
        .unwrap();
    let own = free.projections()[0].post().to_vec();
    assert!(!posts.is_empty());
    for (post, weight) in own.iter().zip(weights(free)) {
        let degree = own.iter().filter(|&other| other == post).count() as f64;
        assert_eq!(weight, 1.0 / degree.sqrt());
    }
}

#[test]
fn weights_by_type_have_each_pair_of_types_own_distribution() {
    let constant = |value: f64| json!({ "scheme": "constant", "value": value });
    let types = json!({ "types": [
        { "name": "x", "members": [{ "population": "a", "units": (0..100).collect::<Vec<_>>() }] },
        { "name": "y", "members": [{ "population": "a", "units": (100..200).collect::<Vec<_>>() }, { "population": "b" }] }
    ] });
    let all = json!({ "x": { "x": constant(1.0), "y": constant(2.0) }, "y": { "x": constant(3.0), "y": constant(4.0) } });
    let projection = |pairs: Value| json!({ "from": "a", "to": "a", "probability": 0.1, "initialise": { "scheme": "by-type", "pairs": pairs } });
    let drawn = network(projection(all), types.clone()).unwrap();
    let ends: Vec<_> = drawn.projections()[0]
        .pre()
        .iter()
        .zip(drawn.projections()[0].post())
        .map(|(a, b)| (*a, *b))
        .collect();
    for ((pre, post), weight) in ends.into_iter().zip(weights(drawn)) {
        assert_eq!(weight, f64::from(1 + 2 * u8::from(pre >= 100) + u8::from(post >= 100)));
    }
    let missing = json!({ "x": { "x": constant(1.0) } });
    assert!(refused(projection(missing), types.clone()).contains("a distribution for each pair of types"));
    let nested = json!({ "x": { "x": { "scheme": "balanced" } } });
    assert!(refused(projection(nested), types).contains("pairs.x.x.scheme"));
}

#[test]
fn a_rule_out_of_its_range_is_refused_by_name() {
    let projection = |more: Value| {
        let mut projection = json!({ "from": "a", "to": "b" });
        for (key, value) in more.as_object().unwrap() {
            projection[key] = value.clone();
        }
        refused(projection, json!({}))
    };
    for (more, path) in [
        (json!({}), ""),
        (json!({ "density": 0.1, "probability": 0.1 }), ""),
        (json!({ "probability": 1.5 }), "probability"),
        (json!({ "probability": 0.0 }), "probability"),
        (json!({ "fixedInDegree": 0 }), "fixedInDegree"),
        (json!({ "fixedInDegree": 201 }), "fixedInDegree"),
        (json!({ "fixedOutDegree": 101 }), "fixedOutDegree"),
        (
            json!({ "probability": 0.1, "initialise": { "scheme": "uniform", "low": 1.0, "high": 1.0 } }),
            "initialise.high",
        ),
        (
            json!({ "probability": 0.1, "initialise": { "scheme": "lognormal", "mean": 0.0, "standardDeviation": 1.0 } }),
            "initialise.mean",
        ),
        (
            json!({ "probability": 0.1, "connections": { "pre": [], "post": [], "values": [] } }),
            "probability",
        ),
    ] {
        let message = projection(more.clone());
        let at = if path.is_empty() { " is " } else { &format!(".{path} is ") };
        assert!(message.contains(&format!("projections.a->b{at}")), "{more}: {message}");
    }
}
