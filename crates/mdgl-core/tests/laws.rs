//! Laws that hold for every network, checked on random ones.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, Shape, best, oracle, shapes};
use mdgl_core::description::rule::Channels;
use mdgl_core::{
    CustomLoss, EncodedBatch, Forward, Gradients, Input, Instructions, Objective, Rule, Score, Targets,
    Workers, gradients,
};
use proptest::prelude::*;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn equal_bits(case: &Case<f32>, a: &Gradients<f32>, b: &Gradients<f32>) -> bool {
    let count = case.model.network().projections().len();
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
    (0..count).all(|i| same(a.projection(i), b.projection(i))) && same(a.bias(0), b.bias(0))
}

proptest! {
    #![proptest_config(crate::common::config(96, 2021))]

    /// Real-time recurrent learning carries the full Jacobian forwards: an independent exact method.
    #[test]
    fn bptt_is_real_time_recurrent_learning(shape in shapes(6, 40)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let exact = oracle::gradient(&spec, &run, oracle::Rule::Rtrl);
        let error = case.distance_to(&case.gradients(&Rule::bptt()), &exact);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn local_rules_are_sums_over_eligibility_traces(shape in shapes(9, 60)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        for (rule, theirs) in [
            (Rule::eprop(), oracle::Rule::Eprop),
            (Rule::mdgl(), oracle::Rule::Mdgl),
            (Rule::mdgl_cell(), oracle::Rule::MdglCell),
            (Rule::nl_mdgl(), oracle::Rule::NlMdgl),
            (Rule::on_mdgl(), oracle::Rule::OnMdgl),
        ] {
            let expected = oracle::gradient(&spec, &run, theirs);
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    #[test]
    fn backward_form_is_online_form(shape in shapes(12, 80)) {
        let case = Case::<f64>::new(&shape.spec());
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::on_mdgl(), Rule::mdgl_cell(), Rule::nl_mdgl()] {
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn one_type_per_cell_is_cell_specific(shape in shapes(12, 60)) {
        let mut spec = shape.spec();
        spec.types = (0..spec.n_rec).collect();
        let case = Case::<f64>::new(&spec);
        let error = case.distance(&case.gradients(&Rule::mdgl()), &case.gradients(&Rule::mdgl_cell()));
        prop_assert!(error < 1e-12, "{error:e}");
    }

    #[test]
    fn no_channel_is_eprop(shape in shapes(12, 60)) {
        let case = Case::<f32>::new(&shape.spec());
        let silent = Rule { channels: Channels::List(Vec::new()), ..Rule::mdgl() };
        prop_assert!(equal_bits(&case, &case.gradients(&silent), &case.gradients(&Rule::eprop())));
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 80)) {
        let case = Case::<f32>::new(&Shape { trials: 16 * shape.types + shape.trials, ..shape }.spec());
        let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
        let sets: Vec<_> = sets.chain([Instructions::FusedTwin]).collect();
        let memory = [Rule::mdgl_membrane(), Rule::mdgl_membrane().online()];
        let rules = [Rule::bptt(), Rule::nl_mdgl(), Rule::on_mdgl(), Rule::mdgl().online()];
        for rule in rules.into_iter().chain(memory) {
            let twin = case.gradients_with(&rule, 1, Instructions::FusedTwin);
            for &set in &sets {
                for threads in [1, 2, 3] {
                    let found = case.gradients_with(&rule, threads, set);
                    prop_assert!(equal_bits(&case, &found, &twin), "{set:?} on {threads} threads");
                }
            }
        }
    }

    /// Storing a few steps of ψ and simulating the others again is the same computation.
    #[test]
    fn segments_give_the_same_bits(shape in shapes(12, 80), segment in 1..30usize) {
        let case = Case::<f32>::new(&shape.spec());
        let cancel = AtomicBool::new(false);
        for rule in [Rule::bptt(), Rule::mdgl(), Rule::on_mdgl(), Rule::mdgl_membrane()] {
            let workers = Workers::with_instructions(1, best()).unwrap().with_segment(segment).unwrap();
            let (_, found) =
                gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap();
            prop_assert!(equal_bits(&case, &found, &case.gradients(&rule)), "{rule:?}");
        }
    }

    /// A batch is the mean of its trials: also when they differ in length and fill no block.
    #[test]
    fn trials_of_different_lengths_are_independent(shape in shapes(8, 60)) {
        let shape = Shape { regularised: false, trials: 2 + shape.trials % 3, ..shape };
        let mut case = Case::<f64>::new(&shape.spec());
        let shortest = match case.objective.losses[0].loss {
            mdgl_core::Loss::CrossEntropy { window } => window,
            _ => 5,
        };
        let lengths: Vec<u32> =
            (0..shape.trials).map(|b| (shape.steps as u32).saturating_sub(7 * b as u32).max(shortest)).collect();
        cut_events(&mut case.batch, &lengths);
        case.batch.lengths = Some(lengths.clone());
        let rules = [Rule::bptt(), Rule::mdgl(), Rule::on_mdgl(), Rule::mdgl_membrane(), Rule::eprop().online()];
        for rule in rules {
            let whole = case.gradients(&rule);
            let singles: Vec<_> =
                (0..shape.trials).map(|b| single(&case, b, lengths[b]).gradients(&rule)).collect();
            for projection in 0..3 {
                for (synapse, &found) in whole.projection(projection).iter().enumerate() {
                    let sum: f64 = singles.iter().map(|g| g.projection(projection)[synapse]).sum();
                    let scale = whole.norm().max(1e-12);
                    prop_assert!((found - sum / shape.trials as f64).abs() < 1e-10 * scale);
                }
            }
        }
    }

    #[test]
    fn a_custom_loss_with_the_same_delta_gives_the_same_gradient(shape in shapes(8, 40)) {
        let spec = Shape { loss: 2, ..shape }.spec();
        let case = Case::<f64>::new(&spec);
        let workers = Workers::with_instructions(1, best()).unwrap();
        let cancel = AtomicBool::new(false);
        let forward = Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap();
        let Targets::Values(targets) = &case.batch.targets[0] else { unreachable!() };
        let scale = 1.0 / case.batch.trials as f64;
        let delta = forward.readout().unwrap().iter().zip(targets).map(|(y, target)| scale * (y - target)).collect();
        let custom = CustomLoss { forward, score: Score::new(delta, 1.0) };
        let objective: Objective = serde_json::from_value(serde_json::json!({
            "losses": [{"readout": "out", "kind": "custom"}], "regulariser": case.objective.regulariser
        })).unwrap();
        let assignment = mdgl_core::Assignment {
            batch: &case.batch, objective: &objective,
        };
        let rule = Rule::mdgl();
        let (evaluation, found) =
            gradients(&case.model, assignment, &rule, Some(custom), &workers, &cancel).unwrap();
        prop_assert_eq!(evaluation.loss, 1.0);
        prop_assert!(case.distance(&found, &case.gradients(&rule)) < 1e-12);
    }

    /// Counts as analogue values drive the network as the events themselves do.
    #[test]
    fn analogue_counts_are_events(shape in shapes(8, 40)) {
        let spec = shape.spec();
        let mut case = Case::<f64>::new(&spec);
        let rules = [Rule::bptt(), Rule::mdgl().online()];
        let by_events = rules.clone().map(|rule| case.gradients(&rule));
        case.batch.inputs = vec![Input::Analogue(spec.inputs.iter().flatten().flatten().copied().collect())];
        for (rule, expected) in rules.iter().zip(&by_events) {
            let error = case.distance(&case.gradients(rule), expected);
            prop_assert!(error < 1e-10, "{error:e}");
        }
    }
}

pub(crate) fn cut_events(batch: &mut EncodedBatch, lengths: &[u32]) {
    let Input::Events(events) = &mut batch.inputs[0] else { unreachable!() };
    events.retain(|event| event.step < lengths[event.trial as usize]);
}

/// One trial of a case as a batch of its own.
pub(crate) fn single(case: &Case<f64>, trial: usize, length: u32) -> Case<f64> {
    let Input::Events(events) = &case.batch.inputs[0] else { unreachable!() };
    let own = events.iter().filter(|e| e.trial as usize == trial);
    let events = own.map(|&e| mdgl_core::Event { trial: 0, ..e }).collect();
    let units = case.model.network().output_units();
    let targets = match &case.batch.targets[0] {
        Targets::Classes(classes) => Targets::Classes(vec![classes[trial]]),
        Targets::Values(values) => {
            let from = trial * case.batch.steps * units;
            Targets::Values(values[from..from + length as usize * units].to_vec())
        }
        other => other.clone(),
    };
    Case {
        model: case.model.clone(),
        batch: EncodedBatch {
            trials: 1,
            steps: length as usize,
            lengths: None,
            inputs: vec![Input::Events(events)],
            targets: vec![targets],
            key: case.batch.key,
            part: None,
        },
        objective: case.objective.clone(),
        first: case.first.clone(),
        more: case.more.clone(),
    }
}
