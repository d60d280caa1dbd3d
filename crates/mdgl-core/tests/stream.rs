//! Streams: the block's online form step by step, updates in between, states as values, and refusals.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::Spec;
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::description::rule::{Channels, Trace};
use mdgl_core::{
    Error, Input, InputsInTransit, Instructions, Loss, Method, Model, Optimiser, Real, Record, Rule,
    StepInput, Stream, StreamState, StreamTarget, Target, Targets, Training, Workers, simulate, train_step,
};
use proptest::prelude::*;

fn rules() -> [Rule; 12] {
    [
        Rule::eprop().online(),
        Rule::mdgl().online(),
        Rule::on_mdgl().online(),
        Rule::rflo(),
        Rule::mdgl_cell().online(),
        Rule::nl_mdgl().online(),
        Rule { trace: Trace::Rflo, ..Rule::mdgl().online() },
        Rule::mdgl_membrane().online(),
        Rule::mdgl_membrane_hops(2).online(),
        Rule::mdgl_above().online(),
        Rule { channels: exponentials(), ..Rule::mdgl().online() },
        Rule::eprop_diffusive().online(),
    ]
}

/// Those that the network knows: several hops have no online form with delays.
fn rules_of<F: Real>(case: &Case<F>) -> impl Iterator<Item = Rule> {
    rules().into_iter().filter(|rule| rule.validate_for(case.model.network()).is_ok())
}

fn exponentials() -> Channels {
    serde_json::from_value(serde_json::json!({
        "gain": 0.1, "reach": "nonlocal", "kernel": {"tauRise": 3, "tauDecay": 15}
    }))
    .unwrap()
}

/// Large steps of which many weights die: the update depends on every bit of the gradient.
fn descent() -> Optimiser {
    Optimiser {
        method: Method::GradientDescent { learning_rate: 0.5.into() },
        l1: 0.02,
        ..Optimiser::fig_3c()
    }
}

/// One trial of a case, as a caller would give it step by step.
struct Trial<'a, F: Real> {
    case: &'a Case<F>,
    /// Units of the input's events, a list per step.
    events: Vec<Vec<u32>>,
}

impl<'a, F: Real> Trial<'a, F> {
    fn new(case: &'a Case<F>) -> Self {
        let mut events = vec![Vec::new(); case.batch.steps];
        let Input::Events(given) = &case.batch.inputs[0] else { unreachable!() };
        for event in given.iter().filter(|event| event.trial == 0) {
            let repeated = std::iter::repeat_n(event.unit, event.count as usize);
            events[event.step as usize].extend(repeated);
        }
        Self { case, events }
    }

    /// Runs some steps, with errors where the case's loss counts; returns spikes, readouts and loss.
    fn run(&self, stream: &mut Stream<F>, steps: std::ops::Range<usize>) -> (Vec<Vec<u32>>, Vec<F>, f64) {
        let (mut spikes, mut readout, mut loss) = (Vec::new(), Vec::new(), 0.0);
        for t in steps {
            stream.step(&[StepInput::Events(&self.events[t])]).unwrap();
            spikes.push(stream.spikes().collect());
            readout.extend(stream.readout());
            loss += self.learn(stream, t);
        }
        (spikes, readout, loss)
    }

    fn learn(&self, stream: &mut Stream<F>, t: usize) -> f64 {
        let k = self.case.model.network().output_units();
        let (target, weight) = match (self.case.objective.losses[0].loss, &self.case.batch.targets[0]) {
            (Loss::CrossEntropy { window }, Targets::Classes(classes)) => {
                if t + (window as usize) < self.case.batch.steps {
                    return 0.0;
                }
                (Target::Class(classes[0] as usize), 1.0 / f64::from(window))
            }
            (_, Targets::Values(values)) => (Target::Values(&values[t * k..(t + 1) * k]), 1.0),
            _ => unreachable!(),
        };
        stream.add_loss(&[StreamTarget { readout: 0, target, weight }]).unwrap()
    }
}

fn bytes<F: Real>(model: &Model<F>) -> Vec<u8> {
    model.to_safetensors().unwrap()
}

/// Delays between neurons alone, or from inputs too.
fn spec_of(shape: &Shape, delay: usize) -> Spec {
    if shape.seed.is_multiple_of(2) { shape.delayed_spec(delay) } else { shape.synaptic_spec(delay) }
}

/// Spikes, readouts, gradient norm and updated weights of a trial: stepped, and as a batch of one.
fn stream_is_block<F: Real>(shape: &Shape, delay: usize, set: Instructions) {
    let shape = Shape { trials: 1, regularised: false, ..shape.clone() };
    let case = Case::<F>::new(&spec_of(&shape, delay));
    let trial = Trial::new(&case);
    let workers = Workers::with_instructions(1, set).unwrap();
    let cancel = AtomicBool::new(false);
    let recording = simulate(&case.model, &case.batch, Record::default(), &workers, &cancel).unwrap();
    for rule in rules_of(&case) {
        for optimiser in [Optimiser::fig_3c(), descent()] {
            let mut stream = Stream::with_instructions(&case.model, &rule, &optimiser, 0, set).unwrap();
            let (spikes, readout, loss) = trial.run(&mut stream, 0..case.batch.steps);
            let events = recording.spikes.iter().map(|event| (event.step, event.unit));
            let found = (0..).zip(&spikes).flat_map(|(t, units)| units.iter().map(move |&unit| (t, unit)));
            assert!(found.eq(events), "{rule:?}");
            assert!(readout == recording.readout, "{rule:?}");
            let (next, applied) = stream.update(&case.model).unwrap();
            let (expected, report) = train_step(
                &case.model,
                case.assignment(),
                Training { rule: &rule, optimiser: &optimiser },
                None,
                &workers,
                &cancel,
            )
            .unwrap();
            assert!((loss - report.evaluation.loss).abs() <= 1e-12 * loss.abs(), "{rule:?}");
            assert_eq!(applied.gradient_norm, report.gradient_norm, "{rule:?}");
            assert!(bytes(&next) == bytes(&expected), "{rule:?}");
        }
    }
}

proptest! {
    #![proptest_config(crate::common::config(48, 2026))]

    #[test]
    fn a_stream_and_one_update_are_a_training_step(shape in shapes(12, 80), delay in 1..6usize) {
        stream_is_block::<f64>(&shape, delay, best());
        stream_is_block::<f32>(&shape, delay, best());
    }

    #[test]
    fn on_every_instruction_set(shape in shapes(8, 40), delay in 1..4usize) {
        for set in [Instructions::FusedTwin, Instructions::Portable] {
            stream_is_block::<f32>(&shape, delay, set);
        }
    }

    /// A fresh stream with the state of another continues as the other does: outputs, traces, gradient. The state is
    /// taken after an update, so that mean weights and dead synapses are those of the new weights.
    #[test]
    fn a_state_put_back_goes_on_with_the_same_bits(shape in shapes(12, 80), at in 1..12usize, delay in 1..9usize) {
        states_go_on::<f64>(&shape, delay, at);
        states_go_on::<f32>(&shape, delay, at);
    }
}

fn states_go_on<F: Real>(shape: &Shape, delay: usize, at: usize) {
    let shape = Shape { trials: 1, regularised: false, loss: 2, ..shape.clone() };
    let case = Case::<F>::new(&spec_of(&shape, delay));
    let trial = Trial::new(&case);
    let steps = case.batch.steps;
    for rule in rules_of(&case) {
        let mut straight = Stream::new(&case.model, &rule, &descent(), 3).unwrap();
        trial.run(&mut straight, 0..at);
        let (model, _) = straight.update(&case.model).unwrap();
        let state = straight.state().unwrap();
        assert_eq!(state.steps, at as u64);
        let expected = trial.run(&mut straight, at..steps);

        let mut other = Stream::new(&model, &rule, &descent(), 3).unwrap();
        other.restore(&state).unwrap();
        assert!(other.state().unwrap() == state);
        assert!(trial.run(&mut other, at..steps) == expected, "{rule:?}");
        assert!(other.state().unwrap() == straight.state().unwrap(), "{rule:?}");
        let (next, applied) = other.update(&model).unwrap();
        let (expected, report) = straight.update(&model).unwrap();
        assert_eq!(applied, report);
        assert!(bytes(&next) == bytes(&expected), "{rule:?}");
    }
}

/// The sum over two trials, with a reset between them, is the gradient of both.
#[test]
fn a_reset_keeps_what_was_learned_and_begins_a_trial() {
    let shape = shape();
    let case = Case::<f64>::new(&shape.spec());
    let trial = Trial::new(&case);
    let optimiser = Optimiser { l1: 0.0, ..descent() };
    let rule = Rule::mdgl().online();
    let update = |trials: usize| {
        let mut stream = Stream::new(&case.model, &rule, &optimiser, 1).unwrap();
        let begin = stream.state().unwrap();
        for _ in 0..trials {
            trial.run(&mut stream, 0..case.batch.steps);
            stream.reset().unwrap();
            assert!(stream.state().unwrap() == begin);
        }
        stream.update(&case.model).unwrap().1
    };
    let (one, two) = (update(1), update(2));
    assert!((two.gradient_norm - 2.0 * one.gradient_norm).abs() < 1e-12 * two.gradient_norm);
    assert_eq!((one.steps, two.steps), (30, 60));
}

/// Lessons of one step add up, and copying the state does not change them.
#[test]
fn errors_of_a_step_add_up() {
    let case = Case::<f64>::new(&shape().spec());
    let trial = Trial::new(&case);
    let rule = Rule::on_mdgl().online();
    let norm = |errors: &[f64]| {
        let mut stream = Stream::new(&case.model, &rule, &descent(), 1).unwrap();
        for events in &trial.events {
            stream.step(&[StepInput::Events(events)]).unwrap();
            for &error in errors {
                let given = [error, -0.5 * error];
                let target = StreamTarget { readout: 0, target: Target::Error(&given), weight: 1.0 };
                assert_eq!(stream.add_loss(&[target]).unwrap(), 0.0);
                stream.state().unwrap();
            }
        }
        stream.update(&case.model).unwrap().1.gradient_norm
    };
    assert!(norm(&[0.75]) > 0.0);
    assert_eq!(norm(&[0.25, 0.5]), norm(&[0.75]));
    assert_eq!(norm(&[]), 0.0);
}

fn shape() -> Shape {
    Shape {
        seed: 7,
        n_in: 3,
        n_rec: 8,
        n_out: 2,
        steps: 30,
        trials: 1,
        types: 2,
        loss: 2,
        regularised: false,
    }
}

#[test]
fn what_does_not_fit_a_stream_is_refused_and_changes_nothing() {
    let case = Case::<f32>::new(&shape().spec());
    let refused = |result: Result<(), Error>, path: &str| match result {
        Err(Error::Invalid { path: found, .. }) => assert_eq!(found, path),
        other => panic!("{path}: {other:?}"),
    };
    for rule in [Rule::mdgl(), Rule::bptt(), Rule::rtrl()] {
        let result = Stream::new(&case.model, &rule, &descent(), 1);
        refused(result.map(drop), "rule.estimator");
    }
    let mut stream = Stream::new(&case.model, &Rule::rflo(), &descent(), 1).unwrap();
    let target = |target, weight| [StreamTarget { readout: 0, target, weight }];
    refused(stream.add_loss(&target(Target::Class(0), 1.0)).map(drop), "addLoss");
    stream.step(&[StepInput::Events(&[0, 2, 2])]).unwrap();
    let before = stream.state().unwrap();
    refused(stream.step(&[]), "input");
    refused(stream.step(&[StepInput::Events(&[0, 3])]), "input.in[1]");
    refused(stream.step(&[StepInput::Analogue(&[0.0; 2])]), "input.in");
    refused(stream.step(&[StepInput::Analogue(&[0.0, f64::NAN, 0.0])]), "input.in[1]");
    refused(stream.step(&[StepInput::Analogue(&[0.0, 0.0, 1e300])]), "input.in[2]");
    let nan = [0.0, f64::NAN];
    refused(stream.add_loss(&target(Target::Class(2), 1.0)).map(drop), "targets.out.target");
    refused(stream.add_loss(&target(Target::Class(0), f64::INFINITY)).map(drop), "targets.out.weight");
    refused(stream.add_loss(&target(Target::Values(&[1.0]), 1.0)).map(drop), "targets.out.target");
    refused(stream.add_loss(&target(Target::Error(&nan), 1.0)).map(drop), "targets.out.error[1]");
    let unknown = StreamTarget { readout: 1, target: Target::Class(0), weight: 1.0 };
    refused(stream.add_loss(&[unknown]).map(drop), "targets.readout");
    let too_large = target(Target::Error(&[1e30, 0.0]), 1e30);
    assert!(matches!(stream.add_loss(&too_large), Err(Error::NotFinite { .. })));

    let wrong = |change: &dyn Fn(&mut StreamState<f32>)| {
        let mut state = before.clone();
        change(&mut state);
        state
    };
    refused(stream.restore(&wrong(&|s| s.traces.truncate(3))), "state.traces");
    refused(stream.restore(&wrong(&|s| s.membrane[2] = f32::NAN)), "state.membrane[2]");
    refused(stream.restore(&wrong(&|s| s.refractory[0] = 1000)), "state.refractory[0]");
    refused(stream.restore(&wrong(&|s| s.refractory.clear())), "state.refractory");
    refused(stream.restore(&wrong(&|s| s.spikes = vec![8])), "state.spikes");
    refused(stream.restore(&wrong(&|s| s.spikes = vec![3, 1])), "state.spikes");
    assert!(stream.state().unwrap() == before);

    let other = Case::<f32>::new(&shape().spec());
    refused(stream.update(&other.model).map(drop), "model");
    assert_eq!(stream.update(&case.model).unwrap().1.gradient_norm, 0.0);
}

#[test]
fn spikes_in_transit_that_cannot_be_are_refused() {
    let case = Case::<f64>::new(&Shape { steps: 60, ..shape() }.delayed_spec(6));
    let trial = Trial::new(&case);
    let mut stream = Stream::new(&case.model, &Rule::mdgl().online(), &descent(), 1).unwrap();
    trial.run(&mut stream, 0..40);
    let state = stream.state().unwrap();
    assert!(!state.in_transit.is_empty());
    for wrong in [
        state.in_transit[1..].to_vec(),
        state.in_transit.iter().rev().copied().collect(),
        vec![[1, 8]],
        vec![[0, 1]],
        vec![[6, 1]],
    ] {
        let result = stream.restore(&StreamState { in_transit: wrong.clone(), ..state.clone() });
        let path = result.map_err(|error| match error {
            Error::Invalid { path, .. } => path,
            other => other.to_string(),
        });
        // A spike outside every refractory period may be left out.
        let forgotten = wrong.len() + 1 == state.in_transit.len() && path.is_ok();
        assert!(forgotten || path == Err("state.inTransit".into()), "{wrong:?}");
    }
}

/// Errors beyond the precision: the model stays, the gradient is dropped, the next update works.
#[test]
fn a_gradient_that_is_not_finite_is_dropped() {
    let case = Case::<f32>::new(&shape().spec());
    let trial = Trial::new(&case);
    let mut stream = Stream::new(&case.model, &Rule::eprop().online(), &descent(), 1).unwrap();
    let huge = [3e38, 3e38];
    for events in &trial.events {
        stream.step(&[StepInput::Events(events)]).unwrap();
        stream.add_loss(&[StreamTarget { readout: 0, target: Target::Error(&huge), weight: 1.0 }]).unwrap();
    }
    assert!(matches!(stream.update(&case.model), Err(Error::NotFinite { .. })));
    let (_, applied) = stream.update(&case.model).unwrap();
    assert_eq!((applied.gradient_norm, applied.steps), (0.0, 0));
}

/// Inputs of steps that delays reach back to are a state's; others are refused.
#[test]
fn inputs_in_transit_that_cannot_be_are_refused() {
    let case = Case::<f64>::new(&shape().synaptic_spec(4));
    let trial = Trial::new(&case);
    let mut stream = Stream::new(&case.model, &Rule::mdgl().online(), &descent(), 1).unwrap();
    trial.run(&mut stream, 0..20);
    stream.step(&[StepInput::Analogue(&[0.5, 0.0, 1.0])]).unwrap();
    let state = stream.state().unwrap();
    let own = &state.inputs_in_transit;
    assert!(own.places == [[0, 0], [0, 1], [0, 2]] && own.values == [0.5, 0.0, 1.0]);
    let events = vec![[1, 0, 1]];
    for (wrong, path) in [
        (InputsInTransit { events: vec![[3, 0, 1]], ..own.clone() }, "state.inputsInTransit"),
        (InputsInTransit { events: vec![[1, 3, 1]], ..own.clone() }, "state.inputsInTransit"),
        (InputsInTransit { events: vec![[1, 0, 0]], ..own.clone() }, "state.inputsInTransit"),
        (InputsInTransit { events: vec![[1, 0, 1 << 16]], ..own.clone() }, "state.inputsInTransit"),
        (InputsInTransit { events: vec![[2, 0, 1], [1, 0, 1]], ..own.clone() }, "state.inputsInTransit"),
        (
            InputsInTransit { places: vec![[0, 3]], values: vec![1.0], events: events.clone() },
            "state.inputsInTransit",
        ),
        (InputsInTransit { values: vec![1.0], ..own.clone() }, "state.inputsInTransit.values"),
        (
            InputsInTransit { places: vec![[0, 0]], values: vec![f64::NAN], events },
            "state.inputsInTransit.values[0]",
        ),
    ] {
        match stream.restore(&StreamState { inputs_in_transit: wrong.clone(), ..state.clone() }) {
            Err(Error::Invalid { path: found, .. }) => assert_eq!(found, path, "{wrong:?}"),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    assert!(stream.state().unwrap() == state);
}

/// Analogue values in one step, events in the next: counts as values drive the network as events do, also those that delays
/// bring from earlier steps, and behind a state put back.
#[test]
fn a_population_may_change_the_kind_of_its_input() {
    for spec in [shape().spec(), shape().synaptic_spec(4)] {
        let case = Case::<f64>::new(&spec);
        let trial = Trial::new(&case);
        let rule = Rule::mdgl().online();
        let mut by_events = Stream::new(&case.model, &rule, &descent(), 1).unwrap();
        let mut by_values = Stream::new(&case.model, &rule, &descent(), 1).unwrap();
        for (t, events) in trial.events.iter().enumerate() {
            by_events.step(&[StepInput::Events(events)]).unwrap();
            let mut values = [0.0; 3];
            events.iter().for_each(|&unit| values[unit as usize] += 1.0);
            let input = if t % 2 == 0 { StepInput::Analogue(&values) } else { StepInput::Events(events) };
            by_values.step(&[input]).unwrap();
            trial.learn(&mut by_events, t);
            trial.learn(&mut by_values, t);
            let apart = by_events.readout().zip(by_values.readout()).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-12);
            if t % 5 == 3 {
                let state = by_values.state().unwrap();
                by_values.reset().unwrap();
                by_values.restore(&state).unwrap();
                assert!(by_values.state().unwrap() == state);
            }
        }
        let norms = [by_events, by_values].map(|mut s| s.update(&case.model).unwrap().1.gradient_norm);
        assert!((norms[0] - norms[1]).abs() < 1e-10 * norms[0]);
    }
}

/// The input of a step that failed is none of later steps, though delays reach back to it.
#[test]
fn a_step_that_failed_leaves_no_input_behind() {
    let mut spec = shape().synaptic_spec(4);
    spec.kappa = 0.5;
    spec.w_out.iter_mut().flatten().for_each(|weight| *weight = 3e38);
    spec.delay_in[0].fill(1);
    spec.w_in.iter_mut().flatten().for_each(|weight| *weight = weight.abs() + 0.1);
    let case = Case::<f32>::new(&spec);
    let rule = Rule::eprop().online();
    let mut stream = Stream::new(&case.model, &rule, &descent(), 1).unwrap();
    let mut other = Stream::new(&case.model, &rule, &descent(), 1).unwrap();
    let small = [1e-4, 2e-4, 3e-4];
    for t in 0..12 {
        let input = if t % 2 == 0 { StepInput::Analogue(&small) } else { StepInput::Silent };
        other.step(&[input]).unwrap();
        stream.step(&[input]).unwrap();
        for failing in [StepInput::Analogue(&[1e3; 3]), StepInput::Events(&[0; 2000])] {
            let failed = stream.step(&[failing]);
            assert!(matches!(failed, Err(Error::NotFinite { .. })), "{t}");
        }
        assert!(stream.state().unwrap() == other.state().unwrap(), "{t}");
    }
}
