//! Synapses with delays of more than one step: every rule against the oracle, whose sums know each pair's delay.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, Shape, best, oracle, shapes};
use mdgl_core::description::rule::{Channels, Hops, UniformChannel};
use mdgl_core::description::{Channel, Gain, Reach, TimeCourse, WeightGain};
use mdgl_core::{Gradients, Input, Instructions, Network, Rule, Workers, gradients};
use proptest::prelude::*;
use serde_json::json;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn equal_bits(case: &Case<f32>, a: &Gradients<f32>, b: &Gradients<f32>) -> bool {
    let count = case.model.network().projections().len();
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
    (0..count).all(|i| same(a.projection(i), b.projection(i))) && same(a.bias(0), b.bias(0))
}

/// A delay per projection, or per synapse and from inputs too.
fn of_either_form(shape: &Shape, most: usize) -> oracle::Spec {
    if shape.seed.is_multiple_of(2) { shape.delayed_spec(most) } else { shape.synaptic_spec(most) }
}

fn hops_along_weights(hops: u32) -> Rule {
    let gain = Gain::Weights(WeightGain::Weight);
    let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel: TimeCourse::Exact, above: 0.0 };
    Rule { hops: Hops::Count(hops), channels: Channels::Uniform(channel), ..Rule::eprop() }
}

proptest! {
    #![proptest_config(crate::common::config(64, 2026))]

    #[test]
    fn bptt_is_real_time_recurrent_learning(shape in shapes(6, 40), most in 2..7usize) {
        for spec in [shape.delayed_spec(most), shape.synaptic_spec(most)] {
            let run = oracle::forward(&spec);
            prop_assume!(run.margin > MARGIN);
            let case = Case::<f64>::new(&spec);
            let exact = oracle::gradient(&spec, &run, oracle::Rule::Rtrl);
            let error = case.distance_to(&case.gradients(&Rule::bptt()), &exact);
            prop_assert!(error < 1e-9, "{error:e}");
        }
    }

    #[test]
    fn local_rules_are_sums_over_eligibility_traces(shape in shapes(9, 60), most in 2..7usize) {
        for spec in [shape.delayed_spec(most), shape.synaptic_spec(most)] {
            let run = oracle::forward(&spec);
            prop_assume!(run.margin > MARGIN);
            let case = Case::<f64>::new(&spec);
            for (rule, theirs) in [
                (Rule::eprop(), oracle::Rule::Eprop),
                (Rule::mdgl(), oracle::Rule::Mdgl),
                (Rule::mdgl_cell(), oracle::Rule::MdglCell),
                (Rule::nl_mdgl(), oracle::Rule::NlMdgl),
                (Rule::on_mdgl(), oracle::Rule::OnMdgl),
                (Rule::with_hops(1), oracle::Rule::MdglExact),
            ] {
                let expected = oracle::gradient(&spec, &run, theirs);
                let error = case.distance_to(&case.gradients(&rule), &expected);
                prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
            }
        }
    }

    #[test]
    fn backward_form_is_online_form(shape in shapes(12, 80), most in 2..9usize) {
        let case = Case::<f64>::new(&of_either_form(&shape, most));
        let rules = [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::mdgl_cell(), Rule::nl_mdgl()];
        for rule in rules.into_iter().chain([Rule::mdgl_membrane()]) {
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn as_many_hops_as_steps_along_the_true_weights_are_bptt(shape in shapes(8, 24), most in 2..5usize) {
        let case = Case::<f64>::new(&of_either_form(&shape, most));
        let found = case.gradients(&hops_along_weights(shape.steps as u32));
        let error = case.distance(&found, &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-10, "{error:e}");
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 80), most in 2..5usize) {
        let shape = Shape { trials: 16 * shape.types + shape.trials, ..shape };
        let case = Case::<f32>::new(&of_either_form(&shape, most));
        let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
        for rule in [Rule::bptt(), Rule::nl_mdgl(), Rule::mdgl_membrane(), Rule::mdgl().online()] {
            let twin = case.gradients_with(&rule, 1, Instructions::FusedTwin);
            for set in sets.clone() {
                for threads in [1, 3] {
                    let found = case.gradients_with(&rule, threads, set);
                    prop_assert!(equal_bits(&case, &found, &twin), "{set:?} on {threads} threads");
                }
            }
        }
    }

    #[test]
    fn segments_give_the_same_bits(shape in shapes(12, 80), segment in 1..30usize, most in 2..9usize) {
        let case = Case::<f32>::new(&of_either_form(&shape, most));
        let cancel = AtomicBool::new(false);
        for rule in [Rule::bptt(), Rule::on_mdgl(), Rule::mdgl_membrane()] {
            let workers = Workers::with_instructions(1, best()).unwrap().with_segment(segment).unwrap();
            let (_, found) =
                gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap();
            prop_assert!(equal_bits(&case, &found, &case.gradients(&rule)), "{rule:?}");
        }
    }

    /// What arrives after the end of a trial has no effect.
    #[test]
    fn synapses_slower_than_the_trial_do_nothing(shape in shapes(8, 40)) {
        let mut slow = shape.spec();
        slow.delay.iter_mut().flatten().for_each(|delay| *delay = shape.steps);
        let mut none = slow.clone();
        none.w_rec.iter_mut().flatten().for_each(|weight| *weight = 0.0);
        none.delay.iter_mut().flatten().for_each(|delay| *delay = 1);
        let (slow, none) = (Case::<f64>::new(&slow), Case::<f64>::new(&none));
        let (found, expected) = (slow.gradients(&Rule::bptt()), none.gradients(&Rule::bptt()));
        prop_assert!(found.projection(0) == expected.projection(0));
        let by_name = |case: &Case<f64>, name: &str| case.model.network().projection_index(name).unwrap();
        let late = by_name(&slow, &format!("rec->rec after {}", shape.steps));
        prop_assert!(found.projection(late).iter().all(|&g| g == 0.0));
        let out = "rec->out";
        prop_assert!(found.projection(by_name(&slow, out)) == expected.projection(by_name(&none, out)));
    }
}

/// A channel of a fixed gain that follows no synapse acts after one step, whatever the delays.
#[test]
fn a_nonlocal_channel_of_fixed_gain_takes_one_step() {
    let shape = Shape {
        seed: 5,
        n_in: 3,
        n_rec: 7,
        n_out: 2,
        steps: 50,
        trials: 3,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let spec = shape.delayed_spec(4);
    let case = Case::<f64>::new(&spec);
    let channel = Channel {
        name: "all".into(),
        from: "t0".into(),
        to: "t0".into(),
        gain: Gain::Fixed(0.05),
        reach: Reach::Nonlocal,
        kernel: TimeCourse::None,
        factor: 1.0,
        above: 0.0,
    };
    let found = case.gradients(&Rule { channels: Channels::List(vec![channel]), ..Rule::mdgl() });
    let mut instant = vec![vec![0.0; shape.steps]; shape.n_rec];
    instant.iter_mut().for_each(|h| h[0] = 1.0);
    let run = oracle::forward(&spec);
    let gain = vec![vec![0.05; shape.n_rec]; shape.n_rec];
    let after_one_step = oracle::gradient_after_one_step(&spec, &run, &gain, &instant);
    let error = case.distance_to(&found, &after_one_step);
    assert!(error < 1e-9, "{error:e}");
    assert!(case.distance(&found, &case.gradients(&Rule::eprop())) > 1e-3, "the channel does nothing");
}

fn described(projection: serde_json::Value) -> String {
    let mut projections = vec![
        json!({"from": "in", "to": "a", "density": 1}),
        json!({"from": "a", "to": "a", "density": 1}),
        json!({"from": "a", "to": "out", "density": 1}),
    ];
    for given in &mut projections {
        if given["from"] == projection["from"] && given["to"] == projection["to"] {
            given["delay"] = projection["delay"].clone();
        }
    }
    let description = json!({
        "schema": "mdgl-network/1",
        "dt": 0.5,
        "inputs": [{"name": "in", "size": 2}],
        "populations": [{"name": "a", "size": 3, "model": "lif"}],
        "readouts": [{"name": "out", "size": 1}],
        "projections": projections
    });
    match Network::new(serde_json::from_value(description).unwrap()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn delays_that_cannot_be_are_refused() {
    let recurrent = |delay: f64| described(json!({"from": "a", "to": "a", "delay": delay}));
    assert_eq!(recurrent(0.5), "");
    assert_eq!(recurrent(3.0), "");
    let half = "at least half a step (0.25 ms)";
    for (wrong, allowed) in
        [(0.0, half), (-1.0, "at least 0"), (0.2, half), (1e9, "at most 10000 steps of 0.5 ms")]
    {
        let message = recurrent(wrong);
        assert!(message.contains("projections.a->a.delay") && message.contains(allowed), "{message}");
    }
    let from_input = |delay: serde_json::Value| described(json!({"from": "in", "to": "a", "delay": delay}));
    assert_eq!(from_input(json!(1)), "");
    assert!(from_input(json!(0.2)).contains("projections.in->a.delay"));
    let to_readout = |delay: serde_json::Value| described(json!({"from": "a", "to": "out", "delay": delay}));
    assert_eq!(to_readout(json!(0.5)), "");
    for delay in [json!(1), json!({"scheme": "uniform", "low": 0.5, "high": 0.5})] {
        let message = to_readout(delay);
        assert!(
            message.contains("projections.a->out.delay") && message.contains("projections to readouts"),
            "{message}"
        );
    }
    for (delay, path, allowed) in [
        (json!([1, 2, 3]), "projections.in->a.delay is an array of 3", "only synapses of connections"),
        (
            json!({"scheme": "uniform", "low": 0.1, "high": 2}),
            "delay.low is 0.1",
            "at least half a step (0.25 ms)",
        ),
        (
            json!({"scheme": "uniform", "low": 1, "high": 6000}),
            "delay.high is 6000",
            "at most 10000 steps of 0.5 ms",
        ),
        (json!({"scheme": "uniform", "low": 3, "high": 2}), "delay.high is 2", "at least low, 3"),
        (
            json!({"scheme": "normal", "mean": 0, "standardDeviation": 1}),
            "delay.mean is 0",
            "at least half a step",
        ),
        (
            json!({"scheme": "normal", "mean": 2, "standardDeviation": 0}),
            "delay.standardDeviation is 0",
            "above 0",
        ),
    ] {
        let message = from_input(delay);
        assert!(message.contains(path) && message.contains(allowed), "{message}");
    }
}

fn listed(delay: serde_json::Value) -> mdgl_core::Result<Network> {
    let connections = json!({"pre": [2, 0, 1, 0], "post": [1, 1, 0, 2], "values": [0.1, 0.2, 0.3, 0.4]});
    let description = json!({
        "schema": "mdgl-network/1",
        "populations": [{"name": "a", "size": 3, "model": "lif"}],
        "projections": [{"from": "a", "to": "a", "connections": connections, "delay": delay}]
    });
    Network::new(serde_json::from_value(description).unwrap())
}

/// The engine orders synapses by receiver and sender; each keeps its own delay.
#[test]
fn listed_delays_follow_their_synapses() {
    let network = listed(json!([5, 6, 7, 8])).unwrap();
    let synapses = &network.projections()[0];
    assert_eq!((synapses.pre(), synapses.post()), (&[1, 0, 2, 0][..], &[0, 1, 1, 2][..]));
    assert_eq!(synapses.delay_steps(), [7, 6, 5, 8]);
    assert_eq!(listed(json!([4, 4, 4, 4])).unwrap().projections()[0].delay_steps(), [4]);
    let refused = |delay| listed(delay).err().unwrap().to_string();
    let message = refused(json!([1, 2, 3]));
    assert!(
        message.contains("a->a.delay is an array of 3") && message.contains("4 delays, one per synapse"),
        "{message}"
    );
    let message = refused(json!([1, 2, 0.2, 3]));
    assert!(message.contains("a->a.delay[2] is 0.2"), "{message}");
}

fn drawn(seed: u64, density: f64, delay: &serde_json::Value) -> Network {
    let description = json!({
        "schema": "mdgl-network/1",
        "seed": seed,
        "inputs": [{"name": "in", "size": 60}],
        "populations": [{"name": "a", "size": 60, "model": "lif"}],
        "projections": [
            {"from": "in", "to": "a", "probability": density, "delay": delay},
            {"from": "a", "to": "a", "probability": density, "delay": delay}
        ]
    });
    Network::new(serde_json::from_value(description).unwrap()).unwrap()
}

/// χ² of the counts of ten numbers of steps: below its 0.999 quantile.
#[test]
fn uniform_delays_are_uniform_and_belong_to_their_pair() {
    let uniform = json!({"scheme": "uniform", "low": 1, "high": 10});
    let (all, some, other) = (drawn(1, 1.0, &uniform), drawn(1, 0.3, &uniform), drawn(2, 1.0, &uniform));
    for i in 0..2 {
        let delays = all.projections()[i].delay_steps();
        let expected = delays.len() as f64 / 10.0;
        let count = |steps: u32| delays.iter().filter(|&&own| own == steps).count() as f64;
        let chi: f64 = (1..=10).map(|steps| (count(steps) - expected).powi(2) / expected).sum();
        assert!(chi < 27.88, "{chi}");
        assert!(delays.iter().all(|steps| (1..=10).contains(steps)));
        assert_ne!(delays, other.projections()[i].delay_steps());
        let of = |network: &Network| {
            let synapses = &network.projections()[i];
            let pairs = synapses.pre().iter().copied().zip(synapses.post().iter().copied());
            pairs.zip(synapses.delay_steps()).collect::<std::collections::BTreeMap<_, _>>()
        };
        let (all, some) = (of(&all), of(&some));
        assert!(some.len() > 500 && some.iter().all(|(pair, steps)| all[pair] == *steps));
    }
    assert_ne!(all.projections()[0].delay_steps()[..500], all.projections()[1].delay_steps()[..500]);
}

/// Mean and variance of delays that are seldom drawn again, within five standard errors.
#[test]
fn normal_delays_have_their_moments_and_at_least_one_step() {
    let normal =
        |mean: f64, deviation: f64| json!({"scheme": "normal", "mean": mean, "standardDeviation": deviation});
    let delays = drawn(3, 1.0, &normal(30.0, 5.0)).projections()[0].delay_steps();
    let count = delays.len() as f64;
    let mean = delays.iter().map(|&steps| f64::from(steps)).sum::<f64>() / count;
    let variance = delays.iter().map(|&steps| (f64::from(steps) - mean).powi(2)).sum::<f64>() / count;
    assert!((mean - 30.0).abs() < 5.0 * 5.0 / count.sqrt(), "{mean}");
    // Rounding to whole steps adds a twelfth.
    let expected = 25.0 + 1.0 / 12.0;
    assert!((variance - expected).abs() < 5.0 * expected * (2.0 / count).sqrt(), "{variance}");
    let short = drawn(3, 1.0, &normal(1.0, 3.0)).projections()[0].delay_steps();
    assert!(
        short.iter().all(|&steps| steps >= 1) && short.contains(&1) && short.iter().any(|&steps| steps > 5)
    );
}

/// A list of delays is a projection per delay: e-prop's gradients have the same bits, those of rules that add up Γ in another order agree.
#[test]
fn one_projection_of_several_delays_is_a_projection_per_delay() {
    let shape = Shape {
        seed: 11,
        n_in: 3,
        n_rec: 14,
        n_out: 2,
        steps: 70,
        trials: 18,
        types: 2,
        loss: 2,
        regularised: false,
    };
    let spec = shape.delayed_spec(5);
    let apart = Case::<f64>::new(&spec);
    let connections = |case: &Case<f64>| {
        let projections = case.model.network().projections().iter().enumerate();
        let recurrent = projections.filter(|(_, synapses)| synapses.name().starts_with("rec->rec"));
        recurrent.map(|(i, synapses)| (i, synapses.clone())).collect::<Vec<_>>()
    };
    let (mut pre, mut post, mut values, mut delay) = (vec![], vec![], vec![], vec![]);
    for (_, synapses) in connections(&apart) {
        pre.extend_from_slice(synapses.pre());
        post.extend_from_slice(synapses.post());
        values.extend(apart.model.weights(synapses.name()).unwrap());
        delay.extend(vec![synapses.delay_steps()[0]; synapses.len()]);
    }
    let together = Case::<f64>::described(&spec, |description| {
        let projections = description["projections"].as_array_mut().unwrap();
        projections.retain(|own| !own["name"].as_str().is_some_and(|name| name.starts_with("rec->rec")));
        let connections = json!({"pre": pre, "post": post, "values": values});
        projections
            .insert(1, json!({"from": "rec", "to": "rec", "connections": connections, "delay": delay}));
    });
    let by_pair = |case: &Case<f64>, rule: &Rule| {
        let gradients = case.gradients(rule);
        let mut all = std::collections::BTreeMap::new();
        for (i, synapses) in connections(case) {
            let pairs = synapses.pre().iter().zip(synapses.post());
            all.extend(pairs.map(|(&q, &p)| (q, p)).zip(gradients.projection(i).iter().copied()));
        }
        all
    };
    for rule in [Rule::eprop(), Rule::eprop().online()] {
        let (found, expected) = (by_pair(&together, &rule), by_pair(&apart, &rule));
        assert!(found.len() == pre.len() && found == expected, "{rule:?}");
    }
    for rule in [Rule::bptt(), Rule::mdgl(), Rule::nl_mdgl(), Rule::on_mdgl().online()] {
        let (found, expected) = (by_pair(&together, &rule), by_pair(&apart, &rule));
        let largest = expected.values().fold(0.0, |most: f64, x| most.max(x.abs()));
        let apart = found.values().zip(expected.values()).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-12 * largest, "{rule:?}");
    }
}

proptest! {
    #![proptest_config(crate::common::config(32, 2027))]

    /// Analogue inputs take their delays, too.
    #[test]
    fn values_of_inputs_are_delayed_as_events_are(shape in shapes(8, 50), most in 2..7usize) {
        let spec = shape.synaptic_spec(most);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let mut case = Case::<f64>::new(&spec);
        case.batch.inputs[0] = Input::Analogue(spec.inputs.iter().flatten().flatten().copied().collect());
        for (rule, theirs) in [(Rule::bptt(), oracle::Rule::Rtrl), (Rule::mdgl(), oracle::Rule::Mdgl)] {
            let expected = oracle::gradient(&spec, &run, theirs);
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
        let error = case.distance(&case.gradients(&Rule::mdgl().online()), &case.gradients(&Rule::mdgl()));
        prop_assert!(error < 1e-10, "{error:e}");
    }
}

/// Delays from inputs alone are delays: they need blocks of trials, and have no influence matrix.
#[test]
fn delays_from_inputs_alone_are_refused_where_delays_are() {
    let shape = Shape {
        seed: 3,
        n_in: 2,
        n_rec: 20,
        n_out: 1,
        steps: 12,
        trials: 1,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let mut spec = shape.synaptic_spec(4);
    spec.delay.iter_mut().flatten().for_each(|delay| *delay = 1);
    let case = Case::<f64>::new(&spec);
    let run = oracle::forward(&spec);
    assert!(run.margin > MARGIN);
    let found = case.gradients(&Rule::bptt());
    let error = case.distance_to(&found, &oracle::gradient(&spec, &run, oracle::Rule::Rtrl));
    assert!(error < 1e-9, "{error:e}");
    let workers = Workers::with_instructions(1, best()).unwrap();
    let refused =
        gradients(&case.model, case.assignment(), &Rule::rtrl(), None, &workers, &AtomicBool::new(false));
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("rule.estimator") && message.contains("delays"), "{message}");
}

#[test]
fn a_delay_that_so_many_neurons_cannot_have_is_refused() {
    let network = |delay: f64| {
        let description = json!({
            "schema": "mdgl-network/1",
            "populations": [{"name": "a", "size": 1 << 20, "model": "lif"}],
            "projections": [{"from": "a", "to": "a", "delay": delay, "connections": {"pre": [0], "post": [1], "values": [0.1]}}]
        });
        Network::new(serde_json::from_value(description).unwrap())
    };
    assert!(network(4095.0).is_ok());
    let message = network(4096.0).err().unwrap().to_string();
    assert!(
        message.contains("projections.a->a.delay") && message.contains("at most 4095 steps"),
        "{message}"
    );
}

#[test]
fn estimators_that_carry_influence_are_refused() {
    let shape = Shape {
        seed: 1,
        n_in: 2,
        n_rec: 4,
        n_out: 1,
        steps: 12,
        trials: 1,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.delayed_spec(3));
    let workers = Workers::with_instructions(1, best()).unwrap();
    for rule in [Rule::rtrl(), Rule::snap1(), Rule::uoro(), Rule::kf_rtrl()] {
        let cancel = AtomicBool::new(false);
        let refused = gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel);
        let message = refused.err().unwrap().to_string();
        assert!(message.contains("rule.estimator") && message.contains("delays"), "{message}");
    }
}
