//! Lists of floats as their bytes, for messages: written and read in one piece.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::numeric::scalar::Scalar;

/// The engine runs on machines of this order of bytes alone.
const _: () = assert!(cfg!(target_endian = "little"));

pub(crate) fn serialize<F: Scalar, S: Serializer>(values: &[F], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytemuck::cast_slice(values))
}

pub(crate) fn deserialize<'de, F: Scalar, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<F>, D::Error> {
    let bytes = <&[u8]>::deserialize(deserializer)?;
    match bytes.len().is_multiple_of(size_of::<F>()) {
        true => Ok(bytemuck::pod_collect_to_vec(bytes)),
        false => Err(D::Error::custom("half a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize, Deserialize)]
    struct List(#[serde(with = "super")] Vec<f32>);

    #[test]
    fn every_number_keeps_its_bits() {
        let values = [0.0, -0.0, 1.5, f32::MIN_POSITIVE / 2.0, f32::NAN, f32::NEG_INFINITY];
        for count in 0..values.len() {
            let bytes = postcard::to_allocvec(&List(values[..count].to_vec())).unwrap();
            assert_eq!(bytes.len(), 1 + 4 * count);
            let List(read) = postcard::from_bytes(&bytes).unwrap();
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&read), bits(&values[..count]));
        }
    }

    #[test]
    fn half_a_number_is_refused() {
        assert!(postcard::from_bytes::<List>(&[3, 0, 0, 0]).is_err());
        assert!(postcard::from_bytes::<List>(&[8, 0, 0, 0, 0]).is_err());
    }
}
