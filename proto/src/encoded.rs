//! An encoded pipeline whose steps are decoded one at a time: a pipeline of a million steps is some 50 MB encoded, and
//! many times that decoded.

use bytes::{Buf as _, Bytes};
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use crate::v1;

/// The field number of `Pipeline.steps`.
const STEPS: u32 = 4;

/// An encoded pipeline, its steps found but not decoded.
#[derive(Debug, Clone)]
pub struct EncodedPipeline {
    /// All but the steps.
    head: v1::Pipeline,
    bytes: Bytes,
    /// Where in `bytes` each step begins, and how long it is.
    steps: Vec<(u32, u32)>,
}

impl EncodedPipeline {
    /// Finds the steps of an encoded pipeline.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut steps = Vec::new();
        let mut head = Vec::new();
        let mut rest = bytes.clone();
        while rest.has_remaining() {
            let field_at = bytes.len() - rest.len();
            let (field, wire_type) = decode_key(&mut rest)?;
            if field == STEPS && wire_type == WireType::LengthDelimited {
                let length = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
                if length > rest.len() {
                    // Let the decoder say what is wrong.
                    v1::Pipeline::decode(bytes.slice(field_at..))?;
                }
                steps.push((to_u32(bytes.len() - rest.len()), to_u32(length)));
                rest.advance(length);
            } else {
                skip_field(wire_type, field, &mut rest, DecodeContext::default())?;
                head.extend_from_slice(&bytes[field_at..bytes.len() - rest.len()]);
            }
        }
        Ok(Self { head: v1::Pipeline::decode(head.as_slice())?, bytes, steps })
    }

    /// The pipeline without its steps.
    pub fn head(&self) -> &v1::Pipeline {
        &self.head
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many bytes it takes up in memory.
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.steps.as_slice())
    }

    /// Decodes all steps, one after the other.
    pub fn steps(&self) -> impl Iterator<Item = Result<v1::Step, DecodeError>> + '_ {
        (0..).map_while(|index| self.step(index))
    }

    /// Decodes a step; none if there is no such step.
    pub fn step(&self, index: u32) -> Option<Result<v1::Step, DecodeError>> {
        let (start, length) = *self.steps.get(index as usize)?;
        let (start, length) = (start as usize, length as usize);
        Some(v1::Step::decode(&self.bytes[start..start + length]))
    }
}

fn to_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a pipeline is smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_step_is_found_as_it_was_encoded(names in prop::collection::vec("[a-z]{0,200}", 0..40), name: String) {
            let steps: Vec<v1::Step> =
                names.into_iter().map(|name| v1::Step { name, ..Default::default() }).collect();
            let pipeline = v1::Pipeline { name, steps, max_parallelism: 7, ..Default::default() };
            let encoded = EncodedPipeline::new(pipeline.encode_to_vec().into()).unwrap();
            for (index, step) in pipeline.steps.iter().enumerate() {
                prop_assert_eq!(&encoded.step(index.try_into().unwrap()).unwrap().unwrap(), step);
            }
            prop_assert!(encoded.step(pipeline.steps.len().try_into().unwrap()).is_none());
            prop_assert_eq!(encoded.head(), &v1::Pipeline { steps: Vec::new(), ..pipeline });
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Ok(encoded) = EncodedPipeline::new(bytes.into()) {
                for index in 0..encoded.len() {
                    let _ = encoded.step(index.try_into().unwrap());
                }
            }
        }
    }
}
