//! Batches computed by several ranks: the same bits as one process gives; messages that do not fit are refused.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::rule::Estimator;
use mdgl_core::{
    Assignment, ClassWindow, DrawKey, EncodedBatch, Error, Evaluation, Event, Input, Model, Objective,
    Optimiser, Part, RULE_NAMES, RateSegment, Real, Rule, Share, SharedWork, Sharing, StepReport, Targets,
    Training, Turnout, Workers, evaluate, train_step,
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
        batch: EncodedBatch {
            trials: trials as usize,
            steps: 50,
            lengths: None,
            inputs,
            targets,
            key,
            part: None,
        },
        objective: serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap(),
    }
}

fn regularised() -> Value {
    json!({"strength": 1.0, "targetRate": 20.0})
}

/// Trials of lengths of their own, the longest in no first block, and what they are given and asked for.
fn uneven(
    trials: u32,
    inputs: fn(&[u32]) -> Input,
    loss: Value,
    targets: fn(&[u32]) -> Targets,
) -> StreamTarget {
    let lengths: Vec<u32> = (0..trials).map(|b| 31 + b / 16 * 4 - b % 5).collect();
    let (inputs, targets) = (vec![inputs(&lengths)], vec![targets(&lengths)]);
    let key = DrawKey { seed: 9, stream: 1, iteration: 3 };
    let steps = *lengths.iter().max().unwrap() as usize;
    let lengths = Some(lengths);
    StreamTarget {
        batch: EncodedBatch { trials: trials as usize, steps, lengths, inputs, targets, key, part: None },
        objective: serde_json::from_value(json!({"losses": [loss], "regulariser": regularised()})).unwrap(),
    }
}

/// A number per trial, step and unit; beyond a trial's end nothing that counts.
fn values(lengths: &[u32], units: usize) -> Vec<f64> {
    let count = lengths.len() * *lengths.iter().max().unwrap() as usize * units;
    (0..count).map(|i| (i as f64 * 0.7).sin()).collect()
}

/// Rates and classes; analogue input and values to follow; events and windows, of which some blocks have none.
fn uneven_targets() -> [StreamTarget; 3] {
    let rates = |lengths: &[u32]| {
        let segment = |(b, &end)| RateSegment { trial: b, units: (0, 10), steps: (b % 3, end), rate: 70.0 };
        Input::Rates((0..).zip(lengths).map(segment).collect())
    };
    let classes = |lengths: &[u32]| Targets::Classes((0..lengths.len() as u32).map(|b| b / 3 % 2).collect());
    let events = |lengths: &[u32]| {
        let event = |b: u32, step| Event { trial: b, step, unit: (b + step) % 10, count: 1 + b % 2 };
        Input::Events(
            (0..).zip(lengths).flat_map(|(b, &end)| (0..end).map(move |step| event(b, step))).collect(),
        )
    };
    let windows = |lengths: &[u32]| {
        let trials = (0..lengths.len() as u32).filter(|b| b / 16 % 2 == 1);
        Targets::Windows(
            trials.map(|trial| ClassWindow { trial, steps: 3..9 + trial % 3, class: trial % 2 }).collect(),
        )
    };
    let loss = |kind: &str| json!({"readout": "out", "kind": kind});
    let cross_entropy = json!({"readout": "out", "kind": "cross-entropy", "window": 5});
    let followed = |lengths: &[u32]| Targets::Values(values(lengths, 2));
    [
        uneven(72, rates, cross_entropy, classes),
        uneven(50, |lengths| Input::Analogue(values(lengths, 10)), loss("squared-error"), followed),
        uneven(70, events, loss("windowed-cross-entropy"), windows),
    ]
}

impl StreamTarget {
    fn assignment(&self) -> Assignment<'_> {
        Assignment { batch: &self.batch, objective: &self.objective }
    }

    /// What each of so many ranks makes of it: its own trials.
    fn parts(&self, ranks: usize) -> Vec<Self> {
        (0..ranks).map(|rank| self.part(Share::new(rank, ranks).unwrap())).collect()
    }

    fn part(&self, share: Share) -> Self {
        let EncodedBatch { trials, steps, lengths, inputs, targets, key, .. } = &self.batch;
        let own = share.trials(*trials);
        let lengths = lengths.as_ref().map(|lengths| lengths[own.clone()].to_vec());
        let longest = lengths.as_ref().map_or(*steps, |own| own.iter().copied().max().unwrap_or(0) as usize);
        let holds = |trial: u32| own.contains(&(trial as usize));
        let moved = |trial: u32| trial - own.start as u32;
        let restrided = |values: &[f64]| {
            let units = values.len() / trials / steps;
            let trial = |b: usize| values[b * steps * units..][..longest * units].to_vec();
            own.clone().flat_map(trial).collect()
        };
        let input = |input: &Input| match input {
            Input::Rates(segments) => Input::Rates(
                segments
                    .iter()
                    .filter(|s| holds(s.trial))
                    .map(|s| RateSegment { trial: moved(s.trial), ..s.clone() })
                    .collect(),
            ),
            Input::Events(events) => Input::Events(
                events
                    .iter()
                    .filter(|e| holds(e.trial))
                    .map(|e| Event { trial: moved(e.trial), ..*e })
                    .collect(),
            ),
            Input::Analogue(values) => Input::Analogue(restrided(values)),
            Input::Silent => Input::Silent,
        };
        let windows = |targets: &Targets| match targets {
            Targets::Windows(windows) => windows.len(),
            _ => 0,
        };
        let part = Part { first: own.start, trials: *trials, windows: targets.iter().map(windows).collect() };
        let target = |targets: &Targets| match targets {
            Targets::Classes(classes) => Targets::Classes(classes[own.clone()].to_vec()),
            Targets::Values(values) => Targets::Values(restrided(values)),
            Targets::Windows(windows) => Targets::Windows(
                windows
                    .iter()
                    .filter(|w| holds(w.trial))
                    .map(|w| ClassWindow { trial: moved(w.trial), ..w.clone() })
                    .collect(),
            ),
            Targets::None => Targets::None,
        };
        let batch = EncodedBatch {
            trials: own.len(),
            steps: longest,
            lengths,
            inputs: inputs.iter().map(input).collect(),
            targets: targets.iter().map(target).collect(),
            key: *key,
            part: Some(part),
        };
        Self { batch, objective: self.objective.clone() }
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
    /// Each with its own trials.
    fn with_parts(
        model: &'a Model<F>,
        parts: &'a [StreamTarget],
        training: Option<Training<'a>>,
    ) -> Vec<Self> {
        let mut ranks = Self::all(parts.len(), model, &parts[0], training);
        ranks.iter_mut().zip(parts).for_each(|(rank, part)| rank.target = part);
        ranks
    }

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

/// One message of all, merged by neighbours in pairs, or one after another from the last on.
fn merged<F: Real>(
    rank: &Rank<'_, F>,
    work: &SharedWork<F>,
    mut messages: Vec<Vec<u8>>,
    in_pairs: bool,
) -> Vec<u8> {
    let merge = |left: &[u8], right: &[u8]| rank.sharing().merge(work, left, right).unwrap();
    while messages.len() > 1 {
        if in_pairs {
            let pair = |pair: &[Vec<u8>]| match pair {
                [left, right] => merge(left, right),
                rest => rest.concat(),
            };
            messages = messages.chunks(2).map(pair).collect();
        } else if let [.., left, right] = &messages[..] {
            let both = merge(left, right);
            messages.truncate(messages.len() - 2);
            messages.push(both);
        }
    }
    messages.concat()
}

/// How messages reach all ranks.
#[derive(Debug, Clone, Copy)]
enum Exchange {
    Each,
    InPairs,
    OneByOne,
}

/// Runs all ranks until they have finished.
fn together<F: Real>(ranks: &[Rank<'_, F>], exchange: Exchange) -> Vec<Turnout<F>> {
    let (mut works, mut messages) = begin(ranks);
    loop {
        messages = match exchange {
            Exchange::Each => messages,
            Exchange::InPairs => vec![merged(&ranks[0], &works[0], messages, true)],
            Exchange::OneByOne => vec![merged(&ranks[0], &works[0], messages, false)],
        };
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
    let training = Some(Training { rule, optimiser: &optimiser });
    for ranks in [1, 2, 3, 4, 5, 7] {
        let exchange = [Exchange::Each, Exchange::InPairs, Exchange::OneByOne][ranks % 3];
        let whole = together(&Rank::all(ranks, model, target, training), Exchange::Each);
        let parts = together(&Rank::with_parts(model, &target.parts(ranks), training), exchange);
        assert_eq!((whole.len(), parts.len()), (ranks, ranks));
        for turnout in whole.into_iter().chain(parts) {
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
fn ranks_that_make_their_own_trials_alone_give_the_same_bits() {
    let (model, targets) = (model::<f32>(), uneven_targets());
    for target in &targets {
        for name in ["mdgl", "mdgl-membrane", "mdgl-online", "bptt", "eprop"] {
            same_as_alone(&model, target, &Rule::named(name).unwrap(), name);
        }
    }
    let mut changed = description();
    changed["conventions"] = json!("bellec2020");
    changed["populations"][1]["adaptationStrength"] = json!(0.05);
    let model = Model::<f32>::new(Arc::new(network(changed).unwrap())).unwrap();
    same_as_alone(&model, &targets[0], &Rule::eprop(), "bellec2020");
}

#[test]
fn a_part_that_is_not_the_share_of_its_rank_is_refused() {
    let (model, target) = (model::<f32>(), target(72, regularised()));
    let (rule, optimiser) = (Rule::mdgl(), Optimiser::default());
    let training = Some(Training { rule: &rule, optimiser: &optimiser });
    let refused = |change: fn(&mut Vec<StreamTarget>)| {
        let mut parts = target.parts(2);
        change(&mut parts);
        path_of(Rank::with_parts(&model, &parts, training)[0].sharing().begin())
    };
    assert_eq!(refused(|parts| parts.swap(0, 1)), "batch.range");
    assert_eq!(refused(|parts| parts[0].batch.part.as_mut().unwrap().first = 16), "batch.range");
    assert_eq!(refused(|parts| parts[0].batch.part.as_mut().unwrap().trials = 200), "batch.range");
    assert_eq!(refused(|parts| parts[0].batch.part.as_mut().unwrap().trials = 0), "batch.range.of");
    assert_eq!(refused(|parts| parts[0].batch.part.as_mut().unwrap().windows.clear()), "batch.range.windows");
    let windowed = &uneven_targets()[2];
    let mut parts = windowed.parts(2);
    parts[0].batch.part.as_mut().unwrap().windows = vec![0];
    assert_eq!(path_of(Rank::with_parts(&model, &parts, None)[0].sharing().begin()), "targets.out");
    // One rank has the whole batch, the other its own trials.
    let (whole, part) = (Rank::all(2, &model, &target, training), target.parts(2));
    let theirs = Rank::with_parts(&model, &part, training)[1].sharing().begin().unwrap().1;
    assert_eq!(path_of(answer(&whole, |messages| messages[1] = theirs)), "messages[1].batch");
}

#[test]
fn an_evaluation_is_shared_too() {
    let (model, target) = (model::<f32>(), target(72, regularised()));
    let (workers, cancel) = (Workers::new(1).unwrap(), AtomicBool::new(false));
    for target in uneven_targets().iter().chain([&target]) {
        let expected: Evaluation = evaluate(&model, target.assignment(), &workers, &cancel).unwrap();
        for ranks in [1, 2, 5, 7] {
            let whole = together(&Rank::all(ranks, &model, target, None), Exchange::OneByOne);
            for turnout in whole
                .into_iter()
                .chain(together(&Rank::with_parts(&model, &target.parts(ranks), None), Exchange::InPairs))
            {
                let Turnout::Evaluated(found) = turnout else { panic!("{turnout:?}") };
                assert_eq!(found, expected);
            }
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
fn only_messages_of_neighbours_are_merged() {
    let (model, target) = (model::<f32>(), target(72, regularised()));
    let (rule, optimiser) = (Rule::mdgl(), Optimiser::fig_3c());
    let training = Some(Training { rule: &rule, optimiser: &optimiser });
    let ranks = Rank::all(4, &model, &target, training);
    let (works, messages) = begin(&ranks);
    let merge = |left: &[u8], right: &[u8]| ranks[3].sharing().merge(&works[3], left, right);
    let [first, second, third, last] = &messages[..] else { panic!("four messages") };
    let pair = merge(second, third).unwrap();
    assert_eq!(merge(&merge(first, &pair).unwrap(), last), merge(first, &merge(&pair, last).unwrap()));
    assert_eq!(path_of(merge(first, third)), "messages[1]");
    assert_eq!(path_of(merge(second, first)), "messages[2]");
    assert_eq!(path_of(merge(&pair, third)), "messages[3]");
    assert_eq!(path_of(merge(&first[1..], second)), "messages.left");
    assert_eq!(path_of(merge(first, &second[..20])), "messages[1]");
    let eprop = Rule::eprop();
    let others = Rank::all(4, &model, &target, Some(Training { rule: &eprop, optimiser: &optimiser }));
    assert_eq!(path_of(merge(first, &begin(&others).1[1])), "messages[1].rule and optimiser");
    // Some of all ranks are not all.
    assert_eq!(path_of(ranks[0].sharing().go_on(begin(&ranks).0.swap_remove(0), &[pair])), "messages[0]");
    let half = merge(first, second).unwrap();
    assert_eq!(path_of(ranks[0].sharing().go_on(begin(&ranks).0.swap_remove(0), &[half])), "messages");
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
