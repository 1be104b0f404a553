//! What is asked of an API server, in its own words.

use std::collections::BTreeMap;

/// What a request does, as rules of access name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation's own")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// A request without its names: what many of them have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// As rules of access name it, such as `pods` or `pods/status`; the whole path where that names no kind, such as
    /// `/readyz`.
    pub resource: String,
}

/// How often each was called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls(pub BTreeMap<Call, u64>);

impl Calls {
    /// How many did this to that, such as `pods` without `pods/status`.
    pub fn of(&self, verb: Verb, resource: &str) -> u64 {
        let call = Call { verb, resource: resource.to_owned() };
        self.0.get(&call).copied().unwrap_or(0)
    }

    /// How many there were.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn add(&mut self, call: Call, count: u64) {
        *self.0.entry(call).or_default() += count;
    }

    /// Reads them from an API server's metrics.
    pub(super) fn from_metrics(metrics: &str) -> Self {
        let mut calls = Self::default();
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("apiserver_request_total{") else { continue };
            let Some((labels, count)) = rest.rsplit_once("} ") else { continue };
            // Values of these labels have no quotes in them.
            let label = |name: &str| {
                let found = labels.split(&format!("{name}=\"")).nth(1)?;
                found.split('"').next().map(str::to_owned)
            };
            let verb = label("verb").as_deref().and_then(metrics_verb);
            let (Some(verb), Some(resource), Some(subresource)) =
                (verb, label(",resource"), label("subresource"))
            else {
                continue;
            };
            // It counts by methods, and both have one.
            let verb = match (verb, label("scope").as_deref()) {
                (Verb::Delete, Some("namespace" | "cluster")) => Verb::DeleteCollection,
                _ => verb,
            };
            // It writes large numbers as 1.234567e+06.
            let count = count.parse::<f64>().expect("a count is a number");
            #[expect(clippy::cast_sign_loss, reason = "a count is not negative")]
            calls.add(Call::to(verb, &resource, &subresource), count as u64);
        }
        calls
    }
}

fn metrics_verb(verb: &str) -> Option<Verb> {
    Some(match verb {
        "GET" => Verb::Get,
        "LIST" => Verb::List,
        "WATCH" => Verb::Watch,
        "POST" => Verb::Create,
        "PUT" => Verb::Update,
        "PATCH" | "APPLY" => Verb::Patch,
        "DELETE" => Verb::Delete,
        "DELETECOLLECTION" => Verb::DeleteCollection,
        _ => return None,
    })
}

impl Call {
    /// What a request is for.
    pub(super) fn of(method: &str, path: &str, query: Option<&str>) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let place = match parts.as_slice() {
            ["api", _, place @ ..] | ["apis", _, _, place @ ..] => place,
            _ => &[],
        };
        let place = match place {
            // A namespace has these itself; all else below it is in it.
            ["namespaces", _, "status" | "finalize"] => place,
            ["namespaces", _, inner @ ..] if !inner.is_empty() => inner,
            _ => place,
        };
        let (resource, name, subresource) = match place {
            [] => (path, Some(""), ""),
            [resource] => (*resource, None, ""),
            [resource, name] => (*resource, Some(*name), ""),
            [resource, name, subresource, ..] => (*resource, Some(*name), *subresource),
        };
        let watches = query.is_some_and(|query| {
            query.split('&').any(|it| matches!(it, "watch=true" | "watch=1" | "watch"))
        });
        let verb = match (method, name) {
            ("POST", _) => Verb::Create,
            ("PUT", _) => Verb::Update,
            ("PATCH", _) => Verb::Patch,
            ("DELETE", Some(_)) => Verb::Delete,
            ("DELETE", None) => Verb::DeleteCollection,
            _ if watches => Verb::Watch,
            (_, Some(_)) => Verb::Get,
            (_, None) => Verb::List,
        };
        Self::to(verb, resource, subresource)
    }

    fn to(verb: Verb, resource: &str, subresource: &str) -> Self {
        let resource = match subresource {
            "" => resource.to_owned(),
            _ => format!("{resource}/{subresource}"),
        };
        Self { verb, resource }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(verb: Verb, resource: &str) -> Call {
        Call { verb, resource: resource.to_owned() }
    }

    #[test]
    fn a_request_says_by_its_method_and_path_what_it_does() {
        let of = |method: &str, path: &str| Call::of(method, path, None);
        let pods = "/api/v1/namespaces/n/pods";
        assert_eq!(of("GET", pods), call(Verb::List, "pods"));
        assert_eq!(of("POST", pods), call(Verb::Create, "pods"));
        assert_eq!(of("DELETE", pods), call(Verb::DeleteCollection, "pods"));
        assert_eq!(of("DELETE", &format!("{pods}/p")), call(Verb::Delete, "pods"));
        assert_eq!(of("PATCH", &format!("{pods}/p/status")), call(Verb::Patch, "pods/status"));
        assert_eq!(of("GET", "/api/v1/nodes/n"), call(Verb::Get, "nodes"));
        assert_eq!(of("GET", "/api/v1/namespaces/n"), call(Verb::Get, "namespaces"));
        let finalize = of("PUT", "/api/v1/namespaces/n/finalize");
        assert_eq!(finalize, call(Verb::Update, "namespaces/finalize"));
        assert_eq!(of("GET", "/readyz"), call(Verb::Get, "/readyz"));
        let leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases";
        assert_eq!(of("GET", leases), call(Verb::List, "leases"));
        let watch = Call::of("GET", pods, Some("labelSelector=a&watch=true"));
        assert_eq!(watch, call(Verb::Watch, "pods"));
    }

    #[test]
    fn metrics_are_summed_over_what_is_not_asked_for() {
        let metrics = r#"
# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 1.5e+06
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="DELETE",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="DELETE",version="v1"} 2
"#;
        let calls = Calls::from_metrics(metrics);
        assert_eq!(calls.of(Verb::Create, "pods"), 4);
        assert_eq!(calls.of(Verb::Patch, "pods/status"), 1_500_000);
        assert_eq!(calls.of(Verb::Delete, "pods"), 5);
        assert_eq!(calls.of(Verb::DeleteCollection, "pods"), 2);
        assert_eq!(calls.all(), 1_500_011);
    }
}
