//! The rights that `docs/distributed.md` gives the programs are enough, and what it says of servers holds when they are started
//! again.

use std::{collections::BTreeMap, fs};

use windlass_servers::{NatsServer, Program, RedisBuilder, RedisServer};
use windlass_tests::waiting::http_status;

use crate::{
    documented::{Files, PASSWORD, block, blocks},
    file::{root, text},
    program::{self, Running, eventually},
};

/// What servers say to one who may not do something.
const REFUSALS: [&str; 3] = ["Permissions Violation", "NOPERM", "NoPerm"];

/// An installation as the page describes it, on servers that give it no more than the page says.
struct Installation {
    redis: RedisServer,
    nats: NatsServer,
    files: Files,
    programs: Vec<Running>,
    command: BTreeMap<String, String>,
}

impl Installation {
    async fn start(redis: RedisBuilder) -> Self {
        let files = Files::make();
        let nats = NatsServer::builder()
            .config(&files.place(&block("nats")).replace("PUBLIC-KEY", &files.nkey.public_key()));
        let acl = files.dir.path().join("users.acl");
        fs::write(&acl, block("acl").replace("PASSWORD", PASSWORD)).expect("the file is written");
        let redis = redis.args(["--aclfile".as_ref(), acl.as_os_str()]);
        let (nats, redis) = tokio::join!(nats.start(), redis.start());
        let command = [
            ("WINDLASS_TLS_CA", "/etc/windlass/ca.crt"),
            ("WINDLASS_TLS_CERT", "/etc/windlass/client.crt"),
            ("WINDLASS_TLS_KEY", "/etc/windlass/client.key"),
        ];
        let command = command.map(|(name, path)| (name.to_owned(), files.place(path))).into();
        let mut it = Self { redis, nats, files, programs: Vec::new(), command };
        let config = it.config();
        for name in ["submitter", "scheduler", "launcher", "streamer"] {
            it.start_program(name, &config).await;
        }
        it
    }

    /// The page's file for all programs, with the places of these servers.
    fn config(&self) -> String {
        let all = blocks("toml").into_iter().find(|block| block.contains("[grpc.tls]"));
        let all = self.files.place(&all.expect("there is a whole file"));
        let (before, store) = all.split_once("[store]").expect("it is about the store");
        let (store, after) = store.split_once("\n[").expect("more follows");
        // The server of the tests speaks no TLS.
        let store: Vec<&str> = store.lines().filter(|line| !line.starts_with("tls.")).collect();
        let config = format!("{before}[store]{}\n[{after}", store.join("\n"));
        let nats = self.nats.url().replace("nats://", "tls://");
        let (redis, free) = (self.redis.url(), "127.0.0.1:0".to_owned());
        let replaced = [
            ("tls://nats:4222", &nats),
            ("rediss://redis:6379", &redis),
            ("0.0.0.0:4600", &free),
            ("0.0.0.0:4601", &free),
        ];
        let config = replaced.iter().fold(config, |config, (from, to)| {
            assert!(config.contains(from), "the page no longer says {from}");
            config.replace(from, to)
        });
        self.files.config(&config)
    }

    async fn start_program(&mut self, name: &str, config: &str) {
        let admin = format!("{name}.admin_listen=127.0.0.1:0");
        let program = format!("windlass-{name}");
        let words = [&program, "--config", config, "--set", &admin, "--log-format", "json"];
        let command = program::command(&words.map(ToString::to_string), &BTreeMap::new());
        let mut running = Running::start(name, command);
        let operators = running.address("operators");
        eventually(&format!("the {name} is ready"), async || {
            assert_eq!(running.ended(), None, "the {name} has ended");
            (http_status(&operators, "/readyz").await? == 200).then_some(())
        })
        .await;
        for (serving, variable) in
            [("submitter", "WINDLASS_SERVER"), ("streamer", "WINDLASS_LOG_SERVER")]
        {
            if serving == name {
                let address = running.address("clients");
                self.command.insert(variable.to_owned(), format!("https://{address}"));
            }
        }
        self.programs.push(running);
    }

    /// Runs `windlass`, which succeeds, and tells what it writes.
    async fn windlass(&self, arguments: &[&str]) -> String {
        self.try_windlass(arguments).await.unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
    }

    /// Runs `windlass`: what it writes, or what it says if it does not succeed.
    async fn try_windlass(&self, arguments: &[&str]) -> Result<String, String> {
        let mut words = vec!["windlass".to_owned()];
        words.extend(arguments.iter().map(ToString::to_string));
        let mut command = tokio::process::Command::from(program::command(&words, &self.command));
        let output = command.current_dir(root()).kill_on_drop(true).output();
        let output = tokio::time::timeout(program::PATIENCE, output).await;
        let output = output.expect("it ends").expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn assert_nothing_was_refused(&mut self) {
        for program in &mut self.programs {
            let log = program.log();
            for refusal in REFUSALS {
                assert!(!log.contains(refusal), "{log}");
            }
            assert!(!log.contains("does not let this user see"), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_page_are_enough() {
    let mut it = Installation::start(RedisServer::builder()).await;
    let hello = "examples/hello/pipeline.yaml";
    let told = it.windlass(&["submit", "--watch", hello]).await;
    assert!(told.contains("| Hello, world!"), "{told}");
    let run = it.windlass(&["submit", hello]).await;
    let run = run.trim();
    it.windlass(&["watch", run]).await;
    it.windlass(&["rerun", run]).await;
    assert!(it.windlass(&["logs", run]).await.contains("Goodbye."));
    let slow = it.files.dir.path().join("slow.yaml");
    // More than there are slots: what waits for one, the launcher is asked about.
    let items: Vec<u32> = (0..100).collect();
    let text =
        format!("name: slow\nsteps: {{wait: {{for_each: {items:?}, command: [sleep, '600']}}}}\n");
    fs::write(&slow, text).expect("written");
    let slow = it.windlass(&["submit", &slow.display().to_string()]).await;
    eventually("a step waits for room, as the launcher was asked", async || {
        let told = it.windlass(&["explain", slow.trim()]).await;
        (told.contains("waits for room") && !told.contains("has told in time")).then_some(())
    })
    .await;
    for order in ["pause", "resume", "cancel"] {
        it.windlass(&[order, slow.trim()]).await;
    }
    it.windlass(&["delete", run]).await;
    it.assert_nothing_was_refused();
}

/// On Redis, users that are written another way keep the server from reading its own file.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_there_after_a_restart_with_the_users_of_the_page() {
    let it = Installation::start(RedisServer::builder().program(Program::Redis)).await;
    let run = it.windlass(&["submit", "examples/hello/pipeline.yaml"]).await;
    it.windlass(&["watch", run.trim()]).await;
    it.redis.restart().await;
    let shown = eventually("the store is there again", async || {
        // Another server is none that the programs are connected to yet.
        it.try_windlass(&["list"]).await.ok()
    })
    .await;
    assert!(shown.contains(run.trim()) && shown.contains("succeeded"), "{shown}");
}

#[test]
fn the_servers_of_the_page_are_those_of_the_compose_file() {
    let (page, compose) = (block("redis"), text("compose.yaml"));
    for (setting, flag) in [
        ("appendonly yes", r#""--appendonly", "yes""#),
        ("appendfsync always", r#""--appendfsync", "always""#),
        ("save \"\"", r#""--save", """#),
        ("maxmemory-policy noeviction", r#""--maxmemory-policy", "noeviction""#),
    ] {
        assert!(page.contains(setting) && compose.contains(flag), "{setting}");
    }
}
