//! What `compose.yaml` starts, started without containers: the same servers, programs, commands and variables. Only what a
//! container would give them is another here, and all of that is said in this file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Output, Stdio},
};

use tempfile::TempDir;
use windlass_proto::v1::{self, run_service_client::RunServiceClient};
use windlass_servers::{NatsServer, RedisServer};
use windlass_tests::waiting::http_status;

use crate::{
    file::{ComposeFile, Service, text},
    program::{self, Running, eventually},
};

/// `--scale launcher=4`.
const LAUNCHERS: usize = 4;

/// All that the file describes, running.
struct Stand {
    nats: NatsServer,
    redis: RedisServer,
    dir: TempDir,
    programs: Vec<Running>,
    /// What is in the environment of a service beyond that of its program: how `windlass` finds the servers.
    command: BTreeMap<String, String>,
}

impl Stand {
    async fn start(file: &ComposeFile) -> Self {
        let (nats, redis) =
            tokio::join!(nats(&file.services["nats"]), redis(&file.services["redis"]));
        let dir = tempfile::tempdir().expect("a directory");
        let mut stand = Self { nats, redis, dir, programs: Vec::new(), command: BTreeMap::new() };
        for (name, service) in file.programs() {
            let count = if name == "launcher" { LAUNCHERS } else { 1 };
            for number in 1..=count {
                stand.start_program(&format!("{name}-{number}"), service).await;
            }
        }
        stand
    }

    async fn start_program(&mut self, container: &str, service: &Service) {
        let environment = self.environment(container, service);
        let command = program::command(&service.command, &environment);
        let mut running = Running::start(container, command);
        let operators = running.address("operators");
        let ready = async || {
            assert_eq!(running.ended(), None, "{container} has ended");
            (http_status(&operators, "/readyz").await? == 200).then_some(())
        };
        eventually(&format!("{container} is ready"), ready).await;
        for (name, variable) in
            [("submitter-1", "WINDLASS_SERVER"), ("streamer-1", "WINDLASS_LOG_SERVER")]
        {
            if name == container {
                let address = running.address("clients");
                self.command.insert(variable.to_owned(), format!("http://{address}"));
            }
        }
        self.programs.push(running);
    }

    /// The variables of a container, as they are without one.
    fn environment(&self, container: &str, service: &Service) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for (variable, value) in &service.environment {
            if let Some(value) = self.translated(variable, value) {
                environment.insert(variable.clone(), value);
            }
        }
        // What is each container's own.
        for (variable, value) in [
            ("WINDLASS_SUBMITTER__ADMIN_LISTEN", "127.0.0.1:0"),
            ("WINDLASS_SCHEDULER__ADMIN_LISTEN", "127.0.0.1:0"),
            ("WINDLASS_LAUNCHER__ADMIN_LISTEN", "127.0.0.1:0"),
            ("WINDLASS_STREAMER__ADMIN_LISTEN", "127.0.0.1:0"),
            ("WINDLASS_LAUNCHER__HOST", container),
        ] {
            environment.insert(variable.to_owned(), value.to_owned());
        }
        // Where volumes are mounted.
        if let Some((place, _)) = service.mount("attempts") {
            assert_eq!(place, "/var/lib/windlass/attempts", "{container}");
            let attempts = self.dir.path().join("attempts").display().to_string();
            environment.insert("WINDLASS_LAUNCHER__DIRECTORY".to_owned(), attempts.clone());
            environment.insert("WINDLASS_STREAMER__DIRECTORY".to_owned(), attempts);
        }
        // For this test: how it finds the ports, and that no launcher can take all the work.
        environment.insert("WINDLASS_LOG__FORMAT".to_owned(), "json".to_owned());
        environment.insert("WINDLASS_LAUNCHER__SLOTS".to_owned(), "1".to_owned());
        environment
    }

    /// What a variable is without containers; none where no program reads it.
    fn translated(&self, variable: &str, value: &str) -> Option<String> {
        Some(match (variable, value) {
            ("WINDLASS_BUS__URL", "nats://nats:4222") => self.nats.url(),
            ("WINDLASS_STORE__URL", "redis://redis:6379") => self.redis.url(),
            ("WINDLASS_SUBMITTER__LISTEN", "0.0.0.0:4600")
            | ("WINDLASS_STREAMER__LISTEN", "0.0.0.0:4601") => "127.0.0.1:0".to_owned(),
            ("WINDLASS_GRPC__PLAINTEXT", "true")
            | ("WINDLASS_LAUNCHER__HOST_LOST_AFTER", "30s") => value.to_owned(),
            ("WINDLASS_SERVER", "http://submitter:4600")
            | ("WINDLASS_LOG_SERVER", "http://streamer:4601") => return None,
            _ => panic!("say here what {variable} = {value} is without containers"),
        })
    }

    /// Runs `windlass` as in a container of a service.
    async fn windlass(&self, arguments: &[&str], input: &str) -> Output {
        let mut words = vec!["windlass".to_owned()];
        words.extend(arguments.iter().map(ToString::to_string));
        let command = program::command(&words, &self.command);
        let mut command = tokio::process::Command::from(command);
        let input_file = self.dir.path().join("input");
        fs::write(&input_file, input).expect("the input is written");
        command
            .current_dir(self.dir.path())
            .stdin(fs::File::open(input_file).expect("the input is there"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = tokio::time::timeout(program::PATIENCE, command.output()).await;
        output.unwrap_or_else(|_| panic!("windlass {arguments:?} does not end")).expect("it runs")
    }

    /// Runs `windlass`, which succeeds, and tells what it writes.
    async fn ask(&self, arguments: &[&str], input: &str) -> String {
        let output = self.windlass(arguments, input).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "windlass {arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The hosts that the attempts of a step ran on.
    async fn hosts(&self, run_id: &str, step: &str) -> Vec<String> {
        let server = self.command["WINDLASS_SERVER"].clone();
        let mut runs = RunServiceClient::connect(server).await.expect("it answers");
        let (run_id, step) = (run_id.to_owned(), step.to_owned());
        let request = v1::ListAttemptsRequest { run_id, step, ..Default::default() };
        let attempts = runs.list_attempts(request).await.expect("listed").into_inner().attempts;
        attempts.into_iter().map(|attempt| attempt.host).collect()
    }

    async fn end(&mut self) {
        for program in &mut self.programs {
            assert_eq!(program.end().await, Some(0), "{}", program.log());
        }
    }
}

/// NATS as the service's command has it. JetStream and its directory are the server's own here already.
async fn nats(service: &Service) -> NatsServer {
    let expected = ["--jetstream", "--store_dir", "/data", "--http_port", "8222"];
    assert_eq!(service.command, expected, "say here how a server is started that way");
    NatsServer::builder().config("http: \"127.0.0.1:-1\"").start().await
}

/// Redis with the flags of the service's command. Its directory and port are its own here already.
async fn redis(service: &Service) -> RedisServer {
    let [program, flags @ ..] = service.command.as_slice() else { panic!("it has a command") };
    assert_eq!(program, "redis-server");
    RedisServer::builder().args(flags).start().await
}

/// Steps that wait for each other: as many as there are slots.
fn meeting(dir: &TempDir) -> String {
    let place = dir.path().join("meeting");
    fs::create_dir(&place).expect("the place is made");
    let place = place.display();
    let step = |number: usize| {
        let script = format!(
            "touch {place}/{number}; until [ $(ls {place} | wc -l) = {LAUNCHERS} ]; do sleep 0.05; done; echo met {number}"
        );
        format!("  s{number}: {{run: '{script}', timeout: 1m}}\n")
    };
    let steps: String = (1..=LAUNCHERS).map(step).collect();
    format!("name: meeting\nsteps:\n{steps}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compose_file_starts_runs_pipelines_on_all_launchers() {
    let mut stand = Stand::start(&ComposeFile::read()).await;
    // As the head of the file says.
    let hello = text("examples/hello/pipeline.yaml");
    let told = stand.ask(&["submit", "--watch", "-"], &hello).await;
    assert!(told.contains("| Hello, world!"), "{told}");

    let run = stand.ask(&["submit", "-"], &meeting(&stand.dir)).await;
    let run = run.trim();
    stand.ask(&["watch", run], "").await;
    let lines = stand.ask(&["logs", "--follow", run], "").await;
    let mut hosts = BTreeSet::new();
    for number in 1..=LAUNCHERS {
        assert!(lines.contains(&format!("met {number}")), "{lines}");
        hosts.extend(stand.hosts(run, &format!("s{number}")).await);
    }
    let launchers: BTreeSet<String> =
        (1..=LAUNCHERS).map(|number| format!("launcher-{number}")).collect();
    assert_eq!(hosts, launchers);
    // Each has a directory of its own in the one that they share.
    let directories = fs::read_dir(stand.dir.path().join("attempts")).expect("it is there");
    let directories: BTreeSet<String> = directories
        .map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(directories, launchers);
    let listed = stand.ask(&["list"], "").await;
    assert_eq!(listed.matches("succeeded").count(), 2, "{listed}");
    stand.end().await;
}
