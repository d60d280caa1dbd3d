//! Random networks for the property tests, in the forms of the oracle and of the engine.

pub mod masked;
pub mod oracle;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{
    Assignment, CounterRng, DrawKey, EncodedBatch, Event, Gradients, Input, Instructions, Model, Network,
    Objective, Real, Rule, Targets, Workers, gradients,
};
use oracle::{Grad, Loss, Pseudo, Spec, Table};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

/// Properties of a random network; the rest follows from the seed.
#[derive(Debug, Clone)]
pub struct Shape {
    pub seed: u64,
    pub n_in: usize,
    pub n_rec: usize,
    pub n_out: usize,
    pub steps: usize,
    pub trials: usize,
    pub types: usize,
    pub loss: u32,
    pub regularised: bool,
}

/// The same cases at every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` select others (`npm run soak` does).
pub fn config(cases: u32, seed: u64) -> ProptestConfig {
    let given = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases },
        rng_seed: match given.rng_seed {
            RngSeed::Random => RngSeed::Fixed(seed),
            fixed => fixed,
        },
        failure_persistence: None,
        ..given
    }
}

/// Networks of up to so many neurons.
pub fn shapes(most_neurons: usize, most_steps: usize) -> impl Strategy<Value = Shape> {
    let sizes = (1..4usize, 2..=most_neurons, 1..4usize, 12..=most_steps, 1..20usize);
    (any::<u64>(), sizes, 1..5usize, 0..3u32, any::<bool>()).prop_map(
        |(seed, (n_in, n_rec, n_out, steps, trials), types, loss, regularised)| Shape {
            seed,
            n_in,
            n_rec,
            n_out,
            steps,
            trials,
            types,
            loss,
            regularised,
        },
    )
}

impl Shape {
    pub fn spec(&self) -> Spec {
        let rng = &mut CounterRng::new(self.seed, 0, 0, 0);
        let mut each = |low: f64, high: f64| -> Vec<f64> {
            (0..self.n_rec).map(|_| low + (high - low) * rng.uniform()).collect()
        };
        let alpha = each(0.8, 0.97);
        let rho = each(0.9, 0.999);
        let thr = each(0.01, 0.03);
        let gamma = each(0.2, 0.5);
        let beta: Vec<f64> = each(-1.8, 1.8).into_iter().map(|b| b.max(0.0)).collect();
        let n_ref = each(0.0, 6.0).into_iter().map(|n| n as usize).collect();
        let w_in = table(rng, self.n_in, self.n_rec, 0.7, 0.4, false);
        let w_rec = table(rng, self.n_rec, self.n_rec, 0.5, 0.15, true);
        let w_out = table(rng, self.n_rec, self.n_out, 0.5, 1.0, false);
        Spec {
            n_in: self.n_in,
            n_rec: self.n_rec,
            n_out: self.n_out,
            steps: self.steps,
            alpha,
            rho,
            synaptic: vec![0.0; self.n_rec],
            thr,
            beta,
            gamma,
            pseudo: Pseudo::Triangular,
            n_ref,
            rate: vec![false; self.n_rec],
            kappa: 0.8 + 0.15 * rng.uniform(),
            w_in,
            w_rec,
            w_out,
            delay: vec![vec![1; self.n_rec]; self.n_rec],
            delay_in: vec![vec![1; self.n_rec]; self.n_in],
            more: Vec::new(),
            bias: (0..self.n_out).map(|_| 0.1 * rng.normal()).collect(),
            types: (0..self.n_rec).map(|_| rng.below(self.types as u32) as usize).collect(),
            inputs: self
                .cube(self.n_in, || f64::from(u8::from(rng.below(5) == 0) + u8::from(rng.below(40) == 0))),
            injected: Vec::new(),
            loss: self.loss(rng),
            c_reg: if self.regularised { 5.0 } else { 0.0 },
            f0: 0.02,
        }
    }

    /// The same network with delays of up to so many steps between its neurons.
    pub fn delayed_spec(&self, most: usize) -> Spec {
        let rng = &mut CounterRng::new(self.seed, 1, 0, 0);
        let mut row = || (0..self.n_rec).map(|_| 1 + rng.below(most as u32) as usize).collect();
        Spec { delay: (0..self.n_rec).map(|_| row()).collect(), ..self.spec() }
    }

    /// The same with delays from inputs, too; each synapse is described with its own.
    pub fn synaptic_spec(&self, most: usize) -> Spec {
        let rng = &mut CounterRng::new(self.seed, 3, 0, 0);
        let mut spec = self.delayed_spec(most);
        spec.delay_in.iter_mut().flatten().for_each(|delay| *delay = 1 + rng.below(most as u32) as usize);
        // Described one by one even where all are drawn as one step.
        spec.delay_in[0][0] = spec.delay_in[0][0].max(2);
        spec
    }

    /// The same network with autapses and several synapses of some pairs, with delays of up to so many steps.
    pub fn crowded_spec(&self, most: usize) -> Spec {
        let rng = &mut CounterRng::new(self.seed, 4, 0, 0);
        let mut spec = if most > 1 { self.synaptic_spec(most) } else { self.spec() };
        let mut synapse = |pre, post| {
            let weight = 0.15 * rng.normal();
            oracle::Synapse { pre, post, weight, delay: 1 + rng.below(most as u32) as usize }
        };
        // One at least, so that the network is described with its own form.
        spec.w_rec[0][1] = 0.1;
        spec.more.push(synapse(0, 1));
        for (q, p) in (0..self.n_rec).flat_map(|q| (0..self.n_rec).map(move |p| (q, p))) {
            let further = synapse(q, p);
            if q == p && q % 2 == 0 {
                spec.w_rec[q][p] = further.weight;
            } else if spec.w_rec[q][p] != 0.0 && (q + p) % 3 == 0 {
                spec.more.push(further);
            }
        }
        spec
    }

    /// The same network with delays, and rate units after so many spiking neurons.
    pub fn rate_spec(&self, spiking: usize, most: usize) -> Spec {
        let shape = Self { regularised: false, ..self.clone() };
        let mut spec = shape.delayed_spec(most);
        spec.rate.iter_mut().skip(spiking).for_each(|rate| *rate = true);
        spec.beta.iter_mut().skip(spiking).for_each(|beta| *beta = 0.0);
        spec
    }

    /// The same network with delays, and current-based neurons from one on.
    pub fn current_spec(&self, first: usize, most: usize) -> Spec {
        let rng = &mut CounterRng::new(self.seed, 2, 0, 0);
        let mut spec = self.delayed_spec(most);
        spec.synaptic.iter_mut().skip(first).for_each(|decay| *decay = 0.5 + 0.45 * rng.uniform());
        // Currents add up: as much input as before.
        for (p, &decay) in spec.synaptic.iter().enumerate() {
            let tables = [&mut spec.w_in, &mut spec.w_rec];
            tables.into_iter().flatten().for_each(|row| row[p] *= 1.0 - decay);
        }
        spec
    }

    fn loss(&self, rng: &mut CounterRng) -> Loss {
        let window = match self.loss {
            0 => 1,
            1 => 1 + rng.below(self.steps as u32) as usize,
            _ => return Loss::SquaredError { targets: self.cube(self.n_out, || rng.normal()) },
        };
        let targets = (0..self.trials).map(|_| rng.below(self.n_out as u32) as usize).collect();
        Loss::CrossEntropy { targets, window }
    }

    fn cube(&self, units: usize, mut value: impl FnMut() -> f64) -> Vec<Table> {
        let mut row = || (0..units).map(|_| value()).collect();
        let mut trial = || (0..self.steps).map(|_| row()).collect();
        (0..self.trials).map(|_| trial()).collect()
    }
}

fn table(rng: &mut CounterRng, rows: usize, columns: usize, density: f64, sd: f64, recurrent: bool) -> Table {
    let mut weight = |q: usize, p: usize| {
        let present = rng.uniform() < density && !(recurrent && q == p);
        let value = sd * rng.normal();
        if present { value } else { 0.0 }
    };
    (0..rows).map(|q| (0..columns).map(|p| weight(q, p)).collect()).collect()
}

/// A random network, its trials and its losses, ready for the engine.
pub struct Case<F: Real> {
    pub model: Model<F>,
    pub batch: EncodedBatch,
    pub objective: Objective,
    /// The first neuron of each population.
    pub first: Vec<(&'static str, usize)>,
    /// Pairs of the oracle's further synapses.
    pub more: Vec<(usize, usize)>,
}

impl<F: Real> Case<F> {
    pub fn new(spec: &Spec) -> Self {
        Self::described(spec, |_| ())
    }

    /// With its description changed.
    pub fn described(spec: &Spec, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut description = description(spec);
        change(&mut description);
        let mut case = Self::unbiased(spec, description);
        case.model.set_bias("out", &spec.bias).unwrap();
        case
    }

    /// With another description, and the initial bias.
    pub fn unbiased(spec: &Spec, description: serde_json::Value) -> Self {
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        let model = Model::new(Arc::new(network)).unwrap();
        let mut events = Vec::new();
        for (trial, rows) in spec.inputs.iter().enumerate() {
            for (step, row) in rows.iter().enumerate() {
                for (unit, &count) in row.iter().enumerate().filter(|&(_, &count)| count > 0.0) {
                    let (trial, step, unit) = (trial as u32, step as u32, unit as u32);
                    events.push(Event { trial, step, unit, count: count as u32 });
                }
            }
        }
        let (loss, targets) = match &spec.loss {
            Loss::CrossEntropy { targets, window } => (
                json!({"readout": "out", "kind": "cross-entropy", "window": window}),
                Targets::Classes(targets.iter().map(|&class| class as u32).collect()),
            ),
            Loss::SquaredError { targets } => (
                json!({"readout": "out", "kind": "squared-error"}),
                Targets::Values(targets.iter().flatten().flatten().copied().collect()),
            ),
        };
        let batch = EncodedBatch {
            trials: spec.inputs.len(),
            steps: spec.steps,
            lengths: None,
            inputs: vec![Input::Events(events)],
            targets: vec![targets],
            key: DrawKey::default(),
            part: None,
        };
        let regulariser =
            (spec.c_reg > 0.0).then(|| json!({"strength": spec.c_reg, "targetRate": spec.f0 * 1000.0}));
        let objective =
            serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap();
        let first = parts(spec).iter().map(|part| (part.name, part.cells.start)).collect();
        let more = spec.more.iter().map(|synapse| (synapse.pre, synapse.post)).collect();
        Self { model, batch, objective, first, more }
    }

    pub fn assignment(&self) -> Assignment<'_> {
        Assignment { batch: &self.batch, objective: &self.objective }
    }

    pub fn gradients(&self, rule: &Rule) -> Gradients<F> {
        self.gradients_with(rule, 1, best())
    }

    pub fn gradients_with(&self, rule: &Rule, threads: usize, instructions: Instructions) -> Gradients<F> {
        let workers = Workers::with_instructions(threads, instructions).unwrap();
        let cancel = AtomicBool::new(false);
        gradients(&self.model, self.assignment(), rule, None, &workers, &cancel).unwrap().1
    }

    /// Largest difference of two gradients, relative to each projection's largest entry.
    pub fn distance(&self, found: &Gradients<F>, expected: &Gradients<F>) -> f64 {
        largest_relative(&self.tables(found), &self.tables(expected))
    }

    /// The gradient of each projection, and the bias's.
    fn tables(&self, gradients: &Gradients<F>) -> Vec<Vec<f64>> {
        let count = self.model.network().projections().len();
        let projections = (0..count).map(|i| gradients.projection(i));
        projections.chain([gradients.bias(0)]).map(widen).collect()
    }

    /// Largest difference from the oracle's gradient, on the network's synapses.
    pub fn distance_to(&self, found: &Gradients<F>, grad: &Grad) -> f64 {
        let synapses = self.model.network().projections().iter();
        let mut met: Vec<(usize, usize)> = Vec::new();
        let on_synapses = synapses.map(|synapses| {
            let (from, to) = synapses.name().split_once("->").unwrap();
            let table = match (from, to) {
                ("in", _) => &grad.w_in,
                (_, "out") => &grad.w_out,
                _ => &grad.w_rec,
            };
            let part = |name: &str| self.first.iter().find(|(part, _)| name.split(' ').next() == Some(part));
            let first = |name: &str| part(name).map_or(0, |&(_, first)| first);
            let recurrent = from != "in" && to != "out";
            let at = |(&q, &p): (&u32, &u32)| {
                let pair = (first(from) + q as usize, first(to) + p as usize);
                let before = met.iter().filter(|&&other| recurrent && other == pair).count();
                if recurrent {
                    met.push(pair);
                }
                let further = (0..self.more.len()).filter(|&i| self.more[i] == pair);
                match before.checked_sub(1) {
                    None => table[pair.0][pair.1],
                    Some(k) => grad.more[further.into_iter().nth(k).unwrap()],
                }
            };
            synapses.pre().iter().zip(synapses.post()).map(at).collect()
        });
        let expected: Vec<Vec<f64>> = on_synapses.chain([grad.b_out.clone()]).collect();
        largest_relative(&self.tables(found), &expected)
    }
}

pub fn best() -> Instructions {
    Instructions::choose().unwrap()
}

fn widen<F: Real>(values: &[F]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

/// Largest difference relative to each table's largest entry. A table below 1e-8 of the largest of all is measured
/// against that: its sums cancel to rounding.
fn largest_relative(found: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    let largest = |table: &Vec<f64>| table.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let floor = 1e-8 * expected.iter().map(largest).fold(f64::MIN_POSITIVE, f64::max);
    let error = |(found, expected): (&Vec<f64>, &Vec<f64>)| {
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(expected);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest(expected).max(floor)
    };
    found.iter().zip(expected).map(error).fold(0.0, f64::max)
}

pub fn description(spec: &Spec) -> serde_json::Value {
    let kinds = spec.types.iter().max().unwrap() + 2;
    let members = |t: usize| {
        let of = |part: &Part| {
            let own = (0..part.cells.len()).filter(|&unit| spec.types[part.cells.start + unit] == t);
            json!({"population": part.name, "units": own.collect::<Vec<_>>()})
        };
        parts(spec).iter().map(of).collect::<Vec<_>>()
    };
    let cell_type = |t| json!({"name": format!("t{t}"), "members": members(t)});
    json!({
        "schema": "mdgl-network/1",
        "pseudoDerivative": pseudo(spec.pseudo),
        "inputs": [{"name": "in", "size": spec.n_in}],
        "populations": parts(spec).iter().map(|part| population(spec, part)).collect::<Vec<_>>(),
        "readouts": [{"name": "out", "size": spec.n_out, "timeConstant": -1.0 / spec.kappa.ln()}],
        "types": (0..kinds).map(cell_type).collect::<Vec<_>>(),
        "projections": projections(spec)
    })
}

/// The neurons that spike, the current-based ones aside, and those that do not spike.
struct Part {
    name: &'static str,
    cells: Range<usize>,
}

fn parts(spec: &Spec) -> Vec<Part> {
    let spiking = spec.rate.iter().filter(|&&rate| !rate).count();
    let currents = spec.synaptic[..spiking].iter().position(|&decay| decay > 0.0).unwrap_or(spiking);
    let all = [("rec", 0..currents), ("cuba", currents..spiking), ("rate", spiking..spec.n_rec)];
    all.into_iter().filter(|(_, cells)| !cells.is_empty()).map(|(name, cells)| Part { name, cells }).collect()
}

fn population(spec: &Spec, Part { name, cells }: &Part) -> serde_json::Value {
    let tau = |decays: &[f64]| decays[cells.clone()].iter().map(|d| -1.0 / d.ln()).collect::<Vec<_>>();
    if *name == "rate" {
        return json!({
            "name": name, "size": cells.len(), "model": "rate", "membraneTimeConstant": tau(&spec.alpha)
        });
    }
    let mut population = json!({
        "name": name, "size": cells.len(), "model": "alif", "membraneTimeConstant": tau(&spec.alpha),
        "threshold": spec.thr[cells.clone()], "refractoryPeriod": spec.n_ref[cells.clone()],
        "dampening": spec.gamma[cells.clone()], "adaptationTimeConstant": tau(&spec.rho),
        "adaptationStrength": spec.beta[cells.clone()]
    });
    if *name == "cuba" {
        population["model"] = "cuba-alif".into();
        population["synapticTimeConstant"] = tau(&spec.synaptic).into();
    }
    population
}

/// All synapses between two parts in one projection, with a delay each.
fn projections_with_delays(spec: &Spec) -> Vec<serde_json::Value> {
    let parts = parts(spec);
    let whole = |spec: &Spec| [0..spec.n_in, 0..spec.n_out];
    let [inputs, outputs] = whole(spec);
    let projection =
        |from: &str, to: &str, weights: &Table, (senders, receivers): (&Range<usize>, &Range<usize>)| {
            let connections = connections(weights, senders.clone(), receivers.clone(), |_, _| true);
            json!({"from": from, "to": to, "connections": connections})
        };
    let delays = |table: &Vec<Vec<usize>>,
                  given: &serde_json::Value,
                  (senders, receivers): (&Range<usize>, &Range<usize>)| {
        let indices = |key: &str| {
            given["connections"][key].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize)
        };
        let pairs = indices("pre").zip(indices("post")).collect::<Vec<_>>();
        pairs.into_iter().map(|(q, p)| table[senders.start + q][receivers.start + p]).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for part in &parts {
        let ends = (&inputs, &part.cells);
        let mut own = projection("in", part.name, &spec.w_in, ends);
        own["delay"] = delays(&spec.delay_in, &own, ends).into();
        all.push(own);
    }
    for (from, to) in parts.iter().flat_map(|from| parts.iter().map(move |to| (from, to))) {
        let ends = (&from.cells, &to.cells);
        let mut own = projection(from.name, to.name, &spec.w_rec, ends);
        let mut delays = delays(&spec.delay, &own, ends);
        let joins = |synapse: &&oracle::Synapse| {
            from.cells.contains(&synapse.pre) && to.cells.contains(&synapse.post)
        };
        for synapse in spec.more.iter().filter(joins) {
            let values = [
                json!(synapse.pre - from.cells.start),
                json!(synapse.post - to.cells.start),
                json!(synapse.weight),
            ];
            for (key, value) in ["pre", "post", "values"].into_iter().zip(values) {
                own["connections"][key].as_array_mut().unwrap().push(value);
            }
            delays.push(synapse.delay);
        }
        own["delay"] = delays.into();
        if !spec.more.is_empty() {
            own["autapses"] = (from.name == to.name).into();
            own["multapses"] = true.into();
        }
        all.push(own);
    }
    all.extend(parts.iter().map(|part| projection(part.name, "out", &spec.w_out, (&part.cells, &outputs))));
    all
}

/// The recurrent synapses in one projection per delay, those of one step first, even if there are none.
fn projections(spec: &Spec) -> Vec<serde_json::Value> {
    if spec.delay_in.iter().flatten().any(|&delay| delay > 1) || !spec.more.is_empty() {
        return projections_with_delays(spec);
    }
    let parts = parts(spec);
    let name = |part: &Part, other: &str| format!("{}->{other}", part.name);
    let into = |part: &Part| json!({"from": "in", "to": part.name, "connections": connections(&spec.w_in, 0..spec.n_in, part.cells.clone(), |_, _| true)});
    let out = |part: &Part| {
        let connections = connections(&spec.w_out, part.cells.clone(), 0..spec.n_out, |_, _| true);
        json!({"from": part.name, "to": "out", "connections": connections})
    };
    let mut delays: Vec<usize> = spec.delay.iter().flatten().copied().chain([1]).collect();
    delays.sort_unstable();
    delays.dedup();
    let mut all: Vec<_> = parts.iter().map(into).collect();
    for (from, to, &delay) in parts
        .iter()
        .flat_map(|from| parts.iter().map(move |to| (from, to)))
        .flat_map(|(from, to)| delays.iter().map(move |delay| (from, to, delay)))
    {
        let own =
            connections(&spec.w_rec, from.cells.clone(), to.cells.clone(), |q, p| spec.delay[q][p] == delay);
        let after = if delay == 1 { String::new() } else { format!(" after {delay}") };
        let name = format!("{}{after}", name(from, to.name));
        all.push(json!({"name": name, "from": from.name, "to": to.name, "delay": delay, "connections": own}));
    }
    all.extend(parts.iter().map(out));
    all
}

fn pseudo(pseudo: Pseudo) -> serde_json::Value {
    match pseudo {
        Pseudo::Triangular => json!({"shape": "triangular"}),
        Pseudo::Exponential(k) => json!({"shape": "exponential", "steepness": k}),
        Pseudo::FastSigmoid(k) => json!({"shape": "fast-sigmoid", "steepness": k}),
        Pseudo::Arctangent(k) => json!({"shape": "arctangent", "steepness": k}),
    }
}

/// The synapses of a block of a matrix that belong to a projection.
fn connections(
    weights: &Table,
    from: Range<usize>,
    to: Range<usize>,
    belongs: impl Fn(usize, usize) -> bool,
) -> serde_json::Value {
    let (mut pre, mut post, mut values) = (vec![], vec![], vec![]);
    for q in from.clone() {
        for p in to.clone().filter(|&p| weights[q][p] != 0.0 && belongs(q, p)) {
            pre.push(q - from.start);
            post.push(p - to.start);
            values.push(weights[q][p]);
        }
    }
    json!({"pre": pre, "post": post, "values": values})
}
