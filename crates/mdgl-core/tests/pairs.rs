//! Autapses and several synapses of a pair: every rule against the oracle, both layouts, and draws.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, best, oracle, shapes};
use mdgl_core::{Instructions, Layout, Network, Record, Rule, Workers, gradients, simulate};
use proptest::prelude::*;
use serde_json::json;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

proptest! {
    #![proptest_config(crate::common::config(48, 2028))]

    #[test]
    fn gradients_are_those_of_the_oracle(shape in shapes(6, 40), most in 1..5usize) {
        let spec = shape.crowded_spec(most);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        for (rule, theirs) in [
            (Rule::bptt(), oracle::Rule::Rtrl),
            (Rule::eprop(), oracle::Rule::Eprop),
            (Rule::mdgl(), oracle::Rule::Mdgl),
            (Rule::mdgl_cell(), oracle::Rule::MdglCell),
            (Rule::nl_mdgl(), oracle::Rule::NlMdgl),
            (Rule::on_mdgl(), oracle::Rule::OnMdgl),
            (Rule::with_hops(1), oracle::Rule::MdglExact),
        ] {
            let error = case.distance_to(&case.gradients(&rule), &oracle::gradient(&spec, &run, theirs));
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    /// Without delays; estimators that carry influences forwards know none.
    #[test]
    fn influence_carried_forwards_is_bptt(shape in shapes(6, 40)) {
        let spec = shape.crowded_spec(1);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let exact = oracle::gradient(&spec, &run, oracle::Rule::Rtrl);
        let error = case.distance_to(&case.gradients(&Rule::rtrl()), &exact);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn online_form_is_backward_form(shape in shapes(10, 60), most in 1..5usize) {
        let case = Case::<f64>::new(&shape.crowded_spec(most));
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::nl_mdgl(), Rule::mdgl_membrane()] {
            let error = case.distance(&case.gradients(&rule.clone().online()), &case.gradients(&rule));
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn both_layouts_and_all_threads_agree(shape in shapes(20, 50)) {
        let case = Case::<f32>::new(&shape.crowded_spec(1));
        let cancel = AtomicBool::new(false);
        let with = |layout, threads| {
            Workers::with_instructions(threads, best()).unwrap().with_layout(layout)
        };
        let run = |layout, threads| {
            simulate(&case.model, &case.batch, Record::default(), &with(layout, threads), &cancel).unwrap()
        };
        let expected = run(Layout::Trials, 1);
        prop_assert!(run(Layout::Trials, 3) == expected);
        for rule in [Rule::bptt(), Rule::mdgl()] {
            let learn = |layout| {
                gradients(&case.model, case.assignment(), &rule, None, &with(layout, 1), &cancel).unwrap().1
            };
            let error = case.distance(&learn(Layout::Neurons), &learn(Layout::Trials));
            prop_assert!(error < 1e-3, "{rule:?}: {error:e}");
        }
        prop_assert!(run(Layout::Neurons, 2) == expected);
    }
}

#[test]
fn instruction_sets_of_a_class_give_the_same_bits() {
    let shape = crate::common::Shape {
        seed: 21,
        n_in: 3,
        n_rec: 19,
        n_out: 2,
        steps: 60,
        trials: 20,
        types: 2,
        loss: 2,
        regularised: true,
    };
    let case = Case::<f32>::new(&shape.crowded_spec(3));
    let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
    let twin = case.gradients_with(&Rule::mdgl(), 1, Instructions::FusedTwin);
    for set in sets {
        let found = case.gradients_with(&Rule::mdgl(), 2, set);
        for i in 0..case.model.network().projections().len() {
            let same =
                found.projection(i).iter().zip(twin.projection(i)).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{set:?}");
        }
    }
}

fn network(projection: serde_json::Value) -> mdgl_core::Result<Network> {
    let description = json!({
        "schema": "mdgl-network/1",
        "seed": 5,
        "inputs": [{"name": "in", "size": 40}],
        "populations": [{"name": "a", "size": 40, "model": "lif"}, {"name": "b", "size": 40, "model": "lif"}],
        "projections": [projection]
    });
    Network::new(serde_json::from_value(description).unwrap())
}

fn pairs(projection: serde_json::Value) -> Vec<(u32, u32)> {
    let network = network(projection).unwrap();
    let synapses = &network.projections()[0];
    let pairs: Vec<_> = synapses.post().iter().copied().zip(synapses.pre().iter().copied()).collect();
    assert!(pairs.is_sorted());
    pairs
}

fn repeats(pairs: &[(u32, u32)]) -> usize {
    pairs.windows(2).filter(|two| two[0] == two[1]).count()
}

fn autapses(pairs: &[(u32, u32)]) -> usize {
    pairs.iter().filter(|(p, q)| p == q).count()
}

#[test]
fn autapses_are_drawn_where_asked_for() {
    let all = pairs(json!({"from": "a", "to": "a", "density": 1, "autapses": true}));
    assert_eq!((all.len(), autapses(&all), repeats(&all)), (1600, 40, 0));
    let all = pairs(json!({"from": "a", "to": "a", "density": 1}));
    assert_eq!((all.len(), autapses(&all)), (1560, 0));
    let one = pairs(json!({"from": "a", "to": "a", "probability": 1, "autapses": true}));
    assert_eq!((one.len(), autapses(&one)), (1600, 40));
    // Expected 20 of 40; below 4 or above 36 with a probability of 1e-7.
    let half = pairs(json!({"from": "a", "to": "a", "probability": 0.5, "autapses": true}));
    assert!((4..=36).contains(&autapses(&half)), "{}", autapses(&half));
    let degree = pairs(json!({"from": "a", "to": "a", "fixedInDegree": 40, "autapses": true}));
    assert_eq!((degree.len(), autapses(&degree)), (1600, 40));
    let listed = json!({"pre": [3, 1], "post": [3, 2], "values": [0.1, 0.2]});
    let listed = pairs(json!({"from": "a", "to": "a", "connections": listed, "autapses": true}));
    assert_eq!(listed, [(2, 1), (3, 3)]);
}

/// The number of synapses is exact; pairs repeat as often as draws with replacement do, within five standard deviations.
#[test]
fn several_synapses_of_a_pair_are_drawn_with_replacement() {
    for density in [0.5, 1.0] {
        let drawn = pairs(json!({"from": "a", "to": "b", "density": density, "multapses": true}));
        let count = (density * 1600.0) as usize;
        assert_eq!(drawn.len(), count);
        let mut different = drawn.clone();
        different.dedup();
        let empty = (1.0f64 - 1.0 / 1600.0).powi(count as i32);
        let expected = 1600.0 * (1.0 - empty);
        let deviation = (1600.0 * empty * (1.0 - (1.0 + density) * empty)).sqrt();
        let error = (different.len() as f64 - expected).abs();
        assert!(error < 5.0 * deviation, "{} different pairs, {expected} expected", different.len());
    }
    let both = json!({"from": "a", "to": "a", "density": 0.5, "multapses": true, "autapses": true});
    let both = pairs(both);
    assert!(both.len() == 800 && autapses(&both) > 0);
    let without = pairs(json!({"from": "a", "to": "a", "density": 0.5, "multapses": true}));
    assert!(autapses(&without) == 0 && without.len() < 800 && repeats(&without) > 0);
    for (key, by_post) in [("fixedInDegree", true), ("fixedOutDegree", false)] {
        for (degree, own) in [(30, false), (90, false), (90, true)] {
            let mut projection = json!({"from": "a", "to": "a", "multapses": true, "autapses": own});
            projection[key] = degree.into();
            let drawn = pairs(projection);
            let counts = (0..40)
                .map(|unit| drawn.iter().filter(|(p, q)| unit == if by_post { *p } else { *q }).count());
            assert!(counts.into_iter().all(|count| count == degree) && repeats(&drawn) > 0);
            assert_eq!(autapses(&drawn) > 0, own);
            let mut partners: Vec<u32> = drawn.iter().map(|&(p, q)| if by_post { q } else { p }).collect();
            partners.sort_unstable();
            partners.dedup();
            assert_eq!(partners.len(), 40, "every unit is a partner");
        }
    }
    let twice = json!({"pre": [1, 0, 1], "post": [2, 0, 2], "values": [0.1, 0.2, 0.3]});
    assert_eq!(
        pairs(json!({"from": "a", "to": "b", "connections": twice, "multapses": true})),
        [(0, 0), (2, 1), (2, 1)]
    );
}

#[test]
fn pairs_that_were_not_asked_for_are_refused() {
    let refused = |projection| network(projection).err().unwrap().to_string();
    let message = refused(json!({"from": "a", "to": "b", "density": 1, "autapses": true}));
    assert!(message.contains("projections.a->b.autapses is true"), "{message}");
    let message = refused(json!({"from": "a", "to": "b", "probability": 0.5, "multapses": true}));
    assert!(message.contains("projections.a->b.multapses is true"), "{message}");
    let twice = json!({"pre": [1, 1], "post": [2, 2], "values": [0.1, 0.3]});
    let message = refused(json!({"from": "a", "to": "b", "connections": twice}));
    assert!(message.contains("connections.pre[1]") && message.contains("multapses: true"), "{message}");
    let own = json!({"pre": [1], "post": [1], "values": [0.1]});
    let message = refused(json!({"from": "a", "to": "a", "connections": own}));
    assert!(message.contains("connections.post[0]") && message.contains("autapses: true"), "{message}");
    let message = refused(json!({"from": "a", "to": "a", "fixedInDegree": 40}));
    assert!(message.contains("fixedInDegree is 40") && message.contains("1 to 39"), "{message}");
}
