//! Which rights Windlass needs in a cluster: the one list of them.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::{authorization::v1::ResourceAttributes, rbac::v1::PolicyRule};

/// Something that is done to pods in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// `pods`, or a subresource such as `pods/log`.
    pub resource: &'static str,
    /// What is done.
    pub verb: &'static str,
}

/// All rights that Windlass needs: launchers create, watch and delete pods, streamers read their logs.
pub const RIGHTS: [Right; 7] = [
    Right { resource: "pods", verb: "create" },
    Right { resource: "pods", verb: "get" },
    Right { resource: "pods", verb: "list" },
    Right { resource: "pods", verb: "watch" },
    Right { resource: "pods", verb: "delete" },
    Right { resource: "pods", verb: "deletecollection" },
    Right { resource: "pods/log", verb: "get" },
];

impl Right {
    /// The rule of a Role that gives it, on one line of YAML.
    pub fn rule(self) -> String {
        let Self { resource, verb } = self;
        format!("{{apiGroups: [\"\"], resources: [{resource}], verbs: [{verb}]}}")
    }

    /// What an API server is asked about it.
    pub(crate) fn attributes(self, namespace: &str) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (self.resource, None),
        };
        ResourceAttributes {
            namespace: Some(namespace.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            verb: Some(self.verb.to_owned()),
            ..ResourceAttributes::default()
        }
    }
}

/// `create pods`
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

/// The rules of the Role that gives all of them: one for each resource.
pub(crate) fn rules() -> Vec<PolicyRule> {
    let mut verbs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for right in RIGHTS {
        verbs.entry(right.resource).or_default().push(right.verb.to_owned());
    }
    let rules = verbs.into_iter().map(|(resource, verbs)| PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        verbs,
        ..PolicyRule::default()
    });
    rules.collect()
}
