//! The names of a pipeline's nodes: some 8 bytes per node and the names themselves.

use std::ops::Range;

/// Names by index, and indexes by name within a scope.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// All names, one after the other.
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
    /// The indexes, those of a scope in the order of their names.
    by_name: Vec<u32>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.by_name.push(to_u32(self.ends.len()));
        self.ends.push(to_u32(self.text.len()));
    }

    /// Sorts the names of a scope, which is complete.
    pub(super) fn sort(&mut self, scope: Range<u32>) {
        let mut by_name = std::mem::take(&mut self.by_name);
        by_name[scope.start as usize..scope.end as usize]
            .sort_unstable_by_key(|index| self.get(*index));
        self.by_name = by_name;
    }

    pub(super) fn get(&self, index: u32) -> &str {
        let at = index as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[at] as usize]
    }

    pub(super) fn find(&self, scope: Range<u32>, name: &str) -> Option<u32> {
        let by_name = &self.by_name[scope.start as usize..scope.end as usize];
        let at = by_name.binary_search_by(|index| self.get(*index).cmp(name)).ok()?;
        Some(by_name[at])
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
        fn names_and_indexes_find_each_other_within_a_scope(
            scopes in prop::collection::vec(prop::collection::hash_set("[a-z]{0,4}", 0..30), 1..5),
        ) {
            let mut names = Names::default();
            let mut ranges = Vec::new();
            for scope in &scopes {
                let start = names.len() as u32;
                for name in scope {
                    names.push(name);
                }
                ranges.push(start..names.len() as u32);
                names.sort(start..names.len() as u32);
            }
            for (scope, range) in scopes.iter().zip(&ranges) {
                for (index, name) in (range.start..).zip(scope) {
                    prop_assert_eq!(names.get(index), name);
                    prop_assert_eq!(names.find(range.clone(), name), Some(index));
                }
                prop_assert_eq!(names.find(range.clone(), "abc").is_some(), scope.contains("abc"));
            }
        }
    }
}
