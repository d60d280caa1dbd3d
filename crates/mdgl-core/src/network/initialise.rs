//! Initial weights: independent draws, or by the method of the paper's authors: balanced, of spectral radius 1.
//!
//! Of the authors': a dense n×n matrix of |N(0, 1)| times the sender's sign is balanced (total excitation equals
//! total inhibition, then each receiver's column sums to 0), scaled to spectral radius 1, cut to
//! the receivers' number and masked. From the `rewiring_tools` of Bellec et al. and of Liu et al. 2021.

use std::borrow::Cow;

use nalgebra::{DMatrix, Schur};

use crate::description::{Initialise, Scaling};
use crate::error::Result;
use crate::network::{InitialWeights, Synapses};
use crate::numeric::memory::{product, resize};
use crate::numeric::random::CounterRng;

/// Above this size the spectral radius is estimated instead of computed (O(n²) instead of O(n³)).
const EXACT_RADIUS_UP_TO: usize = 512;
/// Two or three are usual; LAPACK stops after thirty.
const ITERATIONS_AN_EIGENVALUE: usize = 60;
/// Rows that are drawn together: the numbers of a cache line.
const ROWS_TOGETHER: usize = 8;
/// Number of matrix-vector products from whose growth the radius is estimated.
const GROWTH_PRODUCTS: usize = 256;

/// The weights of a projection, in the order of its synapses.
///
/// # Errors
/// [`crate::Error::Memory`] when the dense matrix of a balanced projection cannot be allocated.
pub(crate) fn weights<'a>(synapses: &'a Synapses, rng: &mut CounterRng) -> Result<Cow<'a, [f64]>> {
    let drawn = match &synapses.initial {
        InitialWeights::Given(values) => return Ok(Cow::Borrowed(values)),
        InitialWeights::Drawn(Initialise::Balanced) => masked(synapses, &balanced(synapses, rng)?, rng),
        InitialWeights::Drawn(distribution) => independent(synapses, |_| distribution, rng),
        InitialWeights::DrawnByType(table) => {
            let own = |synapse: usize| table.at(synapses.pre()[synapse], synapses.post()[synapse]);
            independent(synapses, own, rng)
        }
    };
    Ok(Cow::Owned(drawn))
}

/// One draw per synapse.
fn independent<'a>(
    synapses: &Synapses,
    distribution: impl Fn(usize) -> &'a Initialise,
    rng: &mut CounterRng,
) -> Vec<f64> {
    let mut in_degree = vec![0u32; synapses.sizes.1];
    synapses.post().iter().for_each(|&post| in_degree[post as usize] += 1);
    (0..synapses.len())
        .map(|synapse| {
            let (x, scaling) = draw(distribution(synapse), rng);
            let x = match scaling {
                Scaling::None => x,
                Scaling::InDegree => x / f64::from(in_degree[synapses.post()[synapse] as usize]).sqrt(),
            };
            match synapses.sign(synapse) {
                0 => x,
                sign => x.abs() * f64::from(sign),
            }
        })
        .collect()
}

/// A value of a distribution of single weights, and what it is divided by.
fn draw(distribution: &Initialise, rng: &mut CounterRng) -> (f64, Scaling) {
    match *distribution {
        Initialise::Normal { mean, standard_deviation, scaling } => {
            (mean + standard_deviation * rng.normal(), scaling)
        }
        Initialise::Lognormal { mean, standard_deviation, scaling } => {
            let ratio = standard_deviation / mean;
            let variance = libm::log1p(ratio * ratio);
            let location = libm::log(mean) - 0.5 * variance;
            (libm::exp(location + variance.sqrt() * rng.normal()), scaling)
        }
        Initialise::Uniform { low, high, scaling } => (low + (high - low) * rng.uniform(), scaling),
        Initialise::Constant { value, scaling } => (value, scaling),
        Initialise::Balanced | Initialise::ByType { .. } => (0.0, Scaling::None),
    }
}

/// The columns that the receivers take, at the mask's places.
fn masked(synapses: &Synapses, matrix: &DMatrix<f64>, rng: &mut CounterRng) -> Vec<f64> {
    let (senders, receivers) = synapses.sizes;
    let columns: Vec<usize> = if senders < receivers {
        (0..receivers).map(|_| rng.below(senders as u32) as usize).collect()
    } else {
        (0..receivers).collect()
    };
    let at = |(&pre, &post): (&u32, &u32)| matrix[(pre as usize, columns[post as usize])];
    synapses.pre().iter().zip(synapses.post()).map(at).collect()
}

/// The dense matrix, rows are senders.
fn balanced(synapses: &Synapses, rng: &mut CounterRng) -> Result<DMatrix<f64>> {
    let n = synapses.sizes.0;
    let mut dense = Vec::new();
    let what = "the dense matrix of balanced initial weights (scheme 'normal' needs none)";
    resize(&mut dense, product(&[n, n]), 0.0, what)?;
    let mut matrix = DMatrix::from_vec(n, n, dense);
    draw_by_rows(&mut matrix, &synapses.signs, rng);
    if synapses.signs.contains(&1) && synapses.signs.contains(&-1) {
        balance_totals(&mut matrix, &synapses.signs);
        balance_columns(&mut matrix);
    }
    let radius = spectral_radius(&matrix);
    // A nilpotent or empty matrix has no scale to normalise.
    Ok(if radius > 0.0 { matrix / radius } else { matrix })
}

/// Draws row after row of a matrix that is stored by columns, a cache line of each column at a time.
fn draw_by_rows(matrix: &mut DMatrix<f64>, signs: &[i8], rng: &mut CounterRng) {
    let n = matrix.ncols();
    let mut drawn = [const { Vec::new() }; ROWS_TOGETHER];
    for first in (0..n).step_by(ROWS_TOGETHER) {
        let rows = ROWS_TOGETHER.min(n - first);
        for (row, sign) in drawn[..rows].iter_mut().zip(&signs[first..]) {
            row.clear();
            row.extend((0..n).map(|_| rng.normal()).map(|x| match sign {
                0 => x,
                &sign => x.abs() * f64::from(sign),
            }));
        }
        for (j, mut column) in matrix.column_iter_mut().enumerate() {
            for (i, row) in drawn[..rows].iter().enumerate() {
                column[first + i] = row[j];
            }
        }
    }
}

fn balance_totals(matrix: &mut DMatrix<f64>, signs: &[i8]) {
    let total = |sign: i8, m: &DMatrix<f64>| -> f64 {
        let rows = (0..signs.len()).filter(|&i| signs[i] == sign);
        rows.map(|i| m.row(i).sum().abs()).sum()
    };
    let factor = total(1, matrix) / total(-1, matrix);
    for i in (0..signs.len()).filter(|&i| signs[i] == -1) {
        matrix.row_mut(i).scale_mut(factor);
    }
}

/// Each column is made to sum to 0 by an equal share added to its weaker side.
fn balance_columns(matrix: &mut DMatrix<f64>) {
    for mut column in matrix.column_iter_mut() {
        let excess: f64 = column.sum();
        let weaker = |x: f64| if excess < 0.0 { x > 0.0 } else { x < 0.0 };
        let count = column.iter().filter(|&&x| weaker(x)).count();
        if count > 0 {
            let share = excess / count as f64;
            column.iter_mut().filter(|x| weaker(**x)).for_each(|x| *x -= share);
        }
    }
}

/// The largest modulus of an eigenvalue.
fn spectral_radius(matrix: &DMatrix<f64>) -> f64 {
    let exact = (matrix.nrows() <= EXACT_RADIUS_UP_TO).then(|| largest_eigenvalue(matrix));
    exact.flatten().unwrap_or_else(|| growth_rate(matrix))
}

/// QR iterations do not converge to the last bit for every matrix: the tolerance is then raised. `None` if that fails.
fn largest_eigenvalue(matrix: &DMatrix<f64>) -> Option<f64> {
    let iterations = ITERATIONS_AN_EIGENVALUE * matrix.nrows().max(1);
    let attempt = |&eps: &f64| Schur::try_new(matrix.clone(), eps, iterations);
    let schur = [f64::EPSILON, 1e-14, 1e-12].iter().find_map(attempt)?;
    Some(schur.complex_eigenvalues().iter().map(|z| libm::hypot(z.re, z.im)).fold(0.0, f64::max))
}

/// The geometric mean growth of a vector under repeated products, past the first quarter: tends
/// to the spectral radius also where the leading eigenvalues are a complex pair.
fn growth_rate(matrix: &DMatrix<f64>) -> f64 {
    let n = matrix.nrows();
    let mut rng = CounterRng::new(0, 0, 0, 0);
    let mut x: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
    let mut log_growth = 0.0;
    for product in 0..GROWTH_PRODUCTS {
        let next = multiply(matrix, &x);
        let norm = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm == 0.0 {
            return 0.0;
        }
        if product >= GROWTH_PRODUCTS / 4 {
            log_growth += libm::log(norm);
        }
        x = next.into_iter().map(|v| v / norm).collect();
    }
    libm::exp(log_growth / (GROWTH_PRODUCTS - GROWTH_PRODUCTS / 4) as f64)
}

/// The matrix times a vector, column after column: four at a time, so that a sum is loaded and stored once for them.
fn multiply(matrix: &DMatrix<f64>, x: &[f64]) -> Vec<f64> {
    let n = matrix.nrows();
    let mut sums = vec![0.0; n];
    let (fours, scales) = (matrix.as_slice().chunks_exact(4 * n.max(1)), x.chunks_exact(4));
    let (rest, rest_scales) = (fours.remainder(), scales.remainder());
    for (columns, scales) in fours.zip(scales) {
        let (left, right) = columns.split_at(2 * n);
        let ((a, b), (c, d)) = (left.split_at(n), right.split_at(n));
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum = *sum + scales[0] * a + scales[1] * b + scales[2] * c + scales[3] * d;
        }
    }
    for (column, &scale) in rest.chunks_exact(n.max(1)).zip(rest_scales) {
        sums.iter_mut().zip(column).for_each(|(sum, &m)| *sum += scale * m);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radius_of_a_rotation_is_its_scale() {
        let rotation = DMatrix::from_row_slice(2, 2, &[0.0, -2.0, 2.0, 0.0]);
        assert!((spectral_radius(&rotation) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn products_of_four_columns_have_the_bits_of_one_after_another() {
        for n in [1, 3, 4, 30] {
            let mut rng = CounterRng::new(4, 0, 0, 0);
            let matrix = DMatrix::from_fn(n, n, |_, _| rng.normal());
            let x: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
            let mut sums = vec![0.0; n];
            for (column, &scale) in matrix.column_iter().zip(&x) {
                sums.iter_mut().zip(column.iter()).for_each(|(sum, &m)| *sum += scale * m);
            }
            assert_eq!(multiply(&matrix, &x), sums);
        }
    }

    #[test]
    fn rows_are_drawn_in_their_order() {
        for n in [1, 8, 19] {
            let signs: Vec<i8> = (0..n).map(|i| [0, 1, -1][i % 3]).collect();
            let mut matrix = DMatrix::zeros(n, n);
            draw_by_rows(&mut matrix, &signs, &mut CounterRng::new(6, 0, 0, 0));
            let mut rng = CounterRng::new(6, 0, 0, 0);
            for i in 0..n {
                for j in 0..n {
                    let x = rng.normal();
                    let expected = if signs[i] == 0 { x } else { x.abs() * f64::from(signs[i]) };
                    assert_eq!(matrix[(i, j)], expected);
                }
            }
        }
    }

    #[test]
    fn estimate_is_near_the_exact_radius() {
        let mut rng = CounterRng::new(3, 0, 0, 0);
        let matrix = DMatrix::from_fn(200, 200, |_, _| rng.normal());
        let (exact, estimate) = (spectral_radius(&matrix), growth_rate(&matrix));
        assert!((estimate / exact - 1.0).abs() < 0.03, "{estimate} {exact}");
    }

    #[test]
    fn columns_are_balanced() {
        let signs: Vec<i8> = (0..20).map(|i| if i < 4 { -1 } else { 1 }).collect();
        let mut rng = CounterRng::new(5, 0, 0, 0);
        let mut matrix = DMatrix::from_fn(20, 20, |i, _| rng.normal().abs() * f64::from(signs[i]));
        balance_totals(&mut matrix, &signs);
        assert!(matrix.sum().abs() < 1e-9);
        balance_columns(&mut matrix);
        for (i, column) in matrix.column_iter().enumerate() {
            assert!(column.sum().abs() < 1e-9, "column {i}");
        }
        assert!((0..20).all(|i| matrix.row(i).iter().all(|x| x * f64::from(signs[i]) > 0.0)));
    }
}
