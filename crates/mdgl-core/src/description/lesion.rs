//! Lesions of a description: which synapses stay silent.

use serde::Serialize;

use crate::description::given::{Given, deserialise_by_reading};
use crate::description::list::{AnyList, List};
use crate::error::{Result, invalid};

/// Synapses that stay silent: those that match every key that is given. Their weights are 0, they have no gradient, no optimiser
/// changes them, and rewiring neither restarts them nor makes another in their place.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lesion {
    /// Those of this projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<String>,
    /// Those whose sender is of this cell type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Those whose receiver is of this cell type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Presynaptic indices of single pairs of the projection, whether they have a synapse or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre: Option<List<u32>>,
    /// Postsynaptic indices, as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<List<u32>>,
}

deserialise_by_reading!(Lesion, "lesion");

impl Lesion {
    /// Reads one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let [projection, from, to, pre, post] = given.parts(["projection", "from", "to", "pre", "post"])?;
        let name = |part: Given<'_>| part.given().map(|given| given.name()).transpose();
        let indices = |part: Given<'_>| part.given().map(|given| given.indices()).transpose();
        Ok(Self {
            projection: name(projection)?,
            from: name(from)?,
            to: name(to)?,
            pre: indices(pre)?,
            post: indices(post)?,
        })
    }

    /// Refuses keys that do not go together; `path` is the lesion's.
    pub(crate) fn check_keys(&self, path: &str) -> Result<()> {
        let Self { projection, from, to, pre, post } = self;
        if projection.is_none() && from.is_none() && to.is_none() {
            let allowed = "a projection, a cell type (from, to), or both; pre and post with a projection";
            return Err(invalid(path, "neither projection, from nor to", allowed));
        }
        match (pre, post) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(invalid(format!("{path}.post"), "nothing", "as many entries as pre has")),
            (None, Some(_)) => Err(invalid(format!("{path}.pre"), "nothing", "as many entries as post has")),
            (Some(_), Some(_)) if projection.is_none() || from.is_some() || to.is_some() => {
                Err(invalid(format!("{path}.pre"), "set", "with projection, and without from and to"))
            }
            _ => Ok(()),
        }
    }

    /// Its lists of numbers.
    pub(super) fn lists(&mut self) -> impl Iterator<Item = &mut dyn AnyList> {
        [&mut self.pre, &mut self.post].into_iter().flatten().map(|list| list as &mut dyn AnyList)
    }
}
