//! Sections that are the same cluster with a namespace in common.
//!
//! Launchers of both would take each pod there for one of their own: a pod says of which installation and run it is, and not by
//! which section it was made. Two kubeconfigs may lead to the same cluster as well, which no file tells.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
};

use super::{ClusterConfig, Problem};

/// Where pods are, as far as the file tells.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    kubeconfig: Option<&'a Path>,
    context: Option<&'a str>,
    /// None for that of the context.
    namespace: Option<&'a str>,
}

/// One problem for each section that has a place in common with one before it.
pub(super) fn of(clusters: &BTreeMap<String, ClusterConfig>) -> Vec<Problem> {
    let mut taken: BTreeMap<Place<'_>, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, cluster) in clusters {
        let others = cluster.other_namespaces.iter().map(|other| Some(other.as_str()));
        let mut first = None;
        for namespace in std::iter::once(cluster.namespace.as_deref()).chain(others) {
            let place = Place {
                kubeconfig: cluster.kubeconfig.as_deref(),
                context: cluster.context.as_deref(),
                namespace,
            };
            match taken.entry(place) {
                Entry::Vacant(free) => {
                    free.insert(name);
                }
                // A section may name its own namespace twice.
                Entry::Occupied(other) if *other.get() == name => {}
                Entry::Occupied(other) => {
                    first.get_or_insert((*other.get(), namespace));
                }
            }
        }
        problems.extend(first.map(|(other, namespace)| Problem::Overlap {
            section: name.clone(),
            other: other.to_owned(),
            namespace: namespace.map(str::to_owned),
        }));
    }
    problems
}
