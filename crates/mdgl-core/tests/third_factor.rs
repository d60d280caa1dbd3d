//! Rules computed outside the engine: their observations of a batch, and the gradient of the signal that they return.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, best, oracle, shapes};
use mdgl_core::{
    CounterRng, CustomTerm, Error, Gradients, Instructions, Objective, Observation, Observed, Optimiser,
    Real, Record, Rule, Score, Targets, ThirdFactor, Training, Workers, gradients_from_signal, observe,
    simulate, train_step, train_step_from_signal,
};
use proptest::prelude::*;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn workers<F: Real>(threads: usize, set: Instructions) -> Workers<F> {
    Workers::with_instructions(threads, set).unwrap()
}

fn observed<F: Real>(case: &Case<F>) -> (Observed<F>, Observation<F>) {
    let cancel = AtomicBool::new(false);
    observe(&case.model, case.assignment(), None, &workers(1, best()), &cancel).unwrap()
}

fn learned<F: Real>(case: &Case<F>, signal: &[f64], threads: usize, set: Instructions) -> Gradients<F> {
    let (workers, cancel) = (workers(threads, set), AtomicBool::new(false));
    let (observed, _) = observe(&case.model, case.assignment(), None, &workers, &cancel).unwrap();
    gradients_from_signal(&case.model, case.assignment(), ThirdFactor { observed, signal }, &workers, &cancel)
        .unwrap()
        .1
}

fn widen<F: Real>(values: &[F]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

/// L_t + Γ_t+1 of a built-in rule, from what the engine records of it.
fn recorded<F: Real>(case: &Case<F>, rule: &Rule) -> Vec<f64> {
    let record = Record { signals: Some((&case.objective, rule)), ..Record::default() };
    let cancel = AtomicBool::new(false);
    let recording = simulate(&case.model, &case.batch, record, &workers(1, best()), &cancel).unwrap();
    let (learning, modulation) = (widen(&recording.learning_signal), widen(&recording.modulatory_signal));
    let (steps, neurons) = (case.batch.steps, case.model.network().size());
    let at = |i: usize| match i / neurons % steps + 1 == steps {
        true => learning[i],
        false => learning[i] + modulation[i + neurons],
    };
    (0..learning.len()).map(at).collect()
}

fn flat(cube: &oracle::Cube) -> Vec<f64> {
    cube.iter().flatten().flatten().copied().collect()
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    let most = expected.iter().fold(1e-300f64, |most, x| most.max(x.abs()));
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9 * most)
}

fn bits<F: Real>(case: &Case<F>, gradients: &Gradients<F>) -> Vec<u64> {
    let count = case.model.network().projections().len();
    let all = (0..count).flat_map(|i| gradients.projection(i)).chain(gradients.bias(0));
    all.map(|x| x.to_f64().to_bits()).collect()
}

proptest! {
    #![proptest_config(crate::common::config(64, 2018))]

    #[test]
    fn the_gradient_of_any_signal_is_its_sum_over_eligibility_traces(shape in shapes(9, 60), delay in 1..5usize) {
        let spec = shape.delayed_spec(delay);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let rng = &mut CounterRng::new(shape.seed, 1, 0, 0);
        let mut row = || (0..spec.n_rec).map(|_| rng.normal()).collect();
        let mut trial = || (0..spec.steps).map(|_| row()).collect();
        let signal: oracle::Cube = (0..shape.trials).map(|_| trial()).collect();
        let found = learned(&case, &flat(&signal), 1, best());
        let error = case.distance_to(&found, &oracle::gradient_of_signal(&spec, &run, &signal));
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn a_rule_is_shown_what_happened(shape in shapes(9, 60)) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let (_, seen) = observed(&Case::<f64>::new(&spec));
        let mut z = vec![0.0; flat(&run.z).len()];
        for event in &seen.spikes {
            z[(event.trial as usize * spec.steps + event.step as usize) * spec.n_rec + event.unit as usize] = 1.0;
        }
        prop_assert_eq!(z, flat(&run.z));
        prop_assert!(close(&seen.voltage, &flat(&run.v)), "voltage");
        prop_assert!(close(&seen.psi, &flat(&run.psi)), "psi");
        prop_assert!(close(&seen.readout, &flat(&run.y)), "readout");
        prop_assert!(close(&seen.error, &flat(&run.delta)), "error");
        prop_assert!(close(&seen.learning_signal, &flat(&run.signal)), "learning signal");
    }

    #[test]
    fn the_learning_signal_alone_is_eprop(shape in shapes(12, 60)) {
        let case = Case::<f32>::new(&shape.spec());
        let signal = widen(&observed(&case).1.learning_signal);
        let found = learned(&case, &signal, 1, best());
        // The sign of a zero may differ: a cell without a signal has none in the one and 0 in the other.
        let zeroless = |gradients| bits(&case, gradients).into_iter().map(|x| if x << 1 == 0 { 0 } else { x });
        prop_assert!(zeroless(&found).eq(zeroless(&case.gradients(&Rule::eprop()))));
    }

    #[test]
    fn the_signals_of_the_built_in_rules_give_their_gradients(shape in shapes(12, 60)) {
        let case = Case::<f64>::new(&shape.spec());
        for rule in [Rule::mdgl(), Rule::mdgl_cell(), Rule::nl_mdgl(), Rule::with_hops(1), Rule::bptt()] {
            let found = learned(&case, &recorded(&case, &rule), 1, best());
            let error = case.distance(&found, &case.gradients(&rule));
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 60)) {
        let case = Case::<f32>::new(&crate::common::Shape { trials: 30 + shape.trials, ..shape }.spec());
        let signal = recorded(&case, &Rule::mdgl());
        let twin = bits(&case, &learned(&case, &signal, 1, Instructions::FusedTwin));
        for set in Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused") {
            for threads in [1, 3] {
                prop_assert_eq!(&bits(&case, &learned(&case, &signal, threads, set)), &twin);
            }
        }
    }

    #[test]
    fn a_loss_from_outside_with_the_same_errors_gives_the_same(shape in shapes(9, 40)) {
        let mut case = Case::<f64>::new(&shape.spec());
        let (_, theirs) = observed(&case);
        let expected = learned(&case, &theirs.learning_signal, 1, best());
        case.objective = serde_json::from_value(serde_json::json!({
            "losses": [{"readout": "out", "kind": "custom"}], "regulariser": case.objective.regulariser
        })).unwrap();
        case.batch.targets = vec![Targets::None];
        let score = Score { delta: theirs.error.clone(), losses: vec![CustomTerm { loss: 1.5, accuracy: Some(0.5) }] };
        let (workers, cancel) = (workers(1, best()), AtomicBool::new(false));
        let (waiting, seen) =
            observe(&case.model, case.assignment(), Some(&score), &workers, &cancel).unwrap();
        prop_assert!(close(&seen.learning_signal, &theirs.learning_signal));
        let signal = &seen.learning_signal;
        let (evaluation, found) =
            gradients_from_signal(&case.model, case.assignment(), ThirdFactor { observed: waiting, signal }, &workers, &cancel).unwrap();
        prop_assert_eq!((evaluation.loss, evaluation.accuracy), (1.5, Some(0.5)));
        prop_assert!(case.distance(&found, &expected) < 1e-12);
    }

    /// The signal of steps beyond a trial's end changes nothing.
    #[test]
    fn a_shorter_trial_ends_where_it_ends(shape in shapes(9, 40), junk in -1e6..1e6f64) {
        let shape = crate::common::Shape { trials: 2 + shape.trials % 4, loss: 0, ..shape };
        let mut case = Case::<f64>::new(&shape.spec());
        let length = |trial: usize| if trial == 0 { shape.steps } else { shape.steps / 2 + trial };
        let lengths: Vec<u32> = (0..shape.trials).map(|trial| length(trial) as u32).collect();
        let mdgl_core::Input::Events(events) = &mut case.batch.inputs[0] else { unreachable!() };
        events.retain(|event| event.step < lengths[event.trial as usize]);
        case.batch.lengths = Some(lengths);
        let (_, seen) = observed(&case);
        let (mut signal, n) = (seen.learning_signal.clone(), case.model.network().size());
        let clean = bits(&case, &learned(&case, &signal, 1, best()));
        for trial in 1..shape.trials {
            let from = (trial * shape.steps + length(trial)) * n;
            signal[from..(trial + 1) * shape.steps * n].fill(junk);
            prop_assert!(seen.psi[from..(trial + 1) * shape.steps * n].iter().all(|&psi| psi == 0.0));
        }
        prop_assert_eq!(bits(&case, &learned(&case, &signal, 1, best())), clean);
        let error = case.distance(&learned(&case, &signal, 1, best()), &case.gradients(&Rule::eprop()));
        prop_assert!(error < 1e-12, "{error:e}");
    }
}

fn small_case() -> Case<f64> {
    let shape = crate::common::Shape {
        seed: 5,
        n_in: 3,
        n_rec: 6,
        n_out: 2,
        steps: 30,
        trials: 3,
        types: 2,
        loss: 1,
        regularised: true,
    };
    Case::new(&shape.spec())
}

#[test]
fn a_training_step_from_eprops_signal_is_eprops_step() {
    let case = small_case();
    let (workers, cancel) = (workers(2, best()), AtomicBool::new(false));
    let optimiser: Optimiser =
        serde_json::from_value(serde_json::json!({"kind": "adam", "learningRate": 0.01})).unwrap();
    let (waiting, seen) = observe(&case.model, case.assignment(), None, &workers, &cancel).unwrap();
    let signal = &seen.learning_signal;
    let (found, report) = train_step_from_signal(
        &case.model,
        case.assignment(),
        ThirdFactor { observed: waiting, signal },
        &optimiser,
        &workers,
        &cancel,
    )
    .unwrap();
    let (expected, theirs) = train_step(
        &case.model,
        case.assignment(),
        Training { rule: &Rule::eprop(), optimiser: &optimiser },
        None,
        &workers,
        &cancel,
    )
    .unwrap();
    assert_eq!(report, theirs);
    for synapses in case.model.network().projections() {
        assert_eq!(found.weights(synapses.name()).unwrap(), expected.weights(synapses.name()).unwrap());
    }
}

#[test]
fn signals_that_do_not_fit_are_refused_by_name() {
    let case = small_case();
    let (workers, cancel) = (workers(1, best()), AtomicBool::new(false));
    let refuse = |change: fn(&mut Vec<f64>), wanted: &str| {
        let (waiting, seen) = observe(&case.model, case.assignment(), None, &workers, &cancel).unwrap();
        let mut signal = seen.learning_signal;
        change(&mut signal);
        let result = gradients_from_signal(
            &case.model,
            case.assignment(),
            ThirdFactor { observed: waiting, signal: &signal },
            &workers,
            &cancel,
        );
        match result {
            Err(Error::Invalid { path, .. }) => assert_eq!(path, wanted),
            other => panic!("{other:?}"),
        }
    };
    refuse(|signal| signal.truncate(7), "signal");
    refuse(|signal| signal[4] = f64::NAN, "signal[4]");
    refuse(|signal| signal[5] = f64::INFINITY, "signal[5]");
}

#[test]
fn another_batch_than_the_one_observed_is_refused() {
    let case = small_case();
    let (workers, cancel) = (workers(1, best()), AtomicBool::new(false));
    let (waiting, seen) = observed(&case);
    let mut other = small_case();
    other.batch.trials = 2;
    other.batch.targets = match &other.batch.targets[0] {
        Targets::Classes(classes) => vec![Targets::Classes(classes[..2].to_vec())],
        _ => unreachable!(),
    };
    let signal = &seen.learning_signal;
    let result = gradients_from_signal(
        &other.model,
        other.assignment(),
        ThirdFactor { observed: waiting, signal },
        &workers,
        &cancel,
    );
    assert!(matches!(result, Err(Error::Invalid { path, .. }) if path == "batch"));
}

#[test]
fn a_custom_loss_without_a_score_is_refused() {
    let mut case = small_case();
    case.objective = Objective {
        losses: serde_json::from_value(serde_json::json!([{"readout": "out", "kind": "custom"}])).unwrap(),
        regulariser: None,
    };
    case.batch.targets = vec![Targets::None];
    let cancel = AtomicBool::new(false);
    let result = observe(&case.model, case.assignment(), None, &workers(1, best()), &cancel);
    assert!(matches!(result, Err(Error::Invalid { path, .. }) if path == "loss"));
}
