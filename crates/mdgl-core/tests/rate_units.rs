//! Rate units, alone and among spiking neurons: against the oracle, and against finite differences of the loss.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Spec};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::description::rule::{Channels, RecurrentDerivative, UniformChannel};
use mdgl_core::description::{Gain, Reach, TimeCourse, WeightGain};
use mdgl_core::{Instructions, Model, Rule, Workers, evaluate, gradients};
use proptest::prelude::*;

/// No unit lies nearer to where its slope changes than rounding can move it.
const MARGIN: f64 = 1e-9;

fn loss(case: &Case<f64>) -> f64 {
    let workers = Workers::with_instructions(1, best()).unwrap();
    evaluate(&case.model, case.assignment(), &workers, &AtomicBool::new(false)).unwrap().loss
}

/// The gradient of every present weight by central differences; 0 of the others.
fn differences(spec: &Spec, width: f64) -> oracle::Grad {
    let run = oracle::forward(spec);
    let mut grad = oracle::gradient(spec, &run, oracle::Rule::Eprop);
    let at = |table: fn(&mut Spec) -> &mut oracle::Table, grad: &mut oracle::Table| {
        for (q, row) in grad.iter_mut().enumerate() {
            for (p, found) in row.iter_mut().enumerate() {
                let mut moved = spec.clone();
                let weight = table(&mut moved)[q][p];
                *found = 0.0;
                if weight != 0.0 {
                    let mut loss = |by: f64| {
                        table(&mut moved)[q][p] = weight + by;
                        oracle::forward(&moved).task_loss
                    };
                    *found = (loss(width) - loss(-width)) / (2.0 * width);
                }
            }
        }
    };
    at(|spec| &mut spec.w_in, &mut grad.w_in);
    at(|spec| &mut spec.w_rec, &mut grad.w_rec);
    at(|spec| &mut spec.w_out, &mut grad.w_out);
    grad
}

proptest! {
    #![proptest_config(crate::common::config(48, 2023))]

    /// No surrogate derivative is involved: the gradient is that of the loss itself.
    #[test]
    fn bptt_is_the_slope_of_the_loss(shape in shapes(6, 30), delay in 1..4usize) {
        let spec = shape.rate_spec(0, delay);
        prop_assume!(oracle::forward(&spec).margin > 1e-5);
        let case = Case::<f64>::new(&spec);
        let theirs = oracle::forward(&spec).loss;
        prop_assert!((loss(&case) - theirs).abs() <= 1e-12 * theirs.abs());
        let exact = oracle::gradient(&spec, &oracle::forward(&spec), oracle::Rule::Rtrl);
        let error = case.distance_to(&case.gradients(&Rule::bptt()), &exact);
        prop_assert!(error < 1e-9, "{error:e}");
        let slopes = differences(&spec, 1e-6);
        let pairs = [(&exact.w_in, &slopes.w_in), (&exact.w_rec, &slopes.w_rec), (&exact.w_out, &slopes.w_out)];
        for (exact, slopes) in pairs {
            for (exact, slope) in exact.iter().flatten().zip(slopes.iter().flatten()).filter(|(_, s)| **s != 0.0) {
                // Rounding of the loss, over the width of the difference.
                let noise = 1e-15 * theirs.abs().max(1.0) / 1e-6;
                prop_assert!((exact - slope).abs() < 1e-6 * exact.abs() + 10.0 * noise, "{exact} {slope}");
            }
        }
    }

    #[test]
    fn every_rule_is_the_oracle_s(shape in shapes(8, 50), spiking in 0..8usize, delay in 1..4usize) {
        let spec = shape.rate_spec(spiking.min(shape.n_rec - 1), delay);
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

    /// Where no unit is at 0 the slope is 1 everywhere: ModProp with μ = 1 and the true weights omits nothing.
    #[test]
    fn modprop_among_active_units_is_bptt(shape in shapes(8, 40)) {
        let mut spec = shape.rate_spec(0, 1);
        let positive = |table: &mut oracle::Table| table.iter_mut().flatten().for_each(|w| *w = w.abs());
        positive(&mut spec.w_in);
        positive(&mut spec.w_rec);
        spec.w_in.iter_mut().flatten().for_each(|w| *w += 0.1);
        spec.inputs.iter_mut().for_each(|trial| trial[0].fill(1.0));
        let case = Case::<f64>::new(&spec);
        let gain = Gain::Weights(WeightGain::Weight);
        let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel: TimeCourse::Exact, above: 0.0 };
        let rule = Rule {
            channels: Channels::Uniform(channel),
            recurrent_derivative: RecurrentDerivative::Constant { mu: 1.0 },
            ..Rule::modprop()
        };
        let error = case.distance(&case.gradients(&rule), &case.gradients(&Rule::bptt()));
        prop_assert!(error < 1e-12, "{error:e}");
    }

    #[test]
    fn threads_sets_and_segments_give_the_same_bits(
        shape in shapes(12, 60), spiking in 0..6usize, segment in 1..30usize, delay in 1..4usize
    ) {
        let shape = Shape { trials: 16 * shape.types + shape.trials, ..shape };
        let case = Case::<f32>::new(&shape.rate_spec(spiking.min(shape.n_rec - 1), delay));
        let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
        for rule in [Rule::bptt(), Rule::nl_mdgl(), Rule::modprop()] {
            let bits = |workers: Workers<f32>| {
                let cancel = AtomicBool::new(false);
                let (_, found) =
                    gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap();
                let count = case.model.network().projections().len();
                let all = (0..count).flat_map(|i| found.projection(i)).chain(found.bias(0));
                all.map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let twin = bits(Workers::with_instructions(1, Instructions::FusedTwin).unwrap());
            for set in sets.clone() {
                prop_assert!(bits(Workers::with_instructions(3, set).unwrap()) == twin, "{set:?}");
                let cut = Workers::with_instructions(1, set).unwrap().with_segment(segment).unwrap();
                prop_assert!(bits(cut) == twin, "{set:?} in segments");
            }
        }
    }
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
fn what_rate_units_cannot_do_is_refused() {
    let spec = shape().rate_spec(3, 1);
    let case = Case::<f64>::new(&spec);
    let workers = Workers::with_instructions(1, best()).unwrap();
    let refused = |case: &Case<f64>, rule: Rule, path: &str| {
        let cancel = AtomicBool::new(false);
        let found = gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel);
        let message = found.expect_err(path).to_string();
        assert!(message.contains(path) && message.contains("rate units"), "{message}");
    };
    for rule in [Rule::eprop().online(), Rule::rtrl(), Rule::uoro()] {
        refused(&case, rule, "rule.estimator");
    }
    refused(&case, Rule::mdgl_membrane(), "rule.channels.kernel");
    let regularised = Case::<f64>::new(&Spec { c_reg: 1.0, ..spec });
    refused(&regularised, Rule::eprop(), "regulariser");
}

#[test]
fn a_file_keeps_rate_units() {
    let case = Case::<f64>::new(&shape().rate_spec(3, 2));
    let copy = Model::<f64>::from_safetensors(&case.model.to_safetensors().unwrap()).unwrap();
    assert_eq!(copy.network().description(), case.model.network().description());
}
