//! Shapes of the pseudo-derivative: gradients against the oracle, and the same bits everywhere.

use crate::common::oracle::{self, Pseudo};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::{Instructions, Network, Rule};
use proptest::prelude::*;
use serde_json::json;

const SHAPES: [Pseudo; 4] =
    [Pseudo::Exponential(2.0), Pseudo::FastSigmoid(10.0), Pseudo::Arctangent(2.0), Pseudo::Exponential(0.3)];

// Every rule depends on ψ alone: two that use it most differently stand for all.
proptest! {
    #![proptest_config(crate::common::config(48, 2018))]

    #[test]
    fn gradients_are_the_oracle_s(shape in shapes(6, 40), which in 0..SHAPES.len()) {
        let spec = oracle::Spec { pseudo: SHAPES[which], ..shape.spec() };
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = Case::<f64>::new(&spec);
        for (rule, theirs) in [(Rule::bptt(), oracle::Rule::Rtrl), (Rule::mdgl(), oracle::Rule::Mdgl)] {
            let expected = oracle::gradient(&spec, &run, theirs);
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{theirs:?}, {:?}: {error:e}", spec.pseudo);
            let online = rule.hops == Rule::mdgl().hops;
            if online {
                let error = case.distance(&case.gradients(&rule.online()), &case.gradients(&Rule::mdgl()));
                prop_assert!(error < 1e-10, "online, {:?}: {error:e}", spec.pseudo);
            }
        }
    }

    #[test]
    fn instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 40), which in 0..SHAPES.len()) {
        let spec = oracle::Spec { pseudo: SHAPES[which], ..shape.spec() };
        let case = Case::<f32>::new(&spec);
        let twin = case.gradients_with(&Rule::bptt(), 1, Instructions::FusedTwin);
        for set in Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused") {
            let found = case.gradients_with(&Rule::bptt(), 2, set);
            let bits = |x: &f32| x.to_bits();
            let same = (0..3).all(|i| {
                found.projection(i).iter().map(bits).eq(twin.projection(i).iter().map(bits))
            });
            prop_assert!(same, "{set:?}, {:?}", spec.pseudo);
        }
    }
}

/// A cell far from its threshold, whose exponential would be subnormal.
#[test]
fn a_faint_exponential_counts_as_nothing() {
    let shape = Shape {
        seed: 5,
        n_in: 2,
        n_rec: 4,
        n_out: 2,
        types: 1,
        steps: 20,
        trials: 1,
        loss: 2,
        regularised: false,
    };
    let spec = oracle::Spec { pseudo: Pseudo::Exponential(100.0), ..shape.spec() };
    let gradients = Case::<f32>::new(&spec).gradients_with(&Rule::bptt(), 1, best());
    assert!(
        (0..3)
            .all(|i| gradients.projection(i).iter().all(|x| x.is_finite() && (*x == 0.0 || x.abs() > 1e-37)))
    );
}

#[test]
fn what_has_no_meaning_is_refused() {
    for (given, path) in [
        (json!({"shape": "triangular", "steepness": 2.0}), "pseudoDerivative.steepness"),
        (json!({"shape": "arctangent", "steepness": 0.0}), "pseudoDerivative.steepness"),
        (json!({"shape": "fast-sigmoid", "steepness": -1.0}), "pseudoDerivative.steepness"),
    ] {
        let network = json!({
            "schema": "mdgl-network/1", "pseudoDerivative": given,
            "populations": [{"name": "rec", "size": 2, "model": "lif"}]
        });
        let error = Network::new(serde_json::from_value(network).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(path), "{error}");
    }
}
