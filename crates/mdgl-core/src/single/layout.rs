//! What stands in the lanes, chosen from network and batch alone.

/// What stands in the lanes of a block of trials. It never changes a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Sixteen trials of one neuron.
    #[default]
    Trials,
    /// Sixteen neurons of one trial; each trial on whatever thread is free.
    Neurons,
}

/// Neurons from which on a trial fills the lanes well.
const MANY: usize = 64;

impl Layout {
    /// The faster one for a block of so many trials.
    ///
    /// Measured on one thread with AVX-512, 16 to 1000 neurons, densities 0.1 and 1, 1 to 16 trials. At 100 neurons
    /// and more four trials one by one are faster by every rule, five or more by all rules but BPTT, whose cells
    /// hear each other at every step; at 16 and 50 neurons two are.
    pub(crate) fn choose(neurons: usize, trials: usize) -> Self {
        let most = if neurons < MANY { 2 } else { 4 };
        if trials <= most { Self::Neurons } else { Self::Trials }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_trials_go_one_by_one() {
        assert_eq!(
            [1, 4, 5, 16].map(|trials| Layout::choose(400, trials) == Layout::Neurons),
            [true, true, false, false]
        );
        assert_eq!([2, 3].map(|trials| Layout::choose(16, trials) == Layout::Neurons), [true, false]);
    }
}
