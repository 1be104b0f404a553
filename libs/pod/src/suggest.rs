//! The name that somebody probably meant.

/// From here on (of 1) two names are similar.
const SIMILAR: f64 = 0.75;

/// Bytes of a name beyond which nothing is similar to it: looking takes longer than linear time.
const COMPARED_BYTES: usize = 126;

/// Among `names`, the one that is most similar to `wrong`; none where none is similar.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > COMPARED_BYTES {
        return None;
    }
    let mut best = (SIMILAR, None);
    for name in names {
        let similarity = strsim::jaro_winkler(wrong, name);
        if similarity > best.0 {
            best = (similarity, Some(name));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_similar_name_is_suggested() {
        let names = ["hostPath", "emptyDir", "secret"];
        assert_eq!(nearest("hostPth", names), Some("hostPath"));
        assert_eq!(nearest("nfs", names), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }
}
