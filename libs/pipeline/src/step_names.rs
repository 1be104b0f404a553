//! The names of a pipeline's steps, for readers: some 8 bytes per step and the names themselves.

use windlass_proto::v1;

/// Names of steps by index, and indexes by name.
#[derive(Debug, Clone, Default)]
pub struct StepNames {
    /// All names, one after the other.
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
    /// The indexes in the order of their names.
    by_name: Vec<u32>,
}

impl StepNames {
    /// The names of a pipeline's steps.
    pub fn new(pipeline: &v1::Pipeline) -> Self {
        pipeline.steps.iter().map(|step| &step.name).collect()
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name of a step; none if there is no such step.
    pub fn get(&self, index: u32) -> Option<&str> {
        let at = index as usize;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start as usize..end as usize])
    }

    /// The index of the step with a name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let at = self.by_name.binary_search_by(|index| self.get(*index).cmp(&Some(name))).ok()?;
        Some(self.by_name[at])
    }

    /// All names, in the order of the indexes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..to_u32(self.len())).map(|index| self.get(index).unwrap_or_default())
    }
}

impl<T: AsRef<str>> FromIterator<T> for StepNames {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let mut this = Self::default();
        for name in names {
            this.text.push_str(name.as_ref());
            this.ends.push(to_u32(this.text.len()));
        }
        let mut by_name: Vec<u32> = (0..to_u32(this.len())).collect();
        by_name.sort_unstable_by_key(|index| this.get(*index));
        this.by_name = by_name;
        this
    }
}

fn to_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a pipeline is smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn names_and_indexes_find_each_other(names in prop::collection::hash_set("[a-z]{0,6}", 0..60)) {
            let names: Vec<String> = names.into_iter().collect();
            let table: StepNames = names.iter().collect();
            prop_assert_eq!(table.len(), names.len());
            prop_assert!(table.iter().eq(&names));
            for (index, name) in (0..).zip(&names) {
                prop_assert_eq!(table.get(index), Some(name.as_str()));
                prop_assert_eq!(table.find(name), Some(index));
            }
            prop_assert_eq!(table.get(to_u32(names.len())), None);
            let known: BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(table.find("abc").is_some(), known.contains(&"abc".to_owned()));
        }
    }
}
