//! Two additions to the family: channels along strong synapses alone, and several hops through the kernel `'membrane'`.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Spec, Table};
use crate::common::{Case, best, shapes};
use mdgl_core::description::rule::{Channels, Hops, UniformChannel};
use mdgl_core::description::{Channel, Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
use mdgl_core::{Error, Instructions, Rule, Workers, gradients};
use proptest::prelude::*;

const MEAN: Gain = Gain::Weights(WeightGain::MeanWeight);

fn membrane(mean: PsiMean, initial: f64) -> UniformChannel {
    let kernel = TimeCourse::Membrane(Membrane { mean, initial });
    UniformChannel { gain: MEAN, reach: Reach::Synaptic, kernel, above: 0.0 }
}

fn hops(channel: UniformChannel, count: u32) -> Rule {
    Rule { channels: Channels::Uniform(channel), hops: Hops::Count(count), ..Rule::mdgl() }
}

/// m of every neuron before the first batch.
fn initial(spec: &Spec, fraction: f64) -> Vec<f64> {
    (0..spec.n_rec).map(|j| fraction * spec.gamma[j] / spec.thr[j]).collect()
}

fn responses(spec: &Spec, means: &[f64]) -> Table {
    (0..spec.n_rec).map(|j| oracle::membrane_response(spec, j, means[j])).collect()
}

fn refused(case: &Case<f64>, rule: &Rule) -> String {
    match rule.validate_for(case.model.network()) {
        Err(Error::Invalid { path, value, allowed }) => format!("{path} is {value}; allowed: {allowed}"),
        other => panic!("{rule:?}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(crate::common::config(48, 3301))]

    #[test]
    fn hops_are_their_dense_recursion(shape in shapes(9, 50), fraction in 0.0..1.0f64, delay in 1..4usize, count in 1..5usize) {
        let spec = shape.delayed_spec(delay);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = Case::<f64>::new(&spec);
        let gain = oracle::mean_gain(&spec);
        for (mean, means) in [
            (PsiMean::Running, initial(&spec, fraction)),
            (PsiMean::Batch, oracle::mean_psi(&spec, &run)),
        ] {
            let h = responses(&spec, &means);
            let expected = oracle::gradient_of_hops(&spec, &run, &gain, (&h, &means), count);
            let found = case.gradients(&hops(membrane(mean, fraction), count as u32));
            let error = case.distance_to(&found, &expected);
            prop_assert!(error < 1e-10, "{mean:?}, {count} hops: {error:e}");
        }
    }

    #[test]
    fn hops_online_are_hops_backward(shape in shapes(12, 60), fraction in 0.0..1.0f64, count in 2..4u32) {
        let case = Case::<f64>::new(&shape.spec());
        let along = membrane(PsiMean::Running, fraction);
        for channel in [along, UniformChannel { reach: Reach::Nonlocal, ..along }, UniformChannel { above: 0.7, ..along }] {
            let rule = hops(channel, count);
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-10, "{channel:?}, {count} hops: {error:e}");
        }
    }

    #[test]
    fn strong_synapses_are_those_of_the_definition(shape in shapes(12, 50), fraction in 0.0..1.0f64, share in 0.0..2.0f64, delay in 1..4usize) {
        let spec = shape.delayed_spec(delay);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = Case::<f64>::new(&spec);
        let means = initial(&spec, fraction);
        let gain = oracle::mean_gain_above(&spec, share);
        let expected = oracle::gradient_through(&spec, &run, &gain, &responses(&spec, &means));
        let rule = hops(UniformChannel { above: share, ..membrane(PsiMean::Running, fraction) }, 1);
        let error = case.distance_to(&case.gradients(&rule), &expected);
        prop_assert!(error < 1e-10, "{error:e}");
        let online = case.distance(&case.gradients(&rule.clone().online()), &case.gradients(&rule));
        prop_assert!(online < 1e-10, "online: {online:e}");
    }

    /// The same bits with every number of threads, and on instruction sets of a class.
    #[test]
    fn threads_and_instruction_sets_change_no_bit(shape in shapes(12, 40), count in 2..4u32) {
        let (double, single) = (Case::<f64>::new(&shape.spec()), Case::<f32>::new(&shape.spec()));
        for rule in [Rule::mdgl_membrane_hops(count), Rule::mdgl_above()] {
            for rule in [rule.clone(), rule.online()] {
                let one = single.gradients_with(&rule, 1, best());
                prop_assert!(one == single.gradients_with(&rule, 3, best()));
                let exact = double.gradients_with(&rule, 1, Instructions::Portable);
                prop_assert!(double.distance(&double.gradients_with(&rule, 2, best()), &exact) < 1e-10);
            }
        }
    }
}

/// Without a share all living synapses count, with a very large one none does; the share matters in between.
#[test]
fn shares_range_from_all_to_none() {
    let shape = crate::common::Shape {
        seed: 5,
        n_in: 3,
        n_rec: 12,
        n_out: 2,
        steps: 50,
        trials: 3,
        types: 2,
        loss: 2,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.spec());
    let above =
        |above: f64| case.gradients(&hops(UniformChannel { above, ..membrane(PsiMean::Running, 0.1) }, 1));
    assert!(above(0.0) == case.gradients(&Rule::mdgl_membrane()));
    assert!(case.distance(&above(1e9), &case.gradients(&Rule::eprop())) < 1e-12);
    assert!(case.distance(&above(1.0), &above(0.0)) > 1e-3);
    let two = case.gradients(&Rule::mdgl_membrane_hops(2));
    assert!(case.distance(&two, &case.gradients(&Rule::mdgl_membrane())) > 1e-6);
}

#[test]
fn what_has_no_equation_is_refused() {
    let shape = crate::common::Shape {
        seed: 5,
        n_in: 3,
        n_rec: 6,
        n_out: 2,
        steps: 20,
        trials: 1,
        types: 2,
        loss: 0,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.spec());
    let channel = membrane(PsiMean::Running, 0.1);
    let nonlocal = hops(UniformChannel { reach: Reach::Nonlocal, above: 0.3, ..channel }, 1);
    assert_eq!(
        refused(&case, &nonlocal),
        "rule.channels.above is 0.3; allowed: with reach 'nonlocal': 0 (without a synapse there is no weight)"
    );
    for above in [-0.1, f64::NAN, f64::INFINITY] {
        let found = refused(&case, &hops(UniformChannel { above, ..channel }, 1));
        assert!(found.starts_with("rule.channels.above is"), "{found}");
    }
    let field = refused(&case, &hops(UniformChannel { reach: Reach::Diffusive, ..channel }, 2));
    assert!(
        field.starts_with("rule.channels.reach is 'diffusive'; allowed: with two hops or more"),
        "{field}"
    );
    let names = case.model.network().type_names();
    let listed = |kernel, from: usize| Channel {
        name: format!("from {from}"),
        from: names[from].clone(),
        to: names[0].clone(),
        gain: MEAN,
        reach: Reach::Synaptic,
        kernel,
        factor: 1.0,
        above: 0.0,
    };
    let list = vec![listed(channel.kernel, 0), listed(TimeCourse::Exact, 1)];
    let mixed = refused(&case, &Rule { channels: Channels::List(list), ..Rule::mdgl_membrane_hops(2) });
    assert_eq!(
        mixed,
        "rule.channels.kernel is 'membrane' and 'exact'; allowed: with two hops or more: one kernel for all channels"
    );
    let delayed = Case::<f64>::new(&shape.delayed_spec(3));
    let online = refused(&delayed, &Rule::mdgl_membrane_hops(2).online());
    assert!(online.starts_with("rule.hops is 2; allowed: with estimator 'online' and delays"), "{online}");
    Rule::mdgl_membrane_hops(2).validate_for(delayed.model.network()).unwrap();
    Rule::mdgl_above().online().validate_for(delayed.model.network()).unwrap();
}

/// Many hops through many kinds of cells need more traces than there is memory for: the call says so at once.
#[test]
fn more_traces_than_memory_are_refused() {
    let shape = crate::common::Shape {
        seed: 5,
        n_in: 3,
        n_rec: 12,
        n_out: 2,
        steps: 20,
        trials: 1,
        types: 2,
        loss: 0,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.spec());
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    let learned = |rule: &Rule| gradients(&case.model, case.assignment(), rule, None, &workers, &cancel);
    let refused = learned(&Rule::mdgl_membrane_hops(64).online());
    assert!(matches!(refused, Err(Error::Memory { .. })), "{:?}", refused.map(|_| "a gradient"));
    learned(&Rule::mdgl_membrane_hops(64)).unwrap();
}

#[test]
fn a_share_is_written_only_where_it_is_given() {
    let plain = serde_json::to_string(&Rule::mdgl_membrane()).unwrap();
    assert!(!plain.contains("above"), "{plain}");
    let strong = serde_json::to_string(&Rule::mdgl_above()).unwrap();
    assert!(strong.contains("\"above\":0.3"), "{strong}");
    assert_eq!(serde_json::from_str::<Rule>(&strong).unwrap(), Rule::mdgl_above());
}
