//! The running mean of ψ, per group of neurons that share type and constants, for kernel `'membrane'`.
//!
//! m ← 0.9 m + 0.1 · (mean of a batch), from m₀ on. It is kept as the weight of m₀, 0.9ⁿ, and the sum of all else, so that it
//! does not depend on the m₀ of a channel.

use crate::error::{Result, invalid};
use crate::network::Groups;
use crate::numeric::scalar::all_finite;

/// Fraction of a mean that is kept from batch to batch.
const DECAY: f64 = 0.9;

/// Running means, one per group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PsiMeans {
    /// The weight of m₀.
    initial: f64,
    /// The batches' part.
    sums: Vec<f64>,
}

impl PsiMeans {
    /// The means before the first batch.
    pub fn new(groups: usize) -> Self {
        Self { initial: 1.0, sums: vec![0.0; groups] }
    }

    /// Means without a contribution of m₀.
    pub fn exactly(means: &[f64]) -> Self {
        Self { initial: 0.0, sums: means.to_vec() }
    }

    /// m of a group, given its m₀.
    pub fn of(&self, group: usize, initial: f64) -> f64 {
        self.initial * initial + self.sums[group]
    }

    /// Updates them by the means of a batch.
    pub fn follow(&mut self, means: &[f64]) {
        self.initial *= DECAY;
        for (sum, mean) in self.sums.iter_mut().zip(means) {
            *sum = DECAY * *sum + (1.0 - DECAY) * mean;
        }
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.initial.is_finite() && all_finite(&self.sums)
    }

    /// All numbers, to be written to a file; none before the first batch.
    pub fn values(&self) -> Option<Vec<f64>> {
        (self.initial < 1.0).then(|| std::iter::once(self.initial).chain(self.sums.iter().copied()).collect())
    }

    /// From [`Self::values`].
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for numbers that no training gives.
    pub fn from_values(values: &[f64], groups: usize) -> Result<Self> {
        let fine = |x: &f64| x.is_finite() && *x >= 0.0;
        match values {
            [initial, sums @ ..] if sums.len() == groups && *initial < 1.0 && values.iter().all(fine) => {
                Ok(Self { initial: *initial, sums: sums.to_vec() })
            }
            _ => {
                let allowed = format!("a weight from 0 to 1 and {groups} means, none below 0");
                Err(invalid("the means of ψ", format!("{} numbers", values.len()), allowed))
            }
        }
    }
}

/// The mean of each group over so many steps of all trials, from one sum per neuron.
pub(crate) fn group_means(groups: &Groups, sums: &[f64], steps: f64) -> Vec<f64> {
    let mut means = vec![0.0; groups.count()];
    for (&group, sum) in groups.of.iter().zip(sums) {
        means[group as usize] += sum;
    }
    means.iter().zip(&groups.sizes).map(|(sum, &size)| sum / (size as f64 * steps)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_forgets_a_tenth_a_batch() {
        let mut means = PsiMeans::new(2);
        assert_eq!(means.of(0, 5.0), 5.0);
        means.follow(&[1.0, 3.0]);
        means.follow(&[2.0, 3.0]);
        let expected = 0.9 * (0.9 * 5.0 + 0.1) + 0.1 * 2.0;
        assert!((means.of(0, 5.0) - expected).abs() < 1e-15);
        let read = PsiMeans::from_values(&means.values().unwrap(), 2).unwrap();
        assert_eq!(read, means);
        assert!(PsiMeans::from_values(&[0.5, 1.0], 2).is_err());
        assert!(PsiMeans::from_values(&[1.5, 1.0, 1.0], 2).is_err());
        assert!(PsiMeans::new(2).values().is_none());
    }
}
