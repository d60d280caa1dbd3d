//! Diffusion over a sheet of cells: channels of reach 'diffusive', and learning signals.

use std::sync::atomic::AtomicBool;

use crate::common::oracle::{self, Sheet, Spec, Table};
use crate::common::{Case, Shape, best, shapes};
use mdgl_core::description::rule::{Channels, Hops, LearningSignal, ReadoutFilter, UniformChannel};
use mdgl_core::description::{Exponentials, Gain, Membrane, Reach, TimeCourse, WeightGain};
use mdgl_core::{
    Assignment, CustomLoss, Error, Forward, Instructions, Network, Objective, Rule, Score, Targets, Workers,
    gradients,
};
use proptest::prelude::*;
use serde_json::json;

fn diffusive(gain: Gain, kernel: TimeCourse) -> Rule {
    let channel = UniformChannel { gain, reach: Reach::Diffusive, kernel, above: 0.0 };
    Rule { channels: Channels::Uniform(channel), ..Rule::mdgl() }
}

fn case(spec: &Spec, sheet: &serde_json::Value) -> Case<f64> {
    Case::described(spec, |description| description["sheet"] = sheet.clone())
}

/// As the engine draws it.
fn sheet(network: &Network, spread: f64, steps: usize) -> Sheet {
    let (width, height) = network.sheet();
    let sites = |t| network.sites_at(t).iter().map(|&site| site as usize).collect();
    Sheet { width, height, spread, sites: (0..steps).map(sites).collect() }
}

/// L ψ itself, or through exponentials.
fn response(spec: &Spec, decay: Option<f64>) -> Table {
    let h = |k: usize| match decay {
        None => f64::from(u8::from(k == 0)),
        Some(decay) => (-(k as f64) / decay).exp(),
    };
    vec![(0..spec.steps).map(h).collect(); spec.n_rec]
}

fn sheets() -> impl Strategy<Value = (serde_json::Value, f64)> {
    let sides = prop::sample::select(vec![
        json!({}),
        json!({"width": 3}),
        json!({"positions": "sorted"}),
        json!({"positions": "shuffled"}),
        json!({"width": 2, "height": 2, "positions": "sorted"}),
    ]);
    (sides, 0.0..0.99f64).prop_map(|(mut sheet, spread)| {
        sheet["spread"] = json!(spread);
        (sheet, spread)
    })
}

proptest! {
    #![proptest_config(crate::common::config(64, 8949))]

    #[test]
    fn a_channel_is_its_field_written_out(
        shape in shapes(9, 40), (sides, spread) in sheets(), decay in prop::option::of(1.0..20.0f64)
    ) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = case(&spec, &sides);
        let kernel = match decay {
            None => TimeCourse::None,
            Some(tau_decay) => TimeCourse::Exponentials(Exponentials { tau_rise: 0.0, tau_decay }),
        };
        let (h, sheet) = (response(&spec, decay), sheet(case.model.network(), spread, spec.steps));
        for (gain, fixed) in [(Gain::Fixed(0.3), Some(0.3)), (Gain::Weights(WeightGain::MeanWeight), None)] {
            let expected = oracle::diffusive_gradient(&spec, &run, &sheet, &h, fixed);
            let error = case.distance_to(&case.gradients(&diffusive(gain, kernel)), &expected);
            prop_assert!(error < 1e-9, "{error:e}");
        }
    }

    #[test]
    fn diffusing_errors_are_their_field_written_out(shape in shapes(9, 150), (sides, spread) in sheets()) {
        let spec = shape.spec();
        let run = oracle::forward(&spec);
        prop_assume!(run.margin > 1e-9);
        let case = case(&spec, &sides);
        let expected = oracle::diffusive_eprop(&spec, &run, &sheet(case.model.network(), spread, spec.steps));
        for rule in [Rule::eprop_diffusive(), Rule::eprop_diffusive().online()] {
            let error = case.distance_to(&case.gradients(&rule), &expected);
            prop_assert!(error < 1e-9, "{:?}: {error:e}", rule.estimator);
        }
    }

    /// Where nothing spreads and every cell has a site of its own, a cell receives its own error alone.
    #[test]
    fn without_spread_it_is_eprop(shape in shapes(12, 60)) {
        let spec = shape.spec();
        let still = case(&spec, &json!({"spread": 0}));
        let error = still.distance(
            &still.gradients(&Rule::eprop_diffusive()),
            &still.gradients(&Rule::eprop()),
        );
        prop_assert!(error < 1e-11, "{error:e}");
    }

    #[test]
    fn threads_instruction_sets_and_segments_give_the_same_bits(shape in shapes(12, 150), segment in 1..30usize) {
        let case = Case::<f32>::new(&Shape { trials: 16 + shape.trials, ..shape }.spec());
        let membrane = TimeCourse::Membrane(Membrane::default());
        let rules = [
            Rule::eprop_diffusive(),
            Rule::eprop_diffusive().online(),
            diffusive(Gain::Fixed(0.1), TimeCourse::None),
            diffusive(Gain::Weights(WeightGain::MeanWeight), membrane),
        ];
        for rule in rules {
            let twin = case.gradients_with(&rule, 1, Instructions::FusedTwin);
            let cancel = AtomicBool::new(false);
            let workers = Workers::with_instructions(3, best()).unwrap().with_segment(segment).unwrap();
            let (_, found) = gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap();
            prop_assert!(best().class() != "fused" || found == twin, "{rule:?}");
        }
    }

    /// Errors that diffuse stay in their trial: no errors beyond its end and none of other trials contribute.
    #[test]
    fn trials_of_different_lengths_are_independent(shape in shapes(8, 60)) {
        let shape = Shape { regularised: false, trials: 3, loss: 2, ..shape };
        let mut case = Case::<f64>::new(&shape.spec());
        let lengths: Vec<u32> = (0..3).map(|b| (shape.steps - 4 * b) as u32).collect();
        crate::laws::cut_events(&mut case.batch, &lengths);
        case.batch.lengths = Some(lengths.clone());
        for rule in [
            Rule::eprop_diffusive(),
            Rule::eprop_diffusive().online(),
            diffusive(Gain::Fixed(0.1), TimeCourse::None),
        ] {
            let whole = case.gradients(&rule);
            let singles: Vec<_> =
                (0..3).map(|b| crate::laws::single(&case, b, lengths[b]).gradients(&rule)).collect();
            for projection in 0..3 {
                for (synapse, &found) in whole.projection(projection).iter().enumerate() {
                    let sum: f64 = singles.iter().map(|g| g.projection(projection)[synapse]).sum();
                    prop_assert!((found - sum / 3.0).abs() < 1e-10 * whole.norm().max(1e-12), "{rule:?}");
                }
            }
        }
    }
}

fn shape() -> Shape {
    Shape {
        seed: 3,
        n_in: 3,
        n_rec: 9,
        n_out: 2,
        steps: 40,
        trials: 2,
        types: 2,
        loss: 2,
        regularised: false,
    }
}

#[test]
fn a_custom_loss_must_be_made_for_the_rule() {
    let case = Case::<f64>::new(&shape().spec());
    let workers = Workers::with_instructions(1, best()).unwrap().with_layout(mdgl_core::Layout::Neurons);
    let cancel = AtomicBool::new(false);
    let Targets::Values(targets) = &case.batch.targets[0] else { unreachable!() };
    let losses = json!({"losses": [{"readout": "out", "kind": "custom"}]});
    let objective: Objective = serde_json::from_value(losses).unwrap();
    let assignment = Assignment { objective: &objective, ..case.assignment() };
    for rule in [Rule::eprop_diffusive(), diffusive(Gain::Fixed(0.1), TimeCourse::None)] {
        let learned = |forward: Forward<f64>| {
            let readout = forward.readout().unwrap();
            let scale = 1.0 / case.batch.trials as f64;
            let delta = readout.iter().zip(targets).map(|(y, target)| scale * (y - target)).collect();
            let custom = CustomLoss { forward, score: Score::new(delta, 1.0) };
            gradients(&case.model, assignment, &rule, Some(custom), &workers, &cancel)
        };
        let forward = Forward::for_rule(&case.model, &case.batch, &rule, &workers, &cancel).unwrap();
        let found = learned(forward).unwrap().1;
        assert!(case.distance(&found, &case.gradients(&rule)) < 1e-12);
        let refused = learned(Forward::new(&case.model, &case.batch, &workers, &cancel).unwrap());
        assert!(matches!(refused, Err(Error::Invalid { path, .. }) if path == "forward"));
    }
}

#[test]
fn what_has_no_equation_is_refused() {
    let case = Case::<f64>::new(&shape().spec());
    let workers = Workers::with_instructions(1, best()).unwrap();
    let refused = |rule: Rule| {
        let cancel = AtomicBool::new(false);
        gradients(&case.model, case.assignment(), &rule, None, &workers, &cancel).unwrap_err().to_string()
    };
    let fixed = Gain::Fixed(0.1);
    let weight = diffusive(Gain::Weights(WeightGain::Weight), TimeCourse::None);
    assert!(refused(weight).starts_with("rule.channels.gain is 'weight'"));
    for rule in [
        diffusive(fixed, TimeCourse::None).online(),
        diffusive(fixed, TimeCourse::Exact),
        Rule { readout_filter: ReadoutFilter::Separate, ..diffusive(fixed, TimeCourse::None) },
    ] {
        let found = refused(rule);
        assert!(found.starts_with("rule.channels.reach is 'diffusive'"), "{found}");
    }
    for (hops, value) in [(Hops::Count(1), "1"), (Rule::bptt().hops, "'all'")] {
        let found = refused(Rule { learning_signal: LearningSignal::Diffusive, hops, ..Rule::bptt() });
        assert!(found.starts_with(&format!("rule.hops is {value}")), "{found}");
    }
}
