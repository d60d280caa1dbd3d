//! Batches computed by several ranks: the same bits as one process gives; messages that do not fit are refused.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::rule::Estimator;
use mdgl_core::{
    Assignment, DrawKey, EncodedBatch, Error, Evaluation, Input, Model, Objective, Optimiser, RULE_NAMES,
    RateSegment, Real, Rule, Share, SharedWork, Sharing, StepReport, Targets, Training, Turnout, Workers,
    evaluate, train_step,
};
use serde_json::{Value, json};

use crate::training::{description, model, network};

/// Whether a published rule carries the influence of the weights forwards, which ranks cannot share.
pub fn carries_influence(name: &str) -> bool {
    !matches!(Rule::named(name).unwrap().estimator, Estimator::Backward | Estimator::Online)
}

struct StreamTarget {
    batch: EncodedBatch,
    objective: Objective,
}

/// A number of trials, with or without a regulariser.
fn target(trials: u32, regulariser: Value) -> StreamTarget {
    let segment = |trial| RateSegment { trial, units: (0, 10), steps: (0, 50), rate: 60.0 };
    let inputs = vec![Input::Rates((0..trials).map(segment).collect())];
    let targets = vec![Targets::Classes((0..trials).map(|b| b % 2).collect())];
    let key = DrawKey { seed: 5, stream: 0, iteration: 0 };
    let loss = json!({"readout": "out", "kind": "cross-entropy", "window": 10});
    StreamTarget {
        batch: EncodedBatch { trials: trials as usize, steps: 50, lengths: None, inputs, targets, key },
        objective: serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap(),
    }
}

fn regularised() -> Value {
    json!({"strength": 1.0, "targetRate": 20.0})
}

impl StreamTarget {
    fn assignment(&self) -> Assignment<'_> {
        Assignment { batch: &self.batch, objective: &self.objective }
    }
}

/// All state of one rank, as if it were a process.
struct Rank<'a, F: Real> {
    model: &'a Model<F>,
    target: &'a StreamTarget,
    training: Option<Training<'a>>,
    workers: Workers<F>,
    share: Share,
    cancel: AtomicBool,
}

impl<'a, F: Real> Rank<'a, F> {
    fn all(
        ranks: usize,
        model: &'a Model<F>,
        target: &'a StreamTarget,
        training: Option<Training<'a>>,
    ) -> Vec<Self> {
        let rank = |rank| Self {
            model,
            target,
            training,
            workers: Workers::new(1 + rank % 2).unwrap(),
            share: Share::new(rank, ranks).unwrap(),
            cancel: AtomicBool::new(false),
        };
        (0..ranks).map(rank).collect()
    }

    fn sharing(&self) -> Sharing<'_, F> {
        Sharing {
            model: self.model,
            assignment: self.target.assignment(),
            training: self.training,
            share: self.share,
            workers: &self.workers,
            cancel: &self.cancel,
        }
    }
}

type Begun<F> = (Vec<SharedWork<F>>, Vec<Vec<u8>>);

fn begin<F: Real>(ranks: &[Rank<'_, F>]) -> Begun<F> {
    ranks.iter().map(|rank| rank.sharing().begin().unwrap()).unzip()
}

/// Runs all ranks until they have finished.
fn together<F: Real>(ranks: &[Rank<'_, F>]) -> Vec<Turnout<F>> {
    let (mut works, mut messages) = begin(ranks);
    loop {
        let on = ranks.iter().zip(works).map(|(rank, work)| rank.sharing().go_on(work, &messages).unwrap());
        let mut ends = Vec::new();
        let (mut more, mut next) = (Vec::new(), Vec::new());
        for turnout in on.collect::<Vec<_>>() {
            match turnout {
                Turnout::More(work, message) => {
                    more.push(work);
                    next.push(message);
                }
                end => ends.push(end),
            }
        }
        if more.is_empty() {
            return ends;
        }
        assert!(ends.is_empty(), "some ranks are through and others are not");
        (works, messages) = (more, next);
    }
}

fn same_as_alone<F: Real>(model: &Model<F>, target: &StreamTarget, rule: &Rule, name: &str) {
    let (workers, cancel, optimiser) =
        (Workers::new(2).unwrap(), AtomicBool::new(false), Optimiser::fig_3c());
    let alone = train_step(
        model,
        target.assignment(),
        Training { rule, optimiser: &optimiser },
        None,
        &workers,
        &cancel,
    )
    .unwrap();
    let expected: (Vec<u8>, StepReport) = (alone.0.to_checkpoint().unwrap(), alone.1);
    for ranks in [1, 2, 3, 4, 5, 7] {
        let turnouts =
            together(&Rank::all(ranks, model, target, Some(Training { rule, optimiser: &optimiser })));
        assert_eq!(turnouts.len(), ranks);
        for turnout in turnouts {
            let Turnout::Trained(next, report) = turnout else { panic!("{turnout:?}") };
            assert_eq!(report, expected.1, "{name} on {ranks} ranks");
            assert!(next.to_checkpoint().unwrap() == expected.0, "{name} on {ranks} ranks");
        }
    }
}

#[test]
fn every_rule_gives_the_same_bits_on_any_number_of_ranks() {
    let (model, targets) = (model::<f32>(), [target(72, regularised()), target(72, Value::Null)]);
    for name in RULE_NAMES.into_iter().filter(|name| !carries_influence(name)) {
        targets.iter().for_each(|target| same_as_alone(&model, target, &Rule::named(name).unwrap(), name));
    }
}

#[test]
fn doubles_few_trials_and_other_conventions_give_the_same_bits_too() {
    let wide = model::<f64>();
    same_as_alone(&wide, &target(98, regularised()), &Rule::mdgl_membrane(), "doubles");
    same_as_alone(&wide, &target(3, regularised()), &Rule::mdgl(), "three trials");
    let mut changed = description();
    changed["conventions"] = json!("bellec2020");
    // With the usual strength the gradient explodes, and its square is infinite in f32.
    changed["populations"][1]["adaptationStrength"] = json!(0.05);
    let model = Model::<f32>::new(Arc::new(network(changed).unwrap())).unwrap();
    same_as_alone(&model, &target(50, regularised()), &Rule::eprop(), "bellec2020");
}

#[test]
fn an_evaluation_is_shared_too() {
    let (model, target) = (model::<f32>(), target(72, regularised()));
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    let expected: Evaluation = evaluate(&model, target.assignment(), &workers, &cancel).unwrap();
    for ranks in [1, 2, 5, 7] {
        for turnout in together(&Rank::all(ranks, &model, &target, None)) {
            let Turnout::Evaluated(found) = turnout else { panic!("{turnout:?}") };
            assert_eq!(found, expected);
        }
    }
}

fn path_of<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { path, .. }) => path,
        other => panic!("{other:?}"),
    }
}

/// The error of rank 0 of two for messages changed on their way.
fn answer(ranks: &[Rank<'_, f32>], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Result<Turnout<f32>, Error> {
    let (works, mut messages) = begin(ranks);
    change(&mut messages);
    ranks[0].sharing().go_on(works.into_iter().next().unwrap(), &messages)
}

#[test]
fn what_cannot_be_shared_is_refused_by_name() {
    let (model, mut target) = (model::<f32>(), target(20, Value::Null));
    let optimiser = Optimiser::fig_3c();
    for name in RULE_NAMES.into_iter().filter(|name| carries_influence(name)) {
        let rule = Rule::named(name).unwrap();
        let ranks = Rank::all(2, &model, &target, Some(Training { rule: &rule, optimiser: &optimiser }));
        assert_eq!(path_of(ranks[1].sharing().begin()), "rule.estimator", "{name}");
    }
    target.objective =
        serde_json::from_value(json!({"losses": [{"readout": "out", "kind": "custom"}]})).unwrap();
    target.batch.targets = vec![Targets::None];
    assert_eq!(path_of(Rank::all(2, &model, &target, None)[0].sharing().begin()), "loss");
    assert_eq!(path_of(Share::new(0, 0)), "collective.size");
    assert_eq!(path_of(Share::new(2, 2)), "collective.rank");
}

#[test]
fn ranks_that_do_not_mean_the_same_are_named() {
    let (model, own) = (model::<f32>(), target(72, regularised()));
    let (rule, optimiser) = (Rule::mdgl(), Optimiser::fig_3c());
    let ranks = Rank::all(2, &model, &own, Some(Training { rule: &rule, optimiser: &optimiser }));
    let against = |other: &Rank<'_, f32>| {
        let theirs = other.sharing().begin().unwrap().1;
        path_of(answer(&ranks, |messages| messages[1] = theirs))
    };
    let second = |model, target, training| Rank::all(2, model, target, training).pop().unwrap();
    let training = Some(Training { rule: &rule, optimiser: &optimiser });
    let mut trained = model.clone();
    trained.set_bias("out", &[0.0, 1e-7]).unwrap();
    assert_eq!(against(&second(&trained, &own, training)), "messages[1].weights");
    let nonlocal = Rule::nl_mdgl();
    let slow = Optimiser { l1: 0.5, ..Optimiser::fig_3c() };
    assert_eq!(
        against(&second(&model, &own, Some(Training { rule: &rule, optimiser: &slow }))),
        "messages[1].rule and optimiser"
    );
    assert_eq!(
        against(&second(&model, &own, Some(Training { rule: &nonlocal, optimiser: &optimiser }))),
        "messages[1].rule and optimiser"
    );
    assert_eq!(against(&second(&model, &own, None)), "messages[1].phase");
    let strong = target(72, json!({"strength": 2.0, "targetRate": 20.0}));
    assert_eq!(against(&second(&model, &strong, training)), "messages[1].losses");
    let mut seed = target(72, regularised());
    seed.batch.key.seed = 6;
    assert_eq!(against(&second(&model, &seed, training)), "messages[1].batch");
    let mut targets = target(72, regularised());
    targets.batch.targets = vec![Targets::Classes(vec![0; 72])];
    assert_eq!(against(&second(&model, &targets, training)), "messages[1].batch");
    let three = Rank::all(3, &model, &own, training).swap_remove(1);
    assert_eq!(against(&three), "messages[1]");
}

#[test]
fn messages_damaged_missing_or_out_of_order_are_refused() {
    let (model, target) = (model::<f32>(), target(40, Value::Null));
    let (rule, optimiser) = (Rule::eprop().online(), Optimiser::fig_3c());
    let ranks = Rank::all(2, &model, &target, Some(Training { rule: &rule, optimiser: &optimiser }));
    assert!(matches!(answer(&ranks, |_| ()), Ok(Turnout::Trained(..))));
    assert_eq!(path_of(answer(&ranks, |messages| drop(messages.pop()))), "messages");
    assert_eq!(path_of(answer(&ranks, |messages| messages.push(Vec::new()))), "messages");
    assert_eq!(path_of(answer(&ranks, |messages| messages.swap(0, 1))), "messages[0]");
    let size = begin(&ranks).1[1].len();
    let cuts = (0..size).step_by(211).chain([7, 8, size - 1]);
    for cut in cuts {
        assert_eq!(path_of(answer(&ranks, |messages| messages[1].truncate(cut))), "messages[1]", "{cut}");
    }
    for bit in (0..8 * size).step_by(1999) {
        let flip = |messages: &mut Vec<Vec<u8>>| messages[1][bit / 8] ^= 1 << (bit % 8);
        assert_eq!(path_of(answer(&ranks, flip)), "messages[1]", "bit {bit}");
    }
}
