//! A description in the making: parts are completed and checked one after another, each with those before it.

use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use crate::description::given::Given;
use crate::description::network::{HEAD, PARTS};
use crate::description::{
    CellType, Channel, Exponentials, InputPopulation, Lesion, NetworkDescription, Population, Projection,
    Readout, TimeCourse,
};
use crate::error::{Error, Result, invalid, unknown, words};
use crate::numeric::steps::{lasting, lasting_or_zero};

/// A description that is built part by part. Each part gives a new value; earlier ones stay what they are.
#[derive(Debug, Clone)]
pub struct NetworkDraft {
    /// Shared with the drafts that it was made from and, where nothing else was added, with those made from it.
    parts: Arc<Mutex<Draft>>,
    counts: Counts,
}

/// Number of parts of each kind; `None` where there is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    inputs: usize,
    populations: usize,
    readouts: usize,
    types: Option<usize>,
    projections: usize,
    channels: Option<usize>,
    lesions: usize,
}

impl NetworkDraft {
    /// A description without parts, of the options that are not parts.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for values that are not allowed.
    pub fn new(options: &Given<'_>) -> Result<Self> {
        options.only(&HEAD)?;
        Ok(Self::of(Draft::new(NetworkDescription::read_head(options)?)?))
    }

    fn of(draft: Draft) -> Self {
        Self { counts: draft.counts(), parts: Arc::new(Mutex::new(draft)) }
    }

    /// The draft with one part more; `kind` is the key of its list in a description.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a part that is not allowed beside those before it.
    pub fn add(&self, kind: &str, part: &Given<'_>) -> Result<Self> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.counts() != self.counts {
            let mut own = parts.first(self.counts);
            own.add(kind, part)?;
            return Ok(Self::of(own));
        }
        parts.add(kind, part)?;
        Ok(Self { counts: parts.counts(), parts: self.parts.clone() })
    }

    /// The description.
    pub fn description(&self) -> NetworkDescription {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).first(self.counts).into_description()
    }
}

impl NetworkDescription {
    /// The description with every default filled in.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for values out of range and for names that nothing or too much has.
    pub fn complete(mut self) -> Result<Self> {
        let (inputs, populations) = (take(&mut self.inputs), take(&mut self.populations));
        let (readouts, types) = (take(&mut self.readouts), self.types.take());
        let (projections, channels) = (take(&mut self.projections), self.channels.take());
        let lesions = take(&mut self.lesions);
        let mut draft = Draft::new(self)?;
        inputs.into_iter().try_for_each(|part| draft.add_input(part))?;
        populations.into_iter().try_for_each(|part| draft.add_population(part))?;
        readouts.into_iter().try_for_each(|part| draft.add_readout(part))?;
        if let Some(types) = types {
            draft.list_types();
            types.into_iter().try_for_each(|part| draft.add_type(part))?;
        }
        projections.into_iter().try_for_each(|part| draft.add_projection(part))?;
        if let Some(channels) = channels {
            draft.list_channels();
            channels.into_iter().try_for_each(|part| draft.add_channel(part))?;
        }
        lesions.into_iter().try_for_each(|part| draft.add_lesion(part))?;
        Ok(draft.into_description())
    }
}

/// What units belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    Input,
    Population,
    Readout,
}

impl UnitKind {
    const ALL: [Self; 3] = [Self::Input, Self::Population, Self::Readout];
}

/// A description in the making, and what its parts are called.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    description: NetworkDescription,
    units: HashMap<String, (UnitKind, usize)>,
    types: HashSet<String>,
    projections: HashSet<String>,
}

impl Draft {
    /// A description without parts.
    pub fn new(mut head: NetworkDescription) -> Result<Self> {
        head.complete_head()?;
        Ok(Self {
            description: head,
            units: HashMap::new(),
            types: HashSet::new(),
            projections: HashSet::new(),
        })
    }

    pub fn into_description(self) -> NetworkDescription {
        self.description
    }

    pub fn dt(&self) -> f64 {
        self.description.dt
    }

    /// From here on the types are those that are listed, if it is none.
    pub fn list_types(&mut self) {
        self.description.types.get_or_insert_default();
    }

    /// From here on the channels are those that are listed, if it is none.
    pub fn list_channels(&mut self) {
        self.description.channels.get_or_insert_default();
    }

    fn counts(&self) -> Counts {
        let NetworkDescription {
            inputs, populations, readouts, types, projections, channels, lesions, ..
        } = &self.description;
        Counts {
            inputs: inputs.len(),
            populations: populations.len(),
            readouts: readouts.len(),
            types: types.as_ref().map(Vec::len),
            projections: projections.len(),
            channels: channels.as_ref().map(Vec::len),
            lesions: lesions.len(),
        }
    }

    /// The same with its first parts alone.
    fn first(&self, counts: Counts) -> Self {
        let mut first = self.clone();
        let own = &mut first.description;
        own.inputs.truncate(counts.inputs);
        own.populations.truncate(counts.populations);
        own.readouts.truncate(counts.readouts);
        own.types = own.types.take().filter(|_| counts.types.is_some());
        own.types.iter_mut().for_each(|types| types.truncate(counts.types.unwrap_or_default()));
        own.projections.truncate(counts.projections);
        own.channels = own.channels.take().filter(|_| counts.channels.is_some());
        own.channels.iter_mut().for_each(|own| own.truncate(counts.channels.unwrap_or_default()));
        own.lesions.truncate(counts.lesions);
        let units: HashSet<&str> = first.names(&UnitKind::ALL).collect();
        let projections = first.description.projections.iter().map(Projection::key).collect();
        let types = first.description.types.iter().flatten().map(|part| part.name.clone()).collect();
        let units = self.units.iter().filter(|(name, _)| units.contains(name.as_str()));
        Self {
            units: units.map(|(name, &units)| (name.clone(), units)).collect(),
            projections,
            types,
            description: first.description,
        }
    }

    /// Reads and adds a part; a type's units are those of each population, by its name.
    fn add(&mut self, kind: &str, part: &Given<'_>) -> Result<()> {
        match kind {
            "inputs" => self.add_input(InputPopulation::read(part)?),
            "populations" => self.add_population(Population::read(part)?),
            "readouts" => self.add_readout(Readout::read(part)?),
            "types" => {
                let (name, part) = named_part(part, "types")?;
                let units = part.part("members").at(part.path());
                self.add_type(CellType::read_units(&name, &units, self)?)
            }
            "projections" => self.add_projection(Projection::read(part)?),
            "channels" => self.add_channel(Channel::read_named(part)?),
            "lesions" => {
                let path = format!("lesions[{}]", self.description.lesions.len());
                self.add_lesion(Lesion::read(&part.at(path))?)
            }
            _ => Err(invalid("kind", format!("'{kind}'"), words(&PARTS))),
        }
    }

    // Each of these adds a part, or fails and changes nothing.

    pub fn add_input(&mut self, part: InputPopulation) -> Result<()> {
        self.unused_unit_name("inputs", &part.name)?;
        let part = part.complete()?;
        self.units.insert(part.name.clone(), (UnitKind::Input, part.size));
        self.description.inputs.push(part);
        Ok(())
    }

    pub fn add_population(&mut self, part: Population) -> Result<()> {
        self.unused_unit_name("populations", &part.name)?;
        let part = part.complete(self.description.dt, self.description.conventions)?;
        self.units.insert(part.name.clone(), (UnitKind::Population, part.size));
        self.description.populations.push(part);
        Ok(())
    }

    pub fn add_readout(&mut self, part: Readout) -> Result<()> {
        self.unused_unit_name("readouts", &part.name)?;
        let part = part.complete(self.description.dt, self.description.conventions)?;
        self.units.insert(part.name.clone(), (UnitKind::Readout, part.size));
        self.description.readouts.push(part);
        Ok(())
    }

    pub fn add_type(&mut self, part: CellType) -> Result<()> {
        if self.types.contains(named("types", &part.name)?) {
            return Err(taken("types", &part.name, &type_names(&self.description)));
        }
        let part = part.complete(self)?;
        self.types.insert(part.name.clone());
        self.description.types.get_or_insert_default().push(part);
        Ok(())
    }

    pub fn add_projection(&mut self, part: Projection) -> Result<()> {
        let name = part.key();
        if self.projections.contains(named("projections", &name)?) {
            let names = self.description.projections.iter().filter_map(|own| own.name.as_deref());
            return Err(taken("projections", &name, &names.collect::<Vec<_>>()));
        }
        let part = part.complete(self)?;
        self.projections.insert(name);
        self.description.projections.push(part);
        Ok(())
    }

    pub fn add_channel(&mut self, part: Channel) -> Result<()> {
        let path = format!("channels.{}", named("channels", &part.name)?);
        self.check_type(&format!("{path}.from"), &part.from)?;
        self.check_type(&format!("{path}.to"), &part.to)?;
        if let TimeCourse::Exponentials(Exponentials { tau_rise, tau_decay }) = part.kernel {
            lasting(format_args!("{path}.kernel.tauDecay"), tau_decay, self.dt())?;
            lasting_or_zero(format_args!("{path}.kernel.tauRise"), tau_rise, self.dt())?;
        }
        part.validate(&path)?;
        self.description.channels.get_or_insert_default().push(part);
        Ok(())
    }

    /// Names are looked up here; which units a projection has, where its synapses are marked.
    pub fn add_lesion(&mut self, part: Lesion) -> Result<()> {
        let path = format!("lesions[{}]", self.description.lesions.len());
        part.check_keys(&path)?;
        if let Some(name) = part.projection.as_ref().filter(|name| !self.projections.contains(*name)) {
            let names = self.description.projections.iter().filter_map(|own| own.name.as_deref());
            return Err(unknown(&format!("{path}.projection"), name, names));
        }
        for (key, name) in [("from", &part.from), ("to", &part.to)] {
            name.iter().try_for_each(|name| self.check_type(&format!("{path}.{key}"), name))?;
        }
        self.description.lesions.push(part);
        Ok(())
    }

    /// Kind and size of what has a name, if it is of one of these kinds.
    pub fn units(&self, path: &str, name: &str, kinds: &[UnitKind]) -> Result<(UnitKind, usize)> {
        match self.units.get(name) {
            Some(&(kind, size)) if kinds.contains(&kind) => Ok((kind, size)),
            _ => Err(unknown(path, name, self.names(kinds))),
        }
    }

    /// Size of a population.
    pub fn population_size(&self, name: &str, path: &str) -> Result<usize> {
        self.units(path, name, &[UnitKind::Population]).map(|(_, size)| size)
    }

    fn names(&self, kinds: &[UnitKind]) -> impl Iterator<Item = &str> {
        let NetworkDescription { inputs, populations, readouts, .. } = &self.description;
        let inputs = inputs.iter().map(|part| (UnitKind::Input, part.name.as_str()));
        let populations = populations.iter().map(|part| (UnitKind::Population, part.name.as_str()));
        let readouts = readouts.iter().map(|part| (UnitKind::Readout, part.name.as_str()));
        let all = inputs.chain(populations).chain(readouts);
        all.filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name)
    }

    fn unused_unit_name(&self, kind: &str, name: &str) -> Result<()> {
        match self.units.contains_key(named(kind, name)?) {
            true => Err(taken(kind, name, &self.names(&UnitKind::ALL).collect::<Vec<_>>())),
            false => Ok(()),
        }
    }

    fn check_type(&self, path: &str, name: &str) -> Result<()> {
        let known = match self.description.types {
            Some(_) => self.types.contains(name),
            None => matches!(self.units.get(name), Some((UnitKind::Population, _))),
        };
        match known {
            true => Ok(()),
            false => Err(unknown(path, name, type_names(&self.description).into_iter())),
        }
    }
}

fn type_names(description: &NetworkDescription) -> Vec<&str> {
    match &description.types {
        Some(types) => types.iter().map(|part| part.name.as_str()).collect(),
        None => description.populations.iter().map(|part| part.name.as_str()).collect(),
    }
}

/// A name that is not empty.
fn named<'a>(kind: &str, name: &'a str) -> Result<&'a str> {
    match name.is_empty() {
        false => Ok(name),
        true => Err(invalid(format!("{kind}.name"), "''", "a non-empty string")),
    }
}

fn taken(kind: &str, name: &str, taken: &[&str]) -> Error {
    let allowed = format!("a name not taken yet; taken are {}", words(taken));
    invalid(format!("{kind}.name"), format!("'{name}'"), allowed)
}

/// The name of a part of a list, and the part at the path that has its name.
pub(super) fn named_part<'a>(given: &Given<'a>, kind: &str) -> Result<(String, Given<'a>)> {
    given.entries()?;
    let name = given.at(kind).part("name").name()?;
    let path = format!("{kind}.{name}");
    Ok((name, given.at(path)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn added(draft: &NetworkDraft, kind: &str, part: Value) -> Result<NetworkDraft> {
        draft.add(kind, &Given::new(&part, kind, &[]))
    }

    fn population(name: &str) -> Value {
        json!({"name": name, "size": 3, "model": "lif"})
    }

    fn names(draft: &NetworkDraft) -> Vec<String> {
        draft.description().populations.into_iter().map(|own| own.name).collect()
    }

    #[test]
    fn drafts_made_from_the_same_one_do_not_know_each_others_parts() {
        let options = json!({"dt": 0.5});
        let empty = NetworkDraft::new(&Given::new(&options, "options", &[])).unwrap();
        let a = added(&empty, "populations", population("a")).unwrap();
        let ab = added(&a, "populations", population("b")).unwrap();
        let ac = added(&a, "populations", population("c")).unwrap();
        let acb = added(&ac, "populations", population("b")).unwrap();
        let typed =
            added(&ab, "types", json!({"name": "t", "members": {"a": "all", "b": {"from": 1, "to": 3}}}))
                .unwrap();
        assert_eq!(
            (names(&empty).len(), names(&a), names(&ab)),
            (0, vec!["a".into()], vec!["a".into(), "b".into()])
        );
        assert_eq!(names(&acb), ["a", "c", "b"]);
        assert_eq!(ab.description().types, None);
        let types = typed.description().types.unwrap();
        assert_eq!(types[0].members[1].units, Some(vec![1, 2].into()));
        let projection = json!({"from": "b", "to": "a", "density": 0.5});
        assert!(added(&ac, "projections", projection.clone()).is_err());
        let projected = added(&ab, "projections", projection.clone()).unwrap();
        assert!(added(&projected, "projections", projection.clone()).is_err());
        assert_eq!(added(&ab, "projections", projection).unwrap().description(), projected.description());
    }

    #[test]
    fn a_part_that_is_refused_changes_nothing() {
        let options = json!({});
        let empty = NetworkDraft::new(&Given::new(&options, "options", &[])).unwrap();
        let wrong = json!({"name": "a", "size": 3, "model": "lif", "threshold": 0});
        assert!(added(&empty, "populations", wrong).is_err());
        let a = added(&empty, "populations", population("a")).unwrap();
        assert!(added(&a, "types", json!({"name": "t", "members": {"b": "all"}})).is_err());
        assert!(added(&a, "types", json!({"name": "t", "members": {"a": [3]}})).is_err());
        assert_eq!(a.description().types, None);
        assert!(added(&a, "types", json!({"name": "t", "members": {"a": [2]}})).is_ok());
        assert!(added(&a, "synapses", json!({})).is_err());
    }
}
