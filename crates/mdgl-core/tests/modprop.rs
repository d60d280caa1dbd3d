//! ModProp and the backward form of the leak's trace, against explicit sums.

use crate::common::oracle::{self, Grad, Run, Spec, Table};
use crate::common::{Case, Shape, shapes};
use mdgl_core::description::rule::{Channels, Hops, RecurrentDerivative, Trace, UniformChannel};
use mdgl_core::description::{Gain, Reach, TimeCourse, WeightGain};
use mdgl_core::{Instructions, Rule};
use proptest::prelude::*;

/// Spikes agree when no membrane lies nearer to its threshold than rounding can move it.
const MARGIN: f64 = 1e-9;

fn with(mu: f64, hops: Option<u32>, gain: WeightGain, reach: Reach) -> Rule {
    let channel = UniformChannel { gain: Gain::Weights(gain), reach, kernel: TimeCourse::Exact, above: 0.0 };
    let rule = Rule::modprop();
    Rule {
        channels: Channels::Uniform(channel),
        hops: hops.map_or(rule.hops, Hops::Count),
        recurrent_derivative: RecurrentDerivative::Constant { mu },
        ..rule
    }
}

/// λ_p,t = ψ_p,t L_p,t + α_p λ_p,t+1 + μ Σ_j gain (1−α_j) λ_j,t+d, d the delay from p to j; with a number of hops the last λ is that
/// of the rule with one hop less.
fn lambda(spec: &Spec, run: &Run, trial: usize, mu: f64, hops: Option<u32>, gain: &Table) -> Table {
    let n = spec.n_rec;
    let solve = |below: Option<&Table>| {
        let mut lambda = vec![vec![0.0; n]; spec.steps + 1];
        for t in (0..spec.steps).rev() {
            for p in 0..n {
                let mut received = 0.0;
                for j in 0..n {
                    let arrives = t + spec.delay[p][j];
                    let secreted = below.unwrap_or(&lambda).get(arrives).map_or(0.0, |row| row[j]);
                    received += gain[p][j] * (1.0 - spec.alpha[j]) * secreted;
                }
                let drive = run.psi[trial][t][p] * run.signal[trial][t][p];
                lambda[t][p] = drive + spec.alpha[p] * lambda[t + 1][p] + mu * received;
            }
        }
        lambda
    };
    let Some(hops) = hops else { return solve(None) };
    let nothing = vec![vec![0.0; n]; spec.steps + 1];
    (0..=hops).fold(nothing, |below, _| solve(Some(&below)))
}

fn expected(spec: &Spec, run: &Run, mu: f64, hops: Option<u32>, gain: &Table) -> Grad {
    let mut grad = oracle::gradient(spec, run, oracle::Rule::Eprop);
    grad.w_in.iter_mut().chain(&mut grad.w_rec).flatten().for_each(|g| *g = 0.0);
    for trial in 0..run.z.len() {
        let lambda = lambda(spec, run, trial, mu, hops, gain);
        for (t, row) in lambda.iter().take(spec.steps).enumerate() {
            for (p, lambda) in row.iter().enumerate() {
                let felt = (1.0 - spec.alpha[p]) * lambda;
                (0..spec.n_in).for_each(|i| grad.w_in[i][p] += felt * spec.inputs[trial][t][i]);
                for q in 0..spec.n_rec {
                    if let Some(sent) = t.checked_sub(spec.delay[q][p]) {
                        grad.w_rec[q][p] += felt * run.z[trial][sent][q];
                    }
                }
            }
        }
    }
    grad
}

proptest! {
    #![proptest_config(crate::common::config(64, 2022))]

    #[test]
    fn modprop_is_its_recursion(
        shape in shapes(9, 60),
        mu in 0.05..1.5f64,
        delay in 1..4usize,
        taps in prop::option::of(1..5u32),
        spiking in 0..10usize
    ) {
        let spec = if spiking < shape.n_rec { shape.rate_spec(spiking, delay) } else { shape.delayed_spec(delay) };
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > MARGIN);
        let case = Case::<f64>::new(&spec);
        for (gain, table) in [
            (WeightGain::MeanWeight, oracle::mean_gain(&spec)),
            (WeightGain::Weight, spec.w_rec.clone()),
        ] {
            let found = case.gradients(&with(mu, taps, gain, Reach::Synaptic));
            let error = case.distance_to(&found, &expected(&spec, &run, mu, taps, &table));
            prop_assert!(error < 1e-9, "{gain:?}, {taps:?} taps: {error:e}");
        }
    }

    #[test]
    fn as_many_taps_as_steps_are_all(shape in shapes(8, 24)) {
        let case = Case::<f64>::new(&shape.spec());
        let taps = with(0.25, Some(shape.steps as u32), WeightGain::MeanWeight, Reach::Nonlocal);
        let all = with(0.25, None, WeightGain::MeanWeight, Reach::Nonlocal);
        let error = case.distance(&case.gradients(&taps), &case.gradients(&all));
        prop_assert!(error < 1e-10, "{error:e}");
    }

    /// The backward form of RFLO's trace.
    #[test]
    fn the_leaks_trace_backwards_is_its_online_form(shape in shapes(12, 80), delay in 1..4usize) {
        let case = Case::<f64>::new(&shape.delayed_spec(delay));
        for rule in [Rule::eprop(), Rule::mdgl(), Rule::nl_mdgl(), Rule::on_mdgl()] {
            let rule = Rule { trace: Trace::Rflo, ..rule };
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-10, "{rule:?}: {error:e}");
        }
    }

    #[test]
    fn threads_and_instruction_sets_of_a_class_give_the_same_bits(shape in shapes(12, 60)) {
        let case = Case::<f32>::new(&Shape { trials: 16 * shape.types + shape.trials, ..shape }.spec());
        let sets = Instructions::ALL.into_iter().filter(|set| set.is_available() && set.class() == "fused");
        let bits = |set, threads| {
            let found = case.gradients_with(&Rule::modprop(), threads, set);
            let all = (0..3).flat_map(|i| found.projection(i)).map(|x| x.to_bits());
            all.collect::<Vec<_>>()
        };
        let twin = bits(Instructions::FusedTwin, 1);
        for set in sets {
            prop_assert!(bits(set, 1) == twin && bits(set, 3) == twin, "{set:?}");
        }
    }
}

#[test]
fn what_has_no_equation_is_refused() {
    let refused = |rule: Rule, path: &str| {
        let message = rule.validate().expect_err(path).to_string();
        assert!(message.contains(path), "{message}");
    };
    let modprop = Rule::modprop();
    modprop.validate().unwrap();
    for mu in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let wrong = RecurrentDerivative::Constant { mu };
        refused(Rule { recurrent_derivative: wrong, ..modprop.clone() }, "rule.recurrentDerivative.mu");
    }
    refused(Rule { trace: Trace::Mdgl2021, ..modprop.clone() }, "rule.trace");
    refused(Rule { trace: Trace::Rflo, ..Rule::bptt() }, "rule.trace");
    refused(modprop.clone().online(), "rule.estimator");
    refused(Rule { hops: Hops::Count(0), ..modprop.clone() }, "rule.hops");
    refused(Rule { channels: Rule::mdgl_membrane().channels, ..modprop.clone() }, "rule.channels.kernel");
    refused(Rule { readout_filter: Rule::on_mdgl().readout_filter, ..modprop }, "rule.readoutFilter");
}
