//! The weights of a model, shared by its readers and the session that trains it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mdgl_core::{Model, Real};

use crate::error::{Failure, Result};
use crate::float::Float;
use crate::results::ProjectionValues;

/// The current weights: readers take the snapshot, a step replaces it at its end. Hence reading never waits for a
/// step, and a failed step changes nothing.
pub struct Shared<F: Real> {
    snapshot: Mutex<Arc<Model<F>>>,
    training: AtomicBool,
}

impl<F: Real> Shared<F> {
    pub fn new(model: Model<F>) -> Arc<Self> {
        Arc::new(Self { snapshot: Mutex::new(Arc::new(model)), training: AtomicBool::new(false) })
    }

    /// The model after the last completed step.
    pub fn snapshot(&self) -> Arc<Model<F>> {
        Arc::clone(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the snapshot.
    pub fn publish(&self, model: Model<F>) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }

    /// An independent copy.
    pub fn try_clone(&self) -> Result<Arc<Self>> {
        Ok(Self::new(self.snapshot().try_clone()?))
    }

    /// Changes the weights, unless the model is being trained.
    pub fn edit(&self, change: impl FnOnce(&mut Model<F>) -> mdgl_core::Result<()>) -> Result<()> {
        let mut next = self.idle()?.snapshot().try_clone()?;
        change(&mut next)?;
        self.publish(next);
        Ok(())
    }

    /// Takes the weights and the optimiser's state of a copy of this model, unless the model is being trained.
    pub fn restore(&self, copy: &Self) -> Result<()> {
        self.idle()?.publish(copy.snapshot().try_clone()?);
        Ok(())
    }

    fn idle(&self) -> Result<&Self> {
        if self.training.load(Ordering::Acquire) { Err(Failure::busy()) } else { Ok(self) }
    }
}

/// One number per synapse of a projection, for JavaScript.
pub fn projection_values<F: Float>(
    model: &Model<F>,
    name: &str,
    values: Vec<F>,
) -> mdgl_core::Result<ProjectionValues> {
    let synapses = model.projection(name)?;
    let (rows, columns) = synapses.sizes();
    Ok(ProjectionValues {
        name: name.to_owned(),
        pre: synapses.pre().to_vec().into(),
        post: synapses.post().to_vec().into(),
        delays: synapses.delay_steps().into(),
        rows: rows as f64,
        columns: columns as f64,
        values: F::array(values),
    })
}

/// The right to train a model, one at a time.
pub struct TrainingLock<F: Real> {
    shared: Arc<Shared<F>>,
}

impl<F: Real> TrainingLock<F> {
    /// Takes it, unless another session has it.
    pub fn take(shared: &Arc<Shared<F>>) -> Result<Self> {
        if shared.training.swap(true, Ordering::AcqRel) {
            return Err(Failure::busy());
        }
        Ok(Self { shared: Arc::clone(shared) })
    }
}

impl<F: Real> Drop for TrainingLock<F> {
    fn drop(&mut self) {
        self.shared.training.store(false, Ordering::Release);
    }
}
