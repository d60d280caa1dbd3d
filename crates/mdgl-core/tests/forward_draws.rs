//! UORO and KF-RTRL over many draws of the engine's own signs: their mean is RTRL's gradient within its standard error.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::Loss;
use crate::common::{Case, Shape, best};
use mdgl_core::{Gradients, Rule, Workers, gradients};

/// Trials in a batch, all equal, each with its own signs: the batch's gradient is a mean of so many draws.
const TRIALS: usize = 16;
const BATCHES: usize = 1500;

/// One small fixed trial, as often as a batch has trials.
fn case() -> Case<f64> {
    let shape = Shape {
        seed: 2018,
        n_in: 3,
        n_rec: 5,
        n_out: 2,
        steps: 30,
        trials: TRIALS,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let mut spec = shape.spec();
    // Strong recurrence, so that estimates without it are far off.
    spec.w_rec.iter_mut().flatten().for_each(|w| *w *= 3.0);
    spec.inputs = vec![spec.inputs[0].clone(); TRIALS];
    if let Loss::SquaredError { targets } = &mut spec.loss {
        *targets = vec![targets[0].clone(); TRIALS];
    }
    Case::new(&spec)
}

/// ∂E/∂W of the weights into neurons.
fn flat(gradients: &Gradients<f64>) -> Vec<f64> {
    [gradients.projection(0), gradients.projection(1)].concat()
}

/// The gradients of many batches; the iteration keys the signs.
fn draws(rule: &Rule) -> Vec<Vec<f64>> {
    let mut case = case();
    let workers = Workers::with_instructions(1, best()).unwrap();
    let cancel = AtomicBool::new(false);
    let draw = |iteration: usize| {
        case.batch.key.iteration = iteration as u32;
        let result = gradients(&case.model, case.assignment(), rule, None, &workers, &cancel);
        flat(&result.unwrap().1)
    };
    (0..BATCHES).map(draw).collect()
}

fn mean(draws: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; draws[0].len()];
    for draw in draws {
        mean.iter_mut().zip(draw).for_each(|(mean, x)| *mean += x / draws.len() as f64);
    }
    mean
}

/// Hotelling's statistic n dᵀ S⁻¹ d of the mean's distance d from a point, S the draws' covariance, and the number of
/// independent entries: χ² with so many degrees of freedom where the point is the expectation.
fn hotelling(draws: &[Vec<f64>], point: &[f64]) -> (f64, usize) {
    let (n, mean) = (draws.len() as f64, mean(draws));
    let covariance = |i: usize, j: usize| {
        draws.iter().map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).sum::<f64>() / (n - 1.0)
    };
    // Cholesky's L, row by row, solving L y = d on the way; entries that follow from earlier ones are left out.
    let (mut rows, mut kept, mut solved) = (Vec::<Vec<f64>>::new(), Vec::<usize>::new(), Vec::<f64>::new());
    for i in 0..mean.len() {
        let mut row: Vec<f64> = Vec::new();
        for (k, &j) in kept.iter().enumerate() {
            let dot: f64 = row.iter().zip(&rows[k]).map(|(a, b)| a * b).sum();
            row.push((covariance(i, j) - dot) / rows[k][k]);
        }
        let own = covariance(i, i);
        let rest = own - row.iter().map(|x| x * x).sum::<f64>();
        if rest <= 1e-9 * own {
            continue;
        }
        let dot: f64 = row.iter().zip(&solved).map(|(a, b)| a * b).sum();
        solved.push((mean[i] - point[i] - dot) / rest.sqrt());
        row.push(rest.sqrt());
        rows.push(row);
        kept.push(i);
    }
    (n * solved.iter().map(|y| y * y).sum::<f64>(), kept.len())
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

fn check(rule: &Rule) {
    let draws = draws(rule);
    let exact = flat(&case().gradients(&Rule::rtrl()));
    let eprop = flat(&case().gradients(&Rule::eprop()));
    let (statistic, freedom) = hotelling(&draws, &exact);
    let freedom_f = freedom as f64;
    // Five standard deviations of χ² beyond its mean; e-prop's gradient, which is biased, is far outside.
    let bound = freedom_f + 5.0 * (2.0 * freedom_f).sqrt();
    let (biased, _) = hotelling(&draws, &eprop);
    let off = norm(mean(&draws).iter().zip(&exact).map(|(a, b)| a - b)) / norm(exact.iter().copied());
    let single = norm(draws[0].iter().zip(&exact).map(|(a, b)| a - b)) / norm(exact.iter().copied());
    let estimator = rule.estimator.name();
    let found = format!(
        "{estimator}: χ² {statistic:.1} of {freedom} (e-prop {biased:.0}), mean off by {off:.3}, a batch by {single:.2}"
    );
    println!("{found}");
    assert!(freedom >= 8, "{found}");
    assert!(statistic < bound, "{found}");
    assert!(biased > 4.0 * bound, "{found}");
}

#[test]
fn uoro_is_unbiased() {
    check(&Rule::uoro());
}

#[test]
fn kf_rtrl_is_unbiased() {
    check(&Rule::kf_rtrl());
}

/// Signs are fixed by seed, iteration and trial: the same key gives the same draw, another key another draw.
#[test]
fn signs_follow_their_key() {
    for rule in [Rule::uoro(), Rule::kf_rtrl()] {
        let mut case = case();
        let first = case.gradients(&rule);
        assert_eq!(first, case.gradients(&rule));
        for (seed, iteration) in [(1, 0), (0, 1)] {
            (case.batch.key.seed, case.batch.key.iteration) = (seed, iteration);
            assert!(case.distance(&case.gradients(&rule), &first) > 1e-3, "{rule:?} {seed} {iteration}");
        }
    }
}
