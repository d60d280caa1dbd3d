//! Choice of the layout, trials or neurons in the lanes, from network, batch and rule.

use std::ops::Range;
use std::sync::OnceLock;

use crate::error::{Result, invalid};

/// Layout of a block of trials: what its lanes hold. It never changes a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Sixteen trials of one neuron.
    #[default]
    Trials,
    /// Sixteen neurons of one trial; each trial on any free thread.
    Neurons,
}

/// Purpose of a pass, as far as it determines the faster layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Every trial is kept whole for a later pass.
    Keep,
    /// Spikes and losses alone.
    Evaluate,
    /// Recursions in which no neuron receives anything from others; whether most neurons have none.
    Recursions { few: bool },
    /// Neurons receive what others secrete; whether most have no recursion.
    Modulation { few: bool },
    /// Neurons receive the adjoints of all their targets.
    Backpropagation,
}

/// Sizes of a network that determine the faster layout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub neurons: usize,
    /// Synapses onto neurons, and the neurons and input units that send them.
    pub synapses: usize,
    pub senders: usize,
    /// Whether a spike adds a whole row of weights.
    pub has_rows: bool,
    /// Whether all are LIF and ALIF neurons with the paper's ψ, which have a loop of their own.
    pub are_usual: bool,
}

/// Number of neurons from which a trial fills the lanes.
const FILLS_LANES: usize = 64;
/// Numbers of neurons with which a trial fills the lanes better than sixteen trials; above the last, lists of synapses
/// cost one trial as much as sixteen.
const FASTER_THAN_TRIALS: Range<usize> = 160..600;

impl Layout {
    const ALL: [Self; 2] = [Self::Trials, Self::Neurons];

    /// The name in `MDGL_LAYOUT`.
    fn name(self) -> &'static str {
        match self {
            Self::Trials => "trials",
            Self::Neurons => "neurons",
        }
    }

    /// The one that the environment variable `MDGL_LAYOUT` names, if it is set.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an unknown name.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        static CHOICE: OnceLock<Result<Option<Layout>>> = OnceLock::new();
        CHOICE.get_or_init(|| Self::from_name(std::env::var("MDGL_LAYOUT").ok().as_deref())).clone()
    }

    fn from_name(name: Option<&str>) -> Result<Option<Self>> {
        match name {
            None | Some("") => Ok(None),
            Some(name) => match Self::ALL.into_iter().find(|layout| layout.name() == name) {
                Some(layout) => Ok(Some(layout)),
                None => Err(invalid("MDGL_LAYOUT", name, Self::ALL.map(Self::name).join(", "))),
            },
        }
    }

    /// The faster one for a block of so many trials.
    pub(crate) fn choose(size: Size, trials: usize, purpose: Purpose) -> Self {
        if trials <= most_trials(size, purpose) { Self::Neurons } else { Self::Trials }
    }
}

/// The number of trials up to which neurons in the lanes are the faster layout, at most sixteen.
///
/// Measured on one thread of a Zen 5 with AVX2 and AVX-512, in both precisions: 40 to 1000 neurons, densities 0.01, 0.1 and 1,
/// 4 to 16 trials, all cells or a fifth with a learning signal; where the two sets differ, the lower number.
fn most_trials(size: Size, purpose: Purpose) -> usize {
    let Size { neurons, synapses, senders, has_rows, are_usual } = size;
    let is_dense = has_rows && 5 * synapses >= 2 * senders * neurons;
    match purpose {
        Purpose::Keep | Purpose::Backpropagation if neurons < FILLS_LANES => 2,
        Purpose::Keep | Purpose::Backpropagation => 4,
        Purpose::Evaluate if neurons < FILLS_LANES => 4,
        Purpose::Evaluate if is_dense || has_rows && neurons >= 2 * FASTER_THAN_TRIALS.start => 16,
        Purpose::Evaluate if FASTER_THAN_TRIALS.contains(&neurons) => 10,
        Purpose::Evaluate => 6,
        Purpose::Recursions { .. } | Purpose::Modulation { .. } if neurons < FILLS_LANES => 6,
        Purpose::Recursions { few: true } => 8,
        Purpose::Recursions { .. } if has_rows && are_usual => 16,
        Purpose::Recursions { .. } if is_dense || FASTER_THAN_TRIALS.contains(&neurons) => 16,
        Purpose::Recursions { .. } => 12,
        Purpose::Modulation { few: true } => 6,
        Purpose::Modulation { .. } if is_dense => 16,
        Purpose::Modulation { .. } if FASTER_THAN_TRIALS.contains(&neurons) => 12,
        Purpose::Modulation { .. } => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(neurons: usize, synapses_of_each: usize) -> Size {
        Size {
            neurons,
            synapses: synapses_of_each * neurons,
            senders: neurons,
            has_rows: neurons < FASTER_THAN_TRIALS.end,
            are_usual: false,
        }
    }

    #[test]
    fn few_trials_go_one_by_one() {
        let most = |neurons, synapses, purpose| most_trials(size(neurons, synapses), purpose);
        assert_eq!([16, 100, 400].map(|n| most(n, 10, Purpose::Keep)), [2, 4, 4]);
        assert_eq!([16, 100, 400].map(|n| most(n, 10, Purpose::Evaluate)), [4, 6, 16]);
        let alone = Purpose::Recursions { few: false };
        assert_eq!([16, 100, 400, 1000].map(|n| most(n, 10, alone)), [6, 12, 16, 12]);
        assert_eq!(most(100, 100, alone), 16, "density 1");
        assert_eq!(most(100, 10, Purpose::Modulation { few: true }), 6);
        assert_eq!(most_trials(Size { are_usual: true, ..size(100, 10) }, alone), 16);
    }

    #[test]
    fn the_choice_follows_the_number_of_trials() {
        let choose = |trials| Layout::choose(size(400, 40), trials, Purpose::Keep);
        assert_eq!([1, 4, 5, 16].map(|n| choose(n) == Layout::Neurons), [true, true, false, false]);
    }

    #[test]
    fn a_name_that_there_is_not_is_refused() {
        assert_eq!(Layout::from_name(Some("neurons")), Ok(Some(Layout::Neurons)));
        assert_eq!(Layout::from_name(None), Ok(None));
        let message = Layout::from_name(Some("cells")).map_err(|e| e.to_string());
        assert!(message.is_err_and(|e| e.contains("MDGL_LAYOUT") && e.contains("trials, neurons")));
    }
}
