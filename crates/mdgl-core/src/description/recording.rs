//! Which variables of which units a simulation records, as a caller writes it.

use crate::description::NeuronModel;
use crate::description::given::Given;
use crate::description::list::List;
use crate::error::{Result, invalid};

/// A variable that can be recorded in each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// Of a neuron's own step.
    Cell(CellVariable),
    /// L_t.
    LearningSignal,
    /// Γ_t.
    ModulatorySignal,
    /// y_t of a readout unit.
    Readout,
}

/// A variable of a neuron's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellVariable {
    /// z_t of a spiking neuron, 0 or 1.
    Spikes,
    /// z_t of a rate unit.
    Activity,
    /// v_t before the reset.
    Voltage,
    /// What v_t is compared with: thr, or A_t = thr + β b_t.
    Threshold,
    /// b_t.
    Adaptation,
    /// c_t, the synaptic current.
    Current,
    /// ψ_t, 0 while refractory.
    Psi,
}

impl Variable {
    const WORDS: [(&'static str, Self); 10] = [
        ("spikes", Self::Cell(CellVariable::Spikes)),
        ("activity", Self::Cell(CellVariable::Activity)),
        ("voltage", Self::Cell(CellVariable::Voltage)),
        ("threshold", Self::Cell(CellVariable::Threshold)),
        ("adaptation", Self::Cell(CellVariable::Adaptation)),
        ("current", Self::Cell(CellVariable::Current)),
        ("psi", Self::Cell(CellVariable::Psi)),
        ("learningSignal", Self::LearningSignal),
        ("modulatorySignal", Self::ModulatorySignal),
        ("readout", Self::Readout),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }

    /// Whether it is a signal of a rule.
    pub fn is_signal(self) -> bool {
        matches!(self, Self::LearningSignal | Self::ModulatorySignal)
    }

    /// The variables of a model's neurons; without a model those of a readout.
    pub fn of(model: Option<NeuronModel>) -> Vec<Self> {
        let Some(model) = model else { return vec![Self::Readout] };
        let has = |variable: &Self| match variable {
            Self::Cell(variable) => variable.is_of(model),
            Self::LearningSignal | Self::ModulatorySignal => true,
            Self::Readout => false,
        };
        Self::WORDS.iter().map(|&(_, variable)| variable).filter(has).collect()
    }
}

impl CellVariable {
    fn is_of(self, model: NeuronModel) -> bool {
        match self {
            Self::Activity => model == NeuronModel::Rate,
            Self::Spikes | Self::Threshold => model != NeuronModel::Rate,
            Self::Adaptation => matches!(model, NeuronModel::Alif | NeuronModel::CubaAlif),
            Self::Current => matches!(model, NeuronModel::CubaLif | NeuronModel::CubaAlif),
            Self::Voltage | Self::Psi => true,
        }
    }
}

/// The order of a dense recording's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Trial, step, unit.
    #[default]
    TrialTimeUnit,
    /// Step, trial, unit.
    TimeTrialUnit,
}

/// The recorded variables of a population or readout.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// At least one, each once.
    pub variables: Vec<Variable>,
    /// Indices within it; `None`: all.
    pub units: Option<List<u32>>,
    /// Whether it was written as a list of variables alone; for messages.
    pub is_short: bool,
}

/// All that a simulation records, by population or readout.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choices {
    /// Where it stands, in messages.
    pub path: String,
    /// At least one.
    pub each: Vec<Choice>,
    /// The order of the dimensions.
    pub order: Order,
}

impl Choices {
    /// Reads the parts `record` and `layout` of options.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape, an unknown variable and one that is named twice.
    pub fn read(options: &Given<'_>) -> Result<Self> {
        let words = [("trial-time-unit", Order::TrialTimeUnit), ("time-trial-unit", Order::TimeTrialUnit)];
        let order = options.part("layout").or(Order::default(), |layout| layout.word(&words))?;
        let record = options.part("record");
        let each = record.entries()?.into_iter().map(|(name, own)| Choice::read(name, &own));
        let each = each.collect::<Result<Vec<_>>>()?;
        if each.is_empty() {
            return Err(record.refused("variables of at least one population or readout"));
        }
        Ok(Self { path: record.path().to_owned(), each, order })
    }
}

impl Choice {
    fn read(name: String, given: &Given<'_>) -> Result<Self> {
        if given.is_list() {
            return Ok(Self { name, variables: variables(given)?, units: None, is_short: true });
        }
        if !given.is_object() {
            return Err(given.refused("a list of variables, or { variables, units }"));
        }
        let [list, units] = given.parts(["variables", "units"])?;
        let units = units.given().map(|given| given.indices()).transpose()?;
        Ok(Self { name, variables: variables(&list)?, units, is_short: false })
    }
}

fn variables(given: &Given<'_>) -> Result<Vec<Variable>> {
    let mut all = Vec::new();
    for item in given.items()? {
        let variable = item.word(&Variable::WORDS)?;
        if all.contains(&variable) {
            return Err(invalid(item.path(), format!("'{}'", variable.name()), "each variable once"));
        }
        all.push(variable);
    }
    if all.is_empty() { Err(given.refused("at least one variable")) } else { Ok(all) }
}

impl From<Vec<Choice>> for Choices {
    fn from(each: Vec<Choice>) -> Self {
        Self { path: "record".into(), each, order: Order::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<Choices> {
        Choices::read(&Given::new(value, "options", &[]))
    }

    #[test]
    fn lists_are_short_for_all_units() {
        let value =
            json!({"record": {"a": ["voltage", "spikes"], "b": {"variables": ["psi"], "units": [2, 0]}}});
        let choices = read(&value).unwrap();
        let expected = [
            Choice {
                name: "a".into(),
                variables: vec![Variable::Cell(CellVariable::Voltage), Variable::Cell(CellVariable::Spikes)],
                units: None,
                is_short: true,
            },
            Choice {
                name: "b".into(),
                variables: vec![Variable::Cell(CellVariable::Psi)],
                units: Some(vec![2, 0].into()),
                is_short: false,
            },
        ];
        assert_eq!((choices.each.as_slice(), choices.order), (&expected[..], Order::TrialTimeUnit));
        let turned = json!({"record": {"a": ["voltage"]}, "layout": "time-trial-unit"});
        assert_eq!(read(&turned).unwrap().order, Order::TimeTrialUnit);
    }

    #[test]
    fn other_shapes_are_refused_by_their_path() {
        for (record, path) in [
            (json!({}), "options.record"),
            (json!([]), "options.record"),
            (json!({"a": []}), "options.record.a"),
            (json!({"a": "voltage"}), "options.record.a"),
            (json!({"a": ["volts"]}), "options.record.a[0]"),
            (json!({"a": ["psi", "psi"]}), "options.record.a[1]"),
            (json!({"a": {"units": [1]}}), "options.record.a.variables"),
            (json!({"a": {"variables": ["psi"], "unit": [1]}}), "options.record.a.unit"),
            (json!({"a": {"variables": ["psi"], "units": 1}}), "options.record.a.units"),
        ] {
            match read(&json!({"record": record})) {
                Err(Error::Invalid { path: found, .. }) => assert_eq!(found, path),
                other => panic!("{path}: {other:?}"),
            }
        }
        match read(&json!({"record": {"a": ["psi"]}, "layout": "unit"})) {
            Err(Error::Invalid { path, .. }) => assert_eq!(path, "options.layout"),
            other => panic!("{other:?}"),
        }
    }
}
