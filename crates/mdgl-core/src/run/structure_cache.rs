//! Lists that follow from a network's synapses and from what learns, not from weights: kept from one batch to the next.

use std::sync::{Arc, Mutex, Weak};

use crate::learn::learning_synapses::{LearningSynapses, SynapseCache};
use crate::learn::plan::LearningPlan;
use crate::network::Network;
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::TrialSums;

/// The lists of the last batch.
#[derive(Debug, Default)]
pub(super) struct StructureCache<F: Scalar> {
    pub(super) synapses: SynapseCache<F>,
    sums: Mutex<Option<CachedSums<F>>>,
}

/// Sums of single trials, behind the learning synapses that they are of.
type CachedSums<F> = (Weak<LearningSynapses<F>>, Arc<TrialSums>);

impl<F: Scalar> StructureCache<F> {
    /// Frees the lists of any other network.
    pub(super) fn forget_others(&self, network: &Arc<Network>) {
        self.synapses.forget_others(network);
        let mut cached = self.sums.lock().unwrap_or_else(|e| e.into_inner());
        cached.take_if(|(synapses, _)| synapses.strong_count() == 0);
    }

    /// Where a plan's gradient sums are in one trial.
    pub(super) fn trial_sums(
        &self,
        plan: &LearningPlan<F>,
        network: &CompiledNetwork<F>,
        inputs: usize,
    ) -> Arc<TrialSums> {
        let mut cached = self.sums.lock().unwrap_or_else(|e| e.into_inner());
        let same = |own: &&CachedSums<F>| std::ptr::eq(own.0.as_ptr(), Arc::as_ptr(&plan.synapses));
        if let Some((_, sums)) = cached.as_ref().filter(same) {
            return Arc::clone(sums);
        }
        let sums = Arc::new(TrialSums::new(&plan.synapses, (network.size(), inputs, network.outputs())));
        *cached = Some((Arc::downgrade(&plan.synapses), Arc::clone(&sums)));
        sums
    }

    /// Bytes of memory in use.
    pub(super) fn bytes(&self) -> usize {
        let sums = self.sums.lock().unwrap_or_else(|e| e.into_inner());
        self.synapses.bytes() + sums.as_ref().map_or(0, |(_, sums)| sums.bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::description::rule::Rule;
    use crate::model::Model;

    fn model() -> Model<f32> {
        let description = json!({
            "schema": "mdgl-network/1",
            "inputs": [],
            "populations": [{"name": "a", "size": 20, "model": "lif"}],
            "readouts": [{"name": "out", "size": 2}],
            "projections": [{"from": "a", "to": "a", "density": 0.5}, {"from": "a", "to": "out", "density": 0.5}]
        });
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        Model::new(Arc::new(network)).unwrap()
    }

    struct Lists {
        synapses: Arc<LearningSynapses<f32>>,
        sums: Arc<TrialSums>,
    }

    fn lists(cache: &StructureCache<f32>, model: &Model<f32>, rule: &Rule, learns: &[bool; 2]) -> Lists {
        let network = CompiledNetwork::new(model).unwrap();
        let plan = LearningPlan::cached(model, &network, rule, (false, learns), &cache.synapses).unwrap();
        let sums = cache.trial_sums(&plan, &network, 0);
        Lists { synapses: plan.synapses, sums }
    }

    #[test]
    fn lists_are_made_anew_where_the_network_or_what_learns_has_changed() {
        let cache = StructureCache::default();
        let mut model = model();
        let all = [true; 2];
        let first = lists(&cache, &model, &Rule::bptt(), &all);
        let weights = vec![0.25; model.projection("a->a").unwrap().len()];
        model.set_weights("a->a", &weights).unwrap();
        let again = lists(&cache, &model.clone(), &Rule::bptt(), &all);
        assert!(Arc::ptr_eq(&first.synapses, &again.synapses) && Arc::ptr_eq(&first.sums, &again.sums));
        // Half of the cells do not project to the readout: e-prop has no learning signal there.
        for (rule, learns) in [(Rule::eprop(), all), (Rule::eprop(), [false, true]), (Rule::bptt(), all)] {
            let other = lists(&cache, &model, &rule, &learns);
            assert!(!Arc::ptr_eq(&first.synapses, &other.synapses) && !Arc::ptr_eq(&first.sums, &other.sums));
        }
        let before = lists(&cache, &model, &Rule::bptt(), &all);
        model.lesion(serde_json::from_value(json!({"projection": "a->a"})).unwrap()).unwrap();
        let lesioned = lists(&cache, &model, &Rule::bptt(), &all);
        assert!(!Arc::ptr_eq(&before.synapses, &lesioned.synapses));
        assert!(!Arc::ptr_eq(&before.sums, &lesioned.sums));
    }

    #[test]
    fn lists_of_another_network_are_freed() {
        let cache = StructureCache::default();
        let (one, other) = (model(), model());
        drop(lists(&cache, &one, &Rule::bptt(), &[true; 2]));
        cache.forget_others(one.network());
        assert!(cache.bytes() > 0);
        cache.forget_others(other.network());
        assert_eq!(cache.bytes(), 0);
    }
}
