//! The series of hops from e-prop to BPTT, and feedback weights other than the readout's.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, Shape, best, oracle, shapes};
use mdgl_core::description::rule::{
    AdaptiveFeedback, Channels, Estimator, Feedback, Hops, RandomFeedback, UniformChannel,
};
use mdgl_core::description::{Channel, Gain, Reach, TimeCourse, WeightGain};
use mdgl_core::{
    Assignment, CounterRng, CustomLoss, Forward, Gradients, Model, Objective, Optimiser, Rewiring, Rule,
    Score, Training, Workers, gradients, train_step,
};
use proptest::prelude::*;

fn along_weights(hops: u32, gain: WeightGain) -> Rule {
    let channel = UniformChannel {
        gain: Gain::Weights(gain),
        reach: Reach::Synaptic,
        kernel: TimeCourse::Exact,
        above: 0.0,
    };
    Rule { hops: Hops::Count(hops), channels: Channels::Uniform(channel), ..Rule::eprop() }
}

proptest! {
    #![proptest_config(crate::common::config(64, 2020))]

    #[test]
    fn as_many_hops_as_steps_along_the_true_weights_are_bptt(shape in shapes(8, 24)) {
        let case = Case::<f64>::new(&shape.spec());
        let found = case.gradients(&along_weights(shape.steps as u32, WeightGain::Weight));
        let error = case.distance(&found, &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-10, "{error:e}");
    }

    #[test]
    fn no_hop_is_eprop(shape in shapes(8, 40)) {
        let case = Case::<f64>::new(&shape.spec());
        let rule = Rule { channels: Channels::List(Vec::new()), ..along_weights(0, WeightGain::Weight) };
        prop_assert!(case.distance(&case.gradients(&rule), &case.gradients(&Rule::eprop())) == 0.0);
    }

    #[test]
    fn one_hop_with_the_cells_memory_is_the_sum_over_their_eligibilities(shape in shapes(10, 40)) {
        let spec = shape.spec();
        let case = Case::<f64>::new(&spec);
        let run = oracle::forward(&spec);
        let expected = oracle::gradient(&spec, &run, oracle::Rule::MdglExact);
        let error = case.distance_to(&case.gradients(&Rule::with_hops(1)), &expected);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    /// Two channels between the same types add up: an instantaneous one and one with memory.
    #[test]
    fn channels_of_both_kernels_add_up(shape in shapes(10, 40)) {
        let spec = shape.spec();
        let case = Case::<f64>::new(&spec);
        let names: Vec<String> = case.model.network().type_names().to_vec();
        let list = |kernels: &[TimeCourse]| {
            let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
            let channels = pairs.flat_map(|(from, to)| kernels.iter().map(move |&kernel| Channel {
                name: format!("{from}-{to}-{kernel:?}"),
                from: from.clone(),
                to: to.clone(),
                gain: Gain::Fixed(0.02),
                reach: if kernel == TimeCourse::Exact { Reach::Synaptic } else { Reach::Nonlocal },
                kernel,
                factor: 1.0,
                above: 0.0,
            }));
            case.gradients(&Rule { channels: Channels::List(channels.collect()), ..Rule::mdgl() })
        };
        let [both, exact, none] =
            [list(&[TimeCourse::Exact, TimeCourse::None]), list(&[TimeCourse::Exact]), list(&[TimeCourse::None])];
        let eprop = case.gradients(&Rule::eprop());
        for projection in 0..2 {
            let parts = exact.projection(projection).iter().zip(none.projection(projection));
            let sums = parts.zip(eprop.projection(projection)).map(|((a, b), c)| a + b - c);
            for (found, sum) in both.projection(projection).iter().zip(sums) {
                prop_assert!((found - sum).abs() < 1e-11 * both.norm().max(1e-9), "{found} {sum}");
            }
        }
    }

    /// Weights B in place of W_out: the gradient that W_out = B would give for the same errors.
    #[test]
    fn random_feedback_is_the_gradient_of_a_readout_with_those_weights(
        shape in shapes(10, 40), seed in any::<u64>(), density in prop::sample::select(vec![1.0, 0.4])
    ) {
        let spec = Shape { loss: 2, regularised: false, ..shape }.spec();
        let random = RandomFeedback { seed, density, standard_deviation: 0.7 };
        let mut rng = CounterRng::new(seed, 1007, 0, 0);
        let mut twin = spec.clone();
        for row in &mut twin.w_out {
            for weight in row {
                let (present, normal) = (rng.uniform() < density, rng.normal());
                *weight = if present { 0.7 * normal } else { 0.0 };
            }
        }
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::with_hops(2), Rule::mdgl().online()] {
            let with_random = Rule { feedback: Feedback::Fixed { random }, ..rule.clone() };
            let with_random = match rule.estimator {
                // The online form takes no errors from outside: compare it with the backward form.
                Estimator::Online => {
                    let case = Case::<f64>::new(&spec);
                    let backward = Rule { estimator: Estimator::Backward, ..with_random.clone() };
                    let error = case.distance(&case.gradients(&with_random), &case.gradients(&backward));
                    prop_assert!(error < 1e-10, "{error:e}");
                    continue;
                }
                _ => with_random,
            };
            let found = with_errors(&Case::new(&spec), &with_random);
            let expected = with_errors(&Case::new(&twin), &rule);
            for projection in 0..2 {
                let pairs = found.projection(projection).iter().zip(expected.projection(projection));
                for (a, b) in pairs {
                    prop_assert!((a - b).abs() < 1e-11 * expected.norm().max(1e-9), "{rule:?}: {a} {b}");
                }
            }
        }
    }
}

/// The gradient for errors that do not depend on the readout.
fn with_errors(case: &Case<f64>, rule: &Rule) -> Gradients<f64> {
    let workers = Workers::with_instructions(1, best()).unwrap();
    let cancel = AtomicBool::new(false);
    let forward = Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap();
    let delta = (0..forward.readout().unwrap().len()).map(|i| (i as f64 * 0.7).sin()).collect();
    let custom = CustomLoss { forward, score: Score::new(delta, 1.0) };
    let losses = serde_json::json!({"losses": [{"readout": "out", "kind": "custom"}]});
    let objective: Objective = serde_json::from_value(losses).unwrap();
    let assignment = Assignment { batch: &case.batch, objective: &objective };
    gradients(&case.model, assignment, rule, Some(custom), &workers, &cancel).unwrap().1
}

#[test]
fn what_has_no_equation_is_refused() {
    let case = Case::<f64>::new(
        &Shape {
            seed: 1,
            n_in: 2,
            n_rec: 4,
            n_out: 1,
            steps: 12,
            trials: 1,
            types: 2,
            loss: 0,
            regularised: false,
        }
        .spec(),
    );
    let workers = Workers::with_instructions(1, best()).unwrap();
    let refused = |rule: Rule| {
        let cancel = AtomicBool::new(false);
        gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap_err().to_string()
    };
    let random = |density, standard_deviation| Feedback::Fixed {
        random: RandomFeedback { seed: 1, density, standard_deviation },
    };
    assert!(
        refused(Rule { feedback: random(1.0, 1.0), ..Rule::bptt() }).starts_with("rule.feedback is {random}")
    );
    assert!(refused(Rule { feedback: random(0.0, 1.0), ..Rule::eprop() }).contains("density is 0"));
    assert!(
        refused(Rule { feedback: random(1.0, f64::NAN), ..Rule::eprop() })
            .contains("standardDeviation is NaN")
    );
    assert!(
        refused(Rule { hops: Hops::Count(2), ..Rule::mdgl() }).starts_with("rule.channels.kernel is 'none'")
    );
    assert!(refused(Rule::with_hops(65)).starts_with("rule.hops is 65"));
    assert!(refused(Rule::with_hops(1).online()).starts_with("rule.channels.kernel is 'exact'"));
}

/// W_out + share · D, `[neuron][unit]`.
fn feedback_of(model: &Model<f64>, adaptive: &AdaptiveFeedback, share: f64) -> Vec<Vec<f64>> {
    let synapses = model.projection("rec->out").unwrap();
    let mut rng = CounterRng::new(adaptive.seed, 1007, 0, 0);
    let (neurons, units) = synapses.sizes();
    let mut matrix = vec![vec![0.0; units]; neurons];
    for weight in matrix.iter_mut().flatten() {
        let (present, normal) = (rng.uniform() < adaptive.density, rng.normal());
        *weight = if present { share * adaptive.standard_deviation * normal } else { 0.0 };
    }
    let weights = model.weights("rec->out").unwrap();
    for ((&pre, &post), weight) in synapses.pre().iter().zip(synapses.post()).zip(weights) {
        matrix[pre as usize][post as usize] += weight;
    }
    matrix
}

proptest! {
    #![proptest_config(crate::common::config(32, 2021))]

    /// At every step of training adaptive feedback is a given matrix, and training differs from that with the matrix by
    /// the decay of the readout's weights alone.
    #[test]
    fn adaptive_feedback_is_the_readout_and_a_difference_that_decays(
        shape in shapes(8, 40), seed in any::<u64>(), weight_decay in 0.0..300.0f64
    ) {
        let mut case = Case::<f64>::new(&shape.spec());
        let adaptive = AdaptiveFeedback { seed, density: 0.7, standard_deviation: 0.5, weight_decay };
        let optimiser = Optimiser { rewiring: Rewiring::Off, l1: 0.0, ..Optimiser::fig_3c() };
        let kept = 1.0 - 0.0025 * weight_decay;
        let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
        let mut share = 1.0;
        for _ in 0..3 {
            for rule in [Rule::eprop(), Rule::mdgl(), Rule::with_hops(2)] {
                let adapting = Rule { feedback: Feedback::Adaptive { adaptive }, ..rule.clone() };
                let weights = feedback_of(&case.model, &adaptive, share);
                let fixed = Rule { feedback: Feedback::Given { weights }, ..rule };
                let error = case.distance(&case.gradients(&adapting), &case.gradients(&fixed));
                prop_assert!(error < 1e-11, "{error:e}");
            }
            let step = |feedback: Feedback| {
                let rule = Rule { feedback, ..Rule::mdgl() };
                train_step(&case.model, case.assignment(), Training { rule: &rule, optimiser: &optimiser }, None, &workers, &cancel).unwrap().0
            };
            let next = step(Feedback::Adaptive { adaptive });
            let given = step(Feedback::Given { weights: feedback_of(&case.model, &adaptive, share) });
            for (name, factor) in [("in->rec", 1.0), ("rec->rec", 1.0), ("rec->out", kept)] {
                for (a, b) in next.weights(name).unwrap().iter().zip(given.weights(name).unwrap()) {
                    prop_assert!((a - factor * b).abs() < 1e-7 * (1e-3 + b.abs()), "{name}: {a} {b}");
                }
            }
            share *= kept;
            case.model = next;
        }
        let read = Model::<f64>::from_safetensors(&case.model.to_safetensors().unwrap()).unwrap();
        let adapting = Rule { feedback: Feedback::Adaptive { adaptive }, ..Rule::eprop() };
        let before = case.gradients(&adapting);
        case.model = read;
        prop_assert!(case.distance(&case.gradients(&adapting), &before) == 0.0);
    }
}

#[test]
fn adaptive_feedback_cannot_lose_more_than_there_is() {
    let shape = Shape {
        seed: 1,
        n_in: 3,
        n_rec: 5,
        n_out: 2,
        steps: 20,
        trials: 2,
        types: 2,
        loss: 0,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.spec());
    for (weight_decay, path) in [(-1.0, "weightDecay"), (f64::NAN, "weightDecay"), (401.0, "weightDecay")] {
        let adaptive = AdaptiveFeedback { weight_decay, ..AdaptiveFeedback::default() };
        let rule = Rule { feedback: Feedback::Adaptive { adaptive }, ..Rule::eprop() };
        let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
        let optimiser = Optimiser::fig_3c();
        let error = train_step(
            &case.model,
            case.assignment(),
            Training { rule: &rule, optimiser: &optimiser },
            None,
            &workers,
            &cancel,
        );
        assert!(error.unwrap_err().to_string().contains(path));
    }
}

/// A channel's factor multiplies its gain: the part of the gradient that it carries is linear in it, and at 0 nothing is left of it.
#[test]
fn a_channel_is_perturbed_by_its_factor() {
    let shape = Shape {
        seed: 3,
        n_in: 3,
        n_rec: 14,
        n_out: 2,
        steps: 40,
        trials: 3,
        types: 2,
        loss: 0,
        regularised: true,
    };
    let case = Case::<f64>::new(&shape.spec());
    let types = case.model.network().type_names().to_vec();
    let rule = |gain: Gain, reach: Reach, factor: f64| {
        let between = types.iter().flat_map(|from| types.iter().map(move |to| (from, to)));
        let channel = |(from, to): (&String, &String)| Channel {
            name: format!("{from}->{to}"),
            from: from.clone(),
            to: to.clone(),
            gain,
            reach,
            kernel: TimeCourse::None,
            factor: if from == &types[0] { factor } else { 1.0 },
            above: 0.0,
        };
        Rule { channels: Channels::List(between.map(channel).collect()), ..Rule::mdgl() }
    };
    let mean = Gain::Weights(WeightGain::MeanWeight);
    for (gain, reach) in [
        (mean, Reach::Synaptic),
        (mean, Reach::Nonlocal),
        (Gain::Weights(WeightGain::Weight), Reach::Synaptic),
        (Gain::Fixed(0.3), Reach::Nonlocal),
        (Gain::Fixed(0.3), Reach::Synaptic),
    ] {
        let [none, one, three] = [0.0, 1.0, 3.0].map(|factor| case.gradients(&rule(gain, reach, factor)));
        let mut carried = 0.0f64;
        for i in 0..case.model.network().projections().len() {
            for ((&none, &one), &three) in
                none.projection(i).iter().zip(one.projection(i)).zip(three.projection(i))
            {
                let (part, thrice) = (one - none, three - none);
                assert!((thrice - 3.0 * part).abs() < 1e-12 * (1.0 + thrice.abs()), "{gain:?} {reach:?}");
                carried = carried.max(part.abs());
            }
        }
        assert!(carried > 0.0, "{gain:?} {reach:?}");
    }
    // Without a factor the written channels are those that every network has.
    let listed = case.gradients(&rule(mean, Reach::Synaptic, 1.0));
    assert!(listed == case.gradients(&Rule::mdgl()));
}
