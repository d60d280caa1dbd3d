//! Single trials, neurons in the lanes, against blocks of trials: the same bits, whatever the network, the rule,
//! the batch and the instruction set.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::description::rule::{Feedback, Hops, RandomFeedback};
use mdgl_core::{
    Assignment, CounterRng, CustomLoss, DrawKey, EncodedBatch, Event, Forward, Gradients, Input,
    Instructions, Layout, Model, Network, Objective, RateSegment, Real, Record, Rule, Score, Targets,
    Workers, gradients, simulate,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

/// A random network with its batch; all of it follows from these.
#[derive(Debug, Clone)]
struct Shape {
    seed: u64,
    sizes: [usize; 2],
    outputs: [usize; 2],
    steps: usize,
    trials: usize,
    density: f64,
    regularised: bool,
    /// Whether each pair has one synapse at most and inputs are single events, as where trials are simulated in one loop.
    plain: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let sizes = (1..40usize, 1..25usize, 1..19usize, 1..4usize, 3..140usize, 1..6usize);
    (any::<u64>(), sizes, 0..5usize, any::<bool>(), any::<bool>()).prop_map(
        |(seed, (a, b, wide, narrow, steps, trials), density, regularised, plain)| Shape {
            seed,
            sizes: [a, b],
            outputs: [wide, narrow],
            steps,
            trials,
            density: [0.04, 0.1, 0.3, 0.7, 1.0][density],
            regularised,
            plain,
        },
    )
}

/// Populations, input populations and readouts, and which are joined, in the order of the description: cells receive
/// from both populations out of turn, and one pair has two projections.
const PROJECTIONS: [(&str, &str, &str); 12] = [
    ("events->b", "events", "b"),
    ("b->a", "b", "a"),
    ("events->a", "events", "a"),
    ("rates->a", "rates", "a"),
    ("analogue->b", "analogue", "b"),
    ("a->a", "a", "a"),
    ("again", "a", "a"),
    ("b->b", "b", "b"),
    ("a->b", "a", "b"),
    ("b->narrow", "b", "narrow"),
    ("a->wide", "a", "wide"),
    ("more", "a", "wide"),
];

const INPUTS: [(&str, usize); 3] = [("events", 5), ("rates", 20), ("analogue", 2)];

struct Case<F: Real> {
    model: Model<F>,
    batch: EncodedBatch,
    objective: Objective,
}

impl Shape {
    fn size(&self, name: &str) -> usize {
        match name {
            "a" => self.sizes[0],
            "b" => self.sizes[1],
            "wide" => self.outputs[0],
            "narrow" => self.outputs[1],
            _ => INPUTS.iter().find(|(input, _)| *input == name).unwrap().1,
        }
    }

    fn rng(&self, stream: u32) -> CounterRng {
        CounterRng::new(self.seed, 300 + stream, 0, 0)
    }

    fn description(&self) -> Value {
        let mut rng = self.rng(0);
        let mut each = |size: usize, low: f64, high: f64| -> Vec<f64> {
            (0..size).map(|_| low + (high - low) * rng.uniform()).collect()
        };
        let [a, b] = self.sizes;
        let alif = |size: usize, each: &mut dyn FnMut(usize, f64, f64) -> Vec<f64>| {
            // Half the cells have no adaptation.
            let strength: Vec<f64> = each(size, -1.8, 1.8).into_iter().map(|b| b.max(0.0)).collect();
            let taus = each(size, 5.0, 30.0);
            let thresholds = each(size, 0.01, 0.03);
            let periods: Vec<f64> = each(size, 0.0, 6.0).into_iter().map(f64::round).collect();
            json!({
                "name": "b", "size": size, "model": "alif", "membraneTimeConstant": taus,
                "threshold": thresholds, "refractoryPeriod": periods,
                "dampening": each(size, 0.2, 0.5), "adaptationTimeConstant": each(size, 20.0, 900.0),
                "adaptationStrength": strength
            })
        };
        let populations = json!([
            {"name": "a", "size": a, "model": "lif", "refractoryPeriod": 2.0, "threshold": each(a, 0.01, 0.02)},
            alif(b, &mut each),
        ]);
        let split = each(a, 0.0, 1.0);
        let members = |high: bool| (0..a).filter(|&p| (split[p] > 0.5) == high).collect::<Vec<_>>();
        let projections: Vec<Value> = PROJECTIONS.iter().map(|p| self.projection(p)).collect();
        json!({
            "schema": "mdgl-network/1",
            "inputs": INPUTS.map(|(name, size)| json!({"name": name, "size": size})),
            "populations": populations,
            "readouts": [{"name": "wide", "size": self.outputs[0]}, {"name": "narrow", "size": self.outputs[1]}],
            "types": [
                {"name": "low", "members": [{"population": "a", "units": members(false)}]},
                {"name": "high", "members": [{"population": "a", "units": members(true)}]},
                {"name": "b", "members": [{"population": "b"}]},
                {"name": "none", "members": []}
            ],
            "projections": projections
        })
    }

    fn projection(&self, &(name, from, to): &(&str, &str, &str)) -> Value {
        let mut rng = self.rng(100 + name.bytes().map(u32::from).sum::<u32>());
        let (mut pre, mut post, mut values) = (vec![], vec![], vec![]);
        let density = match name {
            "analogue->b" => 0.8,
            "again" | "more" if self.plain => 0.0,
            _ => self.density,
        };
        let sd = match from {
            "a" | "b" => 0.15,
            _ => 0.4,
        };
        for q in 0..self.size(from) {
            for p in 0..self.size(to) {
                if rng.uniform() < density && !(from == to && q == p) {
                    pre.push(q);
                    post.push(p);
                    values.push(sd * rng.normal());
                }
            }
        }
        json!({"name": name, "from": from, "to": to, "connections": {"pre": pre, "post": post, "values": values}})
    }

    fn lengths(&self) -> Vec<u32> {
        let mut rng = self.rng(1);
        let least = self.steps as u32 / 2 + 1;
        (0..self.trials).map(|_| least + rng.below(self.steps as u32 - least + 1)).collect()
    }

    fn inputs(&self, lengths: &[u32]) -> Vec<Input> {
        let mut rng = self.rng(2);
        let mut events = Vec::new();
        for (trial, &length) in lengths.iter().enumerate() {
            for step in 0..length {
                for unit in 0..5 {
                    let [silent, count] = [rng.below(4) > 0, rng.below(8) < 6].map(u32::from);
                    if silent == 0 {
                        let count = if self.plain { 1 } else { 2 - count };
                        events.push(Event { trial: trial as u32, step, unit, count });
                    }
                }
            }
        }
        let segments = lengths.iter().enumerate().map(|(trial, &length)| RateSegment {
            trial: trial as u32,
            units: (0, 20),
            steps: (0, length),
            rate: 20.0,
        });
        let analogue = (0..self.trials * self.steps * 2).map(|_| 0.02 * rng.normal()).collect();
        match self.plain {
            true => vec![Input::Events(events), Input::Silent, Input::Silent],
            false => vec![Input::Events(events), Input::Rates(segments.collect()), Input::Analogue(analogue)],
        }
    }

    fn case<F: Real>(&self) -> Case<F> {
        let network = Network::new(serde_json::from_value(self.description()).unwrap()).unwrap();
        let lengths = self.lengths();
        let mut rng = self.rng(3);
        let values = (0..self.trials * self.steps * self.outputs[1]).map(|_| rng.normal()).collect();
        let classes = (0..self.trials).map(|_| rng.below(self.outputs[0] as u32)).collect();
        let regulariser = self.regularised.then(|| json!({"strength": 5.0, "targetRate": 20.0}));
        let window = 1 + rng.below(*lengths.iter().min().unwrap());
        let objective = json!({
            "losses": [
                {"readout": "narrow", "kind": "squared-error"},
                {"readout": "wide", "kind": "cross-entropy", "window": window}
            ],
            "regulariser": regulariser
        });
        Case {
            model: Model::new(Arc::new(network)).unwrap(),
            batch: EncodedBatch {
                trials: self.trials,
                steps: self.steps,
                inputs: self.inputs(&lengths),
                lengths: Some(lengths),
                targets: vec![Targets::Values(values), Targets::Classes(classes)],
                key: DrawKey { seed: self.seed, stream: 0, iteration: 3 },
                part: None,
            },
            objective: serde_json::from_value(objective).unwrap(),
        }
    }
}

impl<F: Real> Case<F> {
    fn assignment(&self) -> Assignment<'_> {
        Assignment { batch: &self.batch, objective: &self.objective }
    }

    fn workers(&self, set: Instructions, layout: Layout) -> Workers<F> {
        Workers::with_instructions(2, set).unwrap().with_layout(layout)
    }

    /// Gradients and everything of the evaluation, as bits.
    fn learned(&self, rule: &Rule, workers: &Workers<F>) -> Vec<u64> {
        let cancel = AtomicBool::new(false);
        let (evaluation, found) =
            gradients(&self.model, self.assignment(), rule, None, workers, &cancel).unwrap();
        let mut bits = self.bits(&found);
        bits.extend([evaluation.loss, evaluation.regulariser, evaluation.rate].map(f64::to_bits));
        bits
    }

    fn bits(&self, gradients: &Gradients<F>) -> Vec<u64> {
        let projections = (0..PROJECTIONS.len()).map(|i| gradients.projection(i));
        let all = projections.chain([gradients.bias(0), gradients.bias(1)]).flatten();
        all.map(|x| x.to_f64().to_bits()).collect()
    }
}

fn listed(hops: u32, channels: Value) -> Rule {
    Rule { hops: Hops::Count(hops), channels: serde_json::from_value(channels).unwrap(), ..Rule::mdgl() }
}

fn channel(
    name: &str,
    (from, to): (&str, &str),
    gain: Value,
    reach: &str,
    kernel: impl Into<Value>,
) -> Value {
    let kernel = kernel.into();
    json!({"name": name, "from": from, "to": to, "gain": gain, "reach": reach, "kernel": kernel})
}

fn rules() -> Vec<Rule> {
    let few = json!([
        channel("x", ("b", "low"), json!(0.3), "nonlocal", "none"),
        channel("y", ("high", "b"), json!("weight"), "synaptic", "none"),
        channel("z", ("b", "b"), json!("mean-weight"), "nonlocal", "none"),
    ]);
    let with_memory = json!([
        channel("x", ("b", "low"), json!(0.3), "nonlocal", "exact"),
        channel("y", ("high", "b"), json!("weight"), "synaptic", "exact"),
        channel("z", ("low", "b"), json!("mean-weight"), "synaptic", "none"),
    ]);
    let filtered = json!([
        channel("w", ("b", "low"), json!(0.3), "nonlocal", json!({"tauRise": 2, "tauDecay": 9})),
        channel("x", ("b", "low"), json!(0.3), "nonlocal", "none"),
        channel("y", ("high", "b"), json!("weight"), "synaptic", "membrane"),
        channel("z", ("low", "b"), json!("mean-weight"), "synaptic", "exact"),
        channel("v", ("b", "b"), json!(-0.2), "synaptic", json!({"membrane": {"mean": "batch"}})),
    ]);
    let remembered =
        json!({"gain": "mean-weight", "reach": "nonlocal", "kernel": {"tauRise": 0, "tauDecay": 20}});
    let passed = json!([
        channel("x", ("b", "low"), json!(0.3), "nonlocal", json!({"membrane": {"mean": "batch"}})),
        channel("y", ("high", "b"), json!("weight"), "synaptic", json!({"membrane": {"mean": "batch"}})),
    ]);
    let far = json!({"gain": "weight", "reach": "synaptic", "kernel": "exact"});
    let random = RandomFeedback { density: 0.4, ..RandomFeedback::default() };
    let deaf = |rule: Rule| Rule { feedback: Feedback::Fixed { random }, ..rule };
    vec![
        Rule::eprop(),
        Rule::mdgl(),
        Rule::mdgl_cell(),
        Rule::nl_mdgl(),
        Rule::on_mdgl(),
        Rule::bptt(),
        listed(1, few),
        listed(1, with_memory),
        listed(1, filtered),
        listed(1, remembered),
        listed(3, far),
        Rule::mdgl_above(),
        Rule::mdgl_membrane_hops(3),
        listed(2, passed),
        deaf(Rule::mdgl_membrane_hops(2)),
        deaf(Rule::eprop()),
        deaf(Rule::on_mdgl()),
    ]
}

/// Every instruction set of this machine, the plain twin included.
fn sets() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|set| set.is_available()).chain([Instructions::FusedTwin])
}

/// The same cases at every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` select others.
fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { 48 },
        rng_seed: match given.rng_seed {
            RngSeed::Random => RngSeed::Fixed(2021),
            fixed => fixed,
        },
        failure_persistence: None,
        ..given
    }
}

fn layouts_learn_alike<F: Real>(shape: &Shape) -> Result<(), TestCaseError> {
    let case = shape.case::<F>();
    for set in sets() {
        for rule in rules() {
            let learned = |layout| case.learned(&rule, &case.workers(set, layout));
            let (blocks, singles) = (learned(Layout::Trials), learned(Layout::Neurons));
            prop_assert!(blocks == singles, "{} in {}, {rule:?}", set.name(), F::NAME);
            // On one thread each trial goes forward and straight back.
            let alone = Workers::with_instructions(1, set).unwrap().with_layout(Layout::Neurons);
            prop_assert!(blocks == case.learned(&rule, &alone), "{} in {}, {rule:?}", set.name(), F::NAME);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn both_layouts_learn_the_same_bits_in_f32(shape in shapes()) {
        layouts_learn_alike::<f32>(&shape)?;
    }

    #[test]
    fn both_layouts_learn_the_same_bits_in_f64(shape in shapes()) {
        layouts_learn_alike::<f64>(&shape)?;
    }

    #[test]
    fn both_layouts_record_the_same(shape in shapes()) {
        let case = shape.case::<f32>();
        let cancel = AtomicBool::new(false);
        let record = Record { voltage: true, ..Record::default() };
        for set in sets() {
            let recorded =
                |layout| simulate(&case.model, &case.batch, record, &case.workers(set, layout), &cancel).unwrap();
            let (blocks, singles) = (recorded(Layout::Trials), recorded(Layout::Neurons));
            prop_assert_eq!(&blocks.spikes, &singles.spikes);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert!(bits(&blocks.readout) == bits(&singles.readout));
            prop_assert!(bits(&blocks.voltage) == bits(&singles.voltage));
        }
    }

    /// Storing a few steps of ψ and simulating the others again is the same computation.
    #[test]
    fn segments_of_single_trials_give_the_same_bits(shape in shapes(), segment in 1..40usize) {
        let case = shape.case::<f32>();
        for rule in rules() {
            let workers = || case.workers(Instructions::choose().unwrap(), Layout::Neurons);
            let whole = case.learned(&rule, &workers());
            let cut = case.learned(&rule, &workers().with_segment(segment).unwrap());
            prop_assert!(whole == cut, "{rule:?}");
        }
    }

    #[test]
    fn custom_losses_reach_single_trials(shape in shapes()) {
        let case = shape.case::<f32>();
        let cancel = AtomicBool::new(false);
        let objective: Objective = serde_json::from_value(json!({
            "losses": [{"readout": "wide", "kind": "custom"}], "regulariser": case.objective.regulariser
        })).unwrap();
        let batch = EncodedBatch { targets: vec![Targets::None], ..case.batch.clone() };
        let assignment = Assignment { batch: &batch, objective: &objective };
        let learned = |layout, rule: &Rule| {
            let workers = case.workers(Instructions::choose().unwrap(), layout);
            let forward = Forward::for_rule(&case.model, &case.batch, rule, &workers, &cancel).unwrap();
            let readout = forward.readout().unwrap();
            let delta = readout.iter().map(|y| 0.1 * f64::from(*y)).collect();
            let custom = CustomLoss { forward, score: Score::new(delta, 1.0) };
            let (_, found) =
                gradients(&case.model, assignment, rule, Some(custom), &workers, &cancel).unwrap();
            (readout.iter().map(|y| y.to_bits()).collect::<Vec<_>>(), case.bits(&found))
        };
        for rule in [Rule::mdgl(), Rule::mdgl_membrane()] {
            prop_assert!(learned(Layout::Trials, &rule) == learned(Layout::Neurons, &rule));
        }
    }
}

/// More than one block of trials, some of them on each thread, forward and straight back.
#[test]
fn several_blocks_learn_the_same_bits() {
    let shape = Shape {
        seed: 11,
        sizes: [30, 20],
        outputs: [3, 2],
        steps: 90,
        trials: 37,
        density: 0.3,
        regularised: false,
        plain: false,
    };
    let case = shape.case::<f32>();
    let set = Instructions::choose().unwrap();
    for case in [case, Shape { plain: true, ..shape }.case::<f32>()] {
        for rule in rules() {
            let [blocks, singles] = [Layout::Trials, Layout::Neurons]
                .map(|layout| case.learned(&rule, &case.workers(set, layout)));
            assert!(blocks == singles, "{rule:?}");
        }
    }
}

/// The layouts satisfy the other laws only if random networks are active: they must spike and learn.
#[test]
fn the_random_networks_are_alive() {
    let shape = Shape {
        seed: 5,
        sizes: [30, 20],
        outputs: [3, 2],
        steps: 120,
        trials: 2,
        density: 0.3,
        regularised: false,
        plain: false,
    };
    let case = shape.case::<f64>();
    let workers = case.workers(Instructions::choose().unwrap(), Layout::Neurons);
    let cancel = AtomicBool::new(false);
    let (evaluation, found) =
        gradients(&case.model, case.assignment(), &Rule::bptt(), None, &workers, &cancel).unwrap();
    assert!((5.0..200.0).contains(&evaluation.rate), "{} Hz", evaluation.rate);
    for (i, (name, ..)) in PROJECTIONS.iter().enumerate() {
        assert!(found.projection(i).iter().any(|&x| x != 0.0), "{name} learns nothing");
    }
}
