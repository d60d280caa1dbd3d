//! The network and trials of Fig. 3C, shortened.

use std::sync::Arc;

use serde_json::json;

use crate::batch::loss::Objective;
use crate::batch::{DrawKey, EncodedBatch, Input, RateSegment, Targets};
use crate::model::Model;
use crate::network::Network;
use crate::numeric::random::CounterRng;
use crate::run::real::Real;

const SEED: u64 = 1;
const CUES: u32 = 7;
/// Steps at a trial's end that count for the answer.
const RECALL: u32 = 150;

/// A model, trials, and their losses.
#[derive(Debug)]
pub struct Workload<F: Real> {
    /// 100 cells, half of them adaptive; 40 inputs; two readout units.
    pub model: Model<F>,
    /// Cues, recall and noise at the rates of the figure; a class per trial.
    pub batch: EncodedBatch,
    /// Cross-entropy at the last step.
    pub objective: Objective,
}

impl<F: Real> Workload<F> {
    /// The figure's own density is 0.1 everywhere; a dense readout is read by another kernel.
    ///
    /// # Panics
    /// When the network does not fit into memory.
    pub fn paper(trials: usize, steps: usize, readout_density: f64) -> Self {
        let network = serde_json::from_value(description(readout_density)).map(Network::new);
        let network = network.expect("a description").expect("a network");
        let objective = json!({"losses": [{"readout": "choice", "kind": "cross-entropy", "window": 1}]});
        let patterns = CounterRng::new(SEED, 100, 0, 0).permutation(1 << CUES);
        let patterns: Vec<u32> = (0..trials).map(|trial| patterns[trial % patterns.len()]).collect();
        let classes = patterns.iter().map(|pattern| u32::from(pattern.count_ones() > CUES / 2));
        Self {
            model: Model::new(Arc::new(network)).expect("memory for the weights"),
            batch: EncodedBatch {
                trials,
                steps,
                lengths: None,
                inputs: vec![Input::Rates(segments(&patterns, steps as u32))],
                targets: vec![Targets::Classes(classes.collect())],
                key: DrawKey { seed: SEED, stream: 0, iteration: 1 },
                part: None,
            },
            objective: serde_json::from_value(objective).expect("an objective"),
        }
    }
}

fn description(readout_density: f64) -> serde_json::Value {
    let strengths: Vec<f64> = (0..100).map(|p| if p < 50 { 0.0 } else { 1.8 }).collect();
    let units = |range: std::ops::Range<u32>| range.collect::<Vec<_>>();
    json!({
        "schema": "mdgl-network/1",
        "seed": SEED,
        "inputs": [{"name": "cues", "size": 40, "sign": {"excitatory": 33, "inhibitory": 7, "shuffled": true}}],
        "populations": [{
            "name": "cells", "size": 100, "model": "alif", "adaptationStrength": strengths,
            "sign": {"excitatory": 81, "inhibitory": 19}
        }],
        "readouts": [{"name": "choice", "size": 2}],
        "types": [
            {"name": "inhibitory", "members": [{"population": "cells", "units": units(0..19)}]},
            {"name": "excitatory", "members": [{"population": "cells", "units": units(19..100)}]}
        ],
        "projections": [
            {"from": "cues", "to": "cells", "density": 0.1},
            {"from": "cells", "to": "cells", "density": 0.1},
            {"from": "cells", "to": "choice", "density": readout_density}
        ]
    })
}

/// Cues of 100 steps every 150 while there is time for them, the recall signal at the end, noise throughout.
fn segments(patterns: &[u32], steps: u32) -> Vec<RateSegment> {
    let mut segments = Vec::new();
    for (trial, pattern) in (0..).zip(patterns) {
        let mut add = |first: u32, steps: (u32, u32), rate: f64| {
            segments.push(RateSegment { trial, units: (first, first + 10), steps, rate });
        };
        for cue in (0..CUES).filter(|cue| 150 * cue + 100 + RECALL <= steps) {
            let left = pattern >> (CUES - 1 - cue) & 1 == 1;
            add(if left { 0 } else { 10 }, (150 * cue, 150 * cue + 100), 40.0);
        }
        add(20, (steps.saturating_sub(RECALL), steps), 40.0);
        add(30, (0, steps), 10.0);
    }
    segments
}
