//! The numbers that a pipeline, its file and its arguments must keep to.

/// Steps of a pipeline.
pub const STEPS: usize = 1_000_000;

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

/// Entries of a command and its arguments together.
pub const WORDS: usize = 10_000;

/// Variables that a step adds to the environment.
pub const ENV_VARS: usize = 1_000;

/// Characters of the name of an environment variable.
pub const ENV_NAME_CHARS: usize = 255;

/// Output parameters of a step.
pub const OUTPUTS: usize = 64;

/// Parameters of a pipeline.
pub const PARAMETERS: usize = 1_000;

/// Labels of a pipeline.
pub const LABELS: usize = 64;

/// Characters of a name, and of a label's key or value.
pub const NAME_CHARS: usize = 63;

/// Characters of a description.
pub const DESCRIPTION_CHARS: usize = 4_096;

/// Bytes of all arguments of a run together, encoded; the same for all defaults of a pipeline: 1 MiB.
pub const ARGUMENTS_BYTES: usize = 1 << 20;

/// How deep lists and objects of an argument may lie in each other.
pub const VALUE_DEPTH: usize = 16;

/// Retries of a step, for each of the two budgets.
pub const RETRIES: u32 = 10_000;

/// The most by which a delay may be longer than the one before.
pub const RETRY_FACTOR: f64 = 100.0;

/// Seconds of the longest duration: 30 days.
pub const DURATION_SECONDS: i64 = 30 * 24 * 3600;

/// Bytes of a pipeline file: 32 MiB.
pub const FILE_BYTES: usize = 32 << 20;

/// How deep lists and maps of a pipeline file may lie in each other.
pub const FILE_DEPTH: usize = 32;

/// Nodes that all aliases (`*name`) of a pipeline file together may stand for.
pub const FILE_ALIASED_NODES: usize = 100_000;

/// Bytes of all texts of a pipeline file once its aliases are replaced by what they stand for: 64 MiB.
pub const FILE_EXPANDED_BYTES: u64 = 64 << 20;

/// Violations that are told in full; the others are counted. So many fit into the trailers of an answer.
pub const VIOLATIONS: usize = 20;
