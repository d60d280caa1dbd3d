//! Finite results: whatever a step publishes or a call returns is finite, or the call fails with `NotFinite`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{
    Assignment, DrawKey, EncodedBatch, Error, Forward, Input, Method, Model, Network, Objective, Optimiser,
    Real, Rule, Score, Share, Sharing, StepInput, Stream, StreamTarget, Target, Targets, ThirdFactor,
    Training, Workers, evaluate, gradients, observe, train_step, train_step_from_signal,
};
use serde_json::{Value, json};

const STEPS: usize = 50;

/// Cells that do not spike without input, and a readout with a bias.
fn model<F: Real>(bias: f64, readout_weight: f64) -> Model<F> {
    let weight = |w: f64| json!({"pre": [0], "post": [0], "values": [w]});
    let description = json!({
        "schema": "mdgl-network/1",
        "inputs": [{"name": "in", "size": 1}],
        "populations": [{"name": "cells", "size": 1, "model": "lif"}],
        "readouts": [{"name": "out", "size": 1, "bias": true}],
        "projections": [
            {"from": "in", "to": "cells", "connections": weight(1.0)},
            {"from": "cells", "to": "out", "connections": weight(readout_weight)}
        ]
    });
    let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
    let mut model = Model::new(Arc::new(network)).unwrap();
    model.set_bias("out", &[bias]).unwrap();
    model
}

struct Task {
    batch: EncodedBatch,
    objective: Objective,
}

impl Task {
    fn new(input: Input, loss: Value) -> Self {
        let targets = match loss["kind"] == "custom" {
            true => Targets::None,
            false => Targets::Values(vec![0.0; STEPS]),
        };
        Self {
            batch: EncodedBatch {
                trials: 1,
                steps: STEPS,
                lengths: None,
                inputs: vec![input],
                targets: vec![targets],
                key: DrawKey::default(),
            },
            objective: serde_json::from_value(json!({ "losses": [loss] })).unwrap(),
        }
    }

    fn silent() -> Self {
        Self::new(Input::Silent, json!({"readout": "out", "kind": "squared-error"}))
    }

    /// The cell spikes as often as it can.
    fn driven() -> Self {
        Self {
            batch: EncodedBatch { inputs: vec![Input::Analogue(vec![1e3; STEPS])], ..Self::silent().batch },
            ..Self::silent()
        }
    }

    fn assignment(&self) -> Assignment<'_> {
        Assignment { batch: &self.batch, objective: &self.objective }
    }

    fn step<F: Real>(&self, model: &Model<F>, rule: &Rule, optimiser: &Optimiser) -> Result<Model<F>, Error> {
        let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
        let result =
            train_step(model, self.assignment(), Training { rule, optimiser }, None, &workers, &cancel);
        result.map(|(next, report)| {
            assert!(report.gradient_norm.is_finite());
            next
        })
    }
}

fn descent(learning_rate: f64) -> Optimiser {
    Optimiser {
        method: Method::GradientDescent { learning_rate: learning_rate.into() },
        l1: 0.0,
        ..Optimiser::fig_3c()
    }
}

fn refused<T>(result: Result<T, Error>) -> String {
    match result.map(drop) {
        Err(Error::NotFinite { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bias_that_would_be_infinite_ends_the_step() {
    for rule in [Rule::mdgl(), Rule::mdgl().online(), Rule::bptt()] {
        let what = refused(Task::silent().step(&model::<f32>(1e20, 1.0), &rule, &descent(1e20)));
        assert_eq!(what, "the bias of out");
    }
}

#[test]
fn an_infinite_gradient_of_a_bias_ends_step_and_gradients() {
    let (task, model) = (Task::silent(), model::<f32>(1e38, 1.0));
    assert_eq!(refused(task.step(&model, &Rule::mdgl(), &descent(0.01))), "the gradient of the bias of out");
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    let found = gradients(&model, task.assignment(), &Rule::mdgl(), None, &workers, &cancel);
    assert_eq!(refused(found), "the gradient of the bias of out");
}

/// The weights would be finite: a quotient by an infinite moment is 0.
#[test]
fn a_moment_that_would_be_infinite_ends_the_step() {
    let adam = Optimiser { l1: 0.0, ..Optimiser::fig_3c() };
    let what = refused(Task::silent().step(&model::<f32>(1e25, 1.0), &Rule::mdgl(), &adam));
    assert_eq!(what, "a moment of the optimiser for out.bias");
    let what = refused(Task::driven().step(&model::<f32>(1e25, 1.0), &Rule::mdgl(), &adam));
    assert_eq!(what, "a moment of the optimiser for cells->out");
}

/// Every gradient is finite, and clipping by an infinite norm would make them 0.
#[test]
fn an_infinite_norm_ends_the_step_clipped_or_not() {
    // A loss that is small, so that the norm alone is too large.
    let task = Task::new(Input::Silent, json!({"readout": "out", "kind": "custom"}));
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    for clip_norm in [None, Some(1.0)] {
        let optimiser = Optimiser { clip_norm, ..descent(1e-3) };
        let model = model::<f64>(0.0, 1.0);
        let forward = Forward::new(&model, &task.batch, &workers, &cancel).unwrap();
        let custom = mdgl_core::CustomLoss { forward, score: Score::new(vec![1e200; STEPS], 1.0) };
        let found = train_step(
            &model,
            task.assignment(),
            Training { rule: &Rule::mdgl(), optimiser: &optimiser },
            Some(custom),
            &workers,
            &cancel,
        );
        assert_eq!(refused(found), "the norm of the gradient");
    }
}

#[test]
fn a_gradient_whose_norm_is_large_but_finite_is_clipped() {
    let optimiser = Optimiser { clip_norm: Some(1.0), ..descent(0.5) };
    let next = Task::silent().step(&model::<f32>(1e15, 1.0), &Rule::mdgl(), &optimiser).unwrap();
    assert_eq!(next.bias("out").unwrap(), [1e15 - 0.5]);
}

#[test]
fn a_signal_from_outside_and_what_a_rule_is_shown_are_finite() {
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    let (task, large) = (Task::silent(), model::<f32>(1e20, 1.0));
    let step = |bias: f64, rate: f64| {
        let model = model::<f32>(bias, 1e-9);
        let (observed, _) = observe(&model, task.assignment(), None, &workers, &cancel).unwrap();
        let signal = vec![0.0; STEPS];
        train_step_from_signal(
            &model,
            task.assignment(),
            ThirdFactor { observed, signal: &signal },
            &descent(rate),
            &workers,
            &cancel,
        )
    };
    // The filtered error, 20 of its steps, is finite; the sum of 50 is not.
    assert_eq!(refused(step(1e37, 0.01)), "the gradient of the bias of out");
    assert_eq!(refused(step(1e20, 1e20)), "the bias of out");
    // L of the cell is δ times the readout's weight.
    let mut large = large;
    large.set_weights("cells->out", &[1e30]).unwrap();
    let seen = observe(&large, task.assignment(), None, &workers, &cancel);
    assert_eq!(refused(seen), "a learning signal");
}

#[test]
fn readouts_and_losses_are_finite() {
    let (task, model) = (Task::driven(), model::<f32>(3e38, 3e38));
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    assert_eq!(refused(evaluate(&model, task.assignment(), &workers, &cancel)), "the loss");
    let forward = Forward::new(&model, &task.batch, &workers, &cancel).unwrap();
    assert_eq!(refused(forward.readout()), "a readout");
}

#[test]
fn a_shared_step_is_refused_on_every_rank() {
    let (task, model) = (Task::silent(), model::<f32>(1e20, 1.0));
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    for (optimiser, expected) in
        [(descent(1e20), "the bias of out"), (Optimiser::fig_3c(), "a moment of the optimiser for out.bias")]
    {
        let rule = Rule::mdgl();
        let sharing = Sharing {
            model: &model,
            assignment: task.assignment(),
            training: Some(Training { rule: &rule, optimiser: &optimiser }),
            share: Share::new(0, 1).unwrap(),
            workers: &workers,
            cancel: &cancel,
        };
        let (work, message) = sharing.begin().unwrap();
        assert_eq!(refused(sharing.go_on(work, &[message])), expected);
    }
}

#[test]
fn an_infinite_output_of_a_stream_takes_the_step_back() {
    for rule in [Rule::mdgl().online(), Rule::mdgl_membrane().online(), Rule::rflo()] {
        let model = model::<f32>(3e38, 3e38);
        let mut stream = Stream::new(&model, &rule, &descent(0.01), 1).unwrap();
        let mut twin = Stream::new(&model, &rule, &descent(0.01), 1).unwrap();
        let drive = [StepInput::Analogue(&[1e3])];
        let steps = (0..200).take_while(|_| {
            let before = stream.state().unwrap();
            match stream.step(&drive) {
                Ok(()) => {
                    twin.step(&drive).unwrap();
                    true
                }
                Err(Error::NotFinite { what }) => {
                    assert_eq!(what, "a readout");
                    assert!(stream.state().unwrap() == before, "{rule:?}");
                    assert!(stream.readout().all(f32::is_finite));
                    false
                }
                Err(other) => panic!("{other:?}"),
            }
        });
        let steps = steps.count();
        assert!(0 < steps && steps < 200, "{steps}");
        // The following results are as if the step had never been tried; the cell may keep spiking.
        for _ in 0..100 {
            let both = [&mut stream, &mut twin].map(|one| one.step(&[StepInput::Silent]));
            assert_eq!(both[0], both[1]);
            assert!(stream.state().unwrap() == twin.state().unwrap());
        }
    }
}

#[test]
fn errors_of_a_stream_that_add_up_to_infinity_are_not_added() {
    let model = model::<f32>(0.0, 1.0);
    let mut stream = Stream::new(&model, &Rule::mdgl().online(), &descent(1e-38), 1).unwrap();
    let huge = [StreamTarget { readout: 0, target: Target::Error(&[3e38]), weight: 1.0 }];
    stream.step(&[StepInput::Silent]).unwrap();
    stream.add_loss(&huge).unwrap();
    assert_eq!(refused(stream.add_loss(&huge)), "the error of out");
    let (next, applied) = stream.update(&model).unwrap();
    assert_eq!(applied.gradient_norm, f64::from(3e38f32));
    assert!((next.bias("out").unwrap()[0] + 3.0).abs() < 1e-5);
}

#[test]
fn losses_of_a_stream_that_add_up_to_infinity_are_refused() {
    let model = model::<f64>(0.0, 1.0);
    let mut stream = Stream::new(&model, &Rule::mdgl().online(), &descent(0.01), 1).unwrap();
    stream.step(&[StepInput::Silent]).unwrap();
    let target = StreamTarget { readout: 0, target: Target::Values(&[1.5e154]), weight: 1.0 };
    assert!(stream.add_loss(&[target]).unwrap().is_finite());
    assert_eq!(refused(stream.add_loss(&[target, target])), "the loss of all targets together");
}

#[test]
fn an_update_of_a_stream_that_would_not_be_finite_leaves_the_model() {
    let model = model::<f32>(0.0, 1.0);
    for (optimiser, expected) in
        [(descent(1e20), "the bias of out"), (Optimiser::fig_3c(), "a moment of the optimiser for out.bias")]
    {
        let mut stream = Stream::new(&model, &Rule::mdgl().online(), &optimiser, 1).unwrap();
        stream.step(&[StepInput::Silent]).unwrap();
        stream.add_loss(&[StreamTarget { readout: 0, target: Target::Error(&[1e25]), weight: 1.0 }]).unwrap();
        assert_eq!(refused(stream.update(&model)), expected);
        // The gradient is dropped, and the stream continues.
        stream.step(&[StepInput::Silent]).unwrap();
        assert_eq!(stream.update(&model).unwrap().1.gradient_norm, 0.0);
    }
}
