//! Lists kept from one batch to the next: the same bits as with all made anew, whatever changes between two batches.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::rule::{Channels, UniformChannel};
use mdgl_core::description::{Gain, Reach, TimeCourse};
use mdgl_core::{
    Assignment, CounterRng, EncodedBatch, Layout, Lesion, Model, Optimiser, Real, Rewiring, Rule, StepReport,
    Training, Workers, evaluate, gradients, train_step,
};
use proptest::prelude::*;
use serde_json::json;

use crate::common::config;
use crate::training::{batch_of, description, network, objective};

/// What happens to a model between two batches, and how it trains on the next.
#[derive(Debug, Clone)]
struct Turn {
    rule: &'static str,
    /// In place of that rule MDGL with this gain from every cell to every cell.
    gain: Option<f64>,
    /// Rewiring, and whether a projection is frozen.
    rewiring: Rewiring,
    frozen: bool,
    trials: u32,
    regularised: bool,
    change: Change,
    /// Which of the two models.
    second: bool,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Lesion,
    /// Half of a projection's weights become 0.
    Weights,
    /// Loss and gradients of another batch, without a step.
    Gradients,
    Evaluation,
}

const RULES: [&str; 8] =
    ["eprop", "mdgl", "bptt", "nl-mdgl", "mdgl-membrane", "mdgl-online", "hops-2", "eprop-random"];

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let rewiring = prop_oneof![Just(Rewiring::Off), Just(Rewiring::WithinMask), Just(Rewiring::AllPairs)];
    let change = prop_oneof![
        4 => Just(Change::Nothing),
        1 => Just(Change::Lesion),
        1 => Just(Change::Weights),
        1 => Just(Change::Gradients),
        1 => Just(Change::Evaluation),
    ];
    let trials = prop_oneof![Just(1u32), Just(3), Just(20)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let rule = (0..RULES.len(), prop_oneof![3 => Just(None), 1 => (-0.5..0.5f64).prop_map(Some)]);
    let turn = (rule, rewiring, trials, change, flags).prop_map(
        |((rule, gain), rewiring, trials, change, (frozen, regularised, second))| Turn {
            rule: RULES[rule],
            gain,
            rewiring,
            frozen,
            trials,
            regularised,
            change,
            second,
        },
    );
    prop::collection::vec(turn, 3..9)
}

fn optimiser(turn: &Turn) -> Optimiser {
    let frozen = if turn.frozen { vec!["lif->alif".to_owned()] } else { Vec::new() };
    Optimiser { l1: 0.5, temperature: 1e-6, rewiring: turn.rewiring, frozen, ..Optimiser::fig_3c() }
}

fn rule(turn: &Turn) -> Rule {
    match turn.gain {
        None => Rule::named(turn.rule).unwrap(),
        Some(gain) => {
            let (gain, kernel) = (Gain::Fixed(gain), TimeCourse::None);
            let channel = UniformChannel { gain, reach: Reach::Nonlocal, kernel, above: 0.0 };
            Rule { channels: Channels::Uniform(channel), ..Rule::mdgl() }
        }
    }
}

/// A batch's numbers: the report of its step, with what happened before it.
type Numbers<F> = (Vec<Vec<F>>, StepReport, Option<f64>);

/// Takes a turn on a model; every number as bits.
fn take<F: Real>(model: &mut Model<F>, turn: &Turn, index: u32, workers: &Workers<F>) -> Numbers<F> {
    let cancel = AtomicBool::new(false);
    let mut objective = objective();
    if !turn.regularised {
        objective.regulariser = None;
    }
    let batch: EncodedBatch = batch_of(turn.trials, 30, 120.0, index);
    let assignment = Assignment { batch: &batch, objective: &objective };
    let rule = rule(turn);
    let mut loss = None;
    match turn.change {
        Change::Nothing => {}
        Change::Lesion => {
            let lesion: Lesion =
                serde_json::from_value(json!({"projection": "lif->lif", "from": "lif"})).unwrap();
            model.lesion(lesion).unwrap();
        }
        Change::Weights => {
            let mut weights: Vec<f64> =
                model.weights("lif->lif").unwrap().iter().map(|w| w.to_f64()).collect();
            weights.iter_mut().step_by(2).for_each(|weight| *weight = 0.0);
            model.set_weights("lif->lif", &weights).unwrap();
        }
        Change::Gradients => {
            let (evaluation, _) =
                gradients(model, assignment, &Rule::mdgl(), None, workers, &cancel).unwrap();
            loss = Some(evaluation.loss);
        }
        Change::Evaluation => loss = Some(evaluate(model, assignment, workers, &cancel).unwrap().loss),
    }
    let training = Training { rule: &rule, optimiser: &optimiser(turn) };
    let (next, report) = train_step(model, assignment, training, None, workers, &cancel).unwrap();
    *model = next;
    let weights = model.network().projections().iter().map(|own| model.weights(own.name()).unwrap());
    (weights.collect(), report, loss)
}

fn agrees<F: Real + PartialEq>(turns: &[Turn], layout: Option<Layout>, threads: usize) {
    let workers = || {
        let workers = Workers::<F>::new(threads).unwrap();
        match layout {
            Some(layout) => workers.with_layout(layout),
            None => workers,
        }
    };
    let made = || Model::<F>::new(Arc::new(network(description()).unwrap())).unwrap();
    let (mut cached, mut anew) = ([made(), made()], [made(), made()]);
    let kept = workers();
    for (index, turn) in (0..).zip(turns) {
        let which = usize::from(turn.second);
        let found = take(&mut cached[which], turn, index, &kept);
        let expected = take(&mut anew[which], turn, index, &workers());
        assert_eq!(found, expected, "turn {index}");
    }
}

proptest! {
    #![proptest_config(config(24, 91))]

    #[test]
    fn lists_of_the_last_batch_change_no_bit(turns in turns(), seed in any::<u64>()) {
        let mut rng = CounterRng::new(seed, 0, 0, 0);
        let layout = [None, Some(Layout::Trials), Some(Layout::Neurons)][rng.below(3) as usize];
        agrees::<f32>(&turns, layout, 1 + rng.below(2) as usize);
        agrees::<f64>(&turns, layout, 1);
    }
}
