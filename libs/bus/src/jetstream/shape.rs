//! Streams and consumers as they must be: made where they are missing, changed where they differ.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    consumer::{self, AckPolicy, DeliverPolicy},
    stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
};
use serde_json::{Value, json};
use windlass_proto::subject::Subject;

use super::{
    config::{JetStreamConfig, Storage},
    error::{ApiError, ShapeError},
    link::Link,
};

/// After which time without its launchers the consumer of a host or of a cluster is dropped, and its commands are left to their
/// age.
const LAUNCHERS_GONE: Duration = Duration::from_hours(24);

/// How often to look again where somebody else makes the same stream at the same time.
const ATTEMPTS: u32 = 5;

/// One of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Event,
    Launch,
    DeadLetter,
}

impl StreamKind {
    pub(super) const ALL: [Self; 3] = [Self::Event, Self::Launch, Self::DeadLetter];

    /// The stream that keeps a subject; none for those that are not kept.
    pub(super) fn of(subject: Subject) -> Option<Self> {
        match subject {
            Subject::Event { .. } => Some(Self::Event),
            Subject::Launch { .. } | Subject::Control | Subject::Host { .. } => Some(Self::Launch),
            Subject::DeadLetter => Some(Self::DeadLetter),
            Subject::Change { .. }
            | Subject::Leases
            | Subject::Load
            | Subject::Removal
            | Subject::Question { .. }
            | Subject::Answer { .. } => None,
        }
    }

    pub(super) fn name(self, prefix: &str) -> String {
        match self {
            Self::Event => format!("{prefix}-EVENT"),
            Self::Launch => format!("{prefix}-LAUNCH"),
            Self::DeadLetter => format!("{prefix}-DEAD"),
        }
    }

    fn subjects(self, prefix: &str) -> Vec<String> {
        let subjects: &[&str] = match self {
            Self::Event => &["event.*"],
            Self::Launch => &["launch.*", "control", "host.*"],
            Self::DeadLetter => &["dead"],
        };
        subjects.iter().map(|subject| format!("{prefix}.{subject}")).collect()
    }

    /// What the stream is to be, over what it is.
    fn config(self, config: &JetStreamConfig, is: stream::Config) -> stream::Config {
        let streams = &config.streams;
        let limits = match self {
            Self::Event => streams.event,
            Self::Launch => streams.launch,
            Self::DeadLetter => streams.dead_letter,
        };
        let common = stream::Config {
            name: self.name(&config.prefix),
            subjects: self.subjects(&config.prefix),
            storage: match streams.storage {
                Storage::File => StorageType::File,
                Storage::Memory => StorageType::Memory,
            },
            num_replicas: streams.replicas,
            duplicate_window: streams.duplicate_window,
            max_message_size: -1,
            max_bytes: i64::try_from(limits.max_bytes).unwrap_or(i64::MAX),
            max_age: limits.max_age,
            ..is
        };
        match self {
            Self::Event | Self::Launch => stream::Config {
                retention: RetentionPolicy::WorkQueue,
                discard: DiscardPolicy::New,
                discard_new_per_subject: true,
                max_messages: -1,
                max_messages_per_subject: streams.subject_messages.into(),
                ..common
            },
            Self::DeadLetter => stream::Config {
                retention: RetentionPolicy::Limits,
                discard: DiscardPolicy::Old,
                discard_new_per_subject: false,
                max_messages: streams.dead_letters.into(),
                max_messages_per_subject: -1,
                ..common
            },
        }
    }
}

/// Makes a stream, or changes it, so that it is as it must be.
pub(super) async fn ensure_stream(link: &Link, kind: StreamKind) -> Result<(), ShapeError> {
    let name = kind.name(&link.config.prefix);
    let what = format!("stream {name}");
    let about = |error: ApiError| error.about(&what, &link.config);
    for _ in 0..ATTEMPTS {
        let is = match link.ask::<stream::Info>(&format!("STREAM.INFO.{name}"), &()).await {
            Ok(info) => info.config,
            Err(error) if error.is_not_found() => {
                let wanted = kind.config(&link.config, stream::Config::default());
                match link.ask::<stream::Info>(&format!("STREAM.CREATE.{name}"), &wanted).await {
                    Ok(_) => return Ok(()),
                    Err(ApiError::JetStream(error))
                        if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
                    {
                        continue;
                    }
                    Err(error) => return Err(about(error)),
                }
            }
            Err(error) => return Err(about(error)),
        };
        let wanted = kind.config(&link.config, is.clone());
        check_fixed(&is, &wanted)?;
        if is == wanted {
            return Ok(());
        }
        tracing::warn!(stream = name, "the stream is not as it must be, and is changed");
        let changed = link.ask::<stream::Info>(&format!("STREAM.UPDATE.{name}"), &wanted).await;
        return changed.map(drop).map_err(about);
    }
    Err(ShapeError::Unavailable { what, reason: "others make it in another shape".into() })
}

/// Refuses differences that NATS cannot change.
fn check_fixed(is: &stream::Config, wanted: &stream::Config) -> Result<(), ShapeError> {
    let fixed = [
        ("retention", format!("{:?}", is.retention), format!("{:?}", wanted.retention)),
        ("storage", format!("{:?}", is.storage), format!("{:?}", wanted.storage)),
    ];
    match fixed.into_iter().find(|(_, is, wanted)| is != wanted) {
        None => Ok(()),
        Some((setting, is, shall)) => {
            Err(ShapeError::Stream { stream: wanted.name.clone(), setting, is, wanted: shall })
        }
    }
}

/// A subject's consumer: shared by all who consume the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) stream: String,
    pub(super) name: String,
}

/// Makes the consumer of a subject, or changes it, so that it is as it must be; and its stream likewise, which somebody may
/// have changed since this program has connected.
pub(super) async fn ensure_consumer(
    link: &Link,
    subject: Subject,
    kind: StreamKind,
) -> Result<Shared, ShapeError> {
    let shared = Shared { stream: kind.name(&link.config.prefix), name: consumer_name(subject) };
    ensure_stream(link, kind).await?;
    match make_consumer(link, subject, &shared).await {
        Err(error) => Err(error.about(&shared.what(), &link.config)),
        Ok(()) => Ok(shared),
    }
}

impl Shared {
    fn what(&self) -> String {
        format!("consumer {} of stream {}", self.name, self.stream)
    }
}

fn consumer_name(subject: Subject) -> String {
    match subject {
        Subject::Event { partition } => format!("scheduler-{partition}"),
        Subject::Launch { cluster } => format!("launcher-cluster-{cluster}"),
        Subject::Control => "launcher-control".into(),
        Subject::Host { host } => format!("launcher-{host}"),
        // The last three are not kept, and nobody consumes them.
        Subject::DeadLetter
        | Subject::Change { .. }
        | Subject::Leases
        | Subject::Load
        | Subject::Removal
        | Subject::Question { .. }
        | Subject::Answer { .. } => "operators".into(),
    }
}

async fn make_consumer(link: &Link, subject: Subject, shared: &Shared) -> Result<(), ApiError> {
    let Shared { stream, name } = shared;
    let filter = link.spell(subject);
    let config = consumer::pull::Config {
        durable_name: Some(name.clone()),
        name: Some(name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: link.config.ack_wait,
        max_deliver: -1,
        max_ack_pending: link.config.max_ack_pending.into(),
        inactive_threshold: match subject {
            Subject::Host { .. } | Subject::Launch { .. } => LAUNCHERS_GONE,
            _ => Duration::ZERO,
        },
        filter_subject: filter.clone(),
        // What was acknowledged is no longer in the stream. That is all there is to remember: a server that restarts, and has
        // forgotten the consumer, has it made again, and delivers what is still there.
        memory_storage: true,
        ..consumer::pull::Config::default()
    };
    let config = consumer::IntoConsumerConfig::into_consumer_config(config);
    let request = format!("CONSUMER.CREATE.{stream}.{name}.{filter}");
    let payload = json!({ "stream_name": stream, "config": config });
    link.ask::<Value>(&request, &payload).await.map(drop)
}
