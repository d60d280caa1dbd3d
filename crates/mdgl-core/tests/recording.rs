//! Recordings of chosen units: those of the whole recording and of the equations, for every neuron model, and refusals.

use std::sync::atomic::AtomicBool;

use crate::common::{Case, best, oracle::Spec, shapes};
use mdgl_core::description::recording::{CellVariable, Choice, Choices, Order, Variable};
use mdgl_core::{
    Error, Layout, Real, Record, RecordedPart, Recording, Result, Rule, Values, Workers, simulate,
    simulate_chosen,
};
use proptest::prelude::*;

fn choice(name: &str, variables: &[Variable], units: Option<Vec<u32>>) -> Choice {
    Choice { name: name.into(), variables: variables.into(), units: units.map(Into::into), is_short: false }
}

fn chosen<F: Real>(
    case: &Case<F>,
    threads: usize,
    choices: Vec<Choice>,
    order: Order,
) -> Result<Vec<RecordedPart<F>>> {
    let workers = Workers::with_instructions(threads, best()).unwrap();
    let choices = Choices { order, ..Choices::from(choices) };
    let rule = Rule::mdgl();
    let signals = Some((&case.objective, &rule));
    simulate_chosen(&case.model, &case.batch, &choices, signals, &workers, &AtomicBool::new(false))
}

fn whole<F: Real>(case: &Case<F>, layout: Layout) -> Recording<F> {
    let rule = Rule::mdgl();
    let signals = (layout == Layout::Trials).then_some((&case.objective, &rule));
    let workers = Workers::with_instructions(1, best()).unwrap().with_layout(layout);
    let record = Record { voltage: true, signals, ..Record::default() };
    simulate(&case.model, &case.batch, record, &workers, &AtomicBool::new(false)).unwrap()
}

fn floats<F: Real>(part: &RecordedPart<F>, variable: Variable) -> &[F] {
    match part.variables.iter().find(|(own, _)| *own == variable) {
        Some((_, Values::Floats(values))) => values,
        other => panic!("{variable:?}: {other:?}"),
    }
}

fn bits<F: Real>(part: &RecordedPart<F>) -> &[u8] {
    match part.variables.iter().find(|(own, _)| *own == Variable::Cell(CellVariable::Spikes)) {
        Some((_, Values::Bits(values))) => values,
        other => panic!("{other:?}"),
    }
}

/// The populations of a case, and a choice of every second unit, backwards, of each with all that its model has.
fn everything<F: Real>(case: &Case<F>) -> Vec<(Choice, usize)> {
    let mut first = 0;
    let populations = &case.model.network().description().populations;
    let of = populations.iter().map(|population| {
        let from = first;
        first += population.size;
        let units: Vec<u32> = (0..population.size as u32).rev().step_by(2).collect();
        let cells = case.model.network().cell_constants();
        let adapts = units.iter().all(|&unit| cells.beta[from + unit as usize] != 0.0);
        let mut variables = Variable::of(Some(population.model));
        variables.retain(|variable| *variable != Variable::Cell(CellVariable::Adaptation) || adapts);
        (choice(&population.name, &variables, Some(units)), from)
    });
    of.collect()
}

/// Chosen slices of the whole recording, bit for bit.
fn check_slices<F: Real>(case: &Case<F>, threads: usize) -> Result<(), TestCaseError> {
    let recording = whole(case, Layout::Trials);
    let (trials, steps) = (case.batch.trials, case.batch.steps);
    let neurons = recording.voltage.len() / (trials * steps);
    let own = everything(case);
    for order in [Order::TrialTimeUnit, Order::TimeTrialUnit] {
        let mut choices: Vec<Choice> = own.iter().map(|(choice, _)| choice.clone()).collect();
        choices.push(choice("out", &[Variable::Readout], Some(vec![0])));
        let parts = chosen(case, threads, choices, order).unwrap();
        let at = |trial: usize, step: usize, units: usize| match order {
            Order::TrialTimeUnit => (trial * steps + step) * units,
            Order::TimeTrialUnit => (step * trials + trial) * units,
        };
        let outputs = recording.readout.len() / (trials * steps);
        for (trial, step) in (0..trials).flat_map(|trial| (0..steps).map(move |step| (trial, step))) {
            let row = trial * steps + step;
            for ((_, first), part) in own.iter().zip(&parts) {
                for (k, &unit) in part.units.iter().enumerate() {
                    let (cell, at) = (first + unit as usize, at(trial, step, part.units.len()) + k);
                    prop_assert!(
                        floats(part, Variable::Cell(CellVariable::Voltage))[at]
                            == recording.voltage[row * neurons + cell]
                    );
                    for (variable, all) in [
                        (Variable::LearningSignal, &recording.learning_signal),
                        (Variable::ModulatorySignal, &recording.modulatory_signal),
                    ] {
                        prop_assert!(floats(part, variable)[at] == all[row * neurons + cell]);
                    }
                    if part
                        .variables
                        .iter()
                        .any(|(variable, _)| *variable == Variable::Cell(CellVariable::Spikes))
                    {
                        let event = (trial as u32, step as u32, cell as u32);
                        let key = |event: &mdgl_core::Event| (event.trial, event.step, event.unit);
                        let spiked = recording.spikes.binary_search_by_key(&event, key).is_ok();
                        prop_assert_eq!(bits(part)[at] == 1, spiked);
                    }
                }
            }
            let readout = parts.last().unwrap();
            let found = floats(readout, Variable::Readout)[at(trial, step, 1)];
            prop_assert!(found == recording.readout[row * outputs]);
        }
        for part in &parts {
            for (_, values) in &part.variables {
                let count = match values {
                    Values::Bits(values) => values.len(),
                    Values::Floats(values) => values.len(),
                };
                prop_assert_eq!(count, trials * steps * part.units.len());
            }
        }
    }
    // Neurons in the lanes simulate the same bits, where they can.
    prop_assert!(whole(case, Layout::Neurons).voltage == recording.voltage);
    Ok(())
}

/// b, A, c and ψ by the equations, from spikes and membranes.
fn check_equations(spec: &Spec, case: &Case<f64>) -> Result<(), TestCaseError> {
    let own = everything(case);
    let choices = own.iter().map(|(choice, _)| choice.clone()).collect();
    let parts = chosen(case, 1, choices, Order::TrialTimeUnit).unwrap();
    for ((_, first), part) in own.iter().zip(&parts) {
        let variables: Vec<Variable> = part.variables.iter().map(|(variable, _)| *variable).collect();
        for (trial, (k, &unit)) in (0..case.batch.trials)
            .flat_map(|trial| part.units.iter().enumerate().map(move |own| (trial, own)))
        {
            let p = first + unit as usize;
            let (mut b, mut v, mut z, mut free) = (0.0, 0.0, 0.0, 0);
            for step in 0..spec.steps {
                let at = (trial * spec.steps + step) * part.units.len() + k;
                let voltage = floats(part, Variable::Cell(CellVariable::Voltage))[at];
                let psi = floats(part, Variable::Cell(CellVariable::Psi))[at];
                if spec.rate[p] {
                    prop_assert!(
                        floats(part, Variable::Cell(CellVariable::Activity))[at] == voltage.max(0.0)
                    );
                    prop_assert!(psi == f64::from(u8::from(voltage > 0.0)));
                    continue;
                }
                b = spec.rho[p] * b + (1.0 - spec.rho[p]) * z;
                let c = (voltage - spec.alpha[p] * v + spec.thr[p] * z) / (1.0 - spec.alpha[p]);
                let threshold = spec.thr[p] + spec.beta[p] * b;
                let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
                prop_assert!(
                    near(floats(part, Variable::Cell(CellVariable::Threshold))[at], threshold),
                    "A of {p} at {step}"
                );
                if variables.contains(&Variable::Cell(CellVariable::Adaptation)) {
                    prop_assert!(
                        near(floats(part, Variable::Cell(CellVariable::Adaptation))[at], b),
                        "b of {p} at {step}"
                    );
                }
                if variables.contains(&Variable::Cell(CellVariable::Current)) {
                    prop_assert!(
                        near(floats(part, Variable::Cell(CellVariable::Current))[at], c),
                        "c of {p} at {step}"
                    );
                }
                let height = (1.0 - ((voltage - threshold) / spec.thr[p]).abs()).max(0.0);
                let slope = if step < free { 0.0 } else { spec.gamma[p] / spec.thr[p] * height };
                prop_assert!((psi - slope).abs() < 1e-6 * (1.0 + slope), "ψ of {p} at {step}: {psi} {slope}");
                (v, z) = (voltage, f64::from(bits(part)[at]));
                if z > 0.0 {
                    free = step + 1 + spec.n_ref[p];
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::common::config(24, 2030))]

    #[test]
    fn chosen_units_have_the_bits_of_the_whole_recording(
        shape in shapes(9, 40), first in 0..9usize, delay in 1..3usize, threads in 1..4usize
    ) {
        let first = first.min(shape.n_rec - 1);
        for spec in [shape.spec(), shape.rate_spec(first, delay), shape.current_spec(first, delay)] {
            check_slices(&Case::<f64>::new(&spec), threads)?;
            check_slices(&Case::<f32>::new(&spec), threads)?;
        }
    }

    #[test]
    fn chosen_variables_follow_the_equations(shape in shapes(9, 50), first in 0..9usize) {
        let first = first.min(shape.n_rec - 1);
        for spec in [shape.spec(), shape.rate_spec(first, 2), shape.current_spec(first, 2)] {
            check_equations(&spec, &Case::<f64>::new(&spec))?;
        }
    }
}

#[test]
fn shorter_trials_end_with_zeros_and_memory_follows_the_choice() {
    let shape = crate::common::Shape {
        seed: 3,
        n_in: 2,
        n_rec: 8,
        n_out: 1,
        steps: 40,
        trials: 18,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let mut case = Case::<f64>::new(&shape.spec());
    case.batch.lengths = Some((0..18).map(|trial| 40 - trial).collect());
    if let mdgl_core::Input::Events(events) = &mut case.batch.inputs[0] {
        events.retain(|event| event.step < 40 - event.trial);
    }
    let name = case.model.network().description().populations[0].name.clone();
    let workers = Workers::with_instructions(2, best()).unwrap();
    let cancel = AtomicBool::new(false);
    let choices = Choices::from(vec![choice(&name, &[Variable::Cell(CellVariable::Voltage)], Some(vec![1]))]);
    let parts = simulate_chosen(&case.model, &case.batch, &choices, None, &workers, &cancel).unwrap();
    let voltage = floats(&parts[0], Variable::Cell(CellVariable::Voltage));
    assert_eq!(voltage.len(), 18 * 40);
    for (trial, row) in voltage.chunks(40).enumerate() {
        assert!(row[40 - trial..].iter().all(|&v| v == 0.0) && row[..40 - trial].iter().any(|&v| v != 0.0));
    }
    let few = workers.bytes();
    let record = Record { voltage: true, ..Record::default() };
    let all = Workers::with_instructions(2, best()).unwrap().with_layout(Layout::Trials);
    simulate(&case.model, &case.batch, record, &all, &cancel).unwrap();
    // Per block of trials seven membranes less, of sixteen trials each.
    assert!(few + 2 * 7 * 40 * 16 * 8 <= all.bytes(), "{few} {}", all.bytes());
}

#[test]
fn what_the_network_does_not_have_is_refused() {
    let shape = crate::common::Shape {
        seed: 1,
        n_in: 2,
        n_rec: 4,
        n_out: 1,
        steps: 12,
        trials: 1,
        types: 1,
        loss: 2,
        regularised: false,
    };
    let case = Case::<f64>::new(&shape.rate_spec(0, 1));
    let name = case.model.network().description().populations[0].name.clone();
    for (own, path, allowed) in [
        (choice("typo", &[Variable::Cell(CellVariable::Voltage)], None), "record".into(), "'out'"),
        (
            choice(
                &name,
                &[Variable::Cell(CellVariable::Voltage), Variable::Cell(CellVariable::Spikes)],
                None,
            ),
            format!("record.{name}.variables[1]"),
            "'rate'",
        ),
        (choice(&name, &[Variable::Readout], None), format!("record.{name}.variables[0]"), "'activity'"),
        (
            choice("out", &[Variable::Cell(CellVariable::Voltage)], None),
            "record.out.variables[0]".into(),
            "a readout: 'readout'",
        ),
        (
            choice(&name, &[Variable::Cell(CellVariable::Voltage)], Some(vec![0, 99])),
            format!("record.{name}.units[1]"),
            "0 to",
        ),
        (
            choice(&name, &[Variable::Cell(CellVariable::Voltage)], Some(vec![])),
            format!("record.{name}.units"),
            "at least one",
        ),
    ] {
        match chosen(&case, 1, vec![own], Order::TrialTimeUnit) {
            Err(Error::Invalid { path: found, allowed: text, .. }) => {
                assert_eq!(found, path);
                assert!(text.contains(allowed), "{text}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    let workers = Workers::with_instructions(1, best()).unwrap();
    let choices = Choices::from(vec![choice(&name, &[Variable::LearningSignal], None)]);
    let found = simulate_chosen(&case.model, &case.batch, &choices, None, &workers, &AtomicBool::new(false));
    assert!(matches!(found, Err(Error::Invalid { .. })));
}
