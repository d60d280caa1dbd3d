//! The range of units of each population, with the units' signs and types.

use std::collections::HashMap;

use crate::description::{CellType, MOST_UNITS, NamedSign, NetworkDescription, Sign};
use crate::error::{Result, invalid};
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
        let offset = &mut ends[kind as usize];
        if *offset + size > MOST_UNITS {
            let path = format!("{name}.size");
            return Err(invalid(path, size, format!("1 to {MOST_UNITS}, all populations together")));
        }
        let signs = sign.map_or_else(Vec::new, |sign| expand_sign(sign, size, d.seed, i));
        ranges.insert(name.clone(), PopulationRange { kind, offset: *offset, size, signs });
        *offset += size;
    }
    if d.populations.is_empty() {
        return Err(invalid("populations", "empty", "at least one recurrent population"));
    }
    Ok(ranges)
}

fn expand_sign(sign: &Sign, size: usize, seed: u64, range: usize) -> Vec<i8> {
    match sign {
        Sign::Named(NamedSign::Free) => vec![0; size],
        Sign::Named(NamedSign::Excitatory) => vec![1; size],
        Sign::Named(NamedSign::Inhibitory) => vec![-1; size],
        Sign::Each(signs) => signs.clone(),
        Sign::Counts(counts) => {
            let mut signs = vec![1; size];
            signs[..counts.inhibitory].fill(-1);
            if counts.shuffled {
                CounterRng::internal(seed, DrawStream::Signs, 0, range).shuffle(&mut signs);
            }
            signs
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
        let range = &ranges[&part.population];
        match &part.units {
            None => members.extend(range.offset..range.offset + range.size),
            Some(units) => {
                let units = units.numbers(|| format!("types.{}.members", cell_type.name))?;
                members.extend(units.iter().map(|&unit| range.offset + unit as usize));
            }
        }
    }
    Ok(members)
}
