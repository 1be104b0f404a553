//! Clusters: what steps name to say whose launchers create their attempts, and what launchers say that they serve.

pub use windlass_engine::policy::DEFAULT_CLUSTER as DEFAULT;

/// What a launcher or a step means that names this cluster: where that is none, the default.
pub fn or_default(name: &str) -> &str {
    if name.is_empty() { DEFAULT } else { name }
}

/// The group of the store by which the launchers of a cluster are known.
pub fn group(name: &str) -> String {
    format!("cluster.{}", or_default(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_of_the_default_cluster_are_known_under_its_name() {
        assert_eq!(
            [group(""), group("default"), group("gpu")],
            ["cluster.default", "cluster.default", "cluster.gpu"]
        );
    }
}
