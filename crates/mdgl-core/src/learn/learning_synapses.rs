//! Synapses that learn, by sender, with the slots of their gradient sums; kept from one plan to the next.

use std::sync::{Arc, Mutex, Weak};

use crate::error::Result;
use crate::network::{Network, Synapse, SynapseKind};
use crate::numeric::csr::Csr;
use crate::numeric::memory::{bytes_of, ensure_memory, product};
use crate::numeric::scalar::Scalar;
use crate::simulate::delays::Delayed;
use crate::simulate::padded_csr::{Chunk, PaddedCsr};

/// The gradient sums of a network's synapses. They follow from the network, the active cells and the projections that learn:
/// weights, gains, feedback and batches change nothing here.
#[derive(Debug, Default)]
pub(crate) struct LearningSynapses<F: Scalar> {
    /// Unit → (target, slot): the gradient sums, by sender.
    pub input: Csr<u32>,
    /// Those of longer delays.
    pub late_input: Vec<Delayed<u32>>,
    pub recurrent: Vec<Delayed<u32>>,
    pub readout: Csr<u32>,
    /// Inputs and readout again, in padded chunks; padding adds to a slot after the last.
    pub input_chunks: PaddedCsr<u32>,
    pub readout_chunks: PaddedCsr<u32>,
    /// The synapse of each slot.
    pub slots: Vec<GradientSlot<F>>,
}

/// One synapse's gradient sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GradientSlot<F> {
    pub kind: SynapseKind,
    pub projection: u32,
    pub synapse: u32,
    pub post: u32,
    /// g (1 − α) of the target cell, or 1 − κ of the readout unit.
    pub scale: F,
}

impl<F: Scalar> LearningSynapses<F> {
    /// # Errors
    /// [`crate::Error::Memory`].
    fn new(network: &Network, learning: SynapseSelection<'_>) -> Result<Self> {
        ensure_memory(Self::most_bytes(network), "the gradient sums by sender")?;
        let mut own = Self { slots: Vec::with_capacity(network.synapse_count()), ..Self::default() };
        let mut of_kind = |kind| -> Vec<Csr<u32>> {
            let synapses = network.synapses_by_delay(kind).iter();
            synapses.map(|synapses| learning.slots(network, (kind, synapses), &mut own.slots)).collect()
        };
        let (input, recurrent) = (of_kind(SynapseKind::Input), of_kind(SynapseKind::Recurrent));
        own.readout = of_kind(SynapseKind::Readout).remove(0);
        let none = own.slots.len() as u32;
        let delayed = |kind, csrs: Vec<Csr<u32>>| {
            let mut csrs = csrs.into_iter();
            Delayed::all(network, kind, none, |_| csrs.next().unwrap_or_default())
        };
        own.late_input = delayed(SynapseKind::Input, input);
        own.recurrent = delayed(SynapseKind::Recurrent, recurrent);
        Delayed { csr: own.input, chunks: own.input_chunks, .. } = own.late_input.remove(0);
        own.readout_chunks = PaddedCsr::new(&own.readout, network.size(), none);
        Ok(own)
    }

    /// Most bytes of all lists, which is about their size.
    pub fn most_bytes(network: &Network) -> usize {
        let delays = network.delays().len().max(network.delays_of(SynapseKind::Input).len());
        let slot = size_of::<GradientSlot<F>>() + size_of::<(u32, u32)>() * 2;
        product(&[network.synapse_count(), slot])
            .saturating_add(product(&[network.unit_count(), delays * size_of::<Chunk<u32>>()]))
    }

    /// Bytes of memory in use.
    fn bytes(&self) -> usize {
        let delayed = self.late_input.iter().chain(&self.recurrent);
        let delayed: usize = delayed.map(|own| own.csr.bytes() + own.chunks.bytes()).sum();
        let chunks = self.input_chunks.bytes() + self.readout_chunks.bytes();
        bytes_of(&self.slots) + self.input.bytes() + self.readout.bytes() + chunks + delayed
    }
}

/// Which synapses learn.
#[derive(Debug, Clone, Copy)]
pub(super) struct SynapseSelection<'a> {
    /// One per cell.
    pub is_active: &'a [bool],
    /// One per projection.
    pub learns: &'a [bool],
}

impl SynapseSelection<'_> {
    /// Gives every learning one of some synapses of a kind a slot: a sender's sums lie side by side, as the passes visit
    /// them.
    fn slots<F: Scalar>(
        &self,
        network: &Network,
        (kind, synapses): (SynapseKind, &Csr<Synapse>),
        slots: &mut Vec<GradientSlot<F>>,
    ) -> Csr<u32> {
        synapses.filter_map(|_, post, Synapse { projection, index }| {
            if !self.learns[projection as usize] {
                return None;
            }
            let scale = match kind {
                SynapseKind::Readout => 1.0 - network.outputs[post].kappa,
                _ if !self.is_active[post] => return None,
                _ => network.neurons[post].input_scale,
            };
            let (post, scale) = (post as u32, F::from_f64(scale));
            slots.push(GradientSlot { kind, projection, synapse: index, post, scale });
            Some(slots.len() as u32 - 1)
        })
    }
}

/// The learning synapses of the last plan, for the next.
///
/// A network never changes: lesions and rewiring across all pairs make another, and synapses that die or come back within a
/// network's pairs keep their slots. So the same network, active cells and learning projections mean the same lists.
#[derive(Debug, Default)]
pub(crate) struct SynapseCache<F: Scalar>(Mutex<Option<Cached<F>>>);

#[derive(Debug)]
struct Cached<F: Scalar> {
    /// Does not keep the network, only its address from being used again.
    network: Weak<Network>,
    is_active: Vec<bool>,
    learns: Vec<bool>,
    synapses: Arc<LearningSynapses<F>>,
}

impl<F: Scalar> SynapseCache<F> {
    /// The lists of a network, made anew unless they are those of the last call.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(super) fn get(
        &self,
        network: &Arc<Network>,
        learning: SynapseSelection<'_>,
    ) -> Result<Arc<LearningSynapses<F>>> {
        let mut cached = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let same = |own: &&Cached<F>| {
            is_of(&own.network, network)
                && own.is_active == learning.is_active
                && own.learns == learning.learns
        };
        if let Some(own) = cached.as_ref().filter(same) {
            return Ok(Arc::clone(&own.synapses));
        }
        *cached = None;
        let synapses = Arc::new(LearningSynapses::new(network, learning)?);
        *cached = Some(Cached {
            network: Arc::downgrade(network),
            is_active: learning.is_active.to_vec(),
            learns: learning.learns.to_vec(),
            synapses: Arc::clone(&synapses),
        });
        Ok(synapses)
    }

    /// Frees the lists of any other network.
    pub fn forget_others(&self, network: &Arc<Network>) {
        let mut cached = self.0.lock().unwrap_or_else(|e| e.into_inner());
        cached.take_if(|own| !is_of(&own.network, network));
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let cached = self.0.lock().unwrap_or_else(|e| e.into_inner());
        cached.as_ref().map_or(0, |own| own.synapses.bytes())
    }
}

fn is_of(own: &Weak<Network>, network: &Arc<Network>) -> bool {
    std::ptr::eq(own.as_ptr(), Arc::as_ptr(network))
}
