//! Current-based LIF and ALIF neurons, alone and among others: against the oracle, their forms against each other.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Spec};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::description::given::Given;
use mdgl_core::description::rule::{Channels, Trace, UniformChannel};
use mdgl_core::description::{Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
use mdgl_core::{
    Instructions, Layout, Model, Network, NetworkDescription, Optimiser, Real, Record, Rule, StepInput,
    Stream, StreamTarget, Target, Workers, gradients, simulate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// No membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn membrane(mean: PsiMean, initial: f64) -> Rule {
    let gain = Gain::Weights(WeightGain::MeanWeight);
    let kernel = TimeCourse::Membrane(Membrane { mean, initial });
    let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel, above: 0.0 };
    Rule { channels: Channels::Uniform(channel), ..Rule::mdgl() }
}

fn voltages(case: &Case<f64>, workers: &Workers<f64>) -> Vec<f64> {
    let record = Record { voltage: true, ..Record::default() };
    simulate(&case.model, &case.batch, record, workers, &AtomicBool::new(false)).unwrap().voltage
}

proptest! {
    #![proptest_config(crate::common::config(64, 2024))]

    #[test]
    fn the_simulation_is_the_oracle_s(shape in shapes(9, 60), first in 0..6usize) {
        let spec = shape.current_spec(first.min(shape.n_rec - 1), 1);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let theirs: Vec<f64> = run.v.iter().flatten().flatten().copied().collect();
        for layout in [Layout::Trials, Layout::Neurons] {
            let workers = Workers::with_instructions(1, best()).unwrap().with_layout(layout);
            let ours = voltages(&case, &workers);
            prop_assert_eq!(ours.len(), theirs.len());
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            prop_assert!(off < 1e-12, "{off:e}");
        }
    }

    #[test]
    fn every_rule_is_the_oracle_s(shape in shapes(9, 60), first in 0..9usize, delay in 1..4usize) {
        let spec = shape.current_spec(first.min(shape.n_rec - 1), delay);
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
            let expected = oracle::gradient(&spec, &run, theirs);
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    #[test]
    fn the_online_forms_are_the_backward_forms(
        shape in shapes(12, 80), first in 0..9usize, delay in 1..4usize, decay in 1.5..30.0f64
    ) {
        let case = Case::<f64>::new(&shape.current_spec(first.min(shape.n_rec - 1), delay));
        let exponentials = serde_json::from_value(json!({
            "gain": 0.1, "reach": "nonlocal", "kernel": {"tauRise": 0.4 * decay, "tauDecay": decay}
        }));
        let rules = [
            Rule::eprop(),
            Rule::mdgl(),
            Rule::nl_mdgl(),
            Rule::on_mdgl(),
            Rule { channels: exponentials.unwrap(), ..Rule::mdgl() },
            Rule { trace: Trace::Rflo, ..Rule::eprop() },
            Rule { trace: Trace::Rflo, ..Rule::mdgl() },
        ];
        for rule in rules {
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-9, "{rule:?}: {error:e}");
        }
    }

    /// Influences carried forwards: exactly BPTT, and exactly e-prop.
    #[test]
    fn rtrl_is_bptt_and_snap1_is_eprop(shape in shapes(7, 40), first in 0..7usize) {
        let case = Case::<f64>::new(&shape.current_spec(first.min(shape.n_rec - 1), 1));
        for (forwards, backwards) in [(Rule::rtrl(), Rule::bptt()), (Rule::snap1(), Rule::eprop())] {
            let error = case.distance(&case.gradients(&forwards), &case.gradients(&backwards));
            prop_assert!(error < 1e-9, "{forwards:?}: {error:e}");
        }
    }

    /// The trace of RFLO keeps both leaks, and neither reset nor adaptation.
    #[test]
    fn rflo_keeps_the_leaks(shape in shapes(9, 60), first in 0..9usize) {
        let spec = shape.current_spec(first.min(shape.n_rec - 1), 1);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let zeros = vec![0.0; spec.n_rec];
        let leaky = Spec { thr: zeros.clone(), beta: zeros, ..spec };
        for (channels, theirs) in [(Rule::eprop(), oracle::Rule::Eprop), (Rule::mdgl(), oracle::Rule::Mdgl)] {
            let rule = Rule { trace: Trace::Rflo, ..channels.online() };
            let error = case.distance_to(&case.gradients(&rule), &oracle::gradient(&leaky, &run, theirs));
            prop_assert!(error < 1e-9, "{theirs:?}: {error:e}");
        }
    }

    /// Without adaptation the secreting cell's current and membrane are a filter of two states.
    #[test]
    fn the_membrane_is_its_convolution(
        shape in shapes(9, 60), fraction in 0.0..1.0f64, first in 0..9usize, delay in 1..4usize
    ) {
        let mut spec = shape.current_spec(first.min(shape.n_rec - 1), delay);
        let adaptive = spec.beta.iter_mut().zip(&spec.synaptic).filter(|(_, decay)| **decay > 0.0);
        adaptive.for_each(|(beta, _)| *beta = 0.0);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        let mean = |j: usize| fraction * spec.gamma[j] / spec.thr[j];
        let h: Vec<_> = (0..spec.n_rec).map(|j| oracle::membrane_response(&spec, j, mean(j))).collect();
        let expected = oracle::gradient_through(&spec, &run, &oracle::mean_gain(&spec), &h);
        for rule in [membrane(PsiMean::Running, fraction), membrane(PsiMean::Running, fraction).online()] {
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{error:e}");
        }
    }

    #[test]
    fn layouts_threads_sets_and_segments_give_the_same_bits(
        shape in shapes(70, 60), first in 0..70usize, segment in 1..30usize
    ) {
        let shape = Shape { trials: shape.types + shape.trials, ..shape };
        // Neurons of one model alone, and so many of another before them that blocks of sixteen hold both.
        for first in [0, first.min(shape.n_rec - 1)] {
            let case = Case::<f32>::new(&shape.current_spec(first, 1));
            let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
            for rule in [Rule::bptt(), Rule::mdgl(), Rule::on_mdgl(), Rule::with_hops(2)] {
                let twin = bits(&case, &rule, Workers::with_instructions(1, Instructions::FusedTwin).unwrap());
                for set in sets.clone() {
                    for layout in [Layout::Trials, Layout::Neurons] {
                        let workers = || Workers::with_instructions(2, set).unwrap().with_layout(layout);
                        prop_assert!(bits(&case, &rule, workers()) == twin, "{set:?}, {layout:?}");
                        let cut = workers().with_segment(segment).unwrap();
                        prop_assert!(bits(&case, &rule, cut) == twin, "{set:?}, {layout:?} in segments");
                    }
                }
            }
        }
    }
}

fn bits<F: Real>(case: &Case<F>, rule: &Rule, workers: Workers<F>) -> Vec<u64> {
    let (_, found) =
        gradients(&case.model, case.assignment(), rule, None, &workers, &AtomicBool::new(false)).unwrap();
    let count = case.model.network().projections().len();
    let all = (0..count).flat_map(|i| found.projection(i)).chain(found.bias(0));
    all.map(|x| x.to_f64().to_bits()).collect()
}

fn shape() -> Shape {
    Shape {
        seed: 3,
        n_in: 2,
        n_rec: 6,
        n_out: 2,
        steps: 20,
        trials: 2,
        types: 2,
        loss: 2,
        regularised: false,
    }
}

#[test]
fn what_current_based_neurons_cannot_do_is_refused() {
    let mut spec = shape().current_spec(3, 1);
    spec.beta.fill(1.0);
    let case = Case::<f64>::new(&spec);
    let workers = Workers::with_instructions(1, best()).unwrap();
    let found = gradients(
        &case.model,
        case.assignment(),
        &Rule::mdgl_membrane(),
        None,
        &workers,
        &AtomicBool::new(false),
    );
    let message = found.expect_err("three variables").to_string();
    assert!(
        message.contains("rule.channels.kernel") && message.contains("current-based ALIF neurons"),
        "{message}"
    );
}

fn network(model: &str, change: Value) -> Result<Network, mdgl_core::Error> {
    let mut population = json!({"name": "cells", "size": 2, "model": model});
    for (key, value) in change.as_object().unwrap() {
        population[key] = value.clone();
    }
    let description = json!({"schema": "mdgl-network/1", "populations": [population]});
    NetworkDescription::read(&Given::new(&description, "description", &[])).and_then(Network::new)
}

#[test]
fn parameters_belong_to_their_models() {
    let refused = |model: &str, change: Value, path: &str, allowed: &str| {
        let message = network(model, change).expect_err(path).to_string();
        assert!(message.starts_with(path) && message.contains(allowed), "{message}");
    };
    for model in ["lif", "alif", "rate"] {
        let allowed = format!("not with model '{model}'");
        refused(
            model,
            json!({"synapticTimeConstant": 5.0}),
            "populations.cells.synapticTimeConstant",
            &allowed,
        );
    }
    for model in ["lif", "cuba-lif"] {
        let allowed = format!("not with model '{model}'");
        refused(model, json!({"adaptationStrength": 1.0}), "populations.cells.adaptationStrength", &allowed);
        refused(
            model,
            json!({"adaptationTimeConstant": 1.0}),
            "populations.cells.adaptationTimeConstant",
            &allowed,
        );
    }
    for model in ["cuba-lif", "cuba-alif"] {
        for (value, allowed) in
            [(0.4, "0, or at least half a step (0.5 ms)"), (-1.0, "a finite number of at least 0")]
        {
            let change = json!({"synapticTimeConstant": value});
            refused(model, change, "populations.cells.synapticTimeConstant", allowed);
        }
        let without_memory = network(model, json!({"synapticTimeConstant": 0.0})).unwrap();
        assert_eq!(without_memory.cell_constants().synaptic_decay, [0.0; 2]);
        let change = json!({"synapticTimeConstant": [1.0, 2.0, 3.0]});
        refused(
            model,
            change,
            "populations.cells.synapticTimeConstant",
            "one number, or an array of 2 (one per neuron)",
        );
        let constants = network(model, json!({})).unwrap().cell_constants();
        assert_eq!(constants.synaptic_decay, [(-1.0f64 / 5.0).exp(); 2]);
    }
    let description = json!({
        "schema": "mdgl-network/1", "conventions": "bellec2020",
        "populations": [{"name": "cells", "size": 2, "model": "cuba-lif"}]
    });
    let message =
        Network::new(serde_json::from_value(description).unwrap()).expect_err("conventions").to_string();
    assert!(
        message.starts_with("populations.cells.model is 'cuba-lif'") && message.contains("bellec2020"),
        "{message}"
    );
}

#[test]
fn a_file_keeps_current_based_neurons() {
    let case = Case::<f64>::new(&shape().current_spec(3, 2));
    let copy = Model::<f64>::from_safetensors(&case.model.to_safetensors().unwrap()).unwrap();
    assert_eq!(copy.network().description(), case.model.network().description());
}

/// Readouts of some steps, with errors at each.
fn step(stream: &mut Stream<f64>, steps: std::ops::Range<u32>) -> Vec<f64> {
    let mut readout = Vec::new();
    for t in steps {
        stream.step(&[StepInput::Events(&[t % 2, t % 2, 0])]).unwrap();
        readout.extend(stream.readout());
        stream
            .add_loss(&[StreamTarget { readout: 0, target: Target::Error(&[0.1, -0.2]), weight: 1.0 }])
            .unwrap();
    }
    readout
}

#[test]
fn a_stream_s_state_has_the_current() {
    for delay in [1, 3] {
        let mut spec = shape().current_spec(3, delay);
        spec.beta.fill(1.0);
        spec.w_in.iter_mut().flatten().for_each(|w| *w = 0.3);
        let case = Case::<f64>::new(&spec);
        let stream =
            || Stream::new(&case.model, &Rule::mdgl().online(), &Optimiser::fig_3c(), 0).expect("a stream");
        let (mut whole, mut second) = (stream(), stream());
        step(&mut whole, 0..20);
        let state = whole.state().unwrap();
        let current = &state.variables["current"];
        assert!(current[..3].iter().all(|&c| c == 0.0) && current[3..].iter().all(|&c| c != 0.0));
        second.restore(&state).unwrap();
        assert_eq!(second.state().unwrap(), state);
        assert_eq!(step(&mut whole, 20..40), step(&mut second, 20..40));
        assert_eq!(whole.state(), second.state());
        let refused = |variables: &[(&str, Vec<f64>)]| {
            let variables = variables.iter().map(|(name, values)| ((*name).into(), values.clone())).collect();
            let message =
                stream().restore(&mdgl_core::StreamState { variables, ..state.clone() }).unwrap_err();
            assert!(message.to_string().starts_with("state.variables"), "{message}");
        };
        refused(&[]);
        refused(&[("other", vec![0.0; 6])]);
        refused(&[("current", vec![0.0; 5])]);
        refused(&[("current", vec![f64::NAN; 6])]);
    }
    let plain = Case::<f64>::new(&shape().spec());
    let stream = Stream::new(&plain.model, &Rule::mdgl().online(), &Optimiser::fig_3c(), 0).unwrap();
    assert!(stream.state().unwrap().variables.is_empty());
}
