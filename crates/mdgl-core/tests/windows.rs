//! Class targets with windows: several answers within one trial.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, Shape, best, shapes};
use mdgl_core::{
    ClassWindow, CounterRng, CustomLoss, CustomTerm, Error, Evaluation, Forward, Gradients, Objective, Rule,
    Score, Targets, Workers, gradients,
};
use proptest::prelude::*;
use serde_json::json;

/// The case with another loss at its readout.
fn with_loss(mut case: Case<f64>, kind: &str, targets: Targets) -> Case<f64> {
    case.objective = serde_json::from_value(json!({
        "losses": [{"readout": "out", "kind": kind}], "regulariser": case.objective.regulariser
    }))
    .unwrap();
    case.batch.targets = vec![targets];
    case
}

fn learned(case: &Case<f64>, rule: &Rule) -> (Evaluation, Gradients<f64>) {
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    gradients(&case.model, case.assignment(), rule, None, &workers, &cancel).unwrap()
}

/// Windows at random: some trials have none, some several, some one that ends with the trial; at least one in all.
fn windows(shape: &Shape) -> Vec<ClassWindow> {
    let rng = &mut CounterRng::new(shape.seed, 3, 0, 0);
    let mut windows = Vec::new();
    for trial in 0..shape.trials as u32 {
        let mut free = 0;
        while free < shape.steps as u32 && rng.below(3) > 0 {
            let from = free + rng.below(shape.steps as u32 - free);
            let to = from + 1 + rng.below(shape.steps as u32 - from);
            windows.push(ClassWindow { trial, steps: from..to, class: rng.below(shape.n_out as u32) });
            free = to;
        }
    }
    if windows.is_empty() {
        windows.push(ClassWindow { trial: 0, steps: 1..3, class: 0 });
    }
    windows
}

/// The loss, δ and accuracy of a readout `[trial][step][unit]`, by their definitions.
fn by_hand(shape: &Shape, windows: &[ClassWindow], readout: &[f64]) -> (f64, Vec<f64>, f64) {
    let (mut loss, mut right) = (0.0, 0);
    let mut delta = vec![0.0; readout.len()];
    for window in windows {
        let share = 1.0 / (windows.len() * window.steps.len()) as f64;
        let mut sums = vec![0.0; shape.n_out];
        for step in window.steps.clone() {
            let from = (window.trial as usize * shape.steps + step as usize) * shape.n_out;
            let y = &readout[from..from + shape.n_out];
            let total: f64 = y.iter().map(|y| y.exp()).sum();
            loss -= share * (y[window.class as usize].exp() / total).ln();
            for (k, y) in y.iter().enumerate() {
                let wanted = if k == window.class as usize { 1.0 } else { 0.0 };
                delta[from + k] = share * (y.exp() / total - wanted);
                sums[k] += y;
            }
        }
        let highest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        right += u64::from(sums.iter().position(|&sum| sum == highest) == Some(window.class as usize));
    }
    (loss, delta, right as f64 / windows.len() as f64)
}

proptest! {
    #![proptest_config(crate::common::config(64, 2024))]

    #[test]
    fn windows_at_the_trials_ends_are_a_common_window(shape in shapes(8, 40), window in 1..12u32) {
        let case = Case::<f64>::new(&Shape { loss: 2, ..shape.clone() }.spec());
        let classes: Vec<u32> = (0..shape.trials as u32).map(|trial| trial % shape.n_out as u32).collect();
        let end = shape.steps as u32;
        let window_of = |(trial, &class): (u32, &u32)| ClassWindow { trial, steps: end - window..end, class };
        let list = (0..).zip(&classes).map(window_of).collect();
        let own = with_loss(case, "windowed-cross-entropy", Targets::Windows(list));
        let mut common = Case::<f64>::new(&Shape { loss: 2, ..shape }.spec());
        common.objective = serde_json::from_value(json!({
            "losses": [{"readout": "out", "kind": "cross-entropy", "window": window}],
            "regulariser": common.objective.regulariser
        })).unwrap();
        common.batch.targets = vec![Targets::Classes(classes)];
        for rule in [Rule::bptt(), Rule::mdgl(), Rule::eprop().online()] {
            prop_assert_eq!(learned(&own, &rule), learned(&common, &rule));
        }
    }

    #[test]
    fn loss_accuracy_and_gradient_are_those_of_the_definition(shape in shapes(8, 40)) {
        let windows = windows(&shape);
        let case = Case::<f64>::new(&Shape { loss: 2, ..shape.clone() }.spec());
        let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
        let forward = Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap();
        let (loss, delta, accuracy) = by_hand(&shape, &windows, &forward.readout().unwrap());
        let custom = CustomLoss { forward, score: Score { delta, losses: vec![CustomTerm { loss, accuracy: Some(accuracy) }] } };
        let case = with_loss(case, "custom", Targets::None);
        let rule = Rule::mdgl();
        let (wanted, expected) =
            gradients(&case.model, case.assignment(), &rule, Some(custom), &workers, &cancel).unwrap();
        let case = with_loss(case, "windowed-cross-entropy", Targets::Windows(windows));
        let (evaluation, found) = learned(&case, &rule);
        prop_assert!((evaluation.loss - wanted.loss).abs() < 1e-12);
        prop_assert_eq!(evaluation.accuracy, wanted.accuracy);
        let error = case.distance(&found, &expected);
        prop_assert!(error < 1e-10, "{error:e}");
    }

    #[test]
    fn forward_and_backward_forms_agree(shape in shapes(6, 40)) {
        let windows = Targets::Windows(windows(&shape));
        let case = Case::<f64>::new(&Shape { loss: 2, ..shape }.spec());
        let case = with_loss(case, "windowed-cross-entropy", windows);
        for (backward, forward) in [
            (Rule::eprop(), Rule::eprop().online()),
            (Rule::mdgl(), Rule::mdgl().online()),
            (Rule::on_mdgl(), Rule::on_mdgl().online()),
            (Rule::bptt(), Rule::rtrl()),
        ] {
            let ((seen, backward), (found, forward)) = (learned(&case, &backward), learned(&case, &forward));
            prop_assert!((found.loss - seen.loss).abs() < 1e-12);
            prop_assert_eq!(found.accuracy, seen.accuracy);
            let error = case.distance(&forward, &backward);
            prop_assert!(error < 1e-9, "{error:e}");
        }
    }
}

#[test]
fn windows_that_do_not_fit_are_refused_by_name() {
    let shape = Shape {
        seed: 1,
        n_in: 2,
        n_rec: 4,
        n_out: 2,
        steps: 20,
        trials: 2,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let refused = |targets: Targets| {
        let case = with_loss(Case::<f64>::new(&shape.spec()), "windowed-cross-entropy", targets);
        let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
        match gradients(&case.model, case.assignment(), &Rule::eprop(), None, &workers, &cancel) {
            Err(Error::Invalid { path, .. }) => path,
            other => panic!("{other:?}"),
        }
    };
    let window = |trial, steps, class| ClassWindow { trial, steps, class };
    let good = || window(0, 2..5, 1);
    let with = |bad| Targets::Windows(vec![good(), bad]);
    assert_eq!(refused(Targets::Windows(vec![])), "targets.out");
    assert_eq!(refused(Targets::Classes(vec![0, 1])), "targets.out");
    assert_eq!(refused(with(window(2, 0..3, 0))), "targets.out[1].trial");
    assert_eq!(refused(with(window(1, 18..21, 0))), "targets.out[1].steps");
    assert_eq!(refused(with(window(1, 3..3, 0))), "targets.out[1].steps");
    assert_eq!(refused(with(window(0, 4..7, 0))), "targets.out[1].steps");
    assert_eq!(refused(with(window(0, 0..1, 0))), "targets.out[1].steps");
    assert_eq!(refused(with(window(1, 0..1, 2))), "targets.out[1].class");
}

#[test]
fn the_conventions_of_2020_know_no_windows() {
    let objective: Objective =
        serde_json::from_value(json!({"losses": [{"readout": "out", "kind": "windowed-cross-entropy"}]}))
            .unwrap();
    let description = json!({
        "schema": "mdgl-network/1", "conventions": "bellec2020", "inputs": [],
        "populations": [{"name": "a", "size": 2, "model": "lif"}],
        "readouts": [{"name": "out", "size": 2, "bias": false}],
        "projections": [{"from": "a", "to": "out", "density": 1}]
    });
    let network = mdgl_core::Network::new(serde_json::from_value(description).unwrap()).unwrap();
    let batch = mdgl_core::EncodedBatch {
        trials: 1,
        steps: 5,
        lengths: None,
        inputs: vec![],
        targets: vec![Targets::Windows(vec![ClassWindow { trial: 0, steps: 0..2, class: 1 }])],
        key: Default::default(),
        part: None,
    };
    let error = objective.validate(&network, &batch).unwrap_err().to_string();
    assert!(error.starts_with("loss.window is 'targets'; allowed: with conventions"), "{error}");
}
