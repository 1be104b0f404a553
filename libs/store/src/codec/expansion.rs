//! The stored form of the expansions of a run's loops: 12 bytes each, one behind the other.
//!
//! ```text
//! byte  0   the loop
//!       4   the first step of its first item
//!       8   how many items there are
//! ```

use windlass_engine::{layout::Expansion, record::StepIndex};

use super::{DecodeError, Reader};

/// How many bytes an expansion takes.
pub(crate) const EXPANSION_SIZE: usize = 12;

const WHAT: &str = "expansion";

pub(crate) fn encode_expansions(expansions: &[Expansion]) -> Vec<u8> {
    let numbers = |it: &Expansion| [it.step.0, it.first.0, it.items];
    expansions.iter().flat_map(numbers).flat_map(u32::to_le_bytes).collect()
}

/// The inverse of [`encode_expansions`].
pub(crate) fn decode_expansions(bytes: &[u8]) -> Result<Vec<Expansion>, DecodeError> {
    let mut reader = Reader { what: WHAT, rest: bytes };
    let mut expansions = Vec::with_capacity(bytes.len() / EXPANSION_SIZE);
    while !reader.rest.is_empty() {
        expansions.push(Expansion {
            step: StepIndex(reader.u32()?),
            first: StepIndex(reader.u32()?),
            items: reader.u32()?,
        });
    }
    Ok(expansions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn expansions_are_read_as_they_were_written_and_none_is_read_in_part(
            numbers in prop::collection::vec(any::<[u32; 3]>(), 0..9),
        ) {
            let expansions: Vec<_> = numbers
                .into_iter()
                .map(|[step, first, items]| Expansion {
                    step: StepIndex(step),
                    first: StepIndex(first),
                    items,
                })
                .collect();
            let bytes = encode_expansions(&expansions);
            prop_assert_eq!(bytes.len(), expansions.len() * EXPANSION_SIZE);
            prop_assert_eq!(decode_expansions(&bytes), Ok(expansions.clone()));
            for end in 0..bytes.len() {
                let whole = &expansions[..end / EXPANSION_SIZE];
                let expected = if end % EXPANSION_SIZE == 0 {
                    Ok(whole.to_vec())
                } else {
                    Err(DecodeError::Short { what: WHAT })
                };
                prop_assert_eq!(decode_expansions(&bytes[..end]), expected);
            }
        }
    }
}
