//! The one place that spells the labels and annotations of pods.
//!
//! A label's value has at most 63 characters and few kinds of them, so that long names stand there hashed; annotations have
//! them in full.

/// On all pods of all installations: the value [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGER: &str = "windlass";
/// The pipeline, as others' tools look for it.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// The run, as others' tools look for it.
pub const APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// The step, as others' tools look for it.
pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
/// The installation, as others' tools look for it.
pub const APP_PART_OF: &str = "app.kubernetes.io/part-of";
/// The queue of Kueue that admits the pod.
pub const KUEUE_QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// What the keys of all other labels and annotations of Windlass begin with.
pub const OWN: &str = "windlass.dev/";

/// Label: the installation's name.
pub const INSTALLATION: &str = "windlass.dev/installation";
/// Label: the namespace of the run in Windlass.
pub const NAMESPACE: &str = "windlass.dev/namespace";
/// Label: the run's id.
pub const RUN: &str = "windlass.dev/run";
/// Label and annotation: the pipeline's name.
pub const PIPELINE: &str = "windlass.dev/pipeline";
/// Label and annotation: the step's path.
pub const STEP: &str = "windlass.dev/step";
/// Label: the number of the attempt, from 1.
pub const ATTEMPT: &str = "windlass.dev/attempt";
/// Label: the shard, a number, by which launchers divide the watching of pods.
pub const SHARD: &str = "windlass.dev/shard";

/// Label: the step's index in its run, a number.
pub const STEP_INDEX: &str = "windlass.dev/step-index";
/// Annotation: the names of the outputs that the step declares, with `,` between them.
pub const OUTPUTS: &str = "windlass.dev/outputs";
/// Annotation: the waiting reasons of containers that end the attempt, with `,` between them.
pub const FATAL_WAITING_REASONS: &str = "windlass.dev/fatal-waiting-reasons";
/// Annotation: under which key the result is kept, 64 hexadecimal digits.
pub const CACHE_KEY: &str = "windlass.dev/cache-key";

/// The name of the container that runs the step's program.
pub const MAIN_CONTAINER: &str = "main";
