//! Streams that are in another shape, or cannot be made.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull, stream};
use bytes::Bytes;
use windlass_bus::{
    Bus as _, JetStreamBus,
    jetstream::{ConnectError, Credentials, JetStreamConfig, SecretString, ShapeError, Storage},
};
use windlass_proto::subject::{ClusterToken, Subject};
use windlass_servers::NatsServer;

use crate::fixture::{EVENT, ack, config, connect, fetch_one, publish};

async fn refused(config: JetStreamConfig) -> ShapeError {
    match JetStreamBus::connect(config).await {
        Err(ConnectError::Shape(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_changed_where_that_is_possible_and_keeps_its_messages() {
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    let before = connect(config.clone()).await;
    publish(&before, 1).await.unwrap();
    drop(before);
    config.streams.subject_messages = 7;
    config.streams.event.max_age = Duration::from_mins(90);
    config.streams.launch.max_bytes = 5 << 20;
    config.streams.dead_letters = 9;
    config.ack_wait = Duration::from_secs(77);
    let bus = connect(config.clone()).await;
    let mut consumer = bus.consume(EVENT).await.unwrap();
    assert_eq!(ack(fetch_one(&mut *consumer).await).await, 1);
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let event = context.get_stream(format!("{}-EVENT", config.prefix)).await.unwrap();
    let is = &event.cached_info().config;
    assert_eq!((is.max_messages_per_subject, is.max_age), (7, Duration::from_mins(90)));
    let launch = context.get_stream(format!("{}-LAUNCH", config.prefix)).await.unwrap();
    assert_eq!(launch.cached_info().config.max_bytes, 5 << 20);
    let dead = context.get_stream(format!("{}-DEAD", config.prefix)).await.unwrap();
    assert_eq!(dead.cached_info().config.max_messages, 9);
    let consumer = event.consumer_info("scheduler-0").await.unwrap();
    assert_eq!(consumer.config.ack_wait, Duration::from_secs(77));
}

#[tokio::test]
async fn a_stream_that_somebody_changes_while_programs_run_is_put_right_by_whoever_consumes_next() {
    let server = NatsServer::shared().await;
    let config = config(&server);
    let bus = connect(config.clone()).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let name = format!("{}-EVENT", config.prefix);
    let shape = async || context.get_stream(&name).await.unwrap().cached_info().config.clone();
    let before = shape().await;
    let changed = stream::Config {
        discard: stream::DiscardPolicy::Old,
        discard_new_per_subject: false,
        max_messages: 1,
        ..before.clone()
    };
    context.update_stream(&changed).await.unwrap();
    assert_ne!(shape().await, before);
    let mut consumer = bus.consume(EVENT).await.unwrap();
    assert_eq!(shape().await, before);
    for number in [1, 2] {
        publish(&bus, number).await.unwrap();
    }
    for number in [1, 2] {
        assert_eq!(ack(fetch_one(&mut *consumer).await).await, number, "none was dropped");
    }
}

/// A stream as programs made it before commands travelled by cluster, with a command and its consumer.
#[tokio::test]
async fn a_stream_with_other_subjects_is_changed_and_what_lies_on_them_is_in_nobodys_way() {
    let server = NatsServer::shared().await;
    let config = config(&server);
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let (prefix, launch) = (&config.prefix, Subject::Launch { cluster: ClusterToken::DEFAULT });
    let before = stream::Config {
        name: format!("{prefix}-LAUNCH"),
        subjects: ["launch", "control", "host.*"].map(|it| format!("{prefix}.{it}")).into(),
        retention: stream::RetentionPolicy::WorkQueue,
        max_bytes: 1 << 20,
        ..stream::Config::default()
    };
    let stream = context.create_stream(before).await.unwrap();
    let filter_subject = format!("{prefix}.launch");
    let durable_name = Some("launcher".to_owned());
    let consumer = pull::Config { durable_name, filter_subject, ..pull::Config::default() };
    stream.create_consumer(consumer).await.unwrap();
    context.publish(format!("{prefix}.launch"), "old".into()).await.unwrap().await.unwrap();
    let bus = connect(config).await;
    bus.publish(launch, Bytes::from_static(b"new").into()).await.unwrap();
    let mut consumer = bus.consume(launch).await.unwrap();
    let delivery = fetch_one(&mut *consumer).await;
    assert_eq!(delivery.payload, "new");
    delivery.receipt.ack().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_cannot_be_changed_is_named_with_what_differs() {
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    drop(connect(config.clone()).await);
    config.streams.storage = Storage::Memory;
    let error = refused(config.clone()).await;
    let ShapeError::Stream { stream, setting, is, wanted } = &error else { panic!("{error}") };
    assert_eq!(*stream, format!("{}-EVENT", config.prefix));
    assert_eq!((*setting, is.as_str(), wanted.as_str()), ("storage", "File", "Memory"));
    assert!(error.to_string().contains(&format!("nats stream rm {stream}")), "{error}");
}

#[tokio::test]
async fn somebody_elses_stream_on_the_same_subjects_is_told() {
    let server = NatsServer::shared().await;
    let config = config(&server);
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let theirs = stream::Config {
        name: format!("{}-theirs", config.prefix),
        subjects: vec![format!("{}.>", config.prefix)],
        ..stream::Config::default()
    };
    context.create_stream(theirs).await.unwrap();
    let error = refused(config).await.to_string();
    assert!(error.contains("subjects overlap with an existing stream"), "{error}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told() {
    let server = NatsServer::builder().without_jetstream().start().await;
    let error = refused(config(&server)).await;
    assert!(matches!(error, ShapeError::NoJetStream { .. }), "{error}");
}

#[tokio::test]
async fn an_account_without_jetstream_is_told() {
    let accounts = "accounts: { PLAIN: { users: [ { user: plain, password: plain } ] } }";
    let server = NatsServer::builder().config(accounts).start().await;
    let mut config = config(&server);
    config.credentials = user("plain");
    let error = refused(config).await;
    assert!(matches!(error, ShapeError::NoJetStream { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_room_is_told() {
    let server = NatsServer::builder().jetstream("max_file_store: 1MB").start().await;
    let error = refused(config(&server)).await;
    assert!(matches!(error, ShapeError::NoRoom { .. }), "{error}");
}

#[tokio::test]
async fn too_few_servers_for_the_replicas_are_told() {
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    config.streams.replicas = 3;
    let error = refused(config).await;
    assert!(matches!(error, ShapeError::Replicas { replicas: 3, .. }), "{error}");
}

#[tokio::test]
async fn what_the_user_may_not_do_is_told() {
    let users = r#"
        authorization: { users: [
            { user: all, password: all },
            { user: api, password: api, permissions: { publish: { deny: ["$JS.API.>"] } } },
            { user: inbox, password: inbox, permissions: { subscribe: { deny: ["_INBOX.>"] } } },
            { user: event, password: event, permissions: { publish: { deny: ["*.event.*"] } } },
        ] }"#;
    let server = NatsServer::builder().config(users).start().await;
    let mut config = config(&server);
    for name in ["api", "inbox"] {
        config.credentials = user(name);
        let error = refused(config.clone()).await;
        assert!(matches!(error, ShapeError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("Permissions Violation"), "{error}");
    }
    config.credentials = user("event");
    let bus = connect(config).await;
    let refused = publish(&bus, 1).await.unwrap_err();
    assert!(refused.to_string().contains("Permissions Violation"), "{refused}");
}

fn user(name: &str) -> Credentials {
    Credentials::UserAndPassword { user: name.to_owned(), password: SecretString::from(name) }
}
