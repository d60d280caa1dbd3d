//! Weights as a safetensors file: the tensors of each projection and bias, and the description.
//!
//! A file depends on description and weights alone. A projection `a->b` is three tensors:
//! `a->b` (the weights, ordered by post then pre), `a->b.pre` and `a->b.post`; the bias of readout
//! `c` is `c.bias`. A model that learned by kernel `'membrane'` has one more, `mdgl.psi-means` (f64): the weight of the
//! initial mean, then the running mean of ψ of each group of neurons; one that learned with adaptive feedback has
//! `mdgl.feedback-share` (f64), the remaining fraction of the difference between feedback and readout weights; one whose synapses
//! rewiring has moved has `mdgl.rewired` (u32), the indices of those projections, whose pairs are not the description's. The one
//! metadata key, `mdgl`, holds JSON: the network description and the precision. Long lists of the description stand
//! beside it, `{"list": k}` for tensor `mdgl.lists.k` (u32 or f64), since safetensors allows its metadata 100 MB.
//!
//! A checkpoint is such a file with the optimiser's state besides, in tensors `mdgl.optimiser.*`: training continues
//! from it with the same bits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::description::NetworkDescription;
use crate::description::list::Array;
use crate::error::{Error, Result};
use crate::model::{AdamMoment, Model};
use crate::network::{FEEDBACK_SHARE, Network, OPTIMISER, PSI_MEANS, REWIRED, list_tensor};
use crate::numeric::memory::{ensure_memory, product};

use crate::model::psi_means::PsiMeans;
use crate::numeric::scalar::Scalar;

const METADATA_KEY: &str = "mdgl";
/// Length from which a list becomes a tensor: shorter ones can be read in the JSON.
const LONG: usize = 1 << 12;

struct Tensor<'a> {
    dtype: Dtype,
    shape: [usize; 1],
    bytes: Cow<'a, [u8]>,
}

impl<'a> Tensor<'a> {
    fn new<T: bytemuck::Pod>(dtype: Dtype, values: &[T]) -> Self {
        Self { dtype, shape: [values.len()], bytes: bytemuck::cast_slice(values).to_vec().into() }
    }

    /// A view of numbers that are not copied.
    fn borrowed<T: bytemuck::Pod>(dtype: Dtype, values: &'a [T]) -> Self {
        Self { dtype, shape: [values.len()], bytes: bytemuck::cast_slice(values).into() }
    }

    fn list(array: &'a Array) -> Self {
        match array {
            Array::U32(numbers) => Self::borrowed(Dtype::U32, numbers),
            Array::F64(numbers) => Self::borrowed(Dtype::F64, numbers),
        }
    }
}

impl View for &Tensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn dtype<F: Scalar>() -> Dtype {
    if size_of::<F>() == 4 { Dtype::F32 } else { Dtype::F64 }
}

fn file_error(reason: impl ToString) -> Error {
    Error::File { reason: reason.to_string() }
}

impl<F: Scalar> Model<F> {
    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// [`Error::File`] when the format refuses a name.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        self.room_for_file(3)?;
        self.write(self.weight_tensors())
    }

    /// The same with the optimiser's state.
    ///
    /// # Errors
    /// As [`Self::to_safetensors`].
    pub fn to_checkpoint(&self) -> Result<Vec<u8>> {
        self.room_for_file(9)?;
        let mut tensors = self.weight_tensors();
        let moments = || self.moments.theta.iter().chain(&self.moments.bias).flatten();
        let first: Vec<F> = moments().map(|moment| moment.first).collect();
        let second: Vec<F> = moments().map(|moment| moment.second).collect();
        let [steps, theta, names @ ..] = OPTIMISER.map(str::to_owned);
        tensors.push((steps, Tensor::new(Dtype::U64, &[self.moments.steps])));
        tensors.push((theta, Tensor::new(dtype::<F>(), &self.theta.concat())));
        tensors.extend(names.into_iter().zip([first, second].map(|all| Tensor::new(dtype::<F>(), &all))));
        self.write(tensors)
    }

    /// Per synapse: its numbers of the float type, and its ends; the tensors, and the file made of them.
    fn room_for_file(&self, numbers: usize) -> Result<()> {
        let bytes = product(&[self.parameters(), numbers * size_of::<F>() + 2 * size_of::<[u32; 2]>()]);
        ensure_memory(bytes, "a file of weights")
    }

    fn weight_tensors(&self) -> Vec<(String, Tensor<'_>)> {
        let network = self.network();
        let mut tensors = Vec::new();
        for (index, synapses) in network.projections().iter().enumerate() {
            let weights: Vec<F> = (0..synapses.len()).map(|s| self.weight(index, s)).collect();
            tensors.push((synapses.name().to_owned(), Tensor::new(dtype::<F>(), &weights)));
            tensors.push((format!("{}.pre", synapses.name()), Tensor::borrowed(Dtype::U32, synapses.pre())));
            tensors
                .push((format!("{}.post", synapses.name()), Tensor::borrowed(Dtype::U32, synapses.post())));
        }
        for (readout, bias) in network.readouts().iter().zip(&self.bias) {
            if readout.has_bias() {
                let name = format!("{}.bias", readout.name());
                tensors.push((name, Tensor::new(dtype::<F>(), bias)));
            }
        }
        if network.is_rewired() {
            let changed = (0..).zip(network.projections()).filter(|(_, synapses)| synapses.is_rewired);
            let changed: Vec<u32> = changed.map(|(index, _)| index).collect();
            tensors.push((REWIRED.to_owned(), Tensor::new(Dtype::U32, &changed)));
        }
        if self.feedback_share != 1.0 {
            tensors.push((FEEDBACK_SHARE.to_owned(), Tensor::new(Dtype::F64, &[self.feedback_share])));
        }
        if let Some(means) = self.psi_means.values() {
            tensors.push((PSI_MEANS.to_owned(), Tensor::new(Dtype::F64, &means)));
        }
        tensors
    }

    fn write(&self, tensors: Vec<(String, Tensor<'_>)>) -> Result<Vec<u8>> {
        let (network, lists) = self.network().description().split(LONG);
        let lists: Vec<_> =
            lists.iter().enumerate().map(|(k, list)| (list_tensor(k), Tensor::list(list))).collect();
        let metadata = Metadata { network, precision: F::NAME.into() };
        let metadata = serde_json::to_string(&metadata).map_err(file_error)?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
        let views = tensors.iter().chain(&lists).map(|(name, tensor)| (name.as_str(), tensor));
        safetensors::serialize(views, Some(metadata)).map_err(file_error)
    }

    /// The model that a safetensors file of this precision holds; the optimiser starts anew, unless the file is a checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is torn, foreign, of another precision, or whose synapses
    /// are not those of its description; [`Error::Invalid`] for weights that are not allowed.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(file_error)?;
        // Twice the largest tensor, as f64.
        ensure_memory(product(&[4, bytes.len()]), "the weights of a file")?;
        let network = with_own_synapses(Network::new(read_network(bytes, &tensors)?)?, &tensors)?;
        let mut model = Self::blank(Arc::new(network))?;
        let network = model.network().clone();
        for synapses in network.projections() {
            let same = |suffix: &str, expected: &[u32]| -> Result<()> {
                let name = format!("{}.{suffix}", synapses.name());
                match read::<u32>(&tensors, &name, Dtype::U32)? == expected {
                    true => Ok(()),
                    false => Err(file_error(format!("{name} does not match the description"))),
                }
            };
            same("pre", synapses.pre())?;
            same("post", synapses.post())?;
            let values = read::<F>(&tensors, synapses.name(), dtype::<F>())?;
            let values: Vec<f64> = values.into_iter().map(Scalar::to_f64).collect();
            model.set_weights(synapses.name(), &values)?;
        }
        for readout in network.readouts().iter().filter(|readout| readout.has_bias()) {
            let values = read::<F>(&tensors, &format!("{}.bias", readout.name()), dtype::<F>())?;
            let values: Vec<f64> = values.into_iter().map(Scalar::to_f64).collect();
            model.set_bias(readout.name(), &values)?;
        }
        if tensors.names().contains(&FEEDBACK_SHARE) {
            model.feedback_share = match read::<f64>(&tensors, FEEDBACK_SHARE, Dtype::F64)?[..] {
                [share] if (0.0..=1.0).contains(&share) => share,
                _ => return Err(file_error(format!("{FEEDBACK_SHARE} is not one number from 0 to 1"))),
            };
        }
        if tensors.names().contains(&PSI_MEANS) {
            let means = read::<f64>(&tensors, PSI_MEANS, Dtype::F64)?;
            model.psi_means = PsiMeans::from_values(&means, network.groups.count())?;
        }
        if tensors.names().contains(&OPTIMISER[0]) {
            model.read_optimiser(&tensors)?;
        }
        Ok(model)
    }

    /// θ must match the weights; the moments must be possible values.
    fn read_optimiser(&mut self, tensors: &SafeTensors<'_>) -> Result<()> {
        let [steps, theta, first, second] = OPTIMISER;
        self.moments.steps = match read::<u64>(tensors, steps, Dtype::U64)?[..] {
            [steps] => steps,
            _ => return Err(file_error(format!("{steps} is not one number"))),
        };
        let parameters: usize = self.parameters();
        let all = |name: &str, expected: usize, least: f64| -> Result<Vec<F>> {
            let values = read::<F>(tensors, name, dtype::<F>())?;
            let fine = values.iter().all(|x| x.is_finite() && x.to_f64() >= least);
            match values.len() == expected && fine {
                true => Ok(values),
                false => Err(file_error(format!("{name} is not {expected} numbers of an optimiser"))),
            }
        };
        let synapses = self.theta.iter().map(Vec::len).sum();
        let mut theta = all(theta, synapses, f64::NEG_INFINITY)?.into_iter();
        for index in 0..self.theta.len() {
            let weights = |model: &Self| -> Vec<F> {
                (0..model.theta[index].len()).map(|synapse| model.weight(index, synapse)).collect()
            };
            let stored = weights(self);
            self.theta[index].iter_mut().zip(&mut theta).for_each(|(to, from)| *to = from);
            if weights(self) != stored {
                return Err(file_error(format!("{} does not match the file's weights", OPTIMISER[1])));
            }
        }
        let first = all(first, parameters, f64::NEG_INFINITY)?;
        let second = all(second, parameters, 0.0)?;
        let mut read = first.into_iter().zip(second).map(|(first, second)| AdamMoment { first, second });
        let lists = self.moments.theta.iter_mut().chain(&mut self.moments.bias);
        lists.flatten().zip(&mut read).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

/// The float type of a weights file, `f32` or `f64`.
///
/// # Errors
/// [`Error::File`] for a file that is no weights file of this library.
pub fn precision(bytes: &[u8]) -> Result<&'static str> {
    // The description may be long, and is not needed here.
    match read_metadata::<IgnoredAny>(bytes)?.precision.as_str() {
        "f32" => Ok(f32::NAME),
        "f64" => Ok(f64::NAME),
        other => Err(file_error(format!("its precision is '{other}', not f32 or f64"))),
    }
}

/// Metadata of a file.
#[derive(Serialize, Deserialize)]
struct Metadata<N> {
    network: N,
    precision: String,
}

/// The network with the synapses that a file says are not the description's.
fn with_own_synapses(network: Network, tensors: &SafeTensors<'_>) -> Result<Network> {
    if !tensors.names().contains(&REWIRED) {
        return Ok(network);
    }
    let mut changed: Vec<(usize, Vec<u32>, Vec<u32>)> = Vec::new();
    for index in read::<u32>(tensors, REWIRED, Dtype::U32)? {
        let index = index as usize;
        let later = changed.last().is_none_or(|(last, ..)| *last < index);
        let Some(synapses) = network.projections().get(index).filter(|_| later) else {
            return Err(file_error(format!("{REWIRED} is no ascending list of projections")));
        };
        let [pre, post] = ["pre", "post"]
            .map(|part| read::<u32>(tensors, &format!("{}.{part}", synapses.name()), Dtype::U32));
        let (pre, post) = (pre?, post?);
        if !synapses.could_be(&pre, &post) {
            let name = synapses.name();
            return Err(file_error(format!("{name}.pre and {name}.post are no synapses of the projection")));
        }
        changed.push((index, pre, post));
    }
    network.with_synapses(changed)
}

/// The description, joined with its lists.
fn read_network(bytes: &[u8], tensors: &SafeTensors<'_>) -> Result<NetworkDescription> {
    let list = |k: usize| {
        let name = list_tensor(k);
        Ok(match tensors.tensor(&name).map_err(file_error)?.dtype() {
            Dtype::F64 => Array::F64(Arc::new(read(tensors, &name, Dtype::F64)?)),
            _ => Array::U32(Arc::new(read(tensors, &name, Dtype::U32)?)),
        })
    };
    read_metadata::<NetworkDescription>(bytes)?.network.join(list).map_err(|error| match error {
        Error::File { .. } => error,
        other => file_error(other),
    })
}

fn read_metadata<N: DeserializeOwned>(bytes: &[u8]) -> Result<Metadata<N>> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(file_error)?;
    let pairs = metadata.metadata().as_ref();
    let ours = pairs
        .and_then(|pairs| pairs.get(METADATA_KEY))
        .ok_or_else(|| file_error("it has no network description (metadata key 'mdgl')"))?;
    serde_json::from_str(ours).map_err(file_error)
}

fn read<T: bytemuck::Pod>(tensors: &SafeTensors<'_>, name: &str, dtype: Dtype) -> Result<Vec<T>> {
    let tensor = tensors.tensor(name).map_err(file_error)?;
    if tensor.dtype() != dtype {
        let found = tensor.dtype();
        return Err(file_error(format!("{name} holds {found:?}, {dtype:?} was expected")));
    }
    Ok(bytemuck::pod_collect_to_vec(tensor.data()))
}
