//! Other fields of a pod, which have no key of their own.

use k8s_openapi::api::core::v1::PodSpec;
use prost_types::{Struct, value::Kind};

use super::{
    Reading, json_of,
    problem::{Path, Rule},
    strict,
};

/// Fields that a patch may not set, and what to do instead.
const SET_ELSEWHERE: [(&str, &str); 18] = [
    ("activeDeadlineSeconds", "use `active_deadline` of `pod`"),
    ("affinity", "use `affinity` of `pod`"),
    ("containers", "the step is one; put others into `sidecars` of `pod`"),
    ("ephemeralContainers", "a new pod cannot have any; put them into `sidecars` of `pod`"),
    ("hostIPC", "use `host_ipc` of `pod`"),
    ("imagePullSecrets", "use `image_pull_secrets` of `pod`"),
    ("initContainers", "use `init_containers` or `sidecars` of `pod`"),
    ("nodeSelector", "use `node_selector` of `pod`"),
    ("priorityClassName", "use `priority_class` of `pod`"),
    (
        "restartPolicy",
        "it is `Never`, since Windlass tries steps again itself: use `retry` of the step",
    ),
    ("runtimeClassName", "use `runtime_class` of `pod`"),
    ("schedulerName", "use `scheduler_name` of `pod`"),
    ("securityContext", "use `security_context` of `pod`"),
    ("serviceAccount", "use `service_account` of `pod`"),
    ("serviceAccountName", "use `service_account` of `pod`"),
    ("terminationGracePeriodSeconds", "use `termination_grace` of the step"),
    ("tolerations", "use `tolerations` of `pod`"),
    ("volumes", "use `volumes` of `pod`"),
];

/// Reads a patch, and reports what is wrong.
pub(super) fn read(patch: &Struct, reading: &Reading) -> PodSpec {
    let at = Path::of("patch");
    let mut others = patch.clone();
    for (name, instead) in SET_ELSEWHERE {
        let given = others.fields.remove(name).and_then(|it| it.kind);
        if !matches!(given, None | Some(Kind::NullValue(_))) {
            let message = format_args!("`{name}` is set elsewhere: {instead}");
            reading.report.add(at.field(name), Rule::Reserved, message);
        }
    }
    strict::read(&json_of(&others), at, reading).unwrap_or_default()
}
