//! The file format as types. The documentation of their fields is what editors show to people who write a pipeline.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{
    cache::{CacheEntry, CacheKeyEntry, CacheSwitch},
    collection::{Named, NamedTexts, OneOrMany, Text, Words},
    entry::{ApprovalEntry, ParameterEntry, RetryEntry, When},
    env::EnvEntry,
    for_each::{ForEachEntry, Items},
    outputs::OutputsEntry,
    pod::Pod,
    quantity::{Duration, Memory, priority, whole_number},
    rules::{ExitCodes, Signal},
    yaml::present,
};
use crate::limits;

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
    /// Where room is short, steps of runs with a higher one start first; 0 by default.
    #[serde(default, deserialize_with = "priority")]
    #[schemars(range(min = -1000, max = 1000))]
    pub(crate) priority: Option<i32>,
    /// `false` switches the cache of all steps off.
    #[serde(default, deserialize_with = "present")]
    pub(crate) cache: Option<CacheSwitch>,
    /// What all steps have unless they say otherwise.
    #[serde(default)]
    pub(crate) defaults: Defaults,
    /// The steps by name: lower-case letters, digits, `-` and `_`; a letter first; at most 63 characters.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z][a-z0-9_-]{0,62}$"}))]
    pub(crate) steps: Named<Step>,
    /// Steps that run once all others have ended, whatever happened.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z][a-z0-9_-]{0,62}$"}))]
    pub(crate) exit_steps: Named<Step>,
    /// What a step that uses this file outputs: by name, one reference each to an output of one of the `steps`.
    #[serde(default)]
    pub(crate) outputs: Named<String>,
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
    pub(crate) env: Named<EnvEntry>,
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
    /// Whether results are kept and taken, and what they depend on; off by default.
    #[serde(default, deserialize_with = "present")]
    pub(crate) cache: Option<CacheEntry>,
    /// The image of the container that runs the program; none by default.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub(crate) image: Option<String>,
    /// Where programs run: the name of a cluster.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]{0,62}$"))]
    pub(crate) cluster: Option<String>,
    /// What attempts ask of their pods, where they run in such; a step's own is put over it.
    #[serde(default)]
    pub(crate) pod: Option<Box<Pod>>,
}

/// A step: a program, several steps used like one, one of several, or somebody's word; run once its dependencies have ended.
// What most steps leave out is boxed: a file may have a million of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["run"]},
    {"required": ["command"]},
    {"required": ["steps"]},
    {"required": ["use"]},
    {"required": ["branches"]},
    {"required": ["approval"]},
    {"required": ["image"], "not": {"anyOf": [
        {"required": ["run"]},
        {"required": ["command"]},
        {"required": ["steps"]},
        {"required": ["use"]},
        {"required": ["branches"]},
        {"required": ["approval"]},
    ]}},
]))]
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
    /// A condition, an expression in CEL; where it is false, the step is skipped.
    #[serde(default, deserialize_with = "present")]
    pub(crate) when: Option<When>,
    /// What the step is done for once each: a list, a number of times, a reference to a list, or a map.
    #[serde(default, deserialize_with = "present")]
    pub(crate) for_each: Option<Box<ForEachEntry>>,
    /// Steps within this one, by name.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z][a-z0-9_-]{0,62}$"}))]
    pub(crate) steps: Option<Box<Named<Step>>>,
    /// Another pipeline file, whose steps are within this one; relative to this file.
    #[serde(default, rename = "use")]
    pub(crate) used: Option<String>,
    /// Alternatives by name: the first whose `when` is true, or that has none, runs.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z][a-z0-9_-]{0,62}$"}))]
    pub(crate) branches: Option<Box<Named<Step>>>,
    /// `{}`: the step waits until somebody approves or rejects it. It outputs `approved_by` and `comment`.
    #[serde(default, deserialize_with = "present")]
    pub(crate) approval: Option<ApprovalEntry>,
    /// Parameters of the steps within, which then see nothing else of what is around them.
    #[serde(default)]
    pub(crate) parameters: Option<Box<Named<ParameterEntry>>>,
    /// Values of the parameters of the steps within. May hold references.
    #[serde(default)]
    pub(crate) arguments: Option<Box<Named<serde_json::Value>>>,
    /// The names of the values that the program writes: a single name, or a list. For steps within: by name, one reference each
    /// to an output of one of them.
    #[serde(default)]
    pub(crate) outputs: OutputsEntry,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub(crate) description: Option<String>,
    /// Variables for the environment. Values may hold references.
    #[serde(default)]
    pub(crate) env: Named<EnvEntry>,
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
    /// Whether results are kept and taken, and what they depend on; off by default.
    #[serde(default, deserialize_with = "present")]
    pub(crate) cache: Option<CacheEntry>,
    /// Names of limits that all runs of a namespace share, which an attempt holds from its start to its end; a single name, or
    /// a list of at most 8.
    #[serde(default)]
    #[schemars(schema_with = "limit_names")]
    pub(crate) limits: OneOrMany,
    /// The image of the container that runs the program. Without `run` and `command`, its own program runs. May hold
    /// references.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub(crate) image: Option<String>,
    /// Where the program runs: the name of a cluster.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]{0,62}$"))]
    pub(crate) cluster: Option<String>,
    /// What attempts ask of their pods, where they run in such. Values may hold references.
    #[serde(default)]
    pub(crate) pod: Option<Box<Pod>>,
}

fn limit_names(_: &mut SchemaGenerator) -> Schema {
    let name = json_schema!({"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$"});
    json_schema!({"anyOf": [
        name,
        {"type": "array", "items": name, "maxItems": limits::NAMED_LIMITS},
    ]})
}

/// What a result depends on besides the program with its arguments and variables, in the long form.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// Whatever else the result depends on: a text, or a list of texts. May hold references.
    #[serde(default, deserialize_with = "present")]
    pub(crate) key: Option<CacheKeyEntry>,
    /// How old a result may be to be taken; 30 days by default.
    #[serde(default)]
    pub(crate) max_age: Option<Duration>,
    /// Any text: another one than before leaves all results behind that were kept.
    #[serde(default)]
    pub(crate) salt: Option<Text>,
}

/// What a step is done for once each, in the long form.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["items"]}, {"required": ["count"]}]))]
pub(crate) struct ForEach {
    /// A list, or a reference to one.
    #[serde(default, deserialize_with = "present")]
    pub(crate) items: Option<Items>,
    /// How many times: the items are the numbers from 0 on.
    #[serde(default, deserialize_with = "whole_number")]
    #[schemars(range(max = 10_000_000))]
    pub(crate) count: Option<u32>,
    /// The most items at once; no limit by default.
    #[serde(default, deserialize_with = "whole_number")]
    pub(crate) max_parallelism: Option<u32>,
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
    /// What is done about some failures. The first rule that lists a failure decides; a failure that none lists is retried.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) rules: Vec<RetryRule>,
    /// By which each attempt that runs out of memory raises the `memory` of those after it; nothing is raised by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) memory_factor: Option<f64>,
    /// The most that memory is raised to; no limit by default.
    #[serde(default)]
    pub(crate) max_memory: Option<Memory>,
}

/// What is done about failures of some kinds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryRule {
    /// Failures of these kinds.
    #[serde(default)]
    pub(crate) reasons: Vec<FailureReason>,
    /// Failures by these exit codes: numbers, or ranges such as `100-110`.
    #[serde(default)]
    pub(crate) exit_codes: Vec<ExitCodes>,
    /// Failures by these signals: names such as `SIGKILL`, or numbers.
    #[serde(default)]
    pub(crate) signals: Vec<Signal>,
    /// What is done about them.
    pub(crate) action: RetryAction,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureReason {
    /// The program ended with an exit code other than 0, whichever.
    ExitCode,
    /// A signal ended the program, whichever.
    Signal,
    /// The program used more memory than it may.
    OutOfMemory,
    /// The step's `timeout` passed.
    Timeout,
    /// The program does not exist, may not be executed, or refers to a value that is not there.
    CannotStart,
    /// A declared output is missing, or what was written is not JSON.
    OutputInvalid,
    /// The attempt did not run within the `startup_timeout`.
    StartupTimeout,
    /// The attempt vanished with its host, or its pod is gone and no launcher saw how it ended.
    Lost,
    /// The attempt could not be created.
    LaunchFailed,
    /// The attempt's host had it go, for room or for maintenance.
    Evicted,
    /// The image of the program could not be had.
    ImagePull,
    /// The attempt had to make room for something of a higher priority.
    Preempted,
    /// Somebody deleted the attempt who is not Windlass.
    Deleted,
    /// What was to run before the program failed.
    InitFailed,
    /// What the step asks for names something that is not there or that will not do.
    ConfigInvalid,
    /// The cluster refused the attempt: not valid, or forbidden by its rules.
    Refused,
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetryAction {
    /// The step is tried again, as long as its budget of retries holds.
    Retry,
    /// The step has failed, whatever its budget holds.
    Fail,
    /// The step has succeeded, without outputs.
    Ignore,
}

/// What an attempt may use.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Resident memory of all its processes together; above it, the attempt is ended as out of memory.
    #[serde(default)]
    pub(crate) memory: Option<Memory>,
}
