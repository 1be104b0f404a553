//! The name that somebody probably meant.

use std::fmt;

use windlass_pod::suggest::nearest;

use crate::quote::quote;

/// Names that are compared, so that a pipeline of a million steps with a hundred wrong names is refused at once.
const COMPARED: usize = 10_000;

/// Displays `; did you mean …?`, or other advice where no name is similar. Looks for one only when it is displayed.
pub(crate) struct DidYouMean<'a, I> {
    wrong: &'a str,
    names: I,
    otherwise: &'static str,
}

/// Among `names`, the one that `wrong` was probably meant to be.
pub(crate) fn did_you_mean<'a, I>(wrong: &'a str, names: I) -> DidYouMean<'a, I::IntoIter>
where
    I: IntoIterator<Item = &'a str, IntoIter: Clone>,
{
    DidYouMean { wrong, names: names.into_iter(), otherwise: "" }
}

impl<'a, I: Iterator<Item = &'a str> + Clone> DidYouMean<'a, I> {
    /// Other advice, with its `; ` in front.
    pub(crate) fn or(self, otherwise: &'static str) -> Self {
        Self { otherwise, ..self }
    }

    fn find(&self) -> Option<&'a str> {
        nearest(self.wrong, self.names.clone().take(COMPARED))
    }
}

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for DidYouMean<'a, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.find() {
            Some(name) => write!(f, "; did you mean {}?", quote(name)),
            None => f.write_str(self.otherwise),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_similar_name_is_suggested() {
        let names = ["load", "train", "evaluate"];
        assert_eq!(did_you_mean("lod", names).to_string(), "; did you mean `load`?");
        assert_eq!(did_you_mean("eval", names).to_string(), "; did you mean `evaluate`?");
        assert_eq!(did_you_mean("publish", names).to_string(), "");
        assert_eq!(did_you_mean("publish", names).or("; add it").to_string(), "; add it");
    }
}
