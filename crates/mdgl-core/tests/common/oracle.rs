//! Oracle: the model and its learning rules over dense matrices in f64, written for clarity alone.
//!
//! Nothing here uses the engine. The local rules are sums over forward eligibility traces, the full
//! gradient is real-time recurrent learning; the engine computes both backwards.
// The indices are the equations'.
#![allow(clippy::needless_range_loop)]

/// Rows, then columns: weights are `[pre][post]`.
pub type Table = Vec<Vec<f64>>;
/// `[trial][step][unit]`.
pub type Cube = Vec<Table>;

/// A network with its weights, its inputs and its loss.
#[derive(Clone, Debug)]
pub struct Spec {
    pub n_in: usize,
    pub n_rec: usize,
    pub n_out: usize,
    pub steps: usize,
    /// Decay of the membrane and of the adaptation, one per neuron.
    pub alpha: Vec<f64>,
    pub rho: Vec<f64>,
    /// Decay of the synaptic current; 0 where input acts on the membrane at once.
    pub synaptic: Vec<f64>,
    pub thr: Vec<f64>,
    pub beta: Vec<f64>,
    pub gamma: Vec<f64>,
    /// How ψ falls with the distance to threshold.
    pub pseudo: Pseudo,
    pub n_ref: Vec<usize>,
    /// Neurons that send max(0, v) instead of spikes.
    pub rate: Vec<bool>,
    /// Decay of the readout.
    pub kappa: f64,
    pub w_in: Table,
    pub w_rec: Table,
    pub w_out: Table,
    /// Steps that a spike takes from one neuron to another, `[pre][post]`.
    pub delay: Vec<Vec<usize>>,
    /// The same from inputs: with one step an event acts in its own.
    pub delay_in: Vec<Vec<usize>>,
    /// Further synapses of pairs that have one.
    pub more: Vec<Synapse>,
    pub bias: Vec<f64>,
    /// Type of each neuron.
    pub types: Vec<usize>,
    /// Input counts.
    pub inputs: Cube,
    /// Currents injected into cells, which drive the membrane; empty where there are none.
    pub injected: Cube,
    pub loss: Loss,
    /// Strength of the firing-rate regulariser, and its target in spikes per step.
    pub c_reg: f64,
    pub f0: f64,
}

/// One synapse between neurons.
#[derive(Clone, Debug)]
pub struct Synapse {
    pub pre: usize,
    pub post: usize,
    pub weight: f64,
    pub delay: usize,
}

/// The task's loss: a mean over trials.
#[derive(Clone, Debug)]
pub enum Loss {
    /// A class per trial; mean over the last `window` steps.
    CrossEntropy { targets: Vec<usize>, window: usize },
    /// ½ Σ (y − y*)² over steps and outputs.
    SquaredError { targets: Cube },
}

/// Shapes of the pseudo-derivative, with their steepness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pseudo {
    Triangular,
    Exponential(f64),
    FastSigmoid(f64),
    Arctangent(f64),
}

impl Pseudo {
    fn at(self, x: f64) -> f64 {
        match self {
            Self::Triangular => (1.0 - x).max(0.0),
            Self::Exponential(k) => (-k * x).exp(),
            Self::FastSigmoid(k) => (1.0 + k * x).powi(-2),
            Self::Arctangent(k) => 1.0 / (1.0 + (std::f64::consts::PI / 2.0 * k * x).powi(2)),
        }
    }
}

/// Results of the forward pass.
#[derive(Clone, Debug)]
pub struct Run {
    pub z: Cube,
    pub v: Cube,
    pub psi: Cube,
    /// Spikes filtered by the readout.
    pub s: Cube,
    pub y: Cube,
    /// ∂E/∂y.
    pub delta: Cube,
    /// The learning signal L, with the regulariser's constant.
    pub signal: Cube,
    pub task_loss: f64,
    pub regulariser: f64,
    /// Sum of the two.
    pub loss: f64,
    /// Least |v − A| / thr of a neuron free to spike.
    pub margin: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The full surrogate gradient, as BPTT.
    Rtrl,
    Eprop,
    /// Type means.
    Mdgl,
    /// True weights.
    MdglCell,
    /// Type means over every neuron of the type.
    NlMdgl,
    /// Type means; the secreting cell's whole λv.
    MdglExact,
    /// Type means, the two factors filtered separately.
    OnMdgl,
}

/// ∂E/∂W of every entry, absent synapses and the diagonal included.
#[derive(Clone, Debug)]
pub struct Grad {
    pub w_in: Table,
    pub w_rec: Table,
    /// Of the further synapses.
    pub more: Vec<f64>,
    pub w_out: Table,
    pub b_out: Vec<f64>,
}

pub fn forward(spec: &Spec) -> Run {
    let mut run = Run {
        z: Cube::new(),
        v: Cube::new(),
        psi: Cube::new(),
        s: Cube::new(),
        y: Cube::new(),
        delta: Cube::new(),
        signal: Cube::new(),
        task_loss: 0.0,
        regulariser: 0.0,
        loss: 0.0,
        margin: f64::INFINITY,
    };
    for (trial, input) in spec.inputs.iter().enumerate() {
        simulate_trial(spec, input, spec.injected.get(trial), &mut run);
    }
    run.s = run.z.iter().map(|z| low_pass(z, spec.kappa)).collect();
    run.y = run.s.iter().map(|s| readout(spec, s)).collect();
    (run.task_loss, run.delta) = task_loss(spec, &run.y);
    let excess = rate_excess(spec, &run.z);
    run.regulariser = 0.5 * spec.c_reg * excess.iter().map(|e| e * e).sum::<f64>();
    run.loss = run.task_loss + run.regulariser;
    run.signal = learning_signal(spec, &run.delta, &excess);
    run
}

pub fn gradient(spec: &Spec, run: &Run, rule: Rule) -> Grad {
    let sums = match rule {
        Rule::Rtrl => recurrent_learning(spec, run),
        _ => trace_sums(spec, run, rule),
    };
    with_readout(spec, run, sums)
}

/// Σ_t S_p,t e_qp,t of any third factor S.
pub fn gradient_of_signal(spec: &Spec, run: &Run, signal: &Cube) -> Grad {
    with_readout(spec, run, sum_over_synapses(spec, run, |trial, p, e| dot(e, &column(&signal[trial], p))))
}

/// Sums per synapse onto a neuron, of every pair and of the further ones.
struct Sums {
    w_in: Table,
    w_rec: Table,
    more: Vec<f64>,
}

/// Σ over trials of what a function makes of (trial, p, e_qp).
fn sum_over_synapses(spec: &Spec, run: &Run, of: impl Fn(usize, usize, &[f64]) -> f64) -> Sums {
    let mut total = zeros(spec.n_in + spec.n_rec, spec.n_rec);
    let mut more = vec![0.0; spec.more.len()];
    for trial in 0..run.z.len() {
        let part = |heard: Vec<f64>, p: usize| {
            of(trial, p, &eligibility(spec, &heard, &column(&run.psi[trial], p), p))
        };
        for (q, row) in total.iter_mut().enumerate() {
            for (p, sum) in row.iter_mut().enumerate() {
                *sum += part(heard(spec, run, trial, q, p), p);
            }
        }
        for (synapse, sum) in spec.more.iter().zip(&mut more) {
            *sum += part(heard_along(spec, run, trial, synapse), synapse.post);
        }
    }
    split(spec, total, more)
}

/// Joins the readout's own gradient, exact under every rule.
fn with_readout(spec: &Spec, run: &Run, Sums { w_in, w_rec, more }: Sums) -> Grad {
    let mut w_out = zeros(spec.n_rec, spec.n_out);
    let mut b_out = vec![0.0; spec.n_out];
    for (s, delta) in run.s.iter().zip(&run.delta) {
        for t in 0..spec.steps {
            for k in 0..spec.n_out {
                b_out[k] += delta[t][k];
                for p in 0..spec.n_rec {
                    w_out[p][k] += s[t][p] * delta[t][k];
                }
            }
        }
    }
    Grad { w_in, w_rec, more, w_out, b_out }
}

/// MDGL along the channels of some gains, `[p][j]`, where j secretes Σ_k h_j(k) L_j,t+k ψ_j,t+k in place of L_j,t ψ_j,t;
/// `h` is `[j][k]`.
pub fn gradient_through(spec: &Spec, run: &Run, gain: &Table, h: &Table) -> Grad {
    through(spec, run, h, along_synapses(spec, gain, false))
}

/// MDGL over several hops along the channels of some gains: a cell j passes on what it receives, times `mean[j]`, with L_j ψ_j, through h_j.
pub fn gradient_of_hops(
    spec: &Spec,
    run: &Run,
    gain: &Table,
    (h, mean): (&Table, &[f64]),
    hops: usize,
) -> Grad {
    let received = |trial: usize| {
        // Γ_t+1 of the rule with one hop less.
        let mut gamma = zeros(spec.steps, spec.n_rec);
        for _ in 0..hops {
            let input =
                |u: usize, j: usize| run.signal[trial][u][j] * run.psi[trial][u][j] + mean[j] * gamma[u][j];
            let mut next = zeros(spec.steps, spec.n_rec);
            for t in 1..spec.steps {
                let secreted = |j: usize| {
                    let later = (t..spec.steps).map(|u| h[j][u - t] * input(u, j));
                    (1.0 - spec.alpha[j]) * later.sum::<f64>()
                };
                let secreted: Vec<f64> = (0..spec.n_rec).map(secreted).collect();
                arrive(spec, t, &secreted, along_synapses(spec, gain, false), &mut next);
            }
            gamma = next;
        }
        gamma
    };
    let Sums { w_in, w_rec, more } = sum_traces(spec, run, None, received);
    Grad { w_in, w_rec, more, ..gradient(spec, run, Rule::Eprop) }
}

/// The mean weight along synapses with |W| above a share of the mean |W| between their types, `[p][j]`, and 0 along the others.
pub fn mean_gain_above(spec: &Spec, share: f64) -> Table {
    let block = |p: usize, j: usize| -> Vec<f64> {
        let of_type = |of: usize| (0..spec.n_rec).filter(move |&n| spec.types[n] == spec.types[of]);
        let all = of_type(p).flat_map(|from| of_type(j).map(move |to| spec.w_rec[from][to]));
        all.filter(|&w| w != 0.0).collect()
    };
    let gain = |p: usize, j: usize| {
        let living = block(p, j);
        let least = share * living.iter().map(|w| w.abs()).sum::<f64>() / living.len() as f64;
        let strong: Vec<f64> = living.into_iter().filter(|w| w.abs() > least).collect();
        match spec.w_rec[p][j].abs() > least {
            true => strong.iter().sum::<f64>() / strong.len() as f64,
            false => 0.0,
        }
    };
    (0..spec.n_rec).map(|p| (0..spec.n_rec).map(|j| gain(p, j)).collect()).collect()
}

/// The same along channels that follow no synapse: after one step, whatever the delays.
pub fn gradient_after_one_step(spec: &Spec, run: &Run, gain: &Table, h: &Table) -> Grad {
    through(spec, run, h, |p, j, delay| if delay == 1 { gain[p][j] } else { 0.0 })
}

fn through(spec: &Spec, run: &Run, h: &Table, gain: impl Fn(usize, usize, usize) -> f64) -> Grad {
    let convolved = |trial: usize| {
        let mut out = zeros(spec.steps, spec.n_rec);
        for t in 1..spec.steps {
            let secreted = |j: usize| {
                let later =
                    (t..spec.steps).map(|u| h[j][u - t] * run.signal[trial][u][j] * run.psi[trial][u][j]);
                (1.0 - spec.alpha[j]) * later.sum::<f64>()
            };
            let secreted: Vec<f64> = (0..spec.n_rec).map(secreted).collect();
            arrive(spec, t, &secreted, &gain, &mut out);
        }
        out
    };
    let Sums { w_in, w_rec, more } = sum_traces(spec, run, None, convolved);
    Grad { w_in, w_rec, more, ..gradient(spec, run, Rule::Eprop) }
}

/// Cells on a grid whose edges meet; each step a field becomes its convolution with a box of three by three of sum `spread`.
#[derive(Clone, Debug)]
pub struct Sheet {
    pub width: usize,
    pub height: usize,
    pub spread: f64,
    /// `[step][cell]`.
    pub sites: Vec<Vec<usize>>,
}

impl Sheet {
    fn convolve(&self, field: &[f64]) -> Vec<f64> {
        let (w, h) = (self.width, self.height);
        let at = |x: usize, y: usize| {
            let around = (0..3).flat_map(|dy| (0..3).map(move |dx| (dx, dy)));
            let sites = around.map(|(dx, dy)| (y + dy + h - 1) % h * w + (x + dx + w - 1) % w);
            self.spread / 9.0 * sites.map(|site| field[site]).sum::<f64>()
        };
        (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).map(|(x, y)| at(x, y)).collect()
    }

    fn add(&self, t: usize, field: &mut [f64], cells: impl Iterator<Item = (usize, f64)>) {
        cells.for_each(|(p, value)| field[self.sites[t][p]] += value);
    }
}

/// MDGL whose secretions, through `h`, spread over a sheet, one field per secreting type; gains fixed or w̄ of the whole
/// block.
pub fn diffusive_gradient(spec: &Spec, run: &Run, sheet: &Sheet, h: &Table, gain: Option<f64>) -> Grad {
    let types = spec.types.iter().max().unwrap() + 1;
    let through = |trial: usize| {
        let mut out = zeros(spec.steps, spec.n_rec);
        let mut fields = zeros(types, sheet.width * sheet.height);
        for t in (1..spec.steps).rev() {
            let secreted = |j: usize| {
                let later =
                    (t..spec.steps).map(|u| h[j][u - t] * run.signal[trial][u][j] * run.psi[trial][u][j]);
                (1.0 - spec.alpha[j]) * later.sum::<f64>()
            };
            for (own, field) in fields.iter_mut().enumerate() {
                *field = sheet.convolve(field);
                let cells = (0..spec.n_rec).filter(|&j| spec.types[j] == own);
                sheet.add(t, field, cells.map(|j| (j, secreted(j))));
            }
            for p in 0..spec.n_rec {
                let heard = (0..types).map(|from| {
                    let example = spec.types.iter().position(|&t| t == from);
                    let gain = example.map_or(0.0, |j| gain.unwrap_or_else(|| block_mean(spec, p, j, false)));
                    gain * fields[from][sheet.sites[t][p]]
                });
                out[t - 1][p] = heard.sum();
            }
        }
        out
    };
    let Sums { w_in, w_rec, more } = sum_traces(spec, run, None, through);
    Grad { w_in, w_rec, more, ..gradient(spec, run, Rule::Eprop) }
}

/// Σ_t G_t[site of p] ē_qp,t, and the regulariser's part: G_t = K ∗ G_t−1 + Σ of the cells' Σ_k W_out δ_k,t.
pub fn diffusive_eprop(spec: &Spec, run: &Run, sheet: &Sheet) -> Grad {
    let excess = rate_excess(spec, &run.z);
    let samples = (run.z.len() * spec.steps) as f64;
    let fields: Vec<Table> = (0..run.z.len())
        .map(|trial| {
            let mut field = vec![0.0; sheet.width * sheet.height];
            let errors = feedback(spec, &run.delta[trial]);
            let steps = errors.iter().zip(&sheet.sites).enumerate();
            let signal = |(t, (errors, sites)): (usize, (&Vec<f64>, &Vec<usize>))| {
                field = sheet.convolve(&field);
                sheet.add(t, &mut field, errors.iter().copied().enumerate());
                sites.iter().map(|&site| field[site]).collect()
            };
            steps.map(signal).collect()
        })
        .collect();
    let Sums { w_in, w_rec, more } = sum_over_synapses(spec, run, |trial, p, e| {
        let regularised = spec.c_reg * excess[p] / samples * e.iter().sum::<f64>();
        dot(&filtered(e, spec.kappa), &column(&fields[trial], p)) + regularised
    });
    Grad { w_in, w_rec, more, ..gradient(spec, run, Rule::Eprop) }
}

/// w̄ along existing synapses, `[p][j]`.
pub fn mean_gain(spec: &Spec) -> Table {
    channel_gain(spec, Rule::Mdgl)
}

/// The effect of an input to neuron j on Σ_k ψ L of later steps, by its membrane (and current and adaptation) alone, with m in place
/// of ψ in reset and adaptation: the response after each k to a unit of input now.
pub fn membrane_response(spec: &Spec, j: usize, m: f64) -> Vec<f64> {
    let (alpha, rho, thr, beta) = (spec.alpha[j], spec.rho[j], spec.thr[j], spec.beta[j]);
    let (mut c, mut v, mut b) = (1.0, 1.0, 0.0);
    let step = |_| {
        let response = v - beta * b;
        let z = m * response;
        c *= spec.synaptic[j];
        (v, b) = (alpha * v + c - thr * z, rho * b + (1.0 - rho) * z);
        response
    };
    (0..spec.steps).map(step).collect()
}

/// Mean ψ of each neuron.
pub fn mean_psi(spec: &Spec, run: &Run) -> Vec<f64> {
    let samples = (run.psi.len() * spec.steps) as f64;
    (0..spec.n_rec).map(|p| run.psi.iter().flatten().map(|psi| psi[p]).sum::<f64>() / samples).collect()
}

fn simulate_trial(spec: &Spec, input: &Table, injected: Option<&Table>, run: &mut Run) {
    let n = spec.n_rec;
    let (mut v, mut b, mut z) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut c = vec![0.0; n];
    let mut refractory = vec![0; n];
    let (mut zs, mut vs, mut psis) = (Table::new(), Table::new(), Table::new());
    for t in 0..input.len() {
        let last = z.clone();
        let mut psi = vec![0.0; n];
        for p in 0..n {
            let arriving = |q: usize| spec.w_rec[q][p] * sent(&zs, t, spec.delay[q][p], q);
            let given = |i: usize| spec.w_in[i][p] * sent(input, t + 1, spec.delay_in[i][p], i);
            let further = spec.more.iter().filter(|synapse| synapse.post == p);
            let further = further.map(|own| own.weight * sent(&zs, t, own.delay, own.pre));
            let current = (0..spec.n_in).map(given).sum::<f64>()
                + (0..n).map(arriving).sum::<f64>()
                + further.sum::<f64>();
            // c ← α_s c + I ;  v ← α v + (1−α) c − thr z ;  b ← ρ b + (1−ρ) z ;  A = thr + β b
            c[p] = spec.synaptic[p] * c[p] + current;
            let drive = c[p] + injected.map_or(0.0, |injected| injected[t][p]);
            v[p] = spec.alpha[p] * v[p] + (1.0 - spec.alpha[p]) * drive - reset(spec, p) * last[p];
            if spec.rate[p] {
                // A neuron that nothing has reached stays at 0, whatever the weights.
                run.margin = run.margin.min(if v[p] == 0.0 { f64::INFINITY } else { v[p].abs() });
                (z[p], psi[p]) = if v[p] > 0.0 { (v[p], 1.0) } else { (0.0, 0.0) };
                continue;
            }
            b[p] = spec.rho[p] * b[p] + (1.0 - spec.rho[p]) * last[p];
            let above = v[p] - (spec.thr[p] + spec.beta[p] * b[p]);
            z[p] = 0.0;
            if refractory[p] > 0 {
                refractory[p] -= 1;
                continue;
            }
            let distance = above.abs() / spec.thr[p];
            run.margin = run.margin.min(distance);
            psi[p] = spec.gamma[p] / spec.thr[p] * spec.pseudo.at(distance);
            if above > 0.0 {
                z[p] = 1.0;
                refractory[p] = spec.n_ref[p];
            }
        }
        zs.push(z.clone());
        vs.push(v.clone());
        psis.push(psi);
    }
    run.z.push(zs);
    run.v.push(vs);
    run.psi.push(psis);
}

/// Amount that a spike subtracts from the membrane.
fn reset(spec: &Spec, p: usize) -> f64 {
    if spec.rate[p] { 0.0 } else { spec.thr[p] }
}

/// The value that a neuron sent so many steps before.
fn sent(z: &Table, t: usize, delay: usize, q: usize) -> f64 {
    t.checked_sub(delay).map_or(0.0, |sent| z[sent][q])
}

/// Σ_i W[i→p] x_i.
fn drive(weights: &Table, x: &[f64], p: usize) -> f64 {
    weights.iter().zip(x).map(|(row, x)| row[p] * x).sum()
}

/// f_t = κ f_t−1 + (1−κ) a_t, from 0.
fn low_pass(a: &Table, kappa: f64) -> Table {
    let mut state = vec![0.0; a.first().map_or(0, Vec::len)];
    let filter = |row: &Vec<f64>| {
        for (f, a) in state.iter_mut().zip(row) {
            *f = kappa * *f + (1.0 - kappa) * a;
        }
        state.clone()
    };
    a.iter().map(filter).collect()
}

fn readout(spec: &Spec, s: &Table) -> Table {
    let output = |s: &Vec<f64>, k| drive(&spec.w_out, s, k) + spec.bias[k];
    s.iter().map(|s| (0..spec.n_out).map(|k| output(s, k)).collect()).collect()
}

/// The loss and δ = ∂E/∂y.
fn task_loss(spec: &Spec, y: &Cube) -> (f64, Cube) {
    let mut loss = 0.0;
    let mut delta = y.clone();
    for (trial, rows) in delta.iter_mut().enumerate() {
        for (t, row) in rows.iter_mut().enumerate() {
            loss += match &spec.loss {
                Loss::SquaredError { targets } => squared_error(row, &targets[trial][t]),
                Loss::CrossEntropy { targets, window } if t + window >= spec.steps => {
                    cross_entropy(row, targets[trial], *window as f64)
                }
                Loss::CrossEntropy { .. } => {
                    row.fill(0.0);
                    0.0
                }
            };
            row.iter_mut().for_each(|d| *d /= y.len() as f64);
        }
    }
    (loss / y.len() as f64, delta)
}

/// Converts the outputs of one step into their derivatives.
fn squared_error(y: &mut [f64], target: &[f64]) -> f64 {
    y.iter_mut().zip(target).for_each(|(y, target)| *y -= target);
    0.5 * y.iter().map(|d| d * d).sum::<f64>()
}

/// As above, for the softmax of the outputs and a share 1 / window of the loss.
fn cross_entropy(y: &mut [f64], class: usize, window: f64) -> f64 {
    let largest = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = largest + y.iter().map(|y| (y - largest).exp()).sum::<f64>().ln();
    let loss = (log_sum - y[class]) / window;
    for (k, y) in y.iter_mut().enumerate() {
        let one_hot = if k == class { 1.0 } else { 0.0 };
        *y = ((*y - log_sum).exp() - one_hot) / window;
    }
    loss
}

/// f_p − f0, f_p the mean over trials and steps.
fn rate_excess(spec: &Spec, z: &Cube) -> Vec<f64> {
    let samples = (z.len() * spec.steps) as f64;
    let count = |p: usize| z.iter().flatten().map(|z| z[p]).sum::<f64>();
    (0..spec.n_rec).map(|p| count(p) / samples - spec.f0).collect()
}

/// L_t = (1−κ) Σ_k W_out g_t + c (f − f0) / (T B),  g_t = δ_t + κ g_t+1.
fn learning_signal(spec: &Spec, delta: &Cube, excess: &[f64]) -> Cube {
    let samples = (delta.len() * spec.steps) as f64;
    let of_trial = |delta: &Table| {
        let reversed: Table = delta.iter().rev().cloned().collect();
        let mut filtered = low_pass(&reversed, spec.kappa);
        filtered.reverse();
        let mut signal = feedback(spec, &filtered);
        for row in &mut signal {
            for (l, excess) in row.iter_mut().zip(excess) {
                *l += spec.c_reg * excess / samples;
            }
        }
        signal
    };
    delta.iter().map(of_trial).collect()
}

/// Σ_k W_out[p→k] δ_k.
fn feedback(spec: &Spec, delta: &Table) -> Table {
    let row = |delta: &Vec<f64>| spec.w_out.iter().map(|w| dot(w, delta)).collect();
    delta.iter().map(row).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn zeros(rows: usize, columns: usize) -> Table {
    vec![vec![0.0; columns]; rows]
}

/// Input of a synapse at each step: an input, or (rows after the inputs') z_t−d of a neuron.
fn heard(spec: &Spec, run: &Run, trial: usize, row: usize, p: usize) -> Vec<f64> {
    let at = |t: usize| match row.checked_sub(spec.n_in) {
        None => sent(&spec.inputs[trial], t + 1, spec.delay_in[row][p], row),
        Some(q) => sent(&run.z[trial], t, spec.delay[q][p], q),
    };
    (0..spec.steps).map(at).collect()
}

/// The same of a further synapse.
fn heard_along(spec: &Spec, run: &Run, trial: usize, synapse: &Synapse) -> Vec<f64> {
    (0..spec.steps).map(|t| sent(&run.z[trial], t, synapse.delay, synapse.pre)).collect()
}

/// The first `n_in` rows, and the rest.
fn split(spec: &Spec, mut all: Table, more: Vec<f64>) -> Sums {
    let recurrent = all.split_off(spec.n_in);
    Sums { w_in: all, w_rec: recurrent, more }
}

/// A local rule: Σ_t S_p,t e_qp,t over every pair.
fn trace_sums(spec: &Spec, run: &Run, rule: Rule) -> Sums {
    let gain = channel_gain(spec, rule);
    let kappa = (rule == Rule::OnMdgl).then_some(spec.kappa);
    sum_traces(spec, run, kappa, |trial| modulation(spec, run, trial, &gain, rule))
}

/// Σ_t (L_p,t + Γ_p,t+1) e_qp,t, Γ of each trial given; with a κ its e is κ-filtered.
fn sum_traces(spec: &Spec, run: &Run, kappa: Option<f64>, modulation: impl Fn(usize) -> Table) -> Sums {
    let modulations: Vec<Table> = (0..run.z.len()).map(modulation).collect();
    sum_over_synapses(spec, run, |trial, p, e| {
        let modulated = kappa.map_or_else(|| e.to_vec(), |kappa| filtered(e, kappa));
        dot(e, &column(&run.signal[trial], p)) + dot(&modulated, &column(&modulations[trial], p))
    })
}

fn column(table: &Table, index: usize) -> Vec<f64> {
    table.iter().map(|row| row[index]).collect()
}

fn filtered(a: &[f64], kappa: f64) -> Vec<f64> {
    let rows: Table = a.iter().map(|a| vec![*a]).collect();
    low_pass(&rows, kappa).concat()
}

/// e_t = ψ_t (εv_t − β εa_t), with the filtered x in place of x where the input is a current.
fn eligibility(spec: &Spec, pre: &[f64], psi: &[f64], p: usize) -> Vec<f64> {
    let (alpha, rho, thr, beta) = (spec.alpha[p], spec.rho[p], reset(spec, p), spec.beta[p]);
    let (mut v, mut a, mut c, mut last) = (0.0, 0.0, 0.0, 0.0);
    let step = |(x, psi): (&f64, &f64)| {
        c = spec.synaptic[p] * c + x;
        (v, a) = (
            (alpha - thr * last) * v + thr * beta * last * a + (1.0 - alpha) * c,
            (1.0 - rho) * last * v + (rho - (1.0 - rho) * beta * last) * a,
        );
        last = *psi;
        psi * (v - beta * a)
    };
    pre.iter().zip(psi).map(step).collect()
}

/// The gain from secreting j to receiving p, as [p][j].
fn channel_gain(spec: &Spec, rule: Rule) -> Table {
    let mut gain = zeros(spec.n_rec, spec.n_rec);
    for p in 0..spec.n_rec {
        for j in 0..spec.n_rec {
            let weight = spec.w_rec[p][j];
            gain[p][j] = match rule {
                Rule::MdglCell => weight,
                Rule::Mdgl | Rule::MdglExact | Rule::OnMdgl if weight != 0.0 => block_mean(spec, p, j, true),
                _ => 0.0,
            };
        }
    }
    gain
}

/// w̄ of the synapses from p's type to j's: of those present, or of the whole block.
fn block_mean(spec: &Spec, p: usize, j: usize, present_only: bool) -> f64 {
    let of_type = |of: usize| (0..spec.n_rec).filter(move |&n| spec.types[n] == spec.types[of]);
    let block: Vec<f64> = of_type(p)
        .flat_map(|from| of_type(j).map(move |to| spec.w_rec[from][to]))
        .filter(|&w| !present_only || w != 0.0)
        .collect();
    let joins =
        |own: &&Synapse| spec.types[own.pre] == spec.types[p] && spec.types[own.post] == spec.types[j];
    let further = || spec.more.iter().filter(joins);
    let count = block.len() + if present_only { further().count() } else { 0 };
    (block.iter().sum::<f64>() + further().map(|own| own.weight).sum::<f64>()) / count.max(1) as f64
}

/// The gain of NL-MDGL: the contribution of the synapses of a delay to the block's mean, absent synapses counted as 0.
fn block_share(spec: &Spec, p: usize, j: usize, delay: usize) -> f64 {
    let of_type = |of: usize| (0..spec.n_rec).filter(move |&n| spec.types[n] == spec.types[of]);
    let pairs: Vec<_> = of_type(p).flat_map(|from| of_type(j).map(move |to| (from, to))).collect();
    let own = pairs.iter().filter(|&&(from, to)| spec.delay[from][to] == delay);
    let further = spec.more.iter().filter(|own| own.delay == delay && pairs.contains(&(own.pre, own.post)));
    let sum = own.map(|&(from, to)| spec.w_rec[from][to]).sum::<f64>();
    (sum + further.map(|own| own.weight).sum::<f64>()) / pairs.len() as f64
}

/// The gain along each synapse, with its own delay; of a further one that of its pair, or its own weight.
fn along_synapses(spec: &Spec, gain: &Table, by_weight: bool) -> impl Fn(usize, usize, usize) -> f64 {
    move |p, j, delay| {
        let first = if spec.delay[p][j] == delay { gain[p][j] } else { 0.0 };
        let further = spec.more.iter().filter(|own| (own.pre, own.post, own.delay) == (p, j, delay));
        first + further.map(|own| if by_weight { own.weight } else { gain[p][j] }).sum::<f64>()
    }
}

/// What cells secrete at a step is multiplied by the eligibility as many steps earlier as the delay; gains are by (p,
/// j, delay).
fn arrive(
    spec: &Spec,
    t: usize,
    secreted: &[f64],
    gain: impl Fn(usize, usize, usize) -> f64,
    out: &mut Table,
) {
    let further = spec.more.iter().map(|own| own.delay);
    let longest = spec.delay.iter().flatten().copied().chain(further).max().unwrap_or(1);
    for delay in 1..=longest.min(t) {
        for p in 0..spec.n_rec {
            let parts = secreted.iter().enumerate().map(|(j, secreted)| gain(p, j, delay) * secreted);
            out[t - delay][p] += parts.sum::<f64>();
        }
    }
}

/// Γ_p,t+1 = Σ_j gain (1−α_j) L_j,t+1 ψ_j,t+1; On-MDGL has P and ψ̄ for L and ψ.
fn modulation(spec: &Spec, run: &Run, trial: usize, gain: &Table, rule: Rule) -> Table {
    let (signal, psi) = match rule {
        Rule::OnMdgl => (feedback(spec, &run.delta[trial]), low_pass(&run.psi[trial], spec.kappa)),
        _ => (run.signal[trial].clone(), run.psi[trial].clone()),
    };
    let mut out = zeros(spec.steps, spec.n_rec);
    for t in 1..spec.steps {
        let meant = |j: usize| match rule {
            Rule::MdglExact => influence(spec, &signal, &psi, t, j),
            _ => signal[t][j] * psi[t][j],
        };
        let secreted: Vec<f64> = (0..spec.n_rec).map(|j| (1.0 - spec.alpha[j]) * meant(j)).collect();
        match rule {
            Rule::NlMdgl => {
                arrive(spec, t, &secreted, |p, j, delay| block_share(spec, p, j, delay), &mut out)
            }
            _ => arrive(spec, t, &secreted, along_synapses(spec, gain, rule == Rule::MdglCell), &mut out),
        }
    }
    out
}

/// The effect of a unit of current to j at step t on Σ_u L_j,u z_j,u through j alone: its eligibility from then on.
fn influence(spec: &Spec, signal: &Table, psi: &Table, t: usize, j: usize) -> f64 {
    let mut pulse = vec![0.0; spec.steps - t];
    pulse[0] = 1.0 / (1.0 - spec.alpha[j]);
    let e = eligibility(spec, &pulse, &column(psi, j)[t..], j);
    dot(&e, &column(signal, j)[t..])
}

/// Real-time recurrent learning: the Jacobian of (c, v, b, z) of every neuron by every weight, with
/// dz = ψ (dv − β db) and refractoriness constant.
fn recurrent_learning(spec: &Spec, run: &Run) -> Sums {
    let n = spec.n_rec;
    let rows = spec.n_in + n;
    let weights = rows * n + spec.more.len();
    let mut total = vec![0.0; weights];
    for trial in 0..run.z.len() {
        let (mut dv, mut db) = (zeros(n, weights), zeros(n, weights));
        let (mut dz, mut dc) = (dv.clone(), dv.clone());
        let mut past: Vec<Table> = Vec::new();
        for t in 0..spec.steps {
            let last = dz.clone();
            for p in 0..n {
                let input = input_jacobian(spec, run, (trial, t), p, &past);
                dc[p].iter_mut().zip(&input).for_each(|(dc, di)| *dc = spec.synaptic[p] * *dc + di);
                advance_jacobian(spec, p, &dc[p], &last[p], &mut dv[p], &mut db[p]);
                let (psi, signal) = (run.psi[trial][t][p], run.signal[trial][t][p]);
                for w in 0..weights {
                    dz[p][w] = psi * (dv[p][w] - spec.beta[p] * db[p][w]);
                    total[w] += signal * dz[p][w];
                }
            }
            past.push(dz.clone());
        }
    }
    let more = total.split_off(rows * n);
    split(spec, total.chunks(n).map(<[f64]>::to_vec).collect(), more)
}

/// dI of a neuron by every weight, dz of the steps before given.
fn input_jacobian(spec: &Spec, run: &Run, (trial, t): (usize, usize), p: usize, past: &[Table]) -> Vec<f64> {
    let rows = spec.n_in + spec.n_rec;
    let mut current = vec![0.0; rows * spec.n_rec + spec.more.len()];
    let further = spec.more.iter().filter(|own| own.post == p).map(|own| (own.pre, own.weight, own.delay));
    let pairs = (0..spec.n_rec).map(|q| (q, spec.w_rec[q][p], spec.delay[q][p]));
    for (q, weight, delay) in pairs.chain(further) {
        if weight != 0.0 && t >= delay {
            current.iter_mut().zip(&past[t - delay][q]).for_each(|(c, d)| *c += weight * d);
        }
    }
    for row in 0..rows {
        current[row * spec.n_rec + p] += heard(spec, run, trial, row, p)[t];
    }
    for (i, own) in spec.more.iter().enumerate().filter(|(_, own)| own.post == p) {
        current[rows * spec.n_rec + i] += heard_along(spec, run, trial, own)[t];
    }
    current
}

/// dv ← α dv + (1−α) dc − thr dz ;  db ← ρ db + (1−ρ) dz.
fn advance_jacobian(spec: &Spec, p: usize, current: &[f64], dz: &[f64], dv: &mut [f64], db: &mut [f64]) {
    let (alpha, rho) = (spec.alpha[p], spec.rho[p]);
    for w in 0..dv.len() {
        dv[w] = alpha * dv[w] + (1.0 - alpha) * current[w] - reset(spec, p) * dz[w];
        db[w] = rho * db[w] + (1.0 - rho) * dz[w];
    }
}
