//! What keeps a store from being opened, and what is said about it.

use windlass_servers::{Certificates, Program, RedisServer};
use windlass_store::{
    Durability, Installation, RedisConfig, RedisMode, RedisOpenError, RedisPassword, RedisStore,
    RedisTls, Store,
};

use crate::fixture::{
    as_limited_user, cluster_config, config, documented_rights, eventually, new_run, open,
    start_cluster, tell, tell_at,
};

async fn refusal(config: &RedisConfig) -> RedisOpenError {
    RedisStore::open(config).await.map(drop).expect_err("it is refused")
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_without_showing_passwords() {
    let mut config = RedisConfig::new("redis:/me:secret@somewhere");
    config.password = Some(RedisPassword::new("hidden too"));
    let error = refusal(&config).await;
    assert!(matches!(error, RedisOpenError::Settings(_)), "{error:?}");
    assert!(!error.to_string().contains("secret") && !format!("{config:?}").contains("hidden too"));
    config.urls = vec!["redis://127.0.0.1:1".into(), "redis://127.0.0.1:2".into()];
    assert!(refusal(&config).await.to_string().contains("`store.mode` single needs one"));
    config.urls.clear();
    assert!(matches!(refusal(&config).await, RedisOpenError::Settings(_)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let server = RedisServer::start().await;
    let config = config(&server);
    server.kill();
    let error = refusal(&config).await;
    let RedisOpenError::Unreachable { address, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*address, server.address().to_string());
}

#[tokio::test]
async fn a_server_that_throws_runs_away_is_refused() {
    let server = RedisServer::builder().args(["--maxmemory-policy", "allkeys-lru"]).start().await;
    let error = refusal(&config(&server)).await;
    assert_eq!(error, RedisOpenError::Evicts { policy: "allkeys-lru".into() });
}

#[tokio::test]
async fn another_kind_of_servers_than_configured_is_refused() {
    let single = RedisServer::start().await;
    let mut as_cluster = config(&single);
    as_cluster.mode = RedisMode::Cluster;
    let error = refusal(&as_cluster).await;
    assert!(
        matches!(&error, RedisOpenError::Mode { found, .. } if found == "standalone"),
        "{error:?}"
    );
    let cluster = start_cluster().await;
    let error = refusal(&config(&cluster[0])).await;
    assert!(
        matches!(&error, RedisOpenError::Mode { found, .. } if found == "cluster"),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_number_of_partitions_than_installed_is_refused() {
    let server = RedisServer::start().await;
    let mut config = config(&server);
    open(&config).await.install(Installation::new(16)).await.unwrap();
    config.partitions = 32;
    let error = refusal(&config).await;
    assert_eq!(error, RedisOpenError::Partitions { configured: 32, installed: 16 });
    let words = error.to_string();
    assert!(words.contains("`installation.partitions` to 16"), "{words}");
}

#[tokio::test]
async fn what_the_server_keeps_is_told() {
    let replica_of_it = async |server: &RedisServer| {
        let port = server.address().port().to_string();
        let replica =
            RedisServer::builder().args(["--replicaof", "127.0.0.1", &port]).start().await;
        eventually("the replica", async || {
            let info = tell(server, &["INFO", "replication"]).await;
            let info: String = redis::from_redis_value(info).unwrap();
            info.contains("state=online").then_some(())
        })
        .await;
        replica
    };
    let server = RedisServer::start().await;
    let (_, told) = RedisStore::open(&config(&server)).await.unwrap();
    let always =
        Durability { log: true, fsync: Some("always".into()), replicas: 0, min_replicas: Some(0) };
    assert_eq!(told, always);
    assert!(told.is_full());
    let _replica = replica_of_it(&server).await;
    tell(&server, &["CONFIG", "SET", "appendfsync", "everysec", "min-replicas-to-write", "1"])
        .await;
    let (_, told) = RedisStore::open(&config(&server)).await.unwrap();
    let expected = Durability {
        log: true,
        fsync: Some("everysec".into()),
        replicas: 1,
        min_replicas: Some(1),
    };
    assert_eq!(told, expected);
    assert!(!told.is_full());
}

/// Has a server listen on another port, with TLS.
async fn listen_with_tls(server: &RedisServer, certificates: &Certificates) -> u16 {
    let (certificate, key) = certificates.server();
    let authority = certificates.authority();
    let [certificate, key, authority] =
        [&certificate, &key, &authority].map(|path| path.to_str().expect("it is UTF-8"));
    let mut port = server.address().port();
    eventually("a free port", async || {
        port += 1;
        let number = port.to_string();
        let mut words = vec!["CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file", key];
        words.extend(["tls-ca-cert-file", authority, "tls-port", &number]);
        tell_at(&server.url(), &words).await.ok()
    })
    .await;
    port
}

/// The user that the refusal tells to make is enough, over TLS with a certificate of the client.
#[tokio::test]
async fn a_user_with_what_is_needed_and_no_more_gets_in_over_tls() {
    let certificates = Certificates::make();
    // Valkey comes without TLS in some builds.
    let server = RedisServer::builder().program(Program::Redis).start().await;
    let port = listen_with_tls(&server, &certificates).await;
    let mut config = config(&server);
    config.urls = vec![format!("rediss://localhost:{port}")];
    config.username = Some("windlass".into());
    config.password = Some(RedisPassword::new("secret"));
    let read = |path: &std::path::Path| std::fs::read(path).unwrap();
    let client = certificates.client();
    let tls = RedisTls {
        ca: Some(read(&certificates.authority())),
        client: Some((read(&client.0), read(&client.1))),
    };

    let without = refusal(&config).await;
    assert!(matches!(without, RedisOpenError::Tls { .. }), "nobody trusts it: {without:?}");
    config.tls = Some(RedisTls { client: None, ..tls.clone() });
    let without = refusal(&config).await;
    // The server ends the handshake with an alert, or the connection before that is read.
    let refused =
        matches!(without, RedisOpenError::Tls { .. } | RedisOpenError::Unreachable { .. });
    assert!(refused, "it asks for a certificate: {without:?}");
    config.tls = Some(tls);
    let unknown = refusal(&config).await;
    assert!(matches!(unknown, RedisOpenError::Credentials { .. }), "{unknown:?}");

    tell(&server, &["ACL", "SETUSER", "windlass", "on", ">secret", "+@all", "~else:*"]).await;
    let told = refusal(&config).await;
    let RedisOpenError::Permission { why, .. } = &told else { panic!("{told:?}") };
    assert!(why.to_lowercase().contains("key"), "{why}");
    tell(&server, &["ACL", "SETUSER", "windlass", "resetkeys", "~*", "-zadd"]).await;
    let told = refusal(&config).await;
    let RedisOpenError::Permission { why, .. } = &told else { panic!("{told:?}") };
    assert!(why.contains("ZADD"), "{why}");

    let words = told.to_string();
    let (_, rights) = words.split_once("ACL SETUSER windlass ").expect("it says what to do");
    tell(&server, &["ACL", "SETUSER", "windlass", "reset", "on", ">secret"]).await;
    let grant: Vec<&str> =
        ["ACL", "SETUSER", "windlass"].into_iter().chain(rights.split_whitespace()).collect();
    tell_at(&server.url(), &grant).await.unwrap();
    let store = open(&config).await;
    store.create(new_run(1, 3)).await.unwrap();
    assert_eq!(store.active_runs(0, 1).await.unwrap().len(), 1);
    tell(&server, &["ACL", "SETUSER", "windlass", "-config"]).await;
    let (_, told) = RedisStore::open(&config).await.unwrap();
    assert_eq!((told.log, told.fsync, told.min_replicas), (true, None, None), "it may not look");
}

/// Takes away one right after the other. That a server has learned the script already does not hide that it may not be sent.
async fn each_right_is_tried(servers: &[RedisServer], config: RedisConfig, rights: &[&str]) {
    let mut config = config;
    for server in servers {
        config = as_limited_user(server, config, rights).await;
    }
    let store = open(&config).await;
    store.install(Installation::new(config.partitions)).await.expect("recorded");
    drop(store);
    // Of one server, since a cluster's nodes have users of their own.
    let server = servers.last().expect("a server");
    for right in rights {
        let others: Vec<&str> = rights.iter().copied().filter(|other| other != right).collect();
        config = as_limited_user(server, config, &others).await;
        let told = refusal(&config).await;
        assert!(matches!(told, RedisOpenError::Permission { .. }), "{right}: {told:?}");
    }
}

#[tokio::test]
async fn each_right_that_is_needed_is_tried_before_a_store_is_open() {
    let server = RedisServer::start().await;
    each_right_is_tried(std::slice::from_ref(&server), config(&server), &documented_rights()).await;
}

#[tokio::test]
async fn each_right_that_is_needed_in_a_cluster_is_tried_on_its_nodes() {
    let servers = start_cluster().await;
    let config = cluster_config(&servers);
    let stranger = RedisConfig { password: Some(RedisPassword::new("no")), ..config.clone() };
    let told = refusal(&stranger).await;
    assert!(matches!(told, RedisOpenError::Credentials { .. }), "{told:?}");
    let rights = [&documented_rights()[..], &["+cluster|slots", "+ping", "+asking"]].concat();
    each_right_is_tried(&servers, config, &rights).await;
}
