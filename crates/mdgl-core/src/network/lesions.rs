//! Lesions: which pairs of a projection's units have no synapse, and never get one.

use std::sync::Arc;

use super::lesioned_pairs::LesionedPairs;
use super::projections::Synapses;
use super::synapse::SynapseKind;
use crate::description::Lesion;
use crate::description::list::List;
use crate::error::{Result, invalid, unknown};

/// Whether the senders or the receivers of a projection have a cell type.
fn has_types(synapses: &Synapses, senders: bool) -> bool {
    synapses.kind != if senders { SynapseKind::Input } else { SynapseKind::Readout }
}

/// Marks the pairs and synapses of every lesion, each with its path, in the projections.
///
/// # Errors
/// [`crate::Error::Invalid`] for names that the network has not, units that a projection has not, and other combinations of keys than a
/// lesion may have.
pub(super) fn apply<'a>(
    projections: &mut [Synapses],
    lesions: impl Iterator<Item = (String, &'a Lesion)>,
    type_names: &[String],
    type_of: &[usize],
) -> Result<()> {
    let mut marked: Vec<Option<LesionedPairs>> = projections.iter().map(|_| None).collect();
    for (path, lesion) in lesions {
        lesion.check_keys(&path)?;
        let only = match &lesion.projection {
            None => None,
            Some(name) => {
                let found = projections.iter().position(|synapses| synapses.name() == name);
                let names = || projections.iter().map(Synapses::name);
                Some(found.ok_or_else(|| unknown(&format!("{path}.projection"), name, names()))?)
            }
        };
        let find = |key: &str, name: &Option<String>, senders: bool| {
            let Some(name) = name else { return Ok(None) };
            let path = format!("{path}.{key}");
            if let Some(one) = only
                && !has_types(&projections[one], senders)
            {
                let units = if senders { "inputs" } else { "readouts" };
                return Err(invalid(
                    path,
                    format!("'{name}'"),
                    format!("nothing: {units} have no cell types"),
                ));
            }
            let found = type_names.iter().position(|own| own == name);
            found.map(Some).ok_or_else(|| unknown(&path, name, type_names.iter().map(String::as_str)))
        };
        let types = (find("from", &lesion.from, true)?, find("to", &lesion.to, false)?);
        for (i, synapses) in projections.iter().enumerate().filter(|&(i, _)| only.is_none_or(|one| one == i))
        {
            let untyped = |given: Option<usize>, senders| given.is_some() && !has_types(synapses, senders);
            if untyped(types.0, true) || untyped(types.1, false) {
                continue;
            }
            let own = marked[i].get_or_insert_with(|| none_lesioned(synapses, type_of, type_names.len()));
            match (&lesion.pre, &lesion.post) {
                (Some(pre), Some(post)) => own.pairs.extend(single_pairs(&path, pre, post, synapses)?),
                _ => own.add(types),
            }
        }
    }
    for (synapses, marked) in projections.iter_mut().zip(marked) {
        synapses.lesioned = marked.map(|mut own| {
            own.conclude();
            Arc::new(own)
        });
        synapses.find_silent();
    }
    Ok(())
}

/// The types of a projection's senders and receivers, and no pair silent yet.
fn none_lesioned(synapses: &Synapses, type_of: &[usize], types: usize) -> LesionedPairs {
    let typed = |senders: bool, offset: usize, size: usize| match has_types(synapses, senders) {
        true => type_of[offset..offset + size].to_vec(),
        false => vec![0; size],
    };
    let (sizes, offsets) = (synapses.sizes, synapses.offsets);
    LesionedPairs {
        types: (typed(true, offsets.0, sizes.0), typed(false, offsets.1, sizes.1)),
        by_type: vec![vec![false; types]; types],
        pairs: Vec::new(),
        are_all: false,
    }
}

impl Synapses {
    /// The number of synapses that rewiring maintains: what lesions have taken is not made up for elsewhere.
    pub(crate) fn maintained_number(&self) -> f64 {
        match &self.lesioned {
            Some(lesioned) if lesioned.are_all => 0.0,
            _ => (self.target_number - self.silent.len() as f64).max(0.0),
        }
    }

    /// Senders that never get a synapse to receivers of a type, ascending, by type: free ones, which are not rewired, and those of a lesion.
    pub(super) fn barred_senders(&self) -> Vec<Vec<u32>> {
        let bars = |to: usize, pre: usize| {
            self.signs[pre] == 0
                || self.lesioned.as_ref().is_some_and(|own| own.by_type[own.types.0[pre]][to])
        };
        let types = self.lesioned.as_ref().map_or(1, |own| own.by_type.len());
        (0..types)
            .map(|to| (0..self.sizes.0).filter(|&pre| bars(to, pre)).map(|pre| pre as u32).collect())
            .collect()
    }

    /// The type of a receiver, as [`Self::barred_senders`] counts them.
    pub(super) fn receiver_type(&self, post: u32) -> usize {
        self.lesioned.as_ref().map_or(0, |own| own.types.1[post as usize])
    }

    /// The single pairs (post, pre) to a receiver that lesions keep silent.
    pub(super) fn lesioned_senders(&self, post: u32) -> &[(u32, u32)] {
        let Some(own) = &self.lesioned else { return &[] };
        let first = own.pairs.partition_point(|&(p, _)| p < post);
        let end = first + own.pairs[first..].partition_point(|&(p, _)| p == post);
        &own.pairs[first..end]
    }

    /// Finds the synapses that lesions keep silent.
    pub(super) fn find_silent(&mut self) {
        let Some(lesioned) = &self.lesioned else { return };
        let pairs = (0..).zip(self.pre.iter().zip(self.post.iter()));
        self.silent = Arc::new(
            pairs.filter(|&(_, (&pre, &post))| lesioned.contains(pre, post)).map(|(i, _)| i).collect(),
        );
    }
}

fn single_pairs(
    path: &str,
    pre: &List<u32>,
    post: &List<u32>,
    synapses: &Synapses,
) -> Result<Vec<(u32, u32)>> {
    let column = |field: &'static str| move || format!("{path}.{field}");
    let (pre, post) = (pre.numbers(column("pre"))?, post.numbers(column("post"))?);
    if pre.len() != post.len() {
        let allowed = format!("as many entries as pre has ({})", pre.len());
        return Err(invalid(format!("{path}.post"), format!("{} entries", post.len()), allowed));
    }
    for (field, list, units) in [("pre", pre, synapses.sizes.0), ("post", post, synapses.sizes.1)] {
        if let Some(i) = list.iter().position(|&unit| unit as usize >= units) {
            let allowed = format!("a whole number from 0 to {}", units - 1);
            return Err(invalid(format!("{path}.{field}[{i}]"), list[i], allowed));
        }
    }
    Ok(post.iter().copied().zip(pre.iter().copied()).collect())
}
