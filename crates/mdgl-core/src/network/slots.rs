//! Populations laid end to end: each one's place, its units' signs, their types.

use std::collections::HashMap;

use super::MOST_UNITS;
use crate::description::{CellType, NamedSign, NetworkDescription, Sign};
use crate::error::{Result, invalid, unknown};
use crate::numeric::random::{CounterRng, Stream};

/// A named population's place.
#[derive(Clone)]
pub(super) struct Slot {
    pub kind: SlotKind,
    pub offset: usize,
    pub size: usize,
    pub signs: Vec<i8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotKind {
    Input,
    Population,
    Readout,
}

pub(super) fn lay_out(d: &NetworkDescription) -> Result<HashMap<String, Slot>> {
    let inputs = d.inputs.iter().map(|p| (&p.name, p.size, Some(&p.sign), SlotKind::Input));
    let populations = d.populations.iter().map(|p| (&p.name, p.size, Some(&p.sign), SlotKind::Population));
    let readouts = d.readouts.iter().map(|r| (&r.name, r.size, None, SlotKind::Readout));
    let mut slots = HashMap::new();
    let mut offsets = [0; 3];
    for (i, (name, size, sign, kind)) in inputs.chain(populations).chain(readouts).enumerate() {
        if name.is_empty() {
            return Err(invalid("name", "''", "a non-empty name"));
        }
        let offset = &mut offsets[kind as usize];
        if size == 0 || size > MOST_UNITS || *offset + size > MOST_UNITS {
            let path = format!("{name}.size");
            return Err(invalid(path, size, format!("1 to {MOST_UNITS}, all populations together")));
        }
        let signs = match sign {
            Some(sign) => expand_sign(name, sign, size, d.seed, i)?,
            None => Vec::new(),
        };
        let slot = Slot { kind, offset: *offset, size, signs };
        *offset += size;
        if slots.insert(name.clone(), slot).is_some() {
            return Err(invalid("name", format!("'{name}' twice"), "a name of its own for each"));
        }
    }
    if d.populations.is_empty() {
        return Err(invalid("populations", "empty", "at least one recurrent population"));
    }
    Ok(slots)
}

fn expand_sign(name: &str, sign: &Sign, size: usize, seed: u64, slot: usize) -> Result<Vec<i8>> {
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
                CounterRng::internal(seed, Stream::Signs, 0, slot).shuffle(&mut signs);
            }
            Ok(signs)
        }
    }
}

type Types = (Vec<String>, Vec<usize>);

pub(super) fn types(d: &NetworkDescription, slots: &HashMap<String, Slot>, neurons: usize) -> Result<Types> {
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
        for member in type_members(cell_type, slots)? {
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

fn type_members(cell_type: &CellType, slots: &HashMap<String, Slot>) -> Result<Vec<usize>> {
    let mut members = Vec::new();
    for part in &cell_type.members {
        let path = format!("types.{}.members", cell_type.name);
        let slot = find(slots, &path, &part.population, &[SlotKind::Population])?;
        match &part.units {
            None => members.extend(slot.offset..slot.offset + slot.size),
            Some(units) => {
                let units = units.numbers(|| path.clone())?;
                if let Some(unit) = units.iter().find(|&&unit| unit as usize >= slot.size) {
                    return Err(invalid(path, unit, format!("indices below {}", slot.size)));
                }
                members.extend(units.iter().map(|&unit| slot.offset + unit as usize));
            }
        }
    }
    Ok(members)
}

pub(super) fn find<'a>(
    slots: &'a HashMap<String, Slot>,
    path: &str,
    name: &str,
    kinds: &[SlotKind],
) -> Result<&'a Slot> {
    match slots.get(name) {
        Some(slot) if kinds.contains(&slot.kind) => Ok(slot),
        _ => {
            let mut names: Vec<_> = slots
                .iter()
                .filter(|(_, slot)| kinds.contains(&slot.kind))
                .map(|(name, _)| name.as_str())
                .collect();
            names.sort_unstable();
            Err(unknown(path, name, names.into_iter()))
        }
    }
}
