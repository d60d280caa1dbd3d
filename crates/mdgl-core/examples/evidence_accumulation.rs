//! Example: Fig. 3C from Rust alone. MDGL learns to report the side with more cues.
//!
//! `cargo run --release --example evidence_accumulation -- [rule] [iterations] [threads]`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mdgl_core::{
    Assignment, CounterRng, DrawKey, EncodedBatch, Input, Model, Network, NetworkDescription, Objective,
    Optimiser, RateSegment, Rule, Targets, Training, Workers, train_step,
};

const SEED: u64 = 1;
const TRIALS: usize = 64;
const CUES: u32 = 7;
const STEPS: u32 = 2000;

fn description() -> serde_json::Result<NetworkDescription> {
    let strengths: Vec<f64> = (0..100).map(|p| if p < 50 { 0.0 } else { 1.8 }).collect();
    let units = |range: std::ops::Range<u32>| range.collect::<Vec<_>>();
    serde_json::from_value(serde_json::json!({
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
            {"from": "cells", "to": "choice", "density": 0.1}
        ]
    }))
}

/// 64 of the 128 cue patterns; the class is 1 when more cues came on the left.
fn batch(iteration: u32) -> EncodedBatch {
    let patterns = CounterRng::new(SEED, 100, iteration, 0).permutation(1 << CUES);
    let mut segments = Vec::new();
    let mut classes = Vec::new();
    for (trial, &pattern) in (0u32..).zip(patterns.iter().take(TRIALS)) {
        let mut add = |first: u32, from: u32, to: u32, rate: f64| {
            segments.push(RateSegment { trial, units: (first, first + 10), steps: (from, to), rate });
        };
        for cue in 0..CUES {
            let left = pattern >> (CUES - 1 - cue) & 1 == 1;
            add(if left { 0 } else { 10 }, 150 * cue, 150 * cue + 100, 40.0);
        }
        add(20, STEPS - 150, STEPS, 40.0);
        add(30, 0, STEPS, 10.0);
        classes.push(u32::from(pattern.count_ones() > CUES / 2));
    }
    EncodedBatch {
        trials: TRIALS,
        steps: STEPS as usize,
        lengths: None,
        inputs: vec![Input::Rates(segments)],
        targets: vec![Targets::Classes(classes)],
        key: DrawKey { seed: SEED, stream: 0, iteration },
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rule = Rule::named(&arguments.next().unwrap_or("mdgl".into()))?;
    let iterations: u32 = arguments.next().map_or(Ok(100), |n| n.parse())?;
    let threads: usize = arguments.next().map_or(Ok(2), |n| n.parse())?;
    let objective: Objective = serde_json::from_value(serde_json::json!({
        "losses": [{"readout": "choice", "kind": "cross-entropy", "window": 1}]
    }))?;
    let workers = Workers::<f32>::new(threads)?;
    let cancel = AtomicBool::new(false);
    let mut model = Model::new(Arc::new(Network::new(description()?)?))?;
    let start = Instant::now();
    for iteration in 1..=iterations {
        let batch = batch(iteration);
        let assignment = Assignment { batch: &batch, objective: &objective };
        let (next, report) = train_step(
            &model,
            assignment,
            Training { rule: &rule, optimiser: &Optimiser::fig_3c() },
            None,
            &workers,
            &cancel,
        )?;
        model = next;
        if iteration % 10 == 0 {
            let ms = start.elapsed().as_secs_f64() * 1000.0 / f64::from(iteration);
            let accuracy = report.evaluation.accuracy.unwrap_or(f64::NAN);
            println!(
                "iteration {iteration:5}  loss {:.4}  accuracy {accuracy:.3}  rate {:.1} Hz  |gradient| {:.4}  {ms:.1} ms per iteration",
                report.evaluation.loss, report.evaluation.rate, report.gradient_norm
            );
        }
    }
    Ok(())
}
