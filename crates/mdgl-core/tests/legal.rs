//! The table of legal combinations against the engine: every rule that it allows has a gradient.

use std::sync::atomic::AtomicBool;

use mdgl_core::description::rule::{
    AdaptiveFeedback, AllHops, ChannelPreset, Channels, DerivativePreset, Estimator, Feedback,
    FeedbackPreset, Hops, LearningSignal, RandomFeedback, ReadoutFilter, RecurrentDerivative, Trace,
    UniformChannel,
};
use mdgl_core::description::{Channel, Exponentials, Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
use mdgl_core::{Error, Rule, Workers, gradients};

use crate::common::{Case, Shape, best};

fn shape() -> Shape {
    Shape { seed: 7, n_in: 3, n_rec: 5, n_out: 2, steps: 9, trials: 2, types: 2, loss: 0, regularised: false }
}

const WEIGHTS: Gain = Gain::Weights(WeightGain::Weight);
const MEANS: Gain = Gain::Weights(WeightGain::MeanWeight);

fn channels() -> Vec<Channels> {
    let batch = Membrane { mean: PsiMean::Batch, ..Membrane::default() };
    let exponentials = Exponentials { tau_rise: 2.0, tau_decay: 10.0 };
    let kernels = [
        TimeCourse::None,
        TimeCourse::Exact,
        TimeCourse::Membrane(Membrane::default()),
        TimeCourse::Membrane(batch),
        TimeCourse::Exponentials(exponentials),
    ];
    let mut all = vec![Channels::Preset(ChannelPreset::Network), Channels::List(Vec::new())];
    for gain in [MEANS, WEIGHTS, Gain::Fixed(0.5)] {
        for reach in [Reach::Synaptic, Reach::Nonlocal, Reach::Diffusive] {
            let kernel = TimeCourse::Membrane(Membrane::default());
            all.push(Channels::Uniform(UniformChannel { gain, reach, kernel, above: 0.3 }));
            for kernel in kernels {
                all.push(Channels::Uniform(UniformChannel { gain, reach, kernel, above: 0.0 }));
            }
        }
    }
    all
}

/// Every combination of the axes' values, one of each kind of value.
fn rules() -> impl Iterator<Item = Rule> {
    let estimators = [
        Estimator::Backward,
        Estimator::Online,
        Estimator::Rtrl,
        Estimator::Snap1,
        Estimator::Uoro,
        Estimator::KfRtrl,
    ];
    let feedback = [
        Feedback::Preset(FeedbackPreset::Symmetric),
        Feedback::Fixed { random: RandomFeedback::default() },
        Feedback::Adaptive { adaptive: AdaptiveFeedback::default() },
        Feedback::Given { weights: vec![vec![0.5; 2]; 5] },
    ];
    let hops = [Hops::Count(0), Hops::Count(1), Hops::Count(3), Hops::All(AllHops::All)];
    let derivatives =
        [RecurrentDerivative::Preset(DerivativePreset::Psi), RecurrentDerivative::Constant { mu: 0.25 }];
    let channels = channels();
    (0..6 * 4 * 2 * 4 * 2 * 2 * 2 * channels.len()).map(move |mut i| {
        let mut next = |n: usize| {
            let value = i % n;
            i /= n;
            value
        };
        Rule {
            estimator: estimators[next(6)],
            feedback: feedback[next(4)].clone(),
            learning_signal: [LearningSignal::Own, LearningSignal::Diffusive][next(2)],
            hops: hops[next(4)],
            recurrent_derivative: derivatives[next(2)],
            readout_filter: [ReadoutFilter::Exact, ReadoutFilter::Separate][next(2)],
            trace: [Trace::Mdgl2021, Trace::Rflo][next(2)],
            channels: channels[next(channels.len())].clone(),
        }
    })
}

/// Counts of allowed and refused rules in a network.
fn counts(case: &Case<f64>) -> (usize, usize) {
    let (workers, cancel) = (Workers::with_instructions(1, best()).unwrap(), AtomicBool::new(false));
    let (mut legal, mut refused) = (0, 0);
    for rule in rules() {
        let verdict = rule.validate_for(case.model.network());
        let found = gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel);
        match (verdict, found) {
            (Ok(()), Ok((evaluation, gradients))) => {
                assert!(evaluation.loss.is_finite() && gradients.norm().is_finite(), "{rule:?}");
                legal += 1;
            }
            (Err(Error::Invalid { path, .. }), Err(Error::Invalid { path: same, .. })) => {
                assert!(path == same && path.starts_with("rule."), "{rule:?}: {path}, {same}");
                refused += 1;
            }
            (verdict, found) => panic!("{rule:?}: {verdict:?}, but {:?}", found.map(|_| "a gradient")),
        }
    }
    (legal, refused)
}

#[test]
fn every_legal_rule_has_a_gradient_and_every_other_is_refused_before_it_runs() {
    for (case, name) in [
        (Case::new(&shape().spec()), "LIF and ALIF"),
        (Case::new(&shape().delayed_spec(3)), "delays"),
        (Case::new(&shape().rate_spec(2, 1)), "rate units"),
        (Case::new(&shape().current_spec(2, 1)), "current-based neurons"),
    ] {
        let (legal, refused) = counts(&case);
        assert!(legal > 100 && refused > 1000, "{name}: {legal} legal, {refused} refused");
    }
}

#[test]
fn channels_of_the_network_are_held_to_the_same_table() {
    let case = Case::<f64>::described(&shape().spec(), |description| {
        let of_types = [("t0", "t1"), ("t1", "t0")];
        let channels: Vec<Channel> = of_types
            .iter()
            .map(|(from, to)| Channel {
                name: format!("{from}->{to}"),
                from: (*from).into(),
                to: (*to).into(),
                gain: MEANS,
                reach: Reach::Synaptic,
                kernel: TimeCourse::Exact,
                factor: 1.0,
                above: 0.0,
            })
            .collect();
        description["channels"] = serde_json::to_value(channels).unwrap();
    });
    let online = Rule { estimator: Estimator::Online, ..Rule::mdgl() };
    let message = online.validate_for(case.model.network()).unwrap_err().to_string();
    assert!(
        message.starts_with("rule.channels.kernel is 'exact'; allowed: with estimator 'online': "),
        "{message}"
    );
    Rule::mdgl().validate_for(case.model.network()).unwrap();
    Rule { estimator: Estimator::Online, ..Rule::eprop() }.validate_for(case.model.network()).unwrap();
}
