//! The range of units of each population, with the units' signs and types.

use std::collections::HashMap;

use super::MOST_UNITS;
use crate::description::{CellType, NamedSign, NetworkDescription, Sign};
use crate::error::{Result, invalid, unknown};
use crate::numeric::random::{CounterRng, DrawStream};

/// A named population's range of units.
#[derive(Clone)]
pub(super) struct PopulationRange {
    pub kind: PopulationKind,
    pub offset: usize,
    pub size: usize,
    pub signs: Vec<i8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PopulationKind {
    Input,
    Population,
    Readout,
}

pub(super) fn lay_out(d: &NetworkDescription) -> Result<HashMap<String, PopulationRange>> {
    let inputs = d.inputs.iter().map(|p| (&p.name, p.size, Some(&p.sign), PopulationKind::Input));
    let populations =
        d.populations.iter().map(|p| (&p.name, p.size, Some(&p.sign), PopulationKind::Population));
    let readouts = d.readouts.iter().map(|r| (&r.name, r.size, None, PopulationKind::Readout));
    let mut ranges = HashMap::new();
    let mut ends = [0; 3];
    for (i, (name, size, sign, kind)) in inputs.chain(populations).chain(readouts).enumerate() {
        if name.is_empty() {
            return Err(invalid("name", "''", "a non-empty name"));
        }
        let offset = &mut ends[kind as usize];
        if size == 0 || size > MOST_UNITS || *offset + size > MOST_UNITS {
            let path = format!("{name}.size");
            return Err(invalid(path, size, format!("1 to {MOST_UNITS}, all populations together")));
        }
        let signs = match sign {
            Some(sign) => expand_sign(name, sign, size, d.seed, i)?,
            None => Vec::new(),
        };
        let range = PopulationRange { kind, offset: *offset, size, signs };
        *offset += size;
        if ranges.insert(name.clone(), range).is_some() {
            return Err(invalid("name", format!("'{name}' twice"), "a name of its own for each"));
        }
    }
    if d.populations.is_empty() {
        return Err(invalid("populations", "empty", "at least one recurrent population"));
    }
    Ok(ranges)
}

fn expand_sign(name: &str, sign: &Sign, size: usize, seed: u64, range: usize) -> Result<Vec<i8>> {
    let path = || format!("{name}.sign");
    match sign {
        Sign::Named(NamedSign::Free) => Ok(vec![0; size]),
        Sign::Named(NamedSign::Excitatory) => Ok(vec![1; size]),
        Sign::Named(NamedSign::Inhibitory) => Ok(vec![-1; size]),
        Sign::Each(signs) if signs.len() != size => {
            Err(invalid(path(), format!("{} values", signs.len()), format!("{size} values")))
        }
        Sign::Each(signs) => match signs.iter().find(|s| !(-1..=1).contains(*s)) {
            Some(wrong) => Err(invalid(path(), wrong, "1, -1 or 0 for each unit")),
            None => Ok(signs.clone()),
        },
        Sign::Counts(counts) => {
            if counts.excitatory.checked_add(counts.inhibitory) != Some(size) {
                let value = format!("{} + {}", counts.excitatory, counts.inhibitory);
                return Err(invalid(path(), value, format!("numbers that add up to {size}")));
            }
            let mut signs = vec![1; size];
            signs[..counts.inhibitory].fill(-1);
            if counts.shuffled {
                CounterRng::internal(seed, DrawStream::Signs, 0, range).shuffle(&mut signs);
            }
            Ok(signs)
        }
    }
}

type Types = (Vec<String>, Vec<usize>);

pub(super) fn types(
    d: &NetworkDescription,
    ranges: &HashMap<String, PopulationRange>,
    neurons: usize,
) -> Result<Types> {
    let Some(types) = &d.types else {
        let names = d.populations.iter().map(|p| p.name.clone()).collect();
        let type_of = d.populations.iter().enumerate().flat_map(|(i, p)| vec![i; p.size]).collect();
        return Ok((names, type_of));
    };
    let mut type_of = vec![usize::MAX; neurons];
    let mut names: Vec<String> = Vec::new();
    for (index, cell_type) in types.iter().enumerate() {
        if names.contains(&cell_type.name) || cell_type.name.is_empty() {
            let value = format!("'{}'", cell_type.name);
            return Err(invalid(format!("types[{index}].name"), value, "a name of its own"));
        }
        names.push(cell_type.name.clone());
        for member in type_members(cell_type, ranges)? {
            if type_of[member] != usize::MAX {
                let other = &names[type_of[member]];
                let value = format!("neuron {member}, which type '{other}' has too");
                return Err(invalid(
                    format!("types[{index}].members"),
                    value,
                    "each neuron in exactly one type",
                ));
            }
            type_of[member] = index;
        }
    }
    match type_of.iter().position(|&t| t == usize::MAX) {
        Some(neuron) => {
            Err(invalid("types", format!("without neuron {neuron}"), "each neuron in exactly one type"))
        }
        None => Ok((names, type_of)),
    }
}

fn type_members(cell_type: &CellType, ranges: &HashMap<String, PopulationRange>) -> Result<Vec<usize>> {
    let mut members = Vec::new();
    for part in &cell_type.members {
        let path = format!("types.{}.members", cell_type.name);
        let range = find(ranges, &path, &part.population, &[PopulationKind::Population])?;
        match &part.units {
            None => members.extend(range.offset..range.offset + range.size),
            Some(units) => {
                let units = units.numbers(|| path.clone())?;
                if let Some(unit) = units.iter().find(|&&unit| unit as usize >= range.size) {
                    return Err(invalid(path, unit, format!("indices below {}", range.size)));
                }
                members.extend(units.iter().map(|&unit| range.offset + unit as usize));
            }
        }
    }
    Ok(members)
}

pub(super) fn find<'a>(
    ranges: &'a HashMap<String, PopulationRange>,
    path: &str,
    name: &str,
    kinds: &[PopulationKind],
) -> Result<&'a PopulationRange> {
    match ranges.get(name) {
        Some(range) if kinds.contains(&range.kind) => Ok(range),
        _ => {
            let mut names: Vec<_> = ranges
                .iter()
                .filter(|(_, range)| kinds.contains(&range.kind))
                .map(|(name, _)| name.as_str())
                .collect();
            names.sort_unstable();
            Err(unknown(path, name, names.into_iter()))
        }
    }
}
