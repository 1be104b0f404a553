//! The numbers that a pipeline, its file and its arguments must keep to.

/// Steps of a pipeline, at every depth.
pub const STEPS: usize = 1_000_000;

/// How deep groups, loops and branches may lie in each other.
pub const NESTING: usize = 16;

/// Items of a loop.
pub const ITEMS: usize = 10_000_000;

/// Bytes of a list file: 1 GiB, which is read in seconds.
pub const LIST_FILE_BYTES: u64 = 1 << 30;

/// Bytes of a line of a list file, its end left out: 64 KiB, as much as all outputs of a step.
pub const LIST_LINE_BYTES: usize = 64 << 10;

/// Branches of a step.
pub const BRANCHES: usize = 100;

/// Bytes of a condition.
pub const CONDITION_BYTES: usize = 4_096;

/// Bytes of all conditions of a pipeline together: 8 MiB, which take some seconds to parse at worst.
pub const CONDITIONS_BYTES: usize = 8 << 20;

/// Dependencies of all steps together, those implied by references included.
pub const DEPENDENCIES: usize = 10_000_000;

/// Bytes of an encoded pipeline: 512 MiB.
pub const PIPELINE_BYTES: usize = 512 << 20;

/// Bytes of an encoded task: 1 MiB, half of what Linux takes as arguments and environment of a program.
pub const TASK_BYTES: usize = 1 << 20;

/// Bytes of one entry of a command, of arguments, or of the environment: the most that Linux takes.
pub const TEXT_BYTES: usize = (128 << 10) - 1;

/// Bytes of a working directory: the most that Linux takes.
pub const PATH_BYTES: usize = 4095;

/// Bytes of the name of an image.
pub const IMAGE_BYTES: usize = 1_024;

/// Entries of a command and its arguments together.
pub const WORDS: usize = 10_000;

/// Variables that a step adds to the environment.
pub const ENV_VARS: usize = 1_000;

/// Characters of the name of an environment variable.
pub const ENV_NAME_CHARS: usize = 255;

/// Outputs of a step.
pub const OUTPUTS: usize = 64;

/// Named limits of a step.
pub const NAMED_LIMITS: usize = 8;

/// The highest priority of a run, and by how much the lowest one is below 0.
pub const PRIORITY: i32 = 1_000;

/// Entries of a cache's key.
pub const CACHE_KEYS: usize = 64;

/// Bytes of a cache's salt.
pub const CACHE_SALT_BYTES: usize = 1_024;

/// Parameters of a pipeline, or of a group.
pub const PARAMETERS: usize = 1_000;

/// Labels of a pipeline.
pub const LABELS: usize = 64;

/// Characters of a name, and of a label's key or value.
pub const NAME_CHARS: usize = 63;

/// Characters of a description.
pub const DESCRIPTION_CHARS: usize = 4_096;

/// Bytes of all arguments of a run together, encoded; the same for those of a group, and for all defaults: 1 MiB.
pub const ARGUMENTS_BYTES: usize = 1 << 20;

/// How deep lists and objects of a value, such as an argument or an item, may lie in each other.
pub const VALUE_DEPTH: usize = 16;

/// Retries of a step, for each of the two budgets.
pub const RETRIES: u32 = 10_000;

/// Retry rules of a step.
pub const RETRY_RULES: usize = 32;

/// The most by which a delay may be longer than the one before, and memory more.
pub const RETRY_FACTOR: f64 = 100.0;

/// Seconds of the longest duration: 30 days.
pub const DURATION_SECONDS: i64 = 30 * 24 * 3600;

/// Bytes of a pipeline file and of all files that it uses: 32 MiB.
pub const FILE_BYTES: usize = 32 << 20;

/// Files that a pipeline file uses, at every depth.
pub const FILES: usize = 100;

/// How deep lists and maps of a pipeline file may lie in each other: two levels for each group, and some for the values within.
pub const FILE_DEPTH: usize = 64;

/// Nodes that all aliases (`*name`) of a pipeline file together may stand for.
pub const FILE_ALIASED_NODES: usize = 100_000;

/// Bytes of all texts of a pipeline file once its aliases are replaced by what they stand for; likewise of all files that it
/// uses, once they stand wherever they are used: 64 MiB.
pub const FILE_EXPANDED_BYTES: u64 = 64 << 20;

/// Violations that are told in full; the others are counted. So many fit into the trailers of an answer.
pub const VIOLATIONS: usize = 20;

/// Bytes of all values that a plan has in place of references: 64 MiB. References beyond stay as they are.
pub const PLAN_VALUES_BYTES: usize = 64 << 20;
