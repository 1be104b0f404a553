//! Why a run, a step or an attempt is where it is.

/// Whose fault a failure is, and so which budget of retries it uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The step's own.
    Step,
    /// Not the step's: a host, a start-up.
    System,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// In one word, for programs.
    pub reason: FailureReason,
    /// For people.
    pub message: String,
    /// Where the program ended by itself.
    pub exit_code: Option<i32>,
    /// Where a signal ended the program.
    pub signal: Option<i32>,
}

/// How an attempt failed, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The program ended with an exit code other than 0.
    ExitCode,
    /// A signal ended the program.
    Signal,
    /// The program used more memory than it may.
    OutOfMemory,
    /// The step's time-out passed.
    Timeout,
    /// The program does not exist or may not be executed.
    CannotStart,
    /// A declared output is missing, or what was written is not JSON.
    OutputInvalid,
    /// It did not run within the start-up time-out.
    StartupTimeout,
    /// It is gone, and nobody saw how it ended: a process with its host or its supervisor, a pod while no launcher watched it.
    Lost,
    /// The launcher could not create it.
    LaunchFailed,
    /// Its host had it go, for room or for maintenance.
    Evicted,
    /// The image of its program could not be had.
    ImagePull,
    /// No attempt was made: the condition has no value, or the list of items is none.
    ExpressionInvalid,
    /// No attempt was made: somebody refused the approval.
    Rejected,
    /// It had to make room for something of a higher priority.
    Preempted,
    /// Somebody deleted it who is not Windlass. Who reports it does not know who asked: the message says what it was doing until
    /// then, and nothing else.
    Deleted,
    /// What was to run before the program failed.
    InitFailed,
    /// What the step asks for names something that is not there or that will not do.
    ConfigInvalid,
    /// The cluster refused it: not valid, or forbidden by its rules.
    Refused,
}

impl FailureReason {
    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::ExitCode
            | Self::Signal
            | Self::OutOfMemory
            | Self::Timeout
            | Self::CannotStart
            | Self::OutputInvalid
            | Self::ExpressionInvalid
            | Self::Rejected
            | Self::InitFailed
            | Self::ConfigInvalid
            | Self::Refused => Fault::Step,
            Self::StartupTimeout
            | Self::Lost
            | Self::LaunchFailed
            | Self::Evicted
            | Self::ImagePull
            | Self::Preempted
            | Self::Deleted => Fault::System,
        }
    }
}

/// Why a step is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reason {
    /// Nothing to say.
    #[default]
    None,
    /// Skipped: a dependency failed.
    UpstreamFailed,
    /// Skipped: a dependency was skipped.
    UpstreamSkipped,
    /// Skipped: a dependency was cancelled.
    UpstreamCancelled,
    /// Skipped: the trigger rule asked for an outcome that no dependency had.
    TriggerRuleNotMet,
    /// Skipped: its condition is false, or another branch was taken.
    ConditionFalse,
    /// A step that it holds failed.
    StepFailed,
    /// Skipped, cancelled or stopping: the run is being stopped.
    RunStopped(StopCause),
    /// The latest attempt failed so; the step has failed, is delayed, or is stopping. Or it has succeeded, since a rule says
    /// that the failure does not matter.
    Failure(FailureReason),
    /// The latest attempt was withdrawn before it existed.
    Withdrawn,
    /// Succeeded: the latest attempt was not created, and a result was taken that was kept before.
    Cached,
}

/// Why a run starts nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopCause {
    /// A step failed, and the failure mode ends the run.
    Failure,
    /// The run's time-out passed.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// A record about it can never be understood, so that nobody knows what became of it.
    Defect,
}
