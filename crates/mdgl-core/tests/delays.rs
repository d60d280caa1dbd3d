//! Synapses with delays of more than one step: every rule against the oracle, whose sums know each pair's delay.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, Shape, best, oracle, shapes};
use mdgl_core::description::rule::{Channels, Hops, UniformChannel};
use mdgl_core::description::{Channel, Gain, Reach, TimeCourse, WeightGain};
use mdgl_core::{Gradients, Instructions, Network, Rule, Workers, gradients};
use proptest::prelude::*;
use serde_json::json;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn equal_bits(case: &Case<f32>, a: &Gradients<f32>, b: &Gradients<f32>) -> bool {
    let count = case.model.network().projections().len();
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
    (0..count).all(|i| same(a.projection(i), b.projection(i))) && same(a.bias(0), b.bias(0))
}

fn hops_along_weights(hops: u32) -> Rule {
    let gain = Gain::Weights(WeightGain::Weight);
    let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel: TimeCourse::Exact };
    Rule { hops: Hops::Count(hops), channels: Channels::Uniform(channel), ..Rule::eprop() }
}

proptest! {
    #![proptest_config(crate::common::config(64, 2026))]

    #[test]
    fn bptt_is_real_time_recurrent_learning(shape in shapes(6, 40), most in 2..7usize) {
        let spec = shape.delayed_spec(most);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let exact = oracle::gradient(&spec, &run, oracle::Rule::Rtrl);
        let error = case.distance_to(&case.gradients(&Rule::bptt()), &exact);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn local_rules_are_sums_over_eligibility_traces(shape in shapes(9, 60), most in 2..7usize) {
        let spec = shape.delayed_spec(most);
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

    #[test]
    fn backward_form_is_online_form(shape in shapes(12, 80), most in 2..9usize) {
        let case = Case::<f64>::new(&shape.delayed_spec(most));
        let rules = [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::mdgl_cell(), Rule::nl_mdgl()];
        for rule in rules.into_iter().chain([Rule::mdgl_membrane()]) {
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn as_many_hops_as_steps_along_the_true_weights_are_bptt(shape in shapes(8, 24), most in 2..5usize) {
        let case = Case::<f64>::new(&shape.delayed_spec(most));
        let found = case.gradients(&hops_along_weights(shape.steps as u32));
        let error = case.distance(&found, &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-10, "{error:e}");
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 80), most in 2..5usize) {
        let shape = Shape { trials: 16 * shape.types + shape.trials, ..shape };
        let case = Case::<f32>::new(&shape.delayed_spec(most));
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
        let case = Case::<f32>::new(&shape.delayed_spec(most));
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
    for (from, to) in [("in", "a"), ("a", "out")] {
        let message = described(json!({"from": from, "to": to, "delay": 1}));
        assert!(message.contains("only projections between populations"), "{message}");
    }
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
