//! Where a projection's initial weights come from: a list, or a distribution, checked.

use std::sync::Arc;

use super::connectivity::{Ends, Surroundings};
use crate::description::Initialise;
use crate::error::{Result, invalid};

#[derive(Debug, Clone)]
pub(crate) enum InitialWeights {
    Given(Arc<Vec<f64>>),
    Drawn(Initialise),
    DrawnByType(Arc<ByType>),
}

/// A distribution for each pair of types.
#[derive(Debug)]
pub(crate) struct ByType {
    /// `[type of the sender][type of the receiver]`.
    pub distributions: Vec<Vec<Option<Initialise>>>,
    /// Types of the senders and of the receivers.
    pub types: (Vec<usize>, Vec<usize>),
}

impl ByType {
    /// The distribution of two units' pair of types, which [`resolve`] has found to be there where they have a synapse.
    pub fn at(&self, pre: u32, post: u32) -> &Initialise {
        let found = &self.distributions[self.types.0[pre as usize]][self.types.1[post as usize]];
        found.as_ref().unwrap_or(&Initialise::Balanced)
    }
}

impl InitialWeights {
    /// The option of a projection from which they come.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Given(_) => "connections.values",
            Self::Drawn(_) | Self::DrawnByType(_) => "initialise",
        }
    }
}

/// Checks a distribution and finds the one of each pair of types.
///
/// # Errors
/// [`crate::Error::Invalid`] for a value out of its range, an unknown type, and a pair of types that has synapses and no distribution.
pub(super) fn resolve(
    path: &str,
    initialise: Initialise,
    ends: Ends,
    around: &Surroundings,
    pairs: &[(u32, u32)],
) -> Result<InitialWeights> {
    let Initialise::ByType { pairs: given } = &initialise else {
        return Ok(InitialWeights::Drawn(initialise));
    };
    if !ends.are_populations() {
        return Err(invalid(
            format!("{path}.scheme"),
            "by-type",
            "another: inputs and readouts have no types",
        ));
    }
    let distributions = around.by_types(&format!("{path}.pairs"), given, |path, own| match own {
        Initialise::Balanced | Initialise::ByType { .. } => {
            Err(invalid(format!("{path}.scheme"), own.scheme(), "normal, lognormal, uniform or constant"))
        }
        _ => Ok(Some(own.clone())),
    })?;
    let types = (around.types_of(ends.from).to_vec(), around.types_of(ends.to).to_vec());
    let missing = pairs.iter().map(|&(post, pre)| (types.0[pre as usize], types.1[post as usize]));
    if let Some((from, to)) = missing.into_iter().find(|&(from, to)| distributions[from][to].is_none()) {
        let [from, to] = [from, to].map(|index| &around.type_names[index]);
        let at = format!("{path}.pairs.{from}.{to}");
        return Err(invalid(at, "nothing", "a distribution for each pair of types that has synapses"));
    }
    Ok(InitialWeights::DrawnByType(Arc::new(ByType { distributions, types })))
}
