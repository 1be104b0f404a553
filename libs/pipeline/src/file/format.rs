//! The file format as types. The documentation of their fields is what editors show to people who write a pipeline.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    collection::{Named, NamedTexts, OneOrMany, Words},
    entry::{ParameterEntry, RetryEntry},
    quantity::{Duration, Memory, whole_number},
};

/// A pipeline: steps, and in which order they run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Windlass pipeline")]
pub(crate) struct Pipeline {
    /// Lower-case letters, digits and `-`; a letter first; at most 63 characters.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,62}$"))]
    pub(crate) name: String,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub(crate) description: Option<String>,
    /// The values that a run may set. A step refers to one as `${{ params.NAME }}`.
    #[serde(default)]
    pub(crate) parameters: Named<ParameterEntry>,
    /// Labels that every run gets unless it sets them itself.
    #[serde(default)]
    pub(crate) labels: NamedTexts,
    /// What the rest of a run does once a step has failed for good; `continue_on_failure` by default.
    #[serde(default)]
    pub(crate) failure_mode: Option<FailureMode>,
    /// The most attempts at once; no limit by default.
    #[serde(default, deserialize_with = "whole_number")]
    pub(crate) max_parallelism: Option<u32>,
    /// The least time between two starts.
    #[serde(default)]
    pub(crate) start_gap: Option<Duration>,
    /// From the run's start to its end, pauses left out.
    #[serde(default)]
    pub(crate) timeout: Option<Duration>,
    /// What all steps have unless they say otherwise.
    #[serde(default)]
    pub(crate) defaults: Defaults,
    /// The steps by name: lower-case letters, digits, `-` and `_`; a letter first; at most 63 characters.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z][a-z0-9_-]{0,62}$"}))]
    pub(crate) steps: Named<Step>,
}

/// What the rest of a run does once a step has failed for good.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureMode {
    /// Running steps are stopped, and nothing new starts.
    FailFast,
    /// Running steps end by themselves, and nothing new starts.
    StopOnFailure,
    /// Steps that do not depend on the failed one go on.
    ContinueOnFailure,
}

/// A parameter, in the long form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// The type of its values; may be left out where there is a default.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<ParameterType>,
    /// The value of a run that sets none. Without it, every run must set one.
    #[serde(default)]
    pub(crate) default: Option<serde_json::Value>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub(crate) description: Option<String>,
}

/// The type of a parameter's values.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParameterType {
    /// Text.
    String,
    /// A whole number of at most 53 bits.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of values.
    List,
    /// Values by name.
    Object,
}

/// What all steps have unless they say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// Variables for the environment of every step; a step's own ones are added, and win.
    #[serde(default)]
    pub(crate) env: NamedTexts,
    /// How failures are tried again; a number alone is the limit.
    #[serde(default)]
    pub(crate) retry: Option<RetryEntry>,
    /// From the moment an attempt runs to its end.
    #[serde(default)]
    pub(crate) timeout: Option<Duration>,
    /// From the moment an attempt is created to the moment it runs.
    #[serde(default)]
    pub(crate) startup_timeout: Option<Duration>,
    /// Where programs start; relative to the pipeline file.
    #[serde(default)]
    pub(crate) working_dir: Option<String>,
    /// How long a stopped attempt has between TERM and KILL; 10 seconds by default.
    #[serde(default)]
    pub(crate) termination_grace: Option<Duration>,
    /// What an attempt may use.
    #[serde(default)]
    pub(crate) resources: Option<Resources>,
}

/// A step: one program, run once its dependencies have ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["run"]}, {"required": ["command"]}]))]
pub(crate) struct Step {
    /// A POSIX shell script, run by `/bin/sh -eu`. May not hold references: put them into `env`.
    #[serde(default)]
    pub(crate) run: Option<String>,
    /// The program and its first arguments. May hold references.
    #[serde(default)]
    pub(crate) command: Option<Words>,
    /// Further arguments; with `run`, what the script finds as `$1`, `$2` and so on. May hold references.
    #[serde(default)]
    pub(crate) args: Words,
    /// Steps that must end before this one is considered; a single name, or a list. A reference to an output implies it.
    #[serde(default)]
    pub(crate) depends_on: OneOrMany,
    /// When this step runs once its dependencies have ended; `all_succeeded` by default.
    #[serde(default)]
    pub(crate) trigger_rule: Option<TriggerRule>,
    /// The names of the values this step writes; a single name, or a list.
    #[serde(default)]
    pub(crate) outputs: OneOrMany,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub(crate) description: Option<String>,
    /// Variables for the environment. Values may hold references.
    #[serde(default)]
    pub(crate) env: NamedTexts,
    /// How failures are tried again; a number alone is the limit.
    #[serde(default)]
    pub(crate) retry: Option<RetryEntry>,
    /// From the moment an attempt runs to its end.
    #[serde(default)]
    pub(crate) timeout: Option<Duration>,
    /// From the moment an attempt is created to the moment it runs.
    #[serde(default)]
    pub(crate) startup_timeout: Option<Duration>,
    /// Where the program starts; relative to the pipeline file. May hold references.
    #[serde(default)]
    pub(crate) working_dir: Option<String>,
    /// How long a stopped attempt has between TERM and KILL; 10 seconds by default.
    #[serde(default)]
    pub(crate) termination_grace: Option<Duration>,
    /// What an attempt may use.
    #[serde(default)]
    pub(crate) resources: Option<Resources>,
}

/// When a step runs once its dependencies have ended; otherwise it is skipped.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TriggerRule {
    /// Every dependency succeeded.
    AllSucceeded,
    /// In any case.
    AllDone,
    /// At least one dependency failed.
    AnyFailed,
    /// At least one dependency succeeded.
    AnySucceeded,
}

/// How failures are tried again, in the long form.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// Retries of the step's own failures; 0 by default.
    #[serde(default, deserialize_with = "whole_number")]
    #[schemars(range(max = 10_000))]
    pub(crate) limit: Option<u32>,
    /// Before the first retry; none by default.
    #[serde(default)]
    pub(crate) delay: Option<Duration>,
    /// By which each further delay is longer than the one before; 1 by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) factor: Option<f64>,
    /// The longest delay; one hour by default.
    #[serde(default)]
    pub(crate) max_delay: Option<Duration>,
    /// The part of a delay that may be taken away, so that steps do not come back all at once; 0 by default.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) jitter: Option<f64>,
    /// Retries of failures that are not the step's own, such as a lost host; 3 by default.
    #[serde(default, deserialize_with = "whole_number")]
    #[schemars(range(max = 10_000))]
    pub(crate) system_limit: Option<u32>,
}

/// What an attempt may use.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Resident memory of all its processes together; above it, the attempt is ended as out of memory.
    #[serde(default)]
    pub(crate) memory: Option<Memory>,
}
