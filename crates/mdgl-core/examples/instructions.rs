//! Example: training iterations of an exported workload, all from the same weights, so that a profiler can count what one costs.
//!
//! `mdgl bench --export W --out W.json`, then `cargo run --release --example instructions -- W.json eprop 3`.
//! `npm run instructions` runs it under callgrind.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{
    Assignment, DrawKey, EncodedBatch, Event, Input, Model, Network, NetworkDescription, Objective,
    Optimiser, Rule, Targets, Training, Workers, train_step,
};
use serde::Deserialize;

/// What `mdgl bench --export` writes.
#[derive(Deserialize)]
struct Exported {
    seed: u64,
    network: NetworkDescription,
    loss: ExportedLoss,
    optimiser: Optimiser,
    batch: ExportedBatch,
}

#[derive(Deserialize)]
struct ExportedLoss {
    kind: String,
}

#[derive(Deserialize)]
struct ExportedBatch {
    length: usize,
    trials: usize,
    inputs: std::collections::BTreeMap<String, ExportedEvents>,
    targets: Vec<f64>,
}

/// Triples (trial, step, unit).
#[derive(Deserialize)]
struct ExportedEvents {
    events: Vec<[u32; 3]>,
}

impl Exported {
    fn objective(&self) -> Result<Objective, Box<dyn Error>> {
        let readout = self.network.readouts.first().ok_or("no readout")?;
        let mut loss = serde_json::json!({"readout": readout.name, "kind": self.loss.kind});
        if self.loss.kind == "cross-entropy" {
            loss["window"] = 1.into();
        }
        Ok(serde_json::from_value(serde_json::json!({"losses": [loss]}))?)
    }

    fn targets(&self) -> Targets {
        match self.loss.kind.as_str() {
            "cross-entropy" => {
                Targets::Classes(self.batch.targets.iter().map(|&class| class as u32).collect())
            }
            _ => Targets::Values(self.batch.targets.clone()),
        }
    }

    fn batch(&self) -> EncodedBatch {
        let events = |name: &String| match self.batch.inputs.get(name) {
            Some(own) => Input::Events(
                own.events.iter().map(|&[trial, step, unit]| Event { trial, step, unit, count: 1 }).collect(),
            ),
            None => Input::Silent,
        };
        EncodedBatch {
            trials: self.batch.trials,
            steps: self.batch.length,
            lengths: None,
            inputs: self.network.inputs.iter().map(|population| events(&population.name)).collect(),
            key: DrawKey { seed: self.seed, stream: 0, iteration: 1 },
            part: None,
            targets: vec![self.targets()],
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("the path of an exported workload is missing")?;
    let rule = Rule::named(&arguments.next().unwrap_or("eprop".into()))?;
    let iterations: u32 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let exported: Exported = serde_json::from_reader(BufReader::new(File::open(path)?))?;
    let (batch, objective) = (exported.batch(), exported.objective()?);
    let model = Model::<f32>::new(Arc::new(Network::new(exported.network)?))?;
    let workers = Workers::new(1)?;
    let cancel = AtomicBool::new(false);
    for _ in 0..iterations {
        let assignment = Assignment { batch: &batch, objective: &objective };
        let training = Training { rule: &rule, optimiser: &exported.optimiser };
        let (_, report) = train_step(&model, assignment, training, None, &workers, &cancel)?;
        println!("loss {:.6}  |gradient| {:.6}", report.evaluation.loss, report.gradient_norm);
    }
    Ok(())
}
