//! What is configured, what overrides what, and what is refused.

use std::{path::Path, time::Duration};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use windlass_service::settings::{
    self, BusAuthentication, Configuration, Program, RuntimeKind, Sources, StoreMode, keys,
};

use crate::certificates::write;

/// Sources for a test.
pub(crate) fn sources(file: Option<&Path>, variables: &[(&str, &str)], sets: &[&str]) -> Sources {
    Sources {
        file: file.map(Into::into),
        environment: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: sets.iter().map(|set| ("--set", (*set).to_owned())).collect(),
    }
}

fn load(sources: &Sources) -> Configuration {
    settings::load(Program::Submitter, sources).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong, a line each.
pub(crate) fn refused(program: Program, sources: &Sources) -> String {
    settings::load(program, sources).unwrap_err().to_string()
}

/// Asserts that these flags are refused with words like these.
#[track_caller]
fn assert_refused(program: Program, sets: &[&str], words: &[&str]) {
    let said = refused(program, &sources(None, &[], sets));
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn nothing_needs_to_be_configured() {
    for program in [Program::Submitter, Program::Scheduler, Program::Launcher, Program::Streamer] {
        let configuration = settings::load(program, &Sources::default()).unwrap();
        assert!(configuration.origins.is_empty());
        assert!(configuration.settings.admin_listen(program).is_some());
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file_which_overrides_the_defaults() {
    let dir = TempDir::new().unwrap();
    let text = "bus = {replicas = 2, ack_wait = '1min', max_ack_pending = 7}\n\
                [store]\nmode = 'cluster'\nurl = ['redis://a:1', 'redis://b:2']\n";
    let file = write(dir.path(), "windlass.toml", text);
    let variables = [
        ("WINDLASS_BUS__REPLICAS", "3"),
        ("WINDLASS_BUS__ACK_WAIT", "2min"),
        ("WINDLASS_BUS__URL", "nats://a:1,nats://b:2"),
        ("WINDLASS_BUS__TLS__REQUIRED", "true"),
        ("WINDLASS_BUS__USER", ""),
        ("PATH", "/bin"),
    ];
    let sets = ["bus.replicas=5", "launcher.runtime=simulated", "submitter.admin_listen=off"];
    let Configuration { settings, origins, .. } = load(&sources(Some(&file), &variables, &sets));

    assert_eq!(settings.bus.replicas, 5);
    assert_eq!(settings.bus.ack_wait, Duration::from_mins(2));
    assert_eq!(settings.bus.max_ack_pending, 7);
    assert_eq!(settings.bus.publish_timeout, Duration::from_secs(5));
    assert!(settings.bus.tls.required);
    assert_eq!(settings.bus.user, None);
    let urls: Vec<_> = settings.bus.url.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["nats://a:1", "nats://b:2"]);
    assert_eq!((settings.store.mode, settings.store.url.as_slice().len()), (StoreMode::Cluster, 2));
    assert_eq!(settings.launcher.runtime, RuntimeKind::Simulated);
    assert_eq!(settings.admin_listen(Program::Submitter), None);

    assert_eq!(origins["bus.replicas"], "--set");
    assert_eq!(origins["bus.ack_wait"], "the variable WINDLASS_BUS__ACK_WAIT");
    assert_eq!(origins["bus.max_ack_pending"], file.display().to_string());
    assert!(!origins.contains_key("bus.publish_timeout"));
}

#[test]
fn directories_are_a_list_or_a_text_with_commas_and_none_is_another_thing_than_not_set() {
    let dir = TempDir::new().unwrap();
    let of = |text: &str| {
        let file = write(dir.path(), "windlass.toml", text);
        let dirs = load(&sources(Some(&file), &[], &[])).settings.launcher.list_dirs;
        dirs.map(|dirs| dirs.as_slice().to_owned())
    };
    let two = Some(vec!["/a".into(), "/b c".into()]);
    assert_eq!(of("launcher.list_dirs = ['/a', '/b c']"), two);
    assert_eq!(of("launcher.list_dirs = '/a, /b c'"), two);
    assert_eq!(of("launcher.list_dirs = []"), Some(Vec::new()));
    assert_eq!(of(""), None);
}

#[test]
fn every_key_can_be_set_to_its_default_by_every_source() {
    let dir = TempDir::new().unwrap();
    let shown = load(&Sources::default()).to_toml();
    let file = write(dir.path(), "defaults.toml", &shown);
    let from_file = load(&sources(Some(&file), &[], &[]));
    let set: Vec<_> = keys().iter().filter(|key| !key.default.is_null()).collect();
    assert!(set.len() > 30);
    let texts = set
        .iter()
        .map(|key| key.default.as_str().map_or_else(|| key.default.to_string(), ToOwned::to_owned));
    let texts: Vec<_> = texts.collect();
    let variables: Vec<_> = set.iter().map(|key| key.variable()).collect();
    let variables: Vec<_> = std::iter::zip(&variables, &texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let from_environment = load(&sources(None, &variables, &[]));
    for configuration in [from_file, from_environment] {
        assert_eq!(configuration.origins.len(), set.len());
        let mut lines = configuration.to_toml();
        for (_, origin) in configuration.origins {
            lines = lines.replace(&format!(" # from {origin}\n"), "\n");
        }
        assert_eq!(lines, shown);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_where_it_is_and_what_was_meant() {
    let dir = TempDir::new().unwrap();
    let text = "shutdown = 3\nlog = {level = 7}\n\
                [bus]\nurls = 'nats://a:1'\nack_wait = 30\nreplicas = 'three'\n\
                [bus.tls]\nca = 'x'\n[metrics]\nport = 1\n";
    let file = write(dir.path(), "windlass.toml", text);
    let variables = [
        ("WINDLASS_BUS_URL", "nats://a:1"),
        ("WINDLASS_STORE", "redis://a:1"),
        ("WINDLASS_STORE__PASWORD", "hunter2"),
        ("WINDLASS_STORE__MODE", "sentinels"),
        ("WINDLASS_INSTALLATION__PARTITIONS", "0"),
        ("WINDLASS_LAUNCHER__SIMULATED__FAILURE_SHARE", "NaN"),
    ];
    let sets = [
        "submitter.listen=localhost:4600",
        "store.retention.finished_for=-1d",
        "bus.streams.event.max_bytes=1GB",
        "launcher.slots=0",
        "grpc.plaintext=yes",
        "bus.token=hunter2",
        "store.url=redis://windlass:hunter2@a:1",
        "lunch=x",
        "hunter2",
    ];
    let said = refused(Program::Submitter, &sources(Some(&file), &variables, &sets));
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said.replace(&dir.path().display().to_string(), "/etc"));
}

#[test]
fn wrong_values_broken_rules_and_files_that_will_not_do_are_told_in_one_go() {
    let dir = TempDir::new().unwrap();
    let text = "[installation]\nname = 'My Runs'\n\
                [bus]\nreplicas = 7\nack_wait = '0s'\nnkey_seed_file = 'DIR/seed'\n\
                [store]\npassword_file = 'DIR/none'\n\
                [store.tls]\nca_file = 'DIR/seed'\ncert_file = 'DIR/none'\nkey_file = 'DIR/none'\n\
                [launcher]\nhost = 'rack/7'\ndirectory = 'attempts'\n";
    let place = dir.path().display().to_string();
    write(dir.path(), "seed", "hunter2");
    let file = write(dir.path(), "windlass.toml", &text.replace("DIR", &place));
    let said = refused(Program::Launcher, &sources(Some(&file), &[], &[]));
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said.replace(&place, "/etc"));
}

#[test]
fn nothing_is_said_that_a_wrong_value_would_decide() {
    for (program, sets) in [
        (Program::Submitter, &["bus.user=me", "bus.pasword_file=/p"][..]),
        (Program::Submitter, &["bus.user=me", "bus.password=hunter2"]),
        (Program::Submitter, &["store.mode=sentinels", "store.sentinel_master=x"]),
        (Program::Submitter, &["store.mode=clusters", "store.url=redis://a:1,redis://b:1"]),
        (Program::Submitter, &["submitter.listen=0.0.0.0:1", "grpc.plaintext=yes"]),
        (Program::Submitter, &["submitter.listen=0.0.0.0:1", "grpc.plain_text=true"]),
        (Program::Launcher, &["launcher.runtime=none", "launcher.directory=attempts"]),
    ] {
        let error = settings::load(program, &sources(None, &[], sets)).unwrap_err();
        assert_eq!(error.violations.len(), 1, "{sets:?}: {error}");
    }
}

#[test]
fn variables_that_others_make_are_none_of_its_business() {
    let others = [
        ("WINDLASS_LOG", "debug"),
        ("WINDLASS_CONFIG", "/etc/windlass.toml"),
        ("WINDLASS_SERVER", "http://127.0.0.1:7878"),
        ("WINDLASS_RUN_ID", "run_1"),
        ("WINDLASS_SUBMITTER_SERVICE_HOST", "10.0.0.1"),
        ("WINDLASS_SUBMITTER_PORT", "tcp://10.0.0.1:4600"),
        ("WINDLASS_SUBMITTER_PORT_4600_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(load(&sources(None, &others, &[])).origins.is_empty());
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_told_without_its_content() {
    let dir = TempDir::new().unwrap();
    let said = refused(Program::Submitter, &sources(Some(&dir.path().join("no")), &[], &[]));
    assert!(said.contains("/no: cannot be read: No such file"), "{said}");
    let file = write(dir.path(), "bad.toml", "[bus]\npassword = 'hunter2\n");
    let said = refused(Program::Submitter, &sources(Some(&file), &[], &[]));
    assert!(said.contains("line 2") && !said.contains("hunter2"), "{said}");
}

#[test]
fn secrets_are_taken_from_variables_and_shown_nowhere() {
    let variables =
        [("WINDLASS_BUS__PASSWORD", "hunter2"), ("WINDLASS_STORE__PASSWORD", "hunter3")];
    let configuration = load(&sources(None, &variables, &["bus.user=windlass"]));
    let shown = format!("{configuration:?}{}", configuration.to_toml());
    assert!(!shown.contains("hunter"), "{shown}");

    let bus = configuration.settings.bus.authentication().unwrap();
    let BusAuthentication::Password { user, password } = bus else { panic!("{bus:?}") };
    assert_eq!((user.as_str(), password.expose_secret()), ("windlass", "hunter2"));
    let store = configuration.settings.store.authentication().unwrap();
    assert_eq!(store.password.unwrap().expose_secret(), "hunter3");
}

#[test]
fn a_secret_in_the_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = write(dir.path(), "windlass.toml", "bus.password = 'hunter2'\n");
    let said = refused(Program::Scheduler, &sources(Some(&file), &[], &[]));
    assert!(
        said.contains("WINDLASS_BUS__PASSWORD") && said.contains("`bus.password_file`"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn grpc_without_tls_where_others_can_connect_must_be_said() {
    let remote = "submitter.listen=0.0.0.0:4600";
    assert_refused(
        Program::Submitter,
        &[remote],
        &["`submitter.listen`", "`grpc.plaintext` = true"],
    );
    load(&sources(None, &[], &[remote, "grpc.plaintext=true"]));
    load(&sources(None, &[], &["submitter.listen=[::1]:4600"]));
    // Who does not listen there has nothing to say.
    settings::load(Program::Scheduler, &sources(None, &[], &[remote])).unwrap();
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    use Program::{Launcher, Streamer, Submitter};
    for (program, sets, words) in [
        (Submitter, &["installation.name=My Runs"][..], &["`installation.name`", "a to z"][..]),
        (Submitter, &["bus.url=http://a:1"], &["`http://a:1`", "`nats://` or `tls://`"]),
        (Submitter, &["bus.user=me"], &["`bus.password_file`"]),
        (Submitter, &["bus.password_file=/p"], &["`bus.user`, from the defaults: is not set"]),
        (
            Submitter,
            &["bus.token_file=/t", "bus.nkey_seed_file=/s"],
            &["`bus.nkey_seed_file`", "besides `bus.token_file`"],
        ),
        (Submitter, &["bus.tls.key_file=/k"], &["needs `bus.tls.cert_file`"]),
        (Submitter, &["bus.ack_wait=0s"], &["`bus.ack_wait`", "at least 1s"]),
        (Submitter, &["store.url=redis://a:1,redis://b:1"], &["`store.mode` = `single`"]),
        (Submitter, &["store.url=redis://a:1,rediss://b:1"], &["the same scheme"]),
        (Submitter, &["store.mode=sentinel"], &["`store.sentinel_master`", "is not set"]),
        (Submitter, &["store.sentinel_master=x"], &["for sentinels only"]),
        (Submitter, &["store.tls.ca_file=/c"], &["write `rediss://`"]),
        (Streamer, &["grpc.tls.cert_file=/c"], &["needs `grpc.tls.key_file`"]),
        (Streamer, &["grpc.tls.client_ca_file=/c"], &["needs TLS"]),
        (
            Streamer,
            &["grpc.tls.cert_file=/c", "grpc.tls.key_file=/k", "grpc.plaintext=true"],
            &["keep one of them"],
        ),
        (Launcher, &["launcher.directory=attempts"], &["is not absolute"]),
        (Launcher, &["launcher.host= "], &["`launcher.host`", "is no name for a host"]),
        (Launcher, &["launcher.host=rack/7"], &["`rack/7` is no name for a host"]),
        (Launcher, &["launcher.host=..", "launcher.runtime=simulated"], &["`launcher.host`"]),
        (Launcher, &["launcher.directory=/dev/null"], &["/dev/null is no directory"]),
        (Launcher, &["launcher.list_dirs=/a,data"], &["`data` is not absolute"]),
        (Launcher, &["launcher.list_dirs=/dev/null"], &["/dev/null is no directory"]),
        (Launcher, &["launcher.list_dirs="], &["`` is not absolute"]),
        (Launcher, &["launcher.cluster=GPU"], &["`GPU` is no lawful name of a cluster"]),
        (Launcher, &["launcher.clusters_file=/nowhere"], &["/nowhere cannot be read"]),
        (Streamer, &["streamer.directory=/dev/null"], &["/dev/null is no directory"]),
        (
            Streamer,
            &["streamer.listen=127.0.0.1:4613"],
            &["`streamer.listen`", "that of `streamer.admin_listen`, too"],
        ),
        (Launcher, &["log.level=info,windlass=loud"], &["`log.level`"]),
        (Launcher, &["log.level=verbose"], &["`log.level`", "`verbose` is no level"]),
        (Launcher, &["scheduler.lease_time=1ms"], &["at least 500ms"]),
    ] {
        assert_refused(program, sets, words);
    }
}
