//! Channels whose kernel is a filter of the cell's secretion: its own membrane, or two exponentials.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Run, Spec, Table};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::description::rule::{Channels, Hops, ReadoutFilter, UniformChannel};
use mdgl_core::description::{Channel, Exponentials, Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
use mdgl_core::{
    CustomLoss, Error, Forward, Method, Model, Objective, Optimiser, Real, Rewiring, Rule, Score, Targets,
    Training, Workers, gradients, train_step,
};
use proptest::prelude::*;

fn along_means(kernel: TimeCourse) -> Rule {
    let gain = Gain::Weights(WeightGain::MeanWeight);
    let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel, above: 0.0 };
    Rule { channels: Channels::Uniform(channel), ..Rule::mdgl() }
}

fn membrane(mean: PsiMean, initial: f64) -> Rule {
    along_means(TimeCourse::Membrane(Membrane { mean, initial }))
}

fn exponentials(tau_rise: f64, tau_decay: f64) -> Rule {
    along_means(TimeCourse::Exponentials(Exponentials { tau_rise, tau_decay }))
}

/// The membranes' responses for a mean ψ of each neuron.
fn responses(spec: &Spec, means: &[f64]) -> Table {
    (0..spec.n_rec).map(|j| oracle::membrane_response(spec, j, means[j])).collect()
}

/// (a^(k+1) − b^(k+1))/(a − b) over its largest value, dt 1 ms.
fn two_exponentials(spec: &Spec, rise: f64, decay: f64) -> Table {
    let (a, b) = ((-1.0 / decay).exp(), (-1.0 / rise).exp());
    let formula = |k: i32| (a.powi(k + 1) - b.powi(k + 1)) / (a - b);
    let peak = (0..10_000).map(formula).fold(0.0, f64::max);
    vec![(0..spec.steps).map(|k| formula(k as i32) / peak).collect(); spec.n_rec]
}

/// Error against the explicit convolution.
fn off(case: &Case<f64>, (spec, run): (&Spec, &Run), rule: &Rule, h: &Table) -> f64 {
    let expected = oracle::gradient_through(spec, run, &oracle::mean_gain(spec), h);
    case.distance_to(&case.gradients(rule), &expected)
}

/// m₀ of every neuron.
fn initial(spec: &Spec, fraction: f64) -> Vec<f64> {
    (0..spec.n_rec).map(|j| fraction * spec.gamma[j] / spec.thr[j]).collect()
}

/// Gradient descent that changes nothing.
fn idle() -> Optimiser {
    Optimiser {
        method: Method::GradientDescent { learning_rate: 0.0.into() },
        l1: 0.0,
        rewiring: Rewiring::Off,
        ..Optimiser::fig_3c()
    }
}

fn train<F: Real>(
    case: &Case<F>,
    model: &Model<F>,
    rule: &Rule,
    optimiser: &Optimiser,
    steps: usize,
) -> Model<F> {
    let workers = Workers::with_instructions(2, best()).unwrap();
    let cancel = AtomicBool::new(false);
    let mut model = model.clone();
    for _ in 0..steps {
        let step =
            train_step(&model, case.assignment(), Training { rule, optimiser }, None, &workers, &cancel);
        model = step.unwrap().0;
    }
    model
}

proptest! {
    #![proptest_config(crate::common::config(64, 2603))]

    #[test]
    fn the_membrane_is_its_convolution(shape in shapes(9, 60), fraction in 0.0..1.0f64, delay in 1..4usize) {
        let spec = shape.delayed_spec(delay);
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = Case::<f64>::new(&spec);
        let h = responses(&spec, &initial(&spec, fraction));
        let error = off(&case, (&spec, &run), &membrane(PsiMean::Running, fraction), &h);
        prop_assert!(error < 1e-9, "{error:e}");
        let h = responses(&spec, &oracle::mean_psi(&spec, &run));
        let error = off(&case, (&spec, &run), &membrane(PsiMean::Batch, fraction), &h);
        prop_assert!(error < 1e-9, "of the batch: {error:e}");
    }

    #[test]
    fn exponentials_are_their_convolution(shape in shapes(9, 60), rise in 0.5..10.0f64, more in 0.1..20.0f64) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let h = two_exponentials(&spec, rise, rise + more);
        let case = Case::<f64>::new(&spec);
        let error = off(&case, (&spec, &run), &exponentials(rise, rise + more), &h);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    /// The filter moves from the secretion to the eligibility.
    #[test]
    fn backward_form_is_online_form(shape in shapes(12, 80), fraction in 0.0..1.0f64, decay in 1.0..30.0f64) {
        let case = Case::<f64>::new(&shape.spec());
        let rules = [
            membrane(PsiMean::Running, fraction),
            exponentials(0.5 * decay, decay),
            exponentials(decay, decay),
            several(&case, &three()),
        ];
        for rule in rules {
            let (backward, online) = (case.gradients(&rule), case.gradients(&rule.clone().online()));
            let error = case.distance(&online, &backward);
            prop_assert!(error < 1e-11, "{rule:?}: {error:e}");
        }
    }

    /// The shortest decay, without a rise, is its convolution too; without feedback the membrane is its leak.
    #[test]
    fn limits_of_the_kernels_agree(shape in shapes(12, 60)) {
        let mut spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = Case::<f64>::new(&spec);
        let h = two_exponentials(&spec, 0.0, 0.5);
        let error = off(&case, (&spec, &run), &exponentials(0.0, 0.5), &h);
        prop_assert!(error < 1e-9, "{error:e}");
        spec.beta.fill(0.0);
        spec.alpha.fill((-1.0f64 / 12.0).exp());
        let case = Case::<f64>::new(&spec);
        let leak = case.gradients(&exponentials(0.0, 12.0));
        let error = case.distance(&case.gradients(&membrane(PsiMean::Running, 0.0)), &leak);
        prop_assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn single_precision_is_double_precision_rounded(shape in shapes(9, 40)) {
        // Errors at every step: the gradient is no difference of nearly equal numbers.
        let shape = Shape { loss: 2, regularised: false, ..shape };
        let spec = shape.spec();
        prop_assume!(oracle::forward(&spec).margin > 1e-4);
        let (double, single) = (Case::<f64>::new(&spec), Case::<f32>::new(&spec));
        for rule in [membrane(PsiMean::Running, 0.3), membrane(PsiMean::Batch, 0.3), exponentials(2.0, 9.0)] {
            for rule in [rule.clone(), rule.online()].into_iter().filter(|rule| !is_acausal(rule)) {
                let (exact, found) = (double.gradients(&rule), single.gradients(&rule));
                for projection in 0..3 {
                    let pairs = exact.projection(projection).iter().zip(found.projection(projection));
                    for (a, &b) in pairs {
                        prop_assert!((a - f64::from(b)).abs() < 1e-4 * exact.norm().max(1e-9), "{a} {b}");
                    }
                }
            }
        }
    }

    /// The mean follows the batches that trained, and nothing else; a file keeps it.
    #[test]
    fn the_running_mean_forgets_a_tenth_a_batch(shape in shapes(9, 40), steps in 1..5usize) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let mut case = Case::<f64>::new(&spec);
        let rule = membrane(PsiMean::Running, 0.4);
        for rule in [rule.clone(), rule.clone().online()] {
            let fresh = case.model.clone();
            let before = case.gradients(&rule);
            prop_assert!(case.distance(&case.gradients(&rule), &before) == 0.0);
            case.model = train(&case, &case.model, &rule, &idle(), steps);
            let kept = 0.9f64.powi(steps as i32);
            let batch = oracle::mean_psi(&spec, &run);
            let means: Vec<f64> =
                initial(&spec, 0.4).iter().zip(batch).map(|(m0, m)| kept * m0 + (1.0 - kept) * m).collect();
            let error = off(&case, (&spec, &run), &rule, &responses(&spec, &means));
            prop_assert!(error < 1e-9, "{error:e}");
            case.model = fresh;
        }
    }

    /// Training in two parts, with a file in between, equals training in one.
    #[test]
    fn a_file_goes_on_with_the_same_bits(shape in shapes(9, 40)) {
        resume::<f32>(&shape)?;
        resume::<f64>(&shape)?;
    }
}

fn is_acausal(rule: &Rule) -> bool {
    let batch = |kernel| matches!(kernel, TimeCourse::Membrane(Membrane { mean: PsiMean::Batch, .. }));
    let Channels::Uniform(channel) = &rule.channels else { return false };
    rule == &rule.clone().online() && batch(channel.kernel)
}

fn resume<F: Real>(shape: &Shape) -> Result<(), TestCaseError> {
    let case = Case::<F>::new(&shape.spec());
    let descent = Optimiser {
        method: Method::GradientDescent { learning_rate: 0.1.into() },
        rewiring: Rewiring::Off,
        ..Optimiser::fig_3c()
    };
    for rule in [Rule::mdgl_membrane(), Rule::mdgl_membrane().online()] {
        let whole = train(&case, &case.model, &rule, &descent, 5).to_safetensors().unwrap();
        let half = train(&case, &case.model, &rule, &descent, 2).to_safetensors().unwrap();
        // A file creates a network of its own.
        let read = Case { model: Model::from_safetensors(&half).unwrap(), ..Case::<F>::new(&shape.spec()) };
        prop_assert!(train(&read, &read.model, &rule, &descent, 3).to_safetensors().unwrap() == whole);
    }
    Ok(())
}

/// Instantaneous, the membrane's, and a slow one of the other sign.
fn three() -> [(TimeCourse, f64); 3] {
    let slow = TimeCourse::Exponentials(Exponentials { tau_rise: 5.0, tau_decay: 30.0 });
    [(TimeCourse::None, 0.02), (TimeCourse::Membrane(Membrane::default()), 0.02), (slow, -0.01)]
}

/// Nonlocal channels of some kernels and gains between all types.
fn several<F: Real>(case: &Case<F>, kernels: &[(TimeCourse, f64)]) -> Rule {
    let names = case.model.network().type_names();
    let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
    let channels = pairs.flat_map(|(from, to)| {
        kernels.iter().map(move |&(kernel, gain)| Channel {
            name: format!("{from}-{to}-{kernel:?}"),
            from: from.clone(),
            to: to.clone(),
            gain: Gain::Fixed(gain),
            reach: Reach::Nonlocal,
            kernel,
            factor: 1.0,
            above: 0.0,
        })
    });
    Rule { channels: Channels::List(channels.collect()), ..Rule::mdgl() }
}

/// Neurons that share type and constants share one mean: that of all of them, whichever of them project to the readout.
#[test]
fn neurons_of_a_kind_share_their_mean() {
    let shape = Shape { types: 1, ..shape() };
    let mut spec = shape.spec();
    for values in [&mut spec.alpha, &mut spec.rho, &mut spec.thr, &mut spec.gamma] {
        let first = values[0];
        values[..5].fill(first);
    }
    spec.beta[..5].fill(1.2);
    spec.n_ref[..5].fill(3);
    let run = oracle::forward(&spec);
    let mut means = oracle::mean_psi(&spec, &run);
    let shared = means[..5].iter().sum::<f64>() / 5.0;
    assert!(means[..5].iter().any(|m| (m - shared).abs() > 0.1 * shared), "{means:?}");
    means[..5].fill(shared);
    let case = Case::<f64>::new(&spec);
    let error = off(&case, (&spec, &run), &membrane(PsiMean::Batch, 0.0), &responses(&spec, &means));
    assert!(error < 1e-9, "{error:e}");
}

/// Three channels between the same two types, that differ in their kernels: their joint gradient lies outside what
/// any one of them gives with any gain.
#[test]
fn several_kernels_between_two_types_give_what_no_single_one_gives() {
    let case = Case::<f64>::new(&Shape { types: 1, ..shape() }.spec());
    let kernels = three();
    let eprop = flat(&case, &Rule::eprop());
    let modulatory = |kernels: &[(TimeCourse, f64)]| -> Vec<f64> {
        let whole = flat(&case, &several(&case, kernels));
        whole.iter().zip(&eprop).map(|(a, b)| a - b).collect()
    };
    let together = modulatory(&kernels);
    let parts = kernels.map(|kernel| modulatory(&[kernel]));
    let sum: Vec<f64> = (0..together.len()).map(|i| parts.iter().map(|part| part[i]).sum()).collect();
    assert!(residual(&together, &[&sum]) < 1e-9);
    for part in &parts {
        assert!(residual(&together, &[part]) > 0.05, "{}", residual(&together, &[part]));
    }
    // Nor do two of them make up for the third.
    for i in 0..3 {
        let others: Vec<&Vec<f64>> = (0..3).filter(|&j| j != i).map(|j| &parts[j]).collect();
        assert!(residual(&parts[i], &others) > 1e-3, "{}", residual(&parts[i], &others));
    }
}

/// The gradient of the weights into neurons.
fn flat(case: &Case<f64>, rule: &Rule) -> Vec<f64> {
    let gradients = case.gradients(rule);
    [gradients.projection(0), gradients.projection(1)].concat()
}

/// What least squares leave of a vector, relative to its norm.
fn residual(vector: &[f64], span: &[&Vec<f64>]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let without = |vector: &[f64], basis: &[Vec<f64>]| {
        let mut rest = vector.to_vec();
        for unit in basis {
            let along = dot(&rest, unit);
            rest.iter_mut().zip(unit).for_each(|(x, u)| *x -= along * u);
        }
        rest
    };
    for vector in span {
        let rest = without(vector, &basis);
        let norm = dot(&rest, &rest).sqrt();
        basis.push(rest.iter().map(|x| x / norm).collect());
    }
    let rest = without(vector, &basis);
    (dot(&rest, &rest) / dot(vector, vector)).sqrt()
}

fn shape() -> Shape {
    Shape {
        seed: 3,
        n_in: 3,
        n_rec: 9,
        n_out: 2,
        steps: 60,
        trials: 5,
        types: 2,
        loss: 2,
        regularised: false,
    }
}

#[test]
fn a_custom_loss_follows_the_mean_if_it_was_made_for_the_rule() {
    let case = Case::<f64>::new(&shape().spec());
    let workers = Workers::with_instructions(1, best()).unwrap();
    let cancel = AtomicBool::new(false);
    let Targets::Values(targets) = &case.batch.targets[0] else { unreachable!() };
    let losses = serde_json::json!({"losses": [{"readout": "out", "kind": "custom"}]});
    let objective: Objective = serde_json::from_value(losses).unwrap();
    let assignment = mdgl_core::Assignment { objective: &objective, ..case.assignment() };
    let learned = |forward: Forward<f64>, rule: &Rule| {
        let scale = 1.0 / case.batch.trials as f64;
        let readout = forward.readout().unwrap();
        let delta = readout.iter().zip(targets).map(|(y, target)| scale * (y - target)).collect();
        let custom = CustomLoss { forward, score: Score::new(delta, 1.0) };
        gradients(&case.model, assignment, rule, Some(custom), &workers, &cancel)
    };
    for rule in [membrane(PsiMean::Running, 0.2), membrane(PsiMean::Batch, 0.2)] {
        let forward = Forward::for_rule(&case.model, &case.batch, &rule, &workers, &cancel).unwrap();
        let (_, found) = learned(forward, &rule).unwrap();
        assert!(case.distance(&found, &case.gradients(&rule)) < 1e-12);
        let forward = Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap();
        let refused = learned(forward, &rule).unwrap_err();
        assert!(matches!(refused, Error::Invalid { ref path, .. } if path == "forward"), "{refused}");
    }
}

#[test]
fn what_has_no_equation_is_refused() {
    let case = Case::<f64>::new(&shape().spec());
    let workers = Workers::with_instructions(1, best()).unwrap();
    let refused = |rule: Rule| {
        let cancel = AtomicBool::new(false);
        gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap_err().to_string()
    };
    let two_hops = Rule { hops: Hops::Count(2), ..exponentials(1.0, 2.0) };
    assert!(refused(two_hops).starts_with("rule.channels.kernel is {tauRise: 1, tauDecay: 2}"));
    let separate = Rule { readout_filter: ReadoutFilter::Separate, ..exponentials(1.0, 2.0) };
    assert!(refused(separate).starts_with("rule.channels.kernel is {tauRise: 1, tauDecay: 2}"));
    let acausal = membrane(PsiMean::Batch, 0.1).online();
    assert!(refused(acausal).starts_with("rule.channels.kernel.membrane.mean is 'batch'"));
    for wrong in [-0.1, 1.5, f64::NAN] {
        let found = refused(membrane(PsiMean::Running, wrong));
        assert!(found.starts_with("rule.channels.kernel.membrane.initial is"), "{found}");
    }
    for (rise, decay, path) in [
        (0.0, 0.0, "tauDecay"),
        (0.0, f64::INFINITY, "tauDecay"),
        (3.0, 2.0, "tauRise"),
        (-1.0, 2.0, "tauRise"),
        (0.3, 2.0, "tauRise"),
        (0.0, 0.3, "tauDecay"),
        (1.0, f64::NAN, "tauDecay"),
    ] {
        let found = refused(exponentials(rise, decay));
        assert!(found.starts_with(&format!("rule.channels.kernel.{path} is")), "{found}");
    }
}

#[test]
fn kernels_are_written_as_they_are_read() {
    for (json, kernel) in [
        ("\"none\"", TimeCourse::None),
        ("\"exact\"", TimeCourse::Exact),
        ("\"membrane\"", TimeCourse::Membrane(Membrane::default())),
        (
            "{\"membrane\":{\"mean\":\"batch\",\"initial\":0.5}}",
            TimeCourse::Membrane(Membrane { mean: PsiMean::Batch, initial: 0.5 }),
        ),
        (
            "{\"tauRise\":1.0,\"tauDecay\":2.0}",
            TimeCourse::Exponentials(Exponentials { tau_rise: 1.0, tau_decay: 2.0 }),
        ),
    ] {
        assert_eq!(serde_json::from_str::<TimeCourse>(json).unwrap(), kernel);
        assert_eq!(serde_json::to_string(&kernel).unwrap(), json);
    }
    // A number that is missing is none, which no range contains.
    let missing = serde_json::from_str::<TimeCourse>("{\"tauRise\": 1}").unwrap();
    assert!(
        matches!(missing, TimeCourse::Exponentials(Exponentials { tau_decay, .. }) if tau_decay.is_nan())
    );
    assert!(serde_json::from_str::<TimeCourse>("{\"membrane\": {}, \"tauDecay\": 2}").is_err());
}
